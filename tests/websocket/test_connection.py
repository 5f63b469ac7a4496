"""What the protocols ask of a connection, against a peer that does exactly as it is told.

A test's name ends with the number of the point in the protocol's list, as in the codecs' tables
of wire vectors (tests/protocols), which hold what needs no connection.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio import EndOfStream

from anygql import (
    Client,
    Session,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportProtocolError,
    TransportQueryError,
    WebSocketTransport,
)
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import Connector, WebSocketEnded
from tests.support.clients import client_of

NEW = "graphql-transport-ws"
OLD = "graphql-ws"
HELLO = "{ hello }"
EVENTS = "subscription { events }"

Script = Callable[[PeerConnection], Awaitable[object]]


class Conversation:
    """A session, the peer's end of it, and everything that the client says, in order."""

    def __init__(self, session: Session, conn: PeerConnection) -> None:
        self.session = session
        self.conn = conn

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.conn.received]

    async def heard(self, count: int) -> dict[str, Any]:
        """The last of the client's first ``count`` messages, once it is there."""
        while len(self.conn.received) < count:
            await anyio.sleep(0.001)
        return self.conn.received[count - 1]

    async def say(self, kind: str, op: str | None = None, **parts: Any) -> None:
        await self.conn.send({"type": kind, **({} if op is None else {"id": op}), **parts})

    async def settle(self) -> None:
        """Until both have dealt with all that was said so far."""
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def conversation(subprotocol: str = NEW, **options: Any) -> AsyncGenerator[Conversation]:
    """One that the client opened; the peer listens in the background."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=subprotocol)
        with suppress(WebSocketEnded):
            while True:
                await conn.receive()

    async with ScriptedPeer(script) as peer:
        async with client_of(peer, **options) as session:
            with anyio.fail_after(10):
                yield Conversation(session, peer.connections[0])
        await anyio.wait_all_tasks_blocked()


async def execute(session: Session, answers: list[Any]) -> None:
    try:
        answers.append(await session.execute(HELLO))
    except TransportQueryError as error:
        answers.append(error)


async def cancelled_execute(talk: Conversation, count: int) -> str:
    """Start an ``execute``, cancel it when the peer has it, and give its id."""
    async with anyio.create_task_group() as tg:
        tg.start_soon(talk.session.execute, HELLO)
        op: str = (await talk.heard(count))["id"]
        tg.cancel_scope.cancel()
    return op


# Both.


@pytest.mark.parametrize(
    ("protocol", "offered"), [("auto", [NEW, OLD]), (NEW, [NEW]), (OLD, [OLD])]
)
async def test_offer_1(connector: Connector, protocol: str, offered: list[str]) -> None:
    seen: list[list[str]] = []

    async def script(conn: PeerConnection) -> None:
        seen.append((await conn.request()).subprotocols)
        await conn.handshake(subprotocol=offered[-1])
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector, protocol=protocol)
        async with Client(transport):
            pass
    assert seen == [offered]


@pytest.mark.parametrize(
    ("protocol", "answer"), [(NEW, OLD), (OLD, NEW), ("auto", "graphql"), (NEW, NEW.upper())]
)
async def test_another_subprotocol_1(connector: Connector, protocol: str, answer: str) -> None:
    gone = anyio.Event()

    async def script(conn: PeerConnection) -> None:
        await conn.accept(answer)
        await conn.wait_eof()
        gone.set()

    async with ScriptedPeer(script) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector, protocol=protocol)
        with pytest.raises(TransportProtocolError, match=repr(answer)) as caught:
            async with Client(transport):
                raise AssertionError("connected")
        assert (caught.value.code, caught.value.retryable) == (4406, False)
        await gone.wait()


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
@pytest.mark.parametrize("payload", [None, {}, {"token": "t"}])
async def test_one_connection_init_at_once_2(subprotocol: str, payload: Any) -> None:
    """The server hasn't said anything, and there is nothing more until it does."""
    asked: list[None] = []

    async def init_payload() -> Any:
        asked.append(None)
        return payload

    async def script(conn: PeerConnection) -> None:
        await conn.accept(subprotocol)
        expected = {"type": "connection_init"}
        await conn.expect(expected if payload is None else {**expected, "payload": payload})
        with anyio.move_on_after(0.06) as scope:
            await conn.receive()
        assert scope.cancelled_caught
        await conn.send({"type": "connection_ack"})
        await conn.wait_closed()

    # a ping would be due, were it allowed yet
    options = {"init_payload": init_payload, "ping_interval": 0.02, "pong_timeout": 60}
    async with ScriptedPeer(script) as peer, client_of(peer, **options):
        pass
    assert len(asked) == 1


