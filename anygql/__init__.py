"""A GraphQL client for structured concurrency: one code path under asyncio and trio.

Each name is imported when it is first used. So using WebSocket does not import HTTP, and without a
schema no schema code is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

if TYPE_CHECKING:
    from . import blocking as blocking
    from .appsync.protocol import AppSync
    from .appsync.transport import AppSyncTransport
    from .client import Client, execute
    from .delivery.arguments import TransportArgs
    from .documents.files import FileVar
    from .documents.request import GraphQLRequest, gql
    from .exceptions import (
        SubscriptionOverflow,
        TransportClosed,
        TransportConnectionFailed,
        TransportConnectionRefused,
        TransportConnectTimeout,
        TransportError,
        TransportInvalidURL,
        TransportProtocolError,
        TransportQueryError,
        TransportServerError,
        TransportTimeout,
    )
    from .http import HTTPTransport
    from .http.persisted import document_id
    from .json import JSON
    from .local import LocalSchemaTransport
    from .protocols import GRAPHQL_TRANSPORT_WS, GRAPHQL_WS
    from .protocols.phoenix import PHOENIX, Phoenix
    from .results.result import ExecutionResult
    from .results.types import ResultTypeError
    from .schema import (
        GraphQLValidationError,
        IntrospectionError,
        IntrospectionOptions,
        VariableError,
        build_client_schema,
        load_schema,
        update_schema_enum,
        update_schema_scalar,
        update_schema_scalars,
    )
    from .session.auth.refreshing import Refreshing, default_refused
    from .session.events import (
        Closed,
        Connected,
        Connecting,
        Disconnected,
        SessionEvent,
        SessionState,
    )
    from .session.interceptors.deduplicate import Deduplicate
    from .session.interceptors.operation import (
        Call,
        Interceptor,
        Operation,
        SubscriptionInterceptor,
    )
    from .session.options import ConnectOptions, PermanentOptions
    from .session.pages import Page, Pages
    from .session.policy import is_retryable
    from .session.session import Session
    from .session.sharing import SharedSubscription
    from .session.split import SplitTransport
    from .session.subscription import Subscription
    from .version import __version__ as __version__
    from .websocket.sockets.base import Connector
    from .websocket.sockets.stream import StreamConnector
    from .websocket.sockets.trio_websocket import trio_websocket_connector
    from .websocket.transport import ConnectArgs, WebSocketTransport

#: The module of each name; type checkers read the imports above.
_MODULES = {
    ".appsync.protocol": ("AppSync",),
    ".appsync.transport": ("AppSyncTransport",),
    ".blocking": ("blocking",),
    ".client": ("Client", "execute"),
    ".delivery.arguments": ("TransportArgs",),
    ".documents.files": ("FileVar",),
    ".documents.request": ("GraphQLRequest", "gql"),
    ".exceptions": (
        "SubscriptionOverflow",
        "TransportClosed",
        "TransportConnectTimeout",
        "TransportConnectionFailed",
        "TransportConnectionRefused",
        "TransportError",
        "TransportInvalidURL",
        "TransportProtocolError",
        "TransportQueryError",
        "TransportServerError",
        "TransportTimeout",
    ),
    ".http": ("HTTPTransport",),
    ".http.persisted": ("document_id",),
    ".json": ("JSON",),
    ".local": ("LocalSchemaTransport",),
    ".protocols": ("GRAPHQL_TRANSPORT_WS", "GRAPHQL_WS"),
    ".protocols.phoenix": ("PHOENIX", "Phoenix"),
    ".results.result": ("ExecutionResult",),
    ".results.types": ("ResultTypeError",),
    ".schema": (
        "GraphQLValidationError",
        "IntrospectionError",
        "IntrospectionOptions",
        "VariableError",
        "build_client_schema",
        "load_schema",
        "update_schema_enum",
        "update_schema_scalar",
        "update_schema_scalars",
    ),
    ".session.auth.refreshing": ("Refreshing", "default_refused"),
    ".session.interceptors.deduplicate": ("Deduplicate",),
    ".session.events": (
        "Closed",
        "Connected",
        "Connecting",
        "Disconnected",
        "SessionEvent",
        "SessionState",
    ),
    ".session.interceptors.operation": (
        "Call",
        "Interceptor",
        "Operation",
        "SubscriptionInterceptor",
    ),
    ".session.options": ("ConnectOptions", "PermanentOptions"),
    ".session.pages": ("Page", "Pages"),
    ".session.policy": ("is_retryable",),
    ".session.session": ("Session",),
    ".session.sharing": ("SharedSubscription",),
    ".session.split": ("SplitTransport",),
    ".session.subscription": ("Subscription",),
    ".version": ("__version__",),
    ".websocket.sockets.base": ("Connector",),
    ".websocket.sockets.stream": ("StreamConnector",),
    ".websocket.sockets.trio_websocket": ("trio_websocket_connector",),
    ".websocket.transport": ("ConnectArgs", "WebSocketTransport"),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)

__all__ = [
    "GRAPHQL_TRANSPORT_WS",
    "GRAPHQL_WS",
    "JSON",
    "PHOENIX",
    "AppSync",
    "AppSyncTransport",
    "Call",
    "Client",
    "Closed",
    "ConnectArgs",
    "ConnectOptions",
    "Connected",
    "Connecting",
    "Connector",
    "Deduplicate",
    "Disconnected",
    "ExecutionResult",
    "FileVar",
    "GraphQLRequest",
    "GraphQLValidationError",
    "HTTPTransport",
    "Interceptor",
    "IntrospectionError",
    "IntrospectionOptions",
    "LocalSchemaTransport",
    "Operation",
    "Page",
    "Pages",
    "PermanentOptions",
    "Phoenix",
    "Refreshing",
    "ResultTypeError",
    "Session",
    "SessionEvent",
    "SessionState",
    "SharedSubscription",
    "SplitTransport",
    "StreamConnector",
    "Subscription",
    "SubscriptionInterceptor",
    "SubscriptionOverflow",
    "TransportArgs",
    "TransportClosed",
    "TransportConnectTimeout",
    "TransportConnectionFailed",
    "TransportConnectionRefused",
    "TransportError",
    "TransportInvalidURL",
    "TransportProtocolError",
    "TransportQueryError",
    "TransportServerError",
    "TransportTimeout",
    "VariableError",
    "WebSocketTransport",
    "build_client_schema",
    "default_refused",
    "document_id",
    "execute",
    "gql",
    "is_retryable",
    "load_schema",
    "trio_websocket_connector",
    "update_schema_enum",
    "update_schema_scalar",
    "update_schema_scalars",
]
