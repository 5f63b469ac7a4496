"""Byte streams to a server, which read, write and close without waiting wherever that is possible.

anyio's own streams would do, but the loop is asked twice for each exchange (start and stop
watching the socket), and closing one is asynchronous. Here asyncio watches each socket once, from
its first read to its end, and whatever interrupts a connection can close it on the spot.
"""

from __future__ import annotations

import select
import socket
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import current_token

from ..concurrency.interrupts import uninterruptible
from ..concurrency.waiters import Waiter, waiters_of

__all__ = ["CHUNK", "NetworkStream", "SocketStream", "socket_stream", "wait_writable"]

#: Bytes that are read at a time.
CHUNK = 2**16

_NOTHING = memoryview(b"")


class NetworkStream(ByteStream):
    """A byte stream that one task may read while another one writes."""

    #: Maximum number of bytes to read at a time.
    read_size = CHUNK

    @property
    @abstractmethod
    def bytes_sent(self) -> int:
        """The bytes that the operating system has taken so far, to send them."""

    @abstractmethod
    def watch_idle(self, call: Callable[[], object] | None) -> None:
        """Have ``call`` called when something comes, or the stream ends, while no task reads.

        Only some loops tell. ``None`` ends it.
        """

    @abstractmethod
    def receive_nowait(self) -> bytes | None:
        """Return bytes that have come; ``b""`` at the end, ``None`` if there are none yet.

        Raises:
            OSError: The stream broke; or anyio's errors for that.
        """

    @abstractmethod
    async def wait_readable(self) -> None:
        """Wait until ``receive_nowait`` may return something. This is always a checkpoint."""

    @abstractmethod
    def write(self, data: bytes) -> bool:
        """Send as much as can be sent now. Return False if ``drain`` has to send the rest.

        Raises:
            OSError: The stream broke; or anyio's errors for that.
        """

    @abstractmethod
    async def drain(self) -> None:
        """Send what ``write`` has left. Canceling leaves a part of it unsent."""

    @abstractmethod
    def close(self) -> None:
        """Close at once, and wake the tasks that wait here with ``ClosedResourceError``."""

    async def receive(self, max_bytes: int = CHUNK) -> bytes:
        """Return bytes that have come; wait for some. This is always a checkpoint.

        Raises:
            EndOfStream: The peer ended the stream.
            OSError: The stream broke; or anyio's errors for that.
        """
        while True:
            await self.wait_readable()
            data = self.receive_nowait()
            if data:
                return data
            if data is not None:
                raise anyio.EndOfStream

    async def send(self, item: bytes) -> None:
        """Send all of ``item``. This is a checkpoint only if it has to wait."""
        if not self.write(item):
            await self.drain()

    async def aclose(self) -> None:
        """Close at once."""
        self.close()


class SocketStream(NetworkStream):
    """A connected socket, on any event loop."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._on_idle: Callable[[], object] | None = None
        self._bytes_sent = 0
        self._is_closed = False
        self._unsent = _NOTHING

    @property
    def bytes_sent(self) -> int:
        """The bytes that the operating system has taken so far."""
        return self._bytes_sent

    def watch_idle(self, call: Callable[[], object] | None) -> None:
        """Have ``call`` called when something comes while no task reads, if the loop can tell."""
        self._on_idle = call

    @uninterruptible
    def receive_nowait(self) -> bytes | None:
        """Return bytes that have come; ``b""`` at the end, ``None`` if there are none yet."""
        if self._is_closed:
            raise anyio.ClosedResourceError
        try:
            return self._socket.recv(self.read_size)
        except (BlockingIOError, InterruptedError):
            return None

    async def wait_readable(self) -> None:
        """Wait until something has come."""
        if self._is_closed:
            raise anyio.ClosedResourceError
        await anyio.wait_readable(self._socket)

    async def _wait_writable(self) -> None:
        await anyio.wait_writable(self._socket)

    @uninterruptible
    def write(self, data: bytes) -> bool:
        """Send as much as can be sent now. Return False if ``drain`` has to send the rest."""
        if self._unsent and not self._is_closed:
            self._unsent = memoryview(bytes(self._unsent) + data)
            return False
        sent = self._send(data)
        if sent == len(data):
            return True
        self._unsent = memoryview(data)[sent:]
        return False

    async def drain(self) -> None:
        """Send what ``write`` has left."""
        while self._unsent:
            await self._wait_writable()
            self._send_more()

    @uninterruptible
    def _send_more(self) -> None:
        sent = self._send(self._unsent)
        # Nothing must not be a part of what has been sent, which would be kept with it.
        self._unsent = self._unsent[sent:] or _NOTHING

    def _send(self, data: bytes | memoryview) -> int:
        if self._is_closed:
            raise anyio.ClosedResourceError
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        self._bytes_sent += sent
        return sent

    @uninterruptible
    def close(self) -> None:
        """Close at once, and wake the tasks that wait here."""
        if not self._is_closed:
            self._is_closed = True
            self._on_idle = None
            self._stop_watching()
            self._socket.close()

    def _stop_watching(self) -> None:
        # Another loop, or none, may run here: then no task waits for this socket any more.
        with suppress(RuntimeError):
            anyio.notify_closing(self._socket)

    async def send_eof(self) -> None:
        """End our half of the stream."""
        if not self._is_closed:
            self._socket.shutdown(socket.SHUT_WR)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The socket, by anyio's name for it."""
        return {SocketAttribute.raw_socket: lambda: self._socket}