@pytest.mark.parametrize(("subprotocol", "start"), [(NEW, "subscribe"), (OLD, "start")])
async def test_nothing_before_the_ack_3(subprotocol: str, start: str) -> None:
    """Operations that wait for the connection don't start before it is acknowledged."""

    async def script(conn: PeerConnection) -> None:
        await conn.accept(subprotocol)
        await conn.expect_type("connection_init")
        if subprotocol == NEW:
            await conn.send({"type": "ping"})
            await conn.expect({"type": "pong"})
        with anyio.move_on_after(0.1) as scope:
            await conn.receive()
        assert scope.cancelled_caught
        await conn.send({"type": "connection_ack"})
        for _ in range(2):
            op = (await conn.expect_type(start))["id"]
            kind = "next" if subprotocol == NEW else "data"
            await conn.send({"type": kind, "id": op, "payload": {"data": {"n": 1}}})
            await conn.send({"type": "complete", "id": op})
        await conn.wait_closed()

    answers: list[Any] = []
    async with (
        ScriptedPeer(script) as peer,
        client_of(peer).connect(reconnecting=True, lazy=True) as session,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(execute, session, answers)
        async with session.subscribe(EVENTS) as events:
            answers += [event async for event in events]
    assert answers == [{"n": 1}] * 2


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
async def test_unique_ids_6(subprotocol: str) -> None:
    async with conversation(subprotocol) as talk, anyio.create_task_group() as tg:
        for _ in range(20):
            tg.start_soon(talk.session.execute, HELLO)
            async with talk.session.subscribe(EVENTS):
                pass
        subscriptions = [talk.session.subscribe(EVENTS) for _ in range(20)]
        for subscription in subscriptions:
            await subscription.__aenter__()
        await anyio.wait_all_tasks_blocked()
        started = [m for m in talk.conn.received if m["type"] in ("subscribe", "start")]
        for subscription in subscriptions:
            await subscription.aclose()
        tg.cancel_scope.cancel()
    ids = [message["id"] for message in started]
    assert len(ids) >= 40
    assert len(set(ids)) == len(ids)
    assert all(isinstance(op, str) and op for op in ids)


@pytest.mark.parametrize(("subprotocol", "stop"), [(NEW, "complete"), (OLD, "stop")])
async def test_leaving_early_8(subprotocol: str, stop: str) -> None:
    """By any way and however often, the server is told once."""
    async with conversation(subprotocol) as talk:
        events = talk.session.subscribe(EVENTS)
        async with events:
            op = (await talk.heard(2))["id"]
        assert await talk.heard(3) == {"type": stop, "id": op}
        await events.aclose()
        op = await cancelled_execute(talk, 4)
        assert await talk.heard(5) == {"type": stop, "id": op}
        events = talk.session.subscribe(EVENTS)
        await events.__aenter__()
        op = (await talk.heard(6))["id"]
        del events
        assert await talk.heard(7) == {"type": stop, "id": op}
        if subprotocol == OLD:
            await talk.say("complete", op)  # servers answer so
        await talk.settle()
    assert talk.kinds[7:] == ([] if subprotocol == NEW else ["connection_terminate"])


@pytest.mark.parametrize("end", ["complete", "error"])
@pytest.mark.parametrize("subprotocol", [NEW, OLD])
async def test_nothing_follows_the_servers_own_end_8(subprotocol: str, end: str) -> None:
    payload: Any = [{"message": "no"}] if subprotocol == NEW else {"message": "no"}
    parts = {"payload": payload} if end == "error" else {}
    answers: list[Any] = []
    async with conversation(subprotocol) as talk:
        async with talk.session.subscribe(EVENTS) as events:
            await talk.say(end, (await talk.heard(2))["id"], **parts)
            if end == "error":
                with pytest.raises(TransportQueryError, match="no") as caught:
                    await events.receive()
                assert caught.value.errors == [{"message": "no"}]
            with pytest.raises(EndOfStream):
                await events.receive()
        async with talk.session.subscribe(EVENTS):  # left before its end is noticed
            await talk.say(end, (await talk.heard(3))["id"], **parts)
            await talk.settle()
        async with anyio.create_task_group() as tg:
            tg.start_soon(execute, talk.session, answers)
            await talk.say(end, (await talk.heard(4))["id"], **parts)
        await talk.settle()
    started = "subscribe" if subprotocol == NEW else "start"
    farewell = [] if subprotocol == NEW else ["connection_terminate"]
    assert talk.kinds == ["connection_init", started, started, started, *farewell]
    assert isinstance(answers[0], TransportQueryError)
    assert ("without an answer" in str(answers[0])) == (end == "complete")


@pytest.mark.parametrize(("subprotocol", "result"), [(NEW, "next"), (OLD, "data")])
async def test_unknown_and_finished_ids_9(subprotocol: str, result: str) -> None:
    data = {"data": {"n": 1}}
    answers: list[Any] = []

    async def late(op: str) -> None:
        await talk.say(result, op, payload={"data": {"n": "late"}})
        error = {"message": "late"}
        await talk.say("error", op, payload=[error] if subprotocol == NEW else error)
        await talk.say("complete", op)

    async with conversation(subprotocol) as talk:
        session = talk.session
        async with session.subscribe(EVENTS) as events:
            steady = (await talk.heard(2))["id"]
            await late("nobody")
            await late("")
            await talk.say("complete", "0")
            # answered
            async with anyio.create_task_group() as tg:
                tg.start_soon(execute, session, answers)
                op = (await talk.heard(3))["id"]
                await talk.say(result, op, payload=data)
            await late(op)  # which shows that the server goes on, so it is stopped
            await talk.heard(4)
            # cancelled
            await late(await cancelled_execute(talk, 5))
            # left
            async with session.subscribe(EVENTS):
                op = (await talk.heard(7))["id"]
            await late(op)
            # completed
            async with session.subscribe(EVENTS) as completed:
                op = (await talk.heard(9))["id"]
                await talk.say("complete", op)
                await late(op)
                assert [event async for event in completed] == []
            await talk.say(result, steady, payload=data)
            assert await events.receive() == {"n": 1}
        await talk.settle()
        assert session.state == "connected"
    assert answers == [{"n": 1}]
    stops = [m["id"] for m in talk.conn.received if m["type"] in ("complete", "stop")]
    # Of these four, one was answered: the late result showed that the server went on.
    assert len(stops) == len(set(stops)) == 4


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
async def test_normal_close_11(connector: Connector, subprotocol: str) -> None:
    """1000; the legacy protocol says ``connection_terminate`` before it (9)."""
    said: list[Any] = []

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=subprotocol)
        if subprotocol == OLD:
            await conn.expect({"type": "connection_terminate"})
        said.append(await conn.wait_closed())
        said.append(await conn.wait_eof())

    async with ScriptedPeer(script) as peer:
        async with Client(WebSocketTransport(await peer.listen(), connector=connector)):
            pass
        while len(said) < 2:
            await anyio.sleep(0.001)
    assert said == [(1000, ""), b""]


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
@pytest.mark.parametrize("payload", [None, {}, {"connectionTimeoutMs": 3, "x": [1, None]}])
async def test_ack_payload_12(subprotocol: str, payload: Any) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake(payload, subprotocol)
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer, client_of(peer) as session:
        assert session.payloads["connection_ack"] == payload
        assert set(session.payloads) == {"connection_ack"}


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
async def test_ack_timeout_13(subprotocol: str) -> None:
    told: list[tuple[int, str]] = []

    async def script(conn: PeerConnection) -> None:
        await conn.accept(subprotocol)
        await conn.expect_type("connection_init")
        if subprotocol == OLD:
            await conn.send({"type": "ka"})  # life, but not what was asked for
        told.append(await conn.wait_closed())

    async with ScriptedPeer(script) as peer:
        with pytest.raises(TransportConnectTimeout, match=r"0\.1 s \(ack_timeout\)") as caught:
            async with client_of(peer, ack_timeout=0.1):
                raise AssertionError("connected")
        assert (caught.value.code, caught.value.retryable) == (4504, True)
    assert told == [(4504, "Connection acknowledgement timeout")]


