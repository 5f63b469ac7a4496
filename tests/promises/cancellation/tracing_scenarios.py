"""What is canceled at each of its checkpoints while it is traced: more of ``SCENARIOS``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from anygql import Client, Session
from tests.promises.cancellation.checkpoints import Body, Violation
from tests.promises.cancellation.scenarios import (
    ENDLESS,
    Server,
    Setting,
    cross_a_gap,
    scenario,
    usable,
)
from tests.support.telemetry import Telemetry


class Open(SpanProcessor):
    """The number of spans that have begun and not ended."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: object, parent_context: object = None) -> None:
        self.count += 1

    def on_end(self, span: object) -> None:
        self.count -= 1


@asynccontextmanager
async def traced() -> AsyncGenerator[tuple[Server, Session]]:
    """A traced session and its server; afterwards no span may be open, and nothing counted."""
    telemetry, spans = Telemetry(), Open()
    telemetry.traces.add_span_processor(spans)
    async with Server() as server:
        client = Client(server.transport(), interceptors=[telemetry.interceptor(events=True)])
        async with client.connect(reconnecting=True) as session:
            yield server, session
            await usable(session)
            await server.settled()
        await server.emptied()
    if spans.count:
        raise Violation(f"{spans.count} spans are open")
    if trace.get_current_span() is not trace.INVALID_SPAN:
        raise Violation("a span is current")
    for name in ("anygql.active_subscriptions", "anygql.connections"):
        if left := [point for point in telemetry.points(name) if point[1]]:
            raise Violation(f"{name}: {left}")


@scenario("execute with retries, traced")
async def execute(body: Body) -> Setting:
    async with traced() as (server, session):

        async def run() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.execute, "{ slow(seconds: 0.02) }")
                await server.connections[-1].wait_operations(1)
                server.drop_connections()
            body.point()
            with anyio.move_on_after(0.005):
                await session.execute("{ slow(seconds: 60) }")
            body.point()

        yield run


@scenario("resubscribe, traced")
async def resubscribe(body: Body) -> Setting:
    async with traced() as (server, session):

        async def run() -> None:
            async with session.subscribe(ENDLESS) as events:
                await cross_a_gap(server, events, body)

        yield run
