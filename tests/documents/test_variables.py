"""What is missing among the variables that are given."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from anygql import GraphQLRequest

DOCUMENT = """
query Q($name: String, $ids: [ID!]!, $limit: Int! = 10, $userId: ID) { a }
"""


def check(document: Any, given: dict[str, Any] | None, name: str | None = None) -> None:
    GraphQLRequest(document, given, name).check_variables()


@pytest.fixture(params=[str, parse], ids=["text", "tree"])
def form(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    "given",
    [
        {"ids": []},
        {"ids": None},  # the server says what is wrong with a value
        {"ids": [], "name": "a", "nmae": "b"},  # not taken for one that is given
        {"ids": [], "other": 1, "page": 2, "afterDate": 3},
        {"ids": [], "x" * 10_000: 1},
    ],
)
def test_names_too_many_pass(form: Any, given: dict[str, Any]) -> None:
    check(form(DOCUMENT), given)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("nmae", "name"),
        ("Name", "name"),
        ("nam", "name"),
        ("names", "name"),
        ("limits", "limit"),
        ("user_id", "userId"),
        ("userID", "userId"),
        ("usreId", "userId"),
    ],
)
def test_a_slip_of_a_name_is_refused(form: Any, slip: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"variables\.{slip}: .*Did you mean '{meant}'") as caught:
        check(form(DOCUMENT), {"ids": [], slip: "secret"})
    assert "secret" not in str(caught.value)
    assert "'Q'" in str(caught.value)


@pytest.mark.parametrize("given", [None, {}, {"name": "a"}])
def test_a_required_variable_is_missing(form: Any, given: dict[str, Any] | None) -> None:
    with pytest.raises(ValueError, match=r"'Q' requires \$ids \(\[ID!\]!\), which is not given\.$"):
        check(form(DOCUMENT), given)


def test_a_required_variable_by_another_name(form: Any) -> None:
    with pytest.raises(ValueError, match="Did you mean 'ids' where 'idz' is given"):
        check(form(DOCUMENT), {"idz": []})
    with pytest.raises(ValueError, match=r"\$a \(A!\), \$b \(\[B!\]!\), which are not given"):
        check(form("mutation ($a: A!, $b: [B!]!) { a }"), None)


def test_each_operation_has_its_own(form: Any) -> None:
    document = form("query A { a } query B($n: Int! @d(a: 1)) { b(n: $n) }")
    check(document, None, "A")
    check(document, {"n": 1}, "A")
    with pytest.raises(ValueError, match=r"'B' requires \$n"):
        check(document, None, "B")
