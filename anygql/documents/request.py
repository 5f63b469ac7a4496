"""Documents and requests: parsed, printed and encoded once.

Neither ``import anygql`` nor a first request may load graphql-core's parser: it is imported for
what ``language`` does not recognise, and when somebody asks for the tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from .recognizer import OperationKind, operations_in

if TYPE_CHECKING:
    from graphql import DocumentNode

__all__ = ["Document", "GraphQLRequest", "OperationKind", "Request", "as_request", "gql"]

#: How many documents that were given as text stay parsed.
DOCUMENT_CACHE = 1024


class Document:
    """One GraphQL document: its text, and lazily all that is derived from it."""

    def __init__(self, text: str | None, node: DocumentNode | None = None) -> None:
        if text is not None:
            self.text = text
        if node is not None:
            self.node = node

    @cached_property
    def text(self) -> str:
        """What is sent: the text as it was given, or the tree printed."""
        from graphql import print_ast

        return print_ast(self.node)

    @cached_property
    def node(self) -> DocumentNode:
        """The tree; raises ``GraphQLSyntaxError`` with line and column."""
        from graphql import parse

        return parse(self.text)

    @cached_property
    def json(self) -> msgspec.Raw:
        """The text as a JSON string, encoded once."""
        return msgspec.Raw(msgspec.json.encode(self.text))

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the text's UTF-8, in hexadecimal: what persisted queries go by."""
        import hashlib

        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def grows(self) -> bool:
        """Whether a result may come in parts: the text has ``@defer`` or ``@stream`` in it."""
        return "@defer" in self.text or "@stream" in self.text

    @cached_property
    def operations(self) -> dict[str | None, OperationKind]:
        """The kind of each operation, by its name (``None``: it has none), in order.

        Raises ``GraphQLSyntaxError`` with line and column, or ``ValueError`` if no server could
        tell the operations apart (specification §5.2).
        """
        found: dict[str | None, OperationKind] = {}
        for name, kind in self._operations():
            if name in found:
                called = f"named {name!r}" if name else "without a name"
                raise ValueError(f"the document has two operations {called}")
            found[name] = kind
        if not found:
            raise ValueError("the document has no operation, only fragments or type definitions")
        if None in found and len(found) > 1:
            raise ValueError("an operation without a name must be the only one in its document")
        return found

    def _operations(self) -> list[tuple[str | None, OperationKind]]:
        # A tree that is there already is right; a text that is recognised needs none.
        operations = None if "node" in self.__dict__ else operations_in(self.text)
        if operations is not None:
            return operations
        from graphql import OperationDefinitionNode

        return [
            (definition.name.value if definition.name else None, definition.operation.value)
            for definition in self.node.definitions
            if isinstance(definition, OperationDefinitionNode)
        ]

    def select(self, operation_name: str | None) -> tuple[str | None, OperationKind]:
        """The name and kind of the operation that would run.

        Raises ``ValueError`` if ``operation_name`` is missing or not in the document
        (specification §6.1, "GetOperation").
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


@lru_cache(maxsize=DOCUMENT_CACHE)
def _from_text(text: str) -> Document:
    return Document(text)


class _SameNode:
    """A tree by identity: its own hash reads the whole of it."""

    __slots__ = ("node",)

    def __init__(self, node: DocumentNode) -> None:
        self.node = node

    def __hash__(self) -> int:
        return id(self.node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameNode) and self.node is other.node


@lru_cache(maxsize=DOCUMENT_CACHE)
def _from_node(key: _SameNode) -> Document:
    return Document(None, key.node)


def _document(source: object) -> Document:
    if isinstance(source, str):
        return _from_text(str.__str__(source))  # msgspec encodes no subclass of str
    from graphql import DocumentNode

    if isinstance(source, DocumentNode):
        return _from_node(_SameNode(source))
    raise TypeError(
        f"a GraphQL document is a str or a graphql.DocumentNode, not {type(source).__name__}"
    )


class GraphQLRequest:
    """One operation to run: a document, its variables, and which operation of it is meant.

    Immutable, and cheap to make again from the same text: the document is parsed, printed and
    encoded once for all requests made of it.
    """

    __slots__ = ("_operation", "_source", "extensions", "operation_name", "variable_values")

    _source: Document
    _operation: tuple[str | None, OperationKind] | None
    variable_values: Mapping[str, Any] | None
    operation_name: str | None
    extensions: Mapping[str, Any] | None

    def __init__(
        self,
        document: str | DocumentNode,
        variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self._assign(_document(document), variable_values, operation_name, extensions)

    def _assign(
        self,
        source: Document,
        variable_values: Mapping[str, Any] | None,
        operation_name: str | None,
        extensions: Mapping[str, Any] | None,
    ) -> None:
        for name, value in (("variable_values", variable_values), ("extensions", extensions)):
            if value is not None and not isinstance(value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{name} must be a mapping, not {type(value).__name__}")
        if operation_name is not None:
            if not isinstance(operation_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                given = type(operation_name).__name__
                raise TypeError(f"operation_name must be a str, not {given}")
            operation_name = str.__str__(operation_name)
        put = object.__setattr__
        put(self, "_source", source)
        put(self, "variable_values", variable_values)
        put(self, "operation_name", operation_name)
        put(self, "extensions", extensions)
        put(self, "_operation", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a GraphQLRequest can't be changed: use replace()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a GraphQLRequest can't be changed: use replace()")

    def __reduce__(self) -> tuple[Any, ...]:
        # Copied and pickled by its text: attributes can't be set one by one.
        given = (self.text, self.variable_values, self.operation_name, self.extensions)
        return GraphQLRequest, given

    def replace(
        self,
        *,
        variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> GraphQLRequest:
        """The same request with other variables, operation or extensions (``None`` keeps)."""
        new = object.__new__(GraphQLRequest)
        new._assign(
            self._source,
            self.variable_values if variable_values is None else variable_values,
            self.operation_name if operation_name is None else operation_name,
            self.extensions if extensions is None else extensions,
        )
        return new

    @property
    def document(self) -> DocumentNode:
        """The document's tree; raises ``GraphQLSyntaxError`` with line and column."""
        return self._source.node

    @property
    def source(self) -> Document:
        """The document with all that is derived from it."""
        return self._source

    @property
    def text(self) -> str:
        """The document's text, as it is sent."""
        return self._source.text

    @property
    def operation(self) -> tuple[str | None, OperationKind]:
        """The name and kind of the operation that would run.

        Raises ``GraphQLSyntaxError``, or ``ValueError`` if the document does not say which one.
        """
        operation = self._operation
        if operation is None:
            operation = self._source.select(self.operation_name)
            object.__setattr__(self, "_operation", operation)
        return operation

    @property
    def kind(self) -> OperationKind:
        """``"query"``, ``"mutation"`` or ``"subscription"``; raises as ``operation`` does."""
        return self.operation[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GraphQLRequest):
            return NotImplemented
        return (
            self.text == other.text
            and self.operation_name == other.operation_name
            and (self.variable_values or {}) == (other.variable_values or {})
            and (self.extensions or {}) == (other.extensions or {})
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        # Variables may be passwords: they are counted, not shown.
        name = f" {self.operation_name!r}" if self.operation_name else ""
        count = len(self.variable_values or ())
        return f"<GraphQLRequest{name}: {len(self.text)} characters, {count} variables>"


#: Whatever can be run.
Request: TypeAlias = "str | DocumentNode | GraphQLRequest"


def gql(source: str | DocumentNode) -> GraphQLRequest:
    """A request of a document's text or tree.

    The text is parsed when the request is first used, and only once.
    """
    return GraphQLRequest(source)


def as_request(
    request: Request,
    variable_values: Mapping[str, Any] | None = None,
    operation_name: str | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> GraphQLRequest:
    """Any form of request as a ``GraphQLRequest``; arguments given here win over its own.

    Raises what keeps it from being sent: ``GraphQLSyntaxError``, ``ValueError``, ``TypeError``.
    A syntax error must never reach a server: several close the whole connection for it.
    """
    if not isinstance(request, GraphQLRequest):
        request = GraphQLRequest(request, variable_values, operation_name, extensions)
    elif variable_values is not None or operation_name is not None or extensions is not None:
        request = request.replace(
            variable_values=variable_values, operation_name=operation_name, extensions=extensions
        )
    _ = request.operation
    return request
