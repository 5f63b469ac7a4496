"""Bad input: a clear error of the right class, in time, and nothing left behind.

Each failure is followed by a connection of the same client that works.
"""

from __future__ import annotations

import logging
import ssl
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
import trustme
from anyio import EndOfStream
from websockets.frames import Frame, Opcode

from anygql import (
    Client,
    Closed,
    Connected,
    Connecting,
    Disconnected,
    TransportConnectionFailed,
    TransportConnectionRefused,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportServerError,
    WebSocketTransport,
)
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import Connector, WebSocketEnded

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("brief")]

HELLO = "{ hello }"
EVENTS = "subscription { events }"
ANSWER = {"hello": "again"}

Step = Callable[[PeerConnection], Awaitable[object]]


@pytest.fixture
def time_limit() -> float:
    """Not only in the end: what is bad is known within seconds."""
    return 15


@pytest.fixture
def patient(brief: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a close frame that the peer waits for be written, however busy the machine is."""
    monkeypatch.setattr("anygql.websocket.connection.BRIEFLY", 10)


# Peers.


async def answer_all(conn: PeerConnection) -> None:
    """Answer every operation until the client closes."""
    with suppress(WebSocketEnded):
        while True:
            message = await conn.receive()
            if message["type"] == "subscribe":
                await conn.send({"type": "next", "id": message["id"], "payload": {"data": ANSWER}})
                await conn.send({"type": "complete", "id": message["id"]})


async def serve(conn: PeerConnection) -> None:
    """A server as it should be."""
    await conn.handshake()
    await answer_all(conn)


def at_handshake(step: Step) -> Step:
    async def script(conn: PeerConnection) -> None:
        await conn.request()
        await step(conn)

    return script


def after_init(step: Step) -> Step:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        await step(conn)

    return script


def refusing(status: int, body: bytes = b"why: because", **headers: str) -> Step:
    return lambda conn: conn.refuse(status, body, headers)


def sending(*messages: object) -> Step:
    async def step(conn: PeerConnection) -> None:
        for message in messages:
            if isinstance(message, bytes | str):
                await conn.send_text(message)
            else:
                await conn.send(message)

    return step


def closing(code: int, reason: str = "") -> Step:
    return lambda conn: conn.close(code, reason)


def raw(data: bytes) -> Step:
    async def step(conn: PeerConnection) -> None:
        await conn.send_raw(data)
        await conn.aclose()

    return step


async def end(conn: PeerConnection) -> None:
    await conn.aclose()


async def reset(conn: PeerConnection) -> None:
    conn.reset()


async def nothing(conn: PeerConnection) -> None:
    """Say nothing, and wait for the client to go."""


def shown(url: str) -> str:
    """The URL as messages show it: here, whole."""
    assert "@" not in url
    assert "?" not in url
    return url


def secretly(url: str) -> str:
    """The same URL with what no message may show."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://user:hush@{rest}?token=hush"


async def failure(client: Client, within: float = 5) -> TransportError:
    """What connecting raises."""
    with anyio.fail_after(within):
        with pytest.raises(TransportError) as caught:
            async with client:
                raise AssertionError("connected")
    return caught.value


# No connection.


@dataclass
class Case:
    step: Step
    kind: type[TransportError]
    code: int | None
    retryable: bool
    says: str
    options: dict[str, Any] = field(default_factory=dict)
    #: `None`: in whatever words.
    reason: str | None = ""
    #: The close code and reason that the peer sees.
    told: tuple[int, str] | None = None


LOST = "the connection was lost"
SHORT = {"connect_timeout": 0.2}

CONNECTING = {
    "200": Case(at_handshake(refusing(200)), TransportServerError, 200, False, "answered 200"),
    "301": Case(
        at_handshake(refusing(301, Location="/elsewhere")),
        TransportServerError,
        301,
        False,
        "answered 301 to the WebSocket handshake. Redirects are not followed",
    ),
    "401": Case(at_handshake(refusing(401)), TransportServerError, 401, False, "answered 401"),
    "403": Case(
        at_handshake(refusing(403)),
        TransportServerError,
        403,
        False,
        "Check the path and the credentials",
    ),
    "404": Case(at_handshake(refusing(404)), TransportServerError, 404, False, "answered 404"),
    "503": Case(at_handshake(refusing(503)), TransportServerError, 503, True, "answered 503"),
    "TCP closed at once": Case(end, TransportConnectionFailed, None, True, "Is it"),
    "TCP closed before the answer": Case(
        at_handshake(end),
        TransportConnectionFailed,
        None,
        True,
        "closed the connection before it was established",
    ),
    "TCP closed in the answer": Case(
        at_handshake(raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgr")),
        TransportConnectionFailed,
        None,
        True,
        "closed the connection before it was established",
    ),
    "TCP reset before the answer": Case(
        at_handshake(reset), TransportConnectionFailed, None, True, "can't connect to"
    ),
    "not HTTP": Case(
        at_handshake(raw(b"220 mail.example.org ESMTP\r\n")),
        TransportProtocolError,
        None,
        False,
        "doesn't speak HTTP",
    ),
    "no answer to the handshake": Case(
        nothing,
        TransportConnectTimeout,
        None,
        True,
        "no connection within 0.2 s (connect_timeout)",
        options=SHORT,
    ),
    "a subprotocol that was not offered": Case(
        lambda conn: conn.accept("graphql-sse"),
        TransportProtocolError,
        4406,
        False,
        "chose the subprotocol 'graphql-sse', which was not offered "
        "(offered: graphql-transport-ws, graphql-ws)",
        reason="subprotocol not acceptable",
    ),
    "the subprotocol that was not asked for": Case(
        lambda conn: conn.accept("graphql-ws"),
        TransportProtocolError,
        4406,
        False,
        "chose the subprotocol 'graphql-ws', which was not offered (offered: graphql-transport-ws)",
        options={"protocol": "graphql-transport-ws"},
        reason="subprotocol not acceptable",
    ),
    "TCP closed before the ack": Case(
        after_init(end),
        TransportConnectionFailed,
        1006,
        True,
        f"{LOST}: without a close frame",
        reason=None,
    ),
    "TCP reset before the ack": Case(
        after_init(reset),
        TransportConnectionFailed,
        1006,
        True,
        f"{LOST}: without a close frame",
        reason=None,
    ),
    "4401 before the ack": Case(
        after_init(closing(4401, "Unauthorized")),
        TransportConnectionFailed,
        4401,
        False,
        "closed with 4401 Unauthorized",
        reason="Unauthorized",
    ),
    "4403 before the ack": Case(
        after_init(closing(4403, "Forbidden")),
        TransportConnectionRefused,
        4403,
        True,
        "refused connection_init (4403 Forbidden): check init_payload",
        reason="Forbidden",
    ),
    "1011 before the ack": Case(
        after_init(closing(1011)), TransportConnectionFailed, 1011, False, "closed with 1011"
    ),
    "connection_error": Case(
        after_init(sending({"type": "connection_error", "payload": {"message": "not you"}})),
        TransportConnectionRefused,
        4403,
        True,
        "refused the connection: not you",
        reason="not you",
        told=(1000, ""),
    ),
    "no ack": Case(
        after_init(nothing),
        TransportConnectTimeout,
        4504,
        True,
        "no acknowledgement within 0.2 s (ack_timeout)",
        options={"ack_timeout": 0.2},
        told=(4504, "Connection acknowledgement timeout"),
    ),
    "a result before the ack": Case(
        after_init(sending({"type": "next", "id": "1", "payload": {}})),
        TransportProtocolError,
        4400,
        False,
        "broke the protocol: next before the acknowledgement",
        reason="next before the acknowledgement",
        told=(4400, "next before the acknowledgement"),
    ),
}


@pytest.mark.parametrize("name", CONNECTING)
async def test_connecting(connector: Connector, name: str, request: pytest.FixtureRequest) -> None:
    case = CONNECTING[name]
    if case.told:
        request.getfixturevalue("patient")
    told: list[tuple[int, str]] = []
    gone = anyio.Event()

    async def bad(conn: PeerConnection) -> None:
        await case.step(conn)
        if case.told:
            told.append(await conn.wait_closed())
        await conn.wait_eof()
        gone.set()

    async with ScriptedPeer([bad, serve]) as peer:
        url = await peer.listen()
        client = Client(WebSocketTransport(secretly(url), connector=connector, **case.options))
        error = await failure(client)
        await gone.wait()
        assert told == ([case.told] if case.told else [])
        assert type(error) is case.kind
        assert error.code == case.code
        assert case.reason in {None, error.reason}
        assert error.retryable == case.retryable
        assert not error.unsent
        assert case.says in str(error)
        assert shown(url) in str(error)
        assert "hush" not in str(error)
        if type(error) is TransportServerError:
            assert error.body == "why: because"
            assert str(error).endswith(". It says: why: because")
        if isinstance(error, TransportConnectTimeout):
            assert isinstance(error, TimeoutError)
        if case.options.keys() & {"connect_timeout", "ack_timeout"}:  # which are short
            client = Client(WebSocketTransport(secretly(url), connector=connector))
        async with client as session:
            assert await session.execute(HELLO) == ANSWER


async def test_long_body(connector: Connector) -> None:
    """Its start is on the error, the message stays short."""
    body = b"<html>" + b"x" * 1_000_000

    async with ScriptedPeer(refusing(503, body, **{"Retry-After": "7"})) as peer:
        url = await peer.listen()
        error = await failure(Client(WebSocketTransport(url, connector=connector)))
    assert isinstance(error, TransportServerError)
    assert error.body == body.decode()[:1024]
    assert error.headers["retry-after"] == "7"
    assert error.retry_after == 7
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/graphql", "ftp://h/x", "graphql", "ws://", "ws://h:x/", "wss:///x"]
)
async def test_unusable_url(connector: Connector, url: str) -> None:
    """At once where it is known, and at the attempt where it is asked for."""
    with pytest.raises(TransportInvalidURL):
        WebSocketTransport(url, connector=connector)

    async def ask() -> str:
        return url

    error = await failure(Client(WebSocketTransport(ask, connector=connector)))
    assert isinstance(error, TransportInvalidURL)
    assert isinstance(error, ValueError)
    assert not error.retryable
    assert repr(url) in str(error)


async def test_refused_port(connector: Connector, free_port: int) -> None:
    url = f"ws://127.0.0.1:{free_port}/graphql"
    client = Client(WebSocketTransport(secretly(url), connector=connector))
    error = await failure(client)
    assert type(error) is TransportConnectionFailed
    assert error.retryable
    assert error.code is None
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert f"can't connect to {url}: " in str(error)
    assert "Check that the server is running" in str(error)
    async with ScriptedPeer(serve) as peer:
        await peer.listen(port=free_port)
        async with client as session:
            assert await session.execute(HELLO) == ANSWER


async def test_name_that_does_not_resolve(connector: Connector) -> None:
    client = Client(WebSocketTransport("ws://nonexistent.invalid/?token=hush", connector=connector))
    error = await failure(client, 10)
    assert type(error) is TransportConnectionFailed
    assert error.retryable
    assert "can't connect to ws://nonexistent.invalid/: " in str(error)
    assert "Check the host's name" in str(error)
    assert "hush" not in str(error)


# TLS.


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_unknown_authority(
    connector: Connector, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with ScriptedPeer(serve) as peer:
        url = await peer.listen(ssl=server_tls)
        error = await failure(Client(WebSocketTransport(secretly(url), connector=connector)))
        assert type(error) is TransportConnectionFailed
        assert not error.retryable
        assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
        assert f"can't trust {shown(url)}: " in str(error)
        assert "pass ssl=" in str(error)
        assert not peer.connections
        client = Client(WebSocketTransport(url, connector=connector, ssl=client_tls))
        async with client as session:
            assert await session.execute(HELLO) == ANSWER


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None])
async def test_plain_server_under_wss(connector: Connector, answer: bytes | None) -> None:
    """It answers in plain text, ends the connection, or waits for more."""
    gone = anyio.Event()

    async def plain(conn: PeerConnection) -> None:
        with suppress(EndOfStream):
            await conn.receive_raw()
        if answer is not None:
            await conn.send_raw(answer)
            await conn.send_eof()
        await conn.wait_eof()
        gone.set()

    async with ScriptedPeer(plain) as peer:
        url = (await peer.listen()).replace("ws://", "wss://")
        options = SHORT if answer is None else {}
        client = Client(WebSocketTransport(secretly(url), connector=connector, **options))
        error = await failure(client)
        await gone.wait()
    assert isinstance(error, TransportConnectionFailed)
    assert isinstance(error, TransportConnectTimeout) == (answer is None)
    # Who ends the TLS handshake without a word most likely speaks no TLS.
    assert error.retryable == (answer is None)
    if answer is not None:
        assert "should the URL begin with ws://?" in str(error)
    assert shown(url) in str(error)
    if answer:
        assert "no TLS connection to" in str(error)


