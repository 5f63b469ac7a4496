"""Parsing the custom scalars and enums of results, by a plan made once for each document.

The plan has the response keys under which there are values to parse. Only the containers of such
values are copied; everything else is returned as it is. Keys that are missing are skipped, so the
same plan serves ``@skip``, ``@include`` and ``@defer``.

A response key has the same shape in objects of all types (specification §5.3.2,
"SameResponseShape"). So the selections for all types of an interface or a union are merged into one
plan, and ``__typename`` is not needed.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    InlineFragmentNode,
    SelectionSetNode,
)

from ..documents.document import Document
from ..exceptions import TransportProtocolError
from .parsers import Leaf, ListOf, Node, ObjectOf
from .plans import Path, dotted, operation_of
from .scalars import Coercer, enum_parser, input_coercer

__all__ = ["ResultsPlan", "results_plan"]

#: A selection set, and the type whose fields it selects.
_Selected: TypeAlias = "tuple[GraphQLNamedType, SelectionSetNode]"

#: The fields of one response key: their types, and the nodes that select them.
_Occurrences: TypeAlias = "list[tuple[GraphQLType, FieldNode]]"


class _Planner:
    def __init__(self, schema: GraphQLSchema, document: Document) -> None:
        self._schema = schema
        self._fragments = {
            definition.name.value: definition
            for definition in document.node.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        # A few lines with fragments that spread others twice may unfold to millions of selections.
        # So each combination of selection sets is planned once.
        self._planned: dict[frozenset[tuple[str, int]], ObjectOf | None] = {}
        self._entered: list[str] = []
        self._acyclic: set[str] = set()

    def refuse_cycles(self, selection_set: SelectionSetNode) -> None:
        """Raise ``ValueError`` if a fragment is missing or spreads itself."""
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                self._enter(selection.name.value)
            elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                self.refuse_cycles(selection.selection_set)

    def _enter(self, name: str) -> None:
        if name in self._acyclic:
            return
        if name in self._entered:
            way = " → ".join([*self._entered[self._entered.index(name) :], name])
            raise ValueError(f"the document's fragment {name!r} spreads itself: {way}")
        fragment = self._fragments.get(name)
        if fragment is None:
            raise ValueError(f"the document spreads a fragment {name!r}, which it does not define")
        self._entered.append(name)
        self.refuse_cycles(fragment.selection_set)
        self._entered.pop()
        self._acyclic.add(name)

    def object(self, selected: list[_Selected], path: Path) -> ObjectOf | None:
        """Plan all of these selections together; return ``None`` if nothing is to be parsed."""
        key = frozenset((parent.name, id(selection_set)) for parent, selection_set in selected)
        if key in self._planned:
            return self._planned[key]
        occurrences: dict[str, _Occurrences] = {}
        spread: set[str] = set()
        for parent, selection_set in selected:
            self._collect(parent, selection_set, occurrences, spread)
        fields: dict[str, Node] = {}
        for response_key, found in occurrences.items():
            node = self._field(found, (path, response_key))
            if node is not None:
                fields[response_key] = node
        names = " or ".join(dict.fromkeys(parent.name for parent, _ in selected))
        planned = ObjectOf(names, fields) if fields else None
        self._planned[key] = planned
        return planned

    def _collect(
        self,
        parent: GraphQLNamedType | None,
        selection_set: SelectionSetNode,
        occurrences: dict[str, _Occurrences],
        spread: set[str],
    ) -> None:
        """Add the selected fields, including those of fragments, by response key.

        Fields that the schema doesn't know are left out, so that their data is returned as it is.
        So are fields of introspection, since ``build_client_schema`` takes names and not the
        members of ``TypeKind``.
        """
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                type_ = _field_type(parent, selection.name.value)
                if type_ is not None:
                    key = (selection.alias or selection.name).value
                    occurrences.setdefault(key, []).append((type_, selection))
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                self._collect(inner, selection.selection_set, occurrences, spread)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in spread:
                    spread.add(name)
                    fragment = self._fragments[name]
                    inner = self._schema.get_type(fragment.type_condition.name.value)
                    self._collect(inner, fragment.selection_set, occurrences, spread)

    def _field(self, occurrences: _Occurrences, path: Path) -> Node | None:
        depths: set[int] = set()
        selected: list[_Selected] = []
        leaves: dict[str, Leaf | None] = {}
        for type_, field in occurrences:
            depth, named = _strip_wrappers(type_)
            depths.add(depth)
            if field.selection_set is not None:
                selected.append((named, field.selection_set))
            elif named.name not in leaves:
                leaves[named.name] = _leaf(named)
        node: Node | None = self.object(selected, path) if selected else None
        found = [leaf for leaf in leaves.values() if leaf is not None]
        if node is not None or found:
            if len(depths) > 1 or len(leaves) + bool(selected) > 1:
                types = " and ".join(sorted({str(type_) for type_, _ in occurrences}))
                raise ValueError(
                    f"{dotted(path)}: the document selects different types under one name "
                    f"({types}): give one of them an alias"
                )
            node = node or found[0]
            for _ in range(depths.pop()):
                node = ListOf(node)
        return node


def _field_type(parent: GraphQLNamedType | None, name: str) -> GraphQLType | None:
    if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        field = parent.fields.get(name)
        return field.type if field else None
    return None  # a union has no fields but __typename


def _strip_wrappers(type_: GraphQLType) -> tuple[int, GraphQLNamedType]:
    """Return how many lists are around a type, and the type without lists and non-nulls."""
    depth = 0
    while isinstance(type_, GraphQLList | GraphQLNonNull):
        wrapper = cast("GraphQLList[Any] | GraphQLNonNull[Any]", type_)
        depth += isinstance(wrapper, GraphQLList)
        type_ = cast("GraphQLType", wrapper.of_type)
    return depth, cast("GraphQLNamedType", type_)


def _leaf(type_: GraphQLNamedType) -> Leaf | None:
    parse: Coercer | None = None
    if isinstance(type_, GraphQLScalarType):
        parse = input_coercer(type_)
    elif isinstance(type_, GraphQLEnumType):
        parse = enum_parser(type_)
    return Leaf(type_.name, parse) if parse else None


class ResultsPlan:
    """The plan that parses the data of one operation. Any number of threads may use it."""

    def __init__(self, root: ObjectOf | None) -> None:
        self._root = root

    @property
    def parses_nothing(self) -> bool:
        """Whether the operation selects nothing that has to be parsed."""
        return self._root is None

    def __call__(self, data: Any) -> Any:
        """Return the data with Python values. ``data`` itself is not changed.

        The result may share containers with ``data``. Nulls, missing keys and keys that the
        document doesn't select are fine. Built-in scalars, and types without Python values, are
        neither parsed nor checked.

        Raises:
            TransportProtocolError: A list or an object is missing, or a scalar or an enum refuses a
                value. The message has the path.
        """
        root = self._root
        if root is None or data is None:
            return data
        try:
            return root.parse(data)
        except Exception as exc:
            misfit = root.misfit(data, (None, "data"))
            if misfit is None:  # a scalar refused a value once and then took it
                raise TransportProtocolError(
                    f"data: not what the schema says ({type(exc).__name__})"
                ) from exc
            raise TransportProtocolError(
                f"{dotted(misfit.path)}: {misfit.problem}. "
                "Is the client's schema that of the server?"
            ) from misfit.cause


def results_plan(
    schema: GraphQLSchema, document: Document, operation_name: str | None
) -> ResultsPlan:
    """Make the plan for the results of one operation.

    After an update of a scalar or an enum of the schema, make another plan.

    Raises:
        GraphQLSyntaxError: The document doesn't parse.
        ValueError: The document does not determine the operation, has a fragment that is missing or
            spreads itself, or selects different types under one response key.
    """
    operation = operation_of(document, operation_name)
    root: GraphQLNamedType | None = getattr(schema, f"{operation.operation.value}_type")
    planner = _Planner(schema, document)
    planner.refuse_cycles(operation.selection_set)
    if root is None:  # the server will refuse the operation
        return ResultsPlan(None)
    return ResultsPlan(planner.object([(root, operation.selection_set)], (None, "data")))
