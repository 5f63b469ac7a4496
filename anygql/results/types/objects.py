"""The shapes of types with fields, and of unions."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .hints import describe
from .names import TYPENAME
from .renaming import Field, is_renameable, renaming_struct
from .shapes import Mismatch, Shape, is_object, is_sequence, wrong_kind

__all__ = ["FieldsShape", "ObjectShape", "UnionShape"]

_MISSING: Any = object()
_GRAPHQL_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,100}")


class FieldsShape(Shape):
    """A type with fields."""

    tag_field = TYPENAME

    def __init__(self, type: Any, cls: type) -> None:
        super().__init__(type)
        self.cls = cls
        self.fields: list[Field] = []
        self.tags: frozenset[Any] = frozenset([cls.__name__])

    def children(self) -> Iterable[Shape]:
        return [field.shape for field in self.fields]

    def is_instance(self, value: Any) -> bool:
        """Return whether a Python value, such as a custom scalar's, already has the type."""
        return isinstance(value, self.cls)

    def where(self, field: Field) -> str:
        """Return the name of a field for messages."""
        return f"{self.cls.__name__}.{field.name}"

    def _rename_fields(self, value: Any) -> Any:
        if not self.renames or not is_object(value):
            return value
        renamed: dict[str, Any] = dict(value)
        for field in self.fields:
            key = next((key for key in field.keys if key in renamed), None)
            if key is not None:
                found = renamed.pop(key)
                try:
                    renamed[key if field.declared else field.name] = field.shape.renamed(found)
                except Mismatch as mismatch:
                    raise mismatch.within(key, self.where(field)) from None
        return renamed


class ObjectShape(FieldsShape):
    """A dataclass, attrs class, Struct or TypedDict."""

    tagged = False  #: whether it is a Struct with a tag; other tags are refused
    forbids_unknown = False  #: whether other fields are refused
    makes_dict = False  #: whether it is a TypedDict
    made_for_model = False  #: whether pydantic takes instances of it, but can't make them
    _struct: type | None = None

    @property
    def can_rename(self) -> bool:  # type: ignore[override]
        # msgspec converts a Struct to types with attributes, but not to a TypedDict.
        return not self.makes_dict and is_renameable(self.fields, self._tag)

    @property
    def _tag(self) -> dict[str, Any]:
        """The tag by the name of its field; empty if there is none."""
        return {self.tag_field: next(iter(self.tags))} if self.tagged else {}

    @property
    def data_type(self) -> Any:
        if not self.renames:
            return self.type
        if self._struct is None:
            types: dict[str, Any] = {}
            self._struct = renaming_struct(
                self.cls.__name__,
                self.fields,
                types,
                tag=self._tag,
                forbid_unknown_fields=self.forbids_unknown,
            )
            # After `_struct` is set, since a type may contain itself.
            types.update((field.name, field.shape.data_type) for field in self.fields)
        return self._struct

    def finish(self) -> None:
        # Looked up once for the loop of `convert`.
        self._plan = [
            (
                field.keys[0],
                field.keys[1] if field.keys[1:] else None,
                field.argument,
                field.shape.exact,
                field.shape.read,
                field,
            )
            for field in self.fields
        ]

    def convert(self, value: Any) -> Any:
        if not is_object(value):
            if self.is_instance(value):
                return value
            raise wrong_kind(f"object for {self.cls.__name__}", value)
        data = value
        if self.tagged and data.get(self.tag_field, _MISSING) not in {*self.tags, _MISSING}:
            raise _other_tag(data[self.tag_field], self.cls.__name__).within(self.tag_field)
        if self.forbids_unknown:
            self._refuse_unknown(data)
        arguments: dict[str, Any] = {}
        for key, other, argument, exact, read, field in self._plan:
            found = data.get(key, _MISSING)
            if found is _MISSING:
                if other is not None and other in data:
                    key, found = other, data[other]
                elif field.required:
                    raise Mismatch("it is not in the answer").within(key, self.where(field))
                else:
                    continue
            if found.__class__ is exact:
                arguments[argument] = found
            else:
                try:
                    arguments[argument] = read(found)
                except Mismatch as mismatch:
                    raise mismatch.within(key, self.where(field)) from None
        if self.makes_dict:
            return arguments
        try:
            return self.cls(**arguments)
        except (ValueError, TypeError) as exc:
            raise Mismatch(
                f"no {self.cls.__name__} can be made of it ({exc.__class__.__name__})", exc
            ) from exc

    def is_instance(self, value: Any) -> bool:
        return not self.makes_dict and super().is_instance(value)

    def _refuse_unknown(self, data: dict[str, Any]) -> None:
        known = {key for field in self.fields for key in field.keys}
        if self.tagged:
            known.add(self.tag_field)
        for key in data:
            if key not in known:
                raise Mismatch(f"{self.cls.__name__} has no such field, and forbids it").within(key)

    def renamed(self, value: Any) -> Any:
        if self.made_for_model:
            return self.convert(value) if is_object(value) else value
        return self._rename_fields(value)


