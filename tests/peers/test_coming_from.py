"""What docs/from-graphql-ws.md says of a mutation whose connection is lost, by both clients."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from graphql import GraphQLSchema, build_schema

from anygql import Client, TransportConnectionFailed
from anygql.testing import GraphQLServer
from tests.peers.node import HERE, node

pytestmark = pytest.mark.table  # the client that matters runs in a process of its own


class Shop:
    """Pays at once; the first payment is never answered."""

    def __init__(self) -> None:
        self.payments = 0

    def schema(self) -> GraphQLSchema:
        schema = build_schema("type Query { ok: Boolean } type Mutation { pay: Int! }")
        fields: Any = schema.type_map["Mutation"]
        fields.fields["pay"].resolve = self.pay
        return schema

    async def pay(self, _root: Any, _info: Any) -> int:
        self.payments += 1
        if self.payments == 1:
            await anyio.sleep_forever()
        return self.payments


async def lose_first(server: GraphQLServer) -> None:
    """Break the first connection once the mutation has run."""
    connection = await server.wait_connection()
    await connection.wait_operations(1)
    connection.reset()


async def test_graphql_ws_sends_the_mutation_again() -> None:
    program, shop = node(), Shop()
    async with GraphQLServer(shop.schema()) as server, anyio.create_task_group() as tg:
        tg.start_soon(lose_first, server)
        command = [program, "pay.mjs", await server.listen()]
        done = await anyio.run_process(command, cwd=HERE)
    assert done.stdout.decode() == '{"data":{"pay":2}}\n'
    assert shop.payments == 2


async def test_anygql_raises() -> None:
    shop = Shop()
    async with GraphQLServer(shop.schema()) as server:
        async with Client(await server.listen()).connect(reconnecting=True) as session:
            async with anyio.create_task_group() as tg:
                tg.start_soon(lose_first, server)
                try:
                    await session.execute("mutation { pay }")
                except TransportConnectionFailed as error:
                    assert not error.unsent
                else:
                    raise AssertionError("the mutation was answered")
            await session.wait_connected()
    assert shop.payments == 1
