"""All that is made of frames, by our engine and by what cuts text frames, is what websockets makes.

The same bytes go through websockets' engine, which reads every frame, and through
``MessageParser``; everything that comes out must be the same, after each piece.
"""

from __future__ import annotations

import struct
import sys
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from anygql.websocket.sockets import frames
from anygql.websocket.sockets.frames import FrameCutter, text_frames
from anygql.websocket.sockets.parser import MessageParser
from tests.support.amount import examples
from tests.support.frames import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    LIMITS,
    PING,
    PONG,
    RSV1,
    TEXT,
    Recorder,
    Stream,
    check_alike,
    deflated,
    frame,
    told,
)

# Any bytes at all: frames from a stock, as one draw is dear.

DATA = [
    b"",
    b"x",
    b'{"type":"ping"}',
    "żółw 🐢".encode(),
    b"\xff not UTF-8 \xed\xa0\x80",
    *[b"x" * size for size in (124, 125, 126, 127, 128, 200)],
]
LONG = [bytes([count]) * size for count, size in enumerate((0xFFFF, 0x10000, 0x10001, 70_000))]

TEXTS = [frame(data) for data in [*DATA, *DATA, *DATA, *LONG]]
CONTROLS = [frame(data, FIN | head) for head in (PING, PONG) for data in (b"", b"?", b"x" * 125)]
CROOKED = [frame(data, width=width) for width in (16, 64) for data in DATA]
COMPRESSED = [frame(deflated(data), FIN | RSV1 | TEXT) for data in DATA]


def fragmented(*pieces: bytes, squeeze: bool = False, between: bytes = b"") -> bytes:
    """A message in pieces, with something between them."""
    last = len(pieces) - 1
    frames = [
        frame(
            deflated(piece, more=number < last) if squeeze else piece,
            (FIN if number == last else 0)
            | (CONT if number else TEXT)
            | (RSV1 if squeeze and not number else 0),
        )
        for number, piece in enumerate(pieces)
    ]
    return between.join(frames)


FRAGMENTED = [
    fragmented(*pieces, between=between)
    for pieces in [(b"", b""), (b"a", b"b", b"c"), (b"x" * 126, b""), (b"\xc5", b"\xbc" * 200)]
    for between in [b"", *CONTROLS[::2]]
]
FRAGMENTED_COMPRESSED = [
    fragmented(b"one", b"x" * 300, b"two", squeeze=True, between=between)
    for between in [b"", *CONTROLS[::2]]
]

CLOSES = [
    frame(data, FIN | CLOSE)
    for data in [
        b"",
        b"\x03",
        *[struct.pack(">H", code) for code in (999, 1000, 1001, 1005, 1006, 1011, 4400)],
        b"\x03\xe8bye",
        b"\x03\xe8\xff",
        b"\x03\xe8" + b"x" * 123,
        b"\x03\xe8" + b"x" * 124,
    ]
]
#: Every head, with and without a mask, in each encoding of the length.
HEADS = [
    frame(data, head, width=width, masked=masked)
    for head in range(256)
    for data in (b"", b"never whole")
    for width in (None, 16, 64)
    for masked in (False, True)
]
BINARIES = [frame(data, head) for data in DATA for head in (BINARY, FIN | BINARY)]
OVERSIZE = [
    frame(b"x", head, width=64, length=length)
    for head in (FIN | TEXT, TEXT, FIN | CONT, FIN | PING)
    for length in ((1 << 24) + 1, 1 << 63, (1 << 64) - 1)
]
UNFINISHED = [frame(data, head) for data in DATA[:7] for head in (TEXT, CONT, RSV1 | TEXT)]
INTERRUPTED = [
    frame(b"begun", TEXT) + between + then
    for between in [b"", *CONTROLS[::2]]
    for then in [*TEXTS[:9], *CLOSES[:4], CROOKED[1], COMPRESSED[1]]
]

