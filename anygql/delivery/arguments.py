"""The names in ``transport_args``, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from ..net.headers import Headers

__all__ = ["TransportArgs"]


class TransportArgs(TypedDict, total=False):
    """Arguments for one HTTP request.

    Any mapping will do as ``transport_args``; other transports may take other names.
    """

    headers: Headers
    #: What is added to the URL's query: a mapping or pairs.
    params: Any
    #: A mapping, or an ``http.cookiejar.CookieJar``.
    cookies: Any
    #: A user and password, or an object as ``HTTPTransport(auth=…)`` takes; with a client of
    #: httpx's, also its own kinds of ``auth``.
    auth: Any
    #: Seconds of silence; with a client of httpx's, also an ``httpx.Timeout``.
    timeout: Any
    follow_redirects: bool
    #: For a client of httpx's alone.
    extensions: Mapping[str, Any]
    #: A function of the bytes sent so far, and of all bytes (``None``: unknown).
    progress: Callable[[int, int | None], object]
