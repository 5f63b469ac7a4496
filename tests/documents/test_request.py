"""Documents and requests."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
import traceback
from typing import Any

import graphql
import msgspec
import pytest

from anygql.documents.request import GraphQLRequest, as_request, gql

TWO = "query First { a } mutation Second { b } fragment F on T { c }"


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("{ a }", (None, "query")),
        ("query { a }", (None, "query")),
        ("query Q { a }", ("Q", "query")),
        ("mutation M { a }", ("M", "mutation")),
        ("subscription { a }", (None, "subscription")),
        ("fragment F on T { b } subscription S { ...F }", ("S", "subscription")),
    ],
)
def test_one_operation(text: str, operation: tuple[str | None, str]) -> None:
    for request in (gql(text), GraphQLRequest(text), as_request(text), as_request(gql(text))):
        assert request.operation == operation
        assert request.kind == operation[1]
        assert request.text == text


def test_a_tree_is_printed() -> None:
    node = graphql.parse("{a}")
    request = gql(node)
    assert request.document is node
    assert request.text == "{\n  a\n}"
    assert as_request(node).kind == "query"


def test_text_is_sent_as_it_was_given() -> None:
    text = "# why\n{a  ,b}"
    assert gql(text).text == text
    assert bytes(gql(text).source.json) == msgspec.json.encode(text)


def test_a_subclass_of_str_is_text() -> None:
    class Markup(str):
        __slots__ = ()

    request = GraphQLRequest(Markup("query Q { a }"), None, Markup("Q"))
    assert type(request.text) is str
    assert type(request.operation_name) is str
    assert request == GraphQLRequest("query Q { a }", None, "Q")


@pytest.mark.parametrize(
    ("name", "operation"), [("First", ("First", "query")), ("Second", ("Second", "mutation"))]
)
def test_several_operations(name: str, operation: tuple[str, str]) -> None:
    assert GraphQLRequest(TWO, None, name).operation == operation
    assert as_request(TWO, None, name).operation == operation
    assert as_request(gql(TWO), None, name).operation == operation


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        (TWO, None, r"has 2 operations \('First', 'Second'\): say which with operation_name"),
        (TWO, "Third", r"has no operation 'Third', but 'First', 'Second'"),
        (TWO, "F", r"has no operation 'F', but"),
        ("{ a }", "Q", r"has no operation 'Q', but one without a name"),
        ("{ a }", "", r"has no operation '', but one without a name"),
        ("query A { a } query A { b }", "A", r"two operations named 'A'"),
        ("{ a } { b }", None, r"two operations without a name"),
        ("{ a } query Q { b }", "Q", r"without a name must be the only one"),
        ("fragment F on T { a }", None, r"no operation, only fragments or type definitions"),
        ("type T { a: Int }", None, r"no operation, only fragments or type definitions"),
    ],
)
def test_no_operation_that_could_run(text: str, name: str | None, told: str) -> None:
    request = GraphQLRequest(text, None, name)  # nothing is looked at yet
    with pytest.raises(ValueError, match=told):
        _ = request.operation
    with pytest.raises(ValueError, match=told):
        as_request(text, None, name)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("{ a(", 1, 5), ("query {\n  a\n  b: \n}", 4, 1), ("", 1, 1), ('{ a(s: "\ud800") }', 1, 9)],
)
def test_a_syntax_error_says_where(text: str, line: int, column: int) -> None:
    request = gql(text)
    for read in (lambda: request.kind, lambda: request.document, lambda: as_request(text)):
        with pytest.raises(graphql.GraphQLSyntaxError) as caught:
            read()
        assert [(at.line, at.column) for at in caught.value.locations or ()] == [(line, column)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    calls = {"parse": 0, "print_ast": 0}
    for name in calls:
        real = getattr(graphql, name)

        def counting(*args: Any, name: str = name, real: Any = real) -> Any:
            calls[name] += 1
            return real(*args)

        monkeypatch.setattr(graphql, name, counting)
    return calls


def test_text_is_parsed_once_and_never_printed(counted: dict[str, int]) -> None:
    text = "query Parsed { once }"
    requests = [gql(text), GraphQLRequest(text, {"a": 1}), gql(text).replace(extensions={"x": 1})]
    assert counted == {"parse": 0, "print_ast": 0}
    for request in [*requests, as_request(text), as_request(text)]:
        _ = request.kind, request.document, request.text, request.source.json
    assert counted == {"parse": 1, "print_ast": 0}
    assert len({id(request.source.json) for request in requests}) == 1


def test_a_tree_is_printed_once_and_never_parsed(counted: dict[str, int]) -> None:
    node = graphql.parse("query Printed { once }")
    counted["parse"] = 0
    for request in (gql(node), GraphQLRequest(node, {"a": 1}), as_request(node)):
        _ = request.kind, request.text, request.source.json
    assert counted == {"parse": 0, "print_ast": 1}


def test_equal_trees_are_not_taken_for_each_other() -> None:
    one, other = graphql.parse("{ a }"), graphql.parse("{ a }")
    assert gql(one).document is one
    assert gql(other).document is other


def test_the_parser_is_not_loaded_before_it_is_needed() -> None:
    program = """
        import sys
        from anygql.documents.request import GraphQLRequest, gql
        request = GraphQLRequest("{ a }", {"n": 1})
        assert gql("{ a }") == gql("{ a }"), "compared by text"
        repr(request), request.text, request.source.json
        assert request.kind == "query", "recognized without a tree"
        loaded = [name for name in sys.modules if name.partition(".")[0] == "graphql"]
        assert not loaded, loaded
        assert request.document.definitions
        assert "graphql" in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: gql(3), "a GraphQL document is a str or a graphql.DocumentNode, not int"),
        (lambda: gql(b"{ a }"), "not bytes"),
        (lambda: gql(None), "not NoneType"),
        (lambda: gql(gql("{ a }")), "not GraphQLRequest"),
        (lambda: gql(type("DocumentNode", (), {})()), "not DocumentNode"),
        (lambda: as_request(["{ a }"]), "not list"),
        (lambda: GraphQLRequest("{ a }", [1]), "variable_values must be a mapping, not list"),
        (lambda: GraphQLRequest("{ a }", "x"), "variable_values must be a mapping, not str"),
        (lambda: GraphQLRequest("{ a }", None, 3), "operation_name must be a str, not int"),
        (lambda: GraphQLRequest("{ a }", None, None, 3), "extensions must be a mapping, not int"),
        (lambda: gql("{ a }").replace(variable_values=3), "variable_values must be a mapping"),
        (lambda: as_request(gql("{ a }"), None, 3), "operation_name must be a str, not int"),
    ],
)
def test_wrong_types_are_named(make: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        make()


@pytest.mark.parametrize(
    "name", ["document", "variable_values", "operation_name", "extensions", "_source", "other"]
)
def test_a_request_can_not_be_changed(name: str) -> None:
    request = gql("{ a }")
    with pytest.raises(AttributeError, match=r"replace\(\)"):
        setattr(request, name, None)
    with pytest.raises(AttributeError, match=r"replace\(\)"):
        delattr(request, name)


def test_replace() -> None:
    request = GraphQLRequest(TWO, {"a": 1}, "First", {"x": 1})
    assert request.kind == "query"
    assert request.replace() == request
    assert request.replace(variable_values={}).variable_values == {}
    second = request.replace(operation_name="Second")
    assert second.kind == "mutation"
    assert second.variable_values == {"a": 1}
    assert second.extensions == {"x": 1}
    assert second.source is request.source
    assert request.operation_name == "First"


def test_arguments_win_over_the_request_s_own() -> None:
    request = GraphQLRequest(TWO, {"a": 1}, "First", {"x": 1})
    assert as_request(request) is request
    new = as_request(request, {"a": 2}, "Second", {"x": 2})
    assert (new.variable_values, new.operation_name, new.extensions) == (
        {"a": 2},
        "Second",
        {"x": 2},
    )


def test_equality() -> None:
    request = GraphQLRequest("{ a }", {"a": 1})
    assert request == GraphQLRequest("{ a }", {"a": 1})
    assert gql("{ a }") == GraphQLRequest("{ a }", {}, None, {})
    assert request != gql("{ a }")
    assert request != GraphQLRequest("{ b }", {"a": 1})
    assert request != "{ a }"
    with pytest.raises(TypeError, match="unhashable"):
        hash(request)


@pytest.mark.parametrize("document", [TWO, graphql.parse(TWO)], ids=["text", "tree"])
def test_copies(document: Any) -> None:
    request = GraphQLRequest(document, {"a": [1]}, "Second", {"x": 1})
    for again in (
        copy.copy(request),
        copy.deepcopy(request),
        pickle.loads(pickle.dumps(request)),
    ):
        assert again == request
        assert again.kind == "mutation"


def test_repr_shows_no_values() -> None:
    request = GraphQLRequest("query Login { a }", {"password": "hunter2"}, "Login", {"k": "token"})
    assert repr(request) == "<GraphQLRequest 'Login': 17 characters, 1 variables>"
    assert repr(gql("{ a }")) == "<GraphQLRequest: 5 characters, 0 variables>"


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("{ a(", "line 1, column 5: Expected Name, found <EOF>."),
        ("query {\n  a\n  b: }\n", "line 3, column 6: Expected Name, found '}'."),
        ("", "line 1, column 1: Unexpected <EOF>."),
        ('{ a(b: "x) }', "line 1, column 13: Unterminated string."),
        ("{ \u2028 }", "line 1, column 3: Unexpected character: U+2028."),
    ],
)
def test_a_syntax_error_ends_with_line_and_column(text: str, last: str) -> None:
    with pytest.raises(graphql.GraphQLSyntaxError) as caught:
        _ = gql(text).operation
    assert str(caught.value).splitlines()[-1] == last
    assert str(caught.value).startswith("Syntax Error: ")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    shown = traceback.format_exception_only(caught.value)
    assert "".join(shown).startswith("graphql.GraphQLSyntaxError: ")
