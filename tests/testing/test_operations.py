"""``@defer`` and ``@stream`` against the server, in both subprotocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from graphql import (
    GraphQLDeferDirective,
    GraphQLSchema,
    GraphQLStreamDirective,
    build_schema,
    specified_directives,
)

from anygql import Client, TransportConnectionFailed, TransportQueryError
from anygql.testing import GraphQLServer

T = "graphql-transport-ws"
L = "graphql-ws"

SDL = """
  type Query { hero(id: Int = 1): Hero  numbers: [Int]  plain: Int }
  type Hero { id: Int  name: String  slow: String  fails: String  must: Int! }
  type Subscription { hero: Hero }
"""
DEFERRED = "{ hero { name ... @defer { slow } } }"
STREAMED = "{ numbers @stream(initialCount: 1) }"

both = pytest.mark.parametrize("subprotocol", [T, L])


def incremental_schema() -> GraphQLSchema:
    schema = build_schema(SDL)
    schema.directives = (*specified_directives, GraphQLDeferDirective, GraphQLStreamDirective)
    return schema


class Root:
    """Resolvers that wait at a gate, and tell how they have ended."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.begun = anyio.Event()
        self.ended = anyio.Event()
        self.asked = 0
        self.endless = False

    def hero(self, _info: Any, id: int) -> dict[str, Any]:
        return {"id": id, "name": "Ada", "slow": self.slow, "fails": self.fails}

    async def slow(self, _info: Any) -> str:
        self.begun.set()
        try:
            await self.gate.wait()
        finally:
            self.ended.set()
        return "at last"

    async def fails(self, _info: Any) -> str:
        raise ValueError("no answer")

    async def numbers(self, _info: Any) -> AsyncIterator[int]:
        try:
            while self.endless or self.asked < 3:
                await anyio.sleep(0)
                self.asked += 1
                yield self.asked
                if self.asked == 2 and not self.endless:
                    await self.gate.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            self.ended.set()


def serving(root: Root, **options: Any) -> GraphQLServer:
    return GraphQLServer(incremental_schema(), root_value=root, **options)


@both
async def test_deferred_parts_come_when_they_are_there(subprotocol: str) -> None:
    root = Root()
    async with (
        serving(root) as server,
        Client(server.transport(protocol=subprotocol)) as session,
    ):
        async with session.execute_incremental(DEFERRED) as states:
            assert await states.receive() == {"hero": {"name": "Ada"}}
            root.gate.set()
            assert await states.receive() == {"hero": {"name": "Ada", "slow": "at last"}}
            with pytest.raises(anyio.EndOfStream):
                await states.receive()
        assert await session.execute(DEFERRED) == {"hero": {"name": "Ada", "slow": "at last"}}
        (connection,) = server.connections
        await connection.wait_operations(0)


@both
async def test_streamed_items_come_when_they_are_there(subprotocol: str) -> None:
    root = Root()
    async with (
        serving(root) as server,
        Client(server.transport(protocol=subprotocol)) as session,
    ):
        async with session.execute_incremental(STREAMED) as states:
            assert await states.receive() == {"numbers": [1]}
            while await states.receive() != {"numbers": [1, 2]}:
                pass
            root.gate.set()
            assert [data["numbers"] async for data in states][-1] == [1, 2, 3]
        await root.ended.wait()


@pytest.mark.parametrize(("subprotocol", "kind"), [(T, "next"), (L, "data")])
async def test_the_payloads_on_the_wire(raw_client: Any, subprotocol: str, kind: str) -> None:
    root = Root()
    root.gate.set()
    begin = "subscribe" if subprotocol == T else "start"
    async with serving(root) as server, raw_client(server.open_stream, subprotocol) as client:
        await client.init()
        await client.send({"id": "1", "type": begin, "payload": {"query": DEFERRED}})
        assert [await client.receive() for _ in range(3)] == [
            {
                "id": "1",
                "type": kind,
                "payload": {
                    "data": {"hero": {"name": "Ada"}},
                    "pending": [{"id": "0", "path": ["hero"]}],
                    "hasNext": True,
                },
            },
            {
                "id": "1",
                "type": kind,
                "payload": {
                    "incremental": [{"id": "0", "data": {"slow": "at last"}}],
                    "completed": [{"id": "0"}],
                    "hasNext": False,
                },
            },
            {"id": "1", "type": "complete"},
        ]


