"""The other end: a WebSocket server, or anything else, on the loopback, in the same event loop.

A test hands ``serving`` a script: an async function that is run with a ``Peer`` for each
connection, and whose end closes it.
"""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

FAULTS = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)

silent = logging.getLogger("tests.support.websocket_peer")
silent.disabled = True


def frame(opcode: Opcode, data: bytes | str = b"", *, fin: bool = True) -> bytes:
    """A frame as a server sends it."""
    data = data.encode() if isinstance(data, str) else data
    return Frame(opcode, data, fin).serialize(mask=False)


def text(data: bytes | str) -> bytes:
    return frame(Opcode.TEXT, data)


def close(code: int, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, Close(code, reason).serialize())


class Peer:
    """One accepted connection."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.protocol = ServerProtocol(logger=silent, max_size=None)
        self.protocol.debug = False
        self.request: Request
        self._frames: list[Frame] = []

    async def head(self) -> str:
        """The head of an HTTP request, as text."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self.stream.receive()
        return data.decode("latin-1")

    async def accept(
        self,
        subprotocol: str | None = None,
        glued: bytes = b"",
        *,
        extensions: str | None = None,
    ) -> None:
        """Answer the WebSocket handshake, with ``glued`` in the same write."""
        self.protocol.receive_data((await self.head()).encode("latin-1"))
        (request,) = self.protocol.events_received()
        assert isinstance(request, Request)
        self.request = request
        response = self.protocol.accept(request)
        assert response.status_code == 101, response
        if subprotocol is not None:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        if extensions is not None:
            response.headers["Sec-WebSocket-Extensions"] = extensions
        self.protocol.send_response(response)
        await self.raw(b"".join(self.protocol.data_to_send()) + glued)

    async def raw(self, data: bytes) -> None:
        await self.stream.send(data)

    async def frame(self) -> Frame:
        """The client's next frame; pings are not answered."""
        while not self._frames:
            self.protocol.receive_data(await self.stream.receive())
            self._frames += [e for e in self.protocol.events_received() if isinstance(e, Frame)]
            self.protocol.data_to_send()
        return self._frames.pop(0)

    async def frame_of(self, opcode: Opcode) -> Frame:
        while (got := await self.frame()).opcode is not opcode:
            pass
        return got

    async def closing(self) -> tuple[int, str]:
        """The code and reason of the client's close frame."""
        got = Close.parse((await self.frame_of(Opcode.CLOSE)).data)
        return got.code, got.reason

    async def echo(self) -> None:
        """Send every text message back, answer pings, and the close frame."""
        while True:
            got = await self.frame()
            if got.opcode is Opcode.PING:
                await self.raw(frame(Opcode.PONG, bytes(got.data)))
            else:
                await self.raw(frame(got.opcode, bytes(got.data)))
            if got.opcode is Opcode.CLOSE:
                return

    async def gone(self) -> None:
        """Until the client has let go of the connection."""
        with suppress(*FAULTS):
            while True:
                await self.stream.receive()

    async def reset(self) -> None:
        raw = self.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.aclose_forcefully(self.stream)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        self.stream = await TLSStream.wrap(
            self.stream, server_side=True, ssl_context=context, standard_compatible=False
        )


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, uds: Path | None = None
) -> AsyncGenerator[int]:
    """Run ``script`` for each connection to a port of the loopback, or to a Unix socket."""

    async def serve(stream: ByteStream) -> None:
        peer = Peer(stream)
        with suppress(*FAULTS):
            try:
                if tls is not None:
                    await peer.start_tls(tls)
                await script(peer)
            finally:
                await anyio.aclose_forcefully(stream)

    if uds is not None:
        listener = await anyio.create_unix_listener(uds)
    else:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, serve)
        yield 0 if uds else listener.extra(SocketAttribute.local_port)
        tg.cancel_scope.cancel()


class MemoryStream(ByteStream):
    """One end of a byte stream in memory, which never waits when it has something."""

    def __init__(self, receive: object, send: object) -> None:
        self._receive = receive
        self._send = send

    @classmethod
    def pair(cls) -> tuple[MemoryStream, MemoryStream]:
        to_left, from_right = anyio.create_memory_object_stream[bytes](100)
        to_right, from_left = anyio.create_memory_object_stream[bytes](100)
        return cls(from_right, to_right), cls(from_left, to_left)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        try:
            return self._receive.receive_nowait()
        except anyio.WouldBlock:
            return await self._receive.receive()

    async def send(self, item: bytes) -> None:
        await self._send.send(item)

    async def send_eof(self) -> None:
        self._send.close()

    async def aclose(self) -> None:
        self._receive.close()
        self._send.close()
        await anyio.lowlevel.checkpoint()


async def take(websocket: object, count: int) -> list[str]:
    """The next ``count`` messages, or all that come before the end."""
    got: list[str] = []
    while len(got) < count:
        got += [m if isinstance(m, str) else m.decode() for m in await websocket.receive()]
    return got


def refusing(answer: Sequence[str], body: bytes = b"") -> bytes:
    """An HTTP answer."""
    return "\r\n".join([*answer, "", ""]).encode() + body
