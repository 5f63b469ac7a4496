"""A schema in this process, through sessions, on each loop."""

from __future__ import annotations

import datetime
import gc
import logging
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest
from anyio import EndOfStream
from graphql import GraphQLError, GraphQLSchema, build_schema

from anygql import (
    Client,
    ExecutionResult,
    FileVar,
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectionFailed,
    TransportQueryError,
    TransportTimeout,
    gql,
)
from anygql.local import LocalSchemaTransport, schema_execution
from anygql.session.session import Session
from anygql.testing import demo_schema

SDL = """
  scalar Upload
  scalar Any
  type Query {
    hello(name: String! = "world"): String
    given(value: Any, file: Upload): Any
    a: Any  b: Any  must: Int!
    node: Node
    nodes: [Node!]
    pet: Pet
  }
  type Node { name: String  slow: String  wait: Int  must: Int!  nodes: [Node] }
  interface Pet { name: String }
  type Cat implements Pet { name: String }
  type Dog implements Pet { name: String }
  type Mutation { add(by: Int!): Int! }
  type Subscription { count(to: Int!): Int!  node: Node }
"""


def schema(resolvers: dict[str, Any] | None = None, **events: Any) -> GraphQLSchema:
    """Return the schema with resolvers by ``Type.field``, and sources of events by field."""
    built = build_schema(SDL)
    for where, resolve in (resolvers or {}).items():
        type_name, _, name = where.partition(".")
        built.type_map[type_name].fields[name].resolve = resolve  # type: ignore[attr-defined]
    for name, source in events.items():
        assert built.subscription_type
        built.subscription_type.fields[name].subscribe = source
        built.subscription_type.fields[name].resolve = lambda event, _info, **_args: event
    return built


def local(resolvers: dict[str, Any] | None = None, **options: Any) -> Client:
    return Client(LocalSchemaTransport(schema(resolvers), **options))


