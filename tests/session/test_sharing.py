"""One subscription for many listeners: each gets everything in order, or pays for itself alone."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from graphql import GraphQLError, build_schema

from anygql import (
    Client,
    HTTPTransport,
    LocalSchemaTransport,
    ResultTypeError,
    Session,
    SharedSubscription,
    SplitTransport,
    Subscription,
    SubscriptionOverflow,
    TransportClosed,
    TransportQueryError,
    gql,
)
from anygql.testing import GraphQLServer
from tests.support.virtual import on_virtual_time

SCHEMA = build_schema("""
    type Query { hello: String }
    type Subscription { tick(from: Int): Int! }
""")
TICKS = gql("subscription ($from: Int) { tick(from: $from) }")


class Ticker:
    """A source of events that the test sends, to every subscription that runs."""

    def __init__(self) -> None:
        self.begun: list[int | None] = []
        self.running: dict[int, MemoryObjectSendStream[int | Exception]] = {}
        self._receiving: list[MemoryObjectReceiveStream[int | Exception]] = []
        self._changed = anyio.Event()

    async def tick(self, _info: object, **arguments: int) -> AsyncIterator[dict[str, Any]]:
        send, receive = anyio.create_memory_object_stream[int | Exception](100_000)
        number = len(self.begun)
        self.begun.append(arguments.get("from"))
        self.running[number] = send
        self._receiving.append(receive)
        return self._events(number, receive)

    async def _events(
        self, number: int, receive: MemoryObjectReceiveStream[int | Exception]
    ) -> AsyncGenerator[dict[str, Any]]:
        self._notify()
        try:
            with receive:
                async for event in receive:
                    yield {"tick": event}
        finally:
            self.running.pop(number).close()
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def send(self, *events: int | Exception) -> None:
        for stream in self.running.values():
            for event in events:
                stream.send_nowait(event)

    def close(self) -> None:
        """Close what no subscription has: one may be left before its first event."""
        for stream in (*self.running.values(), *self._receiving):
            stream.close()

    def complete(self) -> None:
        for stream in self.running.values():
            stream.close()

    async def wait_running(self, count: int = 1) -> None:
        while len(self.running) != count:
            await self._changed.wait()

    async def wait_begun(self, count: int) -> None:
        while len(self.begun) != count or len(self.running) != 1:
            await self._changed.wait()


@pytest.fixture
def ticker() -> Iterator[Ticker]:
    ticker = Ticker()
    yield ticker
    ticker.close()


@pytest.fixture
async def server(ticker: Ticker, bounded: None) -> AsyncIterator[GraphQLServer]:
    async with GraphQLServer(SCHEMA, root_value=ticker) as server:
        yield server


@pytest.fixture
async def session(server: GraphQLServer) -> AsyncIterator[Session]:
    async with Client(server.transport()) as session:
        yield session


@asynccontextmanager
async def listening(
    ticker: Ticker, hub: SharedSubscription[Any], **options: Any
) -> AsyncIterator[Subscription[Any]]:
    async with hub.listen(**options) as events:
        await ticker.wait_running()
        yield events


async def take(events: Subscription[Any], count: int) -> list[Any]:
    return [await anext(events) for _ in range(count)]


async def rest(events: Subscription[Any]) -> list[Any]:
    return [event async for event in events]


# One upstream.


async def test_one_upstream_for_all(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick") as hub:
        assert repr(hub).endswith("not running>")
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1, 2)
            assert await take(first, 2) == [1, 2]
            async with hub.listen() as late:
                ticker.send(3)
                assert await take(second, 3) == [1, 2, 3]
                assert await take(late, 1) == [3]
            ticker.send(4)
            assert await take(first, 2) == [3, 4]
            assert len(ticker.running) == 1
            assert repr(hub).endswith(", running>")
        await ticker.wait_running(0)
        async with listening(ticker, hub) as again:
            ticker.send(5)
            assert await take(again, 1) == [5]
    assert len(ticker.begun) == 2


@pytest.mark.parametrize("kind", ["local", "sse", "split"])
async def test_over_other_transports(kind: str, ticker: Ticker, server: GraphQLServer) -> None:
    transport: Any
    if kind == "local":
        transport = LocalSchemaTransport(SCHEMA, root_value=ticker)
    else:
        await server.listen()
        transport = HTTPTransport(server.http_url)
        if kind == "split":
            transport = SplitTransport(transport, subscriptions=server.transport())
    async with Client(transport) as session, session.share(TICKS, path="tick") as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1, 2)
            assert await take(first, 2) == await take(second, 2) == [1, 2]
        await ticker.wait_running(0)
    assert len(ticker.begun) == 1


async def test_linger(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick", linger=None) as hub:
        async with listening(ticker, hub) as events:
            ticker.send(1)
            assert await take(events, 1) == [1]
        async with hub.listen() as events:
            ticker.send(2)
            assert await take(events, 1) == [2]
        await anyio.wait_all_tasks_blocked()
        assert len(ticker.running) == 1
    await ticker.wait_running(0)
    assert len(ticker.begun) == 1


async def test_without_linger_the_next_one_begins_another(session: Session, ticker: Ticker) -> None:
    """On every loop, and however soon it comes."""
    async with session.share(TICKS, path="tick", replay=1) as hub:
        for number in range(1, 4):
            async with hub.listen() as events:
                await ticker.wait_begun(number)
                ticker.send(number)
                assert await take(events, 1) == [number]
            assert repr(hub).endswith("not running>")


@on_virtual_time
@pytest.mark.parametrize("again", [True, False])
async def test_linger_for_a_time(session: Session, ticker: Ticker, again: bool) -> None:
    async with session.share(TICKS, path="tick", linger=0.02) as hub:
        async with listening(ticker, hub):
            pass
        if again:
            async with hub.listen() as events:
                ticker.send(1)
                assert await take(events, 1) == [1]
                assert len(ticker.begun) == 1
        await ticker.wait_running(0)


async def test_replay(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick", replay=1) as hub:
        async with listening(ticker, hub) as first:
            ticker.send(1, 2)
            assert await take(first, 2) == [1, 2]
            async with hub.listen(buffer_size=1, on_overflow="error") as late:
                assert await take(late, 1) == [2]
                ticker.send(3)
                assert await take(late, 1) == [3]
            assert await take(first, 1) == [3]
        await ticker.wait_running(0)
        async with listening(ticker, hub) as another:  # the newest item was of the other upstream
            ticker.send(4)
            assert await take(another, 1) == [4]


async def test_leaving_the_hub_ends_all(session: Session, ticker: Ticker) -> None:
    ended: list[list[int]] = []

    async def listen(hub: SharedSubscription[int]) -> None:
        async with hub.listen() as events:
            ended.append(await rest(events))

    async with anyio.create_task_group() as tg:
        async with session.share(TICKS, path="tick", result_type=int) as hub:
            async with listening(ticker, hub) as events:
                tg.start_soon(listen, hub)
                tg.start_soon(listen, hub)
                await anyio.wait_all_tasks_blocked()
                ticker.send(1)
                await take(events, 1)
            kept = hub.listen()
            await kept.__aenter__()
    assert ended == [[1], [1]]
    assert await rest(kept) == []
    await kept.aclose()
    with pytest.raises(RuntimeError, match="the block of this shared subscription was left"):
        await hub.listen().receive()
    await ticker.wait_running(0)


async def test_dropping_a_listener_leaves(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick") as hub:
        events = hub.listen()
        await events.__aenter__()
        await ticker.wait_running()
        del events
        await ticker.wait_running(0)


# A listener that is stuck.


async def in_order(hub: SharedSubscription[int], count: int, joined: list[None]) -> None:
    async with hub.listen(buffer_size=4) as events:
        joined.append(None)
        assert await take(events, count) == list(range(count))


async def stuck(
    hub: SharedSubscription[int], count: int, joined: list[None], done: anyio.Event
) -> None:
    async with hub.listen(buffer_size=4, stall_timeout=0.01) as events:
        joined.append(None)
        await done.wait()
        taken: list[int] = []
        with pytest.raises(SubscriptionOverflow, match=r"took nothing for 0\.01 s"):
            async for event in events:
                taken.append(event)
        assert taken == list(range(4 * 64))


async def test_a_tenth_of_1000_is_stuck(session: Session, ticker: Ticker) -> None:
    listeners, count, done = 1000, 300, anyio.Event()
    joined: list[None] = []
    async with session.share(TICKS, path="tick", result_type=int) as hub:
        async with anyio.create_task_group() as slow:
            async with anyio.create_task_group() as tg:
                for number in range(listeners):
                    if number % 10:
                        tg.start_soon(in_order, hub, count, joined)
                    else:
                        slow.start_soon(stuck, hub, count, joined, done)
                while len(joined) < listeners:
                    await checkpoint()
                await ticker.wait_running()
                ticker.send(*range(count))
            done.set()
    assert len(ticker.begun) == 1


async def test_an_execute_does_not_wait_for_a_stuck_listener(
    session: Session, ticker: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection can't read on for it; the stuck listener ends, and the upstream does not."""
    monkeypatch.setattr("anygql.delivery.buffering.HARD_LIMIT_FACTOR", 2)
    count = 10_000
    taken: list[int] = []

    async def follow(hub: SharedSubscription[int]) -> None:
        async with hub.listen() as events:
            while len(taken) < count:
                taken.append(await anext(events))

    async with session.share(TICKS, path="tick", result_type=int) as hub:
        async with listening(ticker, hub, buffer_size=8, stall_timeout=None) as stuck:
            async with anyio.create_task_group() as tg:
                tg.start_soon(follow, hub)
                await anyio.wait_all_tasks_blocked()
                ticker.send(*range(count))
                await anyio.wait_all_tasks_blocked()
                assert len(taken) == 16
                assert await session.execute("{ hello }") == {"hello": None}
            with pytest.raises(SubscriptionOverflow, match="while an execute was waiting"):
                await rest(stuck)
    assert taken == list(range(count))


