"""Sessions with the servers that most people have: GraphQL Yoga, Apollo Server, graphql-sse."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from anygql import (
    Client,
    FileVar,
    GraphQLRequest,
    HTTPTransport,
    Session,
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
)
from anygql.http.incoming import IncomingResponse
from anygql.http.requests import HTTPRequest
from tests.peers.node import NodeServer

pytestmark = [pytest.mark.over_http, pytest.mark.table]

HELLO = "query Hello($name: String) { hello(name: $name) }"
COUNTDOWN = "subscription ($from: Int!, $tag: String) { countdown(from: $from, tag: $tag) }"
CRASH = "subscription { crash(from: 2) }"
DEFER = "{ item { name ... @defer { details { weight colour } } } }"
STREAM = "{ letters @stream(initialCount: 1) }"
UPLOAD = "mutation ($file: Upload!) { upload(file: $file) { name type size sha256 } }"
UPLOADS = "mutation ($files: [Upload!]!) { uploads(files: $files) { name size } }"

both = pytest.mark.parametrize("server", ["yoga", "apollo"], indirect=True)
yoga = pytest.mark.parametrize("server", ["yoga"], indirect=True)
apollo = pytest.mark.parametrize("server", ["apollo"], indirect=True)
streaming = pytest.mark.parametrize("server", ["yoga", "sse"], indirect=True)
sse = pytest.mark.parametrize("server", ["sse"], indirect=True)


@pytest.fixture
def server(
    request: pytest.FixtureRequest, node_servers: Callable[[str], NodeServer]
) -> Generator[NodeServer]:
    """The server that the test is parametrised with."""
    server = node_servers(request.param)
    yield server
    server.check()


@pytest.fixture
def accept(server: NodeServer) -> Any:
    """What graphql-sse must be asked for, to the letter; the others take what we ask for."""
    return {"headers": {"Accept": "text/event-stream"}} if server.name == "sse" else None


@pytest.fixture
def tag(request: pytest.FixtureRequest) -> str:
    """What the server knows this test's subscriptions by."""
    return request.node.name


class Talk:
    """What a session sent, and the heads of the answers, whichever client it went by."""

    def __init__(self) -> None:
        self.requests: list[HTTPRequest] = []
        self.answers: list[IncomingResponse] = []

    def listen(self, session: Session) -> None:
        connection: Any = session._supervisor._connection
        exchange = connection._exchange
        send = exchange.send

        async def heard(request: HTTPRequest, **options: Any) -> IncomingResponse:
            self.requests.append(request)
            answer: IncomingResponse = await send(request, **options)
            self.answers.append(answer)
            return answer

        exchange.send = heard

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    @property
    def kinds(self) -> list[str]:
        return [answer.headers["content-type"] for answer in self.answers]


@asynccontextmanager
async def talking(
    server: NodeServer, *, batch_interval: float = 0, **transport: Any
) -> AsyncGenerator[tuple[Session, Talk]]:
    """A session whose requests and answers are kept."""
    talk = Talk()
    way = HTTPTransport(server.url, **transport)
    async with Client(way, batch_interval=batch_interval) as session:
        talk.listen(session)
        yield session, talk


