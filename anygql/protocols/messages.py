"""The part that the codecs share: reading messages, writing them, and their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar, get_args

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import BODY_LIMIT, ProtocolViolation
from ..json import JSON, MsgspecJSON, checked_utf8, encode_named, replace_lone_surrogates
from ..results.answers import NotAResult, errors_in, read_result, server_words
from .base import Codec
from .close_codes import CloseCode
from .events import (
    Ack,
    Complete,
    Ended,
    Error,
    Event,
    Failed,
    KeepAlive,
    Malformed,
    Next,
    Ping,
    Pong,
    Refusal,
    Rejection,
    Say,
    Several,
    Started,
    UndecodedNext,
    Unknown,
)

__all__ = [
    "TRANSITIONS",
    "ClientMessage",
    "Maybe",
    "MessageCodec",
    "OperationPayload",
    "State",
    "encode",
    "message_reader",
    "operation_payload",
    "read_replacing_surrogates",
    "result_event",
    "step",
    "value_or_unset",
]

_Message = TypeVar("_Message")

#: Maximum length of the description of a fault, in characters: it may quote the message.
_DETAIL_LIMIT = 90


class State(StrEnum):  # a plain Enum hashes in Python, and this is looked up for each message
    """Whether the server has acknowledged the connection."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"


#: The events allowed in each state, and the state after each. Mercurius acknowledges twice when
#: asked twice. A refusal after the acknowledgement is about one message, so the state stays.
TRANSITIONS: dict[State, dict[type[Event], State]] = {
    State.UNACKNOWLEDGED: {
        Ack: State.ACKNOWLEDGED,
        Ping: State.UNACKNOWLEDGED,
        Pong: State.UNACKNOWLEDGED,
        KeepAlive: State.UNACKNOWLEDGED,
        Refusal: State.UNACKNOWLEDGED,
        Unknown: State.UNACKNOWLEDGED,
        Rejection: State.UNACKNOWLEDGED,
        Ended: State.UNACKNOWLEDGED,
        Say: State.UNACKNOWLEDGED,
    },
    State.ACKNOWLEDGED: {
        Ack: State.ACKNOWLEDGED,
        Next: State.ACKNOWLEDGED,
        UndecodedNext: State.ACKNOWLEDGED,
        Error: State.ACKNOWLEDGED,
        Complete: State.ACKNOWLEDGED,
        Ping: State.ACKNOWLEDGED,
        Pong: State.ACKNOWLEDGED,
        KeepAlive: State.ACKNOWLEDGED,
        Refusal: State.ACKNOWLEDGED,
        Malformed: State.ACKNOWLEDGED,
        Unknown: State.ACKNOWLEDGED,
        Started: State.ACKNOWLEDGED,
        Failed: State.ACKNOWLEDGED,
        Rejection: State.ACKNOWLEDGED,
        Ended: State.ACKNOWLEDGED,
        Say: State.ACKNOWLEDGED,
        Several: State.ACKNOWLEDGED,
    },
}


def step(state: State, event: Event) -> State:
    """Return the state after ``event``.

    Raises ``ProtocolViolation`` if the event is not allowed in ``state``.
    """
    after = TRANSITIONS[state].get(type(event))
    if after is None:
        raise ProtocolViolation(
            CloseCode.BAD_REQUEST, f"{type(event).__name__.lower()} before the acknowledgement"
        )
    return after


class _Envelope(msgspec.Struct):
    """Any message, with its payload still JSON text."""

    type: Any = msgspec.UNSET
    id: Any = msgspec.UNSET
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class _Increment(msgspec.Struct):
    """A message with a result, for its whole payload."""

    payload: dict[str, Any]


_INCREMENT = msgspec.json.Decoder(_Increment)


