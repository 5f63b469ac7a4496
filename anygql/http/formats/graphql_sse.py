"""``graphql-sse``: the results of operations as server-sent events.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import msgspec

from ...exceptions import CutOff, ProtocolViolation
from ...json import JSON
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next
from ...results.answers import read_refusal
from ...results.incremental import IncrementalMerge
from .parser import StreamParser
from .payloads import BadPayload, payload_reader, read_payload, result_reader
from .sse import DEFAULT_MAX_EVENT_SIZE, EventStreamParser, ServerSentEvent

__all__ = ["BadResult", "DistinctStream", "IncrementalPart", "IncrementalStream", "SingleStream"]


class _Envelope(msgspec.Struct, frozen=True):
    id: str
    payload: Any = None


class BadResult(msgspec.Struct, frozen=True):
    """What came for an operation instead of a result, which fails that operation alone."""

    id: str
    payload: Any


class _Complete(msgspec.Struct, frozen=True):
    id: str


class IncrementalPart(msgspec.Struct, frozen=True):
    """A part of a result that comes incrementally, with all members of its payload."""

    id: str
    payload: dict[str, Any]


_GraphQLEvent: TypeAlias = Next | IncrementalPart | Error | Complete | BadResult

#: The name of an event that the server gave none.
_UNNAMED = "message"


class _GraphQLStream(StreamParser[_GraphQLEvent]):
    """The base of both modes: the names of the events."""

    def __init__(self, json: JSON, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE) -> None:
        #: The parser below, which has ``last_event_id`` and ``retry``.
        self.events = EventStreamParser(max_event_size=max_event_size)
        #: Whether events have names, as the specification has it.
        self._is_named = False

    def _read(self, data: bytes, found: list[_GraphQLEvent]) -> None:
        for event in self.events.feed(data):
            found.append(self._event(event))  # noqa: PERF401  # a fault keeps what came before it

    def _event(self, event: ServerSentEvent) -> _GraphQLEvent:
        # Yoga 2 and 3, DefraDB and others name no event: each is a result.
        if event.event == _UNNAMED:
            return self._next(event.data)
        self._is_named = True
        if event.event == "next":
            return self._next(event.data)
        if event.event == "complete":
            return self._complete(event.data)
        if event.event == "error":
            return self._error(event.data)
        raise ProtocolViolation(
            CloseCode.BAD_REQUEST,
            f"a server-sent event of the name {event.event[:40]!r}, not 'next' or 'complete'",
        )

    @abstractmethod
    def _next(self, data: str) -> Next | IncrementalPart | BadResult: ...

    @abstractmethod
    def _error(self, data: str) -> Error: ...

    @abstractmethod
    def _complete(self, data: str) -> Complete: ...


class DistinctStream(_GraphQLStream):
    """Distinct connections mode: the response to one operation, whose events have the given ``id``.

    Nothing is read after the end of the operation. With ``takes_json``, the data of results are
    left as JSON text.
    """

    def __init__(
        self,
        id: str,
        json: JSON,
        *,
        max_event_size: int = DEFAULT_MAX_EVENT_SIZE,
        takes_json: bool = False,
    ) -> None:
        super().__init__(json, max_event_size=max_event_size)
        self._id = id
        self._result = result_reader(json, takes_json=takes_json)
        self._any: Callable[[str], Any] = payload_reader(object, json)
        #: Whether there was an event at all.
        self._has_begun = False
        #: Whether the server has ended the operation.
        self.finished = False

    def close(self) -> None:
        """Raise ``CutOff`` if the operation has not ended, after the last byte.

        A stream whose events have no names ends its operation by its own end.
        """
        self._raise_fault()
        if not self.finished:
            is_inside_event = self.events.close()
            if not is_inside_event and self._may_end():
                self.finished = True
                return
            raise CutOff(
                "the event stream was cut off inside an event"
                if is_inside_event
                else "the event stream ended without 'complete'"
            )

    def _read(self, data: bytes, found: list[_GraphQLEvent]) -> None:
        if self.finished:
            return
        for event in self.events.feed(data):
            self._has_begun = True
            found.append(self._event(event))
            if self.finished:
                return

    def _may_end(self) -> bool:
        """Return whether the end of the stream can be the end of the operation."""
        return self._has_begun and not self._is_named

    def _next(self, data: str) -> Next:
        return Next(self._id, self._result(data))

    def _error(self, data: str) -> Error:
        self.finished = True
        try:
            refusal = self._any(data) if data.strip() else None
        except ProtocolViolation:  # the server's words need not be JSON
            refusal = data
        return Error(self._id, read_refusal(refusal).errors or [])

    def _complete(self, data: str) -> Complete:
        self.finished = True
        return Complete(self._id)


class IncrementalStream(DistinctStream):
    """The response to one query or mutation: each ``Next`` has the whole result so far."""

    def __init__(
        self, id: str, json: JSON, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE
    ) -> None:
        super().__init__(id, json, max_event_size=max_event_size)
        self._part = payload_reader(dict[str, Any], json)
        self._merge = IncrementalMerge()

    def _may_end(self) -> bool:
        return False  # the last part says that it is the last

    def _next(self, data: str) -> Next:
        result = self._merge.add(self._part(data))
        self.finished = not self._merge.has_next
        return Next(self._id, result)


def _never(id: str) -> bool:
    return False


class SingleStream(_GraphQLStream):
    """Single connection mode: the events of all operations of one token.

    Args:
        json: How JSON becomes values.
        is_incremental: Returns whether the results of the operation with this id come
            incrementally, as ``IncrementalPart`` events. Default: none does.
        max_event_size: As for ``EventStreamParser``.
    """

    def __init__(
        self,
        json: JSON,
        *,
        is_incremental: Callable[[str], bool] = _never,
        max_event_size: int = DEFAULT_MAX_EVENT_SIZE,
    ) -> None:
        super().__init__(json, max_event_size=max_event_size)
        self._is_incremental = is_incremental
        self._envelope = payload_reader(_Envelope, json)
        self._completion = payload_reader(_Complete, json)

    def close(self) -> None:
        """Raise ``CutOff`` if the stream ended inside an event, after the last byte."""
        self._raise_fault()
        if self.events.close():
            raise CutOff("the event stream was cut off inside an event")

    def _next(self, data: str) -> Next | IncrementalPart | BadResult:
        envelope = self._envelope(data)
        payload: Any = envelope.payload
        if self._is_incremental(envelope.id) and isinstance(payload, dict):
            return IncrementalPart(envelope.id, cast("dict[str, Any]", payload))
        try:
            return Next(envelope.id, read_payload(payload))
        except BadPayload:
            return BadResult(envelope.id, payload)

    def _error(self, data: str) -> Error:
        envelope = self._envelope(data)
        return Error(envelope.id, read_refusal(envelope.payload).errors or [])

    def _complete(self, data: str) -> Complete:
        return Complete(self._completion(data).id)
