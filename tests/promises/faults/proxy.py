"""A TCP proxy that does to connections what networks do.

It forwards bytes both ways between its clients and a target, and at any moment, to one connection
or to all of them, it can cut, reset, half-close, freeze, delay, split and corrupt. Directions are
the client's: ``"up"`` leads to the target, ``"down"`` back to the client.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, Self, TypeVar

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import TaskGroup

from anygql.testing.loopback import LoopbackListener, Reservation, SocketStream

__all__ = ["Direction", "FaultProxy", "ProxiedConnection"]

Direction = Literal["up", "down"]

BROKEN = (BrokenResourceError, ClosedResourceError)

_T = TypeVar("_T")


class _Changes:
    """Wakes whoever waits for something to become true."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def tell(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait_until(self, find: Callable[[], _T | None]) -> _T:
        while (found := find()) is None:
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
        return found


class ProxiedConnection:
    """One client's connection; made by ``FaultProxy``."""

    def __init__(self, proxy: FaultProxy, client: SocketStream) -> None:
        self.open = True
        #: How many bytes have been forwarded.
        self.forwarded: dict[Direction, int] = {"up": 0, "down": 0}
        self._proxy = proxy
        self._client = client
        self._target: SocketStream | None = None
        self._ended: set[Direction] = set()
        self._frozen = False
        self._locks: dict[Direction, anyio.Lock] = {"up": anyio.Lock(), "down": anyio.Lock()}

    async def cut(self) -> None:
        """End it with a FIN to both sides."""
        self.unfreeze()
        await self.half_close("up")
        await self.half_close("down")

    def reset(self) -> None:
        """End it with a RST to both sides."""
        self.unfreeze()
        self._client.reset()
        if self._target is not None:
            self._target.reset()

    async def half_close(self, direction: Direction) -> None:
        """Send a FIN in one direction and throw away what still comes; the other goes on."""
        self._ended.add(direction)
        sink = self._sink(direction)
        if sink is not None:
            with suppress(*BROKEN):
                await sink.send_eof()
        self._proxy.changes.tell()

    async def wait_ended(self, direction: Direction) -> None:
        """Until that direction has had its FIN."""
        await self._proxy.changes.wait_until(lambda: True if direction in self._ended else None)

    def freeze(self) -> None:
        """Forward nothing any more, and say nothing: what comes waits in the kernel."""
        self._frozen = True

    def unfreeze(self) -> None:
        """Forward again, first what came meanwhile."""
        self._frozen = False
        self._proxy.changes.tell()

    async def corrupt(self, garbage: bytes, direction: Direction = "down") -> None:
        """Insert bytes between two pieces of what is forwarded."""
        sink = self._sink(direction)
        if sink is not None:
            async with self._locks[direction]:
                await sink.send(garbage)

    async def wait_closed(self) -> None:
        """Until both sides have ended it."""
        await self._proxy.changes.wait_until(lambda: True if not self.open else None)

    async def wait_forwarded(self, direction: Direction, count: int) -> None:
        """Until so many bytes have been forwarded."""
        await self._proxy.changes.wait_until(
            lambda: True if self.forwarded[direction] >= count else None
        )

    def _sink(self, direction: Direction) -> SocketStream | None:
        return self._target if direction == "up" else self._client

    # What the proxy runs.

    async def run(self) -> None:
        try:
            await self._thawed()  # accepted, and then silence
            try:
                self._target = await _connect(*self._proxy.target)
            except OSError:
                await self._client.send_eof()
                return
            async with anyio.create_task_group() as tg:
                tg.start_soon(self._pump, "up", self._client, self._target)
                tg.start_soon(self._pump, "down", self._target, self._client)
        except BROKEN:
            pass
        finally:
            await self._close()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._client.aclose()
            if self._target is not None:
                await self._target.aclose()
        self.open = False
        self._proxy.closed(self)

    async def _pump(self, direction: Direction, source: SocketStream, sink: SocketStream) -> None:
        try:
            while True:
                data = await source.receive()
                await self._thawed()
                if direction not in self._ended:
                    await self._forward(direction, data, sink)
        except EndOfStream:
            await anyio.sleep(self._proxy.delay)
            await self._thawed()
            await self.half_close(direction)
        except BROKEN:
            # One side has reset it: the other gets to know in the same way.
            await self._thawed()
            self.reset()

    async def _forward(self, direction: Direction, data: bytes, sink: SocketStream) -> None:
        for piece in self._pieces(data):
            if self._proxy.delay:
                await anyio.sleep(self._proxy.delay)
            await self._thawed()
            try:
                async with self._locks[direction]:
                    await sink.send(piece)
            except BrokenResourceError:
                if direction not in self._ended:
                    raise
                return
            self.forwarded[direction] += len(piece)
            self._proxy.changes.tell()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            size = self._proxy.piece_size or len(data)
            yield data[:size]
            data = data[size:]

    async def _thawed(self) -> None:
        await self._proxy.changes.wait_until(
            lambda: None if self._frozen or self._proxy.frozen else True
        )


