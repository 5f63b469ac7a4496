"""Connections over HTTP: kept open, cut off, refused, left."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from graphql import build_schema

from anygql import Client, TransportConnectionFailed, TransportServerError
from anygql.testing import GraphQLServer, demo_schema


def post(query: str, *headers: str, version: str = "1.1") -> bytes:
    body = json.dumps({"query": query}).encode()
    lines = [f"POST / HTTP/{version}", "Host: h", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def converse(server: GraphQLServer, *pieces: bytes) -> bytes:
    """Send bytes, and return all that comes until the server has closed."""
    received = b""
    async with await server.open_stream() as stream:
        for piece in pieces:
            await stream.send(piece)
        with anyio.fail_after(30):
            while True:
                try:
                    received += await stream.receive()
                except anyio.EndOfStream:
                    return received


async def test_requests_share_a_connection_and_its_port_with_websockets() -> None:
    async with GraphQLServer(demo_schema()) as server:
        with pytest.raises(RuntimeError, match="isn't listening"):
            _ = server.http_url
        url = await server.listen()
        assert server.http_url == url.replace("ws:", "http:")
        async with Client(url) as one, Client(server.http_url) as other:
            assert await one.execute("mutation { increment }") == {"increment": 1}
            for number in (2, 3):
                assert await other.execute("mutation { increment }") == {"increment": number}
        assert [request.method for request in server.requests] == ["POST", "POST"]
        assert len(server.connections) == 1


async def test_pipelined_and_torn_requests() -> None:
    text = (
        post("{ counter }") + post("{ hello }") + post("{ add(a: 1, b: 2) }", "Connection: close")
    )
    async with GraphQLServer(demo_schema()) as server:
        received = await converse(server, *(text[at : at + 50] for at in range(0, len(text), 50)))
    assert [json.loads(body)["data"] for body in re.findall(rb"{.*?}}", received)] == [
        {"counter": 0},
        {"hello": "Hello world!"},
        {"add": 3},
    ]
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert received.count(b"Connection: close\r\n") == 1


async def test_http_1_0_ends_a_stream_by_closing() -> None:
    async with GraphQLServer(demo_schema()) as server:
        text = post("subscription { countdown(from: 0) }", version="1.0")
        head, _, body = (await converse(server, text)).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert (
        body == b':\n\nevent: next\ndata: {"data":{"countdown":0}}\n\nevent: complete\ndata: \n\n'
    )


async def test_the_body_may_wait_for_a_word() -> None:
    head, _, body = post("{ counter }", "Expect: 100-continue").partition(b"\r\n\r\n")
    async with GraphQLServer(demo_schema()) as server:
        async with await server.open_stream() as stream:
            await stream.send(head + b"\r\n\r\n")
            assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await stream.send(body)
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([post("{ hello }"), b"nonsense\r\n\r\n"], b"400 Bad Request"),
        ([post("{ hello }", "X: " + "x" * 60_000, "Y: " + "y" * 60_000)], b"431 "),
        ([post("{ hello " + "a" * 2000)], b"413 "),
        ([b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"], b"405 Method Not Allowed"),
        ([b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"], b"405 Method Not Allowed"),
    ],
)
async def test_what_is_refused(pieces: list[bytes], status: bytes) -> None:
    async with GraphQLServer(demo_schema(), max_message_size=1000, close_timeout=0.1) as server:
        received = await converse(server, *pieces)
    assert received[received.rindex(b"HTTP/1.1 ") :].startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close\r\n" in received
    if pieces[0].startswith(b"HEAD"):
        assert received.endswith(b"\r\n\r\n")


class Noticing:
    """A schema that notices when what it does is canceled."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.ended = anyio.Event()
        self.schema = build_schema("type Query { slow: Int } type Subscription { ticks: Int }")
        assert self.schema.query_type is not None
        assert self.schema.subscription_type is not None
        self.schema.query_type.fields["slow"].resolve = self.slow
        self.schema.subscription_type.fields["ticks"].subscribe = self.ticks

    async def slow(self, _root: Any, _info: Any) -> None:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.set()

    async def ticks(self, _root: Any, _info: Any) -> AsyncIterator[dict[str, int]]:
        try:
            yield {"ticks": 1}
            self.begun.set()
            await anyio.sleep_forever()
        finally:
            self.ended.set()


@pytest.mark.parametrize("query", ["{ slow }", "subscription { ticks }"])
async def test_an_operation_ends_when_its_client_leaves(query: str) -> None:
    noticing = Noticing()
    async with GraphQLServer(noticing.schema) as server:
        async with await server.open_stream() as stream:
            await stream.send(post(query))
            await noticing.begun.wait()
        with anyio.fail_after(30):
            await noticing.ended.wait()


async def test_restarts_and_refusals() -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        async with Client(server.http_url).connect(retry_execute=False) as session:
            async with session.subscribe("subscription { never }") as events:
                assert b"never" in (await server.wait_request()).body
                await server.restart()
                with pytest.raises(TransportConnectionFailed):
                    await events.receive()
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
            server.refuse_with = 503
            with pytest.raises(TransportServerError) as caught:
                await session.execute("{ hello }")
            assert caught.value.code == 503


async def test_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen("localhost", ssl=server_tls)
        assert server.http_url.startswith("https://localhost:")
        async with Client(server.http_url, ssl=client_tls) as session:
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
            async with session.subscribe("subscription { countdown(from: 1) }") as events:
                assert [data["countdown"] async for data in events] == [1, 0]
