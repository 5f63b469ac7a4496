"""Everything that a peer can make grow, and what bounds it.

| what | bound |
|---|---|
| a WebSocket message, in one frame, in fragments or announced | ``max_message_size``: 1009 |
| what a compressed message or answer stands for | the same, ``max_response_size``; memory too |
| how deeply JSON is nested | the reader's: 4400, or delivered |
| the head of an answer | 64 KiB over WebSocket, h11's 100 KiB over HTTP |
| a server-sent event, a line of one, in crumbs | ``max_event_size``; memory in proportion |
| parts, their headers and bodies | ``max_part_size`` and its like; nothing stays of a part |
| patches that are announced | ``max_pending`` |
| messages for ids that nobody knows, acknowledgements, pongs, heartbeats | nothing stays |
| pings whose pongs the peer does not read | so many wait, and no more |
| what goes into messages and logs | cut |
| how long a server asks to be left alone | a day |
"""

from __future__ import annotations

import gc
import gzip
import json
import logging
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.lowlevel import checkpoint
from websockets.frames import Frame, Opcode

from anygql import (
    Client,
    HTTPTransport,
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
    TransportServerError,
    WebSocketTransport,
)
from anygql.exceptions import ProtocolViolation
from anygql.http.compression import PIECE, decompressor_for
from anygql.http.formats.multipart import MultipartParser, boundary_of
from anygql.http.formats.sse import EventStreamParser
from anygql.results.incremental import IncrementalMerge
from anygql.session.session import Session
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import WebSocketEnded
from tests.support.frames import FIN, RSV1, TEXT, frame
from tests.support.http_peer import Request, http, kept, peer

on_a_loop = pytest.mark.usefixtures("bounded", "brief")

KIB, MIB = 2**10, 2**20

#: The longest message of an error, in characters.
TOLD = 1000


class Memory:
    """What was allocated since: at most, and by now, in bytes."""

    peak = 0
    left = 0


@contextmanager
def measured() -> Generator[Memory]:
    memory = Memory()
    gc.collect()
    tracemalloc.start()
    try:
        yield memory
        memory.peak = tracemalloc.get_traced_memory()[1]
        gc.collect()
        memory.left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


Step = Callable[[PeerConnection], Awaitable[object]]


@asynccontextmanager
async def over_websocket(step: Step, **options: Any) -> AsyncGenerator[Session]:
    """A session with a peer that does this once it is acknowledged and was asked something."""

    async def script(conn: PeerConnection) -> None:
        try:
            await conn.handshake()
            await conn.expect_type("subscribe")
            await step(conn)
            await conn.wait_closed()
        except WebSocketEnded:
            return

    async with ScriptedPeer(script) as scripted:
        transport = WebSocketTransport(scripted.url, connector=scripted.connector(), **options)
        async with Client(transport) as session:
            yield session


def text(data: bytes, *, fin: bool = True, more: bool = False) -> Frame:
    return Frame(Opcode.CONT if more else Opcode.TEXT, data, fin)


# Messages.

LIMIT = 1000
OVERSIZE: dict[str, list[bytes]] = {
    "one frame": [text(b"x" * (LIMIT + 1)).serialize(mask=False)],
    "announced": [b"\x81\x7f" + (2**62).to_bytes(8) + b"x" * 10],
    "fragments": [
        text(b"x" * 400, fin=False).serialize(mask=False),
        *[text(b"x" * 400, fin=False, more=True).serialize(mask=False)] * 2,
    ],
    "crumbs": [
        text(b"", fin=False).serialize(mask=False),
        *[text(b"x", fin=False, more=True).serialize(mask=False)] * (LIMIT + 1),
    ],
}


@pytest.mark.parametrize("name", OVERSIZE)
@on_a_loop
async def test_a_message(name: str) -> None:
    async def oversize(conn: PeerConnection) -> None:
        await conn.send_raw(b"".join(OVERSIZE[name]))
        assert (await conn.wait_closed())[0] == 1009

    async with over_websocket(oversize, max_message_size=LIMIT) as session:
        with pytest.raises(TransportProtocolError) as caught:
            await session.execute("{ a }")
    assert caught.value.code == 1009
    assert not caught.value.retryable


@on_a_loop
async def test_fragments_without_anything_in_them() -> None:
    empty = text(b"", fin=False, more=True).serialize(mask=False)
    answer = b'{"type":"next","id":"1","payload":{"data":{"a":1}}}'

    async def endless(conn: PeerConnection) -> None:
        await conn.send_raw(text(b"", fin=False).serialize(mask=False))
        for _ in range(5):
            await conn.send_raw(empty * 1000)
        await conn.send_raw(text(answer, more=True).serialize(mask=False))

    async with over_websocket(endless, max_message_size=LIMIT) as session:
        with measured() as memory:
            assert await session.execute("{ a }") == {"a": 1}
    assert memory.left < 200 * KIB


