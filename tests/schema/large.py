"""A schema as large as the largest public ones, with every kind of type and all that types have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from graphql import GraphQLSchema, execute_sync

from anygql.schema import Introspection, load_schema

#: One block of types; each refers to the next block, the last one to the first.
BLOCK = '''
"""
What identifies a number {n}

    indented, with "quotes", a \\""" triple quote, and ünïcode 𝄞
"""
interface Node{n} {{ id: ID! }}

interface Named{n} implements Node{n} {{
  id: ID!
  name: String!
}}

"""Short"""
type Thing{n} implements Named{n} & Node{n} {{
  id: ID!
  name(
    "how long at most"
    length: Int = {n}
    style: Style{n} = PLAIN
    tags: [String!] = ["a", "b\\"c"]
    old: Boolean = true @deprecated(reason: "not used")
    more: Float = 1.5e3
  ): String!
  next: Thing{next}
  grid: [[[Thing{n}!]!]!]!
  at: Time{n}
  find(filter: Filter{n} = {{ any: [{{ name: null }}], limit: 3 }}, by: By{n}): [Found{n}!]
  gone: Int @deprecated
  left: Int @deprecated(reason: "use \\"right\\"")
}}

type Other{n} implements Node{n} {{ id: ID! thing: Thing{n}! style: [Style{n}!] }}

union Found{n} = Thing{n} | Other{n}

enum Style{n} {{
  PLAIN
  "with care"
  BOLD
  BLINK @deprecated(reason: "no")
}}

scalar Time{n} @specifiedBy(url: "https://example.org/time/{n}")

input Filter{n} {{
  name: String = "none"
  any: [Filter{n}!]
  limit: Int! = 10
  style: Style{next}
  since: Time{n}
  former: ID @deprecated(reason: "renamed")
}}

input By{n} @oneOf {{ id: ID name: String thing: Filter{n} }}
'''
TYPES_IN_A_BLOCK = 9


def _parts(blocks: int) -> Iterator[str]:
    for n in range(blocks):
        yield BLOCK.format(n=n, next=(n + 1) % blocks)
    yield '"Asked for"\ntype Query {'
    for n in range(blocks):
        yield f"  thing{n}(id: ID!): Thing{n}\n  found{n}(filter: Filter{n}): [Found{n}!]!"
    yield "}\ntype Mutation {"
    for n in range(blocks):
        yield f"  change{n}(filter: Filter{n}!, by: By{n}): Other{n}"
    yield "}\ntype Subscription { changed: Thing0! }"
    yield "directive @cost(of: Int! = 1, why: [String]) repeatable on FIELD | FIELD_DEFINITION"
    yield '"A large one"\nschema { query: Query mutation: Mutation subscription: Subscription }'


def large_sdl(types: int) -> str:
    """SDL with at least so many types."""
    return "\n".join(_parts(-(-types // TYPES_IN_A_BLOCK)))


@cache
def large_schema() -> GraphQLSchema:
    """2,000 types, loaded from SDL. Not to be changed: it takes some seconds to make."""
    return load_schema(large_sdl(2_000))


@cache
def large_introspection() -> dict[str, Any]:
    """What a server with ``large_schema`` answers to the introspection query."""
    result = execute_sync(large_schema(), Introspection().request().document)
    assert result.errors is None
    assert result.data is not None
    return result.data
