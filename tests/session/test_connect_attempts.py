"""Attempts that calls bring forward, on trio's virtual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import tenacity
import trio
from trio.testing import MockClock

from anygql import (
    Client,
    Connecting,
    SessionEvent,
    TransportServerError,
    WebSocketTransport,
)
from anygql.testing import ScriptedPeer

#: The policy's own wait, in seconds.
LONG = 100

POLICY = tenacity.AsyncRetrying(wait=tenacity.wait_fixed(LONG))


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


async def is_lost(conn: Any) -> None:
    await conn.handshake()
    await conn.close(1012, "restarting")


def refused_with(status: int) -> Callable[[Any], Awaitable[None]]:
    async def script(conn: Any) -> None:
        await conn.refuse(status)

    return script


def test_an_attempt_that_was_brought_forward_is_refused_for_good() -> None:
    async def main() -> float:
        scripts = [is_lost, refused_with(503), refused_with(401)]
        async with ScriptedPeer(scripts) as peer:
            client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
            with pytest.raises(TransportServerError, match="401"):
                async with client.connect(reconnecting=True, retry_connect=POLICY) as session:
                    await anyio.sleep(30)
                    with pytest.raises(TransportServerError, match="401"):
                        await session.execute("{ n }")
                    await anyio.sleep_forever()
            assert len(peer.connections) == 3
        return anyio.current_time()

    assert run(main) < LONG / 2


def test_on_event_raises_at_an_attempt_that_was_brought_forward() -> None:
    async def main() -> float:
        attempts = 0

        def on_event(event: SessionEvent) -> None:
            nonlocal attempts
            attempts += isinstance(event, Connecting)
            if attempts == 3:
                raise LookupError("mine")

        async with ScriptedPeer([is_lost, refused_with(503)]) as peer:
            transport = WebSocketTransport(peer.url, connector=peer.connector())
            client = Client(transport, on_event=on_event)
            with pytest.raises(LookupError, match="mine"):
                async with client.connect(reconnecting=True, retry_connect=POLICY) as session:
                    await anyio.sleep(30)
                    with pytest.raises(LookupError, match="mine"):
                        await session.execute("{ n }")
                    await anyio.sleep_forever()
        return anyio.current_time()

    assert run(main) < LONG / 2
