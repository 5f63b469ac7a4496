"""Pages without ``await``: every node once, whole pages, errors, and an end whenever it is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLError

from anygql import LocalSchemaTransport, Page, TransportQueryError
from anygql.blocking import Client, Pages, Session
from tests.session.test_pages import NODES, Source

SIZE = 100


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def source() -> Source:
    return Source(1000)


@pytest.fixture
def session(source: Source, backend: Any) -> Iterator[Session]:
    with Client(LocalSchemaTransport(source.schema()), backend=backend) as session:
        yield session


def nodes_of(session: Session, **options: Any) -> Pages[Any]:
    return session.pages(NODES, {"first": SIZE}, path="items", **options)


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_every_node_once(session: Session, source: Source, prefetch: int) -> None:
    with nodes_of(session, prefetch=prefetch) as nodes:
        assert [node["id"] for node in nodes] == list(range(1000))
        assert next(nodes, None) is None
        assert nodes.page_info is not None
        assert nodes.page_info["hasNextPage"] is False
    assert source.requests == 1000 // SIZE


def test_whole_pages_from_the_next_one_on(session: Session) -> None:
    with nodes_of(session) as nodes:
        assert next(nodes)["id"] == 0
        pages = list(nodes.pages)
    assert all(isinstance(page, Page) for page in pages)
    assert [page.nodes[0]["id"] for page in pages] == list(range(SIZE, 1000, SIZE))


def test_stopping_early(session: Session, source: Source) -> None:
    with nodes_of(session) as nodes:
        for node in nodes:
            if node["id"] == SIZE + 1:
                break
    assert source.requests <= 3  # two, and one that was asked for meanwhile
    with pytest.raises(RuntimeError, match="the block of these pages was left"):
        next(nodes)


def test_errors_of_a_page_come_after_its_nodes(session: Session, source: Source) -> None:
    source.fail_on = {150: GraphQLError("not this one")}
    seen: list[Any] = []
    with nodes_of(session) as nodes:
        with pytest.raises(TransportQueryError, match="not this one"):
            for node in nodes:
                seen.append(node)
        assert len(seen) == 2 * SIZE
        assert len(list(nodes)) == 1000 - 2 * SIZE


def test_outside_of_the_block(session: Session) -> None:
    nodes = nodes_of(session)
    with pytest.raises(RuntimeError, match="within their block"):
        next(nodes)
    with nodes:
        assert next(nodes)["id"] == 0
    with pytest.raises(RuntimeError, match="can be entered once"), nodes:
        pass


def test_what_belongs_to_async_code(session: Session) -> None:
    with pytest.raises(TypeError, match="no async ones"):
        aiter(nodes_of(session))  # type: ignore[call-overload]


def test_closing_the_session_ends_the_block(source: Source, backend: Any) -> None:
    client = Client(LocalSchemaTransport(source.schema()), backend=backend)
    session = client.open()
    with nodes_of(session) as nodes:
        assert next(nodes)["id"] == 0
        session.close()
