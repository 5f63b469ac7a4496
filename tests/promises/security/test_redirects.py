"""What is secret stays with the origin that it was meant for, wherever that one points."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    TransportProtocolError,
    TransportServerError,
    WebSocketTransport,
)
from anygql.websocket.sockets.base import Connector
from tests.support.http_peer import Peer, http, kept, peer
from tests.support.pools import in_use, plain_client
from tests.support.websocket_peer import Peer as SocketPeer
from tests.support.websocket_peer import refusing, serving

pytestmark = pytest.mark.table

SECRET = "s3cret"
OK = http('{"data": {"ok": true}}')
STATUSES = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]


@pytest.mark.parametrize("status", STATUSES)
async def test_a_websocket_handshake_is_not_redirected(connector: Connector, status: str) -> None:
    elsewhere: list[str] = []

    async def other(peer: SocketPeer) -> None:
        elsewhere.append(await peer.head())

    async with serving(other) as target:

        async def script(peer: SocketPeer) -> None:
            await peer.head()
            where = f"Location: ws://127.0.0.1:{target}/?token={SECRET}"
            await peer.raw(refusing([f"HTTP/1.1 {status}", where, "Content-Length: 0"]))

        async with serving(script) as port:
            transport = WebSocketTransport(
                f"ws://127.0.0.1:{port}/graphql",
                headers={"Authorization": SECRET, "X-Api-Key": SECRET},
                init_payload={"token": SECRET},
                connector=connector,
            )
            with anyio.fail_after(20), pytest.raises(TransportServerError) as caught:
                async with Client(transport):
                    pass
    assert elsewhere == []
    assert caught.value.code == int(status[:3])
    assert "Redirects are not followed" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.over_http
async def test_over_http_nothing_is_followed_unasked() -> None:
    async with peer(OK) as target, peer(kept(http("", "307 No", location=target.url))) as server:
        async with Client(HTTPTransport(server.url, headers={"X-Api-Key": SECRET})) as session:
            with pytest.raises(TransportServerError, match="307"):
                await session.execute("{ ok }")
        assert target.requests == []


@asynccontextmanager
async def redirecting(status: str) -> AsyncGenerator[tuple[Peer, Peer]]:
    """A server that redirects, and the one that it points at: another origin, as its port is."""
    async with peer(kept(OK)) as target:
        answer = http("", status, location=target.url)
        async with peer(kept(answer), kept(answer)) as server:
            yield server, target


def secrets_in(server: Peer) -> dict[str, str]:
    """The headers that hold one."""
    return {
        name: value
        for request in server.requests
        for name, value in request.headers.items()
        if SECRET in value or "czNjcmV0" in value  # Basic
    }


OWN: dict[str, Any] = {"headers": {"Authorization": SECRET, "X-Api-Key": SECRET, "Cookie": SECRET}}
ARGS: dict[str, Any] = {
    "headers": {"X-Other-Key": SECRET},
    "cookies": {"session": SECRET},
}


@pytest.mark.over_http
@pytest.mark.parametrize("whose", ["ours", "the user's", "the user's, by itself"])
@pytest.mark.parametrize("upload", [False, True])
@pytest.mark.parametrize("status", ["302 Found", "307 Temporary"])
async def test_to_another_origin(whose: str, upload: bool, status: str) -> None:
    variables = {"file": FileVar(b"content")} if upload else {}
    mutation = "mutation ($file: Upload) { ok(file: $file) }"
    given: dict[str, Any] = {
        "headers": {"X-Client-Key": SECRET},
        "cookies": {"client": SECRET},
        "auth": ("me", SECRET),
        "follow_redirects": whose.endswith("itself"),
    }
    args = ARGS if whose.endswith("itself") else {**ARGS, "follow_redirects": True}
    async with redirecting(status) as (server, target), plain_client(**given) as client:
        options = OWN if whose == "ours" else {**OWN, "client": client}
        async with Client(HTTPTransport(server.url, **options)) as session:
            assert await session.execute(mutation, variables, transport_args=args) == {"ok": True}
        assert in_use(client) == []
        assert {"x-api-key", "x-other-key", "cookie"} <= secrets_in(server).keys()
        assert ("x-client-key" in secrets_in(server)) == (whose != "ours")
        assert secrets_in(target) == {}
        [request] = target.requests
        assert request.headers["host"] in target.url
        assert "application/json" in request.headers["accept"]
        # What a redirect means for the method and the body is HTTP's: 307 repeats both.
        assert request.line.split()[0] == ("POST" if status.startswith("307") else "GET")
        assert bool(request.body) == status.startswith("307")


async def test_an_authentication_is_not_asked_by_another_origin() -> None:
    """httpx would answer its challenge."""
    challenge = {"www_authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    asked = kept(http("", "401 Unauthorized", **challenge))
    async with (
        peer(asked) as target,
        peer(kept(http("", "307 Temporary", location=target.url))) as server,
        plain_client(auth=httpx.DigestAuth("me", SECRET), follow_redirects=True) as client,
        Client(HTTPTransport(server.url, client=client)) as session,
    ):
        with pytest.raises(TransportServerError, match="401"):
            await session.execute("{ ok }")
        assert [request.headers.get("authorization") for request in target.requests] == [None]


@pytest.mark.over_http
async def test_within_one_origin_they_do() -> None:
    async with peer(kept(http("", "307 Temporary", location="/other")), kept(OK)) as server:
        transport = HTTPTransport(server.url, **OWN)
        async with Client(transport) as session:
            args = {"follow_redirects": True, "headers": {"X-Other-Key": SECRET}}
            assert await session.execute("{ ok }", transport_args=args) == {"ok": True}
        first, second = server.requests
        assert second.line == "POST /other HTTP/1.1"
        assert second.body == first.body
        for name in ("authorization", "x-api-key", "x-other-key"):
            assert first.headers[name] == second.headers[name] == SECRET


@pytest.mark.over_http
async def test_there_and_back_they_do_not_come_again() -> None:
    async with peer(OK) as middle:
        there = kept(http("", "307 Temporary", location=middle.url))
        async with peer(there, kept(OK)) as server:
            middle.answers = [kept(http("", "307 Temporary", location=server.url))]
            async with Client(HTTPTransport(server.url, **OWN)) as session:
                args = {"follow_redirects": True}
                assert await session.execute("{ ok }", transport_args=args) == {"ok": True}
            assert "x-api-key" in server.requests[0].headers
            assert "x-api-key" not in server.requests[1].headers
            assert secrets_in(middle) == {}


@pytest.mark.parametrize(
    ("before", "after", "kept_along"),
    [
        ("http://api.test/graphql", "https://api.test/graphql", True),
        ("http://api.test:80/graphql", "https://api.test:443/graphql", True),
        ("https://api.test/graphql", "https://api.test:443/other", True),
        ("https://api.test/graphql", "http://api.test/graphql", False),
        ("https://api.test/graphql", "https://api.test:8443/graphql", False),
        ("http://api.test:8080/graphql", "https://api.test/graphql", False),
        ("https://api.test/graphql", "https://api.test.evil.test/graphql", False),
        ("https://api.test/graphql", "//evil.test/graphql", False),
        ("https://api.test/graphql", "https://api.test@evil.test/graphql", False),
    ],
)
async def test_what_another_origin_is(before: str, after: str, kept_along: bool) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            return httpx.Response(307, headers={"location": after})
        return httpx.Response(200, json={"data": {"ok": True}})

    mock = httpx.MockTransport(handle)
    async with (
        httpx.AsyncClient(transport=mock, follow_redirects=True) as client,
        Client(HTTPTransport(before, client=client, **OWN)) as session,
    ):
        assert await session.execute("{ ok }") == {"ok": True}
    assert ("x-api-key" in seen[1].headers) == kept_along
    assert (seen[1].headers.get("authorization") == SECRET) == kept_along


@pytest.mark.over_http
async def test_an_endless_answer_that_redirects_is_not_read() -> None:
    async def endless(request: Any, stream: Any) -> bool:
        where = target.url.encode()
        await stream.send(
            b"HTTP/1.1 307 No\r\nlocation: %s\r\ntransfer-encoding: chunked\r\n\r\n" % where
        )
        await stream.receive()  # until the client has gone
        return False

    async with peer(kept(OK)) as target, peer(endless) as server:
        with anyio.fail_after(20):
            async with Client(server.url) as session:
                args = {"follow_redirects": True}
                assert await session.execute("{ ok }", transport_args=args) == {"ok": True}


async def test_a_reserved_stream_s_token_stays() -> None:
    """Of graphql-sse's single connection mode: who has it can read all results."""
    async with peer(kept(OK)) as target:
        reserved = kept(http(SECRET, "201 Created", "text/plain"))
        async with peer(reserved, kept(http("", "307 No", location=target.url))) as server:
            client = plain_client(follow_redirects=True)
            transport = HTTPTransport(server.url, client=client, single_connection=True)
            async with client:
                with pytest.raises(TransportProtocolError, match="event stream"):
                    async with Client(transport):
                        pass
            assert list(secrets_in(server)) == ["x-graphql-event-stream-token"]
            assert len(target.requests) == 1
            assert secrets_in(target) == {}
