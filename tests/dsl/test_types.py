"""Documents from the types that are wanted back."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions
from graphql import parse, print_ast

from anygql import GraphQLRequest
from anygql.documents.recognizer import operations_in
from anygql.dsl import Field, Operation, directive, fragment, mutation, on, query, select, var
from anygql.results.types import converter
from anygql.schema.client_schema import ClientSchema
from anygql.schema.loading import load_schema
from tests.schema.starwars import STAR_WARS

SCHEMA = load_schema(STAR_WARS)
CHECKED = ClientSchema(SCHEMA)

T = TypeVar("T")


def text_of(operation: Operation[Any], *more: Any, **options: Any) -> str:
    """The document's text, which graphql-core prints in the same way."""
    request = select(operation, *more, **options)
    assert operations_in(request.text) is not None
    assert print_ast(parse(request.text)) == request.text
    return request.text


def in_lines(*lines: str) -> str:
    return "\n".join(lines)


@dataclass
class Friend:
    name: str


@dataclass
class Hero:
    name: str
    friends: list[Friend]
    height: Annotated[float, Field(args={"unit": var("Unit!")})]


def test_the_document_of_a_type() -> None:
    request = select(query("hero", Hero, id=var("ID!")))
    assert request.text == in_lines(
        "query ($id: ID!, $unit: Unit!) {",
        "  hero(id: $id) {",
        "    name",
        "    friends {",
        "      name",
        "    }",
        "    height(unit: $unit)",
        "  }",
        "}",
    )
    assert request.result_type is Hero
    assert request.path == "hero"
    assert request.variable_values is None
    assert request.kind == "query"


class DictFriend(TypedDict):
    name: str


class DictHero(TypedDict):
    name: str
    friends: list[DictFriend]
    height: typing_extensions.NotRequired[Annotated[float, Field(args={"unit": var("Unit!")})]]


@attrs.define
class AttrsHero:
    name: str
    friends: list[Friend]
    height: Annotated[float, Field(args={"unit": var("Unit!")})]


class StructHero(msgspec.Struct):
    name: str
    friends: list[Friend]
    height: Annotated[float, Field(args={"unit": var("Unit!")})] | None


class ModelHero(pydantic.BaseModel):
    name: str
    friends: list[Friend]
    height: Annotated[float, Field(args={"unit": var("Unit!")})]


class OptionalModelHero(pydantic.BaseModel):
    name: str
    friends: tuple[Friend, ...] | None
    height: Annotated[float, Field(args={"unit": var("Unit!")})] | None = None


@pydantic.dataclasses.dataclass
class PydanticHero:
    name: str
    friends: list[Friend]
    height: Annotated[float, Field(args={"unit": var("Unit!")})]


@pytest.mark.parametrize(
    "type_",
    [DictHero, AttrsHero, StructHero, ModelHero, OptionalModelHero, PydanticHero, Hero | None],
    ids=str,
)
def test_every_kind_of_type(type_: Any) -> None:
    assert text_of(query("hero", type_, id=var("ID!"))) == text_of(
        query("hero", Hero, id=var("ID!"))
    )


@dataclass
class Page(Generic[T]):
    nodes: list[T]
    total: int


class Color(Enum):
    RED = 1


@pytest.mark.parametrize("type_", [int, str, Color, Any, dict[str, Any], list[int], int | None])
def test_scalars_have_no_fields(type_: Any) -> None:
    assert text_of(query("value", type_)) == "{\n  value\n}"


@pytest.mark.parametrize(
    "type_",
    [Page[Friend], Page[Friend] | None, list[Page[Friend]], tuple[Page[Friend], Page[Friend]]],
    ids=str,
)
def test_generic_types_and_collections(type_: Any) -> None:
    assert text_of(query("page", type_)) == in_lines(
        "{", "  page {", "    nodes {", "      name", "    }", "    total", "  }", "}"
    )


class Root(pydantic.RootModel[list[Friend]]):
    pass


def test_a_model_of_the_whole_data() -> None:
    assert text_of(query("friends", Root)) == "{\n  friends {\n    name\n  }\n}"


@dataclass
class Dashboard:
    hero: Friend | None
    reviews: Annotated[list[dict[str, Any]], Field(args={"episode": var("Episode!")})]


def test_a_type_of_the_whole_data() -> None:
    request = select(query(Dashboard))
    assert request.text == in_lines(
        "query ($episode: Episode!) {",
        "  hero {",
        "    name",
        "  }",
        "  reviews(episode: $episode)",
        "}",
    )
    assert (request.result_type, request.path) == (Dashboard, None)


@dataclass
class Ship:
    name: str
    length: Annotated[float | None, Field(args={"unit": "FOOT"})]


