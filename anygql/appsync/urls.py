"""The URLs of an AppSync API: its HTTP endpoint, and the real-time endpoint beside it.

https://docs.aws.amazon.com/appsync/latest/devguide/real-time-websocket-client.html
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

__all__ = ["connect_url", "host_of", "realtime_url", "region_of"]

# The host of an API without a domain of its own: an id of 26 characters, and the region.
_API_HOST = re.compile(
    r"(?P<id>[a-z0-9]{26})\.appsync-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?",
    re.IGNORECASE,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """Return the host of a URL as HTTP's ``Host`` has it: with the port if it isn't the default."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)}:
        return host
    return f"{host}:{parts.port}"


def region_of(url: str) -> str | None:
    """Return the region in the host of an endpoint; ``None`` for a custom domain."""
    match = _API_HOST.fullmatch(urlsplit(url).hostname or "")
    return None if match is None else match["region"]


def connect_url(endpoint: str) -> str:
    """Return the URL that the authorization of a handshake is for."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/connect"))


def realtime_url(endpoint: str, **parameters: str) -> str:
    """Return the URL of the WebSocket for an HTTP endpoint, which keeps its own parameters.

    ``parameters`` are added to the query, percent-encoded.
    """
    parts = urlsplit(endpoint)
    netloc, path = parts.netloc, parts.path
    if _API_HOST.fullmatch(parts.hostname or ""):
        netloc = re.sub(r"\.appsync-api\.", ".appsync-realtime-api.", netloc, flags=re.IGNORECASE)
    else:
        path = f"{path.rstrip('/')}/realtime"
    added = [f"{name}={quote(value, safe='')}" for name, value in parameters.items()]
    query = "&".join([parts.query, *added] if parts.query else added)
    scheme = {"http": "ws", "https": "wss"}[parts.scheme]
    return urlunsplit((scheme, netloc, path, query, ""))
