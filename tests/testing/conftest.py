"""A WebSocket client for raw conversations, without GraphQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

OpenStream = Callable[[str, int], Awaitable[ByteStream]]


class RawClient:
    def __init__(self, stream: ByteStream, protocol: ClientProtocol) -> None:
        self.stream = stream
        self.protocol = protocol
        self.frames: list[Frame] = []
        self.parts: list[bytes] = []

    async def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                await self.stream.send(data)
            else:
                await self.stream.send_eof()

    async def read(self) -> None:
        try:
            self.protocol.receive_data(await self.stream.receive())
        except anyio.EndOfStream:
            self.protocol.receive_eof()
        await self.flush()

    async def send(self, *messages: Any) -> None:
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self.protocol.send_text(text.encode())
        await self.flush()

    async def receive(self) -> Any:
        """Receive a JSON message, or the (code, reason) that ended the connection."""
        while True:
            while self.frames:
                frame = self.frames.pop(0)
                if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                    self.parts.append(bytes(frame.data))
                    if frame.fin:
                        text, self.parts = b"".join(self.parts), []
                        return json.loads(text)
            if self.protocol.state is State.CLOSED:
                return self.protocol.close_code, self.protocol.close_reason
            await self.read()
            self.frames += [e for e in self.protocol.events_received() if isinstance(e, Frame)]

    async def receive_all(self) -> list[Any]:
        """Receive all messages; the last item is the (code, reason) of the end."""
        messages = []
        while not isinstance(message := await self.receive(), tuple):
            messages.append(message)
        return [*messages, message]

    async def init(self) -> None:
        await self.send({"type": "connection_init"})
        assert await self.receive() == {"type": "connection_ack"}


@asynccontextmanager
async def _raw_client(
    open_stream: OpenStream, *subprotocols: str, path: str = "/graphql", timeout: float = 60
) -> AsyncIterator[RawClient]:
    async with await open_stream("memory", 80) as stream:
        protocol = ClientProtocol(
            parse_uri(f"ws://memory{path}"), subprotocols=list(subprotocols) or None
        )
        protocol.send_request(protocol.connect())
        client = RawClient(stream, protocol)
        await client.flush()
        while protocol.state is State.CONNECTING and not protocol.handshake_exc:
            await client.read()
        client.frames += [e for e in protocol.events_received() if isinstance(e, Frame)]
        with anyio.fail_after(timeout):
            yield client


@pytest.fixture
def raw_client() -> Callable[..., AbstractAsyncContextManager[RawClient]]:
    """Return ``raw_client(open_stream, *subprotocols)``: a WebSocket, open or refused."""
    return _raw_client


@pytest.fixture
async def tcp_stream() -> OpenStream:
    async def open_stream(host: str, port: int) -> ByteStream:
        return await anyio.connect_tcp(host, port)

    return open_stream
