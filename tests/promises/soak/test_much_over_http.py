"""Much of everything, in little memory; and much at once, of which some is given up."""

from __future__ import annotations

import gc
import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio import to_thread

from anygql import Client, FileVar, HTTPTransport
from tests.support.amount import EVERYTHING
from tests.support.http_peer import Request, http, peer
from tests.support.pools import in_use, plain_client

UPLOAD = "mutation ($file: Upload!) { upload(file: $file) }"
COUNT = "subscription { n }"
MIB = 2**20

#: Seconds for the other side of a connection to do something; far more than it takes.
PATIENCE = 60


class Growth:
    """By how much the process has grown since this was made, at the moments when it is asked.

    Two figures, since each misses something: what the process has of the machine's memory (which
    doesn't show what fits where other things were), and how many small objects Python has (which
    doesn't show large ones).
    """

    def __init__(self) -> None:
        gc.collect()
        self.size = self.objects = 0
        self._size, self._objects = resident(), sys.getallocatedblocks()

    def look(self) -> None:
        self.size = max(self.size, resident() - self._size)
        self.objects = max(self.objects, sys.getallocatedblocks() - self._objects)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


class Threaded:
    """A server of one connection, in a thread: so it neither waits for the client nor keeps it
    waiting, and a socket that takes no more says so."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._talk = talk
        self._thread = threading.Thread(target=self._run)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/graphql"
        self.fault: BaseException | None = None

    def _run(self) -> None:
        try:
            with self._listener.accept()[0] as stream:
                stream.settimeout(PATIENCE)
                self._talk(stream)
        except BaseException as exc:
            self.fault = exc

    def __enter__(self) -> Threaded:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join()
        self._listener.close()
        if self.fault is not None:
            raise self.fault


# Uploads.

#: Bytes of a file: many times what may be held in memory of it.
LARGE = 1024 * MIB if EVERYTHING else 64 * MIB


class Counter:
    """Counts the bytes of one request, until they end so, and keeps none."""

    def __init__(self, end: bytes) -> None:
        self.received = 0
        self._end = end

    def __call__(self, stream: socket.socket) -> None:
        buffer, last = bytearray(2**18), b""
        while not last.endswith(self._end):
            count = stream.recv_into(buffer)
            assert count, f"it broke off after {self.received} bytes"
            self.received += count
            last = (last + buffer[:count])[-len(self._end) :]
        stream.sendall(http('{"data": {"ok": true}}'))


async def zeros(size: int) -> AsyncIterator[bytes]:
    chunk = bytes(2**16)
    for _ in range(size // len(chunk)):
        yield chunk


async def upload(file: FileVar, size: int, end: bytes) -> None:
    """Send a file of that size in an exchange that ends so, within the bound."""
    counter = Counter(end)
    total_sent = 0
    with Threaded(counter) as server:
        async with Client(server.url) as session:
            growth: Growth | None = None

            def progress(sent: int, total: int | None) -> None:
                nonlocal growth, total_sent
                growth = growth or Growth()  # once all is there that an exchange needs
                if sent // MIB > total_sent // MIB:
                    growth.look()
                total_sent = sent

            args = {"progress": progress}
            data = await session.execute(UPLOAD, {"file": file}, timeout=None, transport_args=args)
    assert data == {"ok": True}
    assert size < total_sent < size + MIB
    assert total_sent < counter.received
    assert growth is not None
    assert growth.size < 16 * MIB


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_large_file_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    await upload(FileVar(path), LARGE, b"--\r\n")


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_large_file_as_it_comes() -> None:
    await upload(FileVar(zeros(LARGE)), LARGE, b"\r\n0\r\n\r\n")


# Subscriptions.

EVENTS = 100_000 if EVERYTHING else 30_000
EVENT = b'event: next\ndata: {"data": {"n": %d, "padding": "' + b"." * 300 + b'"}}\n\n'


class Flood:
    """So many events, as fast as they are taken."""

    def __init__(self) -> None:
        self.sent = 0
        #: Set when the client has taken nothing for a while.
        self.held_up = threading.Event()

    def __call__(self, stream: socket.socket) -> None:
        while not stream.recv(2**16).endswith(b"}"):
            pass
        stream.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**17)
        stream.settimeout(0.3)
        for batch in self._batches():
            self._send(stream, batch)

    def _batches(self) -> Iterator[bytes]:
        for first in range(0, EVENTS, 100):
            yield b"".join(EVENT % n for n in range(first, first + 100))
            self.sent = first + 100
        yield b"event: complete\ndata:\n\n"

    def _send(self, stream: socket.socket, data: bytes) -> None:
        given_up = time.monotonic() + PATIENCE
        while data:
            try:
                data = data[stream.send(data) :]
            except TimeoutError:
                self.held_up.set()
                if time.monotonic() > given_up:
                    raise


async def take(events: Any, growth: Growth, *, first: int, rest: float) -> None:
    """All events from the first on, with a pause of ``rest`` seconds now and then."""
    expected = first
    async for data in events:
        assert data["n"] == expected
        expected += 1
        if expected % 500 == 0:
            growth.look()
            await anyio.sleep(rest)
    assert expected == EVENTS
    assert growth.size < 16 * MIB
    assert growth.objects < EVENTS // 2


@pytest.mark.table
async def test_many_events_for_a_fast_consumer() -> None:
    with Threaded(Flood()) as server:
        async with Client(server.url) as session, session.subscribe(COUNT) as events:
            assert (await events.receive())["n"] == 0
            await take(events, Growth(), first=1, rest=0)


async def test_many_events_for_a_slow_consumer() -> None:
    flood = Flood()
    with Threaded(flood) as server:
        async with (
            Client(server.url) as session,
            session.subscribe(COUNT, buffer_size=16, stall_timeout=None) as events,
        ):
            assert (await events.receive())["n"] == 0
            growth = Growth()
            # It takes no more until the server can't send any more.
            assert await to_thread.run_sync(flood.held_up.wait, PATIENCE)
            assert flood.sent < EVENTS // 2
            growth.look()
            await take(events, growth, first=1, rest=0.002)


# Many at once.


class Hesitant:
    """Answers who is to have an answer, in two pieces; leaves the others waiting, for the head of
    an answer, its body, or the rest of that."""

    def __init__(self, doomed: set[int]) -> None:
        self.doomed = doomed

    async def __call__(self, request: Request, stream: Any) -> bool:
        n = request.json["variables"]["n"]
        answer = http(json.dumps({"data": {"n": n, "pad": "." * 100}}))
        middle = answer.index(b"\r\n\r\n") + 4 + 20
        if n not in self.doomed:
            await stream.send(answer[:middle])
            await anyio.sleep(0.002)
            await stream.send(answer[middle:])
            return True
        await stream.send(answer[: (0, middle - 20, middle)[n % 3]])
        await stream.receive()  # until it has gone
        return False


def held_by(session: Any, client: Any) -> list[Any]:
    """The connections in use, and the requests that wait, of the user's client or our own."""
    if client is not None:
        return in_use(client)
    exchange = session._supervisor._connection._exchange
    pool = exchange.pool
    turns = exchange.endpoint.max_connections - pool._free
    missing = [f"{turns} turns"] if turns else []
    return [*pool._in_use, *pool._waiting, *missing]


