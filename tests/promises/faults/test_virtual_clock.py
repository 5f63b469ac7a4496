"""The permanent session over hours and days, on trio's virtual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
from trio.testing import MockClock

from anygql import (
    Client,
    Connecting,
    Disconnected,
    SessionEvent,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.testing import GraphQLServer, ScriptedPeer, demo_schema


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def test_connects_for_ever_with_growing_waits() -> None:
    events: list[SessionEvent] = []

    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            await server.stop()
            client = Client(server.transport(), on_event=events.append)
            async with anyio.create_task_group() as tg:

                async def come_back() -> None:
                    await anyio.sleep(24 * 3600)
                    await server.start()

                tg.start_soon(come_back)
                start = anyio.current_time()
                async with client.connect(reconnecting=True) as session:
                    assert await session.execute("{ hello }")
                    return anyio.current_time() - start

    elapsed = run(main)
    assert 24 * 3600 <= elapsed <= 24 * 3600 + 61
    waits = [event.next_wait for event in events if isinstance(event, Disconnected)]
    assert max(waits) <= 60
    assert len(waits) > 24 * 60
    attempts = [event.attempt for event in events if isinstance(event, Connecting)]
    assert attempts == list(range(1, len(attempts) + 1))


def test_a_flapping_server_is_not_hammered() -> None:
    async def flap(conn) -> None:
        await conn.handshake()
        await conn.close(1012, "restart")

    async def main() -> int:
        async with ScriptedPeer(flap) as peer:
            client = Client(WebSocketTransport("ws://peer/", connector=peer.connector()))
            async with client.connect(reconnecting=True):
                await anyio.sleep(3600)
            return len(peer.connections)

    assert run(main) < 400


def test_execute_timeout_is_for_each_attempt() -> None:
    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            client = Client(server.transport(), execute_timeout=7)
            async with client.connect(reconnecting=True) as session:
                await server.stop()
                start = anyio.current_time()
                with pytest.raises(TransportTimeout):
                    await session.execute("{ hello }")
                return anyio.current_time() - start

    assert 35 <= run(main) < 45


def test_five_hundred_sessions_do_not_come_back_at_once() -> None:
    arrivals: list[float] = []

    async def main() -> None:
        async with GraphQLServer(demo_schema()) as server, anyio.create_task_group() as tg:
            for _ in range(500):
                tg.start_soon(keep, server)
            await server.wait_connection(500)
            await anyio.sleep(60)
            lost_at = anyio.current_time()
            seen = len(server.connections)
            server.drop_connections()
            while len(server.connections) < 1000:
                await anyio.sleep(0.01)
                now = anyio.current_time() - lost_at
                arrivals.extend([now] * (len(server.connections) - seen))
                seen = len(server.connections)
            tg.cancel_scope.cancel()

    async def keep(server: GraphQLServer) -> None:
        async with Client(server.transport()).connect(reconnecting=True):
            await anyio.sleep_forever()

    run(main)
    tenths = [sum(n * 0.05 <= at < (n + 1) * 0.05 for at in arrivals) for n in range(11)]
    print("arrivals by 50 ms:", tenths)
    assert len(arrivals) == 500
    assert max(tenths) < 125
    assert max(arrivals) <= 0.6
