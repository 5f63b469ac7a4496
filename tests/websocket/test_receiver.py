"""Consumers are woken when all that was read is handed out, with other tasks' turns between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anygql import TransportProtocolError
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket import receiver
from anygql.websocket.sockets.base import WebSocketEnded
from tests.support.clients import client_of
from tests.support.websocket_peer import text

EVENTS = "subscription { n }"
COUNT = 40


@pytest.fixture(autouse=True)
def small_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every third message."""
    monkeypatch.setattr(receiver, "MESSAGES_BETWEEN_CHECKPOINTS", 3)


@asynccontextmanager
async def bursting(behind: bytes = b"") -> AsyncGenerator[tuple[Any, Any, Callable[[], None]]]:
    """Two subscriptions; when they are told to, all their events come in turn, in one write.

    ``behind`` comes behind them.
    """
    told = anyio.Event()

    async def script(peer: PeerConnection) -> None:
        await peer.handshake()
        ids = [(await peer.expect_type("subscribe"))["id"] for _ in range(2)]
        events = (
            b'{"type":"next","id":"%s","payload":{"data":{"n":%d}}}' % (id.encode(), n)
            for n in range(COUNT)
            for id in ids
        )
        await told.wait()
        await peer.send_raw(b"".join(map(text, events)) + behind)
        with suppress(WebSocketEnded):
            while True:
                await peer.receive()

    async with ScriptedPeer(script) as peer:
        async with (
            client_of(peer) as session,
            session.subscribe(EVENTS) as one,
            session.subscribe(EVENTS) as two,
        ):
            yield one, two, told.set


async def numbers(events: Any, count: int = COUNT) -> list[int]:
    return [(await anext(events))["n"] for _ in range(count)]


async def test_woken_once_for_all() -> None:
    async with bursting() as (one, two, begin):
        seen: list[list[int]] = []
        async with anyio.create_task_group() as tg:

            async def consume(events: Any) -> None:
                first = (await anext(events))["n"]
                seen.append([first, events._results.queued])

            tg.start_soon(consume, one)
            tg.start_soon(consume, two)
            await anyio.wait_all_tasks_blocked()
            begin()
        assert seen == [[0, COUNT - 1]] * 2
        assert await numbers(one, COUNT - 1) == list(range(1, COUNT))


async def test_other_tasks_have_their_turns_before() -> None:
    """However much was read."""
    async with bursting() as (one, two, begin):
        queued: list[int] = []
        async with anyio.create_task_group() as tg:

            async def watch() -> None:
                while True:
                    queued.append(one._results.queued)
                    await checkpoint()

            tg.start_soon(watch)
            begin()
            await anext(one)
            await anext(two)
            tg.cancel_scope.cancel()
        steps = sorted(set(queued))
        assert len(steps) > COUNT // 3
        assert all(after - before <= 3 for before, after in pairwise(steps))


@pytest.mark.parametrize("after", range(1, COUNT, 6))
async def test_cancelled_between_its_result_and_its_waking(after: int) -> None:
    async with bursting() as (one, two, begin):
        got: list[int] = []
        async with anyio.create_task_group() as tg:

            async def consume() -> None:
                got.append((await anext(one))["n"])

            async def cancel() -> None:
                while one._results.queued < after:
                    await checkpoint()
                tg.cancel_scope.cancel()

            tg.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            tg.start_soon(cancel)
            begin()
        assert not got
        assert await numbers(one) == await numbers(two) == list(range(COUNT))


async def test_what_breaks_the_protocol_comes_behind_them() -> None:
    async with bursting(text("{}")) as (one, two, begin):
        async with anyio.create_task_group() as tg:

            async def consume(events: Any) -> None:
                assert await numbers(events) == list(range(COUNT))
                with pytest.raises(TransportProtocolError):
                    await anext(events)

            tg.start_soon(consume, one)
            tg.start_soon(consume, two)
            await anyio.wait_all_tasks_blocked()
            begin()


class Said:
    """A server that answers a query at once, beside a subscription that is typed or isn't."""

    def __init__(self, answer: bytes = b'{"data":{"n":1}}') -> None:
        self.answer = answer
        self.late = b""
        self.more = anyio.Event()
        self.completed: list[str] = []
        self.told = anyio.Event()

    async def __call__(self, peer: PeerConnection) -> None:
        await peer.handshake()
        await peer.expect_type("subscribe")
        query = (await peer.expect_type("subscribe"))["id"].encode()
        await peer.send_text(b'{"type":"next","id":"%s","payload":%s}' % (query, self.answer))
        await self.more.wait()
        if self.late:
            await peer.send_text(b'{"type":"next","id":"%s","payload":%s}' % (query, self.late))
        with suppress(WebSocketEnded):
            while True:
                message = await peer.receive()
                if message["type"] == "complete":
                    self.completed.append(message["id"])
                    self.told.set()


@pytest.mark.parametrize("late", [b'{"data":{"n":2}}', b"5"])
@pytest.mark.parametrize("result_type", [None, dict[str, int]])
async def test_a_query_that_has_its_answer_gets_more(late: bytes, result_type: Any) -> None:
    """The server is told once that this was enough, however the others take their results."""
    server = Said()
    async with ScriptedPeer(server) as peer, client_of(peer) as session:
        async with session.subscribe(EVENTS, result_type=result_type):
            assert await session.execute("{ n }") == {"n": 1}
            server.late = late
            server.more.set()
            with anyio.fail_after(5):
                await server.told.wait()
            assert server.completed == ["2"]


async def test_half_of_a_surrogate_pair_beside_a_typed_subscription() -> None:
    """What a subscription leaves as JSON text is decoded for the others as ever."""
    server = Said(b'{"data":{"text":"a\\ud800b"}}')
    async with ScriptedPeer(server) as peer, client_of(peer) as session:
        async with session.subscribe(EVENTS, result_type=dict[str, int]):
            beside = await session.execute("{ text }")
        server.more.set()
    assert beside == {"text": "a\N{REPLACEMENT CHARACTER}b"}
