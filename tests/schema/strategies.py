"""Strategies that build schemas, documents for them, and the values that go in and come out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    is_abstract_type,
    specified_scalar_types,
)
from graphql.pyutils import Undefined
from hypothesis import strategies as st

__all__ = ["Input", "Output", "documents", "inputs", "outputs"]

Draw = Callable[[st.SearchStrategy[Any]], Any]

# --- leaf types -------------------------------------------------------------------------------

#: Each scalar, and the Python values that it has.
SCALARS: dict[str, tuple[GraphQLScalarType, st.SearchStrategy[Any]]] = {
    scalar.name: (scalar, values)
    for scalar, values in [
        (GraphQLInt, st.integers(-(2**31), 2**31 - 1)),
        (GraphQLFloat, st.floats(allow_nan=False, allow_infinity=False)),
        (GraphQLString, st.text(max_size=5)),
        (GraphQLBoolean, st.booleans()),
        (GraphQLID, st.text(max_size=5)),
        # Not as JSON's encoder writes them: what was not serialized shows.
        (GraphQLScalarType("Date", date.toordinal, date.fromordinal), st.dates()),
        (
            GraphQLScalarType("DateTime", datetime.isoformat, datetime.fromisoformat),
            st.datetimes(timezones=st.just(UTC)),
        ),
        (
            GraphQLScalarType("Decimal", str, Decimal),
            st.decimals(allow_nan=False, allow_infinity=False),
        ),
        (
            GraphQLScalarType(
                "UUID",
                coerce_output_value=lambda value: f"id:{value}",
                coerce_input_value=lambda text: UUID(text[3:]),
            ),
            st.uuids(),
        ),
        (
            GraphQLScalarType(
                "Duration",
                lambda value: value // timedelta(microseconds=1),
                lambda value: timedelta(microseconds=value),
            ),
            st.timedeltas(timedelta(-99), timedelta(99)),
        ),
        (
            GraphQLScalarType(
                "Bytes", lambda value: base64.b64encode(value).decode(), base64.b64decode
            ),
            st.binary(max_size=5),
        ),
        (GraphQLScalarType("Big", str, int), st.integers()),
        (GraphQLScalarType("Pair", list, tuple), st.tuples(st.integers(0, 9), st.integers(0, 9))),
        (
            GraphQLScalarType("JSON"),
            st.recursive(
                st.integers(0, 9) | st.text(max_size=3) | st.booleans(),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(st.text(max_size=3), inner, max_size=2)
                ),
                max_leaves=3,
            ),
        ),
    ]
}

#: Of these a value can be taken for a list of it, or for nothing.
_AMBIGUOUS = {"Pair", "JSON"}

_ENUM_NAMES = ["RED", "GREEN", "BLUE", "red", "A1"]


@st.composite
def enums(draw: Draw, name: str) -> tuple[GraphQLEnumType, st.SearchStrategy[Any]]:
    """An enum whose values are members, the values of members, their names, or something else."""
    names = draw(st.lists(st.sampled_from(_ENUM_NAMES), min_size=1, unique=True))
    # A member's value may be the name of another.
    values = draw(st.permutations([*_ENUM_NAMES, 1, 2, (3, 4)]))
    members = dict(zip(names, values, strict=False))
    kind = draw(st.sampled_from(["members", "values", "names", "mapping"]))
    if kind == "mapping":
        enum = GraphQLEnumType(name, members)
    elif kind == "names":
        enum = GraphQLEnumType(name, {each: each for each in names})
    else:
        # Enum's own __init__ takes a list as well as names and values in one string.
        python = Enum(name, list(members.items()))  # type: ignore[misc]
        enum = GraphQLEnumType(name, python, names_as_values=None if kind == "members" else False)
    return enum, st.sampled_from([value.value for value in enum.values.values()])


# --- wrapped types ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A named type within lists; ``required`` says of it, then of each list, whether non-null."""

    name: str
    required: tuple[bool, ...]

    def wrap(self, named: Any) -> Any:
        type_ = GraphQLNonNull(named) if self.required[0] else named
        for required in self.required[1:]:
            type_ = GraphQLList(type_)
            type_ = GraphQLNonNull(type_) if required else type_
        return type_

    def __str__(self) -> str:
        text = self.name + "!" * self.required[0]
        for required in self.required[1:]:
            text = f"[{text}]" + "!" * required
        return text


