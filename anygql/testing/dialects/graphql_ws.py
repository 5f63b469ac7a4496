"""``graphql-transport-ws``, and the legacy ``graphql-ws``: messages with a ``type``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...protocols.close_codes import CloseCode
from .base import (
    Dialect,
    Init,
    Malformed,
    Message,
    Ping,
    Pong,
    Request,
    Stop,
    Terminate,
    member,
    start_of,
    with_payload,
)

__all__ = ["GraphQLTransportWS", "GraphQLWS"]


def _id(message: Message) -> str:
    name: str = member(message, "id", str, required=True)
    if not name:
        raise Malformed("id is empty")
    return name


class _Typed(Dialect):
    """The base of both subprotocols."""

    start: ClassVar[str]
    stop: ClassVar[str]
    result: ClassVar[str]

    def parse(self, message: Message) -> Request:
        """Return the request in a message; raise ``Malformed`` if there is none."""
        kind = message.get("type")
        if kind == self.start:
            return start_of(member(message, "payload", dict, required=True), _id(message))
        if kind == self.stop:
            return Stop([_id(message)])
        if kind == "connection_init":
            return Init(member(message, "payload", dict))
        return self._parse_other(kind, message)

    def _parse_other(self, kind: Any, message: Message) -> Request:
        raise Malformed(f"a client does not send messages of type {kind!r}")

    def ack(self, payload: Any) -> list[Message]:
        """Return the acknowledgement of the connection."""
        return [with_payload({"type": "connection_ack"}, payload)]

    def pong(self, payload: Any) -> Message:
        """Return the answer to a ping, with the ping's payload."""
        return with_payload({"type": "pong"}, payload)

    def next(self, id: str, result: Mapping[str, Any]) -> Message:
        """Return a message with one result."""
        return {"id": id, "type": self.result, "payload": result}

    def complete(self, id: str) -> list[Message]:
        """Return the message that ends an operation."""
        return [{"id": id, "type": "complete"}]


class GraphQLTransportWS(_Typed):
    """``graphql-transport-ws``."""

    name = "graphql-transport-ws"
    start, stop, result = "subscribe", "complete", "next"
    awaits_init = True
    strict = True
    violation = CloseCode.BAD_REQUEST
    refusal_code = None

    def _parse_other(self, kind: Any, message: Message) -> Request:
        if kind == "ping":
            return Ping(member(message, "payload", dict))
        if kind == "pong":
            member(message, "payload", dict)
            return Pong()
        return super()._parse_other(kind, message)

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return an ``error`` with the list of errors."""
        return {"id": id, "type": "error", "payload": list(errors)}


class GraphQLWS(_Typed):
    """``graphql-ws``, the legacy one."""

    name = "graphql-ws"
    start, stop, result = "start", "stop", "data"
    has_keep_alive = True

    def _parse_other(self, kind: Any, message: Message) -> Request:
        if kind == "connection_terminate":
            return Terminate()
        return super()._parse_other(kind, message)

    def refuse(self, text: str) -> list[Message]:
        """Return the refusal of the connection, or of an unreadable message."""
        return [{"type": "connection_error", "payload": {"message": text}}]

    def keep_alive(self) -> Message:
        """Return a keep-alive message."""
        return {"type": "ka"}

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return an ``error`` with the first error alone: its payload is one object."""
        return {"id": id, "type": "error", "payload": errors[0]}

    def source_failed(self, id: str, error: Any) -> list[Message]:
        """Return a last result: ``error`` is for operations that were never executed."""
        return [self.next(id, {"errors": [error]}), *self.complete(id)]

    def stopped(self, id: str) -> list[Message]:
        """Return a ``complete``, as Apollo's library sends it."""
        return self.complete(id)
