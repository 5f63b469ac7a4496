"""Results through the schema: what is parsed where, what is left alone, and what does not fit."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSyntaxError,
    build_schema,
    get_introspection_query,
    graphql_sync,
)
from graphql.pyutils import Undefined

from anygql import TransportProtocolError
from anygql.documents.document import Document
from anygql.schema.results import ResultsPlan, results_plan
from anygql.schema.updates import update_schema_enum, update_schema_scalar

SDL = """
scalar Day
scalar Price
scalar JSON
scalar Even

enum Color { RED GREEN }
enum Plain { ONE TWO }

interface Named { name: String  born: Day  friend: Named }
type User implements Named {
  name: String  born: Day  friend: Named  color: Color!  days: [Day!]  grid: [[Color]]
  notes: JSON  id: ID!  plain: Plain  even: Even  evens: [Even]  pets: [[Pet!]]
}
type Pet implements Named { name: String  born: Day  friend: Named  price: Price  color: Color! }
union Thing = User | Pet | Rock
type Rock { weight: Int  price: Price }

type Query { user: User  users: [User!]!  things: [Thing]  named: Named  day: Day  rock: Rock }
type Mutation { add: User }
type Subscription { day: Day }
"""


class Color(Enum):
    RED = 1
    GREEN = 2


def even(value: Any) -> Any:
    return value if value % 2 == 0 else Undefined


def make_schema() -> GraphQLSchema:
    schema = build_schema(SDL)
    scalars: dict[str, Callable[[Any], Any]] = {
        "Day": date.fromisoformat,
        "Price": Decimal,
        "Even": even,
    }
    for name, parse in scalars.items():
        update_schema_scalar(schema, name, GraphQLScalarType(name, parse_value=parse))
    update_schema_enum(schema, "Color", Color)
    return schema


SCHEMA = make_schema()
TODAY, DAY = date(2024, 2, 29), "2024-02-29"


def plan_of(text: str, name: str | None = None, schema: GraphQLSchema = SCHEMA) -> ResultsPlan:
    return results_plan(schema, Document(text), name)


PARSED: dict[str, tuple[str, Any, Any]] = {
    "a scalar": ("{ day }", {"day": DAY}, {"day": TODAY}),
    "null data": ("{ day }", None, None),
    "null": ("{ day }", {"day": None}, {"day": None}),
    "a key that is not there": ("{ day user { born } }", {}, {}),
    "a key that nobody asked for": ("{ day }", {"day": DAY, "x": 1}, {"day": TODAY, "x": 1}),
    "an alias": ("{ today: day }", {"today": DAY, "day": DAY}, {"today": TODAY, "day": DAY}),
    "an enum": ("{ user { color } }", {"user": {"color": "RED"}}, {"user": {"color": Color.RED}}),
    "a list": (
        "{ user { days } }",
        {"user": {"days": [DAY, None]}},
        {"user": {"days": [TODAY, None]}},
    ),
    "an empty list": ("{ user { days } }", {"user": {"days": []}}, {"user": {"days": []}}),
    "lists of lists": (
        "{ user { grid } }",
        {"user": {"grid": [["RED", None], None, []]}},
        {"user": {"grid": [[Color.RED, None], None, []]}},
    ),
    "lists of lists of objects": (
        "{ user { pets { price } } }",
        {"user": {"pets": [[{"price": "1.5"}, None], None]}},
        {"user": {"pets": [[{"price": Decimal("1.5")}, None], None]}},
    ),
    "objects": (
        "{ users { name born } }",
        {"users": [{"name": "a", "born": DAY}, {"name": "b", "born": None}, {"name": "c"}]},
        {"users": [{"name": "a", "born": TODAY}, {"name": "b", "born": None}, {"name": "c"}]},
    ),
    "an interface": (
        "{ named { __typename born friend { born ... on User { color } } } }",
        {"named": {"__typename": "Pet", "born": DAY, "friend": {"born": DAY, "color": "RED"}}},
        {
            "named": {
                "__typename": "Pet",
                "born": TODAY,
                "friend": {"born": TODAY, "color": Color.RED},
            }
        },
    ),
    "a union, and no __typename": (
        "{ things { ... on User { color } ... on Pet { price color } ... on Rock { price } } }",
        {"things": [{"color": "RED"}, {"price": "1", "color": "GREEN"}, {"price": "2"}, {}, None]},
        {
            "things": [
                {"color": Color.RED},
                {"price": Decimal(1), "color": Color.GREEN},
                {"price": Decimal(2)},
                {},
                None,
            ]
        },
    ),
    "fragments, merged with what else is selected": (
        """
        query { user { ...A friend { name } ... { color } } user { id } }
        fragment A on User { born friend { ...B } ...B }
        fragment B on Named { friend { born friend { born } } }
        """,
        {"user": {"color": "RED", "friend": {"name": "x", "born": DAY, "friend": {"born": DAY}}}},
        {
            "user": {
                "color": Color.RED,
                "friend": {"name": "x", "born": TODAY, "friend": {"born": TODAY}},
            }
        },
    ),
    "skipped, included and deferred or not": (
        """
        query ($yes: Boolean!) {
          user { born @skip(if: $yes) ...A @include(if: $yes) ... @defer { color } }
        }
        fragment A on User { days }
        """,
        {"user": {"days": [DAY], "color": "RED"}},
        {"user": {"days": [TODAY], "color": Color.RED}},
    ),
    "what the schema gives no Python value": (
        "{ user { plain notes born } }",
        {"user": {"plain": "THREE", "notes": {"born": DAY}, "born": DAY}},
        {"user": {"plain": "THREE", "notes": {"born": DAY}, "born": TODAY}},
    ),
    "what the schema does not know": (
        "{ day other { day } user { unknown born ... on Nobody { color } } }",
        {"day": DAY, "other": {"day": DAY}, "user": {"unknown": 1, "born": DAY, "color": "RED"}},
        {
            "day": TODAY,
            "other": {"day": DAY},
            "user": {"unknown": 1, "born": TODAY, "color": "RED"},
        },
    ),
    "mutations": ("mutation { add { born } }", {"add": {"born": DAY}}, {"add": {"born": TODAY}}),
    "subscriptions": ("subscription { day }", {"day": DAY}, {"day": TODAY}),
}


@pytest.mark.parametrize(("text", "data", "parsed"), PARSED.values(), ids=PARSED.keys())
def test_parsed(text: str, data: Any, parsed: Any) -> None:
    before = copy.deepcopy(data)
    plan = plan_of(text)
    assert plan(data) == parsed
    assert data == before
    assert plan(data) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "{ user { name id plain notes } things { __typename ... on Rock { weight } } }",
        "{ __typename }",
        "{ unknown { day } }",
        get_introspection_query(),
    ],
)
def test_data_with_nothing_to_parse_is_given_back_as_it_is(text: str) -> None:
    plan = plan_of(text)
    assert plan.parses_nothing
    data = {"user": {"name": "a"}}
    assert plan(data) is data


def test_only_the_way_to_what_is_parsed_is_copied() -> None:
    plan = plan_of("{ users { born friend { name } notes } rock { weight } named { name } }")
    data: dict[str, Any] = {
        "users": [{"born": DAY, "friend": {"name": "x"}, "notes": [1]}],
        "rock": {"weight": 1},
        "named": {"name": "y"},
    }
    parsed = plan(data)
    assert parsed["users"][0]["born"] == TODAY
    assert data["users"][0]["born"] == DAY
    assert parsed["rock"] is data["rock"]
    assert parsed["users"][0]["friend"] is data["users"][0]["friend"]
    assert parsed["users"][0]["notes"] is data["users"][0]["notes"]
    assert not plan.parses_nothing


def test_introspection_beside_data_keeps_its_names() -> None:
    plan = plan_of('{ day __type(name: "User") { kind } }')
    data = {"day": DAY, "__type": {"kind": "OBJECT"}}
    assert plan(data) == {"day": TODAY, "__type": {"kind": "OBJECT"}}


def test_the_result_of_the_introspection_query() -> None:
    data = graphql_sync(SCHEMA, get_introspection_query()).data
    assert plan_of(get_introspection_query())(data) is data


MISFITS: dict[str, tuple[str, Any, str]] = {
    "a scalar refuses": (
        "{ users { born } }",
        {"users": [{"born": DAY}, None, {}, {"born": "long ago"}]},
        "data.users[3].born: a string that Day refuses (ValueError)",
    ),
    "a scalar gives Undefined": (
        "{ user { even } }",
        {"user": {"even": 1}},
        "data.user.even: a number that Even makes nothing of",
    ),
    "a scalar in a list of objects gives Undefined": (
        "{ users { even } }",
        {"users": [{"even": 2}, {"even": 3}]},
        "data.users[1].even: a number that Even makes nothing of",
    ),
    "a scalar in a list gives Undefined": (
        "{ user { evens } }",
        {"user": {"evens": [2, None, 3]}},
        "data.user.evens[2]: a number that Even makes nothing of",
    ),
    "a name that the enum does not have": (
        "{ user { grid } }",
        {"user": {"grid": [[], ["RED", "BLUE"]]}},
        "data.user.grid[1][1]: a string that Color refuses (KeyError)",
    ),
    "no name at all": (
        "{ user { color } }",
        {"user": {"color": {}}},
        "data.user.color: an object that Color refuses (TypeError)",
    ),
    "an object for a list": (
        "{ users { born } }",
        {"users": {"born": DAY}},
        "data.users: an object where the schema has a list",
    ),
    "a text for a list of enums": (
        "{ user { days } }",
        {"user": {"days": ""}},
        "data.user.days: a string where the schema has a list",
    ),
    "a list for an object": (
        "{ user { born } }",
        {"user": [{"born": DAY}]},
        "data.user: a list where the schema has User",
    ),
    "a list for one of a union": (
        "{ things { ... on Rock { price } } }",
        {"things": [[]]},
        "data.things[0]: a list where the schema has Thing",
    ),
    "a boolean for an object": (
        "{ user { born } }",
        {"user": True},
        "data.user: a boolean where the schema has User",
    ),
    "a list for the data": ("{ day }", [], "data: a list where the schema has Query"),
}


@pytest.mark.parametrize(("text", "data", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit(text: str, data: Any, message: str) -> None:
    with pytest.raises(TransportProtocolError) as caught:
        plan_of(text)(data)
    assert str(caught.value) == f"{message}. Is the client's schema that of the server?"
    assert not caught.value.retryable


def test_what_a_scalar_raised_is_the_cause() -> None:
    with pytest.raises(TransportProtocolError) as caught:
        plan_of("{ day }")({"day": "long ago"})
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_scalar_that_changes_its_mind() -> None:
    refusals = [ValueError("once")]

    def parse(value: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return value

    day = GraphQLScalarType("Day", parse_value=parse)
    schema = GraphQLSchema(GraphQLObjectType("Query", {"day": GraphQLField(day)}))
    plan = plan_of("{ day }", schema=schema)
    with pytest.raises(
        TransportProtocolError, match=r"^data: not what .* \(ValueError\)"
    ) as caught:
        plan({"day": 1})
    assert isinstance(caught.value.__cause__, ValueError)
    assert plan({"day": 1}) == {"day": 1}


WRONG: dict[str, tuple[str, str]] = {
    "a fragment that is missing": (
        "{ user { ...A } }",
        r"^the document spreads a fragment 'A', which it does not define$",
    ),
    "a fragment in itself": (
        "{ user { ...A } } fragment A on User { name ...A }",
        r"^the document's fragment 'A' spreads itself: A → A$",
    ),
    "a fragment in a field of itself": (
        """
        { user { ...A } }
        fragment A on User { friend { ... on User { ...B } } }
        fragment B on User { ...A }
        """,
        r"^the document's fragment 'A' spreads itself: A → B → A$",
    ),
    "two scalars under one name": (
        "{ things { ... on User { x: born } ... on Pet { x: price } } }",
        r"^data\.things\.x: .* different types under one name \(Day and Price\): give one",
    ),
    "one to be parsed and one not": (
        "{ things { ... on User { x: born } ... on Pet { x: name } } }",
        r"^data\.things\.x: .* \(Day and String\)",
    ),
    "a list and none": (
        "{ things { ... on User { x: born } ... on User { x: days } } }",
        r"^data\.things\.x: .* \(Day and \[Day!\]\)",
    ),
    "an object and a scalar": (
        "{ things { ... on User { x: friend { born } } ... on Pet { x: name } } }",
        r"^data\.things\.x: .* \(Named and String\)",
    ),
    "two operations": ("query A { day } query B { day }", "operation_name"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_documents_that_have_no_plan(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_of(text)


def test_a_document_that_does_not_parse() -> None:
    with pytest.raises(GraphQLSyntaxError):
        plan_of("{")


def test_two_types_that_need_no_parsing_may_share_a_name() -> None:
    assert plan_of("{ things { ... on User { x: id } ... on Pet { x: name } } }").parses_nothing


def test_the_operation_is_chosen_by_name() -> None:
    text = "query A { day } query B { x: day }"
    assert plan_of(text, "A")({"day": DAY, "x": DAY}) == {"day": TODAY, "x": DAY}
    assert plan_of(text, "B")({"day": DAY, "x": DAY}) == {"day": DAY, "x": TODAY}


def test_an_operation_that_the_schema_does_not_have() -> None:
    schema = build_schema("type Query { ok: Boolean }")
    assert plan_of("mutation { ok }", schema=schema).parses_nothing


def test_fragments_that_unfold_to_a_million_fields_are_planned_by_the_line() -> None:
    depth = 20
    spread = "friend { ...F{0} } other: friend { ...F{0} }"
    fragments = [
        f"fragment F{level} on Named {{ {spread.replace('{0}', str(level + 1))} }}"
        for level in range(depth)
    ]
    text = " ".join(["{ named { ...F0 } }", *fragments, f"fragment F{depth} on Named {{ born }}"])
    plan = plan_of(text)
    data: dict[str, Any] = {"born": DAY}
    parsed: dict[str, Any] = {"born": TODAY}
    for level in range(depth):
        key = "friend" if level % 2 else "other"
        data, parsed = {key: data}, {key: parsed}
    assert plan({"named": data}) == {"named": parsed}


@pytest.mark.parametrize(
    "scalar",
    [
        lambda: GraphQLScalarType("Day", parse_value=str.upper),
        lambda: GraphQLScalarType("Day", coerce_input_value=str.upper),
        lambda: legacy(GraphQLScalarType("Day")),
    ],
)
def test_both_names_of_a_scalars_input_coercion(scalar: Callable[[], GraphQLScalarType]) -> None:
    schema = GraphQLSchema(GraphQLObjectType("Query", {"day": GraphQLField(scalar())}))
    assert plan_of("{ day }", schema=schema)({"day": "x"}) == {"day": "X"}


def legacy(scalar: GraphQLScalarType) -> GraphQLScalarType:
    scalar.parse_value = str.upper  # type: ignore[method-assign]
    return scalar


@pytest.mark.parametrize("method", ["parse_value", "coerce_input_value"])
def test_an_enum_type_that_does_it_its_own_way(method: str) -> None:
    own = {method: lambda self, value, hide_suggestions=False: Color[value]}
    enum: type[GraphQLEnumType] = type("Own", (GraphQLEnumType,), own)
    query = GraphQLObjectType("Query", {"color": GraphQLField(enum("Color", {"RED": "r"}))})
    plan = plan_of("{ color }", schema=GraphQLSchema(query))
    assert plan({"color": "RED"}) == {"color": Color.RED}


def test_threads_share_a_plan() -> None:
    plan = plan_of("{ users { born color } }")
    data = {"users": [{"born": DAY, "color": "RED"}] * 50}
    parsed = {"users": [{"born": TODAY, "color": Color.RED}] * 50}
    start = threading.Barrier(4)
    got: list[Any] = []

    def use() -> None:
        start.wait(timeout=10)
        got.extend(plan(data) for _ in range(20))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [parsed] * 80
