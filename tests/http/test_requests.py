"""What goes over the wire for an operation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx
import pytest

from anygql import (
    Client,
    GraphQLRequest,
    HTTPTransport,
    TransportClosed,
    TransportConnectionFailed,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    WebSocketTransport,
    gql,
)
from anygql.http.persisted import document_id
from tests.support.http_mock import answering
from tests.support.http_peer import http, kept, peer

pytestmark = pytest.mark.over_http

URL = "https://api.test/graphql?tenant=7"
HELLO = "query Hello($name: String) { hello(name: $name) }"
SET = "mutation { set }"
ACCEPT = "application/graphql-response+json, application/json;q=0.9"


class Recorder:
    """A server that keeps what it is asked, and answers with ``results`` in turn."""

    def __init__(self, *results: Any) -> None:
        self.url = ""
        self.requests: list[httpx.Request] = []
        self.results = list(results)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        result = self.results.pop(0) if self.results else {"data": {"ok": True}}
        if callable(result):
            result = result(request)
        if isinstance(result, httpx.Response):
            return result
        return httpx.Response(200, json=result)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    @asynccontextmanager
    async def session(self, client: dict[str, Any] | None = None, **options: Any) -> Any:
        async with answering(self) as server:
            self.url = f"{server}/graphql?tenant=7"
            transport = HTTPTransport(options.pop("url", self.url), **options)
            async with Client(transport, **(client or {})) as session:
                yield session


async def test_post() -> None:
    recorder = Recorder()
    async with recorder.session() as session:
        assert await session.execute(HELLO, {"name": "é"}) == {"ok": True}
    [request] = recorder.requests
    assert request.method == "POST"
    assert str(request.url) == recorder.url
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == ACCEPT
    assert recorder.bodies == [{"query": HELLO, "variables": {"name": "é"}}]


async def test_nulls_are_left_out() -> None:
    recorder = Recorder()
    async with recorder.session() as session:
        await session.execute("{ a }")
        await session.execute(HELLO, operation_name="Hello", extensions={"a": None})
    assert recorder.bodies == [
        {"query": "{ a }"},
        {"query": HELLO, "operationName": "Hello", "extensions": {"a": None}},
    ]


async def test_get() -> None:
    recorder = Recorder()
    async with recorder.session(use_get_for_queries=True) as session:
        await session.execute(HELLO, {"name": "a&b"}, operation_name="Hello")
        await session.execute("{ a }")
        await session.execute(SET)
    query, plain, mutation = recorder.requests
    assert (query.method, query.content) == ("GET", b"")
    assert "content-type" not in query.headers
    assert query.headers["apollo-require-preflight"] == "true"
    assert parse_qs(query.url.query.decode()) == {
        "tenant": ["7"],
        "query": [HELLO],
        "operationName": ["Hello"],
        "variables": ['{"name":"a&b"}'],
    }
    assert parse_qs(plain.url.query.decode()) == {"tenant": ["7"], "query": ["{ a }"]}
    assert mutation.method == "POST"
    assert "query" not in parse_qs(mutation.url.query.decode())


async def test_what_is_asked_for_each_request() -> None:
    recorder, count = Recorder(), 0

    async def headers() -> dict[str, str]:
        nonlocal count
        count += 1
        return {"Authorization": f"token {count}"}

    async with recorder.session(url=lambda: recorder.url, headers=headers) as session:
        await session.execute("{ a }")
        await session.execute("{ a }")
    said = [request.headers["authorization"] for request in recorder.requests]
    assert said == ["token 1", "token 2"]


@pytest.mark.parametrize("url", [7, None])
async def test_a_function_that_returns_no_url(url: Any) -> None:
    async with Client(HTTPTransport(lambda: url)) as session:
        with pytest.raises(TransportInvalidURL, match=f"not {type(url).__name__}|{url}"):
            await session.execute(HELLO)


async def test_transport_args() -> None:
    recorder = Recorder()
    args = {
        "headers": {"X-One": "call", "accept": "application/json"},
        "params": {"a": "1"},
        "cookies": {"c": "2"},
        "auth": ("me", "pass"),
        "timeout": 3.0,
        "follow_redirects": True,
    }
    headers = [("x-one", "transport"), ("X-Two", "a"), ("X-Two", "b")]
    async with recorder.session(headers=headers) as session:
        await session.execute("{ a }", transport_args=args)
        await session.execute("{ a }")
    first, second = recorder.requests
    assert first.headers.get_list("x-one") == ["call"]
    assert first.headers.get_list("x-two") == ["a", "b"]
    assert first.headers["accept"] == "application/json"
    assert first.headers["cookie"] == "c=2"
    assert first.headers["authorization"].startswith("Basic ")
    assert str(first.url) == f"{recorder.url}&a=1"
    assert second.headers["x-one"] == "transport"
    assert "authorization" not in second.headers


@pytest.mark.over_http("own", why="only a client of the user's takes these, and a mock sees them")
async def test_transport_args_of_a_client_s_own() -> None:
    recorder = Recorder()
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(recorder)) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        args = {"timeout": 3.0, "extensions": {"trace": None}}
        await session.execute("{ a }", transport_args=args)
        assert not client.is_closed
    [request] = recorder.requests
    assert request.extensions["timeout"]["read"] == 3
    assert "trace" in request.extensions


async def test_args_that_are_unknown() -> None:
    recorder = Recorder()
    async with recorder.session() as session:
        with pytest.raises(TypeError, match="has 'json', 'stream': over HTTP there are auth"):
            await session.execute("{ a }", transport_args={"stream": True, "json": 1})
        with pytest.raises(TypeError, match="must be a mapping"):
            await session.execute("{ a }", transport_args=[1])
    assert not recorder.requests


async def test_a_variable_without_json_form() -> None:
    recorder = Recorder()
    async with recorder.session() as session:
        with pytest.raises(TypeError, match=r"variables\.name: a value of type object"):
            await session.execute(HELLO, {"name": object()})
    assert not recorder.requests


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"url": "ftp://x.test"}, TransportInvalidURL),
        ({"url": 7}, TransportInvalidURL),
        ({"client": object()}, TypeError),
        ({"ssl": True}, TypeError),
        ({"connect_timeout": -1}, ValueError),
        ({"persisted_queries": "yes"}, TypeError),
        ({"max_connections": 0}, ValueError),
        ({"max_response_size": 0}, ValueError),
        ({"uds": "/run/api", "proxy": "http://localhost:8080"}, ValueError),
        ({"client": httpx.AsyncClient(verify=False), "max_connections": 5}, ValueError),
    ],
)
def test_bad_options(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        HTTPTransport(**{"url": URL, **arguments})


def test_a_synchronous_client_is_none() -> None:
    with httpx.Client() as client, pytest.raises(TypeError, match=r"httpx\.AsyncClient"):
        HTTPTransport(URL, client=client)  # type: ignore[arg-type]


def test_urls() -> None:
    assert isinstance(Client("https://x.test").transport, HTTPTransport)
    assert isinstance(Client("http://x.test").transport, HTTPTransport)
    assert isinstance(Client("wss://x.test").transport, WebSocketTransport)
    with pytest.raises(TransportInvalidURL):
        Client("ftp://x.test")
    assert "secret" not in repr(HTTPTransport("https://me:secret@x.test/?key=secret"))


def test_httpx_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, anygql; anygql.Client('https://x.test');"
        "sys.exit(any(name in sys.modules for name in ('httpx', 'httpx2', 'httpcore')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Batches.


async def test_a_batch() -> None:
    recorder = Recorder([{"data": {"a": 1}}, {"data": {"b": 2}}])
    async with recorder.session() as session:
        batch = [gql("{ a }"), GraphQLRequest(HELLO, {"name": "x"})]
        assert await session.execute_batch(batch) == [{"a": 1}, {"b": 2}]
        assert await session.execute_batch([]) == []
    assert recorder.bodies == [[{"query": "{ a }"}, {"query": HELLO, "variables": {"name": "x"}}]]


async def test_a_batch_with_an_error() -> None:
    entries = [{"data": {"a": 1}}, {"errors": [{"message": "no"}]}]
    recorder = Recorder(entries, entries)
    async with recorder.session() as session:
        with pytest.raises(TransportQueryError, match="no"):
            await session.execute_batch(["{ a }", "{ b }"])
        results = await session.execute_batch_results(["{ a }", "{ b }"])
    assert [result.errors for result in results] == [None, [{"message": "no"}]]


@pytest.mark.parametrize("kind", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize("refusal", [{"data": {"a": 1}}, {"error": "too many"}])
async def test_a_batch_that_is_refused_by_something_else_than_errors(
    refusal: Any, kind: str
) -> None:
    recorder = Recorder(httpx.Response(400, json=refusal, headers={"content-type": kind}))
    async with recorder.session() as session:
        with pytest.raises(TransportServerError, match="400") as caught:
            await session.execute_batch(["{ a }", "{ b }"])
        assert caught.value.code == 400


async def test_a_batch_with_a_subscription() -> None:
    async with Recorder().session() as session:
        with pytest.raises(ValueError, match="use subscribe"):
            await session.execute_batch(["{ a }", "subscription { b }"])


def each(request: httpx.Request) -> Any:
    """An answer to a batch, or to one, that says which query it is for."""
    asked = json.loads(request.content)
    if isinstance(asked, dict):
        return {"data": {"q": asked["query"]}}
    return [{"data": {"q": one["query"]}} for one in asked]


BATCHING = {"batch_interval": 0.05, "batch_max": 3}


async def together(*calls: Callable[[], Any]) -> list[Any]:
    results: list[Any] = [None] * len(calls)

    async def run(index: int, call: Callable[[], Any]) -> None:
        try:
            results[index] = await call()
        except Exception as exc:
            results[index] = exc

    async with anyio.create_task_group() as tg:
        for index, call in enumerate(calls):
            tg.start_soon(run, index, call)
    return results


async def test_calls_made_together_travel_together() -> None:
    recorder = Recorder(*[each] * 9)
    async with recorder.session(BATCHING) as session:
        queries = [f"{{ q{number} }}" for number in range(7)]
        results = await together(*[lambda q=q: session.execute(q) for q in queries])
    assert results == [{"q": query} for query in queries]
    assert sorted(len(body) if isinstance(body, list) else 1 for body in recorder.bodies) == [
        1,
        3,
        3,
    ]


async def test_one_bad_call_of_a_batch() -> None:
    bad = {
        "{ a }": {"data": {"a": 1}},
        "{ b }": "rubbish",
        "{ c }": {"errors": [{"message": "no"}]},
    }
    recorder = Recorder(lambda request: [bad[one["query"]] for one in json.loads(request.content)])
    async with recorder.session(BATCHING) as session:
        good, rubbish, failed, unsendable = await together(
            lambda: session.execute("{ a }"),
            lambda: session.execute("{ b }"),
            lambda: session.execute("{ c }"),
            lambda: session.execute(HELLO, {"name": object()}),
        )
    assert good == {"a": 1}
    assert isinstance(rubbish, TransportProtocolError)
    assert isinstance(failed, TransportQueryError)
    assert isinstance(unsendable, TypeError)


async def test_calls_that_wait_for_their_batch_were_not_sent_when_the_session_is_left() -> None:
    recorder = Recorder(each)
    failed: list[TransportClosed] = []

    async def call(session: Any) -> None:
        with pytest.raises(TransportClosed) as caught:
            await session.execute("mutation { m }")
        failed.append(caught.value)

    async with anyio.create_task_group() as tg:
        async with recorder.session({"batch_interval": 60}) as session:
            tg.start_soon(call, session)
            tg.start_soon(call, session)
            await anyio.wait_all_tasks_blocked()
    assert [error.unsent for error in failed] == [True, True]
    assert recorder.bodies == []


@pytest.fixture
def intervals(monkeypatch: pytest.MonkeyPatch) -> list[anyio.CancelScope]:
    """The intervals of batches. Each is over when it is canceled, and not before."""
    intervals: list[anyio.CancelScope] = []

    def move_on_after(_: float) -> anyio.CancelScope:
        intervals.append(anyio.CancelScope())
        return intervals[-1]

    monkeypatch.setattr("anygql.session.batch.move_on_after", move_on_after)
    return intervals


async def test_a_call_that_leaves_its_batch(intervals: list[anyio.CancelScope]) -> None:
    async def leave() -> None:
        try:
            await session.execute("{ a }", timeout=0.01)
        finally:
            while not intervals:
                await anyio.lowlevel.checkpoint()
            intervals[0].cancel()

    recorder = Recorder(each, each)
    async with recorder.session({**BATCHING, "batch_max": 9}) as session:
        late, fine, other = await together(
            leave,
            lambda: session.execute("{ b }"),
            lambda: session.execute("{ c }"),
        )
    assert isinstance(late, TransportTimeout)
    assert [fine, other] == [{"q": "{ b }"}, {"q": "{ c }"}]


async def test_a_batch_that_nobody_waits_for_is_not_sent(
    intervals: list[anyio.CancelScope],
) -> None:
    recorder = Recorder()
    async with recorder.session(BATCHING) as session:
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, "{ a }")
            while not intervals:
                await anyio.lowlevel.checkpoint()
            tg.cancel_scope.cancel()
        intervals[0].cancel()
        await anyio.sleep(0.1)
    assert not recorder.requests


async def test_a_batch_that_nobody_waits_for_any_more_is_given_up() -> None:
    asked = anyio.Event()
    gone = anyio.Event()

    async def silent(request: Any, stream: Any) -> bool:
        asked.set()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        gone.set()
        return False

    async with peer(silent) as server, Client(server.url, **BATCHING) as session:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tg:
                tg.start_soon(session.execute, "{ a }")
                tg.start_soon(session.execute, "{ b }")
                await asked.wait()
                scope.cancel()
        await gone.wait()


async def test_what_a_header_function_raises_is_for_each_call_of_a_batch() -> None:
    def headers() -> dict[str, str]:
        raise LookupError("no token")

    recorder = Recorder()
    async with recorder.session(BATCHING, headers=headers) as session:
        results = await together(*[lambda q=q: session.execute(q) for q in ("{ a }", "{ b }")])
    assert [str(result) for result in results] == ["'no token'"] * 2 or all(
        isinstance(result, LookupError) for result in results
    )
    assert not recorder.requests


async def test_a_batch_is_not_for_who_has_args_of_their_own() -> None:
    recorder = Recorder(*[each] * 2)
    async with recorder.session(BATCHING) as session:
        await together(
            lambda: session.execute("{ a }", transport_args={"headers": {"a": "b"}}),
            lambda: session.execute("{ b }"),
        )
    assert len(recorder.requests) == 2


@pytest.mark.parametrize("options", [{"batch_interval": -1}, {"batch_interval": 1, "batch_max": 0}])
async def test_bad_options_for_batches(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="batch"):
        Client(URL, **options)


# Persisted queries.

NOT_FOUND = {"errors": [{"message": "PersistedQueryNotFound"}]}


async def test_a_persisted_query() -> None:
    recorder = Recorder({"data": {"a": 1}}, NOT_FOUND)
    request = gql(HELLO)
    async with recorder.session(persisted_queries=True) as session:
        assert await session.execute(request) == {"a": 1}
        assert await session.execute(request, {"name": "x"}) == {"ok": True}
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": request.source.sha256}}
    assert recorder.bodies == [
        {"extensions": hashed},
        {"variables": {"name": "x"}, "extensions": hashed},
        {"query": HELLO, "variables": {"name": "x"}, "extensions": hashed},
    ]


@pytest.mark.parametrize(
    "answer",
    [
        NOT_FOUND,
        {"errors": [{"message": "no", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}]},
        httpx.Response(400, json=NOT_FOUND),
        httpx.Response(
            404,
            json=NOT_FOUND,
            headers={"content-type": "application/graphql-response+json"},
        ),
        httpx.Response(503, json=NOT_FOUND),
    ],
)
async def test_a_persisted_query_that_is_unknown(answer: Any) -> None:
    recorder = Recorder(answer)
    async with recorder.session(persisted_queries=True, use_get_for_queries=True) as session:
        assert await session.execute(HELLO) == {"ok": True}
    assert [request.method for request in recorder.requests] == ["GET", "POST"]


async def test_a_persisted_query_that_is_refused_for_another_reason() -> None:
    recorder = Recorder(httpx.Response(503, json={"errors": [{"message": "busy"}]}))
    async with recorder.session(persisted_queries=True) as session:
        with pytest.raises(TransportServerError, match="busy"):
            await session.execute(HELLO)
        assert len(recorder.requests) == 1
        assert await session.execute(HELLO) == {"ok": True}
    assert "query" not in recorder.bodies[1]


async def test_a_server_without_persisted_queries() -> None:
    recorder = Recorder({"errors": [{"message": "PersistedQueryNotSupported"}]})
    async with recorder.session(persisted_queries=True) as session:
        await session.execute(HELLO)
        await session.execute(SET)
    assert recorder.bodies[1:] == [{"query": HELLO}, {"query": SET}]


async def test_document_ids() -> None:
    recorder = Recorder({"data": {}}, [{"data": {}}])
    async with recorder.session(persisted_queries=document_id) as session:
        await session.execute(HELLO, {"name": "x"})
        await session.execute_batch_results([SET])
    known_as = document_id(gql(HELLO))
    assert recorder.bodies[0] == {"documentId": known_as, "variables": {"name": "x"}}
    assert recorder.bodies[1:] == [[{"documentId": document_id(gql(SET))}]]


async def test_document_ids_by_get() -> None:
    recorder = Recorder()
    async with recorder.session(persisted_queries=document_id, use_get_for_queries=True) as session:
        await session.execute(HELLO, {"name": "x"})
    [request] = recorder.requests
    assert request.method == "GET"
    params = dict(request.url.params)
    params.pop("tenant")
    assert params == {"documentId": document_id(gql(HELLO)), "variables": '{"name":"x"}'}


# Retries.

FAST = {"reconnecting": True}


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("refusal", ["429 Slow Down", "502 Bad", "503 Later", "504 Late"])
async def test_a_query_is_asked_again(refusal: str) -> None:
    answers = (http("", refusal, retry_after="0"), None, kept(http('{"data": {"a": 1}}')))
    async with peer(*answers) as server, Client(server.url).connect(reconnecting=True) as session:
        assert await session.execute("{ a }") == {"a": 1}
        assert len(server.requests) == 3


async def test_a_mutation_is_not_sent_again() -> None:
    async with (
        peer(
            None, http("", "503 Later", connection="close"), kept(http('{"data": {"a": 1}}'))
        ) as server,
        Client(server.url).connect(reconnecting=True) as session,
    ):
        for _ in range(2):
            with pytest.raises((TransportConnectionFailed, TransportServerError)):
                await session.execute(SET)
        assert len(server.requests) == 2
        assert await session.execute(SET) == {"a": 1}


@pytest.mark.over_http("own", why="what a client raises is made up")
async def test_a_mutation_that_certainly_never_left_is_sent() -> None:
    failures = [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")]

    def handle(request: httpx.Request) -> httpx.Response:
        if failures:
            raise failures.pop()
        return httpx.Response(200, json={"data": {"a": 1}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        transport = HTTPTransport(URL, client=client)
        async with Client(transport).connect(reconnecting=True) as session:
            assert await session.execute(SET) == {"a": 1}


async def test_a_refusal_for_good_is_not_asked_again() -> None:
    async with (
        peer(http("", "401 No")) as server,
        Client(server.url).connect(reconnecting=True) as session,
    ):
        with pytest.raises(TransportServerError, match="Check the credentials"):
            await session.execute("{ a }")
        assert len(server.requests) == 1