@st.composite
def shapes(draw: Draw, names: list[str]) -> Shape:
    lists = draw(st.sampled_from([0, 0, 1, 1, 2]))
    required = [draw(st.booleans()) for _ in range(lists + 1)]
    return Shape(draw(st.sampled_from(names)), tuple(required))


# --- inputs -----------------------------------------------------------------------------------


@dataclass
class Leaves:
    """The scalars and enums of one schema."""

    types: dict[str, Any]
    values: dict[str, st.SearchStrategy[Any]]


def mostly_custom(leaves: Leaves) -> list[str]:
    """The names to choose a leaf type from: there is more to say of custom ones."""
    custom = [name for name in leaves.types if name not in specified_scalar_types]
    return [*custom * 2, *specified_scalar_types]


@st.composite
def leaf_types(draw: Draw) -> Leaves:
    leaves = Leaves(
        {name: scalar for name, (scalar, _) in SCALARS.items()},
        {name: values for name, (_, values) in SCALARS.items()},
    )
    for index in range(draw(st.integers(0, 2))):
        name = f"Enum{index}"
        leaves.types[name], leaves.values[name] = draw(enums(name))
    return leaves


@dataclass
class InputField:
    name: str
    outer: str
    shape: Shape
    default: Any = Undefined


@dataclass
class InputType:
    name: str
    fields: list[InputField]
    one_of: bool
    #: A class of each kind with the fields' outer names, none of which need be set.
    classes: list[type]
    #: What the server's resolvers are given, if not a dict.
    out_type: type | None


@dataclass
class Input:
    """Variables for an operation, and what resolvers are to get of them."""

    schema: GraphQLSchema
    document: str
    variables: dict[str, Any]
    expected: dict[str, Any]
    #: The arguments that the resolver got.
    got: dict[str, Any]


@st.composite
def input_types(draw: Draw, leaves: Leaves) -> list[InputType]:
    names = [f"Input{index}" for index in range(draw(st.integers(1, 3)))]
    leaf_names = mostly_custom(leaves)
    types = []
    for name in names:
        one_of = draw(st.integers(0, 3)) == 0
        fields = []
        for index in range(draw(st.integers(1, 4))):
            # The first field ends the recursion, where one has to be given.
            shape = draw(shapes(leaf_names if index == 0 else [*leaf_names, *names]))
            if one_of:
                shape = Shape(shape.name, (*shape.required[:-1], False))
            elif shape.name in names and len(shape.required) == 1:
                shape = Shape(shape.name, (False,))
            field_name = f"fieldName{index}"
            outer = draw(st.sampled_from([field_name, f"field_name{index}"]))
            added = InputField(field_name, outer, shape)
            if not one_of and len(shape.required) == 1 and shape.name in leaf_names:
                added.default = draw(st.just(Undefined) | leaves.values[shape.name])
            fields.append(added)
        outer_names = [added.outer for added in fields]
        unset = [(outer, Any, field(default=msgspec.UNSET)) for outer in outer_names]
        struct = msgspec.defstruct(
            f"{name}Struct", [(outer, Any, msgspec.UNSET) for outer in outer_names]
        )
        classes = [make_dataclass(f"{name}Data", unset), struct]
        out_type = draw(st.sampled_from([None, *classes]))
        types.append(InputType(name, fields, one_of, classes, out_type))
    return types


