"""A byte stream to a WebSocket server: over TCP, a Unix socket or a proxy, with or without TLS."""

from __future__ import annotations

import functools
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteStream
from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from ..exceptions import TransportInvalidURL
from ..websocket.sockets.base import Opening, redact
from .errors import opening_errors
from .proxy import Proxy, environment_proxy, open_tunnel, parse_proxy

__all__ = ["ConnectArgs", "OpenStream", "dial", "parse_url"]

# RFC 3986 knows none of these.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")

#: Opens a byte stream to a host and port, in place of TCP.
OpenStream = Callable[[str, int], Awaitable[ByteStream]]


class ConnectArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What ``connect_args`` may hold."""

    #: The path of a Unix socket to connect to; the URL then only names the host and path to ask
    #: for.
    uds: str | PathLike[str] | None = None
    #: An HTTP proxy's URL; ``None``: no proxy; ``True``: what the environment says.
    proxy: str | bool | None = True
    #: ``"deflate"`` offers permessage-deflate.
    compression: str | None = None
    #: The address to connect from.
    local_host: str | None = None
    #: The name that TLS asks for and verifies, if it isn't the URL's host.
    server_hostname: str | None = None
    #: Seconds before the next address of a host is tried beside the one before.
    happy_eyeballs_delay: float = 0.25

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


async def dial(
    opening: Opening, uri: WebSocketURI, args: ConnectArgs, open_stream: OpenStream | None
) -> ByteStream:
    """Open the stream that the WebSocket handshake goes over.

    Where ``open_stream`` is given, the environment's proxies are left aside: whoever opens the
    stream knows the way. Cancelling closes what was opened. Raises ``TransportConnectionFailed``.
    """
    proxy = None if args.uds is not None else _choose_proxy(uri, args, open_stream)
    with opening_errors(proxy.shown if proxy else redact(opening.url)):
        stream = await _open(uri, args, proxy, open_stream)
    try:
        if proxy is not None:
            stream = await _through(proxy, stream, uri)
        if uri.secure:
            with opening_errors(redact(opening.url)):
                name = args.server_hostname or uri.host
                stream = await _wrap(stream, name, opening.ssl)
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


def _choose_proxy(
    uri: WebSocketURI, args: ConnectArgs, open_stream: OpenStream | None
) -> Proxy | None:
    if isinstance(args.proxy, str):
        return parse_proxy(args.proxy)
    if args.proxy and open_stream is None:
        return environment_proxy(uri.host, uri.port, secure=uri.secure)
    return None


async def _open(
    uri: WebSocketURI, args: ConnectArgs, proxy: Proxy | None, open_stream: OpenStream | None
) -> ByteStream:
    if args.uds is not None:
        return await anyio.connect_unix(args.uds)
    host, port = (proxy.host, proxy.port) if proxy else (uri.host, uri.port)
    if open_stream is not None:
        return await open_stream(host, port)
    return await anyio.connect_tcp(
        host,
        port,
        local_host=args.local_host,
        happy_eyeballs_delay=args.happy_eyeballs_delay,
    )


async def _through(proxy: Proxy, stream: ByteStream, uri: WebSocketURI) -> ByteStream:
    """The same stream, or TLS over it, at the far end of a tunnel. Whoever opened it closes it."""
    with opening_errors(proxy.shown):
        if proxy.secure:
            stream = await _wrap(stream, proxy.host, None)
        await open_tunnel(stream, proxy, uri.host, uri.port)
    return stream


async def _wrap(stream: ByteStream, name: str, context: ssl.SSLContext | None) -> ByteStream:
    from anyio.streams.tls import TLSStream

    # WebSockets end with a close frame, so the end of TLS is not waited for.
    return await TLSStream.wrap(
        stream,
        server_side=False,
        hostname=name,
        ssl_context=context or _default_context(),
        standard_compatible=False,
    )


@functools.cache
def _default_context() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds: once.
    return ssl.create_default_context()
