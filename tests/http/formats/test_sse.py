"""Server-sent events and ``graphql-sse`` as tables of wire vectors.

An id begins with the number of the point of the protocol that the row is about:

2 validation errors arrive as ``next``. 3 the data of ``next`` is a result. 4 ``complete`` ends.
6 comments, multi-line data, CR/LF/CRLF. 10 events carry ``{id, payload}``.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anygql.exceptions import CutOff, ProtocolViolation
from anygql.http.formats.graphql_sse import (
    BadResult,
    DistinctStream,
    IncrementalStream,
    SingleStream,
)
from anygql.http.formats.sse import EventStreamParser, ServerSentEvent
from anygql.json import MsgspecJSON
from anygql.protocols.close_codes import CloseCode
from anygql.protocols.events import Complete, Error, Next
from anygql.results.result import ExecutionResult

E = ServerSentEvent

# What servers send, in their own line ends (Yoga and graphql-sse LF; Strawberry, Ariadne CRLF).
YOGA = (
    b":\n\n"
    b'event: next\ndata: {"data":{"countdown":2}}\n\n'
    b":\n\n"
    b'event: next\ndata: {"data":{"countdown":1}}\n\n'
    b"event: complete\ndata:\n\n"
)
STRAWBERRY = (
    b'event: next\r\ndata: {"data": {"countdown": 2}, "extensions": {}}\r\n\r\n'
    b": ping\r\n\r\n"
    b'event: next\r\ndata: {"data": {"countdown": 1}, "extensions": {}}\r\n\r\n'
    b"event: complete\r\ndata: \r\n\r\n"
)
ARIADNE = (
    b'event: next\r\ndata: {"data": {"countdown": 2}}\r\n\r\n'
    b"event: next\r\ndata: "
    b'{"data": {"countdown": null}, "errors": [{"message": "x"}]}\r\n\r\n'
    b"event: complete\r\ndata: \r\n\r\n"
)
SINGLE = (
    b":\n\n"
    b'event: next\ndata: {"id":"a","payload":{"data":{"x":1}}}\n\n'
    b'event: next\ndata: {"id":"b","payload":{"data":{"x":2}}}\n\n'
    b'event: complete\ndata: {"id":"a"}\n\n'
)


def pieces_of(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Any way to split ``data``."""
    cuts = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return cuts.map(lambda at: [data[i:j] for i, j in zip([0, *at], [*at, len(data)], strict=True)])


def distinct() -> DistinctStream:
    return DistinctStream("1", MsgspecJSON())


def fed(stream: Any, pieces: list[bytes]) -> list[Any]:
    """All that comes out, a fault last."""
    found: list[Any] = []
    try:
        for piece in pieces:
            found += stream.feed(piece)
        found += stream.feed(b"")
    except ProtocolViolation as exc:
        found.append(exc.code)
    return found


