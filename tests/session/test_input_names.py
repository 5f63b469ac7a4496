"""``camel_case`` of variables: classes in GraphQL's spelling, enums by name or value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, IntEnum, StrEnum
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

from anygql import Client, GraphQLRequest
from anygql.json import MsgspecJSON
from anygql.schema import VariableError, load_schema, update_schema_enum
from anygql.schema.client_schema import ClientSchema
from anygql.session.input_names import in_camel_case
from anygql.testing import GraphQLServer, demo_schema
from tests.support import diary

DOCUMENT = "mutation ($input: GuestInput!, $n: Int, $names: [String!]) { add(input: $input) }"


def sent(value: Any, name: str = "input", document: str = DOCUMENT) -> Any:
    """Return a variable as it is sent."""
    request = in_camel_case(GraphQLRequest(document, {name: value}))
    return json.loads(MsgspecJSON().encode(request.variable_values))[name]


class Color(Enum):
    RED = 1
    DARK_BLUE = "dark blue"
    GREEN = "GREEN"
    BLUE = "blue"
    asc = "ASC"
    TRUE = "true"


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    some_word = "SOME_WORD"


@dataclass
class DataclassGuest:
    first_name: str
    born_on: date
    from_: str = "x"
    best_friends: list[Any] = field(default_factory=list)
    favorite_color: Any = None


@attrs.define
class AttrsGuest:
    first_name: str
    born_on: date
    from_: str = "x"
    best_friends: list[Any] = attrs.Factory(list)
    favorite_color: Any = None


class StructGuest(msgspec.Struct):
    first_name: str
    born_on: date
    from_: str = "x"
    best_friends: list[Any] = []
    favorite_color: Any = None


class ModelGuest(pydantic.BaseModel):
    first_name: str
    born_on: date
    from_: str = "x"
    best_friends: list[Any] = []
    favorite_color: Any = None


KINDS: list[Any] = [DataclassGuest, AttrsGuest, StructGuest, ModelGuest]


@pytest.mark.parametrize("inner", KINDS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("outer", KINDS, ids=lambda cls: cls.__name__)
def test_fields_in_graphql_s_spelling_at_every_level(outer: Any, inner: Any) -> None:
    if outer is ModelGuest and inner in {AttrsGuest, StructGuest}:
        pytest.skip("pydantic has no JSON form of them")
    day = date(1815, 12, 10)
    friend = inner(first_name="Bob", born_on=day, favorite_color=Color.RED)
    guest = (
        outer("Ada", day, best_friends=[friend])
        if outer is not ModelGuest
        else outer(first_name="Ada", born_on=day, best_friends=[friend])
    )

    def spelled(name: str, color: str | None, *friends: Any) -> dict[str, Any]:
        return {
            "firstName": name,
            "bornOn": "1815-12-10",
            "from": "x",
            "bestFriends": list(friends),
            "favoriteColor": color,
        }

    expected = spelled("Ada", None, spelled("Bob", "RED"))
    assert sent(guest) == expected
    assert sent([{"the_guest": guest}]) == [{"the_guest": expected}]


class Renamed(msgspec.Struct, rename={"first_name": "FIRST"}, tag_field="kind", tag="guest"):
    first_name: str
    last_name: str | msgspec.UnsetType = msgspec.UNSET


class Sparse(msgspec.Struct, omit_defaults=True):
    first_name: str
    last_name: str = "none"


class Aliased(pydantic.BaseModel):
    first_name: str = pydantic.Field(serialization_alias="FIRST")
    last_name: str = "b"


def test_names_that_a_class_declares_stay() -> None:
    assert sent(Renamed("a")) == {"kind": "guest", "FIRST": "a"}
    assert sent(Renamed("a", "b")) == {"kind": "guest", "FIRST": "a", "lastName": "b"}
    assert sent(Sparse("a")) == {"firstName": "a"}
    assert sent(Aliased(first_name="a")) == {"FIRST": "a", "lastName": "b"}


class Deep(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    by_name: dict[str, ModelGuest] = {}
    two_guests: list[ModelGuest] = []
    some_object: Any = None

    @pydantic.field_serializer("two_guests")
    def only_first(self, guests: list[ModelGuest]) -> list[Any]:
        return [guest.model_dump(mode="json") for guest in guests[:1]]

    @pydantic.field_serializer("some_object", when_used="unless-none")
    def as_object(self, value: Any) -> dict[str, Any]:
        return {"its_class": type(value).__name__}


def test_what_a_model_s_serializers_made_stays() -> None:
    """A key is respelled only where it is clear whose it is."""
    ada = ModelGuest(first_name="Ada", born_on=date(1815, 12, 10))
    found = sent(Deep(by_name={"the_first": ada}, two_guests=[ada, ada], some_object=object()))
    assert found["byName"]["the_first"]["firstName"] == "Ada"
    assert found["twoGuests"][0]["first_name"] == "Ada"
    assert len(found["twoGuests"]) == 1
    assert found["someObject"] == {"its_class": "object"}


class Unspeakable(pydantic.BaseModel):
    some_value: Any


@pytest.mark.parametrize("value", [Unspeakable(some_value=object()), DataclassGuest])
def test_what_has_no_json_form_is_left_to_the_encoder_to_refuse(value: Any) -> None:
    request = in_camel_case(GraphQLRequest(DOCUMENT, {"input": value}))
    assert request.variable_values is not None
    assert request.variable_values["input"] is value
    with pytest.raises((TypeError, ValueError)):
        sent(value)


def test_mappings_and_other_values_stay() -> None:
    given = {"first_name": [1, 2.5, None, "a_b"], "n": {"a_b": date(2026, 1, 1)}}
    request = GraphQLRequest(DOCUMENT, {"input": given})
    assert in_camel_case(request) is request
    assert in_camel_case(GraphQLRequest("{ a }")).variable_values is None


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (Color.RED, "RED"),
        (Color.DARK_BLUE, "DARK_BLUE"),
        (Color.GREEN, "GREEN"),
        (Color.BLUE, "blue"),  # it may be the one or the other: only a schema can tell
        (Color.asc, "ASC"),
        (Color.TRUE, "TRUE"),
        (Word.some_word, "SOME_WORD"),
        (Level.HIGH, 3),
    ],
)
def test_an_enum_by_the_name_that_graphql_may_have(member: Any, expected: Any) -> None:
    assert sent(member) == expected
    assert sent({"a": [member]}) == {"a": [expected]}


def test_built_in_scalars_take_an_enums_value() -> None:
    assert sent(Color.RED, "n") == 1
    assert sent([Color.DARK_BLUE], "names") == ["dark blue"]


def test_what_is_within_itself_is_refused() -> None:
    within: list[Any] = []
    within.append(within)
    with pytest.raises(TypeError, match="within itself"):
        sent(within)


@dataclass
class NoteInput:
    text: str
    made_at: Any
    mood: Any = None


async def test_both_ways_with_a_schema(websocket: diary.OverWebSocket) -> None:
    note = NoteInput("x", diary.NOON, diary.Mood.BAD)
    document = "mutation ($note: NoteInput!) { write(note: $note) { text madeAt mood } }"
    values: dict[str, Any] = {"serialize_variables": True, "parse_results": True}
    client = Client(websocket.transport, schema=diary.known(), camel_case=True, **values)
    async with client as session:
        written = await session.execute(
            document, {"note": note}, result_type=NoteInput, path="write"
        )
        assert written == note
        with pytest.raises(VariableError, match="NoteInput has no field 'made_at'"):
            await session.execute(document, {"note": note}, camel_case=False)
        with pytest.raises(VariableError, match="NoteInput has no field 'made_at'"):
            await session.execute(document, {"note": {"text": "", "made_at": diary.NOON}})


async def test_both_ways_without_a_schema(websocket: diary.OverWebSocket) -> None:
    document = "mutation ($note: NoteInput!) { write(note: $note) { text madeAt mood } }"
    note = NoteInput("x", diary.NOON, ByValue.GOOD)
    async with Client(websocket.transport, camel_case=True) as session:
        written = await session.execute(document, {"note": note}, result_type=Note, path="write")
        assert written == Note("x", "2026-01-01T12:00:00Z", ByValue.GOOD)


class ByValue(Enum):
    """The names are GraphQL's, and the values the program's own."""

    GOOD = 1
    BAD = 2


@dataclass
class Note:
    text: str
    made_at: str
    mood: ByValue


def test_the_option_has_a_plan_of_its_own() -> None:
    schema = load_schema("type Query { a(in: In): Int } input In { firstName: E } enum E { A B }")
    update_schema_enum(schema, "E", {"A": 1, "B": 2})

    @dataclass
    class In:
        first_name: int

    known = ClientSchema(schema)
    request = GraphQLRequest("query ($in: In) { a(in: $in) }", {"in": In(1)})
    for _ in range(2):
        serialized = known.serialized(request, camel_case=True)
        assert serialized.variable_values == {"in": {"firstName": "A"}}
        with pytest.raises(VariableError):
            known.serialized(request)


async def test_new_variables_of_a_resumed_subscription_too() -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), camel_case=True).connect(
            reconnecting=True
        ) as session:
            subscription = session.subscribe(
                "subscription ($n: Int!) { countdown(from: $n, interval: 60) }",
                {"n": 1},
                on_resubscribe=lambda _subscription, _last: {"n": 5, "unused": NoteInput("", 1)},
            )
            async with subscription as events:
                assert await events.receive() == {"countdown": 1}
                session.reconnect()
                assert await events.receive() == {"countdown": 5}
            received = [m for m in server.connections[-1].received if m["type"] == "subscribe"]
            unused = received[-1]["payload"]["variables"]["unused"]
            assert unused == {"text": "", "madeAt": 1, "mood": None}
