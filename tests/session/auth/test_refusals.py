"""Refusals as real servers word them, message by message."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from anygql import (
    AppSyncTransport,
    Client,
    HTTPTransport,
    Phoenix,
    Refreshing,
    Session,
    TransportConnectionFailed,
    TransportError,
    WebSocketTransport,
)
from anygql.appsync import Token
from anygql.testing import GraphQLServer, PeerConnection, ScriptedPeer, demo_schema
from anygql.websocket.sockets.base import WebSocketEnded
from tests.http.test_single_connection import Streams, event
from tests.support.http_peer import Request, http, kept, peer
from tests.support.tokens import Issuer

EXPIRED = "Could not verify JWT: JWTExpired"
ERROR = {"message": EXPIRED, "extensions": {"path": "$", "code": "invalid-jwt"}}
COUNT = "mutation { count }"


class Hasura:
    """A peer as Hasura with a webhook or JWTs: tokens are looked at when it is connected to.

    ``refusal``: how it refuses ``connection_init``; ``start``: whether it refuses operations, too.
    """

    def __init__(self, issuer: Issuer, refusal: Any, subprotocol: str) -> None:
        self.issuer = issuer
        self.refusal = refusal
        self.subprotocol = subprotocol
        self.counted = 0
        self.connections = 0

    async def __call__(self, conn: PeerConnection) -> None:
        self.connections += 1
        await conn.accept(self.subprotocol)
        init = await conn.receive()
        if not self.issuer.accepts(init["payload"]["Authorization"]):
            if isinstance(self.refusal, int):
                await conn.close(self.refusal, EXPIRED)
                return
            await conn.send({"type": "connection_error", "payload": self.refusal})
            await conn.wait_closed()
            return
        await conn.send({"type": "connection_ack"})
        try:
            while True:
                await self.answer(conn, await conn.receive(), init["payload"])
        except WebSocketEnded:
            pass

    async def answer(self, conn: PeerConnection, message: Any, payload: Any) -> None:
        if message["type"] not in {"start", "subscribe"}:
            return
        id, legacy = message["id"], self.subprotocol == "graphql-ws"
        if not self.issuer.accepts(payload["Authorization"]):
            await conn.send({"type": "error", "id": id, "payload": ERROR if legacy else [ERROR]})
            return
        self.counted += 1
        result = {"data": {"count": self.counted}}
        await conn.send({"type": "data" if legacy else "next", "id": id, "payload": result})
        await conn.send({"type": "complete", "id": id})


@pytest.mark.parametrize("reconnecting", [False, True])
@pytest.mark.parametrize(
    ("refusal", "subprotocol"),
    [
        (EXPIRED, "graphql-ws"),
        ({"message": EXPIRED}, "graphql-ws"),
        (ERROR, "graphql-ws"),
        (4403, "graphql-transport-ws"),
        (4401, "graphql-transport-ws"),
    ],
)
async def test_hasura_over_a_socket(refusal: Any, subprotocol: str, reconnecting: bool) -> None:
    issuer = Issuer()
    script = Hasura(issuer, refusal, subprotocol)
    async with ScriptedPeer(script) as server:
        auth = Refreshing(refresh=issuer, token="expired")
        transport = WebSocketTransport(
            server.url,
            init_payload=auth.payload,
            connector=server.connector(),
            protocol=subprotocol,
        )
        client = Client(transport, auth=auth)
        async with client.connect(reconnecting=reconnecting) as session:
            await ask(session, 10)
            assert (issuer.issued, script.connections, script.counted) == (1, 2, 10)
            issuer.revoke()
            await ask(session, 10)
            assert (issuer.issued, script.connections, script.counted) == (2, 3, 20)


async def ask(session: Session, times: int) -> None:
    async with anyio.create_task_group() as tg:
        for _ in range(times):
            tg.start_soon(session.execute, COUNT)


async def test_hasura_over_http() -> None:
    issuer = Issuer()
    counted = 0

    async def answer(request: Request, stream: Any) -> bool:
        nonlocal counted
        body: Any = {"errors": [ERROR]}
        if issuer.accepts(request.headers.get("authorization")):
            counted += 1
            body = {"data": {"count": counted}}
        await stream.send(http(json.dumps(body)))
        return True

    async with peer(answer) as server:
        async with Client(server.url, auth=Refreshing(refresh=issuer)) as session:
            await ask(session, 5)
            issuer.revoke()
            await ask(session, 5)
    assert (issuer.issued, counted) == (2, 10)


@pytest.mark.parametrize(
    "errors",
    [
        [{"errorType": "UnauthorizedException", "message": "Token has expired."}],
        [
            {
                "errorType": "com.amazonaws.deepdish.graphql.auth#UnauthorizedException:http://x",
                "message": "",
            }
        ],
    ],
)
@pytest.mark.parametrize("status", ["401 Unauthorized", "400 Bad Request", "200 OK"])
async def test_appsync_over_http(errors: Any, status: str) -> None:
    issuer = Issuer()

    async def answer(request: Request, stream: Any) -> bool:
        good = issuer.accepts(request.headers.get("authorization"))
        refusal = http(json.dumps({"errors": errors}), status)
        await stream.send(http('{"data": {"count": 1}}') if good else refusal)
        return True

    async with peer(answer) as server:
        async with Client(server.url, auth=Refreshing(refresh=issuer)) as session:
            await session.execute(COUNT)
            issuer.revoke()
            await session.execute(COUNT)
    assert issuer.issued == 2


async def test_appsync_gets_each_refused_request_once_with_each_token() -> None:
    issuer = Issuer()
    issuer.scheme = ""

    async def answer(request: Request, stream: Any) -> bool:
        good = issuer.accepts(request.headers.get("authorization"))
        await stream.send(http('{"data": {"count": 1}}') if good else http("", "401 Unauthorized"))
        return True

    async with peer(answer) as server:
        auth = Refreshing(refresh=issuer)
        transport = AppSyncTransport(server.url, auth=Token(auth.token))
        async with Client(transport, auth=auth) as session:
            await session.execute(COUNT)
            for number in range(1, 4):
                issuer.revoke()
                await session.execute(COUNT)
                assert len(server.requests) == 1 + 2 * number
    tokens = [request.headers["authorization"] for request in server.requests]
    assert tokens == [f"s3cret-{number}" for number in (1, 1, 2, 2, 3, 3, 4)]


# graphql-sse's single connection: a stream with a token, and a request with one for each operation.


class OneByOne(Streams):
    """Streams that send results for several requests at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self._sending = anyio.Lock()

    async def send(self, events: bytes) -> None:
        async with self._sending:
            await super().send(events)


