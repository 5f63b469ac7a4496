"""The server of the soak: a process of its own, which may be killed at any moment.

It is small and fast, so that the client is what is tried. Numbers come from the system's clock, so
they go on where they were when it comes back, and what it must not forget (which mutations it has
run, what a client did wrong) is in a file.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import signal
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import msgspec
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from anygql.testing.loopback import LoopbackListener, SocketStream
from anygql.testing.websocket import ServerWebSocket
from anygql.websocket.sockets.base import WebSocketEnded

GONE = (BrokenResourceError, ClosedResourceError, EndOfStream, WebSocketEnded, OSError)

#: Seconds between two looks at what is due.
BEAT = 0.02
#: Messages in one write.
BURST = 2000

encode = msgspec.json.encode
decode = msgspec.json.decode


def now() -> float:
    """Seconds on a clock that all processes of this machine share."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Record:
    """The file of what the server must remember: a line for each mutation that it ran, and one
    beginning with ``!`` for each thing that a client did wrong."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def ran(self, key: str) -> None:
        os.write(self._file, f"{key}\n".encode())

    def wrong(self, what: str) -> None:
        os.write(self._file, f"!{what}\n".encode())


class Numbers:
    """One stream: number ``n`` is due at ``(n + phase) / rate`` seconds, whoever asks."""

    __slots__ = ("left", "number", "phase", "rate")

    def __init__(self, rate: float, phase: float, count: int | None) -> None:
        self.rate = rate
        self.phase = phase
        self.left = count
        self.number = int(now() * rate - phase) + 1

    @property
    def due(self) -> float:
        return (self.number + self.phase) / self.rate

    def take(self) -> int:
        """The number that is due; ``left`` is 0 after the last one."""
        number = self.number
        self.number += 1
        if self.left is not None:
            self.left -= 1
        return number


class Server:
    """What all connections share."""

    def __init__(self, record: Record, seed: int) -> None:
        self.record = record
        self.random = random.Random(seed)
        self.connections: set[Connection] = set()
        self.streams = 0

    @property
    def open(self) -> int:
        """How many subscriptions there are, over both kinds of connection."""
        return self.streams + sum(len(connection.streams) for connection in self.connections)

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Run a query or mutation."""
        what = payload["query"].partition("{")[0].partition("(")[0].strip()
        variables = payload.get("variables") or {}
        match what:
            case "query Echo":
                return {"echo": variables["value"]}
            case "mutation Count":
                self.record.ran(variables["key"])
                return {"count": variables["key"]}
            case "query Open":
                return {"open": self.open}
        self.record.wrong(f"unknown operation {what!r}")
        return {}

    async def websocket(self, stream: SocketStream) -> None:
        """Serve one WebSocket."""
        websocket = ServerWebSocket(stream)
        try:
            await websocket.receive_request()
            await websocket.accept("graphql-transport-ws")
            connection = Connection(self, websocket)
            self.connections.add(connection)
            try:
                await connection.run()
            finally:
                self.connections.discard(connection)
        except GONE:
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    async def http(self, stream: SocketStream) -> None:
        """Serve HTTP requests on one connection."""
        buffered = BufferedByteReceiveStream(stream)
        try:
            while True:
                await self._exchange(buffered, stream)
        except (*GONE, anyio.IncompleteRead):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    async def _exchange(self, buffered: BufferedByteReceiveStream, stream: SocketStream) -> None:
        head = (await buffered.receive_until(b"\r\n\r\n", 2**16)).decode()
        pairs = (line.split(":", 1) for line in head.split("\r\n")[1:])
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await buffered.receive_exactly(int(headers["content-length"]))
        kind, _, boundary = headers["content-type"].partition("; boundary=")
        if kind == "multipart/form-data":
            file = body.split(f"--{boundary}".encode())[3].partition(b"\r\n\r\n")[2][:-2]
            data: dict[str, Any] = {"upload": zlib.crc32(file)}
        else:
            payload = decode(body)
            variables = payload.get("variables") or {}
            if payload["query"].startswith("subscription"):
                await self._events(stream, variables)
                return
            data = self.answer(payload)
            await anyio.sleep(variables.get("after", 0))
        text = encode({"data": data})
        await stream.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(text), text)
        )

    async def _events(self, stream: SocketStream, variables: dict[str, Any]) -> None:
        numbers = Numbers(variables["rate"], variables["phase"], variables.get("count"))
        self.streams += 1
        try:
            await stream.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            while numbers.left != 0:
                await anyio.sleep(max(numbers.due - now(), 0))
                data = encode({"data": {"numbers": numbers.take()}})
                await stream.send(_chunk(b"event: next\ndata: %s\n\n" % data))
            await stream.send(_chunk(b"event: complete\ndata:\n\n") + b"0\r\n\r\n")
        finally:
            self.streams -= 1

    async def cut(self, every: float) -> None:
        """End a connection at random, in one of several ways, about so often."""
        while True:
            await anyio.sleep(self.random.expovariate(1 / every))
            if self.connections:
                connection = self.random.choice(sorted(self.connections, key=id))
                connection.cut = self.random.choice(["reset", "close", "end"])
                if connection.cut == "reset":
                    connection.websocket.reset()

    async def leave(self) -> None:
        """Tell everybody that we restart."""
        for connection in self.connections:
            connection.cut = "close"
        with anyio.move_on_after(1):
            while self.connections:
                await anyio.sleep(BEAT)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection:
    """One WebSocket, graphql-transport-ws."""

    def __init__(self, server: Server, websocket: ServerWebSocket) -> None:
        self.websocket = websocket
        self.streams: dict[str, Numbers] = {}
        #: How it is to end.
        self.cut = ""
        self._server = server
        self._ready: list[bytes] = []
        self._held: dict[str, bytes] = {}
        self._due: list[tuple[float, str]] = []
        self._used: set[str] = set()
        self._left: set[str] = set()

    async def run(self) -> None:
        async with anyio.create_task_group() as tg:
            tg.start_soon(self._send, tg)
            try:
                while True:
                    for message in await self.websocket.receive():
                        self._take(decode(message))
            except GONE:
                pass
            finally:
                tg.cancel_scope.cancel()

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                self._ready.append(b'{"type":"connection_ack"}')
            case "ping":
                self._ready.append(b'{"type":"pong"}')
            case "subscribe":
                self._start(message["id"], message["payload"])
            case "complete":
                self._stop(message["id"])

    def _start(self, id: str, payload: dict[str, Any]) -> None:
        if id in self._used:
            self._server.record.wrong(f"the id {id} was used twice")
        self._used.add(id)
        variables = payload.get("variables") or {}
        if payload["query"].startswith("subscription"):
            numbers = Numbers(variables["rate"], variables["phase"], variables.get("count"))
            self.streams[id] = numbers
            heapq.heappush(self._due, (numbers.due, id))
        else:
            # Counted before the answer is held back: that is when a call is cancelled.
            data = encode(self._server.answer(payload))
            self._held[id] = data
            heapq.heappush(self._due, (now() + variables.get("after", 0), id))

    def _stop(self, id: str) -> None:
        if id in self._left or id not in self._used:
            self._server.record.wrong(f"complete for {id}, which was unknown or left already")
        self._left.add(id)
        self.streams.pop(id, None)
        self._held.pop(id, None)

    async def _send(self, tg: TaskGroup) -> None:
        websocket = self.websocket
        try:
            while not self.cut:
                websocket.send_text(self._messages())
                await websocket.flush()
                await anyio.sleep(BEAT)
            if self.cut == "close":
                websocket.send_close(1012, "restart")
                await websocket.flush()
        except GONE:
            pass
        tg.cancel_scope.cancel()

    def _messages(self) -> list[bytes]:
        messages, self._ready = self._ready, []
        due, until = self._due, now()
        while due and due[0][0] <= until and len(messages) < BURST:
            _, id = heapq.heappop(due)
            if (data := self._held.pop(id, None)) is not None:
                messages.append(
                    b'{"id":"%s","type":"next","payload":{"data":%s}}' % (id.encode(), data)
                )
                messages.append(b'{"id":"%s","type":"complete"}' % id.encode())
            elif (numbers := self.streams.get(id)) is not None:
                messages.append(
                    b'{"id":"%s","type":"next","payload":{"data":{"numbers":%d}}}'
                    % (id.encode(), numbers.take())
                )
                if numbers.left == 0:
                    del self.streams[id]
                    messages.append(b'{"id":"%s","type":"complete"}' % id.encode())
                else:
                    heapq.heappush(due, (numbers.due, id))
        return messages


