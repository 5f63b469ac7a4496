"""Answers that go on: subscriptions, and results that grow.

Each subscription has an answer of its own, so it has a flow of its own: while its consumer is
behind, nothing is read of that answer, and nobody else notices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from anyio import CancelScope
from anyio.lowlevel import EventLoopToken, checkpoint

from ...exceptions import TransportConnectionFailed, TransportError, TransportProtocolError
from ...json import JSON
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next, ProtocolViolation
from ...protocols.incremental import IncrementalMerge
from ...protocols.multipart import MultipartPayloads, MultipartSubscription
from ...protocols.sse import DistinctStream, GrowingStream
from ...result import ExecutionResult
from ...tasks import call_soon
from ..base import Delivery, TransportArgs
from ..flow import Flow
from ..options import pairs
from ..routes import Feed, Route
from .answers import as_result
from .exchange import Incoming

__all__ = ["IncrementalReader", "Reader", "Stream", "StreamFeed", "read_merged", "violated"]

_Event: TypeAlias = Next | Error | Complete

#: Results handed out between two checkpoints that really let other tasks run.
BURST = 64

#: Where a server that names its events goes on after the last one that was received.
LAST_EVENT_ID = "Last-Event-ID"

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
            self.finished = True
            found.append(Complete(""))
        return found

    def close(self) -> None:
        if not self.finished:
            self._payloads.close()


def violated(where: str, violation: ProtocolViolation) -> TransportError:
    """The error of an answer that breaks its protocol, or breaks off."""
    if violation.code == CloseCode.ABNORMAL:
        return TransportConnectionFailed(
            f"{where}: the connection was lost: {violation.reason}", reason=violation.reason
        )
    return TransportProtocolError(
        f"{where} broke the protocol: {violation.reason}", reason=violation.reason
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
        raise violated(incoming.where, violation) from None
    if result is None:
        raise TransportProtocolError(f"{incoming.where} answered with an empty stream")
    return result


class StreamFeed(Feed):
    """The results of one answer, and how to ask for what comes after them."""

    def __init__(self, owner: Stream, delivery: Delivery, transport_args: TransportArgs) -> None:
        super().__init__(owner, "", delivery)
        self.transport_args = transport_args

    @property
    def over(self) -> bool:
        """Whether it takes no more results."""
        return self._over

    def went_past(self, event_id: str) -> None:
        """The server has a name for how far it has come: whoever resumes says it."""
        args = dict(self.transport_args or {})
        headers = [
            pair for pair in pairs(args.get("headers")) if pair[0].lower() != LAST_EVENT_ID.lower()
        ]
        self.transport_args = {**args, "headers": [*headers, (LAST_EVENT_ID, event_id)]}


class Stream:
    """What runs one subscription; as the owner of its one route, it ends with that."""

    def __init__(
        self,
        token: EventLoopToken,
        delivery: Delivery,
        transport_args: TransportArgs,
    ) -> None:
        self.flow = Flow()
        self.scope = CancelScope()
        self.feed = StreamFeed(self, delivery, transport_args)
        self._token = token
        self._over = False

    def leave(self, route: Route) -> None:
        """Stop reading, which closes the answer, which tells the server."""
        self.scope.cancel()

    def leave_soon(self, feed: Feed) -> None:
        """``feed.leave``, from any thread and at any moment."""
        if self._over:
            feed.leave()
        else:
            call_soon(self._token, feed.leave)

    def ended(self, fault: TransportError | None) -> None:
        """Nothing more comes."""
        self._over = True
        if fault is None:
            self.feed.complete()
            return
        over = self.feed.over
        self.feed.fail(fault)
        if self.feed.on_lost is not None and not over:
            self.feed.on_lost(fault)

    async def read(self, incoming: Incoming, json: JSON, *, merging: bool) -> None:
        """Hand out an answer, of whatever kind it is. Raises ``TransportError``."""
        reader = _reader(incoming, json, merging=merging)
        if reader is None:
            self.feed.next((await incoming.answer()).result(json))
            return
        try:
            await self._read(incoming, reader)
        except ProtocolViolation as violation:
            fault = violated(incoming.where, violation)
            if isinstance(reader, DistinctStream) and reader.events.retry is not None:
                fault.retry_after = reader.events.retry / MILLI
            raise fault from None

    async def _read(self, incoming: Incoming, reader: Reader) -> None:
        while not reader.finished:
            chunk = await incoming.read()
            if chunk is None:
                reader.close()
                return
            events = reader.feed(chunk)
            await self._hand_out(events)
            if isinstance(reader, DistinctStream) and reader.events.last_event_id:
                self.feed.went_past(reader.events.last_event_id)
            if events and not reader.finished:
                reader.feed(b"")  # raises what came after them

    async def _hand_out(self, events: Sequence[object]) -> None:
        for count, event in enumerate(events, 1):
            if self.flow.full:
                await self.flow.admit()
            if not count % BURST:
                await checkpoint()
            if self.feed.over:  # left meanwhile, or overflowed; the scope is cancelled
                return
            if isinstance(event, Next):
                self.feed.next(event.payload)
            elif isinstance(event, Error):
                self.feed.reject(event.payload)


def _reader(incoming: Incoming, json: JSON, *, merging: bool) -> Reader | None:
    """What reads this kind of answer; ``None`` if it is no stream."""
    if not incoming.ok:
        return None
    content_type = incoming.headers.get("content-type", "")
    if incoming.media_type == "text/event-stream":
        return GrowingStream("", json) if merging else DistinctStream("", json)
    if incoming.media_type.startswith("multipart/"):
        if merging:
            return IncrementalReader(content_type, json)
        return MultipartSubscription(content_type, "", json)
    return None
