"""All that may go around a call, together, canceled at each checkpoint: more of ``SCENARIOS``.

Tracing within throttling, equal queries shared within that, credentials within them all; retries
and a permanent session underneath.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from anygql import Client, Deduplicate, Refreshing, Session
from anygql.throttle import Throttle
from tests.promises.cancellation.checkpoints import Body, Violation
from tests.promises.cancellation.interceptor_scenarios import around, before
from tests.promises.cancellation.scenarios import ENDLESS, Server, Setting, scenario, usable
from tests.promises.cancellation.tracing_scenarios import Open
from tests.support.telemetry import Telemetry


class Tokens:
    """Issues tokens, of which the newest is good until it is revoked."""

    def __init__(self) -> None:
        self.issued = self.revoked = 0

    async def __call__(self) -> str:
        await checkpoint()
        self.issued += 1
        return str(self.issued)

    def revoke(self) -> None:
        self.revoked = self.issued

    def admit(self, payload: Any) -> bool:
        return int(payload["Authorization"].removeprefix("Bearer ")) > self.revoked


@asynccontextmanager
async def surrounded() -> AsyncGenerator[tuple[Server, Session, Tokens]]:
    """A session with everything; afterwards it must answer, and nothing be held by any of it."""
    telemetry, spans, tokens = Telemetry(), Open(), Tokens()
    telemetry.traces.add_span_processor(spans)
    limit = Throttle(rate=10_000, burst=3)
    async with Server(on_connect=tokens.admit) as server:
        auth = Refreshing(refresh=tokens)
        client = Client(
            server.transport(init_payload=auth.payload),
            auth=auth,
            interceptors=[limit, telemetry.interceptor(), Deduplicate(), around],
            attempt_interceptors=[around],
            subscription_interceptors=[before],
        )
        async with client.connect(reconnecting=True) as session:
            yield server, session, tokens
            await usable(session)
            await server.settled()
            if "0 waiting, 0 under way" not in repr(limit):
                raise Violation(f"left in line: {limit}")
        await server.emptied()
    if spans.count:
        raise Violation(f"{spans.count} spans are open")
    if tokens.issued > 2:
        raise Violation(f"{tokens.issued} tokens for one that was revoked")


@scenario("everything around calls")
async def calls(body: Body) -> Setting:
    async with surrounded() as (server, session, tokens):

        async def run() -> None:
            async with anyio.create_task_group() as tg:
                for _ in range(3):  # one request, which the connection takes along
                    tg.start_soon(session.execute, "{ slow(seconds: 0.02) }")
                await server.connections[-1].wait_operations(1)
                tokens.revoke()
                server.drop_connections()
                await session.execute("{ hello }")
            body.point()
            with anyio.move_on_after(0.005):
                await session.execute("{ slow(seconds: 60) }")
            body.point()

        yield run


@scenario("everything around a subscription")
async def subscription(body: Body) -> Setting:
    async with surrounded() as (server, session, tokens):

        async def run() -> None:
            async with session.subscribe(ENDLESS) as events:
                await events.receive()
                body.point()
                tokens.revoke()
                server.drop_connections()
                async with anyio.create_task_group() as tg:
                    for _ in range(2):
                        tg.start_soon(session.execute, "{ hello }")
                while not events.reconnects:
                    await events.receive()
                body.point()

        yield run
