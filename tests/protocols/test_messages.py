"""What all codecs have in common: the order of events, any JSON, and any input at all."""

from __future__ import annotations

import functools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql.documents.request import GraphQLRequest
from anygql.exceptions import ProtocolViolation
from anygql.json import MsgspecJSON
from anygql.protocols import GRAPHQL_TRANSPORT_WS, GRAPHQL_WS
from anygql.protocols.base import SubscriptionProtocol
from anygql.protocols.events import (
    Ack,
    Complete,
    Ended,
    Error,
    Event,
    Failed,
    KeepAlive,
    Malformed,
    Next,
    Ping,
    Pong,
    Refusal,
    Rejection,
    Say,
    Several,
    Started,
    Unknown,
)
from anygql.protocols.messages import TRANSITIONS, State, step
from anygql.results.result import ExecutionResult
from tests.support.amount import examples

OF_OPERATIONS = (Next, Error, Complete, Malformed, Started, Failed, Several)
EVENTS = (
    *OF_OPERATIONS,
    *(Ack, Ping, Pong, KeepAlive, Refusal, Unknown, Rejection, Ended, Say),
)
PROTOCOLS = [GRAPHQL_TRANSPORT_WS, GRAPHQL_WS]
BY_NAME = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.subprotocols[0])


class StandardJSON:
    """The standard library's, with its own ideas about numbers."""

    def encode(self, value: Any, /) -> bytes:
        return json.dumps(value, default=lambda value: f"<{type(value).__name__}>").encode()

    def decode(self, text: bytes, /) -> Any:
        return json.loads(text, parse_float=Decimal)


# A busy machine fails no test.
unhurried = settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def data_type(protocol: SubscriptionProtocol) -> str:
    return "next" if protocol is GRAPHQL_TRANSPORT_WS else "data"


@BY_NAME
def test_another_json_sees_the_values(protocol: SubscriptionProtocol) -> None:
    codec = protocol.codec(StandardJSON())
    assert codec.receive('{"type":"connection_ack","payload":{"t":1.50}}') == Ack(
        {"t": Decimal("1.50")}
    )
    text = (
        f'{{"id":"1","type":"{data_type(protocol)}","payload":'
        '{"data":{"price":0.10},"errors":[{"x":2.0}],"extensions":{"cost":1.0}}}'
    )
    expected = Next(
        "1",
        ExecutionResult(
            {"price": Decimal("0.10")}, [{"x": Decimal("2.0")}], {"cost": Decimal("1.0")}
        ),
    )
    for message in (text, text.encode()):
        event = codec.receive(message)
        assert event == expected
        assert isinstance(event, Next)
        assert isinstance(event.payload.data["price"], Decimal)


@BY_NAME
def test_another_json_writes_the_values(protocol: SubscriptionProtocol) -> None:
    codec = protocol.codec(StandardJSON())
    assert json.loads(codec.connection_init({"a": object()}))["payload"] == {"a": "<object>"}
    message = json.loads(codec.subscribe("1", GraphQLRequest("{ a }", {"a": object()})))
    assert message["payload"] == {"query": "{ a }", "variables": {"a": "<object>"}}


@BY_NAME
def test_another_json_may_read_anything_into_data(protocol: SubscriptionProtocol) -> None:
    marker = object()

    class Own(StandardJSON):
        def decode(self, text: bytes, /) -> Any:
            return {"data": marker}

    codec = protocol.codec(Own())
    codec.receive('{"type":"connection_ack"}')
    event = codec.receive(f'{{"type":"{data_type(protocol)}","id":"1","payload":{{}}}}')
    assert isinstance(event, Next)
    assert event.payload.data is marker


@BY_NAME
def test_another_json_refuses_a_value(protocol: SubscriptionProtocol) -> None:
    class Picky(StandardJSON):
        def decode(self, text: bytes, /) -> Any:
            raise ValueError("not for me")

    codec = protocol.codec(Picky())
    with pytest.raises(ProtocolViolation, match="not for me") as caught:
        codec.receive('{"type":"connection_ack","payload":1}')
    assert caught.value.code == 4400


@BY_NAME
def test_a_bug_in_another_json_is_no_fault_of_the_peer(protocol: SubscriptionProtocol) -> None:
    class Broken(StandardJSON):
        def decode(self, text: bytes, /) -> Any:
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        protocol.codec(Broken()).receive('{"type":"connection_ack","payload":1}')


