"""Responses on our own connections, whoever reads them and however far."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from anygql import HTTPTransport
from anygql.concurrency.loop import RunningLoop
from anygql.http.engine.exchange import Exchange
from anygql.http.requests import HTTPRequest
from tests.support.http_peer import Peer, http, kept, peer

GET = HTTPRequest("GET", None, [])


@asynccontextmanager
async def exchanging(server: Peer) -> AsyncGenerator[Exchange]:
    exchange = Exchange(HTTPTransport(server.url))
    async with anyio.create_task_group() as tg:
        exchange.open(RunningLoop(), tg)
        yield exchange
        tg.cancel_scope.cancel()
    await exchange.aclose()


async def test_a_response_that_is_over_takes_nothing_of_the_next() -> None:
    async with peer(kept(http("one")), kept(http("two"))) as server, exchanging(server) as exchange:
        first = await exchange.send(GET)
        assert [await first.read(), await first.read()] == [b"one", None]
        second = await exchange.send(GET)
        assert server.connections == 1
        assert await first.read() is None
        await first.aclose()
        assert [await second.read(), await second.read()] == [b"two", None]
        await second.aclose()


async def test_closing_closes_what_is_still_read() -> None:
    async with peer(kept(http("one", length=99))) as server:
        async with exchanging(server) as exchange:
            response = await exchange.send(GET)
            assert await response.read() == b"one"
        with anyio.fail_after(5):
            while not server.gone:
                await anyio.lowlevel.checkpoint()
        await response.aclose()
