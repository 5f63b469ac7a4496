"""Interceptors around calls and attempts: order, retries, time limits, batches, every transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import tenacity
import trio
from anyio.lowlevel import checkpoint
from graphql import GraphQLError
from trio.testing import MockClock

from anygql import (
    Client,
    ExecutionResult,
    FileVar,
    GraphQLRequest,
    HTTPTransport,
    LocalSchemaTransport,
    Operation,
    TransportConnectionFailed,
    TransportQueryError,
    TransportTimeout,
)
from anygql.testing import GraphQLServer, Stub, demo_schema

Call = Callable[[Operation], Awaitable[ExecutionResult]]
AT_ONCE = tenacity.AsyncRetrying(
    wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(3), reraise=True
)


class Diary:
    """Interceptors that write down when they begin and end."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def named(self, name: str) -> Callable[[Operation, Call], Awaitable[ExecutionResult]]:
        async def interceptor(operation: Operation, call: Call) -> ExecutionResult:
            self.entries.append(f"{name}{operation.attempt} begins")
            try:
                return await call(operation)
            finally:
                self.entries.append(f"{name}{operation.attempt} ends")

        return interceptor


class Failing:
    """The answers of a stub: errors first, and then data."""

    def __init__(self, *errors: Exception, data: Any) -> None:
        self._errors = list(errors)
        self._data = data
        self.calls = 0

    def __call__(self, _call: object) -> Any:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return self._data


def lost(*, unsent: bool = False) -> TransportConnectionFailed:
    error = TransportConnectionFailed("lost")
    error.unsent = unsent
    return error


async def test_calls_wrap_attempts_and_the_first_is_the_outermost() -> None:
    diary = Diary()
    answer = Failing(lost(), data={"a": 1})
    client = Client(
        Stub({"A": answer}),
        interceptors=[diary.named("a"), diary.named("b")],
        attempt_interceptors=[diary.named("c")],
    )
    async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
        assert await session.execute("query A { a }") == {"a": 1}
    assert diary.entries == [
        *("a0 begins", "b0 begins", "c1 begins", "c1 ends", "c2 begins", "c2 ends"),
        *("b0 ends", "a0 ends"),
    ]


async def test_what_is_changed_is_sent_each_time_and_the_context_is_the_calls() -> None:
    contexts: list[dict[Any, Any]] = []

    async def rename(operation: Operation, call: Call) -> ExecutionResult:
        contexts.append(operation.context)
        return await call(operation.replace(request="query B { b }", transport_args={"x": 1}))

    async def note(operation: Operation, call: Call) -> ExecutionResult:
        contexts.append(operation.context)
        return await call(operation)

    stub = Stub({"B": Failing(lost(), data={"b": 1})})
    client = Client(stub, interceptors=[rename], attempt_interceptors=[note])
    async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
        assert await session.execute("query A { a }") == {"b": 1}
        assert [(call.name, call.transport_args) for call in stub.calls] == [("B", {"x": 1})] * 2
        assert all(each is contexts[0] for each in contexts)
        await session.execute("query A { a }")
        assert contexts[-1] is not contexts[0]


async def test_an_interceptor_may_answer_itself_or_change_the_result() -> None:
    async def cached(operation: Operation, call: Call) -> ExecutionResult:
        if operation.name == "A":
            await checkpoint()
            return ExecutionResult({"a": "cached"})
        result = await call(operation)
        return ExecutionResult(result.data, [{"message": "refused"}])

    stub = Stub({"B": {"b": 1}})
    async with Client(stub, interceptors=[cached]) as session:
        assert await session.execute("query A { a }") == {"a": "cached"}
        assert not stub.calls
        with pytest.raises(TransportQueryError, match="refused") as caught:
            await session.execute("query B { b }")
        assert caught.value.data == {"b": 1}


async def test_what_it_raises_comes_out_as_it_is() -> None:
    async def fail(_operation: Operation, _call: Call) -> ExecutionResult:
        await checkpoint()
        raise KeyError("mine")

    stub = Stub({"A": {"a": 1}})
    for name in ("interceptors", "attempt_interceptors"):
        client = Client(stub, **{name: [fail]})  # type: ignore[arg-type]
        async with client.connect(reconnecting=True) as session:
            with pytest.raises(KeyError, match="mine"):
                await session.execute("query A { a }")
    assert not stub.calls