GOOD = [*TEXTS * 4, *CONTROLS * 4, *FRAGMENTED * 2, *CROOKED]
FINE = {
    False: st.sampled_from(GOOD),
    True: st.sampled_from([*GOOD, *COMPRESSED * 6, *FRAGMENTED_COMPRESSED * 4]),
}
WRONG = [CLOSES, HEADS, BINARIES, OVERSIZE, UNFINISHED, INTERRUPTED, COMPRESSED]
BAD = st.sampled_from([data for datas in WRONG for data in datas * (1000 // len(datas) + 1)])


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    deflate = draw(st.booleans())
    frames = draw(st.lists(FINE[deflate], max_size=8))
    if draw(st.booleans()):
        frames += draw(st.lists(BAD, max_size=2)) + draw(st.lists(FINE[deflate], max_size=2))
    wire = b"".join(frames)
    wire = wire[: len(wire) - draw(st.just(0) | st.integers(0, 12))]
    pieces = draw(st.builds(split, st.just(wire), st.lists(st.integers(0, len(wire)), max_size=8)))
    return Stream(
        pieces,
        draw(st.sampled_from(LIMITS)),
        deflate,
        draw(st.none() | st.none() | st.integers(0, len(pieces))),
        draw(st.booleans()),
    )


def split(wire: bytes, places: list[int]) -> list[bytes]:
    """The bytes torn in some places, or, if these are too many to be places, into crumbs."""
    if len(places) == 8 and len(wire) < 2000:
        size = 1 + places[0] % 5
        return [wire[at : at + size] for at in range(0, len(wire), size)]
    bounds = [0, *sorted(places), len(wire)]
    return [wire[start:stop] for start, stop in pairwise(bounds) if start < stop]


# A busy machine fails no test.
@pytest.mark.sampled
@settings(
    max_examples=examples(500),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(streams())
def test_any_stream_means_the_same(stream: Stream) -> None:
    steps = check_alike(stream)
    event(f"ends {steps[-1]['end'] if steps else None}")


# What is cut.

CUT = {
    "empty": [frame(b"")],
    "one byte": [frame(b"x")],
    "the longest in 7 bits": [frame(b"x" * 125)],
    "the shortest in 16 bits": [frame(b"x" * 126)],
    "the longest in 16 bits": [frame(b"x" * 0xFFFF)],
    "the shortest in 64 bits": [frame(b"x" * 0x10000)],
    "not UTF-8": [frame(b"\xff")],
    "several": [frame(b"x" * size) for size in (1, 126, 0, 70_000, 0, 0, 3, 70_000)],
}


@pytest.mark.parametrize("size", [1, 3, 1000, 1 << 16, 1 << 20])
@pytest.mark.parametrize("name", CUT)
def test_the_engine_never_sees_whole_text_messages(name: str, size: int) -> None:
    wire = b"".join(CUT[name])
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    protocol = Recorder(70_000)
    parser = MessageParser(protocol, 70_000, lambda payload: None)
    messages = [message for piece in pieces for message in parser.feed(piece)]
    assert [frame(message) for message in messages] == CUT[name]
    assert protocol.given == b""


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_the_engine_sees_everything_else_and_nothing_twice(size: int) -> None:
    ping, pong = frame(b"?", FIN | PING), frame(b"!", FIN | PONG)
    start, middle, last = frame(b"a", TEXT), frame(b"b", CONT), frame(b"c", FIN | CONT)
    crooked = frame(b"d", width=16)
    text = frame(b"x" * 200)
    parts = [text, ping, text, text, start, pong, middle, last, text, crooked, text, ping, pong]
    wire = b"".join(parts)
    protocol = Recorder(1000)
    pongs: list[bytes] = []
    parser = MessageParser(protocol, 1000, pongs.append)
    messages: list[bytes] = []
    for at in range(0, len(wire), size):
        messages += parser.feed(wire[at : at + size])
    x = b"x" * 200
    assert messages == [x, x, x, b"abc", x, b"d", x]
    assert pongs == [b"!", b"!"]
    assert protocol.given == b"".join(part for part in parts if part != text)


@pytest.mark.parametrize("count", [1, 300])
def test_pings_behind_a_binary_message_change_nothing(count: int) -> None:
    engine = Recorder(1000)
    parser = MessageParser(engine, 1000, lambda payload: None)
    wire = frame(b"one") + frame(b"x", FIN | BINARY) + frame(b"?", FIN | PING) * count
    assert parser.feed(wire + frame(b"two")) == [b"one"]
    assert told(parser.end) == (1003, "binary messages are not supported", True)
    assert engine.close_sent is not None
    assert engine.close_sent.code == 1003


# What ends a connection, right behind a message, in front of one, and torn anywhere.

LAST = {
    "a normal close": (frame(b"\x03\xe8bye", FIN | CLOSE), (1000, "bye", False)),
    "an empty close": (frame(b"", FIN | CLOSE), (1005, "", False)),
    "a close of one byte": (frame(b"\x03", FIN | CLOSE), (1002, "close frame too short", True)),
    "a close that isn't UTF-8": (
        frame(b"\x03\xe8\xff", FIN | CLOSE),
        (1007, "invalid start byte at position 0", True),
    ),
    "a binary message": (
        frame(b"x", FIN | BINARY),
        (1003, "binary messages are not supported", True),
    ),
    "a masked text": (frame(b"x", masked=True), (1002, "incorrect masking", True)),
    "a reserved bit": (frame(b"x", FIN | 0x20 | TEXT), (1002, "reserved bits must be 0", True)),
    "compression that was not agreed on": (
        frame(deflated(b"x"), FIN | RSV1 | TEXT),
        (1002, "reserved bits must be 0", True),
    ),
    "a reserved opcode": (frame(b"x", FIN | 0x3), (1002, "invalid opcode", True)),
    "a reserved control opcode": (frame(b"x", FIN | 0xB), (1002, "invalid opcode", True)),
    "a reserved opcode, its length to come": (
        frame(b"x", FIN | 0x3, width=16),
        (1002, "invalid opcode", True),
    ),
    "a masked ping, its length to come": (
        frame(b"x", FIN | PING, width=64, masked=True),
        (1002, "incorrect masking", True),
    ),
    "a fragment of nothing": (
        frame(b"x", FIN | CONT),
        (1002, "unexpected continuation frame", True),
    ),
    "a text inside of a message": (
        frame(b"x", TEXT) + frame(b"whole"),
        (1002, "expected a continuation frame", True),
    ),
    "a torn ping": (frame(b"x", PING), (1002, "fragmented control frame", True)),
    "a long ping": (frame(b"x" * 126, FIN | PING), (1002, "control frame too long", True)),
    "one byte too many": (
        frame(b"x" * 1001),
        (1009, "frame with 1001 bytes exceeds limit of 1000 bytes", True),
    ),
    "far too much": (
        frame(b"x", width=64, length=(1 << 64) - 1),
        (1009, f"frame with {(1 << 64) - 1} bytes exceeds limit of 1000 bytes", True),
    ),
    "too much, in fragments": (
        frame(b"x" * 999, TEXT) + frame(b"yy", FIN | CONT),
        (
            1009,
            "frame with 2 bytes after reading 999 bytes exceeds limit of 1000 bytes",
            True,
        ),
    ),
}


@pytest.mark.parametrize("size", [1, 2, 7, 5000])
@pytest.mark.parametrize("name", LAST)
def test_what_ends_a_connection(name: str, size: int) -> None:
    last, end = LAST[name]
    wire = frame(b"first") + frame(b"x" * 1000) + last + frame(b"never seen") + frame(b"", 0x89)
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    steps = check_alike(Stream(pieces, eof=False))
    assert steps[-1]["end"] == end
    assert [text for step in steps for text in step["messages"]] == [b"first", b"x" * 1000]


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize("name", [*CUT, *LAST])
def test_the_end_comes_in_the_middle(name: str, cut: int) -> None:
    wire = b"".join(CUT[name]) if name in CUT else LAST[name][0]
    check_alike(Stream([frame(b"first") + wire[:-cut]], 70_000))
    check_alike(Stream([frame(b"first") + wire[:cut]], 70_000))
    check_alike(Stream([wire[:cut], wire[cut:] + frame(b"")], 70_000, closing_after=1))


def test_a_message_in_crumbs_takes_no_more_memory_than_it_must() -> None:
    wire = frame(b"x" * (1 << 18))
    pieces = [wire[at : at + 2] for at in range(0, len(wire), 2)]
    cutter = FrameCutter(1 << 18)
    messages: list[bytes] = []
    tracemalloc.start()
    try:
        for piece in pieces:
            cutter.feed(piece)
            assert not cutter.cut(messages)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(message) for message in messages] == [1 << 18]
    assert peak < 3 << 18


def test_bytes_that_were_read_are_let_go() -> None:
    cutter = FrameCutter(1000)
    messages: list[bytes] = []
    tracemalloc.start()
    try:
        cutter.feed(frame(b"x" * 900) * 1000)
        assert not cutter.cut(messages)
        messages.clear()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000


# What we send.


def read_by_server(data: bytes) -> list[Frame]:
    server = Protocol(Side.SERVER, max_size=None)
    server.receive_data(data)
    assert server.parser_exc is None
    return server.events_received()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000, 100_000])
def test_our_frames_are_those_of_websockets(size: int) -> None:
    message = bytes(range(256)) * (size // 256 + 1)
    message = message[:size]
    ours = text_frames([message])
    (got,) = read_by_server(ours)
    assert (got.opcode, got.fin, bytes(got.data)) == (Opcode.TEXT, True, message)
    theirs = Frame(Opcode.TEXT, message).serialize(mask=True)
    header = len(theirs) - size - 4
    assert ours[:header] == theirs[:header]
    assert len(ours) == len(theirs)


def test_large_messages_without_the_c_extension_of_websockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    frames._mask_in_c.cache_clear()
    try:
        (got,) = read_by_server(text_frames([b"x" * 40_000]))
    finally:
        frames._mask_in_c.cache_clear()
    assert bytes(got.data) == b"x" * 40_000


@given(st.lists(st.sampled_from([*DATA, *LONG]), max_size=6))
def test_our_frames_stay_in_order(messages: list[bytes]) -> None:
    assert [bytes(got.data) for got in read_by_server(text_frames(messages))] == messages


def test_each_of_our_frames_has_a_key_of_its_own() -> None:
    wire = text_frames([bytes(16)] * 50)
    keys = [wire[at + 2 : at + 6] for at in range(0, len(wire), 22)]
    # Masked zeros are the key.
    assert all(wire[22 * n + 6 : 22 * n + 22] == key * 4 for n, key in enumerate(keys))
    assert len(set(keys)) > 45
