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
from .schema import (
    GraphQLValidationError,
    IntrospectionOptions,
    build_client_schema,
    load_schema,
    update_schema_enum,
    update_schema_scalar,
    update_schema_scalars,
)
from .session import Session
from .sockets.stream import StreamConnector
from .sockets.trio_websocket import trio_websocket_connector
from .states import Closed, Connected, Connecting, Disconnected, SessionEvent, SessionState
from .subscription import Subscription
from .transports.http import HTTPTransport
from .transports.local import LocalSchemaTransport
from .transports.websocket import WebSocketTransport
from .typed import ResultTypeError
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
    "GraphQLValidationError",
    "HTTPTransport",
    "IntrospectionOptions",
    "LocalSchemaTransport",
    "ResultTypeError",
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
    "build_client_schema",
    "gql",
    "is_retryable",
    "load_schema",
    "trio_websocket_connector",
    "update_schema_enum",
    "update_schema_scalar",
    "update_schema_scalars",
]
