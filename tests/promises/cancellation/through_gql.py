"""The scenarios that gql 4's interface can express, put to the same test: for comparison.

Run it from the repository's root with a Python that has gql, websockets and anygql:

    python -m tests.promises.cancellation.through_gql

It is asyncio alone, so tasks are cancelled by asyncio's own cancellation. Writes, for each
scenario, how many places were tried, and at how many of them a promise was broken.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import tenacity
from gql import Client, gql
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport

from tests.promises.cancellation import checkpoints
from tests.promises.cancellation.checkpoints import (
    Body,
    Scenario,
    Violation,
    cancelled_everywhere,
    eventually,
)
from tests.promises.cancellation.scenarios import Server, Setting

FILE = Path("build") / "reliability" / "checkpoints-gql.json"

#: Seconds that a run, a check and an answer may take; they take milliseconds.
BOUND, SOON, ANSWER = 3.0, 0.5, 1.0

HELLO = gql("{ hello }")
ADD = gql("{ add(a: 2, b: 3) }")
SLOW = gql("{ slow(seconds: 60) }")
SLOWER = gql("{ slow(seconds: 0.7) }")  # than what may take SOON
NEVER = gql("subscription { never }")
ONE = gql("subscription { countdown(from: 0) }")
SIX = gql("subscription { countdown(from: 6, interval: 0.0001) }")
ENDLESS = gql("subscription { countdown(from: 1000000, interval: 0.0001) }")

SCENARIOS: dict[str, Callable[[Body], Setting]] = {}

#: What a violation is counted as, by what it says.
KINDS = {
    "it hung": "hang",
    "did not answer": "session unusable",
    "was not told": "server never told",
    "still runs": "server never told",
    "connection was left open": "connection left open",
    "left over": "task or socket left",
    "left waiting": "operation left waiting",
    "swallowed": "cancellation swallowed",
    "came out": "another error came out",
}


def scenario(name: str) -> Callable[[Callable[[Body], Setting]], Callable[[Body], Setting]]:
    def add(enter: Callable[[Body], Setting]) -> Callable[[Body], Setting]:
        SCENARIOS[name] = enter
        return enter

    return add


def client_of(url: str) -> Client:
    transport = WebsocketsTransport(url, close_timeout=1, connect_timeout=1, ack_timeout=1)
    return Client(transport=transport, execute_timeout=ANSWER)


async def usable(session: Any) -> None:
    try:
        with anyio.fail_after(ANSWER):
            answer = await session.execute(ADD)
    except Exception as exc:
        raise Violation(f"the session did not answer: {exc!r}") from exc
    if answer != {"add": 5}:
        raise Violation(f"the session answered {answer}")


@asynccontextmanager
async def talking() -> AsyncGenerator[tuple[Server, Any]]:
    async with Server() as server:
        async with client_of(await server.listen()) as session:
            yield server, session
            await usable(session)
            await server.settled()
        await server.emptied()


@scenario("connect")
async def connect(body: Body) -> Setting:
    async with Server() as server:
        url = await server.listen()

        async def run() -> None:
            async with client_of(url):
                pass

        yield run
        await server.emptied()


@scenario("connect with retries")
async def connect_with_retries(body: Body) -> Setting:
    async with Server(refusals=2) as server:
        client = client_of(await server.listen())

        async def run() -> None:
            policy = tenacity.retry(wait=tenacity.wait_fixed(0.002))
            try:
                await client.connect_async(reconnecting=True, retry_connect=policy)
            finally:
                await client.close_async()

        yield run
        await server.emptied()


@scenario("execute")
async def execute(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            await session.execute(HELLO)
            await session.execute(gql("{ slow(seconds: 0) }"))

        yield run


@scenario("execute, given up")
async def give_up(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            # Left alone it must not break a promise, as it would with a time limit of its own.
            await session.execute(SLOWER)

        yield run


@scenario("subscribe")
async def subscribe(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            async with aclosing(session.subscribe(ONE)) as events:
                await anext(events)

        yield run


@scenario("iterate")
async def iterate(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            async with aclosing(session.subscribe(SIX)) as events:
                assert [event["countdown"] async for event in events] == [6, 5, 4, 3, 2, 1, 0]

        yield run


@scenario("leave a subscription")
async def leave(body: Body) -> Setting:
    async with talking() as (server, session):

        async def run() -> None:
            async with aclosing(session.subscribe(ENDLESS)) as events:
                await anext(events)
                await anext(events)
            await server.connections[0].wait_operations(0)

        yield run


@scenario("close while operations run")
async def close(body: Body) -> Setting:
    async with Server() as server:
        url = await server.listen()
        others: list[asyncio.Task[None]] = []

        async def execute(session: Any) -> None:
            with suppress(TransportError, TimeoutError):
                await session.execute(SLOW)

        async def subscribe(session: Any) -> None:
            with suppress(TransportError, TimeoutError):
                async with aclosing(session.subscribe(NEVER)) as events:
                    await anext(events)

        async def run() -> None:
            async with client_of(url) as session:
                others.append(asyncio.create_task(execute(session)))
                others.append(asyncio.create_task(subscribe(session)))
                await server.connections[0].wait_operations(2)

        yield run
        try:
            await server.emptied()
            await eventually(
                lambda: all(task.done() for task in others), "an operation was left waiting"
            )
        finally:
            for task in others:
                task.cancel()


def kind_of(said: str) -> str:
    return next((kind for text, kind in KINDS.items() if text in said), "other")


async def main() -> None:
    checkpoints.BOUND, checkpoints.SOON = BOUND, SOON
    logging.disable(logging.CRITICAL)  # gql's word for some of what is counted here
    report: dict[str, Any] = {}
    for name, enter in SCENARIOS.items():
        findings = await cancelled_everywhere(
            Scenario(name, asynccontextmanager(enter)),
            native=True,
            most=80,
            most_turns=20,
            most_violations=1000,
        )
        kinds = Counter(map(kind_of, findings.violations))
        report[name] = {
            "points": findings.cancelled,
            "violated": len(findings.violations),
            "how": dict(sorted(kinds.items())),
        }
        print(f"{name}: {findings.cancelled} points, {len(findings.violations)} violated {kinds}")
        for said in findings.violations[:3]:
            print(f"    {said[:300]}")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    anyio.run(main, backend="asyncio")
