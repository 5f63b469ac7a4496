"""A peer that does exactly what a script says: for what no real server would do on demand."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import anyio
import msgspec
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream
from websockets.frames import Frame, Opcode

from ..concurrency.signal import Signal
from ..websocket.sockets.base import WebSocketEnded
from .base_server import BaseServer
from .waiting import wait_until
from .websocket import HandshakeRequest, Header, ServerWebSocket

__all__ = ["PeerConnection", "Script", "ScriptedPeer"]

Message = dict[str, Any]


class PeerConnection:
    """One client's connection, before its handshake: the script does the rest.

    Pings are answered and a close frame is echoed while the script receives or waits.
    """

    def __init__(self, stream: ByteStream) -> None:
        #: The byte stream, for scripts without WebSockets.
        self.stream = stream
        #: The JSON messages that the script has taken, in order.
        self.received: list[Any] = []
        self._websocket = ServerWebSocket(stream)
        self._messages: deque[str | bytes] = deque()

    # The handshake

    async def request(self) -> HandshakeRequest:
        """The client's request: its ``path``, ``headers`` and ``subprotocols``."""
        return await self._websocket.receive_request()

    async def accept(
        self,
        subprotocol: str | None = "graphql-transport-ws",
        headers: Mapping[str, str] | Iterable[Header] = (),
    ) -> None:
        """Accept the handshake with any subprotocol, offered or not, or with none."""
        await self._websocket.accept(subprotocol, _pairs(headers))

    async def refuse(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | Iterable[Header] = (),
    ) -> None:
        """Answer the handshake with an HTTP status, and close."""
        await self._websocket.refuse(status, body, _pairs(headers))

    async def handshake(
        self, ack_payload: Any = None, subprotocol: str = "graphql-transport-ws"
    ) -> Message:
        """Accept, expect ``connection_init``, acknowledge; returns the ``connection_init``."""
        await self.accept(subprotocol)
        init = await self.expect_type("connection_init")
        ack: Message = {"type": "connection_ack"}
        if ack_payload is not None:
            ack["payload"] = ack_payload
        await self.send(ack)
        return init

    # What comes

    async def receive_text(self) -> str:
        """The next text message; raises ``WebSocketEnded`` if none comes any more."""
        while not self._messages:
            try:
                self._messages.extend(await self._websocket.receive_some())
            finally:
                await self._flush_quietly()
        message = self._messages.popleft()
        if isinstance(message, bytes):
            raise AssertionError(f"expected text, got {len(message)} bytes of binary")  # noqa: TRY004
        return message

    async def receive(self) -> Any:
        """The next text message, parsed."""
        message = msgspec.json.decode(await self.receive_text())
        self.received.append(message)
        return message

    async def expect(self, expected: Any) -> Any:
        """The next message, which must equal ``expected``; else ``AssertionError``."""
        message = await self.receive()
        if message != expected:
            raise AssertionError(f"expected {expected!r}, got {message!r}")
        return message

    async def expect_type(self, kind: str) -> Message:
        """The next message, whose type must be ``kind``; else ``AssertionError``."""
        message = await self.receive()
        if not isinstance(message, dict) or message.get("type") != kind:  # pyright: ignore[reportUnknownMemberType]
            raise AssertionError(f"expected a message of type {kind!r}, got {message!r}")
        return message  # pyright: ignore[reportUnknownVariableType]

    async def receive_raw(self, max_bytes: int = 65536) -> bytes:
        """The next bytes off the wire, past the protocol; raises ``EndOfStream``."""
        return await self.stream.receive(max_bytes)

    async def wait_closed(self) -> tuple[int, str]:
        """Throw away what comes until the connection ends; its close code and reason.

        They are of the close frame that came first, whoever sent it, and 1006 without one.
        """
        try:
            while True:
                await self._websocket.receive_some()
                await self._websocket.flush()
        except WebSocketEnded:
            await self._flush_quietly()
        return self._websocket.closed

    async def wait_eof(self) -> bytes:
        """Read bytes until the client has closed its end, cleanly or not; returns them."""
        data = bytearray()
        try:
            while True:
                data += await self.stream.receive()
        except (EndOfStream, BrokenResourceError, ClosedResourceError):
            return bytes(data)

    # What goes

    async def send(self, message: Any) -> None:
        """Send any value as a JSON text message."""
        await self.send_text(msgspec.json.encode(message))

    async def send_text(self, text: str | bytes) -> None:
        """Send a text message; bytes need not be UTF-8."""
        self._websocket.send_text([text.encode() if isinstance(text, str) else text])
        await self._websocket.flush()

    async def send_binary(self, data: bytes) -> None:
        """Send a binary message."""
        await self.send_frames(Frame(Opcode.BINARY, data))

    async def send_frames(self, *frames: Frame) -> None:
        """Send frames (``websockets.frames.Frame``) in one write, sensible or not."""
        self._websocket.send_frames(frames)
        await self._websocket.flush()

    async def fragment(self, text: str | bytes, sizes: Sequence[int]) -> None:
        """Send one text message in fragments of these sizes in bytes, and the rest in a last."""
        data = text.encode() if isinstance(text, str) else text
        parts: list[bytes] = []
        for size in sizes:
            parts.append(data[:size])
            data = data[size:]
        parts.append(data)
        last = len(parts) - 1
        await self.send_frames(
            *(
                Frame(Opcode.TEXT if index == 0 else Opcode.CONT, part, fin=index == last)
                for index, part in enumerate(parts)
            )
        )

    async def send_raw(self, data: bytes) -> None:
        """Write exactly these bytes."""
        await self._websocket.send_raw(data)

    async def ping(self, payload: bytes = b"") -> None:
        """Send a WebSocket ping."""
        self._websocket.ping(payload)
        await self._websocket.flush()

    async def pause(self, seconds: float) -> None:
        """Do nothing for a while."""
        await anyio.sleep(seconds)

    # The end

    async def close(self, code: int = 1000, reason: str = "") -> tuple[int, str]:
        """Send a close frame, wait for the client's, and close."""
        self._websocket.send_close(code, reason)
        await self._websocket.flush()
        closed = await self.wait_closed()
        await self._websocket.drain()
        return closed

    async def send_eof(self) -> None:
        """Send no more bytes, without a close frame."""
        await self.stream.send_eof()

    def reset(self) -> None:
        """End the connection abruptly; on loopback with a RST."""
        self._websocket.reset()

    async def aclose(self) -> None:
        """Close the byte stream, without a close frame."""
        await self.stream.aclose()

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(WebSocketEnded):  # whoever receives gets to know
            await self._websocket.flush()


