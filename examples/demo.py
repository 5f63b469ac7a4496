"""What anygql does, under asyncio and then under trio, with the same code: ``make demo``.

First one session over one WebSocket to a server on loopback: a query, a mutation, a hundred
concurrent queries, two subscriptions. Then a server in a process of its own is killed under a
permanent session (``examples/killed_server.py``): the numbers go on, and a payment is made once.

::

    python -m examples.demo
"""

from __future__ import annotations

import anyio

from anygql import Client, Session
from anygql.testing import GraphQLServer, demo_schema

from . import killed_server
from .killed_server import say

SUMMARY = """\
the same code ran under asyncio and under trio
one WebSocket carried 100 calls at once, and two subscriptions side by side
a server was killed: the session connected again by itself
the subscription went on after the last order that had come (on_resubscribe)
the payment that had lost its answer was not sent again: it was made once"""


async def one_session(session: Session) -> None:
    """Do everything at once over one connection."""
    data = await session.execute("query ($name: String!) { hello(name: $name) }", {"name": "you"})
    say("query", data["hello"])
    data = await session.execute("mutation { increment(by: 2) }")
    say("mutation", f"the counter is at {data['increment']}")

    sums: list[int] = []

    async def add(n: int) -> None:
        data = await session.execute("query ($n: Int!) { add(a: $n, b: $n) }", {"n": n})
        sums.append(data["add"])

    async with anyio.create_task_group() as tasks:
        for n in range(100):
            tasks.start_soon(add, n)
    say("queries", f"{len(sums)} at the same time; the sum of their answers is {sum(sums)}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_down, session, 3)
        tasks.start_soon(count_down, session, 5)


async def count_down(session: Session, start: int) -> None:
    """Follow one subscription to its end."""
    document = "subscription ($from: Int!) { countdown(from: $from, interval: 0.05) }"
    async with session.subscribe(document, {"from": start}) as events:
        numbers = [str(event["countdown"]) async for event in events]
    say("subscription", " ".join(numbers))


async def main(loop: str) -> None:
    """Run the whole demonstration, on the running loop."""
    say("", f"{loop}: one session, one WebSocket", "bold")
    async with GraphQLServer(demo_schema()) as server:
        async with Client(await server.listen()) as session:
            await one_session(session)
        say("connections", str(len(server.connections)))
    print()
    say("", f"{loop}: a server is killed", "bold")
    await killed_server.main()
    print()


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend, backend=backend)
    say("", "What you have just seen", "bold")
    for line in SUMMARY.splitlines():
        say("", f"+ {line}", "green")
    print()
    say("", "Next: docs/getting-started.md, and `make test`")
