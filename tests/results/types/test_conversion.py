"""Results as values of the user's own types."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import datetime
import enum
import pickle
import subprocess
import sys
import traceback
import typing
import uuid
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql.results.types import ResultTypeError, converter

T = TypeVar("T")
K = TypeVar("K")

NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)


class Color(enum.Enum):
    RED = "RED"
    GREEN = "GREEN"


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"
    THREE = (3,)


class Open(enum.Enum):
    KNOWN = "KNOWN"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> Open:
        return cls.UNKNOWN


@dataclasses.dataclass
class User:
    first_name: str
    age: int | None = None


@attrs.define
class Person:
    first_name: str
    friends: list[Person] = attrs.field(factory=list)


class Account(msgspec.Struct):
    full_name: str
    owner: User | None = None


class Camel(msgspec.Struct, rename="camel"):
    full_name: str


class OddlyNamed(msgspec.Struct, rename={"full_name": "LABEL"}):
    full_name: str
    first_name: str = ""


class Post(TypedDict):
    post_title: str
    written_at: typing.NotRequired[datetime.datetime]


class PartPost(TypedDict, total=False):
    post_title: typing.Required[str]
    size: int


class ExtendedPost(Post):
    extra_text: str


class OtherPost(typing_extensions.TypedDict):
    post_title: str


class ReadOnlyPost(typing_extensions.TypedDict):
    post_title: typing_extensions.ReadOnly[str]


class Model(pydantic.BaseModel):
    first_name: str
    age: int | None = None


class Aliased(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="nickName")
    last_name: str = "?"
    size: int = pydantic.Field(0, validation_alias=pydantic.AliasChoices("big", "width"))


class Nested(pydantic.BaseModel):
    all_users: list[User] = []
    all_models: dict[str, Model] = {}
    one_post: OtherPost | None = None
    either_one: Cat | Dog | None = None
    some_any: Any = None
    pair_of: tuple[Model, int] | None = None


@dataclasses.dataclass
class Cat:
    lives_left: int


@dataclasses.dataclass
class Dog:
    is_loud: bool


@attrs.define
class Fish:
    typename__: Literal["Fish", "Goldfish"]
    fin_count: int


class TaggedCat(msgspec.Struct, tag_field="__typename", tag="Cat"):
    lives_left: int


class TaggedDog(msgspec.Struct, tag_field="__typename", tag="Dog"):
    is_loud: bool


class ModelCat(pydantic.BaseModel):
    typename: Literal["Cat"] = pydantic.Field(alias="__typename")
    lives_left: int


@dataclasses.dataclass
class Node(Generic[T]):
    the_value: T
    next_node: Node[T] | None = None


@dataclasses.dataclass
class Page(Generic[K]):
    all_nodes: list[Node[K]]


@dataclasses.dataclass
class UserPage(Page[User]):
    page_count: int


class GenericPost(TypedDict, Generic[T]):
    the_value: T


class GenericStruct(msgspec.Struct, Generic[T]):
    the_value: T


class GenericModel(pydantic.BaseModel, Generic[T]):
    the_value: T


@dataclasses.dataclass
class Mixture:
    a_model: Model
    a_post: Post
    a_person: Person
    an_account: Account


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    first_name: str
    size: int = 0


class Users(pydantic.RootModel[list[Model]]):
    pass


class Holder(pydantic.BaseModel, arbitrary_types_allowed=True):
    a_person: Person
    accounts: list[Account] = []


class Point(NamedTuple):
    x: int
    y: int


Name = NewType("Name", str)
Short = Annotated[list[User], msgspec.Meta(max_length=1)]


@dataclasses.dataclass
class Typed:
    typename__: str
    a: int = 0


FunctionalTypedDict = TypedDict("FunctionalTypedDict", {"__typename": Literal["A"], "a_b": int})


@dataclasses.dataclass
class Constructed:
    a_b: int
    double: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        if self.a_b > 100:
            raise ValueError(f"{self.a_b} is a secret")
        self.double = 2 * self.a_b


@attrs.define
class Converted:
    a_b: int = attrs.field(converter=int)
    _hidden: int = 0


class Money:
    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __repr__(self) -> str:  # a test's name, the same in every process
        return f"Money({self.amount})"


@dataclasses.dataclass
class Priced:
    the_price: Money


MONEY = Money(3)

# Type, data, and what is made of it: with and without renaming the data has the names it needs.
PLAIN = [
    (int, 1, 1),
    (float, 1, 1.0),
    (str, "a", "a"),
    (Any, {"a_b": [1]}, {"a_b": [1]}),
    (object, None, None),
    (dict[str, Any], {"a_b": {"c_d": 1}}, {"a_b": {"c_d": 1}}),
    (dict, {"a_b": 1}, {"a_b": 1}),
    (list, [{"a_b": 1}], [{"a_b": 1}]),
    (type(None), None, None),
    (None, None, None),
    (Literal["a", "b"], "b", "b"),
    (Name, "n", "n"),
    (Point, [1, 2], Point(1, 2)),
    (datetime.datetime, "2026-11-01T12:00:00Z", NOW),
    (datetime.datetime, NOW, NOW),
    (datetime.date, "2026-11-01", NOW.date()),
    (datetime.date, NOW.date(), NOW.date()),
    (datetime.time, "12:00:00", datetime.time(12)),
    (datetime.timedelta, "PT90S", datetime.timedelta(seconds=90)),
    (Decimal, "1.10", Decimal("1.10")),
    (Decimal, Decimal("1.10"), Decimal("1.10")),
    (uuid.UUID, str(uuid.UUID(int=1)), uuid.UUID(int=1)),
    (uuid.UUID, uuid.UUID(int=1), uuid.UUID(int=1)),
    (Color, "RED", Color.RED),
    (Color, Color.RED, Color.RED),
    (Mood, "good", Mood.GOOD),
    (Mood, "BAD", Mood.BAD),
    (Mood, Mood.BAD, Mood.BAD),
    (Level, 2, Level.HIGH),
    (Level, "LOW", Level.LOW),
    (Level, Level.LOW, Level.LOW),
    (Mixed, 1, Mixed.ONE),
    (Mixed, "two", Mixed.TWO),
    (Mixed, "THREE", Mixed.THREE),
    (Open, "NEW", Open.UNKNOWN),
    (list[Mood], ["GOOD", "bad"], [Mood.GOOD, Mood.BAD]),
    (Mood | str, "GOOD", Mood.GOOD),
    (Mood | str, "other", "other"),
    (str | datetime.date, "2026-11-01", NOW.date()),
    (str | datetime.date, "tomorrow", "tomorrow"),
    (int | str | None, "1", "1"),
    (int | float, 1, 1),
    (set[int], [1, 1], {1}),
    (frozenset[Mood], ["GOOD"], frozenset([Mood.GOOD])),
    (collections.abc.Sequence[Mood], ["GOOD"], [Mood.GOOD]),
    (collections.abc.Mapping[str, Mood], {"a_b": "GOOD"}, {"a_b": Mood.GOOD}),
    (dict[int, Mood], {"1": "GOOD"}, {1: Mood.GOOD}),
    (dict[Mood, int], {"GOOD": 1}, {Mood.GOOD: 1}),
    (tuple[Mood, ...], ["GOOD"], (Mood.GOOD,)),
    (tuple[int, Mood], [1, "GOOD"], (1, Mood.GOOD)),
    (Money, MONEY, MONEY),
    (list[Mood] | None, None, None),
    (list[Mood] | str, "a", "a"),
    (list[Mood] | str, ["GOOD"], [Mood.GOOD]),
]

#: Type, data in GraphQL's spelling, and what is made of it when it is renamed.
CAMEL = [
    (User, {"firstName": "A", "more": 1}, User("A")),
    (User | None, None, None),
    (User | None, {"firstName": "A", "age": 3}, User("A", 3)),
    (list[User], [{"firstName": "A"}], [User("A")]),
    (set[Name] | User, {"firstName": "A"}, User("A")),
    (User, {"first_name": "A"}, User("A")),
    (Person, {"firstName": "A", "friends": [{"firstName": "B"}]}, Person("A", [Person("B")])),
    (Account, {"fullName": "A", "owner": {"firstName": "B"}}, Account("A", User("B"))),
    (Camel, {"fullName": "A"}, Camel("A")),
    (OddlyNamed, {"LABEL": "A", "firstName": "B"}, OddlyNamed("A", "B")),
    (Post, {"postTitle": "A", "other": 1}, {"post_title": "A"}),
    (
        Post,
        {"postTitle": "A", "writtenAt": "2026-11-01T12:00:00Z"},
        {"post_title": "A", "written_at": NOW},
    ),
    (PartPost, {"postTitle": "A"}, {"post_title": "A"}),
    (ExtendedPost, {"postTitle": "A", "extraText": "B"}, {"post_title": "A", "extra_text": "B"}),
    (OtherPost, {"postTitle": "A"}, {"post_title": "A"}),
    (ReadOnlyPost, {"postTitle": "A"}, {"post_title": "A"}),
    (Model, {"firstName": "A", "age": "3"}, Model(first_name="A", age=3)),
    (list[Model | None], [None, {"firstName": "A"}], [None, Model(first_name="A")]),
    (
        Aliased,
        {"nickName": "A", "lastName": "B", "width": 3},
        Aliased(nickName="A", last_name="B", width=3),
    ),
    (
        Nested,
        {
            "allUsers": [{"firstName": "A"}],
            "allModels": {"a_b": {"firstName": "B"}, "aB": {"firstName": "C"}},
            "onePost": {"postTitle": "T"},
            "eitherOne": {"__typename": "Dog", "isLoud": True},
            "someAny": {"aB": {"cD": 1}},
            "pairOf": [{"firstName": "D"}, 1],
        },
        Nested(
            all_users=[User("A")],
            all_models={"a_b": Model(first_name="B"), "aB": Model(first_name="C")},
            one_post={"post_title": "T"},
            either_one=Dog(True),
            some_any={"aB": {"cD": 1}},
            pair_of=(Model(first_name="D"), 1),
        ),
    ),
    (PydanticDataclass, {"firstName": "A", "size": "3"}, PydanticDataclass("A", 3)),
    (Users, [{"firstName": "A"}], Users([Model(first_name="A")])),
    (
        Holder,
        {"aPerson": {"firstName": "A"}, "accounts": [{"fullName": "B"}]},
        Holder(a_person=Person("A"), accounts=[Account("B")]),
    ),
    (
        Node[User],
        {"theValue": {"firstName": "A"}, "nextNode": {"theValue": {"firstName": "B"}}},
        Node(User("A"), Node(User("B"))),
    ),
    (Page[int], {"allNodes": [{"theValue": 1}]}, Page([Node(1)])),
    (
        UserPage,
        {"allNodes": [{"theValue": {"firstName": "A"}}], "pageCount": 1},
        UserPage([Node(User("A"))], 1),
    ),
    (GenericPost[User], {"theValue": {"firstName": "A"}}, {"the_value": User("A")}),
    (GenericStruct[User], {"theValue": {"firstName": "A"}}, GenericStruct(User("A"))),
    (GenericStruct, {"theValue": {"a_b": 1}}, GenericStruct({"a_b": 1})),
    (GenericModel[Model], {"theValue": {"firstName": "A"}}, None),
    (
        Mixture,
        {
            "aModel": {"firstName": "A"},
            "aPost": {"postTitle": "B"},
            "aPerson": {"firstName": "C"},
            "anAccount": {"fullName": "D"},
        },
        Mixture(Model(first_name="A"), {"post_title": "B"}, Person("C"), Account("D")),
    ),
    (Cat | Dog, {"__typename": "Dog", "isLoud": True}, Dog(True)),
    (Cat | Fish | None, {"__typename": "Cat", "livesLeft": 9}, Cat(9)),
    (Cat | Fish, {"__typename": "Goldfish", "finCount": 7}, Fish("Goldfish", 7)),
    (TaggedCat | TaggedDog, {"__typename": "Dog", "isLoud": True}, TaggedDog(True)),
    (TaggedCat | Dog, {"__typename": "Cat", "livesLeft": 9}, TaggedCat(9)),
    (TaggedCat, {"livesLeft": 9}, TaggedCat(9)),
    (
        ModelCat | Dog,
        {"__typename": "Cat", "livesLeft": "9"},
        ModelCat(__typename="Cat", lives_left=9),
    ),
    (Cat | dict[str, Any], {"__typename": "Mouse", "aB": 1}, {"__typename": "Mouse", "aB": 1}),
    (Cat | dict[str, Any], {"__typename": "Cat", "livesLeft": 1}, Cat(1)),
    (dict[str, User], {"a_b": {"firstName": "A"}}, {"a_b": User("A")}),
    (tuple[User, Mood], [{"firstName": "A"}, "BAD"], (User("A"), Mood.BAD)),
    (Short, [{"firstName": "A"}], [User("A")]),
    (Typed, {"__typename": "X"}, Typed("X")),
    (FunctionalTypedDict, {"__typename": "A", "aB": 1}, {"__typename": "A", "a_b": 1}),
    (Converted, {"aB": "3"}, Converted("3")),
    (Priced, {"thePrice": MONEY}, Priced(MONEY)),
]


def ident(value: Any) -> str | None:
    return (
        str(value).replace("tests.results.types.test_conversion.", "")
        if not isinstance(value, dict)
        else ""
    )


@pytest.mark.parametrize("camel_case", [False, True])
@pytest.mark.parametrize(("type_", "data", "expected"), PLAIN, ids=ident)
def test_types(type_: Any, data: Any, expected: Any, camel_case: bool) -> None:
    found = converter(type_, camel_case=camel_case)(data)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("type_", "data", "expected"), CAMEL, ids=ident)
def test_renamed(type_: Any, data: Any, expected: Any) -> None:
    if expected is None and type_ is GenericModel[Model]:
        expected = GenericModel[Model](the_value=Model(first_name="A"))
    before = copy.deepcopy({"data": data}) if "Money" not in str(data) else None
    found = converter(type_, camel_case=True)(data)
    assert found == expected
    assert type(found) is type(expected)
    assert before is None or {"data": data} == before, "the data was written to"


SNAKE = [
    (User, {"first_name": "A", "more": 1}, User("A")),
    (Person, {"first_name": "A", "friends": [{"first_name": "B"}]}, Person("A", [Person("B")])),
    (Camel, {"fullName": "A"}, Camel("A")),
    (Mixture | None, None, None),
    (
        Mixture,
        {
            "a_model": {"first_name": "A"},
            "a_post": {"post_title": "B"},
            "a_person": {"first_name": "C"},
            "an_account": {"full_name": "D"},
        },
        Mixture(Model(first_name="A"), {"post_title": "B"}, Person("C"), Account("D")),
    ),
    (Cat | Dog, {"__typename": "Dog", "is_loud": True}, Dog(True)),
    (Aliased, {"nickName": "A", "last_name": "B"}, Aliased(nickName="A", last_name="B")),
    (Typed, {"__typename": "X"}, Typed("X")),
    (Typed, {"typename__": "X"}, Typed("X")),
    (Converted, {"a_b": "3"}, Converted("3")),
    (Constructed, {"a_b": 3, "double": 100}, Constructed(3)),
    (Nested, {"all_users": [{"first_name": "A"}]}, Nested(all_users=[User("A")])),
    (
        Holder,
        {"a_person": {"first_name": "A"}},
        Holder(a_person=Person("A")),
    ),
    (Users, [{"first_name": "A"}], Users([Model(first_name="A")])),
]


@pytest.mark.parametrize(("type_", "data", "expected"), SNAKE, ids=ident)
def test_not_renamed(type_: Any, data: Any, expected: Any) -> None:
    found = converter(type_)(data)
    assert found == expected
    assert type(found) is type(expected)


def test_without_the_option_nothing_is_renamed() -> None:
    with pytest.raises(ResultTypeError, match=r"^data\.first_name: it is not in the answer"):
        converter(User)({"firstName": "A"})


def test_graphql_s_spelling_comes_first() -> None:
    read = converter(User, camel_case=True)
    assert read({"first_name": "B", "firstName": "A"}) == User("A")


# Type, whether it is renamed, data, path, and message.
WRONG: list[tuple[Any, bool, Any, tuple[str | int, ...], str]] = [
    (
        dict[str, list[User]],
        True,
        {"users": [{"firstName": "A"}, {"firstName": None}]},
        ("users", 1, "firstName"),
        "data.users[1].firstName: expected str, got null (User.first_name)",
    ),
    (
        dict[str, list[User]],
        False,
        {"users": [{"first_name": "A"}, {"first_name": 1}]},
        ("users", 1, "first_name"),
        "data.users[1].first_name: expected str, got int (User.first_name)",
    ),
    (User, True, {}, ("firstName",), "data.firstName: it is not in the answer (User.first_name)"),
    (User, True, None, (), "data: expected object for User, got null"),
    (User, False, [], (), "data: expected object for User, got list"),
    (
        User,
        True,
        {"firstName": "A", "age": "s3cret"},
        ("age",),
        "data.age: expected int, got str (User.age)",
    ),
    (
        Account,
        True,
        {"fullName": "A", "owner": {"firstName": {}}},
        ("owner", "firstName"),
        "data.owner.firstName: expected str, got object (User.first_name)",
    ),
    (list[int], False, {"s3cret": 1}, (), "data: expected list, got object"),
    (dict[str, int], False, ["s3cret"], (), "data: expected object, got list"),
    (dict[int, Mood], False, {"k": "GOOD"}, ("k",), "data.k: expected int, got str"),
    (dict[int, int], False, {"k": 1}, ("k",), "data.k: expected int, got str"),
    (tuple[int, Mood], False, ["s3cret", "GOOD"], (0,), "data[0]: expected int, got str"),
    (tuple[int, Mood], False, [1], (), "data: expected 2 items, got 1"),
    (tuple[int, Mood], False, "s3cret", (), "data: expected list, got str"),
    (Literal["a", "b"], False, "s3cret", (), "data: not a value of Literal['a', 'b']"),
    (Color, False, "s3cret", (), "data: not a value of Color"),
    (Level, False, 3333, (), "data: not a value of Level"),
    (Level, False, ["s3cret"], (), "data: expected Level, got list"),
    (
        list[datetime.date],
        False,
        ["s3cret"],
        (0,),
        "data[0]: expected date: invalid RFC3339 encoded date",
    ),
    (uuid.UUID, False, "s3cret", (), "data: expected UUID: invalid UUID"),
    (
        Mood | datetime.date | None,
        False,
        "s3cret",
        (),
        "data: expected Mood | date | None, got str",
    ),
    (list[Mood] | int, False, "s3cret", (), "data: expected int, got str"),
    (Short, True, [{"firstName": "s3cret"}] * 2, (), "data: expected array of length <= 1"),
    (Point, False, [1, "s3cret"], (1,), "data[1]: expected int, got str"),
    (
        Priced,
        True,
        {"thePrice": 3},
        ("thePrice",),
        "data.thePrice: expected Money, got int (Priced.the_price)",
    ),
    (
        Cat | Dog,
        True,
        {"livesLeft": 9},
        (),
        "data: any of Cat | Dog: the document must ask for __typename, which tells them apart",
    ),
    (
        list[Cat | Dog],
        True,
        [{"__typename": "Mouse"}],
        (0, "__typename"),
        "data[0].__typename: 'Mouse' is not a type of Cat | Dog",
    ),
    (
        Cat | Dog,
        True,
        {"__typename": "a s3cret"},
        ("__typename",),
        "data.__typename: another value is not a type of Cat | Dog",
    ),
    (Cat | Dog, True, None, (), "data: expected Cat | Dog, got null"),
    (
        TaggedCat,
        False,
        {"__typename": "Dog"},
        ("__typename",),
        "data.__typename: 'Dog' is not a type of TaggedCat",
    ),
    (Constructed, True, {"aB": 1234}, (), "data: no Constructed can be made of it (ValueError)"),
    (Converted, False, {"a_b": "s3cret"}, (), "data: no Converted can be made of it (ValueError)"),
    (
        dict[str, list[Model]],
        True,
        {"users": [{"firstName": "A"}, {"firstName": 1, "age": "s3cret"}]},
        ("users", 1, "firstName"),
        "data.users[1].firstName: input should be a valid string (and 1 more) (Model.first_name)",
    ),
    (
        Nested,
        True,
        {"allModels": {"a_b": {"age": 1}}},
        ("allModels", "a_b", "firstName"),
        "data.allModels.a_b.firstName: field required (Model.first_name)",
    ),
    (
        Nested,
        True,
        {"allUsers": [{"firstName": "A"}, {"firstName": 3}]},
        ("allUsers", 1, "firstName"),
        "data.allUsers[1].firstName: input should be a valid string (User.first_name)",
    ),
    (
        Aliased,
        True,
        {"nickName": "A", "width": "s3cret"},
        ("width",),
        (
            "data.width: input should be a valid integer, unable to parse string as an integer"
            " (Aliased.size)"
        ),
    ),
    (
        Users,
        True,
        [{"firstName": 1}],
        (0, "firstName"),
        "data[0].firstName: input should be a valid string (Model.first_name)",
    ),
    (
        Holder,
        True,
        {"aPerson": {"firstName": "A"}, "accounts": [{"fullName": 1}]},
        ("accounts", 0, "fullName"),
        "data.accounts[0].fullName: expected str, got int (Account.full_name)",
    ),
]


@pytest.mark.parametrize(("type_", "camel_case", "data", "path", "message"), WRONG)
def test_errors(
    type_: Any, camel_case: bool, data: Any, path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ResultTypeError) as caught:
        converter(type_, camel_case=camel_case)(data)
    assert str(caught.value) == message
    assert caught.value.path == path
    assert caught.value.data is data
    assert "s3cret" not in message
    assert "Mismatch" not in "".join(traceback.format_exception(caught.value))


def test_the_cause_is_the_library_s_own_error() -> None:
    with pytest.raises(ResultTypeError) as caught:
        converter(User)({"first_name": 1})
    assert isinstance(caught.value.__cause__, msgspec.ValidationError)
    with pytest.raises(ResultTypeError) as caught:
        converter(Model)({"first_name": 1})
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)
    with pytest.raises(ResultTypeError) as caught:
        converter(Constructed)({"a_b": 101})
    assert str(caught.value.__cause__) == "101 is a secret"


def test_what_pydantic_s_validators_say_is_not_quoted() -> None:
    class Strict(pydantic.BaseModel):
        size: int

        @pydantic.field_validator("size")
        @classmethod
        def small(cls, value: int) -> int:
            if value == 1:
                raise ValueError("s3cret")
            raise pydantic.PydanticUserError("a mistake", code=None)

    with pytest.raises(ResultTypeError, match=r"size: a validator refused it \(value_error\)"):
        converter(Strict)({"size": 1})
    with pytest.raises(pydantic.PydanticUserError):  # bugs stay what they are
        converter(Strict)({"size": 2})


def test_an_unknown_tag_of_pydantic_s() -> None:
    class Other(pydantic.BaseModel):
        typename: Literal["Other"] = pydantic.Field(alias="__typename")

    class Owner(pydantic.BaseModel):
        the_pet: Annotated[ModelCat | Other, pydantic.Field(discriminator="typename")]
        more_pets: list[ModelCat | Other] = []

    read = converter(Owner, camel_case=True)
    cat = {"__typename": "Cat", "livesLeft": 9}
    assert read({"thePet": cat, "morePets": [cat]}).more_pets[0].lives_left == 9  # type: ignore[union-attr]
    with pytest.raises(ResultTypeError) as caught:
        read({"thePet": {"__typename": "Mouse"}})
    assert str(caught.value) == (
        "data.thePet: none of the union's types is for this tag (Owner.the_pet)"
    )
    with pytest.raises(ResultTypeError) as caught:
        read({"thePet": {"__typename": "Cat", "livesLeft": None}})
    assert caught.value.path == ("thePet", "livesLeft")


def test_errors_can_be_copied() -> None:
    error = ResultTypeError("data.a: wrong", path=("a",), data={"a": 1})
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(again), again.path, again.data) == (str(error), error.path, error.data)


def test_unknown_fields_are_refused_where_a_struct_says_so() -> None:
    class Strict(msgspec.Struct, forbid_unknown_fields=True, tag_field="__typename", tag="S"):
        a_b: int

    for camel_case, key in ((False, "a_b"), (True, "aB")):
        read = converter(Strict, camel_case=camel_case)
        assert read({key: 1, "__typename": "S"}) == Strict(1)
        with pytest.raises(ResultTypeError, match=r"^data\.s3cret: Strict has no such field"):
            read({key: 1, "s3cret": 1})


class Unresolved(TypedDict):
    field: Nowhere  # type: ignore[name-defined] # noqa: F821


class Incomplete(pydantic.BaseModel):
    field: Nowhere  # type: ignore[name-defined] # noqa: F821


@dataclasses.dataclass
class Bad:
    the_field: list[Callback]


Callback = Literal[("a", 1.5)]


class SameTag(msgspec.Struct, tag_field="__typename", tag="Cat"):
    pass


class Unaskable(typing.Protocol):
    x: int


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        (Bad, r"^Bad\.the_field: data can't be read as Literal\['a', 1\.5\]: "),
        (
            list[Unresolved],
            r"^result_type: the annotations of Unresolved can't be evaluated: .*Nowhere",
        ),
        (Incomplete, r"^result_type: the model Incomplete is not complete: .*Nowhere"),
        (
            Cat | SameTag,
            r"^result_type: nothing tells apart Cat and SameTag: both are for the same __typename",
        ),
        (list[int] | set[str], r"^result_type: nothing tells apart list\[int\] and set\[str\]"),
        (
            dict[str, int] | dict[str, str],
            r"^result_type: nothing tells apart dict\[str, int\] and",
        ),
        (Unaskable, r"^result_type: data can't be read as Unaskable: "),
        ("User", r"^result_type: data can't be read as User: "),
        (3, r"^result_type: data can't be read as 3: "),
    ],
)
@pytest.mark.parametrize("camel_case", [False, True])
def test_what_can_t_be_read_is_refused_at_once(type_: Any, message: str, camel_case: bool) -> None:
    with pytest.raises(TypeError, match=message):
        converter(type_, camel_case=camel_case)


@pydantic.dataclasses.dataclass
class Early:
    the_later: Later


@pydantic.dataclasses.dataclass
class Later:
    a_b: int


@pydantic.dataclasses.dataclass
class IncompleteDataclass:
    field: Nowhere  # type: ignore[name-defined] # noqa: F821


def test_models_that_were_defined_before_what_they_need() -> None:
    read = converter(Early, camel_case=True)
    assert read({"theLater": {"aB": "1"}}) == Early(Later(1))
    with pytest.raises(TypeError, match=r"IncompleteDataclass is not complete: .*Nowhere"):
        converter(IncompleteDataclass)


def test_a_type_is_looked_at_once() -> None:
    assert converter(list[User]) is converter(list[User])
    assert converter(User) is not converter(User, camel_case=True)
    unhashable: Any = Annotated[User, ["not hashable"]]
    assert converter(unhashable)({"first_name": "A"}) == User("A")
    assert converter(list[unhashable] | None)([{"first_name": "A"}]) == [User("A")]


def test_values_of_a_schema_s_scalars_and_enums_pass() -> None:
    @dataclasses.dataclass
    class Row:
        when_made: datetime.datetime
        the_color: Color | None
        prices: list[Decimal]
        owner_id: uuid.UUID
        level: Level

    data = {
        "whenMade": NOW,
        "theColor": Color.RED,
        "prices": [Decimal("1.10")],
        "ownerId": uuid.UUID(int=1),
        "level": Level.HIGH,
    }
    # The annotations name what is local here: they are given as they are.
    Row.__annotations__ = {
        "when_made": datetime.datetime,
        "the_color": Color | None,
        "prices": list[Decimal],
        "owner_id": uuid.UUID,
        "level": Level,
    }
    assert converter(Row, camel_case=True)(data) == Row(
        NOW, Color.RED, [Decimal("1.10")], uuid.UUID(int=1), Level.HIGH
    )


@dataclasses.dataclass
class Everything:
    a_text: str
    a_number: int | None
    a_list: list[float]
    a_color: Color
    an_owner: User | None
    others: list[Person]
    data: dict[str, int]


def everything() -> st.SearchStrategy[Any]:
    names = st.text(max_size=3)
    user = st.builds(lambda n, a: {"first_name": n, "age": a}, names, st.none() | st.integers())
    person = st.recursive(
        st.builds(lambda n: {"first_name": n}, names),
        lambda inner: st.builds(
            lambda n, f: {"first_name": n, "friends": f}, names, st.lists(inner, max_size=2)
        ),
        max_leaves=4,
    )
    return st.fixed_dictionaries(
        {
            "a_text": names,
            "a_number": st.none() | st.integers(),
            "a_list": st.lists(st.floats(allow_nan=False) | st.integers(-9, 9), max_size=3),
            "a_color": st.sampled_from(["RED", "GREEN"]),
            "an_owner": st.none() | user,
            "others": st.lists(person, max_size=2),
            "data": st.dictionaries(names, st.integers(), max_size=2),
        }
    )


def camel_keys(value: Any, *, data: bool = False) -> Any:
    if isinstance(value, list):
        return [camel_keys(item) for item in value]
    if not isinstance(value, dict) or data:
        return value
    return {
        key[:1] + key.title().replace("_", "")[1:]: camel_keys(item, data=key == "data")
        for key, item in value.items()
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(everything(), st.data())
def test_renamed_or_not_it_is_what_msgspec_makes(value: Any, data: st.DataObject) -> None:
    expected = msgspec.convert(value, Everything)
    assert converter(Everything)(value) == expected
    assert converter(Everything, camel_case=True)(camel_keys(value)) == expected
    # And what msgspec refuses is refused, at the same place.
    key = data.draw(st.sampled_from(sorted(value)))
    wrong = {**value, key: object()}
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{key}"):
        msgspec.convert(wrong, Everything)
    for camel_case in (False, True):
        with pytest.raises(ResultTypeError) as caught:
            converter(Everything, camel_case=camel_case)(wrong)
        assert caught.value.path in {(key,), tuple(camel_keys({key: 0}))}


def test_no_library_of_models_is_imported() -> None:
    program = (
        "import sys, dataclasses\n"
        "from anygql.results.types import converter\n"
        "from anygql.json import MsgspecJSON\n"
        "@dataclasses.dataclass\n"
        "class User:\n    first_name: str\n"
        "assert converter(User, camel_case=True)({'firstName': 'A'}) == User('A')\n"
        "try: converter(User)({})\n"
        "except ValueError: pass\n"
        "try: MsgspecJSON().encode(object())\n"
        "except TypeError: pass\n"
        "found = {'attr', 'attrs', 'pydantic', 'graphql', 'typing_extensions'} & set(sys.modules)\n"
        "assert not found - {'typing_extensions'}, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
