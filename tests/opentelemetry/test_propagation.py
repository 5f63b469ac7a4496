"""How the server learns of the trace, over every transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from graphql import build_schema
from opentelemetry import baggage, context, propagate
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from anygql import (
    PHOENIX,
    Client,
    Deduplicate,
    FileVar,
    HTTPTransport,
    LocalSchemaTransport,
    SplitTransport,
    document_id,
)
from anygql.appsync import IAM, ApiKey, AppSync, AppSyncTransport
from anygql.testing import GraphQLServer, Stub, demo_schema
from tests.support.telemetry import Telemetry

HELLO = "query Hello { hello }"


@pytest.fixture
async def server(bounded: None) -> AsyncIterator[GraphQLServer]:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        yield server


def carried(headers: Any) -> tuple[int, int]:
    """Return the ids of trace and span that a request had."""
    _, trace_id, span_id, _ = headers["traceparent"].split("-")
    return int(trace_id, 16), int(span_id, 16)


async def test_a_hop_over_http(telemetry: Telemetry, server: GraphQLServer) -> None:
    client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
    async with client as session:
        with telemetry.tracer.start_as_current_span("parent") as parent:
            await session.execute(HELLO)
    span, _ = telemetry.spans
    assert carried(server.requests[0].headers) == (span.context.trace_id, span.context.span_id)
    assert span.context.trace_id == parent.get_span_context().trace_id


async def test_a_client_of_ones_own(telemetry: Telemetry, server: GraphQLServer) -> None:
    async with httpx.AsyncClient() as own:
        transport = HTTPTransport(server.http_url, client=own)
        async with Client(transport, interceptors=[telemetry.interceptor()]) as session:
            await session.execute(HELLO)
    sent_by = telemetry.span.context
    assert carried(server.requests[0].headers) == (sent_by.trace_id, sent_by.span_id)


@pytest.mark.parametrize(
    "headers",
    [
        lambda: {"X-Own": "1", "Authorization": "Bearer t"},
        lambda: [("X-Own", "1"), ("Authorization", "Bearer t")],
        lambda: iter([("X-Own", "1"), ("Authorization", "Bearer t")]),
        lambda: httpx.Headers({"X-Own": "1", "Authorization": "Bearer t"}),
        None,
    ],
)
async def test_headers_of_the_call_are_kept(
    telemetry: Telemetry, server: GraphQLServer, headers: Any
) -> None:
    client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
    args = {"params": {"a": "1"}} if headers is None else {"headers": headers()}
    async with client as session:
        await session.execute(HELLO, transport_args=args)
    (request,) = server.requests
    assert "traceparent" in request.headers
    if headers is not None:
        assert request.headers["x-own"] == "1"
        assert request.headers["authorization"] == "Bearer t"


async def test_a_trace_of_the_callers_own_is_kept(
    telemetry: Telemetry, server: GraphQLServer
) -> None:
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
    async with client as session:
        await session.execute(HELLO, transport_args={"headers": {"Traceparent": own}})
        token = context.attach(baggage.set_baggage("shop", "ours"))
        await session.execute(HELLO, transport_args={"headers": {"Baggage": "shop=own"}})
        await session.execute(HELLO)
        context.detach(token)
        with pytest.raises(TypeError, match="transport_args must be a mapping"):
            await session.execute(HELLO, transport_args=[("headers", {})])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="headers are a mapping or pairs"):
            await session.execute(HELLO, transport_args={"headers": "x"})  # type: ignore[typeddict-item]
    headers = [request.headers for request in server.requests]
    assert (headers[0]["traceparent"], "tracestate" in headers[0]) == (own, False)
    assert headers[1]["baggage"] == "shop=own"
    assert headers[2]["baggage"] == "shop=ours"
    sent = [carried(each) for each in headers[1:]]
    assert sent == [(span.context.trace_id, span.context.span_id) for span in telemetry.spans[1:3]]


async def test_files_and_persisted_queries(telemetry: Telemetry, server: GraphQLServer) -> None:
    transport = HTTPTransport(server.http_url, persisted_queries=document_id)
    client = Client(transport, interceptors=[telemetry.interceptor()])
    async with client as session:
        with pytest.raises(Exception):  # noqa: B017 - the server knows no such document
            await session.execute(HELLO)
    attributes = dict(telemetry.span.attributes or {})
    assert attributes["graphql.document.id"] == attributes["graphql.document.hash"]
    assert "traceparent" in server.requests[0].headers
    client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
    async with client as session:
        with pytest.raises(Exception):  # noqa: B017 - the server has no such field
            await session.execute("mutation ($f: Upload) { up(f: $f) }", {"f": FileVar(b"x")})
    assert "traceparent" in server.requests[-1].headers


@pytest.mark.parametrize("outcome", [KeyError("no id"), 7])
async def test_a_function_of_ids_that_fails(
    telemetry: Telemetry, server: GraphQLServer, outcome: Any
) -> None:
    def id_of(_request: object) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    transport = HTTPTransport(server.http_url, persisted_queries=id_of)
    async with Client(transport, interceptors=[telemetry.interceptor()]) as session:
        with pytest.raises(Exception):  # noqa: B017 - the call's own error
            await session.execute(HELLO)
    assert "graphql.document.id" not in (telemetry.span.attributes or {})


async def test_by_two_transports_only_http_has_headers(
    telemetry: Telemetry, server: GraphQLServer
) -> None:
    transport = SplitTransport(HTTPTransport(server.http_url), subscriptions=server.transport())
    async with Client(transport, interceptors=[telemetry.interceptor()]) as session:
        await session.execute(HELLO)
        async with session.subscribe("subscription { countdown }") as events:
            await anext(events)
    assert "traceparent" in server.requests[0].headers
    call, subscription = telemetry.spans
    assert dict(call.attributes or {})["server.address"] == "127.0.0.1"
    assert dict(subscription.attributes or {})["server.address"] != "127.0.0.1"


@pytest.mark.parametrize("way", ["websocket", "local", "stub"])
async def test_what_takes_no_headers_gets_none(
    telemetry: Telemetry, server: GraphQLServer, way: str
) -> None:
    transport: Any = {
        "websocket": server.transport(),
        "local": LocalSchemaTransport(demo_schema()),
        "stub": Stub({"Hello": {"hello": "hi"}}),
    }[way]
    async with Client(transport, interceptors=[telemetry.interceptor()]) as session:
        await session.execute(HELLO)
        if way == "stub":
            assert transport.calls[0].transport_args is None


def test_signed_requests_get_no_headers() -> None:
    url = "https://example1234567890000.appsync-api.us-east-1.amazonaws.com/graphql"
    signed = AppSyncTransport(url, auth=IAM(("a", "b", None), "us-east-1"))
    keyed = AppSyncTransport(url, auth=ApiKey("da2-x"))
    assert not signed.transport.carries_headers  # type: ignore[attr-defined]
    assert keyed.transport.carries_headers  # type: ignore[attr-defined]


async def test_not_at_all(telemetry: Telemetry, server: GraphQLServer) -> None:
    interceptors = [telemetry.interceptor(propagate=None)]
    async with Client(HTTPTransport(server.http_url), interceptors=interceptors) as session:
        await session.execute(HELLO)
    assert "traceparent" not in server.requests[0].headers


async def test_extensions_go_everywhere(telemetry: Telemetry, server: GraphQLServer) -> None:
    interceptors = [telemetry.interceptor(propagate="extensions")]
    async with Client(server.transport(), interceptors=interceptors) as session:
        await session.execute(HELLO, extensions={"own": 1})
        async with session.subscribe("subscription Down { countdown }") as events:
            await anext(events)
        await session.execute(HELLO, extensions={"traceparent": "own"})
    async with Client(HTTPTransport(server.http_url), interceptors=interceptors) as session:
        await session.execute(HELLO)
    payloads = [
        message["payload"]
        for message in server.connections[0].received
        if message["type"] == "subscribe"
    ]
    call, subscription, own = (payload["extensions"] for payload in payloads)
    spans = telemetry.spans
    for extensions, span in ((call, spans[0]), (subscription, spans[1])):
        assert carried(extensions) == (span.context.trace_id, span.context.span_id)
    assert call["own"] == 1
    assert own["traceparent"] == "own"
    (request,) = server.requests
    assert "traceparent" not in request.headers
    sent_by = spans[-1].context
    extensions = json.loads(request.body)["extensions"]
    assert carried(extensions) == (sent_by.trace_id, sent_by.span_id)


@pytest.mark.parametrize("protocol", ["appsync", "phoenix"])
async def test_what_takes_no_extensions_gets_none(telemetry: Telemetry, protocol: str) -> None:
    value = AppSync(ApiKey("da2-secret")) if protocol == "appsync" else PHOENIX
    interceptors = [telemetry.interceptor(propagate="extensions")]
    async with GraphQLServer(demo_schema(), protocols=[protocol]) as server:
        async with Client(server.transport(protocol=value), interceptors=interceptors) as session:
            async with session.subscribe("subscription Down { countdown }") as events:
                assert await events.receive() == {"countdown": 3}
        assert "traceparent" not in str(server.connections[0].received)
    assert telemetry.span.name == "subscription"


async def test_the_global_propagator_is_asked(telemetry: Telemetry, server: GraphQLServer) -> None:
    class Other(TraceContextTextMapPropagator):
        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
            carrier["x-trace"] = "1"

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Other())
    try:
        client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
        async with client as session:
            await session.execute(HELLO)
    finally:
        propagate.set_global_textmap(before)
    assert server.requests[0].headers["x-trace"] == "1"


async def test_a_server_that_answers_with_the_trace(telemetry: Telemetry) -> None:
    """What the server reads is what the client recorded: a hop over a socket, and back."""
    schema = build_schema("type Query { trace: String! }")
    fields: Any = schema.type_map
    fields["Query"].fields["trace"].resolve = lambda _root, info: info.context.headers[
        "traceparent"
    ]
    async with GraphQLServer(schema, context_value=lambda request: request) as server:
        await server.listen()
        client = Client(HTTPTransport(server.http_url), interceptors=[telemetry.interceptor()])
        async with client as session:
            data = await session.execute("{ trace }")
    sent_by = telemetry.span.context
    assert carried({"traceparent": data["trace"]}) == (sent_by.trace_id, sent_by.span_id)


@pytest.mark.parametrize("is_first", [True, False])
async def test_equal_queries_are_still_sent_once(
    telemetry: Telemetry, server: GraphQLServer, is_first: bool
) -> None:
    interceptors = [telemetry.interceptor(), Deduplicate()][:: 1 if is_first else -1]
    async with Client(HTTPTransport(server.http_url), interceptors=interceptors) as session:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(session.execute, "{ slow(seconds: 0.02) }")
    (request,) = server.requests
    assert len(telemetry.spans) == (3 if is_first else 1)
    ids = {(span.context.trace_id, span.context.span_id) for span in telemetry.spans}
    assert carried(request.headers) in ids
