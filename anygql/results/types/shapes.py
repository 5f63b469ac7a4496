"""The shapes of types: each knows how data is converted to its type.

msgspec converts data to most types by itself, quickly, and renames fields through Structs that know
the names in data. A shape converts what msgspec can't: unions of dataclasses, renamed TypedDicts,
pydantic's models. Where msgspec refuses data, the shape converts it again, to find the field that
doesn't fit. A shape and msgspec must agree.
"""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeGuard

import msgspec

from ...json import is_mapping
from .hints import describe

__all__ = [
    "AnythingShape",
    "EnumShape",
    "LeafShape",
    "ListShape",
    "MappingShape",
    "Mismatch",
    "Shape",
    "TupleShape",
    "is_list",
    "is_object",
    "is_sequence",
    "wrong_kind",
]

_EXACT_TYPES = (str, int, float, bool)


class Mismatch(Exception):
    """Data that doesn't fit its shape. The path is collected on the way up, in reverse."""

    def __init__(self, what: str, cause: Exception | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.path: list[str | int] = []
        self.where = ""

    def within(self, part: str | int, where: str = "") -> Mismatch:
        """Add a part to the path, and the field's name if there is none yet; return ``self``."""
        self.path.append(part)
        self.where = self.where or where
        return self


_KINDS: dict[Any, str] = {type(None): "null", dict: "object", list: "list"}


def wrong_kind(expected: str, value: Any) -> Mismatch:
    """Return the mismatch of a value of another kind, without quoting the value."""
    kind: Any = value.__class__
    return Mismatch(f"expected {expected}, got {_KINDS.get(kind, kind.__name__)}")


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether data is an object. Unlike ``isinstance``, this narrows to known types."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Return whether data is a list."""
    return isinstance(value, list)


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Return whether data is a list, or a Python value that takes its place."""
    return isinstance(value, list | tuple)


def _is_collection(value: Any) -> TypeGuard[Iterable[Any]]:
    return isinstance(value, list | tuple | set | frozenset)


class Shape:
    """One type, and how data is converted to it. Call ``read``."""

    #: Whether msgspec does the same as ``convert`` for data that it doesn't refuse.
    native = True
    #: Whether a field of the type, or of a type within it, has another name in data.
    renames = False
    #: Whether msgspec can rename the fields, by reading ``data_type`` first.
    can_rename = True
    #: Values of exactly this type need no conversion.
    exact: type | None = None
    read: Callable[[Any], Any]

    def __init__(self, type: Any) -> None:
        self.type = type

    def children(self) -> Iterable[Shape]:
        """Return the shapes of the types within this one."""
        return ()

    def convert(self, value: Any) -> Any:
        """Convert data to the type without msgspec's help; raise ``Mismatch`` if it doesn't fit."""
        raise NotImplementedError

    @property
    def data_type(self) -> Any:
        """The type into which msgspec reads data, before it converts the result to the type.

        Where ``renames`` is true, it has Structs in the place of the types with fields.
        """
        return self.type

    def renamed(self, value: Any) -> Any:
        """Rename the fields in data to the names by which pydantic knows them."""
        return value

    def finish(self) -> None:
        """Prepare ``convert``. This is called when all shapes have their ``read``."""

    def _native(self, value: Any) -> Any:
        try:
            return msgspec.convert(value, self.type, str_keys=True)
        except msgspec.ValidationError:
            return self.convert(value)

    def _native_renaming(self, value: Any) -> Any:
        try:
            named = msgspec.convert(value, self._data_type, str_keys=True)
            return msgspec.convert(named, self.type, str_keys=True, from_attributes=True)
        except msgspec.ValidationError:
            return self.convert(value)

    def choose_read(self) -> None:
        """Set ``read``. This is called when ``native`` is known for all shapes."""
        if not self.native:
            self.read = self.convert
        elif self.renames:
            self._data_type = self.data_type
            self.read = self._native_renaming
        else:
            self.read = self._native


class AnythingShape(Shape):
    """``Any``: the data itself."""

    def convert(self, value: Any) -> Any:
        return value

    def choose_read(self) -> None:
        self.read = self.convert


_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at (?P<at>.*))?", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]|\.(\w+)")


def _from_msgspec(error: msgspec.ValidationError, type: Any) -> Mismatch:
    """Translate msgspec's error, which may quote the data, to one that doesn't."""
    match = _MESSAGE.fullmatch(str(error))
    what, at = (match["what"], match["at"] or "") if match else ("", "")
    if what.startswith(("Expected ", "Object ", "Array ")):
        what = what[0].lower() + what[1:].replace("`", "").replace("got array", "got list")
    elif what.startswith("Invalid ") and "value" not in what:
        what = f"expected {describe(type)}: {what[0].lower()}{what[1:]}"
    else:
        what = f"not a value of {describe(type)}"
    mismatch = Mismatch(what, error)
    for index, name in reversed(_STEP.findall(at)):
        mismatch.within(name or int(index))
    return mismatch


class LeafShape(Shape):
    """A type that msgspec reads by itself, such as a number, a date or a literal."""

    def __init__(self, type: Any) -> None:
        super().__init__(type)
        self.exact = type if type in _EXACT_TYPES else None

    @property
    def data_type(self) -> Any:
        return Any if self.exact else self.type  # the second conversion checks it

    def convert(self, value: Any) -> Any:
        try:
            return msgspec.convert(value, self.type, str_keys=True)
        except msgspec.ValidationError as exc:
            raise _from_msgspec(exc, self.type) from None

    def choose_read(self) -> None:
        self.read = self.convert


class EnumShape(Shape):
    """A member of an enum, by its value or else by its name, which GraphQL sends.

    Data that is neither is given to the enum, whose ``_missing_`` may know it.
    """

    def __init__(self, type: type[enum.Enum]) -> None:
        super().__init__(type)
        members = type.__members__
        self._members: dict[tuple[Any, Any], enum.Enum] = {
            (str, name): member for name, member in members.items()
        }
        self._members.update(
            ((member.value.__class__, member.value), member)
            for member in members.values()
            if isinstance(member.value, str | int)
        )
        self.native = all(name == member.value for name, member in members.items())

    def convert(self, value: Any) -> Any:
        if isinstance(value, self.type):
            return value
        if isinstance(value, str | int) and (value.__class__, value) in self._members:
            return self._members[value.__class__, value]
        try:
            return self.type(value)
        except (ValueError, TypeError) as exc:
            if isinstance(value, str | int):
                raise Mismatch(f"not a value of {describe(self.type)}", exc) from None
            raise wrong_kind(describe(self.type), value) from None

    def choose_read(self) -> None:
        self.read = self.convert


class ListShape(Shape):
    """A list, or another collection of any length."""

    def __init__(
        self, type: Any, item: Shape, make: Callable[[Any], Any], metadata: tuple[Any, ...]
    ) -> None:
        super().__init__(type)
        self.item = item
        self._make = None if make is list else make
        self._constraints: Any = Annotated[(list[Any], *metadata)] if metadata else None

    def children(self) -> Iterable[Shape]:
        return (self.item,)

    def convert(self, value: Any) -> Any:
        if not _is_collection(value):
            raise wrong_kind("list", value)
        if self._constraints is not None:
            _check_constraints(value, self._constraints)
        items: list[Any] = []
        try:
            items.extend(map(self.item.read, value))  # its length is the index of a mismatch
        except Mismatch as mismatch:
            raise mismatch.within(len(items)) from None
        return items if self._make is None else _construct(self._make, items, self.type)

    @property
    def data_type(self) -> Any:
        return types.GenericAlias(list, (self.item.data_type,)) if self.renames else self.type

    def renamed(self, value: Any) -> Any:
        if not self.renames or not is_list(value):
            return value
        return [_read_at(index, self.item.renamed, item) for index, item in enumerate(value)]


def _read_at(part: str | int, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except Mismatch as mismatch:
        raise mismatch.within(part) from None


def _check_constraints(value: Any, type: Any) -> None:
    """Let msgspec check constraints of a collection, such as its length."""
    try:
        msgspec.convert(value, type, str_keys=True)
    except msgspec.ValidationError as exc:
        raise _from_msgspec(exc, type) from None


def _construct(make: Callable[..., Any], value: Any, type: Any) -> Any:
    try:
        return make(value)
    except (ValueError, TypeError) as exc:
        raise Mismatch(
            f"no {describe(type)} can be made of it ({exc.__class__.__name__})", exc
        ) from exc


class TupleShape(Shape):
    """A tuple of a fixed length. Each item has its own type."""

    def __init__(self, type: Any, items: Sequence[Shape]) -> None:
        super().__init__(type)
        self.items = items

    def children(self) -> Iterable[Shape]:
        return self.items

    def convert(self, value: Any) -> Any:
        if not is_sequence(value):
            raise wrong_kind("list", value)
        if len(value) != len(self.items):
            raise Mismatch(f"expected {len(self.items)} items, got {len(value)}")
        return tuple(
            _read_at(index, shape.read, item)
            for index, (shape, item) in enumerate(zip(self.items, value, strict=True))
        )

    @property
    def data_type(self) -> Any:
        items = tuple(shape.data_type for shape in self.items)
        return types.GenericAlias(tuple, items) if self.renames else self.type

    def renamed(self, value: Any) -> Any:
        if not self.renames or not is_list(value) or len(value) != len(self.items):
            return value
        return [
            _read_at(index, shape.renamed, item)
            for index, (shape, item) in enumerate(zip(self.items, value, strict=True))
        ]


class MappingShape(Shape):
    """A dict, whose keys are data and are never renamed."""

    def __init__(self, type: Any, key: Shape, item: Shape, metadata: tuple[Any, ...]) -> None:
        super().__init__(type)
        self.key = key
        self.item = item
        self._constraints: Any = Annotated[(dict[str, Any], *metadata)] if metadata else None

    def children(self) -> Iterable[Shape]:
        return (self.key, self.item)

    def convert(self, value: Any) -> Any:
        if not is_mapping(value):
            raise wrong_kind("object", value)
        if self._constraints is not None:
            _check_constraints(value, self._constraints)
        return {
            _read_at(str(key), self._read_key, key): _read_at(str(key), self.item.read, item)
            for key, item in value.items()
        }

    def _read_key(self, key: str) -> Any:
        if not isinstance(self.key, LeafShape) or self.key.exact is str:
            return self.key.read(key)
        keys: Any = types.GenericAlias(dict, (self.key.type, None))
        try:  # a number as a key is a string in JSON
            return next(iter(msgspec.convert({key: None}, keys, str_keys=True)))
        except msgspec.ValidationError as exc:
            raise _from_msgspec(exc, self.key.type) from None

    @property
    def data_type(self) -> Any:
        items = (Any, self.item.data_type)
        return types.GenericAlias(dict, items) if self.renames else self.type

    def renamed(self, value: Any) -> Any:
        if not self.renames or not is_object(value):
            return value
        return {key: _read_at(str(key), self.item.renamed, item) for key, item in value.items()}
