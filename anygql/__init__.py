"""A GraphQL client for structured concurrency: one code path under asyncio and trio.

Each name is loaded when it is first used: who speaks WebSocket doesn't load HTTP, and without a
schema nothing of schemas is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Client
    from .documents.files import FileVar
    from .documents.request import GraphQLRequest, gql
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
    from .http import HTTPTransport
    from .local import LocalSchemaTransport
    from .protocols import GRAPHQL_TRANSPORT_WS, GRAPHQL_WS
    from .results.result import ExecutionResult
    from .results.types import ResultTypeError
    from .schema import (
        GraphQLValidationError,
        IntrospectionOptions,
        build_client_schema,
        load_schema,
        update_schema_enum,
        update_schema_scalar,
        update_schema_scalars,
    )
    from .session.events import (
        Closed,
        Connected,
        Connecting,
        Disconnected,
        SessionEvent,
        SessionState,
    )
    from .session.session import Session
    from .session.subscription import Subscription
    from .session.supervisor import is_retryable
    from .websocket.sockets.stream import StreamConnector
    from .websocket.sockets.trio_websocket import trio_websocket_connector
    from .websocket.transport import WebSocketTransport

#: The module of each name, for ``__getattr__``; type checkers read the imports above.
_MODULES = {
    ".client": ("Client",),
    ".exceptions": (
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
    ),
    ".protocols": ("GRAPHQL_TRANSPORT_WS", "GRAPHQL_WS"),
    ".session.supervisor": ("is_retryable",),
    ".documents.request": ("GraphQLRequest", "gql"),
    ".results.result": ("ExecutionResult",),
    ".schema": (
        "GraphQLValidationError",
        "IntrospectionOptions",
        "build_client_schema",
        "load_schema",
        "update_schema_enum",
        "update_schema_scalar",
        "update_schema_scalars",
    ),
    ".session.session": ("Session",),
    ".websocket.sockets.stream": ("StreamConnector",),
    ".websocket.sockets.trio_websocket": ("trio_websocket_connector",),
    ".session.events": (
        "Closed",
        "Connected",
        "Connecting",
        "Disconnected",
        "SessionEvent",
        "SessionState",
    ),
    ".session.subscription": ("Subscription",),
    ".http": ("HTTPTransport",),
    ".local": ("LocalSchemaTransport",),
    ".websocket.transport": ("WebSocketTransport",),
    ".results.types": ("ResultTypeError",),
    ".documents.files": ("FileVar",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

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


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