@asynccontextmanager
async def observing(
    server: NodeServer, tag: str
) -> AsyncGenerator[Callable[[int], Awaitable[None]]]:
    """``await running(count)``: until so many subscriptions with the tag run there."""
    query = {"query": "query ($tag: String!) { active(tag: $tag) }", "variables": {"tag": tag}}
    # graphql-sse answers queries with a stream too.
    headers = {"Accept": "text/event-stream"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as http:

        async def running(count: int) -> None:
            with anyio.fail_after(10):
                while f'"active":{count}}}' not in (await http.post(server.url, json=query)).text:
                    await anyio.sleep(0.01)

        yield running


@both
async def test_a_query(server: NodeServer) -> None:
    async with talking(server) as (session, talk):
        assert await session.execute(HELLO) == {"hello": "Hello, world!"}
        assert await session.execute(HELLO, {"name": "Zoë 🦊"}) == {"hello": "Hello, Zoë 🦊!"}
        assert await session.execute("{ add(a: 1, b: 2) }") == {"add": 3}
    assert talk.kinds == ["application/graphql-response+json; charset=utf-8"] * 3


@both
async def test_a_mutation(server: NodeServer) -> None:
    async with Client(server.url) as session:
        before = (await session.execute("{ counter }"))["counter"]
        assert await session.execute("mutation { increment }") == {"increment": before + 1}
        assert await session.execute("{ counter }") == {"counter": before + 1}


@both
async def test_one_operation_of_several(server: NodeServer) -> None:
    async with Client(server.url) as session:
        request = GraphQLRequest("query A { hello } query B { counter }", operation_name="A")
        assert await session.execute(request) == {"hello": "Hello, world!"}


@both
async def test_a_partial_result(server: NodeServer) -> None:
    async with Client(server.url) as session:
        with pytest.raises(TransportQueryError, match="failed on purpose") as caught:
            await session.execute("{ fail hello }")
    assert caught.value.data == {"fail": None, "hello": "Hello, world!"}
    (error,) = caught.value.errors
    assert error["path"] == ["fail"]
    assert error["extensions"] == {"code": "ON_PURPOSE"}


@both
@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("{ broken }", 200, "broken on purpose"),
        ("{ nope }", 400, 'Cannot query field "nope"'),
        ('{ add(a: "one", b: 1) }', 400, "Int cannot represent"),
    ],
)
async def test_errors_with_their_statuses(
    server: NodeServer, query: str, status: int, said: str
) -> None:
    async with talking(server) as (session, talk):
        with pytest.raises(TransportQueryError, match=said) as caught:
            await session.execute(query)
        assert not caught.value.data
        assert talk.answers[0].status == status
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


@yoga
async def test_a_page_that_is_not_there(server: NodeServer) -> None:
    async with Client(f"{server.url}/nothing/here") as session:
        with pytest.raises(TransportServerError) as caught:
            await session.execute("{ hello }")
    assert caught.value.code == 404


@sse
async def test_a_server_for_streams_only(server: NodeServer) -> None:
    async with Client(server.url) as session:
        with pytest.raises(TransportQueryError, match="Stream not found") as caught:
            await session.execute("{ hello }")
    assert caught.value.code == 404


@both
async def test_queries_by_get(server: NodeServer) -> None:
    async with talking(server, use_get_for_queries=True) as (session, talk):
        assert await session.execute(HELLO, {"name": "a&b=c"}) == {"hello": "Hello, a&b=c!"}
        await session.execute("mutation { increment }")
        with pytest.raises(TransportQueryError, match="failed on purpose"):
            await session.execute("{ fail }")
    assert talk.methods == ["GET", "POST", "GET"]


@apollo
async def test_a_get_is_refused_without_the_header_that_we_send(server: NodeServer) -> None:
    async with talking(server, use_get_for_queries=True) as (session, talk):
        await session.execute(HELLO)
    [request] = talk.requests
    headers = dict(request.headers)
    assert headers.pop("Apollo-Require-Preflight")
    async with httpx.AsyncClient() as plain:
        refusal = await plain.get(server.url, params=dict(request.params or ()), headers=headers)
    assert refusal.status_code == 400
    assert "CSRF" in refusal.text


def sent_by(request: HTTPRequest) -> str:
    """What is in the URL, and in the body."""
    body = request.body if isinstance(request.body, bytes) else b""
    return f"{request.params} {body.decode()}"


@apollo
@pytest.mark.parametrize("get", [False, True])
async def test_persisted_queries(server: NodeServer, get: bool) -> None:
    query = f"query Persisted_{secrets.token_hex(8)} {{ hello }}"
    async with talking(server, persisted_queries=True, use_get_for_queries=get) as (session, talk):
        for _ in range(2):
            assert await session.execute(query) == {"hello": "Hello, world!"}
    first, second, third = talk.requests
    assert [answer.status for answer in talk.answers] == [200, 200, 200]
    assert talk.methods == (["GET", "POST", "GET"] if get else ["POST"] * 3)
    assert query in sent_by(second)
    digest = hashlib.sha256(query.encode()).hexdigest()
    for request in (first, third):
        assert digest in sent_by(request)
        assert "Persisted_" not in sent_by(request)


@both
async def test_a_batch(server: NodeServer) -> None:
    requests = [GraphQLRequest(HELLO, {"name": name}) for name in "abc"]
    async with talking(server) as (session, talk):
        data = await session.execute_batch(requests)
        assert data == [{"hello": f"Hello, {name}!"} for name in "abc"]
        good, bad, worse = await session.execute_batch_results(
            [requests[0], GraphQLRequest("{ fail }"), GraphQLRequest("{ nope }")]
        )
    assert len(talk.requests) == 2
    assert (good.data, good.errors) == ({"hello": "Hello, a!"}, None)
    assert bad.data == {"fail": None}
    assert bad.errors is not None
    assert worse.data is None
    assert worse.errors is not None


