"""A byte stream to a server: over TCP, a Unix socket or a proxy, with or without TLS."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable
from os import PathLike

import anyio
import msgspec
from anyio.abc import ByteStream

from .errors import opening_errors
from .proxy import Proxy, environment_proxy, open_tunnel, parse_proxy

__all__ = ["Destination", "DialArgs", "OpenStream", "dial"]


#: Opens a byte stream to a host and port, in place of TCP.
OpenStream = Callable[[str, int], Awaitable[ByteStream]]


class DialArgs(msgspec.Struct, frozen=True, kw_only=True):
    """How a byte stream is opened: the part of ``connect_args`` that every transport has."""

    #: The path of a Unix socket to connect to; host and port are then only what is asked for.
    uds: str | PathLike[str] | None = None
    #: An HTTP proxy's URL; ``None``: no proxy; ``True``: what the environment says.
    proxy: str | bool | None = True
    #: The address to connect from.
    local_host: str | None = None
    #: The name that TLS asks for and verifies, if it isn't the host's.
    server_hostname: str | None = None
    #: Seconds before the next address of a host is tried beside the one before.
    happy_eyeballs_delay: float = 0.25


class Destination(msgspec.Struct, frozen=True):
    """Where to: a host and port, with TLS if ``secure``."""

    host: str
    port: int
    secure: bool
    #: The URL that it is of, fit for messages.
    shown: str
    #: ``None``: the default verification.
    context: ssl.SSLContext | None = None


async def dial(to: Destination, args: DialArgs, open_stream: OpenStream | None) -> ByteStream:
    """Open a byte stream to a server: directly, through a Unix socket or through a proxy.

    Where ``open_stream`` is given, the environment's proxies are left aside: whoever opens the
    stream knows the way. Cancelling closes what was opened. Raises ``TransportConnectionFailed``.
    """
    proxy = None if args.uds is not None else _choose_proxy(to, args, open_stream)
    with opening_errors(proxy.shown if proxy else to.shown):
        stream = await _open(to, args, proxy, open_stream)
    try:
        if proxy is not None:
            stream = await _through(proxy, stream, to)
        if to.secure:
            with opening_errors(to.shown):
                stream = await _wrap(stream, args.server_hostname or to.host, to.context)
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


def _choose_proxy(to: Destination, args: DialArgs, open_stream: OpenStream | None) -> Proxy | None:
    if isinstance(args.proxy, str):
        return parse_proxy(args.proxy)
    if args.proxy and open_stream is None:
        return environment_proxy(to.host, to.port, secure=to.secure)
    return None


async def _open(
    to: Destination, args: DialArgs, proxy: Proxy | None, open_stream: OpenStream | None
) -> ByteStream:
    if args.uds is not None:
        return await anyio.connect_unix(args.uds)
    host, port = (proxy.host, proxy.port) if proxy else (to.host, to.port)
    if open_stream is not None:
        return await open_stream(host, port)
    return await anyio.connect_tcp(
        host,
        port,
        local_host=args.local_host,
        happy_eyeballs_delay=args.happy_eyeballs_delay,
    )


async def _through(proxy: Proxy, stream: ByteStream, to: Destination) -> ByteStream:
    """The same stream, or TLS over it, at the far end of a tunnel. Whoever opened it closes it."""
    with opening_errors(proxy.shown):
        if proxy.secure:
            stream = await _wrap(stream, proxy.host, None)
        await open_tunnel(stream, proxy, to.host, to.port)
    return stream


async def _wrap(stream: ByteStream, name: str, context: ssl.SSLContext | None) -> ByteStream:
    from anyio.streams.tls import TLSStream

    # What is spoken over it says by itself where it ends, so the end of TLS is not waited for.
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
