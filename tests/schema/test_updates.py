"""Scalars and enums of a schema become Python's, in place."""

from __future__ import annotations

from datetime import date
from enum import Enum, IntEnum
from typing import Any

import graphql
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLID,
    GraphQLScalarType,
    GraphQLSchema,
    StringValueNode,
    introspection_from_schema,
    parse_value,
)

from anygql import gql
from anygql.schema import (
    ClientSchema,
    GraphQLValidationError,
    load_schema,
    update_schema_enum,
    update_schema_scalar,
    update_schema_scalars,
)
from tests.schema.starwars import STAR_WARS


def day(text: Any) -> date:
    return date.fromisoformat(text)


def day_of(node: Any, _variables: Any = None) -> date:
    if not isinstance(node, StringValueNode):
        raise graphql.GraphQLError("a day is a string", node)
    return day(node.value)


DAY = GraphQLScalarType(
    "Day",
    serialize=lambda value: value.isoformat(),
    parse_value=day,
    parse_literal=day_of,
    description="not the schema's",
)
MAY = date(1977, 5, 25)


class Episode(Enum):
    NEW_HOPE = 4
    EMPIRE = 5
    JEDI = 6
    RETURN = JEDI
    CLONES = 2  # not the schema's


@pytest.fixture(params=["SDL", "introspection"])
def schema(request: pytest.FixtureRequest) -> GraphQLSchema:
    schema = load_schema(STAR_WARS)
    return schema if request.param == "SDL" else load_schema(introspection_from_schema(schema))


def scalar_of(schema: GraphQLSchema, name: str) -> GraphQLScalarType:
    found = schema.get_type(name)
    assert isinstance(found, GraphQLScalarType)
    return found


def enum_of(schema: GraphQLSchema, name: str) -> GraphQLEnumType:
    found = schema.get_type(name)
    assert isinstance(found, GraphQLEnumType)
    return found


def check_day(scalar: GraphQLScalarType) -> None:
    assert scalar.serialize(MAY) == scalar.coerce_output_value(MAY) == "1977-05-25"
    assert scalar.parse_value("1977-05-25") == scalar.coerce_input_value("1977-05-25") == MAY
    assert scalar.parse_literal(parse_value('"1977-05-25"')) == MAY


def test_scalar(schema: GraphQLSchema) -> None:
    before = scalar_of(schema, "Date")
    update_schema_scalar(schema, "Date", DAY)
    scalar = scalar_of(schema, "Date")
    assert scalar is before
    assert (scalar.name, scalar.description) == ("Date", None)
    check_day(scalar)


def test_a_scalar_by_the_functions_of_graphql_core_3_3(schema: GraphQLSchema) -> None:
    new = GraphQLScalarType(
        "Date",
        coerce_output_value=lambda value: value.isoformat(),
        coerce_input_value=day,
        coerce_input_literal=day_of,
        value_to_literal=lambda value: StringValueNode(value=str(value)),
    )
    update_schema_scalar(schema, "Date", new)
    scalar = scalar_of(schema, "Date")
    assert scalar.coerce_output_value(MAY) == scalar.serialize(MAY) == "1977-05-25"
    assert scalar.coerce_input_value("1977-05-25") == MAY
    assert scalar.coerce_input_literal is day_of
    assert scalar.value_to_literal is new.value_to_literal


def test_scalars(schema: GraphQLSchema) -> None:
    schema = load_schema(STAR_WARS + "scalar Length")
    length = GraphQLScalarType("Length", serialize=str, parse_value=int)
    named = GraphQLScalarType(**{**DAY.to_kwargs(), "name": "Date"})
    update_schema_scalars(schema, (scalar for scalar in (named, length)))
    check_day(scalar_of(schema, "Date"))
    assert scalar_of(schema, "Length").parse_value("5") == 5
    assert scalar_of(schema, "Length").parse_literal(parse_value('"5"')) == 5


