"""The interface of a dialect: the server's side of one protocol, without I/O.

Messages of every protocol are translated into one set of requests, so that a connection need not
know which protocol it speaks. One dialect serves one connection, and has its state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import msgspec

from ...protocols.close_codes import CloseCode
from ..websocket import HandshakeRequest

__all__ = [
    "Answer",
    "Dialect",
    "Handshake",
    "Init",
    "Malformed",
    "Message",
    "Ping",
    "Pong",
    "Request",
    "Reset",
    "Start",
    "Stop",
    "Terminate",
    "decode_json",
    "member",
    "start_of",
    "with_payload",
]

#: Decoded JSON: an object in most protocols.
Message: TypeAlias = Any


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
    #: What authorizes this operation alone, for ``on_connect``; ``None`` if nothing need.
    authorization: Any = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The client ends operations."""

    ids: Sequence[str]
    #: What the client gets, whether or not they were active.
    answer: Sequence[Message] = ()


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


@dataclass(frozen=True, slots=True)
class Answer:
    """The client gets these messages, and nothing else happens."""

    messages: Sequence[Message] = ()


@dataclass(frozen=True, slots=True)
class Reset:
    """All operations stop, and the client gets these messages. The WebSocket stays open."""

    messages: Sequence[Message] = ()


Request: TypeAlias = Init | Start | Stop | Ping | Pong | Terminate | Answer | Reset


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a handshake is answered."""

    #: The subprotocol to name, if any.
    subprotocol: str | None = None
    #: The HTTP status; any other than 101 refuses the connection.
    status: int = 101


def member(message: Mapping[str, Any], name: str, kind: Any, *, required: bool = False) -> Any:
    value = message.get(name)
    if (value is None and not required) or isinstance(value, kind):
        return value
    raise Malformed(f"{name} is missing or of the wrong type")


def start_of(payload: Any, id: str = "") -> Start:
    """Return the operation that a payload asks for; raise ``Malformed`` if it asks for none."""
    if not isinstance(payload, dict):
        raise Malformed("not an object")
    fields = cast("dict[str, Any]", payload)
    return Start(
        id,
        member(fields, "query", str, required=True),
        member(fields, "variables", dict),
        member(fields, "operationName", str),
        member(fields, "extensions", dict),
    )


class Dialect:
    """The base of all dialects. Its methods return messages, or lists of them, as decoded JSON."""

    #: The name in ``GraphQLServer(protocols=…)``.
    name: ClassVar[str]
    #: Whether the client must begin with one ``Init`` within a time limit.
    awaits_init: ClassVar[bool] = False
    #: Whether a second ``Init``, or a second operation with the same id, closes the connection.
    strict: ClassVar[bool] = False
    #: The close code for a message that the protocol does not allow, or ``None``: then ``refuse``
    #: answers it.
    violation: ClassVar[CloseCode | None] = None
    #: Whether a refused connection is closed, and with which code: ``None`` is the refusal's own.
    closes_refused: ClassVar[bool] = True
    refusal_code: ClassVar[CloseCode | None] = CloseCode.INTERNAL_ERROR
    #: Whether ``keep_alive`` is sent.
    has_keep_alive: ClassVar[bool] = False

    def __init__(self, request: HandshakeRequest | None) -> None:
        """Begin to serve the client that has sent this request."""

    @classmethod
    def answer(cls, request: HandshakeRequest) -> Handshake | None:
        """Return how to answer a handshake, or ``None`` if it doesn't ask for this protocol."""
        return Handshake(cls.name) if cls.name in request.subprotocols else None

    @staticmethod
    def decode(text: str) -> Message:
        """Decode a text message; raise ``Malformed`` if it is not a JSON object."""
        message = decode_json(text)
        if not isinstance(message, dict):
            raise Malformed("not an object")
        return message  # pyright: ignore[reportUnknownVariableType]

    @staticmethod
    def kind(message: Message) -> str | None:
        """Return what kind of message this is, for tests that wait for one."""
        kind = message.get("type") if isinstance(message, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return kind if isinstance(kind, str) else None

    def parse(self, message: Message) -> Request:
        """Return the request in a message; raise ``Malformed`` if there is none."""
        raise NotImplementedError

    def ack(self, payload: Any) -> list[Message]:
        """Return the messages that accept the connection."""
        raise NotImplementedError

    def refuse(self, text: str) -> list[Message]:
        """Return the messages that refuse the connection, or a message."""
        return []

    def refuse_start(self, id: str, text: str) -> list[Message]:
        """Return the messages that refuse the ``authorization`` of one operation."""
        raise NotImplementedError

    def pong(self, payload: Any) -> Message:
        """Return the answer to a ping."""
        raise NotImplementedError

    def keep_alive(self) -> Message:
        """Return a keep-alive message."""
        raise NotImplementedError

    def started(self, id: str) -> list[Message]:
        """Return what is said when the source of a subscription is open."""
        return []

    def next(self, id: str, result: Mapping[str, Any]) -> Message:
        """Return a message with one result."""
        raise NotImplementedError

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return the message that ends an operation with errors."""
        raise NotImplementedError

    def source_failed(self, id: str, error: Any) -> list[Message]:
        """Return the messages that end a subscription whose source has failed."""
        return [self.errors(id, [error])]

    def complete(self, id: str) -> list[Message]:
        """Return what is said when an operation is over."""
        raise NotImplementedError

    def stopped(self, id: str) -> list[Message]:
        """Return what is said when the client has stopped an active operation."""
        return []


def decode_json(text: str) -> Any:
    """Decode JSON; raise ``Malformed`` if it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Malformed("not JSON") from exc


def with_payload(message: dict[str, Any], payload: Any) -> Message:
    """Return a message with a payload, unless that is ``None``."""
    if payload is not None:
        message["payload"] = payload
    return message