@pytest.mark.table
@on_a_loop
async def test_a_compressed_message() -> None:
    encoder = zlib.compressobj(9, wbits=-15)
    bomb = encoder.compress(bytes(64 * MIB)) + encoder.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 100 * KIB
    packed = frame(bomb[:-4], FIN | RSV1 | TEXT)

    async def script(conn: PeerConnection) -> None:
        await conn.accept(headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
        await conn.send_raw(packed)
        await conn.wait_eof()

    async with ScriptedPeer(script) as scripted:
        transport = WebSocketTransport(
            scripted.url,
            connector=scripted.connector(),
            connect_args={"compression": "deflate"},
            max_message_size=MIB,
        )
        with measured() as memory:
            with pytest.raises(TransportProtocolError) as caught:
                async with Client(transport):
                    pass
    assert caught.value.code == 1009
    assert memory.peak < 8 * MIB


@pytest.mark.over_http
@pytest.mark.table
@on_a_loop
async def test_a_compressed_answer() -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    assert len(bomb) < 100 * KIB
    async with peer(http(bomb, content_encoding="gzip")) as server:
        transport = HTTPTransport(server.url, max_response_size=MIB)
        async with Client(transport) as session:
            with measured() as memory:
                with pytest.raises(TransportProtocolError, match="max_response_size"):
                    await session.execute("{ a }")
    assert memory.peak < 8 * MIB


@pytest.mark.over_http
@pytest.mark.table
@on_a_loop
async def test_a_compressed_refusal() -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    async with peer(http(bomb, "500 No", content_encoding="gzip")) as server:
        async with Client(server.url).connect(retry_execute=False) as session:
            with measured() as memory:
                with pytest.raises(TransportServerError) as caught:
                    await session.execute("{ a }")
    assert caught.value.code == 500
    assert memory.peak < 8 * MIB


def test_decompressing_goes_on_in_pieces() -> None:
    reader = decompressor_for("gzip")
    assert reader is not None
    total = len(reader.feed(gzip.compress(bytes(8 * MIB))))
    while reader.has_more:
        piece = reader.feed(b"")
        assert len(piece) <= PIECE
        total += len(piece)
    reader.close()
    assert total == 8 * MIB


# Depth.

DEPTHS = [10, *range(900, 1000, 10), 100_000]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"next","id":"1","payload":{"data":{"a":%s}}}',
        '{"type":"next","id":"1","payload":{"errors":[{"message":%s}]}}',
        '{"type":"error","id":"1","payload":[{"message":%s}]}',
        '{"type":"connection_error","payload":{"message":%s}}',
        '{"type":"ping","payload":%s}',
        '{"type":"unknown","payload":%s}',
    ],
    ids=["data", "errors", "error", "refusal", "ping", "unknown"],
)
@pytest.mark.parametrize("anyio_backend", ["trio"])
@on_a_loop
async def test_depth(message: str) -> None:
    """However deep, it is an answer or an error of the transport's."""
    for depth in DEPTHS:

        async def deep(conn: PeerConnection, depth: int = depth) -> None:
            await conn.send_text(message % nested(depth))
            await conn.send({"type": "complete", "id": "1"})

        try:
            async with over_websocket(deep) as session:
                await session.execute("{ a }")
        except TransportError as error:
            assert len(str(error)) < 3 * TOLD


@pytest.mark.parametrize("anyio_backend", ["trio"])
@on_a_loop
async def test_depth_before_the_acknowledgement() -> None:
    for depth in DEPTHS:

        async def refuse(conn: PeerConnection, depth: int = depth) -> None:
            await conn.accept()
            await conn.send_text(
                f'{{"type":"connection_error","payload":{{"message":{nested(depth)}}}}}'
            )
            await conn.wait_closed()

        async with ScriptedPeer(refuse) as scripted:
            transport = WebSocketTransport(scripted.url, connector=scripted.connector())
            with pytest.raises(TransportError) as caught:
                async with Client(transport):
                    pass
        assert len(str(caught.value)) < TOLD


@pytest.mark.over_http
@on_a_loop
async def test_depth_over_http() -> None:
    for depth in (10, 950, 100_000):
        body = f'{{"errors":[{{"message":{nested(depth)}}}]}}'
        for status in ("200 OK", "500 No"):
            async with peer(http(body, status)) as server:
                async with Client(server.url).connect(retry_execute=False) as session:
                    with pytest.raises(TransportError):
                        await session.execute("{ a }")


