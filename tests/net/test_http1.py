"""Responses, in pieces of any size: as a table of bytes, and beside h11."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import h11
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from anygql.exceptions import BODY_LIMIT, CutOff
from anygql.net.errors import NotHTTP
from anygql.net.http1 import (
    HEAD_LIMIT,
    MAX_HEADERS,
    MAX_INTERIM,
    ResponseHead,
    ResponseParser,
    read_body,
    read_head,
)
from anygql.testing.memory import MemoryStream, memory_stream_pair

OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"Content-Length: 2\r\n\r\nok"
INTERIM_CODING = b"HTTP/1.1 100\r\nTransfer-Encoding: chunked Continue\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO = b"2\r\nok\r\n0\r\n\r\n"

#: What becomes of the connection.
KEPT, CLOSED = True, False
#: The body ends with the stream.
UNTIL_END = None


class Answer(NamedTuple):
    """What was read of a response."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_reusable: bool | None


def ok(reusable: bool | None = KEPT, body: bytes = b"ok", status: int = 200, **more: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return Answer(status, headers, body, reusable)


def sized(reusable: bool | None = KEPT, length: str = "2", **more: str) -> Answer:
    return ok(reusable, content_length=length, **more)


def chunked(reusable: bool | None = KEPT, **more: str) -> Answer:
    return ok(reusable, transfer_encoding="chunked", **more)


def read(pieces: Sequence[bytes]) -> Answer:
    """Feed these pieces, and then the end of the stream unless the response is complete."""
    parser = ResponseParser()
    for piece in pieces:
        parser.feed(piece)
    reusable: bool | None = parser.is_reusable
    if not parser.is_complete:
        parser.feed_eof()
        reusable = UNTIL_END
    assert parser.is_complete
    assert parser.head is not None
    body = b"".join(parser.pieces)
    return Answer(parser.head.status, dict(parser.head.headers), body, reusable)


def ways(data: bytes) -> Iterator[list[bytes]]:
    """The bytes whole, byte by byte, and split at every point (of many, at some)."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))] if len(data) < 2000 else [data]
    points: Sequence[int] = range(1, len(data))
    if len(data) >= 2000:
        points = random.Random(len(data)).sample(points, 20)
    for at in points:
        yield [data[:at], data[at:]]


ANSWERS: dict[str, tuple[bytes, Answer]] = {
    # Where a body ends.
    "length": (SIZED, sized()),
    "length with spaces": (OK + b"Content-Length: \t2 \t\r\n\r\nok", sized()),
    "length with zeros": (OK + b"Content-Length: 02\r\n\r\nok", sized(length="02")),
    "length with many zeros": (
        OK + b"Content-Length: " + b"0" * 5000 + b"2\r\n\r\nok",
        sized(length="0" * 5000 + "2"),
    ),
    "no length": (OK + b"\r\nok", ok(UNTIL_END)),
    "no length, kept in vain": (
        OK + b"Connection: keep-alive\r\n\r\nok",
        ok(UNTIL_END, connection="keep-alive"),
    ),
    "nothing until the end": (OK + b"\r\n", ok(UNTIL_END, b"")),
    "empty": (
        OK + b"Content-Length: 0\r\n\r\n",
        ok(KEPT, b"", content_length="0"),
    ),
    "equal lengths": (
        OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        sized(),
    ),
    "equal lengths in one": (OK + b"Content-Length: 2, 2\r\n\r\nok", sized()),
    "chunks": (CHUNKED + TWO, chunked()),
    "chunks in capitals": (
        OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n" + TWO,
        ok(transfer_encoding="Chunked"),
    ),
    "several chunks": (CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", chunked()),
    "chunks with zeros": (CHUNKED + b"002\r\nok\r\n000\r\n\r\n", chunked()),
    "chunk extensions": (
        CHUNKED + b'2;a=b;c;d="e\tf"\r\nok\r\n0;x=y\r\n\r\n',
        chunked(),
    ),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\nSet-Cookie: a=b\r\n\r\n", chunked()),
    "empty trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX:\r\n\r\n", chunked()),
    "trailer that closes": (
        CHUNKED + b"2\r\nok\r\n0\r\nConnection: close\r\n\r\n",
        chunked(CLOSED),
    ),
    "chunks before a length": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + TWO,
        chunked(CLOSED),
    ),
    "chunks behind a length": (
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + TWO,
        chunked(CLOSED),
    ),
    # Statuses without a body.
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", ok(KEPT, b"", 204)),
    "204 of no bytes": (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        ok(KEPT, b"", 204, content_length="0"),
    ),
    "204 with a length": (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
        ok(CLOSED, b"", 204, content_length="2"),
    ),
    "204 with chunks": (
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ok(CLOSED, b"", 204, transfer_encoding="chunked"),
    ),
    "304 with a length": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        ok(KEPT, b"", 304, content_length="2"),
    ),
    "304 with chunks": (
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        ok(KEPT, b"", 304, transfer_encoding="chunked"),
    ),
    "304 with a body": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok",
        ok(CLOSED, b"", 304, content_length="2"),
    ),
    # Interim responses.
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + SIZED,
        sized(),
    ),
    "much interim": (b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INTERIM + SIZED, sized()),
    # What becomes of the connection.
    "close": (
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
        sized(CLOSED, connection="close"),
    ),
    "close among others": (
        OK + b"Connection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        sized(CLOSED, connection="x, Close"),
    ),
    "close in a second header": (
        OK + b"Connection: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        sized(CLOSED, connection="x, close"),
    ),
    "close chunks": (
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + TWO,
        chunked(CLOSED, connection="close"),
    ),
    "an upgrade that may be": (
        OK + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        sized(connection="upgrade", upgrade="h2c"),
    ),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", sized(CLOSED)),
    "1.0 kept": (
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
        sized(connection="Keep-Alive"),
    ),
    "1.0 until the end": (b"HTTP/1.0 200 OK\r\n\r\nok", ok(UNTIL_END)),
    "1.0 chunks": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + TWO,
        chunked(CLOSED, connection="keep-alive"),
    ),
    # Behind the response.
    "junk": (SIZED + b"x", sized(CLOSED)),
    "an empty line": (SIZED + b"\r\n", sized(CLOSED)),
    "half an empty line": (SIZED + b"\r", sized(CLOSED)),
    "a second response": (SIZED + OK + b"Content-Length: 3\r\n\r\nbad", sized(CLOSED)),
    "a second response behind close": (
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok" + SIZED,
        sized(CLOSED, connection="close"),
    ),
    "junk behind an empty body": (
        OK + b"Content-Length: 0\r\n\r\n" + SIZED,
        ok(CLOSED, b"", content_length="0"),
    ),
    "junk behind chunks": (CHUNKED + TWO + b"x", chunked(CLOSED)),
    "an empty line behind chunks": (CHUNKED + TWO + b"\r\n", chunked(CLOSED)),
    "a line break behind chunks": (CHUNKED + TWO + b"\n", chunked(CLOSED)),
    "a second response behind chunks": (CHUNKED + TWO + SIZED, chunked(CLOSED)),
    "a second head behind chunks": (
        CHUNKED + TWO + b"HTTP/1.1 204 No Content\r\n\r\n",
        chunked(CLOSED),
    ),
    "half a second response behind chunks": (
        CHUNKED + TWO + OK + b"\r\nbad\r\n\r\n",
        chunked(CLOSED),
    ),
    "chunks behind chunks": (CHUNKED + TWO + CHUNKED + TWO, chunked(CLOSED)),
    # Headers.
    "of one name": (
        OK + b"X: 1\r\nContent-Length: 2\r\nx:  2 \r\nY:\r\n\r\nok",
        Answer(200, {"x": "1, 2", "content-length": "2", "y": ""}, b"ok", KEPT),
    ),
    "beyond ASCII": (
        OK + b"Content-Length: 2\r\nX: \xe9\r\n\r\nok",
        sized(x="\xe9"),
    ),
    "folded": (
        OK + b"Content-Length:\r\n 2\r\nX: a\r\n\t b\r\n\r\nok",
        Answer(200, {"x": "a b", "content-length": "2"}, b"ok", KEPT),
    ),
    "another name": (
        OK + b"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nok",
        Answer(200, {"transfer_encoding": "chunked", "content-length": "2"}, b"ok", KEPT),
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", sized()),
    "an empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", sized()),
    "as many headers as there may be": (
        OK + b"X: \r\n" * (MAX_HEADERS - 1) + b"Content-Length: 2\r\n\r\nok",
        sized(x=", " * (MAX_HEADERS - 2)),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer(name: str) -> None:
    data, expected = ANSWERS[name]
    for pieces in ways(data):
        assert read(pieces) == expected, pieces


_NOT = "isn't HTTP/1.1"
_LINE = "status line"
_MALFORMED = "malformed"
_BARE = "without a carriage return"
_CODING = "transfer coding"

REFUSED: dict[str, tuple[bytes, str]] = {
    "another protocol": (b"RTSP/1.0 200 OK\r\n\r\n", _NOT),
    "yet another": (b"ICE/1.0 200 OK\r\n\r\n", _NOT),
    "HTTP/2": (b"HTTP/2.0 200 OK\r\n\r\n", _NOT),
    "HTTP/2 in short": (b"HTTP/2 200\r\n\r\n", _NOT),
    "HTTP/0.9": (b"<html>", _NOT),
    "SSH": (b"SSH-2.0-x\r\n\r\n", _NOT),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x16", _NOT),
    "a line break first": (b"\r\n" + SIZED, _NOT),
    "small letters": (b"http/1.1 200 OK\r\n\r\n", _NOT),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\n\r\n", _LINE),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", _LINE),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", _LINE),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", _LINE),
    "a status that is none": (b"HTTP/1.1 900 What\r\n\r\n", _LINE),
    "no space before the reason": (b"HTTP/1.1 200OK\r\n\r\n", _LINE),
    "two spaces": (b"HTTP/1.1  200 OK\r\n\r\n", _LINE),
    "NUL in the reason": (b"HTTP/1.1 200 O\0K\r\n\r\n", _LINE),
    "escape in the reason": (b"HTTP/1.1 200 \x1b[2J\r\n\r\n", _LINE),
    "CR in the reason": (b"HTTP/1.1 200 O\rK\r\n\r\n", f"{_LINE}|{_BARE}"),
    "bare LF behind the status line": (b"HTTP/1.1 200 OK\nX: y\r\n\r\n", f"{_LINE}|{_BARE}"),
    "bare LF in the head": (OK + b"X: y\nZ: w\r\n\r\n", f"{_MALFORMED}|{_BARE}"),
    "bare LF at the end of the head": (OK + b"X: y\n\nok", _BARE),
    "bare LF in the empty line": (OK + b"X: y\r\n\nok", _BARE),
    "CR in a header": (OK + b"X: a\rb\r\n\r\n", _MALFORMED),
    "CR before a value": (OK + b"Content-Length:\r 2\r\n\r\nok", _MALFORMED),
    "NUL in a header": (OK + b"X: a\0b\r\n\r\n", _MALFORMED),
    "escape in a header": (OK + b"X: a\x1bb\r\n\r\n", _MALFORMED),
    "DEL in a header": (OK + b"X: a\x7fb\r\n\r\n", _MALFORMED),
    "no colon": (OK + b"nothing\r\n\r\n", _MALFORMED),
    "no name": (OK + b": x\r\n\r\n", _MALFORMED),
    "a space in a name": (OK + b"X y: z\r\n\r\n", _MALFORMED),
    "a space before the colon": (OK + b"Content-Length : 2\r\n\r\nok", _MALFORMED),
    "a name beyond ASCII": (OK + b"\xe9: x\r\n\r\n", _MALFORMED),
    "a fold before the first header": (
        OK + b" Content-Length: 5\r\nContent-Length: 2\r\n\r\nok",
        "before the first header",
    ),
    "different lengths": (
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "several lengths",
    ),
    "different lengths in one": (OK + b"Content-Length: 2, 3\r\n\r\nok", "several lengths"),
    "a length and nothing": (OK + b"Content-Length: 2,\r\n\r\nok", "several lengths"),
    "equal lengths that are none": (OK + b"Content-Length: +2, +2\r\n\r\nok", _MALFORMED),
    "an empty length": (OK + b"Content-Length:\r\n\r\nok", _MALFORMED),
    "a negative length": (OK + b"Content-Length: -2\r\n\r\nok", _MALFORMED),
    "a length with a sign": (OK + b"Content-Length: +2\r\n\r\nok", _MALFORMED),
    "a length in hexadecimal": (OK + b"Content-Length: 0x2\r\n\r\nok", _MALFORMED),
    "a length of Python's": (OK + b"Content-Length: 2_0\r\n\r\nok", _MALFORMED),
    "a length with a fraction": (OK + b"Content-Length: 2.0\r\n\r\nok", _MALFORMED),
    "a length in other digits": (
        OK + "Content-Length: \N{SUPERSCRIPT TWO}\r\n\r\nok".encode("latin-1"),
        _MALFORMED,
    ),
    "a length that is none beside chunks": (
        CHUNKED[:-2] + b"Content-Length: x\r\n\r\n" + TWO,
        "a length that can't be read",
    ),
    "a huge length": (OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nok", _MALFORMED),
    "a coding that ends in chunked": (OK + b"Transfer-Encoding: xchunked\r\n\r\n" + TWO, _CODING),
    "compressed chunks": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + TWO, _CODING),
    "compressed chunks in two": (
        OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + TWO,
        _CODING,
    ),
    "chunks twice": (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + TWO, _CODING),
    "chunks and nothing": (OK + b"Transfer-Encoding: chunked,\r\n\r\n" + TWO, _CODING),
    "chunks before a tab": (OK + b"Transfer-Encoding: chunked\t\r\n\r\n" + TWO, _CODING),
    "chunks with a parameter": (OK + b"Transfer-Encoding: chunked;x\r\n\r\n" + TWO, _CODING),
    "identity": (OK + b"Transfer-Encoding: identity\r\n\r\nok", _CODING),
    "chunks before a vertical tab": (
        OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + TWO,
        _MALFORMED,
    ),
    "a switch of protocols": (
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "not asked for",
    ),
    "an interim response with a body": (
        b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok" + SIZED,
        "announces a body",
    ),
    "an interim response with a length": (
        b"HTTP/1.1 103 Early Hints\r\ncontent-length: 0\r\n\r\n" + SIZED,
        "announces a body",
    ),
    "an interim response in chunks": (
        b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n" + SIZED,
        "announces a body",
    ),
    "an interim response of an unknown coding": (INTERIM_CODING + SIZED, "announces a body"),
    "an interim response that is wrong": (
        b"HTTP/1.1 100 Continue\r\n\nX: y\r\n\r\n" + SIZED,
        f"{_MALFORMED}|{_BARE}",
    ),
    "an interim response with a fold": (
        b"HTTP/1.1 100 Continue\r\nX: y\r\n z\r\n\r\n" + SIZED,
        _MALFORMED,
    ),
    "endless interim responses": (b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1), "interim"),
    "a long head": (OK + b"X: " + b"x" * HEAD_LIMIT, "too long"),
    "a long head with an end": (OK + b"X: " + b"x" * HEAD_LIMIT + b"\r\n\r\n", "too long"),
    "a long line": (b"HTTP/1.1 200 " + b"x" * HEAD_LIMIT, "too long"),
    "too many headers": (OK + b"X: \r\n" * (MAX_HEADERS + 1) + b"\r\n", "too many headers"),
    "a negative chunk": (CHUNKED + b"-2\r\nok", _MALFORMED),
    "a chunk with a sign": (CHUNKED + b"+2\r\nok", _MALFORMED),
    "a chunk in Python's hexadecimal": (CHUNKED + b"0x2\r\nok", _MALFORMED),
    "a chunk with a space before": (CHUNKED + b" 2\r\nok", _MALFORMED),
    "a chunk with a space behind": (CHUNKED + b"2 \r\nok", _MALFORMED),
    "a chunk of no size": (CHUNKED + b"\r\nok", _MALFORMED),
    "a chunk of another size": (CHUNKED + b"g\r\nok", _MALFORMED),
    "a chunk of a size that overflows": (CHUNKED + b"1" + b"0" * 16 + b"\r\nok", _MALFORMED),
    "a chunk that is too long": (CHUNKED + b"2\r\nokk\r\n0\r\n\r\n", _MALFORMED),
    "a chunk that is too short": (CHUNKED + b"3\r\nok\r\n0\r\n\r\n", _MALFORMED),
    "bare LF behind a size": (CHUNKED + b"2\nok\r\n0\r\n\r\n", _MALFORMED),
    "bare LF behind a chunk": (CHUNKED + b"2\r\nok\n0\r\n\r\n", _MALFORMED),
    "bare LF in an extension": (CHUNKED + b"2;\nok\r\n0\r\n\r\n", _MALFORMED),
    "bare LF at the end of chunks": (CHUNKED + b"2\r\nok\r\n0\r\n\n", _MALFORMED),
    "NUL in an extension": (CHUNKED + b"2;\0\r\nok", _MALFORMED),
    "a trailer without a colon": (CHUNKED + b"2\r\nok\r\n0\r\nX\r\n\r\n", _MALFORMED),
    "a folded trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n z\r\n\r\n", _MALFORMED),
    "a length in a trailer": (
        CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 5\r\n\r\n",
        _MALFORMED,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    data, message = REFUSED[name]
    for pieces in ways(data):
        with pytest.raises(NotHTTP, match=message):
            read(pieces)


@pytest.mark.parametrize("name", ["endless trailers", "an endless trailer", "endless extensions"])
def test_what_has_no_end(name: str) -> None:
    start, more = {
        "endless trailers": (b"2\r\nok\r\n0\r\n", b"X: y\r\n" * 100),
        "an endless trailer": (b"2\r\nok\r\n0\r\nX: ", b"y" * 1000),
        "endless extensions": (b"2", b";x=y" * 200),
    }[name]
    parser = ResponseParser()
    parser.feed(CHUNKED + start)
    fed = 0
    with pytest.raises(NotHTTP, match="between the chunks"):
        while True:
            parser.feed(more)
            fed += len(more)
            assert fed < 2 * HEAD_LIMIT
    assert fed > HEAD_LIMIT - 2 * len(more)


def test_extensions_of_many_chunks_are_no_matter() -> None:
    parser = ResponseParser()
    parser.feed(CHUNKED)
    for _ in range(1000):
        parser.feed(b"1;x=" + b"y" * 200 + b"\r\nz\r\n")
    parser.feed(b"0\r\n\r\n")
    assert parser.is_reusable
    assert b"".join(parser.pieces) == b"z" * 1000


@pytest.mark.parametrize(
    "name", [name for name, (_, answer) in ANSWERS.items() if answer.is_reusable is KEPT]
)
def test_the_end_at_each_point(name: str) -> None:
    """A response that breaks off isn't taken for a complete one, wherever it does."""
    data, _ = ANSWERS[name]
    points = range(len(data)) if len(data) < 2000 else range(0, len(data), 997)
    for end in points:
        parser = ResponseParser()
        if end:
            parser.feed(data[:end])
        assert parser.has_begun == bool(end)
        assert not parser.is_complete
        with pytest.raises(CutOff):
            parser.feed_eof()
        assert not parser.is_reusable


def test_the_end_behind_a_response() -> None:
    parser = ResponseParser()
    parser.feed(SIZED)
    assert parser.is_reusable
    parser.feed_eof()
    assert parser.is_complete
    assert not parser.is_reusable


def test_one_after_the_other_on_one_connection() -> None:
    """Whatever can be followed by a response, followed by any other."""
    reusable = [row for row in ANSWERS.values() if row[1].is_reusable is KEPT]
    chance = random.Random(1)
    parser = ResponseParser()
    for number in range(300):
        data, expected = chance.choice(reusable)
        if number:
            parser.start()
        for piece in chance.choice(list(ways(data)) if len(data) < 300 else [[data]]):
            parser.feed(piece)
        assert parser.head is not None
        found = (parser.head.status, dict(parser.head.headers), b"".join(parser.pieces))
        assert (*found, parser.is_reusable) == expected


def test_cookies_are_told_apart() -> None:
    parser = ResponseParser()
    parser.feed(OK + b"Set-Cookie: a=b, c\r\nset-cookie: d=e\r\nContent-Length: 0\r\n\r\n")
    assert parser.head is not None
    assert parser.head.cookies == ["a=b, c", "d=e"]
    assert parser.head.headers["Set-Cookie"] == "a=b, c, d=e"
    parser.start()
    parser.feed(SIZED)
    assert parser.head.cookies == []


def test_headers_by_any_name() -> None:
    parser = ResponseParser()
    parser.feed(SIZED)
    assert parser.head is not None
    headers = parser.head.headers
    assert headers["CONTENT-Length"] == "2"
    assert headers.get("other") is headers.get("\N{SNOWMAN}") is None
    for name in ("other", "\N{SNOWMAN}"):
        assert name not in headers
        with pytest.raises(KeyError):
            headers[name]
    assert list(headers) == ["content-length"]
    assert len(headers) == 1
    assert headers == {"content-length": "2"}
    assert headers != {"content-length": "3"}
    assert "content-length" in repr(headers)


# Beside h11.

NAMES = ["X", "Content-Type", "Set-Cookie", "Date", "Keep-Alive", "Connection", "x-Y"]
VALUES = ["", "1", "a b", "keep-alive", "close", "x,close", "text/html; charset=x", "\xe9", "a\tb"]
FRAMINGS = ["length", "chunks", "end", "none"]


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A response that is right in every way."""
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    status = draw(st.sampled_from([200, 200, 201, 204, 304, 400, 404, 500, 599]))
    framing = draw(st.sampled_from(FRAMINGS))
    body = draw(st.binary(max_size=30))
    headers = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4))
    if framing == "length" and status != 204:
        headers.append(("Content-Length", str(len(body))))
    elif framing == "chunks" and status != 204 and version == "1.1":
        headers.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "Chunked"]))))
    else:
        framing = "end"
    if status in {204, 304}:
        body = b""
    elif framing == "chunks":
        sizes = draw(st.lists(st.integers(1, 20), max_size=3))
        extension = draw(st.sampled_from([b"", b";a=b", b";c"]))
        body = _in_chunks(body, sizes, extension)
        body += draw(st.sampled_from([b"\r\n", b"X: y\r\n\r\n", b"X:\r\nY: z\r\n\r\n"]))
    draw(st.randoms(use_true_random=False)).shuffle(headers)
    interim = draw(st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"]))
    reason = draw(st.sampled_from([" OK", " ", " No \xe9"]))
    lines = [f"HTTP/{version} {status}{reason}", *(f"{name}: {value}" for name, value in headers)]
    return interim + "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _in_chunks(body: bytes, sizes: Sequence[int], extension: bytes) -> bytes:
    chunks = b""
    for size in [*sizes, len(body)]:
        piece, body = body[:size], body[size:]
        if piece:
            chunks += b"%x%b\r\n%b\r\n" % (len(piece), extension, piece)
    return chunks + b"0\r\n"


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A response of which some bytes are others, or something stands behind it."""
    data = draw(responses() | st.sampled_from([row[0] for row in SHORT]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 1, 1, 2, 8]))
        new = draw(st.sampled_from(SPECIAL) | st.binary(max_size=3))
        data = data[:at] + new + data[at + size :]
    return data + draw(st.sampled_from([b"", b"", b"", b"\r\n", b"x", SIZED, CHUNKED + TWO]))


