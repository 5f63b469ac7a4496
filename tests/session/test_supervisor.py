"""The permanent session on its own terms: states, events, policies, resuming. No sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
import tenacity

from anygql import (
    Client,
    Closed,
    Connected,
    Connecting,
    Disconnected,
    SessionEvent,
    Subscription,
    TransportClosed,
    TransportConnectionFailed,
    TransportError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.testing import GraphQLServer, ScriptedPeer
from tests.support.virtual import on_virtual_time

pytestmark = pytest.mark.usefixtures("soon")

TICKS = "subscription { countdown(from: 1000000, interval: 0.01) }"
AT_ONCE = tenacity.AsyncRetrying(wait=tenacity.wait_none())


class Events(list[SessionEvent]):
    """What `on_event` was told, and a way to wait for it."""

    def __call__(self, event: SessionEvent) -> None:
        self.append(event)

    async def wait(self, kind: type, count: int = 1) -> Any:
        while len(found := [event for event in self if isinstance(event, kind)]) < count:
            await anyio.sleep(0.001)
        return found[count - 1]


@pytest.fixture
def events() -> Events:
    return Events()


async def test_states_and_events(server: GraphQLServer, events: Events) -> None:
    client = Client(server.transport(), on_event=events)
    async with client.connect(reconnecting=True) as session:
        assert session.state == "connected"
        server.connections[0].reset()
        await events.wait(Disconnected)
        await events.wait(Connected, 2)
        assert session.state == "connected"
        await session.wait_connected()
        assert await session.execute("{ hello }")
    assert session.state == "closed"
    await session.wait_closed()
    with pytest.raises(TransportClosed):
        await session.wait_connected()
    lost = events.pop(2)
    assert events == [
        Connecting(1),
        Connected(None, reconnected=False),
        Connecting(1),
        Connected(None, reconnected=True),
        Closed(),
    ]
    assert isinstance(lost, Disconnected)
    assert (lost.code, lost.will_retry) == (1006, True)
    assert isinstance(lost.error, TransportConnectionFailed)
    assert lost.next_wait is not None


async def test_plain_session_tells_too(server: GraphQLServer, events: Events) -> None:
    async with Client(server.transport(), on_event=events) as session:
        await server.connections[0].close(1012, "restart")
        await session.wait_closed()
        assert session.state == "closed"
        for _ in range(2):
            with pytest.raises(TransportConnectionFailed, match="1012 restart") as caught:
                await session.execute("{ hello }")
            assert (caught.value.code, caught.value.reason) == (1012, "restart")
    kinds = [type(event) for event in events]
    assert kinds == [Connecting, Connected, Disconnected, Closed]
    assert events[2].will_retry is False


@on_virtual_time
async def test_query_is_retried_and_answered(server: GraphQLServer) -> None:
    async with Client(server.transport()).connect(reconnecting=True) as session:
        async with anyio.create_task_group() as tg:

            async def query() -> None:
                answers.append(await session.execute("{ slow(seconds: 0.2) }"))

            answers: list[object] = []
            for _ in range(10):
                tg.start_soon(query)
            await server.connections[0].wait_operations(10)
            server.connections[0].reset()
        assert len(answers) == 10


async def test_mutation_that_may_have_run_is_not(server: GraphQLServer) -> None:
    received = 0

    async def dies(conn) -> None:
        nonlocal received
        await conn.handshake()
        await conn.expect_type("subscribe")
        received += 1
        conn.reset()

    async def answers(conn) -> None:
        nonlocal received
        await conn.handshake()
        message = await conn.expect_type("subscribe")
        received += 1
        await conn.send({"type": "next", "id": message["id"], "payload": {"data": {"done": 1}}})
        await conn.wait_closed()

    async with ScriptedPeer([dies, answers]) as peer:
        client = Client(WebSocketTransport("ws://peer/", connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            with pytest.raises(TransportConnectionFailed, match="lost") as caught:
                await session.execute("mutation { done }")
            assert caught.value.unsent is False
            assert received == 1
    for per_call in (True, None):
        received = 0
        async with ScriptedPeer([dies, answers]) as peer:
            client = Client(WebSocketTransport("ws://peer/", connector=peer.connector()))
            async with client.connect(
                reconnecting=True, retry_mutations=per_call is None
            ) as session:
                data = await session.execute("mutation { done }", retry_mutations=per_call)
                assert data == {"done": 1}
                assert received == 2


@on_virtual_time
async def test_mutation_that_never_left_is(server: GraphQLServer, events: Events) -> None:
    client = Client(server.transport(), on_event=events, execute_timeout=0.2)
    soon = tenacity.AsyncRetrying(wait=tenacity.wait_fixed(0.01))
    async with client.connect(reconnecting=True, retry_connect=soon) as session:
        await server.stop()
        await events.wait(Disconnected)
        async with anyio.create_task_group() as tg:

            async def mutate() -> None:
                with anyio.fail_after(5):
                    assert await session.execute("mutation { increment }") == {"increment": 1}

            tg.start_soon(mutate)
            await anyio.sleep(0.25)  # longer than an attempt may take; this is none
            await server.start()


async def test_query_errors_are_never_retried(server: GraphQLServer) -> None:
    async with Client(server.transport()).connect(reconnecting=True) as session:
        for _ in range(3):
            with pytest.raises(TransportError):
                await session.execute("{ fail }")
    kinds = [message["type"] for message in server.connections[0].received]
    assert kinds.count("subscribe") == 3


async def test_no_connection_says_why(server: GraphQLServer, events: Events) -> None:
    client = Client(server.transport(), on_event=events)
    async with client.connect(reconnecting=True) as session:
        await server.stop()
        await events.wait(Disconnected, 2)
        with pytest.raises(TransportTimeout, match="no connection for the query") as caught:
            await session.execute("{ hello }", timeout=0.02)
        assert caught.value.unsent
        assert isinstance(caught.value.__cause__, TransportConnectionFailed)
        await server.start()


async def test_connect_gives_up_with_the_real_error(server: GraphQLServer) -> None:
    await server.stop()
    client = Client(server.transport())
    for policy in (False, tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3))):
        with pytest.raises(TransportConnectionFailed) as caught:
            async with client.connect(reconnecting=True, retry_connect=policy):
                raise AssertionError("unreachable")
        assert caught.value.__context__ is None or caught.value.__cause__ is not None
        async with anyio.create_task_group() as tg:
            with pytest.raises(TransportConnectionFailed):
                await client.connect_async(tg, reconnecting=True, retry_connect=policy)


async def test_giving_up_later_reaches_everybody(server: GraphQLServer, events: Events) -> None:
    client = Client(server.transport(), on_event=events)
    outcomes: list[Exception] = []

    async def wait_for(what: Callable[[], Awaitable[object]]) -> None:
        try:
            await what()
        except TransportError as error:
            outcomes.append(error)

    async with anyio.create_task_group() as tg:
        with pytest.raises(TransportConnectionFailed) as caught:
            async with client.connect(reconnecting=True, retry_connect=False) as session:
                tg.start_soon(wait_for, lambda: session.execute("{ slow(seconds: 60) }"))
                tg.start_soon(wait_for, session.subscribe("subscription { never }").receive)
                await server.connections[0].wait_operations(2)
                await server.stop()
                await anyio.sleep_forever()
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert type(outcome) is type(caught.value)
    with pytest.raises(TransportConnectionFailed):
        await session.execute("{ hello }")
    assert session.state == "closed"
    assert isinstance(events[-1], Closed)
    assert events[-1].error is not None
    assert isinstance(events[-2], Disconnected)
    assert events[-2].will_retry is False


async def test_the_body_can_catch_what_ends_its_session(server: GraphQLServer) -> None:
    """A call that waits in the body raises the error itself, not the body's cancellation."""
    calls: list[Callable[[Any], Awaitable[object]]] = [
        lambda session: session.execute("{ slow(seconds: 60) }"),
        lambda session: session.subscribe("subscription { never }").receive(),
    ]
    for call in calls:
        await server.start()
        caught: list[TransportError] = []
        policy = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.05)
        )
        with pytest.raises(TransportConnectionFailed):
            async with Client(server.transport()).connect(
                reconnecting=True, retry_connect=policy
            ) as session:
                async with anyio.create_task_group() as tg:
                    tg.start_soon(stop_when_asked, server)
                    try:
                        await call(session)
                    except TransportError as error:
                        caught.append(error)
                await anyio.sleep_forever()
        assert len(caught) == 1


