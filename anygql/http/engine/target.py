"""Where a request goes: the origin of its URL, the proxy before that, and its request target."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from ...exceptions import TransportInvalidURL
from ...net.headers import basic_auth
from ...net.proxy import HTTP_PROXIES, Proxy, environment_proxy, parse_proxy
from ...net.urls import check_url, redact
from ..redirects import SCHEMES, is_same_origin

__all__ = ["Origin", "Target", "parse_target"]

_DEFAULT_PORTS = {False: 80, True: 443}

#: What RFC 3986 lets stand in a path or query as it is; ``%`` too, since the rest is encoded.
_KEPT = "/?:@!$&'()*+,;=-._~%[]"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Origin(msgspec.Struct, frozen=True):
    """What connections are kept for: a server, and the proxy that leads to it."""

    secure: bool
    host: str
    port: int
    proxy: Proxy | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy reads the requests, and forwards them (RFC 9112 §3.2.2)."""
        return self.proxy is not None and not self.secure


class Target(msgspec.Struct, frozen=True):
    """A URL, as a request needs it."""

    url: str
    #: The URL, fit for messages.
    shown: str
    origin: Origin
    #: The value of ``Host``.
    host: str
    path: str
    #: The query, encoded, without "?".
    query: str
    #: The value of ``Authorization``, if the URL has a user.
    authorization: str | None

    @property
    def plain_url(self) -> str:
        """The URL without user and query, which cookies are kept for."""
        return f"{'https' if self.origin.secure else 'http'}://{self.host}{self.path}"

    def request_target(self, params: list[tuple[str, str]]) -> str:
        """Return the target of the request line (RFC 9112 §3.2), with more of a query."""
        more = urlencode(params, quote_via=quote) if params else ""
        query = "&".join(filter(None, (self.query, more)))
        target = f"{self.path}?{query}" if query else self.path
        return f"http://{self.host}{target}" if self.origin.is_forwarded else target

    def full_url(self, params: list[tuple[str, str]]) -> str:
        """Return the URL as it is sent, without user and password, with more of a query."""
        target = self.request_target(params)
        if self.origin.is_forwarded:
            return target
        return f"{'https' if self.origin.secure else 'http'}://{self.host}{target}"

    def is_same_origin(self, other: Target) -> bool:
        """Return whether both URLs are of one origin."""
        before, after = self.origin, other.origin
        return is_same_origin(
            (SCHEMES[before.secure], before.host, before.port),
            (SCHEMES[after.secure], after.host, after.port),
        )


def parse_target(url: object, proxy: str | bool | None, *, is_direct: bool = False) -> Target:
    """Return the target of a URL.

    Args:
        url: The URL.
        proxy: The URL of a proxy; ``True`` for that of the environment, ``None`` for none.
        is_direct: Whether there is a Unix socket, so that no proxy is asked for.

    Raises:
        TransportInvalidURL: The URL, or that of the proxy, can't be used.
    """
    text = check_url(url, SCHEMES)
    shown = redact(text)
    if _CONTROL.search(text):
        raise TransportInvalidURL(f"{shown!r}: the URL has a control character")
    parts = urlsplit(text)
    secure = parts.scheme == "https"
    host = _ascii_host(parts.hostname or "", shown)
    port = parts.port or _DEFAULT_PORTS[secure]
    authority = f"[{host.partition('%')[0]}]" if ":" in host else host
    if port != _DEFAULT_PORTS[secure]:
        authority = f"{authority}:{port}"
    user = parts.username
    password = parts.password or ""
    return Target(
        text,
        shown,
        Origin(secure, host, port, None if is_direct else _proxy(host, port, secure, proxy)),
        authority,
        quote(parts.path or "/", safe=_KEPT),
        quote(parts.query, safe=_KEPT),
        None if user is None else basic_auth(unquote(user), unquote(password)),
    )


def _proxy(host: str, port: int, secure: bool, proxy: str | bool | None) -> Proxy | None:
    if isinstance(proxy, str):
        return parse_proxy(proxy)
    return environment_proxy(host, port, secure=secure, names=HTTP_PROXIES) if proxy else None


def _ascii_host(host: str, shown: str) -> str:
    if ":" in host:  # an address of IPv6; "%25" stands before its zone (RFC 6874)
        return host.replace("%25", "%")
    try:
        return host.encode("ascii").decode() if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise TransportInvalidURL(f"{shown!r}: the URL's host is no name that can exist") from None
