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
#: Headers whose values are no secrets.
_SHOWN = re.compile(
    r"(?i:accept(-[a-z-]+)?|allow|apollo-require-preflight|cache-control|connection"
    r"|content-(encoding|length|type)|date|retry-after|sec-websocket-(extensions|protocol|version)"
    r"|server|transfer-encoding|upgrade|vary|www-authenticate|x-powered-by|(x-)?rate-?limit.*)$"
)
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
        is_brief: Whether headers and messages are left out.
    """

    def __init__(self, secrets: Sequence[str], *, is_brief: bool = False) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        self._is_brief = is_brief

    def connector(self, connector: Connector) -> Connector:
        """Return a connector whose sockets print their messages."""
        return _TracedConnector(connector, self)

    def http(self, transport: HTTPTransport) -> Transport:
        """Return a transport that prints its requests and responses."""
        from .trace_http import TracedHTTP

        traced: Any = TracedHTTP(transport, self)
        return traced  # type: ignore[no-any-return]

    def line(self, mark: str, text: str) -> None:
        """Print a text after a mark."""
        complain(f"{mark} {self.hidden(text)[:_LIMIT]}")

    def message(self, mark: str, text: bytes | str) -> None:
        """Print a JSON message."""
        import msgspec

        if self._is_brief:
            return
        try:
            value: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self.line(mark, f"{len(text)} bytes that are no JSON")
            return
        self.value(mark, value)

    def value(self, mark: str, value: Any) -> None:
        """Print a JSON value."""
        import msgspec

        if self._is_brief:
            return
        kind = value.get("type") if is_object(value) else None
        if kind == "start" and mark == ">":
            value = _read_start(value)
        shown = _without_secrets(value, hide_all=kind == "connection_init")
        self.line(mark, msgspec.json.encode(shown).decode())

    def headers(self, mark: str, headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> None:
        """Print headers: the names, and values where none can be a secret."""
        if self._is_brief:
            return
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        for name, value in pairs:
            self.line(mark, f"{name}: {value if _SHOWN.match(name) else _HIDDEN}")

    def hidden(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def _read_start(message: Any) -> Any:
    """Return AppSync's ``start`` with its operation decoded, and without its authorization.

    The operation is JSON in a text, in which the keys of secrets would not be found.
    """
    import msgspec

    payload = message.get("payload")
    if not is_object(payload) or not isinstance(payload.get("data"), str):
        return message  # graphql-ws has a "start" of its own
    operation: Any = msgspec.json.decode(payload["data"])
    return {**message, "payload": {"data": operation, "extensions": _HIDDEN}}


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
        from ..exceptions import TransportServerError
        from ..net.urls import redact

        self._trace.line(">", f"GET {redact(opening.url)} (WebSocket)")
        self._trace.headers(">", opening.headers)
        try:
            socket = await self._connector.connect(opening, task_group)
        except TransportServerError as refused:
            self._trace.line("<", f"{refused.code} {refused.reason or ''}".rstrip())
            self._trace.headers("<", refused.headers or {})
            raise
        self._trace.line("<", f"101, subprotocol {opening.shown(socket.subprotocol)}")
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
