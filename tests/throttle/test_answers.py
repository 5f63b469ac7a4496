"""What answers say about limits, in each server's words."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anygql import (
    ExecutionResult,
    GraphQLRequest,
    TransportConnectionFailed,
    TransportServerError,
    gql,
)
from anygql.net.retry_after import retry_after
from anygql.results.result import Origin, ResultWithOrigin, UndecodedResult, json_text
from anygql.throttle.answers import Answer, Report, is_limit_error, read_error, read_result
from tests.support.amount import examples

NOW = 1_800_000_000
DATE = {"date": formatdate(NOW, usegmt=True)}
QUERY, MUTATION = gql("{ a }"), gql("mutation { a }")
LIMITED = {"type": "RATE_LIMITED", "message": "API rate limit exceeded."}
SECONDARY = {"message": "You have exceeded a secondary rate limit."}


def read(
    headers: dict[str, str] | None = None,
    request: GraphQLRequest = QUERY,
    **fields: Any,
) -> Answer:
    result = ExecutionResult(**fields)
    return read_result(request, ResultWithOrigin.make(result, Origin(200, headers or {})))


def refused(code: int, body: str = "", errors: Any = (), **headers: str) -> TransportServerError:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    error = TransportServerError("no", code=code, body=body, errors=errors, headers=names)
    error.retry_after = retry_after(error.headers)
    return error


def github(remaining: object = 3, reset: object = NOW + 60, limit: object = 5000) -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}": str(value) for name, value in values.items()} | DATE


def shopify(**changed: Any) -> dict[str, Any]:
    status = {"maximumAvailable": 1000.0, "currentlyAvailable": 954, "restoreRate": 50.0}
    cost = {"requestedQueryCost": 101, "actualQueryCost": 46, "throttleStatus": status}
    return {"cost": {**cost, **changed}}


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        (github(), Report(5000, 3, reset=60)),
        (github(reset=NOW - 1), Report(5000, 3, reset=0)),
        (github(limit="many"), Report(0, 3, reset=60)),
        (github(reset=30), Report(5000, 3, reset=30)),
        (github(reset=10**11), Report(5000, 3, reset=86_400)),
        (github(reset=(NOW + 60) * 1000), Report(5000, 3, reset=60)),
        (github(remaining="5, 3"), Report(5000, 3, reset=60)),
        (github(remaining="few"), None),
        (github(remaining="-1"), None),
        (github(remaining="nan"), None),
        (github(reset="inf"), None),
        ({"ratelimit-remaining": "4", "ratelimit-reset": "9"}, Report(0, 4, reset=9)),
        ({"ratelimit": '"default";r=50;t=30'}, Report(0, 50, reset=30)),
        ({"ratelimit": '"a";r=50;t=30, "b" ; t=7 ; r=0'}, Report(0, 0, reset=7)),
        ({"ratelimit": '"a";r=0;t=30, "b";r=0;t=40'}, Report(0, 0, reset=40)),
        ({"ratelimit": "limit=10, remaining=2"}, None),
        ({"x-trace": "9"}, None),
    ],
)
def test_windows(headers: dict[str, str], window: Report | None) -> None:
    assert read(headers, data={"a": 1}) == Answer(has_result=True, window=window)


def test_a_reset_without_a_date_is_of_our_own_clock() -> None:
    headers = github(reset=int(time.time()) + 100)
    del headers["date"]
    window = read(headers, data={"a": 1}).window
    assert window is not None
    assert 90 < window.reset <= 100


RESET_AT = datetime.fromtimestamp(NOW + 60, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("told", "cost", "window"),
    [
        (
            {"cost": 7, "remaining": 3, "limit": 9, "resetAt": RESET_AT},
            7,
            Report(9, 3, reset=60),
        ),
        ({"cost": 7, "remaining": 3, "resetAt": RESET_AT}, 7, Report(0, 3, reset=60)),
        ({"cost": 7, "remaining": 3, "resetAt": "soon"}, 7, None),
        ({"cost": 7, "resetAt": RESET_AT}, 7, None),
        ({"cost": 7, "remaining": 3}, 7, None),
        ({"cost": True}, None, None),
        ({"cost": -1}, None, None),
        ({"cost": 1e300}, None, None),
        (None, None, None),
    ],
)
def test_the_field_of_github(told: Any, cost: float | None, window: Report | None) -> None:
    request = gql("{ a rateLimit { cost } }")
    answer = read(DATE, request, data={"a": 1, "rateLimit": told})
    assert answer == Answer(has_result=True, requested=cost, actual=cost, window=window)
    assert read(DATE, request, data=None).requested is None


def test_headers_are_better_than_the_field() -> None:
    told = {"cost": 2, "remaining": 100, "resetAt": RESET_AT}
    answer = read(github(), gql("{ rateLimit { cost } }"), data={"rateLimit": told})
    assert (answer.requested, answer.window) == (2, Report(5000, 3, reset=60))


def test_data_that_nobody_asks_about_limits_stay_undecoded() -> None:
    result = UndecodedResult(msgspec.Raw(b'{"a": 1}'))
    assert read_result(QUERY, result) == Answer(has_result=True)
    assert json_text(result) is not None


def test_the_cost_of_shopify() -> None:
    bucket = Report(1000, 954, rate=50)
    assert read(data={"a": 1}, extensions=shopify()) == Answer(
        has_result=True, requested=101, actual=46, bucket=bucket
    )
    throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    answer = read(errors=[throttled], extensions=shopify(actualQueryCost=None))
    assert answer == Answer(
        has_result=True, is_refusal=True, requested=101, actual=0, bucket=bucket
    )
    for cost in (None, [], {"cost": None}, shopify(throttleStatus={"maximumAvailable": "x"})):
        assert read(data={"a": 1}, extensions=cost).bucket is None
    for name in ("maximumAvailable", "restoreRate"):
        status = {"maximumAvailable": 1, "currentlyAvailable": 1, "restoreRate": 1, name: 0}
        assert read(data={"a": 1}, extensions=shopify(throttleStatus=status)).bucket is None


@pytest.mark.parametrize(
    ("errors", "data", "query", "mutation"),
    [
        ([LIMITED], None, True, True),
        ([{"message": "m", "extensions": {"code": "rate-limited"}}], None, True, True),
        ([{"type": "RATE_LIMIT"}], None, True, True),
        ([SECONDARY], None, True, True),
        ([LIMITED, LIMITED], None, True, True),
        # The only field at the top was refused before it ran.
        ([{**LIMITED, "path": ["a"]}], None, True, True),
        ([{**LIMITED, "path": ["a", 0, "b"]}], None, True, False),
        # Something was done.
        ([LIMITED], {}, False, False),
        ([LIMITED], {"a": None}, False, False),
        ([LIMITED], {"a": None, "b": 1}, False, False),
        # Something else was wrong, too.
        ([LIMITED, {"message": "bad"}], None, False, False),
        ([{"type": 7}], None, False, False),
        (["RATE_LIMITED"], None, False, False),
        ([], None, False, False),
    ],
)
def test_refusals(errors: list[Any], data: Any, query: bool, mutation: bool) -> None:
    assert read(errors=errors, data=data).is_refusal is query
    assert read(errors=errors, data=data, request=MUTATION).is_refusal is mutation


def test_a_refusal_of_one_of_several_fields() -> None:
    error = {**LIMITED, "path": ["b"]}
    assert read(errors=[error], request=gql("{ a b }")).is_refusal
    assert not read(errors=[error], request=gql("mutation { a b }")).is_refusal


def test_the_time_that_a_refusal_names() -> None:
    assert read(errors=[LIMITED]).wait is None
    assert read({"retry-after": "7"}, errors=[LIMITED]).wait == 7
    assert read(errors=[SECONDARY]).wait == 60
    assert read({"retry-after": "7"}, data={"a": 1}).wait is None
    assert read(github(remaining=0, reset=NOW + 9), errors=[LIMITED]).wait == 9
    assert read(github(remaining=0, reset=NOW - 9), errors=[LIMITED]).wait == 0
    assert read(github(remaining=3), errors=[LIMITED]).wait is None


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (refused(429), Answer(is_refusal=True)),
        (refused(429, retry_after="7"), Answer(is_refusal=True, wait=7)),
        (refused(403, retry_after="7"), Answer(is_refusal=True, wait=7)),
        (
            refused(403, body='{"message": "a secondary rate limit"}'),
            Answer(is_refusal=True, wait=60),
        ),
        (refused(403, errors=[SECONDARY]), Answer(is_refusal=True, wait=60)),
        (refused(429, errors=[SECONDARY]), Answer(is_refusal=True, wait=60)),
        (refused(403), Answer()),
        (refused(503, retry_after="7"), Answer()),
        (refused(401), Answer()),
    ],
)
def test_errors(error: TransportServerError, answer: Answer) -> None:
    assert read_error(QUERY, error) == read_error(MUTATION, error) == answer
    assert is_limit_error(error) is answer.is_refusal


def test_a_status_that_one_of_several_fields_has_set() -> None:
    """As Apollo's servers do, for an error with ``extensions.http.status``."""
    error = refused(429, errors=[{**LIMITED, "path": ["b"]}], retry_after="7")
    assert read_error(gql("mutation { a b }"), error) == Answer()
    assert read_error(gql("mutation { b }"), error).is_refusal
    assert read_error(gql("{ a b }"), error).is_refusal
    assert is_limit_error(error)  # the session doesn't retry it, either


