"""AppSync over HTTP: one whole operation a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ..delivery.buffering import Delivery
from ..delivery.interfaces import AnyTransportArgs
from ..documents.request import GraphQLRequest
from ..http.connection import HTTPConnection
from ..http.transport import HTTPTransport

__all__ = ["AppSyncHTTPTransport"]


class AppSyncHTTPTransport(HTTPTransport):
    """The transport for queries and mutations to AppSync, as ``AppSyncTransport`` makes it."""

    def connect(self) -> HTTPConnection:
        """Return a connection for one session."""
        return _Connection(self)


class _Connection(HTTPConnection):
    """Refuses what AppSync would answer with an error, before anything is sent."""

    def may_batch(self, request: GraphQLRequest) -> bool:
        """Return False: ``batch_interval`` collects nothing, and each call is sent by itself."""
        return False

    async def execute_batch(
        self, requests: Sequence[GraphQLRequest], transport_args: AnyTransportArgs = None
    ) -> NoReturn:
        """Raise ``TypeError``."""
        raise TypeError("AppSync takes no batches: execute() each operation, from tasks of yours")

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> NoReturn:
        """Raise ``TypeError``."""
        raise TypeError("AppSync has no @defer and @stream: use execute(), without them")
