"""Multipart bodies: bytes in, parts out (RFC 2046 §5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ...exceptions import CutOff, ProtocolViolation
from ...protocols.close_codes import CloseCode
from .parser import StreamParser

__all__ = [
    "DEFAULT_MAX_HEADERS",
    "DEFAULT_MAX_HEADER_SIZE",
    "DEFAULT_MAX_PART_SIZE",
    "MultipartParser",
    "Part",
    "boundary_of",
]

#: Maximum size of a part's body, in bytes; as large as a WebSocket message may be.
DEFAULT_MAX_PART_SIZE = 2**24
#: Maximum size of all headers of a part together, in bytes.
DEFAULT_MAX_HEADER_SIZE = 2**14
#: Maximum number of headers of a part.
DEFAULT_MAX_HEADERS = 64

#: A parameter of a media type. A comma ends a value that is not quoted: Strawberry's
#: content type is a list, ``…;subscriptionSpec=1.0,application/json``.
_PARAMETER = re.compile(
    r""";[ \t]*([^\s;,="]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))""", re.DOTALL
)


def boundary_of(content_type: str) -> bytes:
    """Return the boundary in a ``multipart/…`` content type.

    The default is ``-``, as in Apollo Client. Raise ``ProtocolViolation`` for another media type,
    or a boundary that can't be one.
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
    """One part. The names of its headers are in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class _Headers:
    """The headers of one part, within their limits."""

    def __init__(self, max_size: int, max_count: int) -> None:
        self._max_size = max_size
        self._max_count = max_count
        self._fields: list[tuple[str, str]] = []
        self._size = 0

    def check_size(self, more: int) -> None:
        if self._size + more > self._max_size:
            raise _too_big(f"a part's headers have more than {self._max_size} bytes")

    def add(self, line: bytes) -> None:
        """Add a header line. Raise ``ProtocolViolation`` if it is none."""
        self.check_size(len(line))
        self._size += len(line)
        text = line.decode("latin-1")
        if text[0] in " \t" and self._fields:  # RFC 5322 §2.2.3: a folded line
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
        """Return all headers, joining those of one name, and forget them."""
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


class MultipartParser(StreamParser[Part]):
    """The parser of one multipart body.

    A part is complete with the delimiter that follows it. Servers send that delimiter with the
    part, but the rest of its line only with the next part. So a line that only begins with the
    delimiter counts as one, as RFC 2046 §5.1.1 allows, and no body may have such a line. A bare
    line feed ends a line as CRLF does: no JSON text has a line that begins with ``--``.

    The preamble and the epilogue are ignored, and not kept.

    Args:
        content_type: The content type, with the boundary.
        max_part_size: Maximum size of a part's body, in bytes. Default: 2**24.
        max_header_size: Maximum size of all headers of a part, in bytes. Default: 2**14.
        max_headers: Maximum number of headers of a part. Default: 64.

    Raises:
        ProtocolViolation: By the constructor, as by ``boundary_of``; by ``feed``, for a malformed
            body, or with the code 1009 for what exceeds a limit.
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
        self._line_and_delimiter = b"\n" + self._delimiter
        self._max_part_size = max_part_size
        self._max_line_size = max_header_size
        self._headers = _Headers(max_header_size, max_headers)
        self._state = _State.PREAMBLE
        # The first delimiter need not have a line end before it: this line feed is in its place.
        self._buffer = bytearray(b"\n")
        self._searched = 0  # how much of the buffer certainly has no delimiter
        self._steps: dict[_State, Callable[[list[Part]], bool]] = {
            _State.PREAMBLE: self._skip_preamble,
            _State.DELIMITER: self._end_delimiter,
            _State.HEADERS: self._read_header,
            _State.BODY: self._read_body,
        }

    @property
    def finished(self) -> bool:
        """Whether the last delimiter has come; anything after it is ignored."""
        return self._state is _State.FINISHED

    def close(self) -> None:
        """Raise ``CutOff`` if the body is incomplete, after its last byte."""
        self._raise_fault()
        if not self.finished:
            raise CutOff(f"the multipart answer was cut off {self._state.value}")

    def _read(self, data: bytes, found: list[Part]) -> None:
        if not self.finished:
            self._buffer += data
        while not self.finished and self._steps[self._state](found):
            pass

    # Each step takes what it can from the buffer, and returns whether there is another step.

    def _find_delimiter(self) -> int:
        at = self._buffer.find(self._line_and_delimiter, self._searched)
        self._searched = (
            0 if at >= 0 else max(0, len(self._buffer) - len(self._line_and_delimiter) + 1)
        )
        return at

    def _skip_preamble(self, found: list[Part]) -> bool:
        at = self._find_delimiter()
        if at < 0:
            del self._buffer[: self._searched]
            self._searched = 0
            return False
        del self._buffer[: at + len(self._line_and_delimiter)]
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
            # Strawberry ends with two delimiters in a row, and nothing between them
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
        at = self._find_delimiter()
        if at < 0:
            # besides the body, there may be its first line feed, a CR, and most of a delimiter
            self._check_part_size(len(self._buffer) - len(self._line_and_delimiter) - 1)
            return False
        body = bytes(self._buffer[1:at]).removesuffix(b"\r")
        self._check_part_size(len(body))
        found.append(Part(self._headers.take(), body))
        del self._buffer[: at + len(self._line_and_delimiter)]
        self._state = _State.DELIMITER
        return True

    def _check_part_size(self, size: int) -> None:
        if size > self._max_part_size:
            raise _too_big(
                f"a part of the multipart answer has more than {self._max_part_size} bytes "
                "(max_part_size)"
            )
