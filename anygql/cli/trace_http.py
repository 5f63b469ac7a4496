"""What ``-vv`` tells of requests and responses over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import ProtocolViolation
from ..http.accept import EVENT_STREAM
from ..http.formats.multipart import MultipartParser
from ..http.formats.sse import EventStreamParser
from ..http.requests import HTTPRequest, merged_headers
from ..http.upload import UploadBody
from .values import is_object

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from ..http.incoming import IncomingResponse
    from ..http.transport import HTTPTransport
    from .trace import Trace

__all__ = ["TracedHTTP"]


class TracedHTTP:
    """A transport whose requests and responses are printed."""

    def __init__(self, transport: HTTPTransport, trace: Trace) -> None:
        self._transport = transport
        self._trace = trace
        self.description = transport.description

    def connect(self) -> Any:
        """Return a connection that prints what it sends, and what comes."""
        connection: Any = self._transport.connect()
        connection.wrap_exchange(self._traced)
        return connection

    def _traced(self, exchange: Exchange) -> Exchange:
        traced: Any = _TracedExchange(exchange, self._send(exchange))
        return traced  # type: ignore[no-any-return]

    def _send(self, exchange: Exchange) -> Any:
        async def send(request: HTTPRequest, *, streaming: bool = False) -> IncomingResponse:
            self._tell_request(request)
            incoming = await exchange.send(request, streaming=streaming)
            self._trace.line("<", f"{incoming.status} {incoming.reason}".rstrip())
            self._trace.headers("<", incoming.headers)
            _trace_body(incoming, self._trace)
            return incoming

        return send

    def _tell_request(self, request: HTTPRequest) -> None:
        trace, given = self._trace, self._transport.headers
        trace.line(">", f"{request.method} {self.description}")
        ours: dict[str, str] = dict(given) if is_object(given) else {}  # type: ignore[arg-type]
        trace.headers(">", merged_headers(request.headers, ours.items(), request.fixed))
        if request.params:
            trace.value(">", dict(request.params))
        if isinstance(request.body, UploadBody):
            trace.message(">", request.body.operations)
            for name in request.body.filenames:
                trace.line(">", f"file {name}")
        elif request.body is not None:
            trace.message(">", request.body)


class _TracedExchange:
    """An exchange that sends in another way."""

    def __init__(self, exchange: Exchange, send: Any) -> None:
        self._exchange = exchange
        self.send = send

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)


def _trace_body(incoming: Any, trace: Trace) -> None:
    """Let a response print its body as that is read: each event of a stream, or the whole."""
    read, tell = incoming.read, _BodyTrace(incoming, trace)

    async def traced() -> bytes | None:
        piece: bytes | None = await read()
        tell.piece(piece)
        return piece

    incoming.read = traced


class _BodyTrace:
    def __init__(self, incoming: IncomingResponse, trace: Trace) -> None:
        self._trace = trace
        self._whole = bytearray()
        self._parser: EventStreamParser | MultipartParser | None = None
        self._is_over = False
        if incoming.ok and incoming.media_type == EVENT_STREAM:
            self._parser = EventStreamParser()
        elif incoming.ok and incoming.media_type.startswith("multipart/"):
            self._parser = _multipart_parser(incoming)

    def piece(self, piece: bytes | None) -> None:
        """Print what a piece of the body completes; ``None`` is the end."""
        if self._is_over:
            return
        if piece is None:
            self._is_over = True
            if self._parser is None:
                self._trace.message("<", bytes(self._whole))
        elif self._parser is None:
            self._whole += piece
        else:
            self._tell_events(self._parser, piece)

    def _tell_events(self, parser: EventStreamParser | MultipartParser, piece: bytes) -> None:
        try:
            for event in parser.feed(piece):
                text = getattr(event, "data", None) or getattr(event, "body", b"")
                name = getattr(event, "event", "part")
                if text:
                    self._trace.message(f"< {name}", text)
                else:
                    self._trace.line("<", name)
        except ProtocolViolation:  # which the reader raises, too
            self._is_over = True


def _multipart_parser(incoming: IncomingResponse) -> MultipartParser | None:
    try:
        return MultipartParser(incoming.headers.get("content-type", ""))
    except ProtocolViolation:
        return None