# Heads.


@on_a_loop
async def test_the_head_of_an_answer_over_websocket() -> None:
    async def endless(conn: PeerConnection) -> None:
        await conn.send_raw(b"HTTP/1.1 101 Switching Protocols\r\n")
        with pytest.raises(WebSocketEnded):
            while True:
                await conn.send_raw(b"X: " + b"y" * 1000 + b"\r\n")

    async with ScriptedPeer(endless) as scripted:
        transport = WebSocketTransport(scripted.url, connector=scripted.connector())
        with measured() as memory:
            with pytest.raises(TransportError, match="too long"):
                async with Client(transport):
                    pass
    assert memory.peak < 2 * MIB


@pytest.mark.over_http
@on_a_loop
async def test_the_head_of_an_answer_over_http() -> None:
    sent = 0

    async def endless(request: Request, stream: SocketStream) -> bool:
        nonlocal sent
        await stream.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send(b"X: " + b"y" * 1000 + b"\r\n")
            sent += 1000

    async with peer(endless) as server:
        async with Client(server.url).connect(retry_execute=False) as session:
            with pytest.raises(TransportError) as caught:
                await session.execute("{ a }")
        assert len(str(caught.value)) < TOLD


# Streams over HTTP.


@pytest.mark.parametrize("size", [2, 3, 100])
def test_a_line_in_crumbs(size: int) -> None:
    """As much memory as it has bytes, twice: not an object for each crumb."""
    limit = 64 * KIB
    events = EventStreamParser(max_event_size=limit)
    crumb = b"x" * size
    with measured() as memory:
        events.feed(b"data:")
        for _ in range(limit // size - 5):
            events.feed(crumb)
    assert memory.peak < 3 * limit
    with pytest.raises(ProtocolViolation) as caught:
        for _ in range(20):
            events.feed(crumb)
    assert caught.value.code == 1009


def test_events_leave_nothing() -> None:
    events = EventStreamParser()
    with measured() as memory:
        for number in range(5_000):
            events.feed(b"id: %d\ndata: x\n\n: comment\n\n" % number)
    assert memory.left < 20 * KIB


def test_parts_leave_nothing() -> None:
    reader = MultipartParser("multipart/mixed; boundary=-")
    with measured() as memory:
        for _ in range(5_000):
            reader.feed(b"\r\n---\r\nContent-Type: application/json\r\nA: b\r\n\r\n{}")
    assert memory.left < 20 * KIB


@pytest.mark.parametrize(
    "endless",
    [b"A: b\r\n", b"A", b" folded\r\n", b"A: " + b"b" * 999 + b"\r\n"],
    ids=["many", "one without an end", "folded", "long"],
)
def test_headers_of_a_part(endless: bytes) -> None:
    reader = MultipartParser("multipart/mixed; boundary=-")
    reader.feed(b"---\r\nA: b\r\n")
    with measured() as memory:
        with pytest.raises(ProtocolViolation) as caught:
            for _ in range(20_000):
                reader.feed(endless)
    assert caught.value.code == 1009
    assert memory.peak < 200 * KIB


def test_a_boundary_is_as_long_as_its_header() -> None:
    boundary = "b" * 100 * KIB
    assert boundary_of(f"multipart/mixed; boundary={boundary}") == boundary.encode()
    reader = MultipartParser(f"multipart/mixed; boundary={boundary}")
    with measured() as memory:
        for _ in range(400):
            assert reader.feed(b"\n--" + b"b" * KIB) == []
    assert memory.peak < MIB


def test_pending_patches() -> None:
    merge = IncrementalMerge()
    merge.add({"data": {}, "hasNext": True})
    with pytest.raises(ProtocolViolation, match="max_pending"):
        for start in range(0, 2**17, 1000):
            ids = [{"id": str(number), "path": []} for number in range(start, start + 1000)]
            merge.add({"pending": ids, "hasNext": True})


@pytest.mark.over_http
@on_a_loop
async def test_the_token_of_a_single_connection() -> None:
    answer = kept(http(b"t" * MIB, "201 Created", "text/plain"))
    async with peer(answer) as server:
        client = Client(HTTPTransport(server.url, single_connection=True))
        with pytest.raises(TransportProtocolError, match="token") as caught:
            async with client:
                pass
    assert len(str(caught.value)) < TOLD


# What nobody asked for.

UNASKED: dict[str, bytes] = {
    "results": b'{"type":"next","id":"%d","payload":{"data":{"a":1}}}',
    "errors": b'{"type":"error","id":"%d","payload":[{"message":"no"},{"message":"no"}]}',
    "ends": b'{"type":"complete","id":"%d"}',
    "acknowledgements": b'{"type":"connection_ack","payload":{"n":%d}}',
    "pongs": b'{"type":"pong","payload":{"n":%d}}',
    "pings": b'{"type":"ping","payload":{"n":%d}}',
}
MANY = 10_000


@pytest.mark.table
@pytest.mark.parametrize("name", UNASKED)
@on_a_loop
async def test_what_nobody_asked_for(name: str, anyio_backend: str) -> None:
    """So many messages leave nothing behind, and the operation gets its answer."""
    message = UNASKED[name]

    async def flood(conn: PeerConnection) -> None:
        for start in range(100, MANY, 500):
            frames = [text(message % number) for number in range(start, start + 500)]
            await conn.send_frames(*frames)
        await conn.send({"type": "next", "id": "1", "payload": {"data": {"a": 1}}})

    async def read_too(conn: PeerConnection) -> None:
        async with anyio.create_task_group() as tg:
            tg.start_soon(flood, conn)
            await conn.wait_closed()

    async with over_websocket(read_too) as session:
        with measured() as memory:
            assert await session.execute("{ a }") == {"a": 1}
        assert memory.left < 300 * KIB


@pytest.mark.table
@pytest.mark.parametrize("kind", ["of the protocol", "of the socket"])
@on_a_loop
async def test_pings_of_a_peer_that_does_not_read(kind: str) -> None:
    """Their pongs can't be sent, so most of them are not kept."""
    if kind == "of the protocol":
        ping = text(b'{"type":"ping"}').serialize(mask=False)
    else:
        ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=False)
    flooded = anyio.Event()
    go_on = anyio.Event()

    async def flood(conn: PeerConnection) -> None:
        for _ in range(40):
            await conn.send_raw(ping * 250)
        await conn.send({"type": "next", "id": "1", "payload": {"data": {"a": 1}}})
        flooded.set()
        await go_on.wait()

    async with over_websocket(flood) as session:
        with measured() as memory:
            assert await session.execute("{ a }") == {"a": 1}
            await flooded.wait()
        go_on.set()
    assert memory.left < 200 * KIB


