"""Byte streams without sockets: what one end sends, the other receives.

They behave as TCP does where it matters to a protocol: buffers are bounded, so that a sender waits
for the receiver, and the end of the data differs from a broken connection. Nothing here touches
the operating system, so time may be virtual (trio's ``MockClock``).
"""

from __future__ import annotations

import warnings
from types import TracebackType

import anyio
import anyio.lowlevel
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream

from ..concurrency.signal import Signal

__all__ = ["MemoryStream", "memory_stream_pair"]

#: How much each direction buffers, in bytes.
DEFAULT_BUFFER_SIZE = 2**16


class _Pipe:
    """One direction: the bytes between a writer and a reader."""

    __slots__ = ("broken", "buffer", "capacity", "ended", "readable", "unread", "writable")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.buffer = bytearray()
        self.ended = False  # the writer will write no more
        self.unread = False  # the reader will read no more
        self.broken = False
        self.readable = Signal()
        self.writable = Signal()

    def put(self, data: memoryview) -> int:
        """Buffer as much as there is room for; return how much that was."""
        size = min(len(data), self.capacity - len(self.buffer))
        if size > 0:
            self.buffer += data[:size]
            self.readable.notify()
        return size

    def take(self, max_bytes: int) -> bytes:
        with memoryview(self.buffer) as view:
            data = bytes(view[:max_bytes])
        del self.buffer[: len(data)]
        self.writable.notify()
        return data

    def end(self) -> None:
        self.ended = True
        self.wake()

    def abandon(self) -> None:
        self.unread = True
        self.wake()

    def break_(self) -> None:
        self.broken = True
        self.buffer.clear()
        self.wake()

    def wake(self) -> None:
        self.readable.notify()
        self.writable.notify()


class MemoryStream(ByteStream):
    """One end of a pair of connected streams; see ``memory_stream_pair``."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self._receiving = anyio.ResourceGuard("receiving from")
        self._sending = anyio.ResourceGuard("sending to")

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Receive at least one byte. Canceling loses nothing.

        Args:
            max_bytes: The most bytes to return, 65536 by default.

        Raises:
            EndOfStream: After the other end's ``send_eof`` or ``aclose``, and all its data.
            BrokenResourceError: After the other end's ``reset``.
            ClosedResourceError: If this end has been closed.
        """
        with self._receiving:
            await anyio.lowlevel.checkpoint()
            while not self._closed:
                pipe = self._incoming
                if pipe.broken:
                    raise BrokenResourceError
                if pipe.buffer:
                    return pipe.take(max_bytes)
                if pipe.ended:
                    raise EndOfStream
                await pipe.readable.wait()
            raise ClosedResourceError

    async def send(self, item: bytes) -> None:
        """Send all of ``item``, waiting while the buffer is full.

        Canceling may leave a part of it sent.

        Raises:
            BrokenResourceError: If the other end has been closed or reset.
            ClosedResourceError: If this end has been closed, or has sent the end of the data.
        """
        with self._sending:
            await anyio.lowlevel.checkpoint()
            rest = memoryview(item)
            pipe = self._outgoing
            while not (self._closed or pipe.ended):
                if pipe.broken or pipe.unread:
                    raise BrokenResourceError
                rest = rest[pipe.put(rest) :]
                if not rest:
                    return
                await pipe.writable.wait()
            raise ClosedResourceError

    async def send_eof(self) -> None:
        """End the data: the other end receives what was sent, then ``EndOfStream``."""
        if not self._closed:
            self._outgoing.end()
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close both directions. The other end can still receive what was sent."""
        self._close()
        await anyio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Break the connection: the other end gets ``BrokenResourceError``, and no more data."""
        self._closed = True
        self._incoming.break_()
        self._outgoing.break_()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._outgoing.end()
            self._incoming.abandon()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)


def memory_stream_pair(
    buffer_size: int = DEFAULT_BUFFER_SIZE,
) -> tuple[MemoryStream, MemoryStream]:
    """Return two connected streams.

    Args:
        buffer_size: How many bytes each direction buffers, at least 1; 65536 by default.

    Raises:
        ValueError: If ``buffer_size`` is less than 1.
    """
    if buffer_size < 1:
        raise ValueError("buffer_size must be at least 1 byte")
    there, back = _Pipe(buffer_size), _Pipe(buffer_size)
    return MemoryStream(back, there), MemoryStream(there, back)
