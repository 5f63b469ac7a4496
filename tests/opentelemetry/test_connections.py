"""How many connections there are, and in which state."""

from __future__ import annotations

import itertools
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    Closed,
    Connected,
    Connecting,
    HTTPTransport,
    Refreshing,
    SessionEvent,
    SplitTransport,
    TransportConnectionFailed,
    TransportError,
    WebSocketTransport,
)
from anygql.session.auth.refreshing import source_of
from anygql.testing import GraphQLServer, ScriptedPeer, Stub, demo_schema
from tests.support.telemetry import Telemetry

pytestmark = pytest.mark.usefixtures("soon")


def states(telemetry: Telemetry) -> dict[str, int]:
    """Return the number of connections by state, where there are any."""
    found: dict[str, int] = {}
    for attributes, value in telemetry.points("anygql.connections"):
        state = attributes["anygql.connection.state"]
        found[state] = found.get(state, 0) + value
    return {state: count for state, count in found.items() if count}


async def test_states_of_two_sessions(telemetry: Telemetry) -> None:
    told: list[SessionEvent] = []
    stub = Stub({"Hello": {"hello": "hi"}}, description="wss://h.example:9000/")
    client = Client(stub, on_event=told.append, interceptors=[telemetry.interceptor()])
    async with client as session, client.connect(reconnecting=True) as other:
        assert states(telemetry) == {"connected": 2}
        (attributes, _), *_ = [
            point
            for point in telemetry.points("anygql.connections")
            if point[0]["anygql.connection.state"] == "connected"
        ]
        assert attributes["server.address"] == "h.example"
        assert attributes["server.port"] == 9000
        stub.refuse_with = TransportConnectionFailed("away")
        stub.drop_connections()
        await session.wait_closed()
        with anyio.fail_after(5):
            while states(telemetry) != {"waiting": 1}:
                await anyio.sleep(0.001)
        stub.refuse_with = None
        await other.wait_connected()
        assert states(telemetry) == {"connected": 1}
        assert telemetry.total("anygql.reconnects") == 1
    assert states(telemetry) == {}
    assert sum(isinstance(event, Connected) for event in told) == 3


async def test_a_connection_whose_credentials_are_renewed(telemetry: Telemetry) -> None:
    """It is one connection all the time, though the old one ends its call meanwhile."""
    tokens = itertools.count(1)
    told: list[SessionEvent] = []
    counts: list[dict[str, int]] = []

    def on_event(event: SessionEvent) -> None:
        told.append(event)
        counts.append(states(telemetry))

    async with GraphQLServer(demo_schema()) as server:
        auth = Refreshing(refresh=lambda: str(next(tokens)))
        client = Client(
            server.transport(init_payload=auth.payload),
            auth=auth,
            on_event=on_event,
            interceptors=[telemetry.interceptor()],
        )
        async with client as session, anyio.create_task_group() as tg:
            tg.start_soon(session.execute, "{ slow(seconds: 0.05) }")
            await server.connections[0].wait_received("subscribe")
            source_of(auth).invalidate(1)
            await session.execute("{ hello }")
            assert server.connections[0].closed is None
            assert states(telemetry) == {"connected": 1}
            await server.connections[0].wait_closed()
            assert states(telemetry) == {"connected": 1}
    assert states(telemetry) == {}
    assert counts == [{"connecting": 1}, {"connected": 1}] * 2 + [{}]
    assert telemetry.total("anygql.reconnects") == 1
    assert [type(event) for event in told] == [Connecting, Connected] * 2 + [Closed]


async def test_what_never_connects(telemetry: Telemetry) -> None:
    stub = Stub({})
    stub.refuse_with = TransportConnectionFailed("away")
    client = Client(stub, interceptors=[telemetry.interceptor()])
    with pytest.raises(TransportError):
        async with client:
            pytest.fail("it is away")
    assert states(telemetry) == {}


async def test_canceled_while_it_connects(telemetry: Telemetry) -> None:
    async def silent(_connection: Any) -> None:
        await anyio.sleep_forever()

    async with ScriptedPeer(silent) as peer:
        transport = WebSocketTransport(peer.url, connector=peer.connector())
        client = Client(transport, interceptors=[telemetry.interceptor()])
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                async with client:
                    pytest.fail("nobody answers")

            tasks.start_soon(connect)
            await anyio.wait_all_tasks_blocked()
            assert states(telemetry) == {"connecting": 1}
            tasks.cancel_scope.cancel()
    assert states(telemetry) == {}


async def test_two_transports(telemetry: Telemetry) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        transport = SplitTransport(HTTPTransport(server.http_url), subscriptions=server.transport())
        client = Client(transport, interceptors=[telemetry.interceptor()])
        async with client.connect(reconnecting=True) as session:
            assert states(telemetry) == {"connected": 1}
            async with session.subscribe("subscription { never }"):
                assert states(telemetry) == {"connected": 2}
                hosts = {
                    attributes["server.address"]
                    for attributes, value in telemetry.points("anygql.connections")
                    if value
                }
                assert len(hosts) == 2
    assert states(telemetry) == {}


@pytest.mark.parametrize(
    ("description", "attributes"),
    [
        ("http://h/graphql", {"server.address": "h", "server.port": 80}),
        ("wss://h:1234/", {"server.address": "h", "server.port": 1234}),
        ("https://[::1]:8443/", {"server.address": "::1", "server.port": 8443}),
        ("http://h:port/", {}),
        ("the local schema", {}),
        ("http:///graphql", {}),
    ],
)
async def test_the_address(
    telemetry: Telemetry, description: str, attributes: dict[str, Any]
) -> None:
    stub = Stub({"Hello": {"hello": "hi"}}, description=description)
    async with Client(stub, interceptors=[telemetry.interceptor()]) as session:
        await session.execute("query Hello { hello }")
    found = dict(telemetry.span.attributes or {})
    assert {key: value for key, value in found.items() if key.startswith("server")} == attributes
