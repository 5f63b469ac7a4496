"""What sessions do with credentials: one refresh for many, replays, and connections replaced."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import anyio
import pytest
import trio
from trio.testing import MockClock

from anygql import (
    AppSyncTransport,
    Client,
    Closed,
    Connected,
    Connecting,
    Disconnected,
    HTTPTransport,
    Refreshing,
    Session,
    SessionEvent,
    SplitTransport,
    Subscription,
    TransportClosed,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
)
from anygql.appsync import Token
from anygql.testing.waiting import wait_until
from tests.support.tokens import Issuer, TokenServer

COUNT = "mutation ($key: String!, $wait: Int = 0) { count(key: $key, wait: $wait) }"
TICKS = "subscription { ticks(every: 20) }"
HELLO = "{ hello }"

#: How the servers of the storms refuse, and how their clients connect.
STORMS = {
    "http-status": {},
    "http-errors": {"refuse_by_status": False},
    "websocket": {"url": "ws", "pushes": True},
    "websocket-permanent": {"url": "ws", "pushes": True, "reconnecting": True},
    "websocket-quiet": {"url": "ws"},
    "legacy": {"url": "ws", "pushes": True, "protocols": ["graphql-ws"], "reconnecting": True},
    "split": {"url": "split", "pushes": True},
    "split-permanent": {"url": "split", "reconnecting": True},
}


class Watcher:
    """A consumer of numbered events: each run of them between two gaps has no hole."""

    def __init__(self, events: Subscription[Any], name: str = "ticks") -> None:
        self._events = events
        self._name = name
        self._last = -1
        self._gaps = 0
        self.changed = anyio.Event()
        self.seen = 0

    async def watch(self) -> None:
        async for data in self._events:
            number = data[self._name]
            if self._events.reconnects != self._gaps:
                assert self._events.reconnects == self._gaps + 1
                self._gaps, self._last = self._events.reconnects, -1
            assert number == self._last + 1, (number, self._last)
            self._last = number
            self.seen += 1
            changed, self.changed = self.changed, anyio.Event()
            changed.set()

    async def reach(self, count: int, gaps: int = 0) -> None:
        while self.seen < count or self._gaps < gaps:
            await self.changed.wait()

    @property
    def gaps(self) -> int:
        return self._gaps


async def more(watchers: Sequence[Watcher], count: int = 2, gaps: int = 0) -> None:
    """Wait until each has seen so many events more, and so many gaps in all."""
    for watcher, reached in [(watcher, watcher.seen) for watcher in watchers]:
        await watcher.reach(reached + count, gaps)


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[Issuer, TokenServer]]:
    issuer = Issuer()
    async with TokenServer(issuer, **options) as server:
        await server.listen()
        yield issuer, server


def client_for(server: TokenServer, auth: Refreshing[Any], url: str = "http") -> Client:
    if url == "http":
        return Client(server.http_url, auth=auth)
    socket = server.transport(init_payload=auth.payload)
    if url == "ws":
        return Client(socket, auth=auth)
    http = HTTPTransport(server.http_url, headers=auth.headers)
    return Client(SplitTransport(http, subscriptions=socket), auth=auth)


async def storm(session: Session, name: str, calls: int = 200) -> None:
    """Send queries and mutations at the same time; all must have an answer."""
    async with anyio.create_task_group() as tg:
        for number in range(calls):
            if number % 2:
                tg.start_soon(session.execute, HELLO)
            else:
                tg.start_soon(session.execute, COUNT, {"key": f"{name} {number}"})


@pytest.mark.parametrize("way", STORMS)
async def test_one_refresh_for_all_at_the_moment_of_expiry(way: str) -> None:
    options = dict(STORMS[way])
    url, reconnecting = options.pop("url", "http"), options.pop("reconnecting", False)
    # Over HTTP a subscription has no connection that others' tokens matter to.
    moved = url == "ws" or (url == "split" and "pushes" in options)
    async with serving(**options) as (issuer, server):
        client = client_for(server, Refreshing(refresh=issuer), url)
        async with client.connect(reconnecting=reconnecting) as session:
            async with anyio.create_task_group() as tg:
                watchers: list[Watcher] = []
                for _ in range(50):
                    watcher = Watcher(await session.subscribe(TICKS).__aenter__())
                    watchers.append(watcher)
                    tg.start_soon(watcher.watch)
                await more(watchers)
                assert issuer.issued == 1
                issuer.revoke()
                await storm(session, "first")
                await more(watchers, gaps=int(moved))
                tg.cancel_scope.cancel()
            assert issuer.issued == 2
            assert set(server.counted.values()) == {1}
            assert len(server.counted) == 100
            assert {watcher.gaps for watcher in watchers} == {int(moved)}


@pytest.mark.parametrize("code", [4401, 4403])
async def test_a_server_that_closes_at_expiry(code: int) -> None:
    async with serving(asks_at_connect=True) as (issuer, server):
        client = client_for(server, Refreshing(refresh=issuer), "ws")
        async with client.connect(reconnecting=True) as session:
            async with anyio.create_task_group() as tg:
                watchers = [Watcher(await session.subscribe(TICKS).__aenter__()) for _ in range(50)]
                for watcher in watchers:
                    tg.start_soon(watcher.watch)
                answers: list[Any] = []
                lost: list[TransportConnectionFailed] = []

                async def ask() -> None:
                    answers.append(await session.execute("{ hello(wait: 20) }"))

                async def count(number: int) -> None:
                    try:
                        await session.execute(COUNT, {"key": str(number), "wait": 10_000})
                    except TransportConnectionFailed as error:
                        lost.append(error)

                async with anyio.create_task_group() as calls:
                    for number in range(100):
                        calls.start_soon(ask)
                        calls.start_soon(count, number)
                    await wait_until(server.changed, lambda: server.counted.total() == 100 or None)
                    issuer.revoke()
                    calls.start_soon(server.connections[0].close, code, "expired")
                assert issuer.issued == 2
                assert len(answers) == 100
                # Whether they were run, nobody knows: they weren't run again.
                assert len(lost) == 100
                assert {error.code for error in lost} == {code}
                assert set(server.counted.values()) == {1}
                await more(watchers, gaps=1)
                assert {watcher.gaps for watcher in watchers} == {1}
                tg.cancel_scope.cancel()
        assert len(server.connections) == 2


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_refused_at_connect(reconnecting: bool) -> None:
    async with serving(asks_at_connect=True) as (issuer, server):
        auth = Refreshing(refresh=issuer, token="old")
        client = client_for(server, auth, "ws")
        async with client.connect(reconnecting=reconnecting) as session:
            await storm(session, "first")
        assert issuer.issued == 1
        assert [connection.closed for connection in server.connections] == [
            (4403, "Forbidden"),
            (1000, ""),
        ]
        assert set(server.counted.values()) == {1}


async def test_appsync() -> None:
    options = {"protocols": ["appsync"], "asks_at_connect": True, "refuse_by_status": False}
    async with serving(**options) as (issuer, server):
        issuer.scheme = ""
        auth = Refreshing(refresh=issuer)
        client = Client(AppSyncTransport(server.http_url, auth=Token(auth.token)), auth=auth)
        async with client as session, anyio.create_task_group() as tg:
            watchers = [Watcher(await session.subscribe(TICKS).__aenter__()) for _ in range(25)]
            for watcher in watchers:
                tg.start_soon(watcher.watch)
            await more(watchers)
            issuer.revoke()
            others: list[Watcher] = []
            for _ in range(25):  # refused, each by an `error` for itself
                others.append(Watcher(await session.subscribe(TICKS).__aenter__()))
                tg.start_soon(others[-1].watch)
            await storm(session, "first")
            await more(watchers + others)
            assert issuer.issued == 2
            assert set(server.counted.values()) == {1}
            assert {watcher.gaps for watcher in watchers + others} == {0}
            tg.cancel_scope.cancel()


# Tokens whose expiry is known, on a virtual clock.

HOUR = 3600

#: How a connection ends that has a successor.
MOVED = (1000, "another connection has taken its place")


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def hourly(issuer: Issuer, **options: Any) -> Refreshing[str]:
    return Refreshing(refresh=issuer, expires=lambda _: time.time() + HOUR, **options)


class Lapsing(Issuer):
    """An issuer whose tokens are good for an hour and a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.until = 0.0

    async def __call__(self) -> str:
        self.until = anyio.current_time() + HOUR + 60
        return await super().__call__()

    def accepts(self, authorization: Any) -> bool:
        return super().accepts(authorization) and anyio.current_time() < self.until


