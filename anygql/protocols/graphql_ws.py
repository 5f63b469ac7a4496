"""``graphql-ws``: the legacy subprotocol, of Apollo's ``subscriptions-transport-ws``.

https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from ..results.result import ExecutionResult, UndecodedResult
from .base import Codec, SubscriptionProtocol
from .events import Ack, Complete, Error, Event, KeepAlive, Next, Refusal, UndecodedNext
from .messages import ClientMessage, MessageCodec, encode, operation_payload

__all__ = ["GRAPHQL_WS", "GraphQLWS"]


class _Data(msgspec.Struct, frozen=True, tag_field="type", tag="data"):
    id: str
    payload: ExecutionResult


class _UndecodedData(msgspec.Struct, frozen=True, tag_field="type", tag="data"):
    id: str
    payload: UndecodedResult


class _Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    payload: Any = None
    id: str | None = None


_Other: TypeAlias = Ack | Refusal | KeepAlive | Complete | _Error
_ServerMessage: TypeAlias = _Data | _UndecodedData | _Other

_DECODER: msgspec.json.Decoder[_ServerMessage] = msgspec.json.Decoder(_Data | _Other)
_UNDECODED: msgspec.json.Decoder[_ServerMessage] = msgspec.json.Decoder(_UndecodedData | _Other)


class GraphQLWS(SubscriptionProtocol, msgspec.Struct, frozen=True):
    """The subprotocol as a value: hand ``GRAPHQL_WS`` to a transport."""

    subprotocols: Sequence[str] = ("graphql-ws",)
    is_default: bool = True

    def codec(self, json: JSON) -> Codec:
        """Return a new codec, for one connection."""
        return _LegacyCodec(json, _DECODER, _UNDECODED)


GRAPHQL_WS = GraphQLWS()


def _event(received: _ServerMessage) -> Event:
    if isinstance(received, _Data):
        return Next(received.id, received.payload)
    if isinstance(received, _UndecodedData):
        return UndecodedNext(received.id, received.payload)
    if isinstance(received, _Error):
        if received.id is None:  # about a message of ours that the server could not read
            return Refusal(received.payload)
        return Error(received.id, received.payload)
    return received


class _LegacyCodec(MessageCodec[_ServerMessage]):
    __slots__ = ()

    has_keep_alive_messages = True
    _result_type = "data"
    _ignores_unknown = True  # the specification doesn't say what to do with other messages

    def _events(self, received: Sequence[_ServerMessage]) -> Iterable[Event]:
        return map(_event, received)

    def subscribe(self, id: str, request: GraphQLRequest, authorization: Any = None) -> bytes:
        return encode(ClientMessage("start", id, operation_payload(self._json, request)))

    def complete(self, id: str) -> bytes:
        return encode(ClientMessage("stop", id))

    def terminate(self) -> Sequence[bytes]:
        return [encode(ClientMessage("connection_terminate"))]
