"""``multipart/mixed`` answers, and Apollo's subscriptions in them: bytes in, parts or events out.

RFC 2046 §5.1, and https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/
multipart-protocol
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from ...exceptions import CutOff, ProtocolViolation
from ...json import JSON
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next
from ...results.result import ExecutionResult
from .parser import IncrementalParser
from .payloads import payload_reader

__all__ = [
    "DEFAULT_MAX_HEADERS",
    "DEFAULT_MAX_HEADER_SIZE",
    "DEFAULT_MAX_PART_SIZE",
    "MultipartPayloads",
    "MultipartReader",
    "MultipartSubscription",
    "Part",
    "boundary_of",
]

#: In bytes; as much as a WebSocket message may have.
DEFAULT_MAX_PART_SIZE = 2**24
#: In bytes, all headers of a part together.
DEFAULT_MAX_HEADER_SIZE = 2**14
DEFAULT_MAX_HEADERS = 64

#: A parameter of a media type. A comma ends a value that is not quoted: Strawberry sends what it
#: would accept as its content type, ``…;subscriptionSpec=1.0,application/json``.
_PARAMETER = re.compile(
    r""";[ \t]*([^\s;,="]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))""", re.DOTALL
)


def boundary_of(content_type: str) -> bytes:
    """The boundary that a ``multipart/…`` content type names.

    It is ``-`` if it names none, as Apollo Client has it. Raises ``ProtocolViolation`` for another
    media type, or a boundary that can't be one.
    """
    if not content_type.lstrip().lower().startswith("multipart/"):
        raise _violation(f"a content type of {content_type[:80]!r}, not multipart")
    for name, quoted, bare in _PARAMETER.findall(content_type):
        if name.lower() == "boundary":
            boundary = re.sub(r"\\(.)", r"\1", quoted) or bare
            if not boundary or not boundary.isascii() or not boundary.isprintable():
                raise _violation(f"a multipart boundary of {boundary[:80]!r}")
            return boundary.encode()
    return b"-"


def _violation(reason: str) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.BAD_REQUEST, reason)


def _too_big(reason: str) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.MESSAGE_TOO_BIG, reason)


