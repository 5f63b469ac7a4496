"""Requests: a document, the operation to run, and its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .document import Document, document_of
from .recognizer import OperationKind

if TYPE_CHECKING:
    from graphql import DocumentNode

__all__ = ["GraphQLRequest", "OperationKind", "Request", "as_request", "gql"]


class GraphQLRequest:
    """One operation to run. Immutable.

    Requests with the same text share the work of parsing, printing and encoding it, so making one
    is cheap. The text is parsed when a request is first used.

    Args:
        document: The text of a document, or graphql-core's tree.
        variable_values: The values of the variables; ``None`` (the default) for none.
        operation_name: The operation to run. ``None`` (the default) will do if the document has
            only one operation.
        extensions: The ``extensions`` to send; ``None`` (the default) for none.

    Raises:
        TypeError: An argument has another type.
    """

    __slots__ = (
        "_operation",
        "_source",
        "extensions",
        "operation_name",
        "takes_json",
        "variable_values",
    )

    #: Whether the caller decodes the data itself: a connection may leave them as JSON text.
    takes_json: bool
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
        takes_json: bool = False,
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
        put(self, "takes_json", takes_json)
        put(self, "_operation", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a GraphQLRequest can't be changed: use replace()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a GraphQLRequest can't be changed: use replace()")

    def __reduce__(self) -> tuple[Any, ...]:
        # Made again from the text, since attributes can't be set one by one.
        given = (self.text, self.variable_values, self.operation_name, self.extensions)
        return GraphQLRequest, given

    def replace(
        self,
        *,
        variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> GraphQLRequest:
        """Return the request with other variables, operation or extensions.

        Args:
            variable_values: The variables, by name. Default: ``None``, those of this request.
            operation_name: The operation to run. Default: ``None``, that of this request.
            extensions: What to send as ``extensions``. Default: ``None``, those of this request.
        """
        new = object.__new__(GraphQLRequest)
        new._assign(
            self._source,
            self.variable_values if variable_values is None else variable_values,
            self.operation_name if operation_name is None else operation_name,
            self.extensions if extensions is None else extensions,
            self.takes_json,
        )
        return new

    def taking_json(self) -> GraphQLRequest:
        """Return the request for a caller that decodes the data itself."""
        new = object.__new__(GraphQLRequest)
        put = object.__setattr__
        for name in self.__slots__:  # they have been checked
            put(new, name, getattr(self, name))
        put(new, "takes_json", True)
        return new

    @property
    def document(self) -> DocumentNode:
        """The document's tree. Raises ``GraphQLSyntaxError``, with line and column."""
        return self._source.node

    @property
    def source(self) -> Document:
        """The document with everything that is derived from its text."""
        return self._source

    @property
    def text(self) -> str:
        """The document's text, as it is sent."""
        return self._source.text

    @property
    def operation(self) -> tuple[str | None, OperationKind]:
        """The name and kind of the operation that would run.

        Raises:
            GraphQLSyntaxError: The document doesn't parse.
            ValueError: The document has no such operation, or several and ``operation_name`` is
                ``None``.
        """
        operation = self._operation
        if operation is None:
            operation = self._source.select(self.operation_name)
            object.__setattr__(self, "_operation", operation)
        return operation

    @property
    def kind(self) -> OperationKind:
        """``"query"``, ``"mutation"`` or ``"subscription"``. Raises as ``operation`` does."""
        return self.operation[1]

    def check_variables(self) -> None:
        """Raise ``ValueError`` if a required variable is not given, or a name looks misspelled."""
        name = self.operation[0]
        self._source.variables[name].check(self.variable_values, name)

    def check_path(self, path: Sequence[str]) -> None:
        """Raise ``ValueError`` if the operation selects nothing at ``path``, of response keys."""
        selections = self._source.selections.get(self.operation[0])
        if selections is not None:
            selections.check_path(path)

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
        # Variables may be passwords, so they are counted and not shown.
        name = f" {self.operation_name!r}" if self.operation_name else ""
        count = len(self.variable_values or ())
        return f"<GraphQLRequest{name}: {len(self.text)} characters, {count} variables>"


#: Every form of a request.
Request: TypeAlias = "str | DocumentNode | GraphQLRequest"


def gql(source: str | DocumentNode) -> GraphQLRequest:
    """Make a request of a document's text or tree.

    The text is parsed once, when a request with it is first used.

    Args:
        source: The document: its text, or a ``DocumentNode``.

    Raises:
        TypeError: ``source`` is neither a text nor a tree.
    """
    return GraphQLRequest(source)


def as_request(
    request: Request,
    variable_values: Mapping[str, Any] | None = None,
    operation_name: str | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> GraphQLRequest:
    """Return any form of a request as a ``GraphQLRequest`` that can be sent.

    Arguments take precedence over what ``request`` itself has.

    Raises:
        GraphQLSyntaxError: The document doesn't parse. It must not reach a server, since some close
            the whole connection for a syntax error.
        ValueError: The document does not determine the operation.
        TypeError: An argument has another type.
    """
    if not isinstance(request, GraphQLRequest):
        request = GraphQLRequest(request, variable_values, operation_name, extensions)
    elif variable_values is not None or operation_name is not None or extensions is not None:
        request = request.replace(
            variable_values=variable_values, operation_name=operation_name, extensions=extensions
        )
    _ = request.operation
    return request
