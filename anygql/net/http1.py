"""HTTP/1.1 responses (RFC 9112), sans I/O: bytes in; a head, pieces of a body and an end out.

httptools parses. What its client side leaves to its caller is done here: limits, the end of a body
that the end of the stream ends, bytes behind a message, and heads that are sloppy but clear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar, overload

import anyio
import msgspec
from anyio.abc import ByteStream
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ..exceptions import BODY_LIMIT, CutOff
from .errors import FAULTS, NotHTTP

__all__ = [
    "HEAD_LIMIT",
    "ResponseHead",
    "ResponseHeaders",
    "ResponseParser",
    "read_body",
    "read_head",
]

_T = TypeVar("_T")

#: Maximum size of a head, or of what stands between two pieces of a chunked body, in bytes.
HEAD_LIMIT = 2**16

#: Maximum number of headers of one response, and of interim responses (1xx) before it.
MAX_HEADERS = 512
MAX_INTERIM = 64

#: Maximum time for the body of a refusal, in seconds: it is only there to be shown.
BODY_PATIENCE = 0.25

# RFC 9112 §4. Some servers omit the space before an absent reason, too.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
_PREFIX = b"HTTP/1."
_BARE_LF = re.compile(rb"(?:\A|[^\r])\n")
_BLANK = b"\r\n\r\n"


@lru_cache(maxsize=256)
def _raw_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


class ResponseHeaders(Mapping[str, str]):
    """The headers of a response. Their names are in lower case, and may be asked for in any.

    Several values of one name are joined by commas. They are decoded when they are asked for.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        try:
            return self._raw[_raw_name(name)].decode("latin-1")
        except UnicodeEncodeError:
            raise KeyError(name) from None

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | _T) -> str | _T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """Return a header, or else ``default``: the one of ``Mapping`` raises in between."""
        try:
            value = self._raw.get(_raw_name(key))
        except UnicodeEncodeError:
            return default
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ResponseHeaders({dict(self)!r})"


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """The head of a response."""

    status: int
    reason: str
    headers: Mapping[str, str]
    #: The values of ``Set-Cookie``, which can't be joined.
    cookies: list[str]
    #: The bytes of the head, including the empty line.
    head: bytes = b""
    #: The bytes behind the head that had come by then, if only the head was to be read.
    rest: bytes = b""