async def test_it_runs_in_the_callers_task() -> None:
    user: ContextVar[str] = ContextVar("user")
    seen: list[tuple[str, int]] = []

    async def note(operation: Operation, call: Call) -> ExecutionResult:
        seen.append((user.get(), anyio.get_current_task().id))
        result = await call(operation)
        user.set("changed")
        return result

    client = Client(Stub({"A": {"a": 1}}), interceptors=[note], attempt_interceptors=[note])
    async with client as session:
        user.set("ada")
        await session.execute("query A { a }")
        assert user.get() == "changed"
    task = anyio.get_current_task().id
    assert seen == [("ada", task), ("ada", task)]


async def test_calling_twice_sends_twice() -> None:
    async def twice(operation: Operation, call: Call) -> ExecutionResult:
        await call(operation)
        return await call(operation)

    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), interceptors=[twice]) as session:
            assert await session.execute("mutation { increment }") == {"increment": 2}
        async with Client(server.transport(), attempt_interceptors=[twice]) as session:
            assert await session.execute("mutation { increment }") == {"increment": 4}


@pytest.mark.parametrize("place", ["interceptors", "attempt_interceptors"])
async def test_a_mutation_is_retried_only_if_nothing_of_it_was_sent(place: str) -> None:
    async def twice(operation: Operation, call: Call) -> ExecutionResult:
        await call(operation)
        return await call(operation)

    plain = Failing(lost(unsent=True), data={"pay": 1})
    async with Client(Stub({"Pay": plain}), **{place: [Diary().named("a")]}).connect(  # type: ignore[arg-type]
        reconnecting=True, retry_execute=AT_ONCE
    ) as session:
        assert await session.execute("mutation Pay { pay }") == {"pay": 1}
        assert plain.calls == 2
    # The first call arrived, and the second was not sent: so something was.
    outcomes: list[Any] = [{"pay": 1}, lost(unsent=True), lost(unsent=True), lost(unsent=True)]

    def answer(_call: object) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with Client(Stub({"Pay": answer}), **{place: [twice]}).connect(  # type: ignore[arg-type]
        reconnecting=True, retry_execute=AT_ONCE
    ) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("mutation Pay { pay }")
    assert not caught.value.unsent
    # Around an attempt, the error ends the call; around the call, its second sending has retries.
    assert len(outcomes) == (2 if place == "attempt_interceptors" else 0)


async def test_one_of_two_at_the_same_time_may_have_arrived() -> None:
    calls = 0

    async def answer(_call: object) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            await checkpoint()  # until the second is under way
            await checkpoint()
            raise lost(unsent=True)
        await anyio.sleep_forever()

    async def hedge(operation: Operation, call: Call) -> ExecutionResult:
        errors: list[Exception] = []

        async def send() -> None:
            try:
                await call(operation)
            except TransportConnectionFailed as exc:
                errors.append(exc)
                tg.cancel_scope.cancel()

        async with anyio.create_task_group() as tg:
            tg.start_soon(send)
            tg.start_soon(send)
        raise errors[0]

    client = Client(Stub({"Pay": answer}), attempt_interceptors=[hedge])
    async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("mutation Pay { pay }")
    assert calls == 2
    assert not caught.value.unsent


async def test_a_mutation_that_may_have_arrived_is_not_retried() -> None:
    answer = Failing(lost(), data={"pay": 1})
    diary = Diary()
    client = Client(
        Stub({"Pay": answer}),
        interceptors=[diary.named("a")],
        attempt_interceptors=[diary.named("b")],
    )
    async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
        with pytest.raises(TransportConnectionFailed):
            await session.execute("mutation Pay { pay }")
        assert answer.calls == 1
        assert await session.execute("mutation Pay { pay }", retry_mutations=True) == {"pay": 1}


