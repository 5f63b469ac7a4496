"""RFC 6455, case by case, against the default socket and a server that says anything.

The numbers are in the groups that testers of WebSockets have used for long: 1 framing, 2 pings and
pongs, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8, 7 the closing handshake, 9 limits, 12
compression; 8 is ours, for masks and lengths. Each case is sent whole and, if it is small, byte
by byte. Where the connection must live on, one more message has to come through.

By design, not by RFC 6455: binary messages are refused with 1003 (group 1.2), since GraphQL's
subprotocols have none; and UTF-8 is checked where text is read, so group 6 runs over a session.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from websockets.frames import Close, Opcode

from anygql import TransportProtocolError
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.testing.memory import memory_stream_pair
from anygql.websocket.sockets.base import WebSocketEnded
from anygql.websocket.sockets.opening import Opening
from anygql.websocket.sockets.stream import StreamConnector
from tests.promises.fuzz.conftest import CASE
from tests.support.clients import client_of
from tests.support.frames import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    frame,
)
from tests.support.websocket_peer import FAULTS, Peer

pytestmark = pytest.mark.table

PROBE = b"still there?"
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """What a server sends, and what must come of it."""

    number: str
    about: str
    wire: bytes
    messages: tuple[bytes, ...] = ()
    pongs: tuple[bytes, ...] = ()
    #: With what it ends, and whether it was us who ended it; else it lives on.
    code: int | None = None
    ours: bool = True
    #: The code of our close frame, if it is another.
    answer: int | None = None
    compression: bool = False


def close(data: bytes) -> bytes:
    return frame(data, FIN | CLOSE)


def code(number: int, reason: bytes = b"") -> bytes:
    return close(struct.pack(">H", number) + reason)


def fragments(data: bytes, size: int, between: bytes = b"") -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    last = len(pieces) - 1
    return between.join(
        frame(piece, (FIN if number == last else 0) | (CONT if number else TEXT))
        for number, piece in enumerate(pieces)
    )


def deflated(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _cases() -> list[Case]:
    cases: list[Case] = []
    add = cases.append
    for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
        data = b"*" * size
        about = f"a text of {size} bytes"
        add(Case(f"1.1.{number}", about, frame(data), (data,)))
        add(Case(f"1.2.{number}", f"binary, {size} bytes", frame(data, FIN | BINARY), code=1003))
    add(Case("2.1", "a ping without a payload", frame(b"", FIN | PING), pongs=(b"",)))
    add(Case("2.2", "a ping with text", frame(b"hello", FIN | PING), pongs=(b"hello",)))
    odd = bytes((0, 255, 254, 253, 0))
    add(Case("2.3", "a ping with bytes that are no text", frame(odd, FIN | PING), pongs=(odd,)))
    most = b"\xfe" * 125
    add(Case("2.4", "a ping of 125 bytes", frame(most, FIN | PING), pongs=(most,)))
    add(Case("2.5", "a ping of 126 bytes", frame(most + b"\xfe", FIN | PING), code=1002))
    add(Case("2.7", "a pong that nobody asked for", frame(b"", FIN | PONG)))
    add(Case("2.8", "the same with a payload", frame(b"what?", FIN | PONG)))
    add(Case("2.9", "the same, then a ping", frame(b"a", FIN | PONG) + frame(b"b", FIN | PING),
             pongs=(b"b",)))  # fmt: skip
    ten = tuple(b"%d" % n for n in range(10))
    add(Case("2.10", "ten pings", b"".join(frame(n, FIN | PING) for n in ten), pongs=ten))
    add(Case("2.11", "a pong of 126 bytes", frame(most + b"\xfe", FIN | PONG), code=1002))
    small = frame(b"before")
    for bits in range(1, 8):
        wire = small + frame(b"reserved", FIN | bits << 4 | TEXT)
        add(Case(f"3.{bits}", f"reserved bits {bits:03b}", wire, (b"before",), code=1002))
    add(Case("3.8", "a reserved bit in a ping", frame(b"", FIN | RSV1 | PING), code=1002))
    add(Case("3.9", "a reserved bit in a close frame", frame(b"", FIN | RSV1 | CLOSE), code=1002))
    for group, opcodes in (("1", range(3, 8)), ("2", range(11, 16))):
        for number, opcode in enumerate(opcodes, 1):
            wire = small + frame(b"?", FIN | opcode)
            about = f"the reserved opcode {opcode}"
            add(Case(f"4.{group}.{number}", about, wire, (b"before",), code=1002))
    add(Case("5.1", "a ping in fragments", frame(b"a", PING) + frame(b"b", FIN), code=1002))
    add(Case("5.2", "a pong in fragments", frame(b"a", PONG) + frame(b"b", FIN), code=1002))
    add(Case("5.3", "text in two fragments", fragments(b"fragment", 4), (b"fragment",)))
    add(Case("5.4", "text in eight", fragments(b"fragment", 1), (b"fragment",)))
    add(Case("5.5", "the first is empty", frame(b"", TEXT) + frame(b"a", FIN), (b"a",)))
    add(Case("5.6", "a ping between", fragments(b"fragment", 4, frame(b"p", FIN | PING)),
             (b"fragment",), (b"p",)))  # fmt: skip
    add(
        Case("5.7", "all are empty", frame(b"", TEXT) + frame(b"", 0) * 3 + frame(b"", FIN), (b"",))
    )
    wire = frame(b"a", TEXT) + code(1000) + frame(b"b", FIN)
    about = "a close frame between (our answer is the engine's)"
    add(Case("5.8", about, wire, code=1000, ours=False, answer=1002))
    for number, head in enumerate((FIN | CONT, CONT), 9):
        wire = frame(b"a", head) + frame(b"b")
        add(Case(f"5.{number}", "a fragment of nothing", wire, code=1002))
    add(Case("5.11", "a fragment of nothing behind a message",
             fragments(b"fine", 2) + frame(b"a", FIN | CONT), (b"fine",), code=1002))  # fmt: skip
    for number, head in enumerate((FIN | TEXT, TEXT, FIN | BINARY), 12):
        wire = frame(b"a", TEXT) + frame(b"b", head)
        add(Case(f"5.{number}", "a message within a message", wire, code=1002))
    add(Case("5.15", "binary in fragments", frame(b"a", BINARY) + frame(b"b", FIN), code=1003))
    add(Case("7.1.1", "a close frame", code(1000), code=1000, ours=False))
    add(Case("7.1.2", "two close frames", code(1000) * 2, code=1000, ours=False))
    add(Case("7.1.3", "a ping behind the close frame", code(1000) + frame(b"", FIN | PING),
             code=1000, ours=False))  # fmt: skip
    add(Case("7.1.4", "text behind the close frame", code(1000) + frame(b"late"),
             code=1000, ours=False))  # fmt: skip
    add(Case("7.1.5", "text before it", frame(b"soon") + code(1001), (b"soon",),
             code=1001, ours=False))  # fmt: skip
    add(Case("7.3.1", "no code", close(b""), code=1005, ours=False))
    add(Case("7.3.2", "half a code", close(b"\x03"), code=1002))
    add(Case("7.3.3", "a code alone", code(1000), code=1000, ours=False))
    add(Case("7.3.4", "a code and a reason", code(1000, b"bye"), code=1000, ours=False))
    add(Case("7.3.5", "the longest reason", code(1000, b"x" * 123), code=1000, ours=False))
    add(Case("7.3.6", "a longer reason", code(1000, b"x" * 124), code=1002))
    add(Case("7.3.7", "a close frame in fragments", frame(b"\x03\xe8", CLOSE), code=1002))
    add(Case("7.5.1", "a reason that is no UTF-8", code(1000, b"\xce\xba\xed\xa0\x80"), code=1007))
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
    for number, one in enumerate((*valid, 3000, 3999, 4000, 4999), 1):
        add(Case(f"7.7.{number}", f"the code {one}", code(one), code=one, ours=False))
    for number, one in enumerate((0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999), 1):
        add(Case(f"7.9.{number}", f"the code {one}", code(one), code=1002))
    for number, one in enumerate((5000, 65535), 1):
        add(Case(f"7.13.{number}", f"the code {one}", code(one), code=1002))
    add(Case("8.1", "a masked text", frame(b"mask", masked=True), code=1002))
    add(Case("8.2", "a masked ping", frame(b"", FIN | PING, masked=True), code=1002))
    for number, (width, size) in enumerate(((16, 125), (64, 125), (64, 65535)), 3):
        data = b"x" * size
        about = f"{size} bytes, with a length of {width} bits"
        add(Case(f"8.{number}", about, frame(data, width=width), (data,)))
    add(Case("8.6", "a length of more than 63 bits", frame(b"", width=64, length=1 << 63),
             code=1009))  # fmt: skip
    add(Case("8.7", "a ping with a length of 16 bits is let pass", frame(b"", FIN | PING, width=16),
             pongs=(b"",)))  # fmt: skip
    for number, size in enumerate((2**16, 2**18, MIB, 4 * MIB, 16 * MIB), 1):
        data = b"*" * size
        add(Case(f"9.1.{number}", f"a text of {size} bytes", frame(data), (data,)))
    big = b"*" * MIB
    for number, size in enumerate((64, 1024, 2**16, MIB), 1):
        about = f"a mebibyte in fragments of {size} bytes"
        add(Case(f"9.3.{number}", about, fragments(big, size), (big,)))
    add(Case("9.5.1", "a byte too many", frame(b"*" * (16 * MIB + 1)), code=1009))
    add(Case("9.5.2", "a byte too many, in fragments",
             fragments(b"*" * (16 * MIB + 1), 4 * MIB), code=1009))  # fmt: skip
    packed = frame(deflated(b"hello" * 9), FIN | RSV1 | TEXT)
    add(Case("12.1", "a compressed text", packed, (b"hello" * 9,), compression=True))
    add(Case("12.2", "one that is not, beside it", packed + frame(b"plain"),
             (b"hello" * 9, b"plain"), compression=True))  # fmt: skip
    half = deflated(b"hello" * 9)
    wire = frame(half[:3], RSV1 | TEXT) + frame(half[3:], FIN | CONT)
    add(Case("12.3", "the same in fragments", wire, (b"hello" * 9,), compression=True))
    wire = frame(half[:3], RSV1 | TEXT) + frame(half[3:], FIN | RSV1 | CONT)
    add(Case("12.4", "the bit in a later fragment", wire, code=1002, compression=True))
    add(Case("12.5", "what doesn't decompress", frame(b"\xff" * 9, FIN | RSV1 | TEXT),
             code=1002, compression=True))  # fmt: skip
    return cases


CASES = _cases()


class Talk:
    """One connection: the server's side in tasks, ours in ``client``."""

    def __init__(self, case: Case, size: int) -> None:
        self.case = case
        self.size = size
        self.messages: list[bytes] = []
        self.pongs: list[bytes] = []
        self.close: int | None = None
        self.end: WebSocketEnded | None = None

    async def run(self) -> None:
        ours, theirs = memory_stream_pair(2**18)
        peer = Peer(ours)

        async def open_stream(host: str, port: int) -> ByteStream:
            return theirs

        options: dict[str, Any] = {}
        if self.case.compression:
            options["connect_args"] = {"compression": "deflate"}
        async with anyio.create_task_group() as tg:
            tg.start_soon(self.serve, peer)
            opening = Opening("ws://memory/", **options)
            websocket = await StreamConnector(open_stream=open_stream).connect(opening, tg)
            output = anyio.Event()
            received = False

            def announce() -> None:
                output.set()

            async def write() -> None:
                nonlocal output
                while not received:
                    await output.wait()
                    output = anyio.Event()
                    await websocket.send([])

            websocket.on_output = announce
            with suppress(WebSocketEnded):
                async with anyio.create_task_group() as writing:
                    writing.start_soon(write)
                    await self.receive(websocket)
                    received = True
                    announce()
            end = self.end
            await websocket.aclose(end.code if end else 1000, "")
            await websocket.aclose_forcefully()
        await ours.aclose()

    async def receive(self, websocket: Any) -> None:
        try:
            while self.messages[-1:] != [PROBE]:
                self.messages += await websocket.receive()
        except WebSocketEnded as ended:
            self.end = ended

    async def serve(self, peer: Peer) -> None:
        if self.case.compression:
            await _accept_deflate(peer)
        else:
            await peer.accept()
        async with anyio.create_task_group() as tg:
            tg.start_soon(self.listen, peer)
            wire = self.case.wire if self.case.code is not None else self.case.wire + frame(PROBE)
            with suppress(*FAULTS):
                for at in range(0, len(wire), self.size):
                    await peer.raw(wire[at : at + self.size])

    async def listen(self, peer: Peer) -> None:
        # It may be in the middle of a frame when it is told that it is too long.
        with suppress(*FAULTS, anyio.BusyResourceError):
            while True:
                got = await peer.frame()
                if got.opcode is Opcode.PONG:
                    self.pongs.append(bytes(got.data))
                elif got.opcode is Opcode.CLOSE:
                    self.close = Close.parse(got.data).code
                    if self.case.code is None or self.case.ours:
                        await peer.raw(close(bytes(got.data)))
                    await peer.stream.aclose()


