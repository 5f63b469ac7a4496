"""Variables in GraphQL's spelling (``camel_case``): ``first_name`` of a class is ``firstName``.

The names of fields are those of Python; the keys of mappings are the user's, and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, cast

import msgspec

from ..documents.request import GraphQLRequest
from ..json import is_mapping, is_sequence
from ..results.types.names import camel_case

__all__ = ["in_camel_case"]

# The names of enum values (specification §2.1.9); "true", "false" and "null" are none.
_NAME = re.compile(r"(?!(?:true|false|null)\Z)[_A-Za-z][_0-9A-Za-z]*")

#: The types whose values are no names of an enum.
_BUILT_IN = frozenset({"Int", "Float", "String", "Boolean", "ID"})


def in_camel_case(request: GraphQLRequest) -> GraphQLRequest:
    """Return the request with the fields of dataclasses and the like in GraphQL's spelling.

    An ``Enum``'s member is sent as its value if that is a GraphQL name, and otherwise by its own
    name, as results are read. Variables that are declared as built-in scalars are left alone.

    Raises:
        TypeError: The variables are nested too deeply, or contain themselves.
    """
    values = request.variable_values
    if not values:
        return request
    declared = request.source.variables[request.operation[0]].types
    try:
        changed = {
            name: value if declared.get(name, "").strip("[]!") in _BUILT_IN else _respelled(value)
            for name, value in values.items()
        }
    except RecursionError as exc:
        raise TypeError("variables: nested too deeply, or within itself") from exc
    if all(changed[name] is value for name, value in values.items()):
        return request
    return request.replace(variable_values=changed)


def _respelled(value: Any) -> Any:
    """Respell a value; one that needs no respelling is returned itself."""
    if isinstance(value, Enum):
        return _enum_name(value)
    if is_mapping(value):
        changed = {key: _respelled(member) for key, member in value.items()}
        return value if all(changed[key] is value[key] for key in value) else changed
    if is_sequence(value):
        items: Any = [_respelled(item) for item in value]
        same = all(item is old for item, old in zip(items, value, strict=True))
        return cast("Any", value) if same else items
    if _is_model(value):
        try:  # its own JSON, which its serializers make, with other keys
            dumped = msgspec.json.decode(value.model_dump_json(by_alias=True))
        except Exception:  # noqa: BLE001 - its encoding raises the same, with the path to it
            return value
        return _respelled_json(dumped, value)
    members = _members(value)
    return value if members is None else {name: _respelled(member) for name, member in members}


def _respelled_json(dumped: Any, value: Any) -> Any:
    """Respell the keys of a model's JSON, as far as it has the form of the model."""
    if isinstance(value, Enum):
        return _enum_name(value) if dumped == value.value else dumped
    if isinstance(dumped, list) and is_sequence(value):
        items = cast("list[Any]", dumped)
        if len(items) == len(value):
            return [_respelled_json(*pair) for pair in zip(items, value, strict=True)]
    if not isinstance(dumped, dict):
        return cast("Any", dumped)
    members = cast("dict[str, Any]", dumped)
    if is_mapping(value):
        return {key: _respelled_json(item, value.get(key)) for key, item in members.items()}
    keys = _dumped_keys(value)
    return {
        keys[key][0] if key in keys else key: _respelled_json(
            item, getattr(value, keys[key][1], None) if key in keys else None
        )
        for key, item in members.items()
    }


def _enum_name(member: Enum) -> Any:
    value: Any = member.value
    if isinstance(member, int) or (isinstance(value, str) and _NAME.fullmatch(value)):
        return value
    return member.name


def _is_model(value: Any) -> bool:
    return hasattr(cast("Any", type(value)), "__pydantic_fields__") and hasattr(
        value, "model_dump_json"
    )


def _members(value: Any) -> Iterator[tuple[str, Any]] | None:
    """Return the fields to send and their names in GraphQL, or ``None`` for other values."""
    if isinstance(value, type):
        return None
    if isinstance(value, msgspec.Struct):
        return _struct_members(value)
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
    elif hasattr(cast("Any", type(value)), "__attrs_attrs__"):
        names = [attribute.name for attribute in cast("Any", type(value)).__attrs_attrs__]
    else:
        return None
    return (
        (camel_case(name), member)
        for name in names
        # As msgspec encodes these.
        if not name.startswith("_") and (member := getattr(value, name)) is not msgspec.UNSET
    )


def _struct_members(value: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    config = value.__struct_config__
    if config.tag_field:
        yield config.tag_field, config.tag
    defaults = _omitted(value) if config.omit_defaults else frozenset[str]()
    for field in msgspec.structs.fields(value):
        member = getattr(value, field.name)
        if member is msgspec.UNSET or field.encode_name in defaults:
            continue
        own = field.encode_name != field.name
        yield (field.encode_name if own else camel_case(field.name)), member


def _omitted(value: msgspec.Struct) -> frozenset[str]:
    """Return the names of the fields that msgspec omits, since they have their defaults."""
    names = {field.encode_name for field in msgspec.structs.fields(value)}
    sent = cast("dict[str, Any]", msgspec.to_builtins(value, enc_hook=lambda _: None))
    return frozenset(names - sent.keys())


def _dumped_keys(value: Any) -> dict[str, tuple[str, str]]:
    """Return, by the key in pydantic's JSON, the name in GraphQL and the field's."""
    declared: dict[str, Any] = {}
    if _is_model(value):
        for name, field in cast("Any", type(value)).__pydantic_fields__.items():
            declared[name] = field.serialization_alias or field.alias
    elif is_dataclass(value):
        declared = dict.fromkeys(field.name for field in fields(value))
    return {alias or name: (alias or camel_case(name), name) for name, alias in declared.items()}
