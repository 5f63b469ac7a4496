"""The plain builder: fields, fragments, directives, arguments and variables."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from graphql import parse, print_ast
from hypothesis import given, settings
from hypothesis import strategies as st

from anygql.documents.recognizer import operations_in
from anygql.dsl import (
    Operation,
    Selection,
    Variable,
    directive,
    field,
    fragment,
    mutation,
    on,
    query,
    select,
    subscription,
    var,
)
from anygql.schema.client_schema import ClientSchema
from anygql.schema.loading import load_schema
from tests.schema.starwars import STAR_WARS

SCHEMA = load_schema(STAR_WARS)
CHECKED = ClientSchema(SCHEMA)


def printed(*parts: Any, **options: Any) -> str:
    """The document's text, in one line; graphql-core prints the same."""
    text = select(*parts, **options).text
    assert operations_in(text) is not None
    assert print_ast(parse(text)) == text
    return " ".join(text.split())


def test_the_parts_of_a_document() -> None:
    hero = field(
        "hero",
        {"id": var("id", "ID!")},
        "name",
        field("friends", None, "name").alias("f"),
        on("Droid", "primaryFunction"),
    )
    assert printed(query(hero)) == (
        "query ($id: ID!) { hero(id: $id) "
        "{ name f: friends { name } ... on Droid { primaryFunction } } }"
    )


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (query("a"), "{ a }"),
        (query("a", "b"), "{ a b }"),
        (query("a", {}, "b"), "{ a { b } }"),
        (query("a", None, "b"), "{ a { b } }"),
        (query("a", x=var("Int")), "query ($x: Int) { a(x: $x) }"),
        (query("a", "b", x=var("Int")), "query ($x: Int) { a(x: $x) { b } }"),
        (query("a", {"x": var("Int")}, y=var("y2", "[Int!]!")), "($x: Int, $y2: [Int!]!)"),
        (query("a", field("b")), "{ a b }"),
        (query(field("a").alias("x"), "b"), "{ x: a b }"),
        (query("a").named("Q"), "query Q { a }"),
        (query("__typename"), "{ __typename }"),
        (query("__schema", {}, field("types", "name")), "{ __schema { types { name } } }"),
        (
            query("__type", {"name": "Human"}, "kind"),
            "query ($name: String!) { __type(name: $name)",
        ),
        (mutation("a"), "mutation { a }"),
        (subscription("a").named("S"), "subscription S { a }"),
        (query("a").directives(directive("live"), directive("b", n=var("Int"))), "@live @b(n: $n)"),
        (query("a", {}, on(None, "b").include(var("x", "Boolean!"))), "... @include(if: $x) { b }"),
        (
            query(on("Query", "a").skip(False)),
            "query ($if: Boolean!) { ... on Query @skip(if: $if)",
        ),
        (query(field("a").include(var("Boolean!"))), "query ($includeA: Boolean!)"),
        (query(field("a").alias("b").skip(var("Boolean!"))), "b: a @skip(if: $skipB)"),
        (query(field("a").directives(directive("defer", label="l"))), '@defer(label: "l")'),
        (query("a", x=[var("y", "Int"), var("z", "Int")]), "a(x: [$y, $z])"),
        (query("a", x={"b": {"c": var("Int")}}), "query ($c: Int) { a(x: { b: { c: $c } }) }"),
    ],
)
def test_every_part(operation: Operation[Any], text: str) -> None:
    assert text in printed(operation)


def test_several_operations() -> None:
    request = select(
        query("hero", None, "name").named("Hero"),
        mutation("createReview", {"episode": var("Episode", default="JEDI")}).named("Review"),
        query("a", {"episode": var("Episode", default="EMPIRE")}).named("Other"),
    )
    assert request.source.operations == {"Hero": "query", "Review": "mutation", "Other": "query"}
    assert request.variable_values is None
    review = request.replace(operation_name="Review", variable_values={"x": 1})
    assert review.variable_values == {"episode": "JEDI", "x": 1}
    assert review.replace(operation_name="Other").variable_values == {"episode": "EMPIRE", "x": 1}
    assert request.replace(operation_name="Hero").variable_values is None