async def to(_root: Any, _info: Any, to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


COUNT = "subscription ($to: Int!) { count(to: $to) }"


class Log:
    """Counts the resolvers that have begun, and those that have ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.canceled = 0
        self.all_begun = anyio.Event()

    def forever(self, expected: int) -> Callable[..., Any]:
        """Wait until canceled, then clean up for a while."""

        async def resolve(*_args: Any, **_kwargs: Any) -> None:
            self.begun += 1
            if self.begun == expected:
                self.all_begun.set()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                self.canceled += 1
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.001)
                self.ended += 1

        return resolve


# Queries and mutations.


async def test_a_query_with_variables() -> None:
    async with local({"Query.hello": lambda _root, _info, name: f"Hello {name}!"}) as session:
        query = "query ($n: String!) { hello(name: $n) }"
        assert await session.execute(query, {"n": "Ada"}) == {"hello": "Hello Ada!"}


async def test_async_resolvers_run_at_once_and_mutations_in_turn() -> None:
    missing = {"a", "b"}
    met = anyio.Event()
    order: list[int] = []

    async def meet(_root: Any, info: Any) -> str:
        missing.discard(info.field_name)
        if not missing:
            met.set()
        await met.wait()
        return info.field_name

    async def add(_root: Any, _info: Any, by: int) -> int:
        order.append(by)
        await anyio.sleep(0)
        order.append(by)
        return by

    async with local({"Query.a": meet, "Query.b": meet, "Mutation.add": add}) as session:
        assert await session.execute("{ a b }") == {"a": "a", "b": "b"}
        data = await session.execute("mutation { x: add(by: 1) y: add(by: 2) }")
        assert data == {"x": 1, "y": 2}
        assert order == [1, 1, 2, 2]


async def test_an_exception_is_an_error_with_a_path(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_root: Any, _info: Any) -> None:
        raise ValueError("no name")

    nodes = [{"name": "x"}, {}]
    async with local({"Query.nodes": lambda *_: nodes, "Node.name": fail}) as session:
        result = await session.execute_result("{ nodes { name } }")
        with pytest.raises(TransportQueryError, match=r"no name \(at nodes\.\d\.name\)") as caught:
            await session.execute("{ nodes { name } }")
    assert result.data == {"nodes": [{"name": None}, {"name": None}]}
    assert result.errors is not None
    assert sorted(result.errors, key=lambda error: error["path"])[1] == {
        "message": "no name",
        "locations": [{"line": 1, "column": 11}],
        "path": ["nodes", 1, "name"],
    }
    assert caught.value.data == result.data
    assert [record.exc_info is not None for record in caplog.records] == [True] * 4


async def test_a_graphql_error_keeps_its_extensions_and_is_no_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(_root: Any, _info: Any) -> None:
        raise GraphQLError("not you", extensions={"code": "FORBIDDEN"})

    async with local({"Query.a": refuse}) as session:
        result = await session.execute_result("{ a }")
    assert result.errors is not None
    assert result.errors[0]["extensions"] == {"code": "FORBIDDEN"}
    assert not caplog.records


async def test_an_interrupt_is_no_error_of_the_result() -> None:
    class Interrupt(BaseException):
        pass

    async def interrupt(_root: Any, _info: Any) -> None:
        raise Interrupt

    async def fail(_root: Any, _info: Any) -> None:
        raise ValueError

    resolvers = {"Query.a": fail, "Query.b": interrupt, "Query.must": fail}
    with pytest.raises(Interrupt):
        async with local(resolvers) as session:
            await session.execute("{ a b must }")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ nothing }", "Cannot query field 'nothing' on type 'Query'."),
        ("query ($to: Int) { hello }", "Variable '$to' is never used."),
        ("query ($n: Int) { hello(name: $n) }", "Variable '$n' of type 'Int' used in position"),
    ],
)
async def test_what_a_server_refuses_comes_back_as_errors(query: str, message: str) -> None:
    async with local() as session:
        for _ in range(2):
            result = await session.execute_result(query)
            assert result.data is None
            assert result.errors is not None
            assert result.errors[0]["message"].startswith(message)
            assert result.errors[0]["locations"]


async def test_a_document_is_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def validate(*args: Any) -> list[GraphQLError]:
        seen.append(args)
        return []

    monkeypatch.setattr(schema_execution, "validate_document", validate)
    async with local() as session:
        for _ in range(3):
            await session.execute("{ a }")
        assert len(seen) == 1
        await session.execute("{ b }")
        assert len(seen) == 2
    async with local(validate=False) as session:
        assert await session.execute("{ b nothing }") == {"b": None}
    assert len(seen) == 2


async def test_an_operation_by_its_name() -> None:
    document = "query One { a } query Two { b }"
    async with local({"Query.b": lambda *_: 2}) as session:
        assert await session.execute(document, operation_name="Two") == {"b": 2}


async def test_abstract_types_are_told_by_async_functions() -> None:
    built = schema({"Query.pet": lambda *_: {"name": "Tom"}})

    def is_a(answer: bool) -> Callable[..., Any]:
        async def is_type_of(_value: Any, _info: Any) -> bool:
            await anyio.sleep(0)
            return answer

        return is_type_of

    async def resolve_type(*_args: Any) -> str:
        await anyio.sleep(0)
        return "Dog"

    built.type_map["Cat"].is_type_of = is_a(True)  # type: ignore[attr-defined]
    built.type_map["Dog"].is_type_of = is_a(False)  # type: ignore[attr-defined]
    query = "{ pet { __typename name } }"
    async with Client(LocalSchemaTransport(built)) as session:
        assert await session.execute(query) == {"pet": {"__typename": "Cat", "name": "Tom"}}
    built.type_map["Dog"].is_type_of = None  # type: ignore[attr-defined]
    built.type_map["Pet"].resolve_type = resolve_type  # type: ignore[attr-defined]
    async with Client(LocalSchemaTransport(built)) as session:
        assert await session.execute(query) == {"pet": {"__typename": "Dog", "name": "Tom"}}


async def test_middleware() -> None:
    def loud(following: Any, root: Any, info: Any, **args: Any) -> str:
        return following(root, info, **args).upper()

    client = local({"Query.hello": lambda _root, _info, name: name}, middleware=[loud])
    async with client as session:
        assert await session.execute("{ hello }") == {"hello": "WORLD"}


# What resolvers get.


async def test_root_value_and_context_as_values() -> None:
    resolvers = {"Query.a": lambda _root, info: info.context["user"]}
    async with local(resolvers, root_value={"b": 2}, context={"user": "Ada"}) as session:
        assert await session.execute("{ a b }") == {"a": "Ada", "b": 2}


async def test_root_value_and_context_are_asked_for_each_operation() -> None:
    asked: list[str | None] = []

    async def context(request: Any) -> dict[str, Any]:
        asked.append(request.operation_name)
        await anyio.sleep(0)
        return {"n": len(asked)}

    client = local(
        {"Query.a": lambda _root, info: info.context["n"]},
        root_value=lambda request: {"b": request.extensions},
        context=context,
    )
    async with client as session:
        data = await session.execute("query A { a b }", operation_name="A", extensions={"x": 1})
        assert data == {"a": 1, "b": {"x": 1}}
        assert await session.execute("{ a b }") == {"a": 2, "b": None}
    assert asked == ["A", None]


async def test_a_class_is_a_value() -> None:
    class Root:
        a = 1

    async with local(root_value=Root) as session:
        assert await session.execute("{ a }") == {"a": 1}


async def test_a_context_that_can_not_be_had() -> None:
    def refuse(_request: Any) -> None:
        raise error

    async with local(context=refuse) as session:
        error: Exception = GraphQLError("who are you?")
        assert await session.execute_result("{ a }") == ExecutionResult(
            None, [{"message": "who are you?"}]
        )
        error = LookupError("no such table")
        with pytest.raises(LookupError, match="no such table"):
            await session.execute("{ a }")
        async with session.subscribe(COUNT, {"to": 1}) as events:
            with pytest.raises(TransportConnectionFailed, match="LookupError") as caught:
                await events.receive()
            assert caught.value.__cause__ is error
            assert not caught.value.retryable


async def test_values_are_those_of_the_wire() -> None:
    seen: list[Any] = []

    def given(_root: Any, _info: Any, value: Any) -> Any:
        seen.append(value)
        return {"when": datetime.date(2024, 2, 29), "price": Decimal("1.50"), "big": 2**70}

    when = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    async with local({"Query.given": given}) as session:
        query = "query ($v: Any) { given(value: $v) }"
        data = await session.execute(query, {"v": {"when": when, "pair": (1, 2)}})
        assert seen == [{"when": "2024-02-29T12:00:00Z", "pair": [1, 2]}]
        assert data == {"given": {"when": "2024-02-29", "price": "1.50", "big": 2**70}}
        with pytest.raises(TypeError, match=r"variables\.v\.x: a value of type object"):
            await session.execute(query, {"v": {"x": object()}})
    assert len(seen) == 1


async def test_a_result_without_a_json_form_is_an_error() -> None:
    async with local({"Query.a": lambda *_: {"x": [object()]}}) as session:
        with pytest.raises(TransportQueryError, match=r"result\.data\.a\.x\[0\]: a value of type"):
            await session.execute("{ a }")


async def test_another_json() -> None:
    class Shouting:
        def encode(self, value: Any) -> bytes:
            import json

            return json.dumps(value).upper().replace("DATA", "data").encode()

        def decode(self, text: bytes) -> Any:
            import json

            return json.loads(text)

    async with local({"Query.a": lambda *_: "quiet"}, json=Shouting()) as session:
        assert await session.execute("{ a }") == {"A": "QUIET"}


async def test_files_are_given_as_they_are() -> None:
    seen: list[Any] = []

    def given(_root: Any, _info: Any, value: Any = None, file: Any = None) -> str:
        seen.append((value, file))
        return "ok"

    file = FileVar(b"x")
    async with local({"Query.given": given}) as session:
        query = "query ($v: Any, $f: Upload) { given(value: $v, file: $f) }"
        await session.execute(query, {"v": {"all": [1, file]}, "f": file})
        assert seen == [({"all": [1, file]}, file)]
        with pytest.raises(TypeError, match=r"variables\.v\.a\.b: .* a dot in it"):
            await session.execute(query, {"v": {"a.b": file}})


async def test_what_only_http_has_is_refused() -> None:
    async with local() as session:
        with pytest.raises(TypeError, match="transport_args"):
            await session.execute("{ a }", transport_args={"headers": {}})
        with pytest.raises(TypeError, match="transport_args"):
            await session.subscribe(COUNT, {"to": 1}, transport_args={}).receive()
        with pytest.raises(TypeError, match="transport_args"):
            await session.execute_incremental("{ a }", transport_args={}).receive()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SDL, r"a graphql\.GraphQLSchema, not str \(build_schema\(\)"),
        (None, r"a graphql\.GraphQLSchema, not NoneType$"),
        (build_schema("type Other { x: Int }"), "Query root type must be provided"),
    ],
)
def test_what_is_no_schema(given: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        LocalSchemaTransport(given)


# Many at once.


async def test_hundreds_at_once() -> None:
    """Like a dataloader: each call waits for a batch that is loaded when all have called."""
    asked: list[int] = []
    full = anyio.Event()

    async def load(_root: Any, _info: Any, value: int) -> int:
        asked.append(value)
        if len(asked) == 600:
            full.set()
        await full.wait()
        return value * 2

    results: dict[int, Any] = {}
    async with local({"Query.given": load}) as session:
        query = gql("query ($x: Any, $y: Any) { x: given(value: $x) y: given(value: $y) }")

        async def run(n: int) -> None:
            results[n] = await session.execute(query, {"x": n, "y": -n})

        async with anyio.create_task_group() as tg:
            for n in range(300):
                tg.start_soon(run, n)
    assert results == {n: {"x": 2 * n, "y": -2 * n} for n in range(300)}


async def test_a_batch_runs_at_once() -> None:
    async with local({"Query.a": lambda *_: 1, "Query.b": lambda *_: 2}) as session:
        assert await session.execute_batch(["{ a }", "{ b }"]) == [{"a": 1}, {"b": 2}]


async def test_every_call_is_a_checkpoint() -> None:
    ran: list[str] = []

    async with local({"Query.a": lambda *_: ran.append("query")}) as session:
        async with anyio.create_task_group() as tg:
            tg.start_soon(anyio.lowlevel.checkpoint)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.execute("{ a }")
            assert scope.cancelled_caught
        assert not ran


# Cancellation.

NESTED = "{ nodes { wait nodes { wait } } a }"


def nested(log: Log) -> dict[str, Any]:
    """Return the resolvers of ``NESTED``: five that never end, at three depths."""
    node = {"nodes": [{}]}
    forever = log.forever(5)
    return {"Query.nodes": lambda *_: [node, node], "Node.wait": forever, "Query.a": forever}


async def test_a_timeout_reaches_every_resolver(call_limits: list[anyio.CancelScope]) -> None:
    log = Log()

    async def is_over() -> None:
        await log.all_begun.wait()
        call_limits[0].cancel()

    async with local(nested(log)) as session, anyio.create_task_group() as tg:
        tg.start_soon(is_over)
        with pytest.raises(TransportTimeout, match="the local schema: no answer"):
            await session.execute(NESTED, timeout=0.05)
        assert (log.begun, log.canceled, log.ended) == (5, 5, 5)
        assert await session.execute("{ hello }") == {"hello": None}


async def test_canceling_the_caller_reaches_every_resolver() -> None:
    log = Log()
    async with local(nested(log)) as session, anyio.create_task_group() as tg:
        tg.start_soon(session.execute, NESTED)
        await log.all_begun.wait()
        tg.cancel_scope.cancel()
    assert (log.begun, log.canceled, log.ended) == (5, 5, 5)


@pytest.mark.parametrize("steps", range(25))
async def test_canceled_at_any_step(steps: int) -> None:
    log = Log()
    async with local(nested(log)) as session:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tg:
                tg.start_soon(session.execute, NESTED)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        assert log.begun == log.ended
        assert await session.execute("{ hello }") == {"hello": None}
    if steps == 24:
        assert log.begun == 5


async def reconnect(_: Client, session: Session) -> None:
    session.reconnect()


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (lambda client, session: client.close_async(), TransportClosed),
        (reconnect, TransportConnectionFailed),
    ],
)
async def test_the_end_of_the_session_reaches_every_resolver(end: Any, error: Any) -> None:
    log = Log()
    errors: list[Exception] = []

    async def run(session: Session) -> None:
        try:
            await session.execute(NESTED)
        except Exception as exc:
            # Those that the session has ended are out before anybody is told.
            assert log.ended == 5
            errors.append(exc)

    async with anyio.create_task_group() as tg:
        client = local(nested(log))
        session = await client.connect_async(tg)
        tg.start_soon(run, session)
        await log.all_begun.wait()
        await end(client, session)
        await session.wait_closed()
        await client.close_async()
    assert [type(exc) for exc in errors] == [error]


async def test_what_must_not_be_null_cancels_what_runs_beside_it() -> None:
    log = Log()
    forever = log.forever(1)

    async def must(_root: Any, _info: Any) -> None:
        await log.all_begun.wait()

    async with local({"Query.a": forever, "Query.must": must}) as session:
        result = await session.execute_result("{ a must }")
    assert result.data is None
    assert log.ended == 1


# Subscriptions.


def counting(source: Any = to, **options: Any) -> Client:
    return Client(LocalSchemaTransport(schema(None, count=source), **options))


async def test_a_subscription() -> None:
    async with counting() as session, session.subscribe(COUNT, {"to": 200}) as events:
        assert [data["count"] async for data in events] == list(range(200))


async def test_async_resolvers_of_events() -> None:
    async def source(*_args: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"name": "x"}

    async def name(node: Any, _info: Any) -> str:
        await anyio.sleep(0)
        return node["name"] * 2

    built = schema({"Node.name": name, "Node.slow": name}, node=source)
    async with Client(LocalSchemaTransport(built)) as session:
        async with session.subscribe("subscription { node { name slow } }") as events:
            assert await events.receive() == {"node": {"name": "xx", "slow": "xx"}}


async def test_a_source_that_is_made_by_an_async_function() -> None:
    async def source(_root: Any, info: Any, to: int) -> AsyncIterator[int]:
        await anyio.sleep(0)
        return numbers(to)

    async def numbers(to: int) -> AsyncIterator[int]:
        yield to

    async with counting(source) as session, session.subscribe(COUNT, {"to": 7}) as events:
        assert [data async for data in events] == [{"count": 7}]


async def test_errors_of_an_event_and_of_the_source() -> None:
    async def source(_root: Any, _info: Any, to: int) -> AsyncIterator[Any]:
        yield 1
        yield "one"  # no Int
        yield 2
        raise ValueError("no more")

    async with counting(source) as session:
        async with session.subscribe_results(COUNT, {"to": 1}) as events:
            results = [result async for result in events]
        assert [result.data for result in results] == [{"count": 1}, None, {"count": 2}, None]
        assert results[1].errors is not None
        assert results[1].errors[0]["path"] == ["count"]
        assert results[3].errors is not None
        assert results[3].errors[0]["message"] == "no more"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (COUNT, "nothing to count"),
        ("subscription { nothing }", "Cannot query field"),
        ("subscription { node { name } }", "Subscription field must return AsyncIterable"),
    ],
)
async def test_a_subscription_that_does_not_begin(query: str, message: str) -> None:
    def source(*_args: Any, **_kwargs: Any) -> None:
        raise ValueError("nothing to count")

    async with counting(source) as session, session.subscribe(query, {"to": 1}) as events:
        with pytest.raises(TransportQueryError, match=message):
            await events.receive()
        with pytest.raises(EndOfStream):
            await events.receive()


class Source:
    """An endless source of numbers that notes how many were asked for, and its closing."""

    def __init__(self, pace: Callable[[], Any] = anyio.lowlevel.checkpoint) -> None:
        self.asked = 0
        self.begun = anyio.Event()
        self.closed = anyio.Event()
        self.began_in = self.closed_in = -1
        self._pace = pace

    async def __call__(self, _root: Any, _info: Any, to: int) -> AsyncIterator[int]:
        self.began_in = anyio.get_current_task().id
        self.begun.set()
        try:
            while True:
                await self._pace()
                self.asked += 1
                yield self.asked
        finally:
            self.closed_in = anyio.get_current_task().id
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            self.closed.set()


@pytest.mark.parametrize("pace", [anyio.lowlevel.checkpoint, anyio.sleep_forever])
@pytest.mark.parametrize("how", ["left", "dropped", "canceled", "closed"])
async def test_the_source_is_closed_in_its_own_task(how: str, pace: Any) -> None:
    source = Source(pace)
    async with anyio.create_task_group() as tg:
        client = counting(source)
        session = await client.connect_async(tg)
        events = session.subscribe(COUNT, {"to": 0})
        await events.__aenter__()
        await source.begun.wait()
        if how == "left":
            await events.aclose()
        elif how == "dropped":
            del events
            gc.collect()
        elif how == "canceled":
            with anyio.CancelScope() as scope:
                try:
                    scope.cancel()
                    await events.receive()
                finally:
                    await events.__aexit__(None, None, None)
        else:
            await client.close_async()
            assert source.closed.is_set()
        await source.closed.wait()
        assert source.closed_in == source.began_in
        await client.close_async()


@pytest.mark.parametrize("buffer_size", [1, 5])
async def test_a_source_is_not_asked_for_more_than_the_buffer(buffer_size: int) -> None:
    source = Source()
    async with counting(source) as session:
        async with session.subscribe(COUNT, {"to": 0}, buffer_size=buffer_size) as events:
            while source.asked < buffer_size:
                await anyio.sleep(0)
            await anyio.wait_all_tasks_blocked()
            assert source.asked == buffer_size
            for number in range(1, 10):
                assert await events.receive() == {"count": number}
                await anyio.wait_all_tasks_blocked()
                # It is asked for more once half of the buffer is empty.
                assert number + buffer_size // 2 < source.asked <= number + buffer_size
            # Nobody else has to wait for this consumer.
            assert await session.execute("{ hello }") == {"hello": None}


async def test_the_other_rules_of_delivery() -> None:
    async with counting() as session:
        options: dict[str, Any] = {"buffer_size": 3, "on_overflow": "drop_oldest"}
        async with session.subscribe(COUNT, {"to": 100}, **options) as events:
            await anyio.wait_all_tasks_blocked()
            assert [data["count"] async for data in events] == [97, 98, 99]
            assert events.dropped == 97
        options["on_overflow"] = "error"
        async with session.subscribe(COUNT, {"to": 100}, **options) as events:
            await anyio.wait_all_tasks_blocked()
            assert [await events.receive() for _ in range(3)] == [{"count": n} for n in range(3)]
            with pytest.raises(SubscriptionOverflow):
                await events.receive()


async def test_a_source_that_never_waits_starves_nobody() -> None:
    async def never_waits(_root: Any, _info: Any, to: int) -> AsyncIterator[int]:
        while True:
            yield 1

    async with counting(never_waits) as session:
        events = session.subscribe(COUNT, {"to": 0}, buffer_size=1, on_overflow="drop_oldest")
        async with events:
            for _ in range(5):
                assert await session.execute("{ hello }") == {"hello": None}
            assert await events.receive() == {"count": 1}


async def test_a_source_that_does_not_close() -> None:
    begun = anyio.Event()

    async def stubborn(_root: Any, _info: Any, to: int) -> AsyncIterator[int]:
        begun.set()
        try:
            yield 1
            yield 2
        finally:
            await anyio.sleep_forever()

    async with counting(stubborn, close_timeout=0.01) as session:
        async with session.subscribe(COUNT, {"to": 0}, buffer_size=1) as events:
            assert await events.receive() == {"count": 1}


async def test_a_source_that_fails_to_close(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(_root: Any, _info: Any, to: int) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise OSError("the cursor is gone")

    async with counting(failing) as session:
        async with session.subscribe(COUNT, {"to": 0}, buffer_size=1) as events:
            assert await events.receive() == {"count": 1}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "the cursor is gone" in caplog.text


async def test_a_resolver_of_an_event_is_canceled() -> None:
    log = Log()

    async def source(*_args: Any) -> AsyncIterator[dict[str, Any]]:
        yield {}

    built = schema({"Node.wait": log.forever(1)}, node=source)
    async with Client(LocalSchemaTransport(built)) as session:
        async with session.subscribe("subscription { node { wait } }"):
            await log.all_begun.wait()
    assert log.ended == 1


# Sessions.


async def test_a_subscription_goes_on_after_a_drop() -> None:
    source = Source()
    async with counting(source).connect(reconnecting=True) as session:
        async with session.subscribe(COUNT, {"to": 0}, buffer_size=1) as events:
            assert await events.receive() == {"count": 1}
            session.reconnect()
            await session.wait_connected()
            await source.closed.wait()
            while not events.reconnects:
                last = await events.receive()
            assert last == {"count": source.asked}


async def test_two_sessions_of_one_transport() -> None:
    client = local({"Query.a": lambda *_: 1})
    async with client as one, client as other:
        assert await one.execute("{ a }") == await other.execute("{ a }") == {"a": 1}


async def test_a_closed_session() -> None:
    async with local() as session:
        pass
    assert session.state == "closed"
    await session.wait_closed()
    with pytest.raises(TransportClosed):
        await session.execute("{ a }")


async def test_when_it_is_idle() -> None:
    log = Log()
    transport = LocalSchemaTransport(schema({"Query.a": log.forever(1)}))
    async with transport.connect() as connection, anyio.create_task_group() as tg:
        assert connection.idle_since is not None
        tg.start_soon(connection.execute, gql("{ a }"))
        await log.all_begun.wait()
        assert connection.idle_since is None
        tg.cancel_scope.cancel()
    assert connection.idle_since is not None


async def test_the_demonstration_schema() -> None:
    async with Client(LocalSchemaTransport(demo_schema())) as session:
        assert await session.execute("{ hello slow(seconds: 0) }") == {
            "hello": "Hello world!",
            "slow": "slept 0 s",
        }
        async with session.subscribe("subscription { flood(count: 3) }") as events:
            assert [data["flood"] async for data in events] == ["0", "1", "2"]
