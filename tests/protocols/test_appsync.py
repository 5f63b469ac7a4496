"""AppSync's real-time messages, without I/O: what each means in each stage of a subscription."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from anygql import GraphQLRequest
from anygql.exceptions import ProtocolViolation
from anygql.json import MsgspecJSON
from anygql.protocols.appsync import (
    MAX_REMEMBERED,
    AppSyncCodec,
    AuthorizedStart,
    RefusalMemory,
    start_data,
)
from anygql.protocols.events import (
    NOTHING,
    Ack,
    Complete,
    Error,
    Event,
    Failed,
    KeepAlive,
    Malformed,
    Next,
    Refusal,
    Rejection,
    Say,
    Several,
    Started,
    Unknown,
)

JSON = MsgspecJSON()
REQUEST = GraphQLRequest("subscription ($room: ID) { said(room: $room) }", {"room": "ü"})
SECRETS = {"host": "api.example.org", "x-api-key": "da2-s3cret"}
UNAUTHORIZED = {"errors": [{"errorType": "UnauthorizedException", "message": "no"}]}
LIMIT = {"errors": [{"errorType": "LimitExceededError"}]}
STOP = {"id": "1", "type": "stop"}


def new_codec(*, is_refreshable: bool = False, memory: RefusalMemory | None = None) -> AppSyncCodec:
    return AppSyncCodec(JSON, is_refreshable=is_refreshable, memory=memory or RefusalMemory())


def start_of(request: Any = REQUEST, *, is_refreshable: bool = False) -> AuthorizedStart:
    return AuthorizedStart(start_data(JSON, request), SECRETS, is_refreshable)


def told(codec: AppSyncCodec, type: str, id: str | None = None, payload: Any = ...) -> Event:
    """What the codec makes of a message."""
    message = {"type": type}
    if id is not None:
        message["id"] = id
    if payload is not ...:
        message["payload"] = payload
    return codec.receive(json.dumps(message))


def acknowledged(**options: Any) -> AppSyncCodec:
    codec = new_codec(**options)
    told(codec, "connection_ack", payload={"connectionTimeoutMs": 300_000})
    return codec


def started(id: str = "1", codec: AppSyncCodec | None = None, **options: Any) -> AppSyncCodec:
    codec = codec or acknowledged(**options)
    codec.subscribe(id, REQUEST, start_of(**options))
    assert told(codec, "start_ack", id) == Started(id)
    return codec


# What is sent.


def test_the_start_has_the_operation_as_a_text_beside_its_authorization() -> None:
    codec = acknowledged()
    start = start_of()
    message = json.loads(codec.subscribe("1", REQUEST, start))
    assert message == {
        "id": "1",
        "type": "start",
        "payload": {
            "data": start.data.decode(),
            "extensions": {"authorization": SECRETS},
        },
    }
    assert json.loads(message["payload"]["data"]) == {
        "query": REQUEST.text,
        "variables": {"room": "ü"},
    }


def test_variables_are_an_object_even_if_there_are_none() -> None:
    data = start_data(JSON, GraphQLRequest("subscription { said }"))
    assert json.loads(data) == {"query": "subscription { said }", "variables": {}}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (GraphQLRequest("subscription { said }", extensions={"a": 1}), "extensions"),
        (GraphQLRequest("subscription { said { id ... @defer { text } } }"), "@defer"),
        (
            GraphQLRequest("subscription A { said } subscription B { said }", None, "A"),
            "this operation alone",
        ),
        (GraphQLRequest("subscription { said }", {"a": object()}), "variables.a"),
    ],
)
def test_what_appsync_cannot_take(request_: GraphQLRequest, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        start_data(JSON, request_)


def test_the_first_message_has_no_payload() -> None:
    assert json.loads(new_codec().connection_init(None)) == {"type": "connection_init"}


def test_nothing_of_an_authorization_shows() -> None:
    assert "s3cret" not in repr(start_of())


# The connection.


@pytest.mark.parametrize(
    ("payload", "seconds"),
    [
        ({"connectionTimeoutMs": 300_000}, 300),
        ({"connectionTimeoutMs": 1500}, 1.5),
        ({"connectionTimeout": 240_000}, 240),  # the simulator's name for it
        ({}, 300),
        (None, 300),
        ({"connectionTimeoutMs": 0}, 300),
        ({"connectionTimeoutMs": "300000"}, 300),
        ({"connectionTimeoutMs": True}, 300),
    ],
)
def test_the_time_of_silence_is_learnt_from_the_acknowledgement(
    payload: Any, seconds: float
) -> None:
    codec = new_codec()
    assert codec.keep_alive_timeout is None
    assert told(codec, "connection_ack", payload=payload) == Ack(payload)
    assert codec.keep_alive_timeout == seconds
    assert not codec.has_keep_alive_messages  # silence counts from the acknowledgement on


def test_keep_alive_says_no_more_than_any_message() -> None:
    assert told(acknowledged(), "ka") == KeepAlive()
    assert acknowledged().pong() is None
    assert acknowledged().ping() is None


@pytest.mark.parametrize(
    "error",
    [
        {"errorType": "UnauthorizedException"},
        {"errorType": "com.amazonaws.deepdish.graphql.auth#UnauthorizedException"},
        {"errorType": "BadRequestException", "message": "no"},
        {"errorCode": 400},
        {"errorCode": "401"},
        {"errorCode": 403, "message": "no"},
    ],
)
def test_refusals_that_are_final(error: Any) -> None:
    for payload in ({"errors": [error]}, {"errors": error}, error):
        assert told(new_codec(), "connection_error", payload=payload) == Refusal(payload)


@pytest.mark.parametrize(
    "payload",
    [
        {"errors": [{"errorType": "LimitExceededError"}]},
        {"errors": [{"errorCode": 500, "message": "no"}]},
        {"errors": [{"errorCode": "4" * 5000}]},
        {"message": "no"},
        {"errors": []},
        {"errors": [None, 7]},
        "no",
        None,
    ],
)
def test_refusals_that_may_pass(payload: Any) -> None:
    assert told(new_codec(), "connection_error", payload=payload) == Rejection(payload)


def test_refused_credentials_that_can_be_refreshed_have_one_more_attempt() -> None:
    memory = RefusalMemory()

    def refused() -> Event:
        codec = new_codec(is_refreshable=True, memory=memory)
        return told(codec, "connection_error", payload=UNAUTHORIZED)

    assert refused() == Rejection(UNAUTHORIZED)
    assert refused() == Refusal(UNAUTHORIZED)
    told(new_codec(memory=memory), "connection_ack")
    assert refused() == Rejection(UNAUTHORIZED)


def test_an_error_before_the_acknowledgement_refuses_the_connection() -> None:
    assert told(new_codec(), "error", payload=UNAUTHORIZED) == Refusal(UNAUTHORIZED)
    assert told(new_codec(), "error", "", LIMIT) == Rejection(LIMIT)


def test_a_connection_error_later_is_about_a_message_of_ours() -> None:
    assert told(started(), "connection_error", payload=UNAUTHORIZED) == Refusal(UNAUTHORIZED)


# Subscriptions: each message in each stage.


def starting() -> AppSyncCodec:
    codec = acknowledged()
    codec.subscribe("1", REQUEST, start_of())
    return codec


def left() -> AppSyncCodec:
    codec = starting()
    assert codec.complete("1") is None  # the server would ignore it
    return codec


def stopping() -> AppSyncCodec:
    codec = started()
    assert json.loads(codec.complete("1") or b"") == STOP
    return codec


def forgotten() -> AppSyncCodec:
    codec = starting()
    codec.forget("1")
    return codec


RESULT = {"data": {"said": 1}, "errors": [{"message": "partly"}]}
FINAL = {"errors": [{"errorType": "Unauthorized", "message": "not this field"}]}


def shape(event: Event) -> Any:
    """An event, so that it can be compared: a result's own class has no equality."""
    if isinstance(event, Next):
        return ("next", event.id, event.payload.data, event.payload.errors)
    if isinstance(event, Say):
        return json.loads(event.message)
    return event


