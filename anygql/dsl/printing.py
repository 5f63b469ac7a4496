"""Printing documents, and collecting the variables that their operations declare.

The name of a value's variable is only known when all variables are, so the text has the value's
number instead, between two NUL characters, which no document can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..results.types.names import camel_case
from .arguments import NOTHING, Argument, Directive, Input, ObjectInput, Value, Variable
from .names import literal
from .nodes import (
    FieldSelection,
    Fragment,
    InlineFragment,
    Selection,
    TypeSelection,
    fragment_of,
    is_field,
)
from .operations import Operation
from .positions import NOWHERE, Position, input_field_type, item_type
from .types import Options, select_type, type_condition

__all__ = [
    "Declared",
    "NeedsSchema",
    "PrintedFragment",
    "PrintedOperation",
    "PrintedType",
    "Printer",
]

#: Arguments that must be constants ("Incremental Delivery" RFC, "Label Is Unique").
_CONSTANT = {("@defer", "label"), ("@stream", "label")}


class NeedsSchema(Exception):
    """The GraphQL type of a value or variable is neither given nor known without a schema."""


class Declared(NamedTuple):
    """A variable of an operation. One without a name is a value's."""

    type: str
    default: Any
    attached: str
    name: str


#: Variables in the order in which they appear: by name, or by the number of the value.
Scope = dict["str | int", Declared]


class PrintedType(NamedTuple):
    """The selections of a type."""

    text: str
    scope: Scope
    fragments: dict[str, PrintedFragment]


class PrintedFragment(NamedTuple):
    """A fragment's definition."""

    fragment: Fragment[Any]
    text: str
    scope: Scope


class PrintedOperation(NamedTuple):
    """An operation, and the values of variables that it has."""

    text: str
    values: dict[str, Any]


