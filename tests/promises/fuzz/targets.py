"""What must hold for any bytes that a peer sends, as functions that raise where it does not.

A target takes bytes and returns nothing. ``TARGETS`` has them by name, each with inputs to begin
with; ``python -m tests.promises.fuzz`` looks for more. The inputs that once broke something are in
``regressions.py``.
"""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import math
import re
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anyio import EndOfStream
from websockets.frames import Frame, Opcode

from anygql.documents.document import Document
from anygql.documents.request import GraphQLRequest
from anygql.exceptions import CutOff, ProtocolViolation, TransportError, TransportProtocolError
from anygql.http.compression import PIECE, decompressor_for
from anygql.http.formats.graphql_multipart import MultipartPayloads, MultipartSubscription
from anygql.http.formats.graphql_sse import DistinctStream, IncrementalStream, SingleStream
from anygql.http.formats.multipart import MultipartParser, boundary_of
from anygql.http.formats.parser import StreamParser
from anygql.http.formats.sse import EventStreamParser, ServerSentEvent
from anygql.http.responses import Response, batch_results, media_type
from anygql.json import MsgspecJSON, replace_lone_surrogates
from anygql.net.errors import NotHTTP
from anygql.net.http1 import HEAD_LIMIT, ResponseParser, read_head
from anygql.net.retry_after import MAX_RETRY_AFTER, retry_after
from anygql.protocols import GRAPHQL_TRANSPORT_WS, GRAPHQL_WS
from anygql.protocols.appsync import (
    AppSyncCodec,
    AuthorizedStart,
    RefusalMemory,
    start_data,
)
from anygql.protocols.base import SubscriptionProtocol
from anygql.protocols.events import (
    Ack,
    Complete,
    Ended,
    Error,
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
from anygql.protocols.phoenix import PHOENIX
from anygql.protocols.phoenix_topics import MAX_KEPT
from anygql.results.incremental import IncrementalMerge
from anygql.results.result import ExecutionResult, is_result
from anygql.schema.results import results_plan
from tests.promises.fuzz.choices import Choices, json_value, pieces
from tests.schema.test_results import SCHEMA
from tests.support.frames import LIMITS, Stream, check_alike

JSON = MsgspecJSON()

#: A reason goes into close frames and messages.
LONGEST_REASON = 400


@dataclass(frozen=True)
class Target:
    """A property of any bytes, and bytes that get far into the code."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]


# Frames.


def frames(data: bytes) -> None:
    """What reads frames says what the engine alone would, after each piece."""
    choices = Choices(data)
    limit, seed = choices.one_of(LIMITS), choices.below(256)
    deflate, eof = choices.flag(), choices.flag()
    closing = choices.below(16)
    torn = pieces(choices.rest(), seed)
    closing_after = closing if closing < min(8, len(torn)) else None
    check_alike(Stream(torn, limit, deflate, closing_after, eof))


def _frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


_OPEN = bytes((0, 0, 0, 1, 15))
_FRAMES = [
    _frame(Opcode.TEXT, b'{"type":"ping"}'),
    _frame(Opcode.TEXT, b"x" * 126),
    _frame(Opcode.TEXT, b"a", fin=False) + _frame(Opcode.PING) + _frame(Opcode.CONT, b"b"),
    _frame(Opcode.PONG, b"?") + _frame(Opcode.CLOSE, b"\x03\xe8bye"),
    _frame(Opcode.BINARY, b"x"),
    b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 99,
]
_FRAME_SEEDS = [
    *[_OPEN + frame for frame in _FRAMES],
    _OPEN + b"".join(_FRAMES),
    bytes((14, 3, 1, 0, 2)) + b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" + _FRAMES[0],
]


# Subprotocols.

_AFTER_ACK = (Next, Error, Complete, Malformed)
_EVENTS = (Ack, Next, Error, Complete, Ping, Pong, KeepAlive, Refusal, Malformed, Unknown)


def graphql_transport_ws(data: bytes) -> None:
    _check_codec(GRAPHQL_TRANSPORT_WS, data)


def graphql_ws(data: bytes) -> None:
    _check_codec(GRAPHQL_WS, data)


def _check_codec(protocol: SubscriptionProtocol, data: bytes) -> None:
    """Any messages, one a line: events in an order that is allowed, or a violation."""
    by_bytes, by_text = protocol.codec(JSON), protocol.codec(JSON)
    acknowledged = False
    events: list[Any] = []
    for message in data.split(b"\n"):
        event = _received(by_bytes.receive, message)
        events.append(event)
        try:
            text = message.decode()
        except UnicodeDecodeError:
            # What nobody reads, nobody checks: an event may come of it all the same.
            assert isinstance(event, _EVENTS) or event[0] in {1007, 4400}
        else:
            assert _received(by_text.receive, text) == event
            assert not isinstance(event, tuple) or event[0] == 4400
            _check_against_stdlib(text, event)
        acknowledged = acknowledged or isinstance(event, Ack)
        assert acknowledged or not isinstance(event, _AFTER_ACK)
        if isinstance(event, Next):
            _check_increment(by_bytes.increment, message, event)
    _check_many(protocol, data.split(b"\n"), events)


def _check_many(
    protocol: SubscriptionProtocol, messages: Sequence[bytes], events: Sequence[Any]
) -> None:
    """Read together, messages mean what they mean one by one, up to the first that is wrong."""
    codec = protocol.codec(JSON)
    found: list[Any] = []
    for some in (messages[:1], messages[1:]):
        try:
            found.extend(codec.receive_many(some))
        except ProtocolViolation as violation:
            found.append((violation.code, violation.reason))
            break
    assert found == list(events[: len(found)])
    assert len(found) == len(events) or isinstance(found[-1], tuple)


def _received(receive: Callable[[Any], Any], message: bytes | str) -> Any:
    try:
        event = receive(message)
    except ProtocolViolation as violation:
        assert len(violation.reason) < LONGEST_REASON
        return violation.code, violation.reason
    assert isinstance(event, _EVENTS)
    return event


def _check_increment(increment: Callable[[Any], Any], message: bytes, event: Next) -> None:
    try:
        payload = increment(message)
    except ProtocolViolation:
        return
    assert payload.get("data") == event.payload.data or not _is_plain(message)


_AMBIGUOUS = re.compile(r"\\u|NaN|Infinity|\d{300}|[eE]")


def _is_plain(text: bytes | str) -> bool:
    """Whether all readers of JSON agree about it: no half characters, no doubled keys."""
    text = text if isinstance(text, str) else text.decode(errors="replace")
    if _AMBIGUOUS.search(text) or "\ufffd" in text:
        return False
    unique = True

    def pairs(found: list[tuple[str, Any]]) -> None:
        nonlocal unique
        unique = unique and len(dict(found)) == len(found)

    try:
        json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return True
    return unique


def _check_against_stdlib(text: str, event: Any) -> None:
    if not isinstance(event, Next) or not _is_plain(text):
        return
    said = json.loads(text)
    assert said["id"] == event.id
    payload = said["payload"]
    assert payload.get("data") == event.payload.data
    assert payload.get("errors") == event.payload.errors


_ACK = b'{"type":"connection_ack"}\n'
_MODERN_SEEDS = [
    _ACK + b'{"type":"next","id":"1","payload":{"data":{"a":[1,2.5,null,"\xc3\xa9"]}}}',
    _ACK + b'{"id":"1","type":"error","payload":[{"message":"no","path":["a",0]}]}',
    _ACK + b'{"type":"complete","id":"1"}\n{"type":"ping","payload":{}}\n{"type":"pong"}',
    _ACK + b'{"type":"next","id":"1","payload":{"data":{"s":"\\ud83d"},"errors":[],"hasNext":true,'
    b'"incremental":[{"id":"0","data":{}}],"extensions":{"k":1e3}}}',
    b'{"type":"connection_error","payload":{"message":"no"}}',
    b'{"type":"next","id":"1","payload":{}}',
    _ACK + b'{"type":"next","id":"\xff","payload":{}}',
]
_LEGACY_SEEDS = [
    *[seed.replace(b'"next"', b'"data"') for seed in _MODERN_SEEDS],
    b'{"type":"ka"}\n' + _ACK + b'{"type":"error","id":"1","payload":{"message":"no"}}',
    _ACK + b'{"type":"error","payload":{"errors":[{"message":"no"}]}}',
]


# AppSync: subscriptions are started, stopped and forgotten while any messages come.

_APPSYNC_EVENTS = (*_EVENTS, Started, Failed, Rejection, Say, Several)
_SUBSCRIPTION = GraphQLRequest("subscription { said }")
_START = AuthorizedStart(start_data(JSON, _SUBSCRIPTION), {"x-api-key": "k"}, is_refreshable=True)


def appsync(data: bytes) -> None:
    """What comes for a subscription comes while it runs, and it is stopped once at most."""
    choices = Choices(data)
    codec = AppSyncCodec(JSON, is_refreshable=choices.flag(), memory=RefusalMemory())
    ids = map(str, itertools.count(1))
    running: set[str] = set()
    stopped: list[bytes] = []
    for message in choices.rest().split(b"\n"):
        match message[:1]:
            case b"+":
                id = next(ids)
                codec.subscribe(id, _SUBSCRIPTION, _START)
                running.add(id)
            case b"-" if running:
                id = min(running)
                running.discard(id)
                if (stop := codec.complete(id)) is not None:
                    stopped.append(stop)
            case _:
                _check_appsync(_appsync_event(codec, message), running, stopped)
    stopped += codec.terminate()
    assert len(set(stopped)) == len(stopped)
    assert not codec.terminate()


def _appsync_event(codec: AppSyncCodec, message: bytes) -> Any:
    try:
        event = codec.receive(message)
    except ProtocolViolation as violation:
        assert violation.code in {1007, 4400}
        assert len(violation.reason) < LONGEST_REASON
        return None
    assert isinstance(event, _APPSYNC_EVENTS)
    if isinstance(event, Ack):
        assert codec.keep_alive_timeout is not None
        assert codec.keep_alive_timeout > 0
    return event


def _check_appsync(event: Any, running: set[str], stopped: list[bytes]) -> None:
    for one in event.events if isinstance(event, Several) else [event]:
        if isinstance(one, Say):
            stopped.append(one.message)
        elif isinstance(one, Next | Malformed | Started):
            assert one.id in running
        elif isinstance(one, Complete | Error | Failed):
            assert one.id in running
            running.discard(one.id)


_APPSYNC_ACK = b'{"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}\n'
_STARTED = _APPSYNC_ACK + b'+\n{"type":"start_ack","id":"1"}\n'
_APPSYNC_SEEDS = [
    b"\0" + _STARTED + b'{"type":"data","id":"1","payload":{"data":{"said":1}}}\n-\n'
    b'{"type":"data","id":"1","payload":{}}\n{"type":"complete","id":"1"}',
    b"\1" + _STARTED + b'{"type":"error","id":"1","payload":{"errors":[{"errorType":'
    b'"UnauthorizedException"}]}}\n+\n{"type":"error","payload":{"errors":{"errorCode":"401"}}}',
    b"\1" + _APPSYNC_ACK + b'+\n+\n-\n{"type":"start_ack","id":"1"}\n{"type":"error","id":"",'
    b'"payload":{"errors":[{"errorType":"LimitExceededError"}]}}\n{"type":"start_ack","id":"2"}',
    b'\0{"type":"connection_error","payload":{"errors":[{"errorType":"x#y"}]}}\n{"type":"ka"}',
    b'\0{"type":"error"}\n{"message":"Forbidden","connectionId":"1"}',
    b'\1{"type":"connection_ack","payload":{"connectionTimeout":1e300}}\n{"type":["ka"],"id":{}}',
]


# Phoenix channels.

_PHOENIX_EVENTS = (Ack, Next, Error, Complete, Pong, Refusal, Malformed, Started, Ended, Say)
_ASKED = [
    GraphQLRequest("subscription { n }"),
    GraphQLRequest("{ n }"),
    GraphQLRequest("subscription { n }"),
]


def phoenix(data: bytes) -> None:
    """Any messages, one a line, while three operations are asked for and may be left.

    A line of ``!`` and a digit is what the client does: it leaves the operation with this id.
    """
    by_bytes, by_text = PHOENIX.codec(JSON), PHOENIX.codec(JSON)
    for codec in (by_bytes, by_text):
        codec.connection_init(None)
        for id, request in enumerate(_ASKED):
            codec.subscribe(str(id), request)
    for message in data.split(b"\n"):
        if message[:1] == b"!" and message[1:] in {b"0", b"1", b"2"}:
            id = message[1:].decode()
            assert by_bytes.complete(id) == by_text.complete(id)
            continue
        found = _of_phoenix(by_bytes.receive, message)
        try:
            text = message.decode()
        except UnicodeDecodeError:
            return  # what nobody reads, nobody checks, and from here the two may differ
        assert _of_phoenix(by_text.receive, text) == found
        assert found[:1] != [1007]
    topics: Any = vars(by_bytes)["_topics"]
    assert 0 <= topics.kept <= MAX_KEPT


def _of_phoenix(receive: Callable[[Any], Any], message: bytes | str) -> list[Any]:
    try:
        event = receive(message)
    except ProtocolViolation as violation:
        assert len(violation.reason) < LONGEST_REASON
        assert violation.code in {1002, 1007}
        return [violation.code, violation.reason]
    events = _flat(event)
    for each in events:
        assert isinstance(each, _PHOENIX_EVENTS)
        assert getattr(each, "id", "0") in {"0", "1", "2"}
        if isinstance(each, Next):
            assert isinstance(each.payload.data, dict) or is_result(each.payload)
        if isinstance(each, Say):
            assert json.loads(each.message)[3] == "unsubscribe"
    return events


def _flat(event: Any) -> list[Any]:
    if not isinstance(event, Several):
        return [event]
    return [each for inner in event.events for each in _flat(inner)]


_JOINED = b'["1","1","__absinthe__:control","phx_reply",{"response":{},"status":"ok"}]\n'
_NAMED = (
    b'["1","2","__absinthe__:control","phx_reply",{"response":{"subscriptionId":"X"},"status":"ok"'
    b"}]\n"
)
_RESULT = b'[null,null,"X","subscription:data",{"result":{"data":{"n":1}},"subscriptionId":"X"}]\n'
_PHOENIX_SEEDS = [
    _JOINED + _NAMED + _RESULT,
    _JOINED + _RESULT + _RESULT + _NAMED + _NAMED.replace(b'"2"', b'"4"') + _RESULT + b"!0\n!2",
    _JOINED + b"!0\n!1\n" + _NAMED + _RESULT,
    _JOINED
    + b'["1","3","__absinthe__:control","phx_reply",{"response":{"data":{}},"status":"ok"}]',
    _JOINED + b'["1","3","__absinthe__:control","phx_reply",{"response":{"errors":[{"message":"no"}'
    b']},"status":"error"}]',
    _JOINED + b'["1","1","__absinthe__:control","phx_error",{}]',
    _JOINED + b'["1","1","__absinthe__:control","phx_close",{}]',
    b'[null,"1","__absinthe__:control","phx_reply",{"response":{"reason":"no"},"status":"error"}]',
    b'[null,"9","phoenix","phx_reply",{"response":{},"status":"ok"}]\n[1]\n{}',
]


# Streams: however they are torn, the same comes out.


def _told(
    make: Callable[[], StreamParser[Any]], torn: Sequence[bytes]
) -> tuple[list[Any], int | None]:
    """All values, and the code of the fault that ended them, or of the end of the stream."""
    found: list[Any] = []
    reader: Any = make()
    try:
        for piece in torn:
            found += reader.feed(piece)
            reader.feed(b"")  # a fault that waits behind values
        reader.close()
    except ProtocolViolation as violation:
        assert len(violation.reason) < LONGEST_REASON
        return found, violation.code
    return found, None


def _check_splits(make: Callable[[], StreamParser[Any]], data: bytes, seed: int) -> Any:
    whole = _told(make, [data])
    assert _told(make, pieces(data, 1)) == whole
    assert _told(make, pieces(data, seed)) == whole
    return whole


#: Nothing: the events themselves.
_EVENT_STREAMS: Sequence[Callable[[], StreamParser[Any]] | None] = (
    None,
    lambda: DistinctStream("1", JSON),
    lambda: SingleStream(JSON),
    lambda: SingleStream(JSON, is_incremental=lambda name: name < "2"),
    lambda: IncrementalStream("1", JSON),
)


def sse(data: bytes) -> None:
    """Server-sent events, against a reader that does what the specification says, word by word."""
    choices = Choices(data)
    seed, limit = choices.below(256), choices.one_of((2**24, 2**24, 2**24, 200, 20))
    make = choices.one_of(_EVENT_STREAMS)
    data = choices.rest()
    if make is not None:
        _check_splits(make, data, seed)
        return
    events, fault = _check_splits(lambda: EventStreamParser(max_event_size=limit), data, seed)
    expected = _specified_events(data)
    if fault is None:
        assert events == expected
    else:
        assert fault == 1009
        assert limit < 2**24
        assert events == expected[: len(events)]


def _specified_events(data: bytes) -> list[ServerSentEvent]:
    """HTML, §9.2.6; an event with a name but no data is told too."""
    lines = re.split(rb"\r\n|\n|\r", data.removeprefix(b"\xef\xbb\xbf"))[:-1]
    events: list[ServerSentEvent] = []
    fields: dict[bytes, list[bytes]] = {}
    id = ""
    for line in lines:
        if line:
            name, _, value = line.partition(b":")
            fields.setdefault(name, []).append(value.removeprefix(b" "))
            if name == b"id" and b"\0" not in value:
                id = value.removeprefix(b" ").decode(errors="replace")
            continue
        if b"data" in fields or b"event" in fields:
            name = fields.get(b"event", [b""])[-1] or b"message"
            text = b"\n".join(fields.get(b"data", []))
            times = [t for t in fields.get(b"retry", []) if re.fullmatch(rb"[0-9]{1,8}", t)]
            retry = int(times[-1]) if times else None
            events.append(
                ServerSentEvent(
                    name.decode(errors="replace"), text.decode(errors="replace"), id, retry
                )
            )
        fields = {}
    return events


_STREAMS = (
    b'event: next\ndata: {"data":{"a":1}}\n\nevent: complete\ndata:\n\n',
    b'\xef\xbb\xbf: hi\r\nid: 7\revent:next\ndata:{"id":"1",\ndata:"payload":{}}\n\n',
    b'retry: 10\n\nevent: error\ndata: [{"message":"no"}]\n\n',
    b'event: complete\ndata: {"id":"2"}\n\ndata\n\nid\n\n',
    b'event: next\ndata: {"id":"2","payload":{"data":null}}\n\n',
    (
        b'event: next\ndata: {"data":{"a":{}},"hasNext":true}\n\n'
        b'event: next\ndata: {"incremental":[{"path":["a"],"data":{"b":1}}],"hasNext":false}\n\n'
    ),
)
_SSE_SEEDS = [
    *[bytes((3, 0, kind)) + stream for kind in range(5) for stream in _STREAMS],
    b"\3\4\0data: 0123456789abcdef\n\n",
]

_CONTENT_TYPES = (
    'multipart/mixed; boundary="-"',
    "multipart/mixed",
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
)


#: Nothing: the parts themselves.
_MULTIPART_STREAMS: Sequence[Callable[[str, dict[str, int]], StreamParser[Any]] | None] = (
    None,
    lambda kind, limits: MultipartPayloads(kind, JSON, **limits),
    lambda kind, limits: MultipartSubscription(kind, "1", JSON, **limits),
)


def multipart(data: bytes) -> None:
    """Parts, payloads and subscriptions."""
    choices = Choices(data)
    seed, kind = choices.below(256), choices.one_of(_CONTENT_TYPES)
    limits: dict[str, int] = choices.one_of(
        ({}, {"max_part_size": 20, "max_header_size": 60, "max_headers": 2})
    )
    make = choices.one_of(_MULTIPART_STREAMS)
    data = choices.rest()
    if make is not None:
        _check_splits(lambda: make(kind, limits), data, seed)
        return
    parts, _ = _check_splits(lambda: MultipartParser(kind, **limits), data, seed)
    for part in parts:
        assert len(part.body) <= limits.get("max_part_size", 2**24)
        assert len(part.headers) <= limits.get("max_headers", 64)
        assert b"\n--" + boundary_of(kind) not in b"\n" + part.body


def _parts(*bodies: bytes, boundary: bytes = b"-") -> bytes:
    head = b"\r\n--" + boundary + b"\r\nContent-Type: application/json\r\n\r\n"
    return b"".join(head + body for body in bodies) + b"\r\n--" + boundary + b"--\r\n"


_ANSWERS = (
    (0, 0, _parts(b"{}", b'{"payload":{"data":{"a":1}}}', b'{"payload":null,"errors":[{}]}')),
    (0, 0, _parts(b'{"data":{"a":1},"hasNext":true}', b'{"hasNext":false}')),
    (2, 0, _parts(b'{"payload":{"data":null}}', boundary=b"graphql")),
    (0, 1, _parts(b"0123456789", b"0123456789abcdefghijklm")),
    (1, 0, b"preamble\n---\nA: b\n c\n\n{}\n---\n---\n-----\nepilogue"),
)
_MULTIPART_SEEDS = [
    bytes((2, kind, limited, reader)) + answer
    for reader in range(3)
    for kind, limited, answer in _ANSWERS
]


# Results that grow.

_PATHS: tuple[Any, ...] = ([], ["a"], ["a", "b"], ["b", 0], ["c"], ["c", 1], ["a", "c", 2], [0])
_IDS = ("0", "1", "2")


def incremental(data: bytes) -> None:
    """Any payloads: states that stay as they were, or a violation, and nothing after that."""
    choices = Choices(data)
    if choices.flag():
        payloads = [_some_payload(choices, first=number == 0) for number in range(8)]
    else:
        payloads = list(_decoded(choices.rest()))
    merge = IncrementalMerge(max_pending=3)
    states: list[tuple[ExecutionResult, ExecutionResult]] = []
    for payload in payloads:
        given = copy.deepcopy(payload)
        had_next = merge.has_next
        try:
            state = merge.add(payload)
        except ProtocolViolation as violation:
            assert len(violation.reason) < LONGEST_REASON
            assert not merge.has_next
        else:
            assert had_next
            assert state == merge.result
            if states and states[-1][0].errors:
                before = states[-1][0].errors
                assert (state.errors or [])[: len(before)] == before
            states.append((state, copy.deepcopy(state)))
        assert payload == given
        for state, as_it_was in states:
            assert state == as_it_was


def _decoded(data: bytes) -> list[Any]:
    found: list[Any] = []
    for line in data.split(b"\n"):
        try:
            found.append(JSON.decode(line))
        except (ValueError, RecursionError):
            continue
    return found


def _some_payload(choices: Choices, *, first: bool) -> Any:
    payload: dict[str, Any] = {"hasNext": choices.below(8) != 7}
    if first:
        payload["data"] = json_value(choices)
    if choices.flag():
        payload["pending"] = [
            {"id": choices.one_of(_IDS), "path": choices.one_of(_PATHS)}
            for _ in range(choices.below(3))
        ]
    if choices.flag():
        payload["incremental"] = [_some_patch(choices) for _ in range(choices.below(4))]
    if choices.flag():
        payload["completed"] = [
            {"id": choices.one_of(_IDS), "errors": choices.one_of((None, [], [{"message": "no"}]))}
            for _ in range(choices.below(3))
        ]
    if choices.below(4) == 3:
        payload.update(_some_patch(choices))
    return payload


def _some_patch(choices: Choices) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    if choices.flag():
        patch["id"] = choices.one_of(_IDS)
        if choices.flag():
            patch["subPath"] = choices.one_of(_PATHS)
    else:
        patch["path"] = choices.one_of(_PATHS)
    if choices.flag():
        patch["data"] = json_value(choices, depth=3)
    if choices.flag():
        patch["items"] = [json_value(choices, depth=2) for _ in range(choices.below(3))]
    if choices.below(4) == 3:
        patch["errors"] = [{"message": "no"}]
        patch["extensions"] = {choices.one_of(_IDS): 1}
    return patch


_INCREMENTAL_SEEDS = [
    b"\0" + b'{"data":{"a":{},"b":[]},"pending":[{"id":"0","path":["a"]}],"hasNext":true}\n'
    b'{"incremental":[{"id":"0","subPath":[],"data":{"c":{"d":1}}}],"completed":[{"id":"0"}]}',
    b"\0" + b'{"data":{"b":[1]},"hasNext":true}\n{"incremental":[{"path":["b",1],"items":[2]}]}',
    b"\0" + b'{"data":{"b":[1]},"hasNext":true}\n{"path":["b",1],"data":2,"hasNext":false}',
    bytes(range(1, 120, 2)),
    bytes(range(255, 40, -1)),
]


# Results through a schema.

_QUERY = """
query {
  day
  rock { weight price }
  named { name born friend { born friend { born } } ... on User { color } }
  user {
    name born color days grid notes id plain even evens
    pets { ...pet } friend { name ...pet }
  }
  users { born pets { price } }
  things { ... on User { grid } ... on Rock { price } ...pet }
}
fragment pet on Pet { price born color friend { born } }
"""
_PLAN = results_plan(SCHEMA, Document(_QUERY), None)
_FIELDS = (
    "day", "rock", "weight", "price", "named", "name", "born", "friend", "color", "user", "users",
    "days", "grid", "notes", "id", "plain", "even", "evens", "pets", "things",
)  # fmt: skip


def results(data: bytes) -> None:
    """Any data: parsed, or an error that says where; what was given stays as it was."""
    choices = Choices(data)
    if choices.flag():
        given = json_value(choices, _FIELDS, depth=6)
    else:
        given = (_decoded(choices.rest()) or [None])[0]
    before = copy.deepcopy(given)
    try:
        parsed = _PLAN(given)
    except TransportProtocolError as error:
        assert len(str(error)) < LONGEST_REASON
        assert str(error).startswith("data")
    else:
        assert given is None or parsed.keys() == given.keys()
    assert given == before


_RESULTS_SEEDS = [
    b'\0{"day":"2024-02-29","rock":{"weight":1,"price":"1.5"},"users":[{"born":null},null]}',
    (
        b'\0{"user":{"born":"2024-02-29","color":"RED","days":["2024-02-29"],"grid":[["RED",null],'
        b'null],"even":2,"evens":[2,null],"pets":[[{"price":"1"}]],"notes":{"a":[[[]]]}}}'
    ),
    b'\0{"things":[{"grid":[["GREEN"]],"price":"2","friend":{"born":"x"}}]}',
    b"\0" + b'{"user":{"color":[]}}',
    b"\1\3\4\11\2\4\3\7\2\1\2\3\1\2\3\4\5\6\7\1\2\3\4\5\6",
]


# HTTP.

_PAIR = re.compile(r"[^\r\n:]+:[^\r\n]*")


def http_answer(data: bytes) -> None:
    """Any head and body: a result, or an error of the transport's; and it may be looked at."""
    head, _, body = data.partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if _PAIR.fullmatch(line))
    }
    code = int(status) if re.fullmatch("[1-5][0-9]{2}", status) else 200
    answer = Response("http://here", code, "Reason", headers, media_type(headers), body)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ask in (_as_one, _as_batch, _as_refusal):
            try:
                ask(answer)
            except TransportError as error:
                _check_told(error)
        assert isinstance(answer.text, str)
        assert isinstance(media_type(headers)[0], str)
        _check_wait(retry_after(headers))
        try:
            boundary_of(headers.get("content-type", ""))
        except ProtocolViolation:
            return


