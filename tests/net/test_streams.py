"""Streams over sockets: reading, writing and closing, with and without waiting."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import SocketAttribute

from anygql.net.streams import CHUNK, SocketStream, socket_stream


class Pair:
    """A stream, and the socket at the other end, which never waits."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.stream = socket_stream(ours)

    def read(self) -> bytes:
        data = b""
        try:
            while piece := self.theirs.recv(2**20):
                data += piece
        except BlockingIOError:
            pass
        return data

    def close(self) -> None:
        self.stream.close()
        self.theirs.close()


@pytest.fixture
async def pair(anyio_backend: str) -> Iterator[Pair]:  # type: ignore[misc]
    it = Pair()
    yield it
    it.close()


async def test_there_and_back(pair: Pair) -> None:
    assert pair.stream.receive_nowait() is None
    assert pair.stream.write(b"ping")
    assert pair.read() == b"ping"
    assert pair.stream.bytes_sent == 4
    pair.theirs.send(b"pong")
    assert pair.stream.receive_nowait() == b"pong"
    assert pair.stream.receive_nowait() is None
    for _ in range(3):
        pair.theirs.send(b"more")
        assert await pair.stream.receive() == b"more"


async def test_the_end(pair: Pair) -> None:
    pair.theirs.send(b"last")
    pair.theirs.shutdown(socket.SHUT_WR)
    assert await pair.stream.receive() == b"last"
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await pair.stream.receive()
        assert pair.stream.receive_nowait() == b""
    assert pair.stream.write(b"still")
    assert pair.read() == b"still"


async def connected() -> tuple[SocketStream, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return socket_stream(ours), theirs


def reset(theirs: socket.socket) -> None:
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()


@pytest.mark.parametrize("waiting", [True, False])
async def test_a_reset(waiting: bool) -> None:
    stream, theirs = await connected()
    async with stream:
        if waiting:
            async with anyio.create_task_group() as tg:

                async def receive() -> None:
                    with pytest.raises(ConnectionResetError):
                        await stream.receive()

                tg.start_soon(receive)
                await anyio.sleep(0.01)
                reset(theirs)
        else:
            reset(theirs)
            with pytest.raises(ConnectionResetError):
                await stream.receive()
        with pytest.raises(OSError):
            stream.write(b"x")
        assert stream.bytes_sent == 0


async def test_a_reset_behind_data() -> None:
    """uvloop's one callback for both is enough."""
    stream, theirs = await connected()
    async with stream, anyio.create_task_group() as tg:

        async def receive() -> None:
            assert await stream.receive() == b"x"
            with pytest.raises(ConnectionResetError):
                await stream.receive()

        tg.start_soon(receive)
        await anyio.sleep(0.01)
        theirs.send(b"x")
        reset(theirs)


async def test_a_reset_while_it_writes() -> None:
    stream, theirs = await connected()
    async with stream, anyio.create_task_group() as tg:

        async def write() -> None:
            with pytest.raises(OSError):
                await stream.send(bytes(2**24))

        tg.start_soon(write)
        await anyio.sleep(0.01)
        theirs.send(b"x")
        reset(theirs)
        with anyio.fail_after(5), pytest.raises((OSError, anyio.EndOfStream)):
            while True:
                await stream.receive()


async def test_a_wait_for_something(pair: Pair) -> None:
    async with anyio.create_task_group() as tg:
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await pair.stream.receive())

        tg.start_soon(receive)
        await anyio.sleep(0.01)
        assert got == []
        pair.theirs.send(b"x")
    assert got == [b"x"]


async def test_canceled_as_something_comes(pair: Pair) -> None:
    """Nothing of it is lost."""
    for number in range(20):
        pair.theirs.send(b"%02d" % number)
        with anyio.CancelScope() as scope:
            if number % 2:
                scope.cancel()
            await pair.stream.receive()
    rest = pair.stream.receive_nowait() or b""
    assert rest in {b"", b"19"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("turns", range(5))
async def test_canceled_natively_as_something_comes(turns: int) -> None:
    import asyncio

    pair = Pair()
    task = asyncio.ensure_future(pair.stream.receive())
    await asyncio.sleep(0)
    pair.theirs.send(b"x")
    for _ in range(turns):
        await asyncio.sleep(0)
    got = b""
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        got = await task
    got += pair.stream.receive_nowait() or b""
    assert got == b"x"
    pair.close()


async def test_backpressure(pair: Pair) -> None:
    data = bytes(range(256)) * 2**14
    assert not pair.stream.write(data)
    assert 0 < pair.stream.bytes_sent < len(data)
    assert not pair.stream.write(b"the end")  # behind it
    got = bytearray()
    async with anyio.create_task_group() as tg:
        tg.start_soon(pair.stream.drain)
        while len(got) < len(data) + 7:
            got += pair.read()
            await anyio.sleep(0)
    assert got == data + b"the end"
    assert pair.stream.bytes_sent == len(got)
    assert pair.stream.write(b"x")


async def test_reading_while_it_writes(pair: Pair) -> None:
    assert not pair.stream.write(bytes(2**22))
    async with anyio.create_task_group() as tg:
        tg.start_soon(pair.stream.drain)
        await anyio.sleep(0.01)
        pair.theirs.send(b"stop")
        assert await pair.stream.receive() == b"stop"
        tg.cancel_scope.cancel()


async def test_no_more_than_a_chunk_at_a_time() -> None:
    stream, theirs = await connected()
    size = 3 * CHUNK
    async with stream, anyio.create_task_group() as tg:
        theirs.setblocking(False)
        sent = 0
        got = 0

        async def send() -> None:
            nonlocal sent
            while sent < size:
                try:
                    sent += theirs.send(bytes(size - sent))
                except BlockingIOError:
                    await anyio.wait_writable(theirs)

        tg.start_soon(send)
        while got < size:
            data = await stream.receive()
            assert len(data) <= CHUNK
            got += len(data)
    theirs.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True}), "trio"])
