"""Schemas from SDL, from introspection results, and from what real servers leave out of those."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graphql
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    introspection_from_schema,
    is_required_argument,
    print_schema,
)

from anygql import ExecutionResult, gql
from anygql.schema import ClientSchema, IntrospectionError, build_client_schema, load_schema
from tests.schema.large import large_introspection, large_schema
from tests.schema.starwars import STAR_WARS
from tests.support.paths import ROOT

Result = dict[str, Any]


@pytest.fixture(scope="module")
def star_wars() -> Result:
    schema = load_schema(STAR_WARS)
    return introspection_from_schema(
        schema,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )


@pytest.fixture
def result(star_wars: Result) -> Result:
    """To be spoilt by one test."""
    return copy.deepcopy(star_wars)


def type_of(result: Result, name: str) -> Result:
    return next(type_ for type_ in result["__schema"]["types"] if type_["name"] == name)


def field_of(result: Result, type_name: str, name: str) -> Result:
    fields = type_of(result, type_name)
    return next(f for f in fields["fields"] or fields["inputFields"] if f["name"] == name)


def test_sdl() -> None:
    schema = load_schema(STAR_WARS)
    assert isinstance(schema, GraphQLSchema)
    assert schema.query_type is not None
    assert "hero" in schema.query_type.fields


def test_a_schema_is_used_as_it_is() -> None:
    schema = graphql.build_schema(STAR_WARS)
    assert load_schema(schema) is schema


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: data,
        lambda data: {"data": data},
        lambda data: {"data": data, "errors": None, "extensions": {"cost": 1}},
        lambda data: ExecutionResult(data=data),
        lambda data: graphql.ExecutionResult(data, None),
        json.dumps,
        lambda data: "\ufeff \n" + json.dumps({"data": data}, indent=2),
    ],
    ids=["data", "response", "with nulls", "result", "graphql-core's", "JSON", "JSON with a BOM"],
)
def test_introspection_results(star_wars: Result, wrap: Callable[[Result], Any]) -> None:
    schema = load_schema(wrap(star_wars))
    assert print_schema(schema) == print_schema(load_schema(STAR_WARS))


@pytest.mark.timeout(400)
def test_2000_types_make_the_round_trip() -> None:
    # In a process of its own: Strawberry, once imported, answers `isOneOf` for all schemas.
    program = "from tests.schema.test_loading import round_trip; round_trip()"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def round_trip() -> None:
    assert len(large_schema().type_map) > 2_000
    schema = build_client_schema(large_introspection())
    assert print_schema(schema) == print_schema(large_schema())
    by = schema.get_type("By7")
    assert isinstance(by, GraphQLInputObjectType)
    assert by.is_one_of


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (None, TypeError, ["not NoneType"]),
        (b"type Query { a: Int }", TypeError, ["not bytes"]),
        (Path("schema.graphql"), TypeError, ["Path", "read_text"]),
        (["type Query { a: Int }"], TypeError, ["not list"]),
        ("", ValueError, ["does not parse", "<EOF>"]),
        ("type Query {\n  a: Int\n  ?\n}", ValueError, ["does not parse: 3:3"]),
        ("schema.graphql", ValueError, ["file's name", "'schema.graphql'"]),
        ("{ hello }", ValueError, ["JSON"]),
        ('{"data": ', ValueError, ["JSON"]),
        ("{}", IntrospectionError, ["no '__schema'"]),
        ("{ hello }\n", ValueError, ["JSON"]),
        (
            "type Query { a: Text }\ntype Query { b: Int }\ninterface Q { c: Tex }",
            ValueError,
            ["3 errors", "2:6", "1:17", "'Text'", "3:18", "'Tex'"],
        ),
        ("type Human { id: ID }", ValueError, ["Query root type"]),
        ("type Query { a: A }\ninput A { id: ID }", ValueError, ["1:17", "Output Type"]),
        ("type Query { a: Int @key }", ValueError, ["1:21", "'@key'", "assume_valid"]),
        ({}, IntrospectionError, ["no '__schema'", "nothing"]),
        ({"data": None}, IntrospectionError, ["no '__schema'"]),
        ({"__type": {}}, IntrospectionError, ["'__type'"]),
        ({"data": None, "errors": [{"message": "go away"}]}, IntrospectionError, ["go away"]),
        ({"data": 5}, TypeError, ["mapping"]),
        (ExecutionResult(errors=[{"message": "no"}]), IntrospectionError, ["no"]),
        ({"__schema": {"types": None}}, IntrospectionError, ["__schema.types"]),
        ({"__schema": {"types": [{"kind": "ENUM"}]}}, IntrospectionError, ["types[0]", "name"]),
        ({"__schema": {"types": ["Query"]}}, IntrospectionError, ["types[0]"]),
    ],
)
def test_what_is_no_schema(source: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        load_schema(source)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_published_sdl_may_be_used_as_it_is() -> None:
    twice = "type Query { a: Int @key  a: Int }"
    with pytest.raises(ValueError, match="can only be defined once"):
        load_schema(twice)
    schema = load_schema(twice, assume_valid=True)
    ClientSchema(schema).validate(gql("{ a }").source)


def test_build_client_schema_is_no_loader_of_text() -> None:
    with pytest.raises(TypeError, match="not str"):
        build_client_schema("type Query { a: Int }")  # type: ignore[arg-type]


# What real servers, and other tools' queries, leave out.


def without(result: Any, *keys: str) -> None:
    """Remove these keys, wherever they are."""
    if isinstance(result, dict):
        for key in keys:
            result.pop(key, None)
        for value in result.values():
            without(value, *keys)
    elif isinstance(result, list):
        for value in result:
            without(value, *keys)


def test_everything_optional_left_out(result: Result) -> None:
    keys = ("description", "isDeprecated", "deprecationReason", "specifiedByURL", "isRepeatable")
    without(result, *keys, "isOneOf", "defaultValue", "directives", "subscriptionType")
    human = build_client_schema(result).get_type("Human")
    assert isinstance(human, GraphQLObjectType)
    assert list(human.fields) == [field["name"] for field in type_of(result, "Human")["fields"]]


def test_null_for_nothing(result: Result) -> None:
    field_of(result, "Human", "homePlanet")["args"] = None
    type_of(result, "Starship")["interfaces"] = None
    del type_of(result, "PageInfo")["interfaces"]
    result["__schema"]["directives"][0]["args"] = None
    schema = build_client_schema(result)
    starship = schema.get_type("Starship")
    assert isinstance(starship, GraphQLObjectType)
    assert starship.interfaces == ()


@pytest.mark.parametrize("directives", [None, []])
def test_skip_and_include_are_always_there(result: Result, directives: Any) -> None:
    result["__schema"]["directives"] = directives
    types = result["__schema"]["types"]
    result["__schema"]["types"] = [t for t in types if t["name"] != "Boolean"]
    schema = ClientSchema(build_client_schema(result))
    query = (
        "query ($y: Boolean!) { hero { id @skip(if: $y) ... on Human @include(if: $y) { id } } }"
    )
    schema.validate(gql(query).source)


def test_directives_places_of_later_specifications(result: Result) -> None:
    result["__schema"]["directives"][0]["locations"] += ["MOON", None]
    name = result["__schema"]["directives"][0]["name"]
    directive = build_client_schema(result).get_directive(name)
    assert directive is not None
    assert [place.name for place in directive.locations if place.name == "MOON"] == []


def test_standard_scalars_that_are_used_but_not_listed(result: Result) -> None:
    standard = {"Int", "Float", "String", "Boolean", "ID"}
    types = result["__schema"]["types"]
    result["__schema"]["types"] = [t for t in types if t["name"] not in standard]
    schema = build_client_schema(result)
    assert schema.get_type("Float") is graphql.GraphQLFloat
    assert schema.get_type("ID") is graphql.GraphQLID


def test_introspection_s_own_types_left_out_or_incomplete(result: Result) -> None:
    expected = print_schema(load_schema(STAR_WARS))
    type_of(result, "__Type")["fields"] = None
    type_of(result, "__TypeKind")["enumValues"] = None
    assert print_schema(build_client_schema(result)) == expected
    types = result["__schema"]["types"]
    result["__schema"]["types"] = [t for t in types if not t["name"].startswith("__")]
    assert print_schema(build_client_schema(result)) == expected


def test_deprecated_without_a_reason(result: Result) -> None:
    field = field_of(result, "Human", "homePlanet")
    field.update(isDeprecated=True, deprecationReason=None)
    human = build_client_schema(result).get_type("Human")
    assert isinstance(human, GraphQLObjectType)
    assert human.fields["homePlanet"].deprecation_reason == "No longer supported"


def test_the_name_that_drafts_had_for_specified_by_url(result: Result) -> None:
    date = type_of(result, "Date")
    url = date["specifiedByUrl"] = date.pop("specifiedByURL")
    scalar = build_client_schema(result).get_type("Date")
    assert isinstance(scalar, GraphQLScalarType)
    assert scalar.specified_by_url == url
    assert url


@pytest.mark.parametrize(
    ("default", "literal"),
    [
        ("5", "5"),
        (5, "5"),
        (False, "false"),
        (["a"], '["a"]'),
        ("", '""'),
        ("{'a': None}", "\"{'a': None}\""),
        ({"a": "\n"}, r'"{\"a\":\"\\n\"}"'),
    ],
)
def test_default_values_in_other_notations(result: Result, default: Any, literal: str) -> None:
    """A default that can't be read is still one: the argument may be left out."""
    argument = next(
        argument
        for argument in field_of(result, "Human", "friendsConnection")["args"]
        if argument["name"] == "first"
    )
    argument["defaultValue"] = default
    argument["type"] = {"kind": "NON_NULL", "ofType": argument["type"]}
    schema = build_client_schema(result, assume_valid=True)
    human = schema.get_type("Human")
    assert isinstance(human, GraphQLObjectType)
    first = human.fields["friendsConnection"].args["first"]
    assert isinstance(first.type, GraphQLNonNull)
    assert not is_required_argument(first)
    assert f"first: Int! = {literal}" in print_schema(schema)


