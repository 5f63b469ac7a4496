"""Compressed bodies, decompressed as they come.

The client would do it, but what it does when a body is broken leaves its reading half-way.
"""

from __future__ import annotations

import zlib

__all__ = ["ACCEPT_ENCODING", "Decompressor", "decompressor"]

#: What is asked for, so that nothing else comes.
ACCEPT_ENCODING = ("Accept-Encoding", "gzip, deflate")

#: zlib: find out whether it is gzip's format or zlib's.
_EITHER = zlib.MAX_WBITS | 32
_GZIP = zlib.MAX_WBITS | 16
_RAW = -zlib.MAX_WBITS

#: The most that comes of one step, in bytes: a few bytes may stand for gigabytes.
PIECE = 2**20


class Decompressor:
    """One ``gzip`` or ``deflate`` body. Raises ``ValueError`` for what is neither."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_EITHER)
        self._begun = False
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether there is more to come of what was fed: ask with ``feed(b"")``."""
        return bool(self._rest)

    def feed(self, data: bytes) -> bytes:
        """What the bytes decompress to, or the next ``PIECE`` of it."""
        data = self._rest + data
        if self._begun and self._zlib.eof:
            if not data.strip(b"\0"):  # padding
                self._rest = b""
                return b""
            self._zlib = zlib.decompressobj(_GZIP)  # the next member (RFC 1952 §2.2)
        try:
            found = self._zlib.decompress(data, PIECE)
        except zlib.error as error:
            if self._begun:
                raise ValueError(str(error)) from None
            found = self._raw(data, error)
        self._begun = True
        self._rest = self._zlib.unconsumed_tail or self._zlib.unused_data
        return found

    def _raw(self, data: bytes, error: zlib.error) -> bytes:
        # "deflate" without zlib's header, as some servers have it (RFC 9110 §8.4.1.2).
        self._zlib = zlib.decompressobj(_RAW)
        try:
            return self._zlib.decompress(data, PIECE)
        except zlib.error:
            raise ValueError(str(error)) from None

    def close(self) -> None:
        """The bytes have ended."""
        if self._begun and not self._zlib.eof:
            raise ValueError("it breaks off")


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
