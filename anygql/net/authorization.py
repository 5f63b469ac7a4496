"""Authorization that depends on the request: its URL, and the bytes of its body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from .headers import Headers, pairs

__all__ = ["Authorization", "credentials_in", "is_refreshable"]

#: What a signature of AWS's begins with, and whose it is. The rest differs each time.
_SIGNATURE = re.compile(r"AWS4-[-A-Z0-9]+ Credential=[^/,\s]+")

#: Headers of an authorization that say nothing of whose it is.
_NO_CREDENTIALS = frozenset({"date", "host", "x-amz-date"})


class Authorization(Protocol):
    """An object that authorizes POST requests, each anew.

    When a server has refused what it said, it is asked again, and the request is sent once more if
    it has other credentials then. If it has an attribute ``is_refreshable`` that is false, it says
    the same each time: then it isn't asked again.
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


def credentials_in(headers: Headers) -> list[tuple[str, object]]:
    """Return what the headers of an authorization say of whose it is.

    A time doesn't belong to that. Nor does a signature of AWS's: the same key makes another one
    each time. Signing again wouldn't help a clock that is wrong, which is the same one.
    """
    return [
        (name.lower(), _without_signature(value))
        for name, value in pairs(headers)
        if name.lower() not in _NO_CREDENTIALS
    ]


def _without_signature(value: object) -> object:
    found = _SIGNATURE.match(value) if isinstance(value, str) else None
    return value if found is None else found[0]
