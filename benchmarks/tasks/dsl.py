"""Build a document in Python, again and again, with a value in it that differs each time.

What is measured ends with the document's text, which is what is sent, and its variables. anygql
builds it of types, which it keeps from call to call; gql's DSL builds it of a schema, field by
field, and prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from anygql.dsl import Field, query, select, var

from ..peers import Peer
from . import Stopwatch

__all__ = ["run"]

SDL = """
enum Unit { METER FOOT }
type Friend { name: String! }
type Hero { name: String! friends: [Friend!]! height(unit: Unit!): Float! }
type Query { hero(id: ID!): Hero }
"""


@dataclass
class Friend:
    name: str


@dataclass
class Hero:
    name: str
    friends: list[Friend]
    height: Annotated[float, Field(args={"unit": var("Unit!")})]


def run(peer: Peer, port: int, *, count: int) -> dict[str, Any]:
    """``operations`` are documents."""
    build = _ours() if peer.module == "anygql_client" else _gqls()
    text = build(4)
    if "friends" not in text or "height(unit:" not in text:
        raise RuntimeError(f"another document: {text}")
    stopwatch = Stopwatch()
    stopwatch.start()
    for number in range(count):
        build(number)
    return stopwatch.stop(count)


def _ours() -> Callable[[int], str]:
    from graphql import build_schema

    schema = build_schema(SDL)

    def build(number: int) -> str:
        return select(query("hero", Hero, id=number), schema=schema).text

    return build


def _gqls() -> Callable[[int], str]:
    from gql.dsl import DSLQuery, DSLSchema, DSLVariableDefinitions, dsl_gql
    from graphql import build_schema, print_ast

    schema = DSLSchema(build_schema(SDL))

    def build(number: int) -> str:
        variables = DSLVariableDefinitions()
        hero = schema.Hero
        operation = DSLQuery(
            schema.Query.hero(id=number).select(
                hero.name,
                hero.friends.select(schema.Friend.name),
                hero.height(unit=variables.unit),
            )
        )
        operation.variable_definitions = variables
        return print_ast(dsl_gql(operation).document)

    return build
