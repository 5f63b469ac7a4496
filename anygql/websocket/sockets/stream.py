"""The default socket: an engine without I/O over an anyio byte stream, on both loops."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import anyio
from anyio.abc import ByteStream, TaskGroup
from anyio.lowlevel import checkpoint

from ...net.dial import OpenStream, dial
from ...net.errors import FAULTS, opening_errors
from ...net.http1 import ResponseHead
from ...net.streams import NetworkStream
from ...net.urls import redact
from ...protocols.close_codes import CloseCode, clip_reason
from .base import WebSocketEnded
from .engine import Engine, Extension
from .handshake import build_request, check_upgrade, new_key, read_upgrade, wrong_upgrade
from .opening import ConnectArgs, Opening, destination, parse_url
from .parser import MessageParser

__all__ = ["StreamConnector", "StreamWebSocket"]

#: Maximum number of bytes to read at a time: in bursts, larger reads are cheaper than more of them.
CHUNK = 2**18

#: Maximum number of reads, of ``CHUNK`` bytes each, before their messages are returned.
MAX_READS = 8

#: Seconds to wait for the server to end the TCP connection after the closing handshake.
LINGER = 0.25

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
        address = parse_url(opening.url)
        args = ConnectArgs.parse(opening.connect_args)
        key = new_key()
        request = build_request(address, opening, key, _offer(args))
        stream = await dial(destination(opening, address), args, self._open_stream)
        try:
            with opening_errors(redact(opening.url)):
                await stream.send(request)
                response = await read_upgrade(stream, opening)
            check_upgrade(opening, response, key)
            extension = _agreed_extension(opening, response, args)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        size = opening.max_message_size
        engine = Engine(size, extension)
        return StreamWebSocket(stream, engine, size, response.rest, response.headers)


def _offer(args: ConnectArgs) -> str | None:
    """Return the extensions to offer."""
    if args.compression is None:
        return None
    from .deflate import offer

    return offer()


def _agreed_extension(
    opening: Opening, response: ResponseHead, args: ConnectArgs
) -> Extension | None:
    """Return the extension that the server chose (RFC 6455 §9.1)."""
    answer = response.headers.get("sec-websocket-extensions")
    if answer is None:
        return None
    problem = "it names an extension that was not offered"
    if args.compression is None:
        raise wrong_upgrade(opening, problem)
    from .deflate import accept_offer

    try:
        return accept_offer(answer)
    except ValueError as error:
        raise wrong_upgrade(opening, f"{problem}, or is malformed") from error


class StreamWebSocket:
    """An open WebSocket: see ``anygql.websocket.sockets.base.WebSocket``."""

    def __init__(
        self,
        stream: ByteStream,
        engine: Engine,
        max_message_size: int,
        early: bytes,
        response_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.response_headers: Mapping[str, str] = response_headers or {}
        self.on_output: Callable[[], None] = _nothing
        self.on_received: Callable[[], None] = _nothing
        self.is_full_batch: Callable[[int], bool] = _always
        self._stream = stream
        self._engine = engine
        # Only these streams are known to let other tasks run whenever they receive.
        self._receive_yields = isinstance(stream, NetworkStream)
        if isinstance(stream, NetworkStream):
            stream.read_size = CHUNK
        # Pings by payload, oldest first, until their pongs come.
        self._pings: dict[bytes, anyio.Event] = {}
        self._payloads = itertools.count()
        self._is_torn = False
        self._parser = MessageParser(engine, max_message_size, self._handle_pong)
        # The server may have sent messages right behind its response to the handshake.
        self._unreturned = self._parser.feed(early)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, if it named one."""
        return self.response_headers.get("sec-websocket-protocol")

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
        if self._engine.writes:
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
        is_open = self._engine.is_open
        if is_open and messages:
            self._engine.send_texts(messages)
        if not await self._flush():
            raise self._ended()
        if messages and not is_open:
            raise self._ended()

    async def _flush(self) -> bool:
        """Write the engine's output. Return False if the stream is torn."""
        data = self._engine.take_output()
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
        if not self._engine.is_open or self._parser.end is not None:
            await checkpoint()
            raise self._ended()
        payload = next(self._payloads).to_bytes(8, "big")
        pong = self._pings[payload] = anyio.Event()
        self._engine.send_ping(payload)
        self.on_output()
        try:
            await pong.wait()
            if payload in self._pings:
                raise self._ended()
        finally:
            self._pings.pop(payload, None)

    def _handle_pong(self, payload: bytes) -> None:
        if payload not in self._pings:
            return
        # RFC 6455 §5.5.3: a server may answer only the last of several pings.
        for earlier in list(self._pings):
            self._pings.pop(earlier).set()
            if earlier == payload:
                return

    def _release_pings(self) -> None:
        for pong in self._pings.values():
            pong.set()

    async def aclose(self, code: int, reason: str) -> None:
        """Perform the closing handshake (RFC 6455 §7); messages that still come are dropped.

        If the connection has ended already, only our part of the handshake is sent. No other task
        may be in ``receive`` or ``send``. The caller bounds the time. Canceling leaves the rest to
        ``aclose_forcefully``.
        """
        we_close_first = self._engine.is_open
        if we_close_first:
            self._engine.send_close(code, clip_reason(reason))
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
        if self._engine.is_at_end:
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
