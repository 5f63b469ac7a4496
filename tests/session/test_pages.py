"""Pages: every node once, no more requests than needed, and an end to a cursor that is stuck."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema

from anygql import (
    Client,
    LocalSchemaTransport,
    Page,
    Pages,
    ResultTypeError,
    Session,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
)
from anygql.testing import GraphQLServer

SDL = """
type Query {
  items(first: Int, after: String, last: Int, before: String): Items
  list(offset: Int): [Item!]
}
type Items { nodes: [Item], edges: [Edge], pageInfo: Info! }
type Edge { node: Item, cursor: String! }
type Item { id: Int!, itemName: String! }
type Info {
  hasNextPage: Boolean!, endCursor: String, hasPreviousPage: Boolean!, startCursor: String
}
"""

NODES = """
query ($after: String, $first: Int) {
  items(first: $first, after: $after) { nodes { id itemName } pageInfo { hasNextPage endCursor } }
}
"""
EDGES = NODES.replace("nodes { id itemName }", "edges { cursor node { id itemName } }")
BACKWARDS = """
query ($before: String, $last: Int = 100) {
  items(last: $last, before: $before) {
    nodes { id itemName } pageInfo { hasPreviousPage startCursor }
  }
}
"""
#: It uses the cursor, but not where it should.
STUCK = """
query ($after: String) {
  items { nodes { id } pageInfo { hasNextPage endCursor } }
  other: items(first: 0, after: $after) { pageInfo { endCursor } }
}
"""


class Source:
    """A list of items, which counts what it is asked."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.requests = 0
        self.fail_on: dict[int, Exception] = {}
        self.change: Callable[[dict[str, Any]], None] = lambda info: None
        self.hold: anyio.Event | None = None

    def schema(self) -> GraphQLSchema:
        schema = build_schema(SDL)
        query: Any = schema.type_map["Query"]
        query.fields["items"].resolve = self.items
        query.fields["list"].resolve = self.listed
        return schema

    def node(self, index: int) -> Any:
        error = self.fail_on.get(index)
        return {"id": index, "itemName": f"item {index}"} if error is None else error

    async def items(
        self,
        _root: Any,
        _info: Any,
        first: int = 100,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Any:
        self.requests += 1
        await anyio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        if last is not None:
            stop = self.count if before is None else int(before)
            indexes = range(max(0, stop - last), stop)
        else:
            start = 0 if after is None else int(after) + 1
            indexes = range(start, min(start + first, self.count))
        info = {
            "hasNextPage": indexes.stop < self.count,
            "endCursor": str(indexes.stop - 1) if indexes else None,
            "hasPreviousPage": indexes.start > 0,
            "startCursor": str(indexes.start) if indexes else None,
        }
        self.change(info)
        nodes = [self.node(index) for index in indexes]
        edges = [{"node": self.node(index), "cursor": str(index)} for index in indexes]
        return {"nodes": nodes, "edges": edges, "pageInfo": info}

    def listed(self, _root: Any, _info: Any, offset: int = 0) -> Any:
        self.requests += 1
        return [self.node(index) for index in range(offset, min(offset + 10, self.count))]


@dataclass
class Item:
    id: int
    item_name: str


def client_of(source: Source, **options: Any) -> Client:
    return Client(LocalSchemaTransport(source.schema()), **options)


@pytest.fixture
def source() -> Source:
    return Source(250)


@pytest.fixture
async def session(source: Source, bounded: None) -> AsyncIterator[Session]:
    async with client_of(source) as session:
        yield session


@pytest.mark.parametrize("prefetch", [0, 1, 3])
@pytest.mark.parametrize("document", [NODES, EDGES], ids=["nodes", "edges"])
async def test_every_node_comes_once(
    source: Source, session: Session, document: str, prefetch: int
) -> None:
    async with session.pages(document, path="items", prefetch=prefetch) as nodes:
        assert nodes.page_info is None
        assert [node["id"] async for node in nodes] == list(range(250))
        assert nodes.page_info == {"hasNextPage": False, "endCursor": "249"}
    assert source.requests == 3


@pytest.mark.parametrize("document", [NODES, EDGES], ids=["nodes", "edges"])
async def test_nodes_have_their_type(session: Session, document: str) -> None:
    pages = session.pages(document, path="items", result_type=Item, camel_case=True)
    async with pages as nodes:
        items = [node async for node in nodes]
    assert items[249] == Item(249, "item 249")


async def test_the_last_node_comes_first_backwards(source: Source, session: Session) -> None:
    async with session.pages(BACKWARDS, path="items", backwards=True) as nodes:
        assert [node["id"] async for node in nodes] == list(reversed(range(250)))
    assert source.requests == 3


async def test_a_function_steps_through_other_pages(source: Source, session: Session) -> None:
    source.count = 35
    offset = 0

    def following(data: Any) -> dict[str, Any] | None:
        nonlocal offset
        offset += 10
        return {"offset": offset} if len(data["list"]) == 10 else None

    document = "query ($offset: Int) { list(offset: $offset) { id } }"
    async with session.pages(document, path="list", next_page=following) as nodes:
        assert [node["id"] async for node in nodes] == list(range(35))
    assert source.requests == 4


async def test_a_function_may_step_through_connections(source: Source, session: Session) -> None:
    def following(data: Any) -> dict[str, Any] | None:
        info = data["items"]["pageInfo"]
        return {"after": info["endCursor"]} if info["hasNextPage"] else None

    async with session.pages(EDGES, path="items", next_page=following) as nodes:
        assert [node["id"] async for node in nodes] == list(range(250))


async def test_whole_pages(source: Source, session: Session) -> None:
    async with session.pages(NODES, {"first": 90}, path="items", result_type=dict[str, Any]) as it:
        pages: list[Page[dict[str, Any]]] = [page async for page in it.pages]
    assert [len(page.nodes) for page in pages] == [90, 90, 70]
    assert pages[0].page_info == {"hasNextPage": True, "endCursor": "89"}
    assert pages[0].result.data["items"]["pageInfo"] == pages[0].page_info


async def test_pages_after_nodes_go_on_with_the_next_page(session: Session) -> None:
    async with session.pages(NODES, path="items") as nodes:
        assert (await anext(nodes))["id"] == 0
        page = await anext(nodes.pages)
        assert page.nodes[0]["id"] == 100
        assert (await anext(nodes))["id"] == 200


async def test_nothing(source: Source, session: Session) -> None:
    source.count = 0
    async with session.pages(NODES, path="items") as nodes:
        assert [node async for node in nodes] == []
        assert nodes.page_info == {"hasNextPage": False, "endCursor": None}
        with pytest.raises(StopAsyncIteration):
            await anext(nodes)
    assert source.requests == 1


class TestTenThousandNodes:
    """However they are consumed: as many requests as pages, and at most one more."""

    @pytest.fixture
    def source(self) -> Source:
        return Source(10_000)

    @pytest.mark.parametrize("prefetch", [0, 1])
    async def test_of_a_consumer_that_sleeps(
        self, source: Source, session: Session, prefetch: int
    ) -> None:
        made = []
        async with session.pages(NODES, {"first": 500}, path="items", prefetch=prefetch) as nodes:
            number = 0
            async for node in nodes:
                assert node["id"] == number
                number += 1
                if number % 500 == 0:
                    await anyio.wait_all_tasks_blocked()
                    made.append(source.requests - number // 500)
        assert number == 10_000
        assert source.requests == 20
        assert made == [prefetch] * 19 + [0]

    @pytest.mark.parametrize("prefetch", [0, 1])
    async def test_of_one_that_stops_early(
        self, source: Source, session: Session, prefetch: int
    ) -> None:
        async with session.pages(NODES, {"first": 500}, path="items", prefetch=prefetch) as nodes:
            async for node in nodes:
                if node["id"] == 1700:
                    await anyio.wait_all_tasks_blocked()
                    break
        assert source.requests == 4 + prefetch

    @pytest.mark.parametrize("prefetch", [0, 1])
    async def test_of_one_that_is_canceled(
        self, source: Source, session: Session, prefetch: int, no_tasks_left: None
    ) -> None:
        seen: list[int] = []
        with anyio.CancelScope() as scope:
            pages = session.pages(NODES, {"first": 500}, path="items", prefetch=prefetch)
            async with pages as nodes:
                async for node in nodes:
                    seen.append(node["id"])
                    if len(seen) == 1200:
                        source.hold = anyio.Event()
                        scope.cancel()
        assert scope.cancelled_caught
        assert 1200 <= len(seen) <= 1500
        assert source.requests <= 4
        source.hold = None
        assert len((await session.execute(NODES))["items"]["nodes"]) == 100


@pytest.mark.parametrize("prefetch", [0, 1])
async def test_canceled_calls_at_the_ends_of_pages_lose_nothing(
    session: Session, prefetch: int
) -> None:
    seen: list[int] = []
    async with session.pages(NODES, path="items", prefetch=prefetch) as nodes:
        while len(seen) < 250:
            if len(seen) % 50 == 0:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    seen.append((await anext(nodes))["id"])
            seen.append((await anext(nodes))["id"])
    assert seen == list(range(250))


async def test_a_canceled_call_loses_nothing(source: Source, session: Session) -> None:
    async with session.pages(NODES, path="items") as nodes:
        assert (await anext(nodes))["id"] == 0
        await anyio.wait_all_tasks_blocked()
        source.hold = anyio.Event()
        for number in range(1, 200):  # the second page is here, the third is under way
            assert (await anext(nodes))["id"] == number
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01) as scope:
            await anext(nodes)
        assert scope.cancelled_caught
        source.hold.set()
        assert [node["id"] async for node in nodes] == list(range(200, 250))
    assert source.requests == 3


async def test_tasks_may_share_pages(source: Source, session: Session) -> None:
    seen: list[int] = []

    async def consume(nodes: Pages[Any]) -> None:
        async for node in nodes:
            seen.append(node["id"])
            if node["id"] % 7 == 0:
                await anyio.lowlevel.checkpoint()

    for prefetch in (0, 1):
        seen.clear()
        async with (
            session.pages(NODES, path="items", prefetch=prefetch) as nodes,
            anyio.create_task_group() as tg,
        ):
            for _ in range(3):
                tg.start_soon(consume, nodes)
        assert sorted(seen) == list(range(250))


@pytest.mark.parametrize("prefetch", [0, 1])
async def test_a_cursor_that_does_not_move(source: Source, session: Session, prefetch: int) -> None:
    """A document that doesn't hand the cursor on looped for ever in other clients."""
    seen: list[int] = []
    with pytest.raises(TransportProtocolError) as caught:
        async with session.pages(STUCK, path="items", prefetch=prefetch) as nodes:
            async for node in nodes:
                seen.append(node["id"])
    assert seen == list(range(100))
    assert source.requests == 4  # of two fields in two documents
    assert str(caught.value) == (
        "the cursor doesn't move: page 2 of 'items': it ends where the page before ended. Does the "
        "document hand $after to the field 'items'?"
    )


@pytest.mark.parametrize("prefetch", [0, 1])
async def test_a_cursor_that_is_missing(source: Source, session: Session, prefetch: int) -> None:
    source.change = lambda info: info.update(endCursor=None)
    seen: list[int] = []
    async with session.pages(NODES, path="items", prefetch=prefetch) as nodes:
        with pytest.raises(TransportProtocolError, match="hasNextPage is true, and endCursor is"):
            async for node in nodes:
                seen.append(node["id"])
        with pytest.raises(TransportProtocolError, match="the cursor doesn't move"):
            await anext(nodes)
    assert seen == list(range(100))
    assert source.requests == 1


async def test_a_function_that_does_not_step(session: Session) -> None:
    document = "query ($offset: Int) { list(offset: $offset) { id } }"
    async with session.pages(
        document, {"offset": 0}, path="list", next_page=lambda data: {"offset": 0}
    ) as nodes:
        with pytest.raises(TransportProtocolError, match="variables of the same page again"):
            await anext(nodes)


@pytest.mark.parametrize("prefetch", [0, 1])
@pytest.mark.parametrize("document", [NODES, EDGES], ids=["nodes", "edges"])
async def test_errors_of_a_page_come_after_its_nodes(
    source: Source, session: Session, document: str, prefetch: int
) -> None:
    source.fail_on[150] = GraphQLError("no such item")
    seen: list[Any] = []
    async with session.pages(document, path="items", prefetch=prefetch) as nodes:
        with pytest.raises(TransportQueryError, match="no such item") as caught:
            async for node in nodes:
                seen.append(node and node["id"])
        assert seen == [*range(150), None, *range(151, 200)]
        assert caught.value.errors[0]["path"][:2] == ["items", document.split("{")[2].split()[-1]]
        # What has no errors can still be had.
        assert [node["id"] async for node in nodes] == list(range(200, 250))


async def test_errors_of_whole_pages_come_after_the_page(source: Source, session: Session) -> None:
    source.fail_on[150] = GraphQLError("no such item")
    async with session.pages(NODES, path="items", result_type=dict[str, Any]) as nodes:
        pages = nodes.pages
        assert len((await anext(pages)).nodes) == 100
        # The null doesn't fit the type: the errors say why.
        assert (await anext(pages)).nodes == ()
        with pytest.raises(TransportQueryError, match="no such item"):
            await anext(pages)
        assert len((await anext(pages)).nodes) == 50
        with pytest.raises(StopAsyncIteration):
            await anext(pages)


async def test_a_page_without_data(source: Source, session: Session) -> None:
    document = NODES.replace("items(", "items: nothing(")
    async with session.pages(document, path="items") as nodes:
        with pytest.raises(TransportQueryError, match="nothing"):
            await anext(nodes)
        with pytest.raises(StopAsyncIteration):
            await anext(nodes)


async def test_nodes_of_another_type(session: Session) -> None:
    @dataclass
    class Other:
        id: str

    for document, at in ((NODES, "nodes[0].id"), (EDGES, "edges[0].node.id")):
        async with session.pages(document, path="items", result_type=Other) as nodes:
            with pytest.raises(ResultTypeError) as caught:
                await anext(nodes)
        assert str(caught.value).startswith(f"data.items.{at}: ")


async def test_a_page_that_failed_is_asked_for_again(server_of: GraphQLServer) -> None:
    async with Client(server_of.transport()).connect(
        reconnecting=True, retry_execute=False
    ) as session:
        async with session.pages(NODES, path="items", prefetch=0) as nodes:
            assert (await anext(nodes))["id"] == 0
            for _ in range(99):
                await anext(nodes)
            source = server_of.source  # type: ignore[attr-defined]
            source.hold = anyio.Event()
            async with anyio.create_task_group() as tg:

                async def cut() -> None:
                    await anyio.wait_all_tasks_blocked()
                    server_of.drop_connections()
                    source.hold.set()

                tg.start_soon(cut)
                with pytest.raises(TransportError):
                    await anext(nodes)
            assert [node["id"] async for node in nodes] == list(range(100, 250))


@pytest.fixture
async def server_of(source: Source, bounded: None) -> AsyncIterator[GraphQLServer]:
    async with GraphQLServer(source.schema()) as server:
        server.source = source  # type: ignore[attr-defined]
        yield server


async def test_leaving_tells_the_server_once(server_of: GraphQLServer, source: Source) -> None:
    async with Client(server_of.transport()) as session:
        async with session.pages(NODES, path="items") as nodes:
            await anext(nodes)
            await anyio.wait_all_tasks_blocked()
            source.hold = anyio.Event()
            for _ in range(100):
                await anext(nodes)  # the third page is under way
            await anyio.wait_all_tasks_blocked()
        assert await session.execute("{ __typename }") == {"__typename": "Query"}
        received = [message["type"] for message in server_of.connections[0].received]
    assert received.count("complete") == 1
    assert received.count("subscribe") == 4


async def test_a_node_that_is_waited_for_as_the_block_is_left(
    source: Source, session: Session
) -> None:
    async with anyio.create_task_group() as tg:
        async with session.pages(NODES, path="items") as nodes:
            await anext(nodes)
            await anyio.wait_all_tasks_blocked()
            source.hold = anyio.Event()
            for _ in range(199):
                await anext(nodes)  # the third page is under way

            async def wait() -> None:
                with refused(RuntimeError, "the block of these pages was left"):
                    await anext(nodes)

            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()


async def test_a_type_with_metadata_that_cannot_be_compared(session: Session) -> None:
    kind = Annotated[dict[str, Any], ["metadata"]]
    for document in (NODES, EDGES):
        async with session.pages(document, path="items", result_type=kind) as nodes:
            assert (await anext(nodes))["id"] == 0


@contextmanager
def refused(kind: type[Exception], match: str) -> Iterator[None]:
    with pytest.raises(kind, match=match):
        yield


async def test_what_can_not_be_read_in_pages(source: Source, session: Session) -> None:
    with refused(ValueError, r"needs pageInfo \{ hasNextPage endCursor \}"):
        session.pages(
            "query ($after: String) { items(after: $after) { nodes { id } } }", path="items"
        )
    with refused(ValueError, "selects neither nodes nor edges"):
        session.pages(NODES.replace("nodes { id itemName }", ""), path="items")
    with refused(ValueError, r"declares \$first: name another one with cursor="):
        session.pages(NODES.replace("$after: String, ", ""), path="items")
    with refused(ValueError, "write backwards=True"):
        session.pages(
            BACKWARDS.replace("hasPreviousPage startCursor", "hasNextPage endCursor"), path="items"
        )
    with refused(ValueError, "declares .*, and|such as .other"):
        session.pages(NODES, path="items", cursor="other")
    with refused(ValueError, "the document selects no 'things'"):
        session.pages(NODES, path="things")
    with refused(ValueError, "use subscribe"):
        session.pages("subscription { items }", path="items")
    with refused(TypeError, "next_page is a function, not str"):
        session.pages(NODES, path="items", next_page="offset")  # type: ignore[call-overload]
    with refused(ValueError, "leave cursor and backwards out"):
        session.pages(NODES, path="items", backwards=True, next_page=lambda data: None)
    with refused(ValueError, "prefetch must be 0"):
        session.pages(NODES, path="items", prefetch=-1)
    with refused(TypeError, "prefetch is a number of pages, not bool"):
        session.pages(NODES, path="items", prefetch=True)
    with refused(TypeError, "pages.. has no option 'variables'|variables"):
        session.pages(NODES, path="items", variables={})  # type: ignore[call-overload]
    assert source.requests == 0


async def test_pages_are_read_in_their_block(session: Session) -> None:
    pages = session.pages(NODES, path="items")
    with refused(RuntimeError, "within their block"):
        await anext(pages)
    async with pages as nodes:
        await anext(nodes)
    with refused(RuntimeError, "was left"):
        async for _ in pages:
            pass
    with refused(RuntimeError, "entered once"):
        async with pages:
            pass
    with refused(TypeError, "iterated with `async for`"):
        iter(session.pages(NODES, path="items"))  # type: ignore[call-overload]


async def test_what_the_block_raises_comes_out_as_it_is(session: Session) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with session.pages(NODES, path="items") as nodes:
            await anext(nodes)
            raise KeyError("mine")


async def test_a_fast_source_starves_nobody(session: Session) -> None:
    turns = 0

    async def neighbor() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tg:
        tg.start_soon(neighbor)
        async with session.pages(NODES, {"first": 1000}, path="items") as nodes:
            await anext(nodes)
            before = turns
            async for _ in nodes:
                pass
        tg.cancel_scope.cancel()
    assert turns > before
