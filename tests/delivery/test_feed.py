"""What happens when results come faster than they are taken: the rules of DESIGN, Delivery."""

from __future__ import annotations

import tracemalloc
from typing import Any

import anyio
import pytest

from anygql import Client, SubscriptionOverflow, gql
from anygql.delivery.buffering import Delivery
from anygql.testing import GraphQLServer
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.stream import StreamConnector
from tests.support.amount import EVERYTHING
from tests.support.virtual import on_virtual_time

FLOOD = "subscription ($n: Int!) { flood(count: $n) }"
#: Of events that fill the network's buffers when there are not many of them.
HEAVY = "subscription ($n: Int!) { flood(count: $n, size: 2000) }"
HARD_LIMIT = 64


def events_for(connector: Connector, count: int) -> int:
    """trio-websocket takes some task switches for each message: the same, in less time."""
    return count if isinstance(connector, StreamConnector) else count // 5


async def settle(server: GraphQLServer) -> None:
    """Until the server can't send any more, because nobody reads."""
    before = -1
    while (sent := len(server.connections[0].sent)) != before:
        before = sent
        for _ in range(200):
            await anyio.lowlevel.checkpoint()


async def test_lone_slow_consumer_is_backpressure(make, server: GraphQLServer) -> None:
    """A consumer that sleeps while the server floods: nothing is read past the buffer."""
    total = 4_000  # more than the sockets themselves can hold
    async with make() as session:
        async with session.subscribe(HEAVY, {"n": total}, buffer_size=10) as events:
            first = await anext(events)
            await settle(server)
            connection = session._supervisor._connection
            assert connection.flow.paused
            (feed,) = connection.flow.full
            assert 5 < feed.queued <= 10  # it goes on at half
            assert len(server.connections[0].sent) < total
            count = 1
            async for event in events:
                assert event != first
                count += 1
        assert count == total


async def test_second_operation_beside_a_sleeping_consumer(
    make, server: GraphQLServer, connector: Connector
) -> None:
    """It reads on for the execute, up to the hard limit; the sleeper alone may fail for it."""
    count = events_for(connector, 50_000)
    async with make(execute_timeout=30) as session:
        async with session.subscribe(FLOOD, {"n": count}, buffer_size=10) as events:
            await anext(events)
            await settle(server)
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
            taken = 1
            with pytest.raises(SubscriptionOverflow, match="execute was waiting"):
                async for _ in events:
                    taken += 1
            # after what it has buffered, which is bounded
            assert 10 < taken <= 10 * HARD_LIMIT + 1
        await server.connections[0].wait_received("complete")
        assert await session.execute("{ hello }")


async def test_error(make, server: GraphQLServer) -> None:
    async with make() as session:
        async with session.subscribe(
            FLOOD, {"n": 100_000}, buffer_size=10, on_overflow="error"
        ) as events:
            await server.connections[0].wait_received("complete")
            taken: list[object] = []
            with pytest.raises(SubscriptionOverflow, match="on_overflow is 'error'"):
                async for event in events:
                    taken.append(event)
            assert len(taken) == 10
            with pytest.raises(SubscriptionOverflow):
                await events.receive()
        assert await session.execute("{ hello }")


async def test_drop_oldest(make, server: GraphQLServer) -> None:
    async with make(execute_timeout=30) as session:
        async with session.subscribe(
            FLOOD, {"n": 5_000}, buffer_size=10, on_overflow="drop_oldest"
        ) as events:
            await session.execute("{ hello }")
            await server.connections[0].wait_operations(0)
            await session.execute("{ hello }")  # behind the last event
            taken = [event["flood"] async for event in events]
            assert len(taken) == 10
            assert events.dropped == 5_000 - 10
        async with session.subscribe(FLOOD, {"n": 5_000}) as events:
            last = [event["flood"] async for event in events][-10:]
        assert taken == last


async def test_execute_for_each_event_of_a_flood(make) -> None:
    async with make() as session:
        count = 0
        async with session.subscribe(FLOOD, {"n": 500}) as events:
            async for _ in events:
                assert await session.execute("query ($n: Int!) { add(a: $n, b: 1) }", {"n": count})
                count += 1
        assert count == 500