@asynccontextmanager
async def in_memory(
    auth: Refreshing[Any], issuer: Issuer, **options: Any
) -> AsyncGenerator[tuple[TokenServer, Session]]:
    """A session whose server looks at tokens when it is connected to, and at each operation."""
    of_client = {name: options.pop(name) for name in ("on_event",) if name in options}
    async with TokenServer(issuer, asks_at_connect=True) as server:
        client = Client(server.transport(init_payload=auth.payload), auth=auth, **of_client)
        async with client.connect(**options) as session:
            yield server, session


@pytest.mark.parametrize("options", [{}, {"reconnecting": True}])
def test_a_day_with_hourly_tokens(options: dict[str, Any]) -> None:
    issuer = Lapsing()

    async def main() -> None:
        async with in_memory(hourly(issuer), issuer, **options) as (server, session):
            async with anyio.create_task_group() as tg:
                subscribed = session.subscribe("subscription { ticks(every: 60000) }")
                watcher = Watcher(await subscribed.__aenter__())
                tg.start_soon(watcher.watch)
                for _ in range(24 * 6):
                    await anyio.sleep(600)
                    await session.execute(HELLO)
                tg.cancel_scope.cancel()
            assert server.refused == 0
            assert len(server.connections) in {24, 25}
            assert issuer.issued == len(server.connections)
            assert watcher.gaps == len(server.connections) - 1
            assert watcher.seen >= 24 * 60 - 24
            assert all(it.closed == MOVED or it.closed is None for it in server.connections)
            assert sum(it.closed is None for it in server.connections) == 1

    run(main)


