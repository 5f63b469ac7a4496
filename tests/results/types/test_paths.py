"""``path=``: the data at a path of response keys, and hints to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

from anygql import ResultTypeError
from anygql.results.types import converter


@dataclass
class DataclassPlace:
    id: str


@attrs.define
class AttrsPlace:
    id: str


class StructPlace(msgspec.Struct):
    id: str


class ModelPlace(pydantic.BaseModel):
    id: str


places = pytest.mark.parametrize(
    "place", [DataclassPlace, AttrsPlace, StructPlace, ModelPlace], ids=lambda cls: cls.__name__
)


@places
def test_data_at_a_path(place: Any) -> None:
    data = {"viewer": {"place": {"id": "a"}, "places": [{"id": "b"}], "none": None}}
    one = converter(place, path=("viewer", "place"))
    assert one(data) == place(id="a")
    many = converter(list[place], path=("viewer", "places"))
    assert many(data) == [place(id="b")]
    assert converter(place | None, path=("viewer", "none"))(data) is None
    with pytest.raises(ResultTypeError, match=r"^data\.viewer\.none: ") as caught:
        converter(place, path=("viewer", "none"))(data)
    assert caught.value.path == ("viewer", "none")
    assert caught.value.data is data


@places
def test_what_does_not_fit_has_its_whole_path(place: Any) -> None:
    with pytest.raises(ResultTypeError, match=r"^data\.viewer\.places\[1\]\.id: ") as caught:
        converter(list[place], path=("viewer", "places"))(
            {"viewer": {"places": [{"id": "a"}, {"id": 3}]}}
        )
    assert caught.value.path == ("viewer", "places", 1, "id")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": {"c": 1}}, r"data\.a\.b: it is not in the answer, which has c$"),
        ({"a": {}}, r"data\.a\.b: it is not in the answer, which has no keys$"),
        ({}, r"data\.a: it is not in the answer"),
        ({"a": None}, r"data\.a: it is null, and the path goes on to 'b'$"),
        ({"a": []}, r"data\.a: expected object, got list, and the path goes on to 'b'$"),
        ({"a": "secret"}, r"data\.a: expected object, got str, and the path goes on to 'b'$"),
    ],
)
def test_data_that_do_not_reach_the_end_of_the_path(data: Any, message: str) -> None:
    for type_ in (Any, int, int | None):
        with pytest.raises(ResultTypeError, match=message) as caught:
            converter(type_, path=("a", "b"))(data)
        assert caught.value.data is data
        assert converter(type_, path=("a", "b"), partial=True)(data) is None


@places
@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ({"place": {"id": "a"}}, r"\. It fits with path='place'$"),
        ({"viewer": {"place": {"id": "a"}}}, r"\. It fits with path='viewer\.place'$"),
        ({"places": [{"id": "a"}]}, r"fits with result_type=list\[…\] and path='places'$"),
    ],
)
def test_a_type_for_what_is_within_gets_a_hint(place: Any, data: Any, hint: str) -> None:
    with pytest.raises(ResultTypeError, match=hint):
        converter(place)(data)


@places
@pytest.mark.parametrize(
    "data",
    [
        {"place": {"id": 3}},
        {"place": None},
        {"place": {"id": "a"}, "other": 1},
        {"places": []},
        {},
        {"a": {"b": {"c": {"d": {"e": {"id": "a"}}}}}},
    ],
)
def test_no_hint_that_does_not_help(place: Any, data: Any) -> None:
    with pytest.raises(ResultTypeError) as caught:
        converter(place)(data)
    assert "path=" not in str(caught.value)
