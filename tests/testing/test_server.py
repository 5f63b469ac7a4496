"""The server as a test uses it: observing, waiting, misbehaving."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import trustme
from graphql import build_schema

from anygql.testing import GraphQLServer, ServerConnection, demo_schema
from anygql.websocket.sockets.base import WebSocketEnded

T = "graphql-transport-ws"
L = "graphql-ws"
INIT = {"type": "connection_init"}


def subscribe(id: str, query: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **more}}


class Source:
    """A schema with a subscription that notes when its source was closed."""

    def __init__(self, cleanup: float = 0) -> None:
        self.closed = anyio.Event()
        self.cleanup = cleanup
        self.schema = build_schema("type Query { a: Int } type Subscription { tick: Int }")
        field = self.schema.subscription_type.fields["tick"]  # type: ignore[union-attr]
        field.subscribe = self.events
        field.resolve = lambda event, _info: event

    async def events(self, _root: Any, _info: Any) -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.cleanup)
            self.closed.set()


async def test_complete_stops_the_operation_and_closes_its_source(raw_client: Any) -> None:
    source = Source(cleanup=0.01)
    async with (
        GraphQLServer(source.schema) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        conn = await server.wait_connection()
        await client.send(subscribe("1", "subscription { tick }"))
        assert (await client.receive())["payload"] == {"data": {"tick": 1}}
        assert conn.operations == ["1"]
        await client.send({"type": "complete", "id": "1"})
        await source.closed.wait()
        assert conn.operations == []
        await client.send(subscribe("1", "{ a }"))
        assert (await client.receive())["payload"] == {"data": {"a": None}}


@pytest.mark.parametrize("how", ["close", "reset", "eof", "server"])
async def test_the_end_of_the_connection_closes_sources(raw_client: Any, how: str) -> None:
    source = Source()
    async with (
        GraphQLServer(source.schema) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        await client.send(subscribe("1", "subscription { tick }"))
        await client.receive()
        conn = server.connections[0]
        if how == "close":
            client.protocol.send_close(1000, "bye")
            await client.flush()
            expected = (1000, "bye")
        elif how == "reset":
            client.stream.reset()
            expected = (1006, "")
        elif how == "eof":
            await client.stream.send_eof()
            expected = (1006, "")
        else:
            conn.reset()
            expected = (1006, "")
        assert await conn.wait_closed() == expected
        await source.closed.wait()
        assert conn.operations == []


async def test_leaving_the_server_closes_sources(raw_client: Any) -> None:
    source = Source()
    async with GraphQLServer(source.schema) as server:
        stream = await server.open_stream()

        async def connect(_host: str, _port: int) -> Any:
            return stream

        async with raw_client(connect, T) as client:
            await client.init()
            await client.send(subscribe("1", "subscription { tick }"))
            await client.receive()
            server._task_group().cancel_scope.cancel()
            assert await client.receive() == (1006, "")
    assert source.closed.is_set()
    assert server.connections[0].closed == (1006, "")


async def test_what_is_observed(raw_client: Any) -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with raw_client(server.open_stream, T) as client:
            await client.send({**INIT, "payload": {"token": "x"}})
            conn = await server.wait_connection()
            assert await conn.wait_received("connection_init") == conn.received[0]
            assert conn.init_payload == {"token": "x"}
            await client.send(subscribe("1", "{ hello }"), subscribe("2", "{ hello }"))
            second = await conn.wait_received(lambda m: m["type"] == "subscribe", count=2)
            assert second["id"] == "2"
            await conn.wait_sent("complete", 2)
            assert [m["type"] for m in conn.sent] == [
                "connection_ack",
                *["next", "complete"] * 2,
            ]
            assert conn.sent[0] == {"type": "connection_ack"}
            assert conn.sent[-1:] == [{"id": "2", "type": "complete"}]
            assert conn.sent == list(conn.sent)
            assert "connection_ack" in repr(conn.sent)
        assert await conn.wait_closed() == (1006, "")
        with pytest.raises(AssertionError, match=r"ended \(1006\) when it had received 2 of 3"):
            await conn.wait_received("subscribe", count=3)


async def test_history_is_bounded(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema(), history=10) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        await client.send(*[{"type": "ping", "payload": {"n": n}} for n in range(100)])
        for _ in range(100):
            await client.receive()
        (conn,) = server.connections
        assert [m["payload"]["n"] for m in conn.sent] == list(range(90, 100))
        assert 10 <= len(conn.received) <= 20


@pytest.mark.parametrize(
    ("answer", "subprotocol", "expected"),
    [
        (None, T, [{"type": "connection_ack"}]),
        (True, T, [{"type": "connection_ack"}]),
        ({"a": 1}, T, [{"type": "connection_ack", "payload": {"a": 1}}]),
        (False, T, [(4403, "Forbidden")]),
        (ValueError("no"), T, [(4500, "no")]),
        ({"a": 1}, L, [{"type": "connection_ack", "payload": {"a": 1}}]),
        (
            False,
            L,
            [
                {"type": "connection_error", "payload": {"message": "Forbidden"}},
                (1011, "Forbidden"),
            ],
        ),
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_on_connect(
    raw_client: Any, answer: Any, subprotocol: str, expected: list[Any], is_async: bool
) -> None:
    payloads = []

    def sync_hook(payload: Any) -> Any:
        payloads.append(payload)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def async_hook(payload: Any) -> Any:
        await anyio.sleep(0)
        return sync_hook(payload)

    hook = async_hook if is_async else sync_hook
    async with (
        GraphQLServer(demo_schema(), on_connect=hook) as server,
        raw_client(server.open_stream, subprotocol) as client,
    ):
        await client.send({**INIT, "payload": {"k": 1}})
        assert [await client.receive() for _ in expected] == expected
        assert payloads == [{"k": 1}]


async def test_a_slow_on_connect_leaves_the_connection_strict(raw_client: Any) -> None:
    async def never(_payload: Any) -> None:
        await anyio.sleep_forever()

    async with (
        GraphQLServer(demo_schema(), on_connect=never) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.send(INIT, {"type": "ping"}, subscribe("1", "{ hello }"))
        assert await client.receive_all() == [{"type": "pong"}, (4401, "Unauthorized")]


async def test_context_and_root_values(raw_client: Any) -> None:
    schema = build_schema("type Query { who: String root: String }")
    schema.query_type.fields["who"].resolve = (  # type: ignore[union-attr]
        lambda _root, info: info.context.init_payload["user"]
    )

    def context(conn: ServerConnection) -> ServerConnection:
        return conn

    async with (
        GraphQLServer(schema, root_value={"root": "r"}, context_value=context) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.send({**INIT, "payload": {"user": "ada"}}, subscribe("1", "{ who root }"))
        await client.receive()
        assert (await client.receive())["payload"] == {"data": {"who": "ada", "root": "r"}}


async def test_a_flood_obeys_backpressure_and_lets_others_in(raw_client: Any) -> None:
    count = 5_000
    async with (
        GraphQLServer(demo_schema(), buffer_size=2**14) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        conn = await server.wait_connection()
        await client.send(subscribe("f", f"subscription {{ flood(count: {count}) }}"))
        await anyio.wait_all_tasks_blocked()
        assert len(conn.sent) < 1000  # nobody reads
        await client.send(subscribe("q", "{ hello }"), subscribe("s", "{ slow(seconds: 0) }"))
        seen: list[str] = []
        while not seen or seen[-1] != "f complete":
            message = await client.receive()
            seen.append(f"{message['id']} {message['type']}")
        assert seen.count("f next") == count
        assert seen.index("q complete") < 1000
        assert seen.index("s complete") < 1000


async def test_a_source_without_a_pause_is_stopped(raw_client: Any) -> None:
    """Nothing in the source waits, so only the server can see that it was stopped."""
    produced = 0
    schema = build_schema("type Query { q: Int } type Subscription { n: Int }")
    assert schema.subscription_type is not None

    async def numbers(*_: Any) -> AsyncIterator[dict[str, int]]:
        nonlocal produced
        while produced < 10_000:
            produced += 1
            if produced == 10:
                conn._operations.stop("1")  # as if the client's message came while it runs
            yield {"n": produced}

    schema.subscription_type.fields["n"].subscribe = numbers
    async with GraphQLServer(schema) as server, raw_client(server.open_stream, T) as client:
        await client.init()
        conn = await server.wait_connection()
        await client.send(subscribe("1", "subscription { n }"))
        await anyio.wait_all_tasks_blocked()
        assert produced == 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be kept like this")
async def test_the_port_is_kept_while_it_is_gone() -> None:
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        port = int(url.split(":")[2].split("/")[0])
        await server.stop()
        with pytest.raises(OSError), socket.socket() as other:
            other.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        await server.start()
        socket.create_connection(("127.0.0.1", port)).close()
        await server.stop_listening()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()


async def test_floods_share_the_connection(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        for name in "abc":
            await client.send(subscribe(name, "subscription { flood(count: 100000) }"))
        first_complete: dict[str, int] = {}
        for number in range(2000):
            first_complete.setdefault((await client.receive())["id"], number)
        assert set(first_complete) == set("abc")
        for name in "abc":
            await client.send({"type": "complete", "id": name})
        (conn,) = server.connections
        async with anyio.create_task_group() as tg:

            async def drain() -> None:
                while True:
                    await client.receive()

            tg.start_soon(drain)
            await conn.wait_operations(0)
            tg.cancel_scope.cancel()


async def test_freeze(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        (conn,) = server.connections
        conn.freeze()
        await client.send({"type": "ping"})
        client.protocol.send_ping(b"?")
        await client.flush()
        answers = []

        async def receive() -> None:
            answers.append(await client.receive())

        async with anyio.create_task_group() as tg:
            tg.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            assert answers == []
            assert [m["type"] for m in conn.received] == ["connection_init"]
            conn.unfreeze()
        assert answers == [{"type": "pong"}]


async def test_send_ping_and_close(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
        anyio.create_task_group() as tg,
    ):
        await client.init()
        (conn,) = server.connections
        await conn.send({"type": "surprise"})
        assert await client.receive() == {"type": "surprise"}
        await conn.ping(b"?")
        tg.start_soon(conn.close, 4999, "enough")
        assert await client.receive() == (4999, "enough")
        assert await conn.wait_closed() == (4999, "enough")
        with pytest.raises(WebSocketEnded):
            await conn.send({"type": "late"})


async def test_a_client_that_ignores_the_close(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema(), close_timeout=0.01) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        (conn,) = server.connections
        await conn.close(4999)
        assert conn.closed == (4999, "")


async def test_being_away_and_back() -> None:
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        port = int(url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(RuntimeError, match="already listening"):
            await server.listen()
        for _ in range(2):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                in_memory = await server.open_stream()
                await server.stop()
                with pytest.raises(anyio.BrokenResourceError):
                    await in_memory.receive()
                await in_memory.aclose()
                with pytest.raises(anyio.BrokenResourceError):
                    await stream.receive()
            with pytest.raises(ConnectionRefusedError):
                await server.open_stream()
            with pytest.raises(OSError, match=r"."):
                await anyio.connect_tcp("127.0.0.1", port)
            await server.start()
        await server.restart()
        await server.stop_listening()
        assert await server.listen(port=port) == url
        async with await anyio.connect_tcp("127.0.0.1", port):
            pass


async def test_loopback_with_tls(raw_client: Any) -> None:
    authority = trustme.CA()
    ours, theirs = (
        ssl.SSLContext(kind) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
    )
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen(ssl=ours)
        assert url.startswith("wss://127.0.0.1:")
        port = int(url.rpartition(":")[2].partition("/")[0])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"not TLS at all\r\n\r\n")

        async def connect(_host: str, _port: int) -> Any:
            return await anyio.connect_tcp(
                "127.0.0.1", port, ssl_context=theirs, tls_standard_compatible=False
            )

        async with raw_client(connect, T) as client:
            await client.init()
            server.connections[0].reset()
            with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
                await client.stream.receive()


async def test_refusing_the_handshake(raw_client: Any) -> None:
    async with GraphQLServer(demo_schema()) as server:
        server.refuse_with = 503
        async with raw_client(server.open_stream, T) as client:
            assert "503" in str(client.protocol.handshake_exc)
        assert server.connections == []
        server.refuse_with = None
        async with raw_client(server.open_stream, T) as client:
            await client.init()


async def test_keep_alive(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema(), keep_alive_interval=0.001) as server,
        raw_client(server.open_stream, L) as client,
    ):
        await client.init()
        for _ in range(3):
            assert await client.receive() == {"type": "ka"}


async def test_errors_of_the_body_come_out_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        async with GraphQLServer(demo_schema()) as server:
            await server.listen()
            async with await server.open_stream():
                raise ZeroDivisionError


async def test_a_bug_in_a_source_comes_out(raw_client: Any) -> None:
    # An exception of a source that is being stopped can't be sent to the client.
    schema = build_schema("type Query { a: Int } type Subscription { tick: Int }")

    async def events(_root: Any, _info: Any) -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            raise ZeroDivisionError

    schema.subscription_type.fields["tick"].subscribe = events  # type: ignore[union-attr]
    with pytest.raises(ZeroDivisionError):
        async with GraphQLServer(schema) as server, raw_client(server.open_stream, T) as client:
            await client.init()
            await client.send(subscribe("1", "subscription { tick }"))
            await client.receive()
            await client.send({"id": "1", "type": "complete"})
            await client.receive_all()
            await anyio.sleep_forever()


async def test_wrong_use() -> None:
    with pytest.raises(RuntimeError, match="async with GraphQLServer"):
        await GraphQLServer(demo_schema()).open_stream()
    with pytest.raises(ValueError, match="protocols must be some of"):
        GraphQLServer(demo_schema(), protocols=["soap"])
    with pytest.raises(TypeError, match=r"."):
        GraphQLServer(build_schema("type A { a: Int }"))


async def test_the_loopback_carries_websockets(raw_client: Any, tcp_stream: Any) -> None:
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        port = int(url.rpartition(":")[2].partition("/")[0])

        async def connect(_host: str, _port: int) -> Any:
            return await tcp_stream("127.0.0.1", port)

        async with raw_client(connect, T) as client:
            await client.init()
            await client.send(subscribe("1", "subscription { flood(count: 2000, size: 1000) }"))
            await anyio.sleep(0)
            for number in range(2000):
                message = await client.receive()
                assert message["payload"]["data"]["flood"] == f"{number}{'.' * 1000}"
            (conn,) = server.connections
            server.drop_connections()
            assert await conn.wait_closed() == (1006, "")
