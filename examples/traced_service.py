"""A service whose token lives half a second, and whose work is traced.

It ships the orders that a subscription brings. Its token is refreshed in time, by one refresh for
all, so the WebSocket gets a successor some times; no order is lost and none is shipped twice. The
spans of each order are one trace: the service's own span, with that of the mutation in it.

::

    python -m examples.traced_service          # on asyncio
    python -m examples.traced_service trio

Needs ``anygql[otel]`` and opentelemetry-sdk. A server of its own, in memory, asks for the token.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from anygql import Client, Refreshing, Session, Subscription
from anygql.opentelemetry import OpenTelemetry
from anygql.testing import GraphQLServer

ORDERS = "subscription Orders($after: Int! = 0) { orders(after: $after) }"
SHIP = "mutation Ship($order: Int!) { ship(order: $order) }"
LIFETIME = 0.5
COUNT = 40


# The token service, and the server that asks for its tokens.


@dataclass
class Token:
    """A token, and until when it is good."""

    text: str
    until: float


class TokenService:
    """Issues tokens that live for ``LIFETIME`` seconds."""

    def __init__(self) -> None:
        self.issued = 0
        self._until: dict[str, float] = {}

    async def issue(self) -> Token:
        """Return a new token."""
        await anyio.sleep(0.01)
        self.issued += 1
        token = Token(f"token-{self.issued}", anyio.current_time() + LIFETIME)
        self._until[f"Bearer {token.text}"] = token.until
        return token

    def accepts(self, payload: Mapping[str, Any]) -> bool:
        """Return whether the payload of ``connection_init`` has a token that is good."""
        return anyio.current_time() < self._until.get(payload["Authorization"], 0)


def warehouse(tokens: TokenService, shipped: Counter[int]) -> GraphQLSchema:
    """Return the schema of a warehouse, whose every operation wants a good token."""
    schema = build_schema("""
        type Query { shipped: Int! }
        type Mutation { ship(order: Int!): Boolean! }
        type Subscription { orders(after: Int! = 0): Int! }
    """)

    def check(info: GraphQLResolveInfo[Any]) -> None:
        if not tokens.accepts(info.context.init_payload):
            raise GraphQLError("the token has expired", extensions={"code": "UNAUTHENTICATED"})

    async def ship(_: object, info: GraphQLResolveInfo[Any], order: int) -> bool:
        check(info)
        shipped[order] += 1
        await anyio.sleep(0.02)
        return True

    async def orders(_: object, info: GraphQLResolveInfo[Any], after: int) -> AsyncGenerator[int]:
        check(info)
        for order in range(after + 1, COUNT + 1):
            await anyio.sleep(0.04)
            yield order

    assert schema.mutation_type is not None
    assert schema.subscription_type is not None
    schema.mutation_type.fields["ship"].resolve = ship
    schema.subscription_type.fields["orders"].subscribe = orders
    schema.subscription_type.fields["orders"].resolve = lambda order, _, **__: order
    return schema


# The service.


async def ship_orders(session: Session, tracer: Any) -> None:
    """Ship each order, several at the same time."""
    async with (
        anyio.create_task_group() as tg,
        session.subscribe(ORDERS, path="orders", result_type=int, on_resubscribe=go_on) as orders,
    ):
        async for order in orders:
            tg.start_soon(handle, session, tracer, order)


async def handle(session: Session, tracer: Any, order: int) -> None:
    """Ship one order, within a span of the service's own."""
    with tracer.start_as_current_span("handle order"):
        await session.execute(SHIP, {"order": order})


def go_on(_: Subscription[Any], last: int | None) -> Mapping[str, int]:
    """After the subscription has moved, go on behind the last order."""
    return {"after": last or 0}


async def main() -> None:
    """Run the service until all orders are shipped."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tokens, shipped = TokenService(), Counter[int]()
    auth = Refreshing(
        refresh=tokens.issue,
        expires=lambda token: token.until - 0.1,
        make_payload=lambda token: {"Authorization": f"Bearer {token.text}"},
    )
    async with GraphQLServer(
        warehouse(tokens, shipped), on_connect=tokens.accepts, context_value=lambda it: it
    ) as server:
        client = Client(
            server.transport(init_payload=auth.payload),
            auth=auth,
            interceptors=[OpenTelemetry(provider)],
        )
        async with client.connect(reconnecting=True) as session:
            await ship_orders(session, provider.get_tracer("service"))
        print(f"{len(shipped)} orders, each shipped {max(shipped.values())} time")
        print(f"{tokens.issued} tokens, {len(server.connections)} connections")
    tell(spans)


def tell(spans: InMemorySpanExporter) -> None:
    """Print how many spans of each name there are, and how many are in one of the service's."""
    finished = spans.get_finished_spans()
    own = {span.context.span_id for span in finished if span.name == "handle order"}
    inside = sum(span.parent is not None and span.parent.span_id in own for span in finished)
    for name, count in sorted(Counter(span.name for span in finished).items()):
        print(f"{count} spans {name!r}")
    print(f"{inside} in a span of the service's")


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "asyncio")
