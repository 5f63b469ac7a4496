"""Requests over HTTP, cut out of bytes."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from anygql.testing.http_messages import RequestParser, ServerRequest

GET = b"GET /graphql?query=a HTTP/1.1\r\nHost: h\r\nAccept: a\r\naccept: b\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\nTrailer: t\r\n\r\n"
)


def parse(*pieces: bytes, limit: int | None = 100) -> RequestParser:
    parser = RequestParser(limit)
    for piece in pieces:
        parser.feed(piece)
    return parser


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_requests_follow_each_other_however_they_are_cut(size: int) -> None:
    text = GET + POST + CHUNKED + GET
    parser = parse(*(text[at : at + size] for at in range(0, len(text), size)))
    assert parser.refusal is None
    assert [(request.method, request.path, request.body) for request in parser.requests] == [
        ("GET", "/graphql?query=a", b""),
        ("POST", "/", b"abc"),
        ("POST", "/", b"abc"),
        ("GET", "/graphql?query=a", b""),
    ]
    first, *_, chunked, _ = parser.requests
    assert first.headers.get_all("ACCEPT") == ["a", "b"]
    assert "Trailer" not in chunked.headers
    assert "Accept" not in repr(first)


@pytest.mark.parametrize(
    ("request_", "keep_alive"),
    [
        (GET, True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", False),
    ],
)
def test_whether_the_connection_stays_open(request_: bytes, keep_alive: bool) -> None:
    parser = parse(request_, b"x" if not keep_alive else b"")
    assert [request.keep_alive for request in parser.requests] == [keep_alive]


@pytest.mark.parametrize(
    ("pieces", "limit", "status"),
    [
        ([b"nonsense\r\n\r\n"], 100, HTTPStatus.BAD_REQUEST),
        ([GET, b"nonsense\r\n\r\n"], 100, HTTPStatus.BAD_REQUEST),
        ([b"GET / HTTP/1.1\r\n", *[b"A: b\r\n"] * 11_000], 100, HTTPStatus(431)),
        ([CHUNKED[:-2], *[b"A: b\r\n"] * 11_000], 100, HTTPStatus(431)),
        ([POST], 2, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ([POST[:-3]], 2, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ([CHUNKED], 2, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_what_is_refused(pieces: list[bytes], limit: int, status: HTTPStatus) -> None:
    parser = parse(*pieces, limit=limit)
    assert parser.refusal is status
    before = list(parser.requests)
    parser.feed(GET)
    assert list(parser.requests) == before


def test_there_may_be_no_limit() -> None:
    assert parse(POST, limit=None).requests[0].body == b"abc"


def test_websockets_and_expectations() -> None:
    text = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c, WebSocket\r\nExpect: 100-Continue\r\n\r\n"
    parser = RequestParser(None)
    parser.feed(text)
    request: ServerRequest = parser.requests[0]
    assert request.is_websocket
    assert request.expects_continue
