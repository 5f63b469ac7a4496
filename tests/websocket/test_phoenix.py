"""Sessions over Phoenix channels: with the test server's dialect, and with peers that race."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from anygql import (
    PHOENIX,
    Client,
    LocalSchemaTransport,
    Phoenix,
    SplitTransport,
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectionFailed,
    TransportConnectionRefused,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    WebSocketTransport,
)
from anygql.testing import GraphQLServer, PeerConnection, ScriptedPeer, demo_schema
from anygql.websocket.sockets.base import Connector
from tests.support.clients import client_of

TOPIC = "__absinthe__:control"
EVENTS = "subscription { n }"
HELLO = "{ hello }"
X = "__absinthe__:doc:1:X"

Script = Callable[[PeerConnection], Awaitable[object]]

virtual = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual-clock"]
)


@pytest.fixture
async def server() -> AsyncGenerator[GraphQLServer]:
    async with GraphQLServer(demo_schema(), protocols=["phoenix"]) as server:
        yield server


def client_to(server: GraphQLServer, protocol: Phoenix = PHOENIX, **options: Any) -> Client:
    return Client(server.transport(protocol=protocol, **options))


@asynccontextmanager
async def serving(
    *scripts: Script, protocol: Phoenix = PHOENIX, **options: Any
) -> AsyncGenerator[tuple[Client, ScriptedPeer]]:
    async with ScriptedPeer(scripts) as peer:
        yield client_of(peer, protocol=protocol, **options), peer


async def joined(peer: PeerConnection) -> None:
    await peer.accept(None)
    join_ref, ref, topic, event, payload = await peer.receive()
    assert (join_ref, topic, event, payload) == (ref, TOPIC, "phx_join", {})
    await reply(peer, ref, {})


async def reply(peer: PeerConnection, ref: str, response: Any, status: str = "ok") -> None:
    await peer.send(["1", ref, TOPIC, "phx_reply", {"response": response, "status": status}])


async def asked(peer: PeerConnection) -> str:
    """Receive a ``doc``, and return its ref."""
    join_ref, ref, topic, event, _ = await peer.receive()
    assert (join_ref, topic, event) == ("1", TOPIC, "doc")
    return str(ref)


def data(n: Any, topic: str = X) -> list[Any]:
    payload = {"result": {"data": {"n": n}}, "subscriptionId": topic}
    return [None, None, topic, "subscription:data", payload]


class TestWithTheDialect:
    async def test_operations_of_each_kind(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            assert await session.execute("{ add(a: 1, b: 2) }") == {"add": 3}
            assert await session.execute("mutation { increment(by: 5) }") == {"increment": 5}
            document = "subscription ($n: Int!) { countdown(from: $n) }"
            async with session.subscribe(document, {"n": 2}) as events:
                assert [(await events.receive())["countdown"] for _ in range(3)] == [2, 1, 0]
        connection = server.connections[0]
        assert await connection.wait_closed() == (1000, "")
        assert [message[3] for message in connection.received] == [
            *("phx_join", "doc", "doc", "doc", "unsubscribe", "phx_leave")
        ]

    @pytest.mark.parametrize("protocol", ["phoenix", Phoenix(auth_token="t", params={"a": "b"})])
    async def test_over_either_kind_of_sockets(
        self, server: GraphQLServer, connector: Connector, protocol: Any
    ) -> None:
        url = await server.listen()
        transport = WebSocketTransport(url, protocol=protocol, connector=connector)
        async with Client(transport) as session:
            assert await session.execute(HELLO) == {"hello": "Hello world!"}
            async with session.subscribe("subscription { countdown(from: 0) }") as events:
                assert await events.receive() == {"countdown": 0}
        assert await server.connections[0].wait_closed() == (1000, "")

    async def test_two_transports(self, server: GraphQLServer) -> None:
        local = LocalSchemaTransport(demo_schema())
        split = SplitTransport(local, subscriptions=server.transport(protocol=PHOENIX))
        async with Client(split) as session:
            assert await session.execute(HELLO, extensions={"a": 1}) == {"hello": "Hello world!"}
            async with session.subscribe("subscription { countdown(from: 0) }") as events:
                assert await events.receive() == {"countdown": 0}
        sent = [message[3] for message in server.connections[0].received]
        assert sent == ["phx_join", "doc", "unsubscribe", "phx_leave"]

    async def test_errors(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            for document, words in [
                ("{ nothing }", "Cannot query field"),
                ("{ fail }", "this field always fails"),
                ("query ($n: Int!) { add(a: $n, b: 1) }", r"\$n"),
            ]:
                variables = {"n": "x"} if "$n" in document else None
                with pytest.raises(TransportQueryError, match=words):
                    await session.execute(document, variables)
            async with session.subscribe("subscription { nothing }") as events:
                with pytest.raises(TransportQueryError, match="Cannot query field"):
                    await events.receive()
            async with session.subscribe("subscription { failing(after: 1) }") as events:
                assert await events.receive() == {"failing": 0}
                with pytest.raises(TransportQueryError, match="this event failed"):
                    await events.receive()
                assert await events.receive() == {"failing": 2}
            assert await session.execute(HELLO) == {"hello": "Hello world!"}

    async def test_typed_results(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            hello = await session.execute(HELLO, result_type=dict[str, str], path=None)
            assert hello == {"hello": "Hello world!"}
            document = "subscription { countdown(from: 1) }"
            async with session.subscribe(document, result_type=int, path="countdown") as events:
                assert [await events.receive() for _ in range(2)] == [1, 0]

    async def test_many_events(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            async with session.subscribe("subscription { flood(count: 3000) }") as events:
                for n in range(3000):
                    assert (await events.receive())["flood"].partition(" ")[0] == str(n)

    async def test_bounded_delivery(self, server: GraphQLServer) -> None:
        document = "subscription { flood(count: 3000) }"
        async with client_to(server) as session:
            async with session.subscribe(document, buffer_size=4, on_overflow="error") as events:
                await server.connections[0].wait_operations(0)
                with pytest.raises(SubscriptionOverflow):
                    while True:
                        await events.receive()
            await server.connections[0].wait_received("unsubscribe")
            assert await session.execute(HELLO) == {"hello": "Hello world!"}

    async def test_params_and_join_payload(self, server: GraphQLServer) -> None:
        async def params() -> dict[str, str]:
            return {"token": "s3cret/+="}

        protocol = Phoenix(params=params, join_payload={"a": 1})
        async with client_to(server, protocol) as session:
            connection = server.connections[0]
            assert connection.path == "/graphql?vsn=2.0.0&token=s3cret%2F%2B%3D"
            assert connection.init_payload == {"a": 1}
            assert "s3cret" not in repr(session) + repr(protocol)
            assert session.payloads["connection_ack"] == {}
            assert "sec-websocket-protocol" not in session.response_headers
            assert "Sec-WebSocket-Protocol" not in connection.headers

    async def test_a_token(self, server: GraphQLServer) -> None:
        async with client_to(server, Phoenix(auth_token="s3cret")) as session:
            header = server.connections[0].headers["Sec-WebSocket-Protocol"]
            assert header == "phoenix, base64url.bearer.phx.czNjcmV0"
            assert session.response_headers["sec-websocket-protocol"] == "phoenix"

    async def test_3_a_refused_socket(self, server: GraphQLServer) -> None:
        server.refuse_with = 403
        client = client_to(server, Phoenix(params=lambda: {"t": "s3cret"}))
        with pytest.raises(TransportServerError, match=r"403 .*ends in /websocket") as caught:
            async with client.connect(reconnecting=True):
                pass
        assert not caught.value.retryable
        assert "s3cret" not in str(caught.value)

    async def test_a_client_of_another_protocol(self, server: GraphQLServer) -> None:
        with pytest.raises(TransportError, match="4406"):
            async with Client(server.transport()):
                pass

    async def test_5_a_refused_channel(self) -> None:
        async with GraphQLServer(
            demo_schema(), protocols=["phoenix"], on_connect=lambda _: False
        ) as server:
            with pytest.raises(TransportConnectionRefused, match="Forbidden") as caught:
                async with client_to(server):
                    pass
        assert caught.value.code == 4403

    async def test_5_a_socket_without_absinthe(self, server: GraphQLServer) -> None:
        with pytest.raises(TransportConnectionRefused, match=r"doesn't serve 'room:lobby'"):
            async with client_to(server, Phoenix(topic="room:lobby")):
                pass

    async def test_14_leaving_at_once(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            async with session.subscribe("subscription { never }"):
                pass
            await server.connections[0].wait_operations(0)
            async with session.subscribe("subscription { never }"):
                await server.connections[0].wait_operations(1)
            await server.connections[0].wait_operations(0)
            for document in ("{ slow(seconds: 60) }", "mutation { increment }"):
                with anyio.move_on_after(0):
                    await session.execute(document)

    async def test_16_equal_subscriptions_share_an_id(self, server: GraphQLServer) -> None:
        document = "subscription { countdown(from: 3, interval: 0.01) }"
        async with client_to(server, Phoenix(params={"context_id": "ann"})) as session:
            async with session.subscribe(document) as one, session.subscribe(document) as two:
                for n in (3, 2, 1, 0):
                    assert await one.receive() == await two.receive() == {"countdown": n}
            connection = server.connections[0]
            await connection.wait_received("unsubscribe")
            assert await session.execute(HELLO) == {"hello": "Hello world!"}
        replies = [each[4]["response"] for each in connection.sent if each[3] == "phx_reply"]
        ids = {each["subscriptionId"] for each in replies if "subscriptionId" in each}
        assert len(ids) == 1
        sent = [message[3] for message in connection.received]
        assert sent.count("unsubscribe") == 1

    async def test_17_a_crashed_channel(self, server: GraphQLServer) -> None:
        async with client_to(server).connect(reconnecting=True) as session:
            async with session.subscribe("subscription { never }") as events:
                first = server.connections[0]
                await first.wait_operations(1)
                await first.send(["1", "1", TOPIC, "phx_error", {}])
                second = await server.wait_connection(2)
                await second.wait_operations(1)
                assert await first.wait_closed() == (1000, "")
                assert session.state == "connected"
                del events
            assert "phx_leave" not in [message[3] for message in first.received]

    async def test_a_permanent_session_resumes(self, server: GraphQLServer) -> None:
        async with client_to(server).connect(reconnecting=True) as session:
            async with session.subscribe("subscription { countdown(from: 1) }") as events:
                assert [await events.receive() for _ in range(2)] == [
                    {"countdown": 1},
                    {"countdown": 0},
                ]
                server.drop_connections()
                assert await events.receive() == {"countdown": 1}
                assert events.reconnects == 1
            assert await session.execute(HELLO) == {"hello": "Hello world!"}

    async def test_19_what_the_server_can_t_read_closes_with_1011(
        self, server: GraphQLServer
    ) -> None:
        async with client_to(server) as session:
            with pytest.raises(TransportConnectionFailed) as caught:
                session._supervisor._connection._writer.enqueue(b"{nope")  # type: ignore[union-attr]
                await session.execute("{ slow(seconds: 60) }")
            assert caught.value.code == 1011

    @virtual
    async def test_7_heartbeats(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            await anyio.sleep(95)
            received = [message[3] for message in server.connections[0].received]
            assert received == ["phx_join", *["heartbeat"] * 3]
            server.connections[0].freeze()
            began = anyio.current_time()
            await session.wait_closed()
            assert 30 <= anyio.current_time() - began <= 60
            with pytest.raises(TransportConnectionFailed, match=r"within 30 s of a ping") as caught:
                await session.execute(HELLO)
            assert caught.value.retryable
            server.connections[0].unfreeze()

    @virtual
    async def test_7_none_if_turned_off(self, server: GraphQLServer) -> None:
        async with client_to(server, ping_interval=None):
            await anyio.sleep(1000)
        assert [each[3] for each in server.connections[0].received] == ["phx_join", "phx_leave"]

    async def test_secrets_are_in_no_log(
        self, server: GraphQLServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        events: list[object] = []
        protocol = Phoenix(
            params={"t": "s3cret"}, auth_token="s3cret", join_payload={"t": "s3cret"}
        )
        client = Client(server.transport(protocol=protocol), on_event=events.append)
        with caplog.at_level(logging.DEBUG):
            async with client.connect(reconnecting=True) as session:
                server.drop_connections()
                await server.wait_connection(2)
                await session.wait_connected()
        for secret in ("s3cret", "czNjcmV0"):
            assert secret not in caplog.text + repr(events) + repr(client)


class TestWhatIsRefusedBeforeSending:
    def test_init_payload(self) -> None:
        with pytest.raises(TypeError, match=r"Phoenix has no init_payload: write Phoenix\(params="):
            WebSocketTransport("ws://h/", protocol=PHOENIX, init_payload={"token": "s3cret"})

    async def test_operations(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            with pytest.raises(TypeError, match="extensions would be lost"):
                await session.execute(HELLO, extensions={"a": 1})
            with pytest.raises(TypeError, match="one operation"):
                await session.execute("query A { hello } query B { hello }", operation_name="A")
            with pytest.raises(TypeError, match="no incremental delivery"):
                async with session.execute_incremental(HELLO):
                    pass
            with pytest.raises(TypeError, match="extensions would be lost"):
                async with session.subscribe(EVENTS, extensions={"a": 1}):
                    pass
            with pytest.raises(TypeError, match="a WebSocket has nothing"):
                await session.execute(HELLO, transport_args={"headers": {}})
            assert await session.execute_batch([HELLO, HELLO]) == [{"hello": "Hello world!"}] * 2
        sent = [message[3] for message in server.connections[0].received]
        assert sent == ["phx_join", "doc", "doc", "phx_leave"]


class TestRaces:
    async def test_12_results_before_the_reply(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            ref = await asked(peer)
            for n in range(3):
                await peer.send(data(n))
            await reply(peer, ref, {"subscriptionId": X})
            await peer.send(data(3))
            await peer.wait_closed()

        async with serving(script) as (client, _), client as session:
            async with session.subscribe(EVENTS) as events:
                assert [(await events.receive())["n"] for _ in range(4)] == [0, 1, 2, 3]

    async def test_12_they_are_bounded_by_the_consumer(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            ref = await asked(peer)
            for n in range(1000):
                await peer.send(data(n))
            await reply(peer, ref, {"subscriptionId": X})
            await peer.wait_closed()

        async with serving(script) as (client, _), client as session:
            async with session.subscribe(EVENTS, buffer_size=1) as events:
                for n in range(1000):
                    assert await events.receive() == {"n": n}
                    assert getattr(events._results, "queued", 0) <= 64

    async def test_16_one_id_for_equal_subscriptions(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            for _ in range(2):
                await reply(peer, await asked(peer), {"subscriptionId": X})
            for n in range(3):
                await peer.send(data(n))
                await peer.send(data(n))
            told.append((await peer.receive())[3])
            await peer.wait_closed()

        told: list[str] = []
        async with serving(script) as (client, _), client as session:
            async with session.subscribe(EVENTS) as two:
                async with session.subscribe(EVENTS) as one:
                    assert [(await one.receive())["n"] for _ in range(3)] == [0, 1, 2]
                assert [(await two.receive())["n"] for _ in range(3)] == [0, 1, 2]
                assert told == []
            async with session.subscribe(EVENTS):
                pass
        assert told[0] == "unsubscribe"

    async def test_14_left_before_the_reply(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            ref = await asked(peer)
            left.set()
            other = await asked(peer)  # sent after the subscription was left
            await reply(peer, ref, {"subscriptionId": X})
            assert (await peer.receive())[3:] == ["unsubscribe", {"subscriptionId": X}]
            await peer.send(data(1))
            await reply(peer, other, {"data": {"hello": 1}})
            await peer.wait_closed()

        left = anyio.Event()
        async with serving(script) as (client, _), client as session:
            async with session.subscribe(EVENTS):
                await left.wait()
            assert await session.execute(HELLO) == {"hello": 1}


class TestTheEnd:
    @pytest.mark.parametrize("how", ["phx_error", "phx_close", "unmatched", "reset"])
    async def test_22_no_mutation_twice(self, how: str) -> None:
        async def first(peer: PeerConnection) -> None:
            await joined(peer)
            ref = await asked(peer)
            if how == "unmatched":
                await reply(peer, ref, {"reason": "unmatched topic"}, "error")
            elif how != "reset":
                await peer.send(["1", "1", TOPIC, how, {}])
            else:
                peer.reset()
                return
            await peer.wait_closed()

        async def second(peer: PeerConnection) -> None:
            await joined(peer)
            await reply(peer, await asked(peer), {"data": {"done": True}})
            await peer.wait_closed()

        async with serving(first, second) as (client, peer):
            async with client.connect(reconnecting=True) as session:
                with pytest.raises(TransportConnectionFailed) as caught:
                    await session.execute("mutation { pay }")
                assert not caught.value.unsent
                assert await session.execute(HELLO) == {"done": True}
        documents = [each[4]["query"] for each in peer.received if each[3] == "doc"]
        assert documents == ["mutation { pay }", HELLO]

    @pytest.mark.parametrize("how", ["phx_error", "phx_close"])
    async def test_17_a_query_is_sent_again(self, how: str) -> None:
        async def first(peer: PeerConnection) -> None:
            await joined(peer)
            await asked(peer)
            await peer.send(["1", "1", TOPIC, how, {}])
            await peer.wait_closed()

        async def second(peer: PeerConnection) -> None:
            await joined(peer)
            await reply(peer, await asked(peer), {"data": {"hello": 2}})
            await peer.wait_closed()

        async with serving(first, second) as (client, _):
            async with client.connect(reconnecting=True) as session:
                assert await session.execute(HELLO) == {"hello": 2}

    @pytest.mark.parametrize(
        ("code", "retryable"), [(1001, True), (1012, True), (1000, True), (1011, False)]
    )
    async def test_20_the_server_closes(self, code: int, retryable: bool) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            await asked(peer)
            await peer.close(code)

        async with serving(script) as (client, _), client as session:
            with pytest.raises(TransportConnectionFailed) as caught:
                await session.execute(HELLO)
            assert (caught.value.code, caught.value.retryable) == (code, retryable)

    async def test_20_leaving_is_not_waited_for(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            assert (await peer.receive())[3] == "phx_leave"
            told.append(await peer.wait_closed())
            over.set()

        told: list[tuple[int, str]] = []
        over = anyio.Event()
        async with serving(script, close_timeout=60) as (client, _):
            with anyio.fail_after(10):
                async with client:
                    pass
            await over.wait()
        assert told == [(1000, "")]

    async def test_what_breaks_the_protocol(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await joined(peer)
            await peer.send({"event": "phx_reply"})
            told.append(await peer.wait_closed())
            over.set()

        told: list[tuple[int, str]] = []
        over = anyio.Event()
        async with serving(script) as (client, _), client as session:
            await session.wait_closed()
            with pytest.raises(TransportProtocolError, match="broke the protocol") as caught:
                await session.execute(HELLO)
            assert caught.value.code == 1002
            await over.wait()
        assert told[0][0] == 1002

    async def test_a_closed_session(self, server: GraphQLServer) -> None:
        async with client_to(server) as session:
            pass
        with pytest.raises(TransportClosed):
            await session.execute(HELLO)
        assert json.dumps(server.connections[0].received[0]) == (
            f'["1", "1", "{TOPIC}", "phx_join", {{}}]'
        )
