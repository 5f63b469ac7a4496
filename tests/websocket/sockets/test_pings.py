"""Pings of our own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from websockets.frames import Opcode

from anygql.websocket.sockets.base import WebSocket, WebSocketEnded
from tests.support.sockets import Connected
from tests.support.websocket_peer import Peer, close, frame


@asynccontextmanager
async def running(websocket: WebSocket) -> AsyncGenerator[None]:
    """A task that receives and one that sends, as a connection has them."""
    wanted = anyio.Event()

    def want() -> None:
        wanted.set()

    async def sender() -> None:
        nonlocal wanted
        while True:
            await wanted.wait()
            wanted = anyio.Event()
            await websocket.send([])

    async def receiver() -> None:
        with suppress(WebSocketEnded):
            while True:
                await websocket.receive()

    websocket.on_output = want
    async with anyio.create_task_group() as tg:
        tg.start_soon(sender)
        tg.start_soon(receiver)
        yield
        tg.cancel_scope.cancel()


async def test_a_pong_comes(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.echo()

    async with connected(script) as websocket, running(websocket):
        for _ in range(3):
            await websocket.ping()


async def test_a_later_pong_answers_earlier_pings_too(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(frame(Opcode.PONG, b"unasked"))
        pings = [await peer.frame() for _ in range(3)]
        assert len({bytes(ping.data) for ping in pings}) == 3
        await peer.raw(frame(Opcode.PONG, bytes(pings[-1].data)))
        await peer.gone()

    async with (
        connected(script) as websocket,
        running(websocket),
        anyio.create_task_group() as tg,
    ):
        for _ in range(3):
            tg.start_soon(websocket.ping)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_ping_ends_with_the_connection(connected: Connected, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.frame_of(Opcode.PING)
        if how == "close":
            await peer.raw(close(1012, "restart"))
            await peer.gone()
        else:
            await peer.reset()

    async with connected(script) as websocket, running(websocket):
        with pytest.raises(WebSocketEnded) as caught:
            await websocket.ping()
        assert caught.value.code == (1012 if how == "close" else 1006)


async def test_cancelling_only_stops_the_waiting(connected: Connected) -> None:
    pinged = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        first = await peer.frame_of(Opcode.PING)
        pinged.set()
        second = await peer.frame_of(Opcode.PING)
        for ping in (first, second):
            await peer.raw(frame(Opcode.PONG, bytes(ping.data)))
        await peer.gone()

    async with connected(script) as websocket, running(websocket):
        async with anyio.create_task_group() as tg:
            tg.start_soon(websocket.ping)
            await pinged.wait()
            tg.cancel_scope.cancel()
        await websocket.ping()


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("connector", ["trio-websocket"], indirect=True)
async def test_a_ping_when_the_server_has_closed_and_nobody_has_read_that(
    connected: Connected,
) -> None:
    """trio-websocket reads by itself."""
    answered = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(close(1001, "gone"))
        await peer.closing()
        answered.set()

    async with connected(script) as websocket:
        await answered.wait()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(WebSocketEnded):
            await websocket.ping()
