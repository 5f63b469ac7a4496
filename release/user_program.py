"""A user's program, for the package as it is installed: checked by mypy --strict, and run.

``make dist-check`` copies it away from this repository, so that it can only find what was
installed.
"""

import sys
from dataclasses import dataclass
from typing import Any, assert_type

import anyio

import anygql
from anygql import (
    Client,
    ExecutionResult,
    GraphQLRequest,
    LocalSchemaTransport,
    Session,
    Subscription,
    gql,
)
from anygql.testing import GraphQLServer, demo_schema


@dataclass
class Greeting:
    """What the query returns, as a type of the user's own."""

    hello: str


QUERY = gql("query ($name: String!) { hello(name: $name) }")


async def greet(session: Session, name: str) -> Greeting:
    """Return a query's data as the user's type."""
    greeting = await session.execute(QUERY, {"name": name}, result_type=Greeting)
    assert_type(greeting, Greeting)
    return greeting


async def count_down(session: Session) -> list[int]:
    """Return the numbers of a subscription."""
    subscription = session.subscribe("subscription { countdown(from: 2) }")
    assert_type(subscription, Subscription[Any])
    async with subscription as events:
        return [event["countdown"] async for event in events]


async def use(client: Client) -> None:
    """Query and subscribe in one session."""
    async with client as session:
        assert await greet(session, "you") == Greeting("Hello you!")
        result = await session.execute_result("{ hello }")
        assert_type(result, ExecutionResult)
        assert result.data == {"hello": "Hello world!"}
        assert await count_down(session) == [2, 1, 0]


async def main() -> None:
    """Do it over a WebSocket, and against a schema in this process."""
    assert_type(QUERY, GraphQLRequest)
    assert_type(anygql.__version__, str)
    async with GraphQLServer(demo_schema()) as server:
        await use(Client(await server.listen()))
    await use(Client(LocalSchemaTransport(demo_schema())))


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1])
    print(f"anygql {anygql.__version__} on {sys.argv[1]}")