def _as_one(answer: Response) -> None:
    assert isinstance(answer.result(JSON), ExecutionResult)


def _as_batch(answer: Response) -> None:
    found = batch_results(answer, JSON, 2)
    assert len(found) == 2
    assert all(isinstance(one, ExecutionResult | TransportError) for one in found)


def _as_refusal(answer: Response) -> None:
    raise answer.refused(None)


def _check_told(error: TransportError) -> None:
    assert len(str(error)) < 2 * LONGEST_REASON
    _check_wait(error.retry_after)


def _check_wait(wait: float | None) -> None:
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= MAX_RETRY_AFTER)


_HTTP_SEEDS = [
    b'200\nContent-Type: application/json\n\n{"data":{"a":1},"errors":[],"extensions":{}}',
    b'200\nContent-Type: application/json; charset=utf-16\n\n[{"data":null},{"errors":[{}]}]',
    b"503\nRetry-After: 120\nContent-Type: text/plain; charset=latin-1\n\nno \xff",
    b"429\nRetry-After: Fri, 31 Dec 2099 23:59:59 GMT\nDate: Fri, 31 Dec 2099 23:59:00 GMT\n\n",
    b'400\nContent-Type: application/graphql-response+json\n\n{"errors":[{"message":"no"}]}',
    b'500\nContent-Type: application/json\n\n{"errors":[{"message":["no"]}]}',
    b'200\nContent-Type: multipart/mixed; boundary="a\\"b"; deferSpec=20220824\n\n--a',
    b"302\nContent-Type: text/html; charset*=utf-8''utf-8\n\n<html>",
]


