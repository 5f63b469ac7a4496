"""Compressed bodies, in whatever pieces they come."""

from __future__ import annotations

import gzip
import zlib

import pytest

from anygql.http.compression import Decompressor

TEXT = b'{"data": {"hello": "you"}}'


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(TEXT, mtime=0),
        zlib.compress(TEXT),
        gzip.compress(TEXT[:9], mtime=0) + gzip.compress(TEXT[9:], mtime=0),
    ],
    ids=["gzip", "deflate", "two members"],
)
def test_in_pieces(body: bytes, size: int) -> None:
    decompressor = Decompressor()
    found = b""
    for at in range(0, len(body), size):
        found += decompressor.feed(body[at : at + size])
        while decompressor.has_more:
            found += decompressor.feed(b"")
    decompressor.close()
    assert found == TEXT


def test_a_single_byte() -> None:
    decompressor = Decompressor()
    assert decompressor.feed(b"\x1f") == b""
    assert not decompressor.has_more
    with pytest.raises(ValueError, match="breaks off"):
        decompressor.close()
