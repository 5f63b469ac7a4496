"""Clients: how sessions are opened and owned."""

from __future__ import annotations

import anyio
import pytest

import anygql
from anygql import (
    Client,
    LocalSchemaTransport,
    TransportClosed,
    TransportConnectionFailed,
    TransportQueryError,
    TransportTimeout,
    WebSocketTransport,
    gql,
)
from anygql.testing import GraphQLServer, demo_schema

HELLO = "{ hello }"


async def test_url(server: GraphQLServer) -> None:
    async with Client(await server.listen()) as session:
        assert await session.execute(HELLO)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("ftp://example.org/x", "must begin with"),
        ("example.org/graphql", "must begin with"),
        ("ws://", "no host"),
        ("ws://example.org:99999/", "not a URL"),
        ("", "must begin with"),
    ],
)
def test_bad_urls(url: str, match: str) -> None:
    for make in (Client, WebSocketTransport):
        with pytest.raises(ValueError, match=match):
            make(url)


def test_bad_url_shows_no_secret() -> None:
    with pytest.raises(ValueError, match="must begin with") as caught:
        Client("ftp://me:secret@example.org/x?token=secret#secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"connect_timeout": -1}, ValueError),
        ({"ack_timeout": 0}, ValueError),
        ({"ack_timeout": "1"}, TypeError),
        ({"pong_timeout": 1}, ValueError),
        ({"max_message_size": 0}, ValueError),
        ({"protocol": "graphql"}, ValueError),
        ({"ssl": True}, TypeError),
    ],
)
def test_bad_options(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        WebSocketTransport("ws://example.org/", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["reconnect", "execute_timeout", "on_event", "schema"])
def test_what_connect_does_not_take(name: str) -> None:
    client = Client("ws://example.org/")
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        client.connect(**{name: None})  # type: ignore[call-arg]


def test_bad_client_options() -> None:
    with pytest.raises(TypeError, match="transport"):
        Client(3)  # type: ignore[arg-type]
    client = Client("ws://example.org/")
    with pytest.raises(ValueError, match="execute_timeout"):
        Client("ws://example.org/", execute_timeout=0)
    with pytest.raises(ValueError, match="retry_connect needs reconnecting"):
        client.connect(retry_connect=lambda function: function)
    with pytest.raises(ValueError, match="lazy needs reconnecting"):
        client.connect(lazy=True)
    with pytest.raises(ValueError, match="idle_timeout needs lazy"):
        client.connect(reconnecting=True, idle_timeout=3)
    with pytest.raises(TypeError, match="retry_connect"):
        client.connect(reconnecting=True, retry_connect=3)  # type: ignore[arg-type]


async def test_sessions_of_one_client(make, server: GraphQLServer) -> None:
    client = make()
    async with client as a, client as b, client.connect() as c:
        for session in (a, b, c):
            assert await session.execute(HELLO)
        assert len(server.connections) == 3
    async with anyio.create_task_group() as tg:

        async def use() -> None:
            async with client as session:
                await session.execute(HELLO)

        for _ in range(10):
            tg.start_soon(use)
    assert len(server.connections) == 13
    for connection in server.connections:
        await connection.wait_closed()


async def test_connect_async(make, server: GraphQLServer) -> None:
    client = make()
    async with anyio.create_task_group() as tg:
        session = await client.connect_async(tg)
        other = await client.connect_async(tg)
        assert await session.execute(HELLO)
        assert await other.execute(HELLO)
        await client.close_async()
        with pytest.raises(TransportClosed):
            await session.execute(HELLO)
        assert await server.connections[0].wait_closed() == (1000, "")
        assert await server.connections[1].wait_closed() == (1000, "")
        await client.close_async()
        again = await client.connect_async(tg)
        assert await again.execute(HELLO)
        tg.cancel_scope.cancel()
    assert await server.connections[2].wait_closed() == (1000, "")


async def test_connect_async_fails_at_its_caller(connector) -> None:
    client = Client(WebSocketTransport("ws://127.0.0.1:1/", connector=connector))
    async with anyio.create_task_group() as tg:
        with pytest.raises(TransportConnectionFailed):
            await client.connect_async(tg)
        assert not tg.cancel_scope.cancel_called
    with pytest.raises(TypeError, match="task group or a trio nursery"):
        await client.connect_async(object())  # type: ignore[arg-type]


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_connect_async_in_a_nursery(make, server: GraphQLServer) -> None:
    import trio

    client = make()
    async with trio.open_nursery() as nursery:
        session = await client.connect_async(nursery)
        assert await session.execute(HELLO)
        await client.close_async()
    await server.connections[0].wait_closed()


async def test_asked_at_each_attempt(connector, server: GraphQLServer) -> None:
    url = await server.listen()
    asked: list[str] = []

    def ask_url() -> str:
        asked.append("url")
        return url

    async def ask_headers() -> dict[str, str]:
        await anyio.lowlevel.checkpoint()
        asked.append("headers")
        return {"X-Attempt": str(len(asked))}

    def ask_payload() -> dict[str, int]:
        asked.append("payload")
        return {"attempt": len(asked)}

    transport = WebSocketTransport(
        ask_url, headers=ask_headers, init_payload=ask_payload, connector=connector
    )
    client = Client(transport)
    for n in range(2):
        async with client as session:
            await session.execute(HELLO)
        connection = server.connections[n]
        assert connection.init_payload["attempt"] >= 1 + 3 * n
        assert connection.headers["X-Attempt"]
    assert sorted(asked) == sorted(["url", "headers", "payload"] * 2)


async def test_what_callables_raise_arrives(server: GraphQLServer) -> None:
    def fail() -> dict[str, object]:
        raise LookupError("no token")

    with pytest.raises(LookupError, match="no token"):
        async with Client(server.transport(init_payload=fail)):
            raise AssertionError("unreachable")
    with pytest.raises(TypeError, match=r"init_payload\.a"):
        async with Client(server.transport(init_payload={"a": object()})):
            raise AssertionError("unreachable")
    with pytest.raises(TypeError, match="mapping"):
        async with Client(server.transport(init_payload=["x"])):
            raise AssertionError("unreachable")
    with pytest.raises(ValueError, match="must begin with"):
        async with Client(WebSocketTransport(lambda: "http://example.org")):
            raise AssertionError("unreachable")
    assert server.connections == []


async def test_payloads(make) -> None:
    async with GraphQLServer(
        demo_schema(), on_connect=lambda payload: {"you": payload}
    ) as greeting:
        client = Client(greeting.transport(init_payload={"name": "me"}))
        async with client as session:
            assert session.payloads["connection_ack"] == {"you": {"name": "me"}}


# One request.


async def test_execute_once(server: GraphQLServer) -> None:
    url = await server.listen()
    assert await anygql.execute(url, HELLO, headers={"X-Key": "1"}) == {"hello": "Hello world!"}
    document = "query Add($a: Int!) { add(a: $a, b: 2) } query Other { hello }"
    three = await anygql.execute(
        url, document, {"a": 1}, operation_name="Add", path="add", result_type=int, timeout=30
    )
    assert three == 3
    first, second = server.connections
    assert first.headers["x-key"] == "1"
    assert await first.wait_closed() == await second.wait_closed() == (1000, "")


async def test_execute_once_over_any_transport(server: GraphQLServer) -> None:
    for transport in (server.transport(), LocalSchemaTransport(demo_schema())):
        assert await anygql.execute(transport, gql(HELLO), path="hello") == "Hello world!"


async def test_execute_once_fails(server: GraphQLServer) -> None:
    with pytest.raises(TransportQueryError):
        await anygql.execute(server.transport(), "{ fail }")
    with pytest.raises(ValueError, match="use subscribe"):
        await anygql.execute(server.transport(), "subscription { countdown }")
    with pytest.raises(TypeError, match="timeout is a number"):
        await anygql.execute(server.transport(), HELLO, timeout="3")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"^execute\(\) got .* 'variables': write variable_values="):
        await anygql.execute(server.transport(), HELLO, variables={})  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="is a Transport or a URL"):
        await anygql.execute(8000, HELLO)  # type: ignore[call-overload]


async def test_the_time_limit_of_one_request_holds_for_connecting_too(
    server: GraphQLServer,
) -> None:
    with pytest.raises(TransportTimeout, match=r"no answer within 0\.05 s"):
        await anygql.execute(server.transport(), "{ slow(seconds: 60) }", timeout=0.05)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        url = f"ws://127.0.0.1:{port}/"
        with pytest.raises(TransportTimeout, match=r"no answer within 0\.05 s"):
            await anygql.execute(url, HELLO, timeout=0.05)
