"""Documents checked before they are sent: all errors at once, and once for each document."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import graphql
import pytest
from graphql import GraphQLSyntaxError, parse

import anygql.schema.client_schema as module
import anygql.schema.validation as validation
from anygql import gql
from anygql.documents.document import Document
from anygql.schema import ClientSchema, GraphQLValidationError, load_schema
from anygql.schema.client_schema import forget
from tests.schema.large import large_schema
from tests.schema.starwars import INVALID, STAR_WARS, VALID


@pytest.fixture
def schema() -> ClientSchema:
    return ClientSchema(load_schema(STAR_WARS))


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    """The documents for which graphql-core was asked."""
    asked: list[Document] = []

    def find_errors(schema: Any, document: Document) -> Any:
        asked.append(document)
        return validation.find_errors(schema, document)

    monkeypatch.setattr(module, "find_errors", find_errors)
    return asked


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_valid(schema: ClientSchema, text: str) -> None:
    schema.validate(gql(text).source)


@pytest.mark.parametrize(("text", "expected"), INVALID.values(), ids=INVALID)
def test_all_errors_at_once(
    schema: ClientSchema, text: str, expected: list[tuple[int, int, str]]
) -> None:
    with pytest.raises(GraphQLValidationError) as caught:
        schema.validate(gql(text).source)
    message = str(caught.value)
    found = sorted(
        (error.locations[0].line, error.locations[0].column, error.message)
        for error in caught.value.errors
        if error.locations
    )
    assert [place[:2] for place in found] == [place[:2] for place in expected]
    for (line, column, said), (_, _, words) in zip(found, expected, strict=True):
        assert words in said
        assert f"{line}:{column}" in message
        assert said in message


def test_of_2000_types() -> None:
    schema = ClientSchema(large_schema())
    schema.validate(gql("{ thing9(id: 1) { next { next { grid { id } } } } }").source)
    with pytest.raises(GraphQLValidationError, match="1:33: Cannot query field 'wrong'"):
        schema.validate(gql("{ thing9(id: 1) { next { next { wrong } } } }").source)


def test_a_thousand_errors() -> None:
    schema = ClientSchema(load_schema("type Query { a: Int }"))
    text = "{ " + " ".join(f"b{n}" for n in range(1_000)) + " }"
    with pytest.raises(GraphQLValidationError) as caught:
        schema.validate(gql(text).source)
    assert len(caught.value.errors) == 1_000
    assert "1000 errors" in str(caught.value)
    assert "and 980 more" in str(caught.value)
    assert len(str(caught.value)) < 5_000


def test_a_tree_without_positions(schema: ClientSchema) -> None:
    tree = parse("{ nothing }", no_location=True)
    with pytest.raises(GraphQLValidationError, match="schema: Cannot query field 'nothing'"):
        schema.validate(gql(tree).source)


def test_a_document_that_does_not_parse(schema: ClientSchema) -> None:
    document = gql("{ hero { ").source
    for _ in range(2):
        with pytest.raises(GraphQLSyntaxError):
            schema.validate(document)


def test_nested_too_deeply() -> None:
    schema = ClientSchema(load_schema("type Query { a: Query, b: Int }"))
    document = gql("{ a " * 150 + "{ b }" + " }" * 150).source
    _ = document.node
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_depth() + 80)
    try:
        with pytest.raises(GraphQLValidationError, match="nested too deeply") as caught:
            schema.validate(document)
    finally:
        sys.setrecursionlimit(limit)
    assert "nested too deeply" in caught.value.errors[0].message
    schema.validate(document)  # it was the limit, not the document


def test_nested_too_deeply_to_be_parsed() -> None:
    schema = ClientSchema(load_schema("type Query { a: Query, b: Int }"))
    document = gql("{ a " * 5_000 + "{ b }" + " }" * 5_000).source
    with pytest.raises((GraphQLSyntaxError, GraphQLValidationError), match="nested too deeply"):
        schema.validate(document)


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def test_fragments_nested_too_deeply() -> None:
    schema = ClientSchema(load_schema("type Query { a: Query, b: Int }"))
    fragments = (f"fragment f{n} on Query {{ a {{ ...f{n + 1} }} }}" for n in range(3_000))
    text = " ".join(["{ ...f0 }", *fragments, "fragment f3000 on Query { b }"])
    with pytest.raises(GraphQLValidationError, match="nested too deeply"):
        schema.validate(gql(text).source)


def test_once_for_each_document(schema: ClientSchema, validated: list[Document]) -> None:
    good, bad = gql("{ hero { name } }"), gql("{ hero { nam } }")
    for _ in range(3):
        schema.validate(good.source)
        schema.validate(gql(good.text).source)  # the same text is the same document
        with pytest.raises(GraphQLValidationError):
            schema.validate(bad.source)
    assert validated == [good.source, bad.source]


def test_each_caller_gets_an_error_of_its_own(schema: ClientSchema) -> None:
    document = gql("{ hero { nam } }").source
    caught: list[GraphQLValidationError] = []
    for _ in range(2):
        with pytest.raises(GraphQLValidationError) as raised:
            schema.validate(document)
        caught.append(raised.value)
    assert caught[0] is not caught[1]
    caught[0].errors.clear()
    assert caught[1].errors


def test_once_for_each_schema(validated: list[Document]) -> None:
    """However many clients have it; and what one schema allows, another may not."""
    document = gql("{ hero { name } }").source
    graphql_schema = load_schema(STAR_WARS)
    for _ in range(3):
        ClientSchema(graphql_schema).validate(document)
    with pytest.raises(GraphQLValidationError):
        ClientSchema(load_schema("type Query { a: Int }")).validate(document)
    assert len(validated) == 2


def test_forgotten_on_demand(validated: list[Document]) -> None:
    graphql_schema = load_schema("type Query { a: Int }")
    schema, document = ClientSchema(graphql_schema), gql("{ b }").source
    with pytest.raises(GraphQLValidationError):
        schema.validate(document)
    schema.plans(document)["mine"] = 1
    assert graphql_schema.query_type is not None
    graphql_schema.query_type.fields["b"] = graphql_schema.query_type.fields["a"]
    forget(graphql_schema)
    schema.validate(document)
    assert "mine" not in schema.plans(document)
    assert len(validated) == 2
    forget(load_schema("type Query { a: Int }"))  # one that nothing is known of


def test_plans_live_with_document_and_schema(schema: ClientSchema) -> None:
    one, other = gql("{ hero { name } }").source, gql("{ hero { id } }").source
    schema.plans(one)["parse", None] = "a plan"
    assert schema.plans(one) == {("parse", None): "a plan"}
    assert schema.plans(other) == {}
    assert ClientSchema(schema.graphql).plans(one) == {("parse", None): "a plan"}
    assert ClientSchema(load_schema(STAR_WARS)).plans(one) == {}


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch, validated: list[Document]) -> None:
    monkeypatch.setattr(module, "DOCUMENTS_KEPT", 10)
    schema = ClientSchema(load_schema("type Query { a(n: Int): Int }"))
    documents = [Document(f"{{ a(n: {n}) }}") for n in range(25)]
    for document in documents:
        schema.validate(document)
    assert len(schema._documents) == 10
    assert len(validated) == 25
    for document in documents[-10:]:
        schema.validate(document)
    assert len(validated) == 25
    schema.validate(documents[0])
    assert len(validated) == 26


@pytest.mark.parametrize("text", ["{ a }", "{ b }"], ids=["valid", "invalid"])
def test_nothing_is_kept_alive(text: str) -> None:
    graphql_schema = load_schema("type Query { a: Int }")
    schema = ClientSchema(graphql_schema)
    document, kept = Document(text), Document(text)
    for each in (document, kept):
        try:
            schema.validate(each)
        except GraphQLValidationError as error:
            assert text == "{ b }"
            del error
    gone = weakref.ref(document)
    del document, each
    gc.collect()
    assert gone() is None
    assert len(schema._documents) == 1
    schema_gone = weakref.ref(graphql_schema)
    del graphql_schema, schema
    gc.collect()
    assert schema_gone() is None
    assert kept.text == text


def test_a_document_with_definitions_of_types(schema: ClientSchema) -> None:
    document = Document("{ hero { id } } type Extra { id: ID }")
    with pytest.raises(GraphQLValidationError, match="'Extra' definition is not executable"):
        schema.validate(document)


def test_errors_are_graphql_core_s(schema: ClientSchema) -> None:
    with pytest.raises(GraphQLValidationError) as caught:
        schema.validate(gql("{ nope }").source)
    (error,) = caught.value.errors
    assert isinstance(error, graphql.GraphQLError)
    assert isinstance(caught.value, ValueError)
    assert error.formatted["locations"] == [{"line": 1, "column": 3}]
