"""Variables through the schema: what is sent for each kind of value, and what is refused where."""

from __future__ import annotations

import io
import pickle
import threading
from collections import UserDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLSyntaxError,
    build_schema,
)
from graphql.pyutils import Undefined

from anygql import FileVar
from anygql.documents.document import Document
from anygql.schema.updates import update_schema_enum, update_schema_scalar
from anygql.schema.variables import PROBLEM_LIMIT, VariableError, VariablesPlan, variables_plan

SDL = """
scalar Day
scalar Upload
scalar JSON
scalar Strict
scalar Silent
scalar Fussy

enum Color { RED GREEN BLUE }
enum Plain { ONE TWO }

input Item {
  name: String!  when: Day  tags: [String!]  color: Color = RED  parent: Item  file: Upload
}
input Basket { items: [Item!]!  limit: Int! = 10  note: String }
input Choice @oneOf { byId: ID  byName: String }

type Query { ok(number: Float): Boolean }
"""


class Color(Enum):
    RED = "r"
    GREEN = "g"
    BLUE = "GREEN"  # the value of one, and the name of another


def refuse(value: object) -> object:
    raise LookupError(f"secret {value}")


def make_schema() -> GraphQLSchema:
    schema = build_schema(SDL)
    day = GraphQLScalarType("Day", lambda value: value.isoformat(), date.fromisoformat)
    update_schema_scalar(schema, "Day", day)
    update_schema_scalar(schema, "Strict", GraphQLScalarType("Strict", refuse))
    update_schema_scalar(schema, "Silent", GraphQLScalarType("Silent", lambda _: None))
    update_schema_scalar(schema, "Fussy", GraphQLScalarType("Fussy", lambda _: Undefined))
    update_schema_enum(schema, "Color", Color)
    return schema


SCHEMA = make_schema()


def plan_of(declared: str, schema: GraphQLSchema = SCHEMA) -> VariablesPlan:
    return variables_plan(schema, Document(f"query Q({declared}) {{ ok }}"), None)


def serialized(type_: str, value: Any, schema: GraphQLSchema = SCHEMA) -> Any:
    return plan_of(f"$v: {type_}", schema)({"v": value})["v"]


def problems(type_: str, value: Any, schema: GraphQLSchema = SCHEMA) -> tuple[str, ...]:
    with pytest.raises(VariableError) as caught:
        serialized(type_, value, schema)
    return caught.value.problems


# --- scalars ----------------------------------------------------------------------------------


class Level(IntEnum):
    HIGH = 3


class Word(Enum):
    HELLO = "hello"


TODAY = date(2024, 2, 29)
KEY = UUID(int=7)
OPEN = io.BytesIO(b"one\ntwo\n")

SCALARS: dict[str, tuple[str, Any, Any]] = {
    "int": ("Int", 3, 3),
    "a whole float is an Int": ("Int", 3.0, 3),
    "a whole Decimal is an Int": ("Int", Decimal(3), 3),
    "the smallest Int": ("Int", -(2**31), -(2**31)),
    "an IntEnum's member": ("Int", Level.HIGH, 3),
    "float": ("Float", 1.5, 1.5),
    "int for a Float": ("Float", 2, 2),
    "an int for a Float that no float is": ("Float", 2**60 + 1, 2**60 + 1),
    "Decimal for a Float": ("Float", Decimal("1.5"), 1.5),
    "Fraction for a Float": ("Float", Fraction(1, 2), 0.5),
    "str": ("String", "text", "text"),
    "an Enum's member for a String": ("String", Word.HELLO, "hello"),
    "a date for a String is the encoder's": ("String", TODAY, TODAY),
    "a UUID for a String is the encoder's": ("String", KEY, KEY),
    "bytes for a String are the encoder's": ("String", b"x", b"x"),
    "bool": ("Boolean", False, False),
    "ID": ("ID", "x", "x"),
    "a number for an ID is sent as text": ("ID", 2**60, str(2**60)),
    "a UUID for an ID": ("ID", KEY, KEY),
    "custom": ("Day", TODAY, "2024-02-29"),
    "custom, of which nothing is known": ("JSON", {"a": [1, TODAY]}, {"a": [1, TODAY]}),
    "custom, of which nothing is known, as a null": ("JSON", None, None),
    "null": ("Day", None, None),
    "a type that the schema does not know": ("Nothing", OPEN, OPEN),
    "a list of such": ("[Nothing!]!", [OPEN], [OPEN]),
    "a type that is no input": ("Query", OPEN, OPEN),
}