def message_reader(
    default: msgspec.json.Decoder[_Message], json: JSON
) -> Callable[[bytes | str], _Message]:
    """Return a function that reads a message into one of ``default``'s structs.

    The function decodes the payload with ``json``. It raises ``ValueError`` or ``RecursionError``:
    then ``read_replacing_surrogates`` has another try.
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


def read_replacing_surrogates(
    read: Callable[[bytes | str], _Message],
    message: bytes | str,
    error: ValueError | RecursionError,
) -> _Message:
    """Read a message that ``read`` refused with ``error``, with its lone surrogates replaced.

    Raises ``ProtocolViolation`` if ``read`` refuses that too.
    """
    try:
        return read(replace_lone_surrogates(message))
    except (ValueError, RecursionError) as exc:
        raise _violation(message, exc) from error


def _read_checked(read: Callable[[bytes | str], _Message], message: bytes | str) -> _Message:
    """Read a message; raise ``ProtocolViolation`` if it is malformed."""
    try:
        return read(message)
    except (ValueError, RecursionError) as exc:
        return read_replacing_surrogates(read, message, exc)


def _read_envelope(message: bytes | str) -> _Envelope | None:
    """Return the parts of a message, or ``None`` if it is no JSON object."""
    try:
        return _ENVELOPE.decode(replace_lone_surrogates(message))
    except (ValueError, RecursionError):
        return None


def _read_generically(id: str, payload: Maybe, json: JSON) -> Next | Malformed:
    """Read the payload of a result, whatever it is."""
    if isinstance(payload, msgspec.UnsetType):
        return Malformed(id, "no payload")
    text = bytes(payload)
    body = text.decode(errors="replace")[:BODY_LIMIT]
    try:
        decoded = json.decode(text)
    except (ValueError, RecursionError) as exc:
        return Malformed(id, f"JSON that can't be read: {_describe(exc)}", body)
    return result_event(id, decoded, body)


def result_event(id: str, payload: object, body: str = "") -> Next | Malformed:
    """Return a decoded result as a ``Next``, or as a ``Malformed`` that says what it is instead.

    Args:
        id: The operation's id.
        payload: The decoded JSON.
        body: The start of the payload as text, for the error. Default: none.
    """
    try:
        return Next(id, read_result(payload))
    except NotAResult as exc:
        words = server_words(payload)
        problem = f"{exc}: {words}" if words else str(exc)
    return Malformed(id, problem, body, errors_in(payload))


def _violation(message: bytes | str, error: ValueError | RecursionError) -> ProtocolViolation:
    try:
        message.decode() if isinstance(message, bytes) else message.encode()
    except UnicodeError:
        # RFC 6455 §8.1: the endpoint must then fail the connection (with 1007, §7.4.1).
        return ProtocolViolation(CloseCode.INVALID_DATA, "a message is not valid UTF-8")
    if isinstance(error, RecursionError):
        return ProtocolViolation(CloseCode.BAD_REQUEST, "a message is nested too deeply")
    return ProtocolViolation(CloseCode.BAD_REQUEST, f"malformed message: {_describe(error)}")


def _describe(error: ValueError | RecursionError) -> str:
    detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return f"{detail[: _DETAIL_LIMIT - 1]}…" if len(detail) > _DETAIL_LIMIT else detail


#: A value that is JSON text already, or left out.
Maybe: TypeAlias = msgspec.Raw | msgspec.UnsetType

#: Write an outgoing message as text.
encode = msgspec.json.Encoder().encode


class OperationPayload(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An operation to run. Absent parts are left out: Mercurius refuses ``"extensions": null``."""

    query: msgspec.Raw
    operation_name: str | None = None
    variables: Maybe = msgspec.UNSET
    extensions: Maybe = msgspec.UNSET


class ClientMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Any message to the server."""

    type: str
    id: str | msgspec.UnsetType = msgspec.UNSET
    payload: OperationPayload | Maybe = msgspec.UNSET


def value_or_unset(json: JSON, value: Any, name: str) -> Maybe:
    """Return a user's value as JSON; ``None`` is left out.

    Raises ``TypeError`` naming the part of the value that has no JSON form.
    """
    return msgspec.UNSET if value is None else msgspec.Raw(encode_named(json, value, name))


def operation_payload(json: JSON, request: GraphQLRequest) -> OperationPayload:
    """Return a request as the payload of the message that starts it.

    Raises ``TypeError`` as ``value_or_unset`` does.
    """
    return OperationPayload(
        request.source.json,
        request.operation_name,
        value_or_unset(json, request.variable_values, "variables"),
        value_or_unset(json, request.extensions, "extensions"),
    )


class MessageCodec(Codec, Generic[_Message]):
    """The part of a ``Codec`` that protocols of JSON messages with a ``type`` share.

    Args:
        json: How JSON becomes values.
        decoder: What reads the messages of one protocol; ``_events`` turns them into events.
        undecoded: The same for messages whose data stay JSON text; ``None`` if none do.
    """

    __slots__ = (
        "_json",
        "_known_types",
        "_read",
        "_read_increment",
        "_read_undecoded",
        "_state",
    )

    #: The type of the messages that hold results.
    _result_type: str
    #: Whether messages of unknown types, or of none, are no violation.
    _ignores_unknown = False

    def __init__(
        self,
        json: JSON,
        decoder: msgspec.json.Decoder[_Message],
        undecoded: msgspec.json.Decoder[_Message] | None = None,
    ) -> None:
        self._json = json
        self._read = message_reader(decoder, json)
        # Another JSON may read numbers or texts in its own way, so it reads all of them.
        self._read_undecoded: Callable[[bytes | str], _Message] | None = None
        if undecoded is not None and type(json) is MsgspecJSON:
            self._read_undecoded = undecoded.decode
        self._known_types = {each.__struct_config__.tag for each in get_args(decoder.type)}
        self._read_increment = message_reader(_INCREMENT, json)
        self._state = State.UNACKNOWLEDGED

    def _events(self, received: Sequence[_Message]) -> Iterable[Event]:
        raise NotImplementedError

    def connection_init(self, payload: Any) -> bytes:
        payload = value_or_unset(self._json, payload, "init_payload")
        return encode(ClientMessage("connection_init", payload=payload))

    def receive(self, message: bytes | str) -> Event:
        try:
            (event,) = self._events([_read_checked(self._read, message)])
        except ProtocolViolation as violation:
            event = self._forgive(message, violation)
        self._state = step(self._state, event)
        return event

    def _forgive(self, message: bytes | str, violation: ProtocolViolation) -> Event:
        """Return what is no violation for the connection: the event in a message, or raise it."""
        envelope = _read_envelope(message) if violation.code == CloseCode.BAD_REQUEST else None
        if envelope is None:
            raise violation
        if envelope.type == self._result_type and isinstance(envelope.id, str):
            return _read_generically(envelope.id, envelope.payload, self._json)
        kind = envelope.type if isinstance(envelope.type, str) else None
        if not self._ignores_unknown or kind in self._known_types:
            raise violation
        text = message.decode() if isinstance(message, bytes) else message
        return Unknown(kind, text[:BODY_LIMIT])

    def reread(self, message: bytes | str) -> Next | Malformed:
        envelope = _read_envelope(message)
        assert envelope is not None  # noqa: S101 - `receive` has read the same message
        return _read_generically(envelope.id, envelope.payload, self._json)

    def receive_many(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        if self._state is State.ACKNOWLEDGED:  # from then on, every event may come at any time
            read = self._read
            try:
                # Two passes: one function that does both took 15 % longer (CPython 3.11).
                return self._events([read(message) for message in messages])
            except (ValueError, RecursionError):
                pass  # one of them is read again, alone, and then judged
        return map(self.receive, messages)

    def receive_undecoded(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        read = self._read_undecoded
        if read is not None and self._state is State.ACKNOWLEDGED:
            try:
                return self._events([read(m if m.isascii() else checked_utf8(m)) for m in messages])
            except (ValueError, RecursionError):
                pass
        return self.receive_many(messages)

    def increment(self, message: bytes | str) -> Mapping[str, Any]:
        return _read_checked(self._read_increment, message).payload
