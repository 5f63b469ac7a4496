"""Decoding JSON text straight to a type, without plain data in between.

This is done only where msgspec makes the same of the text as of the plain data in it. Where msgspec
refuses the text, the plain data are converted, which finds the field that doesn't fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import inspect

from .shapes import AnythingShape, Shape

__all__ = ["decoder_of"]

#: Types of which msgspec makes something else, or nothing, from plain data: a ``Decimal`` of a
#: number's digits, where plain data have a ``float``.
_DIFFERENT = (inspect.DecimalType, inspect.RawType)


def decoder_of(shape: Shape, path: tuple[str, ...]) -> Callable[[Any], Any] | None:
    """Return a function from JSON text to the data at ``path``, as the shape's type.

    The function raises anything where the text doesn't fit. Return ``None`` if plain data have to
    be converted.
    """
    type_ = shape.type
    is_anything = isinstance(shape, AnythingShape)
    if not path if is_anything else not shape.native or _makes_a_difference(type_):
        return None
    renames = shape.renames
    decode = msgspec.json.Decoder(_around(shape.data_type if renames else type_, path)).decode
    if not path and not renames:
        return decode
    depth = range(len(path))
    convert = msgspec.convert

    def decode_within(text: Any) -> Any:
        value = decode(text)
        for _ in depth:
            value = value.value
        if renames:
            return convert(value, type_, str_keys=True, from_attributes=True)
        return value

    return decode_within


def _around(type_: Any, path: tuple[str, ...]) -> Any:
    """Return the type of an object in which ``type_`` is at the path."""
    for key in reversed(path):
        type_ = msgspec.defstruct("Object", [("value", type_)], rename={"value": key}, gc=False)
    return type_


def _makes_a_difference(type_: Any) -> bool:
    """Return whether a type is, or contains, one of ``_DIFFERENT``."""
    try:
        found: list[Any] = [inspect.type_info(type_)]
    except Exception:  # noqa: BLE001 - evaluating annotations may raise anything
        return True
    seen: set[int] = set()
    while found:
        info = found.pop()
        if isinstance(info, _DIFFERENT):
            return True
        if isinstance(info, tuple):
            found.extend(cast("tuple[Any, ...]", info))
        elif isinstance(info, inspect.Type | inspect.Field) and id(info) not in seen:
            seen.add(id(info))
            found.extend(getattr(info, name) for name in info.__struct_fields__)
    return False