@pytest.mark.sampled
async def test_slow_but_steady_beside_an_idle_subscription(
    make, server: GraphQLServer, connector: Connector
) -> None:
    """All of many events, in bounded memory, though somebody else waits for ever."""
    most = 0
    total = events_for(connector, 60_000 if EVERYTHING else 20_000)
    async with make() as session, anyio.create_task_group() as tg:

        async def idle() -> None:
            async for _ in session.subscribe("subscription { never }"):
                raise AssertionError("unreachable")

        tg.start_soon(idle)
        await server.connections[0].wait_operations(1)
        count = 0
        async with session.subscribe(FLOOD, {"n": total}, buffer_size=16) as events:
            feed = None
            async for _ in events:
                count += 1
                if not count % 500:
                    await anyio.lowlevel.checkpoint()
                    feed = feed or events._results
                    most = max(most, feed.queued)
        tg.cancel_scope.cancel()
    assert count == total
    assert most <= 16 * HARD_LIMIT


async def test_stuck_consumer_fails_alone(make, server: GraphQLServer) -> None:
    async with make() as session:
        async with (
            session.subscribe(HEAVY, {"n": 10_000}, buffer_size=2, stall_timeout=0.1) as stuck,
            session.subscribe("subscription { countdown(from: 1) }") as other,
        ):
            assert [event["countdown"] async for event in other] == [1, 0]
            async with session.subscribe("subscription { never }") as waiting:
                with anyio.move_on_after(10):
                    async with anyio.create_task_group() as tg:
                        tg.start_soon(anext, waiting)
                        await server.connections[0].wait_received("complete")
                        tg.cancel_scope.cancel()
            taken = 0
            with pytest.raises(SubscriptionOverflow, match=r"took nothing for 0\.1 s"):
                async for _ in stuck:
                    taken += 1
            assert taken == 2 * HARD_LIMIT
        assert await session.execute("{ hello }")


@on_virtual_time
async def test_a_neighbor_does_not_prolong_the_time_of_a_stuck_consumer(memory: Client) -> None:
    async with memory as session, anyio.create_task_group() as tg:

        async def idle() -> None:
            async for _ in session.subscribe("subscription { never }"):
                raise AssertionError("unreachable")

        async with session.subscribe(HEAVY, {"n": 10_000}, buffer_size=2, stall_timeout=0.2) as it:
            flow = session._supervisor._connection.flow
            tg.start_soon(idle)
            with anyio.fail_after(10):
                while not flow.paused:
                    await anyio.lowlevel.checkpoint()
            since = anyio.current_time()
            pauses = flow.pauses
            tg.start_soon(idle)
            with anyio.fail_after(10):
                while flow.full:
                    await anyio.sleep(0.01)
            assert flow.pauses == pauses + 1
            assert since + 0.2 <= anyio.current_time() + 0.01
            with pytest.raises(SubscriptionOverflow, match=r"took nothing for 0\.2 s"):
                async for _ in it:
                    pass
        tg.cancel_scope.cancel()


async def test_results_that_wait_are_not_waited_for(server: GraphQLServer) -> None:
    async with server.transport().connect() as connection:
        feed = connection.subscribe(gql("subscription { countdown(from: 1) }"), Delivery(9))
        received: list[Any] = []
        with pytest.raises(anyio.EndOfStream):
            while True:
                await feed.wait()
                await feed.wait()
                result = feed.receive_nowait()
                assert result is not None
                received.append(result.data)
        feed.leave()
        assert received == [{"countdown": 1}, {"countdown": 0}]


async def test_memory_stays_bounded(memory: Client, server: GraphQLServer) -> None:
    async with memory as session:
        async with session.subscribe(
            "subscription { flood(count: 20000, size: 1000) }", buffer_size=10
        ) as events:
            await anext(events)
            await settle(server)
            tracemalloc.start()
            try:
                for _ in range(5_000):
                    await anext(events)
                    await anyio.lowlevel.checkpoint()
                current, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            # the server keeps what it sent; the client's share is what waits
            assert len(session._supervisor._connection.routes.by_id) == 1
            assert events._results.queued <= 10
            assert current < 200 * 2**20


async def test_nobody_starves(memory: Client) -> None:
    """A flood in one task leaves the others their turns."""
    turns = 0
    async with memory as session, anyio.create_task_group() as tg:

        async def count() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        tg.start_soon(count)
        async for _ in session.subscribe(FLOOD, {"n": 10_000}):
            pass
        tg.cancel_scope.cancel()
    assert turns > 10_000 / 64
