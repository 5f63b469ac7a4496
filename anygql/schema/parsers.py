"""Parsers of the values within a result: leaves, lists and objects.

Parsing keeps no paths, for speed. If data doesn't fit, a second walk finds the value and its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import is_
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast

from graphql.pyutils import Undefined

from .plans import Path
from .scalars import Coercer

__all__ = ["Leaf", "ListOf", "Misfit", "Node", "ObjectOf"]

# A coercer may return Undefined for a value that isn't of its type.
_is_undefined: Callable[[Any], bool] = partial(is_, Undefined)


class Misfit(NamedTuple):
    """A value that does not fit the schema: its path, the problem, and the scalar's exception."""

    path: Path
    problem: str
    cause: Exception | None = None


class _Unparsable(Exception):
    """A value does not fit the schema. Its path is looked for afterwards."""


class Node(Protocol):
    """The parser of one kind of value, which is not ``None``.

    ``parse`` keeps no path, and raises any exception for data that doesn't fit. Then ``misfit``
    finds the value that doesn't fit.
    """

    parse: Coercer

    def misfit(self, value: Any, path: Path) -> Misfit | None:
        """Find the first value that doesn't fit; return ``None`` if all values fit."""
        ...


_JSON_KINDS: Final = (
    (dict, "an object"),
    (list, "a list"),
    (str, "a string"),
    (bool, "a boolean"),
    (int | float, "a number"),
)


def _json_kind(value: Any) -> str:
    return next((name for kind, name in _JSON_KINDS if isinstance(value, kind)), "a value")


class Leaf:
    """A custom scalar, or an enum with Python values."""

    def __init__(self, type_name: str, parse: Coercer) -> None:
        self.type_name = type_name
        self.parse = parse

    def misfit(self, value: Any, path: Path) -> Misfit | None:
        try:
            parsed = self.parse(value)
        except Exception as exc:  # noqa: BLE001  # a user's scalar may raise anything
            refused = f"{_json_kind(value)} that {self.type_name} refuses ({type(exc).__name__})"
            return Misfit(path, refused, exc)
        if parsed is Undefined:
            return Misfit(path, f"{_json_kind(value)} that {self.type_name} makes nothing of")
        return None


class ListOf:
    """A list of anything."""

    def __init__(self, item: Node) -> None:
        self.item = item
        self.parse: Coercer = (
            _objects_parser(item) if isinstance(item, ObjectOf) else _items_parser(item)
        )

    def misfit(self, value: Any, path: Path) -> Misfit | None:
        if not isinstance(value, list):
            return Misfit(path, f"{_json_kind(value)} where the schema has a list")
        items = enumerate(cast("list[Any]", value))
        return _first_misfit(
            self.item.misfit(one, (path, at)) for at, one in items if one is not None
        )


class ObjectOf:
    """An object, with the response keys under which there is something to parse."""

    def __init__(self, type_name: str, fields: dict[str, Node]) -> None:
        self.type_name = type_name
        self.fields = fields
        self.parsers = [(key, node.parse) for key, node in fields.items()]
        self.parse: Coercer = partial(_parse_object, self.parsers)

    def misfit(self, value: Any, path: Path) -> Misfit | None:
        if not isinstance(value, dict):
            return Misfit(path, f"{_json_kind(value)} where the schema has {self.type_name}")
        data = cast("dict[str, Any]", value)
        members = [(key, data.get(key)) for key in self.fields]
        return _first_misfit(
            self.fields[key].misfit(member, (path, key))
            for key, member in members
            if member is not None
        )


def _first_misfit(misfits: Iterable[Misfit | None]) -> Misfit | None:
    return next((misfit for misfit in misfits if misfit is not None), None)


# Only these three functions run for data that fits. They repeat code, since a call for each object
# would cost as much as parsing it.

_Parsers: TypeAlias = "list[tuple[str, Coercer]]"


def _parse_object(parsers: _Parsers, data: dict[str, Any]) -> dict[str, Any]:
    new = data.copy()
    for key, parse in parsers:
        value = new.get(key)
        if value is not None:
            new[key] = parsed = parse(value)
            if parsed is Undefined:
                raise _Unparsable
    return new


def _objects_parser(node: ObjectOf) -> Coercer:
    parsers = node.parsers

    def parse_objects(items: list[dict[str, Any] | None]) -> list[Any]:
        if not isinstance(items, list):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _Unparsable
        result: list[Any] = []
        append = result.append
        for data in items:
            if data is None:
                append(None)
                continue
            new = data.copy()
            for key, parse in parsers:
                value = new.get(key)
                if value is not None:
                    new[key] = parsed = parse(value)
                    if parsed is Undefined:
                        raise _Unparsable
            append(new)
        return result

    return parse_objects


def _items_parser(node: Node) -> Coercer:
    parse = node.parse

    def parse_items(items: list[Any]) -> list[Any]:
        if not isinstance(items, list):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _Unparsable
        result = [None if item is None else parse(item) for item in items]
        if any(map(_is_undefined, result)):
            raise _Unparsable
        return result

    return parse_items