@pytest.mark.parametrize("how", ["reads", "writes", "nothing"])
async def test_closing_wakes_who_waits(pair: Pair, how: str) -> None:
    async with anyio.create_task_group() as tg:

        async def read() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await pair.stream.receive()

        async def write() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await pair.stream.send(bytes(2**22))

        if how != "nothing":
            tg.start_soon(read if how == "reads" else write)
        await anyio.sleep(0.01)
        pair.stream.close()
        pair.stream.close()
    pair.read()
    assert pair.theirs.recv(1) == b""  # it is closed at once
    with pytest.raises(anyio.ClosedResourceError):
        pair.stream.receive_nowait()
    with pytest.raises(anyio.ClosedResourceError):
        pair.stream.write(b"x")
    with pytest.raises(anyio.ClosedResourceError):
        await pair.stream.receive()
    await pair.stream.aclose()


async def test_our_half_can_end(pair: Pair) -> None:
    await pair.stream.send_eof()
    assert pair.theirs.recv(1) == b""
    pair.theirs.send(b"x")
    assert await pair.stream.receive() == b"x"
    pair.stream.close()
    await pair.stream.send_eof()  # it has ended already


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nothing_is_there_when_the_loop_says_so(pair: Pair) -> None:
    """What made the socket readable may be gone before it is read."""
    received: list[bytes] = []

    async def receive() -> None:
        received.append(await pair.stream.receive())

    async with anyio.create_task_group() as tg:
        tg.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        pair.theirs.send(b"x")
        await anyio.lowlevel.checkpoint()
        assert not received
        # The loop has seen it by now, and has yet to call back.
        assert pair.stream.extra(SocketAttribute.raw_socket).recv(1) == b"x"
        await anyio.wait_all_tasks_blocked()
        pair.theirs.send(b"y")
    assert received == [b"y"]


@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True})])
@pytest.mark.parametrize("how", ["data", "end"])
async def test_what_happens_while_it_is_idle(pair: Pair, how: str) -> None:
    """The loop tells, until it is told not to."""
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        seen.append(pair.stream.receive_nowait())
        if how == "end":
            pair.stream.close()

    seen: list[bytes | None] = []
    pair.stream.watch_idle(call)
    await anyio.sleep(0.005)
    assert calls == 0
    if how == "data":
        pair.theirs.send(b"x")
    else:
        pair.theirs.shutdown(socket.SHUT_WR)
    with anyio.fail_after(5):
        while not calls:
            await anyio.sleep(0)
    await anyio.sleep(0.005)
    assert calls == 1
    assert seen == [b"x" if how == "data" else b""]
    if how == "data":
        pair.stream.watch_idle(None)
        pair.theirs.send(b"y")
        await anyio.sleep(0.005)
        assert calls == 1
        assert await pair.stream.receive() == b"y"


async def test_data_for_a_busy_reader_does_not_spin(pair: Pair) -> None:
    """A reader that does something else isn't told again and again."""
    pair.theirs.send(b"x")
    assert await pair.stream.receive() == b"x"
    pair.theirs.send(b"y")
    for _ in range(10):
        await anyio.sleep(0)
    assert await pair.stream.receive() == b"y"
    pair.theirs.send(b"z")
    assert await pair.stream.receive() == b"z"


def test_closing_where_no_loop_runs(anyio_backend_name: str) -> None:
    pair: list[Pair] = []

    async def make() -> None:
        pair.append(Pair())
        pair[0].theirs.send(b"x")
        assert await pair[0].stream.receive() == b"x"

    anyio.run(make, backend=anyio_backend_name)
    pair[0].close()
    assert pair[0].stream.extra_attributes
