"""What the transport makes of each kind of answer, and of none."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import anyio
import httpx
import pytest

from anygql import (
    Client,
    ExecutionResult,
    HTTPTransport,
    TransportClosed,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
)
from tests.http.peer import cut, http, kept, peer

URL = "https://user:secret@api.test/graphql?key=hidden"
GRAPHQL = "application/graphql-response+json"
HELLO = json.dumps({"data": {"hello": "you"}})
REFUSED = json.dumps({"errors": [{"message": "no such field"}]})


Answer = Callable[[], httpx.Response]


async def ask(answer: Answer | Exception, **options: Any) -> ExecutionResult:
    """The result of a query that is so answered."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer()

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client,
        Client(HTTPTransport(URL, client=client, **options)) as session,
    ):
        return await session.execute_result("{ hello }")


def answer(
    body: str | bytes, status: int = 200, kind: str | None = "application/json", **headers: str
) -> Answer:
    content = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if kind is not None:
        named["content-type"] = kind
    return lambda: httpx.Response(status, headers=named, stream=httpx.ByteStream(content))


# Answers that are results.


@pytest.mark.parametrize("kind", ["application/json", GRAPHQL, f'{GRAPHQL}; charset="utf-8"', None])
async def test_a_result(kind: str | None) -> None:
    assert await ask(answer(HELLO, kind=kind)) == ExecutionResult({"hello": "you"})


@pytest.mark.parametrize("status", [200, 294, 400, 401, 422, 429, 500, 503])
async def test_graphql_json_is_read_at_any_status(status: int) -> None:
    result = await ask(answer(REFUSED, status, GRAPHQL))
    assert result == ExecutionResult(None, [{"message": "no such field"}])


async def test_a_partial_result() -> None:
    body = '{"data": {"a": 1, "b": null}, "errors": [{"message": "b"}], "extensions": {"t": 1}}'
    result = await ask(answer(body))
    assert result == ExecutionResult({"a": 1, "b": None}, [{"message": "b"}], {"t": 1})


@pytest.mark.parametrize("body", ['{"data": {"a": 1}, "errors": null, "extensions": null}'])
async def test_null_is_absent(body: str) -> None:
    assert await ask(answer(body)) == ExecutionResult({"a": 1})


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-8", '{"data": {"hello": "é"}}'.encode()),
        ("iso-8859-1", '{"data": {"hello": "é"}}'.encode("latin-1")),
        ("utf-16", '{"data": {"hello": "é"}}'.encode("utf-16")),
        ("utf-8", b"\xef\xbb\xbf" + '{"data": {"hello": "é"}}'.encode()),
    ],
)
async def test_charsets(charset: str, body: bytes) -> None:
    result = await ask(answer(body, kind=f"application/json; charset={charset}"))
    assert result.data == {"hello": "é"}


async def test_compression() -> None:
    body = gzip.compress(HELLO.encode())
    assert (await ask(answer(body, content_encoding="gzip"))).data == {"hello": "you"}


async def test_half_of_a_surrogate_pair() -> None:
    assert (await ask(answer(b'{"data": {"a": "\\ud800"}}'))).data == {"a": "\ufffd"}


# Answers that are none.


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (answer("<html>", kind="text/html"), "text/html"),
        (answer("", kind=None), "an empty body"),
        (answer("  ", kind="application/json"), "an empty body"),
        (answer('{"data": {"hel'), "breaks off"),
        (answer("[1]"), "a JSON array"),
        (answer("1"), "a JSON value"),
        (answer('{"message": "hi"}'), "without data and errors"),
        (answer('{"errors": []}'), "without data and errors"),
        (answer('{"data": 1}'), "without data and errors"),
        (answer('{"data": {}, "errors": "no"}'), "without data and errors"),
        (answer("[" * 100_000), "breaks off"),
        (answer(HELLO.encode("utf-16"), kind="application/json"), "breaks off"),
        (answer(gzip.compress(HELLO.encode() * 99)[:-20], content_encoding="gzip"), "breaks off"),
        (answer(b"no gzip", content_encoding="gzip"), "compression"),
    ],
)
async def test_what_is_no_graphql(response: Answer, message: str) -> None:
    with pytest.raises(TransportProtocolError, match=message) as caught:
        await ask(response)
    assert not caught.value.retryable
    assert "https://api.test/graphql" in str(caught.value)


@pytest.mark.parametrize("body", [REFUSED, "<html>oh</html>", ""])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 504])
async def test_plain_json_is_trusted_with_2xx_only(status: int, body: str) -> None:
    kind = "application/json" if body == REFUSED else "text/html"
    with pytest.raises(TransportServerError) as caught:
        await ask(answer(body, status, kind, x_trace="7"))
    error = caught.value
    assert error.code == status
    assert error.retryable is (status in {429, 502, 503, 504})
    assert error.headers["X-Trace"] == "7"
    assert error.body == body
    assert error.errors == ([{"message": "no such field"}] if body == REFUSED else [])
    assert ("no such field" in str(error)) is (body == REFUSED)
    assert not error.unsent


async def test_a_long_refusal_is_cut() -> None:
    with pytest.raises(TransportServerError) as caught:
        await ask(answer("no " * 100_000, 500, "text/plain"))
    assert len(caught.value.body) == 1024
    assert len(str(caught.value)) < 300


