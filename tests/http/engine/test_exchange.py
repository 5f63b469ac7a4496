"""Requests of a session on our own connections: which connection, how often, and what is sent."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    TransportConnectionFailed,
    TransportInvalidURL,
    TransportServerError,
)
from anygql.exceptions import TransportError
from anygql.http.engine import connection as engine_connection
from anygql.http.engine.exchange import REMEMBERED
from anygql.http.engine.pool import Pool
from tests.support.http_peer import Request, http, kept, peer
from tests.support.websocket_peer import Peer, serving

OK = http('{"data":{"n":1}}')
QUERY = "{ n }"
MUTATION = "mutation { n }"
UPLOAD = "mutation ($file: Upload!) { n(file: $file) }"


def pool_of(session: Any) -> Pool:
    pool: Pool = session._supervisor._connection._exchange.pool
    return pool


def idle_of(session: Any) -> list[Any]:
    return [one for some in pool_of(session)._idle.values() for one in some]


async def until(true: Callable[[], object]) -> None:
    with anyio.fail_after(10):
        while not true():
            await anyio.sleep(0.001)


# Which connection.


class Losing:
    """A server that loses a connection at the second request on it, and counts."""

    def __init__(self, first: int = 1, *, reset: bool = False, says: bytes = b"") -> None:
        self.first = first
        self.reset = reset
        self.says = says
        self.connections = 0
        self.asked: list[str] = []

    async def __call__(self, it: Peer) -> None:
        self.connections += 1
        losing = self.connections <= self.first
        while True:
            head = await self._request(it)
            self.asked.append(head)
            if losing and (self.first > 1 or len(self.asked) > 1):
                if self.says:
                    await it.raw(self.says)
                if self.reset:
                    await it.reset()
                return
            await it.raw(OK)

    async def _request(self, it: Peer) -> str:
        data = await it.head()
        head, _, body = data.partition("\r\n\r\n")
        if "chunked" in head:
            while not body.endswith("0\r\n\r\n"):
                body += (await it.stream.receive()).decode("latin-1")
        else:
            size = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
            while len(body) < size:
                body += (await it.stream.receive()).decode("latin-1")
        return "mutation" if "mutation" in body else "query"


@asynccontextmanager
async def session_of(script: Any, **options: Any) -> AsyncGenerator[Any]:
    async with serving(script) as port:
        url = f"http://127.0.0.1:{port}/graphql"
        async with Client(HTTPTransport(url, **options)) as session:
            yield session


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
async def test_a_query_that_crosses_the_close_is_sent_again(reset: bool) -> None:
    """On a new connection, however many idle ones there are."""
    server = Losing(reset=reset)
    async with session_of(server) as session:
        await session.execute(QUERY)
        assert await session.execute(QUERY) == {"n": 1}
        assert server.asked == ["query"] * 3
        assert server.connections == 2


async def test_again_is_on_a_new_connection() -> None:
    """Connections that idled as long are most likely closed as well."""
    both = anyio.Event()

    async def script(it: Peer) -> None:
        nonlocal connections
        connections += 1
        await it.head()
        if connections <= 2:
            if connections == 2:
                both.set()
            await both.wait()
            await it.raw(OK)
            await it.head()  # and it is lost
        else:
            await it.raw(OK)
            await it.gone()

    connections = 0
    async with session_of(script) as session:
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, QUERY)
            tg.start_soon(session.execute, QUERY)
        assert len(idle_of(session)) == 2
        assert await session.execute(QUERY) == {"n": 1}
        assert connections == 3


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
async def test_a_mutation_that_crosses_the_close_is_not(batch: bool, reset: bool) -> None:
    server = Losing(reset=reset)
    async with session_of(server) as session:
        await session.execute(QUERY)
        with pytest.raises(TransportConnectionFailed) as caught:
            if batch:
                await session.execute_batch([QUERY, MUTATION])
            else:
                await session.execute(MUTATION)
        assert not caught.value.unsent
        assert server.asked == ["query", "mutation"]
        assert await session.execute(MUTATION) == {"n": 1}


async def test_a_batch_of_queries_is_sent_again() -> None:
    async def one(it: Peer) -> None:
        nonlocal connections
        connections += 1
        await it.head()
        await it.raw(http('[{"data":{"n":1}},{"data":{"n":1}}]'))
        await it.head()
        if connections == 2:
            await it.gone()

    connections = 0
    async with session_of(one) as session:
        for _ in range(2):
            assert await session.execute_batch([QUERY, QUERY]) == [{"n": 1}] * 2
        assert connections == 2


@pytest.mark.parametrize("says", [b"H", OK[:-1]], ids=["a byte", "almost all"])
async def test_never_again_after_a_byte(says: bytes) -> None:
    server = Losing(says=says)
    async with session_of(server) as session:
        await session.execute(QUERY)
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute(QUERY)
        assert not caught.value.unsent
        assert server.asked == ["query"] * 2


@pytest.mark.parametrize("query", [QUERY, MUTATION])
async def test_never_again_on_a_new_connection(query: str) -> None:
    server = Losing(100)
    async with session_of(server) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute(query)
        assert not caught.value.unsent
        assert len(server.asked) == 1


class Chunks:
    """A file that can be read once."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return b"x" * 100


