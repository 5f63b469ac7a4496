"""A schema whose values are something else in Python, and ways to reach it.

The server's side knows only the wire: what its resolvers see and give are JSON's values.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import httpx
from graphql import GraphQLScalarType, GraphQLSchema, build_schema, graphql_sync

from anygql import (
    GraphQLRequest,
    HTTPTransport,
    LocalSchemaTransport,
    load_schema,
    update_schema_enum,
    update_schema_scalar,
)
from anygql.delivery.interfaces import Transport
from anygql.testing import GraphQLServer

#: What only the local server has.
DEFER = "directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT"

SDL = """
scalar Instant
scalar Upload
enum Mood { GOOD BAD }

interface Entry { id: ID! madeAt: Instant! mood: Mood }
type Note implements Entry {
  id: ID! madeAt: Instant! mood: Mood text: String! reminders: [Instant]
}
type Visit implements Entry { id: ID! madeAt: Instant! mood: Mood leftAt: Instant }
union Found = Note | Visit

input Period { since: Instant! until: Instant }
input NoteInput { text: String! madeAt: Instant! mood: Mood = GOOD reminders: [Instant!] }

type Query {
  hello: String!
  at(when: Instant!): Instant!
  mood(mood: Mood = BAD): Mood!
  entries(within: Period): [Entry!]!
  found: [Found!]!
  "An instant, and an error beside it."
  fails: Instant
  tick: Tick!
  "What is no instant."
  wrong: Instant!
  size(file: Upload!): Int!
}

type Mutation { write(note: NoteInput!): Note! }

type Tick { number: Int! madeAt: Instant! }

type Subscription {
  "One each minute. Number -1 has an error, number -2 no instant."
  ticks(from: Instant!, numbers: [Int!]! = [0, 1, 2]): Tick
  "Ticks, and then nothing more."
  waits(from: Instant!, numbers: [Int!]! = [0]): Tick
}
"""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ON_THE_WIRE = "2026-01-01T12:00:00+00:00"
MINUTE = timedelta(minutes=1)


class Mood(Enum):
    GOOD = "fine"
    BAD = "not so fine"


def _iso(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"no datetime: {type(value).__name__}")
    return value.isoformat()


INSTANT = GraphQLScalarType("Instant", serialize=_iso, parse_value=datetime.fromisoformat)


def plain() -> GraphQLSchema:
    """The client's schema, as it comes from SDL."""
    return load_schema(SDL)


def known(more: str = "") -> GraphQLSchema:
    """The client's schema, whose scalars and enums are Python's."""
    schema = load_schema(more + SDL)
    update_schema_scalar(schema, "Instant", INSTANT)
    update_schema_enum(schema, "Mood", Mood)
    return schema


NOTE = {
    "__typename": "Note",
    "id": "1",
    "madeAt": ON_THE_WIRE,
    "mood": "GOOD",
    "text": "a note",
    "reminders": [ON_THE_WIRE, None],
}
VISIT = {
    "__typename": "Visit",
    "id": "2",
    "madeAt": ON_THE_WIRE,
    "mood": None,
    "leftAt": ON_THE_WIRE,
}


def _write(note: dict[str, Any]) -> dict[str, Any]:
    return {**NOTE, "reminders": None, **note}


def _fail(*_: Any) -> Any:
    raise ValueError("as asked")


def _size(file: Any) -> int:
    return len(file.file)


_RESOLVERS = {
    "Query": {
        "hello": lambda: "hello",
        "at": lambda when: when,
        "mood": lambda mood: mood,
        "entries": lambda within=None: [NOTE, VISIT],
        "found": lambda: [VISIT, NOTE],
        "fails": _fail,
        "tick": lambda: {"number": 7, "madeAt": ON_THE_WIRE},
        "wrong": lambda: "never",
        "size": _size,
    },
    "Mutation": {"write": _write},
}


async def _ticks(_root: Any, _info: Any, numbers: list[int], **args: Any) -> AsyncIterator[Any]:
    start = datetime.fromisoformat(args["from"])
    for number in numbers:
        wrong = number == -2
        made_at = "never" if wrong else (start + number * MINUTE).isoformat()
        yield {"number": number, "madeAt": made_at}


async def _waits(root: Any, info: Any, **args: Any) -> AsyncIterator[Any]:
    import anyio

    async for tick in _ticks(root, info, **args):
        yield tick
    await anyio.sleep_forever()


def _tick(tick: Any, *_: Any, **__: Any) -> Any:
    if tick["number"] == -1:
        raise ValueError("this tick failed")
    return tick


def served(more: str = "") -> GraphQLSchema:
    """The server's schema."""
    schema = build_schema(more + SDL)
    types: Any = schema.type_map
    for name, fields in _RESOLVERS.items():
        for field, resolve in fields.items():
            types[name].fields[field].resolve = lambda _root, _info, _resolve=resolve, **args: (
                _resolve(**args)
            )
    for name, source in {"ticks": _ticks, "waits": _waits}.items():
        field = types["Subscription"].fields[name]
        field.subscribe, field.resolve = source, _tick
    return schema


class Backend:
    """One way to the schema. ``sent``: what has been sent so far, with the requests' keys."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @property
    def sent(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    @property
    def documents(self) -> list[str]:
        return [payload["query"] for payload in self.sent]

    @property
    def variables(self) -> list[Any]:
        return [payload.get("variables") for payload in self.sent]

    @property
    def introspections(self) -> int:
        return sum("__schema" in document for document in self.documents)


class OverWebSocket(Backend):
    def __init__(self, server: GraphQLServer) -> None:
        super().__init__(server.transport())
        self.server = server

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [
            message["payload"]
            for connection in self.server.connections
            for message in connection.received
            if message["type"] == "subscribe"
        ]


class OverHTTP(Backend):
    """``posts``: what was in each request; a list for a batch."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.posts: list[Any] = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        super().__init__(HTTPTransport("http://diary.test/graphql", client=self.http))

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [
            each for post in self.posts for each in (post if isinstance(post, list) else [post])
        ]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        post = json.loads(request.content)
        self.posts.append(post)
        return httpx.Response(
            200, json=[self.one(p) for p in post] if isinstance(post, list) else self.one(post)
        )

    def one(self, payload: dict[str, Any]) -> Any:
        return graphql_sync(
            self.schema, payload["query"], variable_values=payload.get("variables")
        ).formatted


class Locally(Backend):
    def __init__(self, schema: GraphQLSchema) -> None:
        self._sent: list[dict[str, Any]] = []
        super().__init__(LocalSchemaTransport(schema, context=self._note))

    @property
    def sent(self) -> list[dict[str, Any]]:
        return self._sent

    def _note(self, request: GraphQLRequest) -> None:
        self._sent.append({"query": request.text, "variables": request.variable_values})


@asynccontextmanager
async def backend(name: str) -> AsyncGenerator[Backend]:
    """``"websocket"``, ``"http"`` or ``"local"``."""
    if name == "websocket":
        async with GraphQLServer(served()) as server:
            yield OverWebSocket(server)
    elif name == "http":
        way = OverHTTP(served())
        async with way.http:
            yield way
    else:
        yield Locally(served(DEFER))