@BY_NAME
@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b'{"type":"connection_ack","payload":"\xff"}', 1007),
        (b'{"type":"connection_ack","payload":[1,}', 4400),
        (b'{"type":"connection_ack","payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 4400),
        (b'{"type":"connection_ack","type":"nope"', 4400),
        (b'{"type":"complete"}', 4400),
        (b"[]", 4400),
    ],
    ids=["utf-8", "malformed", "deep", "cut off", "without id", "array"],
)
def test_another_json_changes_no_rule(
    protocol: SubscriptionProtocol, message: bytes, code: int
) -> None:
    for values in (StandardJSON(), MsgspecJSON()):
        with pytest.raises(ProtocolViolation) as caught:
            protocol.codec(values).receive(message)
        assert caught.value.code == code


@BY_NAME
@pytest.mark.parametrize("values", [MsgspecJSON(), StandardJSON()], ids=["default", "another"])
@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d", "\ufffd"),
        (r"\ud83d tail", "\ufffd tail"),
        (r"\udE00\uD83D", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
    ],
)
def test_half_a_character_costs_no_connection(
    protocol: SubscriptionProtocol, values: Any, escaped: str, text: str
) -> None:
    for message in (
        f'{{"type":"connection_ack","payload":"{escaped}"}}',
        f'{{"type":"connection_ack","payload":"{escaped}"}}'.encode(),
    ):
        assert protocol.codec(values).receive(message) == Ack(text)


def test_a_violation_says_what_and_how_to_close() -> None:
    violation = ProtocolViolation(4400, "next before the acknowledgement")
    assert str(violation) == "next before the acknowledgement (4400)"
    assert (violation.code, violation.reason) == (4400, "next before the acknowledgement")


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", EVENTS)
def test_every_pair_of_state_and_event_is_decided(state: State, event: type[Event]) -> None:
    allowed = state is State.ACKNOWLEDGED or event not in OF_OPERATIONS
    assert (event in TRANSITIONS[state]) == allowed
    if allowed:
        acknowledged = state is State.ACKNOWLEDGED or event is Ack
        assert (TRANSITIONS[state][event] is State.ACKNOWLEDGED) == acknowledged


def test_an_unknown_pair_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="complete before the acknowledgement"):
        step(State.UNACKNOWLEDGED, Complete("1"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
of_connections = st.sampled_from(["connection_ack", "connection_error", "ping", "pong", "ka"])
of_operations = st.sampled_from(["next", "data", "error", "complete"])
types = of_connections | of_operations | st.just("nope")
results = st.fixed_dictionaries({}, optional={"data": json_values, "errors": st.lists(json_values)})
near_messages = st.fixed_dictionaries(
    {"type": types | json_values},
    optional={"id": st.text() | json_values, "payload": results | json_values},
)
texts = st.one_of(
    st.binary(max_size=64),
    st.text(max_size=64),
    json_values.map(json.dumps),
    near_messages.map(json.dumps),
    near_messages.map(functools.partial(json.dumps, ensure_ascii=False)),
    near_messages.map(lambda value: json.dumps(value).encode()[:-1]),
)


@BY_NAME
@pytest.mark.parametrize("values", [MsgspecJSON(), StandardJSON()], ids=["default", "another"])
@pytest.mark.sampled
@unhurried
@given(messages=st.lists(texts, max_size=8))
def test_any_input_is_an_event_or_a_violation(
    protocol: SubscriptionProtocol, values: Any, messages: list[bytes | str]
) -> None:
    codec = protocol.codec(values)
    state = State.UNACKNOWLEDGED
    for message in messages:
        outcome: Event | ProtocolViolation
        try:
            outcome = codec.receive(message)
        except ProtocolViolation as violation:
            outcome = violation
        if isinstance(outcome, ProtocolViolation):
            assert outcome.code in (1007, 4400)
            assert 0 < len(outcome.reason) <= 123
        else:
            assert type(outcome) in EVENTS
            state = step(state, outcome)


@BY_NAME
@pytest.mark.sampled
@unhurried
@given(message=near_messages.map(json.dumps))
def test_both_ways_of_reading_agree(protocol: SubscriptionProtocol, message: str) -> None:
    class Same:
        encode = MsgspecJSON().encode
        decode = MsgspecJSON().decode

    def outcome(values: Any) -> Any:
        codec = protocol.codec(values)
        codec.receive('{"type":"connection_ack"}')
        try:
            return codec.receive(message)
        except ProtocolViolation as violation:
            return violation.code

    assert outcome(Same()) == outcome(MsgspecJSON())
