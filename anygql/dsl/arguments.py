"""Arguments and variables of documents. All are immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import msgspec

from ..json import is_mapping, is_sequence
from .names import checked_name, checked_type

__all__ = [
    "NOTHING",
    "Argument",
    "Directive",
    "ListInput",
    "ObjectInput",
    "Value",
    "Variable",
    "arguments_of",
    "checked_directive",
    "condition",
    "directive",
    "var",
]

#: In the place of a default that isn't there.
NOTHING: Any = msgspec.UNSET


class Variable(msgspec.Struct, frozen=True):
    """A variable of the operation. ``var`` makes it."""

    name: str | None
    type: str | None
    default: Value | None = None
    attached: tuple[Directive, ...] = ()

    def directives(self, *directives: Directive) -> Variable:
        """Return the variable with directives on its definition.

        Their arguments are written as constants, since variables are not allowed there.
        """
        attached = (*self.attached, *map(checked_directive, directives))
        return msgspec.structs.replace(self, attached=attached)

    def or_named(self, name: str) -> Variable:
        """Return the variable with this name, if it has none of its own."""
        return self if self.name else msgspec.structs.replace(self, name=name)

    def __repr__(self) -> str:  # without the default, which may be secret
        return f"<Variable {self.name}: {self.type}>"


@overload
def var(type: str | None = None, /, *, default: Any = NOTHING) -> Variable: ...


@overload
def var(name: str, type: str | None, /, *, default: Any = NOTHING) -> Variable: ...


def var(*parts: str | None, default: Any = NOTHING) -> Variable:
    """Make a variable, for an argument.

    ``var("ID!")`` takes the name of the argument, ``var("heroId", "ID!")`` has its own. Variables
    of one name and type are one variable.

    Args:
        parts: The type, or the name and the type, in GraphQL's notation. Without a type, it is
            that of the argument in the schema that ``select`` is given.
        default: The value to send if a call gives none; default: none, so that a non-null variable
            must be given. It isn't written into the document.

    Raises:
        ValueError: The name or the type isn't one.
    """
    if len(parts) > 2:
        raise TypeError("var() takes a type, or a name and a type")
    *names, given = parts or (None,)
    name = checked_name(names[0], "a variable") if names else None
    return Variable(
        name,
        None if given is None else checked_type(given),
        None if default is NOTHING else Value(default),
    )


class Value(msgspec.Struct, frozen=True):
    """A value, which becomes a variable. ``type`` is its GraphQL type, if that is known."""

    value: Any
    type: str | None = None

    def __hash__(self) -> int:
        # Equal values, such as 1 and True, may be sent differently: so what has values isn't kept.
        raise TypeError("a value in a document can't be hashed")

    def __repr__(self) -> str:
        return "<Value>"


class ObjectInput(msgspec.Struct, frozen=True):
    """An input object with variables in it."""

    fields: tuple[tuple[str, Input], ...]


class ListInput(msgspec.Struct, frozen=True):
    """A list with variables in it."""

    items: tuple[Input, ...]


Input = Variable | Value | ObjectInput | ListInput


class Argument(msgspec.Struct, frozen=True):
    """An argument of a field or directive."""

    name: str
    value: Input
    is_python: bool = False  #: whether the name is Python's, so that ``camel_case`` respells it


class Directive(msgspec.Struct, frozen=True):
    """A directive. ``directive`` makes it."""

    name: str
    arguments: tuple[Argument, ...] = ()

    def __repr__(self) -> str:
        return f"<Directive @{self.name}>"


def directive(name: str, arguments: Mapping[str, Any] | None = None, /, **more: Any) -> Directive:
    """Make a directive, for ``directives()`` of a selection, an operation or a variable.

    Args:
        name: Its name, without ``@``.
        arguments: Its arguments, by name; their values become variables.
        more: Further arguments.

    Raises:
        ValueError: A name isn't one.
    """
    return Directive(checked_name(name, "a directive"), arguments_of(arguments, more))


def checked_directive(given: Any) -> Directive:
    """Return a directive, or raise ``TypeError``."""
    if isinstance(given, Directive):
        return given
    raise TypeError(f"write directive({given!r})" if isinstance(given, str) else _NO_DIRECTIVE)


_NO_DIRECTIVE = 'directives are made by directive("name", {…})'


def condition(name: str, subject: str, given: Any) -> Directive:
    """Return ``@include`` or ``@skip`` (specification §3.13.1, §3.13.2).

    A variable without a name is ``$includeFriends`` for the field ``friends``.
    """
    if isinstance(given, Variable):
        value: Variable | Value = given.or_named(name + subject[:1].upper() + subject[1:])
    elif isinstance(given, bool):
        value = Value(given, "Boolean!")
    else:
        raise TypeError(f"{name} is a bool or a variable, not {type(given).__name__}")
    return Directive(name, (Argument("if", value),))


def arguments_of(
    arguments: Mapping[str, Any] | None, more: Mapping[str, Any]
) -> tuple[Argument, ...]:
    """Return arguments: those with names of GraphQL's, then those with names of Python's."""
    if arguments is not None and not is_mapping(arguments):
        raise TypeError(f"arguments are a mapping, not {type(arguments).__name__}")
    return (
        *(_argument(name, value, False) for name, value in (arguments or {}).items()),
        *(_argument(name, value, True) for name, value in more.items()),
    )


def _argument(name: Any, value: Any, is_python: bool) -> Argument:
    name = checked_name(name, "an argument")
    try:
        return Argument(name, _input(value), is_python)
    except RecursionError:
        raise TypeError(f"the argument {name!r} is nested too deeply, or within itself") from None


def _input(value: Any) -> Input:
    if isinstance(value, Variable):
        return value
    if not _has_variable(value):
        return Value(value)
    if is_mapping(value):
        return ObjectInput(
            tuple((checked_name(key, "a field"), _input(item)) for key, item in value.items())
        )
    items: Sequence[Any] = value
    return ListInput(tuple(map(_input, items)))


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _has_variable(value: Any) -> bool:
    """Return whether there is a variable in a mapping or list, at any depth."""
    if value.__class__ in _SCALARS:  # whether something is a mapping takes longer to find out
        return False
    if isinstance(value, Variable):
        return True
    if is_mapping(value):
        return any(map(_has_variable, value.values()))
    return is_sequence(value) and any(map(_has_variable, value))