async def accept(
    listener: LoopbackListener, serve: Callable[[SocketStream], Any], tg: TaskGroup
) -> None:
    with suppress(ClosedResourceError):
        while True:
            tg.start_soon(serve, await listener.accept())


async def main(options: argparse.Namespace) -> None:
    """Serve until told to stop, or until the process that began this is gone."""
    server = Server(Record(options.record), options.seed)
    listeners = [LoopbackListener("127.0.0.1", port) for port in options.ports]
    async with anyio.create_task_group() as tg:
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            for listener, serve in zip(listeners, [server.websocket, server.http], strict=True):
                tg.start_soon(accept, listener, serve, tg)
            tg.start_soon(server.cut, options.cut_every)
            tg.start_soon(_orphaned, tg)
            print(*(listener.port for listener in listeners), flush=True)
            async for _ in signals:
                break
            for listener in listeners:
                listener.close()
            await server.leave()
            tg.cancel_scope.cancel()


async def _orphaned(tg: TaskGroup) -> None:
    """Whoever began this holds the other end of our standard input."""
    await anyio.wait_readable(sys.stdin)
    tg.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", type=int, nargs=2, default=[0, 0])
    parser.add_argument("--record", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cut-every", type=float, default=5)
    anyio.run(main, parser.parse_args())
