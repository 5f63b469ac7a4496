"""A small schema for demonstrations and tests, with a field for each kind of outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import anyio
from graphql import ExecutionResult, GraphQLResolveInfo, GraphQLSchema, build_schema

__all__ = ["DEMO_SDL", "demo_schema"]

Info: TypeAlias = GraphQLResolveInfo[Any]

#: The schema of ``demo_schema()``.
DEMO_SDL = '''
type Query {
  """A greeting."""
  hello(name: String! = "world"): String!
  "The sum of two numbers."
  add(a: Int!, b: Int!): Int!
  "Always fails."
  fail: String
  "An answer that takes its time."
  slow(seconds: Float!): String
  "The value that the mutations set."
  counter: Int!
}

type Mutation {
  "Set the counter."
  setCounter(value: Int!): Int!
  "Add to the counter."
  increment(by: Int! = 1): Int!
}

type Subscription {
  "Counts down to 0, `interval` seconds apart."
  countdown(from: Int! = 3, interval: Float! = 0): Int!
  "`count` events as fast as they go: their numbers from 0, then `size` characters."
  flood(count: Int!, size: Int! = 0): String!
  "`after` events, then one with errors and one without; or the source itself fails."
  failing(after: Int!, source: Boolean! = false): Int
  "Says nothing."
  never: Int
}
'''


class _Resolvers:
    """The resolvers of one schema, with a counter of their own."""

    def __init__(self) -> None:
        self.counter = 0

    def query_hello(self, _root: Any, _info: Info, name: str) -> str:
        return f"Hello {name}!"

    def query_add(self, _root: Any, _info: Info, a: int, b: int) -> int:
        return a + b

    def query_fail(self, _root: Any, _info: Info) -> str:
        raise ValueError("this field always fails")

    async def query_slow(self, _root: Any, _info: Info, seconds: float) -> str:
        await anyio.sleep(seconds)
        return f"slept {seconds:g} s"

    def query_counter(self, _root: Any, _info: Info) -> int:
        return self.counter

    def mutation_set_counter(self, _root: Any, _info: Info, value: int) -> int:
        self.counter = value
        return value

    def mutation_increment(self, _root: Any, _info: Info, by: int) -> int:
        self.counter += by
        return self.counter


async def _countdown(_root: Any, _info: Info, interval: float, **args: Any) -> AsyncIterator[int]:
    for number in range(args["from"], -1, -1):
        yield number
        if number and interval:
            await anyio.sleep(interval)


async def _flood(_root: Any, info: Info, count: int, size: int) -> AsyncIterator[ExecutionResult]:
    # Ready-made results, since executing each event would take most of the server's time.
    padding, name = "." * size, str(info.path.key)
    for number in range(count):
        yield ExecutionResult({name: f"{number}{padding}"})


async def _failing(
    _root: Any, _info: Info, after: int, source: bool
) -> AsyncIterator[int | Exception]:
    for number in range(after):
        yield number
    if source:
        raise ValueError("the source of events failed")
    yield ValueError("this event failed")
    yield after + 1


async def _never(_root: Any, _info: Info) -> AsyncIterator[int]:
    await anyio.sleep_forever()
    yield 0


def _event(root: Any, info: Info, **_args: Any) -> Any:
    """Return an event as its own result; raise an exception."""
    if isinstance(root, ExecutionResult):  # for servers that execute each event
        return root.data and root.data[str(info.path.key)]
    if isinstance(root, Exception):
        raise root
    return root


def demo_schema() -> GraphQLSchema:
    """Return a new schema with queries, mutations and subscriptions (``DEMO_SDL``).

    Each schema has its own counter.
    """
    schema = build_schema(DEMO_SDL)
    resolvers = _Resolvers()
    fields: dict[tuple[str, str], Any] = {
        ("Query", "hello"): resolvers.query_hello,
        ("Query", "add"): resolvers.query_add,
        ("Query", "fail"): resolvers.query_fail,
        ("Query", "slow"): resolvers.query_slow,
        ("Query", "counter"): resolvers.query_counter,
        ("Mutation", "setCounter"): resolvers.mutation_set_counter,
        ("Mutation", "increment"): resolvers.mutation_increment,
    }
    for (type_name, field_name), resolve in fields.items():
        _field(schema, type_name, field_name).resolve = resolve
    sources: dict[str, Any] = {
        "countdown": _countdown,
        "flood": _flood,
        "failing": _failing,
        "never": _never,
    }
    for field_name, source in sources.items():
        field = _field(schema, "Subscription", field_name)
        field.subscribe, field.resolve = source, _event
    return schema


def _field(schema: GraphQLSchema, type_name: str, field_name: str) -> Any:
    object_type: Any = schema.type_map[type_name]
    return object_type.fields[field_name]
