"""Selections: fields and fragments. All are immutable; methods return changed copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeGuard, TypeVar, cast, overload

import msgspec

from ..json import is_mapping
from .arguments import (
    Argument,
    Directive,
    Variable,
    arguments_of,
    checked_directive,
    condition,
)
from .names import checked_name

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeForm

__all__ = [
    "FieldSelection",
    "Fragment",
    "FragmentSpread",
    "InlineFragment",
    "Selection",
    "TypeSelection",
    "field",
    "fragment",
    "fragment_of",
    "is_field",
    "on",
    "selections_of",
]

#: How many selections may be within each other. Beyond thousands, comparing them would crash.
MAX_DEPTH = 100

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be selected (specification §2.5)."""

    attached: tuple[Directive, ...] = ()
    levels: int = 0  #: how many selections are within each other in this one

    def directives(self, *directives: Directive) -> Self:
        """Return the selection with further directives."""
        attached = (*self.attached, *map(checked_directive, directives))
        return msgspec.structs.replace(self, attached=attached)

    def include(self, condition_: bool | Variable) -> Self:
        """Return the selection with ``@include(if: …)``.

        Args:
            condition_: A variable, or a value for one. One without a name is called
                ``$includeFriends``, for the field ``friends``.
        """
        return self.directives(condition("include", self._subject, condition_))

    def skip(self, condition_: bool | Variable) -> Self:
        """Return the selection with ``@skip(if: …)``; otherwise as ``include``."""
        return self.directives(condition("skip", self._subject, condition_))

    @property
    def _subject(self) -> str:
        """What the selection is called, for the names of its conditions and for messages."""
        return ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._subject}>"


class FieldSelection(Selection, Generic[_T_co], frozen=True, kw_only=True):
    """A field (specification §2.6). ``field`` makes it."""

    name: str
    response_name: str | None = None
    arguments: tuple[Argument, ...] = ()
    selections: tuple[Selection, ...] = ()

    def alias(self, name: str) -> FieldSelection[_T_co]:
        """Return the field with another name in the response (specification §2.7)."""
        return msgspec.structs.replace(self, response_name=checked_name(name, "an alias"))

    @property
    def key(self) -> str:
        """The field's name in the response."""
        return self.response_name or self.name

    @property
    def _subject(self) -> str:
        return self.key


class InlineFragment(Selection, frozen=True, kw_only=True):
    """An inline fragment (specification §2.8.2). ``on`` makes it."""

    type_condition: str | None
    selections: tuple[Selection, ...]

    @property
    def _subject(self) -> str:
        return self.type_condition or "fragment"


class Fragment(Selection, Generic[_T_co], frozen=True, kw_only=True):
    """A named fragment (specification §2.8). ``fragment`` makes it.

    Selecting it spreads it. Its own directives are those of its definition; ``spread()`` is for
    directives where it is spread.
    """

    name: str
    type_condition: str | None
    selections: tuple[Selection, ...]

    def on(self, type_condition: str) -> Fragment[_T_co]:
        """Return the fragment for another GraphQL type than the one its class is named after."""
        name = checked_name(type_condition, "a type")
        return msgspec.structs.replace(self, type_condition=name)

    def spread(self) -> FragmentSpread[_T_co]:
        """Return a spread of the fragment, which can have directives of its own."""
        return FragmentSpread(fragment=self, levels=self.levels)

    def include(self, condition_: bool | Variable) -> Any:
        """Refuse: ``@include`` is for the spread, as in ``fragment.spread().include(…)``."""
        raise TypeError("a definition can't have @include or @skip: write .spread().include(…)")

    skip = include

    @property
    def type(self) -> Any:
        """The Python type whose fields the fragment has, or ``None``."""
        first = self.selections[0]
        return first.type if isinstance(first, TypeSelection) else None

    @property
    def _subject(self) -> str:
        return self.name


class FragmentSpread(Selection, Generic[_T_co], frozen=True, kw_only=True):
    """A place where a named fragment is spread. ``Fragment.spread`` makes it."""

    fragment: Fragment[_T_co]

    @property
    def _subject(self) -> str:
        return self.fragment.name


class TypeSelection(Selection, frozen=True, kw_only=True):
    """The fields of a Python type."""

    type: Any
    #: The fragment that this is the definition of, so that it doesn't spread itself.
    defines: str | None = None


@overload
def field(name: str, part: Fragment[_T], /, **more: Any) -> FieldSelection[_T]: ...


@overload
def field(
    name: str, /, *parts: Mapping[str, Any] | str | Selection | None, **more: Any
) -> FieldSelection[Any]: ...


@overload
def field(name: str, result_type: type[_T], /, **more: Any) -> FieldSelection[_T]: ...


@overload
def field(name: str, result_type: TypeForm[_T], /, **more: Any) -> FieldSelection[_T]: ...


@overload
def field(
    name: str, arguments: Mapping[str, Any] | None, result_type: type[_T], /, **more: Any
) -> FieldSelection[_T]: ...


