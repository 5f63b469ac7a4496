"""Server-sent events: bytes in, events out.

https://html.spec.whatwg.org/multipage/server-sent-events.html, §9.2.6 "Interpreting an event
stream".
"""

from __future__ import annotations

from dataclasses import dataclass

from ...exceptions import ProtocolViolation
from ...protocols.close_codes import CloseCode
from .parser import StreamParser

__all__ = ["DEFAULT_MAX_EVENT_SIZE", "EventStreamParser", "ServerSentEvent"]

#: Maximum size of one event, in bytes; as large as a WebSocket message may be.
DEFAULT_MAX_EVENT_SIZE = 2**24

_BOM = b"\xef\xbb\xbf"

#: Maximum number of digits of a ``retry`` that is believed (eight digits are 27 hours).
_MAX_RETRY_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event."""

    #: The event's name.
    event: str = "message"
    data: str = ""
    #: The last id that the stream named.
    id: str = ""
    #: The delay that the event asks for before reconnecting, in milliseconds.
    retry: int | None = None


class EventStreamParser(StreamParser[ServerSentEvent]):
    """The parser of one event stream.

    An event that has a name but no data is returned too, where a browser would drop it: some
    servers end an operation with a bare ``event: complete``.

    Args:
        max_event_size: Maximum size of an event, or of a line, in bytes. A larger one makes
            ``feed`` raise ``ProtocolViolation`` with the code 1009. Default: 2**24.
    """

    def __init__(self, *, max_event_size: int = DEFAULT_MAX_EVENT_SIZE) -> None:
        self._max_event_size = max_event_size
        #: The id that a later connection sends as ``Last-Event-ID``; empty if there is none.
        self.last_event_id = ""
        #: The delay that the server asks for before reconnecting, in milliseconds.
        self.retry: int | None = None
        #: The first bytes, until it is known whether they are a byte order mark.
        self._head: bytes | None = b""
        self._skip_line_feed = False
        #: A line whose end has not come yet, in one object: one for each piece of the line would
        #: take far more memory.
        self._line = bytearray()
        self._id = ""
        self._begin_event()

    def _begin_event(self) -> None:
        self._size = 0
        self._name: str | None = None
        self._data: list[bytes] = []
        self._retry: int | None = None

    def close(self) -> bool:
        """Return whether the stream ended inside an event, which then is lost.

        Call this after the last byte. Raise the fault that ``feed`` has not raised yet.
        """
        self._raise_fault()
        line = self._head or self._line
        return bool(self._data) or self._name is not None or line[:1] not in (b"", b":")

    def _read(self, data: bytes, found: list[ServerSentEvent]) -> None:
        data = self._without_byte_order_mark(data)
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

    def _without_byte_order_mark(self, data: bytes) -> bytes:
        if self._head is None:
            return data
        data = self._head + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._head = data
            return b""
        self._head = None
        return data.removeprefix(_BOM)

    def _check_size(self, line: bytes | bytearray, size: int) -> None:
        """Check the event's size with a line of ``size`` bytes that begins with ``line``."""
        before = 0 if line.startswith(b":") else self._size  # comments don't add up
        if before + size > self._max_event_size:
            raise ProtocolViolation(
                CloseCode.MESSAGE_TOO_BIG,
                f"a server-sent event has more than {self._max_event_size} bytes (max_event_size)",
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
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self._retry = self.retry = int(value)

    def _dispatch(self, found: list[ServerSentEvent]) -> None:
        self.last_event_id = self._id
        if self._data or self._name is not None:
            name = self._name or "message"
            text = _text(b"\n".join(self._data))
            found.append(ServerSentEvent(name, text, self._id, self._retry))
        self._begin_event()


def _text(value: bytes) -> str:
    return value.decode(errors="replace")  # as the specification decodes