def decompressing(data: bytes) -> None:
    """Any bytes: what they decompress to, or ``ValueError``, in pieces that are bounded."""
    choices = Choices(data)
    seed, packed = choices.below(256), choices.below(4)
    data = choices.rest()
    if packed:
        data = (gzip.compress, zlib.compress, _raw_deflate)[packed - 1](data)
    whole = _decompressed([data])
    if packed:
        assert whole == _unpacked(data, packed)
    assert _decompressed(pieces(data, 1)) == whole
    assert _decompressed(pieces(data, seed)) == whole


def _unpacked(data: bytes, packed: int) -> bytes:
    return zlib.decompress(data, (31, 15, -15)[packed - 1])


def _raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


def _decompressed(torn: Sequence[bytes]) -> bytes | None:
    reader = decompressor_for("gzip")
    assert reader is not None
    found = b""
    try:
        for piece in torn:
            if not piece:
                continue
            one = reader.feed(piece)
            assert len(one) <= PIECE
            found += one
            while reader.has_more:
                one = reader.feed(b"")
                assert len(one) <= PIECE
                found += one
        reader.close()
    except ValueError:
        return None
    return found


_DECOMPRESS_SEEDS = [
    b"\1\1hello hello hello",
    b"\0\0" + gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0) + b"\0\0",
    b"\0\0" + zlib.compress(b"one"),
    b"\3\0" + _raw_deflate(b"one one one"),
    b"\1\2" + b"x" * 50,
]


