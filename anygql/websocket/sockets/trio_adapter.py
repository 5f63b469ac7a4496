"""trio-websocket behind the socket interface.

This module imports trio, so only ``trio_websocket_connector`` imports it, when it is called.

trio-websocket needs a nursery for its reader. The nursery lives in a task of the connection's task
group. It is shielded once the WebSocket is open, so that a cancellation leaves time for the closing
handshake.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import anyio
import h11
import trio
from anyio.abc import ByteStream, TaskGroup, TaskStatus
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import ProtocolError

from ...exceptions import TransportError, TransportProtocolError
from ...net.dial import OpenStream, dial
from ...net.errors import FAULTS, opening_errors
from ...net.headers import basic_auth
from ...net.streams import NetworkStream
from ...net.urls import redact
from ...protocols.close_codes import CloseCode, clip_reason
from .base import WebSocketEnded
from .frames import CLOSE, FrameCutter, build_frame
from .handshake import check_subprotocols, read_upgrade, request_headers
from .opening import Address, ConnectArgs, Opening, destination, parse_url

__all__ = ["TrioConnector", "TrioWebSocket"]

#: Maximum number of bytes to read at a time.
CHUNK = 2**16

#: Seconds to wait for the server to end the TCP connection after the closing handshake.
LINGER = 0.25

# In messages. trio-websocket drops its queue when it fails the connection with 1009. Without a
# queue, it hands each message to `receive` before it reads the next one.
QUEUE_SIZE = 0

_LOST = WebSocketEnded(CloseCode.ABNORMAL, "the connection was lost")
_OVERSIZE = "Exceeded maximum message size"


class TrioConnector:
    """Opens WebSockets with trio-websocket. ``trio_websocket_connector`` makes it."""

    def __init__(self, *, open_stream: OpenStream | None = None) -> None:
        self._open_stream = open_stream

    async def connect(self, opening: Opening, task_group: TaskGroup) -> TrioWebSocket:
        """Open a WebSocket. Canceling closes the stream under it.

        Raises the errors of ``StreamConnector.connect``, and ``RuntimeError`` under asyncio.
        """
        if not trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "trio_websocket_connector works under trio only: under asyncio, leave connector "
                "at its default"
            )
        address = parse_url(opening.url)
        args = ConnectArgs.parse(opening.connect_args)
        if args.compression is not None:
            raise TypeError("trio-websocket has no compression: leave it out of connect_args")
        request = _HandshakeRequest(opening, address)
        dialed = await dial(destination(opening, address), args, self._open_stream)
        stream = _StreamAdapter(dialed, opening)
        try:
            opened = await task_group.start(
                _run_reader, stream, request, name="anygql: trio-websocket"
            )
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        # A fault is returned, as raising it through `start` would lose its cause.
        if isinstance(opened, TransportError):
            raise opened
        return cast("TrioWebSocket", opened)


class _HandshakeRequest:
    """The handshake request, as trio-websocket takes it."""

    def __init__(self, opening: Opening, address: Address) -> None:
        check_subprotocols(opening.subprotocols)
        headers = request_headers(opening.headers)
        names = {name.lower() for name, _ in headers}
        if address.user is not None and "authorization" not in names:
            headers.append(("Authorization", basic_auth(*address.user)))
        given = [value for name, value in headers if name.lower() == "host"]
        self.host = given[-1] if given else address.authority
        self.resource = address.resource
        self.opening = opening
        self.headers = [
            (name.encode("ascii"), value.encode("latin-1"))
            for name, value in headers
            if name.lower() != "host"
        ]


async def _run_reader(
    stream: _StreamAdapter,
    request: _HandshakeRequest,
    *,
    task_status: TaskStatus[TrioWebSocket | TransportError],
) -> None:
    """Run trio-websocket's reader until ``aclose_forcefully``."""
    stopped = trio.Event()
    fault: TransportError | None = None
    try:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                connection = await _shake_hands(nursery, stream, request)
                stream.is_open = True
                size = request.opening.max_message_size
                task_status.started(
                    TrioWebSocket(connection, stream, nursery, scope, stopped, size)
                )
                # If `start` was canceled, this task is still in the canceled scope, and a shield
                # would keep it there.
                await trio.lowlevel.checkpoint_if_cancelled()
                scope.shield = True
                await trio.sleep_forever()
    except* (TransportError, ProtocolError, h11.ProtocolError) as group:
        if stream.is_open:
            raise
        fault = _handshake_fault(request.opening, group)
    finally:
        try:
            await trio.aclose_forcefully(stream)
        finally:
            stopped.set()
    if fault is not None:
        task_status.started(fault)


