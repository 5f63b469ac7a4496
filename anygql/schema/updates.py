"""What a schema's scalars and enums are in Python.

A schema that comes as text or from a server knows the names of its scalars and enums, but not
what to make of their values. These functions tell it, in place: for every client with that
schema, and for everybody else who uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .client_schema import forget

if TYPE_CHECKING:
    from graphql import GraphQLNamedType, GraphQLScalarType, GraphQLSchema

    _T = TypeVar("_T", bound=GraphQLNamedType)

__all__ = ["update_schema_enum", "update_schema_scalar", "update_schema_scalars"]

#: All by which a scalar converts: graphql-core 3.3's functions, and those they came from.
_CONVERSIONS = (
    "serialize",
    "parse_value",
    "parse_literal",
    "coerce_output_value",
    "coerce_input_value",
    "coerce_input_literal",
    "value_to_literal",
)


class _MissingNameError(KeyError):
    """A ``KeyError``, as gql's users know it, whose message reads as one."""

    def __str__(self) -> str:
        return str(self.args[0])


def update_schema_scalar(schema: GraphQLSchema, name: str, scalar: GraphQLScalarType) -> None:
    """Let the schema's scalar ``name`` convert values as ``scalar`` does.

    Only the conversions are taken: name and description stay the schema's, whatever ``scalar``'s.

    Raises ``KeyError`` if the schema has no type of that name, ``TypeError`` if that is no scalar
    or ``scalar`` is none, and ``ValueError`` for Int, Float, String, Boolean and ID: they are the
    same objects in all schemas of the process.
    """
    _update_scalar(schema, name, _check_scalar(scalar))
    forget(schema)


def update_schema_scalars(schema: GraphQLSchema, scalars: Iterable[GraphQLScalarType]) -> None:
    """``update_schema_scalar`` for each scalar, by its own name; all of them, or none.

    Raises what that does, and then nothing has changed.
    """
    from graphql import GraphQLScalarType

    if isinstance(scalars, GraphQLScalarType) or not isinstance(scalars, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"scalars must be a list of GraphQLScalarType, not {type(scalars).__name__}"
        )
    checked = [_check_scalar(scalar) for scalar in scalars]
    for scalar in checked:
        _find_scalar(schema, scalar.name)
    for scalar in checked:
        _update_scalar(schema, scalar.name, scalar)
    forget(schema)


def update_schema_enum(
    schema: GraphQLSchema,
    name: str,
    values: type[Enum] | Mapping[str, Any],
    use_enum_values: bool = False,
) -> None:
    """Let the members of the schema's enum ``name`` be Python values.

    ``values`` is an ``Enum`` class, whose members' names (aliases too) are the GraphQL ones, or a
    mapping from GraphQL names to values. With an ``Enum``, the values are its members; with
    ``use_enum_values``, what they stand for. Names that the schema doesn't have are ignored.

    Raises ``KeyError`` if the schema has no type of that name, or ``values`` lacks a name that
    the enum has, and ``TypeError`` if the type is no enum or ``values`` is neither. Then nothing
    has changed.
    """
    from graphql import GraphQLEnumType

    given = _member_values(values, use_enum_values)
    found = _find_type(schema, name, GraphQLEnumType, "an enum")
    missing = [repr(member) for member in found.values if member not in given]
    if missing:
        raise _MissingNameError(f"the values for the enum {name!r} lack {', '.join(missing)}")
    for member, value in found.values.items():
        value.value = given[member]
    found.__dict__.pop("_value_lookup", None)  # derived from the values, and kept
    forget(schema)


def _member_values(values: object, use_enum_values: bool) -> Mapping[str, Any]:
    if isinstance(values, type) and issubclass(values, Enum):
        members: Mapping[str, Enum] = values.__members__
        if use_enum_values:
            return {name: member.value for name, member in members.items()}
        return members
    if isinstance(values, Mapping):
        return cast("Mapping[str, Any]", values)
    given = values.__name__ if isinstance(values, type) else type(values).__name__
    raise TypeError(f"the values of an enum are an Enum class or a mapping, not {given}")


def _check_scalar(scalar: object) -> GraphQLScalarType:
    from graphql import GraphQLScalarType

    if not isinstance(scalar, GraphQLScalarType):
        given = (
            f"the class {scalar.__name__}"
            if isinstance(scalar, type)
            else repr(type(scalar).__name__)
        )
        raise TypeError(f"a scalar must be a GraphQLScalarType, not {given}")
    return scalar


def _find_scalar(schema: GraphQLSchema, name: str) -> GraphQLScalarType:
    from graphql import GraphQLScalarType, is_specified_scalar_type

    found = _find_type(schema, name, GraphQLScalarType, "a scalar")
    if is_specified_scalar_type(found):
        raise ValueError(
            f"{name} is a standard scalar, which all schemas have in common: it can't be updated"
        )
    return found


def _update_scalar(schema: GraphQLSchema, name: str, scalar: GraphQLScalarType) -> None:
    found = _find_scalar(schema, name)
    for conversion in _CONVERSIONS:
        setattr(found, conversion, getattr(scalar, conversion))


def _find_type(schema: object, name: str, kind: type[_T], called: str) -> _T:
    """The type of that name, which must be of that kind."""
    from graphql import GraphQLSchema
    from graphql.pyutils import suggestion_list

    if not isinstance(schema, GraphQLSchema):
        raise TypeError(f"schema must be a GraphQLSchema, not {type(schema).__name__}")
    found = schema.get_type(name)
    if found is None:
        near = [repr(other) for other in suggestion_list(name, list(schema.type_map))[:3]]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise _MissingNameError(f"the schema has no type {name!r}{hint}")
    if not isinstance(found, kind):
        what = type(found).__name__.removeprefix("GraphQL").removesuffix("Type")
        raise TypeError(f"the schema's type {name!r} is not {called}, but a GraphQL {what}")
    return found
