"""Refusing types to which the data of no answer can be converted, before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

from .hints import describe, is_class
from .objects import FieldsShape, UnionShape
from .shapes import AnythingShape, LeafShape, MappingShape, Shape

__all__ = ["refuse_impossible"]


def refuse_impossible(shape: Shape, *, whole: bool, parsed: bool) -> None:
    """Raise ``TypeError`` for a type that no data of an answer can be converted to.

    Args:
        shape: The type's shape.
        whole: Whether the whole data are converted, which are always an object.
        parsed: Whether the data may hold Python values that a schema has made.
    """
    name = describe(shape.type)
    if isinstance(shape, LeafShape) and _is_plain_class(shape.type) and (whole or not parsed):
        raise TypeError(f"result_type: data can't be read as {name}, {_PLAIN}")
    if whole and not _reads_objects(shape):
        raise TypeError(
            f"result_type: the data of an answer are an object with the operation's fields, never "
            f"{name}: add path= with the key of the field that is to be {name}"
        )
    if not parsed:
        for where, plain in _plain_classes(shape, set()):
            raise TypeError(f"{where}: data can't be read as {describe(plain)}, {_PLAIN}")


_PLAIN = (
    "a plain class: make it a dataclass, attrs class, TypedDict, msgspec.Struct or pydantic model"
)


def _reads_objects(shape: Shape) -> bool:
    """Return whether an object may be converted to the type."""
    if isinstance(shape, AnythingShape | FieldsShape | MappingShape):
        return True
    if isinstance(shape, UnionShape):
        within = (shape.objects, shape.mapping, any(map(_reads_objects, shape.scalars)))
        return any(within)
    return isinstance(shape, LeafShape) and _leaf_reads_objects(shape.type)


def _leaf_reads_objects(type_: Any) -> bool:
    try:
        msgspec.convert({}, type_, str_keys=True)
    except msgspec.ValidationError as error:
        return str(error).startswith("Object missing ")
    return True


def _plain_classes(shape: Shape, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield the fields whose type is a class with annotations that nothing makes fields of.

    Other classes may be those of values that a transport makes without a schema, such as a local
    schema's scalars.
    """
    if id(shape) in seen or isinstance(shape, UnionShape):
        return
    seen.add(id(shape))
    if isinstance(shape, FieldsShape):
        for field in shape.fields:
            if isinstance(field.shape, LeafShape) and _forgets_decorator(field.shape.type):
                yield shape.where(field), field.shape.type
    for child in shape.children():
        if isinstance(child, LeafShape) and _forgets_decorator(child.type):
            yield "result_type", child.type
        yield from _plain_classes(child, seen)


def _is_plain_class(type_: Any) -> bool:
    """Return whether this is a class of which msgspec knows no more than its instances."""
    return is_class(type_) and isinstance(
        msgspec.inspect.type_info(type_), msgspec.inspect.CustomType
    )


def _forgets_decorator(type_: Any) -> bool:
    if not _is_plain_class(type_):
        return False
    return "__init__" not in vars(type_) and bool(inspect.get_annotations(type_))