@pytest.mark.parametrize(("type_", "value", "sent"), SCALARS.values(), ids=SCALARS.keys())
def test_scalars(type_: str, value: Any, sent: Any) -> None:
    got = serialized(type_, value)
    assert got == sent
    assert type(got) is type(sent)


REFUSED: dict[str, tuple[str, Any, str]] = {
    "text for Int": ("Int", "3", "expected Int, given str"),
    "bool for Int": ("Int", True, "expected Int, given bool"),
    "a broken number for Int": ("Int", 1.5, "expected Int, given float"),
    "too large an Int": ("Int", 2**31, "expected Int, given int"),
    "bytes for Int": ("Int", b"3", "expected Int, given bytes"),
    "a broken Decimal for Int": ("Int", Decimal("1.5"), "expected Int, given Decimal"),
    "no number for Int": ("Int", float("inf"), "expected Int, given float"),
    "what only counts as a number": ("Int", KEY, "expected Int, given UUID"),
    "bytes for Float": ("Float", b"1.5", "expected Float, given bytes"),
    "a date for Float": ("Float", TODAY, "expected Float, given date"),
    "text for Float": ("Float", "1.5", "expected Float, given str"),
    "bool for Float": ("Float", True, "expected Float, given bool"),
    "no number for Float": ("Float", float("nan"), "expected Float, given float"),
    "int for String": ("String", 3, "expected String, given int"),
    "bool for String": ("String", True, "expected String, given bool"),
    "mapping for String": ("String", {}, "expected String, given dict"),
    "list for String": ("String", ["a"], "expected String, given list"),
    "int for Boolean": ("Boolean", 1, "expected Boolean, given int"),
    "text for Boolean": ("Boolean", "true", "expected Boolean, given str"),
    "bool for ID": ("ID", True, "expected ID, given bool"),
    "float for ID": ("ID", 1.0, "expected ID, given float"),
    "custom": ("Day", "x", "expected Day, given str, which it refuses (AttributeError)"),
    "custom that gives nothing": ("Silent", 1, "Silent makes nothing of the int it was given"),
    "custom that gives Undefined": ("Fussy", 1, "Fussy makes nothing of the int it was given"),
    "null": ("Day!", None, "expected Day!, given null"),
    "null for a list": ("[Day]!", None, "expected [Day]!, given null"),
    "file for an enum": (
        "Plain", FileVar(b""), "expected Plain (ONE, TWO), given FileVar: it is none of them"
    ),
    "text for an input object": ("Item", "x", "expected Item, given str"),
    "file for an input object": ("Item", FileVar(b""), "expected Item, given FileVar"),
    "a class for an input object": ("Item", UserDict, "expected Item, given ABCMeta"),
}  # fmt: skip


@pytest.mark.parametrize(("type_", "value", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(type_: str, value: Any, problem: str) -> None:
    assert problems(type_, value) == (f"variables.v: {problem}",)


def test_what_a_scalar_raised_is_the_cause_and_its_text_is_not_told() -> None:
    with pytest.raises(VariableError) as caught:
        serialized("[Strict]", ["password"])
    assert isinstance(caught.value.__cause__, LookupError)
    assert str(caught.value) == (
        "variables.v[0]: expected Strict, given str, which it refuses (LookupError)"
    )


def test_files_are_left_where_they_are() -> None:
    file = FileVar(b"content")
    plan = plan_of("$a: Upload!, $b: [Upload!]!, $c: Item, $d: Day, $e: String")
    given = {"a": file, "b": [file], "c": {"name": "x", "file": file}, "d": file, "e": file}
    assert plan(given) == given


# --- enums ------------------------------------------------------------------------------------


class Stranger(Enum):
    ONE = 1
    OTHER = "TWO"


ENUMS: dict[str, tuple[str, Any, str]] = {
    "a member": ("Color", Color.RED, "RED"),
    "a member whose value is another's name": ("Color", Color.BLUE, "BLUE"),
    "the value of a member": ("Color", "g", "GREEN"),
    "a name": ("Color", "RED", "RED"),
    "names are all that the schema has": ("Plain", "ONE", "ONE"),
    "somebody's member by its name": ("Plain", Stranger.ONE, "ONE"),
    "somebody's member by its value": ("Plain", Stranger.OTHER, "TWO"),
}


@pytest.mark.parametrize(("type_", "value", "name"), ENUMS.values(), ids=ENUMS.keys())
def test_enums(type_: str, value: Any, name: str) -> None:
    assert serialized(type_, value) == name
    assert serialized(f"[{type_}!]!", [value]) == [name]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("YELLOW", "it is none of them"),
        (7, "it is none of them"),
        ({}, "it is none of them"),
        ("GREEN", "it is the value of one and the name of another"),
    ],
)
def test_what_no_enum_has(value: Any, why: str) -> None:
    (problem,) = problems("Color", value)
    given = type(value).__name__
    assert problem == f"variables.v: expected Color (RED, GREEN, BLUE), given {given}: {why}"


