"""Sessions with AWS's own simulator of AppSync. It knows the handshake by query alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    HTTPTransport,
    Session,
    WebSocketTransport,
)
from anygql.appsync import IAM, ApiKey, AppSync, Token
from tests.peers.node import APPSYNC, NodeServer, serving

SAID = "subscription ($room: String) { said(room: $room) { id text room } }"
SAY = """mutation ($id: ID!, $text: String!, $room: String!) {
    say(id: $id, text: $text, room: $room) { id text room }
}"""
#: A token of a Cognito user pool, unsigned: {"iss": "https://cognito-idp.eu-west-1…/pool"}.
JWT = (
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2NvZ25pdG8taWRwLmV1LXdlc3QtMS5hbWF6b25hd3MuY29t"
    "L3Bvb2wifQ.c2lnbmF0dXJl"
)
AUTHS = {
    "api key": ApiKey("da2-fakekey"),
    "token": Token(JWT),
    "iam": IAM(("ASIAVJKIAM-AuthRole", "secret"), region="eu-west-1"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[NodeServer]:
    log = tmp_path_factory.mktemp("node") / "simulator.log"
    with serving("simulator", log, APPSYNC) as it:
        yield it


@asynccontextmanager
async def connected(server: NodeServer, auth: Any, **options: Any) -> AsyncGenerator[Session]:
    protocol = AppSync(auth, handshake="query")
    client = Client(WebSocketTransport(server.url, protocol=protocol))
    async with client.connect(**options) as session:
        yield session


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
async def test_a_subscription(server: NodeServer, auth: Any) -> None:
    async with (
        connected(server, auth) as session,
        Client(HTTPTransport(server.url, auth=auth)) as http,
        session.subscribe(SAID, {"room": "a"}) as events,
    ):
        assert session.payloads["connection_ack"] == {"connectionTimeout": 300_000}
        message = {"id": "1", "text": "hello", "room": "a"}
        with anyio.move_on_after(10):
            while True:  # there may be no subscription yet
                await http.execute(SAY, {**message, "room": "b"})
                await http.execute(SAY, message)
                with anyio.move_on_after(0.2):
                    assert await events.receive() == {"said": message}
                    break
