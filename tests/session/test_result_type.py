"""``result_type`` on a session: with a schema's Python values and without."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, Literal, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest

from anygql import (
    Client,
    GraphQLValidationError,
    ResultTypeError,
    Subscription,
    TransportQueryError,
)
from tests.support import diary
from tests.support.diary import MINUTE, NOON, ON_THE_WIRE, Backend, OverWebSocket

pytestmark = pytest.mark.table

T = TypeVar("T")

ENTRIES = "{ entries { __typename id madeAt mood ... on Note { text } ... on Visit { leftAt } } }"
NOTES = "{ notes: found { ... on Note { madeAt mood text } } }"
TICK = """
subscription ($from: Instant!, $numbers: [Int!]! = [0, 1]) {
  ticks(from: $from, numbers: $numbers) { madeAt number }
}
"""
WAITS = TICK.replace("ticks(", "ticks: waits(")


class ByName(Enum):
    """For values that no schema has parsed."""

    GOOD = "GOOD"
    BAD = "BAD"


@dataclass
class DataclassTick:
    madeAt: datetime
    number: int


@dataclass
class DataclassTicks:
    ticks: DataclassTick


@attrs.define
class AttrsTick:
    madeAt: datetime
    number: int


@attrs.define
class AttrsTicks:
    ticks: AttrsTick


class DictTick(TypedDict):
    madeAt: datetime
    number: int


class DictTicks(TypedDict):
    ticks: DictTick


class StructTick(msgspec.Struct):
    madeAt: datetime
    number: int


class StructTicks(msgspec.Struct):
    ticks: StructTick


class ModelTick(pydantic.BaseModel):
    madeAt: datetime
    number: int


class ModelTicks(pydantic.BaseModel):
    ticks: ModelTick


@dataclass
class Of(Generic[T]):
    ticks: T


KINDS: list[tuple[Any, Any]] = [
    (DataclassTicks, lambda at, n: DataclassTicks(DataclassTick(at, n))),
    (AttrsTicks, lambda at, n: AttrsTicks(AttrsTick(at, n))),
    (DictTicks, lambda at, n: {"ticks": {"madeAt": at, "number": n}}),
    (StructTicks, lambda at, n: StructTicks(StructTick(at, n))),
    (ModelTicks, lambda at, n: ModelTicks(ticks=ModelTick(madeAt=at, number=n))),
    (Of[StructTick], lambda at, n: Of(StructTick(at, n))),
    (dict[str, AttrsTick], lambda at, n: {"ticks": AttrsTick(at, n)}),
    (Of[ModelTick | None], lambda at, n: Of(ModelTick(madeAt=at, number=n))),
]
kinds = pytest.mark.parametrize(
    ("result_type", "made"), KINDS, ids=[str(result_type) for result_type, _ in KINDS]
)


def clients(way: Backend) -> list[Client]:
    """Without a schema, with one that only validates, with one that parses."""
    return [
        Client(way.transport),
        Client(way.transport, schema=diary.SDL),
        Client(way.transport, schema=diary.known(), parse_results=True),
    ]


@kinds
async def test_each_kind(streaming: Backend, result_type: Any, made: Any) -> None:
    """Of each item of a subscription, and of what a query gives in the same form."""
    one = "query { ticks: tick { madeAt number unknown: number } hello }"
    start = {"from": ON_THE_WIRE}
    for client in clients(streaming):
        async with client as session:
            # What the type doesn't have is left out, at every level but that of a dict.
            document = one.replace("hello", "") if "dict[" in str(result_type) else one
            assert await session.execute(document, result_type=result_type) == made(NOON, 7)
            async with session.subscribe(TICK, start, result_type=result_type) as ticks:
                assert [tick async for tick in ticks] == [made(NOON, 0), made(NOON + MINUTE, 1)]


class Note(msgspec.Struct, tag_field="__typename"):
    id: str
    madeAt: datetime
    text: str
    mood: Any = None


class Visit(msgspec.Struct, tag_field="__typename"):
    id: str
    madeAt: datetime
    leftAt: datetime | None = None


@dataclass
class Entries:
    entries: list[Note | Visit]


async def test_unions_and_values_of_the_schema(way: Backend) -> None:
    without, plain, parsing = clients(way)
    for client, mood in ((without, "GOOD"), (plain, "GOOD"), (parsing, diary.Mood.GOOD)):
        async with client as session:
            entries = await session.execute(ENTRIES, result_type=Entries)
            assert entries == Entries([Note("1", NOON, "a note", mood), Visit("2", NOON, NOON)])


async def test_an_enum_by_its_type_or_by_the_schema(way: Backend) -> None:
    @dataclass
    class ByType:
        mood: ByName

    @dataclass
    class BySchema:
        mood: diary.Mood

    without, _, parsing = clients(way)
    async with without as session:
        assert await session.execute("{ mood }", result_type=ByType) == ByType(ByName.BAD)
    async with parsing as session:
        assert await session.execute("{ mood }", result_type=BySchema) == BySchema(diary.Mood.BAD)
        # The wire's name, if the schema is not to parse: a member's name will do too.
        data = await session.execute("{ mood }", result_type=BySchema, parse_results=False)
        assert data == BySchema(diary.Mood.BAD)


# Names.


@dataclass
class SnakeTick:
    made_at: datetime


@dataclass
class SnakeTicks:
    ticks: SnakeTick


@dataclass
class SnakeNote:
    made_at: datetime | None = None


@dataclass
class SnakeNotes:
    notes: list[SnakeNote]


@pytest.mark.parametrize("of_client", [False, True])
async def test_camel_case(streaming: Backend, of_client: bool) -> None:
    """For all calls of a client, or for one."""
    start = {"from": ON_THE_WIRE}
    snake = [SnakeTicks(SnakeTick(NOON)), SnakeTicks(SnakeTick(NOON + MINUTE))]
    camel = [DataclassTicks(DataclassTick(NOON + n * MINUTE, n)) for n in range(2)]
    other: dict[str, Any] = {"camel_case": not of_client}
    notes = SnakeNotes([SnakeNote(), SnakeNote(NOON)])
    nothing = SnakeNotes([SnakeNote(), SnakeNote()])
    async with Client(streaming.transport, camel_case=of_client) as session:
        async with session.subscribe(
            TICK, start, result_type=SnakeTicks, **({} if of_client else other)
        ) as ticks:
            assert [tick async for tick in ticks] == snake
        async with session.subscribe(
            TICK, start, result_type=DataclassTicks, **(other if of_client else {})
        ) as ticks:
            assert [tick async for tick in ticks] == camel
        first = await session.execute(NOTES, result_type=SnakeNotes)
        second = await session.execute(NOTES, result_type=SnakeNotes, **other)
        assert (first, second) == ((notes, nothing) if of_client else (nothing, notes))
        # Data without a type keep their names.
        assert "madeAt" in (await session.execute(NOTES))["notes"][1]


async def test_camel_case_with_the_values_of_a_schema(way: Backend) -> None:
    client = Client(way.transport, schema=diary.known(), parse_results=True, camel_case=True)
    async with client as session:
        notes = await session.execute(NOTES, result_type=SnakeNotes)
        assert notes == SnakeNotes([SnakeNote(), SnakeNote(NOON)])


# What doesn't fit.


@dataclass
class Wrong:
    hello: int


async def test_data_that_is_no_such_type(way: Backend) -> None:
    for client in clients(way):
        async with client as session:
            with pytest.raises(ResultTypeError) as caught:
                await session.execute("{ hello }", result_type=Wrong)
            error = caught.value
            assert str(error) == "data.hello: expected int, got str (Wrong.hello)"
            assert error.path == ("hello",)
            assert error.data == {"hello": "hello"}
            assert session.state == "connected"


@dataclass
class One:
    made_at: int


@dataclass
class Many:
    entries: list[One]


async def test_the_path_is_in_the_names_of_graphql(way: Backend) -> None:
    client = Client(way.transport, schema=diary.known(), parse_results=True, camel_case=True)
    async with client as session:
        with pytest.raises(ResultTypeError, match=r"One\.made_at") as caught:
            await session.execute("{ entries { madeAt } }", result_type=Many)
        assert caught.value.path == ("entries", 0, "madeAt")
        assert caught.value.data["entries"][1] == {"madeAt": NOON}  # as it was parsed


async def test_it_is_not_tried_again(way: Backend) -> None:
    async with Client(way.transport).connect(reconnecting=True) as session:
        with pytest.raises(ResultTypeError):
            await session.execute("{ hello }", result_type=Wrong)
    assert way.documents == ["{ hello }"]


async def test_errors_of_the_answer_come_first(way: Backend) -> None:
    async with Client(way.transport) as session:
        with pytest.raises(TransportQueryError, match="as asked") as caught:
            await session.execute("{ hello fails }", result_type=Wrong)
        assert caught.value.data == {"hello": "hello", "fails": None}


@dataclass
class Even:
    ticks: StructTick | None

    def __post_init__(self) -> None:
        if self.ticks is not None and self.ticks.number % 2:
            raise ValueError("odd")


async def test_an_item_that_is_no_such_type(streaming: Backend) -> None:
    """It is raised for that item; the subscription goes on."""
    variables = {"from": ON_THE_WIRE, "numbers": [0, 1, -1, 2]}
    for client in clients(streaming):
        async with client as session:
            async with session.subscribe(TICK, variables, result_type=Even) as ticks:
                assert await ticks.receive() == Even(StructTick(NOON, 0))
                with pytest.raises(ResultTypeError, match="no Even") as caught:
                    await ticks.receive()
                assert caught.value.data["ticks"]["number"] == 1
                with pytest.raises(TransportQueryError, match="this tick failed"):
                    await ticks.receive()
                assert [tick async for tick in ticks] == [Even(StructTick(NOON + 2 * MINUTE, 2))]


@dataclass
class Unreadable:
    hello: list[Nowhere]  # noqa: F821


UNREADABLE: list[Any] = [3, "Even", StructTick(NOON, 1), Unreadable, list[Unreadable | None]]


async def test_types_that_no_data_can_be(way: Backend) -> None:
    """They are refused before anything is sent."""
    async with Client(way.transport) as session:
        for type_ in UNREADABLE:
            with pytest.raises(TypeError):
                await session.execute("{ hello }", result_type=type_)
            with pytest.raises(TypeError):
                session.subscribe(TICK, {"from": ON_THE_WIRE}, result_type=type_)
        await session.execute("{ hello }")
    assert way.documents == ["{ hello }"]


async def test_a_document_that_does_not_fit_comes_before_its_type(way: Backend) -> None:
    async with Client(way.transport, schema=diary.SDL) as session:
        with pytest.raises(GraphQLValidationError):
            await session.execute("{ helo }", result_type=3)
    assert way.documents == []


# Subscriptions that resume.


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], None),
        ([0], Even(StructTick(NOON, 0))),
        ([0, 1], {"ticks": {"madeAt": ON_THE_WIRE, "number": 1}}),  # no `Even`: as it came
        ([0, -1], {"ticks": None}),
    ],
)
@pytest.mark.usefixtures("soon")
async def test_what_came_last_is_of_the_type(
    websocket: OverWebSocket, numbers: list[int], expected: Any
) -> None:
    asked: list[Any] = []

    def resubscribe(_: Subscription[Even], last: Any) -> dict[str, Any]:
        asked.append(last)
        return {"from": ON_THE_WIRE, "numbers": [4]}

    variables = {"from": (NOON - MINUTE).isoformat(), "numbers": numbers}
    if 1 not in numbers:
        variables["from"] = ON_THE_WIRE
    async with Client(websocket.transport).connect(reconnecting=True) as session:
        ticks = session.subscribe(WAITS, variables, result_type=Even, on_resubscribe=resubscribe)
        async with ticks:
            for number in numbers:
                if number == 0:
                    await ticks.receive()
                else:
                    with pytest.raises((ResultTypeError, TransportQueryError)):
                        await ticks.receive()
            websocket.server.drop_connections()
            assert await ticks.receive() == Even(StructTick(NOON + 4 * MINUTE, 4))
            assert ticks.reconnects == 1
    assert asked == [expected]


async def test_the_type_of_a_literal(way: Backend) -> None:
    async with Client(way.transport) as session:
        data = await session.execute(
            "{ hello }", result_type=dict[Literal["hello"], Literal["hello"]]
        )
        assert data == {"hello": "hello"}


# ``path=``: the data at a path of response keys.


async def test_the_data_at_a_path(streaming: Backend) -> None:
    start = {"from": ON_THE_WIRE}
    query = "{ entries { __typename ... on Note { text } } tick { madeAt number } }"
    for client in clients(streaming):
        async with client as session:
            number = await session.execute(query, path="tick.number")
            assert number == await session.execute(query, result_type=int, path="tick.number") == 7
            tick = await session.execute(query, result_type=StructTick, path="tick")
            assert tick == StructTick(NOON, 7)
            async with session.subscribe(TICK, start, result_type=int, path="ticks.number") as ns:
                assert [n async for n in ns] == [0, 1]
            async with session.subscribe(TICK, start, path="ticks.number") as ns:
                assert [n async for n in ns] == [0, 1]
            with pytest.raises(ResultTypeError, match=r"data\.tick\.number: it is not in the answ"):
                await session.execute(
                    query.replace("number", "number @skip(if: true)"), path="tick.number"
                )


@pytest.mark.parametrize("path", ["", ".", "a.", "a..b", "a.0", "a b", "$.a"])
async def test_what_is_no_path_is_refused_before_sending(streaming: Backend, path: str) -> None:
    async with Client(streaming.transport) as session:
        with pytest.raises(ValueError, match="path is made of response keys"):
            await session.execute("{ nothing }", path=path)
        with pytest.raises(TypeError, match="path is a text"):
            session.subscribe(WAITS, {"from": 1}, path=["ticks"])  # type: ignore[call-overload]


async def test_a_path_that_the_document_does_not_select_is_refused_before_sending(
    streaming: Backend,
) -> None:
    async with Client(streaming.transport) as session:
        for path, hint in (("tick.nmuber", "number"), ("tikc.number", "tick"), ("hallo", "hello")):
            query = "{ hello tick { madeAt number } nothing }"  # which the server would refuse
            with pytest.raises(ValueError, match=rf"Did you mean '{hint}'\?") as caught:
                await session.execute(query, path=path)
            assert str(caught.value).startswith(f"path='{path}': the document selects no ")
            assert type(caught.value) is ValueError
            with pytest.raises(ValueError, match=hint):
                session.execute_incremental(query, path=path)
        with pytest.raises(ValueError, match="'tick'"):
            session.subscribe(TICK, {"from": ON_THE_WIRE}, path="tick.number")


async def test_growing_results_at_a_path(streaming: Backend) -> None:
    query = "{ hello tick { number } }"
    async with Client(streaming.transport) as session:
        async with session.execute_incremental(query, path="tick.number") as states:
            assert [state async for state in states][-1] == 7