# A connection that turns bad.


def text(message: str) -> Step:
    return lambda conn: conn.send_text(message)


MALFORMED = {
    "invalid JSON": text('{"type": "next",'),
    "empty": text(""),
    "a list": text("[]"),
    "a string": text('"next"'),
    "a number": text("1"),
    "null": text("null"),
    "no type": text("{}"),
    "a type that is no string": text('{"type": 1}'),
    "unknown type": text('{"type": "nonsense"}'),
    "unknown type, at length": text('{"type": "' + "ż" * 1000 + '"}'),
    "nested too deeply": text("[" * 100_000),
    "next without id": text('{"type": "next", "payload": {"data": null}}'),
    "next with a number as id": text('{"type": "next", "id": 1, "payload": {"data": null}}'),
    "complete without id": text('{"type": "complete"}'),
}

PROTOCOL = "broke the protocol: "

TURNING = {
    **{
        name: Case(step, TransportProtocolError, 4400, True, PROTOCOL)
        for name, step in MALFORMED.items()
    },
    "binary frame": Case(
        lambda conn: conn.send_binary(b"{}"),
        TransportProtocolError,
        1003,
        False,
        "broke the WebSocket protocol: binary messages are not supported (1003)",
    ),
    "invalid UTF-8": Case(
        sending(b'{"type": "ping", "payload": {"x": "\xff"}}'),
        TransportProtocolError,
        1007,
        False,
        "",
    ),
    "over the limit": Case(
        sending("x" * 1001),
        TransportProtocolError,
        1009,
        False,
        "larger than max_message_size: ",
        options={"max_message_size": 1000},
    ),
    "over the limit, in fragments": Case(
        lambda conn: conn.fragment("x" * 1001, [500, 400]),
        TransportProtocolError,
        1009,
        False,
        "(1009)",
        options={"max_message_size": 1000},
    ),
    "a frame that is none": Case(
        lambda conn: conn.send_raw(b"\x83\x00"),
        TransportProtocolError,
        1002,
        False,
        "broke the WebSocket protocol",
    ),
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", TURNING)
async def test_bad_message(connector: Connector, name: str) -> None:
    """The peer sees why, the caller too; nothing more can be done on this connection."""
    case = TURNING[name]
    told: list[tuple[int, str]] = []

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        await case.step(conn)
        told.append(await conn.wait_closed())
        await conn.wait_eof()

    async with ScriptedPeer([bad, serve]) as peer:
        url = await peer.listen()
        client = Client(WebSocketTransport(secretly(url), connector=connector, **case.options))
        async with client as session:
            with anyio.fail_after(5):
                with pytest.raises(TransportError) as caught:
                    await session.execute(HELLO)
                await session.wait_closed()
            error = caught.value
            with pytest.raises(case.kind) as again:
                await session.execute(HELLO)
            assert again.value is not error
            assert (str(again.value), again.value.unsent) == (str(error), True)
        assert type(error) is case.kind
        assert (error.code, error.retryable) == (case.code, case.retryable)
        assert not error.unsent
        assert case.says in str(error)
        assert shown(url) in str(error)
        assert "hush" not in str(error)
        assert len(str(error)) < 300
        async with client as session:
            assert await session.execute(HELLO) == ANSWER
    assert [code for code, _ in told] == [case.code]
    reason = told[0][1]
    assert reason
    assert len(reason.encode()) <= 123


ENDING = {
    "1000": Case(closing(1000), TransportConnectionFailed, 1000, True, "closed with 1000"),
    "1001": Case(
        closing(1001, "restart"), TransportConnectionFailed, 1001, True, "closed with 1001 restart"
    ),
    "1011": Case(closing(1011), TransportConnectionFailed, 1011, False, "closed with 1011"),
    "4409": Case(
        closing(4409, "Subscriber for 1 already exists"),
        TransportConnectionFailed,
        4409,
        False,
        "closed with 4409 Subscriber for 1 already exists",
    ),
    "no status": Case(
        lambda conn: conn.send_frames(Frame(Opcode.CLOSE, b"")),
        TransportConnectionFailed,
        1005,
        True,
        "closed with 1005",
    ),
    "end": Case(end, TransportConnectionFailed, 1006, True, "without a close frame"),
    "reset": Case(reset, TransportConnectionFailed, 1006, True, "without a close frame"),
}


@pytest.mark.parametrize("name", ENDING)
async def test_closed_between_ack_and_answer(connector: Connector, name: str) -> None:
    case = ENDING[name]

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        await case.step(conn)
        await conn.wait_eof()

    async with ScriptedPeer([bad, serve]) as peer:
        url = await peer.listen()
        client = Client(WebSocketTransport(secretly(url), connector=connector))
        async with client as session:
            with anyio.fail_after(5):
                with pytest.raises(TransportError) as caught:
                    await session.execute(HELLO)
                await session.wait_closed()
        error = caught.value
        assert type(error) is case.kind
        assert (error.code, error.retryable) == (case.code, case.retryable)
        assert not error.unsent
        assert case.says in str(error)
        assert shown(url) in str(error)
        async with client as session:
            assert await session.execute(HELLO) == ANSWER


@pytest.mark.parametrize("name", ["1011", "end"])
async def test_fault_that_ends_the_session(connector: Connector, name: str) -> None:
    """It is the last that is heard of the session: it was a plain one."""
    events: list[object] = []

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        await ENDING[name].step(conn)
        await conn.wait_eof()

    async with ScriptedPeer([bad, nothing]) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector)
        with pytest.raises(TransportConnectionFailed):
            async with Client(transport, on_event=events.append) as session:
                await session.execute(HELLO)
        await anyio.wait_all_tasks_blocked()
        assert len(peer.connections) == 1
    assert [type(event) for event in events[:2]] == [Connecting, Connected]
    assert not [event for event in events[2:] if isinstance(event, Connecting)]
    assert not [event for event in events if isinstance(event, Disconnected) and event.will_retry]


