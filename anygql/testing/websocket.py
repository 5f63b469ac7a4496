"""The server's end of one WebSocket, over any byte stream.

The protocol itself is websockets' sans-I/O ``ServerProtocol``.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, runtime_checkable

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from ..protocols.close_codes import CloseCode, clip_reason
from ..websocket.sockets.base import WebSocketEnded

__all__ = ["HandshakeRequest", "ServerWebSocket", "reset_stream"]

# Logs nothing, since requests carry secrets.
_silent = logging.Logger(f"{__name__}.silent", logging.CRITICAL + 1)  # noqa: LOG001
_silent.disabled = True

Header = tuple[str, str]


@runtime_checkable
class _Resettable(Protocol):
    def reset(self) -> None: ...


@dataclass(frozen=True, slots=True)
class HandshakeRequest:
    """A client's request for a WebSocket."""

    path: str
    headers: Headers = field(repr=False)

    @property
    def subprotocols(self) -> list[str]:
        """The offered subprotocols, in the client's order."""
        offers = ",".join(self.headers.get_all("Sec-WebSocket-Protocol"))
        return [name for part in offers.split(",") if (name := part.strip())]


def reset_stream(stream: ByteStream) -> None:
    """Break a connection, as a crash would."""
    inner = stream.transport_stream if isinstance(stream, TLSStream) else stream
    if isinstance(inner, _Resettable):
        inner.reset()


