"""``graphql-ws``: the legacy subprotocol, of Apollo's ``subscriptions-transport-ws``.

https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from ..results.result import ExecutionResult
from .base import Codec
from .events import Ack, Complete, Error, Event, KeepAlive, Next, Refused
from .messages import (
    ConnectionInit,
    Operation,
    Outgoing,
    State,
    encode,
    increment_reader,
    message_reader,
    operation,
    read_many,
    read_replacing_surrogates,
    step,
    value_or_unset,
)

__all__ = ["GRAPHQL_WS", "GraphQLWS"]


class _Data(msgspec.Struct, frozen=True, tag_field="type", tag="data"):
    id: str
    payload: ExecutionResult


class _Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    payload: Any
    id: str | None = None


_Incoming: TypeAlias = Ack | Refused | KeepAlive | Complete | _Data | _Error

_DECODER: msgspec.json.Decoder[_Incoming] = msgspec.json.Decoder(_Incoming)


class _Start(Outgoing, frozen=True, tag="start"):
    id: str
    payload: Operation


class _Stop(Outgoing, frozen=True, tag="stop"):
    id: str


class _ConnectionTerminate(Outgoing, frozen=True, tag="connection_terminate"):
    pass


class GraphQLWS(msgspec.Struct, frozen=True):
    """The subprotocol as a value: hand ``GRAPHQL_WS`` to a transport."""

    subprotocol: str = "graphql-ws"
    is_default: bool = True
    liveness_from_keep_alive: bool = True

    def codec(self, json: JSON) -> Codec:
        """A new codec, for one connection."""
        return _LegacyCodec(json)


GRAPHQL_WS = GraphQLWS()


def _errors(payload: Any) -> list[Any]:
    """One error by the text; some servers send several, or a result that holds them."""
    if isinstance(payload, dict):
        payload = cast("dict[str, Any]", payload).get("errors", payload)
    return payload if isinstance(payload, list) else [payload]  # pyright: ignore[reportUnknownVariableType]


def _event(received: _Incoming) -> Event:
    if isinstance(received, _Data):
        return Next(received.id, received.payload)
    if isinstance(received, _Error):
        if received.id is None:  # a message of ours that could not be read, whichever it was
            return Refused(received.payload)
        return Error(received.id, _errors(received.payload))
    return received


class _LegacyCodec:
    __slots__ = ("_increment", "_json", "_read", "_state")

    def __init__(self, json: JSON) -> None:
        self._json = json
        self._read = message_reader(_DECODER, json)
        self._state = State.UNACKNOWLEDGED
        self._increment = increment_reader(json)

    def connection_init(self, payload: Any) -> bytes:
        return encode(ConnectionInit(value_or_unset(self._json, payload, "init_payload")))

    def subscribe(self, id: str, request: GraphQLRequest) -> bytes:
        return encode(_Start(id, operation(self._json, request)))

    def complete(self, id: str) -> bytes:
        return encode(_Stop(id))

    def ping(self, payload: Any = None) -> None:
        return None  # only the WebSocket's own

    def pong(self, payload: Any = None) -> None:
        return None

    def terminate(self) -> bytes:
        return encode(_ConnectionTerminate())

    def receive(self, message: bytes | str) -> Event:
        try:
            received = self._read(message)
        except (ValueError, RecursionError) as exc:
            received = read_replacing_surrogates(self._read, message, exc)
        event = _event(received)
        self._state = step(self._state, event)
        return event

    def receive_many(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        found = read_many(self._read, messages, self._state)
        return map(self.receive, messages) if found is None else map(_event, found)

    def increment(self, message: bytes | str) -> Mapping[str, Any]:
        return self._increment(message)
