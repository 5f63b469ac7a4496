"""A byte stream to a server: over TCP, a Unix socket or a proxy, with or without TLS."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from os import PathLike

import anyio
import msgspec
from anyio.abc import ByteStream

from . import tls
from .connecting import connect_tcp, connect_unix
from .errors import opening_errors
from .proxy import Proxy, environment_proxy, open_tunnel, parse_proxy
from .streams import NetworkStream

__all__ = ["Destination", "DialArgs", "OpenStream", "dial", "dial_through"]


#: A function that opens a byte stream to a host and port, in place of TCP.
OpenStream = Callable[[str, int], Awaitable[ByteStream]]


class DialArgs(msgspec.Struct, frozen=True, kw_only=True):
    """How a byte stream is opened: the ``connect_args`` that every connector takes."""

    #: The path of a Unix socket to connect to. The host then only names what is asked for.
    uds: str | PathLike[str] | None = None
    #: The URL of an HTTP proxy; ``True`` for that of the environment, ``None`` for no proxy.
    proxy: str | bool | None = True
    #: The address to connect from.
    local_host: str | None = None
    #: The name that TLS asks for and verifies. Default: the host's.
    server_hostname: str | None = None
    #: Delay before the next address of a host is tried beside the one before, in seconds.
    happy_eyeballs_delay: float = 0.25


class Destination(msgspec.Struct, frozen=True):
    """The far end of a byte stream: a host and port, with TLS if ``secure``."""

    host: str
    port: int
    secure: bool
    #: The URL, fit for messages.
    shown: str
    #: The TLS context; ``None`` for the default one, which verifies.
    context: ssl.SSLContext | None = None


async def dial(to: Destination, args: DialArgs, open_stream: OpenStream | None) -> ByteStream:
    """Open a byte stream to a server: directly, through a Unix socket or through a proxy.

    If canceled, what was opened is closed. The stream is a ``NetworkStream`` unless
    ``open_stream`` has opened it.

    Args:
        to: The server.
        args: How to open the stream.
        open_stream: A function that opens it in place of TCP. If there is one, the environment's
            proxies are ignored: the function knows the way.

    Raises:
        TransportConnectionFailed: No stream could be opened, or TLS failed.
        TransportInvalidURL: The URL of the proxy can't be used.
    """
    return await dial_through(_choose_proxy(to, args, open_stream), to, args, open_stream)


async def dial_through(
    proxy: Proxy | None,
    to: Destination,
    args: DialArgs,
    open_stream: OpenStream | None = None,
    *,
    tunnel: bool = True,
) -> ByteStream:
    """Open a byte stream as ``dial`` does, through a given proxy or through none.

    Args:
        proxy: The proxy.
        to: The server.
        args: How to open the stream.
        open_stream: A function that opens it in place of TCP.
        tunnel: Whether to ask the proxy for a tunnel. Otherwise the stream ends at the proxy.
    """
    with opening_errors(proxy.shown if proxy else to.shown):
        stream = await _open(to, args, proxy, open_stream)
    try:
        if proxy is not None:
            stream = await _through(proxy, stream, to, tunnel=tunnel)
        if to.secure:
            with opening_errors(to.shown, in_tls=True):
                stream = await _wrap(stream, args.server_hostname or to.host, to.context)
    except BaseException:
        await _abort(stream)
        raise
    return stream


async def _abort(stream: ByteStream) -> None:
    if isinstance(stream, NetworkStream):
        stream.close()
    else:
        await anyio.aclose_forcefully(stream)


def _choose_proxy(to: Destination, args: DialArgs, open_stream: OpenStream | None) -> Proxy | None:
    if args.uds is not None:
        return None
    if isinstance(args.proxy, str):
        return parse_proxy(args.proxy)
    if args.proxy and open_stream is None:
        return environment_proxy(to.host, to.port, secure=to.secure)
    return None


async def _open(
    to: Destination, args: DialArgs, proxy: Proxy | None, open_stream: OpenStream | None
) -> ByteStream:
    if args.uds is not None:
        return await connect_unix(args.uds)
    host, port = (proxy.host, proxy.port) if proxy else (to.host, to.port)
    if open_stream is not None:
        return await open_stream(host, port)
    return await connect_tcp(
        host, port, local_host=args.local_host, delay=args.happy_eyeballs_delay
    )


async def _through(
    proxy: Proxy, stream: ByteStream, to: Destination, *, tunnel: bool
) -> ByteStream:
    """Return the stream at the far end of a tunnel; the caller closes it even if this raises."""
    with opening_errors(proxy.shown):
        if proxy.secure:
            stream = await _wrap(stream, proxy.host, None)
        if tunnel:
            await open_tunnel(stream, proxy, to.host, to.port)
    return stream


async def _wrap(stream: ByteStream, name: str, context: ssl.SSLContext | None) -> ByteStream:
    if isinstance(stream, NetworkStream):
        return await tls.wrap(stream, name, context)
    from anyio.streams.tls import TLSStream

    # WebSocket messages say where they end, so TLS need not say it (close_notify).
    return await TLSStream.wrap(
        stream,
        server_side=False,
        hostname=name,
        ssl_context=context or tls.default_context(),
        standard_compatible=False,
    )