class ServerWebSocket:
    """The server's end of one WebSocket.

    One task receives. Any task may queue output with the synchronous methods; ``flush`` writes it.
    ``on_output`` is called when receiving has queued output of its own (a pong, or the echo of a
    close frame): then some task must call ``flush``. ``received`` are the bytes that have been
    read from the stream before.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        received: bytes = b"",
        max_message_size: int | None = 2**24,
        close_timeout: float = 5,
    ) -> None:
        self.stream = stream
        self.on_output: Callable[[], None] = lambda: None
        self.request: HandshakeRequest | None = None
        self.close_timeout = close_timeout
        self._raw_request: Request | None = None
        self._protocol = ServerProtocol(max_size=max_message_size, logger=_silent)
        self._protocol.receive_data(received)
        self._lock = anyio.Lock()
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._lost = False
        self.pongs: deque[bytes] = deque(maxlen=64)

    # The handshake

    async def receive_request(self) -> HandshakeRequest:
        """Read the client's request; raise ``WebSocketEnded`` if none comes."""
        self._take_events()
        while self.request is None:
            await self._read()
            self._take_events()
        return self.request

    async def accept(self, subprotocol: str | None = None, headers: Iterable[Header] = ()) -> None:
        """Accept the connection, with any ``subprotocol``, offered or not.

        If the request is not a WebSocket handshake, send the error response that it calls for and
        raise ``WebSocketEnded``.
        """
        await self.receive_request()
        assert self._raw_request is not None  # noqa: S101 - receive_request has set it
        response = self._protocol.accept(self._raw_request)
        if subprotocol is not None and response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._add_headers(response, headers)
        self._protocol.send_response(response)
        await self.flush()
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            raise WebSocketEnded(CloseCode.ABNORMAL, "not a WebSocket handshake", ours=True)

    async def refuse(
        self, status: int, body: bytes = b"", headers: Iterable[Header] = (), reason: str = ""
    ) -> None:
        """Refuse the handshake with an HTTP response, and close the connection."""
        await self.receive_request()
        if not reason:
            with contextlib.suppress(ValueError):
                reason = HTTPStatus(status).phrase
        response = Response(status, reason, Headers(), body)
        response.headers["Connection"] = "close"
        response.headers["Content-Length"] = str(len(body))
        self._add_headers(response, headers)
        self._protocol.send_response(response)
        await self.flush()
        await self.drain()

    @staticmethod
    def _add_headers(response: Response, headers: Iterable[Header]) -> None:
        for name, value in headers:
            if name.lower() in {"content-type", "content-length", "connection"}:
                response.headers.pop(name, None)
            response.headers[name] = value

    # Messages

    async def receive(self) -> Sequence[str | bytes]:
        """Receive at least one message: ``str`` is text, ``bytes`` is binary.

        Canceling loses nothing. Raises ``WebSocketEnded`` when there will be no more messages.
        """
        while not (messages := await self.receive_some()):
            pass
        return messages

    async def receive_some(self) -> Sequence[str | bytes]:
        """Receive messages by one read at most; return none if it completes no message.

        A caller that has no task to flush can call ``flush`` after each read.
        """
        if not (messages := self._take_events()):
            await self._read()
            messages = self._take_events()
        return messages

    def send_text(self, messages: Iterable[bytes]) -> None:
        """Queue text messages for the next ``flush``."""
        self._queue(map(_text_frame, messages))

    def send_frames(self, frames: Iterable[Frame]) -> None:
        """Queue frames as they are, even if they make no sense."""
        self._queue(frame.serialize(mask=False) for frame in frames)

    def ping(self, payload: bytes = b"") -> None:
        """Queue a ping for the next ``flush``."""
        self.send_frames([Frame(Opcode.PING, payload)])

    def _queue(self, frames: Iterable[bytes]) -> None:
        if self._protocol.state is not State.OPEN:
            raise self.ended()
        self._protocol.writes.extend(frames)

    async def flush(self) -> None:
        """Write the queued output; raise ``WebSocketEnded`` if the connection is lost.

        Canceling may leave a part of a frame on the wire.
        """
        async with self._lock:
            while writes := self._protocol.data_to_send():
                try:
                    if data := b"".join(writes):
                        await self.stream.send(data)
                    if b"" in writes:
                        await self._send_eof()
                except (BrokenResourceError, ClosedResourceError) as exc:
                    self._lose()
                    raise self.ended() from exc

    async def send_raw(self, data: bytes) -> None:
        """Write bytes without the protocol."""
        async with self._lock:
            try:
                await self.stream.send(data)
            except (BrokenResourceError, ClosedResourceError) as exc:
                self._lose()
                raise self.ended() from exc

    async def _send_eof(self) -> None:
        # Over TLS, `drain` ends the data. (anyio's send_eof asks for the version of a session that
        # may be over.)
        if not isinstance(self.stream, TLSStream):
            with contextlib.suppress(NotImplementedError):
                await self.stream.send_eof()

    async def _read(self) -> None:
        """Read once, and feed the protocol."""
        if self._lost or self._protocol.eof_sent:
            raise self.ended()
        try:
            data = await self.stream.receive()
        except EndOfStream:
            self._protocol.receive_eof()
        except (BrokenResourceError, ClosedResourceError) as exc:
            self._lose()
            raise self.ended() from exc
        else:
            self._protocol.receive_data(data)
        if self._protocol.writes:
            self.on_output()

    def _take_events(self) -> list[str | bytes]:
        messages: list[str | bytes] = []
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._raw_request = event
                self.request = HandshakeRequest(event.path, event.headers)
            elif isinstance(event, Frame):
                self._take_frame(event, messages)
        return messages

    def _take_frame(self, frame: Frame, messages: list[str | bytes]) -> None:
        if frame.opcode is Opcode.PONG:
            self.pongs.append(bytes(frame.data))
        elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            if frame.opcode is not Opcode.CONT:
                self._opcode = frame.opcode
            self._parts.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._parts)
                self._parts.clear()
                self._take_message(message, messages)

    def _take_message(self, message: bytes, messages: list[str | bytes]) -> None:
        if self._opcode is Opcode.BINARY:
            messages.append(message)
            return
        try:
            messages.append(message.decode())
        except UnicodeDecodeError as exc:
            if not self._protocol.eof_sent:
                reason = f"{exc.reason} at position {exc.start}"
                self._protocol.fail(CloseCode.INVALID_DATA, reason)
                self.on_output()

    # Closing

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is State.OPEN and not self._lost

    @property
    def closed(self) -> tuple[int, str]:
        """Code and reason of the first close frame, whichever side sent it; 1006 without one."""
        sent, received = self._protocol.close_sent, self._protocol.close_rcvd
        if sent is not None and not self._protocol.close_rcvd_then_sent:
            return int(sent.code), sent.reason
        if received is not None:
            return int(received.code), received.reason
        return int(CloseCode.ABNORMAL), ""

    def ended(self) -> WebSocketEnded:
        """Return an error that tells how the connection ended."""
        ours = self._protocol.close_sent is not None and not self._protocol.close_rcvd_then_sent
        return WebSocketEnded(*self.closed, ours=ours)

    def send_close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue a close frame for the next ``flush``. Nothing can be sent after it."""
        try:
            self._protocol.send_close(code, clip_reason(reason))
        except InvalidState as exc:
            raise self.ended() from exc

    async def drain(self) -> None:
        """Discard input until the peer has closed, or for ``close_timeout``; close the stream.

        Call it after ``send_close`` and ``flush``, or when ``receive`` has raised. It raises none
        of the connection's errors.
        """
        try:
            with anyio.move_on_after(self.close_timeout):
                await self._read_to_the_end()
        except (WebSocketEnded, BrokenResourceError, ClosedResourceError, EndOfStream, OSError):
            pass
        finally:
            await anyio.aclose_forcefully(self.stream)

    async def _read_to_the_end(self) -> None:
        await self.flush()
        if self._protocol.eof_sent and isinstance(self.stream, TLSStream):
            # RFC 6455 §7.1.1: the server closes first. Over TLS it sends close_notify (RFC 8446
            # §6.1), and waits for the client's, or for the end of its data.
            await self.stream.unwrap()
            return
        while self._protocol.state is not State.CLOSED and not self._lost:
            try:
                data = await self.stream.receive()
            except EndOfStream:
                self._protocol.receive_eof()
            else:
                self._protocol.receive_data(data)
            self._protocol.events_received()
            await self.flush()

    def reset(self) -> None:
        """Break the connection, without a close frame."""
        self._lose()
        reset_stream(self.stream)

    def _lose(self) -> None:
        self._lost = True


def _text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame (RFC 6455 §5.2); six times as fast as ``Frame.serialize``."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 2**16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
