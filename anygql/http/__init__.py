"""GraphQL over HTTP, by httpx or httpx2. Neither is imported before it is needed."""

from __future__ import annotations

from .transport import HTTPTransport

__all__ = ["HTTPTransport"]
