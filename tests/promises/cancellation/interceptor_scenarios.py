"""What is canceled at each of its checkpoints with interceptors: more of ``SCENARIOS``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from anygql import Call, Client, Deduplicate, ExecutionResult, Interceptor, Operation, Session
from tests.promises.cancellation.checkpoints import Body, eventually
from tests.promises.cancellation.scenarios import (
    ENDLESS,
    Server,
    Setting,
    cross_a_gap,
    scenario,
    usable,
)


async def around(operation: Operation, call: Call) -> ExecutionResult:
    await checkpoint()
    try:
        return await call(operation)
    finally:
        await checkpoint()


async def before(operation: Operation) -> Operation:
    await checkpoint()
    return operation


@asynccontextmanager
async def talking(
    interceptors: Sequence[Interceptor] = (around, around), **options: Any
) -> AsyncGenerator[tuple[Server, Session]]:
    """A session and its server; afterwards the session must answer, and nothing be held."""
    async with Server() as server:
        client = Client(
            server.transport(),
            interceptors=interceptors,
            attempt_interceptors=[around],
            subscription_interceptors=[before],
        )
        async with client.connect(**options) as session:
            yield server, session
            await usable(session)
            await server.settled()
        await server.emptied()


@scenario("execute through interceptors")
async def execute(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            await session.execute("{ hello }")
            body.point()
            with anyio.move_on_after(0.005):
                await session.execute("{ slow(seconds: 60) }")
            body.point()

        yield run


@scenario("a batch through interceptors")
async def batch(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            await session.execute_batch(["{ hello }", "{ add(a: 1, b: 2) }", "{ counter }"])
            body.point()

        yield run


@scenario("resubscribe through interceptors")
async def resubscribe(body: Body) -> Setting:
    async with talking(reconnecting=True) as (server, session):

        async def run() -> None:
            async with session.subscribe(ENDLESS) as events:
                await cross_a_gap(server, events, body)

        yield run


def deduplicating(*, first: bool, joined: bool = True) -> Callable[[Body], Setting]:
    """Run a query that another task runs too, which must get its answer."""

    async def setting(body: Body) -> Setting:
        query = "{ slow(seconds: 0.002) }"
        async with (
            talking([Deduplicate(), around]) as (server, session),
            anyio.create_task_group() as others,
        ):
            is_begun, answer = not first, None

            async def ask() -> None:
                nonlocal answer
                answer = await session.execute(query)

            if not first:
                others.start_soon(ask)
                await eventually(lambda: bool(server.operations), "it was not sent")

            async def run() -> None:
                nonlocal is_begun
                if first and joined:
                    is_begun = True
                    others.start_soon(ask)  # which comes second, since this task runs
                await session.execute(query)
                body.point()

            yield run
            await eventually(
                lambda: bool(answer) or not (joined and is_begun), "the other got no answer"
            )

    return setting


scenario("a shared query, by its first caller")(deduplicating(first=True))
scenario("a shared query, by another caller")(deduplicating(first=False))
scenario("a query that nobody shares")(deduplicating(first=True, joined=False))
