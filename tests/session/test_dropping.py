"""A subscription whose last reference goes, in any thread, just as its session begins to close."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from anygql import Client, Closed, LocalSchemaTransport, Subscription, gql
from anygql.testing import GraphQLServer, demo_schema

NEVER = "subscription { never }"


class Holder:
    """Holds the last reference to a subscription; drops it as the session begins to close."""

    def __init__(self, how: str) -> None:
        self.held: Subscription[Any] | None = None
        self._how = how
        self.dropped = 0

    def on_event(self, event: object) -> None:
        if isinstance(event, Closed) and self.held is not None:
            getattr(self, self._how)()
            self.dropped += 1

    def here(self) -> None:
        self.held = None

    def in_another_thread(self) -> None:
        thread = threading.Thread(target=self.here)
        thread.start()
        thread.join()

    def by_the_collector(self) -> None:
        cycle: list[object] = [self.held]
        cycle.append(cycle)
        self.held = None
        del cycle
        gc.collect()

    def by_the_collector_of_another_thread(self) -> None:
        thread = threading.Thread(target=self.by_the_collector)
        thread.start()
        thread.join()


WAYS = ["here", "in_another_thread", "by_the_collector", "by_the_collector_of_another_thread"]


async def drop_while_closing(client: Client, holder: Holder, reconnecting: bool) -> None:
    with anyio.fail_after(5):
        async with client.connect(reconnecting=reconnecting) as session:
            holder.held = session.subscribe(NEVER)
            await holder.held.__aenter__()
            assert await session.execute("{ hello }")
    assert holder.dropped == 1


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("reconnecting", [True, False])
@pytest.mark.parametrize("kind", ["websocket", "local"])
async def test_dropped_as_the_session_begins_to_close(
    server: GraphQLServer, anyio_backend: str, kind: str, how: str, reconnecting: bool
) -> None:
    holder = Holder(how)
    transport = server.transport() if kind == "websocket" else LocalSchemaTransport(demo_schema())
    client = Client(transport, on_event=holder.on_event)
    if anyio_backend == "asyncio":  # in debug mode a call from a wrong thread raises
        asyncio.get_running_loop().set_debug(True)
    try:
        await drop_while_closing(client, holder, reconnecting)
    finally:
        if anyio_backend == "asyncio":
            asyncio.get_running_loop().set_debug(False)
    if kind == "websocket":
        await server.connections[0].wait_closed()


@pytest.mark.parametrize("reconnecting", [True, False])
@pytest.mark.parametrize("kind", ["websocket", "local"])
def test_dropped_after_its_loop_is_over(
    anyio_backend: str, kind: str, reconnecting: bool, recwarn: pytest.WarningsRecorder
) -> None:
    kept: list[Any] = []

    async def main() -> None:
        async with GraphQLServer(demo_schema()) as server:
            local = LocalSchemaTransport(demo_schema())
            client = Client(local if kind == "local" else server.transport())
            async with client.connect(reconnecting=reconnecting) as session:
                subscription = session.subscribe(NEVER)
                await subscription.__aenter__()
                kept.append(subscription)

    anyio.run(main, backend=anyio_backend)
    kept.clear()
    gc.collect()
    assert not [str(warning.message) for warning in recwarn]


def in_another_loop(backend: str, use: Callable[[], Any]) -> BaseException | None:
    """Run an async function in a loop of another thread, and return what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            anyio.run(use, backend=backend)
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.parametrize("other", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["websocket", "local"])
async def test_used_in_another_loop(server: GraphQLServer, kind: str, other: str) -> None:
    local = LocalSchemaTransport(demo_schema())
    client = Client(local if kind == "local" else server.transport())
    async with client.connect(reconnecting=True) as session, session.subscribe(NEVER) as events:

        async def enter() -> None:
            async with session.subscribe(NEVER):
                pass

        async def reconnect() -> None:
            session.reconnect()

        uses: list[Callable[[], Any]] = [
            lambda: session.execute("{ hello }"),
            lambda: session.execute_batch([gql("{ hello }")]),
            session.wait_connected,
            session.wait_closed,
            events.receive,
            events.aclose,
            enter,
            reconnect,
        ]
        for use in uses:
            raised = in_another_loop(other, use)
            assert isinstance(raised, RuntimeError), use
            assert "another event loop" in str(raised)
        assert await session.execute("{ hello }") == {"hello": "Hello world!"}
    with pytest.raises(RuntimeError, match="another event loop"):
        raise in_another_loop(other, session.wait_closed) or AssertionError


async def test_a_context_can_be_entered_again(server: GraphQLServer) -> None:
    for reconnecting in (False, True):
        context = Client(server.transport()).connect(reconnecting=reconnecting)
        for _ in range(3):
            async with context as session:
                assert await session.execute("{ hello }")
            assert session.state == "closed"
        async with context:
            with pytest.raises(RuntimeError, match="already been entered"):
                await context.__aenter__()
    server.refuse_with = 503
    context = Client(server.transport()).connect()
    for status in (503, None):
        server.refuse_with = status
        try:
            async with context as session:
                assert await session.execute("{ hello }")
        except Exception as exc:
            assert status == 503, exc
