"""HTTP/1.1 requests (RFC 9112), sans I/O: bytes in, requests out. httptools parses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from websockets.datastructures import Headers

from ..net.http1 import HEAD_LIMIT

__all__ = ["RequestParser", "ServerRequest"]


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """One request to a ``GraphQLServer`` over HTTP.

    Attributes:
        method: The method, such as ``POST``.
        path: The path and query string.
        headers: The headers; names may be asked for in any case.
        body: The body.
        keep_alive: Whether the client leaves the connection open for another request.
        version: The version of HTTP, ``1.1`` or ``1.0``.
    """

    method: str
    path: str
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    keep_alive: bool = True
    version: str = "1.1"

    @property
    def is_websocket(self) -> bool:
        """Whether the client asks for a WebSocket (RFC 6455 §4.1)."""
        offers = ",".join(self.headers.get_all("Upgrade")).lower()
        return "websocket" in (offer.strip() for offer in offers.split(","))

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before the body (RFC 9110 §10.1.1)."""
        return "100-continue" in (value.lower() for value in self.headers.get_all("Expect"))


class RequestParser:
    """The parser of the requests on one connection.

    Args:
        max_body_size: The largest body in bytes; ``None`` sets no limit.
    """

    def __init__(self, max_body_size: int | None) -> None:
        #: The request whose head has come, but not the whole body.
        self.head: ServerRequest | None = None
        #: The requests that have come whole, the oldest first.
        self.requests: deque[ServerRequest] = deque()
        #: The status that refuses what has come last; nothing can be read after it.
        self.refusal: HTTPStatus | None = None
        #: The head of the first request.
        self.first: ServerRequest | None = None
        self._max_body_size = max_body_size
        self._parser: Any = HttpRequestParser(self)
        self._is_over = False
        self._progress = self._stalled = 0
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Parse bytes."""
        if self._is_over or self.refusal is not None:
            return
        before = self._progress
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._is_over = True  # the parser reads nothing after it
        except HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        # A head, and what stands between two pieces of a chunked body, have the same limit.
        self._stalled = self._stalled + len(data) if self._progress == before else 0
        if self._stalled > HEAD_LIMIT:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> None:
        if self.refusal is None:
            self.refusal = status

    # Called by httptools

    def on_message_begin(self) -> None:
        """Begin with the next request."""
        self.head = None
        self._path = b""
        self._headers = Headers()
        self._pieces: list[bytes] = []
        self._size = 0

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the path."""
        self._path += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Those that follow a chunked body are ignored."""
        if self.head is None:
            self._size += len(name) + len(value)
            if self._size > HEAD_LIMIT:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
            self._headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note that the head has come."""
        self._progress += 1
        self._size = 0
        self.head = ServerRequest(
            self._parser.get_method().decode(),
            self._path.decode("latin-1"),
            self._headers,
            version=self._parser.get_http_version(),
        )
        self.first = self.first or self.head
        length = self._headers.get_all("Content-Length")
        self._check_size(int(length[0]) if length and length[0].isdecimal() else 0)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._progress += 1
        self._size += len(piece)
        self._check_size(self._size)
        if self.refusal is None:
            self._pieces.append(piece)

    def _check_size(self, size: int) -> None:
        if self._max_body_size is not None and size > self._max_body_size:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        self._progress += 1
        if self.head is not None and self.refusal is None:
            keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
            body = b"".join(self._pieces)
            self.requests.append(replace(self.head, body=body, keep_alive=keep_alive))
        self.head = None
