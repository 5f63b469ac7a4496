"""Redirects: followed only if the client, or the caller, says so.

They are followed here, and not by the client, for the sake of the headers: httpx drops
``Authorization`` on the way to another origin, but would take along every other, and so API keys,
cookies, and the token of a reserved event stream.
"""

from __future__ import annotations

from typing import Any

from .library import HTTPClient, library_of, quiet

__all__ = ["send"]

#: What another origin may see: nothing here is the user's secret.
HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "apollo-require-preflight",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)

#: Bytes of a redirect's own answer that are read rather than its connection closed.
SHORT = 4096

_DEFAULT_PORTS = {"http": 80, "https": 443}


async def send(client: HTTPClient, request: Any, *, own: bool, **options: Any) -> Any:
    """The answer, of which nothing has been read, at the end of all redirects.

    ``own``: the client is ours, whose logs must not show more of a URL than messages do. On the
    way to another origin, only ``HARMLESS`` headers are kept, and no ``auth`` is asked. Raises what
    the client raises.
    """
    follow = options.pop("follow_redirects", None)
    if follow is None or not isinstance(follow, bool):
        follow = client.follow_redirects
    redirects = 0
    while True:
        if own:
            quiet(client, request)
        response = await client.send(request, stream=True, follow_redirects=False, **options)
        following = response.next_request
        if not follow or following is None:
            return response
        await _finish(response)
        redirects += 1
        if redirects > client.max_redirects:
            library: Any = library_of(client)
            raise library.TooManyRedirects(
                f"more than {client.max_redirects} redirects", request=request
            )
        if not _same_origin(request.url, following.url):
            options["auth"] = None
            for name in [name for name in following.headers if name.lower() not in HARMLESS]:
                del following.headers[name]
        request = following


async def _finish(response: Any) -> None:
    """Done with a redirect's own answer: a short one is read, so that its connection goes on."""
    length = str(response.headers.get("content-length", ""))
    try:
        if length.isdecimal() and int(length[:9]) <= SHORT:
            await response.aread()
    finally:
        await response.aclose()


def _same_origin(before: Any, after: Any) -> bool:
    """Whether both are one server's; the same host's default ports are, on the way to TLS."""
    origins = [
        (url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme))
        for url in (before, after)
    ]
    upgrade = [("http", before.host, 80), ("https", before.host, 443)]
    return origins[0] == origins[1] or origins == upgrade