NEXT = ("next", "1", RESULT["data"], RESULT["errors"])

STAGES: dict[Any, tuple[Any, Any, Any, Any]] = {
    # what comes:  start_ack    data     complete       error
    starting: (Started("1"), NEXT, Complete("1"), Error("1", FINAL)),
    started: (NOTHING, NEXT, Complete("1"), Error("1", FINAL)),
    left: (STOP, NOTHING, NOTHING, NOTHING),
    stopping: (NOTHING, NOTHING, NOTHING, NOTHING),
    forgotten: (NOTHING, NOTHING, NOTHING, NOTHING),
    acknowledged: (NOTHING, NOTHING, NOTHING, NOTHING),
    new_codec: (NOTHING, NOTHING, NOTHING, NOTHING),
}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_each_message_in_each_stage(stage: Any) -> None:
    found = (
        shape(told(stage(), "start_ack", "1")),
        shape(told(stage(), "data", "1", RESULT)),
        shape(told(stage(), "complete", "1")),
        shape(told(stage(), "error", "1", FINAL)),
    )
    assert found == STAGES[stage]


def test_one_that_was_left_is_stopped_once() -> None:
    codec = left()
    assert shape(told(codec, "start_ack", "1")) == STOP
    assert told(codec, "start_ack", "1") == NOTHING
    assert told(codec, "data", "1", RESULT) == NOTHING
    assert not codec.is_terminated
    assert told(codec, "complete", "1") == NOTHING
    assert codec.is_terminated


