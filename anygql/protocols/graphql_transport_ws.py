"""``graphql-transport-ws``: the subprotocol of today's servers.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from .base import Codec
from .events import Ack, Complete, Error, Event, Next, Ping, Pong, Refused
from .messages import (
    ConnectionInit,
    Maybe,
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

__all__ = ["GRAPHQL_TRANSPORT_WS", "GraphQLTransportWS"]

# The specification has no `connection_error`, but Mercurius sends it here too.
_Incoming: TypeAlias = Ack | Next | Error | Complete | Ping | Pong | Refused

_DECODER: msgspec.json.Decoder[_Incoming] = msgspec.json.Decoder(_Incoming)


class _Subscribe(Outgoing, frozen=True, tag="subscribe"):
    id: str
    payload: Operation


class _Complete(Outgoing, frozen=True, tag="complete"):
    id: str


class _Ping(Outgoing, frozen=True, tag="ping"):
    payload: Maybe = msgspec.UNSET


class _Pong(Outgoing, frozen=True, tag="pong"):
    payload: Maybe = msgspec.UNSET


class GraphQLTransportWS(msgspec.Struct, frozen=True):
    """The subprotocol as a value: hand ``GRAPHQL_TRANSPORT_WS`` to a transport."""

    subprotocol: str = "graphql-transport-ws"
    is_default: bool = False
    liveness_from_keep_alive: bool = False

    def codec(self, json: JSON) -> Codec:
        """A new codec, for one connection."""
        return _TransportWSCodec(json)


GRAPHQL_TRANSPORT_WS = GraphQLTransportWS()


class _TransportWSCodec:
    __slots__ = ("_increment", "_json", "_read", "_state")

    def __init__(self, json: JSON) -> None:
        self._json = json
        self._read = message_reader(_DECODER, json)
        self._state = State.UNACKNOWLEDGED
        self._increment = increment_reader(json)

    def connection_init(self, payload: Any) -> bytes:
        return encode(ConnectionInit(value_or_unset(self._json, payload, "init_payload")))

    def subscribe(self, id: str, request: GraphQLRequest) -> bytes:
        return encode(_Subscribe(id, operation(self._json, request)))

    def complete(self, id: str) -> bytes:
        return encode(_Complete(id))

    def ping(self, payload: Any = None) -> bytes:
        return encode(_Ping(value_or_unset(self._json, payload, "payload")))

    def pong(self, payload: Any = None) -> bytes:
        return encode(_Pong(value_or_unset(self._json, payload, "payload")))

    def terminate(self) -> None:
        return None  # the closing handshake says it all

    def receive(self, message: bytes | str) -> Event:
        try:
            event = self._read(message)
        except (ValueError, RecursionError) as exc:
            event = read_replacing_surrogates(self._read, message, exc)
        self._state = step(self._state, event)
        return event

    def receive_many(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        found = read_many(self._read, messages, self._state)
        return map(self.receive, messages) if found is None else found

    def increment(self, message: bytes | str) -> Mapping[str, Any]:
        return self._increment(message)
