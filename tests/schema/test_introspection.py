"""Asking servers of all ages for their schema: scripted ones, and graphql-core's executor."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import graphql
import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, execute_sync, print_schema, validate

from anygql import ExecutionResult, GraphQLRequest, TransportProtocolError, TransportQueryError
from anygql.schema import Introspection, IntrospectionOptions, load_schema
from tests.schema.starwars import STAR_WARS

Refusal = Callable[[str, str, str], str]
Errors = list[Any]

#: Each feature as a server sees it: the type, and what of it isn't known there.
FEATURES = {
    "isOneOf": ("__Type", "isOneOf"),
    "specifiedByURL": ("__Type", "specifiedByURL"),
    "isRepeatable": ("__Directive", "isRepeatable"),
    "includeDeprecated: true) { ...InputValue": ("__Field", "includeDeprecated"),
    "__schema {\ndescription": ("__Schema", "description"),
}

#: How servers say that they don't know a field (or, where `argument` is true, an argument).
WORDINGS: dict[str, Callable[[str, str, bool], str]] = {
    "graphql-js": lambda on, name, argument: (
        f'Unknown argument "{name}" on field "{on}.args".'
        if argument
        else f'Cannot query field "{name}" on type "{on}". Did you mean "specifiedByURL"?'
    ),
    "graphql-java": lambda on, name, argument: (
        f"Validation error (UnknownArgument@[__schema/types/fields/args]) : "
        f"Unknown field argument '{name}'"
        if argument
        else f"Validation error (FieldUndefined@[__schema/x/{name}]) : "
        f"Field '{name}' in type '{on}' is undefined"
    ),
    "graphql-ruby": lambda on, name, argument: (
        f"Field 'args' doesn't accept argument '{name}'"
        if argument
        else f"Field '{name}' doesn't exist on type '{on}'"
    ),
    "hot-chocolate": lambda on, name, argument: (
        f"The argument `{name}` does not exist."
        if argument
        else f"The field `{name}` does not exist on the type `{on}`."
    ),
    "hasura": lambda on, name, argument: (
        f"'args' has no argument named '{name}'"
        if argument
        else f"field '{name}' not found in type: '{on}'"
    ),
    "async-graphql": lambda on, name, argument: (
        f'Unknown argument "{name}" on field "args" of type "{on}"'
        if argument
        else f'Unknown field "{name}" on type "{on}". Did you mean "name"?'
    ),
    "juniper": lambda on, name, argument: (
        f'Field "args" has no argument "{name}"'
        if argument
        else f'Unknown field "{name}" on type "{on}"'
    ),
}


@dataclass
class Server:
    """Answers introspection with the Star Wars schema, unless ``refuse`` finds fault with it."""

    refuse: Callable[[GraphQLRequest], Errors]
    schema: GraphQLSchema = field(default_factory=lambda: load_schema(STAR_WARS))
    queries: list[str] = field(default_factory=list)

    def __call__(self, request: GraphQLRequest) -> ExecutionResult:
        self.queries.append(request.text)
        assert validate(self.schema, request.document) == []
        assert request.operation == ("IntrospectionQuery", "query")
        if errors := self.refuse(request):
            return ExecutionResult(errors=errors)
        result = execute_sync(self.schema, request.document)
        return ExecutionResult(result.data, result.errors)


def fetch(server: Server, options: IntrospectionOptions | None = None) -> GraphQLSchema:
    introspection = Introspection(options)
    while (schema := introspection.answer(server(introspection.request()))) is None:
        assert len(server.queries) < 6
    return schema


def unknown(
    *features: str, wording: Callable[[str, str, bool], str], at_once: int = 99
) -> Callable[[GraphQLRequest], Errors]:
    """A server that doesn't know some features, and tells of so many of them at once."""

    def refuse(request: GraphQLRequest) -> Errors:
        found = [FEATURES[feature] for feature in features if feature in request.text]
        said = [wording(on, name, name == "includeDeprecated") for on, name in found]
        return [{"message": message} for message in said[:at_once]]

    return refuse


def nothing(_: GraphQLRequest) -> Errors:
    return []


