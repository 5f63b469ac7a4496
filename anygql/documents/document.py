"""A document, which is parsed, printed and encoded once.

Neither ``import anygql`` nor a first request may load graphql-core's parser. It is imported for
documents that ``recognizer`` doesn't recognize, and for access to a document's tree.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import msgspec

from .recognizer import Operation, OperationKind, operations_in, selections_in
from .selections import Selections
from .variables import DeclaredVariables

if TYPE_CHECKING:
    from graphql import DocumentNode, OperationDefinitionNode

__all__ = ["Document", "document_of"]


#: How many documents are kept, of those given as text and of those given as trees.
DOCUMENT_CACHE = 1024


class Document:
    """One GraphQL document: its text, and lazily everything that is derived from the text."""

    def __init__(self, text: str | None, node: DocumentNode | None = None) -> None:
        if text is not None:
            self.text = text
        if node is not None:
            self.node = node

    @cached_property
    def text(self) -> str:
        """The text to send: as it was given, or printed from the tree."""
        from graphql import print_ast

        return print_ast(self.node)

    @cached_property
    def node(self) -> DocumentNode:
        """The tree. Raises ``GraphQLSyntaxError``, with line and column, for an invalid text."""
        from .syntax import parse_document

        return parse_document(self.text)

    @cached_property
    def json(self) -> msgspec.Raw:
        """The text as a JSON string, encoded once."""
        return msgspec.Raw(msgspec.json.encode(self.text))

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8, in hexadecimal, which identifies persisted queries."""
        import hashlib

        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def is_incremental(self) -> bool:
        """Whether a result may come in parts, since the text has ``@defer`` or ``@stream``."""
        return "@defer" in self.text or "@stream" in self.text

    @cached_property
    def operations(self) -> dict[str | None, OperationKind]:
        """The kind of each operation by its name, in order; ``None`` if it has no name.

        Raises:
            GraphQLSyntaxError: The text doesn't parse. The error has line and column.
            ValueError: The document has no operation, or the operations' names are not distinct
                (specification §5.2).
        """
        found: dict[str | None, OperationKind] = {}
        for name, kind, _ in self._definitions:
            if name in found:
                called = f"named {name!r}" if name else "without a name"
                raise ValueError(f"the document has two operations {called}")
            found[name] = kind
        if not found:
            raise ValueError("the document has no operation, only fragments or type definitions")
        if None in found and len(found) > 1:
            raise ValueError("an operation without a name must be the only one in its document")
        return found

    @cached_property
    def variables(self) -> dict[str | None, DeclaredVariables]:
        """The variables that each operation declares, by its name. Raises as ``operations``."""
        return {name: variables for name, _, variables in self._definitions}

    @cached_property
    def selections(self) -> dict[str | None, Selections]:
        """What each operation selects, by its name. Empty if the text has rare features."""
        return selections_in(self.text) or {}

    @cached_property
    def _definitions(self) -> list[Operation]:
        # A tree that was made before is used; a text that is recognized needs no tree.
        operations = None if "node" in self.__dict__ else operations_in(self.text)
        if operations is not None:
            return operations
        from graphql import OperationDefinitionNode

        return [
            (
                definition.name.value if definition.name else None,
                definition.operation.value,
                _declared_by(definition),
            )
            for definition in self.node.definitions
            if isinstance(definition, OperationDefinitionNode)
        ]

    def select(self, operation_name: str | None) -> tuple[str | None, OperationKind]:
        """Return the name and kind of the operation that would run.

        Raises:
            GraphQLSyntaxError: The text doesn't parse.
            ValueError: ``operation_name`` isn't in the document, or is ``None`` where there are
                several operations (specification §6.1, "GetOperation").
        """
        operations = self.operations
        if operation_name is not None:
            if operation_name not in operations:
                raise ValueError(
                    f"the document has no operation {operation_name!r}, but {self._names()}"
                )
            return operation_name, operations[operation_name]
        if len(operations) > 1:
            raise ValueError(
                f"the document has {len(operations)} operations ({self._names()}): "
                "say which with operation_name"
            )
        return next(iter(operations.items()))

    def _names(self) -> str:
        return ", ".join(repr(name) if name else "one without a name" for name in self.operations)


def _declared_by(operation: OperationDefinitionNode) -> DeclaredVariables:
    """Return the variables that an operation of a tree declares."""
    from graphql import print_ast

    variables = DeclaredVariables({})
    for definition in operation.variable_definitions or ():
        variables.declare(
            definition.variable.name.value,
            print_ast(definition.type),
            has_default=definition.default_value is not None,
        )
    return variables


@lru_cache(maxsize=DOCUMENT_CACHE)
def _from_text(text: str) -> Document:
    return Document(text)


class _NodeIdentity:
    """A tree compared by identity, since the hash of a tree takes reading all of it."""

    __slots__ = ("node",)

    def __init__(self, node: DocumentNode) -> None:
        self.node = node

    def __hash__(self) -> int:
        return id(self.node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NodeIdentity) and self.node is other.node


@lru_cache(maxsize=DOCUMENT_CACHE)
def _from_node(key: _NodeIdentity) -> Document:
    return Document(None, key.node)


def document_of(source: object) -> Document:
    """Return the document of a text or tree, which is kept; raise ``TypeError`` for others."""
    if isinstance(source, str):
        return _from_text(str.__str__(source))  # msgspec encodes no subclass of str
    from graphql import DocumentNode

    if isinstance(source, DocumentNode):
        return _from_node(_NodeIdentity(source))
    raise TypeError(
        f"a GraphQL document is a str or a graphql.DocumentNode, not {type(source).__name__}"
    )