@pytest.mark.parametrize(
    "operations",
    [(query("a"), query("b")), (query("a").named("Q"), query("b")), (query("a").named("Q"),) * 2],
)
def test_several_operations_need_names(operations: tuple[Operation[Any], ...]) -> None:
    with pytest.raises(ValueError, match="each of several operations needs a name of its own"):
        select(*operations)


# Point 2: values become variables.


def test_values_are_variables() -> None:
    request = select(query("hero", None, "name", episode=var("Episode", default="JEDI")))
    assert (
        request.text == "query ($episode: Episode) {\n  hero(episode: $episode) {\n    name\n  }\n}"
    )
    assert request.variable_values == {"episode": "JEDI"}
    again = select(query("hero", None, "name", episode=var("Episode", default="EMPIRE")))
    assert again.source is request.source
    assert again.replace(variable_values={"episode": "NEW_HOPE"}).variable_values == {
        "episode": "NEW_HOPE"
    }


def test_the_schema_knows_the_types_of_values() -> None:
    operation = mutation(
        "createReview", None, "stars", episode="JEDI", review={"stars": 5, "commentary": "good"}
    )
    request = select(operation, schema=SCHEMA)
    assert "mutation ($episode: Episode, $review: ReviewInput!) {" in request.text
    assert "createReview(episode: $episode, review: $review)" in request.text
    assert request.variable_values == {
        "episode": "JEDI",
        "review": {"stars": 5, "commentary": "good"},
    }
    CHECKED.validate(request.source)


def test_types_further_down() -> None:
    connection = field("friendsConnection", {"first": 3}, "totalCount")
    request = select(
        query(
            field(
                "character", {"id": var()}, connection, on("Human", field("height", unit="FOOT"))
            ),
            field("reviews", {"episode": var("which", None), "since": None}, "stars"),
            field("hero", {}, fragment("F", "Human", field("height", unit="METER"))),
        ),
        schema=SCHEMA,
    )
    head = request.text.partition("\n")[0]
    assert head == (
        "query ($id: ID!, $first: Int, $unit: LengthUnit, $which: Episode!, $since: Date, "
        "$unit2: LengthUnit) {"
    )
    assert request.variable_values == {
        "first": 3,
        "unit": "FOOT",
        "since": None,
        "unit2": "METER",
    }
    CHECKED.validate(request.source)


def test_variables_inside_input_objects() -> None:
    review = {"stars": var("Int!"), "commentary": "good", "favoriteColor": {"red": var()}}
    request = select(mutation("createReview", {"review": review}, "stars"), schema=SCHEMA)
    assert request.text.startswith("mutation ($stars: Int!, $commentary: String, $red: Int!) {")
    assert (
        "(review: { stars: $stars, commentary: $commentary, favoriteColor: { red: $red } })"
        in request.text
    )
    assert request.variable_values == {"commentary": "good"}
    CHECKED.validate(request.source)


def test_names_that_clash_are_numbered() -> None:
    def human(id_: Any, key: str) -> Selection:
        return field("human", {"id": id_}, "name").alias(key)

    request = select(
        query(
            human("1", "a"), human("2", "b"), human(var("ID!"), "c"), human(var("id2", "ID!"), "d")
        ),
        schema=SCHEMA,
    )
    assert request.text.startswith("query ($id3: ID!, $id4: ID!, $id: ID!, $id2: ID!) {")
    assert request.variable_values == {"id3": "1", "id4": "2"}
    CHECKED.validate(request.source)


def test_one_variable_in_two_places() -> None:
    text = printed(
        query(field("a", x=var("Int!")), field("b", x=var("Int!")), field("c", y=var("x", "Int!")))
    )
    assert text == "query ($x: Int!) { a(x: $x) b(x: $x) c(y: $x) }"


@pytest.mark.parametrize(
    "other", [var("Int"), var("Int!", default=3), var("Int!").directives(directive("d"))]
)
def test_one_variable_with_two_types(other: Variable) -> None:
    with pytest.raises(ValueError, match=r"\$x is declared twice, as Int! and as .*give one"):
        select(query(field("a", x=var("Int!")), field("b", x=other)))


