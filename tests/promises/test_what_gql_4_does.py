"""Each row of the table in the design's first section: what gql 4 does, and what we do instead.

Every test is named for its row, and would fail on the behaviour that the row has on its left.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import graphql
import pytest
import tenacity

from anygql import (
    Client,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.testing import GraphQLServer, ScriptedPeer
from anygql.websocket.sockets.base import Connector

pytestmark = pytest.mark.usefixtures("soon", "brief")

HELLO = "{ hello }"
TICKS = "subscription { countdown(from: 1000000, interval: 0.01) }"


@pytest.fixture
def client_of(connector: Connector) -> Callable[..., Client]:
    def client_of(url: str, **options: object) -> Client:
        return Client(WebSocketTransport(url, connector=connector, **options))  # type: ignore[arg-type]

    return client_of


async def test_row_tasks_that_nobody_owns(make, anyio_backend: str) -> None:
    """Every task lives below the task that entered the session, on both loops."""

    def ids() -> set[int]:
        return {task.id for task in anyio.get_running_tasks()}

    before = ids()
    async with make().connect(reconnecting=True) as session:
        async with session.subscribe(TICKS) as ticks:
            await anext(ticks)
            mine = [task for task in anyio.get_running_tasks() if task.id not in before]
            assert mine
            assert all(task.parent_id in {*before, *(each.id for each in mine)} for task in mine)
    left = [task.name for task in anyio.get_running_tasks() if task.id not in before]
    assert all("anygql.testing" in str(name) for name in left), left


@pytest.mark.parametrize(
    "policy", [False, tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3))]
)
async def test_row_finite_retry_connect_hangs(client_of, policy) -> None:
    with pytest.raises(TransportConnectionFailed, match=r"can't connect to ws://127\.0\.0\.1:1/"):
        async with client_of("ws://127.0.0.1:1/").connect(reconnecting=True, retry_connect=policy):
            raise AssertionError("unreachable")


async def test_row_refused_once_before_the_ack(client_of) -> None:
    async def refuse(conn) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        await conn.close(4403, "Forbidden")

    async def accept(conn) -> None:
        await conn.handshake()
        await conn.wait_closed()

    async with ScriptedPeer([refuse, refuse, accept]) as peer:
        # Asked anew at each attempt, so that another answer is possible.
        client = client_of(await peer.listen(), init_payload=dict)
        async with client.connect(reconnecting=True) as session:
            assert session.state == "connected"
        assert len(peer.connections) == 3


async def test_row_lost_while_idle(make, server: GraphQLServer) -> None:
    states: list[str] = []
    client = make(on_event=lambda event: states.append(type(event).__name__))
    async with client.connect(reconnecting=True):
        server.connections[0].reset()
        await server.wait_connection(2)  # nobody has called anything
    assert states[:4] == ["Connecting", "Connected", "Disconnected", "Connecting"]


async def test_row_ids_restart_after_a_reconnect(make, server: GraphQLServer) -> None:
    client = make()
    async with client.connect(reconnecting=True, retry_subscribe=False) as session:
        old = session.subscribe(TICKS)
        await anext(old)
        session.reconnect()
        await session.wait_connected()
        async with session.subscribe(TICKS) as new:
            await anext(new)
            messages = [connection.received for connection in server.connections]
            assert messages[0][1]["id"] == messages[1][1]["id"]  # the ids do restart
            await old.aclose()
            for _ in range(5):
                await anext(new)  # and the new listener is still there
        await server.connections[1].wait_received("complete")


async def test_row_cancelled_or_timed_out_execute(make, server: GraphQLServer) -> None:
    async with make().connect(reconnecting=True, retry_execute=False) as session:
        connection = server.connections[0]
        with pytest.raises(TransportTimeout):
            await session.execute("{ slow(seconds: 60) }", timeout=0.05)
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, "{ slow(seconds: 60) }")
            await connection.wait_received("subscribe", 2)
            tg.cancel_scope.cancel()
        await connection.wait_received("complete", 2)
        await connection.wait_operations(0)
        assert await session.execute(HELLO)
    kinds = [message["type"] for message in connection.received]
    assert kinds.count("complete") == 2


async def test_row_cancelled_connect(client_of) -> None:
    ended = anyio.Event()

    async def never_ack(conn) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        scope.cancel()
        await conn.wait_eof()
        ended.set()

    async def accept(conn) -> None:
        await conn.handshake()
        await conn.wait_closed()

    async with ScriptedPeer([never_ack, accept]) as peer:
        client = client_of(await peer.listen())
        with anyio.CancelScope() as scope:
            async with client.connect(reconnecting=True):
                raise AssertionError("unreachable")
        await ended.wait()
        async with client.connect(reconnecting=True) as session:
            assert session.state == "connected"


async def test_row_timed_out_mutation(make, server: GraphQLServer) -> None:
    client = make(execute_timeout=0.05)
    async with client.connect(reconnecting=True) as session:
        server.connections[0].freeze()
        with pytest.raises(TransportTimeout, match="no answer for the mutation"):
            await session.execute("mutation { increment }")
        server.connections[0].unfreeze()
        await server.connections[0].wait_received("complete")
    kinds = [message["type"] for message in server.connections[0].received]
    assert kinds.count("subscribe") == 1


async def test_row_subscription_retries(make, server: GraphQLServer) -> None:
    async with make().connect(reconnecting=True) as session:
        async with session.subscribe(TICKS) as ticks:
            await anext(ticks)
            server.connections[0].reset()
            while not ticks.reconnects:
                await anext(ticks)


async def test_row_messages_behind_a_sleeping_consumer(make, server: GraphQLServer) -> None:
    async with make() as session:
        async with session.subscribe(
            "subscription { flood(count: 20000) }", buffer_size=100
        ) as events:
            await anext(events)
            for _ in range(500):
                await anyio.lowlevel.checkpoint()
            assert events._results.queued <= 100
            assert len([event async for event in events]) == 19_999


async def test_row_errors_in_one_event(client_of) -> None:
    async def script(conn) -> None:
        await conn.handshake()
        id = (await conn.expect_type("subscribe"))["id"]
        for payload in ({"data": {"n": 1}}, {"errors": [{"message": "no"}]}, {"data": {"n": 3}}):
            await conn.send({"type": "next", "id": id, "payload": payload})
        await conn.send({"type": "complete", "id": id})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer, client_of(await peer.listen()) as session:
        async with session.subscribe("subscription { n }") as events:
            assert await anext(events) == {"n": 1}
            with pytest.raises(TransportQueryError, match="no"):
                await anext(events)
            assert [event async for event in events] == [{"n": 3}]


async def test_row_ping_before_the_ack(client_of) -> None:
    async def script(conn) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        await conn.send({"type": "ping"})
        await conn.expect({"type": "pong"})
        await conn.send({"type": "connection_ack"})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer, client_of(await peer.listen()) as session:
        assert session.state == "connected"


async def test_row_printed_and_parsed_on_every_call(make, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"parse": 0, "print_ast": 0}
    for name in calls:
        real = getattr(graphql, name)

        def counted(*args, real=real, name=name):
            calls[name] += 1
            return real(*args)

        monkeypatch.setattr(graphql, name, counted)
    tree = graphql.parse("query PrintedOnce { hello }")
    calls["parse"] = 0
    async with make() as session:
        for _ in range(5):
            await session.execute(f"query ParsedOnce{id(session)} {{ hello }}")
            await session.execute(tree)
    # A plain document needs no tree: a recogniser sees that it is in order.
    assert calls == {"parse": 0, "print_ast": 1}


async def test_every_loss_is_a_transport_error(make, server: GraphQLServer) -> None:
    """What callers have to catch is one class."""
    async with make() as session:
        async with anyio.create_task_group() as tg:

            async def fail() -> None:
                with pytest.raises(TransportError):
                    await session.execute("{ slow(seconds: 60) }")

            tg.start_soon(fail)
            await server.connections[0].wait_operations(1)
            server.connections[0].reset()
