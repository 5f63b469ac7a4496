"""Where in a schema a document is, for the types of its arguments. Without a schema, nowhere.

graphql-core's types are looked at without importing graphql-core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..documents.request import OperationKind

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["NOWHERE", "Position", "input_field_type", "item_type", "named_type"]

#: Types that every schema has (specification §3.13, §4.1).
_KNOWN = {
    ("@include", "if"): "Boolean!",
    ("@skip", "if"): "Boolean!",
    ("__type", "name"): "String!",
}


class Position(NamedTuple):
    """A type of a schema, of which fields are selected; ``None`` if it isn't known."""

    schema: GraphQLSchema | None = None
    type: Any = None

    def root(self, kind: OperationKind) -> Position:
        """Return the position at the top of an operation."""
        return Position(self.schema, getattr(self.schema, f"{kind}_type", None))

    def on(self, name: str | None) -> Position:
        """Return the position in a fragment for a type; ``None`` for the same type."""
        if name is None or self.schema is None:
            return self
        return Position(self.schema, self.schema.get_type(name))

    def field(self, name: str) -> Any:
        """Return the definition of a field, or ``None``."""
        return getattr(self.type, "fields", {}).get(name)

    def within(self, name: str) -> Position:
        """Return the position in what is selected of a field."""
        definition = self.field(name)
        type_ = None if definition is None else named_type(definition.type)
        return Position(self.schema, type_)

    def argument_type(self, owner: str, name: str) -> Any:
        """Return the type of an argument of a field or ``@directive``; ``None`` if unknown."""
        if (owner, name) in _KNOWN:
            return _KNOWN[owner, name]
        definition = self.field(owner)
        if owner.startswith("@") and self.schema is not None:
            definition = self.schema.get_directive(owner[1:])
        argument: Any = None if definition is None else definition.args.get(name)
        return None if argument is None else argument.type


NOWHERE = Position()


def named_type(type_: Any) -> Any:
    """Return a type without its lists and non-nulls."""
    while hasattr(type_, "of_type"):
        type_ = type_.of_type
    return type_


def input_field_type(type_: Any, name: str) -> Any:
    """Return the type of a field of an input object, or ``None``."""
    found = getattr(named_type(type_), "fields", {}).get(name)
    return None if found is None else found.type


def item_type(type_: Any) -> Any:
    """Return the type of a list's items, or ``None``."""
    if str(type_).endswith("!"):
        type_ = getattr(type_, "of_type", None)
    return getattr(type_, "of_type", None)
