"""The head of a response, and the body of a refusal, in pieces of any size."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from anygql.exceptions import BODY_LIMIT
from anygql.net.errors import NotHTTP
from anygql.net.http1 import HEAD_LIMIT, ResponseHead, read_body, read_head
from anygql.testing.memory import MemoryStream, memory_stream_pair

pytestmark = pytest.mark.parametrize("size", [1, 7, 2**16])


@asynccontextmanager
async def said(data: bytes, size: int) -> AsyncGenerator[MemoryStream]:
    """Give the end of a connection on which a server has said this, and then closed."""
    ours, theirs = memory_stream_pair(buffer_size=2 * len(data) + 1)
    for at in range(0, len(data), size):
        await theirs.send(data[at : at + size])
    await theirs.aclose()
    async with ours:
        yield ours


async def test_a_head(size: int) -> None:
    head = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nX-A: 1\r\nx-a:  2 \r\n\r\n"
    async with said(head, size) as stream:
        response = await read_head(stream)
    assert response.status == 101
    assert response.headers == {"upgrade": "websocket", "x-a": "1, 2"}
    assert response.head == head


async def test_interim_heads_are_skipped(size: int) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with said(interim + b"HTTP/1.0 401\r\n\r\nno", size) as stream:
        response = await read_head(stream)
    assert (response.status, response.headers) == (401, {})
    assert b"no".startswith(response.rest)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SSH-2.0\r\n\r\n", "isn't HTTP"),
        (b"HTTP/2 200\r\n\r\n", "isn't HTTP"),
        (b"HTTP/1.1 900 What\r\n\r\n", "status line"),
        (b"HTTP/1.1 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nnothing\r\n\r\n", "no header"),
    ],
)
async def test_what_is_not_http(size: int, data: bytes, message: str) -> None:
    async with said(data, size) as stream:
        with pytest.raises(NotHTTP, match=message):
            await read_head(stream)


async def test_a_head_without_an_end(size: int) -> None:
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_LIMIT + 1)
    async with said(endless, max(size, 2**12)) as stream:
        with pytest.raises(NotHTTP, match="too long"):
            await read_head(stream)


async def test_the_end_in_the_middle(size: int) -> None:
    async with said(b"HTTP/1.1 200 OK\r\nX: 1\r\n", size) as stream:
        with pytest.raises(anyio.EndOfStream):
            await read_head(stream)


@pytest.mark.parametrize(
    ("headers", "data", "body"),
    [
        ({"content-length": "4"}, b"gone, and more", "gone"),
        ({"content-length": "4"}, b"go", "go"),
        ({}, b"until the end", "until the end"),
        ({"transfer-encoding": "chunked"}, b"2\r\ngo\r\n2;x=y\r\nne\r\n0\r\n\r\n", "gone"),
        ({"transfer-encoding": "Chunked"}, b"2\r\ngo\r\n9\r\nne", "gone"),
        ({"transfer-encoding": "chunked"}, b"2\r\ngo\r\nzz\r\nne", "go"),
        ({}, b"\xff", "\ufffd"),
        ({}, b"x" * (BODY_LIMIT + 10), "x" * BODY_LIMIT),
    ],
)
async def test_a_body(size: int, headers: dict[str, str], data: bytes, body: str) -> None:
    head = ResponseHead(403, headers, b"", b"")
    async with said(data, size) as stream:
        assert await read_body(stream, head) == body
