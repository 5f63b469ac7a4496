"""What is canceled at each of its checkpoints over Phoenix channels: more of ``SCENARIOS``."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from anygql import PHOENIX, Client, GraphQLRequest, Phoenix, Session
from tests.promises.cancellation.checkpoints import Body, Violation
from tests.promises.cancellation.scenarios import (
    ENDLESS,
    Server,
    Setting,
    cross_a_gap,
    scenario,
    usable,
)

__all__ = ["Channel"]


class Channel(Server):
    """A socket with Absinthe's channel."""

    def __init__(self) -> None:
        super().__init__(protocols=["phoenix"])

    def check_told(self, received: list[Any], sent: list[Any], *, over: bool) -> None:
        refs = [int(message[1]) for message in received]
        if refs != sorted(set(refs)):
            raise Violation(f"refs are not in order: {refs}")
        events = [message[3] for message in received]
        if events.count("phx_join") > 1 or "phx_leave" in events[:-1]:
            raise Violation(f"the channel was joined or left out of order: {events}")
        left = Counter(m[4]["subscriptionId"] for m in received if m[3] == "unsubscribe")
        replies = [m[4]["response"] for m in sent if m[3] == "phx_reply" and m[1] != "1"]
        begun = {each["subscriptionId"] for each in replies if "subscriptionId" in each}
        if left and max(left.values()) > 1:
            raise Violation(f"the server was told twice that a subscription was left: {left}")
        if not over and begun != set(left):
            raise Violation(f"the server was not told that {begun - set(left)} were left")


@asynccontextmanager
async def talking(
    protocol: Phoenix = PHOENIX, **options: Any
) -> AsyncGenerator[tuple[Channel, Session]]:
    """A session and its server; afterwards the session must answer, and nothing be held."""
    async with Channel() as server:
        async with Client(server.transport(protocol=protocol)).connect(**options) as session:
            yield server, session
            await usable(session)
            await server.settled()
        await server.emptied()


class Authorizing(Phoenix):
    """One whose operations each wait for an authorization."""

    authorizes = True

    async def authorize(self, request: GraphQLRequest, transport_args: Any, **_more: Any) -> None:
        await anyio.sleep(0)


@scenario("a whole permanent session over Phoenix")
async def whole(body: Body) -> Setting:
    async def params() -> dict[str, str]:
        await anyio.lowlevel.checkpoint()
        return {"token": "a"}

    async with Channel() as server:
        protocol = Phoenix(params=params, auth_token=lambda: "b", join_payload=params)
        client = Client(server.transport(protocol=protocol))

        async def run() -> None:
            async with client.connect(reconnecting=True) as session:
                body.point()
                await session.execute("{ slow(seconds: 0) }")
                async with session.subscribe(ENDLESS) as events:
                    body.point()
                    await events.receive()

        yield run
        await server.emptied()
        async with client as session:
            await usable(session)
        await server.emptied()


@scenario("execute and subscribe over Phoenix")
async def operations(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            await session.execute("query Long($n: String!) { hello(name: $n) }", {"n": "x" * 200})
            body.point()
            async with session.subscribe(ENDLESS) as events:
                await anext(events)
                body.point()
            async with session.subscribe("subscription { never }"):
                body.point()

        yield run


@scenario("equal subscriptions over Phoenix")
async def equal(body: Body) -> Setting:
    async with talking(Phoenix(params={"context_id": "1"})) as (_, session):

        async def run() -> None:
            async with session.subscribe("subscription { never }"):
                body.point()
                async with session.subscribe("subscription { never }"):
                    body.point()
            await session.execute("{ hello }")

        yield run


@scenario("resubscribe over Phoenix, with authorizations")
async def resubscribe(body: Body) -> Setting:
    async with talking(Authorizing(), reconnecting=True) as (server, session):

        async def run() -> None:
            await session.execute("{ hello }")
            async with session.subscribe(ENDLESS) as events:
                await cross_a_gap(server, events, body)

        yield run
