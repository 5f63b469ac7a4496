"""A GraphQL client for structured concurrency: one code path under asyncio and trio.

Each name is loaded when it is first used: who speaks WebSocket doesn't load HTTP, and without a
schema nothing of schemas is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    ".reconnecting": ("is_retryable",),
    ".request": ("GraphQLRequest", "gql"),
    ".result": ("ExecutionResult",),
    ".schema": (
        "GraphQLValidationError",
        "IntrospectionOptions",
        "build_client_schema",
        "load_schema",
        "update_schema_enum",
        "update_schema_scalar",
        "update_schema_scalars",
    ),
    ".session": ("Session",),
    ".sockets.stream": ("StreamConnector",),
    ".sockets.trio_websocket": ("trio_websocket_connector",),
    ".states": (
        "Closed",
        "Connected",
        "Connecting",
        "Disconnected",
        "SessionEvent",
        "SessionState",
    ),
    ".subscription": ("Subscription",),
    ".transports.http": ("HTTPTransport",),
    ".transports.local": ("LocalSchemaTransport",),
    ".transports.websocket": ("WebSocketTransport",),
    ".typed": ("ResultTypeError",),
    ".uploads": ("FileVar",),
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