def test_a_session_that_is_idle_opens_no_other_connection() -> None:
    issuer = Issuer()

    async def main() -> None:
        async with TokenServer(issuer) as server:
            auth = hourly(issuer)
            client = Client(server.transport(init_payload=auth.payload), auth=auth)
            async with client.connect(reconnecting=True, lazy=True, idle_timeout=60) as session:
                for _ in range(5):
                    await session.execute(HELLO)
                    await anyio.sleep(HOUR / 2 + 1)
                # Idle ones were closed, and nothing was opened in their place.
                assert len(server.connections) == 5
                assert issuer.issued == 3

    run(main)


@pytest.mark.parametrize("idle_timeout", [None, 3 * HOUR])
def test_an_idle_connection_ends_with_its_token(idle_timeout: float | None) -> None:
    """Of a lazy session: nobody would use another one. It would never be idle for long."""
    issuer = Issuer()
    options: dict[str, Any] = {"reconnecting": True, "lazy": True, "idle_timeout": idle_timeout}

    async def main() -> None:
        async with in_memory(hourly(issuer), issuer, **options) as (server, session):
            await session.execute(HELLO)
            await anyio.sleep(10 * HOUR)
            assert (issuer.issued, len(server.connections)) == (1, 1)
            assert server.connections[0].closed == (1000, "its credentials have expired")
            assert session.state == "waiting"
            await session.execute(HELLO)
            assert (issuer.issued, len(server.connections)) == (2, 2)
            async with session.subscribe("subscription { ticks(every: 60000) }") as events:
                while len(server.connections) == 2:  # in use, it is replaced as ever
                    await events.receive()
            assert issuer.issued == 3

    run(main)


