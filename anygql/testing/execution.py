"""How the test server executes operations, on what it shares with a local schema."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, get_operation_ast, parse

from ..documents.document import Document
from ..local.executor import AnyioExecutorMixin
from ..local.schema_execution import SchemaExecution
from .dialects import Start

__all__ = ["OperationFailed", "ServerExecution"]

_CACHED_DOCUMENTS = 256


class OperationFailed(Exception):
    """The operation can't be executed; ``errors`` are formatted."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = [error.formatted for error in errors]


class ServerExecution:
    """Executes a server's operations on its schema; each document is parsed and validated once."""

    def __init__(self, schema: GraphQLSchema, root_value: Any, close_timeout: float) -> None:
        self._execution = SchemaExecution(schema, close_timeout=close_timeout)
        self._root_value = root_value
        self._document = lru_cache(maxsize=_CACHED_DOCUMENTS)(_parsed)

    def prepare(self, start: Start, context: Any) -> AnyioExecutorMixin | ExecutionResult:
        """Return an operation's executor, or its result if the variables are wrong.

        Raise ``OperationFailed`` if the document is not valid, or has no such operation.
        """
        try:
            document = self._document(start.query)
            errors = self._execution.check(document)
            if not errors and get_operation_ast(document.node, start.operation_name) is None:
                errors = [GraphQLError("Unable to identify the operation to run.")]
        except GraphQLError as exc:
            raise OperationFailed([exc]) from exc
        if errors:
            raise OperationFailed(errors)
        executor = self._execution.prepare(
            document,
            start.operation_name,
            None if start.variables is None else dict(start.variables),
            root_value=self._root_value,
            context=context,
        )
        return ExecutionResult(None, executor) if isinstance(executor, list) else executor


def _parsed(query: str) -> Document:
    return Document(query, parse(query))