class FaultProxy(anyio.AsyncContextManagerMixin):
    """Listens on 127.0.0.1, at ``port``, while its context is entered.

    ``target`` is where new connections lead to, and may change. ``delay``: seconds before each
    piece and each FIN; ``piece_size``: how many bytes are sent at once, ``None`` for as they come.

    A target that refuses: the client's connection is accepted, and ends with a FIN.
    """

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.delay = 0.0
        self.piece_size: int | None = None
        #: Whether everything is frozen, new connections too.
        self.frozen = False
        self.port = 0
        #: The open connections, newest last.
        self.connections: list[ProxiedConnection] = []
        #: How many connections there have been.
        self.accepted = 0
        self.changes = _Changes()
        self._tasks: TaskGroup
        self._listener: LoopbackListener | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with anyio.create_task_group() as self._tasks:
            reservation = Reservation(self.host, 0)  # of the port, while it refuses
            self.port = reservation.port
            self.accept()
            try:
                yield self
            finally:
                self.refuse()
                reservation.close()
                self._tasks.cancel_scope.cancel()

    # Faults, of all connections.

    async def cut(self) -> None:
        """End all with a FIN to both sides."""
        for connection in list(self.connections):
            await connection.cut()

    def reset(self) -> None:
        """End all with a RST to both sides."""
        for connection in list(self.connections):
            connection.reset()

    async def half_close(self, direction: Direction) -> None:
        """Send a FIN in one direction of all."""
        for connection in list(self.connections):
            await connection.half_close(direction)

    def freeze(self) -> None:
        """Be silent: forward nothing, accept new connections and say nothing on them."""
        self.frozen = True

    def unfreeze(self) -> None:
        """Forward again, on connections that were frozen alone too."""
        self.frozen = False
        for connection in self.connections:
            connection.unfreeze()
        self.changes.tell()

    async def corrupt(self, garbage: bytes, direction: Direction = "down") -> None:
        """Insert bytes into all."""
        for connection in list(self.connections):
            await connection.corrupt(garbage, direction)

    def refuse(self) -> None:
        """Listen no more: new connections are refused, open ones go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def accept(self) -> None:
        """Listen again, on the same port."""
        if self._listener is None:
            self._listener = LoopbackListener(self.host, self.port)
            self.port = self._listener.port
            self._tasks.start_soon(self._accept, self._listener)

    async def wait_accepted(self, count: int) -> None:
        """Until there have been so many connections."""
        await self.changes.wait_until(lambda: True if self.accepted >= count else None)

    async def wait_idle(self) -> None:
        """Until no connection is open."""
        await self.changes.wait_until(lambda: None if self.connections else True)

    def closed(self, connection: ProxiedConnection) -> None:
        """A connection has ended."""
        self.connections.remove(connection)
        self.changes.tell()

    async def _accept(self, listener: LoopbackListener) -> None:
        while True:
            try:
                client = await listener.accept()
            except ClosedResourceError:
                return
            connection = ProxiedConnection(self, client)
            self.connections.append(connection)
            self.accepted += 1
            self._tasks.start_soon(connection.run)
            self.changes.tell()


async def _connect(host: str, port: int) -> SocketStream:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        error = sock.connect_ex((host, port))
        if error == errno.EINPROGRESS:
            await anyio.wait_writable(sock)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, f"can't connect to {host}:{port}")
        return SocketStream(sock)
    except BaseException:
        anyio.notify_closing(sock)
        sock.close()
        raise
