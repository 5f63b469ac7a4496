"""The server's end of one HTTP/1.1 connection: requests in, responses out, one at a time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from ..concurrency.exception_groups import unwrapped
from .http_messages import RequestParser, ServerRequest

__all__ = ["ClientLeft", "HTTPServerConnection", "Refused", "ResponseWriter"]

Respond: TypeAlias = "Callable[[ServerRequest, ResponseWriter], Awaitable[None]]"

#: The phrases of statuses that the standard library doesn't have.
_PHRASES = {294: "Partial Success"}

#: What breaks, or ends, a stream.
_LOST = (BrokenResourceError, ClosedResourceError, EndOfStream)


class Refused(Exception):
    """A request that gets no GraphQL response, but a status and a message."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class ClientLeft(Exception):
    """The client has left, or the connection is broken."""


class ResponseWriter:
    """Writes the response to one request, at once or piece by piece."""

    def __init__(self, stream: ByteStream, request: ServerRequest | None) -> None:
        self._stream = stream
        self._has_body = request is None or request.method != "HEAD"
        self._is_chunked = request is not None and request.version != "1.0"
        #: Whether the connection can have another request after this response.
        self.keep_alive = request is not None and request.keep_alive

    async def send(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Write a whole response."""
        head = self._head(status, {**(headers or {}), "Content-Length": str(len(body))})
        await self._send(head + body if self._has_body else head)

    async def refuse(self, refused: Refused) -> None:
        """Write an error that is no GraphQL response."""
        body = json.dumps({"errors": [{"message": str(refused)}]}).encode()
        given = {"Content-Type": "application/json; charset=utf-8", **refused.headers}
        await self.send(refused.status, body, given)

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Write the head of a response that comes piece by piece."""
        if not self._is_chunked:
            self.keep_alive = False  # HTTP/1.0: the end of the stream ends the body
        chunked = {"Transfer-Encoding": "chunked"} if self._is_chunked else {}
        await self._send(self._head(HTTPStatus.OK, {**headers, **chunked}))

    async def write(self, data: bytes) -> None:
        """Write a piece of the body."""
        if data:
            await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    async def end(self) -> None:
        """Write the end of the body."""
        if self._is_chunked:
            await self._send(b"0\r\n\r\n")

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except _LOST as exc:
            raise ClientLeft from exc

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        phrase = _PHRASES.get(status, "")
        with contextlib.suppress(ValueError):
            phrase = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not self.keep_alive:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class HTTPServerConnection:
    """Serves one connection, whose first bytes have been parsed already.

    Args:
        stream: The stream.
        parser: The parser that has got all bytes so far.
        respond: An async function that writes the response to a request. It is canceled if the
            client leaves.
        close_timeout: Seconds for the client to close, after a response that ends the connection.
    """

    def __init__(
        self, stream: ByteStream, parser: RequestParser, respond: Respond, close_timeout: float
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._respond = respond
        self._close_timeout = close_timeout
        self._has_left = False

    async def run(self) -> None:
        """Serve until either side ends the connection. The caller closes the stream."""
        try:
            while await self._serve_next():
                pass
            if not self._has_left:
                await self._linger()
        except (ClientLeft, *_LOST):
            pass

    async def _serve_next(self) -> bool:
        """Serve one request; return whether there can be another one."""
        request = await self._next_request()
        writer = ResponseWriter(self._stream, request)
        if request is None:
            status = self._parser.refusal or HTTPStatus.BAD_REQUEST
            await writer.refuse(Refused(status, status.phrase))
            return False
        with unwrapped():
            async with anyio.create_task_group() as tg:
                tg.start_soon(self._watch, tg.cancel_scope)
                await self._respond(request, writer)
                tg.cancel_scope.cancel()
        return writer.keep_alive and not self._has_left

    async def _next_request(self) -> ServerRequest | None:
        """Return the next request, or ``None`` for one that has to be refused."""
        parser, told = self._parser, False
        while not parser.requests:
            if parser.refusal is not None:
                return None
            if parser.head is not None and parser.head.expects_continue and not told:
                told = True
                await self._stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            parser.feed(await self._stream.receive())
        return parser.requests.popleft()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Cancel the response when the client leaves. What it sends meanwhile is kept."""
        parser = self._parser
        try:
            # A client that sends more while it waits isn't watched: it is read later.
            while not parser.requests and parser.head is None and parser.refusal is None:
                parser.feed(await self._stream.receive())
        except _LOST:
            self._has_left = True
            scope.cancel()

    async def _linger(self) -> None:
        """Let the client read the last response before the connection ends (RFC 9112 §9.6)."""
        with anyio.move_on_after(self._close_timeout):
            if isinstance(self._stream, TLSStream):
                await self._stream.unwrap()
                return
            await self._stream.send_eof()
            while True:
                await self._stream.receive()
