"""A flood of tiny frames: other tasks have their turns, and closing keeps its time."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anygql.websocket.sockets.engine import Engine
from anygql.websocket.sockets.frames import ENGINE_FRAMES
from anygql.websocket.sockets.stream import CHUNK, StreamWebSocket
from tests.support.sockets import Connected
from tests.support.websocket_peer import MemoryStream, Peer, take, text

pytestmark = pytest.mark.table

FLOODS = {
    "empty fragments": b"\x01\x00" + b"\x00\x00" * (CHUNK // 2 - 1),
    "pings": b"\x89\x00" * (CHUNK // 2),
    "pongs": b"\x8a\x00" * (CHUNK // 2),
}
#: What lets a message end after each flood.
END = {"empty fragments": b"\x80\x00", "pings": text(b""), "pongs": text(b"")}

flooded = pytest.mark.parametrize("name", FLOODS)


class Turns:
    """How many turns another task had."""

    def __init__(self) -> None:
        self.count = 0

    async def take(self) -> None:
        while True:
            self.count += 1
            await checkpoint()


def opened(early: bytes = b"") -> tuple[StreamWebSocket, MemoryStream]:
    ours, theirs = MemoryStream.pair()
    return StreamWebSocket(ours, Engine(2**24), 2**24, early), theirs


@flooded
async def test_other_tasks_have_their_turns(name: str) -> None:
    websocket, peer = opened()
    await peer.send(FLOODS[name])
    await peer.send(END[name])
    turns = Turns()
    async with anyio.create_task_group() as tg:
        tg.start_soon(turns.take)
        assert await websocket.receive() == [b""]
        tg.cancel_scope.cancel()
    assert turns.count >= CHUNK // 2 // ENGINE_FRAMES
    await websocket.aclose_forcefully()
    await peer.aclose()


@flooded
async def test_closing_can_be_cancelled_in_its_midst(name: str) -> None:
    websocket, peer = opened()
    await peer.send(FLOODS[name])
    turns = Turns()
    async with anyio.create_task_group() as tg:
        tg.start_soon(turns.take)
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                while turns.count < 20:
                    await checkpoint()
                scope.cancel()

            tg.start_soon(cancel)
            await websocket.aclose(1000, "")
        assert scope.cancelled_caught
        assert turns.count < 100
        await websocket.aclose_forcefully()
        tg.cancel_scope.cancel()
    await peer.aclose()


@flooded
async def test_cancelled_in_its_midst_nothing_is_lost(name: str) -> None:
    websocket, peer = opened()
    await peer.send(FLOODS[name] + END[name])
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tg:

            async def cancel() -> None:
                for _ in range(10):
                    await checkpoint()
                scope.cancel()

            tg.start_soon(cancel)
            await websocket.receive()
    assert await websocket.receive() == [b""]
    await websocket.aclose_forcefully()
    await peer.aclose()


@flooded
@pytest.mark.parametrize("glued", [False, True])
async def test_other_tasks_have_their_turns_on_every_socket(
    connected: Connected, name: str, glued: bool
) -> None:
    """A read, or the response to the handshake, is handled in portions of a bounded size."""
    frames = min(len(FLOODS[name]), 2**15) // 2
    flood = FLOODS[name][: 2 * frames] + END[name]

    async def script(peer: Peer) -> None:
        await peer.accept(glued=flood if glued else b"")
        if not glued:
            await peer.raw(flood)
        await peer.gone()

    turns = Turns()
    async with connected(script) as websocket, anyio.create_task_group() as tg:
        tg.start_soon(turns.take)
        assert await take(websocket, 1) == [""]
        tg.cancel_scope.cancel()
    assert turns.count >= frames // ENGINE_FRAMES - 1  # the first portion may come before