@pytest.mark.parametrize("name", ["1001", "end"])
async def test_leaving_a_permanent_session_at_a_fault(connector: Connector, name: str) -> None:
    """Once it is closed, it says nothing more, and does not connect again."""
    events: list[object] = []

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        await ENDING[name].step(conn)
        await conn.wait_eof()

    async with ScriptedPeer([bad, nothing]) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector)
        client = Client(transport, on_event=events.append)
        with pytest.raises(TransportConnectionFailed):
            async with client.connect(reconnecting=True, retry_execute=False) as session:
                await session.execute(HELLO)
        await anyio.wait_all_tasks_blocked()
        assert len(peer.connections) == 1
    assert [type(event) for event in events if not isinstance(event, Disconnected)] == [
        Connecting,
        Connected,
        Closed,
    ]
    assert isinstance(events[-1], Closed)


@pytest.mark.parametrize("step", [end, reset, closing(1011)])
async def test_closed_while_idle(connector: Connector, step: Step) -> None:
    """Noticed at once, though nobody asks."""
    proceed = anyio.Event()

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        await proceed.wait()
        await step(conn)

    async with ScriptedPeer(bad) as peer:
        url = await peer.listen()
        async with Client(WebSocketTransport(url, connector=connector)) as session:
            proceed.set()
            with anyio.fail_after(5):
                await session.wait_closed()
            assert session.state == "closed"
            with pytest.raises(TransportConnectionFailed, match="was lost") as caught:
                await session.execute(HELLO)
            assert caught.value.unsent
            with pytest.raises(TransportConnectionFailed, match="was lost"):
                await session.subscribe(EVENTS).receive()


