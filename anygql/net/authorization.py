"""Authorization that depends on the request: its URL, and the bytes of its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Authorization", "is_refreshable"]


class Authorization(Protocol):
    """An object that authorizes POST requests, each anew.

    If it has an attribute ``is_refreshable`` that is false, it says the same each time: then it
    isn't asked again when a server has refused what it said.
    """

    async def headers(self, url: str, body: bytes, /) -> Mapping[str, str]:
        """Return the headers that authorize one POST request.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.
        """
        ...


def is_refreshable(auth: Authorization) -> bool:
    """Return whether an authorization may say something else next time."""
    return bool(getattr(auth, "is_refreshable", True))