PARSED = [
    pytest.param(b"data: a\n\n", [E(data="a")], id="6-lf"),
    pytest.param(b"data: a\r\n\r\n", [E(data="a")], id="6-crlf"),
    pytest.param(b"data: a\r\r", [E(data="a")], id="6-cr"),
    pytest.param(b"data: a\rdata: b\ndata: c\r\n\r", [E(data="a\nb\nc")], id="6-mixed"),
    pytest.param(b"data: a\n\r\ndata: b\r\n\n", [E(data="a"), E(data="b")], id="6-mixed-blank"),
    pytest.param(b"data: a\ndata\ndata:\n\n", [E(data="a\n\n")], id="6-multi-line-empty"),
    pytest.param(b"data\n\n", [E()], id="6-data-without-colon"),
    pytest.param(b"data:  a: b\n\n", [E(data=" a: b")], id="6-one-space-goes"),
    pytest.param(b"data:a\n\n", [E(data="a")], id="6-no-space"),
    pytest.param(b":\n\n: ping\n\n:\r\n", [], id="6-comments"),
    pytest.param(b"data: a\n: in between\ndata: b\n\n", [E(data="a\nb")], id="6-comment-inside"),
    pytest.param(b"\n\n\r\n\r\r", [], id="6-blank-lines"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [E(data="a")], id="6-bom"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="6-second-bom-is-a-name"),
    pytest.param(
        "data: aé😀\u2028b\x0b\x85\n\n".encode(), [E(data="aé😀\u2028b\x0b\x85")], id="6-utf-8"
    ),
    pytest.param(b"data: \xff\n\n", [E(data="\ufffd")], id="6-not-utf-8"),
    pytest.param(b"event: next\ndata: a\n\n", [E("next", "a")], id="6-name"),
    pytest.param(b"event: x\nevent: y\ndata: a\n\n", [E("y", "a")], id="6-last-name"),
    pytest.param(b"event: x\n\n", [E("x")], id="6-name-without-data"),
    pytest.param(b"event:\ndata: a\n\n", [E(data="a")], id="6-empty-name"),
    pytest.param(b"event: x\n\ndata: a\n\n", [E("x"), E(data="a")], id="6-name-is-forgotten"),
    pytest.param(b"foo: x\ndata : y\n data: z\nData: q\n\n", [], id="6-unknown-fields"),
    pytest.param(b"id: 7\ndata: a\n\n", [E(data="a", id="7")], id="6-id"),
    pytest.param(
        b"id: 7\ndata: a\n\ndata: b\n\n",
        [E(data="a", id="7"), E(data="b", id="7")],
        id="6-id-stays",
    ),
    pytest.param(b"id: 7\n\ndata: b\n\n", [E(data="b", id="7")], id="6-id-alone"),
    pytest.param(
        b"id: 7\ndata: a\n\nid\ndata: b\n\n", [E(data="a", id="7"), E(data="b")], id="6-id-reset"
    ),
    pytest.param(b"id: 7\0\ndata: a\n\n", [E(data="a")], id="6-id-with-nul"),
    pytest.param(b"retry: 250\ndata: a\n\n", [E(data="a", retry=250)], id="6-retry"),
    pytest.param(b"retry: +5\nretry: 1.5\nretry:\ndata: a\n\n", [E(data="a")], id="6-retry-bad"),
    pytest.param(b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [E(data="a")], id="6-retry-long"),
    pytest.param("retry: \u0661\ndata: a\n\n".encode(), [E(data="a")], id="6-retry-not-ascii"),
    pytest.param(b"data: a\n\ndata: b", [E(data="a")], id="6-unfinished-is-dropped"),
]


@pytest.mark.parametrize(("stream", "events"), PARSED)
def test_parsing(stream: bytes, events: list[ServerSentEvent]) -> None:
    assert EventStreamParser().feed(stream) == events
    assert fed(EventStreamParser(), [bytes([byte]) for byte in stream]) == events


ENDS = [
    pytest.param(b"", False, id="nothing"),
    pytest.param(b"data: a\n\n", False, id="whole"),
    pytest.param(b"data: a\r\r", False, id="whole-cr"),
    pytest.param(b"data: a\n\n: pi", False, id="in-a-comment"),
    pytest.param(b"id: 1\nretry: 5\n", False, id="no-event-yet"),
    pytest.param(b"data: a\n", True, id="before-the-blank-line"),
    pytest.param(b"data: a\n\ndat", True, id="in-a-name"),
    pytest.param(b"da", True, id="in-the-first-name"),
    pytest.param(b"event: complete\n", True, id="after-the-name"),
    pytest.param(b"data: \xc3", True, id="in-a-character"),
]


@pytest.mark.parametrize(("stream", "inside"), ENDS)
def test_the_end_says_whether_it_was_inside_an_event(stream: bytes, inside: bool) -> None:
    events = EventStreamParser()
    events.feed(stream)
    assert events.close() is inside


def test_an_id_counts_from_the_end_of_its_event() -> None:
    events = EventStreamParser()
    events.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert events.last_event_id == "1"
    events.feed(b"\n")
    assert events.last_event_id == "2"


def test_retry_is_remembered_without_an_event() -> None:
    events = EventStreamParser()
    assert events.feed(b"retry: 3000\n\n") == []
    assert events.retry == 3000


def test_an_event_is_reported_with_the_first_byte_of_its_end() -> None:
    events = EventStreamParser()
    assert events.feed(b"data: a\r\n\r") == [E(data="a")]
    assert events.feed(b"\ndata: b\r\n\r\n") == [E(data="b")]


TOO_BIG = [
    pytest.param(b"data: 12345\n\n", id="one-line"),
    pytest.param(b"data: 12345", id="unfinished-line"),
    pytest.param(b"data: 1\ndata: 2\n\n", id="lines-together"),
    pytest.param(b": 123456789", id="unfinished-comment"),
    pytest.param(b"event: abcd\n\n", id="name"),
]


