"""What was refused never looks like success, in whatever shape it came."""

from __future__ import annotations

from typing import Any

import pytest

from anygql.results.answers import (
    NotAResult,
    are_graphql_errors,
    read_refusal,
    read_result,
    server_words,
)
from anygql.results.result import ExecutionResult

ERROR = {"message": "real"}


@pytest.mark.parametrize(
    ("payload", "result", "has_data"),
    [
        ({"data": {"a": 1}}, ExecutionResult({"a": 1}), True),
        ({"data": None}, ExecutionResult(None), True),
        ({"data": None, "errors": None}, ExecutionResult(None), True),
        ({"data": {}, "errors": []}, ExecutionResult({}, []), True),
        ({"data": None, "errors": [ERROR]}, ExecutionResult(None, [ERROR]), True),
        ({"errors": [ERROR]}, ExecutionResult(errors=[ERROR]), False),
        ({"data": [], "errors": [ERROR]}, ExecutionResult([], [ERROR]), True),
        ({"data": "", "errors": [ERROR]}, ExecutionResult("", [ERROR]), True),
        ({"data": {}, "extensions": {"t": 1}}, ExecutionResult({}, None, {"t": 1}), True),
    ],
)
def test_a_result(payload: Any, result: ExecutionResult, has_data: bool) -> None:
    read = read_result(payload)
    assert read == result
    assert read.has_data == has_data


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ({}, "a JSON object without data and errors"),
        ({"message": "Internal server error"}, "a JSON object without data and errors"),
        ({"errors": []}, "a JSON object without data and errors"),
        ({"errors": None}, "a JSON object without data and errors"),
        ({"errors": "Not Found"}, "whose 'errors' is a JSON string, not a list"),
        ({"data": {"a": 1}, "errors": {}}, "whose 'errors' is a JSON object, not a list"),
        ({"data": {"a": 1}, "errors": ""}, "whose 'errors' is a JSON string, not a list"),
        ({"data": {"a": 1}, "errors": False}, "whose 'errors' is a JSON boolean, not a list"),
        ({"data": []}, "whose 'data' is a JSON array, not an object"),
        ({"data": 1, "errors": []}, "whose 'data' is a JSON number, not an object"),
        ([{"data": {}}], "a JSON array"),
        ("no", "a JSON string"),
        (None, "null"),
    ],
)
def test_no_result(payload: Any, what: str) -> None:
    with pytest.raises(NotAResult) as caught:
        read_result(payload)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "errors"),
    [
        ([ERROR], [ERROR]),
        ([ERROR, {"message": "two"}], [ERROR, {"message": "two"}]),
        (ERROR, [ERROR]),
        ({"errors": [ERROR]}, [ERROR]),
        ([{"errors": [ERROR]}], [ERROR]),
        ("Field 'x' not found", [{"message": "Field 'x' not found"}]),
        ({"error": "nope"}, [{"message": "nope", "error": "nope"}]),
        ({"message": "m", "errors": [ERROR]}, [{"message": "m", "errors": [ERROR]}]),
        (["text"], ["text"]),
        ({"message": None, "error": "nope"}, [{"message": "nope", "error": "nope"}]),
    ],
)
def test_a_refusal(payload: Any, errors: list[Any]) -> None:
    assert read_refusal(payload).errors == errors


@pytest.mark.parametrize(
    "payload",
    [
        *([], {}, None, "", {"errors": []}, [None], [[]], [{"errors": []}], " \n", [""], False, 0),
        *([{}], {"errors": {}}, {"errors": [None, {}]}, {"errors": False}),
    ],
)
def test_a_refusal_without_a_reason_says_so(payload: Any) -> None:
    result = read_refusal(payload)
    assert not result.has_data
    assert result.errors is not None
    assert "gave no reason" in result.errors[0]["message"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("It has verified, expired.", "It has verified, expired."),
        ({"message": "no"}, "no"),
        ({"error": "no"}, "no"),
        ({"error": {"message": "no"}}, "no"),
        ({"errors": [{"errorType": "X", "message": "no"}]}, "no"),
        ([{"message": "no"}, {"message": "two"}], "no"),
        ({"errors": "Not Found"}, "Not Found"),
        ({"error_message": "quota"}, "quota"),
        ({"error": "invalid_token", "error_description": "It expired"}, "It expired"),
        ({"errors": {"base": ["is too long"]}}, "is too long"),
        ({"errors": {"name": [{"error": "blank", "value": ""}]}}, "blank"),
        ({"message": "", "error": "no"}, "no"),
        ({"fault": {"faultstring": "Invalid ApiKey"}}, "Invalid ApiKey"),
        ({"data": {"secret": "x"}}, ""),
        ("one\ntwo", "one"),
        ("\n  one", "one"),
        (None, ""),
        (5, ""),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_the_servers_words(payload: Any, words: str) -> None:
    assert server_words(payload) == words


def test_depth_is_bounded() -> None:
    deep: Any = "end"
    for _ in range(100_000):
        deep = {"errors": [deep]}
    assert server_words(deep) == ""
    assert read_refusal(deep).errors
    while isinstance(deep, dict):  # freed one by one: the interpreter's own way is recursive
        deep = deep.pop("errors").pop()


@pytest.mark.parametrize(
    ("errors", "well_formed"),
    [
        ([ERROR], True),
        ([ERROR, {"message": "two", "path": []}], True),
        ([], False),
        (None, False),
        ([{"message": 5}], False),
        (["text"], False),
        ([ERROR, "text"], False),
        ({"message": "x"}, False),
    ],
)
def test_well_formed_errors(errors: Any, well_formed: bool) -> None:
    assert are_graphql_errors(errors) == well_formed
