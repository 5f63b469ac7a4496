"""Redirects: followed only if the client, or the caller, says so.

They are followed here, and not by the client, for the sake of the headers. On the way to another
origin httpx drops ``Authorization``, but it would take along every other header: API keys,
cookies, the token of a reserved event stream.
"""

from __future__ import annotations

from typing import Any

from ...net.urls import redact
from ..redirects import HARMLESS, SHORT_BODY, is_same_origin
from .client import HTTPClient, library_of

__all__ = ["send_following_redirects"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


async def send_following_redirects(
    client: HTTPClient, request: Any, **options: Any
) -> tuple[Any, str]:
    """Send a request, and return the client's response to the last redirect, with an unread body.

    Beside it stands the URL, fit for messages, of a GET that a redirect has made of a POST. That
    GET asks nothing: it has no body. It is ``""`` if there was none.

    On the way to another origin, only ``HARMLESS`` headers are kept, and no ``auth`` is asked.

    Args:
        client: The client that sends.
        request: The client's own request.
        options: Arguments for the client's ``send``.

    Raises:
        Exception: Whatever the client raises.
    """
    follow = options.pop("follow_redirects", None)
    if follow is None or not isinstance(follow, bool):
        follow = client.follow_redirects
    redirects = 0
    asked_nothing = ""
    while True:
        response = await client.send(request, stream=True, follow_redirects=False, **options)
        next_request = response.next_request
        if not follow or next_request is None:
            return response, asked_nothing
        await _finish(response)
        redirects += 1
        if redirects > client.max_redirects:
            library: Any = library_of(client)
            raise library.TooManyRedirects(
                f"more than {client.max_redirects} redirects", request=request
            )
        if not is_same_origin(_origin(request.url), _origin(next_request.url)):
            options["auth"] = None
            for name in [name for name in next_request.headers if name.lower() not in HARMLESS]:
                del next_request.headers[name]
        if request.method == "POST" and next_request.method == "GET":
            asked_nothing = redact(str(next_request.url))
        request = next_request


async def _finish(response: Any) -> None:
    """Close a redirect. A short body is read, so that its connection can be used again."""
    length = str(response.headers.get("content-length", ""))
    try:
        if length.isdecimal() and int(length[:9]) <= SHORT_BODY:
            await response.aread()
    finally:
        await response.aclose()


def _origin(url: Any) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)