async def _accept_deflate(peer: Peer) -> None:
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    peer.protocol.available_extensions = [ServerPerMessageDeflateFactory()]
    await peer.accept()


@pytest.mark.parametrize("how", ["whole", "byte by byte"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number} {case.about}")
async def test_case(case: Case, how: str, record_property: Any) -> None:
    record_property(CASE, [case.number, case.about])
    if how != "whole" and len(case.wire) > 1000:
        how = "in pieces"
    size = {"whole": max(1, len(case.wire)), "in pieces": 65_521}.get(how, 1)
    talk = Talk(case, size)
    await talk.run()
    if case.code is None:
        assert talk.messages == [*case.messages, PROBE]
        assert talk.end is None
        assert talk.close == 1000
    else:
        assert talk.messages == [*case.messages]
        assert talk.end is not None
        assert (talk.end.code, talk.end.ours) == (case.code, case.ours)
        assert talk.close == (case.answer or case.code)
    assert talk.pongs == [*case.pongs]


# UTF-8, over a session.

VALID = [
    "κόσμε".encode(),
    "\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff".encode()
    .replace(b"\0", b"")
    .replace(b"\x7f", b""),
    "\ud7ff\ue000\ufffd\ufffe\uffff\ufdd0".encode(),
]
INVALID = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\x80",
    b"\xbf\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xed\xaf\xbf",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x90",
]
UTF_8 = [
    *[(f"6.{1 + group}.{number}", data, group)
      for group, datas in enumerate((INVALID, VALID))
      for number, data in enumerate(datas, 1)]
]  # fmt: skip


@pytest.mark.parametrize("size", [10**6, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(
    ("number", "data", "valid"), UTF_8, ids=[f"{row[0]} {row[1][:12]!r}" for row in UTF_8]
)
async def test_utf_8(number: str, data: bytes, valid: int, size: int, record_property: Any) -> None:
    kind = "valid" if valid else "invalid"
    record_property(CASE, [number, f"{kind} UTF-8: {data.hex()}"])
    message = b'{"type":"next","id":"1","payload":{"data":{"a":"%s"}}}' % data
    closed: tuple[int, str] | None = None

    async def script(conn: PeerConnection) -> None:
        nonlocal closed
        await conn.handshake()
        await conn.expect_type("subscribe")
        await conn.send_raw(fragments(message, size))
        closed = await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        client = client_of(peer)
        if valid:
            async with client as session:
                assert await session.execute("{ a }") == {"a": data.decode()}
        else:
            with pytest.raises(TransportProtocolError) as caught:
                async with client as session:
                    await session.execute("{ a }")
            assert caught.value.code == 1007
        with anyio.fail_after(5):
            while closed is None:
                await anyio.lowlevel.checkpoint()
    assert closed[0] == (1000 if valid else 1007)
