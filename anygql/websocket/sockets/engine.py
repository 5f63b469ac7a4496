"""The engine of an open WebSocket (RFC 6455 §5 to §7), on the client's side: bytes in, frames out.

No I/O. The engine judges the server's frames, answers its pings and its close frame, and builds
the client's own. Whole text messages don't go through it: see ``frames``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ...protocols.close_codes import CloseCode
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    OPCODES,
    PING,
    PONG,
    TEXT,
    build_frame,
    read_header,
    text_frames,
)

__all__ = ["Close", "Engine", "Extension", "Fault", "Frame", "Oversize"]

_FIN = 0x80
_RESERVED = 0x70
_MASKED = 0x80

#: The lowest opcode of control frames, and the largest payload of such a frame, in bytes (§5.5).
_CONTROL = 0x8
_MAX_CONTROL = 125

#: The close codes below 3000 that may be sent. Those up to 4999 are the applications' (§7.4).
_SENDABLE = frozenset({*range(1000, 1004), *range(1007, 1015)})


class Fault(Exception):
    """The server broke the protocol, and the connection fails.

    Args:
        code: The close code that the server gets.
        reason: The reason that goes with it.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Oversize(Exception):
    """A piece of a message is larger, once it is decompressed, than it may be."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame that has come: a piece of a message, decompressed, or a control frame."""

    opcode: int
    data: bytes
    #: Whether no other piece of the message follows.
    is_last: bool


class Close(msgspec.Struct, frozen=True, gc=False):
    """The code and the reason of a close frame: 1005 for one that has none (§7.1.5)."""

    code: int
    reason: str = ""


class Extension(Protocol):
    """The extension that was agreed on. A frame is its first byte and its payload."""

    def encode(self, head: int, data: bytes) -> tuple[int, bytes]:
        """Return a frame as it is sent."""
        ...

    def decode(self, head: int, data: bytes, max_size: int) -> tuple[int, bytes]:
        """Return a frame that has come as it was meant. Raises ``Fault`` and ``Oversize``."""
        ...


