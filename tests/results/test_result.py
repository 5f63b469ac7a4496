"""What an operation gives back."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from anygql.exceptions import TransportQueryError
from anygql.results.result import ExecutionResult, data_or_raise


def test_all_parts_are_optional() -> None:
    assert ExecutionResult() == ExecutionResult(None, None, None)
    assert ExecutionResult(data={"a": 1}).data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ExecutionResult()),
        ('{"data":null,"errors":null,"extensions":null}', ExecutionResult()),
        ('{"data":{"a":1},"hasNext":false}', ExecutionResult({"a": 1})),
        ('{"errors":[{"message":"x"},"y"]}', ExecutionResult(errors=[{"message": "x"}, "y"])),
    ],
)
def test_is_the_wire_s_form(text: str, expected: ExecutionResult) -> None:
    assert msgspec.json.decode(text, type=ExecutionResult) == expected


@pytest.mark.parametrize("errors", [None, []])
@pytest.mark.parametrize("data", [None, {"a": 1}, {}])
def test_data_without_errors(data: Any, errors: list[Any] | None) -> None:
    assert data_or_raise(ExecutionResult(data, errors)) is data


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ([{"message": "boom"}], "boom"),
        ([{"message": "boom", "path": ["a", 0, "b"]}], "boom (at a.0.b)"),
        ([{"message": "boom", "path": []}], "boom"),
        ([{"message": "boom", "path": None}], "boom"),
        ([{"message": "boom", "path": "a"}], "boom"),
        ([{"message": "boom"}, {"message": "bang"}, {}], "boom (and 2 more)"),
        ([{"code": 3}], "{'code': 3}"),
        (["boom"], "boom"),
        ([None], "None"),
    ],
)
def test_errors_are_raised(errors: list[Any], message: str) -> None:
    result = ExecutionResult({"a": None}, errors, {"cost": 1})
    with pytest.raises(TransportQueryError) as caught:
        data_or_raise(result)
    assert str(caught.value) == message
    assert caught.value.errors == errors
    assert caught.value.data == {"a": None}
    assert caught.value.extensions == {"cost": 1}
    assert not caught.value.retryable


def test_loads_no_parser() -> None:
    program = "import sys, anygql.results.result; assert 'graphql' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "error",
    ["", {"message": ""}, {"message": None}, {"message": " \n", "path": ["a"]}],
)
def test_an_error_without_a_message_is_told_as_one(error: Any) -> None:
    with pytest.raises(TransportQueryError, match="the server gave no reason"):
        data_or_raise(ExecutionResult({"a": None}, [error]))
