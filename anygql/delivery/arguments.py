"""The names in ``transport_args``, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from ..net.headers import Headers

__all__ = ["TransportArgs"]


class TransportArgs(TypedDict, total=False):
    """Arguments for one HTTP request: those of httpx, and ``progress``.

    Any mapping will do as ``transport_args``; other transports may take other names.
    """

    headers: Headers
    params: Any
    cookies: Any
    auth: Any
    #: Seconds, or an ``httpx.Timeout``.
    timeout: Any
    follow_redirects: bool
    extensions: Mapping[str, Any]
    #: A function of the bytes sent so far, and of all bytes (``None``: unknown).
    progress: Callable[[int, int | None], object]
