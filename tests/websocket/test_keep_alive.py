"""Whether the peer is still there: on trio's virtual clock, and a little on real time."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
import trio
from anyio import EndOfStream
from trio.testing import MockClock

from anygql import (
    Client,
    Session,
    SubscriptionOverflow,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportTimeout,
    WebSocketTransport,
    trio_websocket_connector,
)
from anygql.testing import GraphQLServer, PeerConnection, ScriptedPeer, demo_schema
from anygql.websocket.sockets.base import Connector, WebSocketEnded
from tests.support.clients import client_of

NEW = "graphql-transport-ws"
OLD = "graphql-ws"
HELLO = "{ hello }"
EVENTS = "subscription { events }"
HOUR = 3600.0
TERMINATED = (4499, "Terminated")

Script = Callable[[PeerConnection], Awaitable[object]]

both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.fixture(params=["stream", "trio-websocket"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which sockets, in memory."""
    return str(request.param)


@pytest.fixture
def now() -> Callable[[], float]:
    """Seconds on the loop's clock since the first call."""
    began: list[float] = []

    def now() -> float:
        began.append(anyio.current_time())
        return round(anyio.current_time() - began[0], 6)

    return now


@asynccontextmanager
async def connected(
    script: Script, kind: str = "stream", *, buffer_size: int = 2**16, **options: Any
) -> AsyncGenerator[Session]:
    async with (
        ScriptedPeer(script, buffer_size=buffer_size) as peer,
        client_of(peer, kind, **options) as session,
    ):
        yield session


def event(op: str, number: int = 0, kind: str = "next") -> dict[str, Any]:
    return {"type": kind, "id": op, "payload": {"data": {"events": number}}}


class Silent:
    """A peer that acknowledges, and then only listens and answers what the socket must."""

    def __init__(self, subprotocol: str = NEW) -> None:
        self.subprotocol = subprotocol
        self.told: list[tuple[int, str]] = []

    async def __call__(self, conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=self.subprotocol)
        self.told.append(await conn.wait_closed())


class Answering:
    """A peer that notes when the client's messages come, and answers pings while it may."""

    def __init__(self, pings: float = float("inf")) -> None:
        self.pings = pings
        self.times: list[float] = []
        self.told: list[tuple[int, str]] = []

    async def __call__(self, conn: PeerConnection) -> None:
        await conn.handshake()
        began = anyio.current_time()
        try:
            while True:
                message = await conn.receive()
                if message["type"] == "ping":
                    self.times.append(round(anyio.current_time() - began, 6))
                    if len(self.times) <= self.pings:
                        await conn.send({"type": "pong", "payload": {"n": len(self.times)}})
        except WebSocketEnded as ended:
            self.told.append((ended.code, ended.reason))


async def death(session: Session) -> TransportConnectionFailed:
    """What ends the session, for one who waits for an answer and one who comes later."""
    with pytest.raises(TransportConnectionFailed) as caught:
        await session.execute(HELLO, timeout=None)
    await session.wait_closed()
    with pytest.raises(TransportConnectionFailed) as later:
        await session.execute(HELLO)
    error = caught.value
    assert type(error) is TransportConnectionFailed
    assert str(later.value) == str(error)
    assert (error.unsent, later.value.unsent) == (False, True)
    assert (error.code, error.reason, error.retryable) == (*TERMINATED, True)
    assert "ws://memory/graphql: the connection is dead: " in str(error)
    return error


# keep_alive_timeout


async def test_silence(kind: str, now: Callable[[], float]) -> None:
    peer = Silent()
    async with connected(peer, kind, keep_alive_timeout=30) as session:
        now()
        error = await death(session)
        assert now() == 30
    assert "nothing was heard for 30 s (keep_alive_timeout)" in str(error)
    assert now() == 30  # it answered the closing handshake
    assert peer.told == [TERMINATED]