class ResponseParser:
    """The parser of the responses on one connection: call ``start`` before each but the first.

    Args:
        head_only: Whether to stop behind the head, whatever follows: for CONNECT and upgrades.
        is_lenient: Whether a length that can't be read is no fault: in refusals, which are only
            shown.
    """

    def __init__(self, *, head_only: bool = False, is_lenient: bool = False) -> None:
        self._head_only = head_only
        self._is_lenient = is_lenient
        self._parser: Any = HttpResponseParser(self)
        self.start()

    def start(self) -> None:
        """Begin with the next response."""
        #: The head, when it is complete.
        self.head: ResponseHead | None = None
        #: Pieces of the body that have come: to be taken by the caller.
        self.pieces: list[bytes] = []
        #: Whether the whole response has come.
        self.is_complete = False
        #: Whether the connection can have another request after this complete response.
        self.is_reusable = False
        #: Whether any byte of the response has come.
        self.has_begun = False
        self._buffer = b""
        self._interim = 0
        self._raw: dict[bytes, bytes] = {}
        self._cookies: list[str] = []
        self._count = 0
        #: The bytes that the body has by its Content-Length; ``None`` if it is chunked or ends
        #: with the stream.
        self._length: int | None = None
        self._is_chunked = False
        self._must_close = False
        self._received = 0
        self._since_body = 0
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Parse bytes.

        Raises:
            NotHTTP: They are no response, or break off its rules. The connection is of no use.
        """
        self.has_begun = True
        if self.head is not None:
            self._feed_body(data)
            return
        if self._buffer:
            data = self._buffer + data
        while True:
            end = data.find(_BLANK)
            if end < 0 or end > HEAD_LIMIT:
                self._check_incomplete(data)
                self._buffer = data
                return
            found = _STATUS_LINE.match(data)
            if found is None:
                _check_start(data)
                raise NotHTTP("the answer has no valid status line")
            status = int(found[1])
            if status >= 200 or status == 101:
                break
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise NotHTTP("too many interim responses came before the answer")
            _check_interim(data[: end + 4])
            data = data[end + 4 :]
        self._buffer = b""
        self._feed_head(status, (found[2] or b"").decode("latin-1"), data, end + 4)

    def _check_incomplete(self, data: bytes) -> None:
        _check_start(data)
        if len(data) > HEAD_LIMIT:
            raise NotHTTP("the head of the answer is too long")
        if _BARE_LF.search(data):
            raise NotHTTP("a line in the head of the answer ends without a carriage return")

    def _feed_head(self, status: int, reason: str, data: bytes, body_at: int) -> None:
        head = data[:body_at]
        # httptools takes a carriage return behind the colon for a space.
        if head.count(b"\r") != head.count(b"\r\n"):
            raise NotHTTP("the head of the answer is malformed: a carriage return within a line")
        try:
            self._parse(head)
        except HttpParserError as error:
            self._parse_again(head, str(error))
        if self._count > MAX_HEADERS:
            raise NotHTTP("the answer has too many headers")
        if self._head_only:
            self._set_head(status, reason, head, data[body_at:])
            return
        if status == 101:
            raise NotHTTP("the answer switches to a protocol that was not asked for")
        self._set_framing(status)
        self._set_head(status, reason)
        if self.is_complete:  # at its head
            self._check_end()
        if body_at < len(data):
            self._feed_body(data[body_at:])

    def _set_head(self, status: int, reason: str, head: bytes = b"", rest: bytes = b"") -> None:
        self.head = ResponseHead(
            status, reason, ResponseHeaders(self._raw), self._cookies, head, rest
        )

    def _parse(self, head: bytes) -> None:
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade:
            return
        except HttpParserError:  # also that the protocol changes at the end of these bytes
            if not self.is_complete:
                raise

    def _parse_again(self, head: bytes, why: str) -> None:
        """Parse a head that httptools refuses, if what it means is clear all the same."""
        self._raw.clear()
        self._cookies.clear()
        self._count = 0
        self._parser = HttpResponseParser(self)
        try:
            self._parse(self._tidied(head))
        except HttpParserError:
            raise NotHTTP(f"the head of the answer is malformed: {why}") from None

    def _tidied(self, head: bytes) -> bytes:
        # RFC 9112 §2.2: such a line must not be read as a header.
        if re.match(rb"[^\n]*\n[ \t]", head):
            raise NotHTTP("a space stands before the first header of the answer")
        # RFC 9112 §5.2: a line folding is replaced by spaces.
        lines = re.sub(rb"\r\n[ \t]+", b" ", head[:-4]).split(b"\r\n")
        fields = [(line.partition(b":")[0].lower(), line) for line in lines[1:]]
        lengths = {
            length.strip()
            for name, line in fields
            if name == b"content-length"
            for length in line.partition(b":")[2].split(b",")
        }
        is_readable = all(map(bytes.isdigit, lengths))
        if self._is_lenient and not is_readable:
            lengths.clear()
        if len(lengths) > 1:
            raise NotHTTP("the answer has several lengths that differ")
        # RFC 9112 §6.1 and §6.3: chunks take precedence over a length, and equal lengths are one.
        kept = [line for name, line in fields if name != b"content-length"]
        if any(name == b"transfer-encoding" for name, _ in fields):
            if not is_readable and lengths:
                raise NotHTTP("the head of the answer is malformed: a length that can't be read")
            self._must_close = self._must_close or bool(lengths)
        elif lengths:
            kept.append(b"Content-Length: " + lengths.pop())
        return b"\r\n".join([lines[0], *kept, b"", b""])

    def _set_framing(self, status: int) -> None:
        coding = self._raw.get(b"transfer-encoding")
        length = self._raw.get(b"content-length")
        if coding is not None and coding.lower() != b"chunked":
            raise NotHTTP("the answer has a transfer coding that was not asked for")
        if status in {204, 304}:
            self._length = 0
            # RFC 9112 §6.1 and RFC 9110 §8.6 allow neither at 204: a body may follow all the same.
            if status == 204 and (coding is not None or (length or b"0").strip(b"0")):
                self.is_reusable = False
        elif coding is not None:
            self._is_chunked = True
            # RFC 9112 §6.1: HTTP/1.0 has no chunks, so its framing is faulty.
            self._must_close = self._must_close or self._parser.get_http_version() == "1.0"
        elif length is not None:
            self._length = int(length.lstrip(b"0") or b"0")  # int() takes only so many digits
            # A body of the length 0 is complete at its head.

    # httptools calls these.

    def on_message_begin(self) -> None:
        """Note that another response stands behind the complete one."""
        if self.is_complete:
            self._must_close = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or drop a trailer."""
        if self.head is not None:
            return
        self._count += 1
        name = name.lower()
        # httptools doesn't take "chunked" before a tab for chunks.
        value = value.rstrip(b" " if name == b"transfer-encoding" else b" \t")
        if name == b"set-cookie":
            self._cookies.append(value.decode("latin-1"))
        raw = self._raw
        raw[name] = raw[name] + b", " + value if name in raw else value

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if not self.is_complete:
            self.pieces.append(piece)
            self._since_body = 0

    def on_message_complete(self) -> None:
        """Take the end of the response."""
        if not self.is_complete:
            self.is_complete = True
            self.is_reusable = self._parser.should_keep_alive() and not self._must_close

    def _feed_body(self, data: bytes) -> None:
        if self.is_complete:
            self.is_reusable = self.is_reusable and not data
            return
        self._received += len(data)
        self._since_body += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.is_complete:
                raise NotHTTP(f"the body of the answer is malformed: {error}") from None
            self.is_reusable = False
        if self._is_chunked:
            self._tail = (self._tail + data[-5:])[-5:]
            if self._since_body > HEAD_LIMIT and not self.is_complete:
                raise NotHTTP("too much stands between the chunks of the answer")
        if self.is_complete:
            self._check_end()

    def _check_end(self) -> None:
        """Forbid another request on the connection if anything stands behind the response.

        It would be read as the next request's answer. httptools skips empty lines there, and goes
        on with the next response.
        """
        if self._must_close:
            self.is_reusable = False
        elif self._is_chunked:
            if self._tail[1:] != _BLANK or self._tail[:1] in b"\r\n":
                self.is_reusable = False
        elif self._received != self._length:
            self.is_reusable = False

    def feed_eof(self) -> None:
        """Take the end of the stream. Raise ``CutOff`` if it came too early."""
        if self.is_complete:
            self.is_reusable = False
        elif self.head is None or self._is_chunked or self._length is not None:
            raise CutOff("the connection was closed in the middle of the answer")
        else:
            self.is_complete = True


