"""``multipart/mixed`` answers as tables of wire vectors.

An id begins with the number of the point that the row is about. Of incremental delivery ("i"):
1 any boundary. 2 chunks split anywhere. 3 each part has its own Content-Type. 4 the terminator.
8 a truncated stream is an error. Of multipart subscriptions ("s"): 2 the server picks the boundary,
quoted parameters are allowed. 3 ``{}`` is a heartbeat. 4 unwrap ``payload``. 5 ``payload: null``
with errors is fatal.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anygql.exceptions import ProtocolViolation
from anygql.http.formats.graphql_multipart import (
    IncrementalMultipart,
    MultipartPayloads,
    MultipartSubscription,
)
from anygql.http.formats.multipart import MultipartParser, Part, boundary_of
from anygql.json import MsgspecJSON
from anygql.protocols.close_codes import CloseCode
from anygql.protocols.events import Complete, Error, Next
from anygql.results.result import ExecutionResult

JSON = {"content-type": "application/json; charset=utf-8"}

BOUNDARIES = [
    pytest.param("multipart/mixed; boundary=graphql", b"graphql", id="bare"),
    pytest.param('multipart/mixed; boundary="-"', b"-", id="i1-dash-quoted"),
    pytest.param("multipart/mixed;boundary=-", b"-", id="i1-dash"),
    pytest.param("multipart/mixed; boundary=---a--", b"---a--", id="i1-dashes"),
    pytest.param("Multipart/Mixed; BOUNDARY=Abc", b"Abc", id="s2-upper-case"),
    pytest.param(
        'multipart/mixed; boundary="graphql"; subscriptionSpec=1.0', b"graphql", id="s2-apollo"
    ),
    pytest.param(
        "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
        b"graphql",
        id="s2-strawberry",
    ),
    pytest.param("multipart/mixed; boundary=graphql,application/json", b"graphql", id="s2-comma"),
    pytest.param('multipart/mixed; boundary="a;b, c"; x=y', b"a;b, c", id="s2-quoted-specials"),
    pytest.param(r'multipart/mixed; boundary="a\"b\\c"', rb'a"b\c', id="s2-escapes"),
    pytest.param('multipart/mixed; x=";boundary=no"; boundary=yes', b"yes", id="s2-in-another"),
    pytest.param("multipart/mixed ; boundary = yes ", b"yes", id="s2-spaces"),
    pytest.param(
        'multipart/mixed; deferSpec=20220824; boundary="-"', b"-", id="s2-other-parameter-first"
    ),
    pytest.param("multipart/mixed", b"-", id="s2-none"),
    pytest.param("multipart/mixed; subscriptionSpec=1.0", b"-", id="s2-none-but-others"),
]


@pytest.mark.parametrize(("content_type", "boundary"), BOUNDARIES)
def test_boundaries(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary
    reader = MultipartParser(content_type)
    data = b"--%b\r\n\r\n{}\r\n--%b--\r\n" % (boundary, boundary)
    assert reader.feed(data) == [Part({}, b"{}")]
    assert reader.finished


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "",
        "text/html; boundary=a",
        'multipart/mixed; boundary=""',
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary="a\nb"',
        "multipart/mixed; boundary=é",
    ],
)
def test_content_types_that_name_no_boundary(content_type: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        MultipartParser(content_type)
    assert caught.value.code == CloseCode.BAD_REQUEST


# Whole answers, as servers write them.
YOGA_TYPE = 'multipart/mixed; boundary="-"'
YOGA = (
    b"\r\n---"
    b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 36\r\n\r\n"
    b'{"data":{"hero":{}},"hasNext": true}'
    b"\r\n---"
    b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 17\r\n\r\n"
    b'{"hasNext":false}'
    b"\r\n-----\r\n"
)
APOLLO_TYPE = 'multipart/mixed; boundary="-"; deferSpec=20220824'
APOLLO = (
    b"\r\n---\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
    b'{"hasNext":true,"data":{"hero":{"id":"1"}}}'
    b"\r\n---\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
    b'{"hasNext":false,"incremental":[{"path":["hero"],"data":{"name":"R2"}}]}'
    b"\r\n-----\r\n"
)
STRAWBERRY_TYPE = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"
STRAWBERRY_HEADERS = (
    b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
)
# The first heartbeat has no delimiter before it; the last delimiter comes upon another.
STRAWBERRY = (
    STRAWBERRY_HEADERS % 2 + b"{}\r\n--graphql"
    + STRAWBERRY_HEADERS % 36 + b'{"payload": {"data": {"count": 10}}}\r\n--graphql'
    + STRAWBERRY_HEADERS % 2 + b"{}\r\n--graphql"
    + STRAWBERRY_HEADERS % 35 + b'{"payload": {"data": {"count": 9}}}\r\n--graphql'
    + b"\r\n--graphql--\r\n"
)  # fmt: skip
STRAWBERRY_DEFER = (
    b"---"
    + STRAWBERRY_HEADERS % 40 + b'{"data": {"hero": {}}, "hasNext": true }\r\n---'
    + STRAWBERRY_HEADERS % 18 + b'{"hasNext": false}\r\n---'
    + b"--\r\n"
)  # fmt: skip
ROUTER_TYPE = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
ROUTER = (
    b"--graphql\r\ncontent-type: application/json\r\n\r\n{}\r\n"
    b'--graphql\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"a":1}}}\r\n'
    b"--graphql\r\ncontent-type: application/json\r\n\r\n"
    b'{"payload":null,"errors":[{"message":"gone","extensions":{"code":"X"}}]}\r\n'
    b"--graphql--\r\n"
)
WITH_LENGTH = {**JSON, "content-length": "36"}

B = "multipart/mixed; boundary=b"

READ = [
    pytest.param(
        YOGA_TYPE,
        YOGA,
        [
            Part({**JSON, "content-length": "36"}, b'{"data":{"hero":{}},"hasNext": true}'),
            Part({**JSON, "content-length": "17"}, b'{"hasNext":false}'),
        ],
        id="i1-yoga",
    ),
    pytest.param(
        YOGA_TYPE,
        STRAWBERRY_DEFER,
        [
            Part({**JSON, "content-length": "40"}, b'{"data": {"hero": {}}, "hasNext": true }'),
            Part({**JSON, "content-length": "18"}, b'{"hasNext": false}'),
        ],
        id="i1-strawberry-defer",
    ),
    pytest.param(
        STRAWBERRY_TYPE,
        STRAWBERRY,
        [
            Part({**JSON, "content-length": "36"}, b'{"payload": {"data": {"count": 10}}}'),
            Part({**JSON, "content-length": "2"}, b"{}"),
            Part({**JSON, "content-length": "35"}, b'{"payload": {"data": {"count": 9}}}'),
        ],
        id="s2-strawberry",
    ),
    pytest.param(
        B,
        b"--b\r\nContent-Type: text/a\r\n\r\n1\r\n--b\r\nCONTENT-TYPE:text/b\r\n\r\n2\r\n--b--",
        [Part({"content-type": "text/a"}, b"1"), Part({"content-type": "text/b"}, b"2")],
        id="i3-own-content-types",
    ),
    pytest.param(B, b"--b\r\n\r\n1\r\n--b--", [Part({}, b"1")], id="i3-no-headers"),
    pytest.param(B, b"--b\r\n\r\n\r\n--b--", [Part({}, b"")], id="empty-body"),
    pytest.param(B, b"--b\r\n\r\n--b--", [Part({}, b"")], id="no-body"),
    pytest.param(
        B, b"--b\r\nA: 1\r\n\r\n--b--", [Part({"a": "1"}, b"")], id="no-body-but-headers"
    ),
    pytest.param(
        B, b"--b\r\nA: 1\r\n--b--", [Part({"a": "1"}, b"")], id="headers-without-blank-line"
    ),
    pytest.param(B, b"--b\r\n--b\r\n\r\n1\r\n--b--", [Part({}, b"1")], id="delimiter-twice"),
    pytest.param(B, b"--b--", [], id="i4-no-parts"),
    pytest.param(B, b"preamble\r\n--b\r\n\r\n1\r\n--b--", [Part({}, b"1")], id="preamble"),
    pytest.param(B, b"x--b\r\n--b\r\n\r\n1\r\n--b--", [Part({}, b"1")], id="preamble-inline"),
    pytest.param(
        B, b"--b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n2\r\n--b--", [Part({}, b"1")], id="i4-epilogue"
    ),
    pytest.param(B, b"--b \t\r\n\r\n1\r\n--b  \r\n\r\n2\r\n--b--  ",
                 [Part({}, b"1"), Part({}, b"2")], id="padding"),
    pytest.param(B, b"--b\n\n1\n--b\nA: x\n\n2\n--b--\n", [Part({}, b"1"), Part({"a": "x"}, b"2")],
                 id="bare-lf"),
    pytest.param(B, b"--b\r\n\r\n1\r\n\r\n\r\n--b--", [Part({}, b"1\r\n\r\n")], id="own-line-ends"),
    pytest.param(B, b"--b\r\n\r\na--b\r\n -b\r\n--c\r\n--b--", [Part({}, b"a--b\r\n -b\r\n--c")],
                 id="i1-almost-delimiters"),
    pytest.param(B, b"--b\r\nA: 1\r\n  2\r\n\t3\r\nB:\r\n\r\n1\r\n--b--",
                 [Part({"a": "1 2 3", "b": ""}, b"1")], id="i3-folded"),
    pytest.param(B, b"--b\r\nA: 1\r\na: 2\r\n\r\n1\r\n--b--", [Part({"a": "1, 2"}, b"1")],
                 id="i3-same-name"),
    pytest.param(B, b"--b\r\n\r\n\x00\xff\xfe\r\n--b--", [Part({}, b"\x00\xff\xfe")], id="binary"),
    pytest.param(
        "multipart/mixed; boundary=---a--",
        b"-----a--\r\n\r\n1\r\n-----a--\r\n\r\n2\r\n-----a----",
        [Part({}, b"1"), Part({}, b"2")],
        id="i1-dashes-around",
    ),
]  # fmt: skip

BROKEN = [
    pytest.param(b"--b\r\nno colon\r\n\r\n1\r\n--b--", "header is malformed", id="i3-no-colon"),
    pytest.param(b"--b\r\n: x\r\n\r\n1\r\n--b--", "header is malformed", id="i3-no-name"),
    pytest.param(b"--bc\r\n\r\n1\r\n--b--", "followed by b'c", id="i1-another-boundary"),
    pytest.param(b"--b-\r\n\r\n1\r\n--b--", "followed by b'-", id="i1-one-dash"),
]


def pieces_of(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Any way to split ``data``."""
    cuts = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return cuts.map(lambda at: [data[i:j] for i, j in zip([0, *at], [*at, len(data)], strict=True)])


