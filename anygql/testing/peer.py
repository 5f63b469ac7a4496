"""A peer that follows a script, for behavior that no real server shows on demand."""

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
    """One client's connection, given to a script before the handshake.

    While the script receives or waits, pings are answered and a close frame is echoed.
    """

    def __init__(self, stream: ByteStream) -> None:
        #: The byte stream, for scripts without WebSockets.
        self.stream = stream
        #: The JSON messages that the script has received, in order.
        self.received: list[Any] = []
        self._websocket = ServerWebSocket(stream)
        self._messages: deque[str | bytes] = deque()

    # The handshake

    async def request(self) -> HandshakeRequest:
        """Read the handshake's request, with ``path``, ``headers`` and ``subprotocols``."""
        return await self._websocket.receive_request()

    async def accept(
        self,
        subprotocol: str | None = "graphql-transport-ws",
        headers: Mapping[str, str] | Iterable[Header] = (),
    ) -> None:
        """Accept the handshake.

        Args:
            subprotocol: The subprotocol to name, offered or not; ``None`` names none.
            headers: More headers for the response.
        """
        await self._websocket.accept(subprotocol, _pairs(headers))

    async def refuse(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | Iterable[Header] = (),
    ) -> None:
        """Refuse the handshake with an HTTP response, and close the connection.

        Args:
            status: The response's status.
            body: The response's body, empty by default.
            headers: More headers for the response.
        """
        await self._websocket.refuse(status, body, _pairs(headers))

    async def handshake(
        self, ack_payload: Any = None, subprotocol: str = "graphql-transport-ws"
    ) -> Message:
        """Accept, receive ``connection_init``, acknowledge; return the ``connection_init``.

        Args:
            ack_payload: The payload of ``connection_ack``; ``None``, the default, sends none.
            subprotocol: The subprotocol to name, offered or not.
        """
        await self.accept(subprotocol)
        init = await self.expect_type("connection_init")
        ack: Message = {"type": "connection_ack"}
        if ack_payload is not None:
            ack["payload"] = ack_payload
        await self.send(ack)
        return init

    # Receiving

    async def receive_text(self) -> str:
        """Receive a text message; raise ``WebSocketEnded`` if the connection ends first."""
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
        """Receive a text message and decode its JSON."""
        message = msgspec.json.decode(await self.receive_text())
        self.received.append(message)
        return message

    async def expect(self, expected: Any) -> Any:
        """Receive a message; raise ``AssertionError`` unless it equals ``expected``."""
        message = await self.receive()
        if message != expected:
            raise AssertionError(f"expected {expected!r}, got {message!r}")
        return message

    async def expect_type(self, kind: str) -> Message:
        """Receive a message; raise ``AssertionError`` unless its type is ``kind``."""
        message = await self.receive()
        if not isinstance(message, dict) or message.get("type") != kind:  # pyright: ignore[reportUnknownMemberType]
            raise AssertionError(f"expected a message of type {kind!r}, got {message!r}")
        return message  # pyright: ignore[reportUnknownVariableType]

    async def receive_raw(self, max_bytes: int = 65536) -> bytes:
        """Receive bytes without the WebSocket protocol.

        Args:
            max_bytes: Maximum number of bytes to return. Default: 65536.

        Raises:
            EndOfStream: When the client has ended its side.
        """
        return await self.stream.receive(max_bytes)

    async def wait_closed(self) -> tuple[int, str]:
        """Discard messages until the connection ends; return its close code and reason.

        They are those of the first close frame, whichever side sent it; 1006 if there was none
        (RFC 6455 §7.1.5).
        """
        try:
            while True:
                await self._websocket.receive_some()
                await self._websocket.flush()
        except WebSocketEnded:
            await self._flush_quietly()
        return self._websocket.closed

    async def wait_eof(self) -> bytes:
        """Read and return bytes until the client has closed its end, cleanly or not."""
        data = bytearray()
        try:
            while True:
                data += await self.stream.receive()
        except (EndOfStream, BrokenResourceError, ClosedResourceError):
            return bytes(data)

    # Sending

    async def send(self, message: Any) -> None:
        """Send ``message``, any value, as a JSON text message."""
        await self.send_text(msgspec.json.encode(message))

    async def send_text(self, text: str | bytes) -> None:
        """Send a text message; if ``text`` is bytes, it need not be UTF-8."""
        self._websocket.send_text([text.encode() if isinstance(text, str) else text])
        await self._websocket.flush()

    async def send_binary(self, data: bytes) -> None:
        """Send ``data`` as a binary message."""
        await self.send_frames(Frame(Opcode.BINARY, data))

    async def send_frames(self, *frames: Frame) -> None:
        """Send frames (``websockets.frames.Frame``) in one write, even if they make no sense."""
        self._websocket.send_frames(frames)
        await self._websocket.flush()

    async def fragment(self, text: str | bytes, sizes: Sequence[int]) -> None:
        """Send ``text`` in fragments: of ``sizes`` in bytes, and the rest in a last one."""
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
        """Send ``data`` as it is, without the WebSocket protocol."""
        await self._websocket.send_raw(data)

    async def ping(self, payload: bytes = b"") -> None:
        """Send a WebSocket ping with a ``payload`` of up to 125 bytes, by default none."""
        self._websocket.ping(payload)
        await self._websocket.flush()

    async def pause(self, seconds: float) -> None:
        """Do nothing for ``seconds``."""
        await anyio.sleep(seconds)

    # Closing

    async def close(self, code: int = 1000, reason: str = "") -> tuple[int, str]:
        """Send a close frame, wait for the client's, and close the connection.

        Args:
            code: The close code, 1000 by default.
            reason: The reason, empty by default.
        """
        self._websocket.send_close(code, reason)
        await self._websocket.flush()
        closed = await self.wait_closed()
        await self._websocket.drain()
        return closed

    async def send_eof(self) -> None:
        """End the data, without a close frame."""
        await self.stream.send_eof()

    def reset(self) -> None:
        """Break the connection; on loopback with a RST."""
        self._websocket.reset()

    async def aclose(self) -> None:
        """Close the byte stream, without a close frame."""
        await self.stream.aclose()

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(WebSocketEnded):  # the next receive raises it too
            await self._websocket.flush()


#: An async function that a scripted peer calls with each connection.
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

    Leaving the context cancels scripts that are still running. An exception in a script is raised
    there as it is. When a script returns, its connection is closed without a close frame.

    Args:
        script: An async function that is called with each ``PeerConnection``; or several, one for
            each connection, of which the last one repeats.
        buffer_size: How many bytes an in-memory connection buffers in each direction; 65536 by
            default.

    Raises:
        ValueError: If there is no script.
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
        """The JSON messages that the scripts have received, connection by connection."""
        return [message for connection in self.connections for message in connection.received]

    async def wait_connection(self, count: int = 1) -> PeerConnection:
        """Wait for a connection, ended or not, and return it.

        Args:
            count: The number of the connection, counted from 1. Default: 1, the first.
        """

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
