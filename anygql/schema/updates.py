"""Updating the Python values of a schema's scalars and enums.

A schema from a text or from a server has the names of its scalars and enums, but not their values
in Python. These functions set the values in place, for all clients and others that use the schema.
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

#: The functions by which a scalar converts: graphql-core 3.3's and the earlier ones.
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
    """A ``KeyError``, as gql raises it, whose text is the message and not its ``repr``."""

    def __str__(self) -> str:
        return str(self.args[0])


def update_schema_scalar(schema: GraphQLSchema, name: str, scalar: GraphQLScalarType) -> None:
    """Set how a scalar of a schema converts values.

    Args:
        schema: The schema, which is changed in place.
        name: The name of the scalar in the schema.
        scalar: The scalar whose conversions to use. Its name and description are not used.

    Raises:
        KeyError: The schema has no type ``name``.
        TypeError: The type is no scalar, or ``scalar`` is no ``GraphQLScalarType``.
        ValueError: The type is Int, Float, String, Boolean or ID, which all schemas of the process
            share.
    """
    _update_scalar(schema, name, _check_scalar(scalar))
    forget(schema)


def update_schema_scalars(schema: GraphQLSchema, scalars: Iterable[GraphQLScalarType]) -> None:
    """Set how several scalars of a schema convert values.

    Args:
        schema: The schema, which is changed in place.
        scalars: The scalars whose conversions to use, each for the scalar of the same name.

    Raises:
        KeyError, TypeError, ValueError: As from ``update_schema_scalar``. No scalar was changed.
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
    """Set the Python values of an enum of a schema.

    Args:
        schema: The schema, which is changed in place.
        name: The name of the enum in the schema.
        values: An ``Enum`` class whose members (or aliases) have the names in GraphQL, or a mapping
            from these names to values. Names that the schema doesn't have are ignored.
        use_enum_values: Whether the Python values are the values of the ``Enum``'s members and not
            the members themselves; ``False`` by default.

    Raises:
        KeyError: The schema has no type ``name``, or ``values`` lacks a name. Nothing was changed.
        TypeError: The type is no enum, or ``values`` is neither. Nothing was changed.
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
    """Return the type of that name; raise ``KeyError`` or ``TypeError`` for another kind."""
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