class Engine:
    """The state of a WebSocket, from the end of its opening handshake on.

    Args:
        max_size: The largest message, in bytes. A larger one fails the connection with 1009.
        extension: The extension that was agreed on. Default: none.
    """

    def __init__(self, max_size: int, extension: Extension | None = None) -> None:
        self.extension = extension
        #: The frames that are to be written.
        self.writes: list[bytes] = []
        self.close_received: Close | None = None
        self.close_sent: Close | None = None
        #: What the server did wrong, if it broke the protocol.
        self.fault: Fault | None = None
        #: Whether the stream has ended.
        self.is_at_end = False
        self._max_size = max_size
        self._buffer = bytearray()
        #: Whether bytes that come are dropped: behind a close frame (§1.4), or a fault (§7.1.7).
        self._drops = False
        #: The size of the message whose first fragments have come, and no other yet.
        self._partial_size: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent: neither side has begun to close."""
        return self.close_sent is None and not self.is_at_end

    def receive(self, data: bytes) -> list[Frame]:
        """Return the frames that ``data`` completes, up to the end of the connection."""
        frames: list[Frame] = []
        at = 0
        try:
            if not self._drops:
                self._buffer += data
            while not self._drops and (parsed := self._parse(at)) is not None:
                frame, at = parsed
                self._handle(frame)
                frames.append(frame)
        except Fault as fault:
            self.fault = fault
            self.fail(fault.code, fault.reason)
        if self._drops:
            self._buffer.clear()
        else:
            del self._buffer[:at]
        return frames

    def receive_eof(self) -> None:
        """Take the end of the stream."""
        self.is_at_end = self._drops = True
        self._buffer.clear()

    def _parse(self, at: int) -> tuple[Frame, int] | None:
        """Return the frame that begins at ``at``, and where it ends; ``None`` if it isn't whole."""
        buffer = self._buffer
        if at + 2 > len(buffer):
            return None
        head = buffer[at]
        if head & 0x0F not in OPCODES:
            raise Fault(CloseCode.PROTOCOL_ERROR, "invalid opcode")
        if buffer[at + 1] & _MASKED:
            raise Fault(CloseCode.PROTOCOL_ERROR, "incorrect masking")
        header = read_header(buffer, at)
        if header is None:
            return None
        start, length = header
        if length > self._allowed_size:
            raise self._oversize(f"frame with {length} bytes")
        stop = start + length
        if stop > len(buffer):
            return None
        return self._decode(head, bytes(memoryview(buffer)[start:stop])), stop

    def _decode(self, head: int, data: bytes) -> Frame:
        if self.extension is not None:
            try:
                head, data = self.extension.decode(head, data, self._allowed_size)
            except Oversize:
                raise self._oversize("frame") from None
        if head & _RESERVED:
            raise Fault(CloseCode.PROTOCOL_ERROR, "reserved bits must be 0")
        frame = Frame(head & 0x0F, data, bool(head & _FIN))
        if frame.opcode >= _CONTROL:
            if len(data) > _MAX_CONTROL:
                raise Fault(CloseCode.PROTOCOL_ERROR, "control frame too long")
            if not frame.is_last:
                raise Fault(CloseCode.PROTOCOL_ERROR, "fragmented control frame")
        return frame

    @property
    def _allowed_size(self) -> int:
        return self._max_size - (self._partial_size or 0)

    def _oversize(self, what: str) -> Fault:
        if self._partial_size is not None:
            what += f" after reading {self._partial_size} bytes"
        reason = f"{what} exceeds limit of {self._max_size} bytes"
        return Fault(CloseCode.MESSAGE_TOO_BIG, reason)

    def _handle(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode in (TEXT, BINARY):
            if self._partial_size is not None:
                raise Fault(CloseCode.PROTOCOL_ERROR, "expected a continuation frame")
            self._partial_size = None if frame.is_last else len(frame.data)
        elif opcode == CONTINUATION:
            if self._partial_size is None:
                raise Fault(CloseCode.PROTOCOL_ERROR, "unexpected continuation frame")
            self._partial_size = None if frame.is_last else self._partial_size + len(frame.data)
        elif opcode == PING:
            self.writes.append(build_frame(_FIN | PONG, frame.data))
        elif opcode == CLOSE:
            self._handle_close(frame.data)

    def _handle_close(self, data: bytes) -> None:
        self.close_received = _parse_close(data)
        if self._partial_size is not None:
            raise Fault(CloseCode.PROTOCOL_ERROR, "incomplete fragmented message")
        if self.is_open:  # §5.5.1: the answer echoes the status
            self.writes.append(build_frame(_FIN | CLOSE, data))
            self.close_sent = self.close_received
        self._drops = True

    def send_texts(self, messages: Sequence[bytes]) -> None:
        """Send text messages, through the extension if there is one."""
        if self.extension is None:
            self.writes.append(text_frames(messages))
            return
        for message in messages:
            self.writes.append(build_frame(*self.extension.encode(_FIN | TEXT, message)))

    def send_ping(self, payload: bytes) -> None:
        """Send a ping."""
        self.writes.append(build_frame(_FIN | PING, payload))

    def send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, unless either side has.

        Args:
            code: A close code that may be sent.
            reason: The reason, of at most 123 bytes of UTF-8.
        """
        if self.is_open:
            self.writes.append(build_frame(_FIN | CLOSE, code.to_bytes(2, "big") + reason.encode()))
            self.close_sent = Close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection (§7.1.7): send a close frame, and drop all that still comes."""
        self.send_close(code, reason)
        self._drops = True

    def take_output(self) -> bytes:
        """Return what is to be written, as the caller's."""
        output = b"".join(self.writes)
        self.writes.clear()
        return output


def _parse_close(data: bytes) -> Close:
    """Return what the payload of a close frame says (§5.5.1)."""
    if not data:
        return Close(CloseCode.NO_STATUS)
    if len(data) < 2:
        raise Fault(CloseCode.PROTOCOL_ERROR, "close frame too short")
    code = int.from_bytes(data[:2], "big")
    try:
        reason = data[2:].decode()
    except UnicodeDecodeError as error:
        what = f"{error.reason} at position {error.start}"
        raise Fault(CloseCode.INVALID_DATA, what) from None
    if code not in _SENDABLE and not 3000 <= code < 5000:
        raise Fault(CloseCode.PROTOCOL_ERROR, "invalid status code")
    return Close(code, reason)
