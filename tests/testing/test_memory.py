from __future__ import annotations

import gc

import anyio
import pytest

from anygql.testing import memory_stream_pair


async def test_bytes_arrive_in_order() -> None:
    one, two = memory_stream_pair()
    async with one, two:
        await one.send(b"abc")
        await one.send(b"def")
        assert await two.receive(4) == b"abcd"
        assert await two.receive() == b"ef"
        await two.send(b"back")
        assert await one.receive() == b"back"


async def test_send_waits_while_the_buffer_is_full() -> None:
    one, two = memory_stream_pair(buffer_size=4)
    sent = anyio.Event()

    async def send() -> None:
        await one.send(b"0123456789")
        sent.set()

    async with one, two, anyio.create_task_group() as tg:
        tg.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        received = []
        for size in (4, 4):
            assert not sent.is_set()
            received.append(await two.receive())
            assert len(received[-1]) == size
            await anyio.wait_all_tasks_blocked()
        assert sent.is_set()
        assert b"".join([*received, await two.receive()]) == b"0123456789"


async def test_eof_comes_after_the_data_and_leaves_the_other_direction_open() -> None:
    one, two = memory_stream_pair()
    async with one, two:
        await one.send(b"last")
        await one.send_eof()
        assert await two.receive() == b"last"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await two.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await one.send(b"more")
        await two.send(b"still")
        assert await one.receive() == b"still"


async def test_aclose_ends_both_directions() -> None:
    one, two = memory_stream_pair()
    async with two:
        await one.send(b"last")
        await one.aclose()
        await one.aclose()
        with pytest.raises(anyio.BrokenResourceError):
            await two.send(b"nobody reads")
        assert await two.receive() == b"last"
        with pytest.raises(anyio.EndOfStream):
            await two.receive()
        for use in (one.receive, lambda: one.send(b"x")):
            with pytest.raises(anyio.ClosedResourceError):
                await use()


async def test_reset_loses_what_was_sent() -> None:
    one, two = memory_stream_pair()
    async with one, two:
        await one.send(b"lost")
        one.reset()
        for use in (two.receive, lambda: two.send(b"x")):
            with pytest.raises(anyio.BrokenResourceError):
                await use()


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("two.aclose", anyio.EndOfStream),
        ("two.send_eof", anyio.EndOfStream),
        ("two.reset", anyio.BrokenResourceError),
        ("one.aclose", anyio.ClosedResourceError),
        ("one.reset", anyio.ClosedResourceError),
    ],
)
async def test_a_waiting_receiver_is_woken(end: str, error: type[Exception]) -> None:
    one, two = memory_stream_pair()
    async with one, two, anyio.create_task_group() as tg:

        async def receive() -> None:
            with pytest.raises(error):
                await one.receive()

        tg.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        which, method = end.split(".")
        ended = getattr({"one": one, "two": two}[which], method)()
        if ended is not None:
            await ended


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("two.aclose", anyio.BrokenResourceError),
        ("two.reset", anyio.BrokenResourceError),
        ("one.aclose", anyio.ClosedResourceError),
        ("one.send_eof", anyio.ClosedResourceError),
    ],
)
async def test_a_waiting_sender_is_woken(end: str, error: type[Exception]) -> None:
    one, two = memory_stream_pair(buffer_size=1)
    async with one, two, anyio.create_task_group() as tg:

        async def send() -> None:
            with pytest.raises(error):
                await one.send(b"too much")

        tg.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        which, method = end.split(".")
        ended = getattr({"one": one, "two": two}[which], method)()
        if ended is not None:
            await ended


async def test_a_canceled_receive_loses_nothing() -> None:
    one, two = memory_stream_pair()
    async with one, two:
        for data in (b"1", b"2", b"3"):
            async with anyio.create_task_group() as tg:
                tg.start_soon(one.receive)
                await anyio.wait_all_tasks_blocked()
                tg.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await two.send(data)
            assert await one.receive() == data


async def test_two_receivers_are_one_too_many() -> None:
    one, two = memory_stream_pair()
    async with one, two, anyio.create_task_group() as tg:
        tg.start_soon(one.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await one.receive()
        tg.cancel_scope.cancel()


async def test_an_unclosed_stream_warns() -> None:
    one, two = memory_stream_pair()
    await two.aclose()
    streams = [one]
    del one
    with pytest.warns(ResourceWarning, match="unclosed"):
        streams.clear()
    gc.collect()


def test_a_buffer_holds_something() -> None:
    with pytest.raises(ValueError, match="buffer_size"):
        memory_stream_pair(buffer_size=0)
