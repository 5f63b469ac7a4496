"""Frames as a server writes them, and websockets' engine, to compare what is made of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from anygql.websocket.sockets.base import WebSocketEnded
from anygql.websocket.sockets.deflate import Deflate
from anygql.websocket.sockets.engine import Engine, Frame
from anygql.websocket.sockets.parser import MessageParser

__all__ = [
    "BINARY",
    "CLOSE",
    "CONT",
    "FIN",
    "KEY",
    "LIMITS",
    "LOST",
    "MASKED",
    "PING",
    "PONG",
    "RSV1",
    "TEXT",
    "Recorder",
    "Stream",
    "check_alike",
    "deflated",
    "frame",
    "played",
    "told",
    "unmasked",
]

FIN, RSV1, MASKED = 0x80, 0x40, 0x80
TEXT, CONT, BINARY, CLOSE, PING, PONG = 0x1, 0x0, 0x2, 0x8, 0x9, 0xA
KEY = b"\x37\xfa\x21\x3d"

#: Limits for messages: some that let everything pass, and some that don't.
LIMITS = [*[1 << 24] * 14, 1 << 16, 1000, 126, 125, 10, 0]

LOST = WebSocketEnded(1006, "the connection was lost")


@dataclass(frozen=True)
class Stream:
    """What comes, in pieces, and what happens meanwhile."""

    pieces: list[bytes]
    max_size: int = 1000
    deflate: bool = False
    #: After so many pieces, we begin to close.
    closing_after: int | None = None
    eof: bool = True


class Theirs:
    """What ``MessageParser`` does, by websockets' engine, which reads all frames."""

    def __init__(self, stream: Stream, on_pong: Callable[[bytes], None]) -> None:
        self._protocol = protocol = Protocol(Side.CLIENT, max_size=stream.max_size)
        if stream.deflate:
            protocol.extensions = [PerMessageDeflate(False, False, 15, 15)]
        self.begin_to_close = lambda: protocol.send_close(1000, "done")
        self._on_pong = on_pong
        self._partial = bytearray()
        self.end: WebSocketEnded | None = None

    def feed(self, data: bytes) -> list[bytes]:
        self._protocol.receive_data(data)
        messages: list[bytes] = []
        for frame in self._protocol.events_received():
            opcode = frame.opcode
            if opcode is Opcode.TEXT and frame.fin:
                messages.append(bytes(frame.data))
            elif opcode is Opcode.TEXT or opcode is Opcode.CONT:
                self._partial += frame.data
                if frame.fin:
                    messages.append(bytes(self._partial))
                    self._partial = bytearray()
            elif opcode is Opcode.BINARY:
                reason = "binary messages are not supported"
                self.end = WebSocketEnded(1003, reason, ours=True)
                if self._protocol.state is State.OPEN:
                    self._protocol.fail(1003, reason)
                return messages
            elif opcode is Opcode.PONG:
                self._on_pong(bytes(frame.data))
        self._notice_end()
        return messages

    def discard(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._protocol.events_received()
        self._notice_end()

    def finish(self, end: WebSocketEnded) -> None:
        if self.end is None:
            self.end = end
            self._protocol.receive_eof()

    def _notice_end(self) -> None:
        protocol = self._protocol
        if protocol.close_rcvd is not None:
            self.end = WebSocketEnded(protocol.close_rcvd.code, protocol.close_rcvd.reason)
        elif protocol.parser_exc is not None and protocol.close_sent is not None:
            sent = protocol.close_sent
            self.end = WebSocketEnded(sent.code, sent.reason, ours=True)

    def look(self) -> dict[str, Any]:
        """What there is to see of the connection."""
        protocol = self._protocol
        closes = (protocol.close_rcvd, protocol.close_sent)
        failure = protocol.parser_exc
        return {
            "writes": [data for data in protocol.data_to_send() if data],
            "state": protocol.state.name,
            "closes": [None if close is None else (close.code, close.reason) for close in closes],
            "has failed": failure is not None and not isinstance(failure, EOFError),
        }


class Recorder(Engine):
    """Our engine, which writes down what it is given."""

    def __init__(self, max_size: int, *, deflate: bool = False) -> None:
        extension = Deflate(PerMessageDeflate(False, False, 15, 15)) if deflate else None
        super().__init__(max_size, extension)
        self.given = b""

    def receive(self, data: bytes) -> list[Frame]:
        self.given += data
        return super().receive(data)


class Ours(MessageParser):
    """``MessageParser``, looked at likewise."""

    def __init__(self, stream: Stream, on_pong: Callable[[bytes], None]) -> None:
        self._recorder = engine = Recorder(stream.max_size, deflate=stream.deflate)
        self.begin_to_close = lambda: engine.send_close(1000, "done")
        super().__init__(engine, stream.max_size, on_pong)

    def look(self) -> dict[str, Any]:
        engine = self._recorder
        writes = list(engine.writes)
        assert b"".join(writes) == engine.take_output()
        closes = (engine.close_received, engine.close_sent)
        return {
            "writes": writes,
            "state": "OPEN" if engine.is_open else "CLOSED" if engine.is_at_end else "CLOSING",
            "closes": [None if close is None else (close.code, close.reason) for close in closes],
            "has failed": engine.fault is not None,
        }


def frame(
    data: bytes = b"",
    head: int = FIN | TEXT,
    *,
    width: int | None = None,
    masked: bool = False,
    length: int | None = None,
) -> bytes:
    """A frame, right or wrong: ``width`` is that of its length in bits, 7, 16 or 64; ``length``
    what it says it is."""
    length = len(data) if length is None else length
    if width is None:
        width = 7 if length < 126 else 16 if length < 1 << 16 else 64
    mask = MASKED if masked else 0
    if width == 7:
        start = struct.pack(">BB", head, mask | length)
    elif width == 16:
        start = struct.pack(">BBH", head, mask | 126, length)
    else:
        start = struct.pack(">BBQ", head, mask | 127, length)
    return start + (KEY if masked else b"") + data


def unmasked(data: bytes) -> tuple[int, bytes]:
    """A control frame that a client sends: its first byte and payload."""
    key, payload = data[2:6], data[6:]
    assert data[1] == MASKED | len(payload)
    return data[0], bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))


def told(end: WebSocketEnded | None) -> tuple[int, str, bool] | None:
    return None if end is None else (end.code, end.reason, end.ours)


def played(kind: type[Theirs | Ours], stream: Stream) -> list[Any]:
    """Everything there is to see, after each piece."""
    pongs: list[bytes] = []
    parser = kind(stream, pongs.append)
    seen: list[Any] = []

    def look(messages: list[bytes]) -> None:
        looked = parser.look()
        looked["writes"] = [unmasked(data) for data in looked["writes"]]
        assert all(type(message) is bytes for message in messages)
        seen.append({"messages": messages, "pongs": list(pongs), "end": told(parser.end), **looked})

    for number, piece in enumerate(stream.pieces):
        if parser.end is not None:
            break
        if number == stream.closing_after:
            parser.begin_to_close()
        if stream.closing_after is None or number < stream.closing_after:
            look(parser.feed(piece))
        else:
            parser.discard(piece)
            look([])
    if stream.eof:
        parser.finish(LOST)
        look([])
    return seen


def check_alike(stream: Stream) -> list[Any]:
    expected = played(Theirs, stream)
    got = played(Ours, stream)
    assert got == expected
    return got


def deflated(data: bytes, *, more: bool = False) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    data = encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH)
    return data if more else data[:-4]
