"""What is selected for a Python type: what ``result_type`` reads of an answer, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_args, get_origin

from ..results.types.hints import bare_type, describe, field_types
from ..results.types.models import ModelShape
from ..results.types.names import TYPENAME
from ..results.types.objects import FieldsShape, UnionShape
from ..results.types.renaming import Field as FieldOfShape
from ..results.types.shapes import ListShape, MappingShape, Shape, TupleShape
from ..results.types.shaping import shape_of
from .fields import Field
from .names import checked_name
from .nodes import FieldSelection, Fragment, InlineFragment, Selection

__all__ = ["Options", "select_type", "type_condition"]


class Options(NamedTuple):
    """How types are selected. See ``select``."""

    camel_case: bool = False
    depth: int | None = None
    #: Those of Python types, each of which is spread where its type is selected.
    fragments: tuple[Fragment[Any], ...] = ()

    def within(self, name: str) -> Options:
        """Return the options for the definition of a fragment, which can't spread itself."""
        others = tuple(each for each in self.fragments if each.name != name)
        return self if len(others) == len(self.fragments) else self._replace(fragments=others)


class _TooDeep(Exception):
    """A type is within itself more often than ``depth`` allows."""


_PLAIN = Field()


def select_type(type_: Any, options: Options) -> tuple[Selection, ...]:
    """Return what is selected for a type: nothing, for a scalar.

    Raises:
        TypeError: Nothing can be selected for the type. The message names the field.
    """
    shape = shape_of(type_, renames=options.camel_case)
    return _Selector(options).select(shape, describe(type_))


def type_condition(fragment: Fragment[Any], camel_case: bool) -> str:
    """Return the GraphQL type that a fragment is for."""
    if fragment.type_condition is not None:
        return fragment.type_condition
    shape = _record(shape_of(fragment.type, renames=camel_case))
    tags = sorted(map(str, shape.tags)) if isinstance(shape, FieldsShape) else []
    if len(tags) == 1:
        return checked_name(tags[0], "a type")
    raise TypeError(
        f"fragment {fragment.name!r}: {describe(fragment.type)} doesn't say which GraphQL type it "
        'is for: write fragment(…).on("Type")'
    )


def _record(shape: Shape) -> Shape:
    """Return the shape of the fields of a model that has the whole data in its only field."""
    while isinstance(shape, ModelShape) and shape.root:
        shape = shape.fields[0].shape
    return shape