def test_enum_with_values_without_a_hash() -> None:
    pair = GraphQLEnumType("Pair", {"FIRST": [1], "SECOND": [2]})
    argument = {"pair": GraphQLArgument(pair)}
    query = GraphQLObjectType("Query", {"ok": GraphQLField(GraphQLString, args=argument)})
    schema = GraphQLSchema(query)
    assert serialized("Pair", [2], schema) == "SECOND"
    assert serialized("Pair", "FIRST", schema) == "FIRST"
    assert problems("Pair!", [3], schema)[0].endswith("given list: it is none of them")


def test_an_enum_type_that_does_it_its_own_way() -> None:
    class Reversed(GraphQLEnumType):
        def coerce_output_value(self, output_value: Any) -> str:
            if not isinstance(output_value, bytes):
                raise GraphQLError("not mine")
            return output_value.decode()[::-1]

    argument = {"word": GraphQLArgument(Reversed("Word", {"ABC": 1}))}
    query = GraphQLObjectType("Query", {"ok": GraphQLField(GraphQLString, args=argument)})
    schema = GraphQLSchema(query)
    assert serialized("Word", b"CBA", schema) == "ABC"
    assert serialized("Word", 1, schema) == "ABC"


def test_a_long_enum_is_not_written_out() -> None:
    names = " ".join(f"N{number}" for number in range(30))
    schema = build_schema(f"enum Long {{ {names} }} type Query {{ ok: Boolean }}")
    (problem,) = problems("Long", 1, schema)
    assert "N9, …)" in problem
    assert "N10" not in problem


# --- lists ------------------------------------------------------------------------------------

LISTS: dict[str, tuple[str, Any, Any]] = {
    "list": ("[Day]", [TODAY, None], ["2024-02-29", None]),
    "tuple": ("[Day]", (TODAY,), ["2024-02-29"]),
    "set": ("[Int]", {1}, [1]),
    "values": ("[Int]", {"a": 1}.values(), [1]),
    "deque": ("[Int]", deque([1]), [1]),
    "iterator": ("[Int]", iter([1, 2]), [1, 2]),
    "one for a list of one": ("[Day]", TODAY, ["2024-02-29"]),
    "one for a list of lists": ("[[Int]]", 1, [[1]]),
    "a list for a list of lists": ("[[Int]]", [1, [2], None], [[1], [2], None]),
    "text is no list": ("[String]", "abc", ["abc"]),
    "bytes are no list": ("[String]", b"abc", [b"abc"]),
    "a mapping is no list": ("[JSON]", {"a": 1}, [{"a": 1}]),
    "an open file is no list": ("[JSON]", OPEN, [OPEN]),
    "none for a list is none": ("[Int]", None, None),
    "an empty list": ("[Int!]!", [], []),
}


@pytest.mark.parametrize(("type_", "value", "sent"), LISTS.values(), ids=LISTS.keys())
def test_lists(type_: str, value: Any, sent: Any) -> None:
    assert serialized(type_, value) == sent


def test_items_that_are_wrong_are_told_by_their_index() -> None:
    assert problems("[[Int!]]", [[1, None], ["x"], "y"]) == (
        "variables.v[0][1]: expected Int!, given null",
        "variables.v[1][0]: expected Int, given str",
        "variables.v[2]: expected Int, given str",
    )


# --- input objects ----------------------------------------------------------------------------


@dataclass
class DataItem:
    name: str
    when: date | None = None


class StructItem(msgspec.Struct, rename={"title": "name", "label": "unknown"}):
    title: str
    when: date | msgspec.UnsetType = msgspec.UNSET


class ShortItem(msgspec.Struct, omit_defaults=True, tag_field="color", tag="RED"):
    name: str
    when: date | None = None
    tags: list[str] = []


class TaggedItem(msgspec.Struct, tag=True):
    name: str


@attrs.define
class AttrsItem:
    name: str
    when: date | None = None


class PydanticItem(pydantic.BaseModel):
    title: str = pydantic.Field(alias="name")
    when: date | None = None
    tags: list[str] = pydantic.Field(default=["d"])


class LooseItem(pydantic.BaseModel, extra="allow"):
    name: str = pydantic.Field(alias="somethingElse", default="n")