@pytest.mark.table
@pytest.mark.parametrize("own", [True, False], ids=["own client", "user's client"])
@pytest.mark.parametrize("seed", range(2))
async def test_many_queries_of_which_some_are_cancelled(own: bool, seed: int) -> None:
    chance = random.Random(seed)
    doomed = set(chance.sample(range(200), 50))
    delays = {n: chance.uniform(0, 0.3) for n in doomed}
    answered: set[int] = set()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(peer(Hesitant(doomed)))
        given = None
        if not own:
            limited = plain_client(timeout=PATIENCE, limits=httpx.Limits(max_connections=10))
            given = await stack.enter_async_context(limited)
        transport = HTTPTransport(server.url, client=given)
        client = Client(transport, execute_timeout=None)
        session = await stack.enter_async_context(client)

        async def ask(n: int) -> None:
            with anyio.move_on_after(delays.get(n)):
                data = await session.execute("query ($n: Int) { n pad }", {"n": n})
                assert data["n"] == n
                answered.add(n)

        async with anyio.create_task_group() as tg:
            for n in range(200):
                tg.start_soon(ask, n)
        assert answered == set(range(200)) - doomed
        assert held_by(session, given) == []

        async with anyio.create_task_group() as tg:
            for n in range(200, 300):
                tg.start_soon(ask, n)
        assert answered == set(range(300)) - doomed
        assert held_by(session, given) == []
        assert server.connections <= (300 if own else 10 + len(doomed))


MANY = 10_000 if EVERYTHING else 1_000


@pytest.mark.table
async def test_many_queries_of_which_a_third_is_cancelled() -> None:
    """The pool is whole afterwards, and no descriptor is left."""
    chance = random.Random(1)
    answer = http('{"data": {"n": 1}}')

    async def serve(request: Request, stream: Any) -> bool:
        await anyio.sleep(0)
        await stream.send(answer[:30])
        await anyio.sleep(0)
        await stream.send(answer[30:])
        return True

    async with peer(serve) as server:
        async with Client(server.url) as session:  # uvloop opens some of its own at first
            await session.execute("{ n }")
        while not server.gone:
            await anyio.sleep(0.001)
        gc.collect()
        descriptors = len(os.listdir("/proc/self/fd"))
        async with Client(HTTPTransport(server.url, max_connections=20)) as session:
            answered = cancelled = 0

            async def ask(canceled_after: int) -> None:
                nonlocal answered, cancelled
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tg:
                        if canceled_after >= 0:
                            tg.start_soon(cancel, scope, canceled_after)
                        assert await session.execute("{ n }") == {"n": 1}
                        tg.cancel_scope.cancel()
                        answered += 1
                cancelled += scope.cancelled_caught

            async def cancel(scope: anyio.CancelScope, turns: int) -> None:
                for _ in range(turns):
                    await anyio.sleep(0)
                scope.cancel()

            async def caller(count: int) -> None:
                for _ in range(count):
                    await ask(chance.randrange(12) if chance.random() < 0.3 else -1)

            async with anyio.create_task_group() as tg:
                for _ in range(40):
                    tg.start_soon(caller, MANY // 40)
            assert answered >= 0.7 * MANY * 0.9
            assert cancelled > 0.1 * MANY
            assert held_by(session, None) == []
            assert await session.execute("{ n }") == {"n": 1}
        with anyio.fail_after(PATIENCE):  # a server's socket is closed a little after it is gone
            while (
                server.gone < server.connections or len(os.listdir("/proc/self/fd")) > descriptors
            ):
                await anyio.sleep(0.001)