def test_calls_end_on_the_connection_that_is_replaced() -> None:
    issuer = Issuer()

    async def main() -> None:
        async with in_memory(hourly(issuer), issuer) as (server, session):
            async with anyio.create_task_group() as tg:
                watcher = Watcher(
                    await session.subscribe("subscription { ticks(every: 60000) }").__aenter__()
                )
                tg.start_soon(watcher.watch)
                await anyio.sleep(HOUR - 10)
                ended: list[Any] = []

                async def count() -> None:
                    arguments = {"key": "long", "wait": 1000_000}
                    ended.append(await session.execute(COUNT, arguments, timeout=None))

                tg.start_soon(count)
                await anyio.sleep(20)
                assert len(server.connections) == 2
                assert issuer.issued == 2
                assert await session.execute(HELLO)
                assert server.connections[0].closed is None
                await anyio.sleep(500)
                assert (len(ended), watcher.gaps) == (0, 0)
                await anyio.sleep(600)
                assert ended == [{"count": 1}]
                assert server.counted == {"long": 1}
                assert server.connections[0].closed == MOVED
                assert watcher.gaps == 1
                assert not session._supervisor._draining
                assert not session._supervisor._replaced
                tg.cancel_scope.cancel()

    run(main)


def test_on_expiry_nothing() -> None:
    issuer = Issuer()

    async def main() -> None:
        auth = hourly(issuer, on_expiry="nothing")
        async with in_memory(auth, issuer) as (server, session):
            async with session.subscribe("subscription { ticks(every: 60000) }") as events:
                for _ in range(180):
                    await events.receive()
                assert (issuer.issued, len(server.connections), events.reconnects) == (1, 1, 0)
            # The next call has it refreshed, and is refused: the connection has the old one.
            await session.execute(HELLO)
            assert (issuer.issued, len(server.connections)) == (2, 2)

    run(main)


def test_a_refresh_that_fails_at_expiry_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer()
    at: list[float] = []

    async def refresh() -> str:
        if issuer.issued:
            at.append(anyio.current_time())
            if at[-1] < 2 * HOUR:
                raise OSError("s3cret is no good")
        return await issuer()

    async def main() -> None:
        auth = Refreshing(refresh=refresh, expires=lambda _: time.time() + HOUR)
        async with in_memory(auth, issuer) as (server, session):
            async with session.subscribe("subscription { ticks(every: 60000) }") as events:
                for _ in range(130):
                    await events.receive()
                assert events.reconnects == 1
            assert len(server.connections) == 2
            assert await session.execute(HELLO)
            assert issuer.issued == 2

    run(main)
    waits = [after - before for before, after in pairwise(at)]
    assert all(1 <= wait <= 62 for wait in waits)
    assert max(waits) > 20
    assert len(at) < 200
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert warnings
    assert all("the token was not refreshed: OSError" in it.getMessage() for it in warnings)
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("reconnecting", [False, True])
def test_the_server_is_down_when_the_token_expires(reconnecting: bool) -> None:
    issuer = Issuer()

    async def main() -> None:
        auth = hourly(issuer)
        server = TokenServer(issuer, asks_at_connect=True)
        async with server, anyio.create_task_group() as tg:
            client = Client(server.transport(init_payload=auth.payload), auth=auth)
            async with client.connect(reconnecting=reconnecting) as session:
                events = await session.subscribe(
                    "subscription { ticks(every: 60000) }"
                ).__aenter__()
                for _ in range(50):
                    await events.receive()
                server._accepting = False
                if reconnecting:
                    for _ in range(30):  # it goes on meanwhile
                        await events.receive()
                    assert (events.reconnects, session.state) == (0, "waiting")
                    server._accepting = True
                    for _ in range(10):
                        await events.receive()
                    assert events.reconnects == 1
                else:
                    with pytest.raises(TransportConnectionFailed):
                        for _ in range(70):
                            await events.receive()
                    assert session.state == "closed"
                    with pytest.raises(TransportConnectionFailed):
                        await session.execute(HELLO)
            tg.cancel_scope.cancel()

    run(main)