def test_one_that_nobody_knows_is_not_stopped() -> None:
    codec = started()
    told(codec, "complete", "1")
    assert codec.complete("1") is None


def test_what_is_no_result() -> None:
    event = told(started(), "data", "1", {"message": "Internal failure"})
    assert isinstance(event, Malformed)
    assert "Internal failure" in event.problem
    assert isinstance(told(started(), "data", "1"), Malformed)


# Errors of a subscription.


@pytest.mark.parametrize("kind", ["MaxSubscriptionsReachedError", "LimitExceededError"])
@pytest.mark.parametrize("stage", [starting, started])
def test_errors_that_pass_as_other_subscriptions_end(stage: Any, kind: str) -> None:
    for errors in ([{"errorType": kind}], {"errorType": kind}):
        payload = {"errors": errors}
        codec = stage()
        assert told(codec, "error", "1", payload) == Failed("1", payload)
        assert told(codec, "start_ack", "1") == NOTHING


@pytest.mark.parametrize(
    "payload",
    [
        UNAUTHORIZED,
        {"errors": {"errorType": "UnauthorizedException"}},
        {"errors": [{"errorCode": 401}]},
        {"errors": [{"message": "Token has expired."}]},
        {"errors": [{"errorType": "Other", "message": "the token is expired"}]},
    ],
)
def test_a_refused_subscription_is_tried_once_more_with_fresh_credentials(payload: Any) -> None:
    codec = acknowledged()
    start = start_of(is_refreshable=True)
    codec.subscribe("1", REQUEST, start)
    assert told(codec, "error", "1", payload) == Failed("1", payload)
    codec.subscribe("2", REQUEST, start)
    assert told(codec, "error", "2", payload) == Error("2", payload)
    # And anew, once it has run.
    codec.subscribe("3", REQUEST, start)
    told(codec, "start_ack", "3")
    assert told(codec, "error", "3", payload) == Failed("3", payload)
    codec.subscribe("4", REQUEST, start)
    told(codec, "start_ack", "4")
    assert told(codec, "error", "4", payload) == Failed("4", payload)


def test_neighbors_have_a_try_each() -> None:
    codec = acknowledged()
    start = start_of(is_refreshable=True)
    other = start_of(GraphQLRequest("subscription { other }"), is_refreshable=True)
    for id, each in (("1", start), ("2", start), ("3", other)):
        codec.subscribe(id, REQUEST, each)
    for id in "123":
        assert told(codec, "error", id, UNAUTHORIZED) == Failed(id, UNAUTHORIZED)
    for id, each in (("4", start), ("5", start), ("6", other)):
        codec.subscribe(id, REQUEST, each)
    for id in "456":
        assert told(codec, "error", id, UNAUTHORIZED) == Error(id, UNAUTHORIZED)


