"""nginx in front of a server, and tinyproxy in front of a client."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest
import trustme

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    Session,
    TransportConnectionFailed,
    TransportError,
    TransportServerError,
)
from tests.peers.debian import Tinyproxy, nginx, tinyproxy
from tests.peers.run import Server

pytestmark = pytest.mark.over_http

INCREMENT = "mutation { increment }"
SLOW = "query ($tag: String!) { slow(seconds: 60, tag: $tag) }"
ONE_EVENT = "subscription ($tag: String!) { countdown(from: 2, interval: 60, tag: $tag) }"
UPLOAD = "mutation ($files: [Upload!]!) { upload(files: $files) }"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def upstream(servers: Callable[[str], Server]) -> Server:
    return servers("strawberryhttp-uvicorn")


@pytest.fixture(scope="module")
def url(
    upstream: Server, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """nginx, over TLS. It has different habits at different paths: see ``debian.NGINX``."""
    with nginx(upstream.port, authority, tmp_path_factory.mktemp("nginx")) as url:
        yield url


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tinyproxy]:
    with tinyproxy(tmp_path_factory.mktemp("tinyproxy")) as running:
        yield running


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def transport(url: str, tls: ssl.SSLContext) -> Callable[..., HTTPTransport]:
    """``transport(path, …)``: one to nginx."""

    def transport(path: str = "", **options: Any) -> HTTPTransport:
        return HTTPTransport(f"{url}/{path}", ssl=tls, **options)

    return transport


Transport = Callable[..., HTTPTransport]


async def connection_of(session: Session, query: str = "{ hello }") -> str:
    """The number of the connection that nginx had the request by."""
    result = await session.execute_result(query)
    assert not result.errors
    return result.headers["x-connection"]


# nginx.


async def test_a_connection_has_so_many_requests(transport: Transport) -> None:
    async with Client(transport()) as session:
        used = [await connection_of(session, INCREMENT) for _ in range(9)]
    assert [used.count(one) for one in dict.fromkeys(used)] == [3, 3, 3]


@pytest.mark.over_http("engine", why="httpx doesn't read how long the server waits")
async def test_a_connection_that_the_server_keeps_for_one_second(transport: Transport) -> None:
    """It says so, and a request may take that long to arrive: each gets a connection."""
    async with Client(transport("named/")) as session:
        result = await session.execute_result("{ hello }")
        assert result.headers["keep-alive"] == "timeout=1"
        assert len({await connection_of(session) for _ in range(3)}) == 3


@pytest.mark.over_http(
    "engine", why="the wait is a real second, and httpx's pool is its own affair"
)
async def test_idle_connections_that_nginx_closes(transport: Transport, tag: str) -> None:
    """It says nothing of it, and closes after 1 s: a mutation is sent on another one."""
    async with Client(transport()) as session:
        before = (await session.execute("{ counter }"))["counter"]
        async with anyio.create_task_group() as tg:
            for _ in range(10):
                tg.start_soon(session.execute, INCREMENT)
        # nginx closes those ten connections meanwhile.
        query = "query ($tag: String!) { slow(seconds: 1.2, tag: $tag) }"
        await session.execute(query, {"tag": tag})
        async with anyio.create_task_group() as tg:
            for _ in range(10):
                tg.start_soon(session.execute, INCREMENT)
        assert await session.execute("{ counter }") == {"counter": before + 20}


async def test_504(transport: Transport, tag: str) -> None:
    async with Client(transport("impatient/")) as session:
        with pytest.raises(TransportServerError, match="504") as caught:
            await session.execute(SLOW, {"tag": tag})
        assert caught.value.code == 504
        assert caught.value.retryable
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


async def test_502(transport: Transport) -> None:
    async with Client(transport("gone/")) as session:
        with pytest.raises(TransportServerError) as caught:
            await session.execute(INCREMENT)
        assert caught.value.code == 502


async def test_413_in_the_middle_of_an_upload(transport: Transport) -> None:
    files = [FileVar(bytes(20_000_000), filename="large")]
    async with Client(transport()) as session:
        with pytest.raises(TransportServerError) as caught:
            await session.execute(UPLOAD, {"files": files})
        assert caught.value.code == 413
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


async def test_uploads(transport: Transport) -> None:
    async def pieces() -> Any:
        for _ in range(10):
            yield b"x" * 5000

    kind = "application/octet-stream"
    async with Client(transport()) as session:
        for content in (b"x" * 50_000, pieces()):
            files = [FileVar(content, filename="a")]
            uploaded = await session.execute(UPLOAD, {"files": files})
            assert uploaded == {"upload": [f"a {kind} 50000"]}


@pytest.mark.parametrize("path", ["", "unbuffered/"])
async def test_a_subscription(transport: Transport, path: str) -> None:
    async with (
        Client(transport(path)) as session,
        session.subscribe("subscription { countdown(from: 3) }") as events,
    ):
        assert [data["countdown"] async for data in events] == [3, 2, 1]


async def test_events_come_at_once_without_buffering(transport: Transport, tag: str) -> None:
    async with (
        Client(transport("unbuffered/")) as session,
        session.subscribe(ONE_EVENT, {"tag": tag}) as events,
    ):
        assert await events.receive() == {"countdown": 2}


async def test_a_silent_subscription_is_cut(transport: Transport, tag: str) -> None:
    async with (
        Client(transport("cut/")) as session,
        session.subscribe(ONE_EVENT, {"tag": tag}) as events,
    ):
        assert await events.receive() == {"countdown": 2}
        with pytest.raises(TransportConnectionFailed) as caught:
            await events.receive()
        assert caught.value.retryable


@pytest.mark.over_http("engine", why="httpx drops connections that are canceled in a handshake")
async def test_requests_that_are_canceled_at_random(transport: Transport) -> None:
    async with Client(transport(max_connections=20)) as session:

        async def run(cancel: bool) -> None:
            with anyio.move_on_after(random.uniform(0, 0.1) if cancel else None):
                data = await session.execute("{ slow(seconds: 0.01) }")
                assert data == {"slow": "after 0.01 s"}

        async with anyio.create_task_group() as tg:
            for number in range(60):
                tg.start_soon(run, number % 3 == 0)


@pytest.mark.parametrize("offered", [None, ["http/1.1"], ["h2", "http/1.1"]])
async def test_what_a_context_offers(
    offered: list[str] | None, url: str, authority: trustme.CA, http_client: str
) -> None:
    """A context of the user's may offer HTTP/2, which nginx prefers, and we don't speak."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if offered is not None:
        context.set_alpn_protocols(offered)
    async with Client(HTTPTransport(url, ssl=context)) as session:
        if http_client == "engine" and offered == ["h2", "http/1.1"]:
            with pytest.raises(TransportError, match=r"isn't HTTP/1\.1"):
                await session.execute("{ hello }")
        else:
            assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