async def test_silence_while_idle(now: Callable[[], float]) -> None:
    """Nobody waits for anything: it is noticed all the same, and only then."""
    async with connected(Silent(), keep_alive_timeout=30) as session:
        now()
        await session.wait_closed()
        assert now() == 30
        with pytest.raises(TransportConnectionFailed, match="keep_alive_timeout"):
            await session.execute(HELLO)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping"},
        {"type": "pong"},
        {"type": "complete", "id": "nobody"},
        event("nobody"),
        event("1"),
    ],
    ids=lambda message: f"{message['type']} {message.get('id', '')}",
)
async def test_any_message_is_life(
    kind: str, message: dict[str, Any], now: Callable[[], float]
) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        while anyio.current_time() < began + HOUR:
            await conn.pause(29)
            await conn.send(message)
        await conn.wait_closed()

    began = anyio.current_time()
    async with connected(script, kind, keep_alive_timeout=30) as session:
        now()
        async with session.subscribe(EVENTS):
            await session.wait_closed()
        assert HOUR < now() <= HOUR + 59


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
async def test_websocket_pings_are_life(
    kind: str, subprotocol: str, now: Callable[[], float]
) -> None:
    """Servers that ping at the WebSocket's own level (graphql-ws: every 12 s) are there."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=subprotocol)
        if subprotocol == OLD:
            await conn.send({"type": "ka"})
        for _ in range(300):
            await conn.pause(12)
            await conn.ping()
        await conn.send({"type": "complete", "id": "1"})
        await conn.wait_closed()

    async with connected(script, kind, keep_alive_timeout=30) as session:
        now()
        async with session.subscribe(EVENTS) as events:
            with pytest.raises(EndOfStream):
                await events.receive()
        assert now() == HOUR


async def test_websocket_pongs_are_life(kind: str) -> None:
    """What answers our own pings is there."""
    async with GraphQLServer(demo_schema()) as server:
        connector = (
            trio_websocket_connector(open_stream=server.open_stream)
            if kind == "trio-websocket"
            else server.connector()
        )
        options = {"protocol": OLD, "keep_alive_timeout": 30, "ping_interval": 10}
        transport = WebSocketTransport(server.url, connector=connector, **options)
        async with Client(transport) as session:
            await server.connections[0].send({"type": "ka"})
            with anyio.move_on_after(HOUR):
                await session.wait_closed()
            assert session.state == "connected"


async def test_no_limit(now: Callable[[], float]) -> None:
    async with connected(Silent()) as session:
        now()
        with anyio.move_on_after(24 * HOUR):
            await session.wait_closed()
        assert now() == 24 * HOUR
        assert session.state == "connected"


async def test_not_before_the_ack(now: Callable[[], float]) -> None:
    """A server that takes its time to acknowledge has until ``ack_timeout``."""

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.pause(50)
        await conn.send({"type": "connection_ack"})
        await conn.wait_closed()

    async with connected(script, keep_alive_timeout=30, ack_timeout=60) as session:
        now()
        await session.wait_closed()
        assert now() == 30


async def test_legacy_counts_from_the_first_ka(kind: str, now: Callable[[], float]) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=OLD)
        await conn.send(event("nobody", kind="data"))
        await conn.pause(HOUR)
        await conn.send({"type": "ka"})
        await conn.pause(29)
        await conn.send({"type": "ka"})
        await conn.pause(29)
        await conn.send(event("nobody", kind="data"))
        await conn.wait_closed()

    async with connected(script, kind, keep_alive_timeout=30) as session:
        now()
        error = await death(session)
        assert now() == HOUR + 29 + 29 + 30
    assert "keep_alive_timeout" in str(error)


async def test_legacy_ka_before_the_ack(now: Callable[[], float]) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept(OLD)
        await conn.send({"type": "ka"})
        await conn.send({"type": "connection_ack"})
        await conn.wait_closed()

    async with connected(script, keep_alive_timeout=30) as session:
        now()
        await session.wait_closed()
        assert now() == 30


# ping_interval and pong_timeout


async def test_pings_that_are_answered(kind: str) -> None:
    peer = Answering()
    async with connected(peer, kind, ping_interval=30, pong_timeout=5) as session:
        with anyio.move_on_after(HOUR + 1):
            await session.wait_closed()
        assert session.state == "connected"
        assert session.payloads["pong"] == {"n": 120}
    assert peer.times == [30.0 * n for n in range(1, 121)]
    assert peer.told == [(1000, "")]


@pytest.mark.parametrize(("given", "timeout"), [(5, 5), (None, 15), (60, 60)])
async def test_ping_that_is_not_answered(
    kind: str, given: float | None, timeout: float, now: Callable[[], float]
) -> None:
    peer = Answering(0)
    async with connected(peer, kind, ping_interval=30, pong_timeout=given) as session:
        now()
        error = await death(session)
        assert now() == 30 + timeout
    assert f"no pong came within {timeout} s of a ping (pong_timeout)" in str(error)
    assert peer.times == [30]
    assert peer.told == [TERMINATED]


async def test_third_ping_is_not_answered(now: Callable[[], float]) -> None:
    peer = Answering(2)
    async with connected(peer, ping_interval=30, pong_timeout=5) as session:
        now()
        await death(session)
        assert now() == 95
    assert peer.times == [30, 60, 90]


async def test_other_messages_are_no_pong(kind: str, now: Callable[[], float]) -> None:
    """Nor is a pong that came before the ping, however shortly, in the same write or not."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(29.999)
        await conn.send({"type": "pong"})
        await conn.send({"type": "pong"})
        await conn.expect_type("subscribe")
        await conn.expect_type("ping")
        await conn.send(event("1"))
        await conn.send({"type": "ping"})
        await conn.ping()
        await conn.wait_closed()

    async with connected(script, kind, ping_interval=30, pong_timeout=5) as session:
        now()
        async with session.subscribe(EVENTS) as events:
            assert await events.receive() == {"events": 0}
            with pytest.raises(TransportConnectionFailed, match="pong_timeout"):
                await events.receive()
        assert now() == 35