FORMS: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "dict": ({"name": "a", "when": TODAY}, {"name": "a", "when": "2024-02-29"}),
    "another mapping": (UserDict(name="a"), {"name": "a"}),
    "null in a mapping": ({"name": "a", "when": None}, {"name": "a", "when": None}),
    "unset in a mapping": ({"name": "a", "when": Undefined, "tags": msgspec.UNSET}, {"name": "a"}),
    "dataclass": (DataItem("a", TODAY), {"name": "a", "when": "2024-02-29"}),
    "a dataclass's None is null": (DataItem("a"), {"name": "a", "when": None}),
    "Struct by its JSON names": (StructItem("a", TODAY), {"name": "a", "when": "2024-02-29"}),
    "Struct with a member that is not set": (StructItem("a"), {"name": "a"}),
    "Struct that omits its defaults": (ShortItem("a"), {"color": "RED", "name": "a"}),
    "Struct that has other than its defaults": (
        ShortItem("a", TODAY, ["t"]),
        {"color": "RED", "name": "a", "when": "2024-02-29", "tags": ["t"]},
    ),
    "Struct with a tag that the type does not have": (TaggedItem("a"), {"name": "a"}),
    "attrs": (AttrsItem("a", TODAY), {"name": "a", "when": "2024-02-29"}),
    "pydantic without what nobody set": (PydanticItem(name="a"), {"name": "a", "tags": ["d"]}),
    "pydantic with a None that was set": (
        PydanticItem(name="a", when=None, tags=[]),
        {"name": "a", "when": None, "tags": []},
    ),
    "pydantic with an alias of something else": (
        LooseItem.model_validate({"somethingElse": "a", "when": TODAY}),
        {"name": "a", "when": "2024-02-29"},
    ),
    "nested": (
        {"name": "a", "parent": DataItem("b", TODAY), "tags": "one"},
        {"name": "a", "parent": {"name": "b", "when": "2024-02-29"}, "tags": ["one"]},
    ),
}


@pytest.mark.parametrize(("value", "sent"), FORMS.values(), ids=FORMS.keys())
def test_forms_of_input_objects(value: Any, sent: Mapping[str, Any]) -> None:
    before = repr(value)
    assert serialized("Item!", value) == sent
    assert repr(value) == before


def test_defaults_are_the_servers_to_apply() -> None:
    assert serialized("Basket", {"items": []}) == {"items": []}


def test_all_that_is_wrong_is_told_at_once_by_its_path() -> None:
    given = {
        "items": [{"when": "x"}, {"name": "a", "parent": {"name": 1, "nmae": 2}}, None],
        "limit": None,
        3: 4,
    }
    assert problems("Basket!", given) == (
        "variables.v.items[0].when: expected Day, given str, which it refuses (AttributeError)",
        "variables.v.items[0].name: Item requires it (String!), and it is missing",
        "variables.v.items[1].parent.name: expected String, given int",
        "variables.v.items[1].parent: Item has no field 'nmae'. Did you mean 'name'?",
        "variables.v.items[2]: expected Item!, given null",
        "variables.v.limit: expected Int!, given null",
        "variables.v: the names of Basket's fields are texts, not int",
    )


def test_not_more_than_a_few_problems_are_told() -> None:
    with pytest.raises(VariableError, match=rf"^at least {PROBLEM_LIMIT} of the") as caught:
        serialized("[Int]", ["x"] * 10_000)
    assert len(caught.value.problems) == PROBLEM_LIMIT


def test_an_error_can_be_pickled() -> None:
    error = VariableError(["a: b", "c: d"])
    again = pickle.loads(pickle.dumps(error))
    assert (again.problems, str(again)) == (error.problems, str(error))


@dataclass
class DataChoice:
    byId: str | None = None
    byName: str | None = None


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"byId": "1"}, {"byId": "1"}),
        (DataChoice(byName="a"), {"byName": "a"}),
        ({"byId": "1", "byName": Undefined}, {"byId": "1"}),
    ],
)
def test_one_of(value: Any, sent: Any) -> None:
    assert serialized("Choice", value) == sent


@pytest.mark.parametrize(
    "value", [{}, {"byId": None}, {"byId": "1", "byName": "a"}, {"byId": "1", "byName": None},
              DataChoice(), DataChoice("1", "a")]
)  # fmt: skip
def test_one_of_is_exactly_one(value: Any) -> None:
    (problem,) = problems("Choice", value)
    assert problem == "variables.v: Choice takes exactly one of its fields, and not as null"