class Printer:
    """Prints the operations and fragments of one document.

    Args:
        options: How types are selected.
        printed: Returns the selections of a type, which are printed once, or ``None`` if they have
            to be printed here, since they have values or lack types.
        schema: A position in the schema, if there is one.
    """

    def __init__(
        self,
        options: Options,
        printed: Callable[[Any, Options], PrintedType | None],
        schema: Position = NOWHERE,
    ) -> None:
        self.fragments: dict[str, PrintedFragment] = {}
        self.scope: Scope = {}
        self._options = options
        self._printed = printed
        self._schema = schema
        self._unfinished: list[str] = []  # fragments that are being printed
        self._values = 0
        self._bodies: list[tuple[Operation[Any], str, str, Scope]] = []

    def add(self, operation: Operation[Any]) -> None:
        """Print an operation, but for the names of values."""
        self.scope = {}
        attached = self._directives(operation.attached, self._schema)
        root = self._schema.root(operation.kind)
        body = self._block(operation.selections, root, f"the {operation.kind}")
        self._bodies.append((operation, attached, body, self.scope))

    def finish(self) -> tuple[list[PrintedOperation], list[str]]:
        """Return the operations and the fragments that they use, with names for all values."""
        names = self._names()

        def named(text: str) -> str:
            pieces = text.split("\0")
            pieces[1::2] = [names[int(number)] for number in pieces[1::2]]
            return "".join(pieces)

        operations: list[PrintedOperation] = []
        for operation, attached, body, scope in self._bodies:
            declared = {
                key if isinstance(key, str) else names[key]: each for key, each in scope.items()
            }
            values = {
                name: each.default for name, each in declared.items() if each.default is not NOTHING
            }
            head = _head(operation, declared, attached)
            operations.append(PrintedOperation(named(f"{head}{body}"), values))
        return operations, [named(each.text) for each in self.fragments.values()]

    def _names(self) -> list[str]:
        """Return the name of each value, by its number: the argument's, or a numbered one."""
        if not self._values:
            return []
        scopes = [scope for *_, scope in self._bodies]
        taken = {key for scope in scopes for key in scope if isinstance(key, str)}
        hints = {
            key: each.name
            for scope in scopes
            for key, each in scope.items()
            if key.__class__ is int
        }
        names: list[str] = []
        for number in range(self._values):
            hint = hints.get(number, "value")
            name, count = hint, 1
            while name in taken:
                count += 1
                name = f"{hint}{count}"
            taken.add(name)
            names.append(name)
        return names

    def selections(self, selections: Iterable[Selection], position: Position) -> str:
        """Return the text of selections, each on lines of its own: empty if there are none."""
        texts = [self._selection(selection, position) for selection in selections]
        return "\n".join(filter(None, texts))

    def _block(self, selections: tuple[Selection, ...], position: Position, where: str) -> str:
        inner = self.selections(selections, position)
        if not inner:
            raise TypeError(f"{where} selects nothing: a scalar has no fields")
        return "{\n  " + inner.replace("\n", "\n  ") + "\n}"

    def _selection(self, selection: Selection, position: Position) -> str:
        if is_field(selection):
            return self._field(selection, position)
        if isinstance(selection, TypeSelection):
            return self._type(selection, position)
        fragment = fragment_of(selection)
        if fragment is not None:
            self._define(fragment)
            # The directives of a fragment that is selected itself are those of its definition.
            attached = () if fragment is selection else selection.attached
            return f"...{fragment.name}{self._directives(attached, position)}"
        if not isinstance(selection, InlineFragment):
            raise TypeError(f"{selection!r} can't be selected")
        name = selection.type_condition
        head = f"...{f' on {name}' if name else ''}"
        head += self._directives(selection.attached, position)
        where = f"the fragment on {name}"
        return f"{head} {self._block(selection.selections, position.on(name), where)}"

    def _field(self, field: FieldSelection[Any], position: Position) -> str:
        text = field.name if field.response_name is None else f"{field.key}: {field.name}"
        if field.arguments:
            text += self._arguments(field.arguments, field.name, position)
        if field.attached:
            text += self._directives(field.attached, position)
        if not field.selections:
            return text
        inner = self.selections(field.selections, position.within(field.name))
        if not inner:  # a scalar's type
            return text
        return f"{text} {{\n  " + inner.replace("\n", "\n  ") + "\n}"

    def _type(self, selection: TypeSelection, position: Position) -> str:
        options = self._options
        if selection.defines is not None:
            options = options.within(selection.defines)
        printed = self._printed(selection.type, options)
        if printed is None:
            return self.selections(select_type(selection.type, options), position)
        for key, declared in printed.scope.items():
            self._declare(key, declared)
        for each in printed.fragments.values():
            self._add_fragment(each)
        return printed.text

    def _define(self, fragment: Fragment[Any]) -> None:
        """Print a fragment's definition, if that isn't done, and declare its variables."""
        name = fragment.name
        found = self.fragments.get(name)
        if found is None or found.fragment != fragment:
            if name in self._unfinished:
                circle = " and ".join(self._unfinished[self._unfinished.index(name) :])
                raise TypeError(f"the fragment {circle} would spread itself")
            outer, self.scope = self.scope, {}
            self._unfinished.append(name)
            try:
                found = PrintedFragment(fragment, self._definition(fragment), self.scope)
            finally:
                self._unfinished.pop()
                self.scope = outer
            self._add_fragment(found)
        for key, declared in found.scope.items():
            self._declare(key, declared)

    def _add_fragment(self, printed: PrintedFragment) -> None:
        name = printed.fragment.name
        if self.fragments.setdefault(name, printed).text != printed.text:
            raise ValueError(f"there are two fragments with the name {name!r}")

    def _definition(self, fragment: Fragment[Any]) -> str:
        name = type_condition(fragment, self._options.camel_case)
        attached = self._directives(fragment.attached, self._schema)
        body = self._block(
            fragment.selections, self._schema.on(name), f"the fragment {fragment.name!r}"
        )
        return f"fragment {fragment.name} on {name}{attached} {body}"

    def _directives(self, directives: tuple[Directive, ...], position: Position) -> str:
        return "".join(
            f" @{each.name}{self._arguments(each.arguments, f'@{each.name}', position)}"
            for each in directives
        )

    def _arguments(self, arguments: tuple[Argument, ...], owner: str, position: Position) -> str:
        texts: list[str] = []
        for argument in arguments:
            name = argument.name
            if argument.is_python and self._options.camel_case:
                name = camel_case(name)
            if (owner, name) in _CONSTANT:
                texts.append(f"{name}: {_constant(argument.value, owner)}")
                continue
            type_ = position.argument_type(owner, name)
            texts.append(f"{name}: {self._input(argument.value, name, type_, f'{owner}({name}:)')}")
        return f"({', '.join(texts)})" if texts else ""

    def _input(self, given: Input, name: str, type_: Any, where: str) -> str:
        """Return an argument's value: variables, in the form that the value has."""
        if isinstance(given, Variable):
            text = given.type or _type_text(type_, where)
            attached = _constant_directives(given.attached) if given.attached else ""
            key = given.name or name
            default = NOTHING if given.default is None else given.default.value
            self._declare(key, Declared(text, default, attached, key))
            return f"${key}"
        if isinstance(given, Value):
            text = given.type or _type_text(type_, where)
            number = self._values
            self._values += 1
            self._declare(number, Declared(text, given.value, "", name))
            return f"$\0{number}\0"
        if isinstance(given, ObjectInput):
            fields = [
                f"{key}: {self._input(item, key, input_field_type(type_, key), f'{where}.{key}')}"
                for key, item in given.fields
            ]
            return f"{{ {', '.join(fields)} }}"
        inner = item_type(type_)
        return f"[{', '.join(self._input(item, name, inner, where) for item in given.items)}]"

    def _declare(self, key: str | int, declared: Declared) -> None:
        known = self.scope.setdefault(key, declared)
        if known is not declared and _differ(known, declared):
            raise ValueError(
                f"${key} is declared twice, as {_shown(known)} and as {_shown(declared)}: give one "
                'of them a name of its own, as in var("name", "ID!")'
            )