def _other_tag(tag: Any, expected: str) -> Mismatch:
    # A type's name is no secret data, but data that isn't a name may be.
    given = repr(tag) if isinstance(tag, str) and _GRAPHQL_NAME.fullmatch(tag) else "another value"
    return Mismatch(f"{given} is not a type of {expected}")


class UnionShape(Shape):
    """One of several types, chosen by the kind of data and, among objects, by ``__typename``."""

    def __init__(
        self,
        type: Any,
        *,
        nullable: bool,
        objects: Sequence[FieldsShape],
        mapping: Shape | None,
        sequence: Shape | None,
        scalars: Sequence[Shape],
    ) -> None:
        super().__init__(type)
        self.nullable = nullable
        self.objects = objects
        self.mapping = mapping
        self.sequence = sequence
        self.scalars = scalars
        if len(scalars) == 1:
            self.exact = scalars[0].exact
        # Several are tried one after the other, which msgspec doesn't do.
        self.native = len(scalars) < 2
        self.can_rename = not scalars and mapping is None and sequence is None

    def children(self) -> Iterator[Shape]:
        yield from self.objects
        yield from (shape for shape in (self.mapping, self.sequence) if shape is not None)
        yield from self.scalars

    def choose(self, value: Any) -> Shape | None:
        """Return the shape for this value, or ``None`` if several have to be tried."""
        if is_object(value):
            if len(self.objects) == 1 and self.mapping is None:
                return self.objects[0]
            for shape in self.objects:
                tag = value.get(shape.tag_field)
                if isinstance(tag, str | int) and tag in shape.tags:
                    return shape
            return self.mapping
        if is_sequence(value):
            return self.sequence
        return self.scalars[0] if len(self.scalars) == 1 else None

    def choose_read(self) -> None:
        if self.objects or self.mapping or self.sequence:
            super().choose_read()
        else:
            self.read = self.convert

    def convert(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self.objects and not is_object(value):
            for one in self.objects:
                if one.is_instance(value):
                    return value
        shape = self.choose(value)
        if shape is not None:
            return shape.read(value)
        if is_object(value) and self.objects:
            raise self._no_object(value)
        for scalar in self.scalars:
            try:
                return scalar.read(value)
            except Mismatch:
                continue
        raise wrong_kind(describe(self.type), value)

    def _no_object(self, value: dict[str, Any]) -> Mismatch:
        field = self.objects[0].tag_field
        if field in value:
            return _other_tag(value[field], describe(self.type)).within(field)
        return Mismatch(
            f"any of {describe(self.type)}: "
            f"the document must ask for {field}, which tells them apart"
        )

    @property
    def data_type(self) -> Any:
        if not self.renames:
            return self.type
        members = [shape.data_type for shape in self.objects]
        nothing = [None] if self.nullable else []
        return typing.Union[(*members, *nothing)]

    def renamed(self, value: Any) -> Any:
        shape = self.choose(value) if self.renames else None
        return value if shape is None else shape.renamed(value)