# What is not bad enough to end a connection.


async def test_ping_before_the_ack(connector: Connector) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send({"type": "ping", "payload": {"early": True}})
        await conn.expect({"type": "connection_init"})
        await conn.expect({"type": "pong"})
        await conn.send({"type": "connection_ack"})
        await answer_all(conn)

    async with ScriptedPeer(script) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with client as session:
            assert session.payloads["ping"] == {"early": True}
            assert await session.execute(HELLO) == ANSWER


async def test_unknown_id(connector: Connector) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        op = (await conn.expect_type("subscribe"))["id"]
        for unknown in ("nobody", "", op + "0"):
            await conn.send({"type": "next", "id": unknown, "payload": {"data": {"hello": "no"}}})
            await conn.send({"type": "error", "id": unknown, "payload": [{"message": "no"}]})
            await conn.send({"type": "complete", "id": unknown})
        await conn.send({"type": "next", "id": op, "payload": {"data": ANSWER}})
        await answer_all(conn)

    async with ScriptedPeer(script) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with client as session:
            assert await session.execute(HELLO) == ANSWER
            assert await session.execute(HELLO) == ANSWER
        assert len(peer.received) == 3


# What the caller got wrong.


async def test_variables_that_cannot_be_serialised(connector: Connector) -> None:
    class Money:
        pass

    variables = {"input": {"items": [{"price": 1}, {"price": Money()}]}}
    path = r"^variables\.input\.items\[1\]\.price: .*Money"
    async with ScriptedPeer(serve) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with client as session:
            with pytest.raises(TypeError, match=path):
                await session.execute("query ($input: I!) { hello(input: $input) }", variables)
            with pytest.raises(TypeError, match=path):
                async with session.subscribe(EVENTS, variables):
                    raise AssertionError("started")
            with pytest.raises(TypeError, match=r"^variables\.x\[0\]: .*NaN|nan"):
                await session.execute(HELLO, {"x": [float("nan")]})
            with pytest.raises(TypeError, match=r"^extensions\.x: .*Money"):
                await session.execute(HELLO, extensions={"x": Money()})
            assert await session.execute(HELLO) == ANSWER
        kinds = [message["type"] for message in peer.received]
    assert kinds == ["connection_init", "subscribe"]


