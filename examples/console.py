"""A console program that keeps its session in a class, and asks for input meanwhile.

Reading a line blocks, so it is done in a worker thread: pings are answered, and a lost connection
comes back, while the program waits for its user.

::

    python -m examples.console          # on asyncio, with a server of its own
    python -m examples.console trio
    GRAPHQL_URL=wss://example.org/graphql python -m examples.console

``GRAPHQL_URL`` names a server with the schema of ``anygql.testing.demo_schema``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio
import anyio.to_thread

from anygql import (
    Client,
    Closed,
    Connected,
    Disconnected,
    Session,
    SessionEvent,
    TransportError,
)
from anygql.testing import GraphQLServer, demo_schema

HELP = "hello NAME, add A B, increment [BY], countdown FROM, state, help, quit"


class Console(anyio.AsyncContextManagerMixin):
    """Connected while its context is entered."""

    def __init__(self, url: str) -> None:
        self._client = Client(url, on_event=self._tell)
        self._session: Session

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with anyio.create_task_group() as tg:
            self._session = await self._client.connect_async(tg, reconnecting=True)
            try:
                yield self
            finally:
                await self._client.close_async()

    async def run(self) -> None:
        """Do as the user says, up to ``quit`` or the end of the input."""
        print(HELP)
        while (line := await ask("> ")) is not None:
            words = line.split()
            if words == ["quit"] or self._session.state == "closed":
                break
            if words:
                await self._do(*words)
        print("bye")

    async def _do(self, command: str, *arguments: str) -> None:
        try:
            match command, *arguments:
                case "hello", name:
                    query = "query ($name: String!) { hello(name: $name) }"
                    print((await self._session.execute(query, {"name": name}))["hello"])
                case "add", a, b:
                    query = "query ($a: Int!, $b: Int!) { add(a: $a, b: $b) }"
                    print((await self._session.execute(query, {"a": int(a), "b": int(b)}))["add"])
                case "increment", *by:
                    mutation = "mutation ($by: Int!) { increment(by: $by) }"
                    by_how_much = int(by[0]) if by else 1
                    data = await self._session.execute(mutation, {"by": by_how_much})
                    print(data["increment"])
                case "countdown", start:
                    await self._countdown(int(start))
                case "state", *_:
                    print(self._session.state)
                case _:
                    print(HELP)
        except (TransportError, ValueError) as exc:
            print(f"that failed: {exc}")

    async def _countdown(self, start: int) -> None:
        subscription = "subscription ($from: Int!) { countdown(from: $from, interval: 0.05) }"
        async with self._session.subscribe(subscription, {"from": start}) as countdown:
            async for data in countdown:
                print(data["countdown"])

    def _tell(self, event: SessionEvent) -> None:
        match event:
            case Disconnected(error=error, will_retry=True):
                print(f"[{error}]")
            case Connected(reconnected=True):
                print("[connected again]")
            case Closed(error=Exception() as error):
                print(f"[the session is over: {error}; press Enter]")
            case _:
                pass


async def ask(prompt: str) -> str | None:
    """A line of input; ``None`` at its end."""
    try:
        # Cancelled, it still waits for Enter: a thread that is abandoned in input() would hold
        # standard input, and with it the end of the process.
        return await anyio.to_thread.run_sync(input, prompt)
    except EOFError:
        return None


async def main() -> None:
    """Run the console with ``GRAPHQL_URL``, or a server of its own."""
    if url := os.environ.get("GRAPHQL_URL"):
        async with Console(url) as console:
            await console.run()
        return
    async with GraphQLServer(demo_schema()) as server, Console(await server.listen()) as console:
        await console.run()


if __name__ == "__main__":
    anyio.run(main, backend=(sys.argv[1:] or ["asyncio"])[0])
