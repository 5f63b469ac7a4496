"""HTTP/1.1 responses: the status line, the headers, and the body of a refusal.

WebSocket servers and proxies answer with these before anything else. They are read here rather than
by the WebSocket engine, which reports a refusal only when its body has ended: a server that keeps
the connection open would hide its 401 until the caller's deadline.
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

#: Maximum size of a head, in bytes.
HEAD_LIMIT = 2**16

#: Maximum time for the body of a refusal, in seconds: it is only there to be shown.
BODY_PATIENCE = 0.25

# RFC 9112 §4. Some servers omit the space before an absent reason, too.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_PREFIX = b"HTTP/1."


class ResponseHead(msgspec.Struct, frozen=True):
    """The head of a response, and the bytes that had come after it by then."""

    status: int
    #: The headers by lower-case name; several values of one name are joined by commas.
    headers: Mapping[str, str]
    #: The bytes of the head, including the empty line.
    head: bytes
    #: The bytes after the head.
    rest: bytes


async def read_head(stream: ByteStream) -> ResponseHead:
    """Read the head of a response. Interim ones (1xx, but not 101) are skipped.

    Raises:
        NotHTTP: The bytes are no HTTP/1.1 response.
        anyio.EndOfStream: The stream ended.
        OSError: The stream broke; or anyio's errors for that.
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
        response = _parse(head + blank, rest)
        if response.status == 101 or response.status >= 200:
            return response
        data = rest


def _check_start(data: bytes) -> None:
    if not _PREFIX.startswith(data[: len(_PREFIX)]):
        raise NotHTTP("the answer isn't HTTP/1.1")


def _parse(head: bytes, rest: bytes) -> ResponseHead:
    status_line, *lines = head[:-4].split(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise NotHTTP("the answer has no valid status line")
    return ResponseHead(int(match[1]), _parse_headers(lines), head, rest)


def _parse_headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.partition(b":")
        if not colon:
            raise NotHTTP("the answer has a line that is no header")
        name, value = raw_name.decode("latin-1").lower(), raw_value.strip().decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def read_body(stream: ByteStream, response: ResponseHead) -> str:
    """Return the first ``BODY_LIMIT`` characters of a refusal's body.

    Only what comes within ``BODY_PATIENCE`` seconds is read. Raise nothing for a broken stream.
    """
    data = response.rest
    with anyio.move_on_after(BODY_PATIENCE):
        while not _is_complete(response, data):
            try:
                data += await stream.receive()
            except (anyio.EndOfStream, *FAULTS):
                break
    length = _content_length(response)
    if _is_chunked(response):
        data = _join_chunks(data)[0]
    elif length is not None:
        data = data[:length]
    return data.decode(errors="replace")[:BODY_LIMIT]


def _is_chunked(response: ResponseHead) -> bool:
    return response.headers.get("transfer-encoding", "").lower() == "chunked"


def _content_length(response: ResponseHead) -> int | None:
    length = response.headers.get("content-length", "")
    # More digits than these are more than is ever read.
    return int(length[:9]) if length.isdecimal() else None


def _is_complete(response: ResponseHead, data: bytes) -> bool:
    if response.status in {204, 304} or len(data) >= 8 * BODY_LIMIT:
        return True
    if _is_chunked(response):
        return _join_chunks(data)[1]
    length = _content_length(response)
    return length is not None and len(data) >= length


def _join_chunks(data: bytes) -> tuple[bytes, bool]:
    """Return what has come of a chunked body (RFC 9112 §7.1), and whether it is complete."""
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
