"""A Strawberry application: it speaks both subprotocols by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError

from tests.peers import source


@strawberry.enum
class Mood(Enum):
    GOOD = "fine"
    BAD = "not so fine"


@strawberry.type
class Entry:
    made_at: datetime
    mood: Mood


@strawberry.input
class EntryInput:
    made_at: datetime
    mood: Mood = Mood.BAD


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}!"

    @strawberry.field
    def add(self, a: int, b: int) -> int:
        return a + b

    @strawberry.field
    def fail(self) -> str | None:
        raise source.SourceError("as asked")

    @strawberry.field
    async def slow(self, seconds: float, tag: str = "") -> str:
        return await source.slow(seconds, tag)

    @strawberry.field
    def counter(self) -> int:
        return source.counter()

    @strawberry.field
    def active(self, tag: str = "") -> int:
        return source.running[tag]

    @strawberry.field
    def entries(self, given: list[EntryInput]) -> list[Entry]:
        return [Entry(made_at=entry.made_at, mood=entry.mood) for entry in given]


@strawberry.type
class Mutation:
    @strawberry.mutation
    def increment(self, by: int = 1) -> int:
        return source.increment(by)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def countdown(
        self,
        start: Annotated[int, strawberry.argument(name="from")],
        interval: float = 0,
        tag: str = "",
    ) -> AsyncGenerator[int, None]:
        async for number in source.countdown(start, interval, tag):
            yield number

    @strawberry.subscription
    async def flood(self, count: int, tag: str = "") -> AsyncGenerator[int, None]:
        async for number in source.flood(count, tag):
            yield number

    @strawberry.subscription
    async def failing(self, tag: str = "") -> AsyncGenerator[int, None]:
        async for number in source.failing(tag):
            yield number

    @strawberry.subscription
    async def never(self, tag: str = "") -> AsyncGenerator[int, None]:
        async for number in source.never(tag):
            yield number

    @strawberry.subscription
    async def minutes(self, since: datetime, mood: Mood) -> AsyncGenerator[Entry, None]:
        async for number in source.flood(2, ""):
            yield Entry(made_at=since + timedelta(minutes=number), mood=mood)


class Guarded(GraphQL[Any, None]):
    """Refuses a bad token, and tells all others that they are welcome."""

    async def on_ws_connect(self, context: Any) -> dict[str, object]:
        if (context["connection_params"] or {}).get("token") == "bad":
            raise ConnectionRejectionError({"message": "bad token"})
        return {"welcome": True}


app = Guarded(strawberry.Schema(Query, Mutation, Subscription))