class _Torn:
    """A byte stream that has these pieces, and ends."""

    def __init__(self, torn: Sequence[bytes]) -> None:
        self._torn = [piece for piece in torn if piece]

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._torn:
            raise EndOfStream
        return self._torn.pop(0)


def handshake(data: bytes) -> None:
    """The head of any answer to a WebSocket handshake: the same, however it is torn."""
    choices = Choices(data)
    seed = choices.below(256)
    data = choices.rest()
    whole = _answered([data])
    assert _answered(pieces(data, 1)) == whole
    assert _answered(pieces(data, seed)) == whole


def _answered(torn: Sequence[bytes]) -> Any:
    reading = read_head(_Torn(torn))  # type: ignore[arg-type]
    try:
        reading.send(None)
    except StopIteration as stop:
        answer = stop.value
        assert answer.status == 101 or 200 <= answer.status < 600
        assert len(answer.head) <= HEAD_LIMIT + max(map(len, torn))
        _check_wait(retry_after(answer.headers))
        return answer.status, dict(answer.headers), answer.head
    except (NotHTTP, EndOfStream):
        return None
    raise AssertionError("it waited for something else than bytes")


def http_response(data: bytes) -> None:
    """Responses on one connection: the same, however they are torn, and never of two one."""
    choices = Choices(data)
    seed = choices.below(256)
    data = choices.rest()
    whole = _responded([data])
    assert _responded(pieces(data, 1)) == whole
    assert _responded(pieces(data, seed)) == whole
    if whole is not None and whole[-1]:
        # A connection that is used again has had nothing behind the response.
        assert _responded([data + b"x"]) == (*whole[:-1], False)
        assert _responded([data[:-1]]) is None


