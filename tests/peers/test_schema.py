"""The schemas of real servers, asked for over HTTP and WebSocket, and used."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from graphql import GraphQLScalarType, GraphQLSchema, print_schema, validate_schema

from anygql import (
    Client,
    GraphQLValidationError,
    IntrospectionOptions,
    load_schema,
    update_schema_enum,
    update_schema_scalar,
)
from anygql.schema import VariableError
from tests.peers import node
from tests.peers.run import Server

pytestmark = pytest.mark.table

PYTHON = ("strawberry", "ariadne")
NODE = ("yoga", "apollo", "ws")

#: Each server, by each of the ways in which it answers queries.
WAYS = [
    *((name, scheme) for name in PYTHON for scheme in ("http", "ws")),
    *((name, "ws" if name == "ws" else "http") for name in NODE),
]

GREETING = "query ($name: String!) { hello(name: $name) }"
COUNTDOWN = "subscription { countdown(from: 1) }"

#: Of fields, arguments and variables: mistakes in whatever each server makes of them.
INVALID = "query ($n: Int) {\n  add(a: 1, b: $n)\n  nothing }"

Urls = Callable[[str, str], str]


@pytest.fixture(scope="module")
def urls(
    servers: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Urls]:
    """``urls(name, scheme)``: where that server is."""
    logs = tmp_path_factory.mktemp("node")
    started: dict[str, node.NodeServer] = {}
    with ExitStack() as stack:

        def url(name: str, scheme: str) -> str:
            if name in PYTHON:
                server = f"{name}http-uvicorn" if scheme == "http" else f"{name}-uvicorn"
                return f"{scheme}://127.0.0.1:{servers(server).port}/"
            if name not in started:
                started[name] = stack.enter_context(node.serving(name, logs / f"{name}.log"))
            return started[name].url.replace("http", scheme)

        yield url
        for server in started.values():
            server.check()


@dataclass
class Greeting:
    hello: str


@dataclass
class Left:
    countdown: int


@pytest.mark.parametrize(("name", "scheme"), WAYS)
async def test_the_schema_of_a_server(urls: Urls, name: str, scheme: str) -> None:
    client = Client(urls(name, scheme), fetch_schema=True)
    async with client as session:
        schema = client.schema
        assert isinstance(schema, GraphQLSchema)
        assert validate_schema(schema) == []
        assert print_schema(load_schema(print_schema(schema))) == print_schema(schema)

        with pytest.raises(GraphQLValidationError) as caught:
            await session.execute(INVALID)
        places = [error.locations[0] for error in caught.value.errors]
        assert sorted((place.line, place.column) for place in places) == [(1, 8), (3, 3)]

        ada = {"name": "Ada"}
        assert await session.execute(GREETING, ada, result_type=Greeting) == Greeting("Hello, Ada!")
        with pytest.raises(VariableError, match=r"variables\.name"):
            await session.execute(GREETING, {"name": 7}, serialize_variables=True)
        values: Any = {"serialize_variables": True, "parse_results": True}
        assert await session.execute(GREETING, ada, **values) == {"hello": "Hello, Ada!"}


@pytest.mark.parametrize("name", ["yoga", "apollo", "strawberry"])
async def test_options(urls: Urls, name: str) -> None:
    """Each of these servers knows everything that can be asked for."""
    everything = IntrospectionOptions(
        schema_description=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        input_value_deprecation=True,
        input_object_one_of=True,
    )
    plain = IntrospectionOptions(descriptions=False, type_depth=3)
    async with Client(urls(name, "http")) as session:
        whole = await session.fetch_schema(everything)
        assert "hello" in print_schema(whole)
        assert '"""' not in print_schema(await session.fetch_schema(plain))


@pytest.mark.parametrize(("name", "scheme"), [way for way in WAYS if way[0] in PYTHON])
async def test_typed_subscriptions(urls: Urls, name: str, scheme: str) -> None:
    async with Client(urls(name, scheme), fetch_schema=True) as session:
        async with session.subscribe(COUNTDOWN, result_type=Left) as events:
            assert [event async for event in events] == [Left(1)]
        with pytest.raises(GraphQLValidationError, match="frm"):
            session.subscribe("subscription { countdown(frm: 1) }")


@pytest.mark.parametrize("name", ["yoga", "apollo", "ws"])
async def test_directives_that_a_server_has(urls: Urls, name: str) -> None:
    """``@defer`` is valid where the server's schema has it."""
    scheme = "ws" if name == "ws" else "http"
    defer = "{ item { name ... @defer { details { weight } } } }"
    lamp = {"item": {"name": "lamp", "details": {"weight": 12}}}
    async with Client(urls(name, scheme), fetch_schema=True, parse_results=True) as session:
        async with session.execute_incremental(defer) as states:
            assert [state async for state in states] == [{"item": {"name": "lamp"}}, lamp]
        with pytest.raises(GraphQLValidationError, match="hurry"):
            session.execute_incremental("{ item { name @hurry } }")


# Values.


class Mood(Enum):
    GOOD = 1
    BAD = -1


@dataclass
class Entry:
    made_at: datetime
    mood: Mood


@dataclass
class Entries:
    entries: list[Entry]


@dataclass
class Minute:
    minutes: Entry


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
INSTANT = GraphQLScalarType(
    "DateTime", serialize=datetime.isoformat, parse_value=datetime.fromisoformat
)
ENTRIES = "query ($given: [EntryInput!]!) { entries(given: $given) { madeAt mood } }"
MINUTES = """
subscription ($since: DateTime!, $mood: Mood!) {
  minutes(since: $since, mood: $mood) { madeAt mood }
}
"""


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_scalars_and_enums(urls: Urls, scheme: str) -> None:
    client = Client(
        urls("strawberry", scheme),
        fetch_schema=True,
        serialize_variables=True,
        parse_results=True,
        camel_case=True,
    )
    given = [{"madeAt": NOON, "mood": Mood.GOOD}, {"madeAt": NOON + timedelta(hours=1)}]
    async with client as session:
        assert client.schema is not None
        update_schema_scalar(client.schema, "DateTime", INSTANT)
        update_schema_enum(client.schema, "Mood", Mood)
        data = await session.execute(ENTRIES, {"given": given})
        assert data == {"entries": [given[0], {**given[1], "mood": Mood.BAD}]}
        typed = await session.execute(ENTRIES, {"given": given[:1]}, result_type=Entries)
        assert typed == Entries([Entry(NOON, Mood.GOOD)])
        with pytest.raises(VariableError, match=r"variables\.given\[0\]\.madeAt"):
            await session.execute(ENTRIES, {"given": [{"madeAt": 3}]})
        start = {"since": NOON, "mood": Mood.BAD}
        async with session.subscribe(MINUTES, start, result_type=Minute) as events:
            assert [event async for event in events] == [
                Minute(Entry(NOON + timedelta(minutes=number), Mood.BAD)) for number in range(2)
            ]
