"""Answers that are none, over real sockets: what they are told apart as, and that the session and
the client's pool go on after each."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    ExecutionResult,
    HTTPTransport,
    Session,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
)
from anygql.testing.loopback import LoopbackListener, SocketStream
from tests.support.http_peer import Peer, Request, cut, endless, http, kept, peer
from tests.support.pools import held_by

pytestmark = [pytest.mark.over_http, pytest.mark.table]

GRAPHQL = "application/graphql-response+json"
HTML = "<html><title>Sign in</title></html>"
HELLO = json.dumps({"data": {"hello": "you"}})
REFUSED = json.dumps({"errors": [{"message": "no such field"}]})
COUNT = "subscription { n }"
FOLLOW = {"follow_redirects": True}

GOOD = kept(http(HELLO))


@asynccontextmanager
async def facing(*bad: Any, **options: Any) -> AsyncGenerator[Any]:
    """A session with a server that gives these answers, and good ones after them.

    When the context is left, the next query gets its good answer, and no connection is in use.
    """
    async with peer(*bad, GOOD) as server, asking(server, **options) as session:
        yield session, server


@asynccontextmanager
async def asking(server: Peer, **options: Any) -> AsyncGenerator[Session]:
    url = server.url.replace("//", "//user:secret@") + "?key=hidden"
    async with Client(HTTPTransport(url), **options) as session:
        yield session
        assert held_by(session) == []
        assert session.state == "connected"
        assert await session.execute("{ hello }") == {"hello": "you"}
        assert held_by(session) == []


def says_where(error: Exception, server: Peer) -> bool:
    """Whether its message has the URL, and nothing of that which is secret."""
    said = str(error)
    return server.url in said and "secret" not in said and "hidden" not in said


# Something else than GraphQL.


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http(HTML, kind="text/html"), "text/html"),
        (http(HTML, kind=None), "something without a content type"),
        (http(HTML), "breaks off or is malformed"),
        (http("", kind=None), "an empty body"),
        (http(""), "an empty body"),
        (http("", kind=GRAPHQL), "an empty body"),
        (http("", "204 No Content", kind=None), "an empty body"),
        (http(" \r\n"), "an empty body"),
        (http('{"data": {"hel'), "breaks off or is malformed"),
        (http('{"data": {"hello": you}}'), "breaks off or is malformed"),
        (http(HELLO + HELLO), "breaks off or is malformed"),
        (http("[" * 100_000), "breaks off or is malformed"),
        (http(b'{"data": {"hello": "\xff"}}'), "breaks off or is malformed"),
        (http(HELLO.encode("utf-16")), "breaks off or is malformed"),
        (http(HELLO, kind="application/json; charset=x-none"), None),
        (http(f"[{HELLO}]"), "a JSON array"),
        (http("[]"), "a JSON array"),
        (http("1"), "a JSON number"),
        (http("null"), "null"),
        (http('"data"'), "a JSON string"),
        (http("{}"), "without data and errors"),
        (http('{"message": "hi"}'), "without data and errors"),
        (http('{"errors": []}'), "without data and errors"),
        (http('{"errors": null}'), "without data and errors"),
        (http('{"data": 1}'), "whose 'data' is a JSON number"),
        (http('{"data": []}'), "whose 'data' is a JSON array"),
        (http('{"data": {}, "errors": "no"}'), "'errors' is a JSON string, not a list"),
        (http('{"data": {}, "errors": {"message": "no"}}'), "'errors' is a JSON object"),
        (http('{"data": {}, "errors": {}}'), "'errors' is a JSON object"),
        (http('{"data": {}, "errors": ""}'), "'errors' is a JSON string"),
        (http('{"data": {}, "errors": false}'), "'errors' is a JSON boolean"),
        (
            http(gzip.compress(HELLO.encode() * 99, mtime=0)[:-20], content_encoding="gzip"),
            "breaks off",
        ),
        (http(gzip.compress(HELLO.encode(), mtime=0)[:5], content_encoding="gzip"), "breaks off"),
        (
            http(gzip.compress(HELLO.encode(), mtime=0)[:-1] + b"!", content_encoding="gzip"),
            "compression",
        ),
        (http(b"no gzip", content_encoding="gzip"), "compression"),
        (http(HELLO, content_encoding="gzip"), "compression"),
        (http(HELLO, content_encoding="br"), "compression"),
        (http(gzip.compress(b"", mtime=0), content_encoding="gzip"), "an empty body"),
    ],
)
async def test_what_is_no_graphql(answer: bytes, message: str | None) -> None:
    async with facing(kept(answer)) as (session, server):
        if message is None:  # all the same to UTF-8
            assert await session.execute("{ hello }") == {"hello": "you"}
        else:
            with pytest.raises(TransportProtocolError, match=message) as caught:
                await session.execute("{ hello }")
            assert says_where(caught.value, server)
            assert not caught.value.retryable
            assert not caught.value.unsent
            assert caught.value.retry_after is None
    # Bad as it was, it was read to its end: its connection could serve the next request.
    assert server.connections == 1


@pytest.mark.parametrize("method", ["execute", "execute_result"])
async def test_no_exception_but_for_graphql_errors_is_kept_back(method: str) -> None:
    async with facing(kept(http(HTML, kind="text/html"))) as (session, _):
        with pytest.raises(TransportProtocolError):
            await getattr(session, method)("{ hello }")


# Statuses.

#: Each with whether the same request may succeed later.
STATUSES = {
    400: False, 401: False, 403: False, 404: False, 413: False, 422: False, 429: True,
    500: False, 502: True, 503: True, 504: True,
}  # fmt: skip

ERRORS = [{"message": "no such field"}]
RESULT = ExecutionResult({"hello": "you"})

#: A body: its type, itself, and what it is as a result, or else the errors on the exception.
BODIES: dict[str, tuple[str | None, str, ExecutionResult | list[Any]]] = {
    "GraphQL errors": (GRAPHQL, REFUSED, ERRORS),
    "GraphQL data": (GRAPHQL, HELLO, RESULT),
    "JSON errors": ("application/json", REFUSED, ERRORS),
    "JSON data": ("application/json", HELLO, []),
    "JSON of another kind": ("application/problem+json", '{"title": "no"}', []),
    "HTML": ("text/html", HTML, []),
    "text": ("text/plain", "go away\nplease", []),
    "nothing": (None, "", []),
    "nothing of JSON": ("application/json", "", []),
    "nothing of GraphQL": (GRAPHQL, "", []),
    "half of GraphQL": (GRAPHQL, "{", []),
}


#: Statuses with which GraphQL errors are an answer.
ANSWERS = {400, 404, 413, 422, 500}


def expected_of(status: int, body: str) -> ExecutionResult | list[Any]:
    expected = BODIES[body][2]
    return ExecutionResult(None, ERRORS) if expected == ERRORS and status in ANSWERS else expected


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", STATUSES)
async def test_statuses(status: int, body: str) -> None:
    kind, text, _ = BODIES[body]
    expected = expected_of(status, body)
    answer = http(text, f"{status} Not So", kind, retry_after="7", x_trace="9")
    async with facing(kept(answer)) as (session, server):
        if isinstance(expected, ExecutionResult):
            result = await session.execute_result("{ hello }")
            assert result == expected
            assert result.headers["X-Trace"] == "9"
        else:
            with pytest.raises(TransportServerError) as caught:
                await session.execute_result("{ hello }")
            error = caught.value
            assert says_where(error, server)
            assert (error.code, error.reason) == (status, "Not So")
            # 403 with Retry-After is a limit, as at GitHub.
            assert error.retryable is (STATUSES[status] or status == 403)
            assert not error.unsent
            assert error.retry_after == 7
            assert error.headers["X-Trace"] == "9"
            assert error.body == text
            assert error.errors == expected
            assert ("no such field" in str(error)) is (expected == ERRORS)
            assert ("go away" in str(error)) is (body == "text")
    assert server.connections == 1


@pytest.mark.parametrize("kind", [GRAPHQL, "application/json"])
@pytest.mark.parametrize("status", sorted(ANSWERS))
async def test_errors_that_are_the_server_s_own_are_raised_as_such(status: int, kind: str) -> None:
    answer = http(REFUSED, f"{status} No", kind, x_trace="9")
    async with facing(kept(answer)) as (session, _):
        with pytest.raises(TransportQueryError, match="no such field") as caught:
            await session.execute("{ hello }")
        error = caught.value
        assert not error.retryable
        assert (error.code, error.body, error.errors) == (status, REFUSED, ERRORS)
        assert error.headers["X-Trace"] == "9"


@pytest.mark.parametrize(
    "text",
    ['{"errors": []}', '{"errors": ["no"]}', '{"errors": [{"message": 5}]}', '{"errors": "no"}'],
)
async def test_errors_that_are_not_well_formed_may_be_anybodys(text: str) -> None:
    async with facing(kept(http(text, "400 No"))) as (session, _):
        with pytest.raises(TransportServerError):
            await session.execute_result("{ hello }")


async def test_a_refused_batch_is_the_result_of_each_operation() -> None:
    refused = ExecutionResult(None, ERRORS)
    for answer in (http(REFUSED, "400 No"), http(f"[{REFUSED}, {REFUSED}]", "400 No")):
        async with facing(kept(answer), kept(answer)) as (session, _):
            assert await session.execute_batch_results(BATCH) == [refused, refused]
            with pytest.raises(TransportQueryError, match="no such field") as caught:
                await session.execute_batch(BATCH)
            assert caught.value.code == 400


async def test_errors_beside_data_that_is_none_are_raised() -> None:
    text = '{"data": [], "errors": [{"message": "real"}]}'
    async with facing(kept(http(text))) as (session, _):
        with pytest.raises(TransportQueryError, match="real") as caught:
            await session.execute("{ hello }")
        assert caught.value.code == 200
        assert caught.value.headers["content-type"] == "application/json"


PHP = "<br />\n<b>Warning</b>:  Undefined variable $x in /srv/index.php\n" + HELLO
LOGIN = "<!DOCTYPE html>\n<html><head><style>a { b: c }</style><title>Sign in</title></head></html>"


@pytest.mark.parametrize(
    ("text", "kind", "words", "errors"),
    [
        ('{"error_message": "quota"}', "application/json", "quota", ["quota"]),
        ('{"errors": "Not Found"}', "application/json", "Not Found", ["Not Found"]),
        ('{"message": "no\\nreally"}', "application/json", "(no)", ["no\nreally"]),
        ('{"data": [], "detail": "no"}', "application/json", "(no)", ["no"]),
        (PHP, "application/json", "Warning: Undefined variable $x", []),
        (PHP, "text/html", "Warning: Undefined variable $x", []),
        (LOGIN, "text/html", "Sign in", []),
        ("Welcome\nto nginx", "text/plain", "(Welcome)", []),
        ("x" * 5000, "text/plain", "x" * 199 + "…", []),
        ("a\x1b[31mb", "text/plain", "a\ufffd[31mb", []),
    ],
)
async def test_the_server_s_words_are_not_lost(
    text: str, kind: str, words: str, errors: list[str]
) -> None:
    async with facing(kept(http(text, kind=kind, x_trace="9"))) as (session, _):
        with pytest.raises(TransportProtocolError) as caught:
            await session.execute("{ hello }")
    error = caught.value
    assert words in str(error)
    assert "\n" not in str(error)
    assert error.code == 200
    assert error.headers["X-Trace"] == "9"
    assert error.body == text[:1024]
    assert [each["message"] for each in error.errors] == errors


@pytest.mark.parametrize("status", [401, 403, 502, 503])
async def test_the_words_of_a_refusal(status: int) -> None:
    answer = http('{"message": "slow\\ndown"}', f"{status} No", retry_after="2.0")
    async with facing(kept(answer)) as (session, _):
        with pytest.raises(TransportServerError, match="No: slow") as caught:
            await session.execute("{ hello }")
    assert caught.value.retryable is (status != 401)
    assert caught.value.retry_after == 2
    assert ("credentials" in str(caught.value)) is (status == 401)


def never(head: bytes, *, end: bool = False) -> Any:
    async def answer(request: Request, stream: Any) -> bool:
        await stream.send(head)
        if not end:
            with suppress(anyio.EndOfStream):
                await stream.receive()
        return False

    return answer


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502, 503])
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize("how", ["breaks off", "never comes", "gzip", "br"])
@pytest.mark.parametrize("operation", ["query", "subscription"])
async def test_a_refusal_is_known_by_its_status(
    status: int, kind: str, how: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = 0.1 if how == "never comes" else 2
    monkeypatch.setattr("anygql.http.incoming.ANSWER_PATIENCE", patience)
    monkeypatch.setattr("anygql.http.incoming.REFUSAL_PATIENCE", patience)
    named = {"content_encoding": how} if how in {"gzip", "br"} else {}
    length = None if named else 1000
    head = http("go away", f"{status} No", kind, length, retry_after="3", **named)
    answer = kept(head) if named else never(head, end=how == "breaks off")
    answers = [answer] * (2 if status == 404 else 1)
    async with facing(*answers if operation == "subscription" else answers[:1]) as (session, _):
        with pytest.raises(TransportServerError) as caught:
            if operation == "query":
                await session.execute("{ hello }")
            async with session.subscribe(COUNT) as events:
                await events.receive()
    assert caught.value.code == status
    assert caught.value.retry_after == 3
    assert caught.value.body == "go away"
    assert "go away" in str(caught.value)


@pytest.mark.parametrize("encoding", ["UTF-8", "binary", "aws-chunked", "x-none, utf8"])
async def test_an_encoding_that_is_no_compression(encoding: str) -> None:
    async with facing(kept(http(HELLO, content_encoding=encoding))) as (session, _):
        assert await session.execute("{ hello }") == {"hello": "you"}


@pytest.mark.parametrize("encoding", ["aws-chunked, gzip", "gzip, utf-8"])
async def test_a_compression_beside_an_encoding_that_is_none(encoding: str) -> None:
    body = gzip.compress(HELLO.encode(), mtime=0)
    async with facing(kept(http(body, content_encoding=encoding))) as (session, _):
        assert await session.execute("{ hello }") == {"hello": "you"}


async def test_a_long_refusal_is_cut() -> None:
    async with facing(kept(http("no " * 1_000_000, "500 Oh", "text/plain"))) as (session, _):
        with pytest.raises(TransportServerError) as caught:
            await session.execute("{ hello }")
        assert len(caught.value.body) == 1024
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("status", ["429 Slow Down", "503 Later"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "7"}, 7),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "2.0"}, 2),
        ({"retry_after": "0.503"}, 1),
        ({"retry_after": "3, 3"}, 3),
        ({"retry_after": "3,5"}, 5),
        ({"retry_after": formatdate(1_000_060, usegmt=True), "date": formatdate(1_000_000)}, 60),
        ({"retry_after": formatdate(1_000_000, usegmt=True), "date": formatdate(1_000_060)}, 0),
        ({"retry_after": formatdate(1_000_000, usegmt=True)}, 0),
        ({"retry_after": "Sunday, 06-Nov-94 08:49:37 GMT"}, 0),
    ],
)
async def test_retry_after(status: str, headers: dict[str, str], seconds: float | None) -> None:
    async with facing(kept(http("", status, **headers))) as (session, _):
        with pytest.raises(TransportServerError) as caught:
            await session.execute("{ hello }")
        assert caught.value.retry_after == seconds


# Redirects.

REDIRECTS = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_says_what_to_do(status: str) -> None:
    elsewhere = "https://api.test/?token=cookie"
    async with facing(kept(http("", status, location=elsewhere))) as (session, server):
        with pytest.raises(TransportServerError, match="follow_redirects") as caught:
            await session.execute("{ hello }")
        assert caught.value.code == int(status[:3])
        assert not caught.value.retryable
        assert "cookie" not in str(caught.value)
        assert says_where(caught.value, server)


@pytest.mark.parametrize("status", REDIRECTS[:3])
@pytest.mark.parametrize(
    ("then", "error"),
    [
        (http(HTML, kind="text/html"), TransportProtocolError),
        (http("", "405 No", kind=None), TransportServerError),
        (http(REFUSED), TransportProtocolError),
        (http(REFUSED, "400 No"), TransportServerError),
    ],
)
async def test_a_redirect_that_turns_a_post_into_a_get_is_named(
    status: str, then: bytes, error: Any
) -> None:
    redirect = kept(http("", status, location="/elsewhere?token=cookie"))
    async with facing(redirect, kept(then)) as (session, server):
        with pytest.raises(
            error, match=r"turned the POST into a GET of http.*/elsewhere"
        ) as caught:
            await session.execute("{ hello }", transport_args=FOLLOW)
        assert server.requests[1].line.startswith("GET")
    assert "cookie" not in str(caught.value)


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_loop_of_redirects(status: str, places: int) -> None:
    looping = True

    async def redirect(request: Request, stream: Any) -> bool:
        path = f"/{len(server.requests) % places}"
        answer = http("", status, location=path) if looping else http(HELLO)
        await stream.send(answer)
        return True

    async with peer(redirect) as server, asking(server) as session:
        with pytest.raises(TransportProtocolError, match="redirected too many times") as caught:
            await session.execute("{ hello }", transport_args=FOLLOW)
        assert says_where(caught.value, server)
        assert not caught.value.retryable
        looping = False
    assert server.connections == 1


async def test_a_redirect_to_nowhere(free_port: int) -> None:
    nowhere = f"http://127.0.0.1:{free_port}/graphql"
    redirect = kept(http("", "307 Temporary", location=nowhere))
    async with facing(redirect) as (session, _):
        with pytest.raises(TransportConnectionFailed):
            await session.execute("{ hello }", transport_args=FOLLOW)


# Batches.

BATCH = ["{ a }", "{ b }"]
ONE = {"data": {"a": 1}}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "a batch of 2 with 0 results"),
        ([ONE], "a batch of 2 with 1 result"),
        ([ONE, ONE, ONE], "a batch of 2 with 3 results"),
        ([ONE, 7], "entry 1 of its answer to a batch is a JSON number"),
        ([ONE, None], "entry 1 of its answer to a batch is null"),
        ([ONE, "data"], "entry 1 of its answer to a batch is a JSON string"),
        ([[ONE], ONE], "entry 0 of its answer to a batch is a JSON array"),
        ([{}, ONE], "entry 0 of its answer to a batch is a JSON object without"),
        ([ONE, {"data": 7}], "entry 1 of its answer to a batch is a JSON object whose"),
        ([ONE, {"message": "oh"}], r"entry 1 .* without data and errors.*\(oh\)"),
        (ONE, "a batch with one result"),
        ({"errors": [{"message": "no batches"}]}, "one result: no batches"),
        ({"errors": ["no batches"]}, "a batch with one result: no batches"),
        (7, "a batch with one result"),
    ],
)
async def test_bad_answers_to_a_batch(entries: Any, message: str) -> None:
    async with facing(kept(http(json.dumps(entries)))) as (session, server):
        with pytest.raises(TransportProtocolError, match=message) as caught:
            await session.execute_batch(BATCH)
        assert says_where(caught.value, server)
        assert not caught.value.retryable
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(HTML, kind="text/html"), TransportProtocolError),
        (http(""), TransportProtocolError),
        (http(f"[{HELLO},"), TransportProtocolError),
        (http(HTML, "502 Bad Gateway", "text/html"), TransportServerError),
        (http(f"[{REFUSED}, {REFUSED}]", "401 No"), TransportServerError),
        (http(f"[{REFUSED}]", "400 No"), TransportServerError),
        (http(REFUSED, "401 No", GRAPHQL), TransportServerError),
        (http(f"[{HELLO}", length=1_000), TransportConnectionFailed),
        (None, TransportConnectionFailed),
    ],
)
async def test_answers_to_a_batch_that_are_no_batch(answer: bytes | None, error: Any) -> None:
    async with facing(answer) as (session, server):
        with pytest.raises(error) as caught:
            await session.execute_batch_results(BATCH)
        assert type(caught.value) is error
        assert says_where(caught.value, server)


async def test_a_bad_entry_fails_its_own_call_alone() -> None:
    async def answer(request: Request, stream: Any) -> bool:
        asked = request.json
        if isinstance(asked, list):
            given = [7 if one["query"] == "{ bad }" else json.loads(HELLO) for one in asked]
        else:
            given = json.loads(HELLO)
        await stream.send(http(json.dumps(given)))
        return True

    failed: list[Exception] = []
    options = {"batch_interval": 0.05}
    async with peer(answer) as server, asking(server, **options) as session:

        async def bad() -> None:
            with pytest.raises(TransportProtocolError, match="is a JSON number") as caught:
                await session.execute("{ bad }")
            failed.append(caught.value)

        async def good() -> None:
            assert await session.execute("{ hello }") == {"hello": "you"}

        async with anyio.create_task_group() as tg:
            for call in (good, bad, good):
                tg.start_soon(call)
        assert len(server.requests) == len(failed) == 1


# Answers that go on.

SSE = "text/event-stream"
MULTIPART = 'multipart/mixed; boundary="-"; subscriptionSpec=1.0'
DEFER = "{ a ... @defer { b } }"
BEGUN = {"data": {"a": 1}, "pending": [{"id": "0", "path": []}], "hasNext": True}
INCREMENTAL = 'multipart/mixed; boundary="-"'

EVENT = b'event: next\ndata: {"data": {"n": 1}}\n\n'
COMPLETE = b"event: complete\ndata:\n\n"
END = b"\r\n-----\r\n"


def part(payload: Any, boundary: str = "-") -> bytes:
    head = f"\r\n--{boundary}\r\ncontent-type: application/json\r\n\r\n"
    return head.encode() + json.dumps(payload).encode()


def squeezed(*pieces: bytes, but: int) -> bytes:
    """The pieces in one gzip body, but for the last bytes of that."""
    return gzip.compress(b"".join(pieces), mtime=0)[:-but]


def compressed(body: bytes, kind: str) -> Any:
    return kept(http(body, kind=kind, content_encoding="gzip"))


PART = part({"payload": {"data": {"n": 1}}})
LOST = TransportConnectionFailed
BROKEN = TransportProtocolError


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        # Server-sent events that break off: the connection, the body, within an event.
        (cut(EVENT, kind=SSE), LOST),
        (cut(EVENT, EVENT[:9], kind=SSE), LOST),
        (cut(kind=SSE), LOST),
        (endless(EVENT), LOST),
        (endless(EVENT, COMPLETE[:-1]), LOST),
        (endless(EVENT, b"event: next\ndata: {"), LOST),
        (endless(), LOST),
        (http(EVENT, kind=SSE, length=1_000), LOST),
        (compressed(squeezed(EVENT, COMPLETE, but=12), SSE), BROKEN),
        # And that are something else.
        (endless(EVENT, b"event: next\ndata: {\n\n"), BROKEN),
        (endless(EVENT, b"event: next\ndata: [1]\n\n"), BROKEN),
        (endless(EVENT, b"event: other\ndata: {}\n\n"), BROKEN),
        (endless(b"<html>", kind="text/html"), BROKEN),
        (kept(http("", kind=None)), BROKEN),
        # Multipart that breaks off: the connection, the body, within a part.
        (cut(PART + part({}), kind=MULTIPART), LOST),
        (cut(PART[:-9], kind=MULTIPART), LOST),
        (endless(PART + part({}), kind=MULTIPART), LOST),
        (endless(PART, END[:-4], kind=MULTIPART), LOST),
        (endless(kind=MULTIPART), LOST),
        (compressed(squeezed(PART, END, but=12), MULTIPART), BROKEN),
        # With another boundary than was announced.
        (endless(part({"payload": None}, "x"), b"\r\n--x--\r\n", kind=MULTIPART), LOST),
        (endless(PART, part({"payload": None}, "x"), b"\r\n--x--\r\n", kind=MULTIPART), LOST),
        # With parts that are something else.
        (endless(PART, part([1]), END, kind=MULTIPART), BROKEN),
        (endless(PART, b"\r\n---\r\n\r\n{", END, kind=MULTIPART), BROKEN),
    ],
)  # fmt: skip
async def test_bad_subscriptions(answer: Any, error: Any) -> None:
    async with facing(answer) as (session, server), session.subscribe(COUNT) as events:
        with pytest.raises(error) as caught:
            while True:
                assert await events.receive() == {"n": 1}
        assert type(caught.value) is error
        assert says_where(caught.value, server)
        assert caught.value.retryable is (error is LOST)
        with pytest.raises(error):  # whoever asks again hears the same
            await events.receive()


@pytest.mark.parametrize("body", ["JSON errors", "HTML", "nothing"])
@pytest.mark.parametrize("status", STATUSES)
async def test_subscriptions_that_are_refused(status: int, body: str) -> None:
    kind, text, _ = BODIES[body]
    expected = expected_of(status, body)
    answer = kept(http(text, f"{status} Not So", kind, retry_after="7"))
    # Without a type that it has, a server is asked once more, in other words.
    answers = [answer] * (2 if status == 404 else 1)
    async with facing(*answers) as (session, server), session.subscribe(COUNT) as events:
        if isinstance(expected, ExecutionResult):
            with pytest.raises(TransportQueryError) as refused:
                await events.receive()
            assert (refused.value.code, refused.value.errors) == (status, ERRORS)
            with pytest.raises(anyio.EndOfStream):
                await events.receive()
            return
        with pytest.raises(TransportServerError) as caught:
            await events.receive()
        assert says_where(caught.value, server)
        assert (caught.value.code, caught.value.retry_after) == (status, 7)
        assert caught.value.retryable is (STATUSES[status] or status == 403)
        assert caught.value.errors == expected
        assert len(server.requests) == len(answers)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (cut(part(BEGUN), kind=INCREMENTAL), LOST),
        (cut(part(BEGUN)[:-9], kind=INCREMENTAL), LOST),
        (endless(part(BEGUN), kind=INCREMENTAL), LOST),
        (endless(part(BEGUN), END[:-4], kind=INCREMENTAL), LOST),
        (endless(kind=INCREMENTAL), LOST),
        (endless(END, kind=INCREMENTAL), BROKEN),
        (endless(part(BEGUN, "x"), b"\r\n--x--\r\n", kind=INCREMENTAL), LOST),
        (endless(part([1]), END, kind=INCREMENTAL), BROKEN),
        (endless(part({"hasNext": False}), END, kind=INCREMENTAL), BROKEN),
        (endless(part(BEGUN), part({"incremental": [{"id": "9", "data": {}}]}), END,
                 kind=INCREMENTAL), BROKEN),
        (compressed(squeezed(part(BEGUN), but=12), INCREMENTAL), BROKEN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("growing", [False, True])
async def test_bad_answers_that_grow(answer: Any, error: Any, growing: bool) -> None:
    async with facing(answer) as (session, server):
        with pytest.raises(error) as caught:
            if not growing:
                await session.execute(DEFER)
            async with session.execute_incremental(DEFER) as states:
                async for state in states:
                    assert state == {"a": 1}
        assert type(caught.value) is error
        assert says_where(caught.value, server)


BAD_ITEMS: list[Any] = [
    {},
    {"message": "Internal server error"},
    {"errors": []},
    {"data": {}, "errors": ""},
    {"data": []},
    {"data": "no"},
    {"data": False},
]


@pytest.mark.parametrize("payload", BAD_ITEMS)
@pytest.mark.parametrize("kind", ["named", "unnamed", "multipart"])
async def test_an_item_that_is_no_result(kind: str, payload: Any) -> None:
    data = json.dumps(payload).encode()
    answer = {
        "named": endless(EVENT, b"event: next\ndata: " + data + b"\n\n", COMPLETE),
        "unnamed": endless(b'data: {"data": {"n": 1}}\n\n', b"data: " + data + b"\n\n"),
        "multipart": endless(PART, part({"payload": payload}), END, kind=MULTIPART),
    }[kind]
    async with facing(answer) as (session, server), session.subscribe(COUNT) as events:
        assert await events.receive() == {"n": 1}
        with pytest.raises(TransportProtocolError) as caught:
            await events.receive()
        error = caught.value
        assert says_where(error, server)
        assert error.code == 200
        assert "content-type" in error.headers
        assert json.loads(error.body) == payload
        assert ("Internal server error" in str(error)) is ("message" in payload)


@pytest.mark.parametrize("bad", [[1], None, "no", 7, {}, {"message": "no"}])
@pytest.mark.parametrize("growing", [False, True])
async def test_a_bad_part_that_comes_together_with_the_end(bad: Any, growing: bool) -> None:
    """What is read at once may hold results, a fault and the end, of which the fault counts."""
    whole = b"".join([part(BEGUN), part(bad), END])
    async with facing(endless(whole, kind=INCREMENTAL)) as (session, _):
        with pytest.raises(TransportProtocolError):
            if not growing:
                await session.execute(DEFER)
            async with session.execute_incremental(DEFER) as states:
                async for state in states:
                    assert state == {"a": 1}


async def test_a_part_that_is_no_part_of_a_subscription() -> None:
    answer = endless(PART, part({}), part({"message": "oh"}), END, kind=MULTIPART)
    async with facing(answer) as (session, _), session.subscribe(COUNT) as events:
        assert await events.receive() == {"n": 1}
        with pytest.raises(TransportProtocolError, match="oh"):
            await events.receive()


@pytest.mark.parametrize("payload", BAD_ITEMS[:2])
@pytest.mark.parametrize("growing", [False, True])
@pytest.mark.parametrize("kind", ["sse", "multipart"])
async def test_a_part_that_is_no_part_of_a_result(kind: str, payload: Any, growing: bool) -> None:
    pieces = [part(BEGUN), part(payload), END]
    if kind == "sse":
        events = [f"event: next\ndata: {json.dumps(each)}\n\n" for each in (BEGUN, payload)]
        pieces = [each.encode() for each in events] + [COMPLETE]
    answer = endless(*pieces, kind=SSE if kind == "sse" else INCREMENTAL)
    async with facing(answer) as (session, _):
        with pytest.raises(TransportProtocolError):
            if not growing:
                await session.execute(DEFER)
            async with session.execute_incremental(DEFER) as states:
                async for state in states:
                    assert state == {"a": 1}


async def test_events_without_names_are_results_and_their_end_completes() -> None:
    answer = endless(b'data: {"data": {"n": 1}}\n\n', b'data: {"data": {"n": 2}}\n\n')
    async with facing(answer) as (session, _), session.subscribe_results(COUNT) as events:
        results = [result async for result in events]
    assert [result.data for result in results] == [{"n": 1}, {"n": 2}]
    assert results[0].headers["content-type"] == SSE


@pytest.mark.parametrize("status", ["200 OK", "500 Oh"])
async def test_a_subscription_that_was_answered_once_is_sent_to_websockets(status: str) -> None:
    message = "Cannot return null for non-nullable field Subscription.n."
    text = json.dumps({"errors": [{"message": message, "path": ["n"]}], "data": None})
    async with facing(kept(http(text, status))) as (session, _):
        async with session.subscribe(COUNT) as events:
            with pytest.raises(TransportQueryError, match="ws://") as caught:
                await events.receive()
        assert message in str(caught.value)
        assert "answered once" in str(caught.value)


# Connections that break.


@asynccontextmanager
async def abrupt(*answers: Any) -> AsyncGenerator[Peer]:
    """A peer on sockets that an answer can ``reset``; ``"reset"``: as soon as they are accepted."""
    listener = LoopbackListener("127.0.0.1", 0)
    it = Peer(list(answers), f"http://127.0.0.1:{listener.port}/graphql")

    async def accept() -> None:
        while True:
            stream: Any = await listener.accept()
            if it.answers[0] == "reset":
                del it.answers[0]
                stream.reset()
            else:
                tg.start_soon(it.serve, stream)

    async with anyio.create_task_group() as tg:
        tg.start_soon(accept)
        yield it
        tg.cancel_scope.cancel()
    listener.close()


def reset_after(*pieces: bytes) -> Any:
    """An answer of these pieces, and then a RST."""

    async def answer(request: Request, stream: SocketStream) -> bool:
        for piece in pieces:
            await stream.send(piece)
        stream.reset()
        return False

    return answer


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        "reset",
        reset_after(),
        reset_after(b"HTTP/1.1 200 OK\r\nconte"),
        reset_after(HEAD + b"content-length: 99\r\n\r\n"),
        reset_after(HEAD + b"content-length: 99\r\n\r\n", b'{"data": '),
        reset_after(HEAD + b"transfer-encoding: chunked\r\n\r\n9\r\n", b'{"data": \r\n'),
        reset_after(HEAD + b'connection: close\r\n\r\n{"data": '),
    ],
    ids=["accepted", "asked", "head", "empty", "length", "chunked", "close"],
)
@pytest.mark.parametrize("operation", ["{ hello }", "mutation { hello }"])
async def test_a_reset(answer: Any, operation: str) -> None:
    async with abrupt(answer, GOOD) as server, asking(server) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute(operation)
        assert type(caught.value) is TransportConnectionFailed
        assert says_where(caught.value, server)
        assert caught.value.retryable
        if answer != "reset":
            assert not caught.value.unsent


async def test_a_reset_right_behind_the_answer() -> None:
    async with abrupt(reset_after(http(HELLO)), GOOD) as server, asking(server) as session:
        # Whether the answer was read before is for the kernels to say.
        with suppress(TransportConnectionFailed):
            assert await session.execute("{ hello }") == {"hello": "you"}


@pytest.mark.parametrize("how", ["reset", "closed", "rubbish"])
async def test_a_connection_that_ends_after_the_answer(how: str) -> None:
    received, ended = anyio.Event(), anyio.Event()

    async def answer(request: Request, stream: SocketStream) -> bool:
        await stream.send(http(HELLO))
        await received.wait()
        if how == "reset":
            stream.reset()
        elif how == "closed":
            await stream.aclose()
        else:
            await stream.send(http(REFUSED))  # which nobody has asked for
        ended.set()
        return how == "rubbish"

    async with abrupt(answer, GOOD) as server, asking(server) as session:
        assert await session.execute("{ hello }") == {"hello": "you"}
        received.set()
        await ended.wait()
        assert await session.execute("mutation { hello }") == {"hello": "you"}
        assert server.connections == 2


@pytest.mark.parametrize("kind", [SSE, MULTIPART])
async def test_a_reset_of_a_subscription(kind: str) -> None:
    first = EVENT if kind == SSE else PART + part({})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n".encode()
    received = anyio.Event()

    async def answer(request: Request, stream: SocketStream) -> bool:
        await stream.send(head + first)
        await received.wait()
        stream.reset()
        return False

    async with (
        abrupt(answer, GOOD) as server,
        asking(server) as session,
        session.subscribe(COUNT) as events,
    ):
        assert await events.receive() == {"n": 1}
        received.set()
        with pytest.raises(TransportConnectionFailed) as caught:
            await events.receive()
        assert caught.value.retryable


@pytest.mark.parametrize(
    "torn",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-ty",
        b"HTTP/1.1 200 OK\r\n\r\n"[:-2],
        http(HELLO, length=1000),
        http("", length=10),
        http(gzip.compress(HELLO.encode(), mtime=0)[:9], length=1000, content_encoding="gzip"),
        cut(b'{"data"', kind="application/json"),
    ],
)
async def test_a_connection_that_breaks(torn: Any) -> None:
    async with facing(torn) as (session, server):
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("{ hello }")
        assert says_where(caught.value, server)
        assert caught.value.retryable
        assert not caught.value.unsent


@pytest.mark.parametrize(
    "answer",
    [
        b"220 smtp.test ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",  # a TLS alert
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_what_is_no_http(answer: bytes) -> None:
    """Whatever stands between the server and us may have said it."""
    async with facing(answer) as (session, server):
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("{ hello }")
        assert says_where(caught.value, server)
        assert not caught.value.unsent
        assert caught.value.retryable
