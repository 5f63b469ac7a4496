"""The server's side of both subprotocols, without I/O.

Messages of both are translated into one set of requests, so that a connection need not know which
subprotocol it speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import msgspec

from ..protocols.close_codes import CloseCode

__all__ = [
    "DIALECTS",
    "REASONS",
    "Dialect",
    "GraphQLTransportWS",
    "GraphQLWS",
    "Init",
    "Malformed",
    "Ping",
    "Pong",
    "Request",
    "Start",
    "Stop",
    "Terminate",
    "start_of",
]

Message = dict[str, Any]


class Malformed(Exception):
    """A message that the subprotocol does not allow."""


@dataclass(frozen=True, slots=True)
class Init:
    """The client initializes the connection."""

    payload: Any = None


@dataclass(frozen=True, slots=True)
class Start:
    """The client starts an operation."""

    id: str
    query: str
    variables: Mapping[str, Any] | None = None
    operation_name: str | None = None
    extensions: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The client ends an operation."""

    id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks whether the server is there."""

    payload: Any = None


@dataclass(frozen=True, slots=True)
class Pong:
    """The client answers a ping."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """The client is about to close the connection (legacy)."""


Request = Init | Start | Stop | Ping | Pong | Terminate


def _member(message: Mapping[str, Any], name: str, kind: Any, *, required: bool = False) -> Any:
    value = message.get(name)
    if (value is None and not required) or isinstance(value, kind):
        return value
    raise Malformed(f"{name} is missing or of the wrong type")


def _id(message: Message) -> str:
    name: str = _member(message, "id", str, required=True)
    if not name:
        raise Malformed("id is empty")
    return name


def start_of(payload: Any, id: str = "") -> Start:
    """Return the operation that a payload asks for; raise ``Malformed`` if it asks for none."""
    if not isinstance(payload, dict):
        raise Malformed("not an object")
    payload = cast("Message", payload)
    return Start(
        id,
        _member(payload, "query", str, required=True),
        _member(payload, "variables", dict),
        _member(payload, "operationName", str),
        _member(payload, "extensions", dict),
    )


class Dialect:
    """The base of both subprotocols."""

    name: ClassVar[str]
    start: ClassVar[str]
    stop: ClassVar[str]
    result: ClassVar[str]
    #: Whether a violation of the protocol closes the connection.
    strict: ClassVar[bool]

    def parse(self, message: Message) -> Request:
        """Return the request in a message; raise ``Malformed`` if there is none."""
        kind = message.get("type")
        if kind == self.start:
            return start_of(_member(message, "payload", dict, required=True), _id(message))
        if kind == self.stop:
            return Stop(_id(message))
        if kind == "connection_init":
            return Init(_member(message, "payload", dict))
        return self._parse_other(kind, message)

    @staticmethod
    def decode(text: str) -> Message:
        """Decode a text message; raise ``Malformed`` if it is not a JSON object."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise Malformed("not JSON") from exc
        if not isinstance(message, dict):
            raise Malformed("not an object")
        return message  # pyright: ignore[reportUnknownVariableType]

    def _parse_other(self, kind: Any, message: Message) -> Request:
        raise Malformed(f"a client does not send messages of type {kind!r}")

    def ack(self, payload: Any) -> Message:
        """Return the acknowledgement of the connection."""
        return _with_payload({"type": "connection_ack"}, payload)

    def pong(self, payload: Any) -> Message:
        """Return the answer to a ping, with the ping's payload."""
        return _with_payload({"type": "pong"}, payload)

    def refuse(self, text: str) -> Message:
        """Return the refusal of the connection, or of an unreadable message (legacy)."""
        return {"type": "connection_error", "payload": {"message": text}}

    def keep_alive(self) -> Message:
        """Return a keep-alive message (legacy)."""
        return {"type": "ka"}

    def next(self, id: str, result: Mapping[str, Any]) -> Message:
        """Return a message with one result."""
        return {"id": id, "type": self.result, "payload": result}

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return the message that ends an operation with errors."""
        raise NotImplementedError

    def source_failed(self, id: str, error: Any) -> list[Message]:
        """Return the messages that end a subscription whose source has failed."""
        return [self.errors(id, [error])]

    def complete(self, id: str) -> Message:
        """Return the message that ends an operation."""
        return {"id": id, "type": "complete"}


class GraphQLTransportWS(Dialect):
    """``graphql-transport-ws``."""

    name = "graphql-transport-ws"
    start, stop, result = "subscribe", "complete", "next"
    strict = True

    def _parse_other(self, kind: Any, message: Message) -> Request:
        if kind == "ping":
            return Ping(_member(message, "payload", dict))
        if kind == "pong":
            _member(message, "payload", dict)
            return Pong()
        return super()._parse_other(kind, message)

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return an ``error`` with the list of errors."""
        return {"id": id, "type": "error", "payload": list(errors)}


class GraphQLWS(Dialect):
    """``graphql-ws``, the legacy one."""

    name = "graphql-ws"
    start, stop, result = "start", "stop", "data"
    strict = False

    def _parse_other(self, kind: Any, message: Message) -> Request:
        if kind == "connection_terminate":
            return Terminate()
        return super()._parse_other(kind, message)

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return an ``error`` with the first error alone: its payload is one object."""
        return {"id": id, "type": "error", "payload": errors[0]}

    def source_failed(self, id: str, error: Any) -> list[Message]:
        """Return a last result: ``error`` is for operations that were never executed."""
        return [self.next(id, {"errors": [error]}), self.complete(id)]


def _with_payload(message: Message, payload: Any) -> Message:
    if payload is not None:
        message["payload"] = payload
    return message


#: The subprotocols that a server can speak.
DIALECTS: Mapping[str, type[Dialect]] = {
    GraphQLTransportWS.name: GraphQLTransportWS,
    GraphQLWS.name: GraphQLWS,
}

#: The reasons of close codes, worded as by the JavaScript library graphql-ws.
REASONS: Mapping[CloseCode, str] = {
    CloseCode.UNAUTHORIZED: "Unauthorized",
    CloseCode.FORBIDDEN: "Forbidden",
    CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE: "Subprotocol not acceptable",
    CloseCode.CONNECTION_INITIALISATION_TIMEOUT: "Connection initialisation timeout",
    CloseCode.TOO_MANY_INITIALISATION_REQUESTS: "Too many initialisation requests",
}
