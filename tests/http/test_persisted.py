"""Persisted queries.

An id begins with the number of the point that the row is about: 1 SHA-256 of the exact text sent.
2 the extensions. 4 not found, by message or by code. 5 not supported. 7 ``documentId``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from graphql import parse

from anygql import gql
from anygql.documents.request import GraphQLRequest
from anygql.http.persisted import (
    PersistedQueryRefusal,
    document_id,
    persisted_extensions,
    persisted_query_refusal,
)

pytestmark = pytest.mark.over_http

# Apollo's documentation has this pair.
TYPENAME = "{__typename}"
TYPENAME_HASH = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"


@pytest.mark.parametrize("text", [TYPENAME, "{ a }", "{ a\r\n }  # é😀", '{ a(x: "\\"") }'])
def test_1_the_hash_is_that_of_the_exact_text(text: str) -> None:
    assert gql(text).source.sha256 == sha256(text.encode()).hexdigest()


def test_1_a_known_hash() -> None:
    assert gql(TYPENAME).source.sha256 == TYPENAME_HASH


def test_1_a_tree_is_hashed_as_it_is_printed() -> None:
    request = gql(parse("{a  b}"))
    assert request.source.sha256 == sha256(request.text.encode()).hexdigest()


def test_1_the_hash_is_computed_once() -> None:
    assert gql("{ once }").source.sha256 is gql("{ once }").source.sha256


def test_2_the_extensions() -> None:
    hashed = {"version": 1, "sha256Hash": TYPENAME_HASH}
    assert persisted_extensions(gql(TYPENAME)) == {"persistedQuery": hashed}
    given = {"trace": True}
    request = GraphQLRequest(TYPENAME, extensions=given)
    assert persisted_extensions(request) == {"trace": True, "persistedQuery": hashed}
    assert given == {"trace": True}


def test_7_the_document_id() -> None:
    assert document_id(gql(TYPENAME)) == f"sha256:{TYPENAME_HASH}"


NOT_FOUND, NOT_SUPPORTED = PersistedQueryRefusal.NOT_FOUND, PersistedQueryRefusal.NOT_SUPPORTED


def coded(code: Any, message: str = "x") -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code}}


@pytest.mark.parametrize(
    ("errors", "answer"),
    [
        pytest.param([{"message": "PersistedQueryNotFound"}], NOT_FOUND, id="4-message"),
        pytest.param([coded("PERSISTED_QUERY_NOT_FOUND")], NOT_FOUND, id="4-code"),
        pytest.param(
            [coded("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")], NOT_FOUND, id="4-both"
        ),
        pytest.param([coded("HC0020", "PersistedQueryNotFound")], NOT_FOUND, id="4-other-code"),
        pytest.param(
            [{"message": "x"}, {"message": "PersistedQueryNotFound"}], NOT_FOUND, id="4-second"
        ),
        pytest.param([{"message": "PersistedQueryNotSupported"}], NOT_SUPPORTED, id="5-message"),
        pytest.param([coded("PERSISTED_QUERY_NOT_SUPPORTED")], NOT_SUPPORTED, id="5-code"),
        pytest.param(
            [{"message": "PersistedQueryNotFound"}, coded("PERSISTED_QUERY_NOT_SUPPORTED")],
            NOT_SUPPORTED,
            id="5-wins",
        ),
        pytest.param(None, None, id="none"),
        pytest.param([], None, id="empty"),
        pytest.param([{"message": "say PersistedQueryNotFound"}], None, id="in-a-sentence"),
        pytest.param(["PersistedQueryNotFound"], None, id="not-an-object"),
        pytest.param([{"message": ["x"], "extensions": []}, coded({}), {}], None, id="odd"),
    ],
)
def test_answers(errors: Any, answer: PersistedQueryRefusal | None) -> None:
    assert persisted_query_refusal(errors) is answer