@pytest.mark.parametrize(
    "kind", ["x" * 1000, "ż" * 1000, "\N{GRINNING FACE}" * 1000, "a" + "\N{GRINNING FACE}" * 1000]
)
async def test_close_reason_15(kind: str) -> None:
    """At most 123 bytes, cut between characters, or the socket couldn't send it."""
    told: list[tuple[int, str]] = []

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.send({"type": kind})
        told.append(await conn.wait_closed())

    async with ScriptedPeer(script) as peer:
        async with client_of(peer) as session:
            await session.wait_closed()
        await anyio.wait_all_tasks_blocked()
    code, reason = told[0]
    assert code == 4400
    assert 0 < len(reason.encode()) <= 123
    assert "\N{REPLACEMENT CHARACTER}" not in reason


async def test_websocket_pings_are_answered_16(connector: Connector) -> None:
    """Before the ack, while idle, and while the client closes."""
    payloads = [b"", b"early", b"x" * 125]

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        for payload in payloads:
            await conn.ping(payload)
        await conn.expect_type("connection_init")
        await conn.send({"type": "connection_ack"})
        await conn.ping(b"late")
        with suppress(WebSocketEnded):
            while True:
                await conn.receive()
        pongs.extend(conn._websocket.pongs)

    pongs: list[bytes] = []
    async with ScriptedPeer(script) as peer:
        async with Client(WebSocketTransport(await peer.listen(), connector=connector)) as session:
            await anyio.sleep(0.05)
            assert session.state == "connected"
        while not pongs:
            await anyio.sleep(0.001)
    # RFC 6455 §5.5.3: of several pings, the last may be answered alone
    assert pongs[-1] == b"late"
    assert set(pongs) <= {*payloads, b"late"}


