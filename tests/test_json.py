"""JSON in and out."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import pathlib
import types
import uuid
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql.json import MsgspecJSON, decode_typed, encode_named, replace_lone_surrogates

JSON = MsgspecJSON()

# A busy machine fails no test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Color(enum.Enum):
    RED = "RED"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Struct(msgspec.Struct, rename="camel"):
    is_on: Any


@attrs.define
class Attrs:
    a: Any
    b: Any = None


class Model(pydantic.BaseModel, arbitrary_types_allowed=True):
    first_name: Any = pydantic.Field(alias="firstName")
    more: Any = None


class Percent(pydantic.RootModel[float]):
    pass


@pydantic.dataclasses.dataclass
class ModelDataclass:
    x: Any


class Pair(NamedTuple):
    x: Any
    y: Any


class MyStr(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class MyInt(int):
    pass


class MyFloat(float):
    pass


class StandardJSON:
    def encode(self, value: Any, /) -> bytes:
        return json.dumps(value).encode()

    def decode(self, text: bytes, /) -> Any:
        return json.loads(text)


VALUES = [
    pytest.param(2**63, 2**63, id="big-int"),
    pytest.param(-(10**400), -(10**400), id="very-big-int"),
    pytest.param(0.1, 0.1, id="float"),
    pytest.param(
        datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC), "2026-11-01T12:00:00Z", id="utc"
    ),
    pytest.param(datetime.date(2026, 11, 1), "2026-11-01", id="date"),
    pytest.param(datetime.time(12, 30), "12:30:00", id="time"),
    pytest.param(Decimal("1.10"), "1.10", id="decimal"),
    pytest.param(uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001", id="uuid"),
    pytest.param(Color.RED, "RED", id="enum"),
    pytest.param(Level.HIGH, 3, id="int-enum"),
    pytest.param(Point(1, [Color.RED]), {"x": 1, "y": ["RED"]}, id="dataclass"),
    pytest.param(Struct(True), {"isOn": True}, id="struct"),
    pytest.param((1, [2], {3}), [1, [2], [3]], id="collections"),
    pytest.param(frozenset([1]), [1], id="frozenset"),
    pytest.param(Pair(1, [2]), [1, [2]], id="named-tuple"),
    pytest.param(datetime.timedelta(hours=25), "P1DT3600S", id="timedelta"),
    pytest.param(datetime.datetime(2026, 11, 1, 12), "2026-11-01T12:00:00", id="naive"),
    pytest.param(Attrs(1, [Color.RED]), {"a": 1, "b": ["RED"]}, id="attrs"),
    pytest.param(
        Model(firstName=Decimal("1.10"), more=[Color.RED, uuid.UUID(int=0)]),
        {"firstName": "1.10", "more": ["RED", "00000000-0000-0000-0000-000000000000"]},
        id="model",
    ),
    pytest.param(
        {"a": [Attrs(Point(Struct((Model(firstName=Percent(0.5), more=Point(1)),))))]},
        {
            "a": [
                {
                    "a": {
                        "x": {"isOn": [{"firstName": 0.5, "more": {"x": 1, "y": None}}]},
                        "y": None,
                    },
                    "b": None,
                }
            ]
        },
        id="nested",
    ),
    pytest.param(
        ModelDataclass(Model(firstName=1)),
        {"x": {"firstName": 1, "more": None}},
        id="model-dataclass",
    ),
    pytest.param(
        {Color.RED: 1, uuid.UUID(int=0): 2},
        {"RED": 1, "00000000-0000-0000-0000-000000000000": 2},
        id="keys",
    ),
    pytest.param({1: 2}, {"1": 2}, id="int-key"),
    pytest.param(types.MappingProxyType({"a": 1}), {"a": 1}, id="mapping-proxy"),
    pytest.param(collections.ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}, id="chain-map"),
    pytest.param({"a": collections.UserDict(b=1)}, {"a": {"b": 1}}, id="user-dict"),
    pytest.param([MyStr("s"), MyInt(1), MyFloat(0.5)], ["s", 1, 0.5], id="subclasses"),
    pytest.param({MyStr("k"): MyStr("v")}, {"k": "v"}, id="subclass-as-key"),
    pytest.param(
        [None, "null", 1.5, msgspec.Raw(b"[null]")], [None, "null", 1.5, [None]], id="null"
    ),
    pytest.param(b"\x00\xff", "AP8=", id="bytes-as-base64"),
    pytest.param("é🎉\x00", "é🎉\x00", id="text"),
]


@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_encode(value: Any, expected: Any) -> None:
    text = JSON.encode(value)
    assert isinstance(text, bytes)
    assert json.loads(text) == expected
    assert encode_named(JSON, value, "variables") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"1.0", 1.0),
        (b'{"a":[null,true,"\\u00e9"]}', {"a": [None, True, "é"]}),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'{"\udc00":"\\ud83d\uD83D"}', {"\ufffd": "\\ud83d\ufffd"}),
    ],
)
def test_decode(text: bytes, expected: Any) -> None:
    assert JSON.decode(text) == expected
    assert type(JSON.decode(text)) is type(expected)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b"1 2", b"'a'", b'"\xff"', b"1e999", rb'"\ud83d', rb'"\x"']
)
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        JSON.decode(text)


def test_decode_typed_reads_into_types_and_mends() -> None:
    decoder = msgspec.json.Decoder(dict[str, int])
    assert decode_typed(decoder, '{"a":1}') == {"a": 1}
    assert decode_typed(decoder, rb'{"\ud83d":1}') == {"\ufffd": 1}
    with pytest.raises(msgspec.ValidationError, match=r"\$\[\.\.\.\]"):
        decode_typed(decoder, '{"a":"b"}')


@unhurried
@given(st.text(st.characters(exclude_categories=[])))
def test_mending_changes_only_halves_of_characters(text: str) -> None:
    escaped = json.dumps(text)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # The standard library joins two halves that were characters of their own, and so do we.
    assert len(json.loads(replace_lone_surrogates(escaped))) == len(whole)
    assert "\ufffd" in text or ("\ufffd" in JSON.decode(escaped.encode())) == (text != whole)


BAD = object()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (BAD, "variables"),
        ({"a": BAD}, "variables.a"),
        (
            {"ok": 1, "input": {"items": [{"when": 1}, {}, {"when": BAD}]}},
            "variables.input.items[2].when",
        ),
        ({"a": (1, [BAD])}, "variables.a[1][0]"),
        ({"a": types.MappingProxyType({"b": BAD})}, "variables.a.b"),
        ({"p": Point(1, {"when": BAD})}, "variables.p.y.when"),
        ({"p": Struct([BAD])}, "variables.p.is_on[0]"),
        ({"a": {1: BAD}}, "variables.a.1"),
        ({"p": Attrs(1, {"when": BAD})}, "variables.p.b.when"),
        ({"p": [Model(firstName=[BAD])]}, "variables.p[0].first_name[0]"),
        ({"p": ModelDataclass({"when": BAD})}, "variables.p.x.when"),
        ({"a": [{BAD}]}, "variables.a[0]"),
    ],
)
def test_the_culprit_is_named(value: Any, path: str) -> None:
    with pytest.raises(TypeError) as caught:
        encode_named(JSON, value, "variables")
    assert str(caught.value).startswith(f"{path}: a value of type ")
    assert "object" in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": {(1, 2): 3}}, "variables.a: a value of type dict"),
        ({"a": "\ud800"}, "variables.a: a value of type str"),
        ({"a": (item for item in ())}, "variables.a: a value of type generator"),
        ({"a": type}, "variables.a: a value of type type"),
        ({"a": pathlib.PurePosixPath("a")}, "variables.a: a value of type PurePosixPath"),
        ({"a": msgspec.UNSET}, "variables.a: a value of type UnsetType"),
    ],
)
def test_other_things_without_a_json_form(value: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        encode_named(JSON, value, "variables")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", [float, MyFloat])
def test_numbers_that_json_has_not_are_refused(number: str, kind: type[float]) -> None:
    for value in (kind(number), [None, (kind(number),)], Point({"x": kind(number)})):
        with pytest.raises(ValueError, match=f"JSON has no {number}"):
            JSON.encode(value)
    with pytest.raises(TypeError, match=rf"^variables\.p\.more: .*JSON has no {number}"):
        encode_named(JSON, {"p": Model(firstName=1, more={kind(number)})}, "variables")
    with pytest.raises(TypeError, match=rf"^variables\.p\.x\[0\]: .*JSON has no {number}"):
        encode_named(JSON, {"ok": None, "p": Point([kind(number)])}, "variables")


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {"a": [1]}
    value["a"].append({"b": value})
    return value


def test_a_structure_within_itself() -> None:
    with pytest.raises(TypeError, match=r"^variables: nested too deeply, or within itself$"):
        encode_named(JSON, circular(), "variables")


def test_a_structure_within_itself_for_another_json() -> None:
    with pytest.raises(TypeError, match=r"^variables\.a\[1\]\.b: .*[Cc]ircular"):
        encode_named(StandardJSON(), circular(), "variables")


def test_a_deep_structure() -> None:
    value: Any = None
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TypeError, match="nested too deeply"):
        encode_named(JSON, {"a": value}, "variables")


def test_whatever_another_json_raises_names_the_culprit() -> None:
    class Odd(StandardJSON):
        def encode(self, value: Any, /) -> bytes:
            if "odd" in repr(value):
                raise LookupError("odd")
            return super().encode(value)

    with pytest.raises(TypeError, match=r"^variables\.a\[1\]: a value of type str .*odd"):
        encode_named(Odd(), {"a": ["even", "odd"]}, "variables")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def test_what_only_a_model_knows_how_to_write() -> None:
    class Odd(pydantic.BaseModel, arbitrary_types_allowed=True):
        secret: pydantic.SecretStr
        pairs: dict[tuple[int, int], None]
        odd: Annotated[object, pydantic.PlainSerializer(lambda _: "odd", when_used="json")]

    value = Odd(secret=pydantic.SecretStr("x"), pairs={(1, 2): None}, odd=object())
    assert json.loads(JSON.encode({"a": [value]})) == {
        "a": [{"secret": "**********", "pairs": {"1,2": None}, "odd": "odd"}]
    }


def test_a_model_may_say_what_becomes_of_numbers_that_json_has_not() -> None:
    class Lenient(pydantic.BaseModel, ser_json_inf_nan="strings"):
        size: float

    assert JSON.encode([None, Lenient(size=float("inf"))]) == b'[null,{"size":"Infinity"}]'


@unhurried
@given(json_values)
def test_what_goes_out_comes_back(value: Any) -> None:
    assert JSON.decode(JSON.encode(value)) == value
