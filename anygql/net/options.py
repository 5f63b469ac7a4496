"""What transports are told by their users: checked values, and what each attempt asks for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

from ..exceptions import TransportInvalidURL
from ..websocket.sockets.base import redact

__all__ = ["Asked", "Headers", "ask", "check_url", "pairs", "seconds"]

_T = TypeVar("_T")

#: A value, or what gives it: a function or async function, asked at each attempt.
Asked: TypeAlias = _T | Callable[[], _T] | Callable[[], Awaitable[_T]]
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


async def ask(value: Any) -> Any:
    """The value, or what a function or async function gives for it now."""
    if callable(value):
        value = value()
    if inspect.isawaitable(value):
        value = await value
    return value


def pairs(headers: Headers | None) -> list[tuple[str, str]]:
    """Headers in any of their forms, as pairs."""
    if headers is None:
        return []
    if isinstance(headers, Mapping):
        return list(cast("Mapping[str, str]", headers).items())
    return list(headers)


def check_url(url: object, schemes: tuple[str, ...]) -> str:
    """The URL if it is one of these schemes and names a host.

    Raises ``TransportInvalidURL`` (a ``ValueError``), which shows no more than scheme and host.
    """
    if not isinstance(url, str):
        raise TransportInvalidURL(f"a URL is a str, not {type(url).__name__}")
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    shown = redact(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # whose text may quote the password
        raise TransportInvalidURL(
            f"{shown!r} is not a URL: its host or port can't be read. Are special characters in "
            "user and password percent-encoded?"
        ) from None
    if parts.scheme not in schemes:
        raise TransportInvalidURL(f"{shown!r}: the URL must begin with {wanted}")
    if not parts.hostname:
        raise TransportInvalidURL(f"{shown!r}: the URL names no host")
    return url


def seconds(name: str, value: float | None, *, zero: bool = False) -> float | None:
    """A time limit as it was given; raises ``TypeError`` or ``ValueError`` for what is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name} is a number of seconds or None, not {value!r}")
    if value < 0 or (value == 0 and not zero) or math.isnan(value):
        raise ValueError(f"{name} must be more than 0 s (None: no limit), not {value}")
    return value
