"""Every way in which a connection ends, and what is told about it."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest
from websockets.frames import Opcode

from anygql.websocket.sockets.base import Connector, WebSocket, WebSocketEnded
from anygql.websocket.sockets.opening import Opening
from tests.support.sockets import Connected
from tests.support.websocket_peer import MemoryStream, Peer, close, frame, take, text

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("brief")]


async def end_of(websocket: WebSocket) -> WebSocketEnded:
    """How the connection ends; it must have nothing more to say."""
    with pytest.raises(WebSocketEnded) as caught:
        await websocket.receive()
    with pytest.raises(WebSocketEnded) as again:
        await websocket.receive()
    assert (again.value.code, again.value.ours) == (caught.value.code, caught.value.ours)
    assert again.value is not caught.value
    return caught.value


async def send_for_ever(websocket: WebSocket) -> None:
    while True:
        await websocket.send([b"x" * 100_000])


ENDINGS = {
    "normal": (close(1000, "bye"), 1000, "bye", False),
    "application": (close(4401, "Unauthorized"), 4401, "Unauthorized", False),
    "no status": (frame(Opcode.CLOSE), 1005, "", False),
    "binary": (frame(Opcode.BINARY, b"\x00"), 1003, None, True),
    "oversize": (text("x" * 1001), 1009, None, True),
    "oversize, announced only": (text("x" * 70_000)[:12], 1009, None, True),
    "oversize in characters of several bytes": (text("ż" * 501), 1009, None, True),
    "oversize in fragments": (
        frame(Opcode.TEXT, "x" * 600, fin=False) + frame(Opcode.CONT, "x" * 401),
        1009,
        None,
        True,
    ),
    "unknown opcode": (b"\x83\x00", 1002, None, True),
    "reserved bits": (b"\xf1\x00", 1002, None, True),
    "masked": (b"\x81\x80\x00\x00\x00\x00", 1002, None, True),
    "continuation of nothing": (frame(Opcode.CONT, b"x"), 1002, None, True),
    "message in a message": (frame(Opcode.TEXT, "x", fin=False) + text("x"), 1002, None, True),
    "long ping": (b"\x89\x7e\x00\x7e" + b"x" * 126, 1002, None, True),
    "forbidden close code": (b"\x88\x02\x03\xee", 1002, None, True),
    "short close frame": (b"\x88\x01\x03", 1002, None, True),
    "close reason not UTF-8": (b"\x88\x03\x03\xe8\xff", 1007, None, True),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_ending(connected: Connected, name: str, request: pytest.FixtureRequest) -> None:
    wire, code, reason, ours = ENDINGS[name]
    trio_websocket = request.node.callspec.params["connector"] == "trio-websocket"
    if trio_websocket and name == "oversize, announced only":
        # It looks at what has come, not at what is to come.
        wire = text("x" * 70_000)
    seen: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(text("one") + text("two") + wire)
        seen.append((await peer.closing())[0])
        await peer.gone()

    async with connected(script, max_message_size=1000) as websocket:
        assert await take(websocket, 2) == ["one", "two"]
        ended = await end_of(websocket)
        assert (ended.code, ended.ours) == (code, ours)
        if reason is not None:
            assert ended.reason == reason
        with pytest.raises(WebSocketEnded) as caught:
            await websocket.send([b"too late"])
        assert caught.value.code == code
        with pytest.raises(WebSocketEnded):
            await websocket.ping()
        await websocket.aclose(1000, "")
        await websocket.aclose_forcefully()
        while not seen:
            await anyio.sleep(0.001)
        assert seen == [code]


async def test_sending_when_the_server_has_closed_and_nobody_has_read_it(
    connected: Connected, request: pytest.FixtureRequest
) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(close(4401, "Unauthorized"))
        if reads_by_itself:
            await peer.closing()
        closed.set()
        await peer.gone()

    reads_by_itself = request.node.callspec.params["connector"] == "trio-websocket"
    async with connected(script) as websocket:
        await closed.wait()
        if reads_by_itself:
            with pytest.raises(WebSocketEnded) as caught:
                await websocket.send([b"too late"])
            assert (caught.value.code, caught.value.ours) == (4401, False)
        ended = await end_of(websocket)
        assert (ended.code, ended.reason, ended.ours) == (4401, "Unauthorized", False)


async def test_messages_that_are_not_utf_8(
    connected: Connected, request: pytest.FixtureRequest
) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(text(b"\xff"))
        await peer.gone()

    async with connected(script) as websocket:
        if request.node.callspec.params["connector"] == "stream":
            # Whoever decodes it finds out.
            assert await websocket.receive() == [b"\xff"]
        else:
            assert (await end_of(websocket)).code == 1007


@pytest.mark.parametrize("how", ["end", "reset", "within a frame", "within a message"])
async def test_a_lost_connection(connected: Connected, how: str) -> None:
    received = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(text("last words"))
        await received.wait()  # a reset throws away what is still under way
        if how == "within a frame":
            await peer.raw(text("not all")[:5])
        if how == "within a message":
            await peer.raw(frame(Opcode.TEXT, "not all", fin=False))
        if how == "reset":
            await peer.reset()

    async with connected(script) as websocket:
        assert await take(websocket, 1) == ["last words"]
        received.set()
        ended = await end_of(websocket)
        assert (ended.code, ended.ours) == (1006, False)
        with pytest.raises(WebSocketEnded) as caught:
            await send_for_ever(websocket)
        assert caught.value.code == 1006
        await websocket.aclose(1000, "")


async def test_sending_to_a_peer_that_is_gone(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.reset()

    async with connected(script) as websocket:
        with pytest.raises(WebSocketEnded) as caught:
            await send_for_ever(websocket)
        assert caught.value.code == 1006


async def test_sending_does_not_lose_what_came_before_the_end(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(b"".join(text(f"{n}") for n in range(10)) + close(4403, "Forbidden"))
        await peer.gone()

    async with connected(script) as websocket:
        # The first fails if the close frame has been read with the answer to the handshake.
        with suppress(WebSocketEnded):
            await websocket.send([b"x"])
        assert await take(websocket, 10) == [f"{n}" for n in range(10)]
        assert (await end_of(websocket)).code == 4403


async def test_the_closing_handshake(connected: Connected) -> None:
    seen: list[tuple[int, str]] = []
    done = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(text("unread"))
        seen.append(await peer.closing())
        await peer.raw(text("still under way") + close(1000))
        await peer.gone()
        done.set()

    async with connected(script) as websocket:
        await websocket.aclose(1000, "ż" * 100)
        await websocket.aclose_forcefully()
        await done.wait()
    assert seen == [(1000, "ż" * 61)]


async def test_a_server_that_closes_tcp_in_place_of_answering(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.closing()

    async with connected(script) as websocket:
        await websocket.aclose(1000, "")


async def test_a_server_that_closes_and_takes_no_answer(connected: Connected) -> None:
    """The answer can't be written, which uvloop finds out only after `send`."""
    was_read, was_reset = anyio.Event(), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(close(4400))
        await was_read.wait()
        await peer.reset()
        was_reset.set()

    async with connected(script) as websocket:
        assert (await end_of(websocket)).code == 4400
        was_read.set()
        await was_reset.wait()
        await websocket.aclose(1000, "")


