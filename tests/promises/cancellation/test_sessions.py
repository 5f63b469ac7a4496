"""Cancelled anywhere: told once, nothing left, usable or closed."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from anygql import Client, TransportClosed, WebSocketTransport
from anygql.testing import GraphQLServer, ScriptedPeer

SLOW = "{ slow(seconds: 60) }"


async def test_execute(make, server: GraphQLServer) -> None:
    async with make() as session:
        connection = server.connections[0]
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tg:

                async def cancel() -> None:
                    await connection.wait_operations(1)
                    scope.cancel()

                tg.start_soon(cancel)
                await session.execute(SLOW)
        await connection.wait_received("complete")
        await connection.wait_operations(0)
        assert await session.execute("{ hello }") == {"hello": "Hello world!"}
    kinds = [message["type"] for message in connection.received]
    assert kinds == ["connection_init", "subscribe", "complete", "subscribe"]


async def test_execute_before_it_was_written(make, server: GraphQLServer) -> None:
    async with make() as session:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.execute(SLOW)
        assert await session.execute("{ hello }")
    kinds = [message["type"] for message in server.connections[0].received]
    # asyncio delivers a cancellation a round later than trio, so there it may have been written.
    assert kinds in (
        ["connection_init", "subscribe"],
        ["connection_init", "subscribe", "complete", "subscribe"],
    )


async def test_hundred_at_once(make, server: GraphQLServer) -> None:
    async with make() as session:
        connection = server.connections[0]
        async with anyio.create_task_group() as tg:
            for _ in range(100):
                tg.start_soon(session.execute, SLOW)
            await connection.wait_operations(100)
            tg.cancel_scope.cancel()
        await connection.wait_received("complete", 100)
        await connection.wait_operations(0)
        assert await session.execute("{ hello }")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_natively_under_asyncio(server: GraphQLServer) -> None:
    """asyncio's own cancellation, which knows no shields and comes once."""
    async with Client(server.transport()) as session:
        connection = server.connections[0]
        task = asyncio.ensure_future(session.execute(SLOW))
        await connection.wait_operations(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await connection.wait_received("complete")

        events = session.subscribe("subscription { flood(count: 1000) }")
        numbers = [(await anext(events))["flood"]]
        while len(numbers) < 1000:
            task = asyncio.ensure_future(events.receive())
            await asyncio.sleep(0)
            task.cancel()
            try:
                numbers.append((await task)["flood"])
            except asyncio.CancelledError:
                pass
        assert len(set(map(str, numbers))) == 1000
        await events.aclose()
        assert await session.execute("{ hello }")


async def test_receive_loses_nothing(memory: Client) -> None:
    async with memory as session:
        async with session.subscribe("subscription { countdown(from: 200) }") as events:
            numbers: list[int] = []
            while len(numbers) <= 200:
                with anyio.move_on_after(0):
                    numbers.append((await events.receive())["countdown"])
                await anyio.lowlevel.checkpoint()
        assert numbers == list(range(200, -1, -1))


@pytest.mark.parametrize("steps", range(12))
async def test_connect(steps: int, connector, bounded: None) -> None:
    """Cancelled after so many rounds of the loop: the server sees the socket close."""
    seen: list[bytes] = []

    async def script(conn) -> None:
        try:
            await conn.handshake()
        except Exception:
            return
        seen.append(await conn.wait_eof())

    async with ScriptedPeer(script) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with anyio.create_task_group() as tg:

            async def connect() -> None:
                async with client:
                    await anyio.sleep_forever()

            tg.start_soon(connect)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tg.cancel_scope.cancel()


async def test_connect_while_the_server_is_silent(connector, bounded: None) -> None:
    gone = anyio.Event()

    async def script(conn) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        scope.cancel()
        await conn.wait_eof()
        gone.set()

    async with ScriptedPeer(script) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        with anyio.CancelScope() as scope:
            async with client:
                raise AssertionError("unreachable")
        await gone.wait()


async def test_session_body(make, server: GraphQLServer) -> None:
    """Cancelled with everything going on: closed in good order, by a closing handshake."""
    with anyio.CancelScope() as scope:
        async with make() as session, anyio.create_task_group() as tg:
            connection = server.connections[0]
            for _ in range(10):
                tg.start_soon(session.execute, SLOW)
            async with session.subscribe("subscription { never }"):
                await connection.wait_operations(11)
                scope.cancel()
                await anyio.sleep_forever()
    assert await connection.wait_closed() == (1000, "")
    await connection.wait_operations(0)
    with pytest.raises(TransportClosed):
        await session.execute("{ hello }")


async def test_exceptions_arrive_as_they_are(make) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with make():
            raise ZeroDivisionError("mine")
    assert caught.value.__context__ is None
    group = ExceptionGroup("mine", [ValueError("a")])
    with pytest.raises(ExceptionGroup) as caught_group:
        async with make():
            raise group
    assert caught_group.value.message == "mine"  # trio makes it anew: nothing around it, all in it
    assert caught_group.value.exceptions == group.exceptions