#: What a scripted peer does with one connection.
Script: TypeAlias = Callable[[PeerConnection], Awaitable[Any]]


class ScriptedPeer(BaseServer):
    """Runs a script for each connection, in memory and on loopback.

    ::

        async def script(conn):
            await conn.handshake()
            await conn.expect_type("subscribe")
            conn.reset()

        async with ScriptedPeer(script) as peer:
            ...

    Of a list of scripts, each connection gets the next, and the last one repeats. What a script
    raises comes out of ``async with`` as it is; a script that still runs there is cancelled.
    When a script returns, its connection is closed without a close frame.
    """

    def __init__(self, script: Script | Sequence[Script], *, buffer_size: int = 2**16) -> None:
        super().__init__(buffer_size=buffer_size)
        self._scripts: list[Script] = [script] if callable(script) else list(script)
        if not self._scripts:
            raise ValueError("there must be at least one script")
        #: The connections, newest last.
        self.connections: list[PeerConnection] = []
        self._changed = Signal()

    @property
    def received(self) -> list[Any]:
        """The JSON messages that the scripts have taken, of all connections in order."""
        return [message for connection in self.connections for message in connection.received]

    async def wait_connection(self, count: int = 1) -> PeerConnection:
        """Wait until there have been ``count`` connections, and return that one."""

        def find() -> PeerConnection | None:
            return self.connections[count - 1] if len(self.connections) >= count else None

        return await wait_until(self._changed, find)

    async def _serve(self, stream: ByteStream) -> None:
        connection = PeerConnection(stream)
        script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
        self.connections.append(connection)
        self._changed.notify()
        try:
            await script(connection)
        finally:
            await anyio.aclose_forcefully(stream)


def _pairs(headers: Mapping[str, str] | Iterable[Header]) -> list[Header]:
    if isinstance(headers, Mapping):
        return list(cast("Mapping[str, str]", headers).items())
    return list(headers)
