"""A trio application: one connection, and several subscriptions in one nursery.

``connect_async`` lives in a nursery that the application hands over, for sessions that must outlive
the block that opens them. Each subscription is a task of its own, in an ordinary nursery: if one
fails, trio cancels the others, and each leaves its subscription on the way out.

::

    python -m examples.trio_nursery
    GRAPHQL_URL=wss://example.org/graphql python -m examples.trio_nursery

``GRAPHQL_URL`` names a server with the schema of ``anygql.testing.demo_schema``; without it one is
started here.
"""

from __future__ import annotations

import os

import trio

from anygql import Client, Session
from anygql.testing import GraphQLServer, demo_schema

COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from, interval: 0.01) }"


async def follow(session: Session, name: str, start: int) -> None:
    """Print one countdown, to its end."""
    async with session.subscribe(COUNTDOWN, {"from": start}) as countdown:
        async for data in countdown:
            print(f"{name}: {data['countdown']}")
    print(f"{name}: done")


async def watch(session: Session) -> None:
    """A subscription without an end, for as long as there are others."""
    async with session.subscribe("subscription { never }") as never:
        async for _ in never:
            print("this one never says a word")


async def application(url: str) -> None:
    """Connect, follow three countdowns at once, and close."""
    client = Client(url)
    async with trio.open_nursery() as connections:
        session = await client.connect_async(connections, reconnecting=True)
        try:
            async with trio.open_nursery() as watching:
                watching.start_soon(watch, session)
                async with trio.open_nursery() as nursery:
                    for name, start in (("short", 2), ("longer", 4), ("longest", 6)):
                        nursery.start_soon(follow, session, name, start)
                    print((await session.execute('{ hello(name: "trio") }'))["hello"])
                watching.cancel_scope.cancel()
        finally:
            await client.close_async()
    print(f"the session is {session.state}")


async def main() -> None:
    """Run the application with ``GRAPHQL_URL``, or a server of its own."""
    if url := os.environ.get("GRAPHQL_URL"):
        await application(url)
        return
    async with GraphQLServer(demo_schema()) as server:
        await application(await server.listen())


if __name__ == "__main__":
    trio.run(main)
