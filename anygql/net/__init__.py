"""Byte streams to a server, and their URLs, headers, proxies and errors."""