async def test_a_server_that_never_answers_the_close_frame(connected: Connected) -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.closing()
        await peer.gone()
        gone.set()

    async with connected(script) as websocket:
        with anyio.move_on_after(0.05) as scope:
            await websocket.aclose(1000, "")
        assert scope.cancelled_caught
        await websocket.aclose_forcefully()
        await gone.wait()
        await websocket.aclose_forcefully()


async def test_letting_go_in_a_cancelled_scope(connected: Connected) -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.gone()
        gone.set()

    async with connected(script) as websocket:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await websocket.aclose_forcefully()
        await gone.wait()
        assert (await end_of(websocket)).code == 1006
        with pytest.raises(WebSocketEnded):
            await websocket.ping()
        with pytest.raises(WebSocketEnded):
            await websocket.send([b"x"])


class Breaking(MemoryStream):
    """A stream of the caller's own, of which a method fails when it is told to."""

    fails = ""

    async def send(self, item: bytes) -> None:
        if self.fails == "send":
            await anyio.lowlevel.checkpoint()
            raise anyio.BrokenResourceError
        await super().send(item)

    async def aclose(self) -> None:
        self._receive.close()
        self._send.close()
        if self.fails == "aclose":
            raise anyio.BrokenResourceError
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("what", ["send", "aclose"])
async def test_a_stream_of_the_callers_own_breaks(connector: Connector, what: str) -> None:
    to_us, from_them = anyio.create_memory_object_stream[bytes](100)
    to_them, from_us = anyio.create_memory_object_stream[bytes](100)
    ours, theirs = Breaking(from_them, to_them), MemoryStream(from_us, to_us)

    async def open_stream(host: str, port: int) -> Breaking:
        return ours

    async def serve() -> None:
        peer = Peer(theirs)
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            await peer.accept()
            await peer.echo()
        await theirs.aclose()

    connector = type(connector)(open_stream=open_stream)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tg:
            tg.start_soon(serve)
            websocket = await connector.connect(Opening("ws://localhost/"), tg)
            await websocket.send([b"x"])
            assert await take(websocket, 1) == ["x"]
            ours.fails = what
            if what == "send":
                with pytest.raises(WebSocketEnded) as caught:
                    await websocket.send([b"x"])
                assert caught.value.code == 1006
            await websocket.aclose(1000, "")
            await websocket.aclose_forcefully()