@pytest.mark.parametrize("linger", [0, None])
async def test_an_execute_does_not_wait_for_the_one_listener(
    session: Session, ticker: Ticker, monkeypatch: pytest.MonkeyPatch, linger: int | None
) -> None:
    """It ends, and with it the upstream if that doesn't linger."""
    monkeypatch.setattr("anygql.delivery.buffering.HARD_LIMIT_FACTOR", 2)
    async with session.share(TICKS, path="tick", linger=linger) as hub:
        async with listening(ticker, hub, buffer_size=8, stall_timeout=None) as stuck:
            ticker.send(*range(10_000))
            await anyio.wait_all_tasks_blocked()
            assert await session.execute("{ hello }") == {"hello": None}
            with pytest.raises(SubscriptionOverflow, match="while an execute was waiting"):
                await rest(stuck)
        await ticker.wait_running(int(linger is None))
        async with hub.listen():
            await ticker.wait_begun(1 if linger is None else 2)


async def test_each_has_its_rule(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick") as hub:
        async with (
            listening(ticker, hub) as patient,
            hub.listen(buffer_size=2, on_overflow="error") as strict,
            hub.listen(buffer_size=2, on_overflow="drop_oldest") as newest,
        ):
            ticker.send(*range(5))
            assert await take(patient, 5) == [0, 1, 2, 3, 4]
            assert await take(newest, 2) == [3, 4]
            assert (newest.dropped, patient.dropped) == (3, 0)
            assert await take(strict, 2) == [0, 1]
            with pytest.raises(SubscriptionOverflow, match="on_overflow is 'error'"):
                await anext(strict)
            ticker.send(5)
            assert await take(patient, 1) == await take(newest, 1) == [5]


# Errors and ends.


async def test_errors_reach_each_in_its_place(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick") as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1, GraphQLError("broken"), 2)
            raised: list[TransportQueryError] = []
            for events in (first, second):
                assert await take(events, 1) == [1]
                with pytest.raises(TransportQueryError, match="broken") as info:
                    await anext(events)
                raised.append(info.value)
                assert await take(events, 1) == [2]
            assert raised[0] is not raised[1]


async def test_the_end_comes_after_what_is_buffered(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick") as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1, 2)
            ticker.complete()
            assert await rest(first) == await rest(second) == [1, 2]
            async with hub.listen() as third:  # begins another
                await ticker.wait_running()
                ticker.send(3)
                assert await take(third, 1) == [3]


async def test_a_loss_comes_after_what_is_buffered(
    session: Session, ticker: Ticker, server: GraphQLServer
) -> None:
    async with session.share(TICKS, path="tick") as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1, 2)
            assert await take(first, 2) == [1, 2]
            server.drop_connections()
            assert await take(second, 2) == [1, 2]
            for events in (first, second):
                with pytest.raises(Exception, match="connection") as info:
                    await anext(events)
                assert type(info.value).__name__ == "TransportConnectionFailed"
        with pytest.raises(Exception, match="connection"):
            async with hub.listen():
                pass


async def test_a_session_that_closes(server: GraphQLServer, ticker: Ticker) -> None:
    async with anyio.create_task_group() as tg:
        session = await Client(server.transport()).connect_async(tg)
        async with session.share(TICKS) as hub, listening(ticker, hub) as events:
            tg.cancel_scope.cancel()
    with pytest.raises(TransportClosed):
        async with session.share(TICKS) as hub, hub.listen():
            pass
    del events


async def test_gaps_are_told_to_all(server: GraphQLServer, ticker: Ticker, soon: None) -> None:
    resubscribed: list[Any] = []

    def on_resubscribe(_: Subscription[Any], last: Any) -> dict[str, Any]:
        resubscribed.append(last)
        return {"from": last}

    async with Client(server.transport()).connect(reconnecting=True) as session:
        shared = session.share(TICKS, path="tick", replay=1, on_resubscribe=on_resubscribe)
        async with shared as hub:
            async with listening(ticker, hub) as first, hub.listen() as slow:
                ticker.send(1)
                assert await take(first, 1) == [1]
                server.drop_connections()
                await ticker.wait_running(0)
                async with hub.listen() as late:
                    await ticker.wait_running()
                    ticker.send(2)
                    assert await take(first, 1) == [2]
                    assert first.reconnects == 1
                    for events in (slow, late):
                        assert await take(events, 1) == [1]
                        assert events.reconnects == 0
                        assert await take(events, 1) == [2]
                        assert events.reconnects == 1
                async with hub.listen() as later:
                    assert await take(later, 1) == [2]
                    assert later.reconnects == 0
    assert resubscribed == [1]
    assert ticker.begun == [None, 1]


async def test_what_on_resubscribe_raises(
    server: GraphQLServer, ticker: Ticker, soon: None
) -> None:
    def on_resubscribe(_: Subscription[Any], last: Any) -> None:
        raise LookupError("no such thing")

    async with Client(server.transport()).connect(reconnecting=True) as session:
        async with session.share(TICKS, on_resubscribe=on_resubscribe) as hub:
            async with listening(ticker, hub) as first, hub.listen() as second:
                server.drop_connections()
                for events in (first, second):
                    with pytest.raises(LookupError, match="no such thing"):
                        await anext(events)


# Types.


@dataclass(frozen=True)
class Tick:
    tick: int


async def test_a_result_is_converted_once(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, result_type=Tick) as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1)
            event = await anext(first)
            assert event == Tick(1)
            assert await anext(second) is event


async def test_a_result_of_another_type(session: Session, ticker: Ticker) -> None:
    async with session.share(TICKS, path="tick", result_type=str) as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            ticker.send(1)
            for events in (first, second):
                with pytest.raises(ResultTypeError):
                    await anext(events)


# Cancellation.


async def test_a_canceled_listener_takes_nothing_from_another(
    session: Session, ticker: Ticker
) -> None:
    async with session.share(TICKS, path="tick") as hub:
        async with listening(ticker, hub) as first, hub.listen() as second:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(first)
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with hub.listen():
                    pass
            ticker.send(1)
            assert await take(first, 1) == await take(second, 1) == [1]


async def test_the_first_listener_is_canceled(session: Session, ticker: Ticker) -> None:
    """The others go on, though it was the one that began the upstream."""
    async with session.share(TICKS, path="tick") as hub, anyio.create_task_group() as tg:
        scope = anyio.CancelScope()

        async def first() -> None:
            with scope:
                async with hub.listen() as events:
                    await rest(events)

        tg.start_soon(first)
        await ticker.wait_running()
        async with hub.listen() as second:
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
            ticker.send(1)
            assert await take(second, 1) == [1]
    assert len(ticker.begun) == 1


async def test_the_hub_is_left_while_a_listener_begins(
    server: GraphQLServer, ticker: Ticker
) -> None:
    refused: list[str] = []
    client = Client(server.transport())
    async with client.connect(reconnecting=True) as session, anyio.create_task_group() as tg:
        await server.stop()

        async def listen(hub: Any) -> None:
            with pytest.raises(RuntimeError, match="was left") as caught:
                async with hub.listen():
                    raise AssertionError("it has begun")
            refused.append(str(caught.value))

        async with session.share(TICKS, path="tick") as hub:
            tg.start_soon(listen, hub)
            await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            while not refused:
                await anyio.lowlevel.checkpoint()


# Mistakes.


async def test_mistakes(session: Session) -> None:
    with pytest.raises(ValueError, match="linger must be at least 0 s, not -1"):
        session.share(TICKS, linger=-1)
    with pytest.raises(ValueError, match="linger must be at least 0 s, not nan"):
        session.share(TICKS, linger=math.nan)
    with pytest.raises(TypeError, match="linger is a number of seconds or None, not str"):
        session.share(TICKS, linger="2")  # type: ignore[call-overload]
    wrong: Any
    for wrong in (2, "1", None, []):
        with pytest.raises(ValueError, match="replay must be 0"):
            session.share(TICKS, replay=wrong)
    with pytest.raises(TypeError, match="buffersize"):
        session.share(TICKS, buffersize=2)  # type: ignore[call-overload]
    hub: SharedSubscription[Any] = session.share(TICKS)
    with pytest.raises(RuntimeError, match="block of this shared subscription was not entered"):
        await hub.listen().receive()
    with pytest.raises(ValueError, match="buffer_size"):
        hub.listen(buffer_size=0)
    with pytest.raises(TypeError, match="not awaited"):
        await hub  # type: ignore[misc]
    with pytest.raises(TypeError, match="not iterated itself"):
        [event async for event in hub]  # type: ignore[attr-defined]
    async with hub:
        pass
    with pytest.raises(RuntimeError, match="entered once"):
        async with hub:
            pass
    with pytest.raises(TypeError, match="transport_args"):
        async with session.share(TICKS, transport_args={"headers": {}}) as hub, hub.listen():
            pass


@pytest.mark.parametrize("is_running", [True, False])
async def test_another_loop(session: Session, ticker: Ticker, is_running: bool) -> None:
    """A listener in it is refused, and takes nothing from the others."""

    async def listen_there() -> None:
        with pytest.raises(RuntimeError, match="the shared subscription belongs to another event"):
            await hub.listen().receive()

    async with session.share(TICKS, path="tick", linger=None) as hub, AsyncExitStack() as stack:
        if is_running:
            await stack.enter_async_context(hub.listen())
            await ticker.wait_running()
        await anyio.to_thread.run_sync(anyio.run, listen_there)
        async with listening(ticker, hub) as events:
            ticker.send(1)
            assert await take(events, 1) == [1]
    assert len(ticker.begun) == 1


async def test_a_body_s_own_error(session: Session) -> None:
    with pytest.raises(LookupError):
        async with session.share(TICKS) as hub, hub.listen():
            raise LookupError