@dataclass
class Pilot:
    name: str
    starships: list[Ship] | None


@pytest.mark.parametrize("more", [(), (fragment("Ships", Ship).on("Starship"),)], ids=len)
def test_values_in_a_type_need_a_schema(more: Any) -> None:
    operation = query("human", Pilot | None, id="1000")
    with pytest.raises(ValueError, match=r"\(id:\): its GraphQL type isn't known"):
        select(operation, *more)
    with pytest.raises(ValueError, match=r"length\(unit:\): its GraphQL type isn't known"):
        select(query("human", Pilot), *more)
    request = select(operation, *more, schema=SCHEMA)
    assert request.text.startswith("query ($id: ID!, $unit: LengthUnit) {")
    assert request.variable_values == {"id": "1000", "unit": "FOOT"}
    assert ("...Ships" in request.text) == bool(more)
    CHECKED.validate(request.source)


# Point 3: names are strings.


def test_any_name_will_do() -> None:
    @dataclass
    class Found:
        in_: Annotated[str, Field("in", args={"from": var("Int"), "return": var("type", "Int")})]

    assert text_of(query("class", {"import": var("ID!")}, Found)) == in_lines(
        "query ($import: ID!, $from: Int, $type: Int) {",
        "  class(import: $import) {",
        "    in_: in(from: $from, return: $type)",
        "  }",
        "}",
    )


# Point 4: unions.


@dataclass
class Human:
    name: str
    height: Annotated[float, Field(args={"unit": var("LengthUnit")})]


@dataclass
class Droid:
    typename__: Literal["Droid"]
    primaryFunction: str | None


@dataclass
class Others:
    typename__: Literal["Starship", "Character"]
    id: str


def test_a_union_is_of_inline_fragments() -> None:
    assert text_of(query("search", list[Human | Droid | None], text=var("String!"))) == in_lines(
        "query ($text: String!, $unit: LengthUnit) {",
        "  search(text: $text) {",
        "    __typename",
        "    ... on Human {",
        "      name",
        "      height(unit: $unit)",
        "    }",
        "    ... on Droid {",
        "      primaryFunction",
        "    }",
        "  }",
        "}",
    )


def test_a_type_for_several_names() -> None:
    text = text_of(query("search", list[Human | Others], text=var("String!")))
    assert "... on Character {\n      id" in text
    assert "... on Starship {\n      id" in text


class ByKind(msgspec.Struct, tag_field="kind", tag="Human"):
    name: str


class OtherKind(msgspec.Struct, tag_field="kind", tag="Droid"):
    id: str


def test_the_tag_of_a_struct() -> None:
    text = text_of(query("character", ByKind | OtherKind | None, id=var("ID!")))
    assert "    kind: __typename\n    ... on Human {\n      name" in text


def test_a_dict_stands_for_all_other_types() -> None:
    text = text_of(query("search", list[Human | dict[str, Any]], text=var("String!")))
    assert text.count("... on") == 1
    assert "__typename" in text


def test_what_has_no_fields_of_its_own() -> None:
    @dataclass
    class Nothing:
        pass

    assert "x {\n    __typename\n  }" in text_of(query("x", Nothing))


UNION_DATA = {
    "search": [
        {"__typename": "Human", "name": "Luke", "height": 1.72},
        {"__typename": "Droid", "primaryFunction": "Astromech"},
    ]
}


def test_what_is_selected_is_what_is_read() -> None:
    request = select(query("search", list[Human | Droid], text=var("String!")))
    CHECKED.validate(request.source)
    read = converter(request.result_type, path=("search",))
    assert read(UNION_DATA) == [Human("Luke", 1.72), Droid("Droid", "Astromech")]


# Point 5: names in GraphQL's spelling.


@dataclass
class Person:
    first_name: str
    from_: str


class Renamed(msgspec.Struct, rename="camel"):
    first_name: str


class Aliased(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="givenName")


def test_camel_case() -> None:
    operation = query("a_person", Person, person_id=var("ID!"))
    request = select(operation, camel_case=True)
    assert request.text == in_lines(
        "query ($personId: ID!) {",
        "  a_person(personId: $personId) {",
        "    firstName",
        "    from",
        "  }",
        "}",
    )
    assert request.typed_options(None, None, None) == (Person, "a_person", True)
    assert request.typed_options(None, None, False) == (Person, "a_person", False)
    assert "first_name\n    from_" in select(operation).text
    in_mapping = query("a", {"person_id": var("ID!")}, Person)
    assert "a(person_id: $person_id)" in select(in_mapping, camel_case=True).text