def _check_start(data: bytes) -> None:
    if not _PREFIX.startswith(data[: len(_PREFIX)]):
        raise NotHTTP("the answer isn't HTTP/1.1")


class _InterimHead:
    """The head of an interim response, as httptools reads it."""

    def __init__(self) -> None:
        self.has_framing = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header that announces a body."""
        if name.lower() in {b"transfer-encoding", b"content-length"}:
            self.has_framing = True


def _check_interim(data: bytes) -> None:
    head = _InterimHead()
    try:
        HttpResponseParser(head).feed_data(data)
    except HttpParserError as error:
        raise NotHTTP(f"the head of an interim answer is malformed: {error}") from None
    # RFC 9112 §6.1 and RFC 9110 §8.6 forbid both: readers could disagree on where the head's
    # successor begins.
    if head.has_framing:
        raise NotHTTP("an interim answer announces a body, which it can't have")


async def read_head(stream: ByteStream) -> ResponseHead:
    """Read the head of a response to CONNECT or to an upgrade. Interim responses are skipped.

    Raises:
        NotHTTP: The bytes are no HTTP/1.1 response.
        anyio.EndOfStream: The stream ended.
        OSError: The stream broke; or anyio's errors for that.
    """
    parser = ResponseParser(head_only=True, is_lenient=True)
    while parser.head is None:
        parser.feed(await stream.receive())
    return parser.head


async def read_body(stream: ByteStream, response: ResponseHead) -> str:
    """Return the first ``BODY_LIMIT`` characters of a refusal's body.

    Only what comes within ``BODY_PATIENCE`` seconds is read. Raise nothing for a broken stream.
    """
    parser = ResponseParser(is_lenient=True)
    try:
        with anyio.move_on_after(BODY_PATIENCE):
            parser.feed(response.head + response.rest)
            while not parser.is_complete and sum(map(len, parser.pieces)) < 8 * BODY_LIMIT:
                parser.feed(await stream.receive())
    except (anyio.EndOfStream, NotHTTP, *FAULTS):
        pass
    body = b"".join(parser.pieces)
    return body.decode(errors="replace")[:BODY_LIMIT]
