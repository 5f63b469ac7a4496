"""The proxy's own tests, between plain TCP and an echo."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio import BrokenResourceError, EndOfStream
from anyio.abc import SocketAttribute, SocketStream

from tests.promises.faults.proxy import Direction, FaultProxy

FAULTS = (BrokenResourceError, EndOfStream)


class Echo:
    """Sends back what it gets, and notes how each connection ended."""

    def __init__(self) -> None:
        self.port = 0
        self.endings: list[str] = []
        self.ended = anyio.Event()
        self.received = b""

    async def handle(self, stream: SocketStream) -> None:
        async with stream:
            try:
                while True:
                    data = await stream.receive()
                    self.received += data
                    await stream.send(data)
            except EndOfStream:
                self.endings.append("eof")
            except BrokenResourceError:
                self.endings.append("reset")
        self.ended.set()


@asynccontextmanager
async def echoing() -> AsyncGenerator[tuple[Echo, FaultProxy]]:
    echo = Echo()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        echo.port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, echo.handle)
            async with FaultProxy("127.0.0.1", echo.port) as proxy:
                yield echo, proxy
            tg.cancel_scope.cancel()


async def receive_exactly(stream: SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await stream.receive(count - len(data))
    return data


async def ask(stream: SocketStream, data: bytes) -> bytes:
    await stream.send(data)
    return await receive_exactly(stream, len(data))


async def test_forwards_both_ways_and_all_of_it() -> None:
    data = bytes(range(256)) * 8192
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        async with await anyio.connect_tcp(proxy.host, proxy.port) as two:
            async with anyio.create_task_group() as tg:
                tg.start_soon(one.send, data)
                assert await receive_exactly(one, len(data)) == data
            assert await ask(two, b"two") == b"two"
            assert [c.forwarded["up"] for c in proxy.connections] == [len(data), 3]
        await one.send_eof()
        with pytest.raises(EndOfStream):
            await one.receive()
        await proxy.wait_idle()
        assert echo.endings == ["eof", "eof"]


async def test_cut_is_a_fin_to_both() -> None:
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"here") == b"here"
        (connection,) = proxy.connections
        await proxy.cut()
        with pytest.raises(EndOfStream):
            await one.receive()
        await echo.ended.wait()
        assert echo.endings == ["eof"]
        await one.aclose()
        await connection.wait_closed()


async def test_reset_is_a_rst_to_both() -> None:
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"here") == b"here"
        proxy.reset()
        with pytest.raises(BrokenResourceError):
            await one.receive()
        await echo.ended.wait()
        assert echo.endings == ["reset"]
        await proxy.wait_idle()


async def test_a_reset_by_one_side_reaches_the_other() -> None:
    async with echoing() as (echo, proxy):
        one = await anyio.connect_tcp(proxy.host, proxy.port)
        assert await ask(one, b"here") == b"here"
        await one.send(b"and an answer that nobody reads")
        await proxy.connections[0].wait_forwarded("down", 4 + 31)
        await anyio.aclose_forcefully(one)  # with unread bytes: a RST
        await echo.ended.wait()
        assert echo.endings == ["reset"]
        await proxy.wait_idle()


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_half_close(direction: Direction) -> None:
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"here") == b"here"
        await proxy.half_close(direction)
        with pytest.raises(EndOfStream):
            await one.receive()  # of "up": because the echo closes when it is told
        if direction == "up":
            assert echo.endings == ["eof"]
        else:
            assert not echo.ended.is_set()
            await one.send(b"still comes")
            await one.send_eof()
            await echo.ended.wait()
            assert echo.received == b"herestill comes"


async def test_freeze_and_unfreeze() -> None:
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"here") == b"here"
        proxy.freeze()
        await one.send(b"silence")
        async with await anyio.connect_tcp(proxy.host, proxy.port) as two:
            await two.send(b"accepted")
            await proxy.wait_accepted(2)
            await anyio.wait_all_tasks_blocked()
            assert echo.received == b"here"
            proxy.unfreeze()
            assert await receive_exactly(one, 7) == b"silence"
            assert await receive_exactly(two, 8) == b"accepted"


async def test_freeze_one_of_two() -> None:
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"one") == b"one"
        async with await anyio.connect_tcp(proxy.host, proxy.port) as two:
            proxy.connections[0].freeze()
            await one.send(b"frozen")
            assert await ask(two, b"two") == b"two"
            assert echo.received == b"onetwo"
            proxy.connections[0].unfreeze()
            assert await receive_exactly(one, 6) == b"frozen"


async def test_pieces_and_delay() -> None:
    async with echoing() as (_echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        proxy.piece_size = 1
        proxy.delay = 0.001
        await one.send(b"abcdefgh")
        pieces = []
        while len(b"".join(pieces)) < 8:
            pieces.append(await one.receive())
        assert b"".join(pieces) == b"abcdefgh"
        assert len(pieces) > 1
        proxy.piece_size = 3
        assert await ask(one, b"abcdefgh") == b"abcdefgh"


async def test_refuse_and_accept_again() -> None:
    async with echoing() as (_echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"one") == b"one"
        for _ in range(3):
            proxy.refuse()
            with pytest.raises(OSError, match="onnect"):
                await anyio.connect_tcp(proxy.host, proxy.port)
            assert await ask(one, b"goes on") == b"goes on"
            proxy.accept()
            async with await anyio.connect_tcp(proxy.host, proxy.port) as two:
                assert await ask(two, b"two") == b"two"


async def test_corrupt() -> None:
    async with echoing() as (echo, proxy), await anyio.connect_tcp(proxy.host, proxy.port) as one:
        assert await ask(one, b"one") == b"one"
        await proxy.corrupt(b"garbage")
        assert await receive_exactly(one, 7) == b"garbage"
        await proxy.corrupt(b"GARBAGE", "up")
        assert await receive_exactly(one, 7) == b"GARBAGE"
        assert echo.received == b"oneGARBAGE"


async def test_a_target_that_refuses() -> None:
    async with echoing() as (echo, proxy):
        proxy.target = ("127.0.0.1", proxy.port)
        proxy.refuse()
        async with FaultProxy(*proxy.target) as before:
            async with await anyio.connect_tcp(before.host, before.port) as one:
                with pytest.raises(FAULTS):
                    await one.receive()
            before.target = ("127.0.0.1", echo.port)
            async with await anyio.connect_tcp(before.host, before.port) as two:
                assert await ask(two, b"two") == b"two"


async def test_leaving_ends_everything() -> None:
    async with echoing() as (echo, proxy):
        async with FaultProxy("127.0.0.1", echo.port) as inner:
            one = await anyio.connect_tcp(inner.host, inner.port)
            assert await ask(one, b"one") == b"one"
            inner.freeze()
            two = await anyio.connect_tcp(inner.host, inner.port)
            await inner.wait_accepted(2)
        for stream in (one, two):
            with pytest.raises(FAULTS):
                await stream.receive()
            with suppress(OSError):
                await stream.aclose()
        assert not inner.connections
        assert not proxy.connections
