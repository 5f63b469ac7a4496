"""A GraphQL client for structured concurrency: one code path under asyncio and trio."""

from __future__ import annotations

from .client import Client
from .exceptions import (
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
)
from .protocols import GRAPHQL_TRANSPORT_WS, GRAPHQL_WS
from .reconnecting import is_retryable
from .request import GraphQLRequest, gql
from .result import ExecutionResult
from .session import Session
from .sockets.stream import StreamConnector
from .sockets.trio_websocket import trio_websocket_connector
from .states import Closed, Connected, Connecting, Disconnected, SessionEvent, SessionState
from .subscription import Subscription
from .transports.http import HTTPTransport
from .transports.websocket import WebSocketTransport
from .uploads import FileVar

__all__ = [
    "GRAPHQL_TRANSPORT_WS",
    "GRAPHQL_WS",
    "Client",
    "Closed",
    "Connected",
    "Connecting",
    "Disconnected",
    "ExecutionResult",
    "FileVar",
    "GraphQLRequest",
    "HTTPTransport",
    "Session",
    "SessionEvent",
    "SessionState",
    "StreamConnector",
    "Subscription",
    "SubscriptionOverflow",
    "TransportClosed",
    "TransportConnectTimeout",
    "TransportConnectionFailed",
    "TransportError",
    "TransportInvalidURL",
    "TransportProtocolError",
    "TransportQueryError",
    "TransportServerError",
    "TransportTimeout",
    "WebSocketTransport",
    "gql",
    "is_retryable",
    "trio_websocket_connector",
]