async def test_pong_at_the_last_moment(now: Callable[[], float]) -> None:
    """A late pong is in time for nothing; one in time keeps the next ping on its pace."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        for patience in (4.999, 4.999, 5.001):
            await conn.expect_type("ping")
            await conn.pause(patience)
            with suppress(WebSocketEnded):
                await conn.send({"type": "pong"})
        with suppress(WebSocketEnded):
            await conn.wait_closed()

    async with connected(script, ping_interval=30, pong_timeout=5, close_timeout=1) as session:
        now()
        await session.wait_closed()
        assert now() == pytest.approx(3 * 30 + 2 * 4.999 + 5)


async def test_legacy_pings_on_the_websocket(kind: str) -> None:
    """The protocol has no ping: the WebSocket's own is asked, and no message is sent."""
    seen: list[Any] = []

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=OLD)
        with suppress(WebSocketEnded):
            while True:
                seen.append(await conn.receive())

    async with connected(script, kind, ping_interval=30, pong_timeout=5) as session:
        with anyio.move_on_after(HOUR):
            await session.wait_closed()
        assert session.state == "connected"
        assert set(session.payloads) == {"connection_ack"}
    assert seen == [{"type": "connection_terminate"}]


async def test_legacy_ping_that_is_not_answered(kind: str, now: Callable[[], float]) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=OLD)
        await conn.pause(29)
        await conn.send({"type": "ka"})
        await conn.pause(10 * HOUR)

    async with connected(script, kind, ping_interval=30, pong_timeout=5) as session:
        now()
        error = await death(session)
        assert now() == 35
    assert "no pong came within 5 s of a ping (pong_timeout)" in str(error)


# While we don't read


def flooding(count: int, subprotocol: str = NEW) -> Script:
    """Events as fast as the client takes them, and then nothing but what the socket must."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=subprotocol)
        op = (await conn.expect_type("subscribe" if subprotocol == NEW else "start"))["id"]
        if subprotocol == OLD:
            await conn.send({"type": "ka"})
        for number in range(count):
            await conn.send(event(op, number, "next" if subprotocol == NEW else "data"))
        await conn.send({"type": "complete", "id": op})
        with suppress(WebSocketEnded):
            while True:
                message = await conn.receive()
                if message["type"] == "ping":
                    await conn.send({"type": "pong"})

    return script


def block(seconds: float) -> None:
    """Do what a call does that blocks the loop for so long."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(seconds)


@pytest.mark.parametrize("_number", range(4))  # trio takes ready tasks in an order of its own
async def test_what_comes_while_the_loop_is_blocked_is_read_first(
    kind: str, _number: int, now: Callable[[], float]
) -> None:
    say = anyio.Event()

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        op = (await conn.expect_type("subscribe"))["id"]
        await say.wait()
        await conn.send(event(op))
        await conn.wait_closed()

    async with connected(script, kind, keep_alive_timeout=30) as session:
        now()
        async with session.subscribe(EVENTS) as events:
            await anyio.sleep(29)
            say.set()
            block(60)
            assert await events.receive() == {"events": 0}
            assert session.state == "connected"
            assert now() == 89
            await death(session)
            assert now() == 119


