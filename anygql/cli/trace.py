"""What ``-v`` and ``-vv`` tell on stderr, without secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .output import complain
from .values import is_array, is_object

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ..delivery.interfaces import Transport
    from ..http.transport import HTTPTransport
    from ..websocket.sockets.base import Connector, WebSocket
    from ..websocket.sockets.opening import Opening

__all__ = ["Trace", "tell_of_connection"]

_HIDING = (
    r"(?i:authorization|cookie|pass(word|wd|phrase)?|secret|token|jwt|credential"
    r"|api[-_]?key|session|otp|pin\b|private)"
)
_SECRET_KEY = re.compile(_HIDING)
#: A literal in a document, as in ``login(password: "…")``.
_LITERAL = re.compile(rf'(\w*{_HIDING}\w*\s*:\s*)"(?:[^"\\]|\\.)*"')
_HIDDEN = "***"
#: Characters of one message that are shown.
_LIMIT = 4000


def tell_of_connection(then: Callable[[Any], object] | None) -> Callable[[Any], None]:
    """Return a function that prints each event of a session, and calls another one."""
    from ..session.events import Closed, Connected, Connecting, Disconnected

    def tell(event: Any) -> None:
        if isinstance(event, Connecting):
            complain(f"* connecting (attempt {event.attempt})")
        elif isinstance(event, Connected):
            complain("* connected")
        elif isinstance(event, Disconnected):
            complain(f"* disconnected: {event.error}")
        elif isinstance(event, Closed):
            complain("* closed")
        if then is not None:
            then(event)

    return tell


class Trace:
    """Prints what goes and comes.

    Args:
        secrets: Texts that are never shown, wherever they are.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)

    def connector(self, connector: Connector) -> Connector:
        """Return a connector whose sockets print their messages."""
        return _TracedConnector(connector, self)

    def http(self, transport: HTTPTransport) -> Transport:
        """Return a transport that prints its requests and results."""
        return _TracedHTTP(transport, self)

    def line(self, mark: str, text: str) -> None:
        """Print a text after a mark."""
        complain(f"{mark} {self.hidden(text)[:_LIMIT]}")

    def message(self, mark: str, text: bytes | str) -> None:
        """Print a JSON message."""
        import msgspec

        try:
            value: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self.line(mark, f"{len(text)} bytes that are no JSON")
            return
        self.value(mark, value)

    def value(self, mark: str, value: Any) -> None:
        """Print a JSON value."""
        import msgspec

        is_init: bool = is_object(value) and value.get("type") == "connection_init"
        self.line(mark, msgspec.json.encode(_without_secrets(value, hide_all=is_init)).decode())

    def headers(self, mark: str, headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> None:
        """Print headers: the names, and values where none can be a secret."""
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        shown = {"content-type", "accept", "date", "server", "sec-websocket-protocol"}
        for name, value in pairs:
            self.line(mark, f"{name}: {value if name.lower() in shown else _HIDDEN}")

    def hidden(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def _without_secrets(value: Any, *, hide_all: bool = False) -> Any:
    """Return a JSON value with secrets replaced, by the names of their keys."""
    if is_object(value):
        return {
            key: _HIDDEN
            if isinstance(each, str | int | float) and _SECRET_KEY.search(str(key))
            else _without_secrets(each, hide_all=hide_all and key != "type")
            for key, each in value.items()
        }
    if is_array(value):
        return [_without_secrets(each, hide_all=hide_all) for each in value]
    if not isinstance(value, str):
        return value
    return _HIDDEN if hide_all else _LITERAL.sub(r'\1"***"', value)


class _TracedConnector:
    def __init__(self, connector: Connector, trace: Trace) -> None:
        self._connector = connector
        self._trace = trace

    async def connect(self, opening: Opening, task_group: TaskGroup) -> WebSocket:
        from ..net.urls import redact

        self._trace.line(">", f"GET {redact(opening.url)} (WebSocket)")
        self._trace.headers(">", opening.headers)
        socket = await self._connector.connect(opening, task_group)
        self._trace.line("<", f"101, subprotocol {socket.subprotocol}")
        self._trace.headers("<", socket.response_headers)
        return _traced(socket, self._trace)


def _traced(socket: Any, trace: Trace) -> WebSocket:
    """Return a socket whose messages are printed."""
    receive, send, close = socket.receive, socket.send, socket.aclose

    class Traced:
        def __getattr__(self, name: str) -> Any:
            return getattr(socket, name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(socket, name, value)

        async def receive(self) -> Sequence[bytes | str]:
            messages: Sequence[bytes | str] = await receive()
            for message in messages:
                trace.message("<", message)
            return messages

        async def send(self, messages: Sequence[bytes]) -> None:
            for message in messages:
                trace.message(">", message)
            await send(messages)

        async def aclose(self, code: int, reason: str) -> None:
            trace.line(">", f"close {code} {reason}".rstrip())
            await close(code, reason)

    traced: Any = Traced()
    return traced  # type: ignore[no-any-return]


class _TracedHTTP:
    def __init__(self, transport: HTTPTransport, trace: Trace) -> None:
        self._transport = transport
        self._trace = trace
        self.description = transport.description

    def connect(self) -> Any:
        """Return a connection that prints what it is asked, and its results."""
        connection: Any = self._transport.connect()
        for name in ("execute", "subscribe", "execute_incremental", "execute_batch"):
            setattr(
                connection, name, self._wrap(getattr(connection, name), is_one=name == "execute")
            )
        return connection

    def _wrap(self, call: Callable[..., Any], *, is_one: bool) -> Callable[..., Any]:
        async def execute(request: Any, *args: Any) -> Any:
            self._tell(request)
            result = await call(request, *args)
            self._trace.headers("<", result.headers)
            self._trace.value("<", {"data": result.data, "errors": result.errors})
            return result

        def other(request: Any, *args: Any) -> Any:
            for each in request if is_array(request) else [request]:
                self._tell(each)
            return call(request, *args)

        return execute if is_one else other

    def _tell(self, request: Any) -> None:
        from ..documents.files import FileVar

        self._trace.line(">", f"POST {self.description}")
        headers: Any = self._transport.headers
        if is_object(headers):
            self._trace.headers(">", headers)
        given: dict[str, Any] = request.variable_values or {}
        variables = {
            name: f"file {value.filename}" if isinstance(value, FileVar) else value
            for name, value in given.items()
        }
        self._trace.value(">", {"query": request.text, "variables": variables})
