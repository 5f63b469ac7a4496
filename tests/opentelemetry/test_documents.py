"""Documents without literals."""

from __future__ import annotations

import pytest

from anygql import GraphQLRequest
from anygql.opentelemetry.documents import without_literals

EVERYTHING = '''query Q($a: Int = 7, $b: [String!]! = ["s3cret"] @d(x: "s3cret")) {
    # s3cret
    field(int: 1, float: -1.5e3, text: "s3cret", bool: true, none: null, enum: RED,
          block: """s3cret""", list: [1, $a], object: {a: "s3cret", b: $b}, var: $a)
}'''

FRAGMENTS = """query ($x: Boolean!) {
    alias: a @include(if: $x) @skip(if: false) ...F ... on T { b }
}
fragment F on T { c(x: "s3cret") }"""


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ("{ hello }", "{ hello }"),
        ("mutation { pay(card: 4111) }", "mutation { pay(card: ?) }"),
        ('"s3cret" type A { a: Int } query A { a }', "? type A { a: Int } query A { a }"),
        (
            FRAGMENTS,
            (
                "query ($x: Boolean!) { alias: a @include(if: $x) @skip(if: ?) ...F ... on T { b } "
                "} fragment F on T { c(x: ?) }"
            ),
        ),
        (
            EVERYTHING,
            (
                "query Q($a: Int = ?, $b: [String!]! = ? @d(x: ?)) { field( int: ? float: ? "
                "text: ? bool: ? none: ? enum: ? block: ? list: ? object: ? var: $a ) }"
            ),
        ),
    ],
)
def test_values_are_replaced(document: str, shown: str) -> None:
    assert without_literals(GraphQLRequest(document).source) == shown


def test_what_does_not_parse() -> None:
    assert without_literals(GraphQLRequest("{").source) is None
