"""Connecting a socket: over TCP to the first address of a host that answers, or to a path."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, TypeAlias

import anyio

from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from .streams import SocketStream, socket_stream, wait_writable

__all__ = ["connect_tcp", "connect_unix"]

_Address: TypeAlias = "tuple[int, Any]"  # the family, and what `connect` takes


async def connect_tcp(
    host: str, port: int, *, local_host: str | None = None, delay: float = 0.25
) -> SocketStream:
    """Connect to a host, by "happy eyeballs" (RFC 8305).

    If canceled, all sockets are closed.

    Args:
        host: A name or an address.
        port: The port.
        local_host: The address to connect from. Default: the system chooses.
        delay: Seconds before the next address is tried beside the one before.

    Raises:
        OSError: No address could be connected to. If there were several, its cause is a group.
    """
    source = None if local_host is None else (await _addresses(local_host, 0))[0]
    addresses = [
        address
        for address in await _addresses(host, port)
        if source is None or source[0] == address[0]
    ]
    race = _Race(source)
    try:
        with unwrapped():
            async with anyio.create_task_group() as tg:
                for address in addresses:
                    over = anyio.Event()
                    tg.start_soon(race.run, address, over)
                    with anyio.move_on_after(delay):
                        await over.wait()
                    if race.is_won:
                        break
        return race.result()
    except BaseException:
        race.close()
        raise


class _Race:
    """Attempts to connect, of which the first one wins."""

    def __init__(self, source: _Address | None) -> None:
        self._source = source
        self._winner: socket.socket | None = None
        self._errors: list[OSError] = []
        # One for each attempt: canceled with the attempts, the task that waits for them would not
        # notice that somebody cancels it in that moment (by asyncio's own cancellation).
        self._scopes: list[anyio.CancelScope] = []

    @property
    def is_won(self) -> bool:
        """Whether an attempt has succeeded."""
        return self._winner is not None

    @uninterruptible
    async def run(self, address: _Address, over: anyio.Event) -> None:
        """Attempt to connect, and cancel the other attempts if that is the first to succeed."""
        try:
            with anyio.CancelScope() as scope:
                if self.is_won:
                    return
                self._scopes.append(scope)
                self._take(await _connect(address, self._source))
        except OSError as error:
            self._errors.append(error)
        finally:
            over.set()

    def _take(self, connected: socket.socket) -> None:
        if self._winner is not None:
            connected.close()
            return
        self._winner = connected
        for scope in self._scopes:
            scope.cancel()

    def result(self) -> SocketStream:
        if self._winner is not None:
            self._winner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return socket_stream(self._winner)
        if not self._errors:
            raise OSError("the host has no address of the family of local_host")
        if len(self._errors) == 1:
            raise self._errors[0]
        raise OSError("no address of the host can be connected to") from ExceptionGroup(
            "each of the addresses", self._errors
        )

    def close(self) -> None:
        if self._winner is not None:
            self._winner.close()


async def connect_unix(path: str | os.PathLike[str]) -> SocketStream:
    """Connect to a Unix socket. If canceled, the socket is closed. Raise ``OSError``."""
    return socket_stream(await _connect((socket.AF_UNIX, os.fspath(path)), None))


async def _connect(address: _Address, source: _Address | None) -> socket.socket:
    family, to = address
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        if source is not None:
            connecting.bind(source[1])
        code = connecting.connect_ex(to)
        if code in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
            await wait_writable(connecting)
            code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            # The class of OSError follows from the number.
            raise OSError(code, os.strerror(code))  # noqa: TRY301 - the socket is closed below
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _addresses(host: str, port: int) -> list[_Address]:
    """Return the addresses of a host, first one of IPv6, then its families in turn."""
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [(int(family), to) for family, *_, to in found]
        return list(_interleaved(addresses))
    if literal.version == 4:
        return [(socket.AF_INET, (str(literal), port))]
    if getattr(literal, "scope_id", None):
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(int(family), to) for family, *_, to in found]
    return [(socket.AF_INET6, (str(literal), port))]


def _interleaved(addresses: list[_Address]) -> Iterable[_Address]:
    six = [address for address in addresses if address[0] == socket.AF_INET6]
    four = [address for address in addresses if address[0] != socket.AF_INET6]
    pairs = zip_longest(six, four)
    return (address for address in chain.from_iterable(pairs) if address is not None)
