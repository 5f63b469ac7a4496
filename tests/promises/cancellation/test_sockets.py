"""Cancelling at every point: nothing is lost, nothing is left."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from contextlib import suppress

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from websockets.frames import Opcode

from anygql.exceptions import TransportError
from anygql.websocket.sockets.base import Connector, WebSocket, WebSocketEnded
from anygql.websocket.sockets.opening import Opening
from tests.support.sockets import Connected
from tests.support.websocket_peer import Peer, Script, frame, refusing, serving, take, text

COUNT = 300


async def silent(peer: Peer) -> None:
    await peer.gone()


async def half_a_head(peer: Peer) -> None:
    await peer.head()
    await peer.raw(b"HTTP/1.1 101 Swi")
    await peer.gone()


async def half_a_body(peer: Peer) -> None:
    await peer.head()
    await peer.raw(refusing(["HTTP/1.1 401 Unauthorized"], b"half of"))
    await peer.gone()


async def tunnel_without_end(peer: Peer) -> None:
    await peer.head()
    await peer.raw(refusing(["HTTP/1.1 200 OK"]))
    await peer.gone()


async def accepting(peer: Peer) -> None:
    await peer.accept()
    await peer.gone()


async def attempt(connector: Connector, opening: Opening, tg: TaskGroup) -> None:
    with suppress(TransportError):
        websocket = await connector.connect(opening, tg)
        await websocket.aclose_forcefully()


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize(
    "script", [silent, half_a_head, half_a_body, tunnel_without_end, accepting]
)
async def test_connecting_cancelled_after_so_many_steps(
    connector: Connector,
    script: Script,
    scheme: str,
    proxied: bool,
    client_tls: ssl.SSLContext,
    server_tls: ssl.SSLContext,
) -> None:
    """The peer sees that nothing is held on to, and no task is left."""
    left: list[int] = []
    came: list[int] = []

    async def counted(peer: Peer) -> None:
        came.append(1)
        try:
            if script is accepting and proxied:
                await peer.head()
                await peer.raw(refusing(["HTTP/1.1 200 OK"]))
            if script is accepting and scheme == "wss":
                await peer.start_tls(server_tls)
            await script(peer)
        finally:
            left.append(1)

    before = {task.id for task in anyio.get_running_tasks()}
    with anyio.fail_after(20):
        async with serving(counted) as port:
            arguments = {"proxy": f"http://127.0.0.1:{port}"} if proxied else {}
            opening = Opening(
                f"{scheme}://127.0.0.1:{port}/", ssl=client_tls, connect_args=arguments
            )
            for steps in range(30):
                async with anyio.create_task_group() as tg:
                    tg.start_soon(attempt, connector, opening, tg)
                    for _ in range(steps):
                        await checkpoint()
                    tg.cancel_scope.cancel()
            while len(left) < len(came):
                await checkpoint()
    assert came
    assert {task.id for task in anyio.get_running_tasks()} == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_connecting_cancelled_natively(connector: Connector) -> None:
    with anyio.fail_after(20):
        async with serving(half_a_head) as port, anyio.create_task_group() as tg:
            for steps in range(30):
                opening = Opening(f"ws://127.0.0.1:{port}/")
                task = asyncio.create_task(attempt(connector, opening, tg))
                for _ in range(steps):
                    await checkpoint()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task


async def numbers(peer: Peer) -> None:
    """Messages by the number, with fragments, pings and tears between."""
    await peer.accept()
    wire = b"".join(
        text(f"{n}")
        if n % 3
        else frame(Opcode.TEXT, f"{n}"[:1], fin=False) + frame(Opcode.CONT, f"{n}"[1:])
        for n in range(COUNT)
    )
    start = 0
    for size in itertools.cycle([1, 40, 3, 200]):
        if start >= len(wire):
            break
        await peer.raw(wire[start : start + size])
        start += size
        await checkpoint()
    await peer.gone()


async def cancel_after(scope: anyio.CancelScope, steps: int) -> None:
    for _ in range(steps):
        await checkpoint()
    scope.cancel()


async def test_receiving_cancelled_over_and_over(connected: Connected) -> None:
    got: list[str] = []
    async with connected(numbers) as websocket:
        for steps in itertools.cycle([0, 1, 2, 3, 5, 9]):
            if len(got) == COUNT:
                break
            async with anyio.create_task_group() as tg:
                tg.start_soon(cancel_after, tg.cancel_scope, steps)
                got.extend(await take(websocket, 1))
    assert got == [f"{n}" for n in range(COUNT)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_receiving_cancelled_natively(connected: Connected) -> None:
    got: list[str] = []

    async def receive(websocket: WebSocket) -> None:
        got.extend(await take(websocket, 1))

    async with connected(numbers) as websocket:
        for steps in itertools.cycle([0, 1, 2, 3, 5]):
            if len(got) == COUNT:
                break
            task = asyncio.create_task(receive(websocket))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
    assert got == [f"{n}" for n in range(COUNT)]


async def test_receiving_is_a_checkpoint(connected: Connected) -> None:
    async def ending(peer: Peer) -> None:
        await peer.accept(glued=text("early"))

    async with connected(ending) as websocket:
        for _ in range(3):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await websocket.receive()
            assert scope.cancelled_caught
        assert await take(websocket, 1) == ["early"]
        with pytest.raises(WebSocketEnded):
            await websocket.receive()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await websocket.receive()
        assert scope.cancelled_caught


async def test_closing_after_the_owner_was_cancelled(connector: Connector) -> None:
    """The reader outlives the cancellation for as long as the closing handshake needs it."""
    seen: list[tuple[int, str]] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(text("unread") * 10)
        seen.append(await peer.closing())
        await peer.raw(frame(Opcode.CLOSE, b"\x03\xe8"))
        await peer.gone()
        seen.append((0, "gone"))

    with anyio.fail_after(20):
        async with serving(script) as port, anyio.create_task_group() as outer:
            async with anyio.create_task_group() as tg:
                opening = Opening(f"ws://127.0.0.1:{port}/")
                websocket = await connector.connect(opening, tg)
                tg.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    for _ in range(10):
                        await checkpoint()
                    await websocket.aclose(1001, "going")
                    await websocket.aclose_forcefully()
            while len(seen) < 2:
                await checkpoint()
            outer.cancel_scope.cancel()
    assert seen == [(1001, "going"), (0, "gone")]


async def test_sending_cancelled(connected: Connected) -> None:
    """Half a frame may be on the wire, so nothing may follow it."""
    gone = anyio.Event()
    waiting, done_reading, go_on = anyio.Event(), anyio.Event(), anyio.Event()
    got = b""

    async def script(peer: Peer) -> None:
        nonlocal got
        await peer.accept()
        # Under asyncio, an accepted stream reads ahead without limit until it has waited once.
        waiting.set()
        await peer.stream.receive()
        done_reading.set()
        await go_on.wait()
        with anyio.move_on_after(5):
            while True:
                try:
                    got += await peer.stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    break
        gone.set()

    async with connected(script) as websocket:
        await waiting.wait()
        await websocket.send([b"first"])
        await done_reading.wait()
        with anyio.move_on_after(0.1) as scope:
            await websocket.send([b"x" * 2**24])
        assert scope.cancelled_caught
        with pytest.raises(WebSocketEnded):
            await websocket.send([b"y"])
        go_on.set()
        await websocket.aclose_forcefully()
        await gone.wait()
    assert len(got) < 2**24