def test_a_server_that_knows_everything() -> None:
    server = Server(nothing)
    schema = fetch(server)
    assert print_schema(schema) == print_schema(server.schema)
    (query,) = server.queries
    assert all(feature in query for feature in FEATURES)


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=WORDINGS)
@pytest.mark.parametrize("feature", FEATURES)
def test_a_server_that_lacks_one_thing(
    feature: str, wording: Callable[[str, str, bool], str]
) -> None:
    server = Server(unknown(feature, wording=wording))
    assert "Human" in fetch(server).type_map
    last = server.queries[-1]
    assert len(server.queries) == 2
    assert [other for other in FEATURES if other not in last] == [feature]


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=WORDINGS)
@pytest.mark.parametrize(("at_once", "requests"), [(99, 2), (2, 4), (1, 4)])
def test_a_server_of_2018(
    wording: Callable[[str, str, bool], str], at_once: int, requests: int
) -> None:
    server = Server(unknown(*FEATURES, wording=wording, at_once=at_once))
    assert "Human" in fetch(server).type_map
    assert not any(feature in server.queries[-1] for feature in FEATURES)
    assert len(server.queries) <= requests


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("as_object", [False, True], ids=["JSON", "graphql-core's"])
def test_words_that_nobody_understands_with_a_place(feature: str, as_object: bool) -> None:
    def refuse(request: GraphQLRequest) -> Errors:
        if feature not in request.text:
            return []
        start = request.text.index(feature) + len(feature) - 1
        line = request.text.count("\n", 0, start) + 1
        if as_object:
            source = graphql.Source(request.text)
            return [graphql.GraphQLError("Feld unbekannt", source=source, positions=[start])]
        return [{"message": "Feld unbekannt", "locations": [{"line": line, "column": 1}]}]

    server = Server(refuse)
    fetch(server)
    assert len(server.queries) == 2
    assert [other for other in FEATURES if other not in server.queries[-1]] == [feature]


@pytest.mark.parametrize(
    ("lacking", "requests"),
    [(["isOneOf"], 2), (["isOneOf", "includeDeprecated: true) { ...InputValue"], 3)]
    + [([feature], 4) for feature in ("isRepeatable", "specifiedByURL", "__schema {\ndescription")],
)
def test_words_that_nobody_understands(lacking: list[str], requests: int) -> None:
    """The newest features are given up first; what remains is asked for."""

    def refuse(request: GraphQLRequest) -> Errors:
        found = any(feature in request.text for feature in lacking)
        return [{"message": "Internal Server Error"}] if found else []

    server = Server(refuse)
    fetch(server)
    assert len(server.queries) == requests
    kept = [feature for feature in FEATURES if feature in server.queries[-1]]
    assert kept == ([f for f in FEATURES if f not in lacking] if requests < 4 else [])


@pytest.mark.parametrize(
    "errors",
    [
        [{"message": "GraphQL introspection is not allowed by Apollo Server, but the query "
          "contained __schema or __type.", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}],
        [{"message": "GraphQL introspection has been disabled, but the requested query contained "
          'the field "__schema".'}],
        [{"message": "Cannot query '__schema': introspection is disabled."}],
        [{"message": "field '__schema' not found in type: 'query_root'"}],
        [{"message": "Field '__schema' doesn't exist on type 'Query'"}],
        [{"message": "nope", "extensions": {"code": "INTROSPECTION_DISABLED"}}],
    ],
)  # fmt: skip
def test_introspection_is_disabled(errors: Errors) -> None:
    server = Server(lambda _: errors)
    with pytest.raises(TransportQueryError, match="does not allow introspection") as caught:
        fetch(server)
    assert errors[0]["message"] in str(caught.value)
    assert caught.value.errors == errors
    assert len(server.queries) == 1


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "FORBIDDEN"])
def test_not_allowed_is_no_matter_of_features(code: str) -> None:
    server = Server(lambda _: [{"message": "who are you?", "extensions": {"code": code}}])
    with pytest.raises(TransportQueryError, match="refuses the introspection query: who are you"):
        fetch(server)
    assert len(server.queries) == 1


