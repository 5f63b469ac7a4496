"""The annotations of a type's fields."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Annotated, Any, TypeVar, get_args, get_origin

__all__ = [
    "bare_type",
    "describe",
    "field_types",
    "is_class",
    "is_qualifier",
    "is_required",
    "is_typed_dict",
]


def is_class(hint: Any) -> bool:
    """Return whether a type is a class. Unlike ``isinstance``, this narrows no type."""
    return isinstance(hint, type)


def describe(hint: Any) -> str:
    """Return the name of a type for messages."""
    arguments = get_args(hint)
    if get_origin(hint) in {typing.Union, types.UnionType}:
        return " | ".join(describe(argument) for argument in arguments)
    if hint is None or hint is type(None):
        return "None"
    if not isinstance(get_origin(hint) or hint, type):
        return str(hint).replace("typing.", "")
    name = (get_origin(hint) or hint).__qualname__.rpartition("<locals>.")[2]
    if not arguments:
        return str(name)
    return f"{name}[{', '.join('...' if arg is ... else describe(arg) for arg in arguments)}]"


def _substitute(hint: Any, arguments: dict[Any, Any]) -> Any:
    """Return ``hint`` with its type variables replaced."""
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    parameters: tuple[Any, ...] = getattr(hint, "__parameters__", ())
    # A generic class without arguments has parameters too, but nothing to replace them in.
    if not parameters or (is_class(hint) and not get_args(hint)):
        return hint
    return hint[tuple(arguments.get(parameter, parameter) for parameter in parameters)]


def _collect_arguments(hint: Any, found: dict[type, dict[Any, Any]]) -> None:
    """Add to ``found`` the type arguments of ``hint``'s class and of its generic bases."""
    cls: Any = get_origin(hint) or hint
    parameters: tuple[Any, ...] = getattr(cls, "__parameters__", ())
    given = dict(zip(parameters, get_args(hint), strict=False))
    found[cls] = given
    # From the class's own namespace, since the attribute is inherited.
    inherited: tuple[Any, ...] = getattr(cls, "__bases__", ())
    bases: tuple[Any, ...] = getattr(cls, "__dict__", {}).get("__orig_bases__", inherited)
    for base in bases:
        origin: Any = get_origin(base) or base
        if origin not in {typing.Generic, typing.Protocol, object}:
            _collect_arguments(_substitute(base, given), found)


def field_types(hint: Any) -> dict[str, Any]:
    """Return the annotations of a class, or of a generic class with arguments, by field.

    ``Annotated`` and a TypedDict's qualifiers are kept.

    Raises:
        NameError: An annotation has a name that isn't in the class's module. Evaluating an
            annotation may raise any other exception.
    """
    cls = get_origin(hint) or hint
    hints = typing.get_type_hints(cls, include_extras=True)
    found: dict[type, dict[Any, Any]] = {}
    _collect_arguments(hint, found)
    if not any(found.values()):
        return hints
    if is_typed_dict(cls):  # whose annotations include those of its bases
        merged = {name: value for given in found.values() for name, value in given.items()}
        return {name: _substitute(value, merged) for name, value in hints.items()}
    own: dict[str, Any] = {}
    for owner in reversed(cls.__mro__):
        for name in inspect.get_annotations(owner):
            if name in hints:
                own[name] = _substitute(hints[name], found.get(owner, {}))
    return own


def is_qualifier(origin: Any, *names: str) -> bool:
    """Return whether the origin of a type qualifies the field, not its values."""
    # By name, since typing_extensions defines qualifiers of its own.
    name = str(origin).rpartition(".")[2] if origin is not None else ""
    return name in (names or ("Final", "NotRequired", "ReadOnly", "Required"))


def is_typed_dict(cls: Any) -> bool:
    """Return whether ``cls`` is a TypedDict of ``typing`` or ``typing_extensions``."""
    return is_class(cls) and hasattr(cls, "__required_keys__") and issubclass(cls, dict)


def is_required(hint: Any, otherwise: bool) -> bool:
    """Return whether a TypedDict's field is required; by default ``otherwise``."""
    while True:
        origin = get_origin(hint)
        if is_qualifier(origin, "Required", "NotRequired"):
            return is_qualifier(origin, "Required")
        if origin is not Annotated and not is_qualifier(origin):
            return otherwise
        hint = get_args(hint)[0]


def bare_type(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without aliases, qualifiers and type variables, and its metadata."""
    metadata: tuple[Any, ...] = ()
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            metadata = (*metadata, *more)
        elif is_qualifier(get_origin(hint)):
            (hint,) = get_args(hint)
        elif isinstance(hint, TypeVar):
            if hint.__constraints__:
                hint = typing.Union[hint.__constraints__]  # noqa: UP007 - made of a tuple
            else:
                hint = Any if hint.__bound__ is None else hint.__bound__
        elif hasattr(hint, "__supertype__"):  # NewType
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # ``type X = …``
            hint = hint.__value__
        else:
            return (type(None) if hint is None else hint), metadata
