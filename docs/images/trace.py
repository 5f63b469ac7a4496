"""Draw the picture of a trace in the docs, from a real run: ``make pictures``.

A client runs against a server in this process, which loses its connections twice. What its spans
say is drawn as it was exported.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import anyio
from graphql import GraphQLSchema, build_schema
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from anygql import Client, Session  # noqa: E402 - of this checkout
from anygql.opentelemetry import OpenTelemetry  # noqa: E402
from anygql.testing import GraphQLServer  # noqa: E402

TITLE = "One request of a web shop, and what its client asked for"


def shop() -> GraphQLSchema:
    """Return the schema of a shop whose answers take their time."""
    schema = build_schema("""
        type Query { basket: Int! prices: Int! stock: Int! }
        type Mutation { reserve: Boolean! }
        type Subscription { parcels: Int! }
    """)

    def answer(value: object, seconds: float) -> Any:
        async def resolve(_root: Any, _info: Any) -> object:
            await anyio.sleep(seconds)
            return value

        return resolve

    async def parcels(_root: Any, _info: Any) -> AsyncIterator[dict[str, int]]:
        for number in range(1000):
            await anyio.sleep(0.05)
            yield {"parcels": number}

    fields: Any = schema.type_map
    for kind, name, value, seconds in (
        ("Query", "basket", 3, 0.12),
        ("Query", "prices", 7, 0.06),
        ("Query", "stock", 9, 0.09),
        ("Mutation", "reserve", True, 0.04),
    ):
        fields[kind].fields[name].resolve = answer(value, seconds)
    fields["Subscription"].fields["parcels"].subscribe = parcels
    return schema


async def lose(server: GraphQLServer) -> None:
    """Lose the connection while an operation runs on it."""
    await server.connections[-1].wait_operations(1)
    await anyio.sleep(0.03)
    server.drop_connections()


async def story(server: GraphQLServer, session: Session) -> None:
    """Ask the shop: a query and a subscription lose their connection, a batch doesn't."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.execute, "query Basket { basket }")
        await lose(server)
    await session.execute_batch(
        ["query Prices { prices }", "query Stock { stock }", "mutation Reserve { reserve }"]
    )
    async with session.subscribe("subscription Parcels { parcels }") as parcels:
        await anext(parcels)
        server.drop_connections()
        while not parcels.reconnects:
            await anext(parcels)


async def traced() -> Sequence[ReadableSpan]:
    """Return the spans of the story, as they are exported."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with GraphQLServer(shop()) as server:
        client = Client(
            server.transport(), interceptors=[OpenTelemetry(provider, name_in_span=True)]
        )
        async with client.connect(reconnecting=True) as session:
            with provider.get_tracer("shop").start_as_current_span("GET /checkout"):
                await story(server, session)
    return exporter.get_finished_spans()


# The picture.

_INK, _FAINT, _PAPER = "#24292f", "#d0d7de", "#ffffff"
#: Apart from each other for the color-blind, too (Okabe and Ito).
_COLORS = {"INTERNAL": "#8c959f", "CLIENT": "#0072b2", "event": "#d55e00"}
_WIDTH, _LEFT, _TOP, _ROW, _RIGHT = 920, 210, 58, 34, 20


def rows(spans: Sequence[ReadableSpan]) -> list[tuple[ReadableSpan, str]]:
    """Return the spans in the order of their beginnings, each with what is written about it."""
    names = {span.context.span_id: span.name for span in spans}
    return [
        (span, about(span, names)) for span in sorted(spans, key=lambda span: span.start_time or 0)
    ]


def about(span: ReadableSpan, names: dict[int, str]) -> str:
    """Return what a span's events and links say."""
    said: list[str] = []
    for event in span.events:
        attributes = (event.attributes or {}).items()
        values = [f"{key.rpartition('.')[2]} {value}" for key, value in attributes]
        said.append(f"{event.name}: {', '.join(values)}")
    said += [f"a trace of its own, linked to {names[link.context.span_id]}" for link in span.links]
    return "; ".join(said)


def draw(spans: Sequence[ReadableSpan]) -> str:
    """Return the picture of a trace."""
    drawn = rows(spans)
    first = min(span.start_time or 0 for span in spans)
    last = max(span.end_time or 0 for span in spans)
    scale = (_WIDTH - _LEFT - _RIGHT) / (last - first)
    height = _TOP + _ROW * len(drawn) + 34

    def x(time: int | None) -> float:
        return _LEFT + ((time or first) - first) * scale

    body = [_text(16, 28, TITLE, "bold")]
    for tenth in range(0, (last - first) // 100_000_000 + 1, 2):
        at = x(first + tenth * 100_000_000)
        body += [
            (
                f"<line x1='{at:.1f}' y1='{_TOP - 8}' x2='{at:.1f}' y2='{height - 28}' "
                f"stroke='{_FAINT}'/>"
            ),
            _text(at, height - 10, f"{tenth * 100} ms", anchor="middle"),
        ]
    for number, (span, said) in enumerate(drawn):
        y = _TOP + _ROW * number
        indent = 16 if span.parent is None else 32
        begin, end = x(span.start_time), x(span.end_time)
        color = _COLORS[span.kind.name]
        body += [
            _text(indent, y + 13, span.name),
            (
                f"<rect x='{begin:.1f}' y='{y}' width='{max(end - begin, 2):.1f}' "
                f"height='16' rx='2' fill='{color}'/>"
            ),
        ]
        body += [
            f"<circle cx='{x(event.timestamp):.1f}' cy='{y + 8}' r='5' fill='{_COLORS['event']}' "
            f"stroke='{_PAPER}' stroke-width='1.5'/>"
            for event in span.events
        ]
        if said:
            # About six units a letter: the text must end within the picture.
            from_left = begin + 6 * len(said) < _WIDTH
            at, anchor = (begin, "start") if from_left else (end, "end")
            body.append(_text(at, y + 28, said, anchor=anchor, size=11))
    return "\n".join(
        [
            (
                f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' "
                f"width='{_WIDTH}' height='{height}' role='img' "
                "font-family='system-ui, sans-serif'>"
            ),
            f"<title>{escape(TITLE)}</title>",
            f"<rect width='100%' height='100%' fill='{_PAPER}'/>",
            *body,
            "</svg>\n",
        ]
    )


def _text(
    x: float, y: float, text: str, weight: str = "normal", *, anchor: str = "start", size: int = 13
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' fill='{_INK}' font-size='{size}' text-anchor='{anchor}' "
        f"font-weight='{weight}'>{escape(text)}</text>"
    )


if __name__ == "__main__":
    (HERE / "trace.svg").write_text(draw(anyio.run(traced)), encoding="utf-8")
