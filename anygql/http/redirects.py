"""What a redirect makes of a request, whoever follows it."""

from __future__ import annotations

__all__ = [
    "HARMLESS",
    "MAX_REDIRECTS",
    "REDIRECTS",
    "SCHEMES",
    "SHORT_BODY",
    "is_same_origin",
    "redirected_method",
]

#: The schemes of the URLs that requests go to.
SCHEMES = ("http", "https")

#: The headers that another origin may see: none of them is the user's secret.
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

#: The statuses that send a client elsewhere (RFC 9110 §15.4).
REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Redirects that are followed one after the other.
MAX_REDIRECTS = 20

#: Bytes of a redirect's own body that are read rather than its connection closed.
SHORT_BODY = 4096


def redirected_method(method: str, status: int) -> str:
    """Return the method of the request that follows a redirect, as browsers have it."""
    if status == 303 or (status in {301, 302} and method == "POST"):
        return "GET"
    return method


def is_same_origin(before: tuple[str, str, int | None], after: tuple[str, str, int | None]) -> bool:
    """Return whether two URLs, given by scheme, host and port, are of one origin.

    An upgrade to TLS of the same host, between the default ports, counts as the same.
    """
    upgrade = (("http", before[1], 80), ("https", before[1], 443))
    return before == after or (before, after) == upgrade
