"""Selecting all fields that a schema has, for scripts and for looking around."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..documents.request import GraphQLRequest
from .arguments import Variable
from .documents import select
from .nodes import FieldSelection, InlineFragment, Selection, field
from .operations import mutation, query, subscription
from .positions import named_type

if TYPE_CHECKING:
    from ..schema.loading import SchemaSource

__all__ = ["select_all"]

_TYPENAME: FieldSelection[Any] = FieldSelection(name="__typename")


def select_all(
    schema: SchemaSource, path: str, *, depth: int = 2, deprecated: bool = False
) -> GraphQLRequest[Any]:
    """Make a request for all that a field of the schema has.

    The field's arguments are variables of the same names. Fields further down that require
    arguments are left out. Where two types of an interface or union have fields of one name and of
    different types, the second has the alias ``name_Type``.

    Args:
        schema: The schema: a ``GraphQLSchema``, the text of one in SDL, or an introspection result.
        path: The field: ``"Query.hero"``, or ``"hero"`` of a query.
        depth: How many levels of objects to select. Default: 2, the field's own object and those
            in it.
        deprecated: Whether deprecated fields are selected. Default: ``False``.

    Returns:
        The request, whose data are plain data: ``{"hero": {…}}``.

    Raises:
        ValueError: The schema has no such field, or isn't valid; or ``depth`` is less than 1.
    """
    from ..schema.loading import load_schema

    loaded = load_schema(schema)
    if depth.__class__ is not int or depth < 1:
        raise ValueError(f"depth is a number of levels, from 1 on, not {depth!r}")
    type_name, _, name = path.rpartition(".")
    roots = {query: loaded.query_type}
    roots |= {mutation: loaded.mutation_type, subscription: loaded.subscription_type}
    named = {root.name: (root, make) for make, root in roots.items() if root is not None}
    root, make = named.get(type_name, (None, query)) if type_name else (loaded.query_type, query)
    definition = None if root is None else root.fields.get(name)
    if definition is None:
        listed = " or ".join(f"{each}.field" for each in named)
        raise ValueError(f"the schema has no field {path!r}, of the form {listed}")
    selections = _Everything(loaded, deprecated).select(definition.type, depth)
    arguments = {key: _variable(argument) for key, argument in definition.args.items()}
    return select(make(field(name, arguments, *selections)))


def _variable(argument: Any) -> Variable:
    """Return the variable for an argument, which must be given only if the argument must."""
    from graphql import is_required_argument

    type_ = str(argument.type)
    return Variable(None, type_ if is_required_argument(argument) else type_.removesuffix("!"))


class _Everything:
    def __init__(self, schema: Any, deprecated: bool) -> None:
        self._schema = schema
        self._deprecated = deprecated

    def select(self, type_: Any, depth: int) -> tuple[Selection, ...]:
        """Return all selections of a type: nothing, for a scalar."""
        from graphql import is_abstract_type, is_composite_type

        type_ = named_type(type_)
        if not is_composite_type(type_):
            return ()
        found = dict(self._fields(type_, depth))
        if not is_abstract_type(type_):
            return tuple(selection for _, selection in found.values()) or (_TYPENAME,)
        types = {key: result for key, (result, _) in found.items()}
        return (
            _TYPENAME,
            *(selection for _, selection in found.values()),
            *self._members(type_, types, depth),
        )

    def _members(self, type_: Any, types: dict[str, str], depth: int) -> Iterator[Selection]:
        """Yield an inline fragment for each type that an abstract one may be.

        ``types`` has the type of each response key that is taken: where types differ, keys must
        differ (specification §5.3.2).
        """
        shared = set(types)
        for member in self._schema.get_possible_types(type_):
            own: list[Selection] = []
            for name, (result, selection) in self._fields(member, depth):
                if name in shared and types[name] == result:
                    continue
                if types.setdefault(name, result) != result:
                    selection = selection.alias(_free_key(f"{name}_{member.name}", types, result))
                own.append(selection)
            if own:
                yield InlineFragment(type_condition=member.name, selections=tuple(own))

    def _fields(
        self, type_: Any, depth: int
    ) -> Iterator[tuple[str, tuple[str, FieldSelection[Any]]]]:
        """Yield the fields of a type that can be selected: name, type and selection."""
        from graphql import is_composite_type, is_required_argument

        for name, definition in getattr(type_, "fields", {}).items():
            if any(map(is_required_argument, definition.args.values())):
                continue
            if definition.deprecation_reason is not None and not self._deprecated:
                continue
            selections: tuple[Selection, ...] = ()
            if is_composite_type(named_type(definition.type)):
                if depth <= 1:
                    continue
                selections = self.select(definition.type, depth - 1)
            yield name, (str(definition.type), field(name, *selections))


def _free_key(key: str, types: dict[str, str], result: str) -> str:
    while types.setdefault(key, result) != result:
        key += "_"
    return key
