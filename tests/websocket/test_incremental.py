"""Results that grow (``@defer``, ``@stream``) over WebSocket."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
)
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import WebSocketEnded
from tests.peers.node import NodeServer, serving
from tests.support.clients import client_of

DOCUMENT = "{ item { name ... @defer { colour } } }"
NEW = "graphql-transport-ws"
OLD = "graphql-ws"

#: Today's format, that of 2022, and the oldest: the same item in two parts.
NOW = (
    {
        "data": {"item": {"name": "lamp"}},
        "pending": [{"id": "0", "path": ["item"]}],
        "hasNext": True,
    },
    {
        "incremental": [{"id": "0", "data": {"colour": "red"}}],
        "completed": [{"id": "0"}],
        "hasNext": False,
    },
)
IN_2022 = (
    {"data": {"item": {"name": "lamp"}}, "hasNext": True},
    {"incremental": [{"path": ["item"], "data": {"colour": "red"}}], "hasNext": False},
)
OLDEST = (
    {"data": {"item": {"name": "lamp"}}, "hasNext": True},
    {"path": ["item"], "data": {"colour": "red"}, "hasNext": False},
)
PART = {"item": {"name": "lamp"}}
WHOLE = {"item": {"name": "lamp", "colour": "red"}}

formats = pytest.mark.parametrize("parts", [NOW, IN_2022, OLDEST], ids=["now", "2022", "oldest"])


def answering(*parts: Any, subprotocol: str = NEW, end: bool = False) -> ScriptedPeer:
    """A peer that answers every operation with these parts."""
    start, kind = ("subscribe", "next") if subprotocol == NEW else ("start", "data")

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=subprotocol)
        with suppress(WebSocketEnded):
            while True:
                message = await conn.receive()
                if message["type"] != start:
                    continue
                for part in parts:
                    await conn.send({"type": kind, "id": message["id"], "payload": part})
                if end:
                    await conn.send({"type": "complete", "id": message["id"]})

    return ScriptedPeer(script)


def kinds(peer: ScriptedPeer) -> list[str]:
    return [message["type"] for message in peer.received]


@formats
@pytest.mark.parametrize("subprotocol", [NEW, OLD])
async def test_the_merged_whole(parts: Any, subprotocol: str) -> None:
    async with answering(*parts, subprotocol=subprotocol, end=True) as peer:
        async with client_of(peer) as session:
            assert await session.execute(DOCUMENT) == WHOLE
            result = await session.execute_result(DOCUMENT)
            assert (result.data, result.errors) == (WHOLE, None)
        # Nothing was left early.
        assert not {"complete", "stop"} & set(kinds(peer))


@formats
async def test_each_state(parts: Any) -> None:
    async with answering(*parts, end=True) as peer, client_of(peer) as session:
        async with session.execute_incremental(DOCUMENT) as states:
            assert [state async for state in states] == [PART, WHOLE]


async def test_an_answer_that_comes_at_once() -> None:
    async with answering({"data": WHOLE}) as peer, client_of(peer) as session:
        assert await session.execute(DOCUMENT) == WHOLE
        async with session.execute_incremental(DOCUMENT) as states:
            assert [state async for state in states] == [WHOLE]


async def test_completed_before_it_was_whole() -> None:
    async with answering(NOW[0], end=True) as peer, client_of(peer) as session:
        assert await session.execute(DOCUMENT) == PART
        async with session.execute_incremental(DOCUMENT) as states:
            assert [state async for state in states] == [PART]


async def test_errors_in_a_part() -> None:
    failed = {
        "completed": [{"id": "0", "errors": [{"message": "no colour", "path": ["item"]}]}],
        "hasNext": False,
    }
    async with answering(NOW[0], failed) as peer, client_of(peer) as session:
        with pytest.raises(TransportQueryError, match="no colour") as caught:
            await session.execute(DOCUMENT)
        assert caught.value.data == PART
        async with session.execute_incremental(DOCUMENT) as states:
            assert await states.receive() == PART
            with pytest.raises(TransportQueryError, match="no colour"):
                await states.receive()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"incremental": [{"id": "9", "data": {}}], "hasNext": False}, "unknown id '9'"),
        ({"incremental": [{"path": ["x"], "data": {}}], "hasNext": False}, "unknown path 'x'"),
        ({"incremental": 7, "hasNext": True}, "malformed incremental payload"),
    ],
)
async def test_a_part_that_does_not_fit(bad: Any, why: str) -> None:
    """It ends its own operation, which the server is told; the connection goes on."""
    async with answering(NOW[0], bad) as peer, client_of(peer) as session:
        with pytest.raises(TransportProtocolError, match=why):
            await session.execute(DOCUMENT)
        async with session.execute_incremental(DOCUMENT) as states:
            assert await states.receive() == PART
            with pytest.raises(TransportProtocolError, match=why):
                await states.receive()
        await anyio.wait_all_tasks_blocked()
        assert kinds(peer) == ["connection_init", *["subscribe", "complete"] * 2]
        assert session.state == "connected"


async def test_leaving_early_tells_the_server_once() -> None:
    async with answering(NOW[0]) as peer, client_of(peer) as session:
        async with session.execute_incremental(DOCUMENT) as states:
            assert await states.receive() == PART
        with pytest.raises(TimeoutError):
            await session.execute(DOCUMENT, timeout=0.05)
        await anyio.wait_all_tasks_blocked()
        assert kinds(peer) == ["connection_init", *["subscribe", "complete"] * 2]


async def test_a_connection_that_is_lost_half_way() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        message = await conn.expect_type("subscribe")
        await conn.send({"type": "next", "id": message["id"], "payload": NOW[0]})
        await conn.aclose()

    async with ScriptedPeer(script) as peer, client_of(peer) as session:
        async with session.execute_incremental(DOCUMENT) as states:
            assert await states.receive() == PART
            with pytest.raises(TransportConnectionFailed):
                await states.receive()


async def test_a_subscription_is_not_merged() -> None:
    """Its results are each a whole, whatever its document says."""
    async with answering({"data": {"n": 1}}, {"data": {"n": 2}}, end=True) as peer:
        async with client_of(peer) as session:
            document = 'subscription { n(text: "@defer") }'
            async with session.subscribe(document) as events:
                assert [event async for event in events] == [{"n": 1}, {"n": 2}]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving("ws", tmp_path_factory.mktemp("node") / "ws.log") as server:
        yield server
        server.check()


async def test_graphql_ws(node: NodeServer) -> None:
    url = node.url.replace("http", "ws")
    defer = "{ item { name ... @defer { details { weight colour } } } }"
    lamp = {"item": {"name": "lamp", "details": {"weight": 12, "colour": "red"}}}
    async with Client(url) as session:
        assert await session.execute(defer) == lamp
        async with session.execute_incremental(defer) as states:
            assert [state async for state in states] == [PART, lamp]
        async with session.execute_incremental("{ letters @stream(initialCount: 1) }") as states:
            grown = [state["letters"] async for state in states]
        assert grown[0] == ["a"]
        assert grown[-1] == ["a", "b", "c", "d"]
        with pytest.raises(TransportQueryError, match="kept secret"):
            await session.execute("{ item { name ... @defer { details { secret } } } }")
