"""The main job, under asyncio and then under trio: ``python -m examples.demo``.

One session over one WebSocket to an embedded server on loopback: a query, a mutation, a hundred
concurrent queries, two subscriptions. Then a permanent session whose server is killed and
restarted under it: the subscription goes on, and says where the gap is.
"""

from __future__ import annotations

import anyio

from anygql import Client, Session, SessionEvent, Subscription
from anygql.testing import GraphQLServer, demo_schema

TICKS = "subscription { countdown(from: 1000000, interval: 0.02) }"


async def one_session(server: GraphQLServer, url: str) -> None:
    """Everything at once over one connection."""
    async with Client(url) as session:
        data = await session.execute(
            "query ($name: String!) { hello(name: $name) }", {"name": "you"}
        )
        print("  query                 ", data)
        print("  mutation              ", await session.execute("mutation { increment(by: 2) }"))

        sums: list[int] = []

        async def add(n: int) -> None:
            data = await session.execute("query ($n: Int!) { add(a: $n, b: $n) }", {"n": n})
            sums.append(data["add"])

        async with anyio.create_task_group() as tg:
            for n in range(100):
                tg.start_soon(add, n)
        print(f"  100 queries at once    {len(sums)} answers, their sum is {sum(sums)}")

        async with anyio.create_task_group() as tg:
            tg.start_soon(count_down, session, "A", 3)
            tg.start_soon(count_down, session, "B", 5)
    print(f"  WebSockets used        {len(server.connections)}")


async def count_down(session: Session, name: str, start: int) -> None:
    """One subscription to its end."""
    document = "subscription ($from: Int!) { countdown(from: $from, interval: 0.05) }"
    async with session.subscribe(document, {"from": start}) as events:
        numbers = [event["countdown"] async for event in events]
    print(f"  subscription {name}         {numbers}")


async def permanent_session(server: GraphQLServer, url: str) -> None:
    """The server goes away and comes back under a session that stays."""

    def tell(event: SessionEvent) -> None:
        print(f"    {type(event).__name__.lower():20}", describe(event))

    client = Client(url, on_event=tell)
    async with client.connect(reconnecting=True) as session, session.subscribe(TICKS) as events:
        await take(events, 3)
        print("  killing and restarting the server")
        await server.restart(downtime=0.2)
        await take(events, 3)
        print("  gaps reported         ", events.reconnects)


async def take(events: Subscription[object], count: int) -> None:
    """Print the next few results."""
    for _ in range(count):
        print("  event                 ", await anext(events))


def describe(event: SessionEvent) -> str:
    """What an event says, in short."""
    fields = ("attempt", "reconnected", "code", "next_wait")
    known = {name: getattr(event, name) for name in fields if hasattr(event, name)}
    return ", ".join(
        f"{name}={value:.2f} s" if isinstance(value, float) else f"{name}={value}"
        for name, value in known.items()
    )


async def main(loop: str) -> None:
    """The whole demonstration, on the running loop."""
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        print(f"{loop}: one session")
        await one_session(server, url)
        print(f"{loop}: a permanent session")
        await permanent_session(server, url)


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend, backend=backend)
    print("done")
