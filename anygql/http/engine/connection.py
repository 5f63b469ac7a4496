"""One HTTP/1.1 connection: a request, then its response, then perhaps the next request.

Whatever goes wrong, or interrupts it, the connection is closed and not used again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import anyio

from ...concurrency.exception_groups import unwrapped
from ...concurrency.interrupts import uninterruptible
from ...exceptions import CutOff
from ...net.errors import FAULTS, NotHTTP
from ...net.http1 import ResponseHead, ResponseParser
from ...net.streams import CHUNK, NetworkStream
from ..upload import UploadBody
from .target import Origin

__all__ = ["Connection", "ConnectionLost"]

#: Seconds that a connection is kept without a request. uvicorn, hypercorn and Node close theirs
#: after 5 s, and a request that crosses the close on the way is lost.
KEEP_FOR = 4.0

#: What is taken off the time that the server names in ``Keep-Alive``, for the way to it.
MARGIN = 1.0

#: Reads of ``CHUNK`` bytes between two checkpoints.
READS_BETWEEN_CHECKPOINTS = 8

_TIMEOUT = re.compile(r"timeout=(\d{1,9})", re.IGNORECASE)


class ConnectionLost(Exception):
    """The connection broke or ended before the end of the response."""

    def __init__(self, why: str, *, unsent: bool, has_begun: bool) -> None:
        super().__init__(why)
        #: Whether the operating system has certainly taken nothing of the request.
        self.unsent = unsent
        #: Whether any byte of the response had come.
        self.has_begun = has_begun


class Connection:
    """An HTTP/1.1 connection over an open byte stream."""

    __slots__ = (
        "_fault",
        "_is_full",
        "_may_reuse",
        "_parser",
        "_reads",
        "_sent_before",
        "_stream",
        "expires_at",
        "has_served",
        "keep_for",
        "origin",
    )

    def __init__(self, stream: NetworkStream, origin: Origin) -> None:
        self._stream = stream
        self._parser = ResponseParser()
        self._may_reuse = True
        self._sent_before = 0
        self._fault: NotHTTP | None = None
        self._is_full = False
        self._reads = 0
        self.origin = origin
        #: Whether a request has had its response here.
        self.has_served = False
        #: Seconds that this connection may be kept without a request.
        self.keep_for = KEEP_FOR  # what the server names may be less
        #: The time, by the loop's clock, after which it is not used any more.
        self.expires_at = 0.0

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can have another request."""
        return self._may_reuse and self._parser.is_complete and self._parser.is_reusable

    @property
    def is_complete(self) -> bool:
        """Whether the whole response has come."""
        return self._parser.is_complete

    def is_alive(self) -> bool:
        """Return whether an idle connection is still open, and nothing came that wasn't asked for.

        Unasked bytes would be read as the response to the next request.
        """
        try:
            return self._stream.receive_nowait() is None
        except FAULTS:
            return False

    def on_idle(self, call: Callable[[], object] | None) -> None:
        """Have ``call`` called when something happens while the connection is idle."""
        self._stream.watch_idle(call)

    def close(self) -> None:
        """Close at once, and interrupt what waits here."""
        self._may_reuse = False
        self._stream.close()

    # A request and its response. One task at a time.

    async def request(self, head: bytes, body: UploadBody | None = None) -> ResponseHead:
        """Send a request, and return the head of its response.

        Args:
            head: The head of the request, with its body if that isn't streamed.
            body: The body to stream. A response that comes before the end of it stops it.

        Raises:
            ConnectionLost: The connection broke or ended.
            NotHTTP: What came is no response.
            Exception: What reading the body raises.
        """
        if self.has_served:
            self._parser.start()
        self.has_served = True
        self._sent_before = self._stream.bytes_sent
        try:
            is_sent = self._stream.write(head)
        except FAULTS as error:
            # The server may have answered before it closed.
            return await self._head_in_spite_of(error)
        if is_sent and body is None:
            return await self._read_head()
        return await self._send_and_read(body)

    async def _send_and_read(self, body: UploadBody | None) -> ResponseHead:
        """Send the rest of a request while its response is waited for."""
        sending = _Sending(self._stream, body)
        with unwrapped():
            async with anyio.create_task_group() as tg:
                tg.start_soon(sending.run, name="anygql: send a request")
                await self._read_head()
                if not sending.is_over:
                    # Such as 413: the rest is not wanted.
                    self._may_reuse = False
                    tg.cancel_scope.cancel()
        return await self._read_head()

    async def _head_in_spite_of(self, error: BaseException) -> ResponseHead:
        self._may_reuse = False
        try:
            return await self._read_head()
        except ConnectionLost as lost:
            lost.__cause__ = error
            raise

    async def _read_head(self) -> ResponseHead:
        parser = self._parser
        while parser.head is None:
            self._feed(await self._receive())
        self._note_keep_alive(parser.head)
        return parser.head

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except NotHTTP as error:
            if self._parser.head is None:
                raise
            self._fault = error  # behind what came before it

    def _note_keep_alive(self, head: ResponseHead) -> None:
        named = head.headers.get("keep-alive")
        found = None if named is None else _TIMEOUT.search(named)
        if found is not None:
            self.keep_for = min(KEEP_FOR, int(found[1]) - MARGIN)

    async def read(self) -> bytes | None:
        """Return more of the body of the response; ``None`` at its end. Raise as ``request``."""
        parser = self._parser
        while not parser.pieces:
            if parser.is_complete:
                return None
            if self._fault is not None:
                raise self._fault
            if data := await self._receive():
                self._feed(data)
        pieces = parser.pieces
        parser.pieces = []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _receive(self) -> bytes:
        """Return what comes next; ``b""`` if that is the end of the body."""
        stream = self._stream
        try:
            while True:
                if self._is_full and self._reads < READS_BETWEEN_CHECKPOINTS:
                    self._reads += 1
                else:
                    self._reads = 0
                    await stream.wait_readable()
                data = stream.receive_nowait()
                self._is_full = data is not None and len(data) >= CHUNK
                if data:
                    return data
                if data is not None:
                    self._parser.feed_eof()
                    return b""
        except (CutOff, *FAULTS) as error:
            raise self._lost(error) from error

    def _lost(self, error: BaseException) -> ConnectionLost:
        return ConnectionLost(
            (error.reason if isinstance(error, CutOff) else str(error)) or "the connection broke",
            unsent=self._stream.bytes_sent == self._sent_before,
            has_begun=self._parser.has_begun,
        )


class _Sending:
    """The sending of a request that the operating system didn't take at once."""

    def __init__(self, stream: NetworkStream, body: UploadBody | None) -> None:
        self._stream = stream
        self._body = body
        self._has_failed = False
        #: Whether all of it was sent.
        self.is_over = False

    @uninterruptible
    async def run(self) -> None:
        """Send it all. Raise what reading the body raises."""
        await self._quietly(self._stream.drain())
        if self._body is not None:
            await self._send_body(self._body)
        self.is_over = not self._has_failed

    async def _quietly(self, sending: Awaitable[None]) -> None:
        # If the server doesn't take it, the task that reads knows best what that means.
        try:
            await sending
        except FAULTS:
            self._has_failed = True

    async def _send_body(self, body: UploadBody) -> None:
        is_chunked = body.size is None
        chunks = aiter(body)
        while not self._has_failed:
            chunk = await anext(chunks, None)
            if chunk is None:
                break
            data = b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk
            await self._quietly(self._stream.send(data))
        if is_chunked and not self._has_failed:
            await self._quietly(self._stream.send(b"0\r\n\r\n"))
