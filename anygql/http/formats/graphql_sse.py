"""``graphql-sse``: the results of operations as server-sent events.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from ...exceptions import CutOff, ProtocolViolation
from ...json import JSON
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next
from ...results.incremental import IncrementalMerge
from ...results.result import ExecutionResult
from .parser import StreamParser
from .payloads import payload_reader
from .sse import DEFAULT_MAX_EVENT_SIZE, EventStreamParser, ServerSentEvent

__all__ = ["DistinctStream", "IncrementalPart", "IncrementalStream", "SingleStream"]


class _Result(msgspec.Struct, frozen=True):
    id: str
    payload: ExecutionResult


class _Errors(msgspec.Struct, frozen=True):
    id: str
    payload: list[object]


class _Complete(msgspec.Struct, frozen=True):
    id: str


class IncrementalPart(msgspec.Struct, frozen=True):
    """A part of a result that comes incrementally, with all members of its payload."""

    id: str
    payload: dict[str, Any]


_GraphQLEvent: TypeAlias = Next | IncrementalPart | Error | Complete


class _GraphQLStream(StreamParser[_GraphQLEvent]):
    """The base of both modes: the names of the events."""

    def __init__(self, json: JSON, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE) -> None:
        #: The parser below, which has ``last_event_id`` and ``retry``.
        self.events = EventStreamParser(max_event_size=max_event_size)

    def _read(self, data: bytes, found: list[_GraphQLEvent]) -> None:
        for event in self.events.feed(data):
            found.append(self._event(event))  # noqa: PERF401  # a fault keeps what came before it

    def _event(self, event: ServerSentEvent) -> _GraphQLEvent:
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
    def _next(self, data: str) -> Next | IncrementalPart: ...

    @abstractmethod
    def _error(self, data: str) -> Error: ...

    @abstractmethod
    def _complete(self, data: str) -> Complete: ...


class DistinctStream(_GraphQLStream):
    """Distinct connections mode: the response to one operation, whose events have the given ``id``.

    Nothing is read after the end of the operation.
    """

    def __init__(
        self, id: str, json: JSON, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE
    ) -> None:
        super().__init__(json, max_event_size=max_event_size)
        self._id = id
        self._result = payload_reader(ExecutionResult, json)
        self._errors = payload_reader(list[object], json)
        #: Whether the server has ended the operation.
        self.finished = False

    def close(self) -> None:
        """Raise ``CutOff`` if the operation has not ended, after the last byte."""
        self._raise_fault()
        if not self.finished:
            is_inside_event = self.events.close()
            raise CutOff(
                "the event stream was cut off inside an event"
                if is_inside_event
                else "the event stream ended without 'complete'"
            )

    def _read(self, data: bytes, found: list[_GraphQLEvent]) -> None:
        if self.finished:
            return
        for event in self.events.feed(data):
            found.append(self._event(event))
            if self.finished:
                return

    def _next(self, data: str) -> Next:
        return Next(self._id, self._result(data))

    def _error(self, data: str) -> Error:
        self.finished = True
        return Error(self._id, self._errors(data))

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
        self._part = payload_reader(IncrementalPart, json)
        self._result = payload_reader(_Result, json)
        self._errors = payload_reader(_Errors, json)
        self._completion = payload_reader(_Complete, json)

    def close(self) -> None:
        """Raise ``CutOff`` if the stream ended inside an event, after the last byte."""
        self._raise_fault()
        if self.events.close():
            raise CutOff("the event stream was cut off inside an event")

    def _next(self, data: str) -> Next | IncrementalPart:
        result = self._result(data)
        if self._is_incremental(result.id):
            return self._part(data)
        return Next(result.id, result.payload)

    def _error(self, data: str) -> Error:
        errors = self._errors(data)
        return Error(errors.id, errors.payload)

    def _complete(self, data: str) -> Complete:
        return Complete(self._completion(data).id)