@pytest.mark.parametrize("camel_case", [False, True])
def test_names_that_the_type_declares(camel_case: bool) -> None:
    assert "{\n    firstName\n" in text_of(query("a", Renamed), camel_case=camel_case)
    assert "{\n    givenName\n" in text_of(query("a", Aliased), camel_case=camel_case)


# Point 6: fragments.

FRIEND = fragment("FriendParts", Friend).on("Character")


@dataclass
class Heroes:
    hero: Friend
    character: Annotated[Friend | None, Field(args={"id": var("ID!")})]


def test_a_fragment_is_printed_once() -> None:
    text = text_of(query(Heroes), FRIEND)
    assert text == in_lines(
        "query ($id: ID!) {",
        "  hero {",
        "    ...FriendParts",
        "  }",
        "  character(id: $id) {",
        "    ...FriendParts",
        "  }",
        "}",
        "",
        "fragment FriendParts on Character {",
        "  name",
        "}",
    )


def test_a_fragment_of_a_type_is_the_type() -> None:
    request = select(query("hero", FRIEND))
    assert request.result_type is Friend
    assert request.path == "hero"
    assert "...FriendParts" in request.text
    assert (
        "fragment FriendParts on Human"
        in select(query("hero", fragment("FriendParts", Human))).text
    )


def test_the_variables_of_a_fragment_are_declared() -> None:
    human = fragment("HumanParts", Human)
    text = text_of(
        query("human", human, id=var("ID!")).named("A"),
        query("search", list[Human | Droid], text=var("String!")).named("B"),
        human,
    )
    assert "query A($id: ID!, $unit: LengthUnit)" in text
    assert "query B($text: String!, $unit: LengthUnit)" in text
    assert text.count("fragment HumanParts on Human {") == 1
    assert "... on Human {\n      ...HumanParts\n    }" in text


def test_fragments_within_fragments() -> None:
    @dataclass
    class Pair:
        one: Friend

    text = text_of(query("pair", list[Pair] | Pair), fragment("PairParts", Pair), FRIEND)
    assert "fragment PairParts on Pair {\n  one {\n    ...FriendParts\n  }\n}" in text


def test_a_fragment_s_type_has_to_be_known() -> None:
    with pytest.raises(TypeError, match=r"'P': Others doesn't say.*on\(\"Type\"\)"):
        select(query("x", fragment("P", Others)))


def test_two_fragments_of_one_name() -> None:
    one, other = fragment("P", "Human", "name"), fragment("P", "Human", "id")
    with pytest.raises(ValueError, match="two fragments with the name 'P'"):
        select(query("a", {}, one, other))
    assert text_of(query("a", {}, one, fragment("P", "Human", "name"))).count("fragment P") == 1


# Point 7: directives.


def test_directives() -> None:
    @dataclass
    class Conditional:
        name: Annotated[str, Field(include=var("Boolean!"))] = ""
        id: Annotated[str, Field(skip=var("noId", "Boolean!"))] = ""
        live: Annotated[int, Field("now", directives=[directive("live", ttl=var("Int"))])] = 0

    assert text_of(query("hero", Conditional).directives(directive("cached"))) == in_lines(
        "query ($includeName: Boolean!, $noId: Boolean!, $ttl: Int) @cached {",
        "  hero {",
        "    name @include(if: $includeName)",
        "    id @skip(if: $noId)",
        "    live: now @live(ttl: $ttl)",
        "  }",
        "}",
    )


def test_a_field_that_may_be_absent_needs_a_default() -> None:
    @dataclass
    class Conditional:
        name: Annotated[str, Field(include=var("Boolean!"))]

    with pytest.raises(TypeError, match=r"Conditional\.name may be absent.*needs a default"):
        select(query("hero", Conditional))


def test_a_field_may_be_left_to_python() -> None:
    @dataclass
    class Partly:
        name: str
        seen: Annotated[int, Field(omit=True)] = 0
        cache: dict[str, Any] = field(default_factory=dict, init=False)

    assert text_of(query("hero", Partly)) == "{\n  hero {\n    name\n  }\n}"


# Point 8: recursive types.


@dataclass
class Node:
    name: str
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)


@dataclass
class Author:
    name: str
    books: list[Book]


@dataclass
class Book:
    title: str
    author: Author | None = None


class Tree(pydantic.BaseModel):
    name: str
    children: list[Tree] = []


class Chain(msgspec.Struct):
    name: str
    next: Chain


@pytest.mark.parametrize(
    ("type_", "field"), [(Node, "Node.parent"), (Author, "Book.author"), (Tree, "Tree.children")]
)
def test_a_recursive_type_is_refused(type_: Any, field: str) -> None:
    with pytest.raises(TypeError, match=rf"{field}: .* is within itself.*depth=1"):
        select(query("node", type_))


