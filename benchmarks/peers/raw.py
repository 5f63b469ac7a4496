"""The floor of each layer: what is left when there is no GraphQL client."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.speedups import apply_mask

from ..messages import FORMATS, complete_frame
from .base import http_address, use_http_library

__all__ = ["RawHTTP", "RawSocket", "drain_frames", "open_http"]


def _masked(message: bytes) -> bytes:
    mask = os.urandom(4)
    length = len(message)
    head = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return b"\x81" + head + mask + apply_mask(message, mask)


def _subscribe(id: str, document: str, variables: dict[str, Any]) -> bytes:
    payload = {"query": document, "variables": variables}
    return json.dumps({"id": id, "type": "subscribe", "payload": payload}).encode()


class _RawReader:
    """A blocking socket that reads bytes."""

    _buffer = bytearray(2**18)

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _read_to(self, end: bytes) -> int:
        """Read to where the last bytes are ``end``; how many bytes that was."""
        tail, total = b"", 0
        buffer = self._buffer
        view = memoryview(buffer)
        while not tail.endswith(end):
            size = self._socket.recv_into(buffer)
            if not size:
                raise ConnectionError("the server closed the connection")
            total += size
            tail = (tail + view[max(0, size - len(end)) : size])[-len(end) :]
        return total

    def close(self) -> None:
        self._socket.close()


class RawHTTP(_RawReader):
    """A blocking socket that posts the same bytes, and looks at nothing but the end."""

    def __init__(self, over: str, port: int, path: str, body: bytes) -> None:
        url, context = http_address(over, port, path)
        super().__init__(int(url.split(":")[2].partition("/")[0]))
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._request = (
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
        )

    def send(self) -> None:
        self._socket.sendall(self._request)

    def read_answer(self) -> None:
        self._read_to(b"}}}")

    def drain(self, form: str, started: Callable[[], None]) -> None:
        """Subscribe, call ``started`` when the first event is there, and read to the end."""
        self.send()
        self._read_to(FORMATS[form].event("", b"}")[-4:])
        started()
        self._read_to(FORMATS[form].end(""))


class RawSocket(_RawReader):
    """A blocking socket that has an open WebSocket, and reads bytes."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._socket.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        self._read_to(b"\r\n\r\n")
        self._socket.sendall(_masked(b'{"type":"connection_init"}'))
        self._read_to(b'{"type":"connection_ack"}')

    def drain(self, document: str, variables: dict[str, Any], started: Callable[[], None]) -> None:
        """Subscribe, call ``started`` when the first event is there, and read to the end."""
        self._socket.sendall(_masked(_subscribe("1", document, variables)))
        self._read_to(b"}}}")
        started()
        self._read_to(complete_frame("1"))

    def ask(self, document: str, variables: dict[str, Any], at_once: int, rounds: int) -> None:
        """``rounds`` times: ``at_once`` queries in one write, and all their answers."""
        ids = [str(k + 1) for k in range(at_once)]
        queries = b"".join(_masked(_subscribe(id, document, variables)) for id in ids)
        for _ in range(rounds):
            self._socket.sendall(queries)
            self._read_to(complete_frame(ids[-1]))


async def drain_frames(
    port: int, document: str, variables: dict[str, Any], started: Callable[[], None]
) -> None:
    """``RawSocket.drain`` with an anyio stream, every frame through websockets' protocol."""
    import anyio
    from websockets.client import ClientProtocol
    from websockets.frames import Frame, Opcode
    from websockets.typing import Subprotocol
    from websockets.uri import parse_uri

    protocol = ClientProtocol(
        parse_uri(f"ws://127.0.0.1:{port}/"), subprotocols=[Subprotocol("graphql-transport-ws")]
    )
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:

        async def send() -> None:
            await stream.send(b"".join(protocol.data_to_send()))

        async def receive() -> list[Frame]:
            while True:
                protocol.receive_data(await stream.receive(2**16))
                if frames := [f for f in protocol.events_received() if isinstance(f, Frame)]:
                    return frames

        protocol.send_request(protocol.connect())
        await send()
        protocol.receive_data(await stream.receive(2**16))
        protocol.events_received()
        protocol.send_text(b'{"type":"connection_init"}')
        await send()
        await receive()
        protocol.send_text(_subscribe("1", document, variables))
        await send()
        frames = await receive()
        started()
        seen = len(frames)
        while True:
            frames = await receive()
            seen += sum(frame.opcode is Opcode.TEXT for frame in frames)
            if bytes(frames[-1].data).endswith(b'"complete"}'):
                return


class _HTTPSession:
    """Posts the same bytes each time, and decodes the body as JSON."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url
        self._headers = {"content-type": "application/json"}

    def request(self, document: str, variables: dict[str, Any]) -> bytes:
        return json.dumps({"query": document, "variables": variables}).encode()

    async def execute(self, request: bytes) -> Any:
        response = await self._client.post(self._url, content=request, headers=self._headers)
        return response.json()["data"]

    def subscribe(self, request: bytes) -> Any:
        raise NotImplementedError


class _AiohttpSession(_HTTPSession):
    async def execute(self, request: bytes) -> Any:
        async with self._client.post(self._url, data=request, headers=self._headers) as response:
            return (await response.json())["data"]


@asynccontextmanager
async def open_http(
    engine: str, url: str, context: ssl.SSLContext | None
) -> AsyncGenerator[_HTTPSession]:
    import importlib

    use_http_library(engine)
    library = importlib.import_module(engine)
    if engine == "aiohttp":
        async with library.ClientSession() as client:
            yield _AiohttpSession(client, url)
    else:
        async with library.AsyncClient() as client:
            yield _HTTPSession(client, url)
