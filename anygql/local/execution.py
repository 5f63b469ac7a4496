"""How a local schema executes a session's requests, with JSON values in and out."""

# graphql-core leaves some of its generic types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, cast

import graphql
from anyio.lowlevel import checkpoint
from graphql import GraphQLError, GraphQLSchema, MiddlewareManager

from ..concurrency.closing import aclose_within
from ..concurrency.interrupts import interruptible
from ..delivery.independent import RunningStream
from ..documents.request import GraphQLRequest
from ..json import JSON, encode_named
from ..results.incremental import IncrementalMerge
from ..results.result import ExecutionResult
from .executor import AnyioExecutorMixin
from .schema_execution import (
    Payload,
    SchemaExecution,
    execute_events,
    format_result,
    open_events,
    run,
)
from .variables import plain_variables

__all__ = ["LocalExecution"]

logger = logging.getLogger(__name__)

#: Takes each state of a result; returns whether to go on.
_OnState: TypeAlias = Callable[[ExecutionResult], Awaitable[bool]]


class LocalExecution:
    """Executes a session's requests on one schema; the results look as they would over the wire."""

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        root_value: Any,
        context: Any,
        validate: bool,
        middleware: list[Any] | tuple[Any, ...] | MiddlewareManager | None,
        close_timeout: float | None,
        json: JSON,
    ) -> None:
        if isinstance(middleware, list | tuple):
            middleware = MiddlewareManager(*middleware)
        self._execution = SchemaExecution(
            schema,
            validate=validate,
            middleware=middleware,
            close_timeout=close_timeout,
            logger=logger,
        )
        self._root_value = root_value
        self._context = context
        self._json = json

    def variables(self, request: GraphQLRequest) -> dict[str, Any]:
        """Return a request's variables as a server would get them, but with its files in place."""
        return plain_variables(request, self._json)

    @interruptible
    async def execute(
        self, request: GraphQLRequest, variables: dict[str, Any], on_state: _OnState | None = None
    ) -> ExecutionResult:
        """Run a query or mutation, call ``on_state`` with each state, and return the last one.

        Canceling cancels the resolvers, and waits until they have ended.
        """
        await checkpoint()
        executor = await self._executor(request, variables)
        if isinstance(executor, list):
            state = ExecutionResult(None, _formatted(executor))
            if on_state is not None:
                await on_state(state)
            return state
        state = ExecutionResult()
        merge = IncrementalMerge()

        async def add(payload: Payload) -> bool:
            nonlocal state
            plain = self._plain(payload)
            if isinstance(plain, ExecutionResult):
                state = plain
            elif "hasNext" in plain:
                state = merge.add(plain)
            else:
                state = ExecutionResult(**plain)
            going_on = on_state is None or await on_state(state)
            return going_on and state is not plain

        await run(executor, add)
        return state

    @interruptible
    async def subscribe(
        self, request: GraphQLRequest, variables: dict[str, Any], stream: RunningStream
    ) -> None:
        """Put the results of a subscription into the stream's feed.

        The source of the events is opened, iterated and closed by this one task.
        """
        await checkpoint()
        executor = await self._executor(request, variables)
        if isinstance(executor, list):
            stream.reject(_formatted(executor))
            return
        events = await open_events(executor)
        if isinstance(events, graphql.ExecutionResult):
            errors = events.errors or []
            for error in errors:
                _log_source(error.original_error)
            stream.reject(_formatted(errors))
            return

        def add(result: graphql.ExecutionResult) -> None:
            if not stream.feed.over:
                stream.feed.next(self._result(result))

        try:
            await execute_events(executor, events, stream.room, add)
        except Exception as exc:
            if stream.feed.over:
                raise
            _log_source(exc)
            stream.reject(_formatted([graphql.located_error(exc)]))
        finally:
            await aclose_within(events, executor.close_timeout)

    async def _executor(
        self, request: GraphQLRequest, variables: dict[str, Any]
    ) -> AnyioExecutorMixin | list[GraphQLError]:
        """Return an executor for the operation, or the errors of the request as a whole."""
        if errors := self._execution.check(request.source):
            return errors
        try:
            context = await _resolve(self._context, request)
            root_value = await _resolve(self._root_value, request)
        except GraphQLError as exc:
            return [exc]
        return self._execution.prepare(
            request.source,
            request.operation_name,
            variables,
            root_value=root_value,
            context=context,
        )

    def _result(self, result: graphql.ExecutionResult) -> ExecutionResult:
        plain = self._plain(format_result(result))
        return plain if isinstance(plain, ExecutionResult) else ExecutionResult(**plain)

    def _plain(self, payload: Payload) -> dict[str, Any] | ExecutionResult:
        """Return the payload as it would arrive; an error if it has no JSON form."""
        try:
            text = encode_named(self._json, payload, "result")
        except TypeError as exc:
            return ExecutionResult(None, [{"message": str(exc)}])
        return cast("dict[str, Any]", self._json.decode(text))


def _formatted(errors: Iterable[GraphQLError]) -> list[Any]:
    return [error.formatted for error in errors]


async def _resolve(value: Any, request: GraphQLRequest) -> Any:
    """Return a value, or what a function or async function returns for the request."""
    if callable(value) and not isinstance(value, type):
        value = value(request)
        if inspect.isawaitable(value):
            value = await value
    return value


def _log_source(error: Exception | None) -> None:
    """Log a bug in the source of a subscription, since its traceback ends here."""
    if error is not None and not isinstance(error, GraphQLError):
        logger.error("the source of a subscription failed", exc_info=error)