async def test_a_pong_that_comes_while_the_loop_is_blocked(kind: str) -> None:
    """The next ping decides."""
    peer = Answering()
    async with connected(peer, kind, ping_interval=30, pong_timeout=5) as session:
        for number in range(1, 11):
            while len(peer.times) < number:
                await anyio.sleep(0.1)
            block(60)
            await anyio.sleep(1)
            assert session.state == "connected"
        peer.pings = 0
        await death(session)


async def test_a_blocked_loop_does_not_keep_a_dead_peer(
    kind: str, now: Callable[[], float]
) -> None:
    peer = Silent()
    async with connected(peer, kind, keep_alive_timeout=30) as session:
        now()
        await anyio.sleep(29)
        block(60)
        await death(session)
        assert now() == 89 + 30


LIMITS = {"keep_alive_timeout": 30, "ping_interval": 40, "pong_timeout": 5}


@pytest.mark.parametrize("subprotocol", [NEW, OLD])
@pytest.mark.parametrize("buffer_size", [64, 2**16])
async def test_a_sleeping_consumer(
    kind: str, subprotocol: str, buffer_size: int, now: Callable[[], float]
) -> None:
    """What we don't read can't be heard; and when we read again, all is there."""
    script = flooding(100, subprotocol)
    async with connected(script, kind, buffer_size=buffer_size, **LIMITS) as session:
        now()
        async with session.subscribe(EVENTS, buffer_size=1) as events:
            numbers = [(await events.receive())["events"]]
            await anyio.sleep(HOUR)
            assert session.state == "connected"
            numbers += [event["events"] async for event in events]
        assert numbers == list(range(100))
        assert now() == HOUR
        if subprotocol == NEW:  # from now on it counts again
            assert "keep_alive_timeout" in str(await death(session))
            assert HOUR + 30 <= now() <= HOUR + 60


@pytest.mark.parametrize("seconds", [1, 5, 29, 61])
async def test_a_slow_consumer(kind: str, seconds: float, now: Callable[[], float]) -> None:
    options = {"keep_alive_timeout": 30, "ping_interval": 5, "pong_timeout": 5}
    async with connected(flooding(100), kind, buffer_size=256, **options) as session:
        now()
        async with session.subscribe(EVENTS, buffer_size=1) as events:
            numbers = []
            async for item in events:
                numbers.append(item["events"])
                await anyio.sleep(seconds)
        assert numbers == list(range(100))
        assert now() == 100 * seconds


async def test_pause_while_a_ping_is_on_its_way(kind: str, now: Callable[[], float]) -> None:
    """The pong is behind events that we don't read: that time is not the peer's.

    It sends events when the ping comes, gets stuck until the consumer wakes, and then needs a
    second more for the pong.
    """

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        op = (await conn.expect_type("subscribe"))["id"]
        await conn.expect_type("ping")
        for number in range(50):
            await conn.send(event(op, number))
        await conn.pause(1)
        await conn.send({"type": "pong"})
        await conn.pause(1)
        await conn.send({"type": "complete", "id": op})
        with suppress(WebSocketEnded):
            await conn.wait_closed()

    options = {"ping_interval": 30, "pong_timeout": 5}
    async with connected(script, kind, buffer_size=256, **options) as session:
        now()
        async with session.subscribe(EVENTS, buffer_size=1) as events:
            numbers = [(await events.receive())["events"]]
            assert now() == 30
            await anyio.sleep(4.5)
            numbers += [item["events"] async for item in events]
        assert numbers == list(range(50))
        assert now() == 30 + 4.5 + 2


# stall_timeout