@pytest.mark.parametrize(
    "operation",
    [
        query("a", x=1),
        query("a", x=var()),
        query("a", x=[1, var("Int")]),
        query(field("a").directives(directive("live", x=1))),
        query("a", {}, fragment("F", "T", field("b", x=1))),
    ],
)
def test_the_type_of_a_value_must_be_known(operation: Operation[Any]) -> None:
    with pytest.raises(ValueError, match=r"\(x:\): its GraphQL type isn't known: write var"):
        select(operation)
    with pytest.raises(ValueError, match=r"\(x:\): its GraphQL type isn't known"):
        select(operation, schema=SCHEMA)


class Unit(Enum):
    METER = "m"


def test_directives_of_variables_are_constant() -> None:
    marked = var("[Int]").directives(
        directive("d", text='a "\n\\', n=[1, 1.5, None, True, {"unit": Unit.METER}])
    )
    assert printed(query("a", x=marked)) == (
        'query ($x: [Int] @d(text: "a \\"\\n\\\\", n: [1, 1.5, null, true, { unit: METER }])) '
        "{ a(x: $x) }"
    )
    with pytest.raises(ValueError, match="@d: there can't be a variable here"):
        select(query("a", x=var("Int").directives(directive("d", x=var("Int")))))
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(TypeError, match="can't be written as a constant"):
            select(query("a", x=var("Int").directives(directive("d", x=value))))


def test_directives_in_every_place() -> None:
    parts = fragment("P", "Human", "name").directives(directive("d1"))
    human = field(
        "human",
        {"id": var("ID!").directives(directive("d2"))},
        field("name").directives(directive("d3"), directive("d3")),
        parts.spread().directives(directive("d4")),
        parts.spread().include(var("Boolean!")),
        on("Human", "id").directives(directive("d5")),
        parts,
    )
    assert printed(query(human).directives(directive("d6"))) == (
        "query ($id: ID! @d2, $includeP: Boolean!) @d6 { human(id: $id) { name @d3 @d3 ...P @d4 "
        "...P @include(if: $includeP) ... on Human @d5 { id } ...P } } "
        "fragment P on Human @d1 { name }"
    )
    with pytest.raises(TypeError, match="definition can't have @include"):
        parts.include(True)


def test_the_fragment_s_values_are_declared_by_each_operation() -> None:
    parts = fragment("P", "Human", field("height", unit="FOOT"))
    request = select(
        query("human", {"id": "1"}, parts).named("A"),
        query("hero", {}, parts, field("id")).named("B"),
        schema=SCHEMA,
    )
    assert "query A($id: ID!, $unit: LengthUnit) {" in request.text
    assert "query B($unit: LengthUnit) {" in request.text
    assert request.replace(operation_name="B").variable_values == {"unit": "FOOT"}
    CHECKED.validate(request.source)


# What isn't a name can't be smuggled in.

WRONG = ["", "a b", "a{b}", "a:b", "1a", "é", "a\n", "a-b", "$a", "a(x: 1)"]


@pytest.mark.parametrize(
    "make",
    [
        field,
        query,
        directive,
        on,
        lambda name: field("a").alias(name),
        lambda name: field("a", {name: 1}),
        lambda name: field("a", **{name: 1}),
        lambda name: field("a", {"x": {name: var("Int")}}),
        lambda name: query("a").named(name),
        lambda name: fragment(name, "T", "a"),
        lambda name: fragment("F", name, "a"),
        lambda name: fragment("F", int).on(name),
        lambda name: var(name, "Int"),
        lambda name: var(name),
        lambda name: var(f"[{name}]!"),
        lambda name: directive("d", {name: 1}),
        lambda name: select(query("a", x=var("T").directives(directive("d", x={name: 1})))),
    ],
)
def test_names_are_names(make: Any) -> None:
    for wrong in WRONG:
        with pytest.raises(ValueError, match=r"can't be the name of|is no GraphQL type"):
            make(wrong)


