"""The legacy ``graphql-ws`` as a table of wire vectors.

An id begins with the number of the point of the protocol that the row is about:

1 the subprotocol is the default. 2 ``connection_init`` is answered by ``connection_ack`` or
``connection_error``. 3 a later ``connection_error`` does not drop the connection. 4 liveness begins
with the first ``ka``. 5 ``start`` and ``stop``. 6 ``data`` may carry errors. 7 ``error`` is one
object. 8 ``complete`` ends. 9 ``connection_terminate`` at close. 10 malformed messages.
11 messages of unknown types, or of none, are ignored.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from anygql.documents.request import GraphQLRequest
from anygql.exceptions import ProtocolViolation
from anygql.json import MsgspecJSON
from anygql.protocols import GRAPHQL_WS, Codec, GraphQLWS
from anygql.protocols.events import (
    Ack,
    Complete,
    Error,
    Event,
    KeepAlive,
    Malformed,
    Next,
    Refusal,
    Unknown,
)
from anygql.results.result import ExecutionResult

ACK = '{"type":"connection_ack"}'


def new_codec(*received: str) -> Codec:
    codec = GRAPHQL_WS.codec(MsgspecJSON())
    for message in received:
        codec.receive(message)
    return codec


def next_(**parts: Any) -> Next:
    return Next("1", ExecutionResult(**parts))


BEFORE_ACK = [
    pytest.param(ACK, Ack(), id="2-ack"),
    pytest.param('{"type":"connection_ack","id":null}', Ack(), id="2-ack-null-id"),
    pytest.param('{"type":"connection_ack","payload":{"k":1}}', Ack({"k": 1}), id="2-ack-payload"),
    pytest.param(
        '{"type":"connection_error","payload":{"message":"no"}}',
        Refusal({"message": "no"}),
        id="2-connection-error",
    ),
    pytest.param('{"type":"connection_error"}', Refusal(), id="2-connection-error-bare"),
    pytest.param('{"type":"ka"}', KeepAlive(), id="4-ka"),
    pytest.param('{"type":"data","id":"1","payload":{}}', "next before", id="2-data"),
    pytest.param('{"type":"error","id":"1","payload":{}}', "error before", id="2-error"),
    pytest.param('{"type":"complete","id":"1"}', "complete before", id="2-complete"),
]

AFTER_ACK = [
    pytest.param('{"type":"ka"}', KeepAlive(), id="4-ka"),
    pytest.param('{"type":"ka","payload":null,"id":null}', KeepAlive(), id="4-ka-nulls"),
    pytest.param(ACK, Ack(), id="2-second-ack"),
    pytest.param(
        '{"type":"connection_error","payload":{"message":"unreadable"}}',
        Refusal({"message": "unreadable"}),
        id="3-later-connection-error",
    ),
    pytest.param(
        '{"type":"data","id":"1","payload":{"data":{"a":1}}}', next_(data={"a": 1}), id="6-data"
    ),
    pytest.param('{"id":"1","payload":{"data":1},"type":"data"}', next_(data=1), id="6-type-last"),
    pytest.param(
        '{"type":"data","id":"1","payload":{"data":null,"errors":[{"message":"x"}]}}',
        next_(errors=[{"message": "x"}]),
        id="6-data-with-errors",
    ),
    pytest.param(
        '{"type":"data","id":"1","payload":{"data":1,"errors":null,"extensions":null}}',
        next_(data=1),
        id="6-data-nulls",
    ),
    pytest.param(
        '{"type":"error","id":"1","payload":{"message":"x"}}',
        Error("1", {"message": "x"}),
        id="7-error",
    ),
    pytest.param(
        '{"type":"error","id":"1","payload":[{"message":"x"},{"message":"y"}]}',
        Error("1", [{"message": "x"}, {"message": "y"}]),
        id="7-error-list",
    ),
    pytest.param(
        '{"type":"error","id":"1","payload":{"errors":[{"message":"x"}]}}',
        Error("1", {"errors": [{"message": "x"}]}),
        id="7-error-result",
    ),
    pytest.param('{"type":"error","id":"1","payload":"x"}', Error("1", "x"), id="7-error-text"),
    pytest.param(
        '{"type":"error","payload":{"message":"x"}}', Refusal({"message": "x"}), id="3-error-no-id"
    ),
    pytest.param('{"type":"error","id":"1"}', Error("1"), id="7-error-without-payload"),
    pytest.param(
        '{"type":"data","id":"1","payload":[]}',
        Malformed("1", "a JSON array", "[]"),
        id="6-data-array",
    ),
    pytest.param(
        '{"type":"data","id":"1"}', Malformed("1", "no payload"), id="6-data-without-payload"
    ),
    pytest.param('{"type":"complete","id":"1"}', Complete("1"), id="8-complete"),
    pytest.param('{"type":"complete","id":"1","payload":null}', Complete("1"), id="8-null-payload"),
]

MALFORMED = [
    pytest.param("[]", "Expected `object`", id="10-array"),
    pytest.param('{"type":"data","payload":{}}', "`id`", id="10-data-without-id"),
    pytest.param('{"type":"complete"}', "`id`", id="10-complete-without-id"),
    pytest.param('{"type":"ka","x":' + "[" * 200_000, "too deeply", id="10-deep"),
]

UNKNOWN = [
    pytest.param('{"type":"start_ack","id":"1"}', "start_ack", id="11-start-ack"),
    pytest.param('{"type":"next","id":"1","payload":{}}', "next", id="11-next"),
    pytest.param('{"type":"ping"}', "ping", id="11-ping"),
    pytest.param('{"type":"start","id":"1","payload":{}}', "start", id="11-client's"),
    pytest.param('{"message":"Forbidden","connectionId":"c"}', None, id="11-no-type"),
    pytest.param('{"type":7}', None, id="11-a-type-that-is-no-text"),
    pytest.param("{}", None, id="11-empty"),
]

SENT = [
    pytest.param(lambda c: c.connection_init(None), {"type": "connection_init"}, id="2-init"),
    pytest.param(
        lambda c: c.connection_init({"token": "t"}),
        {"type": "connection_init", "payload": {"token": "t"}},
        id="2-init-payload",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest("{ a }")),
        {"type": "start", "id": "7", "payload": {"query": "{ a }"}},
        id="5-start",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest("query Q { a }", {"n": 1}, "Q", {"x": 1})),
        {
            "type": "start",
            "id": "7",
            "payload": {
                "query": "query Q { a }",
                "variables": {"n": 1},
                "operationName": "Q",
                "extensions": {"x": 1},
            },
        },
        id="5-start-everything",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest("{ a }", {})),
        {"type": "start", "id": "7", "payload": {"query": "{ a }", "variables": {}}},
        id="5-start-empty-variables",
    ),
    pytest.param(lambda c: c.complete("7"), {"type": "stop", "id": "7"}, id="5-stop"),
    pytest.param(lambda c: c.terminate()[0], {"type": "connection_terminate"}, id="9-terminate"),
]


@pytest.mark.parametrize(("text", "expected"), BEFORE_ACK)
def test_received_before_the_ack(text: str, expected: Event | str) -> None:
    codec = new_codec()
    if isinstance(expected, str):
        with pytest.raises(ProtocolViolation, match=expected) as caught:
            codec.receive(text)
        assert caught.value.code == 4400
    else:
        assert codec.receive(text) == expected


@pytest.mark.parametrize(("text", "expected"), AFTER_ACK)
def test_received_after_the_ack(text: str, expected: Event) -> None:
    for message in (text, text.encode()):
        event = new_codec(ACK).receive(message)
        assert event == expected
        assert type(event) is type(expected)


@pytest.mark.parametrize(("text", "reason"), MALFORMED)
def test_malformed(text: str, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        new_codec(ACK).receive(text)
    assert caught.value.code == 4400
    assert reason in caught.value.reason


@pytest.mark.parametrize(("text", "kind"), UNKNOWN)
@pytest.mark.parametrize("acknowledged", [True, False], ids=["after-ack", "before-ack"])
def test_unknown_messages_are_no_violation(text: str, kind: str | None, acknowledged: bool) -> None:
    for message in (text, text.encode()):
        codec = new_codec(ACK) if acknowledged else new_codec()
        assert codec.receive(message) == Unknown(kind, text)


def test_invalid_utf8() -> None:
    with pytest.raises(ProtocolViolation, match="UTF-8") as caught:
        new_codec(ACK).receive(b'{"type":"data","id":"1","payload":{"data":"\xff"}}')
    assert caught.value.code == 1007


@pytest.mark.parametrize(("send", "expected"), SENT)
def test_sent(send: Any, expected: dict[str, Any]) -> None:
    assert json.loads(send(new_codec(ACK))) == expected


def test_4_has_no_pings_of_its_own() -> None:
    codec = new_codec(ACK)
    assert codec.ping() is None
    assert codec.pong({"a": 1}) is None


def test_1_is_the_default() -> None:
    assert GRAPHQL_WS.subprotocols == ("graphql-ws",)
    assert GRAPHQL_WS.is_default
    assert new_codec().has_keep_alive_messages
    assert GraphQLWS() == GRAPHQL_WS


def test_values_without_a_json_form_are_named() -> None:
    with pytest.raises(TypeError, match=r"^variables\.a\[1\]: "):
        new_codec(ACK).subscribe("1", GraphQLRequest("{ a }", {"a": [1, object()]}))
    with pytest.raises(TypeError, match=r"^init_payload\.t: "):
        new_codec().connection_init({"t": object()})
