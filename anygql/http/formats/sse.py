"""Server-sent events, and ``graphql-sse`` upon them: bytes in, events out.

https://html.spec.whatwg.org/multipage/server-sent-events.html (§9.2.6, "Interpreting an event
stream") and https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from ...exceptions import CutOff, ProtocolViolation
from ...json import JSON
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next
from ...results.incremental import IncrementalMerge
from ...results.result import ExecutionResult
from .parser import IncrementalParser
from .payloads import payload_reader

__all__ = [
    "DEFAULT_MAX_EVENT_SIZE",
    "DistinctStream",
    "GrowingStream",
    "IncrementalPart",
    "ServerSentEvent",
    "ServerSentEvents",
    "SingleStream",
]

#: In bytes; as much as a WebSocket message may have.
DEFAULT_MAX_EVENT_SIZE = 2**24

_BOM = b"\xef\xbb\xbf"

#: A ``retry`` of more digits is nobody's intention (eight digits are 27 hours).
_RETRY_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event; ``id`` is the last id that the stream named, ``retry`` in milliseconds."""

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


class ServerSentEvents(IncrementalParser[ServerSentEvent]):
    """The parser of one stream.

    ``feed`` raises ``ProtocolViolation`` (1009) for an event, or a line, of more than
    ``max_event_size`` bytes. An event that has a name but no data is reported too, where a browser
    would drop it: some servers end an operation with a bare ``event: complete``.
    """

    def __init__(self, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE) -> None:
        self._limit = max_event_size
        #: What a later connection sends as ``Last-Event-ID``; empty if the stream named none.
        self.last_event_id = ""
        #: How long the server wants a client to wait before it reconnects, in milliseconds.
        self.retry: int | None = None
        self._head: bytes | None = b""  # until it is known whether a byte order mark begins it
        self._skip_line_feed = False
        #: A line whose end has not come yet; in one piece, as an object for each of its pieces
        #: would take far more memory than the line.
        self._line = bytearray()
        self._id = ""
        self._begin()

    def _begin(self) -> None:
        self._size = 0
        self._name: str | None = None
        self._data: list[bytes] = []
        self._retry: int | None = None

    def close(self) -> bool:
        """The stream has ended: whether it did so inside an event, which then is lost.

        Raises the fault that ``feed`` has not raised yet.
        """
        self._raise_fault()
        line = self._head or self._line
        return bool(self._data) or self._name is not None or line[:1] not in (b"", b":")

    def _read(self, data: bytes, found: list[ServerSentEvent]) -> None:
        data = self._without_mark(data)
        if self._skip_line_feed and data:
            data = data.removeprefix(b"\n")
            self._skip_line_feed = False
        if not data:
            return
        if self._line and (b"\n" in data or b"\r" in data):
            data = bytes(self._line) + data
            self._line = bytearray()
        lines = data.splitlines()  # of bytes: at CR, LF and CRLF only
        if data.endswith(b"\r"):
            self._skip_line_feed = True
        elif not data.endswith(b"\n"):
            self._line += lines.pop()
        for line in lines:
            self._read_line(line, found)
        if self._line:
            self._check_size(self._line, len(self._line))

    def _without_mark(self, data: bytes) -> bytes:
        if self._head is None:
            return data
        data = self._head + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._head = data
            return b""
        self._head = None
        return data.removeprefix(_BOM)

    def _check_size(self, line: bytes | bytearray, size: int) -> None:
        """Check the event with a line of ``size`` bytes that begins with ``line``."""
        before = 0 if line.startswith(b":") else self._size  # comments don't add up
        if before + size > self._limit:
            raise ProtocolViolation(
                CloseCode.MESSAGE_TOO_BIG,
                f"a server-sent event has more than {self._limit} bytes (max_event_size)",
            )

    def _read_line(self, line: bytes, found: list[ServerSentEvent]) -> None:
        if not line:
            self._dispatch(found)
            return
        self._check_size(line, len(line))
        name, _, value = line.partition(b":")
        if not name:  # a comment
            return
        self._size += len(line)
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = _text(value)
        elif name == b"id" and b"\0" not in value:
            self._id = _text(value)
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self._retry = self.retry = int(value)

    def _dispatch(self, found: list[ServerSentEvent]) -> None:
        self.last_event_id = self._id
        if self._data or self._name is not None:
            name = self._name or "message"
            text = _text(b"\n".join(self._data))
            found.append(ServerSentEvent(name, text, self._id, self._retry))
        self._begin()


def _text(value: bytes) -> str:
    return value.decode(errors="replace")  # as the specification decodes


class _Result(msgspec.Struct, frozen=True):
    id: str
    payload: ExecutionResult


class _Errors(msgspec.Struct, frozen=True):
    id: str
    payload: list[object]


class _End(msgspec.Struct, frozen=True):
    id: str


class IncrementalPart(msgspec.Struct, frozen=True):
    """A part of a result that grows, with all that is said of it."""

    id: str
    payload: dict[str, Any]


_GraphQLEvent: TypeAlias = Next | IncrementalPart | Error | Complete


class _GraphQLStream(IncrementalParser[_GraphQLEvent]):
    """What both modes share: the names of the events."""

    def __init__(self, json: JSON, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE) -> None:
        #: The stream below, which knows ``last_event_id`` and ``retry``.
        self.events = ServerSentEvents(max_event_size=max_event_size)

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
    """Distinct connections mode: the answer to one operation, which is called ``id``.

    What comes after the end of the operation is not read.
    """

    def __init__(
        self, id: str, json: JSON, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE
    ) -> None:
        super().__init__(json, max_event_size=max_event_size)
        self._id = id
        self._result = payload_reader(ExecutionResult, json)
        self._errors = payload_reader(list[object], json)
        #: Whether the server has said that the operation is over.
        self.finished = False

    def close(self) -> None:
        """The stream has ended; raises ``ProtocolViolation`` (1006) if the operation has not."""
        self._raise_fault()
        if not self.finished:
            inside = self.events.close()
            raise CutOff(
                "the event stream was cut off inside an event"
                if inside
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


class GrowingStream(DistinctStream):
    """The same, of one query or mutation: each ``Next`` is the whole result so far."""

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

    ``grows``: of which operations the results come in parts, which then are
    ``IncrementalPart`` events.
    """

    def __init__(
        self,
        json: JSON,
        *,
        grows: Callable[[str], bool] = _never,
        max_event_size: int = DEFAULT_MAX_EVENT_SIZE,
    ) -> None:
        super().__init__(json, max_event_size=max_event_size)
        self._grows = grows
        self._part = payload_reader(IncrementalPart, json)
        self._result = payload_reader(_Result, json)
        self._errors = payload_reader(_Errors, json)
        self._end = payload_reader(_End, json)

    def close(self) -> None:
        """The stream has ended; raises ``ProtocolViolation`` (1006) if it did inside an event."""
        self._raise_fault()
        if self.events.close():
            raise CutOff("the event stream was cut off inside an event")

    def _next(self, data: str) -> Next | IncrementalPart:
        result = self._result(data)
        if self._grows(result.id):
            return self._part(data)
        return Next(result.id, result.payload)

    def _error(self, data: str) -> Error:
        errors = self._errors(data)
        return Error(errors.id, errors.payload)

    def _complete(self, data: str) -> Complete:
        return Complete(self._end(data).id)