@pytest.mark.parametrize(("subprotocol", "stop"), [(T, "complete"), (L, "stop")])
@pytest.mark.parametrize("document", [DEFERRED, STREAMED])
async def test_leaving_stops_it_on_the_server(subprotocol: str, stop: str, document: str) -> None:
    root = Root()
    root.endless = True
    async with (
        serving(root) as server,
        Client(server.transport(protocol=subprotocol)) as session,
    ):
        connection = await server.wait_connection()
        async with session.execute_incremental(document) as states:
            await states.receive()
            assert len(connection.operations) == 1
        await connection.wait_received(stop)
        await connection.wait_operations(0)
        if document == STREAMED or root.begun.is_set():
            await root.ended.wait()
        root.endless = False
        assert await session.execute("{ plain }") == {"plain": None}


@both
async def test_canceling_the_call_stops_it_on_the_server(subprotocol: str) -> None:
    root = Root()
    async with (
        serving(root) as server,
        Client(server.transport(protocol=subprotocol)) as session,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(session.execute, DEFERRED)
        await root.begun.wait()
        tg.cancel_scope.cancel()
    with anyio.CancelScope(shield=True):
        await root.ended.wait()


@pytest.mark.parametrize("document", [DEFERRED, STREAMED])
async def test_the_end_of_the_connection_stops_it(document: str) -> None:
    root = Root()
    root.endless = True
    async with serving(root) as server, Client(server.transport()) as session:
        async with session.execute_incremental(document, buffer_size=1) as states:
            await states.receive()
            if document == DEFERRED:
                await root.begun.wait()
            (connection,) = server.connections
            connection.reset()
            await root.ended.wait()
            assert connection.operations == []
            with pytest.raises(TransportConnectionFailed):
                while True:
                    await states.receive()


async def test_a_streamed_list_waits_for_a_client_that_does_not_read(raw_client: Any) -> None:
    root = Root()
    root.endless = True
    async with (
        serving(root, buffer_size=2**12) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        await client.send({"id": "1", "type": "subscribe", "payload": {"query": STREAMED}})
        await anyio.wait_all_tasks_blocked()
        asked = root.asked
        assert 1 < asked < 5_000
        await anyio.wait_all_tasks_blocked()
        assert root.asked == asked
        while root.asked == asked:
            await client.receive()
        await client.send({"id": "1", "type": "complete"})
        async with anyio.create_task_group() as tg:

            async def drain() -> None:
                while True:
                    await client.receive()

            tg.start_soon(drain)
            await root.ended.wait()
            await server.connections[0].wait_operations(0)
            tg.cancel_scope.cancel()


async def test_errors_of_a_part() -> None:
    async with serving(Root()) as server, Client(server.transport()) as session:
        result = await session.execute_result("{ hero { name ... @defer { fails } } }")
        assert result.data == {"hero": {"name": "Ada", "fails": None}}
        assert [error["message"] for error in result.errors or []] == ["no answer"]
        result = await session.execute_result("{ hero { name ... @defer { must } } }")
        assert result.data == {"hero": {"name": "Ada"}}
        assert "non-nullable" in (result.errors or [])[0]["message"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("query($id: Int) { hero(id: $id) { ... @defer { id } } }", r"\$id"),
        ("{ hero { nothing ... @defer { id } } }", "Cannot query field"),
    ],
)
async def test_a_request_that_fails(document: str, words: str) -> None:
    async with serving(Root()) as server, Client(server.transport()) as session:
        variables = {"id": "x"} if "$id" in document else None
        with pytest.raises(TransportQueryError, match=words):
            await session.execute(document, variables)


async def test_a_subscription_can_not_be_incremental() -> None:
    schema = incremental_schema()

    async def events(_root: Any, _info: Any) -> AsyncIterator[Any]:
        yield {"hero": {"id": 1}}

    assert schema.subscription_type is not None
    schema.subscription_type.fields["hero"].subscribe = events
    async with GraphQLServer(schema) as server, Client(server.transport()) as session:
        async with session.subscribe("subscription { hero { ... @defer { id } } }") as results:
            with pytest.raises(TransportQueryError, match="not supported on subscription"):
                await results.receive()


async def test_a_schema_without_the_directives() -> None:
    async with (
        GraphQLServer(build_schema(SDL)) as server,
        Client(server.transport()) as session,
    ):
        with pytest.raises(TransportQueryError, match="Unknown directive '@defer'"):
            await session.execute(DEFERRED)
