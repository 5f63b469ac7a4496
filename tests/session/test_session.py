"""One session: what it runs, and every way of leaving what it runs."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import ClosedResourceError, EndOfStream
from graphql import GraphQLSyntaxError, parse

from anygql import (
    Client,
    GraphQLRequest,
    TransportClosed,
    TransportQueryError,
    TransportTimeout,
    gql,
)
from anygql.testing import GraphQLServer

COUNTDOWN = "subscription ($n: Int!) { countdown(from: $n) }"
NEVER = "subscription { never }"
FLOOD = "subscription ($n: Int!) { flood(count: $n) }"


@pytest.mark.parametrize("protocol", ["auto", "graphql-transport-ws", "graphql-ws"])
async def test_query_mutation_subscription(make, server: GraphQLServer, protocol: str) -> None:
    async with make(protocol=protocol) as session:
        assert await session.execute("query ($n: String!) { hello(name: $n) }", {"n": "trio"}) == {
            "hello": "Hello trio!"
        }
        assert await session.execute("mutation { increment(by: 2) }") == {"increment": 2}
        async with session.subscribe(COUNTDOWN, {"n": 3}) as events:
            assert [event["countdown"] async for event in events] == [3, 2, 1, 0]
    assert len(server.connections) == 1
    spoken = "graphql-transport-ws" if protocol == "auto" else protocol
    assert server.connections[0].subprotocol == spoken
    assert await server.connections[0].wait_closed() == (1000, "")


async def test_request_forms(memory: Client) -> None:
    text = "query A { hello } query B($n: String!) { hello(name: $n) }"
    async with memory as session:
        for request in (text, parse(text), gql(text), GraphQLRequest(text, operation_name="A")):
            data = await session.execute(request, {"n": "you"}, operation_name="B")
            assert data == {"hello": "Hello you!"}
        request = GraphQLRequest(text, {"n": "it"}, "B")
        assert await session.execute(request) == {"hello": "Hello it!"}


async def test_errors(memory: Client) -> None:
    async with memory as session:
        with pytest.raises(TransportQueryError) as caught:
            await session.execute("{ hello fail }")
        assert caught.value.data == {"hello": "Hello world!", "fail": None}
        assert caught.value.errors[0]["path"] == ["fail"]
        result = await session.execute_result("{ hello fail }")
        assert (result.data, result.errors) == (caught.value.data, caught.value.errors)
        # refused before it runs
        result = await session.execute_result("{ nothing }")
        assert result.data is None
        assert "nothing" in result.errors[0]["message"]
        assert await session.execute("{ hello }")


async def test_nothing_wrong_is_sent(memory: Client, server: GraphQLServer) -> None:
    async with memory as session:
        with pytest.raises(GraphQLSyntaxError) as syntax:
            await session.execute("query {\n  hello(")
        assert (syntax.value.locations[0].line, syntax.value.locations[0].column) == (2, 9)
        with pytest.raises(GraphQLSyntaxError):
            session.subscribe("subscription {")
        with pytest.raises(ValueError, match=r"2 operations \('A', 'B'\)"):
            await session.execute("query A { hello } query B { hello }")
        with pytest.raises(ValueError, match="no operation 'C'"):
            await session.execute("query A { hello }", operation_name="C")
        with pytest.raises(ValueError, match="subscribe"):
            await session.execute(NEVER)
        with pytest.raises(TypeError, match=r"variables\.input\.when\[1\]: .*object"):
            await session.execute("{ hello }", {"input": {"when": [1, object()]}})
        with pytest.raises(TypeError, match=r"variables\.x"):
            async with session.subscribe(NEVER, {"x": object()}):
                raise AssertionError("unreachable")
        with pytest.raises(TypeError, match="mapping"):
            await session.execute("{ hello }", [("a", 1)])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="int"):
            await session.execute(3)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="on_overflow"):
            session.subscribe(NEVER, on_overflow="explode")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="buffer_size"):
            session.subscribe(NEVER, buffer_size=0)
        assert await session.execute("{ hello }")
    assert [message["type"] for message in server.connections[0].received] == [
        "connection_init",
        "subscribe",
    ]


async def test_thousand_executes(make) -> None:
    answers: dict[int, int] = {}

    async def one(n: int) -> None:
        data = await session.execute("query ($n: Int!) { add(a: $n, b: 1) }", {"n": n})
        answers[n] = data["add"]

    async with make() as session, anyio.create_task_group() as tg:
        for n in range(1000):
            tg.start_soon(one, n)
    assert answers == {n: n + 1 for n in range(1000)}


async def test_thousand_subscriptions(make, server: GraphQLServer) -> None:
    answers: dict[int, list[int]] = {}

    async def one(n: int) -> None:
        async with session.subscribe(COUNTDOWN, {"n": n % 5}) as events:
            answers[n] = [event["countdown"] async for event in events]

    async with make() as session, anyio.create_task_group() as tg:
        for n in range(1000):
            tg.start_soon(one, n)
    assert answers == {n: list(range(n % 5, -1, -1)) for n in range(1000)}
    assert len(server.connections) == 1


async def test_subscription_errors_live_on(memory: Client) -> None:
    document = "subscription { failing(after: 1) }"
    async with memory as session:
        async with session.subscribe_results(document) as results:
            seen = [(result.data, bool(result.errors)) async for result in results]
        assert any(failed for _, failed in seen)
        async with session.subscribe(document) as events:
            outcomes: list[bool] = []
            while True:
                try:
                    await events.receive()
                    outcomes.append(False)
                except TransportQueryError as error:
                    assert error.errors
                    outcomes.append(True)
                except EndOfStream:
                    break
        assert outcomes == [failed for _, failed in seen]


async def test_error_message_ends(memory: Client) -> None:
    async with memory as session:
        async with session.subscribe("subscription { nothing }") as events:
            with pytest.raises(TransportQueryError, match="nothing"):
                await anext(events)
            with pytest.raises(EndOfStream):
                await events.receive()
        async with session.subscribe_results("subscription { nothing }") as results:
            assert [bool(result.errors) async for result in results] == [True]


async def completes(server: GraphQLServer, count: int = 1) -> None:
    """The server has seen so many `complete`, and runs nothing any more."""
    connection = server.connections[0]
    await connection.wait_received("complete", count)
    await connection.wait_operations(0)
    assert [m["type"] for m in connection.received].count("complete") == count
    assert len({m["id"] for m in connection.received if m["type"] == "complete"}) == count


async def test_leave_by_end_of_with(make, server: GraphQLServer) -> None:
    async with make() as session:
        async with session.subscribe(NEVER) as events:
            await server.connections[0].wait_operations(1)
        await completes(server)
        with pytest.raises(ClosedResourceError):
            await events.receive()
        assert [event async for event in events] == []
        assert await session.execute("{ hello }")


async def test_leave_by_break(make, server: GraphQLServer) -> None:
    async with make() as session:
        async for _ in session.subscribe(FLOOD, {"n": 100_000}):
            break
        await completes(server)
        assert await session.execute("{ hello }")


async def test_leave_by_exception(make, server: GraphQLServer) -> None:
    async with make() as session:
        with pytest.raises(ZeroDivisionError):
            async with session.subscribe(FLOOD, {"n": 100_000}) as events:
                async for _ in events:
                    raise ZeroDivisionError
        await completes(server)
        assert await session.execute("{ hello }")


async def test_leave_by_cancellation(make, server: GraphQLServer) -> None:
    async with make() as session:
        with anyio.CancelScope() as scope:
            async with session.subscribe(NEVER) as events:
                await server.connections[0].wait_operations(1)
                scope.cancel()
                await anext(events)
        await completes(server)
        assert await session.execute("{ hello }")


async def test_leave_by_dropping_in_a_cycle(make, server: GraphQLServer) -> None:
    async with make() as session:
        events = session.subscribe(FLOOD, {"n": 100_000})
        await anext(events)
        cycle: list[object] = [events]
        cycle.append(cycle)
        del events, cycle
        await anyio.to_thread.run_sync(gc.collect)  # a finaliser may run in any thread
        await completes(server)
        assert await session.execute("{ hello }")


async def test_leave_by_aclose_in_another_task(memory: Client, server: GraphQLServer) -> None:
    async with memory as session, anyio.create_task_group() as tg:
        events = session.subscribe(NEVER)

        async def close() -> None:
            await server.connections[0].wait_operations(1)
            await events.aclose()
            await events.aclose()

        tg.start_soon(close)
        with pytest.raises(ClosedResourceError):
            await events.receive()
        await completes(server)


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_consumer_waits_while_another_task_closes(
    memory: Client, server: GraphQLServer, reconnecting: bool
) -> None:
    async with memory.connect(reconnecting=reconnecting) as session:
        events = session.subscribe("subscription { never }")
        async with anyio.create_task_group() as tg:

            async def consume() -> None:
                assert [event async for event in events] == []

            tg.start_soon(consume)
            await server.connections[0].wait_received("subscribe")
            await anyio.wait_all_tasks_blocked()
            await events.aclose()
        await server.connections[0].wait_received("complete")


@pytest.mark.parametrize("begins", ["enter", "receive", "iterate"])
async def test_a_subscription_that_was_closed_before_it_began(
    memory: Client, server: GraphQLServer, begins: str
) -> None:
    async with memory as session:
        events = session.subscribe("subscription { never }")
        await events.aclose()
        await events.aclose()
        if begins == "enter":
            with pytest.raises(RuntimeError, match="entered once"):
                await events.__aenter__()
        elif begins == "receive":
            with pytest.raises(anyio.ClosedResourceError):
                await events.receive()
        else:
            assert [event async for event in events] == []
        await session.execute("{ hello }")
    sent = [message["type"] for message in server.connections[0].received]
    assert sent.count("subscribe") == 1


async def test_two_tasks_begin_the_same_subscription(memory: Client, server: GraphQLServer) -> None:
    """It begins once, and each of them gets some of its results."""
    seen: list[int] = []
    async with memory as session:
        events = session.subscribe("subscription { countdown(from: 3) }")

        async def consume() -> None:
            seen.extend([event["countdown"] async for event in events])

        async with anyio.create_task_group() as tg:
            tg.start_soon(consume)
            tg.start_soon(consume)
        assert sorted(seen) == [0, 1, 2, 3]
        await server.connections[0].wait_operations(0)


async def test_a_subscription_is_closed_while_it_begins(
    memory: Client, server: GraphQLServer
) -> None:
    async with memory as session:
        events = session.subscribe("subscription { never }")
        async with anyio.create_task_group() as tg:

            async def consume() -> None:
                with pytest.raises(anyio.ClosedResourceError):
                    await events.receive()

            async def close() -> None:
                await events.aclose()

            tg.start_soon(consume)
            tg.start_soon(close)
        await session.execute("{ hello }")
        await server.connections[0].wait_operations(0)


async def test_finished_subscription_sends_no_complete(
    memory: Client, server: GraphQLServer
) -> None:
    async with memory as session:
        async with session.subscribe(COUNTDOWN, {"n": 1}) as events:
            assert len([event async for event in events]) == 2
        async with session.subscribe("subscription { nothing }") as events:
            with pytest.raises(TransportQueryError):
                await anext(events)
        await session.execute("{ hello }")
    kinds = [message["type"] for message in server.connections[0].received]
    assert kinds == ["connection_init", "subscribe", "subscribe", "subscribe"]


async def test_entered_once(memory: Client) -> None:
    async with memory as session:
        events = session.subscribe(COUNTDOWN, {"n": 0})
        async with events:
            with pytest.raises(RuntimeError, match="once"):
                await events.__aenter__()
        with pytest.raises(RuntimeError, match="once"):
            await events.__aenter__()


async def test_execute_timeout(make, server: GraphQLServer) -> None:
    async with make(execute_timeout=0.05) as session:
        with pytest.raises(TransportTimeout, match=r"query 'Slow' within 0\.05 s") as caught:
            await session.execute("query Slow { slow(seconds: 60) }")
        assert isinstance(caught.value, TimeoutError)
        await completes(server)
        assert await session.execute("{ hello }", timeout=None)
        with pytest.raises(TransportTimeout):
            await session.execute("{ slow(seconds: 60) }", timeout=0.01)
        await completes(server, 2)


async def test_after_the_session(memory: Client, server: GraphQLServer) -> None:
    async with memory as session:
        leftover = session.subscribe(NEVER)
        async with session.subscribe(FLOOD, {"n": 3}) as events:
            await server.connections[0].wait_sent("complete")
    with pytest.raises(TransportClosed, match="was closed"):
        await session.execute("{ hello }")
    with pytest.raises(TransportClosed):
        await leftover.receive()
    with pytest.raises(ClosedResourceError):
        await events.receive()
    await session.wait_closed()
    assert session.state == "closed"


async def test_open_subscription_sees_the_session_close(memory: Client) -> None:
    outcome: list[BaseException] = []

    async def consume() -> None:
        try:
            async for _ in session.subscribe(NEVER):
                pass
        except TransportClosed as error:
            outcome.append(error)

    async with anyio.create_task_group() as tg:
        async with memory as session:
            tg.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
    assert len(outcome) == 1


class Sparse:
    """A transport of somebody's own, whose connections do only what they must."""

    description = "something sparse"

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def connect(self) -> Any:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Any]:
            async with self._transport.connect() as connection:
                yield SparseConnection(connection)

        return connect()


class SparseConnection:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        for name in ("execute", "subscribe", "wait_closed", "drop", "close"):
            setattr(self, name, getattr(connection, name))

    payloads: Any = {}
    idle_since = property(lambda self: self._connection.idle_since)
    fault = property(lambda self: self._connection.fault)


async def test_a_transport_without_partial_results(server: GraphQLServer) -> None:
    async with Client(Sparse(server.transport())) as session:
        assert await session.execute("{ hello }") == {"hello": "Hello world!"}
        with pytest.raises(TypeError, match=r"something sparse: .* gives no partial results"):
            async with session.execute_incremental("{ hello }"):
                pytest.fail("there are none")
