"""What an operation gives back."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from anygql.exceptions import TransportQueryError
from anygql.results.result import (
    ExecutionResult,
    Origin,
    ResultWithOrigin,
    copy_result,
    data_or_raise,
    json_text,
    read_undecoded,
)


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


def containers(value: Any) -> set[int]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return {id(value)}.union(*map(containers, items))
    return set()


@pytest.mark.parametrize(
    "result",
    [
        ExecutionResult({"a": [{"b": [1, {}]}, "c", [[]]]}, [{"path": ["a"]}], {"e": {"f": []}}),
        ExecutionResult(None, [{"message": "no"}]),
        ExecutionResult(errors=["no"]),
        ExecutionResult({}),
    ],
)
def test_a_copy_has_nothing_in_common(result: ExecutionResult) -> None:
    copied = copy_result(result)
    assert copied == result
    assert copied.has_data == result.has_data
    for name in ("data", "errors", "extensions"):
        assert not containers(getattr(copied, name)) & containers(getattr(result, name))


def test_a_copy_of_what_is_nested_deeply() -> None:
    data: Any = {}
    for _ in range(10_000):
        data = {"a": [data]}
    copied = copy_result(ExecutionResult(data)).data
    for _ in range(10_000):
        assert copied is not data
        copied, data = copied["a"][0], data["a"][0]


def test_a_copy_keeps_its_text_and_its_headers() -> None:
    text = read_undecoded(b'{"data": {"a": 1}}')
    assert text is not None
    result = ResultWithOrigin.make(text, Origin(200, {"x": "y"}))
    copied = copy_result(result)
    assert json_text(copied) is not None
    assert copied.headers == {"x": "y"}
    assert copied.data == {"a": 1}
    assert json_text(result) is not None
