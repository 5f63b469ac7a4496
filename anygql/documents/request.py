"""Requests: a document, its variables, and which of its operations is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .document import Document, document_of
from .recognizer import OperationKind

if TYPE_CHECKING:
    from graphql import DocumentNode

__all__ = ["GraphQLRequest", "OperationKind", "Request", "as_request", "gql"]


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
        self._assign(document_of(document), variable_values, operation_name, extensions)

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