# What can't be guessed.


def spoil_field(result: Result) -> None:
    del field_of(result, "Human", "homePlanet")["type"]


def spoil_argument(result: Result) -> None:
    field_of(result, "Query", "human")["args"][0]["type"] = {"kind": "SCALAR", "name": "Text"}


def cut_off(result: Result) -> None:
    field_of(result, "Starship", "coordinates")["type"]["ofType"]["ofType"].pop("ofType")


def output_as_input(result: Result) -> None:
    field_of(result, "ReviewInput", "stars")["type"] = {"kind": "OBJECT", "name": "Human"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_field, ["'__schema.types.Human.fields.homePlanet.type'"]),
        (spoil_argument, ["'__schema.types.Query.fields.human.args.id.type'", "'Text'"]),
        (
            cut_off,
            ["'__schema.types.Starship.fields.coordinates.type.ofType.ofType'", "type_depth"],
        ),
        (output_as_input, ["Human"]),
        (lambda r: type_of(r, "Human").pop("fields"), ["'__schema.types.Human.fields' is missing"]),
        (lambda r: type_of(r, "Episode").update(enumValues=None), ["types.Episode.enumValues"]),
        (lambda r: type_of(r, "ColorInput").pop("inputFields"), ["types.ColorInput.inputFields"]),
        (lambda r: type_of(r, "SearchResult").pop("possibleTypes"), ["SearchResult.possibleTypes"]),
        (lambda r: type_of(r, "Human").update(kind="CLASS"), ["types.Human.kind", "'CLASS'"]),
        (lambda r: type_of(r, "Human").update(fields={}), ["types.Human.fields", "no list"]),
        (lambda r: type_of(r, "Human")["fields"][2].pop("name"), ["types.Human.fields[2]", "name"]),
        (
            lambda r: type_of(r, "SearchResult").update(possibleTypes=[{"name": "Episode"}]),
            ["Episode"],
        ),
        (
            lambda r: type_of(r, "Human").update(interfaces=[{"kind": "INTERFACE", "name": "X"}]),
            ["types.Human.interfaces.X", "not among"],
        ),
        (lambda r: r["__schema"].update(queryType={"name": "Q"}), ["__schema.queryType", "'Q'"]),
        (lambda r: r["__schema"]["directives"][0].pop("locations"), ["directives.", ".locations"]),
        (
            lambda r: type_of(r, "Episode")["enumValues"][0].update(name="a b"),
            ["enumValues[0]", "a b"],
        ),
        (lambda r: type_of(r, "Episode")["enumValues"][1].update(name="null"), ["Episode", "null"]),
        (
            lambda r: field_of(r, "Human", "name").update(type={"kind": "SCALAR", "name": None}),
            ["types.Human.fields.name.type", "neither a name"],
        ),
    ],
)
def test_errors_name_the_place(
    result: Result, spoil: Callable[[Result], object], words: list[str]
) -> None:
    spoil(result)
    with pytest.raises(IntrospectionError) as caught:
        build_client_schema(result)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.cut_off == (spoil is cut_off)


def test_a_schema_against_the_rules(result: Result) -> None:
    type_of(result, "PageInfo")["fields"] = []
    checked = ClientSchema(build_client_schema(result))
    query = gql("{ hero { id } }").source
    for _ in range(2):
        with pytest.raises(ValueError, match=r"schema itself.*PageInfo must define one or more"):
            checked.validate(query)
    ClientSchema(load_schema(result)).validate(query)  # the server works with it
    with pytest.raises(ValueError, match="PageInfo"):
        ClientSchema(load_schema(result, assume_valid=False)).validate(query)


def test_an_enum_s_values_are_its_names(result: Result) -> None:
    episode = build_client_schema(result).get_type("Episode")
    assert isinstance(episode, GraphQLEnumType)
    assert episode.parse_value("JEDI") == "JEDI"


def test_graphql_core_is_loaded_when_it_is_needed() -> None:
    code = "import sys, anygql.schema; sys.exit('graphql' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
