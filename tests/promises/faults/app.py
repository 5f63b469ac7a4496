"""A Strawberry application in a process of its own, which may be killed at any moment.

Numbers come from the system's clock, so they go on where they were when it comes back. Keys are
counted in the file that ``COUNTED`` names, for the same reason.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
from strawberry.asgi import GraphQL

RATE = 20  # numbers per second


def now() -> float:
    """In numbers."""
    return time.clock_gettime(time.CLOCK_MONOTONIC) * RATE


@strawberry.type
class Query:
    @strawberry.field
    def echo(self, value: int) -> int:
        return value


@strawberry.type
class Mutation:
    @strawberry.mutation
    def count(self, key: strawberry.ID) -> int:
        file = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{key}\n".encode())
        finally:
            os.close(file)
        return 1


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def numbers(self) -> AsyncGenerator[int, None]:
        number = int(now())
        while True:
            number += 1
            while (wait := number - now()) > 0:
                await asyncio.sleep(wait / RATE)
            # From a clock that began with the machine, so that it fits into GraphQL's Int.
            yield number


app: GraphQL[Any, None] = GraphQL(strawberry.Schema(Query, Mutation, Subscription))
