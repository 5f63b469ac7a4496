"""What sessions do with credentials: one refresh for many, replays, and connections replaced."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from anygql import (
    AppSyncTransport,
    Client,
    HTTPTransport,
    Refreshing,
    Session,
    SplitTransport,
    Subscription,
    TransportConnectionFailed,
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

    async def reach(self, count: int) -> None:
        while self.seen < count:
            await self.changed.wait()

    @property
    def gaps(self) -> int:
        return self._gaps


async def more(watchers: Sequence[Watcher], count: int = 2) -> None:
    """Wait until each has seen so many events more."""
    for watcher, reached in [(watcher, watcher.seen) for watcher in watchers]:
        await watcher.reach(reached + count)


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
                await more(watchers)
                tg.cancel_scope.cancel()
            assert issuer.issued == 2
            assert set(server.counted.values()) == {1}
            assert len(server.counted) == 100
            # Over HTTP a subscription has no connection that others' tokens matter to.
            moved = url == "ws" or (url == "split" and "pushes" in options)
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
                await more(watchers)
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