SHORT = [row for row in (*ANSWERS.values(), *REFUSED.values()) if len(row[0]) < 400]
SPECIAL = [
    *(b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b",", b";", b":", b"0", b"1"),
    *(b"\r\n ", b"\r\nContent-Length: 2", b"\r\nTransfer-Encoding: chunked", b"HTTP/1.0 ", b"-"),
]


def of_h11(data: bytes) -> Answer | None:
    """Return what h11 makes of the bytes, and of the end of the stream; None if it refuses them."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    status, headers, body, ended = 0, {}, b"", False
    connection.receive_data(data)
    try:
        while True:
            found: Any = connection.next_event()
            if found is h11.NEED_DATA:
                if ended:
                    return None
                ended = True
                connection.receive_data(b"")
            elif isinstance(found, h11.Response):
                status = found.status_code
                headers = _joined(found.headers)
            elif isinstance(found, h11.Data):
                body += bytes(found.data)
            elif isinstance(found, h11.EndOfMessage):
                break
            elif not isinstance(found, h11.InformationalResponse) or found.status_code == 101:
                return None
    except h11.RemoteProtocolError:
        return None
    kept = connection.their_state is h11.DONE and connection.trailing_data[0] == b""
    return Answer(status, headers, body, UNTIL_END if ended else kept)


def _joined(headers: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode(), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def of_ours(data: bytes, points: Sequence[int]) -> Answer | None:
    pieces = [
        data[start:end] for start, end in zip([0, *points], [*points, len(data)], strict=True)
    ]
    try:
        return read([piece for piece in pieces if piece])
    except (NotHTTP, CutOff):
        return None


#: Where a response is cut into pieces, by its length.
CUTS = st.lists(st.integers(0, 2**16), max_size=3)


def split(cuts: Sequence[int], response: bytes) -> list[int]:
    return sorted(cut % (len(response) + 1) for cut in cuts)


def normal(answer: Answer | None) -> Answer | None:
    """Return the answer without what differs on purpose, and means nothing."""
    if answer is None:
        return None
    headers = {
        # h11 says in small letters what it understands, and has a length once.
        name: " ".join(value.lower().split())
        for name, value in answer.headers.items()
        if name != "content-length"
    }
    return answer._replace(headers=headers)


def is_kept_by_1_0(data: bytes) -> bool:
    """HTTP/1.0 with "keep-alive": h11 closes, as old proxies may mean another connection."""
    return b"HTTP/1.0 " in data


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(response=responses(), cuts=CUTS)
def test_as_h11(response: bytes, cuts: list[int]) -> None:
    ours, theirs = normal(of_ours(response, split(cuts, response))), normal(of_h11(response))
    assert theirs is not None
    assert ours is not None
    if is_kept_by_1_0(response) and ours.is_reusable:
        ours = ours._replace(is_reusable=CLOSED)
    assert ours == theirs


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(response=mutated(), cuts=CUTS)
@example(response=INTERIM_CODING + SIZED, cuts=[])
def test_never_more_trusting_than_h11(response: bytes, cuts: list[int]) -> None:
    """What is wrong is refused, or means what it means to h11; or the connection is closed."""
    points = split(cuts, response)
    ours, theirs = normal(of_ours(response, points)), normal(of_h11(response))
    assert ours == normal(of_ours(response, [])), "the pieces matter"
    if ours is None:
        event("refused" if theirs is None else "refused by us alone")
    elif theirs is None:
        raise AssertionError(f"accepted by us alone: {ours}")
    else:
        assert ours[:3] == theirs[:3]
        if ours.is_reusable and not theirs.is_reusable:
            assert is_kept_by_1_0(response)


# Heads and bodies on a stream.

on_streams = pytest.mark.parametrize(
    ("anyio_backend", "size"), [("asyncio", 1), ("trio", 7), ("asyncio", 2**16)]
)


@asynccontextmanager
async def said(data: bytes, size: int) -> AsyncGenerator[MemoryStream]:
    """Give the end of a connection on which a server has said this, and then closed."""
    ours, theirs = memory_stream_pair(buffer_size=2 * len(data) + 1)
    for at in range(0, len(data), size):
        await theirs.send(data[at : at + size])
    await theirs.aclose()
    async with ours:
        yield ours


@on_streams
async def test_a_head(size: int) -> None:
    head = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nX-A: 1\r\nx-a:  2 \r\n\r\n"
    async with said(head, size) as stream:
        response = await read_head(stream)
    assert response.status == 101
    assert response.headers == {"upgrade": "websocket", "x-a": "1, 2"}
    assert response.head == head


@on_streams
async def test_interim_heads_are_skipped(size: int) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with said(interim + b"HTTP/1.0 401\r\n\r\nno", size) as stream:
        response = await read_head(stream)
    assert (response.status, response.headers) == (401, {})
    assert b"no".startswith(response.rest)


@on_streams
async def test_what_follows_the_head_of_a_tunnel(size: int) -> None:
    """The first bytes of the tunnel are no body, whatever the head says of one."""
    head = OK + b"Content-Length: 2\r\n\r\n"
    async with said(head + b"\x16\x03\x01", size) as stream:
        response = await read_head(stream)
        rest = response.rest + b"".join([piece async for piece in stream])
    assert rest == b"\x16\x03\x01"


@on_streams
@pytest.mark.parametrize(
    "name", ["SSH", "HTTP/2 in short", "no status", "no colon", "NUL in a header"]
)
async def test_what_is_no_head(size: int, name: str) -> None:
    data, message = REFUSED[name]
    async with said(data, size) as stream:
        with pytest.raises(NotHTTP, match=message):
            await read_head(stream)


@on_streams
async def test_a_head_without_an_end(size: int) -> None:
    async with said(REFUSED["a long head"][0], max(size, 2**12)) as stream:
        with pytest.raises(NotHTTP, match="too long"):
            await read_head(stream)


@on_streams
async def test_the_end_in_the_middle(size: int) -> None:
    async with said(b"HTTP/1.1 200 OK\r\nX: 1\r\n", size) as stream:
        with pytest.raises(anyio.EndOfStream):
            await read_head(stream)


@on_streams
@pytest.mark.parametrize(
    ("header", "data", "body"),
    [
        (b"Content-Length: 4\r\n", b"gone, and more", "gone"),
        (b"Content-Length: 4\r\n", b"go", "go"),
        (b"", b"until the end", "until the end"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\ngo\r\n2;x=y\r\nne\r\n0\r\n\r\n", "gone"),
        (b"Transfer-Encoding: Chunked\r\n", b"2\r\ngo\r\n9\r\nne", "gone"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\ngo\r\nzz\r\nne", "go"),
        (b"Transfer-Encoding: gzip\r\n", b"go", ""),
        (b"", b"\xff", "\ufffd"),
        (b"", b"x" * (BODY_LIMIT + 10), "x" * BODY_LIMIT),
    ],
)
async def test_a_body(size: int, header: bytes, data: bytes, body: str) -> None:
    async with said(b"HTTP/1.1 403 Forbidden\r\n" + header + b"\r\n" + data, size) as stream:
        response = await read_head(stream)
        assert isinstance(response, ResponseHead)
        assert await read_body(stream, response) == body


def test_no_message_quotes_the_server() -> None:
    secret = b"s3cret"
    for data, _ in REFUSED.values():
        with pytest.raises(NotHTTP) as caught:
            read([re.sub(rb"X", secret, data)])
        assert "s3cret" not in str(caught.value)