@pytest.mark.parametrize(
    ("name", "scalar", "error", "words"),
    [
        ("Dat", DAY, KeyError, "no type 'Dat'; did you mean 'Date'"),
        ("Zzzzzzz", DAY, KeyError, "^the schema has no type 'Zzzzzzz'$"),
        ("Episode", DAY, TypeError, "'Episode' is not a scalar, but a GraphQL Enum"),
        ("Human", DAY, TypeError, "'Human' is not a scalar, but a GraphQL Object"),
        ("Date", GraphQLScalarType, TypeError, "not the class GraphQLScalarType"),
        ("Date", date, TypeError, "must be a GraphQLScalarType, not the class date"),
        ("Date", {"serialize": str}, TypeError, "not 'dict'"),
        ("ID", DAY, ValueError, "ID is a standard scalar"),
    ],
)
def test_scalars_that_can_t_be(
    schema: GraphQLSchema, name: str, scalar: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        update_schema_scalar(schema, name, scalar)
    assert GraphQLID.serialize("x") == "x"


def test_all_scalars_or_none(schema: GraphQLSchema) -> None:
    named = GraphQLScalarType(**{**DAY.to_kwargs(), "name": "Date"})
    before = scalar_of(schema, "Date").serialize
    for last in (GraphQLScalarType("Missing"), "Date"):
        with pytest.raises((KeyError, TypeError)):
            update_schema_scalars(schema, [named, last])  # type: ignore[list-item]
        assert scalar_of(schema, "Date").serialize is before
    with pytest.raises(TypeError, match="a list of GraphQLScalarType"):
        update_schema_scalars(schema, named)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a list of GraphQLScalarType, not int"):
        update_schema_scalars(schema, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [STAR_WARS, None, {}])
def test_only_schemas_are_updated(wrong: Any) -> None:
    with pytest.raises(TypeError, match="schema must be a GraphQLSchema"):
        update_schema_scalar(wrong, "Date", DAY)
    with pytest.raises(TypeError, match="schema must be a GraphQLSchema"):
        update_schema_enum(wrong, "Episode", Episode)


@pytest.mark.parametrize(
    ("values", "use_enum_values", "expected"),
    [
        (Episode, False, Episode.JEDI),
        (Episode, True, 6),
        ({"NEW_HOPE": "IV", "EMPIRE": "V", "JEDI": "VI"}, False, "VI"),
        ({"NEW_HOPE": "IV", "EMPIRE": "V", "JEDI": "VI", "CLONES": "II"}, True, "VI"),
        ({"NEW_HOPE": 4, "EMPIRE": [5], "JEDI": [6]}, False, [6]),
        (IntEnum("Numbers", {"NEW_HOPE": 4, "EMPIRE": 5, "JEDI": 6}), False, 6),
    ],
    ids=["members", "values", "mapping", "mapping with more", "unhashable", "IntEnum"],
)
def test_enum(schema: GraphQLSchema, values: Any, use_enum_values: bool, expected: Any) -> None:
    enum = enum_of(schema, "Episode")
    assert enum.serialize("JEDI") == "JEDI"  # what is derived from the names is not kept
    update_schema_enum(schema, "Episode", values, use_enum_values=use_enum_values)
    assert enum_of(schema, "Episode") is enum
    parsed = enum.parse_value("JEDI")
    assert parsed == expected
    assert isinstance(parsed, type(expected))
    assert enum.serialize(expected) == "JEDI"
    assert list(enum.values) == ["NEW_HOPE", "EMPIRE", "JEDI"]
    with pytest.raises(graphql.GraphQLError):
        enum.serialize("JEDI")


def test_an_enum_s_aliases_are_names_too() -> None:
    schema = load_schema("type Query { a: E } enum E { JEDI RETURN CLONES }")
    update_schema_enum(schema, "E", Episode)
    enum = enum_of(schema, "E")
    assert enum.parse_value("RETURN") is enum.parse_value("JEDI") is Episode.JEDI
    assert enum.serialize(Episode.JEDI) == "JEDI"


def test_twice(schema: GraphQLSchema) -> None:
    update_schema_enum(schema, "Episode", Episode)
    update_schema_enum(schema, "Episode", Episode, use_enum_values=True)
    assert enum_of(schema, "Episode").serialize(5) == "EMPIRE"


@pytest.mark.parametrize(
    ("name", "values", "error", "words"),
    [
        ("Episodes", Episode, KeyError, "no type 'Episodes'; did you mean 'Episode'"),
        ("Date", Episode, TypeError, "'Date' is not an enum, but a GraphQL Scalar"),
        ("Episode", {"NEW_HOPE": 4}, KeyError, "^the values .* lack 'EMPIRE', 'JEDI'$"),
        ("Episode", Enum("E", ["JEDI"]), KeyError, "lack 'NEW_HOPE', 'EMPIRE'"),
        ("Episode", [4, 5, 6], TypeError, "an Enum class or a mapping, not list"),
        ("Episode", int, TypeError, "an Enum class or a mapping, not int"),
        ("Episode", Episode.JEDI, TypeError, "an Enum class or a mapping, not Episode"),
    ],
)
def test_enums_that_can_t_be(
    schema: GraphQLSchema, name: str, values: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        update_schema_enum(schema, name, values)
    assert enum_of(schema, "Episode").serialize("NEW_HOPE") == "NEW_HOPE"


def test_what_was_found_out_before_is_forgotten() -> None:
    """Literals are checked by the scalar, so an update changes what is valid."""
    graphql_schema = load_schema(STAR_WARS)
    schema, document = (
        ClientSchema(graphql_schema),
        gql("{ reviews(episode: JEDI, since: 5) { stars } }").source,
    )
    schema.validate(document)
    schema.plans(document)["mine"] = 1
    update_schema_scalar(graphql_schema, "Date", DAY)
    assert schema.plans(document) == {}
    with pytest.raises(GraphQLValidationError, match=r"1:33.*a day is a string"):
        schema.validate(document)
    for update in (
        lambda: update_schema_enum(graphql_schema, "Episode", Episode),
        lambda: update_schema_scalars(graphql_schema, []),
    ):
        schema.plans(document)["mine"] = 1
        update()
        assert schema.plans(document) == {}
