"""How errors are told apart, and that their words aren't told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio import get_cancelled_exc_class
from anyio.lowlevel import checkpoint

from anygql import GraphQLRequest, ResultTypeError, TransportError, TransportTimeout
from anygql.opentelemetry.errors import (
    error_type,
    error_type_of_result,
    record_errors,
    was_canceled,
)
from tests.support.telemetry import Telemetry


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
        # Python refuses to print it.
        ([{"extensions": {"code": 10**5000}}], "TransportQueryError"),
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


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (["heroes", 0, "name"], "heroes[0].name"),
        ([True, None, 1.5, "no name", 10**5000], "?.?.?.?.?"),
        (["a"] * 100_000, "a." * 512 + "…"),
        (["a" * 100_000], "a" * 1024 + "…"),
    ],
)
def test_the_path_of_an_error(telemetry: Telemetry, path: list[Any], shown: str) -> None:
    with telemetry.tracer.start_as_current_span("query") as span:
        record_errors(span, [{"message": "no", "path": path}], GraphQLRequest("{ a }"))
    (event,) = telemetry.span.events
    assert (event.attributes or {})["graphql.error.path"] == shown


async def test_a_fault_beside_cancellations_is_a_fault() -> None:
    await checkpoint()
    canceled = get_cancelled_exc_class()
    alone = BaseExceptionGroup("", [canceled.__new__(canceled)])
    assert was_canceled(alone)
    assert not was_canceled(BaseExceptionGroup("", [*alone.exceptions, ValueError()]))


def test_a_coroutine_that_is_collected_was_canceled() -> None:
    assert was_canceled(GeneratorExit())
    assert not was_canceled(KeyboardInterrupt())
    assert not was_canceled(ValueError())