@pytest.mark.usefixtures("soon")
async def test_one_stream_for_all() -> None:
    issuer = Issuer()
    streams = OneByOne()

    async def serve(request: Request, stream: Any) -> bool:
        if not issuer.accepts(request.headers.get("authorization")):
            await stream.send(http("", "401 Unauthorized"))
            return True
        return await streams(request, stream)

    def answer(id: str) -> bytes:
        return event("next", id, {"data": {"count": 1}}) + event("complete", id)

    async with peer(serve) as server:
        auth = Refreshing(refresh=issuer, token="old")
        transport = HTTPTransport(server.url, headers=auth.headers, single_connection=True)
        async with Client(transport, auth=auth).connect(reconnecting=True) as session:
            streams.at_once = answer
            await ask(session, 5)
            assert issuer.issued == 1
            issuer.revoke()
            await ask(session, 5)
            assert issuer.issued == 2
            issuer.revoke()
            async with session.subscribe("subscription { count }") as events:
                assert await events.receive() == {"count": 1}
                assert events.reconnects == 0
            assert (issuer.issued, streams.opened) == (3, 1)


# Phoenix: the token is a parameter of the URL, or a payload of the join.


@pytest.mark.usefixtures("soon")
async def test_phoenix() -> None:
    issuer = Issuer()
    joined: list[Any] = []

    def admit(payload: Any) -> bool:
        joined.append(payload)
        return issuer.accepts((payload or {}).get("Authorization"))

    options: dict[str, Any] = {"protocols": ["phoenix"], "on_connect": admit}
    async with GraphQLServer(demo_schema(), **options) as server:
        auth = Refreshing(refresh=issuer, token="old", refused=lambda error: True)
        transport = server.transport(protocol=Phoenix(join_payload=auth.payload))
        client = Client(transport, auth=auth)
        async with client.connect(reconnecting=True) as session:
            assert await session.execute("{ hello }")
        assert issuer.issued == 1
        assert len(joined) == 2


async def test_a_server_that_never_is_content() -> None:
    async with peer(kept(http("", "401 Unauthorized"))) as server:
        issuer = Issuer()
        async with Client(server.url, auth=Refreshing(refresh=issuer)) as session:
            for _ in range(3):
                with pytest.raises(TransportError) as caught:
                    await session.execute(COUNT)
                assert caught.value.code == 401
                assert not isinstance(caught.value, TransportConnectionFailed)
        assert len(server.requests) == 6
        assert issuer.issued == 4