def test_a_recursive_type_to_a_depth() -> None:
    assert text_of(query("tree", Tree), depth=0) == "{\n  tree {\n    name\n  }\n}"
    twice = text_of(query("tree", Tree), depth=2)
    assert twice.count("name") == 3
    assert twice.count("children") == 2
    assert text_of(query("tree", Node), depth=2).count("name") == 7
    assert text_of(query("author", Author), depth=1).count("title") == 2


def test_a_recursive_type_to_too_great_a_depth() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        select(query("tree", Tree), depth=2000)


def test_a_recursive_type_needs_an_end() -> None:
    with pytest.raises(TypeError, match=r"Chain\.next is left out.*needs a default"):
        select(query("chain", Chain), depth=3)


@pytest.mark.parametrize("depth", [-1, True, 1.0, "1"])
def test_the_depth_is_a_number(depth: Any) -> None:
    with pytest.raises(ValueError, match="depth is a number of times"):
        select(query("chain", Chain), depth=depth)


# Point 10: immutable and kept.


def test_requests_are_kept() -> None:
    def make() -> GraphQLRequest[Hero]:
        return select(query("hero", Hero, id=var("ID!")))

    assert make() is make()
    assert select(query("hero", Hero), camel_case=True) is not select(query("hero", Hero))
    with_default = [select(query("hero", Hero, id=var("ID!", default=1))) for _ in range(2)]
    assert with_default[0] == with_default[1]
    assert with_default[0].source is with_default[1].source
    assert with_default[0].variable_values == {"id": 1}


def test_the_values_of_a_kept_request_are_not_shared() -> None:
    @dataclass
    class Measured:
        height: Annotated[float, Field(args={"unit": var("Unit!", default="METER")})]

    one, other = (select(query("hero", Measured)) for _ in range(2))
    assert isinstance(one.variable_values, dict)
    one.variable_values.clear()
    assert other.variable_values == {"unit": "METER"}
    assert select(query("hero", Measured)).variable_values == {"unit": "METER"}


def test_equal_values_of_different_types_stay_apart() -> None:
    for value in (1, True, 1.0):
        request = select(query("a", {"x": var("Any", default=value)}, int))
        assert request.variable_values is not None
        assert request.variable_values["x"].__class__ is value.__class__


def test_requests_can_be_copied() -> None:
    request = select(query("hero", Friend, id=var("ID!", default=1)))
    for copied in (copy.copy(request), pickle.loads(pickle.dumps(request)), request.replace()):
        assert copied == request
        assert copied.result_type is Friend
        assert copied.replace(variable_values={"x": 2}).variable_values == {"id": 1, "x": 2}
    assert request != select(query("hero", Human, id=var("ID!", default=1)))


def test_a_request_can_not_be_changed() -> None:
    request = select(query("hero", Friend))
    with pytest.raises(AttributeError, match="can't be changed"):
        request.result_type = Human  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        query("hero", Friend).name = "A"  # type: ignore[misc]


# What can't be selected.


class NotGraphQL(msgspec.Struct, rename="kebab"):
    first_name: str


@dataclass
class Keyed:
    people: dict[str, Friend]


@dataclass
class Mixed:
    pair: tuple[Friend, Page[int]]


@dataclass
class Twice:
    name: Annotated[str, Field("a"), Field("b")]


@dataclass
class Unmade:
    name: Annotated[str, Field]


class Pair(NamedTuple):
    one: Friend


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (query("a", NotGraphQL), r"'first-name' can't be the name of NotGraphQL\.first_name"),
        (query("a", Keyed), r"Keyed\.people: which keys dict\[str, Friend\] has can't be known"),
        (query("a", Mixed), r"Mixed\.pair: one field can't have the fields of several"),
        (query("a", Twice), r"Twice\.name has more than one Field"),
        (query("a", Unmade), r"Unmade\.name: write Field\(…\)"),
        (query(int), "the query selects nothing"),
        (query("a", 5), "data can't be read as 5"),
    ],
    ids=str,
)
def test_what_can_not_be_selected(operation: Operation[Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        select(operation)


def test_a_mutation_of_the_star_wars() -> None:
    @dataclass
    class Review:
        stars: int
        commentary: str | None

    request = select(
        mutation("createReview", Review, episode=var("Episode"), review=var("ReviewInput!"))
    )
    CHECKED.validate(request.source)
    assert request.kind == "mutation"


def test_types_within_the_builder() -> None:
    text = text_of(query("search", {"text": var("String!")}, on("Human", Human), on("Droid", "id")))
    assert "... on Human {\n      name\n      height(unit: $unit)\n    }" in text
    assert select(query("search", on("Human", Human))).result_type is None
