"""``graphql-transport-ws`` as a table of wire vectors.

An id begins with the number of the point of the protocol that the row is about:

1 the subprotocol's name. 2 one ``connection_init``, at once. 3 nothing but pings and pongs before
the ack. 4 pings are answered at any time. 5 pongs may be unsolicited. 6 ids. 7 ``error`` carries a
list. 8 leaving early sends ``complete``. 9 messages for unknown ids are no errors. 10 a malformed
message closes with 4400. 11 a normal close says nothing more. 12 the ack's payload is exposed.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from anygql.documents.request import GraphQLRequest
from anygql.exceptions import ProtocolViolation
from anygql.json import MsgspecJSON
from anygql.protocols import GRAPHQL_TRANSPORT_WS, Codec, GraphQLTransportWS
from anygql.protocols.events import (
    Ack,
    Complete,
    Error,
    Event,
    KeepAlive,
    Malformed,
    Next,
    Ping,
    Pong,
    Refusal,
)
from anygql.results.result import ExecutionResult

ACK = '{"type":"connection_ack"}'
QUERY = "query Q($n: Int) { a(n: $n) }"


def new_codec(*received: str) -> Codec:
    codec = GRAPHQL_TRANSPORT_WS.codec(MsgspecJSON())
    for message in received:
        codec.receive(message)
    return codec


def next_(**parts: Any) -> Next:
    return Next("1", ExecutionResult(**parts))


BEFORE_ACK = [
    pytest.param(ACK, Ack(), id="2-ack"),
    pytest.param('{"type":"connection_ack","payload":null}', Ack(), id="12-ack-null-payload"),
    pytest.param('{"type":"connection_ack","payload":{"k":[1]}}', Ack({"k": [1]}), id="12-ack"),
    pytest.param('{"payload":1,"type":"connection_ack"}', Ack(1), id="12-type-after-payload"),
    pytest.param('{"type":"ping"}', Ping(), id="4-ping-before-ack"),
    pytest.param('{"type":"ping","payload":{"t":1}}', Ping({"t": 1}), id="4-ping-payload"),
    pytest.param('{"type":"pong"}', Pong(), id="5-pong-before-ack"),
    pytest.param(
        '{"type":"connection_error","payload":{"message":"no"}}',
        Refusal({"message": "no"}),
        id="mercurius-connection-error",
    ),
    pytest.param('{"type":"next","id":"1","payload":{"data":1}}', "next before", id="3-next"),
    pytest.param('{"type":"error","id":"1","payload":[]}', "error before", id="3-error"),
    pytest.param('{"type":"complete","id":"1"}', "complete before", id="3-complete"),
]

AFTER_ACK = [
    pytest.param('{"type":"ping","payload":null}', Ping(), id="4-ping"),
    pytest.param('{"type":"pong"}', Pong(), id="5-pong"),
    pytest.param('{"type":"pong","payload":7}', Pong(7), id="5-pong-payload"),
    pytest.param(
        '{"type":"next","id":"1","payload":{"data":{"a":1}}}', next_(data={"a": 1}), id="7-next"
    ),
    pytest.param(
        '{"id":"1","payload":{"data":null},"type":"next"}', next_(), id="7-next-type-last"
    ),
    pytest.param('{"type":"next","id":"1","payload":{}}', next_(), id="7-next-empty"),
    pytest.param(
        '{"type":"next","id":"1","payload":{"errors":[{"message":"x"}]}}',
        next_(errors=[{"message": "x"}]),
        id="7-next-errors-without-data",
    ),
    pytest.param(
        '{"type":"next","id":"1","payload":{"data":1,"errors":null,"extensions":null}}',
        next_(data=1),
        id="7-next-nulls",
    ),
    pytest.param(
        '{"type":"next","id":"1","payload":{"data":1,"extensions":{"c":2},"hasNext":true}}',
        next_(data=1, extensions={"c": 2}),
        id="7-next-extensions-and-unknown-key",
    ),
    pytest.param(
        '{"type":"next","id":"1","payload":{"data":123456789012345678901234567890}}',
        next_(data=123456789012345678901234567890),
        id="7-next-big-integer",
    ),
    pytest.param(
        r'{"type":"next","id":"1","payload":{"data":"\ud83d"}}',
        next_(data="\ufffd"),
        id="7-next-half-a-character",
    ),
    pytest.param(
        '{"type":"error","id":"1","payload":[{"message":"x"}]}',
        Error("1", [{"message": "x"}]),
        id="7-error",
    ),
    pytest.param('{"type":"error","id":"1","payload":[]}', Error("1", []), id="7-error-empty"),
    pytest.param('{"type":"error","id":"1"}', Error("1"), id="7-error-without-payload"),
    pytest.param('{"type":"error","id":"1","payload":{}}', Error("1", {}), id="7-error-object"),
    pytest.param('{"type":"error","id":"1","payload":null}', Error("1"), id="7-error-null"),
    pytest.param('{"type":"error","id":"1","payload":"x"}', Error("1", "x"), id="7-error-text"),
    pytest.param('{"type":"ka"}', KeepAlive(), id="legacy-keep-alive"),
    pytest.param(
        '{"type":"next","id":"1"}', Malformed("1", "no payload"), id="7-next-without-payload"
    ),
    pytest.param(
        '{"type":"next","id":"1","payload":null}', Malformed("1", "null", "null"), id="7-next-null"
    ),
    pytest.param(
        '{"type":"next","id":"1","payload":[]}',
        Malformed("1", "a JSON array", "[]"),
        id="7-next-array",
    ),
    pytest.param(
        '{"type":"next","id":"1","payload":{"errors":{"message":"x"}}}',
        Malformed(
            "1",
            "a JSON object whose 'errors' is a JSON object, not a list: x",
            '{"errors":{"message":"x"}}',
            [{"message": "x"}],
        ),
        id="7-next-errors-that-are-no-list",
    ),
    pytest.param('{"type":"complete","id":"1"}', Complete("1"), id="8-complete"),
    pytest.param(
        '{"type":"complete","id":"1","payload":null}', Complete("1"), id="8-complete-null-payload"
    ),
    pytest.param('{"type":"complete","id":"never seen"}', Complete("never seen"), id="9-unknown"),
    pytest.param('{"type":"complete","id":""}', Complete(""), id="9-empty-id"),
    pytest.param('{"type":"connection_ack","payload":2}', Ack(2), id="2-mercurius-second-ack"),
    pytest.param('{"type":"connection_error"}', Refusal(), id="mercurius-connection-error"),
]

MALFORMED = [
    pytest.param("", "truncated", id="10-empty"),
    pytest.param("{", "truncated", id="10-truncated"),
    pytest.param('{"type":"ping"} x', "trailing", id="10-trailing"),
    pytest.param("\ufeff" + ACK, "malformed", id="10-byte-order-mark"),
    pytest.param("null", "Expected `object`, got `null`", id="10-null"),
    pytest.param("[]", "Expected `object`, got `array`", id="10-array"),
    pytest.param('"ping"', "Expected `object`, got `str`", id="10-string"),
    pytest.param("{}", "`type`", id="10-no-type"),
    pytest.param('{"type":null}', "$.type", id="10-null-type"),
    pytest.param('{"type":"nope"}', "'nope' - at `$.type`", id="10-unknown-type"),
    pytest.param('{"type":"data","id":"1","payload":{}}', "'data'", id="10-legacy-data"),
    pytest.param('{"type":"subscribe","id":"1","payload":{}}', "'subscribe'", id="10-client's"),
    pytest.param('{"type":"next","payload":{}}', "`id`", id="10-next-without-id"),
    pytest.param('{"type":"next","id":1,"payload":{}}', "$.id", id="10-next-integer-id"),
    pytest.param('{"type":"next","id":null,"payload":{}}', "$.id", id="10-next-null-id"),
    pytest.param('{"type":"error","payload":[]}', "`id`", id="10-error-without-id"),
    pytest.param('{"type":"complete"}', "`id`", id="10-complete-without-id"),
    pytest.param('{"type":"ping","payload":NaN}', "invalid character", id="10-nan"),
    pytest.param('{"type":"ping","payload":1e999}', "out of range", id="10-huge-number"),
    pytest.param(f'{{"type":"{"x" * 5000}"}}', "Invalid value", id="10-reason-is-short"),
    pytest.param('{"type":"ping","payload":' + "[" * 200_000, "too deeply", id="10-deep-value"),
    pytest.param('{"type":"ping","x":' + '{"a":' * 200_000, "too deeply", id="10-deep-rest"),
]

SENT = [
    pytest.param(lambda c: c.connection_init(None), {"type": "connection_init"}, id="2-init"),
    pytest.param(
        lambda c: c.connection_init({"token": "t"}),
        {"type": "connection_init", "payload": {"token": "t"}},
        id="2-init-payload",
    ),
    pytest.param(
        lambda c: c.connection_init({}),
        {"type": "connection_init", "payload": {}},
        id="2-init-empty-payload",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest("{ a }")),
        {"type": "subscribe", "id": "7", "payload": {"query": "{ a }"}},
        id="6-subscribe",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest(QUERY, {"n": 2**70}, "Q", {"x": [None]})),
        {
            "type": "subscribe",
            "id": "7",
            "payload": {
                "query": QUERY,
                "variables": {"n": 2**70},
                "operationName": "Q",
                "extensions": {"x": [None]},
            },
        },
        id="6-subscribe-everything",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest("{ a }", {}, None, {})),
        {
            "type": "subscribe",
            "id": "7",
            "payload": {"query": "{ a }", "variables": {}, "extensions": {}},
        },
        id="6-subscribe-empty-variables",
    ),
    pytest.param(
        lambda c: c.subscribe("7", GraphQLRequest('{ a(s: "\\" é 🎉\\n") }')),
        {"type": "subscribe", "id": "7", "payload": {"query": '{ a(s: "\\" é 🎉\\n") }'}},
        id="6-subscribe-escapes",
    ),
    pytest.param(lambda c: c.complete("7"), {"type": "complete", "id": "7"}, id="8-complete"),
    pytest.param(lambda c: c.ping(), {"type": "ping"}, id="4-ping"),
    pytest.param(lambda c: c.ping(0), {"type": "ping", "payload": 0}, id="4-ping-payload"),
    pytest.param(lambda c: c.pong(), {"type": "pong"}, id="4-pong-echoes-nothing"),
    pytest.param(
        lambda c: c.pong({"t": 1}), {"type": "pong", "payload": {"t": 1}}, id="4-pong-payload"
    ),
]


def both(text: str) -> list[bytes | str]:
    return [text, text.encode()]


@pytest.mark.parametrize(("text", "expected"), BEFORE_ACK)
def test_received_before_the_ack(text: str, expected: Event | str) -> None:
    for message in both(text):
        codec = new_codec()
        if isinstance(expected, str):
            with pytest.raises(ProtocolViolation, match=expected) as caught:
                codec.receive(message)
            assert caught.value.code == 4400
        else:
            assert codec.receive(message) == expected


@pytest.mark.parametrize(("text", "expected"), AFTER_ACK)
def test_received_after_the_ack(text: str, expected: Event) -> None:
    for message in both(text):
        event = new_codec(ACK).receive(message)
        assert event == expected
        assert type(event) is type(expected)


@pytest.mark.parametrize(("text", "reason"), MALFORMED)
@pytest.mark.parametrize("acknowledged", [True, False], ids=["after-ack", "before-ack"])
def test_malformed(text: str, reason: str, acknowledged: bool) -> None:
    for message in both(text):
        codec = new_codec(ACK) if acknowledged else new_codec()
        with pytest.raises(ProtocolViolation) as caught:
            codec.receive(message)
        assert caught.value.code == 4400
        assert reason in caught.value.reason
        assert len(caught.value.reason.encode()) <= 123


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\xff", id="10-not-json-either"),
        pytest.param(b'{"type":"ping","payload":"\xff"}', id="10-in-payload"),
        pytest.param(b'{"type":"\xc3\x28"}', id="10-in-type"),
        pytest.param(b'{"type":"ping","payload":"\xed\xa0\x80"}', id="10-encoded-surrogate"),
        pytest.param('{"type":"ping","payload":"\ud800"}', id="10-surrogate-in-str"),
    ],
)
def test_invalid_utf8(message: bytes | str) -> None:
    with pytest.raises(ProtocolViolation, match="UTF-8") as caught:
        new_codec(ACK).receive(message)
    assert caught.value.code == 1007


@pytest.mark.parametrize(("send", "expected"), SENT)
def test_sent(send: Any, expected: dict[str, Any]) -> None:
    text = send(new_codec(ACK))
    assert isinstance(text, bytes)
    assert json.loads(text) == expected


def test_11_nothing_precedes_the_closing_handshake() -> None:
    assert new_codec(ACK).terminate() == ()


def test_1_is_a_value() -> None:
    assert GRAPHQL_TRANSPORT_WS.subprotocols == ("graphql-transport-ws",)
    assert not GRAPHQL_TRANSPORT_WS.is_default
    assert not new_codec().has_keep_alive_messages
    assert GraphQLTransportWS() == GRAPHQL_TRANSPORT_WS
    assert hash(GraphQLTransportWS()) == hash(GRAPHQL_TRANSPORT_WS)


@pytest.mark.parametrize(
    ("payload", "problem", "errors"),
    [
        ("{}", "a JSON object without data and errors", []),
        ('{"errors":[]}', "a JSON object without data and errors", []),
        ('{"data":[]}', "a JSON object whose 'data' is a JSON array, not an object", []),
        (
            '{"message":"Internal server error"}',
            "a JSON object without data and errors: Internal server error",
            [{"message": "Internal server error"}],
        ),
        (
            '{"errors":"no"}',
            "a JSON object whose 'errors' is a JSON string, not a list: no",
            [{"message": "no"}],
        ),
    ],
)
def test_7_what_is_no_result_is_seen_when_read_again(
    payload: str, problem: str, errors: list[Any]
) -> None:
    message = f'{{"type":"next","id":"1","payload":{payload}}}'
    for text in both(message):
        assert new_codec(ACK).reread(text) == Malformed("1", problem, payload, errors)


def test_connections_share_no_state() -> None:
    new_codec(ACK)
    with pytest.raises(ProtocolViolation):
        new_codec().receive('{"type":"complete","id":"1"}')


def test_a_violation_leaves_the_state_as_it_was() -> None:
    codec = new_codec()
    with pytest.raises(ProtocolViolation):
        codec.receive('{"type":"complete","id":"1"}')
    assert codec.receive(ACK) == Ack()
    assert codec.receive('{"type":"complete","id":"1"}') == Complete("1")


@pytest.mark.parametrize(
    ("send", "path"),
    [
        (lambda c, bad: c.connection_init({"a": [bad]}), r"^init_payload\.a\[0\]: "),
        (
            lambda c, bad: c.subscribe("1", GraphQLRequest("{ a }", {"input": {"when": bad}})),
            r"^variables\.input\.when: ",
        ),
        (
            lambda c, bad: c.subscribe("1", GraphQLRequest("{ a }", None, None, {"x": bad})),
            r"^extensions\.x: ",
        ),
        (lambda c, bad: c.ping({"a": bad}), r"^payload\.a: "),
        (lambda c, bad: c.pong(bad), r"^payload: "),
    ],
    ids=["init", "variables", "extensions", "ping", "pong"],
)
def test_values_without_a_json_form_are_named(send: Any, path: str) -> None:
    with pytest.raises(TypeError, match=path):
        send(new_codec(ACK), object())


def test_the_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    request = GraphQLRequest("{ encoded_once }")
    first = new_codec(ACK).subscribe("1", request)
    monkeypatch.setattr(msgspec.json, "encode", None)
    assert new_codec(ACK).subscribe("1", GraphQLRequest("{ encoded_once }")) == first
