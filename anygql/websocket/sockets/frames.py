"""Text frames (RFC 6455 §5.2), cut and built without the engine: nearly all frames are such.

No I/O. Nothing here judges the peer: the engine reads everything but plain, whole text messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from os import urandom
from struct import Struct

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "ENGINE_FRAMES",
    "OPCODES",
    "PING",
    "PONG",
    "TEXT",
    "FrameCutter",
    "build_frame",
    "read_header",
    "text_frames",
]

# RFC 6455 §5.2.
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: The opcodes that exist. The engine fails the connection over any other.
OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

#: The first byte of a text message in one frame: FIN, no reserved bit, opcode 1.
WHOLE_TEXT = 0x81

#: The first two bytes of such a frame, unmasked, and the same with a length of 16 bits.
_SHORT = WHOLE_TEXT << 8
_MEDIUM = _SHORT + 126

#: Frames that the engine gets at a time. It takes some ten microseconds for each.
ENGINE_FRAMES = 128

#: More bytes than will ever come.
_UNBOUNDED = 1 << 65

#: Size in bytes below which a piece of a message is copied behind the piece before it. An object
#: for each piece would take far more memory than the message.
_SMALL_PIECE = 2**12

#: Size in bytes from which on a payload is masked by websockets: in C, which is a hundred times
#: faster. For smaller ones that isn't worth loading websockets, which takes as long as 10,000.
_LARGE = 2**15

_unpack_start = Struct(">HH").unpack_from
_pack_medium_header = Struct(">BBH").pack
_pack_long_header = Struct(">BBQ").pack
_SHORT_HEADERS = tuple(bytes((WHOLE_TEXT, 0x80 | length)) for length in range(126))


class FrameCutter:
    """Cuts text messages out of a server's bytes; the rest goes to the engine, in order.

    ``feed`` it bytes. Then call ``cut`` until it returns nothing, and give the engine what each
    call returns before the next call. The engine fails the connection over what the protocol
    forbids. Once the connection isn't open any more, call ``drain`` instead, and give the engine
    all that comes.

    A message that is cut is one unmasked, uncompressed frame of at most ``max_size`` bytes. Its
    length is encoded in the shortest form (§5.2), and it stands between whole messages. The engine
    sees every other frame, from its first byte to its last. Each byte is copied a bounded number of
    times, in however many pieces a message comes.

    Args:
        max_size: The largest message to cut, in bytes. ``None`` for no messages at all: the engine
            gets every frame, ``ENGINE_FRAMES`` at a time.
    """

    def __init__(self, max_size: int | None) -> None:
        self._max_size = -1 if max_size is None else max_size
        self._cuts = max_size is not None
        #: The bytes that have come; those before ``_at`` are used.
        self._data = b""
        self._at = 0
        #: A text message that isn't whole: its header, its pieces, and how many bytes are missing.
        self._header = b""
        self._pieces: list[bytes | bytearray] = []
        self._missing = 0
        #: How many bytes the engine still needs, to the end of the frames that it reads.
        self._engine_missing = 0
        #: Whether the engine has fragments of a message that isn't whole.
        self._fragmented = False

    def feed(self, data: bytes) -> None:
        """Add bytes that have come."""
        if self._at < len(self._data):
            data = self._data[self._at :] + data  # the beginning of a header, after `cut`
        self._data = data
        self._at = 0

    def cut(self, messages: list[bytes]) -> bytes:
        """Append whole messages up to the next bytes for the engine, and return those bytes.

        Returns nothing when all bytes are used, or kept until the rest of a message comes.
        """
        if self._missing and not self._resume(messages):
            return b""
        if not self._engine_missing:
            if not self._fragmented:
                self._cut_short(messages)
                while self._cut_any(messages):
                    self._cut_short(messages)
            self._engine_missing = self._measure_engine_frames()
        return self._take_engine_bytes()

    @property
    def has_rest(self) -> bool:
        """Whether there are bytes that were neither cut nor returned nor kept."""
        return self._at < len(self._data)

    def drain(self) -> bytes:
        """Return all bytes that were neither cut nor returned."""
        data = b"".join([self._header, *self._pieces, self._data[self._at :]])
        self._header = self._data = b""
        self._pieces = []
        self._at = self._missing = 0
        return data

    def _take_engine_bytes(self) -> bytes:
        """Return the bytes that the engine needs, as far as they have come."""
        data = self._data
        start = self._at
        stop = min(start + self._engine_missing, len(data))
        self._engine_missing -= stop - start
        if stop < len(data):
            self._at = stop
        else:
            self._release_data()
        return data[start:stop]

    def _release_data(self) -> None:
        """Release the bytes, which are used: the next may come much later."""
        self._data = b""
        self._at = 0

    def _cut_short(self, messages: list[bytes]) -> None:
        """Cut messages of less than 64 KiB. Anything else ends the loop."""
        data = self._data
        at = self._at
        size = len(data)
        last = size - 4
        max_size = self._max_size
        append = messages.append
        while at <= last:
            head, length = _unpack_start(data, at)
            if head == _MEDIUM:
                if length < 126:
                    break
                start = at + 4
            elif _SHORT <= head < _MEDIUM:
                length = head - _SHORT
                start = at + 2
            else:
                break
            stop = start + length
            if stop > size or length > max_size:
                break
            append(data[start:stop])
            at = stop
        self._at = at

    def _cut_any(self, messages: list[bytes]) -> bool:
        """Cut a message of any size, or keep its beginning. Return whether one was cut."""
        data = self._data
        at = self._at
        header = read_header(data, at)
        if header is None or data[at] != WHOLE_TEXT:
            return False
        start, length = header
        if length > self._max_size or data[at + 1] != _shortest(length):
            return False
        stop = start + length
        self._at = min(stop, len(data))
        if stop > len(data):
            self._header = data[at:start]
            self._pieces = [data[start:]]
            self._missing = stop - len(data)
            return False
        messages.append(data[start:stop])
        return True

    def _resume(self, messages: list[bytes]) -> bool:
        """Continue the message that isn't whole. Return whether it is whole now."""
        pieces = self._pieces
        piece = self._data[: self._missing]
        self._missing -= len(piece)
        if not self._missing:
            messages.append(b"".join([*pieces, piece]))
            self._at = len(piece)
            self._header = b""
            self._pieces = []
            return True
        self._release_data()
        if len(piece) >= _SMALL_PIECE:
            pieces.append(piece)
        elif isinstance(joined := pieces[-1], bytearray):
            joined += piece
        else:
            pieces.append(bytearray(piece))
        return False

    def _measure_engine_frames(self) -> int:
        """Return the length in bytes of the next frames for the engine, ``ENGINE_FRAMES`` at most.

        The last of these frames need not be whole yet. Also notes whether they leave a message in
        fragments.
        """
        data = self._data
        size = len(data)
        begin = at = self._at
        for _ in range(ENGINE_FRAMES):
            if at + 2 > size:
                break
            head = data[at]
            if head == WHOLE_TEXT and at > begin and self._cuts:
                break
            opcode = head & 0x0F
            if opcode not in OPCODES or data[at + 1] & 0x80:
                # §5.1, §5.2: the engine fails the connection as soon as it has these two bytes.
                return _UNBOUNDED
            header = read_header(data, at)
            if header is None:
                break
            if opcode < 0x8:
                self._fragmented = not head & 0x80
            start, length = header
            at = start + length
        return at - begin