class _Selector:
    def __init__(self, options: Options) -> None:
        self._depth = options.depth
        self._fragments = options.fragments
        self._within: list[Any] = []  # the types with fields around the one at hand

    def select(self, shape: Shape, where: str) -> tuple[Selection, ...]:
        """Return what is selected for a shape. ``where`` is for messages."""
        shape = _record(shape)
        if isinstance(shape, FieldsShape):
            return self._spread(shape) or self._fields(shape)
        if isinstance(shape, UnionShape):
            return self._union(shape, where)
        if isinstance(shape, ListShape):
            return self.select(shape.item, where)
        if isinstance(shape, TupleShape):
            return self._one_of(shape.items, where)
        if isinstance(shape, MappingShape) and self.select(shape.item, where):
            raise TypeError(
                f"{where}: which keys {describe(shape.type)} has can't be known, so they can't be "
                "selected: use a type with fields"
            )
        return ()

    def _spread(self, shape: FieldsShape) -> tuple[Selection, ...]:
        """Return the spread of the fragment for a type, if there is one."""
        for fragment in self._fragments:
            if fragment.type == shape.type:
                return (fragment.spread(),)
        return ()

    def _one_of(self, shapes: Iterable[Shape | None], where: str) -> tuple[Selection, ...]:
        """Return what is selected for all of the shapes, which must be the same for each."""
        found = [self.select(shape, where) for shape in shapes if shape is not None]
        found = [selections for selections in found if selections]
        if any(selections != found[0] for selections in found):
            raise TypeError(f"{where}: one field can't have the fields of several types")
        return found[0] if found else ()

    def _union(self, shape: UnionShape, where: str) -> tuple[Selection, ...]:
        """Return the type's name, and an inline fragment for each member with fields."""
        if not shape.objects or (len(shape.objects) == 1 and shape.mapping is None):
            return self._one_of((*shape.objects, shape.mapping, shape.sequence), where)
        found: dict[str, Selection] = {}
        for member in shape.objects:
            key = checked_name(member.tag_field, f"{where}: a field")
            found[key] = _PLAIN.selection(key, ())
            if key != TYPENAME:
                found[key] = FieldSelection(name=TYPENAME, response_name=key)
        for member in shape.objects:
            fields = self._spread(member) or self._fields(member)
            others = tuple(each for each in fields if not _is_typename(each, found))
            for tag in sorted(map(str, member.tags)) if others else ():
                name = checked_name(tag, f"{where}: a type")
                found[f"... {name}"] = InlineFragment(type_condition=name, selections=others)
        return tuple(found.values())

    def _fields(self, shape: FieldsShape) -> tuple[Selection, ...]:
        """Return the selections of a type's fields."""
        # By the type: a model's shape differs at the top and within another model.
        if self._within.count(shape.type) > (self._depth or 0):
            raise _TooDeep(describe(shape.type))
        self._within.append(shape.type)
        try:
            return tuple(self._select_fields(shape))
        finally:
            self._within.pop()

    def _select_fields(self, shape: FieldsShape) -> Iterator[Selection]:
        found = False
        given = _given(shape)
        for field in shape.fields:
            how = given.get(field.name, _PLAIN)
            where = shape.where(field)
            if how.may_be_absent and field.required:
                raise TypeError(
                    f"{where} may be absent from an answer, by its Field(…): it needs a default"
                )
            if how.omit:
                continue
            try:
                selections = self.select(field.shape, where)
            except _TooDeep as deep:
                self._check_end(field, where, str(deep))
                continue
            found = True
            yield how.selection(checked_name(field.keys[0], f"{where}: a field"), selections)
        if not found:
            yield FieldSelection(name=TYPENAME)  # since something has to be selected

    def _check_end(self, field: FieldOfShape, where: str, type_: str) -> None:
        """Raise ``TypeError`` unless a field may be left out, to end a recursion."""
        if self._depth is None:
            raise TypeError(
                f"{where}: {type_} is within itself, and a document has an end: say with "
                "select(…, depth=1) how many times it is selected within itself"
            ) from None
        if field.required:
            raise TypeError(
                f"{where} is left out of the innermost {type_}, where depth={self._depth} ends: "
                "it needs a default, such as None or an empty list"
            ) from None


def _is_typename(selection: Selection, selected: dict[str, Selection]) -> bool:
    """Return whether a selection is the type's name, which is selected already."""
    return (
        isinstance(selection, FieldSelection)
        and selection.name == TYPENAME
        and not selection.attached
        and selection.key in selected
    )


def _given(shape: FieldsShape) -> dict[str, Field]:
    """Return the ``Field`` in each annotation that has one, by the field's name."""
    if isinstance(shape, ModelShape):
        infos: dict[str, Any] = getattr(shape.cls, "__pydantic_fields__", {})
        metadata = {
            name: (*info.metadata, *_metadata(info.annotation)) for name, info in infos.items()
        }
    else:
        metadata = {name: tuple(_metadata(hint)) for name, hint in field_types(shape.type).items()}
    found = {name: _only(each, f"{shape.cls.__name__}.{name}") for name, each in metadata.items()}
    return {name: one for name, one in found.items() if one is not None}


def _metadata(hint: Any) -> Iterable[Any]:
    """Yield what an annotation says beside its type, within ``… | None`` too."""
    bare, metadata = bare_type(hint)
    yield from metadata
    if type(None) in get_args(bare) and get_origin(bare) is not None:
        for member in get_args(bare):
            yield from bare_type(member)[1]


def _only(metadata: tuple[Any, ...], where: str) -> Field | None:
    found = [each for each in metadata if isinstance(each, Field)]
    if found[1:]:
        raise TypeError(f"{where} has more than one Field(…)")
    if any(each is Field for each in metadata):
        raise TypeError(f"{where}: write Field(…) instead of Field")
    return found[0] if found else None
