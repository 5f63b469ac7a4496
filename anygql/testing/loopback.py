"""Byte streams over TCP on this host, which a test can reset.

They use plain non-blocking sockets, so that ``reset`` sends a RST with no FIN before it.
"""

from __future__ import annotations

import socket
import struct
import sys

import anyio
import anyio.lowlevel
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream

__all__ = ["LoopbackListener", "Reservation", "SocketStream"]


class SocketStream(ByteStream):
    """A connected TCP socket as a byte stream that can be reset."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._closed = False
        self._receiving = anyio.ResourceGuard("receiving from")
        self._sending = anyio.ResourceGuard("sending to")

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Receive at least one byte. Canceling loses nothing."""
        with self._receiving:
            await anyio.lowlevel.checkpoint()
            while not self._closed:
                try:
                    data = self._socket.recv(max_bytes)
                except (BlockingIOError, InterruptedError):
                    await anyio.wait_readable(self._socket)
                except OSError as exc:
                    raise BrokenResourceError from exc
                else:
                    if not data:
                        raise EndOfStream
                    return data
            raise ClosedResourceError

    async def send(self, item: bytes) -> None:
        """Send all of ``item``. Canceling may leave a part of it sent."""
        with self._sending:
            await anyio.lowlevel.checkpoint()
            rest = memoryview(item)
            while not self._closed:
                try:
                    rest = rest[self._socket.send(rest) :]
                except (BlockingIOError, InterruptedError):
                    await anyio.wait_writable(self._socket)
                except OSError as exc:
                    raise BrokenResourceError from exc
                if not rest:
                    return
            raise ClosedResourceError

    async def send_eof(self) -> None:
        """Shut down the sending side."""
        if not self._closed:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError as exc:
                raise BrokenResourceError from exc
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the socket."""
        self._close()
        await anyio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Close with a RST; the peer loses what it has not read yet."""
        if not self._closed:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            anyio.notify_closing(self._socket)
            self._socket.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Reservation:
    """Keeps a port from being given to anyone else while nothing listens on it.

    It holds a socket that is bound but does not listen. Only Linux lets another socket listen on
    the same port meanwhile; elsewhere nothing is held, and the port may be taken.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None
        if sys.platform == "linux":
            self._socket = socket.socket(_family(host))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._socket.bind((host, port))
            except OSError:
                self._socket.close()
                raise
            self.port = int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Release the port."""
        if self._socket is not None:
            self._socket.close()


class LoopbackListener:
    """A listening TCP socket."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_server((host, port), family=_family(host), backlog=1024)
        self._socket.setblocking(False)
        self._closed = False

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._socket.getsockname()[1])

    async def accept(self) -> SocketStream:
        """Accept a connection; raise ``ClosedResourceError`` once the listener is closed."""
        while not self._closed:
            try:
                return SocketStream(self._socket.accept()[0])
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                await anyio.wait_readable(self._socket)
        raise ClosedResourceError

    def close(self) -> None:
        """Stop listening. Accepted connections stay open."""
        if not self._closed:
            self._closed = True
            anyio.notify_closing(self._socket)
            self._socket.close()
