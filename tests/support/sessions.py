"""Fixtures: servers, and clients of them over real sockets, on each loop and connector."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from anygql import Client, WebSocketTransport
from anygql.testing import GraphQLServer, demo_schema
from anygql.websocket.sockets.base import Connector
from tests.support import diary
from tests.support.clients import split_options
from tests.support.diary import Backend, OverWebSocket

Make = Callable[..., Client]


@pytest.fixture
async def server(bounded: None) -> AsyncIterator[GraphQLServer]:
    async with GraphQLServer(demo_schema()) as server:
        yield server


@pytest.fixture
async def make(server: GraphQLServer, connector: Connector) -> Make:
    """Make a client of the server; options with the name of one of Client's go to it."""
    url = await server.listen()

    def make(**options: object) -> Client:
        of_client, of_transport = split_options(options)
        return Client(WebSocketTransport(url, connector=connector, **of_transport), **of_client)

    return make


@pytest.fixture
async def memory(server: GraphQLServer) -> Client:
    """A client of the server without sockets, for what doesn't depend on them."""
    return Client(server.transport())


# The diary: a schema with everything in it, behind each kind of transport.


@pytest.fixture(params=["websocket", "http", "local"])
async def way(request: pytest.FixtureRequest, bounded: None) -> AsyncIterator[Backend]:
    async with diary.backend(request.param) as way:
        yield way


@pytest.fixture(params=["websocket", "local"])
async def streaming(request: pytest.FixtureRequest, bounded: None) -> AsyncIterator[Backend]:
    async with diary.backend(request.param) as way:
        yield way


@pytest.fixture
async def websocket(bounded: None) -> AsyncIterator[OverWebSocket]:
    async with GraphQLServer(diary.served()) as server:
        yield OverWebSocket(server)
