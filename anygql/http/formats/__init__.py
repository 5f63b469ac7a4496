"""The formats of streamed responses, server-sent events and multipart: bytes in, events out."""