def outer_schema() -> GraphQLSchema:
    fields = {
        "createdAt": GraphQLInputField(GraphQLNonNull(GraphQLInt), out_name="created_at"),
        "plain": GraphQLInputField(GraphQLInt),
    }
    outer = GraphQLInputObjectType("Outer", fields, out_type=lambda values: Outer(**values))
    argument = {"outer": GraphQLArgument(outer)}
    query = GraphQLObjectType("Query", {"ok": GraphQLField(GraphQLString, args=argument)})
    return GraphQLSchema(query)


@dataclass
class Outer:
    created_at: int
    plain: int | None = None


@pytest.mark.parametrize(
    "value", [Outer(1, 2), {"created_at": 1, "plain": 2}, {"createdAt": 1, "plain": 2}]
)
def test_names_on_the_servers_side(value: Any) -> None:
    assert serialized("Outer", value, outer_schema()) == {"createdAt": 1, "plain": 2}


def test_a_field_by_both_of_its_names() -> None:
    (problem,) = problems("Outer", {"created_at": 1, "createdAt": 2}, outer_schema())
    assert problem.startswith("variables.v.createdAt: given twice")


def test_an_object_within_itself() -> None:
    item: dict[str, Any] = {"name": "a"}
    item["parent"] = item
    assert problems("Item", item) == ("variables: nested too deeply, or within itself",)


# --- the variables themselves -----------------------------------------------------------------


def test_variables_left_out() -> None:
    plan = plan_of("$a: Int, $b: Int! = 3, $c: Int!")
    assert plan({"c": 1}) == {"c": 1}
    assert plan({"c": 1, "a": Undefined, "b": msgspec.UNSET}) == {"c": 1}
    assert plan({"c": 1, "a": None}) == {"c": 1, "a": None}


def test_variables_that_are_missing_or_unknown_or_null() -> None:
    with pytest.raises(VariableError) as caught:
        plan_of("$name: Int, $b: Int! = 3, $c: Int!")({"nmae": 1, "b": None})
    assert caught.value.problems == (
        "variables.nmae: the operation 'Q' declares no such variable. Did you mean 'name'?",
        "variables.b: expected Int!, given null",
        "variables.c: the operation 'Q' requires it (Int!), and it is missing",
    )
    assert str(caught.value).startswith("3 of the variables' values are wrong:\n  variables.nmae: ")


def test_an_operation_without_variables() -> None:
    plan = variables_plan(SCHEMA, Document("{ ok }"), None)
    assert plan({}) == {}
    with pytest.raises(VariableError, match=r"^variables\.a: the operation declares no such"):
        plan({"a": 1})


def test_the_operation_is_chosen_by_name() -> None:
    document = Document("query A($a: Day) { ok } query B($a: String) { ok }")
    assert variables_plan(SCHEMA, document, "A")({"a": TODAY}) == {"a": "2024-02-29"}
    assert variables_plan(SCHEMA, document, "B")({"a": TODAY}) == {"a": TODAY}


@pytest.mark.parametrize(
    ("text", "name", "error"),
    [
        ("query A { ok } query B { ok }", None, ValueError),
        ("query A { ok }", "C", ValueError),
        ("query {", None, GraphQLSyntaxError),
    ],
)
def test_no_plan_without_an_operation(text: str, name: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        variables_plan(SCHEMA, Document(text), name)


@pytest.mark.parametrize(
    "scalar",
    [
        lambda: GraphQLScalarType("Day", serialize=str.upper),
        lambda: GraphQLScalarType("Day", coerce_output_value=str.upper),
        lambda: legacy(GraphQLScalarType("Day")),
    ],
)
def test_both_names_of_a_scalars_output_coercion(scalar: Callable[[], GraphQLScalarType]) -> None:
    argument = {"day": GraphQLArgument(scalar())}
    query = GraphQLObjectType("Query", {"ok": GraphQLField(GraphQLString, args=argument)})
    assert serialized("Day", "x", GraphQLSchema(query)) == "X"


def legacy(scalar: GraphQLScalarType) -> GraphQLScalarType:
    scalar.serialize = str.upper  # type: ignore[method-assign]
    return scalar


def test_threads_share_a_plan() -> None:
    plan = plan_of("$v: Basket")
    start = threading.Barrier(4)
    got: list[Any] = []

    def use() -> None:
        start.wait(timeout=10)
        for number in range(50):
            item = {"name": str(number), "when": TODAY, "color": Color.GREEN}
            got.append(plan({"v": {"items": [item]}})["v"]["items"][0])

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 200
    assert all(item["when"] == "2024-02-29" and item["color"] == "GREEN" for item in got)
    assert {item["name"] for item in got} == {str(number) for number in range(50)}


def test_datetimes_without_a_schemas_scalar_stay_datetimes() -> None:
    now = datetime.now(UTC)
    assert serialized("JSON", now) is now
