"""A server is killed: the subscription goes on, and the mutation ran once.

The server is a process of its own, with a ledger in a file. It is killed after it has charged a
payment and before it has answered. Another process takes its place.

::

    python -m examples.killed_server          # on asyncio
    python -m examples.killed_server trio
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from graphql import GraphQLSchema, build_schema

from anygql import (
    Client,
    Connected,
    Disconnected,
    Session,
    SessionEvent,
    Subscription,
    TransportConnectionFailed,
)
from anygql.testing import GraphQLServer

COLORS = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34}
IS_COLORED = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(who: str, what: str, color: str = "") -> None:
    """Print one line of the story."""
    line = f"  {who:<14}{what}" if who else f"  {what}"
    print(f"\033[{COLORS[color]}m{line}\033[0m" if color and IS_COLORED else line, flush=True)


# The server, which is killed.


def shop(ledger: Path) -> GraphQLSchema:
    """Return the schema of a shop that remembers its payments in a file."""
    schema = build_schema("""
        type Query { payments: [Int!]! }
        type Mutation { pay(amount: Int!): Int! }
        type Subscription { orders(after: Int! = 0): Int! }
    """)

    def payments(_root: Any, _info: Any) -> list[int]:
        return [int(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []

    async def pay(_root: Any, _info: Any, amount: int) -> int:
        with ledger.open("a") as file:
            file.write(f"{amount}\n")
        print("charged", flush=True)
        await anyio.sleep_forever()  # it is killed before it can answer
        return amount

    async def orders(_root: Any, _info: Any, after: int) -> AsyncIterator[dict[str, int]]:
        for number in range(after + 1, 1_000_000):
            yield {"orders": number}
            await anyio.sleep(0.3)

    fields: Any = schema.type_map
    fields["Query"].fields["payments"].resolve = payments
    fields["Mutation"].fields["pay"].resolve = pay
    fields["Subscription"].fields["orders"].subscribe = orders
    return schema


async def serve(port: int, ledger: Path) -> None:
    """Serve until the process is killed."""
    async with GraphQLServer(shop(ledger)) as server:
        print(await server.listen(port=port), flush=True)
        await anyio.sleep_forever()


class Server:
    """The process that runs now, and the lines that it prints."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self.url = ""
        self._output = BufferedByteReceiveStream(process.stdout)

    @property
    def port(self) -> int:
        """The port of ``url``."""
        return int(self.url.rpartition(":")[2].partition("/")[0])

    async def line(self) -> str:
        """Return the next line that the server prints."""
        return (await self._output.receive_until(b"\n", 1000)).decode().strip()

    async def kill(self) -> None:
        """Kill the process, which can't finish anything."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def server_process(ledger: Path, port: int = 0) -> AsyncGenerator[Server]:
    """Run a server in a process of its own, until the context is left."""
    command = [sys.executable, "-m", "examples.killed_server", "serve", str(port), str(ledger)]
    folder = Path(__file__).parent.parent
    running = await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None, cwd=folder)
    async with running as process:
        server = Server(process)
        try:
            server.url = await server.line()
            yield server
        finally:
            if process.returncode is None:
                process.kill()


# The client, which goes on.


def tell(event: SessionEvent) -> None:
    """Print what happens to the connection."""
    match event:
        case Connected(reconnected=reconnected):
            say("connection", "is back" if reconnected else "is there", "green")
        case Disconnected(code=int()):  # an attempt that failed has no close code
            say("connection", "is lost: the session connects again by itself", "yellow")
        case _:
            pass


def go_on(_: Subscription[Any], last: Any) -> Mapping[str, Any]:
    """Subscribe again after the last order that came."""
    return {"after": last["orders"] if last else 0}


async def take(orders: Subscription[Any], count: int) -> list[int]:
    """Print the next few orders."""
    taken: list[int] = []
    for _ in range(count):
        taken.append((await anext(orders))["orders"])
        say("subscription", f"order {taken[-1]}")
    return taken


async def pay(session: Session) -> None:
    """Pay once, whatever happens to the server."""
    try:
        await session.execute("mutation { pay(amount: 100) }")
    except TransportConnectionFailed as error:
        done = "was not sent" if error.unsent else "may have run"
        say("mutation", f"no answer came, and it {done}: it is not sent again", "yellow")


async def charge_and_die(server: Server, session: Session) -> None:
    """Kill the server between what the mutation does and its answer."""
    async with anyio.create_task_group() as tasks:
        say("mutation", "pay 100")
        tasks.start_soon(pay, session)
        await server.line()  # it has charged the card
        say("server", "kill -9, after it has charged and before it has answered", "red")
        await server.kill()


async def story(servers: AsyncExitStack, ledger: Path) -> tuple[list[int], list[int]]:
    """Kill one server and start another; return the orders and the payments."""
    server = await servers.enter_async_context(server_process(ledger))
    say("server", "is up, in a process of its own", "blue")
    document = "subscription ($after: Int!) { orders(after: $after) }"
    client = Client(server.url, on_event=tell)
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(document, {"after": 0}, on_resubscribe=go_on) as orders:
            seen = await take(orders, 3)
            await charge_and_die(server, session)
            await servers.enter_async_context(server_process(ledger, server.port))
            say("server", "another process is up at the same address", "blue")
            seen += await take(orders, 3)
        return seen, (await session.execute("{ payments }"))["payments"]


async def main() -> None:
    """Tell the whole story, on the running loop."""
    # `tell` says what a slow start of the second server would be logged for.
    logging.getLogger("anygql").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder, "ledger.txt")
        async with AsyncExitStack() as servers:
            seen, payments = await story(servers, ledger)
    if (seen, payments) != ([1, 2, 3, 4, 5, 6], [100]):
        sys.exit(f"that should not have happened: orders {seen}, payments {payments}")
    say("ledger", "1 payment of 100", "bold")
    say("client", "6 orders: none lost, none twice", "bold")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port, ledger]:
            anyio.run(serve, int(port), Path(ledger))
        case arguments:
            anyio.run(main, backend=(arguments or ["asyncio"])[0])
