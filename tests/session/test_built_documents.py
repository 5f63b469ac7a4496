"""Documents that Python code has built, on a session: their types, and their values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import pytest
from graphql import parse

from anygql import Client, GraphQLValidationError, ResultTypeError
from anygql.dsl import Field, field, mutation, on, query, select, select_all, subscription, var
from tests.support import diary
from tests.support.diary import NOON, ON_THE_WIRE, Backend

pytestmark = pytest.mark.table


@dataclass
class Note:
    id: str
    made_at: datetime
    text: str


@dataclass
class Visit:
    id: str
    left_at: datetime | None


@dataclass
class Tick:
    number: int


@dataclass
class Ticks:
    ticks: Annotated[Tick, Field(args={"from": var("Instant!"), "numbers": var("[Int!]!")})]


async def test_data_are_of_the_type(way: Backend) -> None:
    request = select(query("entries", list[Note | Visit]), camel_case=True)
    async with Client(way.transport) as session:
        entries = await session.execute(request)
        assert {type(entry) for entry in entries} <= {Note, Visit}
        assert any(entry.made_at == NOON for entry in entries if isinstance(entry, Note))
        whole = await session.execute(request, result_type=dict[str, Any])
        assert whole["entries"][0]["__typename"] in {"Note", "Visit"}
        assert await session.execute(request, path="entries") == whole["entries"]
        assert (await session.execute_result(request)).data == whole
        (result,) = await session.execute_batch_results([request])
        assert result.data == whole


async def test_a_batch_gives_values_of_the_types(way: Backend) -> None:
    entries = select(query("entries", list[Note | Visit]), camel_case=True)
    hello = select(query("hello", str))
    wrong = select(query("hello", int))
    async with Client(way.transport) as session:
        first, second, third = await session.execute_batch([entries, "{ hello }", hello])
        assert first == await session.execute(entries)
        assert second == {"hello": third}
        assert isinstance(third, str)
        with pytest.raises(ResultTypeError, match=r"data\.hello: expected int, got str"):
            await session.execute_batch([hello, wrong])
        assert await session.execute_batch([]) == []


@dataclass
class NewNote:
    text: str
    made_at: datetime


async def test_names_of_variables_are_converted_by_every_call(way: Backend) -> None:
    request = select(mutation("write", Note, note=var("NoteInput!")), camel_case=True)
    request = request.replace(variable_values={"note": NewNote("new", NOON)})
    async with Client(way.transport) as session:
        note = await session.execute(request)
        assert note.made_at == NOON
        assert (await session.execute_batch([request])) == [note]
        for result in (
            await session.execute_result(request),
            *await session.execute_batch_results([request]),
        ):
            assert result.errors is None
            assert datetime.fromisoformat(result.data["write"]["madeAt"]) == NOON


async def test_values_are_sent(way: Backend) -> None:
    at = select(query("at", {"when": var("Instant!", default=NOON)}, datetime))
    async with Client(way.transport) as session:
        assert await session.execute(at) == NOON
        later = NOON.replace(hour=13)
        assert await session.execute(at, {"when": later}) == later
        with pytest.raises(ValueError, match=r"requires \$when \(Instant!\)"):
            await session.execute(select(query("at", str, when=var("Instant!"))))


async def test_the_client_s_schema_finds_mistakes(way: Backend) -> None:
    async with Client(way.transport, schema=diary.SDL) as session:
        with pytest.raises(GraphQLValidationError, match="Cannot query field 'made_at'"):
            await session.execute(select(query("entries", list[Note | Visit])))
        note = {"text": "built", "madeAt": ON_THE_WIRE}
        written = select(mutation("write", {"note": note}, "text"), schema=diary.plain())
        assert await session.execute(written) == {"write": {"text": "built"}}


async def test_a_schema_s_python_values(way: Backend) -> None:
    client = Client(way.transport, schema=diary.known(), parse_results=True)
    request = select(query("mood", diary.Mood, mood=var("Mood", default="GOOD")))
    async with client as session:
        assert await session.execute(request) is diary.Mood.GOOD
        values = select(query("mood", diary.Mood, mood=diary.Mood.BAD), schema=client.schema)
        assert await session.execute(values, serialize_variables=True) is diary.Mood.BAD


async def test_data_that_do_not_fit(way: Backend) -> None:
    async with Client(way.transport) as session:
        with pytest.raises(ResultTypeError, match=r"data\.hello: expected int, got str"):
            await session.execute(select(query("hello", int)))


async def test_subscriptions(streaming: Backend) -> None:
    start = {"from": NOON, "numbers": [1, 2]}
    one = select(
        subscription("ticks", {"from": var("Instant!"), "numbers": [3]}, Tick), schema=diary.plain()
    )
    async with Client(streaming.transport) as session:
        async with session.subscribe(select(subscription(Ticks)), start) as ticks:
            assert [tick async for tick in ticks] == [Ticks(Tick(1)), Ticks(Tick(2))]
        async with session.subscribe(one, {"from": NOON}) as events:
            assert [tick async for tick in events] == [Tick(3)]
        async with session.subscribe_results(one, {"from": NOON}) as results:
            assert [result.data async for result in results] == [{"ticks": {"number": 3}}]


async def test_one_of_several_operations(streaming: Backend) -> None:
    request = select(
        query("hello", str).named("Hello"),
        query("mood", {"mood": var("Mood", default="BAD")}, str).named("Mood"),
    )
    async with Client(streaming.transport) as session:
        assert await session.execute(request, operation_name="Mood") == "BAD"
        assert isinstance(await session.execute(request, operation_name="Hello"), str)
        with pytest.raises(ValueError, match="say which with operation_name"):
            await session.execute(request)


async def test_plain_documents(way: Backend) -> None:
    request = select(query("hello", field("found", {}, on("Note", "text"))))
    async with Client(way.transport) as session:
        data = await session.execute(request)
        assert set(data) == {"hello", "found"}
        everything = await session.execute(select_all(diary.SDL, "Query.entries"))
        assert everything["entries"][0]["madeAt"]


class OfAnotherLibrary:
    """A request such as gql's, which its ``dsl_gql()`` makes."""

    def __init__(self, document: Any, variable_values: Any = None, operation_name: Any = None):
        self.document = document
        self.variable_values = variable_values
        self.operation_name = operation_name
        self.extensions = None


async def test_requests_of_another_library(streaming: Backend) -> None:
    document = "query Q($when: Instant!) { at(when: $when) } query Other { hello }"
    for tree in (document, parse(document)):
        request = OfAnotherLibrary(tree, {"when": ON_THE_WIRE}, "Q")
        async with Client(streaming.transport) as session:
            assert await session.execute(request) == {"at": ON_THE_WIRE}
            assert await session.execute(request, path="at", result_type=datetime) == NOON
            later = {"when": "2027-01-01T12:00:00+00:00"}
            assert await session.execute(request, later) == {"at": later["when"]}
            assert "hello" in await session.execute(request, operation_name="Other")
            assert await session.execute_batch([request]) == [{"at": ON_THE_WIRE}]
        assert request.document is tree
    with pytest.raises(TypeError, match="a GraphQL document is a str or"):
        async with Client(streaming.transport) as session:
            await session.execute(OfAnotherLibrary(None))
