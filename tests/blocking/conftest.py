"""Servers in a thread of their own, and blocking clients of them on each loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from anygql.blocking import Client
from anygql.testing import GraphQLServer, ServerConnection, demo_schema

Make = Callable[..., Client]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """The loop of the session's thread."""
    return str(request.param)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """The servers' thread."""
    with start_blocking_portal() as portal:
        yield portal


class Served:
    """A server that runs in another thread."""

    def __init__(self, portal: BlockingPortal, server: GraphQLServer) -> None:
        self.portal = portal
        self.server = server
        self.url = portal.call(server.listen)

    def connection(self, count: int = 1) -> ServerConnection:
        return self.portal.call(self.server.wait_connection, count)

    def wait_received(self, kind: str, count: int = 1, connection: int = 1) -> None:
        self.portal.call(self.connection(connection).wait_received, kind, count)

    def wait_operations(self, count: int, connection: int = 1) -> None:
        self.portal.call(self.connection(connection).wait_operations, count)

    def wait_closed(self, connection: int = 1) -> tuple[int, str]:
        return self.portal.call(self.connection(connection).wait_closed)

    def drop_connections(self) -> None:
        self.portal.call(self.server.drop_connections)

    def completes(self, count: int = 1) -> int:
        """Return how often a client has told the server that an operation is over."""
        received = list(self.connection(count).received)
        return [message["type"] for message in received].count("complete")


@pytest.fixture
def served(portal: BlockingPortal) -> Iterator[Served]:
    with portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server:
        yield Served(portal, server)


@pytest.fixture
def make(served: Served, backend: str) -> Make:
    def make(**options: Any) -> Client:
        return Client(served.url, backend=backend, **options)

    return make