class _WatchedSocketStream(SocketStream):
    """A socket that asyncio's loop, or uvloop's, watches all the time.

    The loop's callback reads in the place of the task that waits, so that the loop doesn't call
    it again before that task runs.
    """

    def __init__(self, connected: socket.socket, loop: Any) -> None:
        super().__init__(connected)
        self._loop = loop
        self._new_waiter, self._wake, _ = waiters_of(current_token())
        self._watched: _Watched | None = None
        self._reading: Waiter | None = None
        self._writing: Waiter | None = None
        #: What the callback has read, or how that failed.
        self._received: bytes | None = None
        self._failed: OSError | None = None

    def receive_nowait(self) -> bytes | None:
        data, self._received = self._received, None
        if data is not None:
            return data
        if self._failed is not None:
            raise self._failed
        return super().receive_nowait()

    async def wait_readable(self) -> None:
        if self._is_closed:
            raise anyio.ClosedResourceError
        if self._received is not None or self._failed is not None:  # a canceled task left it
            await anyio.lowlevel.checkpoint()
            return
        self._watch()
        self._reading = waiter = self._new_waiter()
        try:
            await waiter
        finally:
            self._reading = None
        if self._is_closed:
            raise anyio.ClosedResourceError

    def watch_idle(self, call: Callable[[], object] | None) -> None:
        super().watch_idle(call)
        if call is not None:
            self._watch()

    def _watch(self) -> None:
        if self._watched is None and not self._is_closed:
            self._watched = _Watched(self._loop, self._socket, self._on_readable)

    def _on_readable(self) -> None:
        waiter = self._reading
        if waiter is not None:
            try:
                self._received = self._socket.recv(self.read_size)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._failed = error
            self._reading = None
            self._wake(waiter)
        elif self._on_idle is not None:
            self._on_idle()
        else:  # the task that reads is behind
            self._unwatch()

    def _unwatch(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.stop()

    async def _wait_writable(self) -> None:
        self._writing = waiter = self._new_waiter()
        wake = partial(self._wake, waiter)
        watched = _Watched(self._loop, self._socket, wake, for_writing=True)
        try:
            await waiter
        finally:
            self._writing = None
            watched.stop()
        if self._is_closed:
            raise anyio.ClosedResourceError

    def _stop_watching(self) -> None:
        with suppress(RuntimeError):  # the loop has been closed
            self._unwatch()
        for waiter in (self._reading, self._writing):
            if waiter is not None:
                self._wake(waiter)


class _Watched:
    """A socket that asyncio's loop, or uvloop's, watches until ``stop``."""

    __slots__ = ("_epoll", "_for_writing", "_loop", "_socket")

    def __init__(
        self,
        loop: Any,
        watched: socket.socket,
        call: Callable[[], None],
        *,
        for_writing: bool = False,
    ) -> None:
        self._loop = loop
        self._socket = watched
        self._for_writing = for_writing
        self._epoll = _epoll_for(loop, watched, for_writing=for_writing)
        if self._epoll is not None:
            loop.add_reader(self._epoll, call)
        elif for_writing:
            loop.add_writer(watched, call)
        else:
            loop.add_reader(watched, call)

    def stop(self) -> None:
        """Stop watching, before the socket is closed or after it."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll)
            self._epoll.close()
        elif self._socket.fileno() < 0:
            return
        elif self._for_writing:
            self._loop.remove_writer(self._socket)
        else:
            self._loop.remove_reader(self._socket)


def _epoll_for(loop: Any, watched: socket.socket, *, for_writing: bool) -> Any:
    """Return an epoll of its own for a socket, where the loop can't be asked to watch it.

    libuv, which is under uvloop, gives a socket up without a word when it is reset (EPOLLERR). An
    epoll that has an event to tell is just readable, whatever the event is.
    """
    if not type(loop).__module__.startswith("uvloop") or not hasattr(select, "epoll"):
        return None
    epoll = select.epoll()
    epoll.register(watched, select.EPOLLOUT if for_writing else select.EPOLLIN | select.EPOLLRDHUP)
    return epoll


async def wait_writable(connecting: socket.socket) -> None:
    """Wait until a socket can be written to, or has failed."""
    epoll = _epoll_for(current_token().native_token, connecting, for_writing=True)
    if epoll is None:
        await anyio.wait_writable(connecting)
        return
    try:
        await anyio.wait_readable(epoll)
    finally:
        epoll.close()


def socket_stream(connected: socket.socket) -> SocketStream:
    """Return the stream of a connected socket, for the loop that runs."""
    loop: Any = current_token().native_token
    if hasattr(loop, "add_reader") and _can_watch(loop, connected):
        return _WatchedSocketStream(connected, loop)
    return SocketStream(connected)


def _can_watch(loop: Any, connected: socket.socket) -> bool:
    try:
        loop.remove_reader(connected)
    except NotImplementedError:  # pragma: no cover - only Windows' proactor raises it
        return False
    return True
