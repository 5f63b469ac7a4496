"""A ``CancelledError`` that comes out of a user's function though nobody canceled the session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
import tenacity
from graphql import build_schema

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    LocalSchemaTransport,
    TransportConnectionFailed,
    TransportError,
    WebSocketTransport,
)
from anygql.concurrency.cancellation import stray_cancellation
from anygql.testing import GraphQLServer
from anygql.websocket.sockets.stream import StreamConnector

HELLO = "{ hello }"
GREETING = {"hello": "Hello world!"}

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])
pytestmark = pytest.mark.usefixtures("soon")


async def awaits_a_canceled_task() -> Any:
    """As a refresh of a token that many share does, when the first of them is canceled."""
    task = asyncio.ensure_future(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    return await task


def asks_a_canceled_future() -> Any:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future.result()


STRAYS = [awaits_a_canceled_task, asks_a_canceled_future]


class Once:
    """A function that lets a cancellation out the first time (or at ``at``), and then a value."""

    def __init__(self, stray: Callable[[], Any], value: Any, at: int = 1) -> None:
        self._stray = stray
        self._value = value
        self._at = at
        self.calls = 0

    def __call__(self, *_: Any) -> Any:
        self.calls += 1
        return self._stray() if self.calls == self._at else self._value


def check(error: BaseException, words: str) -> None:
    assert isinstance(error, TransportConnectionFailed)
    assert isinstance(error.__cause__, asyncio.CancelledError)
    assert "nobody canceled" in str(error)
    assert words in str(error)


# WebSocket.


@asyncio_only
@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("option", ["url", "headers", "init_payload"])
async def test_an_option_of_a_websocket(
    server: GraphQLServer, option: str, stray: Callable[[], Any]
) -> None:
    url = await server.listen()
    values: dict[str, Any] = {"url": url, "headers": {}, "init_payload": {}}

    def transport() -> WebSocketTransport:
        return WebSocketTransport(**{**values, option: Once(stray, values[option])})

    with pytest.raises(TransportConnectionFailed) as caught:
        async with Client(transport()):
            raise AssertionError("unreachable")
    check(caught.value, f"the function {option}")

    events: list[object] = []
    async with Client(transport(), on_event=events.append).connect(reconnecting=True) as session:
        assert await session.execute(HELLO) == GREETING
    check(events[1].error, f"the function {option}")  # type: ignore[attr-defined]


@asyncio_only
@pytest.mark.parametrize("stray", STRAYS)
async def test_after_a_loss_the_session_comes_back(
    server: GraphQLServer, stray: Callable[[], Any]
) -> None:
    headers = Once(stray, {}, at=2)
    transport = WebSocketTransport(await server.listen(), headers=headers)
    async with Client(transport).connect(reconnecting=True) as session:
        async with session.subscribe("subscription { never }"):
            session.reconnect()
            assert await session.execute(HELLO) == GREETING
            assert headers.calls == 3


@asyncio_only
async def test_a_connector(server: GraphQLServer) -> None:
    connector = StreamConnector(open_stream=lambda host, port: awaits_a_canceled_task())
    with pytest.raises(TransportConnectionFailed) as caught:
        async with Client(WebSocketTransport("ws://example.org/", connector=connector)):
            raise AssertionError("unreachable")
    check(caught.value, "the connector")


@asyncio_only
@pytest.mark.parametrize("stray", STRAYS)
async def test_on_resubscribe(server: GraphQLServer, stray: Callable[[], Any]) -> None:
    async with Client(server.transport()).connect(reconnecting=True) as session:
        subscription = session.subscribe(
            "subscription { never }", on_resubscribe=lambda *_: stray()
        )
        async with subscription as events, session.subscribe("subscription { countdown }") as other:
            assert await anext(other)
            session.reconnect()
            with pytest.raises(TransportConnectionFailed) as caught:
                await anext(events)
            check(caught.value, "on_resubscribe")
            assert await session.execute(HELLO) == GREETING
            assert await anext(other)


@asyncio_only
async def test_on_event_ends_the_session_with_it(server: GraphQLServer) -> None:
    client = Client(server.transport(), on_event=lambda event: asks_a_canceled_future())
    with pytest.raises(TransportConnectionFailed) as caught:
        async with client.connect(reconnecting=True):
            raise AssertionError("unreachable")
    check(caught.value, "on_event")


@asyncio_only
async def test_a_policy_fails_its_call(server: GraphQLServer) -> None:
    async def before_sleep(_: Any) -> None:
        await awaits_a_canceled_task()

    def policy(function: Any) -> Any:
        async def call() -> Any:
            try:
                return await function()
            except TransportError:
                return await awaits_a_canceled_task()

        return call

    for each in (policy, tenacity.retry(before_sleep=before_sleep)):
        client = Client(server.transport(), execute_timeout=0.05)
        async with client.connect(reconnecting=True, retry_execute=each) as session:
            with pytest.raises(TransportConnectionFailed) as caught:
                await session.execute("{ slow(seconds: 60) }")
            check(caught.value, "retry_execute")
            assert await session.execute(HELLO) == GREETING


# HTTP.


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"data": GREETING})


def over_http(**options: Any) -> HTTPTransport:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return HTTPTransport(**{"url": "http://example.org/", "client": client, **options})


@asyncio_only
@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("option", ["url", "headers"])
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_an_option_over_http(
    option: str, stray: Callable[[], Any], reconnecting: bool
) -> None:
    value = {"url": "http://example.org/", "headers": {}}[option]
    transport = over_http(**{option: Once(stray, value)})
    async with Client(transport).connect(reconnecting=reconnecting) as session:
        if not reconnecting:
            with pytest.raises(TransportConnectionFailed) as caught:
                await session.execute(HELLO)
            check(caught.value, f"the function {option}")
            assert caught.value.unsent
        assert await session.execute(HELLO) == GREETING
        assert session.state == "connected"


@asyncio_only
@pytest.mark.parametrize("hook", ["request", "response"])
async def test_a_hook_of_the_http_client(hook: str) -> None:
    once = Once(awaits_a_canceled_task, anyio.lowlevel.checkpoint)

    async def hooked(_: Any) -> None:
        value = once()
        await (value if asyncio.iscoroutine(value) else value())

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), event_hooks={hook: [hooked]})
    async with Client(over_http(client=client)) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute(HELLO)
        check(caught.value, "the HTTP client")
        assert not caught.value.unsent
        assert await session.execute(HELLO) == GREETING


@asyncio_only
async def test_a_subscription_over_http() -> None:
    headers = Once(awaits_a_canceled_task, {})
    async with Client(over_http(headers=headers)) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            async for _ in session.subscribe("subscription { never }"):
                pass
        check(caught.value, "the function headers")
        assert await session.execute(HELLO) == GREETING


@asyncio_only
async def test_an_upload() -> None:
    async def chunks() -> Any:
        yield b"a"
        yield await awaits_a_canceled_task()

    document = "mutation ($file: Upload!) { hello }"

    async def read(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return answer(request)

    client = httpx.AsyncClient(transport=httpx.MockTransport(read))
    async with Client(over_http(client=client)) as session:
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute(document, {"file": FileVar(chunks(), filename="a")})
        check(caught.value, "file")
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute(
                document,
                {"file": FileVar(b"abc", filename="a")},
                transport_args={"progress": lambda *_: asks_a_canceled_future()},
            )
        check(caught.value, "file")
        assert await session.execute(HELLO) == GREETING


# A local schema.


@asyncio_only
@pytest.mark.parametrize("document", ["{ a }", "{ a b }", "{ b a c }"])
async def test_a_resolver(document: str) -> None:
    async def fine(*_: Any) -> int:
        await anyio.lowlevel.checkpoint()
        return 1

    schema = build_schema("type Query { a: Int b: Int c: Int }")
    root = {"a": lambda *_: awaits_a_canceled_task(), "b": fine, "c": fine}
    async with Client(LocalSchemaTransport(schema, root_value=root)) as session:
        with pytest.raises(TransportConnectionFailed, match="nobody canceled"):
            await session.execute(document)
        assert await session.execute("{ b c }") == {"b": 1, "c": 1}


# Real cancellations.


async def test_what_is_no_stray_cancellation() -> None:
    assert stray_cancellation(ValueError(), "it") is None
    assert stray_cancellation(KeyboardInterrupt(), "it") is None
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        except BaseException as exc:
            assert stray_cancellation(exc, "it") is None
            raise
    assert scope.cancelled_caught


async def test_a_function_that_is_canceled_with_its_caller(server: GraphQLServer) -> None:
    asked = anyio.Event()

    async def headers() -> dict[str, str]:
        asked.set()
        await anyio.sleep_forever()
        return {}

    for transport in (
        WebSocketTransport(await server.listen(), headers=headers),
        over_http(headers=headers),
    ):
        asked = anyio.Event()
        async with anyio.create_task_group() as tg:

            async def use(transport: Any = transport) -> None:
                async with Client(transport).connect(reconnecting=True) as session:
                    await session.execute(HELLO)

            tg.start_soon(use)
            await asked.wait()
            tg.cancel_scope.cancel()


@asyncio_only
async def test_a_function_that_is_canceled_natively_with_its_caller(
    server: GraphQLServer,
) -> None:
    asked = asyncio.Event()

    async def headers() -> dict[str, str]:
        asked.set()
        await asyncio.sleep(60)
        return {}

    for transport in (
        WebSocketTransport(await server.listen(), headers=headers),
        over_http(headers=headers),
    ):
        asked.clear()

        async def use(transport: Any = transport) -> None:
            async with Client(transport) as session:
                await session.execute(HELLO)

        task = asyncio.create_task(use())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
