"""Spans of queries and mutations: what each says, in whose context, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context
from hashlib import sha256
from typing import Any

import anyio
import pytest
import tenacity
from anyio.lowlevel import checkpoint
from graphql import GraphQLError
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode

from anygql import (
    Call,
    Client,
    ExecutionResult,
    HTTPTransport,
    Operation,
    Refreshing,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    blocking,
)
from anygql.testing import GraphQLServer, Stub, demo_schema
from tests.support.telemetry import Telemetry

AT_ONCE = tenacity.AsyncRetrying(
    wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(3), reraise=True
)
HELLO = "query Hello { hello }"
DURATION = "graphql.client.request.duration"


def client_of(telemetry: Telemetry, answers: dict[str | None, Any], **options: Any) -> Client:
    stub = Stub(answers, description="https://user:pass@h.example/graphql")
    return Client(stub, interceptors=[telemetry.interceptor(**options)])


async def test_one_span_for_a_call(telemetry: Telemetry) -> None:
    async with client_of(telemetry, {"Hello": {"hello": "hi"}}) as session:
        assert await session.execute(HELLO) == {"hello": "hi"}
    span = telemetry.span
    assert (span.name, span.kind, span.status.status_code) == (
        *("query", SpanKind.CLIENT, StatusCode.UNSET),
    )
    assert span.parent is None
    assert dict(span.attributes or {}) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Hello",
        # Of the text as it is sent.
        "graphql.document.hash": f"sha256:{sha256(HELLO.encode()).hexdigest()}",
        "server.address": "h.example",
        "server.port": 443,
    }
    assert telemetry.points(DURATION) == [
        (
            {
                "graphql.operation.type": "query",
                "server.address": "h.example",
                "server.port": 443,
            },
            1,
        )
    ]


@pytest.mark.parametrize(
    ("document", "name"), [(HELLO, "query Hello"), ("mutation { hello }", "mutation")]
)
async def test_the_name_in_the_span(telemetry: Telemetry, document: str, name: str) -> None:
    answers = {"Hello": {"hello": "hi"}, None: {"hello": "hi"}}
    async with client_of(telemetry, answers, name_in_span=True) as session:
        await session.execute(document)
    assert telemetry.span.name == name


# How it ends.


async def test_errors_of_the_answer(telemetry: Telemetry) -> None:
    errors: list[Any] = [
        {"message": "a", "path": ["hero", "friends", 0, "name"]},
        {"message": "b", "extensions": {"code": "FORBIDDEN"}, "path": "no list"},
        "no object",
        *({"message": str(number), "path": []} for number in range(9)),
    ]
    answer = ExecutionResult({"hello": None}, errors)
    async with client_of(telemetry, {"Hello": answer}) as session:
        with pytest.raises(TransportQueryError):
            await session.execute(HELLO)
    span = telemetry.span
    assert span.attributes is not None
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.attributes["error.type"] == "FORBIDDEN"
    assert span.attributes["graphql.error.count"] == 12
    assert [event.name for event in span.events] == ["graphql.error"] * 10
    common = {"graphql.operation.type": "query", "graphql.operation.name": "Hello"}
    assert [dict(event.attributes or {}) for event in span.events[:3]] == [
        {**common, "graphql.error.path": "hero.friends[0].name"},
        {**common, "graphql.error.code": "FORBIDDEN"},
        common,
    ]
    assert telemetry.total(DURATION, error_type="FORBIDDEN") == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GraphQLError("no"), "TransportQueryError"),
        (TransportServerError("busy", code=503), "TransportServerError:503"),
        (
            TransportServerError(
                "who",
                code=401,
                errors=[{"message": "x", "extensions": {"code": "UNAUTHENTICATED"}}],
            ),
            "UNAUTHENTICATED",
        ),
        (TransportConnectionFailed("lost"), "TransportConnectionFailed"),
        (AssertionError("a bug"), "AssertionError"),
    ],
)
async def test_what_is_raised(telemetry: Telemetry, error: Exception, kind: str) -> None:
    async with client_of(telemetry, {"Hello": error}) as session:
        with pytest.raises((TransportError, AssertionError)):
            await session.execute(HELLO)
    span = telemetry.span
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == kind
    assert not [event for event in span.events if event.name == "exception"]


async def test_a_canceled_call_is_no_error(telemetry: Telemetry) -> None:
    async def hang(_call: object) -> Any:
        await anyio.sleep_forever()

    async with client_of(telemetry, {"Hello": hang}) as session:
        with anyio.move_on_after(0.01):
            await session.execute(HELLO)
        with anyio.move_on_after(0.01):
            await session.execute(HELLO, timeout=60)
    for span in telemetry.spans:
        assert span.status.status_code is StatusCode.UNSET
        assert span.attributes is not None
        assert span.attributes["anygql.cancelled"] is True
    assert telemetry.total(DURATION, anygql_cancelled=True) == 2


async def test_an_operation_of_the_users_own_was_canceled(telemetry: Telemetry) -> None:
    async def hang(_call: object) -> Any:
        await anyio.sleep_forever()

    async def make_another(operation: Operation, call: Call) -> ExecutionResult:
        return await call(Operation(request=operation.request))

    stub = Stub({"Hello": hang})
    client = Client(stub, interceptors=[make_another, telemetry.interceptor()])
    async with client as session:
        with anyio.move_on_after(0.01):
            await session.execute(HELLO)
    assert dict(telemetry.span.attributes or {})["anygql.cancelled"] is True


@pytest.mark.parametrize("of_call", [True, False])
async def test_a_time_limit_is_an_error(telemetry: Telemetry, of_call: bool) -> None:
    async def hang(_call: object) -> Any:
        await anyio.sleep_forever()

    stub = Stub({"Hello": hang})
    client = Client(stub, execute_timeout=0.01, interceptors=[telemetry.interceptor()])
    async with client as session:
        with pytest.raises(TransportTimeout):
            await session.execute(HELLO, **{"timeout": 0.01} if of_call else {})
    span = telemetry.span
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "TransportTimeout"


# Attempts.


async def test_retries_are_events(
    telemetry: Telemetry, call_limits: list[anyio.CancelScope]
) -> None:
    async def hang(_call: object) -> Any:
        call_limits[-1].cancel()
        await anyio.sleep_forever()

    answers = iter([TransportConnectionFailed("lost", code=1006), hang, {"hello": "hi"}])

    async def answer(call: object) -> Any:
        each: Any = next(answers)
        if isinstance(each, Exception):
            raise each
        return await each(call) if callable(each) else each

    stub = Stub({"Hello": answer})
    client = Client(stub, execute_timeout=0.01, interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
        assert await session.execute(HELLO) == {"hello": "hi"}
    span = telemetry.span
    assert span.status.status_code is StatusCode.UNSET
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        (
            "retry",
            {"anygql.retry.attempt": 2, "anygql.retry.reason": "TransportConnectionFailed:1006"},
        ),
        ("retry", {"anygql.retry.attempt": 3, "anygql.retry.reason": "TransportTimeout"}),
    ]


async def test_an_interceptor_that_sends_again(telemetry: Telemetry) -> None:
    answers = iter(
        [GraphQLError("slow", extensions={"code": "THROTTLED"}), {"hello": 1}, {"hello": 2}]
    )

    async def thrice(operation: Operation, call: Call) -> ExecutionResult:
        for _ in range(2):
            await call(operation)
        return await call(operation)

    async def out_of_context(operation: Operation, call: Call) -> ExecutionResult:
        token = context.attach(context.Context())
        try:
            return await call(operation)
        finally:
            context.detach(token)

    stub = Stub({"Hello": lambda _: next(answers), "Out": {"out": 1}})
    interceptors = [telemetry.interceptor(), thrice]
    async with Client(stub, interceptors=interceptors) as session:
        assert await session.execute(HELLO) == {"hello": 2}
    assert [dict(event.attributes or {}) for event in telemetry.span.events] == [
        {"anygql.retry.attempt": 2, "anygql.retry.reason": "THROTTLED"},
        {"anygql.retry.attempt": 3},
    ]
    interceptors = [telemetry.interceptor(), out_of_context]
    async with Client(stub, interceptors=interceptors) as session:
        assert await session.execute("query Out { out }") == {"out": 1}
    assert not telemetry.spans[-1].events


def test_an_interceptor_that_sends_from_a_task_without_context(telemetry: Telemetry) -> None:
    async def send_elsewhere(operation: Operation, call: Call) -> ExecutionResult:
        async def send() -> ExecutionResult:
            return await call(operation)

        # Another context than the caller's: nothing is known of the call there.
        return await asyncio.create_task(send(), context=Context())

    async def main() -> None:
        interceptors = [telemetry.interceptor(), send_elsewhere]
        async with Client(Stub({"Hello": {"hello": "hi"}}), interceptors=interceptors) as session:
            assert await session.execute(HELLO) == {"hello": "hi"}

    anyio.run(main, backend="asyncio")
    assert not telemetry.span.events


async def test_one_attempt_needs_no_interceptor_of_attempts(telemetry: Telemetry) -> None:
    answers = iter([TransportConnectionFailed("lost"), {"hello": "hi"}])
    client = Client(
        Stub({"Hello": lambda _: next(answers)}), interceptors=[telemetry.interceptor()]
    )
    async with client as session:
        with pytest.raises(TransportConnectionFailed):
            await session.execute(HELLO)
        assert session._options.attempt_interceptors == ()
    assert not telemetry.span.events


# Whose span is current.


async def test_an_interceptor_that_sends_twice_at_once(telemetry: Telemetry) -> None:
    async def hedge(operation: Operation, call: Call) -> ExecutionResult:
        results: list[ExecutionResult] = []

        async def send() -> None:
            results.append(await call(operation))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            tasks.start_soon(send)
        return results[0]

    stub = Stub({"Hello": {"hello": "hi"}})
    async with Client(stub, interceptors=[telemetry.interceptor(), hedge]) as session:
        await session.execute(HELLO)
    (event,) = telemetry.span.events
    # Nothing has failed, so there is no reason.
    assert (event.name, dict(event.attributes or {})) == ("retry", {"anygql.retry.attempt": 2})


async def test_each_task_has_its_own_parent(telemetry: Telemetry) -> None:
    """Three tasks at the same time: each call's parent is its own task's span."""
    everyone = anyio.Event()
    arrived = 0
    seen: dict[str, int] = {}

    async def meet(operation: Operation, call: Call) -> ExecutionResult:
        nonlocal arrived
        arrived += 1
        if arrived == 3:
            everyone.set()
        await everyone.wait()
        seen[str(operation.name)] = trace.get_current_span().get_span_context().span_id
        return await call(operation)

    names = ["A", "B", "C"]
    stub = Stub({name: {"a": 1} for name in names})
    client = Client(stub, interceptors=[telemetry.interceptor(), meet])

    async def work(session: Any, name: str) -> None:
        with telemetry.tracer.start_as_current_span(f"task {name}") as own:
            await session.execute(f"query {name} {{ a }}")
            assert trace.get_current_span() is own

    async with client as session, anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(work, session, name)
    assert not trace.get_current_span().get_span_context().is_valid
    spans = {span.name: span for span in telemetry.spans if span.name.startswith("task")}
    calls = {
        dict(s.attributes or {})["graphql.operation.name"]: s
        for s in telemetry.spans
        if s.attributes
    }
    for name in names:
        parent, call = spans[f"task {name}"], calls[name]
        assert call.parent is not None
        assert call.parent.span_id == parent.context.span_id
        assert call.context.trace_id == parent.context.trace_id
        assert seen[name] == call.context.span_id
    assert len({call.context.trace_id for call in calls.values()}) == 3


async def test_a_batch_is_a_span_each_with_one_parent(telemetry: Telemetry) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
        async with client as session:
            with telemetry.tracer.start_as_current_span("parent") as parent:
                await session.execute_batch([HELLO, "{ counter }", "mutation { increment }"])
        (request,) = server.requests
    *spans, _ = telemetry.spans
    assert sorted(span.name for span in spans) == ["mutation", "query", "query"]
    ids = {span.context.span_id for span in spans}
    assert {span.parent.span_id for span in spans if span.parent} == {
        parent.get_span_context().span_id
    }
    # One request has one trace: that of its first operation.
    assert int(request.headers["traceparent"].split("-")[2], 16) in ids


async def test_automatic_batches_still_travel_together(telemetry: Telemetry) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        client = Client(
            HTTPTransport(server.http_url),
            batch_interval=0.05,
            batch_max=3,
            interceptors=[telemetry.interceptor()],
        )
        async with client as session:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(session.execute, HELLO)
            assert len(server.requests) == 1
            args = {"headers": {"X-Own": "1"}}
            await session.execute(HELLO, transport_args=args)
            assert server.requests[1].headers["x-own"] == "1"
    ids = {span.context.span_id for span in telemetry.spans}
    assert len(ids) == 4
    assert int(server.requests[0].headers["traceparent"].split("-")[2], 16) in ids


async def test_pages_and_the_schema(telemetry: Telemetry) -> None:
    pages = iter(
        [
            {"all": {"nodes": [1], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}},
            {"all": {"nodes": [2], "pageInfo": {"hasNextPage": False, "endCursor": "y"}}},
        ]
    )
    document = """query All($after: String) {
        all(after: $after) { nodes pageInfo { hasNextPage endCursor } }
    }"""
    async with client_of(telemetry, {"All": lambda _: next(pages)}) as session:
        with telemetry.tracer.start_as_current_span("parent"):
            async with session.pages(document, path="all") as nodes:
                assert [node async for node in nodes] == [1, 2]
    assert [span.name for span in telemetry.spans] == ["query", "query", "parent"]
    assert len({span.context.trace_id for span in telemetry.spans}) == 1
    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), interceptors=[telemetry.interceptor()])
        async with client as session:
            await session.fetch_schema()
    assert len(telemetry.spans) > 3


async def test_incremental_is_one_span_to_its_end(telemetry: Telemetry) -> None:
    async def states(_call: object) -> AsyncIterator[Any]:
        yield {"a": 1}
        await checkpoint()
        yield ExecutionResult({"a": 1, "b": None}, [{"message": "no", "path": ["b"]}])

    async def fine(_call: object) -> AsyncIterator[Any]:
        yield {"a": 1}

    answers: dict[str | None, Any] = {"States": states, "Fine": fine, "No": GraphQLError("no")}
    async with client_of(telemetry, answers) as session:
        document = "query States { a ... @defer { b } }"
        async with session.execute_incremental(document) as parts:
            assert await anext(parts) == {"a": 1}
            assert not telemetry.spans
            with pytest.raises(TransportQueryError):
                await anext(parts)
            with pytest.raises(StopAsyncIteration):
                await anext(parts)
        async with session.execute_incremental("query Fine { a ... @defer { b } }") as parts:
            assert [part async for part in parts] == [{"a": 1}]
        async with session.execute_incremental(document) as parts:
            await anext(parts)
    failed, fine_one, left = telemetry.spans
    assert dict(failed.attributes or {})["error.type"] == "TransportQueryError"
    assert [event.name for event in failed.events] == ["graphql.error"]
    assert fine_one.status.status_code is StatusCode.UNSET
    assert "anygql.cancelled" not in (fine_one.attributes or {})
    assert dict(left.attributes or {})["anygql.cancelled"] is True
    assert telemetry.total(DURATION) == 3


def test_without_await(telemetry: Telemetry) -> None:
    stub = Stub({"Hello": {"hello": "hi"}, "Count": [{"n": 1}, {"n": 2}]})
    with blocking.Client(stub, interceptors=[telemetry.interceptor(events=True)]) as session:
        with telemetry.tracer.start_as_current_span("parent") as parent:
            assert session.execute(HELLO) == {"hello": "hi"}
            with session.subscribe("subscription Count { n }") as events:
                assert list(events) == [{"n": 1}, {"n": 2}]
    names = [span.name for span in telemetry.spans]
    assert names[0] == "query"
    assert sorted(names[1:-1]) == sorted(["subscription", *["GraphQL Subscription Event"] * 2])
    for span in (telemetry.spans[0], *(s for s in telemetry.spans if s.name == "subscription")):
        assert span.parent is not None
        assert span.parent.span_id == parent.get_span_context().span_id


async def test_what_was_refused_and_is_replayed(telemetry: Telemetry) -> None:
    refusal = GraphQLError("expired", extensions={"code": "UNAUTHENTICATED"})

    async def ticks(_call: object) -> AsyncIterator[Any]:
        yield {"tick": 1}
        await again.wait()
        yield ExecutionResult(None, [{"message": "x", "extensions": {"code": "UNAUTHENTICATED"}}])

    again = anyio.Event()
    stub = Stub({"Hello": [refusal, {"hello": "hi"}], "Ticks": ticks})
    auth = Refreshing(refresh=lambda: "token")
    client = Client(stub, auth=auth, interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=True) as session:
        assert await session.execute(HELLO) == {"hello": "hi"}
        async with session.subscribe("subscription Ticks { tick }") as events:
            assert await anext(events) == {"tick": 1}
            again.set()
            assert await anext(events) == {"tick": 1}
    call, first, resent = telemetry.spans
    assert [dict(event.attributes or {}) for event in call.events] == [
        {"anygql.retry.attempt": 2, "anygql.retry.reason": "UNAUTHENTICATED"}
    ]
    assert call.status.status_code is StatusCode.UNSET
    assert resent.links[0].context.span_id == first.context.span_id
    assert dict(resent.events[0].attributes or {}) == {
        "anygql.reconnect.count": 1,
        "anygql.reconnect.reason": "UNAUTHENTICATED",
    }
