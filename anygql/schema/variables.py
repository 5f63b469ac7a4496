"""Variables as JSON's values, each by the type that it is declared with.

What is checked is what the specification's input coercion (§3, "Input Coercion" of each kind of
type, and §6.1.2 for variables) would refuse, so that it is refused here, with its path. Values are
never in messages, since variables may be secrets: only their types are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, TypeAlias, cast

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    is_required_input_field,
    type_from_ast,  # pyright: ignore[reportUnknownVariableType]
)
from graphql.pyutils import Undefined, did_you_mean, suggestion_list

from ..documents.document import Document
from ..documents.files import FileVar
from .errors import PROBLEM_LIMIT, VariableError
from .members import is_list, members_of
from .plans import Path, dotted, operation_of
from .scalars import built_in_coercer, enum_serializer, output_coercer

__all__ = ["PROBLEM_LIMIT", "VariableError", "VariablesPlan", "variables_plan"]

#: How many of an enum's names an error tells of.
_NAMES_SHOWN: Final = 10


class _TooManyProblems(Exception):
    """As many problems were found as will be told."""


class _Problems:
    """What is wrong with the variables of one call."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._cause: Exception | None = None

    def add(self, path: Path, problem: str, cause: Exception | None = None) -> None:
        if not self._found:
            self._cause = cause
        self._found.append(f"{dotted(path)}: {problem}")
        if len(self._found) >= PROBLEM_LIMIT:
            raise _TooManyProblems

    def raise_any(self) -> None:
        if self._found:
            raise VariableError(self._found) from self._cause


#: Gives the JSON value, or adds to the problems (and gives anything). It is given no ``None``,
#: but by ``_nullable`` and ``_required``.
_Serializer: TypeAlias = Callable[[Any, Path, _Problems], Any]


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


# --- serialisers ------------------------------------------------------------------------------


def _untouched(value: Any, path: Path, problems: _Problems) -> Any:
    """A value of which nothing is known: JSON's encoder decides."""
    return value


def _scalar(scalar: GraphQLScalarType) -> _Serializer:
    built_in = built_in_coercer(scalar)
    coerce = built_in or output_coercer(scalar)
    if coerce is None:
        return _untouched

    def serialize(value: Any, path: Path, problems: _Problems) -> Any:
        if isinstance(value, FileVar):
            return value
        try:
            coerced = coerce(value)
        except Exception as exc:  # noqa: BLE001  # a user's scalar may raise anything
            why = "" if built_in else f", which it refuses ({type(exc).__name__})"
            problems.add(path, f"expected {scalar.name}, given {_kind(value)}{why}", exc)
            return None
        if coerced is None or coerced is Undefined:
            problems.add(path, f"{scalar.name} makes nothing of the {_kind(value)} it was given")
        return coerced

    return serialize


def _enum(enum: GraphQLEnumType) -> _Serializer:
    name_of = enum_serializer(enum)
    names = list(enum.values)
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    expected = f"expected {enum.name} ({', '.join(names[:_NAMES_SHOWN])}{more})"

    def serialize(value: Any, path: Path, problems: _Problems) -> Any:
        try:
            return name_of(value)
        except LookupError as exc:
            problems.add(path, f"{expected}, given {_kind(value)}: {exc}")
            return None

    return serialize


def _list(item: _Serializer) -> _Serializer:
    def serialize(value: Any, path: Path, problems: _Problems) -> Any:
        if not is_list(value):
            # A value that is no list stands for a list of it (specification §3.11).
            return [item(value, path, problems)]
        return [item(one, (path, index), problems) for index, one in enumerate(value)]

    return serialize


def _nullable(filled: _Serializer) -> _Serializer:
    def serialize(value: Any, path: Path, problems: _Problems) -> Any:
        return None if value is None else filled(value, path, problems)

    return serialize


def _required(filled: _Serializer, type_: str) -> _Serializer:
    expected = f"expected {type_}, given null"

    def serialize(value: Any, path: Path, problems: _Problems) -> Any:
        if value is None:
            problems.add(path, expected)
            return None
        return filled(value, path, problems)

    return serialize


