"""Messages, whole and in pieces, both ways."""

from __future__ import annotations

import pytest
from websockets.frames import Opcode

from tests.support.sockets import Connected
from tests.support.websocket_peer import Peer, frame, take, text


async def echoing(peer: Peer) -> None:
    await peer.accept("graphql-transport-ws")
    await peer.echo()


async def test_messages_come_back_in_order(connected: Connected) -> None:
    async with connected(echoing, subprotocols=["graphql-transport-ws", "other"]) as websocket:
        assert websocket.subprotocol == "graphql-transport-ws"
        sent = [f"number {n}" for n in range(100)] + ["", "żółw 🐢", "long " * 50_000]
        await websocket.send([message.encode() for message in sent[:50]])
        await websocket.send([])
        await websocket.send([message.encode() for message in sent[50:]])
        assert await take(websocket, len(sent)) == sent


async def test_a_server_may_name_no_subprotocol(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.gone()

    async with connected(script, subprotocols=["graphql-ws"]) as websocket:
        assert websocket.subprotocol is None


async def test_messages_behind_the_handshake_are_not_lost(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(glued=text("one") + frame(Opcode.PING, b"?") + text("two") + b"\x81")
        await peer.raw(text("three")[1:])
        assert (await peer.frame()).opcode is Opcode.PONG
        await peer.raw(text("pong seen"))
        await peer.gone()

    async with connected(script) as websocket:
        assert await take(websocket, 3) == ["one", "two", "three"]
        await websocket.send([])
        assert await take(websocket, 1) == ["pong seen"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_torn_frames(connected: Connected, size: int) -> None:
    wire = b"".join(
        [
            text("whole"),
            frame(Opcode.TEXT, "fra", fin=False),
            frame(Opcode.PING, b"between"),
            frame(Opcode.CONT, "gm", fin=False),
            frame(Opcode.CONT, b"", fin=False),
            frame(Opcode.CONT, "ents"),
            text("x" * 200),
            text("y" * 300),
        ]
    )

    async def script(peer: Peer) -> None:
        await peer.accept()
        for start in range(0, len(wire), size):
            await peer.raw(wire[start : start + size])
        assert (await peer.frame()).data == b"between"
        await peer.gone()

    async with connected(script) as websocket:
        assert await take(websocket, 4) == ["whole", "fragments", "x" * 200, "y" * 300]
        await websocket.send([])


async def test_a_character_torn_between_fragments(connected: Connected) -> None:
    turtle = "🐢".encode()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(frame(Opcode.TEXT, turtle[:2], fin=False))
        await peer.raw(frame(Opcode.CONT, turtle[2:]))
        await peer.gone()

    async with connected(script) as websocket:
        assert await take(websocket, 1) == ["🐢"]


async def test_the_largest_message(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(text("x" * 1000))
        await peer.gone()

    async with connected(script, max_message_size=1000) as websocket:
        assert await take(websocket, 1) == ["x" * 1000]


async def test_pings_of_the_server_are_answered(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        for payload in (b"", b"1", b"x" * 125):
            await peer.raw(frame(Opcode.PING, payload) + text("a ping came"))
            pong = await peer.frame()
            assert (pong.opcode, pong.data) == (Opcode.PONG, payload)
        await peer.raw(text("all answered"))
        await peer.gone()

    async with connected(script) as websocket:
        for _ in range(3):
            assert await take(websocket, 1) == ["a ping came"]
            await websocket.send([])
        assert await take(websocket, 1) == ["all answered"]
