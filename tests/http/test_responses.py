"""What the transport makes of each kind of answer that is a result, and of none at all."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
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
    TransportTimeout,
)
from tests.support.http_mock import answering
from tests.support.http_peer import http, kept, peer

pytestmark = pytest.mark.over_http

URL = "https://user:secret@api.test/graphql?key=hidden"
GRAPHQL = "application/graphql-response+json"
HELLO = json.dumps({"data": {"hello": "you"}})
REFUSED = json.dumps({"errors": [{"message": "no such field"}]})


Answer = Callable[[], httpx.Response]


async def ask(answer: Answer, **options: Any) -> ExecutionResult:
    """The result of a query that is so answered."""
    async with (
        answering(lambda _: answer()) as url,
        Client(HTTPTransport(url, **options)) as session,
    ):
        return await session.execute_result("{ hello }")


async def ask_who_raises(raised: Exception) -> None:
    """Ask by a client that raises."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise raised

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        await session.execute_result("{ hello }")


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


@pytest.mark.parametrize("status", [200, 294, 299])
async def test_graphql_json_is_read_at_any_2xx(status: int) -> None:
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


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(HELLO[:5].encode()) + gzip.compress(HELLO[5:].encode()),
        gzip.compress(HELLO.encode()) + bytes(8),
        zlib.compress(HELLO.encode()),
        zlib.compress(HELLO.encode())[2:-4],
    ],
    ids=["members", "padding", "zlib", "raw"],
)
async def test_forms_of_compression(body: bytes) -> None:
    encoding = "gzip" if body[:1] == b"\x1f" else "deflate"
    assert (await ask(answer(body, content_encoding=encoding))).data == {"hello": "you"}


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 3 * 2**20 + 1])
async def test_much_in_little(size: int) -> None:
    body = gzip.compress(json.dumps({"data": {"hello": "x" * size}}).encode())
    result = await ask(answer(body, content_encoding="gzip"))
    assert result.data == {"hello": "x" * size}


async def test_an_answer_that_is_too_large() -> None:
    bomb = gzip.compress(bytes(2**26))
    with pytest.raises(TransportProtocolError, match=r"4194304 bytes \(max_response_size\)"):
        await ask(answer(bomb, content_encoding="gzip"), max_response_size=2**22)
    with pytest.raises(ValueError, match="max_response_size"):
        HTTPTransport("http://localhost", max_response_size=0)


async def test_half_of_a_surrogate_pair() -> None:
    assert (await ask(answer(b'{"data": {"a": "\\ud800"}}'))).data == {"a": "\ufffd"}


# No answers.


@pytest.mark.over_http("own", why="what a client raises is made up")
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
        await ask_who_raises(raised)
    assert type(caught.value) is expected
    assert caught.value.unsent is unsent
    assert caught.value.retryable is (expected not in {TransportInvalidURL, TransportProtocolError})
    assert caught.value.__cause__ is raised
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.over_http("own", why="what a client raises is made up")
async def test_a_header_that_http_forbids_is_not_shown() -> None:
    with pytest.raises(ValueError, match="character that HTTP forbids") as caught:
        await ask_who_raises(httpx.LocalProtocolError("Illegal header value b'secret\\n'"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.over_http("own", why="what a client raises is made up")
async def test_what_a_user_s_hook_raises_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        await ask_who_raises(ZeroDivisionError())


async def test_nobody_listens(free_port: int) -> None:
    async with Client(f"http://127.0.0.1:{free_port}/graphql") as session:
        with pytest.raises(
            TransportConnectionFailed, match="Check that the server is running"
        ) as e:
            await session.execute("{ hello }")
    assert e.value.unsent


async def test_a_server_that_says_nothing(call_limits: list[anyio.CancelScope]) -> None:
    async def silent(request: Any, stream: Any) -> bool:
        call_limits[0].cancel()
        await stream.receive()
        return False

    async with peer(silent, kept(http(HELLO))) as server, Client(server.url) as session:
        with pytest.raises(TransportTimeout, match="no answer for the query within"):
            await session.execute("{ hello }", timeout=0.1)
        assert await session.execute("{ hello }") == {"hello": "you"}
        assert server.connections == 2


@pytest.mark.over_http("own", why="the engine can't be closed by others")
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
