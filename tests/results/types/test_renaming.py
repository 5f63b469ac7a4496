"""Types whose fields msgspec renames."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import attrs
import msgspec
import pytest

from anygql.results.types import ResultTypeError, converter
from anygql.results.types.shaping import shape_of


@dataclasses.dataclass
class Tag:
    tag_name: str
    tag_size: int = 0


#: What a field has without data: msgspec would make something else of each of these.
DEFAULTS: list[Any] = [None, "2026-11-01", 1, collections.defaultdict(int), Tag("default")]


@dataclasses.dataclass
class Defaults:
    the_id: int
    a_number: int = DEFAULTS[0]
    a_text: int = DEFAULTS[1]
    a_float: float = DEFAULTS[2]
    a_dict: dict[str, int] = dataclasses.field(default_factory=lambda: DEFAULTS[3])
    a_tag: Tag = dataclasses.field(default_factory=lambda: DEFAULTS[4])


@attrs.define
class Person:
    first_name: str
    best_friend: Person | None = None
    all_tags: list[Tag] = attrs.Factory(lambda self: [Tag(self.first_name)], takes_self=True)


class Cat(msgspec.Struct, tag_field="__typename", tag="Cat", forbid_unknown_fields=True):
    lives_left: int


class Dog(msgspec.Struct, tag_field="__typename", tag="Dog"):
    is_loud: bool
    chases_it: list[Cat | Dog] = []


@dataclasses.dataclass
class BothSpellings:
    tag_name: str
    tagName: str = "?"


@dataclasses.dataclass
class Second:
    """Has a field with the name of the attribute that is made for a second name."""

    tag_name: str
    tag_name__second: str = "?"


class LooksLikeATag:
    tag_name = "A"
    tag_size = 1


def test_what_is_absent_has_the_default_of_the_type() -> None:
    made = converter(Defaults, camel_case=True)({"theId": 1})
    found = [made.a_number, made.a_text, made.a_float, made.a_dict, made.a_tag]
    assert [id(value) for value in found] == [id(value) for value in DEFAULTS]


def test_a_default_of_the_whole_object() -> None:
    read = converter(Person, camel_case=True)
    assert read({"firstName": "A"}) == Person("A", None, [Tag("A")])
    assert read({"firstName": "A", "allTags": []}) == Person("A", None, [])


def test_second_names_on_every_level() -> None:
    read = converter(list[Person], camel_case=True)
    assert read(
        [
            {"first_name": "A", "all_tags": []},
            {"firstName": "B", "best_friend": {"first_name": "C", "allTags": [{"tag_name": "D"}]}},
        ]
    ) == [Person("A", None, []), Person("B", Person("C", None, [Tag("D")]), [Tag("B")])]


def test_tagged_structs_within_each_other() -> None:
    read = converter(list[Cat | Dog | None], camel_case=True)
    cat = {"__typename": "Cat", "livesLeft": 9}
    dog = {"__typename": "Dog", "isLoud": True, "chasesIt": [cat], "more": 1}
    assert read([cat, None, dog]) == [Cat(9), None, Dog(True, [Cat(9)])]
    with pytest.raises(ResultTypeError, match=r"^data\[0\]\.more: Cat has no such field"):
        read([cat | {"more": 1}])


@pytest.mark.parametrize("type_", [BothSpellings, Second])
def test_names_that_no_struct_can_have(type_: Any) -> None:
    assert not shape_of(type_, renames=True).native
    assert converter(type_, camel_case=True)({"tagName": "A"}).tag_name == "A"


def test_attributes_are_not_taken_for_data() -> None:
    with pytest.raises(ResultTypeError, match="expected object for Tag, got LooksLikeATag"):
        converter(dict[str, Tag], camel_case=True)({"tag": LooksLikeATag()})