async def test_init_payload_that_cannot_be_serialised(connector: Connector) -> None:
    async with ScriptedPeer(serve) as peer:
        transport = WebSocketTransport(
            await peer.listen(), connector=connector, init_payload=lambda: {"auth": [object()]}
        )
        with pytest.raises(TypeError, match=r"^init_payload\.auth\[0\]: .*object"):
            async with Client(transport):
                raise AssertionError("connected")
        assert not peer.connections


async def test_several_operations_and_no_name(connector: Connector) -> None:
    document = "query A { hello } mutation B { hello }"
    async with ScriptedPeer(serve) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with client as session:
            with pytest.raises(ValueError, match=r"2 operations \('A', 'B'\).*operation_name"):
                await session.execute(document)
            with pytest.raises(ValueError, match=r"2 operations \('A', 'B'\)"):
                session.subscribe(document)
            assert await session.execute(document, operation_name="B") == ANSWER
        kinds = [message["type"] for message in peer.received]
    assert kinds == ["connection_init", "subscribe"]


# Many who wait.


@pytest.mark.parametrize("how", ["malformed", "1011", "end"])
async def test_fault_while_many_wait(connector: Connector, how: str) -> None:
    steps = {"malformed": text("[]"), "1011": closing(1011, "oops"), "end": end}

    async def bad(conn: PeerConnection) -> None:
        await conn.handshake()
        for _ in range(13):
            message = await conn.expect_type("subscribe")
            if message["payload"]["query"] == EVENTS:
                for number in range(2):
                    payload = {"data": {"events": number}}
                    await conn.send({"type": "next", "id": message["id"], "payload": payload})
        await steps[how](conn)
        if how == "malformed":
            await conn.wait_closed()
        await conn.wait_eof()

    errors: list[TransportError] = []

    async def execute() -> None:
        with pytest.raises(TransportError) as caught:
            await session.execute(HELLO)
        errors.append(caught.value)

    async def subscribe() -> None:
        got: list[int] = []
        async with session.subscribe(EVENTS) as events:
            await session.wait_closed()
            with pytest.raises(TransportError) as caught:
                while True:
                    got.append((await anext(events))["events"])
            with pytest.raises(TransportError) as again:
                await events.receive()
        assert got == [0, 1]
        assert str(again.value) == str(caught.value)
        errors.append(caught.value)

    async with ScriptedPeer([bad, serve]) as peer:
        client = Client(WebSocketTransport(await peer.listen(), connector=connector))
        async with client as session:
            with anyio.fail_after(5):
                async with anyio.create_task_group() as tg:
                    for _ in range(10):
                        tg.start_soon(execute)
                    for _ in range(3):
                        tg.start_soon(subscribe)
        async with client as session:
            assert await session.execute(HELLO) == ANSWER
    assert len(errors) == 13
    assert len({id(error) for error in errors}) == 13
    assert len({(type(error), str(error), error.code) for error in errors}) == 1
    assert len({id(error.__traceback__) for error in errors}) == 13
    assert not any(error.unsent for error in errors)


