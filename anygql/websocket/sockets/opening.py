"""A WebSocket to open: the URL, the headers, and the connector's own ``connect_args``."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from ...exceptions import TransportInvalidURL
from ...net.dial import Destination, DialArgs
from ...net.urls import redact
from ...protocols.base import hide_secrets

__all__ = ["Address", "ConnectArgs", "Opening", "destination", "parse_url"]

# RFC 3986 §2: none of these may be in a URL.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")

#: What RFC 3986 lets stand in a path or query as it is; ``%`` too, since the rest is encoded.
_KEPT = ":/?#[]@!$&'()*+,;=%"

_DEFAULT_PORTS = {False: 80, True: 443}


class Opening(msgspec.Struct, frozen=True):
    """A WebSocket to open.

    Its ``repr`` shows no header, no query string and no ``Secret`` subprotocol: they may be secret.
    """

    #: The URL, ``ws://`` or ``wss://``, already checked.
    url: str
    headers: Sequence[tuple[str, str]] = ()
    #: The names to offer, the preferred one first. Those that are a ``Secret`` must not be shown.
    subprotocols: Sequence[str] = ()
    #: The context for ``wss://``. ``None`` is the default context, which verifies.
    ssl: ssl.SSLContext | None = None
    #: In bytes. A larger message fails the connection with 1009.
    max_message_size: int = 2**24
    #: Options of one connector that others need not have.
    connect_args: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    #: A sentence for the error of a handshake that is refused with 403 or 404, or ``""``.
    advice: str = ""

    def shown(self, subprotocol: str | None) -> str | None:
        """Return the server's choice of a subprotocol, fit for messages."""
        return None if subprotocol is None else hide_secrets(subprotocol, self.subprotocols)

    def __repr__(self) -> str:
        return f"Opening({redact(self.url)}, subprotocols={self.subprotocols!r})"


_OF_TRANSPORT = "write {0}= to the transport itself"

#: Options of ``websockets.connect``, which gql hands on, by what stands for them here.
_ELSEWHERE = {
    "max_size": _OF_TRANSPORT.format("max_message_size"),
    "open_timeout": _OF_TRANSPORT.format("connect_timeout"),
    "ping_timeout": _OF_TRANSPORT.format("pong_timeout"),
    "additional_headers": _OF_TRANSPORT.format("headers"),
    "extra_headers": _OF_TRANSPORT.format("headers"),
    "subprotocols": _OF_TRANSPORT.format("protocol"),
    **{name: _OF_TRANSPORT.format(name) for name in ("ssl", "ping_interval", "close_timeout")},
}


class Address(msgspec.Struct, frozen=True):
    """The URL of a WebSocket, in parts (RFC 6455 §3)."""

    secure: bool
    host: str
    port: int
    #: The path and the query.
    resource: str
    #: The user and the password.
    user: tuple[str, str] | None = None

    @property
    def authority(self) -> str:
        """The value of the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.secure] else f"{host}:{self.port}"


class ConnectArgs(DialArgs, frozen=True, kw_only=True):
    """The options in ``connect_args``."""

    #: ``"deflate"`` offers permessage-deflate (RFC 7692).
    compression: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> ConnectArgs:
        """Check ``connect_args``.

        Raises ``TypeError`` for an unknown name, and ``ValueError`` for a wrong value.
        """
        allowed = cls.__struct_fields__
        if unknown := [name for name in given if name not in allowed]:
            name = unknown[0]
            hint = f" ({_ELSEWHERE[name]})" if name in _ELSEWHERE else ""
            raise TypeError(
                f"connect_args has no {name!r}{hint}: it takes {', '.join(map(repr, allowed))}"
            )
        args = cls(**given)
        if args.compression not in {None, "deflate"}:
            raise ValueError("connect_args['compression'] must be 'deflate' or None")
        if args.uds is not None and isinstance(args.proxy, str):
            raise ValueError("connect_args can't have both 'uds' and 'proxy'")
        return args


def parse_url(url: str) -> Address:
    """Parse the URL of a WebSocket.

    Raises ``TransportInvalidURL``, which shows nothing secret.
    """
    if _FORBIDDEN.search(url):
        # In the request line they would end its target.
        raise TransportInvalidURL(
            f"can't use the URL {redact(url)}: it has a space or a control character. Write them "
            "percent-encoded"
        )
    try:
        return _parse(url)
    except ValueError:
        # These errors quote the URL with its password and query string, so they end here.
        raise TransportInvalidURL(
            f"can't use the URL {redact(url)}: it must be ws://host:port/path or "
            "wss://host:port/path, without a fragment, and with a password if it has a user"
        ) from None


def _parse(url: str) -> Address:
    """Parse a URL. Raises ``ValueError``."""
    parts = urlsplit(url)
    host, user, password = parts.hostname, parts.username, parts.password
    if parts.scheme not in {"ws", "wss"} or not host or parts.fragment:
        raise ValueError(url)
    if user is not None and password is None:
        raise ValueError(url)
    secure = parts.scheme == "wss"
    resource = parts.path or "/"
    if parts.query:
        resource += f"?{parts.query}"
    return Address(
        secure,
        host if host.isascii() else host.encode("idna").decode(),
        parts.port or _DEFAULT_PORTS[secure],
        resource if resource.isascii() else quote(resource, safe=_KEPT),
        None
        if user is None or password is None
        else (unquote(user, errors="strict"), unquote(password, errors="strict")),
    )


def destination(opening: Opening, address: Address) -> Destination:
    """Return where the byte stream under the WebSocket goes to."""
    return Destination(address.host, address.port, address.secure, redact(opening.url), opening.ssl)
