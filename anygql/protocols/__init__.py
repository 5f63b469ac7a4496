"""The protocols of GraphQL over WebSocket, as values, and what to write one of your own with."""

from __future__ import annotations

from ..exceptions import ProtocolViolation
from .base import ALL_OPERATIONS, Codec, Prepared, Secret, SubscriptionProtocol
from .close_codes import CloseCode
from .events import (
    NOTHING,
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
from .graphql_transport_ws import GRAPHQL_TRANSPORT_WS, GraphQLTransportWS
from .graphql_ws import GRAPHQL_WS, GraphQLWS
from .messages import result_event

__all__ = [
    "ALL_OPERATIONS",
    "GRAPHQL_TRANSPORT_WS",
    "GRAPHQL_WS",
    "NOTHING",
    "Ack",
    "CloseCode",
    "Codec",
    "Complete",
    "Ended",
    "Error",
    "Event",
    "Failed",
    "GraphQLTransportWS",
    "GraphQLWS",
    "KeepAlive",
    "Malformed",
    "Next",
    "Ping",
    "Pong",
    "Prepared",
    "ProtocolViolation",
    "Refusal",
    "Rejection",
    "Say",
    "Secret",
    "Several",
    "Started",
    "SubscriptionProtocol",
    "UndecodedNext",
    "Unknown",
    "result_event",
]