async def _shake_hands(
    nursery: trio.Nursery, stream: _StreamAdapter, request: _HandshakeRequest
) -> WebSocketConnection:
    return await wrap_client_stream(
        nursery,
        cast("trio.SocketStream", stream),
        request.host,
        request.resource,
        subprotocols=request.opening.subprotocols,
        extra_headers=request.headers,
        message_queue_size=QUEUE_SIZE,
        max_message_size=request.opening.max_message_size,
        receive_buffer_size=CHUNK,
    )


def _handshake_fault(opening: Opening, group: BaseExceptionGroup[Exception]) -> TransportError:
    """Return the one fault that ended the handshake."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, TransportError):
        return error
    fault = TransportProtocolError(
        f"{redact(opening.url)} answered the WebSocket handshake with 101, but the rest of its "
        "answer is wrong"
    )
    fault.__cause__ = error
    return fault


class _StreamAdapter(trio.abc.Stream):
    """An anyio byte stream for trio-websocket.

    Until ``is_open``, it raises the transport's errors: trio-websocket lets them pass, but would
    wait forever if the stream just ended. Afterwards it only records faults of writing
    (``is_broken``), so that messages that had come before can still be read.

    trio-websocket handles all frames of one read without a checkpoint, unless it has to write or
    to hand out a message. So it gets a bounded number of frames at a time.
    """

    def __init__(self, stream: ByteStream, opening: Opening) -> None:
        self._stream = stream
        self._opening = opening
        self._is_upgraded = False
        self._cutter = FrameCutter(None)
        self._receive_yields = isinstance(stream, NetworkStream)
        self._lock = trio.Lock()
        self._held: list[bytes] = []
        self._holding = False
        self.is_open = False
        self.response_headers: Mapping[str, str] = {}
        #: Whether writing failed: half a frame may have been written.
        self.is_broken = False
        #: Whether a close frame was written.
        self.close_sent = False
        #: Set when nothing more will come.
        self.ended = trio.Event()
        #: Called whenever anything has come.
        self.on_received: Callable[[], None] = _nothing

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._is_upgraded:
            with opening_errors(redact(self._opening.url)):
                response = await read_upgrade(self._stream, self._opening)
            self._is_upgraded = True
            self.response_headers = response.headers
            self._cutter.feed(response.rest)
            return response.head
        if not self._receive_yields or self._cutter.has_rest:
            await trio.lowlevel.checkpoint()
        while not (portion := self._cutter.cut([])):
            try:
                self._cutter.feed(await self._stream.receive(max_bytes or CHUNK))
            except (anyio.EndOfStream, *FAULTS):
                self.ended.set()
                return b""
            self.on_received()
        return portion

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        data = bytes(data)
        if not self._is_upgraded:
            with opening_errors(redact(self._opening.url)):
                await self._stream.send(data)
        else:
            # trio-websocket writes frame by frame.
            self.close_sent = self.close_sent or data[0] & 0x0F == CLOSE
            if self._holding:
                self._held.append(data)
                await trio.lowlevel.checkpoint()
            else:
                await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self.is_broken:
            await trio.lowlevel.checkpoint()
            return
        try:
            async with self._lock:
                await self._stream.send(data)
        except FAULTS:
            self.is_broken = True
        except BaseException:
            self.is_broken = True
            raise

    def hold(self) -> None:
        """Collect the data to write, instead of writing it, until ``release``."""
        self._holding = True

    async def release(self) -> None:
        """Write the collected data. Canceling leaves the stream broken."""
        while self._held:
            data = b"".join(self._held)
            self._held.clear()
            await self._write(data)
        self._holding = False

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Give the server a moment to end the TCP connection itself (RFC 6455 §7.1.1)."""
        try:
            if self.is_open:
                with trio.move_on_after(LINGER):
                    await self.ended.wait()
        finally:
            try:
                await anyio.aclose_forcefully(self._stream)
            except FAULTS:
                self.is_broken = True


