"""Responses in several parts: subscriptions, and results that come incrementally.

Each subscription has a response of its own, and so a flow of its own. While its consumer is behind,
nothing more is read of that response, and no other operation is affected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from ..delivery.independent import RunningFeed, RunningStream
from ..exceptions import (
    BODY_LIMIT,
    CutOff,
    ProtocolViolation,
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
)
from ..json import JSON
from ..net.headers import pairs
from ..protocols.events import Error, Next
from ..results.answers import are_graphql_errors, errors_in
from ..results.result import ExecutionResult, Origin, ResultWithOrigin
from .accept import EVENT_STREAM
from .formats.graphql_multipart import IncrementalMultipart, MultipartSubscription
from .formats.graphql_sse import DistinctStream, IncrementalStream
from .formats.payloads import BadPayload, require_object
from .incoming import IncomingResponse

__all__ = ["MILLI", "Reader", "deliver", "read_merged", "violation_error"]

#: The header that says after which event a stream is to go on.
LAST_EVENT_ID = "Last-Event-ID"

#: Maximum length of an event's id that is sent back to a server, in bytes.
MAX_EVENT_ID = 4096

# RFC 9110 §5.5: what can be the value of a header.
_EVENT_ID = re.compile(rb"[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?")

#: What to add to the error of a subscription that was run as a query.
ANSWERED_ONCE = (
    ". The server answered once, and not with a stream: it may have no subscriptions over HTTP. "
    "Try its ws:// or wss:// URL"
)

#: Milliseconds in a second: server-sent events count in milliseconds.
MILLI = 1000


class Reader(Protocol):
    """A reader of one response: bytes in, events out."""

    @property
    def finished(self) -> bool:
        """Whether the server has said that there will be no more events."""
        ...

    def feed(self, data: bytes, /) -> list[Any]:
        """Return the events that the bytes complete. Raise ``ProtocolViolation``."""
        ...

    def close(self) -> None:
        """Raise ``ProtocolViolation`` if the response was cut off, after its last byte."""
        ...


def violation_error(incoming: IncomingResponse, violation: ProtocolViolation) -> TransportError:
    """Return the error of a response that breaks its protocol, or was cut off."""
    server = incoming.server
    if isinstance(violation, CutOff):
        return TransportConnectionFailed(
            f"{server}: the connection was lost: {violation.reason}", reason=violation.reason
        )
    body, errors = "", list[Any]()
    if isinstance(violation, BadPayload):
        body = msgspec.json.encode(violation.payload, enc_hook=str).decode()[:BODY_LIMIT]
        errors = errors_in(violation.payload)
    return TransportProtocolError(
        f"{server} broke the protocol: {violation.reason}",
        reason=violation.reason,
        code=incoming.status,
        headers=incoming.headers,
        body=body,
        errors=errors,
    )


async def read_merged(
    incoming: IncomingResponse, json: JSON, *, takes_json: bool = False
) -> ExecutionResult:
    """Return the whole result of a response of any format.

    Args:
        incoming: The response.
        json: How JSON becomes values.
        takes_json: Whether the data may be left as JSON text.

    Raises:
        TransportError: The response is no result, or was cut off.
    """
    reader = _reader(incoming, json, merging=True)
    if reader is None:
        return (await incoming.read_response()).result(json, takes_json=takes_json)
    result: ExecutionResult | None = None
    try:
        while not reader.finished and (chunk := await incoming.read()) is not None:
            for event in reader.feed(chunk):
                if isinstance(event, Next):
                    result = event.payload
                elif isinstance(event, Error):
                    result = ExecutionResult(None, event.payload)
        reader.close()
    except ProtocolViolation as violation:
        raise violation_error(incoming, violation) from None
    if result is None:
        raise TransportProtocolError(
            f"{incoming.server} answered with an empty stream",
            code=incoming.status,
            headers=incoming.headers,
        )
    return ResultWithOrigin.make(result, incoming.origin)


async def deliver(
    incoming: IncomingResponse,
    stream: RunningStream,
    json: JSON,
    *,
    merging: bool,
    takes_json: bool = False,
) -> None:
    """Hand the results of a response of any format to their consumer.

    Args:
        incoming: The response.
        stream: The operation, whose consumer may be behind.
        json: How JSON becomes values.
        merging: Whether each result is the whole so far, rather than an event of its own.
        takes_json: Whether the data of events may be left as JSON text.

    Raises:
        TransportError: The response is no result, or was cut off.
    """
    reader = _reader(incoming, json, merging=merging, takes_json=takes_json)
    if reader is None:
        result = (await incoming.read_response()).result(json)
        if not merging and _is_unset_event(result):
            result = ResultWithOrigin.make(result, replace(incoming.origin, advice=ANSWERED_ONCE))
        stream.feed.next(result)
        return
    try:
        await _deliver_events(incoming, stream, reader)
    except (ProtocolViolation, TransportError) as exc:
        error = exc if isinstance(exc, TransportError) else violation_error(incoming, exc)
        if isinstance(reader, DistinctStream) and reader.events.retry is not None:
            error.retry_after = reader.events.retry / MILLI
        raise error from exc.__cause__


async def _deliver_events(
    incoming: IncomingResponse, stream: RunningStream, reader: Reader
) -> None:
    origin = incoming.origin
    while not reader.finished:
        chunk = await incoming.read()
        if chunk is None:
            reader.close()
            return
        events = reader.feed(chunk)
        await _hand_out(events, stream, origin)
        if isinstance(reader, DistinctStream) and reader.events.last_event_id:
            _resume_after(stream.feed, reader.events.last_event_id)
        if events and not reader.finished:
            reader.feed(b"")  # raises the fault that came after the events


async def _hand_out(events: Iterable[object], stream: RunningStream, origin: Origin) -> None:
    for event in events:
        if not await stream.room():  # left meanwhile, or overflowed; the scope is canceled
            return
        if isinstance(event, Next):
            require_object(event.payload)
            stream.feed.next(ResultWithOrigin.make(event.payload, origin))
        elif isinstance(event, Error):
            refusal = ExecutionResult(errors=event.payload)
            stream.feed.refuse(ResultWithOrigin.make(refusal, origin))


def _is_unset_event(result: ExecutionResult) -> bool:
    """Return whether the server ran a subscription as a query, which finds no event.

    Then the subscription's field is null, which its type mostly forbids.
    """
    return result.data is None and any(
        "null" in error["message"]
        and (bool(error.get("path")) or "Cannot return null" in error["message"])
        for error in (result.errors or ())
        if are_graphql_errors([error])
    )


def _resume_after(feed: RunningFeed, event_id: str) -> None:
    """Have a later request for the same subscription send ``Last-Event-ID``.

    An id that can't be a header's value is not sent: the server then goes on with new events.
    """
    args: dict[str, Any] = {**(feed.transport_args or {})}
    headers: list[tuple[str, Any]] = [
        pair for pair in pairs(args.get("headers")) if pair[0].lower() != LAST_EVENT_ID.lower()
    ]
    value = event_id.encode()
    if len(value) <= MAX_EVENT_ID and _EVENT_ID.fullmatch(value):
        headers.append((LAST_EVENT_ID, value))
    feed.transport_args = {**args, "headers": headers}


def _reader(
    incoming: IncomingResponse, json: JSON, *, merging: bool, takes_json: bool = False
) -> Reader | None:
    """Return the reader for the response's format; ``None`` if it is no stream."""
    if not incoming.ok:
        return None
    content_type = incoming.headers.get("content-type", "")
    if incoming.media_type == EVENT_STREAM:
        if merging:
            return IncrementalStream("", json)
        return DistinctStream("", json, takes_json=takes_json)
    if incoming.media_type.startswith("multipart/"):
        if merging:
            return IncrementalMultipart(content_type, json)
        return MultipartSubscription(content_type, "", json, takes_json=takes_json)
    return None
