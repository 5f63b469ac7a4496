"""``graphql-transport-ws``: the subprotocol of today's servers.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from .base import Codec, SubscriptionProtocol
from .events import (
    Ack,
    Complete,
    Error,
    Event,
    KeepAlive,
    Next,
    Ping,
    Pong,
    Refusal,
    UndecodedNext,
)
from .messages import (
    ClientMessage,
    MessageCodec,
    encode,
    operation_payload,
    value_or_unset,
)

__all__ = ["GRAPHQL_TRANSPORT_WS", "GraphQLTransportWS"]

# The specification has no `connection_error` and no `ka`. Mercurius sends the one here too, and
# servers that speak both subprotocols the other.
_Other: TypeAlias = Ack | Error | Complete | Ping | Pong | KeepAlive | Refusal
_ServerMessage: TypeAlias = Next | UndecodedNext | _Other

_DECODER: msgspec.json.Decoder[_ServerMessage] = msgspec.json.Decoder(Next | _Other)
_UNDECODED: msgspec.json.Decoder[_ServerMessage] = msgspec.json.Decoder(UndecodedNext | _Other)


class GraphQLTransportWS(SubscriptionProtocol, msgspec.Struct, frozen=True):
    """The subprotocol as a value: hand ``GRAPHQL_TRANSPORT_WS`` to a transport."""

    subprotocols: Sequence[str] = ("graphql-transport-ws",)

    def codec(self, json: JSON) -> Codec:
        """Return a new codec, for one connection."""
        return _TransportWSCodec(json, _DECODER, _UNDECODED)


GRAPHQL_TRANSPORT_WS = GraphQLTransportWS()


class _TransportWSCodec(MessageCodec[_ServerMessage]):
    __slots__ = ()

    _result_type = "next"

    def _events(self, received: Sequence[_ServerMessage]) -> Sequence[Event]:
        return received

    def subscribe(self, id: str, request: GraphQLRequest, authorization: Any = None) -> bytes:
        return encode(ClientMessage("subscribe", id, operation_payload(self._json, request)))

    def complete(self, id: str) -> bytes:
        return encode(ClientMessage("complete", id))

    def ping(self, payload: Any = None) -> bytes:
        payload = value_or_unset(self._json, payload, "payload")
        return encode(ClientMessage("ping", payload=payload))

    def pong(self, payload: Any = None) -> bytes:
        payload = value_or_unset(self._json, payload, "payload")
        return encode(ClientMessage("pong", payload=payload))
