"""AppSync's credentials, in whatever disguise, looked for wherever they must not turn up."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.frames import Opcode

from anygql import AppSync, AppSyncTransport, Client, HTTPTransport, WebSocketTransport
from anygql.appsync import IAM, ApiKey, Token
from anygql.testing import GraphQLServer, demo_schema
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import Opening
from tests.promises.security.test_secrets import (  # noqa: F401 - `told` is a fixture
    SECRET,
    Collected,
    recorded,
    told,
)
from tests.support.http_peer import http, kept, peer
from tests.support.websocket_peer import Peer, close, frame, refusing, serving, text

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("soon", "brief")]

AUTHS = {
    "api key": ApiKey(f"da2-{SECRET}"),
    "token": Token(lambda: f"jwt.{SECRET}"),
    "iam": IAM((f"AKID{SECRET}", f"key-{SECRET}", f"token-{SECRET}"), region="eu-west-1"),
}
auths = pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
handshakes = pytest.mark.parametrize("handshake", ["subprotocol", "query"])

_ENCODED = re.compile(r"[-+/_0-9A-Za-z]{12,}")


def disguised(shown: str) -> list[str]:
    """What reads as Base64, and holds a secret; and signatures."""
    found = re.findall("Signature=[0-9a-f]+|AWS4-HMAC-SHA256 Credential", shown)
    for encoded in _ENCODED.findall(shown):
        plain = encoded.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            decoded = b64decode(part[: len(part) // 4 * 4])
            if SECRET.encode() in decoded or b'"host"' in decoded:
                found.append(encoded)
    return found


@pytest.fixture
def heard(told: Collected) -> Any:  # noqa: F811
    """Everything that is told meanwhile; checked at the end, by ``told`` and for disguises."""
    yield told
    found = [(where, disguised(shown)) for where, shown in told.texts if disguised(shown)]
    assert not found, found[:5]


def test_they_would_be_found() -> None:
    assert disguised(json.dumps("x" + "eyJob3N0IjoiaCIsIngtYXBpLWtleSI6InMzY3JldCJ9"))
    assert disguised("Authorization: … Signature=0123abcd")
    assert not disguised("nothing-of_the/kind+here: http://127.0.0.1:8000/graphql/realtime")


async def refuse(peer: Peer) -> None:
    await peer.head()
    await peer.raw(refusing(["HTTP/1.1 403 Forbidden", "Content-Length: 2"], b"no"))


async def choose_nothing(peer: Peer) -> None:
    await peer.accept()
    await peer.gone()


async def choose_the_secret(peer: Peer) -> None:
    """Name the subprotocol that has the credentials, as a careless server might."""
    head = await peer.head()
    offered = re.search(r"(?i)sec-websocket-protocol: (.*)\r\n", head)
    assert offered is not None
    name = offered[1].split(", ")[-1]

    async def again() -> str:
        return head

    peer.head = again  # type: ignore[method-assign]
    await peer.accept(name)
    await peer.gone()


async def choose_another(peer: Peer) -> None:
    await peer.accept("graphql-other")
    await peer.gone()


async def refuse_the_connection(peer: Peer) -> None:
    await peer.accept("graphql-ws")
    await peer.frame()
    errors = [{"errorType": "UnauthorizedException", "message": "You are not authorized"}]
    await peer.raw(text(json.dumps({"type": "connection_error", "payload": {"errors": errors}})))
    await peer.gone()


async def forbid(peer: Peer) -> None:
    await peer.accept("graphql-ws")
    await peer.raw(close(4403, "Forbidden"))
    await peer.gone()


async def break_the_protocol(peer: Peer) -> None:
    await peer.accept("graphql-ws")
    await peer.raw(frame(Opcode.TEXT, "[]"))
    await peer.gone()


REFUSALS = [
    refuse,
    choose_nothing,
    choose_the_secret,
    choose_another,
    refuse_the_connection,
    forbid,
    break_the_protocol,
]


@auths
@handshakes
@pytest.mark.parametrize("script", REFUSALS, ids=lambda script: script.__name__)
async def test_a_connection_that_is_refused(
    heard: Collected,
    connector: Connector,
    script: Callable[[Peer], Awaitable[None]],
    handshake: Any,
    auth: Any,
) -> None:
    if handshake == "query" and script is choose_the_secret:
        script = choose_another  # there is no such subprotocol
    async with serving(script) as port:
        url = f"http://me:{SECRET}@127.0.0.1:{port}/graphql?token={SECRET}"
        protocol = AppSync(auth, handshake=handshake)
        transport = WebSocketTransport(url, protocol=protocol, connector=connector)
        client = Client(transport, on_event=heard.on_event)
        heard.add("repr", auth, protocol, transport, client, vars(client))
        async with recorded(heard), client:
            pass


@asynccontextmanager
async def appsync(
    heard: Collected, auth: Any, connector: Connector, **options: Any
) -> AsyncGenerator[tuple[GraphQLServer, Any]]:
    async with GraphQLServer(demo_schema(), protocols=["appsync"], **options) as server:
        url = (await server.listen()).replace("ws:", "http:")
        transport = WebSocketTransport(url, protocol=AppSync(auth), connector=connector)
        client = Client(transport, on_event=heard.on_event)
        async with client.connect(reconnecting=True) as session:
            heard.add("repr", session)
            yield server, session


@auths
async def test_subscriptions(heard: Collected, connector: Connector, auth: Any) -> None:
    refused = 0

    def admit(authorization: Any) -> bool:
        return authorization.url.endswith("/connect") or not refused

    async with appsync(heard, auth, connector, on_connect=admit) as (server, session):
        document = "subscription { countdown(from: 1000000, interval: 0.005) }"
        async with session.subscribe(document) as events:
            await events.receive()
            heard.add("repr", events, session, session.payloads, session.response_headers)
            server.drop_connections()
            while not events.reconnects:
                await events.receive()
        refused = 1
        for args in (None, {"auth": auth}, {"headers": {"x": SECRET}}, {"auth": (SECRET,)}):
            async with recorded(heard):
                await session.subscribe(document, transport_args=args).receive()
        async with recorded(heard):
            await session.execute("{ hello }")
        for message in ('{"type":"odd"}', '{"type":"error","payload":{"message":"no"}}'):
            await server.connections[-1].send(json.loads(message))
        await server.connections[-1].send([])


@auths
@pytest.mark.parametrize("client", [None, "httpx"])
@pytest.mark.over_http("own", why="it makes a client of its own")
async def test_over_http(heard: Collected, auth: Any, client: Any) -> None:
    unauthorized = '{"errors":[{"errorType":"UnauthorizedException","message":"no"}]}'
    async with peer(kept(http(unauthorized, "401 Unauthorized"))) as server:
        if client is None:
            transport: Any = AppSyncTransport(server.url, auth=auth)
            heard.add("repr", transport, vars(transport))
            async with recorded(heard), Client(transport, on_event=heard.on_event) as session:
                await session.execute("{ hello }")
            return
        import httpx

        async with httpx.AsyncClient(auth=auth.httpx()) as theirs:
            transport = HTTPTransport(server.url, client=theirs)
            heard.add("repr", transport, auth.httpx())
            async with recorded(heard), Client(transport, on_event=heard.on_event) as session:
                await session.execute("{ hello }")


@auths
async def test_what_an_attempt_is_made_with(heard: Collected, auth: Any) -> None:
    for handshake in ("subprotocol", "query"):
        protocol = AppSync(auth, handshake=handshake)  # type: ignore[arg-type]
        prepared = await protocol.prepare("https://api.example.org/graphql")
        opening = Opening(url=prepared.url, subprotocols=prepared.subprotocols)
        heard.add("repr", opening)
        heard.add("repr of the attempt", repr(prepared))


async def test_an_authorization_that_goes_wrong(heard: Collected) -> None:
    for found in (SECRET.encode(), [SECRET], (SECRET, 7), {"access_key": SECRET}):
        for auth in (Token(lambda: found), IAM(lambda: found, region="x")):  # noqa: B023
            transport = WebSocketTransport("http://127.0.0.1:9/graphql", protocol=AppSync(auth))
            async with recorded(heard), Client(transport):
                pass
