"""The user's own client and headers: what hooks and mocks see, and applications in process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import pytest

from anygql import Client, FileVar, HTTPTransport, TransportQueryError, TransportServerError
from tests.peers.ariadnehttp_app import app as ariadne_app
from tests.peers.strawberryhttp_app import app as strawberry_app
from tests.support.http_peer import http, kept, peer
from tests.support.pools import in_use, plain_client

URL = "https://api.test/graphql"
UPLOAD = "mutation ($file: Upload!) { upload(file: $file) }"
UPLOADS = "mutation ($files: [Upload!]!) { upload(files: $files) }"
COUNT = "subscription { n }"
OK = '{"data": {"ok": true}}'
SSE = "text/event-stream"


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield b"as it comes"


CONTENT = {
    "path": b"on disk",
    "bytes": b"as bytes",
    "iterator": b"as it comes" * 3,
}


@pytest.fixture(params=CONTENT)
def upload(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileVar, bytes]:
    """A file, and what is in it."""
    path = tmp_path / "some.txt"
    path.write_bytes(CONTENT["path"])
    files: dict[str, Any] = {"path": path, "bytes": CONTENT["bytes"], "iterator": pieces()}
    return FileVar(files[request.param]), CONTENT[request.param]


def content_of(request: httpx.Request, body: bytes) -> bytes:
    """The file in a form with one."""
    kind = request.headers["content-type"]
    form = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    operations, mapped, file = (part.get_payload(decode=True) for part in form.get_payload())
    assert json.loads(operations)["query"] == UPLOAD
    assert json.loads(mapped) == {"0": ["variables.file"]}
    return bytes(file)


# What others see of an upload.


async def test_a_mock_reads_the_form(upload: tuple[FileVar, bytes]) -> None:
    file, content = upload
    seen: list[bytes] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        assert request.content == body
        seen.append(content_of(request, body))
        return httpx.Response(200, json={"data": {"ok": True}})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        assert await session.execute(UPLOAD, {"file": file}) == {"ok": True}
    assert seen == [content]


async def test_a_plain_mock_has_the_form(upload: tuple[FileVar, bytes]) -> None:
    file, content = upload
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(content_of(request, request.content))
        return httpx.Response(200, json={"data": {"ok": True}})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        await session.execute(UPLOAD, {"file": file})
    assert seen == [content]


async def test_a_hook_is_not_told_that_the_form_is_empty(upload: tuple[FileVar, bytes]) -> None:
    file, content = upload
    seen: list[bytes] = []

    async def look(request: httpx.Request) -> None:
        with pytest.raises(httpx.RequestNotRead):
            request.content

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(content_of(request, request.content))
        return httpx.Response(200, json={"data": {"ok": True}})

    mock, hooks = httpx.MockTransport(handle), {"request": [look]}
    async with (
        httpx.AsyncClient(transport=mock, event_hooks=hooks) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        await session.execute(UPLOAD, {"file": file})
    assert seen == [content]


async def test_a_hook_that_reads_the_form_leaves_it_to_be_sent() -> None:
    seen: list[bytes] = []

    async def read(request: httpx.Request) -> None:
        seen.append(content_of(request, await request.aread()))

    async with (
        peer(kept(http(OK))) as server,
        plain_client(event_hooks={"request": [read]}) as client,
        Client(HTTPTransport(server.url, client=client)) as session,
    ):
        assert await session.execute(UPLOAD, {"file": FileVar(b"as bytes")}) == {"ok": True}
        assert in_use(client) == []
        [request] = server.requests
        assert content_of(httpx.Request("POST", URL, headers=request.headers), request.body)
    assert seen == [b"as bytes"]


async def test_hooks_see_queries_too() -> None:
    seen: list[Any] = []

    async def asked(request: httpx.Request) -> None:
        seen.append(json.loads(request.content))

    async def answered(response: httpx.Response) -> None:
        await response.aread()
        seen.append(response.json())

    hooks = {"request": [asked], "response": [answered]}
    async with (
        peer(kept(http(OK))) as server,
        plain_client(event_hooks=hooks) as client,
        Client(HTTPTransport(server.url, client=client)) as session,
    ):
        assert await session.execute("{ ok }") == {"ok": True}
        assert in_use(client) == []
    assert seen == [{"query": "{ ok }"}, {"data": {"ok": True}}]


# What a user's own Accept means.


def headers_now() -> list[tuple[str, str]]:
    return [("accept", SSE)]


async def headers_soon() -> dict[str, str]:
    return {"ACCEPT": SSE}


@pytest.mark.parametrize("status", ["404 Not Found", "406 Not Acceptable"])
@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Accept": SSE}},
        {"headers": headers_now},
        {"headers": headers_soon},
        {"transport_args": {"headers": {"accept": SSE}}},
        {"client_headers": {"accept": SSE}},
        {},
    ],
)
async def test_a_refused_subscription_is_not_asked_again_unchanged(
    options: dict[str, Any], status: str
) -> None:
    args = options.get("transport_args")
    refused = kept(http("", status))
    async with (
        peer(refused) as server,
        plain_client(headers=options.get("client_headers")) as client,
        Client(HTTPTransport(server.url, client=client, headers=options.get("headers"))) as session,
    ):
        async with session.subscribe(COUNT, transport_args=args) as events:
            with pytest.raises(TransportServerError) as caught:
                await events.receive()
        assert caught.value.code == int(status[:3])
        assert in_use(client) == []
        accepted = [request.headers["accept"] for request in server.requests]
    if "headers" in options or "transport_args" in options:
        assert accepted == [SSE]
    else:  # the client's own headers are what is sent if nobody says otherwise, and we do
        assert len(accepted) == 2
        assert accepted[0] != accepted[1] == SSE


async def test_a_user_s_own_accept_is_what_is_sent() -> None:
    event = b'event: next\ndata: {"data": {"n": 1}}\n\nevent: complete\ndata:\n\n'
    async with (
        peer(kept(http(event, kind=SSE))) as server,
        Client(HTTPTransport(server.url, headers={"Accept": SSE})) as session,
        session.subscribe(COUNT) as events,
    ):
        assert [data async for data in events] == [{"n": 1}]
        assert [request.headers["accept"] for request in server.requests] == [SSE]


# Applications in process.


# The applications leave it to the garbage collector to close the files that they were sent.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.Spooled:ResourceWarning")
@pytest.mark.parametrize("app", [ariadne_app, strawberry_app], ids=["ariadne", "strawberry"])
@pytest.mark.parametrize("get", [False, True])
async def test_an_application_in_process(app: Any, get: bool, tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(b"on disk")
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client,
        Client(
            HTTPTransport("http://in.process/", client=client, use_get_for_queries=get)
        ) as session,
    ):
        query = "query ($name: String!) { hello(name: $name) }"
        assert await session.execute(query, {"name": "é"}) == {"hello": "Hello, é!"}
        before = (await session.execute("{ counter }"))["counter"]
        increment = "mutation { increment(by: 3) }"
        assert await session.execute(increment) == {"increment": before + 3}
        with pytest.raises(TransportQueryError, match="as asked"):
            await session.execute("{ fail }")
        files = [FileVar(path), FileVar(pieces(), filename="a.bin"), FileVar(b"1", filename="b")]
        assert await session.execute(UPLOADS, {"files": files}) == {
            "upload": [
                "some.txt text/plain 7",
                "a.bin application/octet-stream 33",
                "b application/octet-stream 1",
            ]
        }
