"""Our own HTTP client and the servers themselves: connections that are kept, sockets, IPv6."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from anygql import Client, FileVar, HTTPTransport, Session
from anygql.http.engine import connection as engine_connection
from tests.peers.node import serving as serving_by_node
from tests.peers.run import Server, listening, listening_at, serving
from tests.promises.faults.proxy import FaultProxy

pytestmark = pytest.mark.over_http

RUNNERS = ("uvicorn", "hypercorn")
INCREMENT = "mutation { increment }"
UPLOAD = "mutation ($files: [Upload!]!) { upload(files: $files) }"

at = pytest.mark.parametrize(
    "server",
    [f"{app}-{runner}" for app in ("strawberryhttp", "ariadnehttp") for runner in RUNNERS],
    indirect=True,
)


@asynccontextmanager
async def counted(port: int) -> AsyncIterator[FaultProxy]:
    """A way to the port that counts the connections."""
    async with FaultProxy("127.0.0.1", port) as way:
        yield way


def url_of(way: FaultProxy, path: str = "") -> str:
    return f"http://127.0.0.1:{way.port}/{path}"


async def ask(session: Session) -> None:
    """Ask for a query and a mutation."""
    assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
    before = (await session.execute("{ counter }"))["counter"]
    assert await session.execute(INCREMENT) == {"increment": before + 1}


@at
@pytest.mark.table
async def test_one_connection_for_one_at_a_time(server: Server) -> None:
    async with counted(server.port) as way:
        async with Client(url_of(way)) as session:
            await ask(session)
            files = [FileVar(b"x" * 300_000, filename="a")]
            kind = "application/octet-stream"
            uploaded = await session.execute(UPLOAD, {"files": files})
            assert uploaded == {"upload": [f"a {kind} 300000"]}
            assert way.accepted == 1
            async with session.subscribe("subscription { countdown(from: 2) }") as events:
                assert [data async for data in events] == [{"countdown": 2}, {"countdown": 1}]
            # The end of a stream may come after its last event, which is enough for us.
            await ask(session)
            assert way.accepted <= 2


@at
@pytest.mark.over_http("engine", why="httpx looks at all its connections, twice for each request")
@pytest.mark.table
async def test_a_hundred_at_a_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_connection, "KEEP_FOR", 60)  # as long as the server
    async with counted(server.port) as way, Client(url_of(way)) as session:
        for _ in range(3):
            async with anyio.create_task_group() as tg:
                for _ in range(100):
                    tg.start_soon(session.execute, "{ hello }")
        assert way.accepted <= 100


@at
@pytest.mark.over_http("engine", why="httpx keeps connections for 5 s, whatever anybody says")
@pytest.mark.table
async def test_idle_connections_are_closed_by_us(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_connection, "KEEP_FOR", 0.1)
    async with counted(server.port) as way, Client(url_of(way)) as session:
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        await way.connections[0].wait_ended("up")
        assert await session.execute(INCREMENT)
        assert way.accepted == 2


@pytest.mark.over_http(
    "engine", why="the wait is a real second, and httpx's pool is its own affair"
)
@pytest.mark.parametrize("runner", RUNNERS)
async def test_a_server_that_has_closed(runner: str, tmp_path: Path) -> None:
    """Connections that the server closes while they are idle are not used again."""
    argument = {"uvicorn": "--timeout-keep-alive", "hypercorn": "--keep-alive"}[runner]
    with (
        listening() as listener,
        serving(f"plain-{runner}", listener, tmp_path / "log", argument, "1") as server,
    ):
        async with counted(server.port) as way, Client(url_of(way)) as session:
            assert await session.execute(INCREMENT) == {"increment": 1}
            await way.connections[0].wait_ended("down")
            assert await session.execute(INCREMENT) == {"increment": 2}
            assert await session.execute("{ counter }") == {"counter": 2}
            assert way.accepted == 2


@pytest.mark.over_http("engine", why="httpx doesn't read what the server says of its patience")
async def test_node_says_how_long_it_waits(tmp_path: Path) -> None:
    """It says 2 s, so its connections are kept for one."""
    with serving_by_node("brief", tmp_path / "log") as server:
        async with counted(server.port) as way, Client(url_of(way)) as session:
            for _ in range(3):
                result = await session.execute_result("{ hello }")
                assert result.headers["keep-alive"] == "timeout=2"
            assert way.accepted == 1
            asked = anyio.current_time()
            await way.wait_idle()
            assert 0.9 < anyio.current_time() - asked < 2
            await session.execute("mutation { increment }")
            assert way.accepted == 2
        server.check()


@pytest.mark.parametrize("runner", RUNNERS)
async def test_a_unix_socket(runner: str, tmp_path: Path) -> None:
    path = tmp_path / "server"
    with (
        listening_at(path) as listener,
        serving(f"plain-{runner}", listener, tmp_path / "log"),
    ):
        async with Client(HTTPTransport("http://app.test/", uds=path)) as session:
            await ask(session)


def has_ipv6() -> bool:
    try:
        listening("::1").close()
    except OSError:
        return False
    return True


@pytest.mark.over_http("engine", why="httpx asks for addresses itself")
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["[::1]", "localhost"])
async def test_ipv6(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` is tried at both of its addresses: the server is at one of them only."""

    async def both(name: str, port: int, **_: object) -> object:
        assert name == "localhost"
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        ]

    if host == "localhost":
        monkeypatch.setattr(anyio, "getaddrinfo", both)
    with (
        listening("::1") as listener,
        serving("plain-uvicorn", listener, tmp_path / "log") as server,
    ):
        async with Client(f"http://{host}:{server.port}/") as session:
            await ask(session)