def two_subscriptions(count: int) -> Script:
    """``count`` events for the first, then one for the second."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        first = (await conn.expect_type("subscribe"))["id"]
        second = (await conn.expect_type("subscribe"))["id"]
        for number in range(count):
            await conn.send(event(first, number))
        await conn.send(event(second))
        with suppress(WebSocketEnded):
            while True:
                message = await conn.receive()
                if message["type"] == "subscribe":
                    await conn.send(event(message["id"]))
                elif message["type"] == "ping":
                    await conn.send({"type": "pong"})

    return script


@pytest.mark.parametrize(("options", "seconds"), [({}, 10), ({"stall_timeout": 600}, 600)])
async def test_stuck_consumer(
    kind: str, options: dict[str, Any], seconds: float, now: Callable[[], float]
) -> None:
    """It fails alone, with all that it has; meanwhile silence is not held against the peer."""
    async with (
        connected(two_subscriptions(100), kind, **LIMITS) as session,
        session.subscribe(EVENTS, buffer_size=1, **options) as stuck,
        session.subscribe(EVENTS) as other,
    ):
        now()
        assert await other.receive() == {"events": 0}
        assert now() == seconds
        for number in range(64):
            assert await stuck.receive() == {"events": number}
        with pytest.raises(SubscriptionOverflow, match=f"took nothing for {seconds} s"):
            await stuck.receive()
        assert await session.execute(HELLO) == {"events": 0}


async def test_consumer_that_takes_now_and_then(now: Callable[[], float]) -> None:
    """Every event taken begins ``stall_timeout`` anew."""
    numbers: list[int] = []

    async def slow() -> None:
        for _ in range(100):
            await anyio.sleep(9)
            numbers.append((await events.receive())["events"])

    async with (
        connected(two_subscriptions(100), **LIMITS) as session,
        session.subscribe(EVENTS, buffer_size=1) as events,
        session.subscribe(EVENTS) as other,
        anyio.create_task_group() as tg,
    ):
        now()
        tg.start_soon(slow)
        assert await other.receive() == {"events": 0}
        assert 9 * (100 - 64) <= now() <= 9 * (100 - 64 + 1)
    assert numbers == list(range(100))


async def test_no_stall_timeout(now: Callable[[], float]) -> None:
    async with (
        connected(two_subscriptions(100), **LIMITS) as session,
        session.subscribe(EVENTS, buffer_size=1, stall_timeout=None) as stuck,
        session.subscribe(EVENTS) as other,
    ):
        now()
        with anyio.move_on_after(HOUR):
            await other.receive()
        assert now() == HOUR
        for number in range(100):
            assert await stuck.receive() == {"events": number}
        assert await other.receive() == {"events": 0}
        assert now() == HOUR


async def test_stuck_in_the_way_of_an_execute(now: Callable[[], float]) -> None:
    """Whoever waits for an answer doesn't wait for ``stall_timeout``."""
    async with (
        connected(two_subscriptions(100)) as session,
        session.subscribe(EVENTS, buffer_size=1, stall_timeout=600) as stuck,
        session.subscribe(EVENTS),
    ):
        now()
        assert await session.execute(HELLO) == {"events": 0}
        assert now() == 0
        for number in range(64):
            assert await stuck.receive() == {"events": number}
        with pytest.raises(SubscriptionOverflow, match="execute"):
            await stuck.receive()


# close_timeout and the others


async def test_close_timeout(kind: str, now: Callable[[], float]) -> None:
    """A peer that never answers the closing handshake."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(HOUR)

    async with ScriptedPeer(script) as peer:
        async with client_of(peer, kind, close_timeout=7):
            now()
        assert now() == 7


async def test_close_timeout_of_nothing(kind: str, now: Callable[[], float]) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(HOUR)

    async with ScriptedPeer(script) as peer:
        async with client_of(peer, kind, close_timeout=0):
            now()
        assert now() == 0


async def test_no_close_timeout(kind: str, now: Callable[[], float]) -> None:
    """``None``: it may take its time."""
    told: list[tuple[int, str]] = []

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(HOUR)
        told.append(await conn.wait_closed())

    async with ScriptedPeer(script) as peer:
        async with client_of(peer, kind, close_timeout=None):
            now()
        assert HOUR <= now() <= HOUR + 1
    assert told == [(1000, "")]


async def test_close_timeout_of_a_cancelled_session(kind: str, now: Callable[[], float]) -> None:
    """The closing handshake has its time, and no more."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(HOUR)

    async with ScriptedPeer(script) as peer:
        with anyio.move_on_after(3) as scope:
            async with client_of(peer, kind, close_timeout=7):
                now()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert now() == 10


async def test_close_timeout_behind_a_blocked_write(kind: str, now: Callable[[], float]) -> None:
    """The peer has stopped reading in the middle of a request."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(HOUR)

    async with ScriptedPeer(script, buffer_size=1024) as peer:
        async with client_of(peer, kind, close_timeout=7) as session:
            now()
            with pytest.raises(TransportTimeout, match=r"5 s \(timeout\)"):
                await session.execute(HELLO, {"long": "x" * 10_000}, timeout=5)
            assert now() == 5
        assert now() == 12


async def test_the_dead_are_not_waited_for_long(kind: str, now: Callable[[], float]) -> None:
    """No answer can be expected to the closing handshake."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.pause(HOUR)

    async with ScriptedPeer(script) as peer:
        async with client_of(peer, kind, close_timeout=60, keep_alive_timeout=30) as session:
            now()
            await session.wait_closed()
            assert now() == 30
        assert now() <= 31