async def test_an_upload_is_not_sent_again() -> None:
    server = Losing()
    async with session_of(server) as session:
        await session.execute(QUERY)
        with pytest.raises(TransportConnectionFailed):
            await session.execute(UPLOAD, {"file": FileVar(Chunks())})
        assert server.asked == ["query", "mutation"]


# Stale connections.


@pytest.mark.parametrize("query", [QUERY, MUTATION])
@pytest.mark.parametrize("how", ["end", "reset", "a byte", "an answer"])
async def test_a_stale_connection_is_not_used(how: str, query: str) -> None:
    """Nothing is sent on it, so a mutation is as safe as a query."""
    poison = http('{"data":{"n":"poison"}}')
    behind: list[bytes] = []
    spoilt = anyio.Event()

    async def script(it: Peer) -> None:
        nonlocal connections
        connections += 1
        await it.head()
        await it.raw(OK)
        if connections > 1:
            await it.gone()
            return
        if how == "end":
            await it.stream.send_eof()
        elif how == "reset":
            await it.reset()
            spoilt.set()
            return
        else:
            await it.raw(b"x" if how == "a byte" else poison)
        spoilt.set()
        async for data in it.stream:
            behind.append(data)

    connections = 0
    async with session_of(script) as session:
        await session.execute(QUERY)
        await spoilt.wait()
        assert await session.execute(query) == {"n": 1}
        assert connections == 2
        assert behind == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_tells_that_an_idle_connection_ended() -> None:
    async with peer(OK) as server, Client(HTTPTransport(server.url)) as session:
        await session.execute(QUERY)
        await until(lambda: not idle_of(session))
        await until(lambda: server.gone == 1)