@on_a_loop
async def test_refusals_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    said = {"type": "connection_error", "payload": {"message": "x" * MIB}}

    async def refuse(conn: PeerConnection) -> None:
        await conn.send(said)
        await conn.send({"type": "next", "id": "1", "payload": {"data": {"a": 1}}})

    with caplog.at_level(logging.WARNING):
        async with over_websocket(refuse) as session:
            assert await session.execute("{ a }") == {"a": 1}
    assert caplog.records
    assert all(len(record.getMessage()) < TOLD for record in caplog.records)


@on_a_loop
async def test_a_refusal_in_a_message() -> None:
    async def refuse(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send({"type": "connection_error", "payload": {"message": "x" * MIB}})
        await conn.wait_eof()

    async with ScriptedPeer(refuse) as scripted:
        transport = WebSocketTransport(scripted.url, connector=scripted.connector())
        with pytest.raises(TransportConnectionFailed) as caught:
            async with Client(transport):
                pass
    assert len(str(caught.value)) < TOLD


# Waiting.


@pytest.mark.parametrize(
    ("said", "wait"),
    [(b"3000", 3000), (b"9" * 8, 99_999_999), (b"9" * 9, None), (b"9" * 99, None), (b"-1", None)],
)
def test_retry_of_an_event(said: bytes, wait: int | None) -> None:
    events = EventStreamParser()
    events.feed(b"retry: " + said + b"\n\n")
    assert events.retry == wait


@pytest.mark.over_http
@pytest.mark.parametrize("id", ["\u017c\u00f3\u0142w", "\x01\x7f", "x" * 100_000])
@pytest.mark.usefixtures("soon")
@on_a_loop
async def test_the_id_of_an_event(id: str) -> None:
    """What the server names its events is said to it again, if HTTP can say it."""
    result = json.dumps({"data": {"n": 1}})
    event = f"id: {id}\nevent: next\ndata: {result}\n\n"
    complete = f"event: next\ndata: {result}\n\nevent: complete\ndata:\n\n"
    asked: list[Request] = []

    def answer(body: str) -> Any:
        async def send(request: Request, stream: SocketStream) -> bool:
            asked.append(request)
            await stream.send(http(body, kind="text/event-stream"))
            return False

        return send

    async with peer(answer(event), answer(complete)) as server:
        async with Client(server.url).connect(reconnecting=True) as session:
            found = 0
            try:
                async with session.subscribe("subscription { n }") as events:
                    async for _ in events:
                        found += 1
            except TransportError as error:
                assert len(str(error)) < TOLD
    assert found >= 1
    await checkpoint()
