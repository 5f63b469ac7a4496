"""Inputs of the targets that once broke something, each with what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

REGRESSIONS: Mapping[str, Sequence[bytes]] = {
    "multipart": [
        # Headers of exactly their limit, and then a delimiter in crumbs.
        b"\1\0\1\1\n---\n" + b"A: " + b"b" * 57 + b"\n---\n\n{}\n-----",
        b"\x01\x00\x01\r\n---\r\nContent-Type: app" + b"s" * 38 + b"\x02\x00\x00\x02\r\n---\r\n"
        b"Content-Type: ssssssssssssapplication/sjson\r\n\r\n{lica",
    ],
    "http_answer": [
        # A charset in the form of RFC 2231 is a tuple for email's parser.
        b"302\nContent-Type: text/html; charset*=utf-8''utf-8\n\n<html>",
        # Codecs of Python's that aren't charsets.
        *[
            b"500\nContent-Type: text/plain; charset=" + name + b"\n\n\\d \xff"
            for name in (b"hex", b"idna", b"undefined", b"unicode_escape", b"raw-unicode-escape")
        ],
        # A message that is no text, and one that is very long, in an error of the transport's.
        b'200\nContent-Type: application/json\n\n{"errors":[{"message":"' + b"x" * 999 + b'"}]}',
        # More seconds than there are.
        b"503\nRetry-After: " + b"9" * 400 + b"\n\n",
        b"503\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\n\n",
    ],
    "decompressing": [
        # "deflate" without zlib's header, whose first byte comes alone.
        b"\1\3x",
        # A second member behind padding.
        (
            b"\1\0\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"
            b"\0\0\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        ),
        # A single byte is no body.
        b"\0\0\x1f",
    ],
}
