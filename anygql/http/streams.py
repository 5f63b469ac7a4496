"""Answers that go on: subscriptions, and results that grow.

Each subscription has an answer of its own, so it has a flow of its own: while its consumer is
behind, nothing is read of that answer, and nobody else notices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from ..delivery.independent import RunningFeed, RunningStream
from ..exceptions import (
    CutOff,
    ProtocolViolation,
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
)
from ..json import JSON
from ..net.headers import pairs
from ..protocols.close_codes import CloseCode
from ..protocols.events import Complete, Error, Next
from ..results.incremental import IncrementalMerge
from ..results.result import ExecutionResult
from .accept import EVENT_STREAM
from .formats.multipart import MultipartPayloads, MultipartSubscription
from .formats.sse import DistinctStream, GrowingStream
from .httpx.exchange import Incoming
from .responses import as_result

__all__ = ["MILLI", "IncrementalReader", "Reader", "deliver", "read_merged", "violated"]

_Event: TypeAlias = Next | Error | Complete

#: Where a server that names its events goes on after the last one that was received.
LAST_EVENT_ID = "Last-Event-ID"

#: The longest name for that which is repeated to a server, in bytes.
MAX_EVENT_ID = 4096

# RFC 9110 §5.5: what can be the value of a header.
_EVENT_ID = re.compile(rb"[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?")

#: Milliseconds in a second, in which server-sent events count.
MILLI = 1000


class Reader(Protocol):
    """One answer's bytes in, its events out."""

    @property
    def finished(self) -> bool:
        """Whether the server has said that there will be no more."""
        ...

    def feed(self, data: bytes, /) -> list[Any]:
        """What the bytes complete; raises ``ProtocolViolation``."""
        ...

    def close(self) -> None:
        """The bytes have ended; raises ``ProtocolViolation`` if they were cut off."""
        ...


class IncrementalReader:
    """A multipart answer that grows: each state of it as a result."""

    def __init__(self, content_type: str, json: JSON) -> None:
        self._payloads = MultipartPayloads(content_type, json)
        self._merge = IncrementalMerge()
        self._begun = False
        self.finished = False

    def feed(self, data: bytes) -> list[_Event]:
        found: list[_Event] = []
        for payload in self._payloads.feed(data):
            if self.finished:
                break
            if not self._begun and as_result(payload) is None:
                raise ProtocolViolation(
                    CloseCode.BAD_REQUEST, "the first part of the answer is no GraphQL response"
                )
            self._begun = True
            found.append(Next("", self._merge.add(payload)))
            if not self._merge.has_next:
                self.finished = True
                found.append(Complete(""))
        if self._payloads.finished and not self.finished:
            if not self._begun:
                raise ProtocolViolation(CloseCode.BAD_REQUEST, "the multipart answer is empty")
            self.finished = True
            found.append(Complete(""))
        return found

    def close(self) -> None:
        if not self.finished:
            self._payloads.close()


def violated(server: str, violation: ProtocolViolation) -> TransportError:
    """The error of an answer that breaks its protocol, or breaks off."""
    if isinstance(violation, CutOff):
        return TransportConnectionFailed(
            f"{server}: the connection was lost: {violation.reason}", reason=violation.reason
        )
    return TransportProtocolError(
        f"{server} broke the protocol: {violation.reason}", reason=violation.reason
    )


async def read_merged(incoming: Incoming, json: JSON) -> ExecutionResult:
    """The whole result of an answer, of whatever kind it is. Raises ``TransportError``."""
    reader = _reader(incoming, json, merging=True)
    if reader is None:
        return (await incoming.answer()).result(json)
    result: ExecutionResult | None = None
    try:
        while not reader.finished:
            chunk = await incoming.read()
            if chunk is None:
                reader.close()
                break
            for event in reader.feed(chunk):
                if isinstance(event, Next):
                    result = event.payload
                elif isinstance(event, Error):
                    result = ExecutionResult(None, event.payload)
    except ProtocolViolation as violation:
        raise violated(incoming.server, violation) from None
    if result is None:
        raise TransportProtocolError(f"{incoming.server} answered with an empty stream")
    return result


async def deliver(incoming: Incoming, stream: RunningStream, json: JSON, *, merging: bool) -> None:
    """Hand out an answer's results, of whatever kind it is. Raises ``TransportError``."""
    reader = _reader(incoming, json, merging=merging)
    if reader is None:
        stream.feed.next((await incoming.answer()).result(json))
        return
    try:
        await _deliver(incoming, stream, reader)
    except ProtocolViolation as violation:
        fault = violated(incoming.server, violation)
        if isinstance(reader, DistinctStream) and reader.events.retry is not None:
            fault.retry_after = reader.events.retry / MILLI
        raise fault from None


async def _deliver(incoming: Incoming, stream: RunningStream, reader: Reader) -> None:
    while not reader.finished:
        chunk = await incoming.read()
        if chunk is None:
            reader.close()
            return
        events = reader.feed(chunk)
        await _hand_out(events, stream)
        if isinstance(reader, DistinctStream) and reader.events.last_event_id:
            _go_on_after(stream.feed, reader.events.last_event_id)
        if events and not reader.finished:
            reader.feed(b"")  # raises what came after them


async def _hand_out(events: Iterable[object], stream: RunningStream) -> None:
    for event in events:
        if not await stream.room():  # left meanwhile, or overflowed; the scope is cancelled
            return
        if isinstance(event, Next):
            stream.feed.next(event.payload)
        elif isinstance(event, Error):
            stream.feed.reject(event.payload)


def _go_on_after(feed: RunningFeed, event_id: str) -> None:
    """The server has a name for how far it has come: whoever resumes says it.

    One that no header can hold is not said: the server then goes on with what is new.
    """
    args = dict(feed.transport_args or {})
    headers: list[tuple[str, Any]] = [
        pair for pair in pairs(args.get("headers")) if pair[0].lower() != LAST_EVENT_ID.lower()
    ]
    value = event_id.encode()
    if len(value) <= MAX_EVENT_ID and _EVENT_ID.fullmatch(value):
        headers.append((LAST_EVENT_ID, value))
    feed.transport_args = {**args, "headers": headers}


def _reader(incoming: Incoming, json: JSON, *, merging: bool) -> Reader | None:
    """What reads this kind of answer; ``None`` if it is no stream."""
    if not incoming.ok:
        return None
    content_type = incoming.headers.get("content-type", "")
    if incoming.media_type == EVENT_STREAM:
        return GrowingStream("", json) if merging else DistinctStream("", json)
    if incoming.media_type.startswith("multipart/"):
        if merging:
            return IncrementalReader(content_type, json)
        return MultipartSubscription(content_type, "", json)
    return None