async def test_an_empty_graphql_answer() -> None:
    with pytest.raises(TransportServerError):
        await ask(answer("", 500, GRAPHQL))
    with pytest.raises(TransportServerError):
        await ask(answer("{", 500, GRAPHQL))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": formatdate(1_000_060), "date": formatdate(1_000_000)}, 60),
        ({"retry_after": formatdate(1_000_000), "date": formatdate(1_000_060)}, 0),
        ({"retry_after": formatdate(1_000_000)}, 0),
    ],
)
async def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(TransportServerError) as caught:
        await ask(answer("", 503, **headers))
    assert caught.value.retry_after == seconds


async def test_a_redirect_says_what_to_do() -> None:
    with pytest.raises(TransportServerError, match="follow_redirects") as caught:
        await ask(answer("", 301, location="https://api.test/?token=secret"))
    assert "secret" not in str(caught.value)


async def test_a_loop_of_redirects() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"location": str(request.url)})

    mock = httpx.MockTransport(handle)
    async with (
        httpx.AsyncClient(transport=mock, follow_redirects=True) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        with pytest.raises(TransportProtocolError, match="redirected too many times"):
            await session.execute("{ hello }")


# No answers.


@pytest.mark.parametrize(
    ("raised", "expected", "unsent"),
    [
        (httpx.ConnectError("refused"), TransportConnectionFailed, True),
        (httpx.ConnectTimeout("late"), TransportConnectTimeout, True),
        (httpx.PoolTimeout("full"), TransportConnectionFailed, True),
        (httpx.ProxyError("407"), TransportConnectionFailed, True),
        (httpx.UnsupportedProtocol("foo://"), TransportInvalidURL, True),
        (httpx.ReadTimeout("late"), TransportTimeout, False),
        (httpx.WriteTimeout("late"), TransportTimeout, False),
        (httpx.ReadError("reset"), TransportConnectionFailed, False),
        (httpx.WriteError("reset"), TransportConnectionFailed, False),
        (httpx.RemoteProtocolError("gone"), TransportConnectionFailed, False),
        (httpx.DecodingError("bad"), TransportProtocolError, False),
    ],
)
async def test_what_the_client_raises(
    raised: Exception, expected: type[TransportError], unsent: bool
) -> None:
    with pytest.raises(expected) as caught:
        await ask(raised)
    assert type(caught.value) is expected
    assert caught.value.unsent is unsent
    assert caught.value.retryable is (expected not in {TransportInvalidURL, TransportProtocolError})
    assert caught.value.__cause__ is raised
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_a_header_that_http_forbids_is_not_shown() -> None:
    with pytest.raises(ValueError, match="character that HTTP forbids") as caught:
        await ask(httpx.LocalProtocolError("Illegal header value b'secret\\n'"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_what_a_user_s_hook_raises_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        await ask(ZeroDivisionError())


async def test_nobody_listens() -> None:
    async with peer(None) as server:
        url = server.url
    async with Client(HTTPTransport(url)) as session:
        with pytest.raises(
            TransportConnectionFailed, match="Check that the server is running"
        ) as e:
            await session.execute("{ hello }")
    assert e.value.unsent


@pytest.mark.parametrize(
    "torn",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-ty",
        http(HELLO, length=1000),
        http("", length=10),
        cut(b'{"data"', kind="application/json"),
        b"220 smtp.test ESMTP\r\n",
    ],
)
async def test_a_connection_that_breaks(torn: Any) -> None:
    async with peer(torn, kept(http(HELLO))) as server, Client(server.url) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("{ hello }")
        assert caught.value.retryable
        assert not caught.value.unsent
        assert await session.execute("{ hello }") == {"hello": "you"}


async def test_a_server_that_says_nothing() -> None:
    async def silent(request: Any, stream: Any) -> bool:
        await stream.receive()
        return False

    async with peer(silent, kept(http(HELLO))) as server, Client(server.url) as session:
        with pytest.raises(TransportTimeout, match="no answer for the query within"):
            await session.execute("{ hello }", timeout=0.1)
        assert await session.execute("{ hello }") == {"hello": "you"}
        assert server.connections == 2


async def test_a_client_that_was_closed() -> None:
    client = httpx.AsyncClient()
    await client.aclose()
    async with Client(HTTPTransport(URL, client=client)) as session:
        with pytest.raises(TransportClosed, match="has been closed"):
            await session.execute("{ hello }")


async def test_errors_in_the_answer_are_raised() -> None:
    async with peer(http(REFUSED)) as server, Client(server.url) as session:
        with pytest.raises(TransportQueryError, match="no such field"):
            await session.execute("{ hello }")


async def test_closing_ends_what_runs() -> None:
    asked = anyio.Event()

    async def silent(request: Any, stream: Any) -> bool:
        asked.set()
        await stream.receive()
        return False

    async with peer(silent) as server, anyio.create_task_group() as tg:
        async with Client(server.url) as session:

            async def query() -> None:
                with pytest.raises(TransportClosed):
                    await session.execute("{ hello }")

            tg.start_soon(query)
            await asked.wait()
        with pytest.raises(TransportClosed):
            await session.execute("{ hello }")
