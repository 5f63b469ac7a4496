"""Fields renamed by msgspec: it reads a Struct with the names in data and Python's attributes.

msgspec makes the user's own type of such a Struct's attributes, so no data are renamed in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from .shapes import Shape

__all__ = ["Field", "is_renameable", "renaming_struct"]

#: The attribute by which the annotations of a Struct's fields find their types.
_TYPES = "__field_types__"


class Field(NamedTuple):
    """A field of a type.

    ``keys`` are what it is called in data, in the order in which they are looked for; ``argument``
    is what the constructor calls it.
    """

    name: str
    keys: tuple[str, ...]
    argument: str
    required: bool
    shape: Shape
    declared: bool  #: the class itself says what it is called in data


def _second_names(fields: Sequence[Field]) -> dict[str, str]:
    """Return the second names that fields have in data, by the attribute for each."""
    return {f"{field.name}__second": field.keys[1] for field in fields if field.keys[1:]}


def is_renameable(fields: Sequence[Field], tag: dict[str, Any]) -> bool:
    """Whether a Struct can have these names, each once."""
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
    """Return a Struct that is read by the names in data and has Python's as attributes.

    ``types`` are those of the fields, by name. It may be filled until the Struct is first read.
    ``tag`` is the name of the field that holds the tag, and the tag, if there is one.
    """
    seconds = _second_names(fields)
    annotated = {field.name: f"{_TYPES}[{field.name!r}]" for field in fields}
    annotated |= {f"{f.name}__second": annotated[f.name] for f in fields if f.keys[1:]}
    tag_field, tag_value = next(iter(tag.items()), (None, None))
    return msgspec.defstruct(
        name,
        [(attribute, type_, msgspec.UNSET) for attribute, type_ in annotated.items()],
        rename={field.name: field.keys[0] for field in fields} | seconds,
        # The tag is an attribute too: by it msgspec chooses among the types of a union.
        namespace={_TYPES: types, "__post_init__": _settle(fields), **tag},
        tag_field=tag_field,
        tag=tag_value,
        forbid_unknown_fields=forbid_unknown_fields,
        eq=False,
        gc=False,
    )


def _settle(fields: Sequence[Field]) -> Callable[[Any], None]:
    """Return what ends the reading of a Struct: second names count, absent fields are absent."""
    attributes = [(f.name, f"{f.name}__second" if f.keys[1:] else None) for f in fields]
    absent = msgspec.UNSET

    def settle(self: Any) -> None:
        for name, second in attributes:
            if getattr(self, name) is absent:
                found = absent if second is None else getattr(self, second)
                if found is absent:
                    delattr(self, name)  # so that the user's type gives its default, or refuses
                else:
                    setattr(self, name, found)

    return settle