# graphql-transport-ws alone.


@pytest.mark.parametrize("payload", [..., None, {}, {"key": "value"}])
async def test_pings_4(payload: Any) -> None:
    """Answered whenever they come, with nothing that wasn't asked for; their payload is kept."""
    ping = {"type": "ping"} if payload is ... else {"type": "ping", "payload": payload}
    kept = None if payload is ... else payload

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send(ping)
        await conn.send(ping)
        await conn.expect_type("connection_init")
        for _ in range(2):
            await conn.expect({"type": "pong"})
        await conn.send({"type": "connection_ack"})
        await conn.send(ping)
        await conn.expect({"type": "pong"})
        proceed.set()
        op = (await conn.expect_type("subscribe"))["id"]
        await conn.send(ping)
        await conn.expect({"type": "pong"})
        await conn.send({"type": "next", "id": op, "payload": {"data": {"n": 1}}})
        await conn.wait_closed()

    proceed = anyio.Event()
    async with ScriptedPeer(script) as peer, client_of(peer) as session:
        assert session.payloads["ping"] == kept
        await proceed.wait()
        assert await session.execute(HELLO) == {"n": 1}
        assert session.payloads["ping"] == kept


async def test_unsolicited_pongs_5() -> None:
    """Accepted at any time; their payload is kept."""

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send({"type": "pong", "payload": {"n": 1}})
        await conn.expect_type("connection_init")
        await conn.send({"type": "connection_ack"})
        message = await conn.expect_type("subscribe")
        await conn.send({"type": "pong", "payload": {"n": 2}})
        await conn.send({"type": "pong"})
        await conn.send({"type": "pong", "payload": {"n": 3}})
        await conn.send({"type": "next", "id": message["id"], "payload": {"data": {"n": 4}}})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer, client_of(peer) as session:
        assert session.payloads["pong"] == {"n": 1}
        assert await session.execute(HELLO) == {"n": 4}
        assert session.payloads["pong"] == {"n": 3}