async def test_connect_timeout(kind: str, now: Callable[[], float]) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.wait_eof()

    now()
    async with ScriptedPeer(script) as peer:
        with pytest.raises(TransportConnectTimeout, match=r"within 10 s \(connect_timeout\)"):
            async with client_of(peer, kind):
                raise AssertionError("connected")
    assert now() == 10


async def test_ack_timeout(kind: str, now: Callable[[], float]) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.pause(9)
        await conn.send({"type": "ping"})
        await conn.wait_closed()

    now()
    async with ScriptedPeer(script) as peer:
        with pytest.raises(TransportConnectTimeout, match=r"within 10 s \(ack_timeout\)"):
            async with client_of(peer, kind):
                raise AssertionError("connected")
    assert 10 <= now() <= 11


async def test_a_callable_that_hangs_is_in_connect_timeout(now: Callable[[], float]) -> None:
    now()
    async with ScriptedPeer(Silent()) as peer:
        with pytest.raises(TransportConnectTimeout, match="connect_timeout"):
            async with client_of(peer, init_payload=anyio.sleep_forever):
                raise AssertionError("connected")
        assert not peer.connections
    assert now() == 10


# On real time


@both_loops
async def test_silence_in_reality(connector: Connector) -> None:
    peer = Silent()
    async with ScriptedPeer([peer, PeerConnection.wait_eof]) as endpoint:
        transport = WebSocketTransport(
            await endpoint.listen(), connector=connector, keep_alive_timeout=0.2
        )
        began = time.monotonic()
        async with Client(transport) as session:
            with pytest.raises(TransportConnectionFailed, match="keep_alive_timeout") as caught:
                await session.execute(HELLO)
            assert 0.15 < time.monotonic() - began < 5
        assert caught.value.code == 4499
    assert peer.told == [TERMINATED]


@both_loops
@pytest.mark.parametrize("protocol", [NEW, OLD])
async def test_pings_in_reality(connector: Connector, protocol: str) -> None:
    """Answered by a server, until it freezes."""
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        options: dict[str, Any] = {"protocol": protocol, "ping_interval": 0.05}
        transport = WebSocketTransport(url, connector=connector, **options, pong_timeout=60)
        async with Client(transport) as session:
            if protocol == NEW:  # each follows the pong to the one before it
                await server.connections[0].wait_received("ping", 3)
            else:
                await anyio.sleep(0.1)
            assert session.state == "connected"
            pings = [m for m in server.connections[0].received if m["type"] == "ping"]
            assert bool(pings) == (protocol == NEW)
        options |= {"pong_timeout": 0.2, "close_timeout": 0.05}
        async with Client(WebSocketTransport(url, connector=connector, **options)) as session:
            server.connections[1].freeze()
            with anyio.fail_after(10):
                with pytest.raises(TransportConnectionFailed, match="pong_timeout"):
                    await session.execute(HELLO)


@both_loops
async def test_close_timeout_in_reality(connector: Connector) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        await anyio.sleep_forever()

    async with ScriptedPeer(script) as peer:
        url = await peer.listen()
        async with Client(WebSocketTransport(url, connector=connector, close_timeout=0.2)):
            began = time.monotonic()
        assert 0.15 < time.monotonic() - began < 5


@both_loops
async def test_a_sleeping_consumer_in_reality(connector: Connector) -> None:
    options = {"keep_alive_timeout": 0.6, "ping_interval": 0.2, "pong_timeout": 0.6}
    async with ScriptedPeer(flooding(200)) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector, **options)
        async with Client(transport) as session:
            async with session.subscribe(EVENTS, buffer_size=1) as events:
                numbers = [(await events.receive())["events"]]
                await anyio.sleep(0.8)
                assert session.state == "connected"
                numbers += [item["events"] async for item in events]
            assert numbers == list(range(200))


async def test_the_connection_is_lost_while_a_ping_waits(kind: str) -> None:
    """The loss is what is told, not a ping without a pong."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake(subprotocol=OLD)
        await conn.pause(5)  # and no ping is answered
        conn.reset()

    options: dict[str, Any] = {"protocol": OLD, "ping_interval": 2, "pong_timeout": 60}
    async with connected(script, kind, **options) as session:
        await session.wait_closed()
        with pytest.raises(TransportConnectionFailed, match="the connection was lost"):
            await session.execute(HELLO)
    assert anyio.current_time() < 60
