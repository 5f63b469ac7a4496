"""The async fixtures for pytest-asyncio.

pytest-asyncio runs the two halves of a fixture in different tasks. So what is entered in the first
and left in the second lives in a task of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Literal

import pytest_asyncio

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from ..client import Client
    from ..session.session import Session
    from .server import GraphQLServer

__all__: list[str] = []


def _fixtures(
    loop_scope: Literal["function", "class", "module", "package", "session"],
) -> dict[str, Any]:
    """Return the fixtures, by name, for tests that run in a loop of this scope."""
    server_name, session_name = (
        f"_graphql_server_{loop_scope}",
        f"_graphql_session_{loop_scope}",
    )

    @pytest_asyncio.fixture(loop_scope=loop_scope, name=server_name)
    async def server(graphql_schema: GraphQLSchema) -> AsyncGenerator[GraphQLServer]:
        from .holding import Held
        from .server import GraphQLServer

        async with Held(GraphQLServer(graphql_schema)) as server:
            yield server

    @pytest_asyncio.fixture(loop_scope=loop_scope, name=session_name)
    async def session(graphql_client: Client) -> AsyncGenerator[Session]:
        from .holding import Held

        async with Held(graphql_client) as session:
            yield session

    return {server_name: server, session_name: session}


for _loop_scope in ("function", "class", "module", "package", "session"):
    globals().update(_fixtures(_loop_scope))