@pytest.mark.parametrize("stream", TOO_BIG)
@pytest.mark.parametrize("step", [1, 3, 100])
def test_an_event_has_a_limit(stream: bytes, step: int) -> None:
    whole = b"data: 1234\n\n" + stream
    pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
    found = fed(EventStreamParser(max_event_size=10), pieces)
    assert found == [E(data="1234"), CloseCode.MESSAGE_TOO_BIG]


def test_the_limit_is_named_and_the_fault_stays() -> None:
    events = EventStreamParser(max_event_size=10)
    for _ in range(2):
        with pytest.raises(ProtocolViolation, match=r"more than 10 bytes \(max_event_size\)"):
            events.feed(b"data: 12345")
    with pytest.raises(ProtocolViolation):
        events.close()


def test_comments_do_not_add_up() -> None:
    events = EventStreamParser(max_event_size=10)
    assert events.feed(b"data: 1\n" + b": ping\n" * 1000 + b"\n") == [E(data="1")]


def test_a_long_event_in_small_pieces_takes_time_in_proportion() -> None:
    events = EventStreamParser()
    events.feed(b"data: ")
    for _ in range(100_000):
        events.feed(b"x" * 100)
    (event,) = events.feed(b"\n\n")
    assert len(event.data) == 10_000_000


LINES = st.sampled_from(
    [
        b"data: x",
        b"data:",
        "data: é😀".encode(),
        b"event: next",
        b"id: 1",
        b":",
        b": c",
        b"retry: 9",
    ]
)
STREAM = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"])))


@given(
    STREAM.map(lambda lines: b"".join(a + b for a, b in lines)).flatmap(
        lambda data: st.tuples(st.just(data), pieces_of(data))
    )
)
def test_any_split_gives_the_same_events(case: tuple[bytes, list[bytes]]) -> None:
    data, pieces = case
    whole, split = EventStreamParser(), EventStreamParser()
    assert fed(whole, [data]) == fed(split, pieces)
    assert whole.close() == split.close()


@given(st.binary(max_size=60).flatmap(lambda data: st.tuples(st.just(data), pieces_of(data))))
def test_any_bytes_are_read(case: tuple[bytes, list[bytes]]) -> None:
    data, pieces = case
    whole = EventStreamParser(max_event_size=20)
    assert fed(whole, [data]) == fed(EventStreamParser(max_event_size=20), pieces)


def result(**parts: Any) -> Next:
    return Next("1", ExecutionResult(**parts))


DISTINCT = [
    pytest.param(
        YOGA,
        [result(data={"countdown": 2}), result(data={"countdown": 1}), Complete("1")],
        id="3-yoga",
    ),
    pytest.param(
        STRAWBERRY,
        [
            result(data={"countdown": 2}, extensions={}),
            result(data={"countdown": 1}, extensions={}),
            Complete("1"),
        ],
        id="3-strawberry",
    ),
    pytest.param(
        ARIADNE,
        [
            result(data={"countdown": 2}),
            result(data={"countdown": None}, errors=[{"message": "x"}]),
            Complete("1"),
        ],
        id="3-ariadne",
    ),
    pytest.param(
        b'event: next\ndata: {"errors":[{"message":"no field"}]}\n\nevent: complete\ndata:\n\n',
        [result(errors=[{"message": "no field"}]), Complete("1")],
        id="2-validation-errors",
    ),
    pytest.param(b"event: complete\n\n", [Complete("1")], id="4-complete-bare"),
    pytest.param(b"event: complete\ndata: null\n\n", [Complete("1")], id="4-complete-null"),
    pytest.param(
        b"event: complete\ndata:\n\nevent: next\ndata: nonsense\n\n",
        [Complete("1")],
        id="4-nothing-after-complete",
    ),
    pytest.param(
        b'event: next\ndata: {"data":\ndata: {"a": 1}}\n\n',
        [result(data={"a": 1})],
        id="6-multi-line",
    ),
    pytest.param(
        b'event: error\ndata: [{"message":"x"}]\n\n', [Error("1", [{"message": "x"}])], id="error"
    ),
    pytest.param(
        b'event: next\ndata: {"data":"\\ud83d"}\n\n', [result(data="\ufffd")], id="3-half-a-pair"
    ),
]

