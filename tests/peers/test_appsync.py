"""Sessions with AWS's own simulator of AppSync. It knows the handshake by query alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import anyio
import httpx
import pytest

from anygql import (
    AppSync,
    AppSyncTransport,
    Client,
    HTTPTransport,
    Session,
    SplitTransport,
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.appsync import IAM, ApiKey, Token
from anygql.websocket.sockets.base import Connector
from tests.peers.node import APPSYNC, NodeServer, serving

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("soon")]

SAID = "subscription ($room: String) { said(room: $room) { id text room } }"
SAY = """mutation ($id: ID!, $text: String!, $room: String!) {
    say(id: $id, text: $text, room: $room) { id text room }
}"""
#: A token of a Cognito user pool, unsigned: {"iss": "https://cognito-idp.eu-west-1…/pool"}.
JWT = (
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2NvZ25pdG8taWRwLmV1LXdlc3QtMS5hbWF6b25hd3MuY29t"
    "L3Bvb2wifQ.c2lnbmF0dXJl"
)
AUTHS: dict[str, Any] = {
    "api key": ApiKey("da2-fakekey"),
    "token": Token(JWT),
    "iam": IAM(("ASIAVJKIAM-AuthRole", "secret"), region="eu-west-1"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[NodeServer]:
    log = tmp_path_factory.mktemp("node") / "simulator.log"
    with serving("simulator", log, APPSYNC) as it:
        yield it


def transport_of(server: NodeServer, auth: Any, **options: Any) -> AppSyncTransport:
    return AppSyncTransport(server.url, auth=auth, handshake="query", **options)


async def hear(session: Session, events: Any, text: str) -> None:
    """Say something until the subscription hears it: it may not run yet."""
    message = {"id": "1", "text": text, "room": "a"}
    with anyio.fail_after(10):
        while True:
            assert await session.execute(SAY, message) == {"say": message}
            with anyio.move_on_after(0.2):
                while await events.receive() != {"said": message}:  # from another test
                    pass
                return


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
async def test_a_session(server: NodeServer, auth: Any, connector: Connector) -> None:
    protocol = AppSync(auth, handshake="query")
    transport = SplitTransport(
        HTTPTransport(server.url, auth=auth),
        subscriptions=WebSocketTransport(server.url, protocol=protocol, connector=connector),
    )
    async with Client(transport) as session:
        assert await session.execute('{ hello(name: "x") }') == {"hello": "Hello, x!"}
        async with session.subscribe(SAID, {"room": "a"}) as events:
            await hear(session, events, "hello")
            assert session.payloads["connection_ack"] == {"connectionTimeout": 300_000}
            async with session.subscribe(SAID, {"room": "a"}) as others:
                await hear(session, others, "both")
            await hear(session, events, "one")


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_wrong_keys(server: NodeServer, reconnecting: bool) -> None:
    client = Client(transport_of(server, ApiKey("da2-s3cret")))
    async with client.connect(reconnecting=reconnecting) as session:
        with pytest.raises(TransportServerError, match="Invalid API key") as refused:
            await session.execute("{ hello }")
        assert refused.value.code == 401
        assert refused.value.errors[0]["errorType"] == "UnauthorizedException"
        with pytest.raises(TransportConnectionFailed, match="1002") as closed:
            await session.subscribe(SAID).receive()
        assert "s3cret" not in f"{refused.value!r}{closed.value!r}"


async def test_a_subscription_that_is_refused_harms_no_neighbor(server: NodeServer) -> None:
    # A token may not have this field; to a wrong key, the simulator says nothing at all.
    async with (
        Client(transport_of(server, AUTHS["token"], start_timeout=2)) as session,
        session.subscribe(SAID) as neighbor,
    ):
        await hear(session, neighbor, "before")
        with pytest.raises(TransportQueryError, match="Not Authorized"):
            await session.subscribe("subscription { secret }").receive()
        with pytest.raises(TransportTimeout, match="start_timeout"):
            await session.subscribe(SAID, transport_args={"auth": ApiKey("wrong")}).receive()
        await hear(session, neighbor, "after")


async def test_a_token_for_one_subscription(server: NodeServer) -> None:
    async with Client(transport_of(server, AUTHS["token"])) as session:
        key = {"auth": AUTHS["api key"]}
        async with session.subscribe("subscription { secret }", transport_args=key):
            assert session.state == "connected"
            assert await session.execute("{ hello }", transport_args=key)


@pytest.mark.over_http("own", why="it is about a client of the user's own")
async def test_a_client_of_ones_own(server: NodeServer) -> None:
    auth = AUTHS["iam"]
    async with httpx.AsyncClient(auth=auth.httpx()) as client:
        async with Client(HTTPTransport(server.url, client=client)) as session:
            assert await session.execute('{ hello(name: "x") }') == {"hello": "Hello, x!"}
        async with Client(transport_of(server, AUTHS["api key"], client=client)) as session:
            assert await session.execute('{ hello(name: "y") }') == {"hello": "Hello, y!"}
