"""The receiving side of a WebSocket: bytes in; text messages, pongs and the end out.

No I/O. Whole text messages are cut out of the bytes, and the engine reads all else.
"""

from __future__ import annotations

from collections.abc import Callable

from ...protocols.close_codes import CloseCode
from .base import WebSocketEnded
from .engine import Engine, Frame
from .frames import BINARY, CONTINUATION, ENGINE_FRAMES, PONG, TEXT, FrameCutter

__all__ = ["MessageParser"]

#: Maximum number of pongs that wait to be sent, for a peer that pings and does not read. Older ones
#: are dropped: of several pings, only the last need be answered (RFC 6455 §5.5.3).
MAX_PONGS = 64

#: The first byte of a pong: FIN, opcode 10.
_PONG_HEAD = b"\x8a"


class MessageParser:
    """A parser of the bytes that a server sends after the handshake.

    ``on_pong`` is called with the payload of each pong. ``end`` is ``None`` until the connection
    has ended.
    """

    def __init__(
        self,
        engine: Engine,
        max_message_size: int,
        on_pong: Callable[[bytes], None],
    ) -> None:
        self._engine = engine
        self._on_pong = on_pong
        self._cutter = FrameCutter(max_message_size)
        #: The fragments of a message that isn't whole.
        self._partial = bytearray()
        self._has_binary = False
        #: Whether bytes that have come are still to be read.
        self.is_behind = False
        self.end: WebSocketEnded | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that ``data`` completes, up to the end of the connection.

        If the rest of the frames is too many for one turn, ``is_behind`` is set: feed nothing but
        ``b""`` then, after other tasks had their turns.
        """
        messages: list[bytes] = []
        if not self._advance(data, messages):
            return messages
        # The engine must see the bytes behind the end too: it may have to answer them.
        if self._has_binary:
            self._fail_binary()
        else:
            self._feed_engine(self._cutter.drain(), messages)
            self._notice_end()
        self._bound_pongs()
        return messages

    def discard(self, data: bytes) -> None:
        """Drop messages, and look for nothing but the end. ``is_behind`` is set as by ``feed``."""
        if self._advance(data, [], closing=True):
            self._drop(self._cutter.drain())
        self._notice_end()

    def _advance(self, data: bytes, messages: list[bytes], *, closing: bool = False) -> bool:
        """Read a bounded number of frames. Return whether they ended the connection."""
        engine, cutter = self._engine, self._cutter
        cutter.feed(data)
        self.is_behind = False
        budget = ENGINE_FRAMES
        while not self._has_binary and _reads_frames(engine, closing=closing):
            if budget <= 0 and cutter.has_rest:
                self.is_behind = True
                break
            rest = cutter.cut(messages)
            if not rest:
                break
            budget -= self._drop(rest) if closing else self._feed_engine(rest, messages)
        else:
            return True
        self._bound_pongs()
        return False

    def _drop(self, data: bytes) -> int:
        """Give ``data`` to the engine, and drop the frames in it. Return their number, or 1."""
        return max(1, len(self._engine.receive(data)))

    def finish(self, end: WebSocketEnded) -> None:
        """Note that no more bytes will come."""
        if self.end is None:
            self.end = end
            self._cutter.drain()
            self._engine.receive_eof()

    def _feed_engine(self, data: bytes, messages: list[bytes]) -> int:
        """Give ``data`` to the engine, and append the messages in it, up to a binary one.

        Return the number of frames.
        """
        frames = self._engine.receive(data)
        for frame in frames:
            if not self._has_binary:
                self._handle_frame(frame, messages)
        return max(1, len(frames))

    def _bound_pongs(self) -> None:
        writes = self._engine.writes
        if len(writes) <= MAX_PONGS:
            return
        pongs = [number for number, data in enumerate(writes) if data[:1] == _PONG_HEAD]
        old = set(pongs[:-MAX_PONGS])
        writes[:] = [data for number, data in enumerate(writes) if number not in old]

    def _handle_frame(self, frame: Frame, messages: list[bytes]) -> None:
        opcode = frame.opcode
        if opcode == TEXT and frame.is_last:
            messages.append(frame.data)
        elif opcode in (TEXT, CONTINUATION):
            self._partial += frame.data
            if frame.is_last:
                messages.append(bytes(self._partial))
                self._partial = bytearray()
        elif opcode == BINARY:
            self._has_binary = True
        elif opcode == PONG:
            self._on_pong(frame.data)

    def _fail_binary(self) -> None:
        budget = ENGINE_FRAMES
        while budget > 0 and (rest := self._cutter.cut([])):
            budget -= self._drop(rest)
        if budget > 0:
            self._drop(self._cutter.drain())
        reason = "binary messages are not supported"
        self.end = WebSocketEnded(CloseCode.UNSUPPORTED_DATA, reason, ours=True)
        self._engine.fail(CloseCode.UNSUPPORTED_DATA, reason)

    def _notice_end(self) -> None:
        engine = self._engine
        if engine.close_received is not None:
            self.end = WebSocketEnded(engine.close_received.code, engine.close_received.reason)
        elif engine.fault is not None and engine.close_sent is not None:
            self.end = WebSocketEnded(engine.close_sent.code, engine.close_sent.reason, ours=True)


def _reads_frames(engine: Engine, *, closing: bool) -> bool:
    """Return whether the engine still looks at frames, rather than dropping what comes."""
    if closing:
        return engine.close_received is None and engine.fault is None
    return engine.is_open
