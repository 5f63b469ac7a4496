"""Validate and execute operations on a schema: all that a server does but for sending results.

``LocalSchemaTransport`` and the server of ``anygql.testing`` share this module. Its payloads are
those that a server would send, before they are encoded.
"""

# graphql-core leaves some of its generic types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from logging import Logger
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

import graphql
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, MiddlewareManager
from graphql import validate as validate_document

from ..documents.document import Document
from .executor import AnyioExecutor, AnyioExecutorMixin

__all__ = [
    "Deliver",
    "Payload",
    "SchemaExecution",
    "execute_events",
    "format_result",
    "open_events",
    "run",
]

Payload: TypeAlias = dict[str, Any]

#: Takes the next payload of an operation; returns whether to go on.
Deliver: TypeAlias = Callable[[Payload], Awaitable[bool]]

#: ``@defer`` and ``@stream`` with what the language ignores in between (specification §2.1).
_INCREMENTAL_DIRECTIVE = re.compile(r"@(?:[\s,\ufeff]|#[^\r\n]*)*(?:defer|stream)\b")


class SchemaExecution:
    """Executes operations on one schema; each document is validated once.

    ``logger`` gets the exceptions of resolvers that aren't a ``GraphQLError``.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        validate: bool = True,
        middleware: MiddlewareManager | None = None,
        close_timeout: float | None = 10,
        logger: Logger | None = None,
    ) -> None:
        self._schema = schema
        self._validate = validate
        self._middleware = middleware
        self._close_timeout = close_timeout
        self._logger = logger
        # Lives as long as the documents; those given as text are kept by their own cache.
        self._validated: WeakKeyDictionary[Document, list[GraphQLError]] = WeakKeyDictionary()

    def check(self, document: Document) -> list[GraphQLError]:
        """Return the document's errors; raise ``GraphQLSyntaxError`` if it can't be parsed."""
        if not self._validate:
            return []
        errors = self._validated.get(document)
        if errors is None:
            errors = self._validated[document] = validate_document(self._schema, document.node)
        return errors

    def prepare(
        self,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        *,
        root_value: Any,
        context: Any,
    ) -> AnyioExecutorMixin | list[GraphQLError]:
        """Return an executor for one operation, or the errors of the request as a whole.

        Call ``check`` before: this does not validate.
        """
        try:
            kind = _incremental_executor() if _is_incremental(document) else AnyioExecutor
        except GraphQLError as exc:
            return [exc]
        executor = kind.build(
            self._schema,
            document.node,
            root_value,
            context,
            variables,
            operation_name,
            middleware=self._middleware,
        )
        if isinstance(executor, list):
            return executor
        executor = cast("AnyioExecutorMixin", executor)
        executor.close_timeout = self._close_timeout
        executor.logger = self._logger
        return executor


def _is_incremental(document: Document) -> bool:
    return document.is_incremental or _INCREMENTAL_DIRECTIVE.search(document.text) is not None


def _incremental_executor() -> type[AnyioExecutorMixin]:
    """Import the executor for ``@defer`` and ``@stream``.

    It needs private names of graphql-core; raise ``GraphQLError`` if a release doesn't have them.
    """
    try:
        from .incremental import AnyioIncrementalExecutor
    except ImportError as exc:
        raise GraphQLError(
            f"@defer and @stream can't be executed with graphql-core {graphql.__version__}: {exc}",
            original_error=exc,
        ) from exc
    return AnyioIncrementalExecutor


async def run(executor: AnyioExecutorMixin, deliver: Deliver, begun: Any = None) -> None:
    """Run a query or mutation until all payloads are delivered, or ``deliver`` returns False.

    ``begun`` is what ``execute_operation`` returned, if it has been called already.
    Canceling cancels the resolvers, and waits until they have ended.
    """
    try:
        result: Any = executor.execute_operation() if begun is None else begun
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, ExecutionResult):
            await deliver(format_result(result))
        elif await deliver(result.initial):
            await result.run(deliver)
    finally:
        await executor.aclose()


async def open_events(executor: AnyioExecutorMixin) -> AsyncIterator[Any] | ExecutionResult:
    """Return a subscription's events, or a result with errors if there are none.

    Close the events with ``aclose_within``, in the task that has called this.
    """
    source: Any = graphql.create_source_event_stream(executor)
    if inspect.isawaitable(source):
        source = await source
    return source if isinstance(source, ExecutionResult) else aiter(source)


async def execute_events(
    executor: AnyioExecutorMixin,
    events: AsyncIterator[Any],
    is_wanted: Callable[[], Awaitable[bool]],
    deliver: Callable[[ExecutionResult], None],
) -> None:
    """Execute a subscription's events until there are no more, or none is wanted.

    An event that is an ``ExecutionResult`` already is not executed. Exceptions of the source are
    raised as they are.
    """
    while await is_wanted():
        try:
            event = await anext(events)
        except StopAsyncIteration:
            return
        result: Any = event
        if not isinstance(event, ExecutionResult):
            result = graphql.execute_subscription_event(executor.build_per_event_executor(event))
        if inspect.isawaitable(result):
            result = await result
        deliver(result)


def format_result(result: ExecutionResult) -> Payload:
    """Return the payload of a result; that of a failed request has no ``data`` (§7.1.1)."""
    formatted: Payload = {}
    if not result.errors:
        formatted["data"] = result.data
    else:
        if result.data is not None or any(error.path for error in result.errors):
            formatted["data"] = result.data
        formatted["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        formatted["extensions"] = result.extensions
    return formatted