def test_errors_with_headers() -> None:
    names = {name.replace("-", "_"): value for name, value in github(remaining=0).items()}
    answer = read_error(QUERY, refused(403, "a secondary rate limit", **names))
    assert answer == Answer(is_refusal=True, wait=60, window=Report(5000, 0, reset=60))
    names = {name.replace("-", "_"): value for name, value in github().items()}
    assert read_error(QUERY, refused(403, "a secondary rate limit", **names)).wait == 60
    assert read_error(QUERY, refused(403, **names)) == Answer()


def test_errors_of_what_was_not_sent_are_no_refusals() -> None:
    error = refused(429)
    error.unsent = True
    assert read_error(QUERY, error) == Answer(is_unsent=True)
    assert read_error(QUERY, TransportConnectionFailed("lost", code=429)) == Answer()
    assert not is_limit_error(ValueError())


NAMES = st.sampled_from(
    [
        *("cost", "throttleStatus", "maximumAvailable", "currentlyAvailable", "restoreRate"),
        *("rateLimit", "remaining", "resetAt", "limit", "type", "path", "extensions", "code"),
        *("message", "requestedQueryCost", "actualQueryCost"),
    ]
)
TEXTS = st.sampled_from(["THROTTLED", RESET_AT, "1", "-1", "9" * 400, "inf", "; r=1; t=2"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(),
    lambda children: st.lists(children) | st.dictionaries(NAMES, children),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from([*github(), "retry-after", "ratelimit", "ratelimit-remaining"]),
    TEXTS | st.text(),
)


@pytest.mark.sampled
@settings(max_examples=examples(400), deadline=None)
@given(data=JSON, errors=st.lists(JSON), extensions=JSON, headers=HEADERS)
def test_any_words_are_read(data: Any, errors: Any, extensions: Any, headers: Any) -> None:
    request = gql("mutation { a rateLimit { cost } }")
    read(headers, request, data=data, errors=errors, extensions=extensions)
    read_error(QUERY, refused(429, errors=errors, **headers))
    read_error(QUERY, refused(403, errors=errors, **headers))
