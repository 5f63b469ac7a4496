"""Requests: a document, the operation to run, and its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeAlias, cast

from .document import Document, document_of
from .recognizer import OperationKind

if TYPE_CHECKING:
    from graphql import DocumentNode
    from typing_extensions import TypeVar

    _T_co = TypeVar("_T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    _T_co = TypeVar("_T_co", covariant=True)

__all__ = [
    "BuiltOperation",
    "ForeignRequest",
    "GraphQLRequest",
    "OperationKind",
    "Request",
    "as_request",
    "built_request",
    "gql",
]


class BuiltOperation(NamedTuple):
    """What an operation that Python code has built knows beside its text."""

    values: Mapping[str, Any]  #: of variables; those that a call gives take precedence
    result_type: Any = None
    path: str | None = None  #: the response key at which the data are of that type
    camel_case: bool = False


class GraphQLRequest(Generic[_T_co]):
    """One operation to run. Immutable.

    Requests with the same text share the work of parsing, printing and encoding it, so making one
    is cheap. The text is parsed when a request is first used. One that ``anygql.dsl`` has built
    may know the type of its data: ``GraphQLRequest[Hero]``.

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
        "_built",
        "_operation",
        "_source",
        "extensions",
        "operation_name",
        "takes_json",
        "variable_values",
    )

    _built: Mapping[str | None, BuiltOperation] | None
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
        put(self, "_built", None)
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
        if self._built is not None:
            return _make_built, (*given, self._built)
        return GraphQLRequest, given

    def replace(
        self,
        *,
        variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> GraphQLRequest[_T_co]:
        """Return the request with other variables, operation or extensions.

        Values that ``anygql.dsl`` put into the operation stay, where there are no others for them.

        Args:
            variable_values: The variables, by name. Default: ``None``, those of this request.
            operation_name: The operation to run. Default: ``None``, that of this request.
            extensions: What to send as ``extensions``. Default: ``None``, those of this request.
        """
        new: GraphQLRequest[_T_co] = object.__new__(GraphQLRequest)
        new._assign(
            self._source,
            self.variable_values if variable_values is None else variable_values,
            self.operation_name if operation_name is None else operation_name,
            self.extensions if extensions is None else extensions,
            self.takes_json,
        )
        if self._built is not None:
            new._keep_built(self._built, None if variable_values is not None else self._values)
        return new

    def taking_json(self) -> GraphQLRequest[_T_co]:
        """Return the request for a caller that decodes the data itself."""
        new: GraphQLRequest[_T_co] = object.__new__(GraphQLRequest)
        put = object.__setattr__
        for name in self.__slots__:  # they have been checked
            put(new, name, getattr(self, name))
        put(new, "takes_json", True)
        return new

    def _keep_built(
        self,
        built: Mapping[str | None, BuiltOperation],
        previous: Mapping[str, Any] | None = None,
    ) -> None:
        """Add the values of the operation to those that were given; ``previous`` ones are not."""
        put = object.__setattr__
        put(self, "_built", built)
        values = self._values
        given = self.variable_values or {}
        if previous and previous is not values:
            given = {key: it for key, it in given.items() if previous.get(key, _NOTHING) is not it}
        if values or given:
            put(self, "variable_values", {**values, **given})

    @property
    def _values(self) -> Mapping[str, Any]:
        """The values that are part of the operation."""
        built = self._built_operation
        return {} if built is None else built.values

    @property
    def _built_operation(self) -> BuiltOperation | None:
        built = self._built
        if built is None:
            return None
        if self.operation_name is None and len(built) == 1:
            return next(iter(built.values()))
        return built.get(self.operation_name)

    @property
    def result_type(self) -> Any:
        """The type of the data, or of the part at ``path``, if the request was built with one."""
        built = self._built_operation
        return None if built is None else built.result_type

    @property
    def path(self) -> str | None:
        """The response key at which the data are of the ``result_type``; ``None`` for all data."""
        built = self._built_operation
        return None if built is None else built.path

    def typed_options(
        self, result_type: Any, path: str | None, camel_case: bool | None
    ) -> tuple[Any, str | None, bool | None]:
        """Return a call's options, or where it has none those that the request was built with.

        Args:
            result_type: The call's ``result_type``, or ``None``.
            path: The call's ``path``, or ``None``.
            camel_case: The call's ``camel_case``, or ``None``.
        """
        built = self._built_operation
        if built is None or result_type is not None or path is not None:
            return result_type, path, camel_case
        if camel_case is None and built.camel_case:
            camel_case = True
        return built.result_type, built.path, camel_case

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

    @property
    def has_one_field(self) -> bool:
        """Whether the operation surely selects one field at the top, and no more."""
        selections = self._source.selections.get(self.operation[0])
        return selections is not None and selections.has_one_field

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
            and self._built == other._built
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        # Variables may be passwords, so they are counted and not shown.
        name = f" {self.operation_name!r}" if self.operation_name else ""
        count = len(self.variable_values or ())
        return f"<GraphQLRequest{name}: {len(self.text)} characters, {count} variables>"


class ForeignRequest(Protocol):
    """Another library's request, such as gql's, which gql's DSL makes."""

    @property
    def document(self) -> Any:
        """The tree or the text of the document."""

    @property
    def variable_values(self) -> Mapping[str, Any] | None:
        """The variables, by name."""


#: Every form of a request.
Request: TypeAlias = "str | DocumentNode | GraphQLRequest | ForeignRequest"

_NOTHING = object()


def built_request(
    text: str, operations: Mapping[str | None, BuiltOperation]
) -> GraphQLRequest[Any]:
    """Return the request of a built document, by what is known of its operations."""
    return _make_built(text, None, None, None, operations)


def _make_built(
    text: str,
    variable_values: Mapping[str, Any] | None,
    operation_name: str | None,
    extensions: Mapping[str, Any] | None,
    built: Mapping[str | None, BuiltOperation],
) -> GraphQLRequest[Any]:
    request: GraphQLRequest[Any] = object.__new__(GraphQLRequest)
    request._assign(document_of(text), variable_values, operation_name, extensions)  # pyright: ignore[reportPrivateUsage]
    request._keep_built(built)  # pyright: ignore[reportPrivateUsage]
    return request


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
    if isinstance(request, str):
        own = GraphQLRequest(request, variable_values, operation_name, extensions)
        _ = own.operation
        return own
    own = _own(request)
    if variable_values is not None or operation_name is not None or extensions is not None:
        own = own.replace(
            variable_values=variable_values, operation_name=operation_name, extensions=extensions
        )
    _ = own.operation
    return own


def _own(request: Any) -> GraphQLRequest:
    """Return a request as it is, or one of a text, a tree, or another library's request."""
    if isinstance(request, GraphQLRequest):
        return cast("GraphQLRequest", request)
    if not (hasattr(request, "document") and hasattr(request, "variable_values")):
        return GraphQLRequest(request)
    return GraphQLRequest(
        request.document,
        request.variable_values,
        getattr(request, "operation_name", None),
        getattr(request, "extensions", None),
    )
