"""Serializing variables by the types that the document declares.

Values that the specification's input coercion would refuse are refused here, with their path (§3,
"Input Coercion" of each kind of type, and §6.1.2 for variables). Messages have the types of values
and never the values, since variables may be secrets.
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
from ..results.types.names import camel_case
from .errors import PROBLEM_LIMIT, VariableError
from .members import is_list, members_of
from .plans import Path, dotted, operation_of
from .scalars import built_in_coercer, enum_serializer, output_coercer

__all__ = ["PROBLEM_LIMIT", "VariableError", "VariablesPlan", "variables_plan"]

#: How many of an enum's names a message lists.
_NAMES_SHOWN: Final = 10


class _TooManyProblems(Exception):
    """As many problems were found as the error lists."""


class _Problems:
    """The problems of one call's variables."""

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


#: Returns the JSON value; or adds a problem, and then the returned value is not used. Only those
#: made by ``_nullable`` and ``_required`` take ``None``.
_Serializer: TypeAlias = Callable[[Any, Path, _Problems], Any]


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


# --- serializers ------------------------------------------------------------------------------


def _untouched(value: Any, path: Path, problems: _Problems) -> Any:
    """Return a value of an unknown type, for JSON's encoder to encode or refuse."""
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
            # A value that is no list is coerced to a list with it (specification §3.11).
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
    """The serializer of one input object type.

    The serializers of its fields are made with the first value, since generated schemas have
    filters that reach hundreds of types, of which a document uses few.
    """

    def __init__(self, type_: GraphQLInputObjectType, types: _Types) -> None:
        self._type = type_
        self._types = types
        self._camel_case = types.camel_case
        self._one_of = bool(getattr(type_, "is_one_of", False))

    @cached_property
    def _fields(self) -> dict[str, _Serializer]:
        return {name: self._types.of(field.type) for name, field in self._type.fields.items()}

    @cached_property
    def _names(self) -> dict[str, str]:
        """The field for each name; a field's ``out_name`` is its name in a server's Python code."""
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
            # An instance has attributes for all fields, and None for those that are not given.
            members = {name: member for name, member in members.items() if member is not None}
        fields = self._fields
        given: dict[str, Any] = {}
        for key, member in members.items():
            name = names.get(key)
            if name is None and self._camel_case and not isinstance(value, Mapping):
                name = names.get(camel_case(str(key)))
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
    """The serializers of one schema's types, one for each input object, which may be recursive."""

    def __init__(self, camel_case: bool) -> None:
        self.camel_case = camel_case
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
        # The schema doesn't know the type, or it is no input type. The server will refuse it.
        return _untouched


# --- the plan ---------------------------------------------------------------------------------


class VariablesPlan:
    """The plan that serializes one operation's variables. Any number of threads may use it."""

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
        """Return the values to send, in their order. Nothing is changed in place.

        Custom scalars are serialized by their output coercion, enums by name, and input objects as
        dicts. A ``FileVar`` and a value of a type that the schema doesn't know stay as they are.
        Variables that are not given are not sent, since the server applies defaults.

        Raises:
            VariableError: Values don't have their declared types. The error has all problems.
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
    schema: GraphQLSchema,
    document: Document,
    operation_name: str | None,
    *,
    camel_case: bool = False,
) -> VariablesPlan:
    """Make the plan for the variables of one operation.

    After an update of a scalar or an enum of the schema, make another plan. With ``camel_case``,
    the attribute ``first_name`` of an instance stands for the field ``firstName``.

    Raises:
        GraphQLSyntaxError: The document doesn't parse.
        ValueError: The document does not determine the operation.
    """
    operation = operation_of(document, operation_name)
    types = _Types(camel_case)
    serializers: dict[str, _Serializer] = {}
    mandatory: dict[str, str] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        type_ = type_from_ast(schema, definition.type)
        serializers[name] = types.of(type_)
        if isinstance(type_, GraphQLNonNull) and definition.default_value is None:
            mandatory[name] = str(cast("GraphQLType", type_))
    return VariablesPlan(operation.name.value if operation.name else None, serializers, mandatory)
