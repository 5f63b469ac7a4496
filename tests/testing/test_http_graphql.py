"""GraphQL over HTTP from the test server: statuses, media types, streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest
from graphql import GraphQLDeferDirective, build_schema, specified_directives

from anygql import Client, HTTPTransport, TransportQueryError
from anygql.testing import GraphQLServer, ServerConnection, ServerRequest, demo_schema

GRAPHQL = "application/graphql-response+json; charset=utf-8"
JSON = "application/json; charset=utf-8"
SSE = "text/event-stream; charset=utf-8"


@dataclass
class Answer:
    status: int
    media_type: str
    head: str
    body: bytes


async def ask(
    server: GraphQLServer,
    body: Any = None,
    *,
    method: str = "POST",
    path: str = "/graphql",
    content_type: str | None = "application/json",
    accept: str | None = None,
) -> Answer:
    """Send one request, and return the response."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.0", f"Content-Length: {len(data)}"]
    lines += [f"Content-Type: {content_type}"] if content_type and method == "POST" else []
    lines += [f"Accept: {accept}"] if accept else []
    received = b""
    async with await server.open_stream() as stream:
        await stream.send("\r\n".join([*lines, "", ""]).encode() + data)
        with anyio.fail_after(30):
            while True:
                try:
                    received += await stream.receive()
                except anyio.EndOfStream:
                    break
    head, _, rest = received.partition(b"\r\n\r\n")
    text = head.decode()
    media_type = next(
        (line[14:] for line in text.splitlines() if line.startswith("Content-Type: ")), ""
    )
    return Answer(int(text.split()[1]), media_type, text, rest)


@pytest.fixture
async def server() -> AsyncIterator[GraphQLServer]:
    async with GraphQLServer(demo_schema(), close_timeout=0.1) as server:
        yield server


@pytest.mark.parametrize(
    ("body", "accept", "status", "media_type"),
    [
        ({"query": "{ hello }"}, None, 200, GRAPHQL),
        ({"query": "{ hello }"}, "*/*", 200, GRAPHQL),
        ({"query": "{ hello }"}, "application/json", 200, JSON),
        ({"query": "{ hello }"}, "application/graphql-response+json;q=0.1, */*", 200, JSON),
        ({"query": "{ hello }"}, "text/*;q=0.5, application/*;q=x", 200, SSE),
        ({"query": "{ hello fail }"}, None, 294, GRAPHQL),
        ({"query": "{ hello fail }"}, "application/json", 200, JSON),
        ({"query": "{"}, None, 400, GRAPHQL),
        ({"query": "{ nope }"}, None, 422, GRAPHQL),
        # What is no 2xx says that it is GraphQL, even to a legacy client.
        ({"query": "{ nope }"}, "application/json", 422, GRAPHQL),
        ({"query": "{ nope }"}, "text/event-stream", 200, SSE),
        ({"query": "query A { hello } query B { hello }"}, None, 422, GRAPHQL),
        ({"query": "query ($a: Int!) { add(a: $a, b: 1) }"}, None, 422, GRAPHQL),
        ({"query": "{ hello }"}, "text/html", 406, JSON),
        ({"query": "{ hello }"}, "*/*;q=0", 406, JSON),
        ({"query": "subscription { countdown }"}, "application/json", 406, JSON),
        ({"qeury": "{ hello }"}, None, 422, JSON),
        ({"query": "{ hello }", "variables": [1]}, None, 422, JSON),
        ({"query": "{ hello }", "operationName": None, "more": 1}, None, 200, GRAPHQL),
        (1, None, 422, JSON),
        (b"{", None, 400, JSON),
        (b"\xff", None, 400, JSON),
        (b"[" * 100_000, None, 400, JSON),
        ([], None, 422, JSON),
        ([{"query": "{ hello }"}] * 101, None, 422, JSON),
    ],
)  # fmt: skip
async def test_statuses_and_media_types(
    server: GraphQLServer, body: Any, accept: str | None, status: int, media_type: str
) -> None:
    answer = await ask(server, body, accept=accept)
    assert (answer.status, answer.media_type) == (status, media_type)
    if media_type != SSE:
        assert isinstance(json.loads(answer.body), dict)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=latin-1"])
