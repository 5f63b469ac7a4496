"""What interceptors are given, what is refused, and those of subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from graphql import GraphQLSyntaxError

from anygql import (
    Call,
    Client,
    ExecutionResult,
    GraphQLRequest,
    HTTPTransport,
    Operation,
    SplitTransport,
)
from anygql.session.interceptors.operation import (
    SubscriptionInterceptors,
    around,
    check_interceptors,
)
from anygql.testing import GraphQLServer, Stub, demo_schema

COUNTDOWN = "subscription Down($n: Int! = 1) { countdown(from: $n) }"
ENDLESS = "subscription ($n: Int! = 1000000) { countdown(from: $n, interval: 0.001) }"
SECRET = "s3cret"


def test_an_operation_shows_what_it_is_and_no_secrets() -> None:
    request = GraphQLRequest("mutation Pay($card: String) { pay(card: $card) }", {"card": SECRET})
    operation = Operation(
        request=request, transport_args={"headers": {"X": SECRET}}, context={"token": SECRET}
    )
    assert (operation.name, operation.kind, operation.attempt) == ("Pay", "mutation", 0)
    assert repr(operation) == "<Operation: mutation 'Pay', attempt 0>"
    with pytest.raises(AttributeError):
        operation.attempt = 1  # type: ignore[misc]


def test_replace_keeps_the_rest() -> None:
    operation = Operation(request=GraphQLRequest("{ a }"), transport_args={"x": 1}, connection="c")
    other = operation.replace(request="query B { b }")
    assert (other.name, other.transport_args, other.connection) == ("B", {"x": 1}, "c")
    assert other.context is operation.context
    assert operation.replace(transport_args={"y": 2}).request is operation.request
    assert operation.name is None
    with pytest.raises(GraphQLSyntaxError):
        operation.replace(request="{")


def test_what_is_no_list_of_functions_is_refused() -> None:
    async def interceptor(operation: Operation, call: Any) -> ExecutionResult:
        return ExecutionResult(await call(operation))

    assert check_interceptors("interceptors", [interceptor]) == (interceptor,)
    with pytest.raises(TypeError, match=r"write interceptors=\[…\]"):
        Client("http://h", interceptors=interceptor)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"write interceptors=\[…\]"):
        Client("http://h", interceptors=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a list of functions, not of int"):
        Client("http://h", attempt_interceptors=[1])  # type: ignore[list-item]


async def takes_one(operation: Operation) -> Operation:
    await checkpoint()
    return operation


async def takes_two(operation: Operation, call: Call) -> ExecutionResult:
    return await call(operation)


async def yields(operation: Operation, call: Call) -> AsyncIterator[ExecutionResult]:
    yield await call(operation)


class Counting:
    """An interceptor that is an object with a method."""

    async def __call__(self, operation: Operation, call: Call, *more: object) -> ExecutionResult:
        return await call(operation)


@pytest.mark.parametrize(
    ("option", "interceptor", "message"),
    [
        ("interceptors", takes_one, r"takes_one can't be called with \(operation, call\)"),
        ("attempt_interceptors", takes_one, r"takes_one can't be called with"),
        ("subscription_interceptors", takes_two, r"can't be called with \(operation\)"),
        ("subscription_interceptors", Counting(), r"Counting can't be called with \(operation\)"),
        ("interceptors", partial(takes_two, call=None), "partial can't be called"),
        ("interceptors", yields, "yields yields, where an interceptor returns"),
        ("interceptors", Counting, r"has the class Counting: write Counting\(…\)"),
    ],
)
def test_what_can_not_be_called_as_an_interceptor_is_refused(
    option: str, interceptor: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{option}.*{message}"):
        Client("http://h", **{option: [interceptor]})


def test_whatever_can_be_called_is_an_interceptor() -> None:
    # A function in C does not tell what it takes.
    taken = [takes_two, Counting(), partial(takes_two), lambda *given: given[1](given[0]), max]
    assert check_interceptors("interceptors", taken) == tuple(taken)
    assert check_interceptors("subscription_interceptors", [takes_one]) == (takes_one,)


async def test_mistakes_of_an_interceptor_are_named() -> None:
    async def send(_operation: Operation) -> ExecutionResult:
        await checkpoint()
        return ExecutionResult({"a": 1})

    async def forgets(operation: Operation, call: Any) -> Any:
        await call(operation)

    async def passes_a_request(operation: Operation, call: Any) -> Any:
        return await call(operation.request)

    def is_plain(operation: Operation, call: Any) -> Any:
        return ExecutionResult()

    async def passes(operation: Operation, call: Any) -> Any:
        return await call(operation)

    operation = Operation(request=GraphQLRequest("{ a }"))
    assert await around([passes, passes], send)(operation) == ExecutionResult({"a": 1})
    with pytest.raises(TypeError, match=r"forgets: an interceptor returns .* not NoneType"):
        await around([forgets], send)(operation)
    with pytest.raises(TypeError, match="call takes an Operation, not GraphQLRequest"):
        await around([passes_a_request, passes], send)(operation)
    with pytest.raises(TypeError, match="is_plain: an interceptor is an async function"):
        await around([is_plain], send)(operation)


async def test_a_subscription_is_changed_before_it_is_sent() -> None:
    seen: list[Operation] = []

    def plain(operation: Operation) -> Operation:
        seen.append(operation)
        operation.context["first"] = True
        return operation

    async def longer(operation: Operation) -> Operation:
        await checkpoint()
        assert operation.context == {"first": True}
        return operation.replace(request=operation.request.replace(variable_values={"n": 2}))

    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), subscription_interceptors=[plain, longer])
        async with client as session, session.subscribe(COUNTDOWN) as events:
            assert [event["countdown"] async for event in events] == [2, 1, 0]
            # it is no interceptor of a query
            assert await session.execute("{ hello }")
    (operation,) = seen
    assert (operation.name, operation.kind, operation.attempt) == ("Down", "subscription", 1)
    assert operation.connection == client.transport.description


async def test_a_resubscription_is_changed_anew() -> None:
    seen: list[tuple[int, Any, Any]] = []

    async def number(operation: Operation) -> Operation:
        await checkpoint()
        context = operation.context
        context["times"] = context.get("times", 0) + 1
        seen.append((operation.attempt, operation.request.variable_values, context["times"]))
        n = 1_000_000 + operation.attempt
        return operation.replace(request=operation.request.replace(variable_values={"n": n}))

    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), subscription_interceptors=[number])
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(ENDLESS) as events:
                assert await events.receive() == {"countdown": 1_000_001}
                server.drop_connections()
                while not events.reconnects:
                    item = await events.receive()
                assert item == {"countdown": 1_000_002}
    # Each time it is the caller's request that is changed.
    assert seen == [(1, None, 1), (2, None, 2)]


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_what_an_interceptor_raises_ends_the_subscription(reconnecting: bool) -> None:
    async def fail(operation: Operation) -> Operation:
        await checkpoint()
        raise KeyError(operation.name)

    async def forget(_operation: Operation) -> Any:
        await checkpoint()

    async def ask(operation: Operation) -> Operation:
        await checkpoint()
        return operation.replace(request="{ hello }")

    async with GraphQLServer(demo_schema()) as server:
        for interceptor, error, text in (
            (fail, KeyError, "Down"),
            (forget, TypeError, "forget: an interceptor returns an Operation, not NoneType"),
            (ask, ValueError, "made a query of a subscription"),
        ):
            client = Client(server.transport(), subscription_interceptors=[interceptor])
            async with client.connect(reconnecting=reconnecting) as session:
                with pytest.raises(error, match=text):
                    async with session.subscribe(COUNTDOWN):
                        pass
                assert await session.execute("{ hello }")


async def test_what_an_interceptor_raises_ends_a_resubscription() -> None:
    async def once(operation: Operation) -> Operation:
        await checkpoint()
        if operation.attempt > 1:
            raise KeyError("twice")
        return operation

    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), subscription_interceptors=[once])
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(ENDLESS) as events:
                await events.receive()
                server.drop_connections()
                with pytest.raises(KeyError, match="twice"):
                    while True:
                        await events.receive()
            assert await session.execute("{ hello }")


async def test_the_calls_of_one_are_numbered() -> None:
    numbers: list[int] = []

    def number(operation: Operation) -> Operation:
        numbers.append(operation.attempt)
        return operation

    interceptors = SubscriptionInterceptors([number], "server")
    request = GraphQLRequest(COUNTDOWN)
    for _ in range(2):
        assert await interceptors.change(request, None) == (request, None)
    assert numbers == [1, 2]


async def test_a_connection_that_is_lost_meanwhile_is_not_used() -> None:
    async def drop(operation: Operation) -> Operation:
        if operation.attempt == 1:
            session.reconnect()
            await session.wait_connected()
        return operation

    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), subscription_interceptors=[drop])
        async with client.connect(reconnecting=True) as session:
            async with session.execute_incremental("{ hello }") as states:
                assert await states.receive() == {"hello": "Hello world!"}
    assert len(server.connections) == 2


async def test_incremental_delivery_has_those_of_subscriptions() -> None:
    async def rename(operation: Operation) -> Operation:
        await checkpoint()
        return operation.replace(request="query B { b }")

    async with Client(Stub({"B": {"b": 1}}), subscription_interceptors=[rename]) as session:
        async with session.execute_incremental("query A { a }") as states:
            assert [state async for state in states] == [{"b": 1}]


async def test_each_transport_of_a_split_one_is_named() -> None:
    seen: list[tuple[str, str]] = []

    async def note(operation: Operation, call: Any) -> ExecutionResult:
        seen.append((operation.kind, operation.connection))
        result: ExecutionResult = await call(operation)
        return result

    def note_too(operation: Operation) -> Operation:
        seen.append((operation.kind, operation.connection))
        return operation

    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        queries, subscriptions = HTTPTransport(server.http_url), server.transport()
        client = Client(
            SplitTransport(queries, subscriptions=subscriptions),
            interceptors=[note],
            subscription_interceptors=[note_too],
        )
        async with client as session:
            await session.execute("{ hello }")
            async with session.subscribe(COUNTDOWN) as events:
                await events.receive()
    assert seen == [("query", queries.description), ("subscription", subscriptions.description)]
    assert queries.description != subscriptions.description


async def test_canceling_leaves_a_subscription_unsent() -> None:
    async def wait(operation: Operation) -> Operation:
        await anyio.sleep_forever()
        return operation

    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), subscription_interceptors=[wait]) as session:
            with anyio.move_on_after(0):
                async with session.subscribe(COUNTDOWN):
                    pass
            assert await session.execute("{ hello }")
        sent = [message["type"] for message in server.connections[0].received]
    assert sent == ["connection_init", "subscribe"]
