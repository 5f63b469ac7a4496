"""The arguments that httpx's methods take for a request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ...net.headers import Headers, pairs
from ..compression import ACCEPT_ENCODING
from ..requests import BUILD_NAMES, SEND_NAMES, HTTPRequest, merged_headers

__all__ = ["build_arguments", "send_arguments"]


def build_arguments(request: HTTPRequest, url: str, headers: Headers | None) -> dict[str, Any]:
    """Return the arguments for the client's ``build_request``.

    ``headers`` are the transport's.
    """
    args = {name: value for name, value in request.args.items() if name in BUILD_NAMES}
    args["headers"] = merged_headers(
        request.headers,
        pairs(headers),
        pairs(args.pop("headers", None)),
        request.fixed,
        [ACCEPT_ENCODING],
    )
    extra: Any = args.pop("params", None)
    if request.params is not None or extra is not None:
        # The client replaces the URL's query by the params that it is given.
        query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
        more: Iterable[Any] = extra.items() if hasattr(extra, "items") else extra or ()
        args["params"] = [*query, *(request.params or ()), *more]
    if isinstance(request.body, bytes):
        args["content"] = request.body
    return {"method": request.method, "url": url, **args}


def send_arguments(request: HTTPRequest) -> dict[str, Any]:
    """Return the arguments for the client's ``send``."""
    return {name: value for name, value in request.args.items() if name in SEND_NAMES}