class _Values:
    """Draws input values, each with what the server is to make of it."""

    def __init__(self, draw: Draw, leaves: Leaves, types: Mapping[str, InputType]) -> None:
        self.draw = draw
        self.leaves = leaves
        self.types = types

    def of(self, shape: Shape, depth: int, filled: bool = False) -> tuple[Any, Any]:
        *inner, required = shape.required
        if not required and not filled and (depth > 2 or self.draw(st.integers(0, 7)) == 0):
            return None, None
        if not inner:
            return self.named(shape.name, depth)
        item = Shape(shape.name, tuple(inner))
        most = 0 if depth > 2 and shape.name in self.types else 2
        if most and shape.name not in _AMBIGUOUS and self.draw(st.integers(0, 5)) == 0:
            given, seen = self.of(item, depth + 1, filled=True)
            if not isinstance(given, list | tuple):
                return given, [seen]
        pairs = [
            self.of(item, depth + 1)
            for _ in range(self.draw(st.sampled_from([most, 1 if most else 0, 0])))
        ]
        return [given for given, _ in pairs], [seen for _, seen in pairs]

    def named(self, name: str, depth: int) -> tuple[Any, Any]:
        if name not in self.types:
            value = self.draw(self.leaves.values[name])
            return value, value
        type_ = self.types[name]
        if type_.one_of:
            leaf_only = type_.fields[:1] if depth > 2 else type_.fields
            fields = [self.draw(st.sampled_from(leaf_only))]
        else:
            fields = type_.fields
        given: list[tuple[InputField, Any]] = []
        seen: dict[str, Any] = {}
        for each in fields:
            mandatory = each.shape.required[-1] and each.default is Undefined
            if mandatory or type_.one_of or self.draw(st.booleans()):
                value = self.of(each.shape, depth + 1, filled=type_.one_of)
                given.append((each, value[0]))
                seen[each.outer] = value[1]
            elif each.default is not Undefined:
                seen[each.outer] = each.default
        return self.form(type_, given), type_.out_type(**seen) if type_.out_type else seen

    def form(self, type_: InputType, given: list[tuple[InputField, Any]]) -> Any:
        outer = {each.outer: value for each, value in given}
        form = self.draw(st.sampled_from(["names", "outer", *type_.classes]))
        if form == "names":
            return {each.name: value for each, value in given}
        return outer if form == "outer" else form(**outer)


@st.composite
def inputs(draw: Draw) -> Input:
    """A schema with input types, an operation with variables, and values for them."""
    leaves = draw(leaf_types())
    types = {type_.name: type_ for type_ in draw(input_types(leaves))}
    built: dict[str, Any] = dict(leaves.types)
    for type_ in types.values():
        built[type_.name] = _input_object(type_, built)
    # The first is an input object, since there is most to say of those.
    declared = {"v0": draw(shapes(list(types)))}
    for index in range(draw(st.integers(0, 3))):
        declared[f"v{index + 1}"] = draw(shapes([*mostly_custom(leaves), *types]))
    got: dict[str, Any] = {}

    def resolve(_root: Any, _info: GraphQLResolveInfo, **arguments: Any) -> str:
        got.update(arguments)
        return "ok"

    arguments = {
        name: GraphQLArgument(shape.wrap(built[shape.name])) for name, shape in declared.items()
    }
    query = GraphQLObjectType(
        "Query", {"echo": GraphQLField(GraphQLString, args=arguments, resolve=resolve)}
    )
    values = _Values(draw, leaves, types)
    variables, expected = {}, {}
    for name, shape in declared.items():
        first = name == "v0"
        if first or shape.required[-1] or draw(st.integers(0, 3)):
            variables[name], expected[name] = values.of(shape, 0, filled=first)
    head = ", ".join(f"${name}: {shape}" for name, shape in declared.items())
    passed = ", ".join(f"{name}: ${name}" for name in declared)
    document = f"query Q({head}) {{ echo({passed}) }}"
    return Input(GraphQLSchema(query), document, variables, expected, got)