def test_sessions_that_are_closed_or_reconnected_while_a_connection_drains() -> None:
    issuer = Issuer()
    errors: list[Exception] = []

    async def main() -> None:
        for reconnects in (False, True):
            async with anyio.create_task_group() as tg:
                auth = hourly(issuer)
                async with in_memory(auth, issuer, reconnecting=True) as (server, session):

                    async def count() -> None:
                        try:
                            arguments = {"key": "long", "wait": 1000_000}
                            await session.execute(COUNT, arguments, timeout=None)
                        except TransportError as error:
                            errors.append(error)

                    await anyio.sleep(HOUR - 10)
                    tg.start_soon(count)
                    await anyio.sleep(20)
                    assert len(server.connections) == 2
                    if reconnects:
                        session.reconnect()
                        await session.wait_connected()
                        await anyio.sleep(1)
                        assert len(errors) == 2
                        assert await session.execute(HELLO)
                        assert len(server.connections) == 3
            assert all(connection.closed for connection in server.connections)

    run(main)
    assert [type(error) for error in errors] == [TransportClosed, TransportConnectionFailed]


def test_a_connection_that_ends_as_it_is_replaced() -> None:
    issuer = Issuer()

    async def main() -> None:
        for reset_first in (False, True):
            async with in_memory(hourly(issuer), issuer, reconnecting=True) as (server, session):
                events = session.subscribe("subscription { ticks(every: 60000) }")
                async with events:
                    await events.receive()
                    old = session._supervisor._connection
                    assert old is not None
                    if reset_first:
                        old.drop("test")
                    session._supervisor.replace(old)
                    session._supervisor.replace(old)
                    if not reset_first:
                        old.drop("test")
                    for _ in range(3):
                        await events.receive()
                    assert events.reconnects == 1
                assert len(server.connections) == 2
                assert await session.execute(HELLO)

    run(main)


def test_a_token_that_another_session_has_had_refreshed() -> None:
    """Each of the sessions has its connection replaced, and the token is refreshed once."""
    issuer = Issuer()

    async def main() -> None:
        async with TokenServer(issuer, asks_at_connect=True) as server:
            auth = hourly(issuer)
            client = Client(server.transport(init_payload=auth.payload), auth=auth)
            async with client as first, client as second:
                await anyio.sleep(HOUR + 10)
                await first.execute(HELLO)
                await second.execute(HELLO)
            assert issuer.issued == 2
            assert len(server.connections) == 4
            assert server.refused == 0

    run(main)


def test_a_server_that_refuses_everything() -> None:
    """One refresh and one replay for each call, and none of them runs on by itself."""
    issuer = Issuer()

    async def refresh() -> str:
        await issuer()
        return "bad"

    async def main() -> None:
        async with TokenServer(issuer) as server:
            auth = Refreshing(refresh=refresh)
            client = Client(server.transport(init_payload=auth.payload), auth=auth)
            async with client.connect(reconnecting=True) as session:
                async with session.subscribe(TICKS) as events:
                    for _ in range(2):
                        with pytest.raises(TransportQueryError, match="log in first"):
                            await events.receive()
                        break
                    for _ in range(3):
                        with pytest.raises(TransportQueryError, match="log in first"):
                            await session.execute(HELLO)
                await anyio.sleep(HOUR)
            assert issuer.issued <= 5
            assert server.refused == 8
            assert len(server.connections) <= 6

    run(main)


@pytest.mark.parametrize("code", [4401, 4403])
def test_a_server_that_closes_every_connection(code: int) -> None:
    issuer = Issuer()

    async def main() -> None:
        async with TokenServer(issuer) as server, anyio.create_task_group() as tg:

            async def close() -> None:
                number = 1
                while True:
                    await (await server.wait_connection(number)).close(code, "no")
                    number += 1

            tg.start_soon(close)
            auth = Refreshing(refresh=issuer)
            client = Client(server.transport(init_payload=auth.payload), auth=auth)
            with pytest.raises(TransportConnectionFailed) as caught:
                async with client.connect(reconnecting=True) as session:
                    await session.wait_closed()
            assert caught.value.code == code
            assert len(server.connections) <= 4
            assert issuer.issued <= 3
            tg.cancel_scope.cancel()

    run(main)


