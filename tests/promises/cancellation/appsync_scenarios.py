"""Scenarios over AppSync: each subscription is authorized before it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio.lowlevel import checkpoint

from anygql import AppSync, Client, Session
from anygql.appsync import Token
from tests.promises.cancellation.checkpoints import Body, Violation
from tests.promises.cancellation.scenarios import (
    ENDLESS,
    Server,
    Setting,
    cross_a_gap,
    scenario,
    unburdened,
)

COUNTDOWN = "subscription { countdown(from: 2, interval: 0.0001) }"


class AppSyncServer(Server):
    """A server of AppSync's, some of whose authorizations have expired.

    ``expired``: the numbers of those that are refused, counted from 1.
    """

    def __init__(self, *expired: int) -> None:
        super().__init__(protocols=["appsync"], on_connect=self._admit)
        self._expired = expired
        self._asked = 0

    async def _admit(self, authorization: Mapping[str, str]) -> bool:
        await checkpoint()
        self._asked += 1
        return self._asked not in self._expired

    def client(self) -> Client:
        return Client(self.transport(protocol=AppSync(Token(slow_token))))


async def slow_token() -> str:
    await checkpoint()
    await checkpoint()
    return "token"


@asynccontextmanager
async def talking(*expired: int, **options: Any) -> AsyncGenerator[tuple[AppSyncServer, Session]]:
    """A session and its server; afterwards the session must answer, and nothing be held."""
    async with AppSyncServer(*expired) as server:
        async with server.client().connect(**options) as session:
            yield server, session
            await usable(session)
            await server.settled()
        await server.emptied()


async def usable(session: Session) -> None:
    """It takes a subscription, and has nothing else in hand."""
    async with session.subscribe("subscription { countdown(from: 1) }") as events:
        came = [event["countdown"] async for event in events]
    if came != [1, 0]:
        raise Violation(f"the session answered {came}")
    await unburdened(session)


@scenario("a whole session over AppSync")
async def whole(body: Body) -> Setting:
    async with AppSyncServer() as server:
        client = server.client()

        async def run() -> None:
            async with client.connect() as session:
                body.point()
                async with session.subscribe(COUNTDOWN) as events:
                    assert [event["countdown"] async for event in events] == [2, 1, 0]
                body.point()
                async with session.subscribe("subscription { never }"):
                    body.point()

        yield run
        await server.emptied()


@scenario("subscribe over AppSync")
async def subscribe(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            async with session.subscribe(COUNTDOWN) as events:
                body.point()
                await events.receive()
                body.point()

        yield run


@scenario("leave a subscription over AppSync")
async def leave(body: Body) -> Setting:
    async with talking() as (server, session):

        async def run() -> None:
            async with session.subscribe(ENDLESS) as events:
                body.point()
                await anext(events)
                await anext(events)
            body.point()
            await server.connections[0].wait_operations(0)

        yield run


@scenario("resubscribe over AppSync")
async def resubscribe(body: Body) -> Setting:
    async with talking(reconnecting=True) as (server, session):

        async def run() -> None:
            async with session.subscribe(ENDLESS) as events:
                await cross_a_gap(server, events, body)

        yield run


@scenario("fresh credentials over AppSync")
async def refresh(body: Body) -> Setting:
    # The connection, a subscription that is refused, and that again.
    async with talking(2, reconnecting=True) as (_, session):

        async def run() -> None:
            async with session.subscribe(COUNTDOWN) as events:
                body.point()
                await events.receive()
                body.point()

        yield run