async def test_second_ack_12() -> None:
    """Its payload is the last."""
    async with conversation() as talk:
        await talk.say("connection_ack", payload={"second": True})
        await talk.settle()
        assert talk.session.payloads["connection_ack"] == {"second": True}
        assert talk.session.state == "connected"


# graphql-ws, the legacy one.


@pytest.mark.parametrize("protocol", ["auto", OLD])
async def test_no_subprotocol_named_1(connector: Connector, protocol: str) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept(None)
        await conn.expect_type("connection_init")
        await conn.send({"type": "connection_ack"})
        op = (await conn.expect_type("start"))["id"]
        await conn.send({"type": "data", "id": op, "payload": {"data": {"n": 1}}})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector, protocol=protocol)
        async with Client(transport) as session:
            assert await session.execute(HELLO) == {"n": 1}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"message": "not you"}, "not you"),
        ("not you", "not you"),
        ({"error": "not you"}, "not you"),
        ({"errors": [{"message": "not you", "errorCode": 401}]}, "not you"),
        ([{"message": "not you"}], "not you"),
        ("not you\nnor me", "not you"),
        ("x" * 1000, f"{'x' * 199}…"),
        (None, ""),
        ({"x": 1}, ""),
    ],
)
async def test_connection_error_2(payload: Any, said: str) -> None:
    """The server's words are quoted, in whatever shape they came, cut at a limit."""
    told: list[tuple[int, str]] = []

    async def script(conn: PeerConnection) -> None:
        await conn.accept(OLD)
        await conn.expect_type("connection_init")
        await conn.send({"type": "ka"})
        await conn.send({"type": "connection_error", "payload": payload})
        told.append(await conn.wait_closed())

    async with ScriptedPeer(script) as peer:
        with pytest.raises(TransportConnectionFailed, match="refused the connection") as caught:
            async with client_of(peer):
                raise AssertionError("connected")
        assert str(caught.value).endswith(f": {said}" if said else "refused the connection")
        assert caught.value.reason == said
        await anyio.wait_all_tasks_blocked()
    assert told == [(1000, "")]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"message": "what?"}, "what?"),
        ("what?", "what?"),
        ({"errors": ["what?"]}, "what?"),
        (["x" * 1000], f"{'x' * 199}…"),
        (None, "without a text"),
    ],
)
async def test_later_connection_error_3(
    payload: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is about one message, of which it does not say which."""
    answers: list[Any] = []
    async with conversation(OLD) as talk, anyio.create_task_group() as tg:
        tg.start_soon(execute, talk.session, answers)
        op = (await talk.heard(2))["id"]
        await talk.say("connection_error", payload=payload)
        await talk.say("data", op, payload={"data": {"n": 1}})
    assert answers == [{"n": 1}]
    assert "reports" in caplog.text
    assert said in caplog.text


async def test_start_and_stop_5() -> None:
    async with conversation(OLD) as talk:
        query = "query Q($n: Int) { hello(n: $n) }"
        async with anyio.create_task_group() as tg:
            tg.start_soon(talk.session.execute, query, {"n": 1})
            started = await talk.heard(2)
            tg.cancel_scope.cancel()
        payload = {"query": query, "operationName": "Q", "variables": {"n": 1}}
        assert started["payload"]["query"] == query
        assert started["payload"]["variables"] == {"n": 1}
        assert set(started["payload"]) <= set(payload)
        assert set(started) == {"type", "id", "payload"}
        assert await talk.heard(3) == {"type": "stop", "id": started["id"]}
    assert talk.kinds == ["connection_init", "start", "stop", "connection_terminate"]


@pytest.mark.parametrize(("subprotocol", "result"), [(NEW, "next"), (OLD, "data")])
async def test_data_with_errors_6(subprotocol: str, result: str) -> None:
    """Delivered whole; a subscription lives on."""
    payload = {"data": {"n": None}, "errors": [{"message": "bad"}], "extensions": {"cost": 1}}
    answers: list[Any] = []
    async with conversation(subprotocol) as talk:
        async with anyio.create_task_group() as tg:
            tg.start_soon(execute, talk.session, answers)
            await talk.say(result, (await talk.heard(2))["id"], payload=payload)
        async with talk.session.subscribe(EVENTS) as events:
            op = (await talk.heard(3))["id"]
            await talk.say(result, op, payload=payload)
            await talk.say(result, op, payload={"data": {"n": 2}})
            await talk.say("complete", op)
            with pytest.raises(TransportQueryError, match="bad") as caught:
                await events.receive()
            assert [event async for event in events] == [{"n": 2}]
    for error in (answers[0], caught.value):
        assert (error.data, error.errors) == (payload["data"], payload["errors"])
        assert error.extensions == {"cost": 1}


async def test_error_is_one_object_7() -> None:
    answers: list[Any] = []
    async with conversation(OLD) as talk:
        async with anyio.create_task_group() as tg:
            tg.start_soon(execute, talk.session, answers)
            op = (await talk.heard(2))["id"]
            await talk.say("error", op, payload={"message": "Cannot query field"})
        async with anyio.create_task_group() as tg:
            tg.start_soon(execute, talk.session, answers)
            await talk.say("data", (await talk.heard(3))["id"], payload={"data": {"n": 1}})
    assert answers[0].errors == [{"message": "Cannot query field"}]
    assert answers[1] == {"n": 1}
    assert talk.kinds == ["connection_init", "start", "start", "connection_terminate"]


async def test_complete_ends_8() -> None:
    async with conversation(OLD) as talk:
        async with talk.session.subscribe(EVENTS) as events:
            op = (await talk.heard(2))["id"]
            await talk.say("data", op, payload={"data": {"n": 1}})
            await talk.say("complete", op)
            assert [event async for event in events] == [{"n": 1}]
    assert talk.kinds == ["connection_init", "start", "connection_terminate"]


async def test_a_session_has_the_headers_of_its_handshake(connector: Connector) -> None:
    """By lower-case name, to be read only."""

    async def script(conn: PeerConnection) -> None:
        await conn.request()
        await conn.accept(NEW, {"X-Request-Id": "r-1"})
        await conn.expect_type("connection_init")
        await conn.send({"type": "connection_ack"})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        async with Client(WebSocketTransport(await peer.listen(), connector=connector)) as session:
            assert session.response_headers["x-request-id"] == "r-1"
            with pytest.raises(TypeError):
                session.response_headers["x"] = "y"  # type: ignore[index]


@pytest.mark.parametrize("protocol", [NEW, OLD])
async def test_a_server_that_names_no_subprotocol_speaks_the_only_one_offered(
    connector: Connector, protocol: str
) -> None:
    start, result = ("subscribe", "next") if protocol == NEW else ("start", "data")

    async def script(conn: PeerConnection) -> None:
        await conn.accept(None)
        await conn.expect_type("connection_init")
        await conn.send({"type": "connection_ack"})
        op = (await conn.expect_type(start))["id"]
        await conn.send({"type": result, "id": op, "payload": {"data": {"n": 1}}})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        url = await peer.listen()
        transport = WebSocketTransport(url, connector=connector, protocol=protocol)
        async with Client(transport) as session:
            assert await session.execute(HELLO) == {"n": 1}