# Secrets.

HIDDEN = "s3cret"


async def until_asked(conn: PeerConnection) -> None:
    await conn.handshake()
    await conn.expect_type("subscribe")


def then(first: Step, second: Step) -> Step:
    async def step(conn: PeerConnection) -> None:
        await first(conn)
        await second(conn)

    return step


LEAKING: dict[str, tuple[Step, dict[str, Any]]] = {
    "refused port": (nothing, {}),
    "unresolved": (nothing, {}),
    "TLS": (nothing, {}),
    "no TLS": (raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), {}),
    "URL": (nothing, {}),
    "header": (nothing, {"headers": {"X-Token": f"{HIDDEN}\n"}}),
    "init payload": (nothing, {"init_payload": {"token": HIDDEN, "x": object()}}),
    "401": (at_handshake(refusing(401)), {}),
    "503": (at_handshake(refusing(503)), {}),
    "TCP closed": (at_handshake(end), {}),
    "not HTTP": (at_handshake(raw(b"SSH-2.0\r\n")), {}),
    "upgrade": (at_handshake(raw(b"HTTP/1.1 101 Switching\r\n\r\n")), {}),
    "subprotocol": (lambda conn: conn.accept("nonsense"), {}),
    "connect_timeout": (nothing, {"connect_timeout": 0.2}),
    "ack_timeout": (after_init(nothing), {"ack_timeout": 0.2}),
    "4403": (after_init(closing(4403, "Forbidden")), {}),
    "connection_error": (after_init(sending({"type": "connection_error"})), {}),
    "malformed": (then(until_asked, then(text("[]"), PeerConnection.wait_closed)), {}),
    "binary": (then(until_asked, lambda conn: conn.send_binary(b"x")), {}),
    "reset": (then(until_asked, reset), {}),
    "1011": (then(until_asked, closing(1011)), {}),
    "pong_timeout": (then(until_asked, nothing), {"ping_interval": 0.05, "pong_timeout": 0.1}),
    "nothing wrong": (serve, {}),
}


