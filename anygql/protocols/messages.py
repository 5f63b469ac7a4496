"""What the codecs of the ``connection_init`` family share.

Reading: JSON text into structs, in an order that is allowed. Writing: the payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import ProtocolViolation
from ..json import JSON, MsgspecJSON, encode_named, replace_lone_surrogates
from .close_codes import CloseCode
from .events import Ack, Complete, Error, Event, KeepAlive, Next, Ping, Pong, Refused

__all__ = [
    "TRANSITIONS",
    "ConnectionInit",
    "Maybe",
    "Operation",
    "Outgoing",
    "State",
    "encode",
    "increment_reader",
    "message_reader",
    "operation",
    "read_many",
    "read_replacing_surrogates",
    "step",
    "value_or_unset",
]

_Message = TypeVar("_Message")

#: How much of what is wrong with a message is told, in characters: it may quote the message.
_DETAIL_LIMIT = 90


class State(StrEnum):  # a plain Enum hashes in Python, and this is looked up for each message
    """Whether the server has acknowledged the connection."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"


#: What the server may say in each state, and the state after it. Mercurius acknowledges twice
#: when asked twice; a refusal after the ack is about one message (legacy), so nothing changes.
TRANSITIONS: dict[State, dict[type[Event], State]] = {
    State.UNACKNOWLEDGED: {
        Ack: State.ACKNOWLEDGED,
        Ping: State.UNACKNOWLEDGED,
        Pong: State.UNACKNOWLEDGED,
        KeepAlive: State.UNACKNOWLEDGED,
        Refused: State.UNACKNOWLEDGED,
    },
    State.ACKNOWLEDGED: {
        Ack: State.ACKNOWLEDGED,
        Next: State.ACKNOWLEDGED,
        Error: State.ACKNOWLEDGED,
        Complete: State.ACKNOWLEDGED,
        Ping: State.ACKNOWLEDGED,
        Pong: State.ACKNOWLEDGED,
        KeepAlive: State.ACKNOWLEDGED,
        Refused: State.ACKNOWLEDGED,
    },
}


def step(state: State, event: Event) -> State:
    """The state after ``event``; raises ``ProtocolViolation`` if it may not come in ``state``."""
    after = TRANSITIONS[state].get(type(event))
    if after is None:
        raise ProtocolViolation(
            CloseCode.BAD_REQUEST, f"{type(event).__name__.lower()} before the acknowledgement"
        )
    return after


class _Envelope(msgspec.Struct):
    """Any message, its payload still text."""

    type: Any = msgspec.UNSET
    id: Any = msgspec.UNSET
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class _Increment(msgspec.Struct):
    """A message of which only the payload matters."""

    payload: dict[str, Any]


_INCREMENT = msgspec.json.Decoder(_Increment)


def message_reader(
    default: msgspec.json.Decoder[_Message], json: JSON
) -> Callable[[bytes | str], _Message]:
    """What reads a message into one of ``default``'s structs, the values in it with ``json``.

    The reader raises ``ValueError`` or ``RecursionError``: what then is for
    ``read_replacing_surrogates``.
    """
    if type(json) is MsgspecJSON:
        return default.decode  # envelope and values in one pass

    def read(message: bytes | str) -> _Message:
        envelope = _ENVELOPE.decode(message)
        parts: dict[str, Any] = {}
        for name in envelope.__struct_fields__:
            value = getattr(envelope, name)
            if value is not msgspec.UNSET:
                is_text = isinstance(value, msgspec.Raw)
                parts[name] = json.decode(bytes(value)) if is_text else value
        return msgspec.convert(parts, default.type)

    return read


def read_many(
    read: Callable[[bytes | str], _Message], messages: Sequence[bytes | str], state: State
) -> list[_Message] | None:
    """What ``read`` makes of several messages; ``None`` if one of them needs a closer look."""
    if state is not State.ACKNOWLEDGED:  # from then on, everything may come at any time
        return None
    try:
        return [read(message) for message in messages]
    except (ValueError, RecursionError):
        return None


def increment_reader(json: JSON) -> Callable[[bytes | str], Mapping[str, Any]]:
    """What reads a message that has a result, for all that its payload holds.

    A message is read as a result first, without what only incremental delivery has; this is for
    who needs the rest too. The reader raises ``ProtocolViolation``.
    """
    read = message_reader(_INCREMENT, json)

    def increment(message: bytes | str) -> Mapping[str, Any]:
        try:
            return read(message).payload
        except (ValueError, RecursionError) as exc:
            return read_replacing_surrogates(read, message, exc).payload

    return increment


def read_replacing_surrogates(
    read: Callable[[bytes | str], _Message],
    message: bytes | str,
    error: ValueError | RecursionError,
) -> _Message:
    """What ``read`` makes of a message that it refused with ``error``, without surrogates.

    Raises ``ProtocolViolation`` if there was nothing to mend, or it is still refused.
    """
    try:
        return read(replace_lone_surrogates(message))
    except (ValueError, RecursionError) as exc:
        raise _violation(message, exc) from error


def _violation(message: bytes | str, error: ValueError | RecursionError) -> ProtocolViolation:
    try:
        message.decode() if isinstance(message, bytes) else message.encode()
    except UnicodeError:
        # RFC 6455 §8.1
        return ProtocolViolation(CloseCode.INVALID_DATA, "a message is not valid UTF-8")
    if isinstance(error, RecursionError):
        return ProtocolViolation(CloseCode.BAD_REQUEST, "a message is nested too deeply")
    detail = str(error)
    if len(detail) > _DETAIL_LIMIT:
        detail = f"{detail[: _DETAIL_LIMIT - 1]}…"
    return ProtocolViolation(CloseCode.BAD_REQUEST, f"malformed message: {detail}")


#: A value that is already JSON, or left out.
Maybe: TypeAlias = msgspec.Raw | msgspec.UnsetType

#: The text of an outgoing message.
encode = msgspec.json.Encoder().encode


class Outgoing(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """Any message to the server; its tag is its type."""


class ConnectionInit(Outgoing, frozen=True, tag="connection_init"):
    """What opens a connection, in both subprotocols."""

    payload: Maybe = msgspec.UNSET


class Operation(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is to run. What it hasn't is left out: Mercurius refuses ``"extensions": null``."""

    query: msgspec.Raw
    operation_name: str | None = None
    variables: Maybe = msgspec.UNSET
    extensions: Maybe = msgspec.UNSET


def value_or_unset(json: JSON, value: Any, name: str) -> Maybe:
    """A user's value as JSON; raises ``TypeError`` naming what in it has no JSON form."""
    return msgspec.UNSET if value is None else msgspec.Raw(encode_named(json, value, name))


def operation(json: JSON, request: GraphQLRequest) -> Operation:
    """A request as the payload of the message that starts it; raises ``TypeError`` likewise."""
    return Operation(
        request.source.json,
        request.operation_name,
        value_or_unset(json, request.variable_values, "variables"),
        value_or_unset(json, request.extensions, "extensions"),
    )