def test_types_are_types() -> None:
    for wrong in ("Int!!", "[Int", "Int]", "[[Int]", "[]", "!", "[Int]!!", " Int"):
        with pytest.raises(ValueError, match="is no GraphQL type"):
            var(wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: query(), "selects nothing"),
        (lambda: on("T"), "selects nothing"),
        (lambda: fragment("F", "T"), "selects nothing"),
        (lambda: fragment("on", "T", "a"), "can't be named 'on'"),
        (lambda: fragment("F", int, "a"), "the fields of its Python type, and no others"),
        (lambda: field(1), "the name of a field is a str, not int"),
        (lambda: field("a", "b", {"x": 1}), "dict can't be selected"),
        (lambda: field("a", "b", None), "NoneType can't be selected"),
        (lambda: query(field("a"), x=1), "arguments belong to a field"),
        (lambda: directive("d", [1]), "arguments are a mapping, not list"),
        (lambda: field("a").directives("live"), r"write directive\('live'\)"),
        (lambda: query("a").directives(1), "directives are made by directive"),
        (lambda: field("a").include("yes"), "include is a bool or a variable, not str"),
        (lambda: var(1), "a GraphQL type is a str"),
        (lambda: var("a", "b", "c"), r"var\(\) takes a type"),
        (lambda: select(), "select.. takes an operation"),
        (lambda: select(fragment("F", "T", "a")), "select.. takes an operation"),
        (lambda: select(field("a")), "select.. takes operations.*not FieldSelection"),
        (lambda: select(int), "select.. takes operations.*not int"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_what_is_nested_too_deeply() -> None:
    nested = field("a")
    with pytest.raises(ValueError, match="more than 100 selections are within each other"):
        for _ in range(101):
            nested = field("a", {}, nested)
    assert select(query(nested)).text.count("{") == 100
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TypeError, match="'x' is nested too deeply, or within itself"):
        field("a", x=value)


def test_values_are_not_shown() -> None:
    secret = "s3cret"
    operation = query("login", {"password": secret, "x": var("A", default=secret)})
    request = select(query("login", password=var("String!", default=secret)))
    for shown in (operation, operation.selections[0], request, var("A", default=secret)):
        assert secret not in repr(shown)
    assert secret not in request.text


def test_parts_are_equal_by_what_they_are() -> None:
    assert field("a", "b", x=1).alias("c") == field("a", "b", x=1).alias("c")
    assert field("a", x=1) != field("a", x=2)
    assert hash(query("a", "b")) == hash(query("a", "b"))


NAMES = st.sampled_from(["a", "type", "in", "fragment", "on", "query", "_", "__typename", "B1"])
INPUTS = st.recursive(
    st.one_of(NAMES.map(lambda name: var(f"v_{name}", "Int"))),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2),
        st.dictionaries(NAMES, inner, min_size=1, max_size=2),
    ),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(NAMES, INPUTS, max_size=2)
DIRECTIVES = st.builds(directive, NAMES, ARGUMENTS)
SELECTIONS = st.recursive(
    st.one_of(NAMES, st.builds(field, NAMES, ARGUMENTS)),
    lambda inner: st.one_of(
        st.builds(
            lambda name, given, parts, alias, with_: (
                field(name, given, *parts).alias(alias).directives(*with_)
            ),
            NAMES,
            ARGUMENTS,
            st.lists(inner, max_size=3),
            NAMES,
            st.lists(DIRECTIVES, max_size=2),
        ),
        st.builds(
            lambda name, parts, with_: on(name, *parts).directives(*with_),
            st.none() | NAMES,
            st.lists(inner, min_size=1, max_size=3),
            st.lists(DIRECTIVES, max_size=1),
        ),
        st.builds(
            lambda parts: fragment(f"F{abs(hash(tuple(parts)))}", "T", *parts),
            st.lists(inner, min_size=1, max_size=2),
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([query, mutation, subscription]),
    st.lists(SELECTIONS, min_size=2, max_size=3),
    st.none() | NAMES,
)
def test_any_document_is_graphql(make: Any, selections: list[Any], name: str | None) -> None:
    operation = make(*selections)
    request = select(operation if name is None else operation.named(name))
    tree = parse(request.text, no_location=True)
    assert operations_in(request.text) is not None
    assert parse(print_ast(tree), no_location=True) == tree
    (declared,) = request.source.variables.values()
    spread = {word for word in request.text.split() if word.startswith("...F")}
    assert all(f"fragment {each[3:]} on T" in request.text for each in spread)
    assert all(f"${each}: " in request.text for each in declared.types)
