"""Coercion of the values of scalars and enums, to JSON and from JSON.

graphql-core 3.3 renamed a scalar's ``serialize`` and ``parse_value`` to ``coerce_output_value``
and ``coerce_input_value``. Both names are looked up, since many programs still set the old ones,
even on existing scalars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.pyutils import Undefined

from .members import is_list, members_of

__all__ = [
    "Coercer",
    "built_in_coercer",
    "enum_parser",
    "enum_serializer",
    "input_coercer",
    "output_coercer",
]

#: Converts a value. It may raise any exception for a value that it can't convert.
Coercer: TypeAlias = Callable[[Any], Any]

_NAMES_OF = {
    "output": ("coerce_output_value", "serialize"),
    "input": ("coerce_input_value", "parse_value"),
}


def _coercer(scalar: GraphQLScalarType, direction: str) -> Coercer | None:
    *_, legacy = names = _NAMES_OF[direction]
    identity = getattr(GraphQLScalarType, legacy, None)
    for name in names:
        coercer: Coercer | None = getattr(scalar, name, None)
        if coercer is not None and coercer is not identity:
            return coercer
    return None


def _refuse(value: Any) -> NoReturn:
    raise TypeError(type(value).__name__)


def _without_enum(value: Any) -> Any:
    """Return the value of an ``Enum``'s member, and any other value itself."""
    return value.value if isinstance(value, Enum) else value


def _int(value: Any) -> int:
    """Convert a number of any type to an ``int`` of 32 bits."""
    value = _without_enum(value)
    # int() accepts a text, and no server accepts a boolean as a number.
    whole = _refuse(value) if isinstance(value, bool | str | bytes) else int(value)
    return (
        whole if whole == value and GRAPHQL_MIN_INT <= whole <= GRAPHQL_MAX_INT else _refuse(value)
    )


def _float(value: Any) -> float:
    """Convert a finite number of any type to a ``float``; keep an ``int``, which is exact."""
    value = _without_enum(value)
    if isinstance(value, bool | str | bytes):
        _refuse(value)
    if isinstance(value, int):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else _refuse(value)


def _text(value: Any) -> Any:
    """Check a text, or a value that JSON encodes as text, such as a date, UUID or ``Decimal``."""
    value = _without_enum(value)
    if not isinstance(value, str) and (
        isinstance(value, bool | int | float) or is_list(value) or members_of(value, ()) is not None
    ):
        _refuse(value)
    return value


def _id(value: Any) -> Any:
    value = _without_enum(value)
    # As text, since JavaScript's numbers can't represent large integers.
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(int(value)) if whole else _text(value)


def _boolean(value: Any) -> Any:
    value = _without_enum(value)
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    return _refuse(value)


_BUILT_IN: Final[tuple[tuple[GraphQLScalarType, Coercer], ...]] = (
    (GraphQLInt, _int),
    (GraphQLFloat, _float),
    (GraphQLString, _text),
    (GraphQLBoolean, _boolean),
    (GraphQLID, _id),
)


def built_in_coercer(scalar: GraphQLScalarType) -> Coercer | None:
    """Return the coercer of variables for a scalar of the specification, else ``None``.

    It is stricter than graphql-core's output coercion, which accepts a number as a text. It accepts
    more than graphql-core's input coercion: all types of numbers, and values that JSON encodes as
    text.
    """
    return next((coerce for known, coerce in _BUILT_IN if known is scalar), None)


def output_coercer(scalar: GraphQLScalarType) -> Coercer | None:
    """Return the coercer from Python values to JSON; ``None`` if the scalar has none."""
    return _coercer(scalar, "output")


def input_coercer(scalar: GraphQLScalarType) -> Coercer | None:
    """Return the coercer from JSON to Python values; ``None`` for none and for built-in scalars."""
    return None if built_in_coercer(scalar) else _coercer(scalar, "input")


def _own_method(enum: GraphQLEnumType, direction: str) -> Coercer | None:
    """Return the coercer that a subclass overrides, as Strawberry's enums do; else ``None``."""
    for name in _NAMES_OF[direction]:
        if getattr(type(enum), name, None) is not getattr(GraphQLEnumType, name, None):
            method: Coercer = getattr(enum, name)
            return method
    return None


def _python_values(enum: GraphQLEnumType) -> dict[str, Any]:
    """Return the Python value of each name; a name without a value stands for itself."""
    return {
        name: name if member.value is None or member.value is Undefined else member.value
        for name, member in enum.values.items()
    }


def enum_parser(enum: GraphQLEnumType) -> Coercer | None:
    """Return the coercer from names to Python values; ``None`` if all names stand for themselves.

    Without a coercer, names that the schema doesn't know are accepted.
    """
    own = _own_method(enum, "input")
    if own is not None:
        return own
    values = _python_values(enum)
    if all(value is name for name, value in values.items()):
        return None
    return values.__getitem__


def enum_serializer(enum: GraphQLEnumType) -> Coercer:
    """Return the coercer from Python values to names.

    It looks for, in this order, the Python value itself, the value of an ``Enum``'s member (the
    argument's or the schema's), and the name. It raises ``LookupError`` if it finds none, or if a
    text is the value of one member and the name of another.
    """
    values = _python_values(enum)
    by_value: dict[Any, str] = {}
    unhashable: list[tuple[Any, str]] = []
    for name, value in values.items():
        try:
            by_value.setdefault(value, name)
        except TypeError:
            unhashable.append((value, name))
    # Other values that stand for a name. One that stands for two names is ambiguous.
    others: dict[Any, set[str]] = {name: {name} for name in values}
    for name, value in values.items():
        if isinstance(value, Enum):
            try:
                others.setdefault(value.value, set()).add(name)
            except TypeError:
                unhashable.append((value.value, name))
    by_other = {value: names for value, names in others.items() if value not in by_value}
    return partial(_name_of, _own_method(enum, "output"), by_value, by_other, unhashable)


def _name_of(
    own: Coercer | None,
    by_value: dict[Any, str],
    by_other: dict[Any, set[str]],
    unhashable: list[tuple[Any, str]],
    value: Any,
) -> str:
    if own is not None:
        try:
            return str(own(value))
        except Exception:  # noqa: BLE001, S110  # it may raise anything for an unknown value
            pass
    forms = (value, value.value, value.name) if isinstance(value, Enum) else (value,)
    for form in forms:
        try:
            name = by_value.get(form)
            names = by_other.get(form, ())
        except TypeError:  # it has no hash
            name = next((name for known, name in unhashable if known == form), None)
            names = ()
        if name is not None:
            return name
        if len(names) > 1:
            raise LookupError("it is the value of one and the name of another")
        if names:
            return next(iter(names))
    raise LookupError("it is none of them")