def _input_object(type_: InputType, built: Mapping[str, Any]) -> GraphQLInputObjectType:
    def fields() -> dict[str, GraphQLInputField]:
        return {
            each.name: GraphQLInputField(
                each.shape.wrap(built[each.shape.name]),
                default_value=each.default,
                out_name=each.outer,
            )
            for each in type_.fields
        }

    out_type = type_.out_type
    make = (lambda values: out_type(**values)) if out_type else None
    return GraphQLInputObjectType(type_.name, fields, out_type=make, is_one_of=type_.one_of)


# --- outputs ----------------------------------------------------------------------------------


@dataclass
class Output:
    """A schema whose resolvers draw what they return, and keep it."""

    schema: GraphQLSchema
    #: What each field of a leaf type has returned, by its path in the result.
    returned: dict[tuple[str | int, ...], Any]


@st.composite
def outputs(draw: Draw) -> Output:
    """A schema of objects, interfaces and unions.

    A field's name stands for one type throughout the schema, so that any two selections can be
    merged (specification §5.3.2).
    """
    leaves = draw(leaf_types())
    objects = [f"Object{index}" for index in range(draw(st.integers(1, 3)))]
    interfaces = [f"Interface{index}" for index in range(draw(st.integers(0, 2)))]
    unions = [f"Union{index}" for index in range(draw(st.integers(0, 1)))]
    composites = [*objects, *interfaces, *unions]
    leaf_names = mostly_custom(leaves)
    pool = {
        f"f{index}": draw(shapes(composites) if draw(st.booleans()) else shapes(leaf_names))
        for index in range(draw(st.integers(2, 8)))
    }
    some_fields = st.lists(st.sampled_from(sorted(pool)), min_size=1, max_size=5, unique=True)
    fields_of = {name: draw(some_fields) for name in [*interfaces, *objects, "Query"]}
    # The first object implements all, so that each interface has a possible type.
    implements = {
        name: interfaces if index == 0 else [each for each in interfaces if draw(st.booleans())]
        for index, name in enumerate(objects)
    }
    built: dict[str, Any] = dict(leaves.types)
    returned: dict[tuple[str | int, ...], Any] = {}
    possible: dict[str, list[str]] = {name: [name] for name in objects}

    def resolve(_root: Any, info: GraphQLResolveInfo) -> Any:
        shape = pool[info.field_name]
        value = drawn(shape)
        if shape.name in leaves.values:
            returned[tuple(info.path.as_list())] = value
        return value

    def drawn(shape: Shape) -> Any:
        *inner, required = shape.required
        if not required and draw(st.integers(0, 7)) == 0:
            return None
        if inner:
            item = Shape(shape.name, tuple(inner))
            return [drawn(item) for _ in range(draw(st.sampled_from([0, 1, 2, 2])))]
        if shape.name in leaves.values:
            return draw(leaves.values[shape.name])
        return draw(st.sampled_from(possible[shape.name]))  # the name of the object's type

    def fields(name: str) -> Callable[[], dict[str, GraphQLField]]:
        names = dict.fromkeys(fields_of[name])
        for interface in implements.get(name, ()):
            names |= dict.fromkeys(fields_of[interface])
        return lambda: {
            each: GraphQLField(pool[each].wrap(built[pool[each].name]), resolve=resolve)
            for each in names
        }

    def type_of(value: Any, _info: Any, _type: Any) -> Any:
        return value

    for name in interfaces:
        built[name] = GraphQLInterfaceType(name, fields(name), resolve_type=type_of)
        possible[name] = [each for each in objects if name in implements[each]]
    for name in objects:
        own = [built[each] for each in implements[name]]
        built[name] = GraphQLObjectType(name, fields(name), interfaces=own)
    for name in unions:
        possible[name] = draw(st.lists(st.sampled_from(objects), min_size=1, unique=True))
        members = [built[each] for each in possible[name]]
        built[name] = GraphQLUnionType(name, members, resolve_type=type_of)
    query = GraphQLObjectType("Query", fields("Query"))
    return Output(GraphQLSchema(query, types=[built[name] for name in composites]), returned)