@overload
def field(
    name: str, arguments: Mapping[str, Any] | None, result_type: TypeForm[_T], /, **more: Any
) -> FieldSelection[_T]: ...


def field(name: str, /, *parts: Any, **more: Any) -> FieldSelection[Any]:
    """Make a field.

    Args:
        name: Its name in the schema.
        parts: Its arguments by name, if it has any; then what is selected in it: names of fields,
            other selections, or the Python type that its data become.
        more: Further arguments. With ``camel_case``, ``first_name`` is ``firstName`` here, while
            names in a mapping stay.

    Raises:
        ValueError: A name isn't one.
        TypeError: A part can't be selected.
    """
    arguments, parts = _split(parts)
    selections = selections_of(parts)
    return FieldSelection(
        name=checked_name(name, "a field"),
        arguments=arguments_of(arguments, more),
        selections=selections,
        levels=_levels(selections),
    )


def on(type_condition: str | None, /, *parts: Any) -> InlineFragment:
    """Make an inline fragment.

    Args:
        type_condition: The GraphQL type of which it selects fields; ``None`` for the type that
            is selected from anyway.
        parts: What is selected: names of fields, other selections, or a Python type.

    Raises:
        ValueError: A name isn't one, or nothing is selected.
        TypeError: A part can't be selected.
    """
    name = None if type_condition is None else checked_name(type_condition, "a type")
    if not parts:
        raise ValueError(f"on({type_condition!r}) selects nothing")
    selections = selections_of(parts)
    return InlineFragment(type_condition=name, selections=selections, levels=_levels(selections))


@overload
def fragment(name: str, type_condition: str, /, *parts: str | Selection) -> Fragment[Any]: ...


@overload
def fragment(name: str, type: type[_T], /) -> Fragment[_T]: ...


@overload
def fragment(name: str, type: TypeForm[_T], /) -> Fragment[_T]: ...


def fragment(name: str, type: Any, /, *parts: Any) -> Fragment[Any]:
    """Make a named fragment, which is printed once, however often it is spread.

    Args:
        name: Its name.
        type: The name of a GraphQL type; or a Python type, whose fields the fragment has. The
            GraphQL type is then the one that the class is named after, unless ``.on("Type")``
            names another.
        parts: What is selected, if ``type`` is a name: names of fields, or other selections.

    Raises:
        ValueError: A name isn't one, or nothing is selected.
        TypeError: A part can't be selected.
    """
    name = checked_name(name, "a fragment")
    if name == "on":
        raise ValueError("a fragment can't be named 'on' (specification §2.8)")
    if not isinstance(type, str):
        if parts:
            raise TypeError("a fragment has the fields of its Python type, and no others")
        selection = TypeSelection(type=type, defines=name)
        return Fragment(name=name, type_condition=None, selections=(selection,))
    if not parts:
        raise ValueError(f"the fragment {name!r} selects nothing")
    condition_ = checked_name(type, "a type")
    selections = selections_of(parts)
    levels = _levels(selections)
    return Fragment(name=name, type_condition=condition_, selections=selections, levels=levels)


def _split(parts: tuple[Any, ...]) -> tuple[Mapping[str, Any] | None, tuple[Any, ...]]:
    """Return the arguments and the other parts."""
    if parts and (parts[0] is None or is_mapping(parts[0])):
        return parts[0], parts[1:]
    return None, parts


def is_field(selection: Selection) -> TypeGuard[FieldSelection[Any]]:
    """Return whether a selection is a field. Unlike ``isinstance``, this narrows to known types."""
    return isinstance(selection, FieldSelection)


def fragment_of(selection: Selection) -> Fragment[Any] | None:
    """Return the named fragment that a selection spreads, or ``None``."""
    if isinstance(selection, FragmentSpread):
        return cast("FragmentSpread[Any]", selection).fragment
    return cast("Fragment[Any]", selection) if isinstance(selection, Fragment) else None


def _levels(selections: tuple[Selection, ...]) -> int:
    """Return how many selections are within each other, including the one around these."""
    levels = 1 + max((selection.levels for selection in selections), default=0)
    if levels > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} selections are within each other")
    return levels


#: What is written in the wrong place, and can't be selected.
_NO_SELECTIONS = (Mapping, list, set, Variable, Directive)


def selections_of(parts: tuple[Any, ...]) -> tuple[Selection, ...]:
    """Return the selections of names, selections and types."""
    return tuple(map(_selection, parts))


def _selection(part: Any) -> Selection:
    if isinstance(part, str):
        name = checked_name(part, "a field")
        leaf: FieldSelection[Any] = FieldSelection(name=name)
        return leaf
    if isinstance(part, Selection):
        return part
    if part is None or isinstance(part, _NO_SELECTIONS):
        raise TypeError(
            f"{type(cast('object', part)).__name__} can't be selected: write names of fields, "
            "selections or a type; arguments come first"
        )
    return TypeSelection(type=part)