def read_header(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return where the payload of the unmasked frame at ``at`` starts, and its length.

    Returns ``None`` if the header isn't whole.
    """
    if at + 2 > len(data):
        return None
    length = data[at + 1] & 0x7F
    if length < 126:
        return at + 2, length
    start = at + (4 if length == 126 else 10)
    if start > len(data):
        return None
    return start, int.from_bytes(data[at + 2 : start])


def _shortest(length: int) -> int:
    """Return the second byte of an unmasked frame whose length is encoded in the shortest form.

    It is the length itself, or says how many more bytes hold the length (§5.2).
    """
    return min(length, 126) if length < 1 << 16 else 127


def text_frames(messages: Sequence[bytes]) -> bytes:
    """Return text messages as a client sends them: each in one frame, masked (§5.3)."""
    keys = urandom(4 * len(messages))
    parts: list[bytes] = []
    at = 0
    for message in messages:
        key = keys[at : at + 4]
        at += 4
        length = len(message)
        header = _SHORT_HEADERS[length] if length < 126 else _header(WHOLE_TEXT, length)
        parts += (header, key, _mask(message, key))
    return b"".join(parts)


def build_frame(head: int, data: bytes) -> bytes:
    """Return a frame as a client sends it, masked (§5.3).

    Args:
        head: The first byte: FIN, the reserved bits, and the opcode.
        data: The payload.
    """
    key = urandom(4)
    return b"".join((_header(head, len(data)), key, _mask(data, key)))


def _header(head: int, length: int) -> bytes:
    if length < 126:
        return bytes((head, 0x80 | length))
    if length < 1 << 16:
        return _pack_medium_header(head, 0x80 | 126, length)
    return _pack_long_header(head, 0x80 | 127, length)


def _mask(data: bytes, key: bytes) -> bytes:
    """Return a payload masked with a key of four bytes: each byte XOR the key's next (§5.3)."""
    size = len(data)
    if size >= _LARGE:
        return _mask_in_c()(data, key)
    keys = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")
    return masked.to_bytes(size, "little")


@cache
def _mask_in_c() -> Callable[[bytes, bytes], bytes]:
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # where websockets came without its C extension
        from websockets.utils import apply_mask
    return apply_mask
