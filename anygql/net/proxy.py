"""HTTP proxies: which one to use, and a tunnel through it by CONNECT (RFC 9110 §9.3.6)."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote, urlsplit

import msgspec
from anyio.abc import ByteStream

from ..exceptions import TransportConnectionFailed, TransportInvalidURL
from .errors import NotHTTP
from .headers import basic_auth, user_agent
from .http1 import read_head
from .statuses import is_retryable_status
from .urls import redact

__all__ = [
    "HTTP_PROXIES",
    "WEBSOCKET_PROXIES",
    "Proxy",
    "environment_proxy",
    "open_tunnel",
    "parse_proxy",
]


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy, reached over TLS if ``secure``."""

    host: str
    port: int
    secure: bool
    #: The URL, fit for messages.
    shown: str
    #: The value of ``Proxy-Authorization``, if the URL has a user.
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.shown})"


def parse_proxy(url: str) -> Proxy:
    """Read a proxy's URL. The default scheme is ``http://``. Raise ``TransportInvalidURL``."""
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.scheme in {"http", "https"} and host:
            secure = parts.scheme == "https"
            user = parts.username
            auth = user and basic_auth(unquote(user), unquote(parts.password or ""))
            return Proxy(host, port or (443 if secure else 80), secure, redact(url), auth)
    raise TransportInvalidURL(
        f"can't use the proxy {redact(url)}: its URL must be http://host:port or "
        "https://host:port. For a direct connection, pass connect_args={'proxy': None}"
    )


#: The proxies of WebSockets: for each, the names in the environment, in the order of preference.
WEBSOCKET_PROXIES = ("ws", "http", "all"), ("wss", "https", "all")

#: The same of requests.
HTTP_PROXIES = ("http", "all"), ("https", "all")


def environment_proxy(
    host: str,
    port: int,
    *,
    secure: bool,
    names: tuple[tuple[str, ...], tuple[str, ...]] = WEBSOCKET_PROXIES,
) -> Proxy | None:
    """Return the proxy of the environment, or of the system's settings.

    For a WebSocket over TLS this is ``wss_proxy``, ``https_proxy`` or ``all_proxy``, in this order;
    otherwise ``ws_proxy``, ``http_proxy`` or ``all_proxy``. Hosts in ``no_proxy`` have no proxy,
    nor has this machine, which a proxy elsewhere can't reach. Raise ``TransportInvalidURL``.
    """
    if _is_loopback(host):
        return None
    from urllib.request import getproxies, proxy_bypass  # it loads a whole HTTP client

    if proxy_bypass(f"{host}:{port}"):
        return None
    proxies = getproxies()
    for scheme in names[secure]:
        if url := proxies.get(scheme):
            return parse_proxy(url)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def open_tunnel(stream: ByteStream, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy at the other end of ``stream`` to connect it to ``host``.

    If canceled, the stream is of no use any more.

    Raises:
        TransportConnectionFailed: The proxy refused; the error has its status as ``code``.
        OSError: The stream broke; or anyio's errors for that.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {user_agent()}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await stream.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
    try:
        response = await read_head(stream)
    except NotHTTP as error:
        raise TransportConnectionFailed(
            f"the proxy {proxy.shown} can't be used: {error}", retryable=False
        ) from error
    if not 200 <= response.status < 300:
        raise _refused(proxy, authority, response.status)


def _refused(proxy: Proxy, authority: str, status: int) -> TransportConnectionFailed:
    # It is 407 (RFC 9110 §15.5.8), but tinyproxy answers 401 to a wrong password.
    advice = " Check the user and password in its URL" if status in {401, 407} else ""
    return TransportConnectionFailed(
        f"the proxy {proxy.shown} answered {status} when asked for {authority}.{advice}",
        code=status,
        retryable=is_retryable_status(status),
    )