@pytest.mark.parametrize("query", [QUERY, MUTATION])
async def test_a_request_that_certainly_never_left_is_sent(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection was reset between the look at it and the request."""
    reset = anyio.Event()

    async def script(it: Peer) -> None:
        nonlocal connections
        connections += 1
        await it.head()
        await it.raw(OK)
        if connections == 1:
            await it.reset()
            reset.set()
        else:
            await it.gone()

    connections = 0
    async with session_of(script) as session:
        monkeypatch.setattr(engine_connection.Connection, "on_idle", lambda *_: None)
        await session.execute(QUERY)
        await reset.wait()
        monkeypatch.setattr(engine_connection.Connection, "is_alive", lambda _: True)
        assert await session.execute(query) == {"n": 1}
        assert connections == 2


async def test_a_server_s_own_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_connection, "MARGIN", 0.5)
    async with peer(kept(http('{"data":{"n":1}}', keep_alive="timeout=1"))) as server:
        async with Client(HTTPTransport(server.url)) as session:
            await session.execute(QUERY)
            assert len(idle_of(session)) == 1
            await until(lambda: server.gone == 1)
            assert idle_of(session) == []


async def test_the_one_used_last_is_used_next() -> None:
    ports: list[int] = []

    async def answer(request: Request, stream: Any) -> bool:
        ports.append(stream.extra(SocketAttribute.remote_port))
        if len(ports) == 2:
            both.set()
        await both.wait()
        await stream.send(OK)
        return True

    both = anyio.Event()
    async with peer(answer) as server, Client(HTTPTransport(server.url)) as session:
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, QUERY)
            tg.start_soon(session.execute, QUERY)
        for _ in range(3):
            await session.execute(QUERY)
        assert len(set(ports[:2])) == 2
        assert len(set(ports[2:])) == 1


async def test_streams_come_besides() -> None:
    """As many as there are, though queries are one at a time."""

    async def answer(request: Request, stream: Any) -> bool:
        if b"subscription" not in request.body:
            await stream.send(OK)
            return True
        event = b'event: next\ndata: {"data":{"n":1}}\n\n'
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        await stream.send(head + event)
        await stream.receive()
        return False

    async with peer(answer) as server:
        async with Client(HTTPTransport(server.url, max_connections=1)) as session:
            async with (
                session.subscribe("subscription { n }") as first,
                session.subscribe("subscription { n }") as second,
            ):
                assert await first.receive() == await second.receive() == {"n": 1}
                assert await session.execute(QUERY) == {"n": 1}
                assert server.connections == 3
            await until(lambda: server.gone == 2)


async def test_other_origins_have_other_connections() -> None:
    async with peer(kept(OK)) as one, peer(kept(OK)) as other:
        urls = [one.url, other.url, one.url, other.url]
        async with Client(HTTPTransport(lambda: urls.pop(0))) as session:
            for _ in range(4):
                await session.execute(QUERY)
        assert (one.connections, other.connections) == (1, 1)


# Responses that would be another request's.


@pytest.mark.parametrize("together", [True, False], ids=["together", "later"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_second_answer_is_nobodys(chunked: bool, together: bool) -> None:
    good = b'{"data":{"n":1}}'
    chunks = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(good), good)
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + chunks if chunked else OK
    poison = http('{"data":{"n":"poison"}}')
    said = 0

    async def script(it: Peer) -> None:
        nonlocal said
        while True:
            await it.head()
            if together:
                await it.raw(answer + poison)
            else:
                await it.raw(answer)
                await it.raw(poison)
            said += 1

    async with session_of(script) as session:
        for number in range(1, 6):
            assert await session.execute(QUERY) == {"n": 1}
            # Nothing in HTTP/1.1 tells of one that comes after the next request.
            await until(lambda number=number: said == number)


# What is sent.


async def sent(args: dict[str, Any] | None = None, url: str = "", **options: Any) -> Request:
    async with peer(kept(OK)) as server:
        where = url.format(server.url.removeprefix("http://").removesuffix("/graphql"))
        async with Client(HTTPTransport(where or server.url, **options)) as session:
            await session.execute(QUERY, transport_args=args)
        return server.requests[-1]


async def test_a_request() -> None:
    request = await sent()
    assert request.line == "POST /graphql HTTP/1.1"
    assert list(request.headers) == [
        "host",
        "accept",
        "content-type",
        "accept-encoding",
        "user-agent",
        "content-length",
    ]
    assert request.body == b'{"query":"{ n }"}'


@pytest.mark.parametrize(
    ("url", "args", "expected"),
    [
        ("http://u%3Ax:p%40@{}/", None, "Basic dTp4OnBA"),
        ("http://u@{}/", None, "Basic dTo="),
        ("http://u:p@{}/", {"auth": ("a", b"b")}, "Basic YTpi"),
        ("http://u:p@{}/", {"headers": {"authorization": "Bearer x"}}, "Bearer x"),
        ("", {"auth": ("a", "b"), "headers": {"Authorization": "Bearer x"}}, "Basic YTpi"),
    ],
)
async def test_credentials(url: str, args: dict[str, Any] | None, expected: str) -> None:
    request = await sent(args, url)
    assert request.headers["authorization"] == expected
    assert "@" not in request.line
    assert "@" not in request.headers["host"]


async def test_params_and_headers_of_a_call() -> None:
    args = {"params": {"a": "b c&", "d": [1, True, None]}, "headers": [("X-A", " b ")]}
    request = await sent(args, "http://{}/x?y=z")
    assert request.line == "POST /x?y=z&a=b%20c%26&d=1&d=true&d= HTTP/1.1"
    assert request.headers["x-a"] == "b"


@pytest.mark.parametrize(
    "args",
    [
        {"headers": {"X": "s3cr\r\net"}},
        {"headers": {"X": "s3cr\0et"}},
        {"headers": {"X": "s3cr\N{SNOWMAN}et"}},
        {"headers": {"X\r\nY": "s3cret"}},
        {"headers": {"X\N{SNOWMAN}": "s3cret"}},
        {"headers": {"": "s3cret"}},
        {"headers": {"Host": "x\r\ns3cret"}},
        {"headers": {"Content-Length": "5"}},
        {"headers": {"transfer-encoding": "chunked"}},
        {"cookies": {"a": "s3cr\r\nX: et"}},
        {"cookies": {"a\n": "s3cret"}},
        {"cookies": {"a": "s3cr\N{SNOWMAN}et"}},
        {"timeout": -1},
        {"timeout": 0},
    ],
    ids=repr,
)
@pytest.mark.table
async def test_what_cannot_be_sent(args: dict[str, Any]) -> None:
    async with peer(kept(OK)) as server, Client(HTTPTransport(server.url)) as session:
        with pytest.raises(ValueError) as caught:
            await session.execute(QUERY, transport_args=args)
        assert "s3cr" not in str(caught.value)
        assert server.connections == 0
        assert await session.execute(QUERY) == {"n": 1}
        assert pool_of(session)._free == 100


@pytest.mark.parametrize(
    "args",
    [
        {"extensions": {}},
        {"auth": b"a"},
        {"auth": ("a", "b", "c")},
        {"auth": ("a", 1)},
        {"timeout": (1, 2, 3, 4)},
        {"timeout": "5"},
        {"cookies": [("a", "b")]},
    ],
    ids=repr,
)
@pytest.mark.table
async def test_what_only_httpx_knows(args: dict[str, Any]) -> None:
    async with Client(HTTPTransport("http://127.0.0.1:1/")) as session:
        with pytest.raises(TypeError, match=r"client=|number of seconds"):
            await session.execute(QUERY, transport_args=args)


@pytest.mark.parametrize("value", [5, ["a"]])
async def test_header_values_that_are_no_text(value: Any) -> None:
    async with Client(HTTPTransport("http://127.0.0.1:1/", headers={"X": value})) as session:
        with pytest.raises(TypeError, match=f"'X' is a {type(value).__name__}"):
            await session.execute(QUERY)


async def test_many_urls_and_headers() -> None:
    """Each request has its own, and only some are remembered."""
    count = REMEMBERED + 3
    numbers = iter(range(count))
    async with peer(kept(OK)) as server:
        transport = HTTPTransport(
            lambda: f"{server.url}?n={next(numbers)}",
            headers=lambda: {"X-Number": str(len(server.requests))},
        )
        async with Client(transport) as session:
            for _ in range(count):
                await session.execute(QUERY)
            exchange: Any = session._supervisor._connection._exchange  # type: ignore[union-attr]
            assert len(exchange._targets) < count
            assert len(exchange._heads) < count
        found = [(request.line, request.headers["x-number"]) for request in server.requests]
        assert found == [(f"POST /graphql?n={n} HTTP/1.1", str(n)) for n in range(count)]


# Cookies.


async def test_cookies() -> None:
    async with peer(kept(http('{"data":{"n":1}}', set_cookie="a=b; Path=/"))) as server:
        async with Client(HTTPTransport(server.url)) as session:
            await session.execute(QUERY)
            await session.execute(QUERY)
            await session.execute(QUERY, transport_args={"cookies": {"c": "d"}})
            await session.execute(QUERY, transport_args={"headers": {"Cookie": "e=f"}})
            jar = CookieJar()
            await session.execute(QUERY, transport_args={"cookies": jar})
        async with Client(HTTPTransport(server.url)) as session:
            await session.execute(QUERY)
    cookies = [request.headers.get("cookie") for request in server.requests]
    assert cookies == [None, "a=b", "a=b; c=d", "e=f", "a=b", None]


# Uploads.


async def test_an_early_answer_to_an_upload_is_the_result() -> None:
    async def script(it: Peer) -> None:
        await it.head()
        await it.raw(http("too large", "413 Content Too Large", "text/plain"))
        await it.gone()

    async with session_of(script) as session:
        with pytest.raises(TransportServerError, match="413"):
            await session.execute(UPLOAD, {"file": FileVar(bytes(2**24))}, timeout=10)
        assert idle_of(session) == []
        assert pool_of(session)._in_use == set()


async def test_an_answer_behind_a_broken_upload_is_found() -> None:
    async def script(it: Peer) -> None:
        await it.head()
        await it.raw(http("too large", "413 Content Too Large", "text/plain"))
        raw = it.stream.extra(SocketAttribute.raw_socket)
        with socket.socket(fileno=os.dup(raw.fileno())) as same:  # uvloop's have no shutdown()
            same.shutdown(socket.SHUT_RD)
        await it.gone()

    async with session_of(script) as session:
        with pytest.raises(TransportServerError, match="413"):
            await session.execute(UPLOAD, {"file": FileVar(bytes(2**22))}, timeout=10)


async def test_a_file_that_cannot_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is told. The answer, which came before the file was read, is given up."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**24)
    aclose = anyio.AsyncFile.aclose

    async def failing(self: anyio.AsyncFile[bytes]) -> None:
        await aclose(self)
        raise OSError(errno.EIO, "the disk is gone")

    async def script(it: Peer) -> None:
        await it.head()
        await it.raw(http("too large", "413 Content Too Large", "text/plain"))
        await it.gone()

    monkeypatch.setattr(anyio.AsyncFile, "aclose", failing)
    async with session_of(script) as session:
        with pytest.raises(OSError, match="the disk is gone"):
            await session.execute(UPLOAD, {"file": FileVar(path)})
        assert pool_of(session)._in_use == set()
        assert pool_of(session)._free == 100


@pytest.mark.parametrize("how", ["scope", "native"])
async def test_a_canceled_upload_closes(how: str, anyio_backend: str) -> None:
    if how == "native" and anyio_backend == "trio":
        return
    gone = anyio.Event()

    async def script(it: Peer) -> None:
        await it.head()
        reading.set()
        await gone_by(it, gone)

    reading = anyio.Event()
    async with session_of(script) as session:
        await canceled(
            lambda: session.execute(UPLOAD, {"file": FileVar(bytes(2**24))}), reading, how
        )
        await gone.wait()
        assert pool_of(session)._in_use == set()
        assert pool_of(session)._free == 100


async def gone_by(it: Peer, gone: anyio.Event) -> None:
    try:
        await it.gone()
    finally:
        gone.set()


async def canceled(ask: Callable[[], Awaitable[Any]], when: anyio.Event, how: str) -> None:
    """Ask, and cancel that when it is time."""
    if how == "scope":
        async with anyio.create_task_group() as tg:
            tg.start_soon(ask)
            await when.wait()
            tg.cancel_scope.cancel()
        return
    import asyncio

    task = asyncio.ensure_future(ask())
    await when.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize("said", [0, 10, len(OK) - 5])
async def test_a_canceled_request_closes(said: int, how: str, anyio_backend: str) -> None:
    if how == "native" and anyio_backend == "trio":
        return
    gone, answering = anyio.Event(), anyio.Event()

    async def script(it: Peer) -> None:
        await it.head()
        if said:
            await it.raw(OK[:said])
        answering.set()
        await gone_by(it, gone)

    async with session_of(script, max_connections=1) as session:
        await canceled(lambda: session.execute(QUERY), answering, how)
        await gone.wait()
        assert pool_of(session)._in_use == set()
        assert idle_of(session) == []
        assert pool_of(session)._free == 1


# Redirects.


async def test_redirects_where_asked_for() -> None:
    async with peer(kept(OK)) as target:
        moved = http("moved", "307 Temporary", location=target.url)
        async with (
            peer(kept(moved)) as server,
            Client(
                HTTPTransport(server.url, headers={"Authorization": "x", "X-A": "x"})
            ) as session,
        ):
            with pytest.raises(TransportServerError, match="307"):
                await session.execute(QUERY)
            assert target.requests == []
            args = {"follow_redirects": True, "cookies": {"a": "b"}, "params": {"c": "d"}}
            assert await session.execute(QUERY, transport_args=args) == {"n": 1}
            # The short body of a redirect is read, and its connection used again.
            assert server.connections == 1
        [request] = target.requests
        assert request.line == "POST /graphql HTTP/1.1"
        assert request.body == b'{"query":"{ n }"}'
        assert not {"authorization", "x-a", "cookie"} & request.headers.keys()
        assert request.headers["host"] in target.url


@pytest.mark.parametrize(("size", "connections"), [(4096, 1), (2**20, 2)])
async def test_the_body_of_a_redirect_is_read_if_it_is_short(size: int, connections: int) -> None:
    moved = kept(http("x" * size, "307 Temporary", location="/again"))
    async with peer(moved, kept(OK)) as server, Client(HTTPTransport(server.url)) as session:
        args = {"follow_redirects": True}
        assert await session.execute(QUERY, transport_args=args) == {"n": 1}
        assert server.connections == connections


async def test_credentials_of_a_redirect_s_url_are_not_sent() -> None:
    async with peer(kept(OK)) as target:
        where = target.url.replace("//", "//u:p@")
        async with (
            peer(kept(http("", "302 Found", location=where))) as server,
            Client(HTTPTransport(server.url)) as session,
        ):
            await session.execute(QUERY, transport_args={"follow_redirects": True})
        [request] = target.requests
        assert request.line == "GET /graphql HTTP/1.1"
        assert not {"authorization", "content-type"} & request.headers.keys()


@pytest.mark.parametrize(
    ("location", "error", "message"),
    [
        ({}, TransportServerError, "302"),
        ({"location": "ftp://elsewhere.example/"}, TransportInvalidURL, "ftp"),
    ],
)
async def test_a_redirect_that_leads_nowhere(
    location: dict[str, str], error: type[Exception], message: str
) -> None:
    moved = kept(http("", "302 Found", **location))
    async with peer(moved, kept(OK)) as server, Client(HTTPTransport(server.url)) as session:
        with pytest.raises(error, match=message):
            await session.execute(QUERY, transport_args={"follow_redirects": True})
        assert pool_of(session)._in_use == set()
        assert pool_of(session)._free == 100
        assert await session.execute(QUERY) == {"n": 1}


# Where to.


async def test_a_unix_socket(tmp_path: Path) -> None:
    heads: list[str] = []

    async def script(it: Peer) -> None:
        for _ in range(2):
            heads.append(await it.head())
            await it.raw(OK)
        await it.gone()

    path = tmp_path / "socket"
    async with serving(script, uds=path):
        transport = HTTPTransport("http://api.example/x", uds=path)
        async with Client(transport) as session:
            for _ in range(2):
                assert await session.execute(QUERY) == {"n": 1}
    assert all("Host: api.example\r\n" in head for head in heads)


async def test_an_address_of_ipv6() -> None:
    if not socket.has_ipv6:
        return
    try:
        listener = await anyio.create_tcp_listener(local_host="::1")
    except OSError:
        return
    heads: list[bytes] = []

    async def serve(stream: Any) -> None:
        async with stream:
            heads.append(await stream.receive())
            await stream.send(OK)

    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)
        async with Client(HTTPTransport(f"http://[::1]:{port}/x")) as session:
            assert await session.execute(QUERY) == {"n": 1}
        tg.cancel_scope.cancel()
    assert b"Host: [::1]:%d\r\n" % port in heads[0]


# Proxies.


async def test_a_proxy_forwards_plain_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []

    async def script(it: Peer) -> None:
        while True:
            heads.append(await it.head())
            await it.raw(OK)

    async with serving(script) as port:
        proxy = f"http://u:p@127.0.0.1:{port}"
        url = "http://api.example/x?y"
        async with Client(HTTPTransport(url, proxy=proxy)) as session:
            await session.execute(QUERY)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        async with Client(HTTPTransport(url)) as session:
            await session.execute(QUERY)
        monkeypatch.setenv("no_proxy", "api.example")
        async with Client(HTTPTransport(url, connect_timeout=5)) as session:
            with pytest.raises(TransportConnectionFailed, match="can't connect to http://api"):
                await session.execute(QUERY)
    assert len(heads) == 2
    for head in heads:
        assert head.startswith("POST http://api.example/x?y HTTP/1.1\r\nHost: api.example\r\n")
    assert "Proxy-Authorization: Basic dTpw\r\n" in heads[0]
    assert "Proxy-Authorization" not in heads[1]


@pytest.mark.parametrize(("query", "connections"), [(QUERY, 1), (MUTATION, 2)])
async def test_what_cannot_be_repeated_has_a_new_connection_to_a_forwarding_proxy(
    query: str, connections: int
) -> None:
    """Some proxies close behind each response, and don't say so."""
    async with peer(kept(OK)) as proxy:
        transport = HTTPTransport("http://api.example/x", proxy=proxy.url)
        async with Client(transport) as session:
            for _ in range(2):
                assert await session.execute(query) == {"n": 1}
        assert proxy.connections == connections


@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
async def test_a_tunnel_through_a_proxy(
    secure: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anygql.net.tls.default_context", lambda: client_tls)
    tunnels: list[str] = []
    heads: list[str] = []

    async def script(it: Peer) -> None:
        tunnels.append(await it.head())
        await it.raw(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        await it.start_tls(server_tls)
        for _ in range(2):
            heads.append(await it.head())
            await it.raw(http('{"data":{"n":1}}', pad="x" * 20_000))
        await it.gone()

    async with serving(script, tls=server_tls if secure else None) as port:
        proxy = f"http{'s' if secure else ''}://u:p@localhost:{port}"
        transport = HTTPTransport("https://localhost/x", proxy=proxy, ssl=client_tls)
        async with Client(transport) as session:
            for _ in range(2):
                assert await session.execute(QUERY) == {"n": 1}
    [tunnel] = tunnels
    assert tunnel.startswith("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n")
    assert "Proxy-Authorization: Basic dTpw\r\n" in tunnel
    assert all(head.startswith("POST /x HTTP/1.1\r\nHost: localhost\r\n") for head in heads)
    assert not any("Proxy-Authorization" in head for head in heads)


async def test_a_proxy_that_refuses_a_tunnel() -> None:
    async def script(it: Peer) -> None:
        await it.head()
        await it.raw(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        await it.gone()

    async with serving(script) as port:
        transport = HTTPTransport("https://localhost/x", proxy=f"http://127.0.0.1:{port}")
        async with Client(transport) as session:
            with pytest.raises(TransportConnectionFailed, match="answered 407") as caught:
                await session.execute(MUTATION)
        assert caught.value.unsent


# Errors.


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 101 S\r\n\r\n", b"\x15\3\1\0\2\2\x16"]
)
async def test_what_is_no_http(answer: bytes) -> None:
    async def script(it: Peer) -> None:
        await it.head()
        await it.raw(answer)
        await it.gone()

    async with session_of(script) as session:
        with pytest.raises(TransportConnectionFailed, match="is of no use"):
            await session.execute(QUERY)
        assert pool_of(session)._in_use == set()


async def test_a_connection_that_does_not_open() -> None:
    async with Client(HTTPTransport("http://127.0.0.1:1/")) as session:
        with pytest.raises(TransportError) as caught:
            await session.execute(MUTATION)
        assert caught.value.unsent
        assert pool_of(session)._free == 100


def test_httpx_is_never_imported() -> None:
    """Neither is cookies' library, before a cookie comes."""
    program = """
import sys, anyio
from anygql import Client, HTTPTransport
from anyio.abc import SocketAttribute
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 16\\r\\n\\r\\n"
async def serve(stream):
    async with stream:
        await stream.receive()
        await stream.send(ANSWER + b'{"data":{"n":1}}')
async def main():
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, serve)
        url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/"
        async with Client(HTTPTransport(url)) as session:
            assert await session.execute("{ n }") == {"n": 1}
        tg.cancel_scope.cancel()
anyio.run(main)
loaded = {"httpx", "httpx2", "httpcore", "h11", "anygql.http.engine.cookies"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
