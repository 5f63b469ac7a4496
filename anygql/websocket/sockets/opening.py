"""What a connector is told to open: the URL, the headers, and its own ``connect_args``."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from ...exceptions import TransportInvalidURL
from ...net.dial import Destination, DialArgs
from ...net.urls import redact

__all__ = ["ConnectArgs", "Opening", "destination", "parse_url"]

# RFC 3986 knows none of these.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


class Opening(msgspec.Struct, frozen=True):
    """What to open. ``repr`` shows no header and no query string: they may be secrets."""

    #: ``ws://`` or ``wss://``, checked.
    url: str
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] = ()
    #: ``None``: the default verification.
    ssl: ssl.SSLContext | None = None
    #: Bytes; a larger message fails the connection with 1009.
    max_message_size: int = 2**24
    #: What one connector knows and others don't.
    connect_args: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __repr__(self) -> str:
        return f"Opening({redact(self.url)}, subprotocols={self.subprotocols!r})"


class ConnectArgs(DialArgs, frozen=True, kw_only=True):
    """What ``connect_args`` may hold."""

    #: ``"deflate"`` offers permessage-deflate (RFC 7692).
    compression: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> ConnectArgs:
        """Raises ``TypeError`` for a name that isn't known, ``ValueError`` for a wrong value."""
        allowed = cls.__struct_fields__
        if unknown := [name for name in given if name not in allowed]:
            raise TypeError(
                f"connect_args has no {unknown[0]!r}: it takes {', '.join(map(repr, allowed))}"
            )
        args = cls(**given)
        if args.compression not in {None, "deflate"}:
            raise ValueError("connect_args['compression'] must be 'deflate' or None")
        if args.uds is not None and isinstance(args.proxy, str):
            raise ValueError("connect_args can't have both 'uds' and 'proxy'")
        return args


def parse_url(url: str) -> WebSocketURI:
    """Raises ``TransportInvalidURL``, which shows nothing secret."""
    if _FORBIDDEN.search(url):
        # In the request's first line they would end its target.
        raise TransportInvalidURL(
            f"can't use the URL {redact(url)}: it has a space or a control character. Write them "
            "percent-encoded"
        )
    try:
        return parse_uri(url)
    except (InvalidURI, ValueError):
        # Their messages quote the URL with its password and query string, so they end here.
        raise TransportInvalidURL(
            f"can't use the URL {redact(url)}: it must be ws://host:port/path or "
            "wss://host:port/path, without a fragment, and with a password if it has a user"
        ) from None


def destination(opening: Opening, uri: WebSocketURI) -> Destination:
    """Return where the byte stream under the WebSocket goes to."""
    return Destination(uri.host, uri.port, uri.secure, redact(opening.url), opening.ssl)
