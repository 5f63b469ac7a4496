"""Byte streams to a server, and what is said about them: URLs, headers, proxies, errors."""