async def test_the_kind_may_change_around_the_call_only() -> None:
    async def pay(operation: Operation, call: Call) -> ExecutionResult:
        return await call(operation.replace(request="mutation Pay { pay }"))

    async def subscribe(operation: Operation, call: Call) -> ExecutionResult:
        return await call(operation.replace(request="subscription { a }"))

    async def hand_a_request(operation: Operation, call: Any) -> Any:
        return await call(operation.request)

    answer = Failing(lost(), data={"pay": 1})
    stub = Stub({"Pay": answer})
    async with Client(stub, interceptors=[pay]).connect(
        reconnecting=True, retry_execute=AT_ONCE
    ) as session:
        with pytest.raises(TransportConnectionFailed):
            await session.execute("query A { a }")  # not retried, since it is a mutation now
        assert answer.calls == 1
    async with Client(stub, attempt_interceptors=[pay]) as session:
        with pytest.raises(ValueError, match="made a mutation of a query"):
            await session.execute("query A { a }")
    for place in ("interceptors", "attempt_interceptors"):
        async with Client(stub, **{place: [subscribe]}) as session:  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="made a subscription"):
                await session.execute("query A { a }")
        async with Client(stub, **{place: [hand_a_request]}) as session:  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="takes an Operation, not GraphQLRequest"):
                await session.execute("query A { a }")
    assert answer.calls == 1


# Time limits, on a virtual clock.


def waiting(seconds: float) -> Callable[[Operation, Call], Awaitable[ExecutionResult]]:
    async def interceptor(operation: Operation, call: Call) -> ExecutionResult:
        await anyio.sleep(seconds)
        return await call(operation)

    return interceptor


def on_mock_clock(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_timeout_limits_the_interceptors_and_execute_timeout_each_attempt() -> None:
    async def main() -> None:
        client = Client(Stub({"A": {"a": 1}}), interceptors=[waiting(60)])
        async with client as session:
            assert await session.execute("query A { a }") == {"a": 1}  # 60 s, and the limit is 10 s
            with pytest.raises(
                TransportTimeout, match=r"have not sent the query 'A' within 2 s"
            ) as e:
                await session.execute("query A { a }", timeout=2)
            assert e.value.unsent
            assert await session.execute("query A { a }", timeout=None)
        async with Client(Stub({"A": {"a": 1}}), attempt_interceptors=[waiting(60)]) as session:
            with pytest.raises(
                TransportTimeout, match=r"no answer .* within 10 s \(execute_timeout"
            ):
                await session.execute("query A { a }")
            assert await session.execute("query A { a }", timeout=61) == {"a": 1}

    on_mock_clock(main)


def test_a_timeout_after_something_was_sent_says_so() -> None:
    async def wait_after(operation: Operation, call: Call) -> ExecutionResult:
        await call(operation)
        await anyio.sleep(60)
        return await call(operation)

    async def main() -> None:
        async with Client(Stub({"A": {"a": 1}}), interceptors=[wait_after]) as session:
            with pytest.raises(TransportTimeout, match=r"no answer for .* 'A' within 2 s") as e:
                await session.execute("query A { a }", timeout=2)
            assert not e.value.unsent

    on_mock_clock(main)


# Results.


@dataclass
class Greeting:
    hello: str


async def data_of(operation: Operation, call: Call) -> ExecutionResult:
    result = await call(operation)
    assert type(result.data) is dict
    assert "hello" in repr(result)
    return result


async def blind(operation: Operation, call: Call) -> ExecutionResult:
    return await call(operation)


async def upper(operation: Operation, call: Call) -> ExecutionResult:
    result = await call(operation)
    return ExecutionResult({"hello": result.data["hello"].upper()})


@pytest.mark.parametrize("way", ["websocket", "http", "local"])
async def test_results_have_data_on_every_transport(way: str) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        transport: Any = {
            "websocket": server.transport,
            "http": lambda: HTTPTransport(server.http_url),
            "local": lambda: LocalSchemaTransport(demo_schema()),
        }[way]()
        for interceptor in (data_of, blind, upper):
            client = Client(
                transport, interceptors=[interceptor], attempt_interceptors=[interceptor]
            )
            async with client as session:
                greeting = await session.execute("{ hello }", result_type=Greeting)
                expected = "HELLO WORLD!" if interceptor is upper else "Hello world!"
                assert greeting == Greeting(expected)
                assert await session.execute("{ hello }") == {"hello": expected}
                assert (await session.execute_result("{ hello }")).data == {"hello": expected}


async def test_the_schema_and_pages_are_asked_for_through_them() -> None:
    names: list[str | None] = []

    async def note(operation: Operation, call: Call) -> ExecutionResult:
        names.append(operation.name)
        return await call(operation)

    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), fetch_schema=True, interceptors=[note]) as session:
            assert names
            names.clear()
            await session.fetch_schema()
            assert names
    page = {"list": {"nodes": [1, 2], "pageInfo": {"hasNextPage": False, "endCursor": None}}}
    stub = Stub({"List": page})
    selection = "{ nodes pageInfo { hasNextPage endCursor } }"
    document = f"query List($after: ID) {{ list(after: $after) {selection} }}"
    names.clear()
    async with Client(stub, interceptors=[note]) as session:
        async with session.pages(document, path="list") as nodes:
            assert [node async for node in nodes] == [1, 2]
    assert names == ["List"]