async def test_what_a_page_elsewhere_can_post_unasked_is_refused(
    server: GraphQLServer, content_type: str | None
) -> None:
    body = {"query": "mutation { increment }"}
    assert (await ask(server, body, content_type=content_type)).status == 415
    assert (await ask(server, {"query": "{ counter }"})).body == b'{"data":{"counter":0}}'


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"query": "{ hello }"}, 200),
        ({"query": "query A($a: Int!) { add(a: $a, b: 1) }", "variables": '{"a": 1}'}, 200),
        ({"query": "query A { hello } query B { counter }", "operationName": "B"}, 200),
        ({"query": "{ hello }", "variables": "{"}, 400),
        ({"query": "{ hello }", "extensions": "[]"}, 422),
        ({"query": "mutation { increment }"}, 405),
        ({str(number): "x" for number in range(30)}, 400),
        ({}, 422),
    ],
)
async def test_get(server: GraphQLServer, parameters: dict[str, str], status: int) -> None:
    path = f"/graphql?{urlencode(parameters)}"
    answer = await ask(server, method="GET", path=path)
    assert answer.status == status
    if status == 405:
        assert "Allow: POST\r\n" in answer.head
    assert (await ask(server, {"query": "{ counter }"})).body == b'{"data":{"counter":0}}'


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "DELETE"])
async def test_other_methods(server: GraphQLServer, method: str) -> None:
    answer = await ask(server, method=method)
    assert answer.status == 405
    assert "Allow: GET, POST\r\n" in answer.head


async def test_arrays(server: GraphQLServer) -> None:
    await server.listen()
    queries = ["{ hello }", "{ nope }", "mutation { increment }", "{ fail }"]
    async with Client(server.http_url) as session:
        results = await session.execute_batch_results(queries)
    assert [result.data for result in results] == [
        {"hello": "Hello world!"},
        None,
        {"increment": 1},
        {"fail": None},
    ]
    assert [bool(result.errors) for result in results] == [False, True, False, True]
    subscription = {"query": "subscription { countdown }"}
    (result,) = json.loads((await ask(server, [subscription])).body)
    assert "one result alone" in result["errors"][0]["message"]


async def test_subscriptions_by_server_sent_events(server: GraphQLServer) -> None:
    await server.listen()
    async with Client(server.http_url) as session:
        async with session.subscribe_results("subscription { failing(after: 1) }") as events:
            first, failed, last = [result async for result in events]
        assert first.data == {"failing": 0}
        assert failed.errors is not None
        assert last.data == {"failing": 2}
        document = "subscription { failing(after: 0, source: true) }"
        async with session.subscribe_results(document) as events:
            (failed,) = [result async for result in events]
        assert failed.errors is not None
        assert failed.errors[0]["message"] == "the source of events failed"
        async with session.subscribe("subscription { flood(count: 2000, size: 100) }") as flood:
            assert len([data async for data in flood]) == 2000
        with pytest.raises(TransportQueryError):
            async with session.subscribe("subscription { nope }") as events_:
                await events_.receive()


async def test_a_subscription_whose_source_can_t_be_opened() -> None:
    schema = build_schema("type Query { a: Int } type Subscription { a: Int }")

    async def no_source(_root: Any, _info: Any) -> Any:
        raise ValueError("no source")

    assert schema.subscription_type is not None
    schema.subscription_type.fields["a"].subscribe = no_source
    async with GraphQLServer(schema) as server:
        answer = await ask(server, {"query": "subscription { a }"}, accept="text/event-stream")
    assert b"no source" in answer.body
    assert answer.body.endswith(b"event: complete\ndata: \n\n")


@pytest.mark.parametrize("accept", [None, "text/event-stream"])
async def test_a_deferred_part(accept: str | None) -> None:
    schema = build_schema("type Query { name: String  slow: String }")
    schema.directives = (*specified_directives, GraphQLDeferDirective)

    async def slow(_info: Any) -> str:
        await anyio.sleep(0)
        return "at last"

    document = "{ name ... @defer { slow } }"
    root = {"name": "Ada", "slow": slow}
    async with GraphQLServer(schema, root_value=root, close_timeout=0.1) as server:
        await server.listen()
        headers = {} if accept is None else {"Accept": accept}
        async with Client(HTTPTransport(server.http_url, headers=headers)) as session:
            async with session.execute_incremental(document) as states:
                found = [state async for state in states]
        assert found == [{"name": "Ada"}, {"name": "Ada", "slow": "at last"}]
        for other in ("application/json", "multipart/mixed;deferSpec=20220824"):
            assert (await ask(server, {"query": document}, accept=other)).status == 406
        (result,) = json.loads((await ask(server, [{"query": document}])).body)
        assert "errors" in result


async def test_the_context_is_the_request_or_the_connection() -> None:
    schema = build_schema("type Query { path: String }")

    def path(_root: Any, info: Any) -> str:
        return f"{type(info.context).__name__} {info.context.path}"

    assert schema.query_type is not None
    schema.query_type.fields["path"].resolve = path
    async with GraphQLServer(schema, context_value=lambda client: client) as server:
        answer = await ask(server, {"query": "{ path }"}, path="/a?b=c")
        assert json.loads(answer.body) == {"data": {"path": f"{ServerRequest.__name__} /a?b=c"}}
        assert json.loads(server.requests[0].body) == {"query": "{ path }"}
        async with Client(server.transport()) as session:
            data = await session.execute("{ path }")
        assert data == {"path": f"{ServerConnection.__name__} /graphql"}