MALFORMED = [
    pytest.param(b"event: next\ndata: {\n\n", "malformed message", id="3-not-json"),
    pytest.param(b"event: next\ndata:\n\n", "malformed message", id="3-empty"),
    pytest.param(b"event: next\n\n", "malformed message", id="3-no-data"),
    pytest.param(b"event: next\ndata: []\n\n", "Expected `object`", id="3-array"),
    pytest.param(b'event: next\ndata: {"errors":{}}\n\n', "$.errors", id="3-errors-object"),
    pytest.param(b"event: next\ndata: {}\n\n", "without data and errors", id="3-nothing"),
    pytest.param(
        b'event: next\ndata: {"message": "Internal server error"}\n\n',
        "Internal server error",
        id="3-message",
    ),
    pytest.param(b"data: {}\n\n", "without data and errors", id="no-name"),
    pytest.param(b"event: ping\ndata: {}\n\n", "'ping'", id="unknown-name"),
    pytest.param(b"event: next\ndata: " + b"[" * 100_000 + b"\n\n", "malformed", id="3-deep"),
]


@pytest.mark.parametrize(("stream", "events"), DISTINCT)
def test_distinct_connections(stream: bytes, events: list[Any]) -> None:
    assert distinct().feed(stream) == events
    assert fed(distinct(), [bytes([byte]) for byte in stream]) == events


