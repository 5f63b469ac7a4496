"""Both endpoints of an API as one transport, and what a session over it delivers."""

from __future__ import annotations

import ssl
from typing import Any

import anyio
import httpx
import pytest

from anygql import (
    AppSyncTransport,
    Client,
    HTTPTransport,
    SplitTransport,
    SubscriptionOverflow,
    WebSocketTransport,
)
from anygql.appsync import IAM, ApiKey, Token
from anygql.blocking import Client as BlockingClient
from anygql.testing import GraphQLServer, demo_schema

ENDPOINT = "https://abcdefghijklmnopqrstuvwxyz.appsync-api.eu-west-1.amazonaws.com/graphql"
KEY = ApiKey("da2-key")
FLOOD = "subscription ($count: Int!) { flood(count: $count) }"


def serving() -> GraphQLServer:
    return GraphQLServer(demo_schema(), protocols=["appsync"])


async def test_what_appsync_lacks_is_refused_before_sending() -> None:
    async with serving() as server:
        await server.listen()
        transport = AppSyncTransport(server.http_url, auth=KEY)
        async with Client(transport, batch_interval=0.01) as session:
            with pytest.raises(TypeError, match="no batches"):
                await session.execute_batch(["{ counter }"] * 2)
            with pytest.raises(TypeError, match="no @defer"):
                async with session.execute_incremental("{ ... @defer { counter } }"):
                    pass
            assert not server.requests
            async with anyio.create_task_group() as tg:
                tg.start_soon(session.execute, "{ counter }")
                tg.start_soon(session.execute, "{ counter }")
        assert [request.path for request in server.requests] == ["/graphql"] * 2


async def test_each_operation_goes_where_it_belongs() -> None:
    async with serving() as server:
        await server.listen()
        async with Client(AppSyncTransport(server.http_url, auth=KEY)) as session:
            assert await session.execute("mutation { increment }") == {"increment": 1}
            assert not server.connections
            async with session.subscribe(FLOOD, {"count": 2}) as events:
                assert len([event async for event in events]) == 2
            assert await session.execute("{ counter }") == {"counter": 1}
        assert [request.headers["x-api-key"] for request in server.requests] == ["da2-key"] * 2
        (connection,) = server.connections
        assert [m["type"] for m in connection.received] == ["connection_init", "start"]
        assert connection.path == "/graphql/realtime"


async def test_a_token_for_both_that_is_asked_anew() -> None:
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        return f"token-{asked}"

    async with serving() as server:
        await server.listen()
        transport = AppSyncTransport(server.http_url, auth=Token(token), eager=True)
        async with Client(transport) as session:
            assert len(server.connections) == 1
            await session.execute("{ hello }", transport_args={"auth": Token("for this one")})
            await session.execute("{ hello }")
            await session.subscribe(FLOOD, {"count": 1}).receive()
        said = [request.headers["authorization"] for request in server.requests]
        assert said == ["for this one", "token-2"]
        start = server.connections[0].received[1]
        assert start["payload"]["extensions"]["authorization"]["Authorization"] == "token-3"


async def test_a_url_that_is_asked_for() -> None:
    async with serving() as server:
        await server.listen()

        async def url() -> str:
            return server.http_url

        async with Client(AppSyncTransport(url, auth=KEY)) as session:
            assert await session.execute("{ hello }")
            assert await session.subscribe(FLOOD, {"count": 1}).receive()


async def test_a_session_without_await() -> None:
    async with serving() as server:
        await server.listen()
        url = server.http_url

        def talk() -> Any:
            with BlockingClient(AppSyncTransport(url, auth=KEY)).connect() as session:
                with session.subscribe(FLOOD, {"count": 3}) as events:
                    return session.execute("{ hello }"), len(list(events))

        assert await anyio.to_thread.run_sync(talk) == ({"hello": "Hello world!"}, 3)


