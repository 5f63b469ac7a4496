"""Input values in Python: the members of objects, and the items of lists.

Objects are mappings, dataclasses, msgspec Structs, and instances of attrs classes and pydantic
models. The latter two are recognized by their attributes, without importing attrs or pydantic.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from dataclasses import fields, is_dataclass
from typing import Any, TypeGuard, cast

import msgspec
from graphql.pyutils import Undefined

__all__ = ["is_list", "members_of"]


def is_list(value: Any) -> TypeGuard[Iterable[Any]]:
    """Return whether ``value`` is a list, and not a scalar's value that can be iterated."""
    if isinstance(value, str | bytes | bytearray | memoryview):
        return False
    if isinstance(value, Iterator):
        return not isinstance(value, io.IOBase)
    return isinstance(value, Sequence | Set | ValuesView)


def members_of(value: Any, known: Collection[str]) -> Mapping[Any, Any] | None:
    """Return the members that are set, by name; ``None`` if ``value`` is no object.

    A member's name is its name in JSON (a Struct's ``rename``, pydantic's ``alias``) if that is
    among ``known``, and the attribute's name otherwise. These members are left out:

    - members that are ``msgspec.UNSET`` or graphql-core's ``Undefined``;
    - a Struct's defaults, if it omits them (``omit_defaults``);
    - a pydantic model's ``None`` that was not set explicitly, since a null could delete a value on
      the server.
    """
    if isinstance(value, Mapping):
        members: Iterable[tuple[Any, Any]] = cast("Mapping[Any, Any]", value).items()
    elif isinstance(value, type):
        return None
    elif isinstance(value, msgspec.Struct):
        members = _struct_members(value, known)
    elif is_dataclass(value):
        members = ((field.name, getattr(value, field.name)) for field in fields(value))
    elif hasattr(cast("Any", type(value)), "__attrs_attrs__"):
        attributes = cast("Any", type(value)).__attrs_attrs__
        members = ((each.name, getattr(value, each.name)) for each in attributes)
    elif hasattr(cast("Any", type(value)), "__pydantic_fields__"):
        members = _pydantic_members(value, known)
    else:
        return None
    return {
        name: member
        for name, member in members
        if member is not msgspec.UNSET and member is not Undefined
    }


def _struct_members(value: msgspec.Struct, known: Collection[str]) -> Iterator[tuple[str, Any]]:
    config = value.__struct_config__
    if config.tag_field in known:
        yield cast("str", config.tag_field), config.tag
    for field in msgspec.structs.fields(value):
        member = getattr(value, field.name)
        if config.omit_defaults and _is_default(field, member):
            continue
        yield (field.encode_name if field.encode_name in known else field.name), member


def _is_default(field: msgspec.structs.FieldInfo, member: Any) -> bool:
    """Return whether msgspec omits the member, as equal to a default or an empty container."""
    if field.default is not msgspec.NODEFAULT:
        return type(member) is type(field.default) and bool(member == field.default)
    factory = field.default_factory
    return factory in (list, dict, set) and type(member) is factory and not member


def _pydantic_members(value: Any, known: Collection[str]) -> Iterator[tuple[str, Any]]:
    given: Collection[str] = value.model_fields_set
    for name, field in cast("Any", type(value)).__pydantic_fields__.items():
        member = getattr(value, name)
        if member is None and name not in given:
            continue
        alias = field.serialization_alias or field.alias
        yield (alias if alias in known else name), member
    yield from (value.__pydantic_extra__ or {}).items()