@pytest.mark.parametrize(("stream", "reason"), MALFORMED)
def test_malformed_events_are_violations(stream: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        distinct().feed(stream)
    assert reason in caught.value.reason
    assert caught.value.code == CloseCode.BAD_REQUEST


def test_what_came_before_a_fault_is_not_lost() -> None:
    stream = distinct()
    good = b'event: next\ndata: {"data":1}\n\n'
    assert stream.feed(good + b"event: next\ndata: {\n\n") == [result(data=1)]
    with pytest.raises(ProtocolViolation, match="malformed"):
        stream.feed(b"")
    with pytest.raises(ProtocolViolation, match="malformed"):
        stream.feed(good)
    with pytest.raises(ProtocolViolation, match="malformed"):
        stream.close()


@pytest.mark.parametrize("at", range(len(YOGA)))
def test_a_stream_that_is_cut_off_is_a_violation(at: int) -> None:
    stream = distinct()
    stream.feed(YOGA[:at])
    with pytest.raises(ProtocolViolation, match=r"ended without 'complete'|cut off") as caught:
        stream.close()
    assert caught.value.code == CloseCode.ABNORMAL  # a new attempt may succeed


def test_a_finished_stream_closes() -> None:
    stream = distinct()
    stream.feed(YOGA)
    assert stream.finished
    stream.close()


SINGLE_EVENTS = [
    Next("a", ExecutionResult({"x": 1})),
    Next("b", ExecutionResult({"x": 2})),
    Complete("a"),
]

SINGLE_MALFORMED = [
    pytest.param(b'event: next\ndata: {"payload":{}}\n\n', "`id`", id="10-next-without-id"),
    pytest.param(b'event: next\ndata: {"id":1,"payload":{}}\n\n', "$.id", id="10-id-number"),
    pytest.param(b"event: complete\ndata:\n\n", "malformed", id="10-complete-without-data"),
    pytest.param(b"event: complete\ndata: {}\n\n", "`id`", id="10-complete-without-id"),
]


def test_single_connection() -> None:
    stream = SingleStream(MsgspecJSON())
    assert stream.feed(SINGLE) == SINGLE_EVENTS
    error = b'event: error\ndata: {"id":"b","payload":[{"message":"x"}]}\n\n'
    assert stream.feed(error) == [Error("b", [{"message": "x"}])]
    stream.close()


@pytest.mark.parametrize(("stream", "reason"), SINGLE_MALFORMED)
def test_malformed_events_of_a_single_connection(stream: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        SingleStream(MsgspecJSON()).feed(stream)
    assert reason in caught.value.reason


def test_a_bad_result_on_a_single_connection_is_its_operations_alone() -> None:
    stream = SingleStream(MsgspecJSON())
    for payload in ({}, [], None, "no", {"message": "Internal server error"}):
        data = json.dumps({"id": "1", "payload": payload}).encode()
        assert stream.feed(b"event: next\ndata: " + data + b"\n\n") == [BadResult("1", payload)]
    assert stream.feed(b'event: next\ndata: {"id":"1"}\n\n') == [BadResult("1", None)]
    assert stream.feed(SINGLE) == SINGLE_EVENTS


REFUSALS = [
    (b'[{"message":"x"}]', "x"),
    (b'{"message":"x"}', "x"),
    (b'{"errors":[{"message":"x"}]}', "x"),
    (b'"x"', "x"),
    (b"{}", "gave no reason"),
    (b"[]", "gave no reason"),
    (b"null", "gave no reason"),
]


@pytest.mark.parametrize(("payload", "words"), [*REFUSALS, (b"x y", "x y"), (b"", "no reason")])
def test_a_refusal_is_one_in_whatever_shape_it_comes(payload: bytes, words: str) -> None:
    (event,) = distinct().feed(b"event: error\ndata: " + payload + b"\n\n")
    assert isinstance(event, Error)
    assert words in event.payload[0]["message"]


@pytest.mark.parametrize(("payload", "words"), REFUSALS)
def test_a_refusal_on_a_single_connection(payload: bytes, words: str) -> None:
    data = b'{"id":"1","payload":' + payload + b"}"
    (event,) = SingleStream(MsgspecJSON()).feed(b"event: error\ndata: " + data + b"\n\n")
    assert isinstance(event, Error)
    assert event.id == "1"
    assert words in event.payload[0]["message"]


UNNAMED = b'data: {"data":{"n":1}}\n\n'


def test_the_end_of_events_without_names_is_the_end_of_the_operation() -> None:
    stream = distinct()
    assert stream.feed(b": hi\n\n" + UNNAMED + UNNAMED) == [result(data={"n": 1})] * 2
    stream.close()
    assert stream.finished


@pytest.mark.parametrize(
    "stream",
    [b"", b": hi\n\n", UNNAMED + UNNAMED[:-1], UNNAMED + b"event: next\n" + UNNAMED],
    ids=["nothing", "a comment", "inside an event", "names too"],
)
def test_other_ends_are_cut_off(stream: bytes) -> None:
    parser = distinct()
    parser.feed(stream)
    with pytest.raises(CutOff):
        parser.close()


def test_a_single_connection_that_is_cut_off() -> None:
    stream = SingleStream(MsgspecJSON())
    stream.feed(SINGLE[:-1])
    with pytest.raises(ProtocolViolation, match="inside an event"):
        stream.close()


@given(
    st.sampled_from([YOGA, STRAWBERRY, ARIADNE]).flatmap(
        lambda data: st.tuples(st.just(data), pieces_of(data))
    )
)
def test_any_split_gives_the_same_results(case: tuple[bytes, list[bytes]]) -> None:
    data, pieces = case
    assert fed(distinct(), pieces) == fed(distinct(), [data])


@given(pieces_of(SINGLE))
def test_any_split_of_a_single_connection(pieces: list[bytes]) -> None:
    assert fed(SingleStream(MsgspecJSON()), pieces) == SINGLE_EVENTS


class FloatsAsText:
    """A user's own JSON."""

    encode = MsgspecJSON().encode

    def decode(self, text: bytes, /) -> Any:
        return json.loads(text, parse_float=str)


def test_values_are_read_with_the_user_s_json() -> None:
    stream = DistinctStream("1", FloatsAsText())
    data = b'event: next\ndata: {"data":{"price":0.10}}\n\n'
    assert stream.feed(data) == [result(data={"price": "0.10"})]
    with pytest.raises(ProtocolViolation, match="malformed"):
        stream.feed(b"event: next\ndata: {\n\n")


@pytest.mark.parametrize("name", [b"", b"event: next\n"])
def test_an_incremental_result_must_say_that_it_is_over(name: bytes) -> None:
    """Even if the events have no names, as the end of the stream ends other operations then."""
    stream = IncrementalStream("1", MsgspecJSON())
    (event,) = stream.feed(name + b'data: {"data": {"n": 1}, "hasNext": true}\n\n')
    assert event == Next("1", ExecutionResult({"n": 1}))
    with pytest.raises(CutOff, match="without 'complete'"):
        stream.close()
    (event,) = stream.feed(name + b'data: {"hasNext": false}\n\n')
    stream.close()
    assert event == Next("1", ExecutionResult({"n": 1}))
