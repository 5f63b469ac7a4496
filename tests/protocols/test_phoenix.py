"""Phoenix channels with Absinthe: each of the protocol's points, as a table of frames.

The numbers in the tests' names are those of the points that they hold:

1 ``vsn`` and ``params`` in the URL. 2 the token as a subprotocol. 3 a refused ``connect/3``. 4
the join. 5 its reply. 6 nothing before it. 7 the heartbeat. 8 an operation. 9 a reply that is ok.
10 one that isn't. 11 results. 12 results before the reply. 13 no completion. 14 leaving. 15 late
results. 16 one id for equal subscriptions. 17 a crashed channel. 18 a closed one. 19 what is
ignored, and what breaks the protocol. 20 the end. 21 refs are a connection's. 22 no mutation
twice (in ``tests/websocket/test_phoenix.py``). 23 what can't be carried. 24 no version 1.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anygql import PHOENIX, FileVar, Phoenix
from anygql.documents.request import GraphQLRequest
from anygql.exceptions import ProtocolViolation, TransportProtocolError
from anygql.json import MsgspecJSON
from anygql.protocols import (
    NOTHING,
    Ack,
    Codec,
    Complete,
    Ended,
    Error,
    Event,
    Malformed,
    Next,
    Pong,
    Refusal,
    Say,
    Several,
    Started,
)
from anygql.protocols.negotiation import negotiated_protocol, protocols_to_offer
from anygql.protocols.phoenix_topics import MAX_KEPT
from anygql.results.result import ExecutionResult

pytestmark = pytest.mark.table

TOPIC = "__absinthe__:control"
JOINED = ["1", "1", TOPIC, "phx_reply", {"response": {}, "status": "ok"}]
QUERY = GraphQLRequest("{ hello }")
EVENTS = GraphQLRequest("subscription { n }")
X, Y = "__absinthe__:doc:1:X", "__absinthe__:doc:2:Y"


def reply(ref: str, response: Any, status: str = "ok", join_ref: str | None = "1") -> list[Any]:
    return [join_ref, ref, TOPIC, "phx_reply", {"response": response, "status": status}]


def data(topic: str, n: Any) -> list[Any]:
    payload = {"result": {"data": {"n": n}}, "subscriptionId": topic}
    return [None, None, topic, "subscription:data", payload]


def result(id: str, n: Any) -> Next:
    return Next(id, ExecutionResult({"n": n}))


class Conversation:
    """A codec that has joined, and what it says, as decoded JSON."""

    def __init__(self, codec: Codec | None = None, *, joined: bool = True) -> None:
        self.codec = codec or PHOENIX.codec(MsgspecJSON())
        self.join = json.loads(self.codec.connection_init(None))
        if joined:
            assert self.hear(JOINED) == [Ack({})]

    def hear(self, *messages: Any) -> list[Event]:
        texts = [
            each if isinstance(each, bytes) else json.dumps(each, separators=(",", ":")).encode()
            for each in messages
        ]
        return [event for each in self.codec.receive_many(texts) for event in flat(each)]

    def ask(self, id: str, request: GraphQLRequest = EVENTS) -> str:
        """Start an operation, and return its ref."""
        ref: str = json.loads(self.codec.subscribe(id, request))[1]
        return ref

    def leave(self, id: str) -> Any:
        message = self.codec.complete(id)
        return None if message is None else json.loads(message)


def flat(event: Event) -> Iterator[Event]:
    if isinstance(event, Several):
        for each in event.events:
            yield from flat(each)
    else:
        yield event


def said(events: list[Event]) -> list[Any]:
    return [json.loads(event.message) for event in events if isinstance(event, Say)]


class TestPreparation:
    @pytest.mark.parametrize(
        ("url", "params", "expected"),
        [
            ("ws://h/socket/websocket", None, "?vsn=2.0.0"),
            ("ws://h/s?a=1", {"b": 2}, "?a=1&vsn=2.0.0&b=2"),
            ("ws://h/s?", {}, "?vsn=2.0.0"),
            ("ws://h/s?a&", {}, "?a&vsn=2.0.0"),
            ("ws://h/s?vsn=2.0.0", {"a": "b"}, "?vsn=2.0.0&a=b"),
            ("ws://h/s?vsn=2.0.0", {}, "?vsn=2.0.0"),
            ("ws://h/s", {"t": "a+b/c= &ä"}, "?vsn=2.0.0&t=a%2Bb%2Fc%3D%20%26%C3%A4"),
            ("ws://h/s", {"a": True, "b": 1.5, "c": ""}, "?vsn=2.0.0&a=true&b=1.5&c="),
        ],
    )
    async def test_1_the_url(self, url: str, params: Any, expected: str) -> None:
        prepared = await Phoenix(params=params).prepare(url)
        assert prepared.url == url.partition("?")[0] + expected

    async def test_1_another_version(self) -> None:
        with pytest.raises(ValueError, match="leave it out"):
            await PHOENIX.prepare("ws://h/s?vsn=1.0.0")
        with pytest.raises(ValueError, match="leave it out"):
            Phoenix(params={"vsn": "2.0.0"})

    @pytest.mark.parametrize("value", [None, [1], {"a": 1}, b"x"])
    def test_1_what_params_can_t_be(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"params\['secret'\] is a text"):
            Phoenix(params={"secret": value})

    @pytest.mark.parametrize("name", ["params", "join_payload"])
    async def test_what_is_no_mapping(self, name: str) -> None:
        options: dict[str, Any] = {name: "s3cret"}
        with pytest.raises(TypeError, match=f"{name} is a mapping, not str"):
            Phoenix(**options)
        with pytest.raises(TypeError, match=f"{name} is a mapping, not str"):
            await Phoenix(**{name: lambda: "s3cret"}).prepare("ws://h/")  # type: ignore[arg-type]

    def test_the_topic(self) -> None:
        with pytest.raises(TypeError, match="topic is a text"):
            Phoenix(topic=None)  # type: ignore[arg-type]

    async def test_2_without_a_token_nothing_is_offered(self) -> None:
        assert (await PHOENIX.prepare("ws://h/")).subprotocols == []
        assert negotiated_protocol([PHOENIX], None) is PHOENIX

    @pytest.mark.parametrize("token", ["a", "s3cret", "~~~", "ä", "x" * 100])
    async def test_2_the_token(self, token: str) -> None:
        protocol = Phoenix(auth_token=token)
        first, second = (await protocol.prepare("ws://h/")).subprotocols
        assert first == "phoenix"
        prefix, _, text = second.rpartition(".")
        assert prefix == "base64url.bearer.phx"
        assert "=" not in second
        assert base64.b64decode(text + "=" * (-len(text) % 4)).decode() == token
        assert negotiated_protocol([protocol], "phoenix") is protocol
        for choice in (None, second):
            with pytest.raises(TransportProtocolError):
                negotiated_protocol([protocol], choice)

    @pytest.mark.parametrize("token", ["s3?", "ab\x7f", ""])
    async def test_2_one_that_a_header_can_t_have(self, token: str) -> None:
        with pytest.raises(ValueError, match="params=") as caught:
            Phoenix(auth_token=token)
        assert not token or token not in str(caught.value)
        with pytest.raises(ValueError, match="params="):
            await Phoenix(auth_token=lambda: token).prepare("ws://h/")

    async def test_2_what_is_no_token(self) -> None:
        with pytest.raises(TypeError, match="auth_token is a text, not bytes"):
            Phoenix(auth_token=b"a")  # type: ignore[arg-type]

    async def test_functions_are_asked_at_each_attempt(self) -> None:
        numbers = iter(range(100))

        async def params() -> dict[str, int]:
            return {"n": next(numbers)}

        protocol = Phoenix(params=params, auth_token=lambda: "t", join_payload=lambda: {"j": 1})
        assert protocol.asks_anew
        assert not Phoenix(params={"a": 1}).asks_anew
        one, two = await protocol.prepare("ws://h/"), await protocol.prepare("ws://h/")
        assert (one.url, two.url) == ("ws://h/?vsn=2.0.0&n=0", "ws://h/?vsn=2.0.0&n=1")
        assert one.init_payload == {"j": 1}

    async def test_nothing_secret_is_shown(self) -> None:
        protocol = Phoenix(
            params={"t": "s3cret"}, auth_token="s3cret", join_payload={"t": "s3cret"}
        )
        prepared = await protocol.prepare("ws://h/")
        names = [repr(name) for name in prepared.subprotocols]
        assert "s3cret" not in repr(protocol) + repr(prepared)
        assert names == ["'phoenix'", "'***'"]

    def test_by_name(self) -> None:
        assert protocols_to_offer("phoenix") == (PHOENIX,)


class TestJoining:
    def test_4_the_first_frame(self) -> None:
        assert Conversation(joined=False).join == ["1", "1", TOPIC, "phx_join", {}]

    def test_4_its_payload_and_topic(self) -> None:
        codec = Phoenix(topic="other").codec(MsgspecJSON())
        join = json.loads(codec.connection_init({"a": 1}))
        assert join == ["1", "1", "other", "phx_join", {"a": 1}]
        with pytest.raises(TypeError, match=r"join_payload\.a"):
            codec.connection_init({"a": object()})

    def test_5_accepted(self) -> None:
        talk = Conversation(joined=False)
        assert talk.hear(
            ["1", "1", TOPIC, "phx_reply", {"response": {"a": 1}, "status": "ok"}]
        ) == [Ack({"a": 1})]

    @pytest.mark.parametrize(
        ("response", "words"),
        [
            ({"reason": "unmatched topic"}, "unmatched topic: this socket doesn't serve"),
            ({"reason": "too many channels joined"}, "too many channels joined"),
            ("no", "no"),
        ],
    )
    def test_5_refused(self, response: Any, words: str) -> None:
        talk = Conversation(joined=False)
        (event,) = talk.hear(reply("1", response, "error", None))
        assert isinstance(event, Refusal)
        assert words in str(event.payload)
        assert talk.codec.terminate() == ()

    def test_5_the_reply_of_another_join(self) -> None:
        talk = Conversation(joined=False)
        other = ["1", "1", "room:lobby", "phx_reply", {"response": {}, "status": "ok"}]
        assert talk.hear(other, reply("9", {})) == []

    def test_21_refs_are_a_connection_s(self) -> None:
        for _ in range(2):
            talk = Conversation()
            assert [talk.ask("1"), talk.ask("2")] == ["2", "3"]


class TestHeartbeat:
    def test_7(self) -> None:
        talk = Conversation()
        ping = talk.codec.ping()
        assert ping is not None
        assert json.loads(ping) == [None, "2", "phoenix", "heartbeat", {}]
        assert talk.hear([None, "2", "phoenix", "phx_reply", {"response": {}, "status": "ok"}]) == [
            Pong()
        ]

    def test_7_the_reply_to_another(self) -> None:
        talk = Conversation()
        talk.codec.ping(), talk.codec.ping()
        answer = [None, "2", "phoenix", "phx_reply", {"response": {}, "status": "ok"}]
        assert talk.hear(answer) == []

    def test_7_the_defaults(self) -> None:
        assert (PHOENIX.default_ping_interval, PHOENIX.default_pong_share) == (30, 1)


class TestOperations:
    def test_8(self) -> None:
        talk = Conversation()
        request = GraphQLRequest("query($n:String){hello(name:$n)}", {"n": "Ann"})
        assert json.loads(talk.codec.subscribe("7", request)) == [
            "1",
            "2",
            TOPIC,
            "doc",
            {"query": "query($n:String){hello(name:$n)}", "variables": {"n": "Ann"}},
        ]
        assert json.loads(talk.codec.subscribe("8", QUERY))[4]["variables"] == {}

    def test_8_several_operations(self) -> None:
        talk = Conversation()
        request = GraphQLRequest("query A { a } query B { b }", operation_name="A")
        with pytest.raises(TypeError, match="a document with one operation"):
            talk.codec.subscribe("1", request)

    def test_23_extensions(self) -> None:
        talk = Conversation()
        with pytest.raises(TypeError, match=r"extensions would be lost.*HTTPTransport"):
            talk.codec.subscribe("1", GraphQLRequest("{ a }", extensions={"a": 1}))

    def test_23_uploads(self) -> None:
        talk = Conversation()
        request = GraphQLRequest("mutation ($f: F) { a(f: $f) }", {"f": FileVar(b"")})
        with pytest.raises(TypeError, match=r"variables\.f.*HTTPTransport"):
            talk.codec.subscribe("1", request)
        assert talk.ask("1") == "2"

    def test_23_incremental_delivery(self) -> None:
        assert not PHOENIX.is_incremental

    def test_9_a_result(self) -> None:
        talk = Conversation()
        ref = talk.ask("7", QUERY)
        response = {"data": {"a": 1}, "errors": [{"message": "x"}], "extensions": {"e": 1}}
        expected = ExecutionResult({"a": 1}, [{"message": "x"}], {"e": 1})
        assert talk.hear(reply(ref, response)) == [Next("7", expected), Complete("7")]

    def test_9_a_result_that_is_none(self) -> None:
        talk = Conversation()
        ref = talk.ask("7", QUERY)
        event, end = talk.hear(reply(ref, {"message": "what?"}))
        assert isinstance(event, Malformed)
        assert (event.id, end) == ("7", Complete("7"))
        assert "what?" in event.problem

    def test_9_a_subscription(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        assert talk.hear(reply(ref, {"subscriptionId": X})) == [Started("7")]

    @pytest.mark.parametrize(
        ("response", "payload"),
        [
            ({"errors": [{"message": "no field"}]}, [{"message": "no field"}]),
            ({"error": "Could not parse variables as map"}, "Could not parse variables as map"),
            ({"reason": "timeout"}, {"reason": "timeout"}),
            ({"what": 1}, '{"what":1}'),
            (None, "null"),
            ("no", '"no"'),
        ],
    )
    def test_10(self, response: Any, payload: Any) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        assert talk.hear(reply(ref, response, "error")) == [Error("7", payload)]

    def test_10_the_channel_is_gone(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        (event,) = talk.hear(reply(ref, {"reason": "unmatched topic"}, "error", None))
        assert isinstance(event, Ended)
        assert event.retryable

    @pytest.mark.parametrize(
        ("text", "expected"), [(b'"\\ud800"', "\ufffd"), (b"1e999", None)], ids=["half", "range"]
    )
    def test_9_values_that_are_hard_to_read(self, text: bytes, expected: Any) -> None:
        talk = Conversation()
        ref = talk.ask("7", QUERY)
        frame = json.dumps(reply(ref, {"data": {"n": "VALUE"}})).encode()
        events = talk.hear(frame.replace(b'"VALUE"', text))
        if expected is not None:
            assert events == [result("7", expected), Complete("7")]
        else:
            assert isinstance(events[0], Error)

    def test_10_a_reply_that_is_no_reply(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        assert talk.hear(["1", ref, TOPIC, "phx_reply", 3]) == [Error("7", "3")]

    def test_24_version_1_is_not_spoken(self) -> None:
        text = b'{"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"1"}'
        with pytest.raises(ProtocolViolation):
            Conversation(joined=False).hear(text)


class TestResults:
    def test_11(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        talk.hear(reply(talk.ask("8"), {"subscriptionId": Y}))
        assert talk.hear(data(X, 1), data(Y, 2)) == [result("7", 1), result("8", 2)]

    def test_11_with_errors(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        frame = data(X, 1)
        frame[4]["result"] = {"errors": [{"message": "x"}]}
        assert talk.hear(frame) == [Next("7", ExecutionResult(errors=[{"message": "x"}]))]

    @pytest.mark.parametrize("payload", [1, {}, {"result": {}}, {"result": {"data": 1}}, None])
    def test_11_what_is_no_result(self, payload: Any) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        (event,) = talk.hear([None, None, X, "subscription:data", payload])
        assert isinstance(event, Malformed)
        assert event.id == "7"

    def test_11_half_a_character(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        text = json.dumps(data(X, "\ud800")).encode()
        assert talk.hear(text) == [result("7", "\ufffd")]

    def test_12_before_the_reply(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        assert talk.hear(data(X, 1), data(X, 2)) == []
        assert talk.hear(reply(ref, {"subscriptionId": X})) == [
            Started("7"),
            result("7", 1),
            result("7", 2),
        ]
        assert talk.hear(data(X, 2)) == [result("7", 2)]

    def test_12_the_same_result_twice(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        talk.hear(data(X, 1), data(X, 1), data(X, 2))
        events = talk.hear(reply(ref, {"subscriptionId": X}))
        assert events == [Started("7"), result("7", 1), result("7", 1), result("7", 2)]

    def test_12_only_while_a_reply_is_awaited(self) -> None:
        talk = Conversation()
        assert talk.hear(data(X, 1)) == []
        query = talk.ask("7", QUERY)
        assert talk.hear(data(X, 2)) == []
        talk.hear(reply(query, {"data": {}}))
        ref = talk.ask("8")
        assert talk.hear(reply(ref, {"subscriptionId": X})) == [Started("8")]

    def test_12_of_another_that_is_awaited(self) -> None:
        talk = Conversation()
        one, two = talk.ask("1"), talk.ask("2")
        assert talk.hear(data(X, 1), data(Y, 2)) == []
        assert talk.hear(reply(one, {"subscriptionId": Y})) == [Started("1"), result("1", 2)]
        assert talk.hear(reply(two, {"subscriptionId": X})) == [Started("2"), result("2", 1)]

    def test_12_they_are_bounded_and_let_go_of(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        for n in range(3 * MAX_KEPT):
            talk.hear(data(f"{X}{n % 5}", n))
        topics = talk.codec._topics  # type: ignore[attr-defined]
        assert topics.kept == MAX_KEPT
        talk.hear(reply(ref, {"errors": [{"message": "no"}]}, "error"))
        assert (topics.kept, len(topics)) == (0, 0)

    def test_13_nothing_completes_a_subscription(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        assert talk.hear([None, None, X, "complete", {}], [None, None, X, "phx_close", {}]) == []


class TestLeaving:
    def unsubscribe(self, ref: str, topic: str) -> list[Any]:
        return ["1", ref, TOPIC, "unsubscribe", {"subscriptionId": topic}]

    def test_14(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        assert talk.leave("7") == self.unsubscribe("3", X)
        assert talk.leave("7") is None
        assert talk.hear(reply("3", {"subscriptionId": X})) == []

    def test_14_before_the_reply(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        assert talk.leave("7") is None
        assert said(talk.hear(reply(ref, {"subscriptionId": X}))) == [self.unsubscribe("3", X)]

    def test_14_before_a_reply_that_refuses(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        talk.leave("7")
        assert talk.hear(reply(ref, {"errors": [1]}, "error")) == []

    def test_14_a_query_can_t_be_stopped(self) -> None:
        talk = Conversation()
        ref = talk.ask("7", QUERY)
        assert talk.leave("7") is None
        assert talk.hear(reply(ref, {"data": {}})) == []
        assert talk.leave("7") is None

    def test_14_before_it_was_written(self) -> None:
        talk = Conversation()
        ref = talk.ask("7")
        talk.codec.forget("7")
        assert talk.hear(reply(ref, {"subscriptionId": X})) == []
        talk.ask("8", QUERY)
        talk.codec.forget("8")

    def test_15_late_results(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("7"), {"subscriptionId": X}))
        talk.leave("7")
        ref = talk.ask("8")  # so that what is unknown is kept
        assert talk.hear(data(X, 1)) == []
        assert talk.hear(reply("3", {"subscriptionId": X})) == []
        assert talk.hear(reply(ref, {"subscriptionId": X})) == [Started("8")]
        assert talk.hear(data(X, 2)) == [result("8", 2)]

    def test_nothing_grows_where_the_server_never_replies(self) -> None:
        talk = Conversation()
        for n in range(5000):
            talk.hear(reply(talk.ask(str(n)), {"subscriptionId": f"{X}{n}"}))
            talk.leave(str(n))
        assert len(talk.codec._left) == len(talk.codec._late) == 4096  # type: ignore[attr-defined]
        assert len(talk.codec._topics) == 0  # type: ignore[attr-defined]


class TestOneIdForEqualSubscriptions:
    def two(self) -> Conversation:
        talk = Conversation()
        for id in ("1", "2"):
            talk.hear(reply(talk.ask(id), {"subscriptionId": X}))
        return talk

    def test_16_each_result_comes_twice_and_is_given_once(self) -> None:
        talk = self.two()
        events = talk.hear(data(X, 1), data(X, 1), data(X, 2), data(X, 2))
        assert events == [result("1", 1), result("2", 1), result("1", 2), result("2", 2)]

    def test_16_three_of_them(self) -> None:
        talk = self.two()
        talk.hear(reply(talk.ask("3"), {"subscriptionId": X}))
        assert talk.hear(*[data(X, 1)] * 3, *[data(X, 2)] * 3) == [
            result(id, n) for n in (1, 2) for id in ("1", "2", "3")
        ]

    def test_16_copies_that_never_come_are_let_go_of(self) -> None:
        talk = self.two()
        for n in range(3 * MAX_KEPT):
            talk.hear(data(X, n))
        (topic,) = vars(talk.codec)["_topics"]._topics.values()
        assert len(topic.copies) == MAX_KEPT

    def test_16_equal_results_are_different_ones(self) -> None:
        talk = self.two()
        assert talk.hear(*[data(X, 1)] * 6) == [result("1", 1), result("2", 1)] * 3

    def test_16_copies_of_two_results_may_be_mixed(self) -> None:
        talk = self.two()
        events = talk.hear(data(X, 1), data(X, 2), data(X, 1), data(X, 2))
        assert events == [result("1", 1), result("2", 1), result("1", 2), result("2", 2)]

    def test_16_only_the_last_one_unsubscribes(self) -> None:
        talk = self.two()
        assert talk.leave("1") is None
        assert talk.hear(data(X, 1), data(X, 1)) == [result("2", 1)]
        assert talk.leave("2")[3:] == ["unsubscribe", {"subscriptionId": X}]

    def test_16_it_waits_for_one_that_is_on_its_way(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("1"), {"subscriptionId": X}))
        two, three = talk.ask("2", GraphQLRequest("subscription { other }")), talk.ask("3")
        assert talk.leave("1") is None  # it would end the third one, too
        assert talk.hear(reply(two, {"subscriptionId": Y}), data(X, 1)) == [Started("2")]
        assert talk.hear(reply(three, {"subscriptionId": X})) == [Started("3"), result("3", 1)]
        assert said(talk.hear(data(X, 2), data(X, 2))) == []
        assert talk.leave("3")[3] == "unsubscribe"

    def test_16_and_is_sent_if_that_one_has_another_id(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("1"), {"subscriptionId": X}))
        ref = talk.ask("2")
        talk.leave("1")
        events = talk.hear(reply(ref, {"subscriptionId": Y}))
        assert events[0] == Started("2")
        assert [message[4] for message in said(events)] == [{"subscriptionId": X}]

    def test_16_it_does_not_wait_for_other_documents(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("1"), {"subscriptionId": X}))
        talk.ask("2", GraphQLRequest("subscription { other }"))
        talk.ask("3", GraphQLRequest("subscription { n }", {"a": 1}))
        assert talk.leave("1")[3] == "unsubscribe"

    def test_16_or_if_that_one_was_never_written(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("1"), {"subscriptionId": X}))
        talk.ask("2")
        talk.leave("1")
        talk.codec.forget("2")
        assert [message[3] for message in said(talk.hear([None, "0", "t", "e", {}]))] == [
            "unsubscribe"
        ]

    def test_16_left_before_the_reply(self) -> None:
        talk = Conversation()
        talk.hear(reply(talk.ask("1"), {"subscriptionId": X}))
        ref = talk.ask("2")
        talk.leave("2")
        assert talk.hear(reply(ref, {"subscriptionId": X})) == []
        assert talk.hear(data(X, 1), data(X, 1)) == [result("1", 1)]
        assert talk.leave("1")[3] == "unsubscribe"

    def test_12_and_16_between_the_replies(self) -> None:
        """Both are registered, and only the first knows: each gets each result once."""
        talk = Conversation()
        one, two = talk.ask("1"), talk.ask("2")
        talk.hear(reply(one, {"subscriptionId": X}))
        assert talk.hear(data(X, 1), data(X, 1)) == [result("1", 1)]
        assert talk.hear(reply(two, {"subscriptionId": X})) == [Started("2"), result("2", 1)]
        assert talk.hear(data(X, 2), data(X, 2)) == [result("1", 2), result("2", 2)]

    def test_12_and_16_the_second_copy_comes_after_the_reply(self) -> None:
        talk = Conversation()
        one, two = talk.ask("1"), talk.ask("2")
        talk.hear(reply(one, {"subscriptionId": X}))
        assert talk.hear(data(X, 1)) == [result("1", 1)]
        assert talk.hear(reply(two, {"subscriptionId": X})) == [Started("2"), result("2", 1)]
        assert talk.hear(data(X, 1)) == []
        assert talk.hear(data(X, 1)) == [result("1", 1), result("2", 1)]

    def test_12_and_16_before_both_replies(self) -> None:
        talk = Conversation()
        one, two = talk.ask("1"), talk.ask("2")
        talk.hear(data(X, 1), data(X, 1), data(X, 2), data(X, 2))
        assert talk.hear(reply(one, {"subscriptionId": X})) == [Started("1"), result("1", 1)]
        events = talk.hear(reply(two, {"subscriptionId": X}))
        assert sorted(map(repr, events)) == sorted(
            map(repr, [Started("2"), result("2", 1), result("1", 2), result("2", 2)])
        )

    def test_12_and_16_equal_results_of_one_that_is_alone_keep_their_order(self) -> None:
        talk = Conversation()
        one, two = talk.ask("1"), talk.ask("2")
        talk.hear(reply(one, {"subscriptionId": X}))
        first = talk.hear(data(X, 1), data(X, 1), data(X, 2))
        rest = talk.hear(reply(two, {"subscriptionId": Y}))
        assert first + rest == [
            result("1", 1),
            Started("2"),
            result("1", 1),
            result("1", 2),
        ]


class TestTheEndOfAChannel:
    @pytest.mark.parametrize("join_ref", ["1", None])
    def test_17_it_crashed(self, join_ref: str | None) -> None:
        talk = Conversation()
        (event,) = talk.hear([join_ref, join_ref, TOPIC, "phx_error", {}])
        assert isinstance(event, Ended)
        assert event.retryable
        assert "crashed" in event.reason
        assert talk.codec.terminate() == ()

    def test_17_another_one(self) -> None:
        talk = Conversation()
        assert talk.hear([None, None, "room:lobby", "phx_error", {}]) == []
        assert talk.hear(["0", "0", TOPIC, "phx_error", {}]) == []

    def test_18_it_was_closed(self) -> None:
        talk = Conversation()
        (event,) = talk.hear(["1", "1", TOPIC, "phx_close", {}])
        assert isinstance(event, Ended)
        assert event.retryable

    def test_18_another_one(self) -> None:
        talk = Conversation()
        assert talk.hear(["0", "0", TOPIC, "phx_close", {}]) == []
        assert talk.hear(["1", "1", "room:lobby", "phx_close", {}]) == []

    def test_20_it_is_left_once_and_not_waited_for(self) -> None:
        talk = Conversation()
        (leave,) = talk.codec.terminate()
        assert json.loads(leave) == ["1", "2", TOPIC, "phx_leave", {}]
        assert talk.codec.is_terminated
        assert talk.hear(reply("2", {})) == []


class TestWhatElseComes:
    @pytest.mark.parametrize(
        "frame",
        [
            ["1", "99", TOPIC, "phx_reply", {"response": {}, "status": "ok"}],
            [None, None, TOPIC, "presence_state", {}],
            [None, None, TOPIC, "presence_diff", {"joins": {}}],
            [None, None, "room:lobby", "new_msg", {"body": "hi"}],
            [None, None, X, "subscription:data", {"result": {"data": {}}}],
            [None, None, TOPIC, "disconnect", None],
            ["1", "2", "3", "4", {}, "more"],
        ],
    )
    def test_19_is_ignored(self, frame: Any) -> None:
        talk = Conversation()
        assert talk.codec.receive(json.dumps(frame)) == NOTHING

    @pytest.mark.parametrize(
        "text",
        [
            *(b"", b"{", b"[", b"{}", b"null", b"[]", b"[" * 10_000),
            *(b'["1","1","t","e"]', b'[1,1,"t","e",{}]'),
            *(b'["1","1",null,"e",{}]', b'["1","1","t",3,{}]'),
        ],
    )
    @pytest.mark.parametrize("joined", [True, False])
    def test_19_breaks_the_protocol(self, text: bytes, joined: bool) -> None:
        with pytest.raises(ProtocolViolation) as caught:
            Conversation(joined=joined).hear(text)
        assert caught.value.code == 1002

    @pytest.mark.parametrize(
        "text", [b'["1","1","\xff","e",{}]', b'["1","1","t","e",{"a":"\xff"}]']
    )
    def test_19_what_is_not_utf_8(self, text: bytes) -> None:
        with pytest.raises(ProtocolViolation) as caught:
            Conversation().hear(text)
        assert caught.value.code == 1007


class Picky:
    """A JSON that reads numbers in its own way."""

    def encode(self, value: Any, /) -> bytes:
        return json.dumps(value).encode()

    def decode(self, text: bytes, /) -> Any:
        return json.loads(text, parse_int=lambda number: f"#{number}")


def test_another_json_reads_the_values() -> None:
    talk = Conversation(PHOENIX.codec(Picky()))
    events = talk.hear(reply(talk.ask("7", QUERY), {"data": {"n": 1}}))
    events += talk.hear(reply(talk.ask("8"), {"subscriptionId": X}), data(X, 2))
    assert events == [result("7", "#1"), Complete("7"), Started("8"), result("8", "#2")]


# What Absinthe 1.7 has said, recorded.

TRANSCRIPT = (Path(__file__).parent / "absinthe-1.7.txt").read_text(encoding="utf-8")
SCENES = dict(re.findall(r"^-- (.*)\n((?:   .*\n)*)", TRANSCRIPT, re.MULTILINE))


def scene(name: str) -> tuple[list[Any], list[Any]]:
    """What was sent, and what came, of the frames that were recorded whole."""
    sent: list[Any] = []
    came: list[Any] = []
    for line in SCENES[name].splitlines():
        way, _, text = line.strip().partition(" ")
        try:
            (sent if way == "->" else came).append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return sent, came


@pytest.mark.parametrize(
    ("name", "request_", "variables"),
    [
        ("v2 join + query", "query($n:String){hello(name:$n)}", {"n": "Ann"}),
        ("v2 mutation", 'mutation{setMessage(text:"hi")}', None),
        ("v2 countdown 2 (no completion is ever sent)", "subscription{countdown(from:2)}", None),
        ("v2 fail", "{fail hello}", None),
        ("v2 unknown field", "{nope}", None),
        ("v2 unknown subscription field", "subscription{nope}", None),
        ("v2 subscription refused by config", "subscription{denied}", None),
        ("v2 missing variable", "query($c:Color!){echoColor(c:$c)}", None),
    ],
)
def test_recorded_operations(name: str, request_: str, variables: Any) -> None:
    sent, came = scene(name)
    talk = Conversation(joined=False)
    talk.hear(came[0])
    message = json.loads(talk.codec.subscribe("7", GraphQLRequest(request_, variables)))
    assert [talk.join, message] == sent
    events = talk.hear(*came[1:])
    response = came[1][4]["response"]
    if "subscriptionId" in response:
        expected: list[Event] = [Started("7")]
        for frame in came[2:]:
            expected.append(Next("7", ExecutionResult(frame[4]["result"]["data"])))
        assert events == expected
    elif came[1][4]["status"] == "ok":
        answer = ExecutionResult(response["data"], response.get("errors"))
        assert events == [Next("7", answer), Complete("7")]
    else:
        assert events == [Error("7", response["errors"])]


def test_recorded_ends() -> None:
    for name, kind in [("v2 unknown event", "crashed"), ("v2 join twice", "closed")]:
        talk = Conversation(joined=False)
        *_, event = talk.hear(*[each for each in scene(name)[1] if each[0] == "1"])
        assert isinstance(event, Ended)
        assert kind in event.reason
    _, came = scene("v2 doc without join")
    talk = Conversation()
    talk.ask("7")
    assert isinstance(talk.hear(came[0])[0], Ended)
    _, came = scene("v2 join unknown topic")
    talk = Conversation(Phoenix(topic="room:lobby").codec(MsgspecJSON()), joined=False)
    assert isinstance(talk.hear(came[0])[0], Refusal)


def test_recorded_leaving_and_heartbeat() -> None:
    sent, came = scene("v2 subscribe, unsubscribe")
    talk = Conversation(joined=False)
    talk.hear(came[0])
    talk.hear([came[1][0], talk.ask("7"), *came[1][2:]])
    unsubscribed = talk.leave("7")
    assert unsubscribed[2:] == sent[-1][2:]
    assert talk.hear(["1", unsubscribed[1], *came[-1][2:]]) == []
    sent, came = scene("v2 leave")
    (left,) = map(json.loads, talk.codec.terminate())
    assert left[2:] == sent[1][2:]
    assert talk.hear(["1", left[1], *came[1][2:]]) == []
    sent, came = scene("v2 heartbeat")
    ping = json.loads(talk.codec.ping() or b"")
    assert ping[2:] == sent[0][2:]
    assert talk.hear([None, ping[1], *came[0][2:]]) == [Pong()]


def test_recorded_subscriptions_without_a_context() -> None:
    _, came = scene("v2 same subscription twice on one socket")
    talk = Conversation(joined=False)
    talk.hear(came[0])
    for id, frame in zip(("7", "8"), came[1:3], strict=True):
        assert talk.hear([frame[0], talk.ask(id), *frame[2:]]) == [Started(id)]
    events = talk.hear(*came[3:5])
    expected = ExecutionResult({"messageSet": "dup"})
    assert events == [Next("8", expected), Next("7", expected)]
