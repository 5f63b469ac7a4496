"""What goes out comes in: schemas, documents and values drawn, with graphql-core as the server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from graphql import execute_sync, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql.documents.document import Document
from anygql.json import MsgspecJSON
from anygql.schema.results import results_plan
from anygql.schema.variables import variables_plan
from tests.schema.strategies import Input, documents, inputs, outputs
from tests.support.amount import examples

JSON = MsgspecJSON()

# Building a schema takes its time: that is no fault of what is tested.
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
PROFILE = settings(max_examples=examples(75), deadline=None, suppress_health_check=SLOW)


def through_json(value: Any) -> Any:
    return JSON.decode(JSON.encode(value))


@pytest.mark.sampled
@PROFILE
@given(inputs())
def test_resolvers_get_the_values_that_were_given(case: Input) -> None:
    plan = variables_plan(case.schema, Document(case.document), None)
    sent = through_json(plan(case.variables))
    result = execute_sync(case.schema, parse(case.document), variable_values=sent)
    assert result.errors is None
    assert case.got == case.expected
    assert [type(value) for value in case.got.values()] == [
        type(value) for value in case.expected.values()
    ]


@pytest.mark.sampled
@PROFILE
@given(st.data())
def test_results_have_the_values_that_resolvers_returned(data: st.DataObject) -> None:
    server = data.draw(outputs())
    text = data.draw(documents(server.schema))
    result = execute_sync(server.schema, parse(text))
    assert result.errors is None
    received = through_json(result.data)

    expected = copy.deepcopy(received)
    for path, value in server.returned.items():
        container = expected
        for key in path[:-1]:
            container = container[key]
        container[path[-1]] = value

    plan = results_plan(server.schema, Document(text), None)
    before = copy.deepcopy(received)
    parsed = plan(received)
    assert parsed == expected
    assert received == before
    assert (parsed is received) or not plan.parses_nothing