async def stop_when_asked(server: GraphQLServer) -> None:
    await server.connections[-1].wait_operations(1)
    await server.stop()


async def test_fatal_close_code_ends_it(server: GraphQLServer) -> None:
    with pytest.raises(TransportConnectionFailed, match="4401 Token expired") as caught:
        async with Client(server.transport()).connect(reconnecting=True) as session:
            await server.connections[0].close(4401, "Token expired")
            await session.wait_closed()
            await anyio.sleep_forever()
    assert (caught.value.code, caught.value.retryable) == (4401, False)
    assert len(server.connections) == 1


async def test_is_retryable_replaces_the_table(server: GraphQLServer, events: Events) -> None:
    client = Client(server.transport(), is_retryable=lambda error: True, on_event=events)
    async with client.connect(reconnecting=True) as session:
        await server.connections[0].close(4401, "Token expired")
        await events.wait(Connected, 2)
        assert await session.execute("{ hello }")


async def test_owner_of_connect_async_gets_what_ends_it(server: GraphQLServer) -> None:
    client = Client(server.transport())
    with pytest.RaisesGroup(pytest.RaisesExc(TransportConnectionFailed, match="4401")):
        async with anyio.create_task_group() as tg:
            await client.connect_async(tg, reconnecting=True)
            await server.connections[0].close(4401, "Token expired")
            await anyio.sleep_forever()
    await client.close_async()


