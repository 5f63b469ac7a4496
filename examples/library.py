"""A library on top of anygql: domain functions over a session that the caller owns.

The library doesn't connect, doesn't close, starts no tasks and never asks which event loop runs:
all of that is its caller's, who may share the session with others. So it works under asyncio and
trio alike, with a plain session, a permanent one, or one in memory for its tests.

::

    python -m examples.library                  # under asyncio, then under trio
    GRAPHQL_URL=wss://example.org/graphql python -m examples.library

``GRAPHQL_URL`` names a server with the schema of ``anygql.testing.demo_schema``; without it one is
started here.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

import anyio
import sniffio

from anygql import Client, Session, Subscription, TransportQueryError, gql
from anygql.testing import GraphQLServer, demo_schema

# Parsed once, however many counters there are.
VALUE = gql("{ counter }")
ADD = gql("mutation ($by: Int!) { increment(by: $by) }")
COUNTDOWN = gql("subscription ($from: Int!) { countdown(from: $from) }")
FAIL = gql("{ fail }")


class CounterError(Exception):
    """The server could not do what was asked of it."""


class RemoteCounter:
    """A counter on a server. Any number of tasks may use it at the same time."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def value(self) -> int:
        """What it stands at."""
        return await self._execute(VALUE, "counter")

    async def add(self, by: int) -> int:
        """Add to it, once; what it stands at then.

        Raises ``anygql.TransportError`` if nobody can know whether that was done.
        """
        return await self._execute(ADD, "increment", {"by": by})

    async def fail(self) -> int:
        """Always raises ``CounterError``."""
        return await self._execute(FAIL, "fail")

    def countdown(self, start: int) -> Countdown:
        """The numbers from ``start`` down to 0: an async context manager and iterator."""
        return Countdown(self._session.subscribe(COUNTDOWN, {"from": start}))

    async def _execute(
        self, request: Any, field: str, variables: dict[str, Any] | None = None
    ) -> int:
        try:
            number: int = (await self._session.execute(request, variables))[field]
        except TransportQueryError as exc:
            raise CounterError(str(exc)) from exc
        return number


class Countdown:
    """Made by ``RemoteCounter.countdown``. Leaving its context stops it on the server."""

    def __init__(self, subscription: Subscription[Any]) -> None:
        self._subscription = subscription

    async def __aenter__(self) -> Self:
        await self._subscription.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._subscription.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        number: int = (await anext(self._subscription))["countdown"]
        return number


async def application(url: str) -> None:
    """What a user of the library writes."""
    async with Client(url).connect(reconnecting=True) as session:
        counter = RemoteCounter(session)
        async with anyio.create_task_group() as tg:
            for by in range(1, 5):
                tg.start_soon(counter.add, by)
        print(f"{sniffio.current_async_library()}: the counter stands at {await counter.value()}")
        async with counter.countdown(3) as numbers:
            print([number async for number in numbers])
        try:
            await counter.fail()
        except CounterError as exc:
            print(f"as expected: {exc}")


async def main() -> None:
    """Run the application with ``GRAPHQL_URL``, or a server of its own."""
    if url := os.environ.get("GRAPHQL_URL"):
        await application(url)
        return
    async with GraphQLServer(demo_schema()) as server:
        await application(await server.listen())


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