# Batches.


@pytest.fixture
async def served(bounded: None) -> Any:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        yield server


def bodies(server: GraphQLServer) -> list[Any]:
    return [json.loads(request.body) for request in server.requests]


BATCH = ["query A { hello }", "query B { add(a: 1, b: 2) }", "mutation C { setCounter(value: 7) }"]
ANSWERS = [{"hello": "Hello world!"}, {"add": 3}, {"setCounter": 7}]


async def test_a_batch_is_a_call_each_and_travels_as_one(served: GraphQLServer) -> None:
    names: list[str | None] = []

    async def note(operation: Operation, call: Call) -> ExecutionResult:
        names.append(operation.name)
        return await call(operation)

    client = Client(
        HTTPTransport(served.http_url), interceptors=[note], attempt_interceptors=[note]
    )
    async with client as session:
        assert await session.execute_batch([]) == []
        assert await session.execute_batch(BATCH) == ANSWERS
        assert sorted(map(str, names)) == ["A", "A", "B", "B", "C", "C"]
        (body,) = bodies(served)
        assert [each["query"] for each in body] == BATCH


async def test_a_batch_over_a_socket(served: GraphQLServer) -> None:
    client = Client(served.transport(), interceptors=[data_of_any])
    async with client as session:
        results = await session.execute_batch_results(["query A { hello }", "query B { fail }"])
    assert [result.data for result in results] == [{"hello": "Hello world!"}, {"fail": None}]


async def data_of_any(operation: Operation, call: Call) -> ExecutionResult:
    result = await call(operation)
    assert type(result.data) is dict
    return result


async def test_what_an_interceptor_answers_is_not_waited_for(served: GraphQLServer) -> None:
    async def cached(operation: Operation, call: Call) -> ExecutionResult:
        if operation.name == "A":
            await checkpoint()
            return ExecutionResult({"hello": "cached"})
        return await call(operation)

    async with Client(HTTPTransport(served.http_url), interceptors=[cached]) as session:
        assert await session.execute_batch(BATCH) == [{"hello": "cached"}, *ANSWERS[1:]]
    assert [each["query"] for each in bodies(served)[0]] == BATCH[1:]


async def test_one_after_the_other_is_no_deadlock(served: GraphQLServer) -> None:
    lock = anyio.Lock()

    async def in_turn(operation: Operation, call: Call) -> ExecutionResult:
        async with lock:
            return await call(operation)

    async with Client(HTTPTransport(served.http_url), interceptors=[in_turn]) as session:
        queries = ["query A { hello }", "query B { hello }"]
        assert await session.execute_batch(queries) == [{"hello": "Hello world!"}] * 2
    assert len(served.requests) == 2


async def test_other_arguments_travel_alone(served: GraphQLServer) -> None:
    async def header(operation: Operation, call: Call) -> ExecutionResult:
        return await call(
            operation.replace(transport_args={"headers": {"X-Name": str(operation.name)}})
        )

    async with Client(HTTPTransport(served.http_url), interceptors=[header]) as session:
        queries = ["query A { hello }", "query B { hello }"]
        assert await session.execute_batch(queries) == [{"hello": "Hello world!"}] * 2
    assert {request.headers["x-name"] for request in served.requests} == {"A", "B"}


async def test_the_first_error_of_a_batch_is_raised_after_all_have_run() -> None:
    async def fail(operation: Operation, call: Call) -> ExecutionResult:
        await checkpoint()
        if operation.name != "A":
            raise KeyError(operation.name)
        return await call(operation)

    stub = Stub({"A": {"a": 1}})
    async with Client(stub, interceptors=[fail]) as session:
        with pytest.raises(KeyError, match="B"):
            await session.execute_batch(["query A { a }", "query B { b }"])
    assert len(stub.calls) == 1


