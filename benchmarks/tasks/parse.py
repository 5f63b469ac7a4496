"""Parse a result of 1,000 rows that have custom scalars and an enum.

What turns the decoded JSON into Python values is called by itself, with what each client keeps
from call to call: gql's ``parse_result``, and anygql's plan, made once for the document.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..peers import Peer
from . import Skipped, Stopwatch

__all__ = ["run"]

ROWS = 1000
SDL = """
scalar DateTime
scalar Money
enum State { OPEN PAID SENT }
type Row {
  id: ID! name: String! note: String stock: Int! rating: Float
  created: DateTime! updated: DateTime price: Money! state: State!
  buyer: Buyer
}
type Buyer { id: ID! name: String! since: DateTime! }
type Query { rows(first: Int!): [Row!]! }
"""
DOCUMENT = """
query Rows($first: Int!) {
  rows(first: $first) {
    id name note stock rating created updated price state buyer { id name since }
  }
}
"""


class State(enum.Enum):
    OPEN = "open"
    PAID = "paid"
    SENT = "sent"


def _data() -> dict[str, Any]:
    states = list(State)
    return {
        "rows": [
            {
                "id": str(n),
                "name": f"row {n}",
                "note": None,
                "stock": n % 17,
                "rating": n / 7,
                "created": f"2026-01-{n % 28 + 1:02}T12:00:00+00:00",
                "updated": None if n % 3 else "2026-02-01T00:00:00+00:00",
                "price": f"{n}.25",
                "state": states[n % 3].name,
                "buyer": {"id": str(n), "name": f"b {n}", "since": "2025-05-05T00:00:00+00:00"},
            }
            for n in range(ROWS)
        ]
    }


def run(peer: Peer, port: int, *, count: int) -> dict[str, Any]:
    """``operations`` are results of 1,000 rows."""
    parse = _ours() if peer.module == "anygql_client" else _gqls()
    data = _data()
    parsed = parse(data)["rows"][4]
    seen = parsed["created"], parsed["price"], parsed["state"], parsed["buyer"]["since"].year
    if seen != (
        datetime.fromisoformat(data["rows"][4]["created"]),
        Decimal("4.25"),
        State.PAID,
        2025,
    ):
        raise RuntimeError(f"not parsed: {parsed}")
    stopwatch = Stopwatch()
    stopwatch.start()
    for _ in range(count):
        parse(data)
    return stopwatch.stop(count)


def _scalars() -> list[Any]:
    from graphql import GraphQLScalarType

    return [
        GraphQLScalarType("DateTime", parse_value=datetime.fromisoformat),
        GraphQLScalarType("Money", parse_value=Decimal),
    ]


def _gqls() -> Callable[[Any], Any]:
    from gql.utilities import parse_result, update_schema_enum, update_schema_scalars
    from graphql import build_schema, parse

    schema = build_schema(SDL)
    update_schema_scalars(schema, _scalars())
    update_schema_enum(schema, "State", State)
    document = parse(DOCUMENT)
    return lambda data: parse_result(schema, document, data)


def _ours() -> Callable[[Any], Any]:
    from graphql import build_schema

    from anygql import GraphQLRequest

    try:
        from anygql.schema import update_schema_enum, update_schema_scalars
        from anygql.schema.results import results_plan
    except ModuleNotFoundError as error:
        raise Skipped(f"anygql has no {error.name}") from error
    schema = build_schema(SDL)
    update_schema_scalars(schema, _scalars())
    update_schema_enum(schema, "State", State)
    return results_plan(schema, GraphQLRequest(DOCUMENT).source, None)
