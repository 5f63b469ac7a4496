"""Reading on while the network has more: what comes of it, and that nothing is lost by it."""

from __future__ import annotations

import anyio
import pytest
from websockets.frames import Opcode

from anygql.net.streams import NetworkStream
from anygql.websocket.sockets.base import WebSocketEnded
from anygql.websocket.sockets.engine import Engine
from anygql.websocket.sockets.stream import CHUNK, MAX_READS, StreamWebSocket
from tests.support.websocket_peer import close, frame, text

MAX_SIZE = 2**24


class Scripted(NetworkStream):
    """A stream whose reads are given: each is there at once."""

    bytes_sent = 0

    def __init__(self, reads: list[bytes]) -> None:
        self.reads = list(reads)
        self.has_ended = True

    def receive_nowait(self) -> bytes | None:
        if self.reads:
            return self.reads.pop(0)
        return b"" if self.has_ended else None

    async def wait_readable(self) -> None:
        await anyio.lowlevel.checkpoint()
        assert self.reads or self.has_ended, "it would have waited"

    def watch_idle(self, call: object) -> None:
        pass

    def write(self, data: bytes) -> bool:
        return True

    async def drain(self) -> None:
        await anyio.lowlevel.checkpoint()

    def close(self) -> None:
        pass

    async def send_eof(self) -> None:
        await anyio.lowlevel.checkpoint()


def opened(reads: list[bytes]) -> tuple[Scripted, StreamWebSocket]:
    stream = Scripted(reads)
    websocket = StreamWebSocket(stream, Engine(MAX_SIZE), MAX_SIZE, b"")
    websocket.is_full_batch = lambda count: False
    return stream, websocket


def chunks(count: int) -> tuple[list[bytes], list[bytes]]:
    """As many full reads, and one that is not, and the messages in them."""
    messages = [b"%d " % n + bytes([97 + n % 26]) * 990 for n in range(count * CHUNK // 1000)]
    wire = b"".join(map(text, messages))
    reads = [wire[start : start + CHUNK] for start in range(0, len(wire), CHUNK)]
    return reads, messages


async def test_what_waits_is_handed_out_together() -> None:
    reads, messages = chunks(2 * MAX_READS)
    stream, websocket = opened(reads)
    together = await websocket.receive()
    assert len(stream.reads) == len(reads) - MAX_READS
    assert len(b"".join(map(text, together))) > MAX_READS * CHUNK - 1000  # all but a torn one
    while len(together) < len(messages):
        together += await websocket.receive()
    assert together == messages
    assert not stream.reads


async def test_no_more_than_is_wanted() -> None:
    reads, messages = chunks(MAX_READS)
    stream, websocket = opened(reads)
    websocket.is_full_batch = lambda count: count >= 500
    got = await websocket.receive()
    assert len(stream.reads) == MAX_READS - 2
    websocket.is_full_batch = lambda count: True
    got += await websocket.receive()
    assert len(stream.reads) == MAX_READS - 3
    while len(got) < len(messages):
        got += await websocket.receive()
    assert got == messages


async def test_a_read_that_is_not_full_is_the_last() -> None:
    """There may be nothing more to come for a long time."""
    _, websocket = opened([text("one"), text("two")])
    assert await websocket.receive() == [b"one"]
    assert await websocket.receive() == [b"two"]


async def test_nothing_waits_behind_a_full_read() -> None:
    """A peer that sends just so much, and then waits for an answer, gets one."""
    exact = text(b"x" * (CHUNK - 10))
    assert len(exact) == CHUNK
    stream, websocket = opened([exact])
    stream.has_ended = False
    assert await websocket.receive() == [b"x" * (CHUNK - 10)]


async def test_the_end_comes_behind_what_came_before_it() -> None:
    reads, messages = chunks(2)
    reads[-1] += close(1001, "gone")
    _, websocket = opened(reads)
    assert await websocket.receive() == messages
    with pytest.raises(WebSocketEnded) as caught:
        await websocket.receive()
    assert (caught.value.code, caught.value.reason) == (1001, "gone")


async def test_a_ping_behind_them_is_answered() -> None:
    reads, messages = chunks(2)
    reads[-1] += frame(Opcode.PING, b"there?")
    _, websocket = opened(reads)
    asked: list[None] = []
    websocket.on_output = lambda: asked.append(None)
    assert await websocket.receive() == messages
    assert asked
    (pong,) = websocket._engine.writes
    assert pong[:1] == b"\x8a"