async def test_automatic_batches(served: GraphQLServer) -> None:
    client = Client(
        HTTPTransport(served.http_url), batch_interval=1, batch_max=2, interceptors=[blind]
    )
    async with client as session, anyio.create_task_group() as tg:
        for name in "AB":
            tg.start_soon(session.execute, f"query {name} {{ hello }}")
    (body,) = bodies(served)
    assert len(body) == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("place", ["interceptors", "attempt_interceptors"])
async def test_a_stray_cancellation_is_an_error(place: str) -> None:
    async def stray(_operation: Operation, _call: Call) -> ExecutionResult:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task
        return ExecutionResult()

    text = "a cancellation came out of the interceptor .*stray"
    for options in ({}, {"reconnecting": True, "retry_execute": False}):
        client = Client(Stub({"A": {"a": 1}}), **{place: [stray]})  # type: ignore[arg-type]
        async with client.connect(**options) as session:  # type: ignore[arg-type]
            with pytest.raises(TransportConnectionFailed, match=text):
                await session.execute("query A { a }")
            with pytest.raises(TransportConnectionFailed, match=text):
                await session.execute_batch(["query A { a }"])


async def test_files_in_a_batch_travel_alone(served: GraphQLServer) -> None:
    client = Client(HTTPTransport(served.http_url), interceptors=[blind])
    upload = GraphQLRequest("query U($n: String!) { hello(name: $n) }", {"n": FileVar(b"x")})
    async with client as session:
        with pytest.raises(TransportQueryError):
            await session.execute_batch(["query A { hello }", upload, "query B { hello }"])
    types = [request.headers["content-type"].partition(";")[0] for request in served.requests]
    assert sorted(types) == ["application/json", "multipart/form-data"]


async def test_two_calls_at_the_same_time() -> None:
    """The first answer wins; the other call is canceled, which the server is told."""

    async def hedged(operation: Operation, call: Call) -> ExecutionResult:
        answers: list[ExecutionResult] = []

        async def ask(request: str) -> None:
            answers.append(await call(operation.replace(request=request)))
            tg.cancel_scope.cancel()

        async with anyio.create_task_group() as tg:
            tg.start_soon(ask, "{ slow(seconds: 60) }")
            tg.start_soon(ask, "{ hello }")
        return answers[0]

    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), interceptors=[hedged]) as session:
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
            await server.connections[0].wait_operations(0)


async def test_retry_on_an_extension_code() -> None:
    async def retry_throttled(operation: Operation, call: Call) -> ExecutionResult:
        for _ in range(3):
            result = await call(operation)
            codes = [error.get("extensions", {}).get("code") for error in result.errors or ()]
            if "THROTTLED" not in codes:
                break
            await checkpoint()
        return result

    throttled = GraphQLError("later", extensions={"code": "THROTTLED"})
    answer = Failing(throttled, throttled, data={"a": 1})
    async with Client(Stub({"A": answer}), interceptors=[retry_throttled]) as session:
        assert await session.execute("query A { a }") == {"a": 1}
    assert answer.calls == 3


async def test_an_error_before_anything_was_sent_says_so() -> None:
    async def refuse(operation: Operation, call: Call) -> ExecutionResult:
        error = TransportConnectionFailed("not now")
        error.unsent = True
        raise error

    client = Client(Stub({"Pay": {"pay": 1}}), attempt_interceptors=[refuse])
    async with client as session:
        with pytest.raises(TransportConnectionFailed, match="not now") as caught:
            await session.execute("mutation Pay { pay }")
    assert caught.value.unsent


def test_a_timeout_before_there_is_a_connection_says_so() -> None:
    async def go_on(operation: Operation, call: Call) -> ExecutionResult:
        return await call(operation)

    async def main() -> None:
        stub = Stub({"Pay": {"pay": 1}})
        client = Client(stub, interceptors=[go_on])
        async with client.connect(reconnecting=True) as session:
            stub.refuse_with = TransportConnectionFailed("down")
            stub.drop_connections()
            with pytest.raises(
                TransportTimeout, match=r"no connection for .* 'Pay' within 2 s"
            ) as e:
                await session.execute("mutation Pay { pay }", timeout=2)
            assert e.value.unsent

    on_mock_clock(main)
