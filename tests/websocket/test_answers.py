"""What was refused, or is no answer, never looks like success, and costs its operation alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    Session,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    WebSocketTransport,
)
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import Connector, WebSocketEnded
from tests.support.clients import client_of

NEW = "graphql-transport-ws"
OLD = "graphql-ws"
#: By subprotocol: the types of the messages that start, answer and stop an operation.
TYPES = {NEW: ("subscribe", "next", "complete"), OLD: ("start", "data", "stop")}
HELLO = "{ hello }"
CHANGE = "mutation { change }"
EVENTS = "subscription { events }"
DEFERRED = "{ hello ... @defer { more } }"
WELL = {"hello": "well"}
ABSENT: Any = ...

both = pytest.mark.parametrize("subprotocol", [NEW, OLD])


def message(kind: str, op: str, payload: Any) -> dict[str, Any]:
    parts = {} if payload is ABSENT else {"payload": payload}
    return {"type": kind, "id": op, **parts}


@asynccontextmanager
async def answering(
    subprotocol: str, *answers: tuple[str, Any], permanent: bool = False
) -> AsyncGenerator[tuple[Session, ScriptedPeer]]:
    """A session whose operations get these answers: all of them, unless they ask for ``hello``."""
    start, result, _ = TYPES[subprotocol]

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=subprotocol)
        with suppress(WebSocketEnded):
            while True:
                asked = await conn.receive()
                if asked["type"] != start:
                    continue
                if asked["payload"]["query"] == HELLO:
                    await conn.send(message(result, asked["id"], {"data": WELL}))
                    await conn.send({"type": "complete", "id": asked["id"]})
                    continue
                for kind, payload in answers:
                    await conn.send(message(kind, asked["id"], payload))

    async with ScriptedPeer(script) as peer:
        async with client_of(peer).connect(reconnecting=permanent) as session:
            yield session, peer


async def still_well(session: Session, peer: ScriptedPeer) -> None:
    """The connection lives, and other operations with it."""
    assert await session.execute(HELLO) == WELL
    assert session.state == "connected"
    assert len(peer.connections) == 1


def stops(peer: ScriptedPeer, subprotocol: str) -> list[str]:
    return [m["id"] for m in peer.received if m["type"] == TYPES[subprotocol][2]]


REFUSALS = {
    "empty list": ([], "gave no reason"),
    "empty object": ({}, "gave no reason"),
    "empty errors": ({"errors": []}, "gave no reason"),
    "null": (None, "gave no reason"),
    "absent": (ABSENT, "gave no reason"),
    "list of null": ([None], "gave no reason"),
    "object": ({"message": "no"}, "no"),
    "error": ({"error": "no"}, "no"),
    "text": ("no", "no"),
    "errors": ({"errors": [{"message": "no"}]}, "no"),
    "list": ([{"message": "no"}], "no"),
    "list of texts": (["no"], "no"),
    "list of results": ([{"errors": [{"message": "no"}]}], "no"),
    "number": (7, "7"),
}


@both
@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("permanent", [False, True])
async def test_a_refusal_is_an_error_in_whatever_shape_it_comes(
    subprotocol: str, name: str, permanent: bool
) -> None:
    payload, says = REFUSALS[name]
    async with answering(subprotocol, ("error", payload), permanent=permanent) as (session, peer):
        with pytest.raises(TransportQueryError, match=says) as caught:
            await session.execute(CHANGE)
        assert caught.value.errors
        assert (await session.execute_result(CHANGE)).errors == caught.value.errors
        async with session.subscribe(EVENTS) as events:
            with pytest.raises(TransportQueryError, match=says):
                await events.receive()
        await still_well(session, peer)
        assert not stops(peer, subprotocol)


NO_RESULTS = {
    "empty": ({}, "without data and errors"),
    "message": ({"message": "Internal server error"}, "errors: Internal server error"),
    "empty errors": ({"errors": []}, "without data and errors"),
    "errors that are an object": ({"errors": {"message": "no"}}, "'errors' is a JSON object"),
    "errors that are a text": ({"data": None, "errors": "no"}, "'errors' is a JSON string"),
    "data that is a list": ({"data": []}, "'data' is a JSON array"),
    "data that is a text": ({"data": "no"}, "'data' is a JSON string"),
    "null": (None, "null"),
    "list": ([], "a JSON array"),
    "text": ("no", "a JSON string: no"),
    "absent": (ABSENT, "no payload"),
}


@both
@pytest.mark.parametrize("name", NO_RESULTS)
@pytest.mark.parametrize("permanent", [False, True])
async def test_what_is_no_result_fails_its_operation_alone(
    subprotocol: str, name: str, permanent: bool
) -> None:
    """The server is told once, the consumer what came; the connection lives."""
    payload, says = NO_RESULTS[name]
    result = TYPES[subprotocol][1]
    async with answering(subprotocol, (result, payload), permanent=permanent) as (session, peer):
        for document in (CHANGE, DEFERRED):
            with pytest.raises(TransportProtocolError) as caught:
                await session.execute(document)
            assert not caught.value.unsent
            if document == CHANGE:
                assert says in str(caught.value)
                assert bool(caught.value.body) == (payload is not ABSENT)
        async with session.subscribe(EVENTS) as events:
            with pytest.raises(TransportProtocolError, match=says):
                await events.receive()
        await still_well(session, peer)
        assert len(stops(peer, subprotocol)) == len(set(stops(peer, subprotocol))) == 3


@both
async def test_results_before_one_that_is_none_are_delivered(subprotocol: str) -> None:
    result = TYPES[subprotocol][1]
    answers = ((result, {"data": {"n": 1}}), (result, {"message": "no"}))
    async with answering(subprotocol, *answers) as (session, peer):
        async with session.subscribe(EVENTS) as events:
            assert await events.receive() == {"n": 1}
            with pytest.raises(TransportProtocolError, match="no") as caught:
                await events.receive()
            assert caught.value.body == '{"message":"no"}'
        await still_well(session, peer)


@both
@pytest.mark.parametrize(
    "part", [{}, {"message": "no"}, {"errors": {}}, {"data": []}, [], None], ids=repr
)
async def test_a_part_that_is_none_fails_its_operation_alone(subprotocol: str, part: Any) -> None:
    result = TYPES[subprotocol][1]
    first = {"data": WELL, "hasNext": True}
    async with answering(subprotocol, (result, first), (result, part)) as (session, peer):
        with pytest.raises(TransportProtocolError):
            await session.execute(DEFERRED)
        async with session.execute_incremental(DEFERRED) as states:
            assert await states.receive() == WELL
            with pytest.raises(TransportProtocolError):
                await states.receive()
        await still_well(session, peer)
        assert len(stops(peer, subprotocol)) == 2


@both
async def test_a_query_that_the_server_streams_is_stopped_at_its_second_result(
    subprotocol: str,
) -> None:
    result = TYPES[subprotocol][1]
    answers = [(result, {"data": {"n": n}}) for n in range(3)]
    async with answering(subprotocol, *answers) as (session, peer):
        for count in (1, 2):
            assert await session.execute(CHANGE) == {"n": 0}
            await anyio.wait_all_tasks_blocked()
            assert len(stops(peer, subprotocol)) == len(set(stops(peer, subprotocol))) == count
        await still_well(session, peer)


@both
async def test_an_answered_query_is_not_stopped(subprotocol: str) -> None:
    """Not if the server completes it, nor if the server says nothing more."""
    result = TYPES[subprotocol][1]
    async with answering(subprotocol, (result, {"data": {"n": 1}})) as (session, peer):
        assert await session.execute(CHANGE) == {"n": 1}
        await still_well(session, peer)
        await anyio.wait_all_tasks_blocked()
        assert not stops(peer, subprotocol)


UNKNOWN = {
    "start_ack": ({"type": "start_ack", "id": "1"}, "start_ack"),
    "no type": ({"message": "Internal server error", "connectionId": "c"}, "Internal server"),
    "a number as type": ({"type": 7}, "without a type"),
    "at length": ({"type": "news", "payload": "x" * 5000}, "news"),
}


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("early", [True, False])
async def test_legacy_messages_of_unknown_types_are_ignored_with_one_warning(
    name: str, early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    unknown, says = UNKNOWN[name]

    async def script(conn: PeerConnection) -> None:
        await conn.accept(OLD)
        await conn.expect_type("connection_init")
        for _ in range(3 if early else 0):
            await conn.send(unknown)
        await conn.send({"type": "connection_ack"})
        op = (await conn.expect_type("start"))["id"]
        for _ in range(0 if early else 3):
            await conn.send(unknown)
        await conn.send(message("data", op, {"data": WELL}))
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        async with client_of(peer).connect(reconnecting=True) as session:
            assert await session.execute(HELLO) == WELL
        assert len(peer.connections) == 1
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert says in warnings[0].getMessage()
    assert len(warnings[0].getMessage()) < 500


async def test_a_keep_alive_of_the_legacy_protocol_is_life() -> None:
    async with answering(NEW, ("ka", ABSENT), ("next", {"data": WELL})) as (session, peer):
        assert await session.execute(CHANGE) == WELL
        await still_well(session, peer)


@pytest.mark.usefixtures("soon")
async def test_a_permanent_session_comes_back_after_a_message_of_an_unknown_type(
    connector: Connector,
) -> None:
    """The specification has the client close with 4400; it does, and connects again."""
    told: list[tuple[int, str]] = []

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        await conn.send({"type": "nonsense"})
        told.append(await conn.wait_closed())

    async def good(conn: PeerConnection) -> None:
        await conn.handshake()
        op = (await conn.expect_type("subscribe"))["id"]
        await conn.send(message("next", op, {"data": WELL}))
        await conn.wait_closed()

    async with ScriptedPeer([bad, good]) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(EVENTS) as events:
                assert await events.receive() == WELL
    assert told[0][0] == 4400


async def test_a_message_that_cannot_be_read_before_the_acknowledgement_is_final() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send({"type": "nonsense"})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        with pytest.raises(TransportError) as caught:
            async with client_of(peer):
                raise AssertionError("connected")
    assert (caught.value.code, caught.value.retryable) == (4400, False)