def _differ(one: Declared, other: Declared) -> bool:
    same = one.default is other.default or one.default == other.default
    return one.type != other.type or one.attached != other.attached or not same


def _shown(declared: Declared) -> str:
    default = "" if declared.default is NOTHING else " with a default"
    return f"{declared.type}{declared.attached}{default}"


def _type_text(type_: Any, where: str) -> str:
    if type_ is None:
        raise NeedsSchema(
            f'{where}: its GraphQL type isn\'t known: write var("Type"), or var("Type", '
            "default=value) for a value, or give select() a schema= that has it"
        )
    return str(type_)


def _head(operation: Operation[Any], declared: dict[str, Declared], attached: str) -> str:
    """Return what comes before an operation's selections."""
    if not (declared or attached or operation.name or operation.kind != "query"):
        return ""
    texts = [f"${name}: {each.type}{each.attached}" for name, each in declared.items()]
    variables = f"({', '.join(texts)})" if texts else ""
    name = operation.name or ""
    space = " " if name or variables else ""
    return f"{operation.kind}{space}{name}{variables}{attached} "


def _constant(given: Input, where: str) -> str:
    if not isinstance(given, Value):
        raise ValueError(  # noqa: TRY004 - a variable isn't a mistake in the type of a value
            f"{where}: there can't be a variable here, only a constant"
        )
    return literal(given.value)


def _constant_directives(directives: tuple[Directive, ...]) -> str:
    texts: list[str] = []
    for each in directives:
        given = [f"{a.name}: {_constant(a.value, f'@{each.name}')}" for a in each.arguments]
        arguments = f"({', '.join(given)})" if given else ""
        texts.append(f" @{each.name}{arguments}")
    return "".join(texts)