# --- documents --------------------------------------------------------------------------------


class _Selections:
    """Draws selection sets, which may spread fragments that come later in the list."""

    def __init__(self, draw: Draw, schema: GraphQLSchema, fragments: list[Any]) -> None:
        self.draw = draw
        self.schema = schema
        self.fragments = fragments

    def set_of(self, type_: Any, depth: int, later: int) -> str:
        count = self.draw(st.integers(1, 4))
        return f"{{ {' '.join(self.selection(type_, depth, later) for _ in range(count))} }}"

    def selection(self, type_: Any, depth: int, later: int) -> str:
        kinds = ["inline", "inline", "typename"] if depth < 4 else ["typename"]
        if hasattr(type_, "fields"):
            kinds += ["field"] * 8
        spreads = [
            index
            for index in range(later, len(self.fragments))
            if self.overlap(type_, self.fragments[index])
        ]
        kinds += ["spread"] * 2 * bool(spreads)
        match self.draw(st.sampled_from(kinds)):
            case "field":
                return self.field(type_, depth, later)
            case "spread":
                return f"...F{self.draw(st.sampled_from(spreads))}{self.directive()}"
            case "inline":
                others = [each for each in self.composites() if self.overlap(type_, each)]
                inner = self.draw(st.sampled_from([None, *others]))
                condition = f" on {inner}" if inner else ""
                selected = self.set_of(inner or type_, depth + 1, later)
                return f"...{condition}{self.directive()} {selected}"
            case _:
                return self.draw(st.sampled_from(["__typename", "kind: __typename"]))

    def field(self, type_: Any, depth: int, later: int) -> str:
        name = self.draw(st.sampled_from(sorted(type_.fields)))
        alias = self.draw(st.sampled_from(["", f"{name}_a: ", f"{name}_b: "]))
        named = type_.fields[name].type
        while hasattr(named, "of_type"):
            named = named.of_type
        text = f"{alias}{name}{self.directive()}"
        if named.name in self.schema.type_map and named in self.composites():
            nested = self.set_of(named, depth + 1, later) if depth < 4 else "{ __typename }"
            return f"{text} {nested}"
        return text

    def directive(self) -> str:
        if self.draw(st.integers(0, 5)):
            return ""
        name = self.draw(st.sampled_from(["skip", "include"]))
        return f" @{name}(if: {self.draw(st.sampled_from(['$yes', '$no', 'true', 'false']))})"

    def composites(self) -> list[Any]:
        return [
            type_
            for name, type_ in self.schema.type_map.items()
            if name.startswith(("Object", "Interface", "Union"))
        ]

    def overlap(self, one: Any, other: Any) -> bool:
        return not self.possible(one).isdisjoint(self.possible(other))

    def possible(self, type_: Any) -> set[str]:
        if not is_abstract_type(type_):
            return {type_.name}
        return {each.name for each in self.schema.get_possible_types(type_)}


@st.composite
def documents(draw: Draw, schema: GraphQLSchema) -> str:
    """A query of one operation, with the variables ``$yes`` and ``$no``, and fragments."""
    selections = _Selections(draw, schema, [])
    conditions = [schema.query_type, *selections.composites()]
    fragments = draw(st.lists(st.sampled_from(conditions), max_size=3))
    selections.fragments = fragments
    head = "query ($yes: Boolean = true, $no: Boolean = false)"
    operation = f"{head} {selections.set_of(schema.query_type, 0, 0)}"
    defined = [
        f"fragment F{index} on {type_} {selections.set_of(type_, 2, index + 1)}"
        for index, type_ in enumerate(fragments)
    ]
    return "\n".join([operation, *defined])
