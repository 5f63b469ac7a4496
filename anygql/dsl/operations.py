"""Operations: queries, mutations and subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

import msgspec

from ..documents.request import OperationKind
from .arguments import Directive, checked_directive
from .names import checked_name
from .nodes import (
    FieldSelection,
    Fragment,
    Selection,
    TypeSelection,
    field,
    fragment_of,
    is_field,
    selections_of,
)

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = ["Operation", "mutation", "query", "subscription"]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Operation(msgspec.Struct, Generic[_T_co], frozen=True):
    """An operation (specification §2.3). ``query``, ``mutation`` and ``subscription`` make it."""

    kind: OperationKind
    selections: tuple[Selection, ...]
    name: str | None = None
    attached: tuple[Directive, ...] = ()

    def named(self, name: str) -> Operation[_T_co]:
        """Return the operation with a name, which servers log, and documents of several need."""
        return msgspec.structs.replace(self, name=checked_name(name, "an operation"))

    def directives(self, *directives: Directive) -> Operation[_T_co]:
        """Return the operation with further directives."""
        attached = (*self.attached, *map(checked_directive, directives))
        return msgspec.structs.replace(self, attached=attached)

    @property
    def result(self) -> tuple[Any, str | None]:
        """The type of the data, if one is known, and the response key at which they are."""
        if len(self.selections) != 1:
            return None, None
        (only,) = self.selections
        if is_field(only):
            type_ = _type_of(only.selections)
            return type_, None if type_ is None else only.key
        return _type_of(self.selections), None

    def __repr__(self) -> str:
        return f"<Operation {self.kind} {self.name or 'without a name'}>"


def _type_of(selections: tuple[Selection, ...]) -> Any:
    """Return the one type among selections, or ``None``."""
    types: list[Any] = []
    for each in selections:
        typed = each if isinstance(each, TypeSelection) else fragment_of(each)
        if typed is not None and typed.type is not None:
            types.append(typed.type)
    return types[0] if len(types) == 1 else None


class _Maker:
    """Makes operations of one kind.

    ``query("hero", Hero, id=var("ID!"))`` has one field, and its result is that field's data, as a
    ``Hero``: this is short for ``query(field("hero", Hero, id=var("ID!")))``. ``query(Page)`` has
    the fields of a type, and its result is the whole data. ``query("a", field("b", …))`` has
    several fields, and its result is plain data. Parts and arguments are those of ``field``.

    Raises:
        ValueError: A name isn't one, or nothing is selected.
        TypeError: A part can't be selected.
    """

    def __init__(self, kind: OperationKind) -> None:
        self._kind: OperationKind = kind

    def __repr__(self) -> str:
        return f"<anygql.dsl.{self._kind}>"

    @overload
    def __call__(self, part: FieldSelection[_T] | Fragment[_T], /) -> Operation[_T]: ...

    @overload
    def __call__(self, name: str, part: Fragment[_T], /, **more: Any) -> Operation[_T]: ...

    @overload
    def __call__(
        self, /, *parts: Mapping[str, Any] | str | Selection | None, **more: Any
    ) -> Operation[Any]: ...

    @overload
    def __call__(self, result_type: type[_T], /) -> Operation[_T]: ...

    @overload
    def __call__(self, result_type: TypeForm[_T], /) -> Operation[_T]: ...

    @overload
    def __call__(self, name: str, result_type: type[_T], /, **more: Any) -> Operation[_T]: ...

    @overload
    def __call__(self, name: str, result_type: TypeForm[_T], /, **more: Any) -> Operation[_T]: ...

    @overload
    def __call__(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        result_type: type[_T],
        /,
        **more: Any,
    ) -> Operation[_T]: ...

    @overload
    def __call__(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        result_type: TypeForm[_T],
        /,
        **more: Any,
    ) -> Operation[_T]: ...

    def __call__(self, /, *parts: Any, **more: Any) -> Operation[Any]:
        """Make an operation."""
        if not parts:
            raise ValueError(f"{self._kind}() selects nothing")
        if _is_one_field(parts, more):
            return Operation(self._kind, (field(*parts, **more),))
        if more:
            raise TypeError(
                f"arguments belong to a field: {self._kind}('name', {next(iter(more))}=…)"
            )
        return Operation(self._kind, selections_of(parts))


def _is_one_field(parts: tuple[Any, ...], more: Mapping[str, Any]) -> bool:
    """Return whether parts are the name of a field, and what ``field`` takes beside it."""
    first, *others = parts
    if not isinstance(first, str):
        return False
    if more or (others and (others[0] is None or isinstance(others[0], Mapping))):
        return True
    return len(others) == 1 and not isinstance(others[0], str) and _has_type(others[0])


def _has_type(part: Any) -> bool:
    return not isinstance(part, Selection) or _type_of((part,)) is not None


#: Make a query: of a field and its type, of a type, or of fields. See ``Operation``.
query: Final = _Maker("query")
#: Make a mutation; otherwise as ``query``.
mutation: Final = _Maker("mutation")
#: Make a subscription; otherwise as ``query``.
subscription: Final = _Maker("subscription")
