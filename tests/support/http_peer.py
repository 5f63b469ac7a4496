"""A server that says what a test tells it to, byte by byte, on a loopback socket."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream


@dataclass
class Request:
    """What a client sent."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Peer:
    """``answers``: what is sent to each request in turn, the last one to all that follow.

    An answer is bytes (after which the connection is closed), a function of the request and the
    stream, or ``None``: close at once.
    """

    answers: list[Any]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    gone: int = 0

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        buffered = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                while await self.one(buffered, stream):
                    pass
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                pass
            finally:
                self.gone += 1

    async def one(self, buffered: BufferedByteReceiveStream, stream: SocketStream) -> bool:
        head = (await buffered.receive_until(b"\r\n\r\n", 2**16)).decode()
        line, *lines = head.split("\r\n")
        pairs = (header.split(":", 1) for header in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await buffered.receive_exactly(int(headers.get("content-length", 0)))
        request = Request(line, headers, body)
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return bool(await answer(request, stream))
        if answer is not None:
            await stream.send(answer)
        return False


@asynccontextmanager
async def peer(*answers: Any) -> AsyncGenerator[Peer]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    it = Peer(list(answers), f"http://127.0.0.1:{port}/graphql")
    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, it.serve)
        yield it
        tg.cancel_scope.cancel()


def http(
    body: bytes | str = b"",
    status: str = "200 OK",
    kind: str | None = "application/json",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """An answer; ``length``: what it says of its body's length."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}"]
    if kind is not None:
        lines.append(f"content-type: {kind}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def kept(answer: bytes) -> Callable[[Request, SocketStream], Awaitable[bool]]:
    """The answer, on a connection that is kept open."""

    async def send(request: Request, stream: SocketStream) -> bool:
        await stream.send(answer)
        return True

    return send


def endless(
    *pieces: bytes, kind: str = "text/event-stream", pause: float = 0, end: bool = True
) -> Callable[[Request, SocketStream], Awaitable[bool]]:
    """A chunked answer of these pieces; without ``end`` it stays open, and is cut with ``None``."""

    async def send(request: Request, stream: SocketStream) -> bool:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        await stream.send(head.encode())
        for piece in pieces:
            await stream.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await anyio.sleep(pause)
        if not end:
            await stream.receive()  # until the client has gone
            return False
        await stream.send(b"0\r\n\r\n")
        return True

    return send


def cut(*pieces: bytes, kind: str) -> Callable[[Request, SocketStream], Awaitable[bool]]:
    """A chunked answer that breaks off after these pieces."""

    async def send(request: Request, stream: SocketStream) -> bool:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        await stream.send(head.encode())
        for piece in pieces:
            await stream.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        return False

    return send
