"""Values for a schema that has none: each field answers with something of its type."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import anyio
import graphql as core

__all__ = ["add_mocks"]

#: Items of a list.
_ITEMS = 2


def add_mocks(schema: core.GraphQLSchema, interval: float) -> None:
    """Let each field of a schema answer with something of its type.

    Args:
        schema: The schema, which is changed.
        interval: Seconds between a subscription's events, which never end.
    """
    numbers = itertools.count(1)
    for type_ in schema.type_map.values():
        if isinstance(type_, core.GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                _mock_field(schema, name, field, numbers)
        elif isinstance(type_, core.GraphQLInterfaceType | core.GraphQLUnionType):
            possible = schema.get_possible_types(type_)
            if possible:
                type_.resolve_type = _resolve_to(possible[0].name)
    subscription = schema.subscription_type
    for field in () if subscription is None else subscription.fields.values():
        field.subscribe = _source(interval)


def _mock_field(schema: Any, name: str, field: Any, numbers: itertools.count[int]) -> None:
    def resolve(_root: Any, _info: Any, **_args: Any) -> Any:
        return _value(schema, name, field.type, numbers)

    field.resolve = resolve


def _resolve_to(name: str) -> Any:
    def resolve(_value: Any, _info: Any, _type: Any) -> str:
        return name

    return resolve


def _source(interval: float) -> Any:
    async def subscribe(_root: Any, _info: Any, **_args: Any) -> AsyncIterator[int]:
        for number in itertools.count():
            yield number
            await anyio.sleep(interval)

    return subscribe


def _value(schema: Any, name: str, type_: Any, numbers: itertools.count[int]) -> Any:
    wrapped: Any = getattr(type_, "of_type", None)
    if wrapped is not None and isinstance(type_, core.GraphQLNonNull):
        return _value(schema, name, wrapped, numbers)
    if wrapped is not None:
        return [_value(schema, name, wrapped, numbers) for _ in range(_ITEMS)]
    if isinstance(type_, core.GraphQLEnumType):
        return next(iter(type_.values.values())).value
    if not isinstance(type_, core.GraphQLScalarType):
        return {}
    number = next(numbers)
    return {"Int": number, "Float": number / 2, "Boolean": True, "ID": str(number)}.get(
        type_.name, f"{name} {number}"
    )