def test_credentials_that_stay_the_same_are_not_tried_again() -> None:
    assert told(starting(), "error", "1", UNAUTHORIZED) == Error("1", UNAUTHORIZED)


def test_an_error_without_an_id_is_about_what_was_just_asked_for() -> None:
    for id in (None, ""):
        codec = started("1")
        for each in "234":
            codec.subscribe(each, REQUEST, start_of())
        codec.complete("4")
        event = told(codec, "error", id, LIMIT)
        assert event == Several([Failed("2", LIMIT), Failed("3", LIMIT)])
        assert shape(told(codec, "data", "1", RESULT)) == NEXT  # what runs, runs on
        # One of them was started after all: it is stopped.
        assert shape(told(codec, "start_ack", "3")) == {"id": "3", "type": "stop"}
        assert shape(told(codec, "start_ack", "4")) == {"id": "4", "type": "stop"}


def test_an_error_without_an_id_that_concerns_nothing_is_only_told() -> None:
    assert told(started(), "error", "", LIMIT) == Refusal(LIMIT)


# The end.


def test_the_end_stops_everything_that_runs_and_waits_for_it() -> None:
    codec = started("1")
    started("2", codec)
    codec.subscribe("3", REQUEST, start_of())
    assert codec.is_terminated
    assert [json.loads(message)["id"] for message in codec.terminate()] == ["1", "2"]
    assert not codec.is_terminated
    told(codec, "complete", "1")
    assert not codec.is_terminated
    told(codec, "complete", "2")
    assert codec.is_terminated


def test_what_is_remembered_is_bounded() -> None:
    codec = acknowledged()
    refused = start_of(is_refreshable=True)
    for number in range(3 * MAX_REMEMBERED):
        codec.subscribe(str(number), REQUEST, refused)
        codec.complete(str(number))
    assert len(codec._subscriptions) <= MAX_REMEMBERED + 1
    for number in range(MAX_REMEMBERED + 5):
        start = AuthorizedStart(b"%d" % number, {}, is_refreshable=True)
        codec.subscribe(f"a{number}", REQUEST, start)
        told(codec, "error", f"a{number}", UNAUTHORIZED)
    assert len(codec._refused) <= MAX_REMEMBERED


# What is no message.


@pytest.mark.parametrize("message", ["", "{", "[]", "7", "null", '"ka"', "[" * 10_000])
def test_what_is_no_message(message: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        acknowledged().receive(message)
    assert caught.value.code == 4400


def test_what_is_no_text() -> None:
    for message in (b'{"type": "\xff"}', '{"type": "\ud800"}'):
        with pytest.raises(ProtocolViolation) as caught:
            acknowledged().receive(message)
        assert caught.value.code == 1007


def test_half_of_a_character_does_no_harm() -> None:
    event = told(started(), "data", "1", {"data": {"said": "…"}})
    assert isinstance(event, Next)
    text = '{"type": "data", "id": "1", "payload": {"data": {"said": "\\ud83d"}}}'
    event = started().receive(text)
    assert isinstance(event, Next)
    assert event.payload.data == {"said": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize(
    ("message", "kind"),
    [({"type": "next"}, "next"), ({}, None), ({"type": 7}, None), ({"message": "x"}, None)],
)
def test_messages_of_other_types_do_no_harm(message: Any, kind: str | None) -> None:
    text = msgspec.json.encode(message)
    event = acknowledged().receive(text)
    assert event == Unknown(kind, text.decode())


@pytest.mark.parametrize("id", [7, None, ["1"], {"a": 1}])
def test_ids_that_are_none(id: Any) -> None:
    for type in ("data", "start_ack", "complete"):
        message = json.dumps({"type": type, "id": id, "payload": RESULT})
        assert started().receive(message) == NOTHING
