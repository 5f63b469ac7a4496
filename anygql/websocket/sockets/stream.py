"""The default socket: websockets' sans-I/O engine over an anyio byte stream, on both loops."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import anyio
from anyio.abc import ByteStream, TaskGroup
from anyio.lowlevel import checkpoint
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader
from websockets.extensions.base import ClientExtensionFactory
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from ...exceptions import TransportProtocolError
from ...net.dial import OpenStream, dial
from ...net.errors import FAULTS, opening_errors
from ...net.streams import NetworkStream
from ...net.urls import redact
from ...protocols.close_codes import CloseCode, clip_reason
from .base import WebSocketEnded
from .frames import text_frames
from .handshake import check_subprotocols, read_upgrade, request_headers
from .opening import ConnectArgs, Opening, destination, parse_url
from .parser import MessageParser

__all__ = ["StreamConnector", "StreamWebSocket"]

#: Maximum number of bytes to read at a time: in bursts, larger reads are cheaper than more of them.
CHUNK = 2**18

#: Maximum number of reads, of ``CHUNK`` bytes each, before their messages are returned.
MAX_READS = 8

#: Seconds to wait for the server to end the TCP connection after the closing handshake.
LINGER = 0.25

# The engine logs every header and frame at DEBUG, and those may hold secrets.
_SILENT = logging.Logger("anygql.websocket.sockets.stream")  # noqa: LOG001
_SILENT.disabled = True

_LOST = WebSocketEnded(CloseCode.ABNORMAL, "the connection was lost")
_NO_CLOSE_FRAME = WebSocketEnded(
    CloseCode.ABNORMAL, "the server ended the connection without a close frame"
)


class StreamConnector:
    """Opens WebSockets over TCP, Unix sockets and HTTP proxies, under asyncio and trio.

    The transport's ``connect_args`` may hold ``uds``, ``proxy``, ``compression``, ``local_host``,
    ``server_hostname`` and ``happy_eyeballs_delay``.

    Args:
        open_stream: An async function of host and port that opens an anyio byte stream, to use
            in place of TCP: a tunnel, or memory in tests. ``wss://`` still adds TLS. Default: TCP.
    """

    def __init__(self, *, open_stream: OpenStream | None = None) -> None:
        self._open_stream = open_stream

    async def connect(self, opening: Opening, task_group: TaskGroup) -> StreamWebSocket:
        """Open a WebSocket (RFC 6455 §4.1). Canceling closes the stream under it.

        Args:
            opening: The WebSocket to open.
            task_group: Not used.

        Raises:
            TransportConnectionFailed: There is no connection, or no TLS that can be trusted.
            TransportServerError: The server's HTTP status is not 101.
            TransportProtocolError: The server's response is not HTTP, or the upgrade is wrong.
            TypeError, ValueError: An option can't be used. Nothing was sent.
        """
        uri = parse_url(opening.url)
        args = ConnectArgs.parse(opening.connect_args)
        protocol = _client_protocol(uri, opening, args)
        stream = await dial(destination(opening, uri), args, self._open_stream)
        try:
            with opening_errors(redact(opening.url)):
                await stream.send(b"".join(protocol.data_to_send()))
                response = await read_upgrade(stream, opening)
            protocol.receive_data(response.head)
            _check_handshake(protocol, opening)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        return StreamWebSocket(
            stream, protocol, opening.max_message_size, response.rest, response.headers
        )


def _client_protocol(uri: WebSocketURI, opening: Opening, args: ConnectArgs) -> ClientProtocol:
    """Return an engine whose first output is the handshake request."""
    headers = request_headers(opening.headers)
    check_subprotocols(opening.subprotocols)
    protocol = ClientProtocol(
        uri,
        extensions=_extensions(args),
        subprotocols=[*map(Subprotocol, opening.subprotocols)] or None,
        max_size=opening.max_message_size,
        logger=_SILENT,
    )
    request = protocol.connect()
    for name in {name.lower() for name, _ in headers} & set(request.headers):
        del request.headers[name]
    for name, value in headers:
        request.headers[name] = value
    protocol.send_request(request)
    return protocol


def _extensions(args: ConnectArgs) -> list[ClientExtensionFactory] | None:
    if args.compression is None:
        return None
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    return [ClientPerMessageDeflateFactory(client_max_window_bits=True)]


def _check_handshake(protocol: ClientProtocol, opening: Opening) -> None:
    error = protocol.handshake_exc
    if error is None:
        return
    if isinstance(error, InvalidHeader):
        problem = f"its {error.name} header is missing or wrong"
    else:
        problem = "it is malformed, or names an extension that was not offered"
    raise TransportProtocolError(
        f"{redact(opening.url)} answered the WebSocket handshake with 101, but {problem}"
    ) from error


class StreamWebSocket:
    """An open WebSocket: see ``anygql.websocket.sockets.base.WebSocket``."""

    def __init__(
        self,
        stream: ByteStream,
        protocol: ClientProtocol,
        max_message_size: int,
        early: bytes,
        response_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.response_headers: Mapping[str, str] = response_headers or {}
        self.on_output: Callable[[], None] = _nothing
        self.on_received: Callable[[], None] = _nothing
        self.is_full_batch: Callable[[int], bool] = _always
        self._stream = stream
        self._protocol = protocol
        # Only these streams are known to let other tasks run whenever they receive.
        self._receive_yields = isinstance(stream, NetworkStream)
        if isinstance(stream, NetworkStream):
            stream.read_size = CHUNK
        # Pings by payload, oldest first, until their pongs come.
        self._pings: dict[bytes, anyio.Event] = {}
        self._payloads = itertools.count()
        self._is_torn = False
        self._parser = MessageParser(protocol, max_message_size, self._handle_pong)
        # The server may have sent messages right behind its response to the handshake.
        self._unreturned = self._parser.feed(early)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, if it named one."""
        return self._protocol.subprotocol

    async def receive(self) -> list[bytes]:
        """Return the text messages that have come, at least one, as UTF-8 that nobody has checked.

        Raises ``WebSocketEnded`` after the last message. Canceling loses nothing.
        """
        while self._parser.end is None and not self._unreturned:
            data = await self._more()
            # Nothing waits from here to the return, so no cancellation loses these.
            if (data or self._parser.is_behind) and (messages := self._feed(data)):
                if len(data) >= CHUNK:
                    self._read_on(messages)
                return messages
        await checkpoint()
        if not self._unreturned:
            raise self._ended()
        unreturned, self._unreturned = self._unreturned, []
        self._announce_output()
        return unreturned

    def _read_on(self, messages: list[bytes]) -> None:
        """Append the messages that the network has ready behind ``messages``."""
        if not isinstance(self._stream, NetworkStream):
            return
        for _ in range(MAX_READS - 1):
            if self._parser.is_behind or self._parser.end or self.is_full_batch(len(messages)):
                return
            try:
                data = self._stream.receive_nowait()
            except FAULTS:
                self._finish(_LOST)
                return
            if data is None:
                return
            if not data:
                self._finish(_NO_CLOSE_FRAME)
                return
            messages += self._feed(data)
            if len(data) < CHUNK:
                return

    async def _more(self) -> bytes:
        """Read some bytes, unless there are enough; other tasks have their turns in any case."""
        if self._parser.is_behind:
            await checkpoint()
            return b""
        return await self._read()

    async def _read(self) -> bytes:
        """Read some bytes. At the end, record it and return none."""
        if not self._receive_yields:
            await checkpoint()
        try:
            return await self._stream.receive(CHUNK)
        except anyio.EndOfStream:
            self._finish(_NO_CLOSE_FRAME)
        except FAULTS:
            self._finish(_LOST)
        return b""

    def _feed(self, data: bytes) -> list[bytes]:
        if data:
            self.on_received()
        messages = self._parser.feed(data)
        if self._parser.end is not None:
            self._release_pings()
        self._announce_output()
        return messages

    def _announce_output(self) -> None:
        if self._protocol.writes:
            self.on_output()

    def _finish(self, end: WebSocketEnded) -> None:
        self._parser.finish(end)
        self._release_pings()

    def _ended(self) -> WebSocketEnded:
        """Return the end of the connection, as a new error: several tasks may raise it."""
        end = self._parser.end or _LOST
        return WebSocketEnded(end.code, end.reason, ours=end.ours)

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send text messages, and the engine's own frames, in one write.

        Raises ``WebSocketEnded``. Canceling may leave half a frame on the wire; nothing more is
        sent then.
        """
        protocol = self._protocol
        is_open = protocol.state is State.OPEN
        if is_open:
            self._write(messages)
        if not await self._flush():
            raise self._ended()
        if messages and not is_open:
            raise self._ended()

    def _write(self, messages: Sequence[bytes]) -> None:
        protocol = self._protocol
        if protocol.extensions:
            for message in messages:
                protocol.send_text(message)
        elif messages:
            protocol.writes.append(text_frames(messages))

    async def _flush(self) -> bool:
        """Write the engine's output. Return False if the stream is torn."""
        data = b"".join(self._protocol.data_to_send())
        if self._is_torn or not data:
            await checkpoint()
            return not self._is_torn
        try:
            await self._stream.send(data)
        except FAULTS:
            self._is_torn = True
        except BaseException:
            self._is_torn = True
            raise
        return not self._is_torn

    async def ping(self) -> None:
        """Send a ping and return when its pong, or the pong of a later ping, has come.

        Raises ``WebSocketEnded``. Canceling only stops the waiting.
        """
        if self._protocol.state is not State.OPEN or self._parser.end is not None:
            await checkpoint()
            raise self._ended()
        payload = next(self._payloads).to_bytes(8, "big")
        pong = self._pings[payload] = anyio.Event()
        self._protocol.send_ping(payload)
        self.on_output()
        try:
            await pong.wait()
            if payload in self._pings:
                raise self._ended()
        finally:
            self._pings.pop(payload, None)

    def _handle_pong(self, payload: bytes) -> None:
        # RFC 6455 §5.5.3: a server may answer only the last of several pings.
        while payload in self._pings:
            self._pings.pop(next(iter(self._pings))).set()

    def _release_pings(self) -> None:
        for pong in self._pings.values():
            pong.set()

    async def aclose(self, code: int, reason: str) -> None:
        """Perform the closing handshake (RFC 6455 §7); messages that still come are dropped.

        If the connection has ended already, only our part of the handshake is sent. No other task
        may be in ``receive`` or ``send``. The caller bounds the time. Canceling leaves the rest to
        ``aclose_forcefully``.
        """
        protocol = self._protocol
        we_close_first = protocol.state is State.OPEN
        if we_close_first:
            protocol.send_close(code, clip_reason(reason))
        if not await self._flush():
            return
        while we_close_first and self._parser.end is None:
            data = await self._more()
            if self._parser.end is None:
                self._parser.discard(data)
        await self._linger()

    async def _linger(self) -> None:
        """Give the server a moment to end the TCP connection (RFC 6455 §7.1.1).

        Bytes on the way to the server may be lost if we end it.
        """
        if self._protocol.state is State.CLOSED:
            return
        with anyio.move_on_after(LINGER):
            try:
                if self._receive_yields:  # TLS streams have no half-close
                    # uvloop raises this for a connection that has been lost.
                    with suppress(RuntimeError):
                        await self._stream.send_eof()
                while True:
                    await self._stream.receive(CHUNK)
            except (anyio.EndOfStream, *FAULTS):
                return

    async def aclose_forcefully(self) -> None:
        """Release the stream at once. Raises nothing."""
        self._finish(_LOST)
        try:
            await anyio.aclose_forcefully(self._stream)
        except FAULTS:
            return


def _nothing() -> None:
    """Do nothing: nobody sends yet."""


def _always(count: int) -> bool:
    return True
