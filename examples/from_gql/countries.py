"""A server of continents."""

from __future__ import annotations

from typing import Any

from graphql import build_schema

__all__ = ["schema"]

schema = build_schema("""
input StringFilter { eq: String }
input ContinentFilter { code: StringFilter }
"A part of the world."
type Continent { code: ID! name: String! }
type Query {
  continent(code: ID!): Continent
  continents(filter: ContinentFilter): [Continent!]!
}
""")

_NAMES = {"AF": "Africa", "AN": "Antarctica", "AS": "Asia", "EU": "Europe"}


def _continents(_root: Any, _info: Any, filter: Any = None) -> list[dict[str, str]]:
    wanted = None if filter is None else filter["code"]["eq"]
    found = [{"code": code, "name": name} for code, name in _NAMES.items()]
    return [each for each in found if wanted in {None, each["code"]}]


def _continent(_root: Any, _info: Any, code: str) -> dict[str, str] | None:
    return {"code": code, "name": _NAMES[code]} if code in _NAMES else None


if schema.query_type is not None:
    schema.query_type.fields["continents"].resolve = _continents
    schema.query_type.fields["continent"].resolve = _continent