def singly(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


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


@pytest.mark.parametrize(("content_type", "data", "parts"), READ)
def test_reading(content_type: str, data: bytes, parts: list[Part]) -> None:
    for pieces in ([data], singly(data)):
        reader = MultipartParser(content_type)
        assert fed(reader, pieces) == parts
        assert reader.finished
        reader.close()


@pytest.mark.parametrize(("data", "reason"), BROKEN)
def test_broken_answers(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        MultipartParser(B).feed(data)
    assert reason in caught.value.reason
    assert fed(MultipartParser(B), singly(data)) == [CloseCode.BAD_REQUEST]


def test_a_part_comes_with_the_delimiter_after_it() -> None:
    # the rest of the delimiter's line comes with the next part, which may be minutes later
    reader = MultipartParser(YOGA_TYPE)
    end = YOGA.index(b"---", 10)
    assert reader.feed(YOGA[: end + 2]) == []
    assert len(reader.feed(YOGA[end + 2 : end + 3])) == 1
    assert not reader.finished
    assert len(reader.feed(YOGA[end + 3 :])) == 1
    assert reader.finished


CUT_OFF = [
    pytest.param(b"", "before the first delimiter", id="i8-empty"),
    pytest.param(
        b"<html>\r\n--other\r\n\r\n", "before the first delimiter", id="i8-wrong-boundary"
    ),
    pytest.param(b"--b", "in a delimiter", id="i8-in-a-delimiter"),
    pytest.param(b"--b-", "in a delimiter", id="i8-in-the-last-delimiter"),
    pytest.param(b"--b\r\nA: 1", "in a part's headers", id="i8-in-headers"),
    pytest.param(b"--b\r\nA: 1\r\n\r\n{", "in a part", id="i8-in-a-body"),
    pytest.param(b"--b\r\n\r\n{}\r\n--b\r\n", "in a part's headers", id="i8-between-parts"),
]


@pytest.mark.parametrize(("data", "where"), CUT_OFF)
def test_a_stream_that_is_cut_off_is_a_violation(data: bytes, where: str) -> None:
    reader = MultipartParser(B)
    reader.feed(data)
    with pytest.raises(ProtocolViolation) as caught:
        reader.close()
    assert caught.value.reason == f"the multipart answer was cut off {where}"
    assert caught.value.code == CloseCode.ABNORMAL


@pytest.mark.parametrize("end", range(len(APOLLO) - 2))  # but for the last CRLF
def test_every_truncation_is_noticed(end: int) -> None:
    reader = MultipartParser(APOLLO_TYPE)
    reader.feed(APOLLO[:end])
    with pytest.raises(ProtocolViolation, match="cut off"):
        reader.close()


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("limits", "good", "bad", "reason"),
    [
        pytest.param({"max_part_size": 4}, b"\r\n1234", b"\r\n12345", "max_part_size", id="part"),
        pytest.param(
            {"max_header_size": 8},
            b"A: 45678\r\n\r\n",
            b"A: 4567\r\nB:\r\n\r\n",
            "8 bytes",
            id="size",
        ),
        pytest.param(
            {"max_headers": 1}, b"A: 1\r\n\r\n", b"A: 1\r\nB: 2\r\n\r\n", "1 headers", id="count"
        ),
    ],
)
def test_limits(step: int, limits: dict[str, int], good: bytes, bad: bytes, reason: str) -> None:
    data = b"--b\r\n%b\r\n--b\r\n%b\r\n--b--" % (good, bad)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    found = fed(MultipartParser(B, **limits), pieces)
    assert found[1:] == [CloseCode.MESSAGE_TOO_BIG]
    reader = MultipartParser(B, **limits)
    with pytest.raises(ProtocolViolation, match=reason):
        reader.feed(data[len(b"--b\r\n" + good + b"\r\n") :])


@pytest.mark.parametrize(
    "endless",
    [b"--b\r\n\r\n", b"--b\r\n", b"--b\r\nA: ", b"--b "],
    ids=["body", "line", "value", "pad"],
)
def test_nothing_grows_without_end(endless: bytes) -> None:
    reader = MultipartParser(B, max_part_size=1000, max_header_size=1000)
    reader.feed(endless)
    with pytest.raises(ProtocolViolation) as caught:
        for _ in range(300):
            reader.feed(b"     ")
    assert caught.value.code in {CloseCode.MESSAGE_TOO_BIG, CloseCode.BAD_REQUEST}


def test_a_preamble_is_not_kept() -> None:
    reader = MultipartParser(B, max_part_size=10)
    for _ in range(1000):
        assert reader.feed(b"x" * 1000) == []
    assert reader.feed(b"\r\n--b\r\n\r\n1\r\n--b--") == [Part({}, b"1")]


def test_a_long_part_in_small_pieces_takes_time_in_proportion() -> None:
    reader = MultipartParser(B)
    reader.feed(b"--b\r\n\r\n")
    for _ in range(100_000):
        reader.feed(b"x" * 100)
    (part,) = reader.feed(b"\r\n--b--")
    assert len(part.body) == 10_000_000


SAMPLES = [(sample.values[0], sample.values[1]) for sample in READ]


@given(
    st.sampled_from(SAMPLES).flatmap(
        lambda sample: st.tuples(st.just(sample[0]), st.just(sample[1]), pieces_of(sample[1]))
    )
)
def test_any_split_gives_the_same_parts(case: tuple[str, bytes, list[bytes]]) -> None:
    content_type, data, pieces = case
    assert fed(MultipartParser(content_type), pieces) == fed(MultipartParser(content_type), [data])


TOKENS = st.sampled_from(
    [b"--b", b"--", b"-", b"\r", b"\n", b"\r\n", b"b", b" ", b"A: 1", b"x", b":"]
)


@given(
    st.lists(TOKENS, max_size=25)
    .map(b"".join)
    .flatmap(lambda data: st.tuples(st.just(data), pieces_of(data)))
)
def test_any_split_of_any_answer(case: tuple[bytes, list[bytes]]) -> None:
    data, pieces = case
    whole, split = (MultipartParser(B, max_part_size=8, max_header_size=9) for _ in "12")
    assert fed(whole, [data]) == fed(split, pieces)
    assert whole.finished == split.finished


BODIES = st.lists(
    st.binary(max_size=30).filter(lambda body: b"\n---" not in b"\n" + body), max_size=5
)


@given(BODIES, st.data())
def test_what_is_written_is_read(bodies: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(b"\r\n---\r\nContent-Type: application/json\r\n\r\n" + body for body in bodies)
    data += b"\r\n-----\r\n"
    parts = fed(MultipartParser(YOGA_TYPE), draw.draw(pieces_of(data)))
    assert [part.body for part in parts] == bodies


# Incremental payloads


def test_payloads() -> None:
    payloads = MultipartPayloads(APOLLO_TYPE, MsgspecJSON())
    assert fed(payloads, singly(APOLLO)) == [
        {"hasNext": True, "data": {"hero": {"id": "1"}}},
        {"hasNext": False, "incremental": [{"path": ["hero"], "data": {"name": "R2"}}]},
    ]
    assert payloads.finished
    payloads.close()


PAYLOADS = [
    pytest.param(b"\r\n\r\n", [], id="empty-body"),
    pytest.param(b"\r\n{}", [{}], id="i3-no-content-type"),
    pytest.param(b"Content-Type: application/graphql-response+json\r\n\r\n{}", [{}], id="i3-other"),
    pytest.param(b"Content-Type: text/html\r\n\r\n<p>", "'text/html', not JSON", id="i3-html"),
    pytest.param(b"\r\n[]", "Expected `object`", id="array"),
    pytest.param(b"\r\n{", "malformed message", id="not-json"),
    pytest.param(b'\r\n"\xff"', "not valid UTF-8", id="not-utf-8"),
]


@pytest.mark.parametrize(("part", "expected"), PAYLOADS)
def test_the_payload_of_a_part(part: bytes, expected: Any) -> None:
    payloads = MultipartPayloads(B, MsgspecJSON())
    data = b"--b\r\n" + part + b"\r\n--b--"
    if isinstance(expected, list):
        assert payloads.feed(data) == expected
        return
    with pytest.raises(ProtocolViolation) as caught:
        payloads.feed(data)
    assert expected in caught.value.reason


def test_payloads_that_are_cut_off() -> None:
    payloads = MultipartPayloads(APOLLO_TYPE, MsgspecJSON())
    payloads.feed(APOLLO[:-10])
    with pytest.raises(ProtocolViolation, match="cut off"):
        payloads.close()


# Subscriptions


def result(**parts: Any) -> Next:
    return Next("1", ExecutionResult(**parts))


def subscription(content_type: str = B) -> MultipartSubscription:
    return MultipartSubscription(content_type, "1", MsgspecJSON())


SUBSCRIPTIONS = [
    pytest.param(
        STRAWBERRY_TYPE,
        STRAWBERRY,
        [result(data={"count": 10}), result(data={"count": 9}), Complete("1")],
        id="s3-strawberry",
    ),
    pytest.param(
        ROUTER_TYPE,
        ROUTER,
        [
            result(data={"a": 1}),
            Error("1", [{"message": "gone", "extensions": {"code": "X"}}]),
        ],
        id="s5-router",
    ),
]

MESSAGES = [
    pytest.param(b"{}", [], id="s3-heartbeat"),
    pytest.param(b" {} ", [], id="s3-heartbeat-spaced"),
    pytest.param(b"", [], id="empty"),
    pytest.param(b'{"payload":null}', [], id="s4-null"),
    pytest.param(b'{"payload":{"data":1}}', [result(data=1)], id="s4-payload"),
    pytest.param(
        b'{"payload":{"data":null,"errors":[{"message":"x"}],"extensions":{"a":1}}}',
        [result(errors=[{"message": "x"}], extensions={"a": 1})],
        id="s4-errors-inside-live-on",
    ),
    pytest.param(b'{"payload":null,"errors":["x"]}', [Error("1", ["x"])], id="s5-null-and-errors"),
    pytest.param(b'{"errors":["x"]}', [Error("1", ["x"])], id="s5-errors-alone"),
    pytest.param(
        b'{"payload":{"data":1},"errors":["x"]}',
        [result(data=1), Error("1", ["x"])],
        id="s5-payload-and-errors",
    ),
    pytest.param(b'{"payload":{"data":1},"errors":[]}', [result(data=1)], id="s5-no-errors"),
    pytest.param(b'{"data":1,"hasNext":true}', [result(data=1)], id="postgraphile-next"),
    pytest.param(b'{"hasNext":true}', [], id="postgraphile-nothing"),
    pytest.param(b'{"hasNext":false}', [Complete("1")], id="postgraphile-last"),
    pytest.param(
        b'{"data":1,"hasNext":false}', [result(data=1), Complete("1")], id="postgraphile-both"
    ),
    pytest.param(
        b'{"errors":["x"],"hasNext":true}', [result(errors=["x"])], id="postgraphile-errors"
    ),
]

BAD_MESSAGES = [
    pytest.param(b"[]", "Expected `object`", id="array"),
    pytest.param(b"nope", "malformed", id="not-json"),
    pytest.param(b'{"payload":[]}', "$.payload", id="s4-payload-array"),
    pytest.param(b'{"errors":"x"}', "$.errors", id="s5-errors-text"),
]


@pytest.mark.parametrize(("content_type", "data", "events"), SUBSCRIPTIONS)
def test_subscriptions(content_type: str, data: bytes, events: list[Any]) -> None:
    for pieces in ([data], singly(data)):
        stream = subscription(content_type)
        assert fed(stream, pieces) == events
        assert stream.finished
        stream.close()


@pytest.mark.parametrize(("message", "events"), MESSAGES)
def test_messages(message: bytes, events: list[Any]) -> None:
    stream = subscription()
    assert stream.feed(b"--b\r\n\r\n" + message + b"\r\n--b") == events
    after = stream.feed(b'\r\n\r\n{"payload":{"data":2}}\r\n--b--')
    ended = bool(events) and not isinstance(events[-1], Next)
    assert after == ([] if ended else [result(data=2), Complete("1")])


@pytest.mark.parametrize(("message", "reason"), BAD_MESSAGES)
def test_bad_messages(message: bytes, reason: str) -> None:
    stream = subscription()
    good = b'--b\r\n\r\n{"payload":{"data":1}}\r\n'
    assert stream.feed(good + b"--b\r\n\r\n" + message + b"\r\n--b") == [result(data=1)]
    with pytest.raises(ProtocolViolation) as caught:
        stream.feed(b"")
    assert reason in caught.value.reason
    with pytest.raises(ProtocolViolation):
        stream.close()


def test_nothing_is_read_after_the_last_part() -> None:
    parts = [{"data": {"a": 1}, "hasNext": False}, {"data": {"a": 2}, "hasNext": False}]
    body = b"".join(
        b"\r\n--b\r\ncontent-type: application/json\r\n\r\n" + json.dumps(part).encode()
        for part in parts
    )
    reader = IncrementalMultipart("multipart/mixed; boundary=b", MsgspecJSON())
    first, last = reader.feed(body + b"\r\n--b--")
    assert isinstance(first, Next)
    assert first.payload.data == {"a": 1}
    assert last == Complete("")
    assert reader.finished
    reader.close()


def test_a_subscription_that_is_cut_off() -> None:
    stream = subscription()
    stream.feed(b"--b\r\n\r\n{}\r\n--b")
    with pytest.raises(ProtocolViolation, match="cut off"):
        stream.close()


@given(
    st.sampled_from([(STRAWBERRY_TYPE, STRAWBERRY), (ROUTER_TYPE, ROUTER)]).flatmap(
        lambda sample: st.tuples(st.just(sample), pieces_of(sample[1]))
    )
)
def test_any_split_gives_the_same_subscription(
    case: tuple[tuple[str, bytes], list[bytes]],
) -> None:
    (content_type, data), pieces = case
    assert fed(subscription(content_type), pieces) == fed(subscription(content_type), [data])
