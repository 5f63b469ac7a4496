"""Authorization that depends on the request: its URL, and the bytes of its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Authorization"]


class Authorization(Protocol):
    """An object that authorizes POST requests, each anew."""

    async def headers(self, url: str, body: bytes, /) -> Mapping[str, str]:
        """Return the headers that authorize one POST request.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.
        """
        ...