@both
async def test_calls_made_together_travel_together(server: NodeServer) -> None:
    results: dict[str, Any] = {}
    async with talking(server, batch_interval=0.05) as (session, talk):

        async def ask(name: str) -> None:
            results[name] = await session.execute(HELLO, {"name": name})

        async with anyio.create_task_group() as tg:
            for name in "abcde":
                tg.start_soon(ask, name)
    assert results == {name: {"hello": f"Hello, {name}!"} for name in "abcde"}
    assert len(talk.requests) == 1


@both
async def test_an_answer_that_is_not_waited_for(server: NodeServer) -> None:
    async with Client(server.url) as session:
        with anyio.move_on_after(0.1) as scope:
            await session.execute("{ slow(seconds: 5) }")
        assert scope.cancelled_caught
        assert await session.execute("{ slow }") == {"slow": "at last"}


# Files.


@yoga
async def test_uploads(server: NodeServer, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    path = tmp_path / "Größe.png"
    path.write_bytes(content)

    async def chunks() -> AsyncGenerator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    expected = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    async with Client(server.url) as session:
        data = await session.execute(UPLOAD, {"file": FileVar(path)})
        assert data["upload"] == {"name": "Größe.png", "type": "image/png", **expected}
        for file in (content, chunks()):
            given = FileVar(file, filename="a.bin", content_type="x-test/any")
            data = await session.execute(UPLOAD, {"file": given})
            assert data["upload"] == {"name": "a.bin", "type": "x-test/any", **expected}
        with path.open("rb") as opened:
            data = await session.execute(UPLOAD, {"file": FileVar(opened)})
        assert data["upload"] == {"name": "Größe.png", "type": "image/png", **expected}


@yoga
async def test_an_upload_of_many_files(server: NodeServer) -> None:
    one, two = FileVar(b"", filename="empty"), FileVar(b"12", filename="two")
    async with Client(server.url) as session:
        data = await session.execute(UPLOADS, {"files": [one, two, one]})
    empty = {"name": "empty", "size": 0}
    assert data["uploads"] == [empty, {"name": "two", "size": 2}, empty]


# Subscriptions.


@streaming
async def test_a_subscription(server: NodeServer, accept: Any) -> None:
    async with (
        talking(server) as (session, talk),
        session.subscribe(COUNTDOWN, {"from": 3}, transport_args=accept) as results,
    ):
        assert [item["countdown"] async for item in results] == [3, 2, 1, 0]
    assert talk.kinds[0].startswith("text/event-stream")


@sse
async def test_a_subscription_without_saying_what_to_accept(server: NodeServer) -> None:
    async with (
        Client(server.url) as session,
        session.subscribe(COUNTDOWN, {"from": 3}) as results,
    ):
        assert [item["countdown"] async for item in results] == [3, 2, 1, 0]


@streaming
async def test_subscriptions_side_by_side(server: NodeServer, accept: Any) -> None:
    seen: dict[int, list[int]] = {}
    async with Client(server.url) as session:

        async def follow(start: int) -> None:
            variables = {"from": start}
            async with session.subscribe(COUNTDOWN, variables, transport_args=accept) as results:
                seen[start] = [item["countdown"] async for item in results]

        async with anyio.create_task_group() as tg:
            for start in range(10):
                tg.start_soon(follow, start)
    assert seen == {start: list(range(start, -1, -1)) for start in range(10)}


@streaming
async def test_an_invalid_subscription(server: NodeServer, accept: Any) -> None:
    async with (
        Client(server.url) as session,
        session.subscribe("subscription { nope }", transport_args=accept) as results,
    ):
        with pytest.raises(TransportQueryError, match='Cannot query field "nope"'):
            await anext(results)


@streaming
async def test_leaving_a_subscription_early(server: NodeServer, accept: Any, tag: str) -> None:
    given = {"from": 1_000_000, "tag": tag}
    async with Client(server.url) as session, observing(server, tag) as running:
        async with session.subscribe(COUNTDOWN, given, transport_args=accept) as results:
            assert (await anext(results))["countdown"] == 1_000_000
            await running(1)
        await running(0)


@streaming
async def test_cancelling_a_subscription(server: NodeServer, accept: Any, tag: str) -> None:
    given = {"from": 1_000_000, "tag": tag}
    async with Client(server.url) as session, observing(server, tag) as running:

        async def follow() -> None:
            async for _ in session.subscribe(COUNTDOWN, given, transport_args=accept):
                pass

        async with anyio.create_task_group() as tg:
            tg.start_soon(follow)
            await running(1)
            tg.cancel_scope.cancel()
        await running(0)


@streaming
async def test_closing_the_session_under_a_subscription(
    server: NodeServer, accept: Any, tag: str
) -> None:
    async with observing(server, tag) as running:
        async with Client(server.url) as session:
            given = {"from": 1_000_000, "tag": tag}
            results = session.subscribe(COUNTDOWN, given, transport_args=accept)
            await anext(results)
            await running(1)
        await running(0)


@sse
async def test_a_stream_that_is_cut_short(server: NodeServer, accept: Any) -> None:
    async with (
        Client(server.url) as session,
        session.subscribe(CRASH, transport_args=accept) as results,
    ):
        assert await anext(results) == {"crash": 2}
        assert await anext(results) == {"crash": 1}
        with pytest.raises(TransportConnectionFailed):
            await anext(results)


@yoga
async def test_a_source_that_breaks(server: NodeServer) -> None:
    async with (
        Client(server.url) as session,
        session.subscribe(CRASH) as results,
    ):
        assert await anext(results) == {"crash": 2}
        assert await anext(results) == {"crash": 1}
        with pytest.raises(TransportQueryError, match="Unexpected error"):
            await anext(results)
        assert [item async for item in results] == []


@apollo
async def test_a_server_without_subscriptions(server: NodeServer) -> None:
    async with (
        Client(server.url) as session,
        session.subscribe(COUNTDOWN, {"from": 3}) as results,
    ):
        with pytest.raises(TransportQueryError, match="Cannot return null"):
            await anext(results)


# Answers that grow: Yoga's in the format of 2022, Apollo's in the current one.


@both
async def test_deferred_and_merged(server: NodeServer) -> None:
    async with talking(server) as (session, talk):
        whole = {"item": {"name": "lamp", "details": {"weight": 12, "colour": "red"}}}
        assert await session.execute(DEFER) == whole
        assert await session.execute(STREAM) == {"letters": ["a", "b", "c", "d"]}
    assert all(kind.startswith("multipart/mixed") for kind in talk.kinds)


@both
async def test_deferred_and_growing(server: NodeServer) -> None:
    async with Client(server.url) as session, session.execute_incremental(DEFER) as states:
        assert [state async for state in states] == [
            {"item": {"name": "lamp"}},
            {"item": {"name": "lamp", "details": {"weight": 12, "colour": "red"}}},
        ]


@both
async def test_streamed_and_growing(server: NodeServer) -> None:
    async with Client(server.url) as session, session.execute_incremental(STREAM) as states:
        found = [state["letters"] async for state in states]
    # How many come at once is the server's affair.
    assert found[0] == ["a"]
    assert found[-1] == ["a", "b", "c", "d"]
    assert len(found) > 2
    assert all(found[-1][: len(letters)] == letters for letters in found)


@both
async def test_an_error_in_what_was_deferred(server: NodeServer) -> None:
    query = "{ item { name ... @defer { details { weight secret } } } }"
    async with Client(server.url) as session:
        result = await session.execute_result(query)
    assert result.data == {"item": {"name": "lamp", "details": {"weight": 12, "secret": None}}}
    assert result.errors is not None
    (error,) = result.errors
    assert error["path"] == ["item", "details", "secret"]


@both
async def test_nothing_deferred_after_all(server: NodeServer) -> None:
    query = "query ($later: Boolean!) { item { name ... @defer(if: $later) { __typename } } }"
    async with (
        Client(server.url) as session,
        session.execute_incremental(query, {"later": False}) as states,
    ):
        whole = {"item": {"name": "lamp", "__typename": "Item"}}
        assert [state async for state in states] == [whole]


@both
async def test_leaving_an_answer_that_grows(server: NodeServer) -> None:
    async with Client(server.url) as session:
        async with session.execute_incremental(STREAM) as states:
            assert await anext(states) == {"letters": ["a"]}
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


@apollo
async def test_a_format_that_the_server_has_not(server: NodeServer) -> None:
    old = {"headers": {"Accept": "multipart/mixed;deferSpec=20220824, application/json"}}
    async with Client(server.url) as session:
        with pytest.raises(TransportQueryError, match="legacy incremental format") as caught:
            await session.execute(STREAM, transport_args=old)
    assert caught.value.code == 406