class TrioWebSocket:
    """An open WebSocket: see ``anygql.websocket.sockets.base.WebSocket``."""

    def __init__(
        self,
        connection: WebSocketConnection,
        stream: _StreamAdapter,
        nursery: trio.Nursery,
        scope: trio.CancelScope,
        stopped: trio.Event,
        max_message_size: int,
    ) -> None:
        # The first two are never called: trio-websocket's reader sends its own frames, and hands
        # out each message alone.
        self.on_output: Callable[[], None] = _nothing
        self.is_full_batch: Callable[[int], bool] = bool
        self.on_received: Callable[[], None] = _nothing
        self.response_headers = stream.response_headers
        stream.on_received = lambda: self.on_received()
        self._connection = connection
        self._stream = stream
        self._nursery = nursery
        self._scope = scope
        self._stopped = stopped
        self._max_message_size = max_message_size
        self._end: WebSocketEnded | None = None
        self._pings: dict[bytes, trio.Event] = {}
        self._payloads = itertools.count()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, if it named one."""
        return self._connection.subprotocol

    async def receive(self) -> list[str]:
        """Return the next text message, alone: trio-websocket hands out one at a time.

        Raises ``WebSocketEnded`` after the last message. Canceling loses nothing.
        """
        if self._end is not None:
            await trio.lowlevel.checkpoint()
            raise self._ended()
        try:
            message = await self._connection.get_message()
        except ConnectionClosed as closed:
            self._finish(self._explain(closed.reason))
            raise self._ended() from None
        if isinstance(message, bytes):
            reason = "binary messages are not supported"
            self._finish(WebSocketEnded(CloseCode.UNSUPPORTED_DATA, reason, ours=True))
            raise self._ended()
        if self._is_oversize(message):
            size = len(message.encode())
            reason = f"message with {size} bytes exceeds limit of {self._max_message_size} bytes"
            self._finish(WebSocketEnded(CloseCode.MESSAGE_TOO_BIG, reason, ours=True))
            raise self._ended()
        return [message]

    def _is_oversize(self, message: str) -> bool:
        # trio-websocket counts characters, not bytes.
        limit = self._max_message_size
        return len(message) * 4 > limit and len(message.encode()) > limit

    def _explain(self, reason: CloseReason | None) -> WebSocketEnded:
        """Return the end of the connection for trio-websocket's close reason.

        trio-websocket answers a server's close frame with one. It sends none for bytes that it
        can't read.
        """
        if reason is None or reason.code == CloseCode.ABNORMAL:
            return _LOST
        text = reason.reason or ""
        ours = not self._stream.close_sent or text.startswith(_OVERSIZE)
        if text.startswith(_OVERSIZE):  # before it knows how large the message is
            limit = self._max_message_size
            text = f"message with more than {limit} bytes exceeds limit of {limit} bytes"
        return WebSocketEnded(reason.code, text, ours=ours)

    def _finish(self, end: WebSocketEnded) -> None:
        if self._end is None:
            self._end = end
        for pong in self._pings.values():
            pong.set()

    def _ended(self) -> WebSocketEnded:
        """Return the end of the connection, as a new error: several tasks may raise it."""
        end = self._end or _LOST
        return WebSocketEnded(end.code, end.reason, ours=end.ours)

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send text messages in one write.

        Raises ``WebSocketEnded``. Canceling may leave half a frame on the wire.
        """
        if messages and self._end is not None:
            await trio.lowlevel.checkpoint()
            raise self._ended()
        closed: ConnectionClosed | None = None
        self._stream.hold()
        try:
            for message in messages:
                await self._connection.send_message(message.decode())
        except ConnectionClosed as error:
            closed = error
        except BaseException:
            self._stream.is_broken = True
            raise
        await self._stream.release()
        await trio.lowlevel.checkpoint()
        if closed is not None:
            end = self._end or self._explain(closed.reason)
            raise WebSocketEnded(end.code, end.reason, ours=end.ours) from None
        if self._stream.is_broken:
            raise self._ended()

    async def ping(self) -> None:
        """Send a ping and return when its pong, or the pong of a later ping, has come.

        Raises ``WebSocketEnded``. Canceling only stops the waiting.
        """
        if self._end is not None:
            await trio.lowlevel.checkpoint()
            raise self._ended()
        payload = next(self._payloads).to_bytes(8, "big")
        pong = self._pings[payload] = trio.Event()
        # In a task of its own: canceling a ping while it writes would tear a frame.
        self._nursery.start_soon(self._ping, payload, pong)
        try:
            await pong.wait()
            if payload in self._pings:
                raise self._ended()
        finally:
            self._pings.pop(payload, None)

    async def _ping(self, payload: bytes, pong: trio.Event) -> None:
        try:
            await self._connection.ping(payload)
        except ConnectionClosed:
            pong.set()
        else:
            self._pings.pop(payload, None)
            pong.set()

    async def aclose(self, code: int, reason: str) -> None:
        """Perform the closing handshake (RFC 6455 §7); messages that still come are dropped.

        No other task may be in ``receive`` or ``send``. The caller bounds the time. Canceling
        leaves the rest to ``aclose_forcefully``.
        """
        end = self._end
        if self._stream.is_broken:
            return
        if end is None or not end.ours:
            await self._connection.aclose(code, clip_reason(reason))
        elif not self._stream.close_sent:
            # No answer is expected from a peer that broke the protocol.
            close = end.code.to_bytes(2, "big") + clip_reason(end.reason).encode()
            await self._stream.send_all(build_frame(0x80 | CLOSE, close))
        await self._stream.aclose()

    async def aclose_forcefully(self) -> None:
        """Release the stream and the reader at once. Raises nothing."""
        self._finish(_LOST)
        self._scope.cancel()
        # Nothing delays the reader's end, so this does not wait for the network.
        with trio.CancelScope(shield=True):
            await self._stopped.wait()


def _nothing() -> None:
    """Do nothing: the owner has set no callback."""
