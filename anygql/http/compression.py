"""Compressed bodies, decompressed as they come.

The client would do it, but what it does when a body is broken leaves its reading half-way.
"""

from __future__ import annotations

import zlib

__all__ = ["ACCEPT_ENCODING", "Decompressor", "decompressor"]

#: What is asked for, so that nothing else comes.
ACCEPT_ENCODING = ("Accept-Encoding", "gzip, deflate")

_GZIP = zlib.MAX_WBITS | 16
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS

#: The most that comes of one step, in bytes: a few bytes may stand for gigabytes.
PIECE = 2**20


class Decompressor:
    """One ``gzip`` or ``deflate`` body. Raises ``ValueError`` for what is neither.

    However the body is split, the same comes out, or the same is refused.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()  # replaced when it is known which format it is
        self._begun = False
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether there is more to come of what was fed: ask with ``feed(b"")``."""
        return self._begun and bool(self._rest)

    def feed(self, data: bytes) -> bytes:
        """What the bytes decompress to, or the next ``PIECE`` of it."""
        data, self._rest = self._rest + data, b""
        if not self._begun:
            if len(data) < 2:
                self._rest = data
                return b""
            self._begun = True
            self._zlib = zlib.decompressobj(_format(data[0], data[1]))
        elif self._zlib.eof:
            data = data.lstrip(b"\0")  # padding
            if not data:
                return b""
            self._zlib = zlib.decompressobj(_GZIP)  # the next member (RFC 1952 §2.2)
        try:
            found = self._zlib.decompress(data, PIECE)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        self._rest = self._zlib.unconsumed_tail or self._zlib.unused_data
        return found

    def close(self) -> None:
        """The bytes have ended."""
        if self._rest or (self._begun and not self._zlib.eof):
            raise ValueError("it breaks off")


def _format(first: int, second: int) -> int:
    """The format of a body that begins with these bytes, in zlib's terms."""
    if (first, second) == (0x1F, 0x8B):
        return _GZIP
    if first & 0x8F == 8 and (first << 8 | second) % 31 == 0:  # RFC 1950 §2.2
        return _ZLIB
    return _RAW  # "deflate" without zlib's header, as some servers have it (RFC 9110 §8.4.1.2)


def decompressor(encoding: str) -> Decompressor | None:
    """For a ``Content-Encoding``, if there is something to do.

    Raises ``ValueError`` for one that was not asked for. Some servers say ``none``, to keep
    proxies from compressing.
    """
    named = [name.strip().lower() for name in encoding.split(",")]
    coded = [name for name in named if name not in {"", "identity", "none"}]
    if not coded:
        return None
    if len(coded) > 1 or coded[0] not in {"gzip", "x-gzip", "deflate"}:
        raise ValueError(f"{encoding[:40]!r} is not gzip or deflate, which were asked for")
    return Decompressor()
