"""What a server does with an operation, apart from sending its results."""

# graphql-core leaves some of its generic types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

# graphql-core leaves some of its generic types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    create_source_event_stream,
    execute,
    execute_subscription_event,
    get_operation_ast,
    parse,
    validate,
)

from ..local.executor import AnyioExecutor
from .dialects import Start

__all__ = ["EventStream", "Execution", "OperationFailed", "Outcome", "format_result"]

_CACHED_DOCUMENTS = 256


class OperationFailed(Exception):
    """The operation can't be executed: its formatted errors."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = [error.formatted for error in errors]


@dataclass(frozen=True, slots=True)
class EventStream:
    """A subscription: its source, and how an event becomes a result."""

    executor: Executor[Any]
    source: AsyncIterable[Any]

    def execute(self, event: Any) -> ExecutionResult | Awaitable[ExecutionResult]:
        """The result of one event; an event that is a result already is not executed."""
        if isinstance(event, ExecutionResult):
            return event
        executor = self.executor.build_per_event_executor(event)
        return execute_subscription_event(executor)


Outcome: TypeAlias = ExecutionResult | EventStream


@dataclass
class Execution:
    """Runs operations on one schema; documents are parsed and validated once."""

    schema: GraphQLSchema
    root_value: Any = None
    _documents: dict[str, DocumentNode] = field(default_factory=dict[str, DocumentNode])

    def __post_init__(self) -> None:
        if any(directive.name in {"defer", "stream"} for directive in self.schema.directives):
            raise ValueError(
                "this server has no incremental delivery: leave @defer and @stream out of its "
                "schema, or use LocalSchemaTransport"
            )

    def begin(self, start: Start, context: Any) -> Outcome | Awaitable[Outcome]:
        """Start an operation; raises ``OperationFailed`` if it is not valid."""
        document = self._prepare(start.query)
        operation = get_operation_ast(document, start.operation_name)
        if operation is None:
            raise OperationFailed([GraphQLError("Unable to identify the operation to run.")])
        if operation.operation is OperationType.SUBSCRIPTION:
            return self._subscribe(document, start, context)
        return execute(
            self.schema,
            document,
            self.root_value,
            context,
            _variables(start.variables),
            start.operation_name,
            executor_class=AnyioExecutor,
        )

    def _prepare(self, query: str) -> DocumentNode:
        document = self._documents.get(query)
        if document is None:
            try:
                document = parse(query)
            except GraphQLError as exc:
                raise OperationFailed([exc]) from exc
            if errors := validate(self.schema, document):
                raise OperationFailed(errors)
            if len(self._documents) >= _CACHED_DOCUMENTS:
                self._documents.clear()
            self._documents[query] = document
        return document

    async def _subscribe(self, document: DocumentNode, start: Start, context: Any) -> Outcome:
        executor = AnyioExecutor.build(
            self.schema,
            document,
            self.root_value,
            context,
            _variables(start.variables),
            start.operation_name,
        )
        if isinstance(executor, list):
            return ExecutionResult(None, executor)
        source = create_source_event_stream(executor)
        if isinstance(source, Awaitable):
            source = await source
        if isinstance(source, ExecutionResult):
            return source
        return EventStream(executor, source)


def _variables(variables: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if variables is None else dict(variables)


def format_result(result: ExecutionResult) -> dict[str, Any]:
    """The result as it goes over the wire: a request that failed has no ``data``."""
    formatted: dict[str, Any] = {}
    if result.errors is None:
        formatted["data"] = result.data
    else:
        if result.data is not None or any(error.path for error in result.errors):
            formatted["data"] = result.data
        formatted["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        formatted["extensions"] = result.extensions
    return formatted