def _responded(torn: Sequence[bytes]) -> Any:
    """Return the first response, and whether another may follow; None if it is refused."""
    parser = ResponseParser()
    try:
        for piece in filter(None, torn):
            parser.feed(piece)
        reusable = parser.is_reusable
        if not parser.is_complete:
            parser.feed_eof()
    except (NotHTTP, CutOff) as error:
        assert str(error)
        assert not parser.is_reusable
        return None
    head = parser.head
    assert head is not None
    assert 200 <= head.status < 600
    assert parser.is_complete
    body = b"".join(parser.pieces)
    if "transfer-encoding" not in head.headers and head.status not in {204, 304}:
        length = head.headers.get("content-length")
        assert length is None or int(length[-20:]) == len(body)
    return head.status, head.reason, dict(head.headers), head.cookies, body, reusable


_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n"
_RESPONSE_SEEDS = [
    b"\0" + _RESPONSE,
    b"\1" + _CHUNKS,
    b"\2" + _RESPONSE + _RESPONSE,
    b"\3" + _CHUNKS + _RESPONSE,
    b"\4HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404\r\nSet-Cookie: a\r\n\r\nno",
    b"\5HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2, 2\r\n\r\nok",
    b"\6HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\7HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
]

_HANDSHAKE_SEEDS = [
    b"\0HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nA: b\r\na: c\r\n\r\n\x81\x01x",
    b"\3HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503\r\nRetry-After: 5\r\n\r\nno",
    b"\0HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
    b"\0<html>",
]