async def test_fresh_at_each_attempt(server: GraphQLServer, events: Events) -> None:
    tokens = iter(range(1, 100))
    transport = server.transport(
        init_payload=lambda: {"token": next(tokens)}, headers=lambda: {"X-N": str(next(tokens))}
    )
    async with Client(transport, on_event=events).connect(reconnecting=True):
        server.connections[0].reset()
        await events.wait(Connected, 2)
    payloads = [connection.init_payload["token"] for connection in server.connections]
    headers = [connection.headers["X-N"] for connection in server.connections]
    assert len({*payloads, *map(int, headers)}) == 4


async def test_a_failing_token_source_is_tried_again(server: GraphQLServer) -> None:
    calls = 0

    async def token() -> dict[str, str]:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ConnectionError("the token service is away")
        return {"token": "fresh"}

    async with Client(server.transport(init_payload=token)).connect(reconnecting=True):
        assert server.connections[-1].init_payload == {"token": "fresh"}
    assert calls == 3


# Subscriptions


async def test_subscription_resumes_with_its_gap(server: GraphQLServer, events: Events) -> None:
    async with Client(server.transport(), on_event=events).connect(reconnecting=True) as session:
        async with session.subscribe(TICKS) as ticks:
            before = [(await anext(ticks))["countdown"] for _ in range(3)]
            assert ticks.reconnects == 0
            server.connections[0].reset()
            numbers: list[tuple[int, int]] = []
            while ticks.reconnects == 0:
                numbers.append(((await anext(ticks))["countdown"], ticks.reconnects))
            # what came before the loss is delivered first, without a hole
            assert before == [1000000, 999999, 999998]
            told = [number for number, reconnects in numbers if not reconnects]
            assert told == [999997 - n for n in range(len(told))]
            assert numbers[-1] == (1000000, 1)
        await server.connections[1].wait_received("complete")
    kinds = [message["type"] for message in server.connections[1].received]
    assert kinds == ["connection_init", "subscribe", "complete"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_on_resubscribe(server: GraphQLServer, is_async: bool) -> None:
    asked: list[tuple[object, object]] = []

    def cursor(subscription: Subscription[Any], last: Any) -> dict[str, int]:
        asked.append((subscription, last))
        return {"n": last["countdown"] - 1}

    async def slow_cursor(subscription: Subscription[Any], last: Any) -> dict[str, int]:
        assert await session.execute("{ hello }")  # it may query what was missed
        return cursor(subscription, last)

    document = "subscription ($n: Int!) { countdown(from: $n, interval: 0.005) }"
    async with Client(server.transport()).connect(reconnecting=True) as session:
        async with session.subscribe(
            document, {"n": 30}, on_resubscribe=slow_cursor if is_async else cursor
        ) as events:
            numbers: list[int] = []
            async for event in events:
                numbers.append(event["countdown"])
                if event["countdown"] in (25, 10):
                    session.reconnect()
            assert numbers == list(range(30, -1, -1))
            assert events.reconnects == 2
            assert [subscription for subscription, _ in asked] == [events, events]


async def test_what_on_resubscribe_raises_is_the_consumers(server: GraphQLServer) -> None:
    def fail(subscription: object, last: object) -> None:
        raise LookupError("no cursor")

    def wrong(subscription: object, last: object) -> Any:
        return 3

    async with Client(server.transport()).connect(reconnecting=True) as session:
        for callback, error in ((fail, LookupError), (wrong, TypeError)):
            async with session.subscribe(TICKS, on_resubscribe=callback) as events:
                await anext(events)
                session.reconnect()
                with pytest.raises(error):
                    async for _ in events:
                        pass
        assert await session.execute("{ hello }")


async def test_what_on_resubscribe_raises_may_pass(server: GraphQLServer) -> None:
    """An `OSError` of the user's own function is tried again, by the default policy."""
    calls = 0

    def cursor(subscription: object, last: object) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise OSError("the store of cursors is away")

    async with Client(server.transport()).connect(reconnecting=True) as session:
        async with session.subscribe(TICKS, on_resubscribe=cursor) as events:
            await anext(events)
            session.reconnect()
            while not events.reconnects:
                await anext(events)
    assert calls == 3


async def test_the_connection_is_dropped_during_on_resubscribe(server: GraphQLServer) -> None:
    """The subscription is made on the one after it, and the function is asked again."""
    calls = 0

    def cursor(subscription: object, last: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            session.reconnect()

    async with Client(server.transport()).connect(reconnecting=True) as session:
        async with session.subscribe(TICKS, on_resubscribe=cursor) as events:
            await anext(events)
            session.reconnect()
            while not events.reconnects:
                await anext(events)
            assert events.reconnects == 1
    assert calls == 2


async def test_on_resubscribe_closes_its_subscription_behind_a_shield(
    server: GraphQLServer,
) -> None:
    """The function runs to its end. Nothing is subscribed to after it."""

    async def stop(subscription: Subscription[Any], last: object) -> None:
        with anyio.CancelScope(shield=True):
            await subscription.aclose()

    async with Client(server.transport()).connect(reconnecting=True) as session:
        events = session.subscribe("subscription { never }", on_resubscribe=stop)
        async with anyio.create_task_group() as tg:

            async def consume() -> None:
                assert [event async for event in events] == []

            tg.start_soon(consume)
            await server.connections[0].wait_operations(1)
            session.reconnect()
        assert await session.execute("{ hello }")
    sent = [message["type"] for message in server.connections[1].received]
    assert sent == ["connection_init", "subscribe", "complete"] or sent.count("subscribe") == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_comes_out_of_on_resubscribe(server: GraphQLServer) -> None:
    import asyncio

    async def fail(subscription: object, last: object) -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    async with Client(server.transport()).connect(reconnecting=True) as session:
        async with session.subscribe(TICKS, on_resubscribe=fail) as events:
            await anext(events)
            session.reconnect()
            with pytest.raises(TransportConnectionFailed, match="came out of on_resubscribe"):
                async for _ in events:
                    pass


async def test_left_just_after_a_loss(server: GraphQLServer) -> None:
    """At whatever moment that is, nothing is subscribed to again."""
    for turns in range(6):
        async with Client(server.transport()).connect(
            reconnecting=True, retry_execute=False
        ) as session:
            async with session.subscribe("subscription { never }") as events:
                async with anyio.create_task_group() as tg:

                    async def ask(turns: int = turns) -> None:
                        with pytest.raises(TransportConnectionFailed):
                            await session.execute("{ slow(seconds: 60) }")
                        for _ in range(turns):
                            await anyio.lowlevel.checkpoint()
                        await events.aclose()

                    tg.start_soon(ask)
                    await server.connections[-1].wait_operations(2)
                    server.connections[-1].reset()
            assert await session.execute("{ hello }")
            await server.connections[-1].wait_operations(0)
    asked = [
        message["payload"]["query"]
        for one in server.connections
        for message in one.received
        if message["type"] == "subscribe"
    ]
    assert asked.count("subscription { never }") == 6


async def test_retry_subscribe_false_raises_the_loss(server: GraphQLServer) -> None:
    client = Client(server.transport())
    async with client.connect(reconnecting=True, retry_subscribe=False) as session:
        async with session.subscribe(TICKS) as events:
            await anext(events)
            server.connections[0].reset()
            with pytest.raises(TransportConnectionFailed, match="lost"):
                async for _ in events:
                    pass
        assert await session.execute("{ hello }")


async def test_completed_and_failed_subscriptions_do_not_come_back(
    server: GraphQLServer, events: Events
) -> None:
    async with Client(server.transport(), on_event=events).connect(reconnecting=True) as session:
        done = session.subscribe("subscription { countdown(from: 2) }")
        assert (await done.receive())["countdown"] == 2
        failed = session.subscribe_results("subscription { nothing }")
        assert (await failed.receive()).errors
        left = session.subscribe(TICKS)
        await left.receive()
        await left.aclose()
        dropped = session.subscribe(TICKS)
        await dropped.receive()
        del dropped
        await server.connections[0].wait_operations(0)
        server.connections[0].reset()
        await events.wait(Connected, 2)
        assert [event["countdown"] async for event in done] == [1, 0]
        assert [result async for result in failed] == []
        assert await session.execute("{ hello }")
    kinds = [message["type"] for message in server.connections[1].received]
    assert kinds == ["connection_init", "subscribe"]


async def test_sleeping_consumer_costs_no_more_with_each_reconnect(
    server: GraphQLServer, events: Events
) -> None:
    async with Client(server.transport(), on_event=events).connect(reconnecting=True) as session:
        flood = session.subscribe("subscription { flood(count: 100000) }", buffer_size=10)
        await flood.receive()
        for n in range(5):
            session.reconnect()
            await session.wait_connected()
            await events.wait(Connected, n + 2)
            await anyio.wait_all_tasks_blocked()
        assert len(flood._results._feeds) <= 2
        numbers = [int((await flood.receive())["flood"]) for _ in range(30)]
        assert flood.reconnects >= 1
        assert numbers[0] == 1
        await flood.aclose()


async def test_reconnect_begins_at_once(server: GraphQLServer) -> None:
    async with Client(server.transport()).connect(reconnecting=True) as session:
        session.reconnect()
        assert session.state != "connected"
        await session.wait_connected()
        session.reconnect()
        await session.wait_connected()
        assert session.state == "connected"
        assert len(server.connections) == 3


async def test_what_on_event_raises_arrives(server: GraphQLServer) -> None:
    def fail(event: SessionEvent) -> None:
        if isinstance(event, Connected):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        async with Client(server.transport(), on_event=fail).connect(reconnecting=True):
            raise AssertionError("unreachable")


async def test_reconnect_ends_a_plain_session(server: GraphQLServer) -> None:
    async with Client(server.transport()) as session:
        session.reconnect()
        with pytest.raises(TransportConnectionFailed, match="reconnect"):
            await session.execute("{ hello }")
        await session.wait_closed()
    assert len(server.connections) == 1


async def test_reconnect_without_a_connection_changes_nothing(
    server: GraphQLServer, events: Events
) -> None:
    async with Client(server.transport(), on_event=events).connect(reconnecting=True) as session:
        await server.stop()
        await events.wait(Disconnected)
        session.reconnect()
        await server.start()
        assert await session.execute("{ hello }")


async def test_a_policy_of_the_users_own_tells_of_each_attempt(
    server: GraphQLServer, events: Events
) -> None:
    """How long it waits, nobody knows."""

    def three_times(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        async def call() -> Any:
            for _ in range(2):
                try:
                    return await function()
                except TransportConnectionFailed:
                    await anyio.sleep(0.001)
            return await function()

        return call

    await server.stop()
    client = Client(server.transport(), on_event=events)
    with pytest.raises(TransportConnectionFailed):
        async with client.connect(reconnecting=True, retry_connect=three_times):
            raise AssertionError("unreachable")
    told = [event for event in events if isinstance(event, Disconnected)]
    assert [event.will_retry for event in told] == [True, True, True, False]
    assert {event.next_wait for event in told} == {None}


# Leaving at any moment.


class Refusing:
    """A transport that fails for good, after a while."""

    description = "a refusing server"

    def connect(self) -> Any:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Any]:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            raise TransportConnectionFailed("no", retryable=False, code=4401)
            yield

        return connect()


async def test_leaving_as_an_attempt_fails_is_told_once() -> None:
    """Whichever comes first, the session is closed once."""
    for turns in range(12):
        events = Events()
        client = Client(Refusing(), on_event=events)
        with suppress(TransportConnectionFailed):
            async with anyio.create_task_group() as tg:
                try:
                    async with client.connect(reconnecting=True, lazy=True) as session:

                        async def ask(session: Any = session) -> None:
                            with suppress(TransportError):
                                await session.execute("{ hello }")

                        tg.start_soon(ask)
                        for _ in range(turns):
                            await anyio.lowlevel.checkpoint()
                except TransportConnectionFailed:
                    pass
        assert session.state == "closed"
        assert len([event for event in events if isinstance(event, Closed)]) == 1


# Transports of the user's own.


class Failing:
    """A transport whose connections raise as they begin, or as they end."""

    def __init__(self, transport: Any, when: str, fail: Callable[[], Awaitable[None]]) -> None:
        self.description = transport.description
        self._transport = transport
        self._when = when
        self._fail = fail

    def connect(self) -> Any:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Any]:
            if self._when == "begin":
                await self._fail()
            async with self._transport.connect() as connection:
                yield connection
            await self._fail()

        return connect()


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_what_a_connection_raises_as_it_is_closed(
    server: GraphQLServer, events: Events, reconnecting: bool
) -> None:
    """That is an error of the transport's own. The session is closed all the same."""

    async def fail() -> None:
        raise LookupError("a defect")

    client = Client(Failing(server.transport(), "end", fail), on_event=events)
    session = None
    with suppress(LookupError):
        async with client.connect(reconnecting=reconnecting) as session:
            assert await session.execute("{ hello }")
    assert session is not None
    assert session.state == "closed"
    assert [event for event in events if isinstance(event, Closed)] == [Closed()]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_comes_out_of_a_transport(server: GraphQLServer) -> None:
    import asyncio

    async def fail() -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    client = Client(Failing(server.transport(), "begin", fail))
    with pytest.raises(TransportConnectionFailed, match="a cancellation came out of the transport"):
        async with client:
            raise AssertionError("unreachable")


# Lazy sessions


@on_virtual_time
async def test_lazy(server: GraphQLServer, events: Events) -> None:
    client = Client(server.transport(), on_event=events)
    async with client.connect(reconnecting=True, lazy=True, idle_timeout=0.05) as session:
        assert session.state == "waiting"
        assert server.connections == []
        assert await session.execute("{ hello }")
        assert len(server.connections) == 1
        async with session.subscribe("subscription { countdown(from: 20, interval: 0.01) }") as c:
            assert len([event async for event in c]) == 21  # longer than idle_timeout
        assert len(server.connections) == 1
        closed = await server.connections[0].wait_closed()
        assert closed == (1000, "nothing was asked for 0.05 s")
        assert session.state == "waiting"
        async with anyio.create_task_group() as tg:
            for _ in range(10):
                tg.start_soon(session.execute, "{ hello }")
        assert len(server.connections) == 2


async def test_lazy_session_that_is_lost_waits_to_be_asked(
    server: GraphQLServer, events: Events
) -> None:
    client = Client(server.transport(), on_event=events)
    async with client.connect(reconnecting=True, lazy=True) as session:
        assert await session.execute("{ hello }")
        server.connections[0].reset()
        await events.wait(Disconnected)
        await anyio.wait_all_tasks_blocked()
        assert len(server.connections) == 1
        assert await session.execute("{ hello }")
        async with session.subscribe(TICKS) as ticks:
            await anext(ticks)
            server.connections[1].reset()
            await events.wait(Connected, 3)  # somebody still wants it


async def test_lazy_session_that_is_lost_before_it_is_idle_for_long(
    server: GraphQLServer, events: Events
) -> None:
    client = Client(server.transport(), on_event=events)
    async with client.connect(reconnecting=True, lazy=True, idle_timeout=60) as session:
        assert await session.execute("{ hello }")
        server.connections[0].reset()
        await events.wait(Disconnected)
        assert await session.execute("{ hello }")
        assert len(server.connections) == 2
