"""Spans of subscriptions: the beginning, the gaps, the events, and how many there are."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from graphql import GraphQLError
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from anygql import (
    PHOENIX,
    Client,
    ExecutionResult,
    HTTPTransport,
    Session,
    Subscription,
    SubscriptionOverflow,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
)
from anygql.appsync import ApiKey, AppSync
from anygql.session.subscription import results_of
from anygql.testing import GraphQLServer, Recorder, Stub, demo_schema
from tests.support.telemetry import Telemetry

pytestmark = pytest.mark.usefixtures("soon")

TICKS = "subscription Ticks { tick }"
ENDLESS = "subscription Down { countdown(from: 1000000, interval: 0.001) }"
ACTIVE = "anygql.active_subscriptions"


async def ticking(_call: object) -> AsyncIterator[Any]:
    for number in range(1_000_000):
        yield {"tick": number}
        await checkpoint()


async def hundred(_call: object) -> AsyncIterator[Any]:
    for number in range(100):
        yield {"tick": number}


async def silent(_call: object) -> AsyncIterator[Any]:
    await anyio.sleep_forever()
    yield {"tick": 0}


async def failing(_call: object) -> AsyncIterator[Any]:
    yield ExecutionResult({"tick": None}, [{"message": "no", "extensions": {"code": "BAD"}}])
    yield {"tick": 1}


async def test_the_span_ends_with_the_first_result(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": ticking}), interceptors=[telemetry.interceptor()])
    async with client as session:
        with telemetry.tracer.start_as_current_span("parent") as parent:
            async with session.subscribe(TICKS) as events:
                assert trace.get_current_span() is parent
                assert not telemetry.spans
                assert telemetry.total(ACTIVE) == 1
                assert await anext(events) == {"tick": 0}
                span = telemetry.span
                assert await anext(events) == {"tick": 1}
            await events.aclose()
    assert (span.name, span.kind) == ("subscription", SpanKind.CLIENT)
    assert span.parent is not None
    assert span.parent.span_id == parent.get_span_context().span_id
    assert span.status.status_code is StatusCode.UNSET
    assert [each.name for each in telemetry.spans] == ["subscription", "parent"]
    assert telemetry.total(ACTIVE) == 0
    assert telemetry.points("graphql.client.request.duration") == []


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_subscription_that_was_left_before(
    telemetry: Telemetry, reconnecting: bool
) -> None:
    client = Client(Stub({"Ticks": silent}), interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=reconnecting) as session:
        async with session.subscribe(TICKS) as events:
            with anyio.move_on_after(0.01):
                await anext(events)
            assert events.dropped == events.reconnects == 0
        assert dict(telemetry.span.attributes or {})["anygql.cancelled"] is True
        assert telemetry.total(ACTIVE) == 0


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_subscription_that_was_dropped(telemetry: Telemetry, reconnecting: bool) -> None:
    client = Client(Stub({"Ticks": silent}), interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=reconnecting) as session:
        events = session.subscribe(TICKS, on_resubscribe=lambda _events, _last: None)
        while telemetry.total(ACTIVE) == 0:
            with anyio.move_on_after(0.01):
                await anext(events)
        assert telemetry.total(ACTIVE) == 1
        del events
        gc.collect()
        with anyio.fail_after(5):
            while telemetry.total(ACTIVE):
                await checkpoint()
    assert dict(telemetry.span.attributes or {})["anygql.cancelled"] is True


async def test_an_end_without_results_is_no_error(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": []}), interceptors=[telemetry.interceptor()])
    async with client as session, session.subscribe(TICKS) as events:
        assert [event async for event in events] == []
    span = telemetry.span
    assert span.status.status_code is StatusCode.UNSET
    assert "anygql.cancelled" not in (span.attributes or {})


async def test_a_refusal(telemetry: Telemetry) -> None:
    error = GraphQLError("no", extensions={"code": "FORBIDDEN"})
    client = Client(Stub({"Ticks": error}), interceptors=[telemetry.interceptor()])
    async with client as session, session.subscribe(TICKS) as events:
        with pytest.raises(TransportQueryError):
            await anext(events)
        assert telemetry.total(ACTIVE) == 1
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        assert telemetry.total(ACTIVE) == 0
    span = telemetry.span
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "FORBIDDEN"
    assert [event.name for event in span.events] == ["graphql.error"]


async def test_what_keeps_it_from_beginning(telemetry: Telemetry) -> None:
    stub = Stub({"Ticks": ticking})
    client = Client(stub, interceptors=[telemetry.interceptor()])
    async with client as session:
        events = session.subscribe(TICKS, transport_args={"x": 1})
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with events:
                pytest.fail("it was canceled")
        stub.drop_connections()
        await session.wait_closed()
        for _ in range(2):
            with pytest.raises(TransportError):
                await events.receive()
    canceled, *failed = telemetry.spans
    assert dict(canceled.attributes or {})["anygql.cancelled"] is True
    for span in failed:
        kind = dict(span.attributes or {})["error.type"]
        assert kind == "TransportConnectionFailed:1006" or kind == "TransportConnectionFailed"
    assert len(failed) == 2
    assert telemetry.points(ACTIVE) == []


async def test_a_loss_before_the_first_result_of_a_plain_session(telemetry: Telemetry) -> None:
    stub = Stub({"Ticks": silent})
    client = Client(stub, interceptors=[telemetry.interceptor()])
    async with client as session, session.subscribe(TICKS) as events:
        async with anyio.create_task_group() as tasks:

            async def take() -> None:
                with pytest.raises(TransportConnectionFailed):
                    await events.receive()

            tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            stub.drop_connections()
    assert telemetry.span.status.status_code is StatusCode.ERROR
    assert telemetry.total(ACTIVE) == 0


async def test_each_reconnect_is_a_span_with_a_link(telemetry: Telemetry) -> None:
    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), interceptors=[telemetry.interceptor()])
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(ENDLESS) as events:
                await anext(events)
                for count in (1, 2):
                    server.drop_connections()
                    while events.reconnects < count:
                        await anext(events)
            assert telemetry.total(ACTIVE) == 0
    first, *again = telemetry.spans
    assert len(again) == 2
    for count, span in enumerate(again, 1):
        assert (span.name, span.kind, span.parent) == ("subscription", SpanKind.CLIENT, None)
        assert span.context.trace_id != first.context.trace_id
        (link,) = span.links
        assert link.context.span_id == first.context.span_id
        attributes = dict(span.attributes or {})
        assert attributes["anygql.reconnect.count"] == count
        assert attributes["graphql.operation.name"] == "Down"
        (event,) = span.events
        assert (event.name, dict(event.attributes or {})) == (
            "reconnect",
            {
                "anygql.reconnect.count": count,
                "anygql.reconnect.reason": "TransportConnectionFailed:1006",
            },
        )
        assert span.status.status_code is StatusCode.UNSET
    assert telemetry.total("anygql.reconnects") == 2


async def test_a_loss_before_the_first_result(telemetry: Telemetry) -> None:
    """The first span goes on to the first result, whichever connection that comes by."""
    sources = iter([silent, ticking])
    stub = Stub({"Ticks": lambda call: next(sources)(call)})
    client = Client(stub, interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(TICKS) as events:
            await anyio.wait_all_tasks_blocked()
            stub.drop_connections()
            assert await anext(events) == {"tick": 0}
    again, first = telemetry.spans
    assert again.links
    assert not first.links
    assert first.status.status_code is StatusCode.UNSET


async def test_a_reconnect_that_fails(telemetry: Telemetry) -> None:
    def refuse(_subscription: Subscription[Any], _last: Any) -> None:
        raise KeyError("secret")

    stub = Stub({"Ticks": ticking})
    client = Client(stub, interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(TICKS, on_resubscribe=refuse) as events:
            await anext(events)
            stub.drop_connections()
            with pytest.raises(KeyError):
                async for _ in events:
                    pass
    _, again = telemetry.spans
    assert again.status.status_code is StatusCode.ERROR
    assert dict(again.attributes or {})["error.type"] == "KeyError"
    assert telemetry.total(ACTIVE) == 0


async def test_left_between_two_connections(telemetry: Telemetry) -> None:
    async def hang(_subscription: Subscription[Any], _last: Any) -> None:
        asked.set()
        await anyio.sleep_forever()

    asked = anyio.Event()
    stub = Stub({"Ticks": ticking})
    client = Client(stub, interceptors=[telemetry.interceptor()])
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(TICKS, on_resubscribe=hang) as events:
            await anext(events)
            stub.drop_connections()
            await asked.wait()
    _, again = telemetry.spans
    assert dict(again.attributes or {})["anygql.cancelled"] is True


async def test_a_stream_that_is_lost_while_its_connection_lives(telemetry: Telemetry) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        transport = HTTPTransport(server.http_url)
        client = Client(transport, interceptors=[telemetry.interceptor()])
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(ENDLESS) as events:
                await anext(events)
                server.drop_connections()
                while not events.reconnects:
                    await anext(events)
        headers = [request.headers for request in server.requests]
    first, again = telemetry.spans
    # Each request has the trace of what sent it, and no other beside it.
    sent = [each["traceparent"].split("-")[1:3] for each in headers]
    assert [(int(trace_id, 16), int(span_id, 16)) for trace_id, span_id in sent] == [
        (span.context.trace_id, span.context.span_id) for span in (first, again)
    ]


@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize("protocol", ["appsync", "phoenix"])
async def test_the_start_ends_the_span(
    telemetry: Telemetry, protocol: str, is_recorded: bool, tmp_path: Path
) -> None:
    value = AppSync(ApiKey("da2-secret")) if protocol == "appsync" else PHOENIX
    async with GraphQLServer(demo_schema(), protocols=[protocol]) as server:
        transport: Any = server.transport(protocol=value)
        if is_recorded:
            transport = Recorder(transport, tmp_path / "cassette.json")
        client = Client(transport, interceptors=[telemetry.interceptor()])
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe("subscription { never }"):
                with anyio.fail_after(5):
                    while not telemetry.spans:
                        await checkpoint()
    assert telemetry.span.status.status_code is StatusCode.UNSET
    assert "anygql.cancelled" not in (telemetry.span.attributes or {})


async def test_a_start_that_comes_late_changes_nothing(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": ticking}), interceptors=[telemetry.interceptor()])
    async with client as session, session.subscribe(TICKS) as events:
        await anext(events)
        feed: Any = results_of(events)._inner  # type: ignore[attr-defined]
        feed.on_started()
        assert len(telemetry.spans) == 1


async def test_a_span_for_each_event(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": failing}), interceptors=[telemetry.interceptor(events=True)])
    async with client as session:
        with telemetry.tracer.start_as_current_span("worker") as worker:
            async with session.subscribe_results(TICKS) as events:
                await anext(events)
                assert [span.name for span in telemetry.spans] == ["subscription"]
                await anext(events)
                assert [span.name for span in telemetry.spans][1:] == ["GraphQL Subscription Event"]
    first, *results, _ = telemetry.spans
    assert dict(first.attributes or {})["error.type"] == "BAD"
    assert [span.status.status_code for span in results] == [StatusCode.ERROR, StatusCode.UNSET]
    for span in results:
        assert (span.name, span.kind) == ("GraphQL Subscription Event", SpanKind.INTERNAL)
        assert span.links[0].context.span_id == first.context.span_id
        assert span.parent is not None
        assert span.parent.span_id == worker.get_span_context().span_id
        assert dict(span.attributes or {})["graphql.operation.name"] == "Ticks"


async def test_each_task_has_its_own_parent(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": ticking}), interceptors=[telemetry.interceptor()])

    async def work(session: Session, name: str) -> None:
        with telemetry.tracer.start_as_current_span(name) as own:
            async with session.subscribe(TICKS) as events:
                for _ in range(3):
                    await anext(events)
                    await checkpoint()
                    assert trace.get_current_span() is own

    async with client as session, anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(work, session, name)
    parents = {span.context.span_id for span in telemetry.spans if span.name in "abc"}
    children = [span.parent for span in telemetry.spans if span.name == "subscription"]
    assert {parent.span_id for parent in children if parent is not None} == parents
    assert len(parents) == 3


async def test_what_was_dropped(telemetry: Telemetry) -> None:
    async def burst(_call: object) -> AsyncIterator[Any]:
        for number in range(10):
            yield {"tick": number}

    client = Client(Stub({"Ticks": burst}), interceptors=[telemetry.interceptor()])
    async with client as session:
        async with session.subscribe(TICKS, buffer_size=2, on_overflow="drop_oldest") as events:
            await anyio.wait_all_tasks_blocked()
            await anext(events)
            assert telemetry.total("anygql.subscription.dropped") == events.dropped == 8
        async with session.subscribe(TICKS, buffer_size=2, on_overflow="error") as events:
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(SubscriptionOverflow):
                async for _ in events:
                    pass
    assert telemetry.total("anygql.subscription.dropped") == 8
    assert telemetry.total(ACTIVE) == 0


async def test_a_shared_subscription_is_one(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": ticking}), interceptors=[telemetry.interceptor()])
    async with client as session:
        with telemetry.tracer.start_as_current_span("parent") as parent:
            async with session.share(TICKS) as hub:
                async with hub.listen() as first, hub.listen() as second:
                    await anext(first)
                    await anext(second)
                    assert telemetry.total(ACTIVE) == 1
    span = next(span for span in telemetry.spans if span.name == "subscription")
    assert span.parent is not None
    assert span.parent.span_id == parent.get_span_context().span_id
    assert telemetry.total(ACTIVE) == 0


@pytest.mark.parametrize("how", ["taken", "left", "dropped"])
async def test_what_a_listener_drops(telemetry: Telemetry, how: str) -> None:
    client = Client(Stub({"Ticks": hundred}), interceptors=[telemetry.interceptor()])
    async with client as session, session.share(TICKS) as hub:
        slow = hub.listen(buffer_size=2, on_overflow="drop_oldest")
        async with hub.listen() as all_of_them:
            await slow.__aenter__()
            assert len([event async for event in all_of_them]) == 100
        if how == "taken":
            assert await slow.receive() == {"tick": 98}
            assert slow.dropped == 98
        elif how == "left":
            await slow.aclose()
        else:
            del slow
            gc.collect()
            await anyio.wait_all_tasks_blocked()
        assert telemetry.total("anygql.subscription.dropped") == 98


async def test_a_session_that_is_over_has_no_subscriptions(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": ticking}), interceptors=[telemetry.interceptor()])
    async with client as session:
        events = session.subscribe(TICKS)
        await events.receive()
        assert telemetry.total(ACTIVE) == 1
    # Its consumer still has it, and hasn't asked.
    assert telemetry.total(ACTIVE) == 0
    await events.aclose()
    assert telemetry.total(ACTIVE) == 0


async def test_a_provider_that_fails_does_not_change_the_count(telemetry: Telemetry) -> None:
    class Failing(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise ValueError("full")

    telemetry.traces.add_span_processor(Failing())
    client = Client(Stub({"Ticks": silent}), interceptors=[telemetry.interceptor()])
    async with client as session:
        with pytest.raises(ValueError, match="full"):
            async with session.subscribe(TICKS):
                assert telemetry.total(ACTIVE) == 1
        assert telemetry.total(ACTIVE) == 0


async def test_begun_by_two_tasks(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": ticking}), interceptors=[telemetry.interceptor()])
    async with client as session:
        events = session.subscribe(TICKS)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(events.receive)
        await events.aclose()
    assert telemetry.span.name == "subscription"
    assert telemetry.total(ACTIVE) == 0


async def test_used_in_another_loop(telemetry: Telemetry) -> None:
    client = Client(Stub({"Ticks": silent}), interceptors=[telemetry.interceptor()])

    def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            anyio.run(events.aclose)

    async with client as session, session.subscribe(TICKS) as events:
        await anyio.to_thread.run_sync(elsewhere)