# JSON.


def json_text(data: bytes) -> None:
    """Any text: a value, as the standard library reads it, or ``ValueError``."""
    try:
        value = JSON.decode(data)
    except (ValueError, RecursionError):
        return
    whole = replace_lone_surrogates(data)
    assert replace_lone_surrogates(whole) == whole
    assert JSON.decode(JSON.encode(value)) == value
    if whole == data:
        text = data.decode()
        if _is_plain(text):
            assert json.loads(text) == value
    json.dumps(value, ensure_ascii=False).encode()  # no half characters


_JSON_SEEDS = [
    b'{"a":[1,-2.5e3,true,false,null,"\\u00e9\\ud83d\\ude00"],"b":{}}',
    b'"\\ud83d"',
    b'"\\ude00\\ud83d\\\\ud83d"',
    b"123456789012345678901234567890",
    b'["\xf0\x9f\x98\x80","\xed\xa0\x80"]',
    b"[[[[[[]]]]]]",
]


TARGETS: Mapping[str, Target] = {
    "frames": Target(frames, _FRAME_SEEDS),
    "handshake": Target(handshake, _HANDSHAKE_SEEDS),
    "http_response": Target(http_response, _RESPONSE_SEEDS),
    "graphql_transport_ws": Target(graphql_transport_ws, _MODERN_SEEDS),
    "graphql_ws": Target(graphql_ws, _LEGACY_SEEDS),
    "appsync": Target(appsync, _APPSYNC_SEEDS),
    "phoenix": Target(phoenix, _PHOENIX_SEEDS),
    "sse": Target(sse, _SSE_SEEDS),
    "multipart": Target(multipart, _MULTIPART_SEEDS),
    "incremental": Target(incremental, _INCREMENTAL_SEEDS),
    "results": Target(results, _RESULTS_SEEDS),
    "http_answer": Target(http_answer, _HTTP_SEEDS),
    "decompressing": Target(decompressing, _DECOMPRESS_SEEDS),
    "json_text": Target(json_text, _JSON_SEEDS),
}