@pytest.mark.parametrize("name", LEAKING)
async def test_no_secret_is_shown(
    connector: Connector,
    name: str,
    server_tls: ssl.SSLContext,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in the error and what is behind it, nor in logs, nor by what may be printed."""
    caplog.set_level(logging.DEBUG)
    step, options = LEAKING[name]

    async def script(conn: PeerConnection) -> None:
        with suppress(WebSocketEnded):
            await step(conn)
        await conn.wait_eof()

    printed: list[str] = []
    failed = False
    async with ScriptedPeer(script) as peer:
        url = await peer.listen(ssl=server_tls if name == "TLS" else None)
        if name == "no TLS":
            url = url.replace("ws://", "wss://")
        elif name == "refused port":
            url = f"ws://127.0.0.1:{free_port}/graphql"
        elif name == "unresolved":
            url = "ws://nonexistent.invalid/graphql"
        url = url.replace("://", f"://{HIDDEN}:{HIDDEN}@") + f"?token={HIDDEN}"
        if name == "URL":
            url += f"#{HIDDEN}"
        options = {
            "headers": {"Authorization": f"Bearer {HIDDEN}"},
            "init_payload": {"token": HIDDEN},
            **options,
        }
        client = Client(WebSocketTransport(lambda: url, connector=connector, **options))
        direct = WebSocketTransport(url, **options)
        for shy in (client, client.transport, direct, direct.description):
            printed += [str(shy), repr(shy)]
        try:
            async with client as session:
                printed.append(repr(session))
                await session.execute(HELLO)
        except Exception as error:
            printed += [str(error), repr(error), repr(vars(error))]
            printed += traceback.format_exception(error)
            failed = True
    printed += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert failed == (name != "nothing wrong")
    leaks = [line for line in printed if HIDDEN in line]
    assert not leaks


async def test_ws_to_a_tls_port(connector: Connector, server_tls: ssl.SSLContext) -> None:
    """The message asks whether the URL has the right scheme."""
    async with ScriptedPeer(serve) as peer:
        url = (await peer.listen(ssl=server_tls)).replace("wss://", "ws://")
        error = await failure(Client(WebSocketTransport(secretly(url), connector=connector)))
    assert "should the URL begin with" in str(error)
    assert "wss://?" in str(error)
