"""Virtual time: hours pass at once on trio's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from anygql.testing import GraphQLServer, PeerConnection, ScriptedPeer, demo_schema

T = "graphql-transport-ws"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    before = time.monotonic()
    yield
    assert time.monotonic() - before < 15


async def test_no_init_in_time(raw_client: Any) -> None:
    async with GraphQLServer(demo_schema()) as server:
        before = anyio.current_time()
        async with raw_client(server.open_stream, T) as client:
            assert await client.receive() == (4408, "Connection initialisation timeout")
        assert anyio.current_time() - before == pytest.approx(3)


async def test_an_hour_of_silence(raw_client: Any) -> None:
    async with GraphQLServer(demo_schema(), connection_init_wait_timeout=7200) as server:
        before = anyio.current_time()
        async with raw_client(server.open_stream, T, timeout=7200):
            conn = await server.wait_connection()
            with anyio.move_on_after(3600):
                await conn.wait_received("connection_init")
            assert anyio.current_time() - before == pytest.approx(3600)
            assert conn.closed is None


async def test_a_slow_script(raw_client: Any) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.pause(4)
        await conn.send({"late": True})
        await conn.wait_closed()

    async with (
        ScriptedPeer(script) as peer,
        raw_client(peer.open_stream, T) as client,
    ):
        before = anyio.current_time()
        assert await client.receive() == {"late": True}
        assert anyio.current_time() - before == pytest.approx(4)
