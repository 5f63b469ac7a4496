"""Compressed bodies, decompressed as they come.

The HTTP client could do it, but it stops half-way through a body that turns out to be broken.
"""

from __future__ import annotations

import zlib

__all__ = ["ACCEPT_ENCODING", "Decompressor", "decompressor_for"]

#: The encodings that can be read here, so that a server sends no other.
ACCEPT_ENCODING = ("Accept-Encoding", "gzip, deflate")

_READABLE = frozenset({"gzip", "x-gzip", "deflate"})
#: The compressions that can't be read here (IANA's registry, and what is used beside it).
_OTHERS = frozenset(
    {"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip"}
    | {"bzip2", "x-bzip2", "lz4", "lzma", "x-lzma", "snappy", "x-snappy", "xz", "x-xz"}
)

_GZIP = zlib.MAX_WBITS | 16
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS

#: Maximum size of what one call returns, in bytes: a few bytes may stand for gigabytes.
PIECE = 2**20


class Decompressor:
    """The decompressor of one ``gzip`` or ``deflate`` body.

    However the body is split, the same comes out, or the same is refused. Its methods raise
    ``ValueError`` for a body that is neither, or is broken.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()  # replaced when it is known which format it is
        self._has_begun = False
        self._rest = b""

    @property
    def has_more(self) -> bool:
        """Whether ``feed(b"")`` returns more of what was fed."""
        return self._has_begun and bool(self._rest)

    def feed(self, data: bytes) -> bytes:
        """Return what the bytes decompress to, at most ``PIECE`` of it at a time."""
        data, self._rest = self._rest + data, b""
        if not self._has_begun:
            if len(data) < 2:
                self._rest = data
                return b""
            self._has_begun = True
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
        """Check that the body is complete, after its last byte."""
        if self._rest or (self._has_begun and not self._zlib.eof):
            raise ValueError("it breaks off")


def _format(first: int, second: int) -> int:
    """Return the format of a body that begins with these bytes, as zlib's ``wbits``."""
    if (first, second) == (0x1F, 0x8B):
        return _GZIP
    if first & 0x8F == 8 and (first << 8 | second) % 31 == 0:  # RFC 1950 §2.2
        return _ZLIB
    return _RAW  # "deflate" without zlib's header, as some servers have it (RFC 9110 §8.4.1.2)


def decompressor_for(encoding: str) -> Decompressor | None:
    """Return a decompressor for a ``Content-Encoding``; ``None`` if nothing is to be done.

    Raise ``ValueError`` for a compression that was not asked for. Any other name is none: servers
    say ``none`` (to keep proxies from compressing), ``UTF-8``, ``binary`` or ``aws-chunked``.
    """
    if not encoding:
        return None
    names = [name.strip().lower() for name in encoding.split(",")]
    codings = [name for name in names if name in _READABLE or name in _OTHERS]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _READABLE:
        raise ValueError(f"{encoding[:40]!r} is not gzip or deflate, which were asked for")
    return Decompressor()