# tinyproxy.


def asked(proxy: Tinyproxy, what: str) -> int:
    """How often the proxy was asked for this."""
    return sum(what in line for line in proxy.lines)


async def test_a_tunnel(transport: Transport, url: str, proxy: Tinyproxy) -> None:
    authority = url.removeprefix("https://")
    async with Client(transport(proxy=f"http://user:pass@{proxy.address}")) as session:
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        first = await connection_of(session)
        assert await connection_of(session) == first  # a tunnel is kept like a connection
        async with session.subscribe("subscription { countdown(from: 2) }") as events:
            assert [data["countdown"] async for data in events] == [2, 1]
    assert asked(proxy, f"CONNECT {authority}")


@pytest.mark.over_http("engine", why="httpx loses requests: the proxy closes, and doesn't say so")
async def test_no_mutation_is_lost_by_a_proxy_that_closes(
    upstream: Server, proxy: Tinyproxy
) -> None:
    """tinyproxy closes behind each answer; a query may be on its way then, and is sent again."""
    target = f"http://127.0.0.1:{upstream.port}/"
    transport = HTTPTransport(target, proxy=f"http://user:pass@{proxy.address}")
    async with Client(transport) as session:
        before = (await session.execute("{ counter }"))["counter"]
        for number in range(1, 31):
            assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
            assert await session.execute(INCREMENT) == {"increment": before + number}


@pytest.mark.over_http("engine", why="httpx loses requests: the proxy closes, and doesn't say so")
async def test_a_request_that_is_forwarded(upstream: Server, proxy: Tinyproxy) -> None:
    target = f"http://127.0.0.1:{upstream.port}/"
    transport = HTTPTransport(target, proxy=f"http://user:pass@{proxy.address}")
    async with Client(transport) as session:
        for name in ("a", "b"):
            query = "query ($name: String!) { hello(name: $name) }"
            assert await session.execute(query, {"name": name}) == {"hello": f"Hello, {name}!"}
        files = [FileVar(b"x" * 300_000, filename="a")]
        kind = "application/octet-stream"
        uploaded = await session.execute(UPLOAD, {"files": files})
        assert uploaded == {"upload": [f"a {kind} 300000"]}
        async with session.subscribe("subscription { countdown(from: 2) }") as events:
            assert [data["countdown"] async for data in events] == [2, 1]
    assert asked(proxy, f"POST {target}")


@pytest.mark.parametrize(("user", "status"), [("", 407), ("user:wrong@", 401)])
async def test_a_proxy_that_refuses(
    user: str, status: int, transport: Transport, proxy: Tinyproxy, http_client: str
) -> None:
    async with Client(transport(proxy=f"http://{user}{proxy.address}")) as session:
        with pytest.raises(TransportConnectionFailed, match=str(status)) as caught:
            await session.execute("{ hello }")
        assert caught.value.unsent
        assert "wrong" not in str(caught.value)
        if http_client == "engine":
            assert "Check the user and password in its URL" in str(caught.value)
            assert not caught.value.retryable


async def test_a_server_that_the_proxy_cannot_reach(proxy: Tinyproxy, unused_port: int) -> None:
    for scheme, code in (("https", TransportConnectionFailed), ("http", TransportServerError)):
        given = f"http://user:pass@{proxy.address}"
        transport = HTTPTransport(f"{scheme}://127.0.0.1:{unused_port}/", proxy=given)
        async with Client(transport) as session:
            with pytest.raises(code, match=r"50[0-9]"):
                await session.execute("{ hello }")


@pytest.fixture
def unused_port() -> Generator[int]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]