class _InputObject:
    """The serialiser of one input object type.

    Its fields are compiled when a value first comes: generated schemas have filters that reach
    hundreds of types, of which a document uses a few.
    """

    def __init__(self, type_: GraphQLInputObjectType, types: _Types) -> None:
        self._type = type_
        self._types = types
        self._one_of = bool(getattr(type_, "is_one_of", False))

    @cached_property
    def _fields(self) -> dict[str, _Serializer]:
        return {name: self._types.of(field.type) for name, field in self._type.fields.items()}

    @cached_property
    def _names(self) -> dict[str, str]:
        """The field that each name stands for; ``out_name`` is its name on the server's side."""
        fields = self._type.fields
        outer = {field.out_name: name for name, field in fields.items() if field.out_name}
        return outer | {name: name for name in fields}

    @cached_property
    def _mandatory(self) -> dict[str, GraphQLType]:
        fields = self._type.fields.items()
        return {name: field.type for name, field in fields if is_required_input_field(field)}

    def __call__(self, value: Any, path: Path, problems: _Problems) -> Any:
        names = self._names
        members = members_of(value, names)
        if members is None:
            problems.add(path, f"expected {self._type.name}, given {_kind(value)}")
            return None
        if self._one_of and not isinstance(value, Mapping):
            # An instance has all its attributes; those of the other fields can only be None.
            members = {name: member for name, member in members.items() if member is not None}
        fields = self._fields
        given: dict[str, Any] = {}
        for key, member in members.items():
            name = names.get(key)
            if name is None:
                problems.add(path, self._unknown(key))
            elif name in given:
                problems.add((path, name), f"given twice, as {name!r} and by another of its names")
            else:
                given[name] = fields[name](member, (path, name), problems)
        for name, type_ in self._mandatory.items():
            if name not in given:
                problems.add(
                    (path, name), f"{self._type.name} requires it ({type_}), and it is missing"
                )
        if self._one_of and (len(given) != 1 or None in members.values()):
            problems.add(
                path, f"{self._type.name} takes exactly one of its fields, and not as null"
            )
        return given

    def _unknown(self, key: object) -> str:
        if not isinstance(key, str):
            return f"the names of {self._type.name}'s fields are texts, not {_kind(key)}"
        hint = did_you_mean(suggestion_list(key, list(self._type.fields)))
        return f"{self._type.name} has no field {key!r}.{hint}"


class _Types:
    """The serialisers of one schema's types: one for each input object, which may be recursive."""

    def __init__(self) -> None:
        self._objects: dict[str, _InputObject] = {}

    def of(self, type_: GraphQLType | None) -> _Serializer:
        if isinstance(type_, GraphQLNonNull):
            non_null = cast("GraphQLNonNull[Any]", type_)
            return _required(self._filled(non_null.of_type), str(non_null))
        return _nullable(self._filled(type_))

    def _filled(self, type_: GraphQLType | None) -> _Serializer:
        if isinstance(type_, GraphQLList):
            return _list(self.of(cast("GraphQLList[Any]", type_).of_type))
        if isinstance(type_, GraphQLScalarType):
            return _scalar(type_)
        if isinstance(type_, GraphQLEnumType):
            return _enum(type_)
        if isinstance(type_, GraphQLInputObjectType):
            known = self._objects.get(type_.name)
            return known or self._objects.setdefault(type_.name, _InputObject(type_, self))
        # The schema does not know it, or it is no input type: the server will say so.
        return _untouched


# --- the plan ---------------------------------------------------------------------------------


class VariablesPlan:
    """Serialises the variables of one operation; made once, used by any number of threads."""

    def __init__(
        self,
        operation_name: str | None,
        serializers: dict[str, _Serializer],
        mandatory: dict[str, str],
    ) -> None:
        self._called = f"operation {operation_name!r}" if operation_name else "operation"
        self._serializers = serializers
        self._mandatory = mandatory

    def __call__(self, variable_values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as the server is to get them, in their order; nothing is changed in place.

        Custom scalars are serialised by their output coercion, enums become names, and input
        objects dicts. A ``FileVar`` is left as it is, and so is what has a type that the schema
        does not know. What is left out stays out: its default is the server's to apply.

        Raises ``VariableError`` with all that is wrong.
        """
        problems = _Problems()
        try:
            serialized = self._serialized(variable_values, problems)
        except _TooManyProblems:
            serialized = {}
        except RecursionError as exc:
            raise VariableError(["variables: nested too deeply, or within itself"]) from exc
        problems.raise_any()
        return serialized

    def _serialized(self, values: Mapping[str, Any], problems: _Problems) -> dict[str, Any]:
        serialized: dict[str, Any] = {}
        for name, value in values.items():
            if value is msgspec.UNSET or value is Undefined:
                continue
            path: Path = ((None, "variables"), name)
            serialize = self._serializers.get(name)
            if serialize is None:
                hint = did_you_mean(suggestion_list(str(name), list(self._serializers)))
                problems.add(path, f"the {self._called} declares no such variable.{hint}")
            else:
                serialized[name] = serialize(value, path, problems)
        for name, type_ in self._mandatory.items():
            if name not in serialized:
                path = ((None, "variables"), name)
                problems.add(path, f"the {self._called} requires it ({type_}), and it is missing")
        return serialized


def variables_plan(
    schema: GraphQLSchema, document: Document, operation_name: str | None
) -> VariablesPlan:
    """The plan for the variables of one operation.

    It holds for the schema as it is now: after an update of a scalar or an enum, make another.
    Raises ``GraphQLSyntaxError``, or ``ValueError`` if the document does not say which operation.
    """
    operation = operation_of(document, operation_name)
    types = _Types()
    serializers: dict[str, _Serializer] = {}
    mandatory: dict[str, str] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        type_ = type_from_ast(schema, definition.type)
        serializers[name] = types.of(type_)
        if isinstance(type_, GraphQLNonNull) and definition.default_value is None:
            mandatory[name] = str(cast("GraphQLType", type_))
    return VariablesPlan(operation.name.value if operation.name else None, serializers, mandatory)