def test_it_is_a_split_transport_of_both() -> None:
    context = ssl.create_default_context()
    transport = AppSyncTransport(
        ENDPOINT, auth=KEY, ssl=context, proxy=None, headers={"X-A": "b"}, close_timeout=3
    )
    assert isinstance(transport, SplitTransport)
    http, socket = transport.transport, transport.subscriptions
    assert isinstance(http, HTTPTransport)
    assert isinstance(socket, WebSocketTransport)
    assert (http.ssl, http.proxy, http.headers) == (context, None, {"X-A": "b"})
    assert socket.close_timeout == 3
    assert repr(transport) == (
        f"<AppSyncTransport <HTTPTransport {ENDPOINT}>, "
        f"subscriptions=<WebSocketTransport {ENDPOINT}>>"
    )


def test_a_client_of_ones_own() -> None:
    client = httpx.AsyncClient()
    transport = AppSyncTransport(ENDPOINT, auth=KEY, client=client, proxy=None)
    assert isinstance(transport.transport, HTTPTransport)
    assert transport.transport.client is client


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"auth": ("user", "s3cret")}, TypeError, "ApiKey"),
        ({"auth": "da2-s3cret"}, TypeError, "not str"),
        ({"auth": IAM(("a", "s3cret")), "url": "https://h/g"}, ValueError, "AWS region"),
        ({"url": "wss://h/g"}, ValueError, "https://"),
        ({"handshake": "headers"}, ValueError, "handshake"),
        ({"start_timeout": "15"}, TypeError, "start_timeout"),
        ({"api_key": "da2-s3cret"}, TypeError, "write auth=ApiKey"),
        ({"region": "eu-west-1"}, TypeError, "IAM"),
        ({"connector": None}, TypeError, "make the parts"),
        ({"init_payload": {"token": "s3cret"}}, TypeError, "write auth="),
        ({"persisted_queries": True}, TypeError, "persisted_queries"),
    ],
)
def test_what_is_refused_at_once(
    options: dict[str, Any],
    error: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anygql.appsync.auth.configured_region", lambda: None)
    given = {"url": ENDPOINT, "auth": KEY, **options}
    with pytest.raises(error, match=words) as caught:
        AppSyncTransport(given.pop("url"), **given)
    assert "s3cret" not in str(caught.value)


# Delivery is bounded, as over any protocol.


async def test_a_slow_consumer_gets_everything_and_little_waits() -> None:
    async with serving() as server:
        await server.listen()
        async with Client(AppSyncTransport(server.http_url, auth=KEY)) as session:
            async with session.subscribe(FLOOD, {"count": 3000}, buffer_size=8) as events:
                first = await events.receive()
                connection = server.connections[0]
                await connection.wait_sent("data", 20)
                await anyio.wait_all_tasks_blocked()
                assert events._results.queued <= 8  # type: ignore[union-attr]
                rest = [event["flood"] async for event in events]
        assert [int(text) for text in [first["flood"], *rest]] == list(range(3000))


async def test_overflows() -> None:
    async with serving() as server:
        await server.listen()
        async with Client(AppSyncTransport(server.http_url, auth=KEY)) as session:
            few = {"buffer_size": 2, "on_overflow": "error"}
            async with session.subscribe(FLOOD, {"count": 10_000}, **few) as events:
                with pytest.raises(SubscriptionOverflow):
                    while True:
                        await events.receive()
                        await server.connections[0].wait_sent("data", 100)
            newest = {"buffer_size": 2, "on_overflow": "drop_oldest"}
            async with session.subscribe(FLOOD, {"count": 500}, **newest) as events:
                await server.connections[0].wait_sent("complete")
                await anyio.wait_all_tasks_blocked()
                came = [int(event["flood"]) async for event in events]
                assert came[-1] == 499
                assert events.dropped == 500 - len(came)


async def test_typed_results() -> None:
    async with serving() as server:
        await server.listen()
        async with Client(AppSyncTransport(server.http_url, auth=KEY)) as session:
            document = "subscription { countdown(from: 3) }"
            async with session.subscribe(document, result_type=int, path="countdown") as events:
                assert [event async for event in events] == [3, 2, 1, 0]
