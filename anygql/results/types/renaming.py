"""Renaming fields with msgspec.

msgspec first reads data into a Struct that has the fields' Python names as attributes and their
names in data as encoded names. Then msgspec converts that Struct, by its attributes, to the user's
type. So no dictionary is renamed in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from .shapes import Shape

__all__ = ["Field", "is_renameable", "renaming_struct"]

#: The class attribute to which the annotations of a Struct's fields refer.
_TYPES = "__field_types__"


class Field(NamedTuple):
    """A field of a type.

    ``keys`` are its names in data, the preferred one first. ``argument`` is its name in the
    constructor.
    """

    name: str
    keys: tuple[str, ...]
    argument: str
    required: bool
    shape: Shape
    declared: bool  #: whether the class itself declares the name in data


def _second_names(fields: Sequence[Field]) -> dict[str, str]:
    """Return the second names of fields in data, by the attribute that holds the value."""
    return {f"{field.name}__second": field.keys[1] for field in fields if field.keys[1:]}


def is_renameable(fields: Sequence[Field], tag: dict[str, Any]) -> bool:
    """Return whether a Struct can have these names, each of which must be unique."""
    seconds = _second_names(fields)
    attributes = [*(field.name for field in fields), *seconds, *tag]
    keys = [*(field.keys[0] for field in fields), *seconds.values(), *tag]
    return (
        len({*attributes}) == len(attributes)
        and len({*keys}) == len(keys)
        and not any(field.name.startswith("__") for field in fields)
    )


def renaming_struct(
    name: str,
    fields: Sequence[Field],
    types: dict[str, Any],
    *,
    tag: dict[str, Any],
    forbid_unknown_fields: bool,
) -> type:
    """Return a Struct that is read by the names in data and has Python's names as attributes.

    Args:
        name: The name of the class.
        fields: The fields of the user's type.
        types: The type of each field, by its name. It may be filled after this call, but before
            data is first read into the Struct: types may contain themselves.
        tag: The tag, by the name of the field that holds it; empty for a class without a tag.
        forbid_unknown_fields: Whether other names in data are refused.
    """
    seconds = _second_names(fields)
    annotated = {field.name: f"{_TYPES}[{field.name!r}]" for field in fields}
    annotated |= {f"{f.name}__second": annotated[f.name] for f in fields if f.keys[1:]}
    tag_field, tag_value = next(iter(tag.items()), (None, None))
    return msgspec.defstruct(
        name,
        [(attribute, type_, msgspec.UNSET) for attribute, type_ in annotated.items()],
        rename={field.name: field.keys[0] for field in fields} | seconds,
        # msgspec chooses among the types of a union by the tag, which it reads as an attribute.
        namespace={_TYPES: types, "__post_init__": _settle(fields), **tag},
        tag_field=tag_field,
        tag=tag_value,
        forbid_unknown_fields=forbid_unknown_fields,
        eq=False,
        gc=False,
    )


def _settle(fields: Sequence[Field]) -> Callable[[Any], None]:
    """Return a ``__post_init__`` that uses second names and deletes absent fields."""
    attributes = [(f.name, f"{f.name}__second" if f.keys[1:] else None) for f in fields]
    absent = msgspec.UNSET

    def settle(self: Any) -> None:
        for name, second in attributes:
            if getattr(self, name) is absent:
                found = absent if second is None else getattr(self, second)
                if found is absent:
                    delattr(self, name)  # the user's type then has its default, or is refused
                else:
                    setattr(self, name, found)

    return settle