@pytest.mark.parametrize(
    "errors",
    [
        [{"message": "no"}, {"message": "never"}],
        ["a string"],
        [{"message": None, "locations": "here", "extensions": []}],
        [{"message": "no", "locations": [None, {"line": "x"}, {"line": 10_000}, {"line": 0}]}],
        [{"message": 'Cannot query field "isOneOf" on type "__Type".'}],
        [{"message": 'Unknown argument "includeDeprecated" on field "fields"'}],
        [{"message": "Query depth 12 exceeds maximum 5"}],
    ],
)
def test_a_server_that_is_never_content(errors: Errors) -> None:
    server = Server(lambda _: errors)
    with pytest.raises(TransportQueryError, match="server refuses") as caught:
        fetch(server)
    assert caught.value.errors == errors
    assert 2 <= len(server.queries) <= 6
    assert not any(feature in server.queries[-1] for feature in FEATURES)


def test_several_reasons_are_counted() -> None:
    server = Server(lambda _: [{"message": "no"}, {"message": "never"}])
    with pytest.raises(TransportQueryError, match=r"no \(and 1 more\)"):
        fetch(server)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (ExecutionResult(), "neither a schema nor errors"),
        (ExecutionResult(data={}), "neither a schema nor errors"),
        (ExecutionResult(data={"__schema": None}), "neither a schema nor errors"),
        (ExecutionResult(data={"__schema": {"types": 5}}), r"can't be used: '__schema\.types'"),
        (ExecutionResult(data=[1]), "neither a schema nor errors"),
    ],
)
def test_answers_that_are_none(result: ExecutionResult, words: str) -> None:
    with pytest.raises(TransportProtocolError, match=words):
        Introspection().answer(result)


def test_a_schema_that_came_with_errors_is_used() -> None:
    introspection = Introspection()
    result = execute_sync(load_schema(STAR_WARS), introspection.request().document)
    schema = introspection.answer(ExecutionResult(result.data, [{"message": "one failed"}]))
    assert schema is not None
    assert "Human" in schema.type_map


def test_half_a_schema_that_came_with_errors_is_a_refusal() -> None:
    introspection = Introspection()
    data = {"__schema": {"types": [{"kind": "OBJECT", "name": "Query", "fields": None}]}}
    assert introspection.answer(ExecutionResult(data, [{"message": "isOneOf?"}])) is None
    assert "isOneOf" not in introspection.request().text


# How deep


DEEP = "type Query { a: [[[[[[[Int!]!]!]!]!]!]!]! }"  # 15 lists and non-nulls


def depth_of(query: str) -> int:
    return query.count("ofType")


def test_deeper_types_are_asked_for_again() -> None:
    server = Server(nothing, load_schema(DEEP))
    assert print_schema(fetch(server)) == DEEP.replace("{ ", "{\n  ").replace(" }", "\n}")
    assert [depth_of(query) for query in server.queries] == [9, 25]


def test_types_deeper_than_that() -> None:
    server = Server(nothing, load_schema(f"type Query {{ a: {'[' * 30}Int{']' * 30} }}"))
    with pytest.raises(TransportProtocolError, match=r"Query\.fields\.a\.type.*type_depth"):
        fetch(server)
    assert len(server.queries) == 2
    schema = fetch(Server(nothing, server.schema), IntrospectionOptions(type_depth=30))
    assert print_schema(schema) == print_schema(server.schema)


def test_a_depth_that_was_chosen_is_kept() -> None:
    server = Server(nothing, load_schema(DEEP))
    with pytest.raises(TransportProtocolError, match="larger type_depth"):
        fetch(server, IntrospectionOptions(type_depth=14))
    assert [depth_of(query) for query in server.queries] == [14]
    fetch(server, IntrospectionOptions(type_depth=15))


@pytest.mark.parametrize(
    "message",
    [
        "Query has depth of 15, which exceeds max depth of 13",
        "'IntrospectionQuery' exceeds maximum operation depth of 8",
        "The query is too deep.",
        "Query is nested too deeply",
        "Query has complexity of 300, which exceeds max complexity of 250",
    ],
)
@pytest.mark.parametrize("allowed", [3, 5, 8])
def test_a_server_with_limits(message: str, allowed: int) -> None:
    def refuse(request: GraphQLRequest) -> Errors:
        return [{"message": message}] if depth_of(request.text) > allowed else []

    server = Server(refuse, load_schema("type Query { a: [Int!]! }"))
    assert print_schema(fetch(server)) == print_schema(server.schema)
    assert [depth_of(query) for query in server.queries] == [9, 5, 3][: 3 if allowed == 3 else 2]
    assert all(feature in server.queries[-1] for feature in FEATURES)