@dataclass(frozen=True, slots=True)
class Part:
    """One part; the names of its headers are in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Its media type without parameters, in lower case; empty if it names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class _Headers:
    """The header lines of one part, within their limits."""

    def __init__(self, max_size: int, max_count: int) -> None:
        self._max_size = max_size
        self._max_count = max_count
        self._fields: list[tuple[str, str]] = []
        self._size = 0

    def check_size(self, more: int) -> None:
        if self._size + more > self._max_size:
            raise _too_big(f"a part's headers have more than {self._max_size} bytes")

    def add(self, line: bytes) -> None:
        """Take a line; raises ``ProtocolViolation`` if it is no header."""
        self.check_size(len(line))
        self._size += len(line)
        text = line.decode("latin-1")
        if text[0] in " \t" and self._fields:  # RFC 5322 §2.2.3: the line before goes on
            name, value = self._fields.pop()
            self._fields.append((name, f"{value} {text.strip()}"))
            return
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise _violation(f"a part's header is malformed: {text[:80]!r}")
        if len(self._fields) == self._max_count:
            raise _too_big(f"a part has more than {self._max_count} headers")
        self._fields.append((name.strip().lower(), value.strip()))

    def take(self) -> dict[str, str]:
        """All of them, those of one name joined; then begin anew."""
        headers: dict[str, str] = {}
        for name, value in self._fields:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._fields, self._size = [], 0
        return headers

    def __bool__(self) -> bool:
        return bool(self._fields)


class _State(StrEnum):
    PREAMBLE = "before the first delimiter"
    DELIMITER = "in a delimiter"
    HEADERS = "in a part's headers"
    BODY = "in a part"
    FINISHED = "finished"


class MultipartReader(IncrementalParser[Part]):
    """The reader of one answer.

    A part is complete with the delimiter that follows it, whatever follows that: servers send the
    delimiter with the part, but the rest of its line only with the next part. So, as RFC 2046
    §5.1.1 allows, a line that only begins with the delimiter is one, and no body may have such a
    line. Bare line feeds end lines as well as CRLF does: no JSON text has a line that begins with
    ``--``.

    The constructor raises ``ProtocolViolation`` as ``boundary_of`` does, ``feed`` for a malformed
    answer and (1009) for a part or headers beyond their limits, in bytes. The preamble and the
    epilogue are ignored, and not kept.
    """

    def __init__(
        self,
        content_type: str,
        *,
        max_part_size: int = DEFAULT_MAX_PART_SIZE,
        max_header_size: int = DEFAULT_MAX_HEADER_SIZE,
        max_headers: int = DEFAULT_MAX_HEADERS,
    ) -> None:
        self._delimiter = b"--" + boundary_of(content_type)
        self._mark = b"\n" + self._delimiter
        self._max_part_size = max_part_size
        self._max_line_size = max_header_size
        self._headers = _Headers(max_header_size, max_headers)
        self._state = _State.PREAMBLE
        # The first delimiter need not have a line end before it: this one stands in for it.
        self._buffer = bytearray(b"\n")
        self._searched = 0  # how much of the buffer has no delimiter for certain
        self._steps: dict[_State, Callable[[list[Part]], bool]] = {
            _State.PREAMBLE: self._skip_preamble,
            _State.DELIMITER: self._end_delimiter,
            _State.HEADERS: self._read_header,
            _State.BODY: self._read_body,
        }

    @property
    def finished(self) -> bool:
        """Whether the last delimiter has come; what follows it is ignored."""
        return self._state is _State.FINISHED

    def close(self) -> None:
        """The stream has ended; raises ``ProtocolViolation`` (1006) if it was cut off."""
        self._raise_fault()
        if not self.finished:
            raise CutOff(f"the multipart answer was cut off {self._state.value}")

    def _read(self, data: bytes, found: list[Part]) -> None:
        if not self.finished:
            self._buffer += data
        while not self.finished and self._steps[self._state](found):
            pass

    # Each step takes what it can from the buffer, and says whether it got to its end.

    def _find_mark(self) -> int:
        at = self._buffer.find(self._mark, self._searched)
        self._searched = 0 if at >= 0 else max(0, len(self._buffer) - len(self._mark) + 1)
        return at

    def _skip_preamble(self, found: list[Part]) -> bool:
        at = self._find_mark()
        if at < 0:
            del self._buffer[: self._searched]
            self._searched = 0
            return False
        del self._buffer[: at + len(self._mark)]
        self._state = _State.DELIMITER
        return True

    def _end_delimiter(self, found: list[Part]) -> bool:
        if self._buffer.startswith(b"--"):
            self._state = _State.FINISHED
            self._buffer.clear()
            return True
        end = self._buffer.find(b"\n")
        rest = bytes(self._buffer[:end] if end >= 0 else self._buffer)
        if rest == b"-" and end < 0:
            return False
        if rest.strip(b" \t\r") or len(rest) > self._max_line_size:
            raise _violation(f"a multipart delimiter is followed by {rest[:40]!r}")
        if end < 0:
            return False
        del self._buffer[: end + 1]
        self._state = _State.HEADERS
        return True

    def _read_header(self, found: list[Part]) -> bool:
        if self._buffer.startswith(self._delimiter):
            # Strawberry ends with a delimiter upon a delimiter: nothing is between them
            if self._headers:
                found.append(Part(self._headers.take(), b""))
            del self._buffer[: len(self._delimiter)]
            self._state = _State.DELIMITER
            return True
        end = self._buffer.find(b"\n")
        if end < 0:
            if not self._delimiter.startswith(bytes(self._buffer)):  # it may be no header at all
                self._headers.check_size(len(self._buffer) - 1)  # the last may be a CR
            return False
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        if line:
            self._headers.add(line)
            del self._buffer[: end + 1]
        else:
            del self._buffer[:end]  # the line feed may be the next delimiter's
            self._state = _State.BODY
        return True

    def _read_body(self, found: list[Part]) -> bool:
        at = self._find_mark()
        if at < 0:
            # besides the body, there may be its first line feed, a CR, and most of a mark
            self._check_part_size(len(self._buffer) - len(self._mark) - 1)
            return False
        body = bytes(self._buffer[1:at]).removesuffix(b"\r")
        self._check_part_size(len(body))
        found.append(Part(self._headers.take(), body))
        del self._buffer[: at + len(self._mark)]
        self._state = _State.DELIMITER
        return True

    def _check_part_size(self, size: int) -> None:
        if size > self._max_part_size:
            raise _too_big(
                f"a part of the multipart answer has more than {self._max_part_size} bytes "
                "(max_part_size)"
            )


def _require_json(part: Part) -> None:
    kind = part.media_type
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise _violation(f"a part of the multipart answer is {kind[:80]!r}, not JSON")


class MultipartPayloads(IncrementalParser[dict[str, Any]]):
    """The payloads of an incremental answer, each the JSON object of a part: see ``incremental``.

    Parts without a body are passed over. Limits as for ``MultipartReader``.
    """

    def __init__(self, content_type: str, json: JSON, **limits: int) -> None:
        self._reader = MultipartReader(content_type, **limits)
        self._payload = payload_reader(dict[str, Any], json)

    @property
    def finished(self) -> bool:
        """Whether the last delimiter has come."""
        return self._reader.finished

    def close(self) -> None:
        """The stream has ended; raises ``ProtocolViolation`` (1006) if it was cut off.

        A merge that wants no more (``has_next`` is false) has all it needs even so.
        """
        self._raise_fault()
        self._reader.close()

    def _read(self, data: bytes, found: list[dict[str, Any]]) -> None:
        for part in self._reader.feed(data):
            if part.body.strip():
                _require_json(part)
                found.append(self._payload(part.body))


class _Message(msgspec.Struct, rename="camel"):
    """Any part of a subscription.

    Apollo's: ``payload``, and ``errors`` that end it. PostGraphile 5's: a result, ``hasNext``.
    """

    payload: ExecutionResult | msgspec.UnsetType | None = msgspec.UNSET
    errors: list[Any] | None = None
    data: Any = msgspec.UNSET
    extensions: Any = None
    has_next: bool | None = None


_SubscriptionEvent: TypeAlias = Next | Error | Complete


class MultipartSubscription(IncrementalParser[_SubscriptionEvent]):
    """A subscription called ``id``, as a multipart answer: Apollo's protocol.

    ``{}`` is a heartbeat and gives nothing; ``payload`` is a result; ``errors`` beside it (or
    beside a null) are fatal. A part that is itself a result is taken as one. What comes after the
    end of the operation is not read. Limits as for ``MultipartReader``.
    """

    def __init__(self, content_type: str, id: str, json: JSON, **limits: int) -> None:
        self._reader = MultipartReader(content_type, **limits)
        self._message = payload_reader(_Message, json)
        self._id = id
        #: Whether the server has said that the operation is over.
        self.finished = False

    def close(self) -> None:
        """The stream has ended; raises ``ProtocolViolation`` (1006) if it was cut off."""
        self._raise_fault()
        if not self.finished:
            self._reader.close()

    def _read(self, data: bytes, found: list[_SubscriptionEvent]) -> None:
        if self.finished:
            return
        for part in self._reader.feed(data):
            for event in self._events(part):
                found.append(event)
                if not isinstance(event, Next):
                    self.finished = True
                    return
        if self._reader.finished:
            found.append(Complete(self._id))
            self.finished = True

    def _events(self, part: Part) -> Iterator[_SubscriptionEvent]:
        if not part.body.strip():
            return
        _require_json(part)
        message = self._message(part.body)
        if message.payload is msgspec.UNSET:
            yield from self._plain_events(message)
            return
        if message.payload is not None:
            yield Next(self._id, message.payload)
        if message.errors:
            yield Error(self._id, message.errors)

    def _plain_events(self, message: _Message) -> Iterator[_SubscriptionEvent]:
        has_data = message.data is not msgspec.UNSET
        if has_data or (message.errors and message.has_next is not None):
            data = message.data if has_data else None
            yield Next(self._id, ExecutionResult(data, message.errors, message.extensions))
        elif message.errors:
            yield Error(self._id, message.errors)
        if message.has_next is False:
            yield Complete(self._id)
