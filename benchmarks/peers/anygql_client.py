"""anygql, as its documentation has it."""

from __future__ import annotations

import importlib
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anygql

from .base import use_http_library

__all__ = ["open_http", "open_memory", "open_websocket"]


class _Session:
    request = anygql.GraphQLRequest

    def __init__(self, session: anygql.Session) -> None:
        self.execute = session.execute
        self.subscribe = session.subscribe


async def _pass_on(operation: anygql.Operation, call: anygql.Call) -> anygql.ExecutionResult:
    return await call(operation)


@asynccontextmanager
async def open_websocket(engine: str, port: int) -> AsyncGenerator[_Session]:
    url = f"ws://127.0.0.1:{port}/"
    auth = anygql.Refreshing(refresh=lambda: "t") if engine == "auth" else None
    async with anygql.Client(url, interceptors=_interceptors(engine), auth=auth) as session:
        yield _Session(session)


def _interceptors(engine: str) -> list[anygql.Interceptor]:
    """Return the interceptors that an engine of this name has."""
    if engine == "tracing":
        return [_tracing()]
    if engine == "throttle":
        from anygql.throttle import Throttle

        return [Throttle(rate=1_000_000, burst=1_000_000)]
    if engine == "deduplicate":
        return [anygql.Deduplicate()]
    count = int(engine.partition("interceptors=")[2] or 0)
    return [_pass_on] * count


def _tracing() -> anygql.Interceptor:
    """Return what traces by the SDK, whose spans and metrics go nowhere."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    from anygql.opentelemetry import OpenTelemetry

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(Nowhere()))
    return OpenTelemetry(traces, MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))


@asynccontextmanager
async def open_http(
    engine: str, url: str, context: ssl.SSLContext | None
) -> AsyncGenerator[_Session]:
    if engine.startswith("httpx"):
        use_http_library(engine)
        async with importlib.import_module(engine).AsyncClient() as client:
            transport = anygql.HTTPTransport(url, client=client)
            async with anygql.Client(transport) as session:
                yield _Session(session)
    else:
        async with anygql.Client(anygql.HTTPTransport(url, ssl=context)) as session:
            yield _Session(session)


@asynccontextmanager
async def open_memory(data: bytes, **options: Any) -> AsyncGenerator[_Session]:
    """A WebSocket session whose socket is memory that answers every request with ``data``."""
    from .memory import MemoryConnector

    transport = anygql.WebSocketTransport("ws://memory/", connector=MemoryConnector(data))
    async with anygql.Client(transport, **options) as session:
        yield _Session(session)