@pytest.mark.parametrize("code", [4401, 4403])
def test_tokens_that_are_revoked_in_quick_succession(code: int) -> None:
    """A server that has let a connection be for a while has accepted its token."""
    issuer = Issuer()

    async def main() -> None:
        async with in_memory(Refreshing(refresh=issuer), issuer, reconnecting=True) as it:
            server, session = it
            for number in range(1, 5):
                await anyio.sleep(2)
                issuer.revoke()
                await server.connections[-1].close(code, "revoked")
                assert await session.execute(HELLO)
                assert (issuer.issued, len(server.connections)) == (number + 1, number + 1)

    run(main)


@pytest.mark.usefixtures("soon")
async def test_a_transport_that_asks_for_something_else() -> None:
    async with serving() as (issuer, server):
        auth = Refreshing(refresh=issuer)
        transport = server.transport(headers=lambda: {"x-a": "b"})
        with pytest.raises(TransportConnectionFailed, match="4401"):
            async with Client(transport, auth=auth).connect(reconnecting=True) as session:
                assert await session.execute("{ __typename }")
                server.drop_connections()
                assert await session.execute("{ __typename }")
                await server.connections[-1].close(4401)
                await session.wait_closed()


@pytest.mark.parametrize("reconnecting", [False, True])
def test_what_is_told_of_a_connection_that_is_replaced(reconnecting: bool) -> None:
    issuer = Issuer()
    told: list[Any] = []
    states: list[str] = []
    sessions: list[Session] = []

    def on_event(event: SessionEvent) -> None:
        told.append(getattr(event, "reconnected", type(event)))
        states.extend(session.state for session in sessions)

    async def main() -> None:
        options: dict[str, Any] = {"reconnecting": True} if reconnecting else {}
        it = in_memory(hourly(issuer), issuer, on_event=on_event, **options)
        async with it as (server, session):
            sessions.append(session)
            assert told == [Connecting, False]
            await anyio.sleep(HOUR + 1)
            assert told[2:] == [Connecting, True]
            assert states == ["connecting", "connected"]
            server._accepting = False  # the next attempt fails
            await anyio.sleep(HOUR + 1)
            if reconnecting:
                assert told[4:6] == [Connecting, Disconnected]
                assert session.state == "waiting"
                server._accepting = True
                await session.execute(HELLO)
                assert told[-2:] == [Connecting, True]
            else:
                assert told[4:] == [Connecting, Disconnected, Closed]
        assert told[-1] is Closed

    run(main)


def test_a_connection_that_is_replaced_as_soon_as_it_is_there() -> None:
    issuer = Issuer()
    sessions: list[Session] = []

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Connected) and sessions:
            supervisor = sessions.pop()._supervisor
            assert supervisor._connection is not None
            supervisor.replace(supervisor._connection)

    async def main() -> None:
        auth = hourly(issuer)
        async with in_memory(auth, issuer, reconnecting=True, on_event=on_event) as it:
            server, session = it
            sessions.append(session)
            session.reconnect()
            await anyio.sleep(1)
            assert await session.execute(HELLO)
            assert len(server.connections) == 3
            assert [it.closed is None for it in server.connections] == [False, False, True]

    run(main)


def test_a_connection_that_is_idle_while_its_successor_cannot_be_made() -> None:
    issuer = Issuer()
    options: dict[str, Any] = {"reconnecting": True, "lazy": True, "idle_timeout": 60}

    async def main() -> None:
        async with in_memory(hourly(issuer), issuer, **options) as (server, session):
            async with session.subscribe("subscription { ticks(every: 60000) }") as events:
                for _ in range(50):
                    await events.receive()
                server._accepting = False
                for _ in range(30):
                    await events.receive()
                assert len(server.connections) == 1
            await anyio.sleep(120)  # it is closed, since nothing runs on it
            assert server.connections[0].closed is not None
            server._accepting = True
            assert await session.execute(HELLO)
            assert len(server.connections) == 2

    run(main)
