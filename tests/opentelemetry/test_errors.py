"""How errors are told apart, and that their words aren't told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anygql import ResultTypeError, TransportError, TransportTimeout
from anygql.opentelemetry.errors import error_type, error_type_of_result, was_canceled


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([{"extensions": {"code": "NOT_FOUND"}}], "NOT_FOUND"),
        ([{"extensions": {}}, {"extensions": {"code": 42}}], "42"),
        # What looks like no code isn't told: it may be a sentence.
        ([{"extensions": {"code": "no user 4711"}}], "TransportQueryError"),
        ([{"extensions": {"code": "x" * 65}}], "TransportQueryError"),
        ([{"extensions": {"code": True}}], "TransportQueryError"),
        ([{"extensions": ["code"]}, None, {}], "TransportQueryError"),
    ],
)
def test_the_kind_of_a_result(errors: list[Any], kind: str) -> None:
    assert error_type_of_result(errors) == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TransportTimeout("no answer"), "TransportTimeout"),
        (TransportError("x", code=4403), "TransportError:4403"),
        (TypeError("x"), "TypeError"),
        (json.JSONDecodeError("x", "", 0), "json.decoder.JSONDecodeError"),
        (ResultTypeError("x"), "ResultTypeError"),
    ],
)
def test_the_kind_of_an_error(error: Exception, kind: str) -> None:
    assert error_type(error) == kind


def test_a_coroutine_that_is_collected_was_canceled() -> None:
    assert was_canceled(GeneratorExit())
    assert not was_canceled(KeyboardInterrupt())
    assert not was_canceled(ValueError())
