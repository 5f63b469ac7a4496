"""Servers to talk to, started when they are first asked for, and sessions with them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from anygql import Client, Session, WebSocketTransport
from anygql.websocket.sockets.base import Connector
from tests.peers import node
from tests.peers.run import Server, listening, serving, wait_answering

Connect = Callable[..., AbstractAsyncContextManager[Session]]
Seen = Callable[[int], Awaitable[None]]
Observe = Callable[[], AbstractAsyncContextManager[Seen]]

#: Characters of a server's log to show with a failure.
LOG_TAIL = 4000

_tags = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for given in getattr(item, "funcargs", {}).values():
            if isinstance(given, Server):
                report.sections.append(("the server's log", given.log.read_text()[-LOG_TAIL:]))
    return report


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], Server]]:
    """``servers(name)``: the one that all tests share."""
    started: dict[str, Server] = {}
    logs = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in started:
                with listening() as listener:
                    server = serving(name, listener, logs / f"{name}.log")
                    started[name] = stack.enter_context(server)
                    wait_answering(listener)
            return started[name]

        yield start


@pytest.fixture(scope="session")
def node_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Callable[[str], node.NodeServer]]:
    """``node_servers(name)``: the one in Node that all tests share."""
    started: dict[str, node.NodeServer] = {}
    logs = tmp_path_factory.mktemp("node")
    with ExitStack() as stack:

        def start(name: str) -> node.NodeServer:
            if name not in started:
                started[name] = stack.enter_context(node.serving(name, logs / f"{name}.log"))
            return started[name]

        yield start


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[[str], Server]) -> Server:
    """The server that the test is parametrised with."""
    return servers(request.param)


@pytest.fixture
def subprotocol() -> str:
    """What tests speak that aren't parametrised with it."""
    return "graphql-transport-ws"


@pytest.fixture
def tag() -> str:
    """What the server knows this test's subscriptions by."""
    return f"test {next(_tags)}"


@pytest.fixture
def connect(server: Server, connector: Connector, subprotocol: str) -> Connect:
    """``connect(…)``: a session, for a bounded time, that leaves no tasks."""

    @asynccontextmanager
    async def connect(**transport: Any) -> AsyncGenerator[Session]:
        before = {task.id for task in anyio.get_running_tasks()}
        given = {"protocol": subprotocol, "connector": connector, **transport}
        with anyio.fail_after(30):
            async with Client(WebSocketTransport(server.url, **given)) as session:
                yield session
        left = [task for task in anyio.get_running_tasks() if task.id not in before]
        assert not left, left

    return connect


@pytest.fixture
def observe(server: Server, tag: str) -> Observe:
    """``await seen(count)``, in its context: until so many operations with the tag run there.

    Over a connection of its own, which speaks what every server here answers queries on.
    """

    @asynccontextmanager
    async def observe() -> AsyncGenerator[Seen]:
        async with Client(server.url) as session:

            async def seen(count: int) -> None:
                query = "query ($tag: String!) { active(tag: $tag) }"
                while await session.execute(query, {"tag": tag}) != {"active": count}:
                    await anyio.sleep(0.01)

            yield seen

    return observe
