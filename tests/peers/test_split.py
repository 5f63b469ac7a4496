"""Strawberry and Ariadne by two transports: queries over HTTP, and subscriptions over WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from anygql import (
    Client,
    HTTPTransport,
    Session,
    SplitTransport,
    TransportError,
    TransportQueryError,
    WebSocketTransport,
)
from anygql.session.events import Connected, Disconnected, SessionEvent
from tests.peers.node import serving as serving_node
from tests.peers.run import Server, listening, serving
from tests.peers.test_websocket import ARIADNE, COUNTDOWN, HELLO, STRAWBERRY, at, everywhere, spoken

pytestmark = [pytest.mark.table]

Connect = Callable[..., AbstractAsyncContextManager[Session]]


def split_of(server: Server, subprotocol: str) -> SplitTransport:
    return SplitTransport(
        HTTPTransport(f"http://127.0.0.1:{server.port}/"),
        subscriptions=WebSocketTransport(server.url, protocol=subprotocol),
    )


@pytest.fixture
def connect(server: Server, subprotocol: str) -> Connect:
    """``connect(…)``: a session that asks over HTTP, and subscribes over a WebSocket."""

    @asynccontextmanager
    async def connect(**options: bool) -> AsyncGenerator[Session]:
        with anyio.fail_after(30):
            async with Client(split_of(server, subprotocol)).connect(**options) as session:
                yield session

    return connect


@everywhere
async def test_each_operation_goes_its_way(connect: Connect) -> None:
    async with connect() as session:
        assert await session.execute(HELLO, {"name": "trio"}) == {"hello": "Hello, trio!"}
        before = (await session.execute("{ counter }"))["counter"]
        assert session.response_headers == {}  # there is no WebSocket yet
        async with session.subscribe(COUNTDOWN, {"from": 2}) as events:
            # Queries work while a subscription runs, which the legacy sockets of some refuse.
            assert await session.execute("mutation { increment }") == {"increment": before + 1}
            assert [event["countdown"] async for event in events] == [2, 1]
        assert session.response_headers["upgrade"].lower() == "websocket"


@spoken(*((name, "graphql-ws") for name in STRAWBERRY))
async def test_where_the_socket_refuses_queries(server: Server, connect: Connect) -> None:
    alone = WebSocketTransport(server.url, protocol="graphql-ws")
    async with Client(alone) as session:
        with pytest.raises(TransportQueryError):
            await session.execute(HELLO, {"name": "trio"})
    async with connect() as session:
        assert await session.execute(HELLO, {"name": "trio"}) == {"hello": "Hello, trio!"}
        async with session.subscribe(COUNTDOWN, {"from": 1}) as events:
            assert [event["countdown"] async for event in events] == [1]


@at(STRAWBERRY[0], ARIADNE[0])
async def test_reconnect(connect: Connect, tag: str) -> None:
    document = "subscription ($tag: String!) { countdown(from: 9, interval: 0.05, tag: $tag) }"
    async with connect(reconnecting=True) as session:
        async with session.subscribe(document, {"tag": tag}) as events:
            assert await anext(events) == {"countdown": 9}
            session.reconnect()
            await session.wait_connected()
            assert await session.execute(HELLO, {"name": "trio"})
            while not events.reconnects:
                await anext(events)
        assert session.state == "connected"


@pytest.mark.parametrize("name", [STRAWBERRY[0], ARIADNE[0]])
async def test_a_restart(name: str, tmp_path: Path) -> None:
    """The socket is lost with the server; both come back with it."""
    restored = anyio.Event()

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Connected) and event.reconnected:
            restored.set()
        elif isinstance(event, Disconnected):
            assert event.transport is transport.subscriptions

    document = "subscription { countdown(from: 1000, interval: 0.05) }"
    with listening() as listener:
        first = serving(name, listener, tmp_path / "first.log")
        server = first.__enter__()
        transport = split_of(server, "graphql-transport-ws")
        async with Client(transport, on_event=on_event).connect(reconnecting=True) as session:
            async with session.subscribe(document) as events:
                await anext(events)
                await anyio.to_thread.run_sync(server.stop)
                with serving(name, listener, tmp_path / "second.log"):
                    while not events.reconnects:
                        await anext(events)
                    assert restored.is_set()
                    assert await session.execute(HELLO, {"name": "trio"})
        first.__exit__(None, None, None)


@pytest.mark.parametrize("subprotocol", ["graphql-transport-ws", "graphql-ws"])
async def test_mercurius(subprotocol: str, mercurius: str) -> None:
    """Its socket runs subscriptions only, and does not say so before it is asked."""
    socket = WebSocketTransport(mercurius.replace("http", "ws"), protocol=subprotocol)
    async with Client(socket, execute_timeout=0.5) as session:
        with pytest.raises(TransportError):
            await session.execute("{ hello }")
    client = Client(mercurius, subscriptions=socket)
    async with client.connect(reconnecting=True) as session:
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        async with session.subscribe("subscription { countdown(from: 2) }") as events:
            assert await anext(events) == {"countdown": 2}
            assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


@pytest.fixture(scope="module")
def mercurius(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with serving_node("mercurius", tmp_path_factory.mktemp("mercurius") / "log") as server:
        yield server.url
