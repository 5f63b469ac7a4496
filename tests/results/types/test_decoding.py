"""Decoding JSON text straight to a type: it makes what converting the plain data would make."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql.results.types import ResultTypeError, conversion
from tests.results.types import test_conversion as table

T = TypeVar("T")


class Word(enum.Enum):
    RED = "RED"
    BLUE = "BLUE"

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        return Word.RED if value == "red" else None


class Number(enum.IntEnum):
    ONE = 1


class Pair(NamedTuple):
    one: int
    two: str = "b"


@dataclasses.dataclass
class Data(Generic[T]):
    value: T
    other: T | None = None


@dataclasses.dataclass
class Named:
    typename__: str
    a_value: int = 0


@dataclasses.dataclass
class Small:
    value: int

    def __post_init__(self) -> None:
        if self.value > 2:
            raise ValueError("too large")


@attrs.define
class Attrs(Generic[T]):
    value: T = attrs.field(validator=attrs.validators.instance_of(object))


class Struct(msgspec.Struct, Generic[T], rename="camel"):
    value: T
    an_other: int = 0


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    value: Any


class Array(msgspec.Struct, array_like=True):
    value: int
    other: str = ""


class Left(msgspec.Struct, tag_field="__typename", tag="Left"):
    value: int


class Right(msgspec.Struct, tag_field="__typename", tag="Right"):
    value: str


class Typed(TypedDict, total=False):
    value: int
    other: msgspec.UnsetType | str


class Model(pydantic.BaseModel):
    value: int


LEAVES: list[Any] = [
    *(int, float, str, bool, None, bytes, bytearray, Any, object, Decimal, uuid.UUID),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(Word, Number, Literal["a", 1, None], Literal[1, 2], Pair, Array, msgspec.Raw),
    *(int | float, int | str, float | bool, datetime.date | int, bool | None, Decimal | None),
    *(Word | None, int | bytes | None, Decimal | str, datetime.timedelta | float),
    Annotated[int, msgspec.Meta(ge=1, le=9)],
    Annotated[float, msgspec.Meta(multiple_of=0.5)],
    Annotated[str, msgspec.Meta(pattern="^a", max_length=2)],
    Annotated[datetime.datetime, msgspec.Meta(tz=True)],
]
TYPES: list[Any] = [
    *LEAVES,
    *(list[leaf] for leaf in LEAVES),
    *(Data[leaf] for leaf in LEAVES),
    *(Struct[leaf] for leaf in LEAVES),
    *(Attrs[leaf] for leaf in LEAVES),
    *(dict[str, leaf] for leaf in LEAVES),
    *(
        dict[key, int]
        for key in (int, float, uuid.UUID, datetime.date, Word, Literal["a", 1], bool)
    ),
    *(set[int], frozenset[str], tuple[int, str], tuple[float, ...], set[Any]),
    *(collections.abc.Sequence[int], collections.abc.Mapping[str, float], list[Pair]),
    Annotated[list[int], msgspec.Meta(max_length=1)],
    *(Small, Strict, Typed, Named, Left, Right, Left | Right, Left | None, list[Left | Right]),
    *(Struct[Struct[int] | None], Data[list[Named]], Model, Data[Model], Data[Left] | None),
    *(Data[int] | int, dict[str, Named], Struct[Data[Any]], Left | dict[str, Any]),
]
SCALARS = [
    *(
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "2",
        "-0",
        "1.0",
        "1.5",
        "-0.0",
        "1e2",
        "1E-2",
        "9.0",
    ),
    *("1.10", "0.1000000000000000055511151231257827", "1e308", "123456789012345678.5"),
    *("9007199254740993", "18446744073709551616", "-9223372036854775809", "1" * 30, "1" * 400),
    *('""', '"a"', '"abc"', '"1"', '"1.5"', '"é"', '"\\u00e9\\ud83d\\ude00"', '"\\n\\/"', '"true"'),
    *('"2026-11-01T12:00:00Z"', '"2026-11-01T12:00:00"', '"2026-11-01"', '"12:00:00"', '"PT90S"'),
    *('"00000000-0000-0000-0000-000000000001"', '"YWI="', '"RED"', '"red"', '"GREEN"', '"NaN"'),
]
TEXTS = [
    *SCALARS,
    *(f"[{scalar}]" for scalar in SCALARS),
    *(f'{{"value":{scalar}}}' for scalar in SCALARS),
    *(f'{{"value":{{"value":{scalar},"more":[{{}}]}}}}' for scalar in SCALARS),
    *("[]", '[1,"b"]', '[1,"b",2]', "[1,2.0]", "[[1]]", '[{"value":1}]', "[1,1]", "[null,1]"),
    *("{}", '{"1":1}', '{"1.5":1}', '{"RED":1}', '{"red":1}', '{"a":1,"1":2}', '{"2026-11-01":1}'),
    *('{"00000000-0000-0000-0000-000000000001":1}', '{"true":1}', '{"value":[1,"b"],"other":null}'),
    *('{"value":1,"other":2}', '{"value":1,"anOther":"x"}', '{"value":1,"an_other":"x"}'),
    *('{"__typename":"Left","value":1}', '{"value":"a","__typename":"Right"}', '{"__typename":1}'),
    *(
        '[{"__typename":"Left","value":1},{"__typename":"Right","value":"a"}]',
        '{"__typename":"No"}',
    ),
    *('{"__typename":"Named","aValue":1}', '{"__typename":"Named","a_value":1,"aValue":2}'),
    *('{"value":[{"__typename":"Named","aValue":1}]}', '{"value":{"value":{"value":1}}}'),
]


def outcome(make: Any, value: Any) -> tuple[str, Any]:
    """What is made, with the types of everything in it; or that nothing is."""
    try:
        made = make(value)
    except Exception as error:
        return type(error).__name__, None
    return "made", (type(made), repr(made))


def plain(text: bytes | str) -> Any:
    return msgspec.json.decode(text)


@pytest.mark.parametrize("camel_case", [False, True])
@pytest.mark.parametrize("path", [(), ("a", "__typename")])
def test_decoded_or_converted_it_is_the_same(camel_case: bool, path: tuple[str, ...]) -> None:
    """What the text is decoded to is what its data are converted to; nothing else is decoded."""
    decoded = 0
    for type_ in TYPES:
        convert, decode = conversion(type_, camel_case=camel_case, path=path)
        if decode is None:
            continue
        for text in TEXTS:
            whole = f'{{"x":1,"a":{{"__typename":{text}}}}}' if path else text
            made = outcome(decode, msgspec.Raw(whole.encode()))
            expected = outcome(convert, plain(whole))
            assert (made if made[0] == "made" else expected[0]) != "made", (type_, text, made)
            if made[0] == "made":
                decoded += 1
                assert made == expected, (type_, text)
    assert decoded > 2500


TABLE = [
    *((row[0], camel_case, row[1]) for row in table.PLAIN for camel_case in (False, True)),
    *((row[0], True, row[1]) for row in table.CAMEL),
    *((row[0], False, row[1]) for row in table.SNAKE),
    *(row[:3] for row in table.WRONG),
]


@pytest.mark.parametrize("path", [(), ("a", "b")])
def test_the_table_of_types(path: tuple[str, ...]) -> None:
    """Every row of the table of types that data can be decoded to is decoded as it is converted."""
    decoded = refused = 0
    for type_, camel_case, data in TABLE:
        whole = {"c": 1, "a": {"b": data}} if path else data
        try:
            text = msgspec.json.encode(whole)
        except TypeError:  # with instances of the user's classes
            continue
        convert, decode = conversion(type_, camel_case=camel_case, path=path)
        if decode is None:
            continue
        made, expected = outcome(decode, text), outcome(convert, plain(text))
        if expected[0] == "made":
            decoded += 1
            assert made == expected, (type_, data)
        else:
            refused += 1
            assert made[0] != "made", (type_, data)
    assert decoded > 60
    assert refused > 15


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "{}",
        "[]",
        "1",
        '{"a":null}',
        '{"a":[]}',
        '{"a":{}}',
        '{"a":{"b":null}}',
        '{"a":{"b":"x"}}',
    ],
)
def test_what_does_not_reach_the_end_of_the_path_is_not_decoded(text: str) -> None:
    convert, decode = conversion(int, path=("a", "b"))
    assert decode is not None
    with pytest.raises(msgspec.ValidationError):
        decode(text)
    with pytest.raises(ResultTypeError):
        convert(plain(text))


def test_a_path_alone_is_decoded() -> None:
    decode = conversion(Any, path=("a", "class")).decode
    assert decode is not None
    assert decode('{"b":[1],"a":{"class":{"c":[null]}}}') == {"c": [None]}


def test_what_only_plain_data_can_be_converted_to() -> None:
    plain_only = [
        Model,
        Data[Model],
        Decimal,
        Data[list[Decimal]],
        Pair | Decimal,
        Number,
        msgspec.Raw,
    ]
    assert [conversion(type_).decode for type_ in (Any, *plain_only)] == [None] * 8
    assert conversion(Data[int], parsed=True).decode is None
    assert conversion(Data[int], path=("a",), partial=True).decode is None


class Tree(msgspec.Struct):
    children: list[Tree] = []
    price: Decimal | None = None


def test_a_decimal_in_a_type_that_contains_itself() -> None:
    assert conversion(Tree).decode is None
    assert conversion(table.Person).decode is not None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table.everything(), st.booleans(), st.data())
def test_any_data(value: Any, camel_case: bool, data: st.DataObject) -> None:
    given_data = table.camel_keys(value) if camel_case else value
    convert, decode = conversion(table.Everything, camel_case=camel_case)
    assert decode is not None
    key = data.draw(st.sampled_from(sorted(given_data)))
    other = data.draw(st.none() | st.integers() | st.text() | st.just({}))
    for each in (given_data, {**given_data, key: other}):
        text = msgspec.json.encode(each)  # infinity is encoded as null, which is refused
        made, expected = outcome(decode, text), outcome(convert, plain(text))
        assert made == expected or (made[0], expected[0]) == ("ValidationError", "ResultTypeError")