def test_limits_that_are_too_narrow_for_the_schema() -> None:
    """It can't be asked for more, since that was refused already."""

    def refuse(request: GraphQLRequest) -> Errors:
        return [{"message": "too deep"}] if depth_of(request.text) > 5 else []

    with pytest.raises(TransportProtocolError, match="cut off"):
        fetch(Server(refuse, load_schema(DEEP)))


# Options


def test_what_was_not_wanted_is_not_asked_for() -> None:
    server = Server(nothing)
    options = IntrospectionOptions(
        descriptions=False,
        specified_by_url=False,
        directive_is_repeatable=False,
        input_value_deprecation=False,
        input_object_one_of=False,
        type_depth=4,
    )
    schema = fetch(server, options)
    (query,) = server.queries
    assert not any(feature in query for feature in FEATURES)
    assert "description" not in query
    assert depth_of(query) == 4
    assert schema.type_map["Episode"].description is None


def test_a_description_of_the_schema_alone() -> None:
    text = Introspection(IntrospectionOptions(descriptions=False, schema_description=True))
    assert text.request().text.count("description") == 1


@pytest.mark.parametrize(
    ("option", "feature"),
    [
        ("input_object_one_of", "isOneOf"),
        ("specified_by_url", "specifiedByURL"),
        ("directive_is_repeatable", "isRepeatable"),
        ("input_value_deprecation", "includeDeprecated: true) { ...InputValue"),
        ("schema_description", "__schema {\ndescription"),
    ],
)
def test_what_must_be_known_is_not_left_out(option: str, feature: str) -> None:
    options: Mapping[str, Any] = {option: True}
    server = Server(unknown(*FEATURES, wording=WORDINGS["graphql-js"]))
    with pytest.raises(TransportQueryError, match=f"asked for by {option}: "):
        fetch(server, IntrospectionOptions(**options))
    other = next(f for f in FEATURES if f != feature)
    server = Server(unknown(other, wording=WORDINGS["graphql-js"]))
    fetch(server, IntrospectionOptions(**options))
    assert feature in server.queries[-1]
    assert other not in server.queries[-1]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"type_depth": 0}, ValueError, "type_depth must be from 1 to 100"),
        ({"type_depth": 101}, ValueError, "not 101"),
        ({"type_depth": True}, TypeError, "type_depth must be an int"),
        ({"type_depth": "9"}, TypeError, "type_depth must be an int"),
        ({"descriptions": None}, TypeError, "descriptions must be a bool, not None"),
        ({"specified_by_url": 1}, TypeError, "specified_by_url must be a bool or None, not 1"),
    ],
)
def test_options_that_can_t_be(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        IntrospectionOptions(**options)


def test_options_are_values() -> None:
    assert IntrospectionOptions() == IntrospectionOptions(type_depth=None)
    assert hash(IntrospectionOptions(descriptions=False))
    with pytest.raises(AttributeError):
        IntrospectionOptions().descriptions = False  # type: ignore[misc]


def test_the_query_asks_for_what_graphql_core_s_own_does() -> None:
    core = graphql.parse(
        graphql.get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        )
    )
    schema = load_schema("input One @oneOf { a: Int } " + STAR_WARS)
    asked = Introspection(IntrospectionOptions(input_object_one_of=False)).request().document
    by_core, by_us = execute_sync(schema, core), execute_sync(schema, asked)
    assert by_us.errors is None
    assert _without_root_kinds(by_core.data) == _without_root_kinds(by_us.data)
    operation = asked.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert re.search(r"\bisOneOf\b", Introspection().request().text)


def _without_root_kinds(data: Any) -> Any:
    for root in ("queryType", "mutationType", "subscriptionType"):
        data["__schema"][root].pop("kind", None)
    return data
