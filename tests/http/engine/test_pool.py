"""The connections of our own client: how many there are, which is used, and when one goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from anygql import Client, HTTPTransport
from anygql.http.engine import connection as engine_connection
from tests.support.http_peer import Peer, Request, http, kept, peer

ANSWER = http('{"data":{"n":1}}')
QUERY = "{ n }"


class Crowd:
    """Answers nobody before ``size`` requests wait together."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting = 0
        self.most = 0
        self.all_there = anyio.Event()

    async def __call__(self, request: Request, stream: SocketStream) -> bool:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting == self.size:
            self.all_there.set()
        await self.all_there.wait()
        self.waiting -= 1
        await stream.send(ANSWER)
        return True


async def ask_together(session: Any, count: int) -> None:
    async with anyio.create_task_group() as tg:
        for _ in range(count):
            tg.start_soon(session.execute, QUERY)


async def test_one_after_the_other_on_one_connection() -> None:
    async with peer(kept(ANSWER)) as server, Client(HTTPTransport(server.url)) as session:
        for _ in range(10):
            await session.execute(QUERY)
        assert len(server.requests) == 10
        assert server.connections == 1


async def test_as_many_connections_as_requests() -> None:
    async with peer(Crowd(30)) as server, Client(HTTPTransport(server.url)) as session:
        await ask_together(session, 30)
        assert server.connections == 30
        await ask_together(session, 30)
        assert server.connections == 30
        for _ in range(5):
            await session.execute(QUERY)
        assert server.connections == 30
    assert await gone(server, 30)


async def gone(server: Peer, count: int) -> bool:
    with anyio.fail_after(5):
        while server.gone < count:
            await anyio.lowlevel.checkpoint()
    return server.gone == count


async def test_no_more_than_so_many() -> None:
    crowd = Crowd(3)
    async with (
        peer(crowd) as server,
        Client(HTTPTransport(server.url, max_connections=3)) as session,
    ):
        await ask_together(session, 20)
        assert len(server.requests) == 20
        assert server.connections == crowd.most == 3


async def test_cancelled_while_all_are_taken() -> None:
    crowd = Crowd(3)  # one more than there can be
    async with (
        peer(crowd) as server,
        Client(HTTPTransport(server.url, max_connections=2)) as session,
    ):
        async with anyio.create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(session.execute, QUERY)
            with anyio.fail_after(5):
                while crowd.waiting < 2:
                    await anyio.lowlevel.checkpoint()
            tg.cancel_scope.cancel()
        assert len(server.requests) == 2
        crowd.all_there.set()
        await ask_together(session, 5)
        assert crowd.most <= 3


async def test_those_that_were_not_needed_for_long_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_connection, "KEEP_FOR", 0.1)
    async with peer(Crowd(10)) as server, Client(HTTPTransport(server.url)) as session:
        await ask_together(session, 10)
        assert server.connections == 10
        assert await gone(server, 10)  # though nobody asks for one
        await session.execute(QUERY)
        assert server.connections == 11


async def test_each_is_closed_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(2)
    async with peer(crowd) as server, Client(HTTPTransport(server.url)) as session:
        async with anyio.create_task_group() as tg:
            monkeypatch.setattr(engine_connection, "KEEP_FOR", 0.1)
            tg.start_soon(session.execute, QUERY)
            with anyio.fail_after(5):
                while crowd.waiting < 1:
                    await anyio.lowlevel.checkpoint()
            monkeypatch.setattr(engine_connection, "KEEP_FOR", 60)
            tg.start_soon(session.execute, QUERY)
        assert await gone(server, 1)
        await session.execute(QUERY)
        assert server.connections == 2


def baking(answers: dict[str, str]) -> Callable[[Request, SocketStream], Awaitable[bool]]:
    """Sets a cookie for each request, and remembers which came back."""

    async def send(request: Request, stream: SocketStream) -> bool:
        number = len(answers)
        answers[f"c{number}"] = request.headers.get("cookie", "")
        await stream.send(http('{"data":{"n":1}}', set_cookie=f"c{number}=yes"))
        return True

    return send


async def test_all_have_the_same_cookies() -> None:
    cookies: dict[str, str] = {}
    async with peer(baking(cookies)) as server, Client(HTTPTransport(server.url)) as session:
        await session.execute(QUERY)
        await ask_together(session, 5)
        await session.execute(QUERY)
        assert server.connections > 1
        assert cookies.pop("c0") == ""
        assert all("c0=yes" in sent for sent in cookies.values())
        assert all(f"c{n}=yes" in cookies["c6"] for n in range(6))


async def test_a_connection_that_was_cut_is_not_used_again() -> None:
    async def once(request: Request, stream: SocketStream) -> bool:
        await stream.send(ANSWER)
        return False

    async with peer(once) as server, Client(HTTPTransport(server.url)) as session:
        for n in range(1, 5):
            await session.execute(QUERY)
            assert await gone(server, n)
        assert server.connections == 4
