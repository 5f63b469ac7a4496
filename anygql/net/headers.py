"""HTTP headers: the forms that users may pass, and which values can be sent."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from ..version import VERSION

__all__ = [
    "Headers",
    "basic_auth",
    "check_header",
    "check_headers",
    "is_token",
    "pairs",
    "user_agent",
]


Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


def pairs(headers: Headers | None) -> list[tuple[str, str]]:
    """Return headers of any form as pairs. Raise ``TypeError`` for text."""
    if headers is None:
        return []
    check_headers(headers)
    if isinstance(headers, Mapping):
        return list(cast("Mapping[str, str]", headers).items())
    return list(headers)


def check_headers(headers: object) -> None:
    """Raise ``TypeError`` for what can't be headers. The message has no value of a header."""
    if isinstance(headers, str | bytes) or not isinstance(headers, Iterable):
        raise TypeError(
            'headers are a mapping or pairs, such as {"Authorization": "…"}, '
            f"not {type(headers).__name__}"
        )
    if isinstance(headers, list | tuple):
        given = cast("list[Any]", headers)
        if not all(
            isinstance(pair, list | tuple) and len(cast("Any", pair)) == 2 for pair in given
        ):
            raise TypeError('headers as a list are pairs, such as [("Authorization", "…")]')


# RFC 9110 §5.6.2 and §5.5.
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def check_header(name: str, value: str) -> None:
    """Raise ``ValueError`` for a header that can't be sent. The message never has its value."""
    if not is_token(name):
        raise ValueError(f"{name!r} can't be the name of a header")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of the header {name!r} has characters that can't be sent: line breaks, NUL "
            "and other control characters, or such as aren't Latin-1"
        )


def is_token(name: str) -> bool:
    """Return whether ``name`` is a token, as names of headers and subprotocols must be."""
    return _TOKEN.fullmatch(name) is not None


def user_agent() -> str:
    """Return the default ``User-Agent``."""
    return f"anygql/{VERSION}"


def basic_auth(username: str, password: str) -> str:
    """Return the value of an ``Authorization`` header (RFC 7617)."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
