"""The head of an HTTP answer: what a WebSocket server, or a proxy, says first.

Read here rather than by the WebSocket engine, which tells of a refusal only when the body has
ended: a server that keeps the connection open would hide its 401 until the caller's deadline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import anyio
import msgspec
from anyio.abc import ByteStream

from ..exceptions import BODY_LIMIT
from .errors import FAULTS, NotHTTP

__all__ = ["ResponseHead", "read_body", "read_head"]

#: Bytes that the head of an answer may take.
HEAD_LIMIT = 2**16

#: Seconds to wait for the body of a refusal: it is only there to be shown.
BODY_PATIENCE = 0.25

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_PREFIX = b"HTTP/1."


class ResponseHead(msgspec.Struct, frozen=True):
    """The head of an answer, and what had come after it by then."""

    status: int
    #: By lower-case name; of several values, joined by commas.
    headers: Mapping[str, str]
    #: As it came, up to and with the empty line.
    head: bytes
    rest: bytes


async def read_head(stream: ByteStream) -> ResponseHead:
    """Read up to the end of the first head that isn't an interim one (1xx, but for 101).

    Raises ``NotHTTP``, ``EndOfStream`` and what a broken stream raises.
    """
    data = b""
    while True:
        head, blank, rest = data.partition(b"\r\n\r\n")
        _check_start(data)
        if not blank:
            if len(data) > HEAD_LIMIT:
                raise NotHTTP("the head of the answer is too long")
            data += await stream.receive()
            continue
        answer = _parse(head + blank, rest)
        if answer.status == 101 or answer.status >= 200:
            return answer
        data = rest


def _check_start(data: bytes) -> None:
    if not _PREFIX.startswith(data[: len(_PREFIX)]):
        raise NotHTTP("the answer isn't HTTP/1.1")


def _parse(head: bytes, rest: bytes) -> ResponseHead:
    status_line, *lines = head[:-4].split(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise NotHTTP("the answer has no valid status line")
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.partition(b":")
        if not colon:
            raise NotHTTP("the answer has a line that is no header")
        name, value = raw_name.decode("latin-1").lower(), raw_value.strip().decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ResponseHead(int(match[1]), headers, head, rest)


async def read_body(stream: ByteStream, answer: ResponseHead) -> str:
    """The first ``BODY_LIMIT`` characters of the body, or what of them comes within
    ``BODY_PATIENCE`` seconds. Raises nothing for a broken stream."""
    data = answer.rest
    with anyio.move_on_after(BODY_PATIENCE):
        while not _is_whole(answer, data):
            try:
                data += await stream.receive()
            except (anyio.EndOfStream, *FAULTS):
                break
    if _is_chunked(answer):
        data = _join_chunks(data)[0]
    elif (length := answer.headers.get("content-length", "")).isdecimal():
        data = data[: int(length[:9])]
    return data.decode(errors="replace")[:BODY_LIMIT]


def _is_chunked(answer: ResponseHead) -> bool:
    return answer.headers.get("transfer-encoding", "").lower() == "chunked"


def _is_whole(answer: ResponseHead, data: bytes) -> bool:
    if answer.status in {204, 304} or len(data) >= 8 * BODY_LIMIT:
        return True
    if _is_chunked(answer):
        return _join_chunks(data)[1]
    length = answer.headers.get("content-length", "")
    return length.isdecimal() and len(data) >= int(length[:9])


def _join_chunks(data: bytes) -> tuple[bytes, bool]:
    """What of a chunked body (RFC 9112 §7.1) is in ``data``, and whether nothing more comes."""
    body = b""
    while True:
        line, newline, data = data.partition(b"\r\n")
        if not newline:
            return body, False
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return body, True
        if size <= 0:
            return body, True
        body += data[:size]
        if len(data) < size + 2:
            return body, False
        data = data[size + 2 :]
