"""What is canceled at each of its checkpoints with credentials that are refreshed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from anygql import Client, Refreshing, Session, TransportError, TransportQueryError
from anygql.session.auth.refreshing import source_of
from tests.promises.cancellation.checkpoints import Body, eventually
from tests.promises.cancellation.scenarios import Server, Setting, scenario, usable


class Tokens:
    """Issues tokens after a while."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.seconds = 0.0

    async def __call__(self) -> str:
        await checkpoint()
        await anyio.sleep(self.seconds)
        return f"token {next(self._numbers)}"


def refused(error: Exception) -> bool:
    """Whatever has errors, and whoever isn't let in."""
    return isinstance(error, TransportQueryError) or (
        isinstance(error, TransportError) and error.code == 4403
    )


def admit(payload: Any) -> bool:
    return bool(payload["Authorization"] != "Bearer old")


@asynccontextmanager
async def talking(**options: Any) -> AsyncGenerator[tuple[Server, Session, Tokens]]:
    """A session and its server; afterwards it must answer, and no connection be kept."""
    tokens = Tokens()
    async with Server(on_connect=admit) as server:
        auth = Refreshing(refresh=tokens, refused=refused, timeout=1)
        client = Client(server.transport(init_payload=auth.payload), auth=auth)
        async with client.connect(**options) as session:
            yield server, session, tokens
            tokens.seconds = 0
            await usable(session)
            await let_go(session, auth)
            for connection in server.connections[:-1]:
                await connection.wait_closed()
            await server.settled()
        await server.emptied()


async def let_go(session: Session, auth: Refreshing[Any]) -> None:
    """No refresh runs, and one connection alone is there, on which nobody is thought to call."""
    supervisor = session._supervisor
    credentials = supervisor.credentials
    assert credentials is not None

    def held() -> list[Any]:
        refresh = source_of(auth)._running
        running = [] if refresh is None else [refresh]
        others = len(credentials._openings) - 1
        return [*running, *credentials._calls, *supervisor._draining, *[1] * others]

    await eventually(lambda: not held(), lambda: f"still held: {held()}")


def _of_session(name: str, **options: Any) -> None:
    @scenario(f"execute that is refused {name}")
    async def execute(body: Body) -> Setting:
        async with talking(**options) as (_, session, tokens):

            async def run() -> None:
                await session.execute_result("{ fail }")
                body.point()
                tokens.seconds = 0.002
                with anyio.move_on_after(0.001):
                    await session.execute_result("{ fail }")
                await session.execute("{ hello }")
                body.point()

            yield run

    @scenario(f"a subscription that is refused {name}")
    async def subscribe(body: Body) -> Setting:
        async with talking(**options) as (_, session, _):

            async def run() -> None:
                async with session.subscribe_results(
                    "subscription { failing(after: 2) }"
                ) as events:
                    while not events.reconnects:
                        await events.receive()
                    body.point()
                    await events.receive()

            yield run

    @scenario(f"a connection that is replaced while a call runs {name}")
    async def replaced(body: Body) -> Setting:
        async with talking(**options) as (_, session, _):

            async def run() -> None:
                supervisor = session._supervisor
                async with session.subscribe("subscription { never }"):
                    async with anyio.create_task_group() as tg:
                        tg.start_soon(session.execute, "{ slow(seconds: 0.002) }")
                        await checkpoint()
                        if supervisor._connection is not None:
                            supervisor.replace(supervisor._connection)
                        await session.execute("{ hello }")
                body.point()

            yield run


_of_session("in a plain session")
_of_session("in a permanent session", reconnecting=True)


@scenario("results in parts that are refused")
async def incremental(body: Body) -> Setting:
    async with talking() as (_, session, _):

        async def run() -> None:
            async with session.execute_incremental("{ fail }") as results:
                with suppress(TransportQueryError):
                    await results.receive()
                body.point()

        yield run


@scenario("a connection that is refused")
async def connect(body: Body) -> Setting:
    async with Server(on_connect=admit) as server:

        async def run() -> None:
            auth = Refreshing(refresh=Tokens(), token="old", refused=refused)
            client = Client(server.transport(init_payload=auth.payload), auth=auth)
            async with client as session:
                await session.execute("{ hello }")
                body.point()

        yield run
        await server.emptied()
