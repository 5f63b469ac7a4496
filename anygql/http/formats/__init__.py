"""Server-sent events and multipart bodies: bytes in, payloads out. No I/O."""
