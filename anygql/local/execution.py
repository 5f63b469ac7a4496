"""What a server does with an operation, without a server: validated, executed, as JSON values."""

# graphql-core leaves some of its generic types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakKeyDictionary

import graphql
from anyio import move_on_after
from anyio.lowlevel import checkpoint
from graphql import GraphQLError, GraphQLSchema, MiddlewareManager

from ..delivery.independent import RunningStream
from ..documents.document import Document
from ..documents.files import FileVar, extract_files
from ..documents.request import GraphQLRequest
from ..json import JSON, encode_named
from ..results.incremental import IncrementalMerge
from ..results.result import ExecutionResult
from .executor import AnyioExecution, AnyioExecutor, aclose

if TYPE_CHECKING:
    from .incremental import GrowingResult

__all__ = ["LocalExecution"]

logger = logging.getLogger(__name__)

#: ``@defer`` or ``@stream``, with what the language ignores in between (specification §2.1).
_INCREMENTAL_DIRECTIVE = re.compile(r"@(?:[\s,\ufeff]|#[^\r\n]*)*(?:defer|stream)\b")

_Show: TypeAlias = Callable[[ExecutionResult], Awaitable[bool]]


class LocalExecution:
    """Executes operations on one schema; each document is validated once."""

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
        self._schema = schema
        self._root_value = root_value
        self._context = context
        self._validate = validate
        if isinstance(middleware, list | tuple):
            middleware = MiddlewareManager(*middleware)
        self._middleware = middleware
        self._close_timeout = close_timeout
        self._json = json
        # As long as the documents live: those given as text are kept by their own cache.
        self._validated: WeakKeyDictionary[Document, list[GraphQLError]] = WeakKeyDictionary()

    def variables(self, request: GraphQLRequest) -> dict[str, Any]:
        """A request's variables as a server would get them, but with its files in their places.

        Raises ``TypeError``, naming the path, for what has no JSON form.
        """
        if not request.variable_values:
            return {}
        given, files = extract_files(request.variable_values)
        variables = self._json.decode(encode_named(self._json, given, "variables"))
        for file, paths in files:
            for path in paths:
                _put(variables, path, file)
        return cast("dict[str, Any]", variables)

    async def execute(
        self, request: GraphQLRequest, variables: dict[str, Any], show: _Show | None = None
    ) -> ExecutionResult:
        """Run a query or mutation; ``show`` is given each state, and says whether to go on.

        Cancelling cancels the resolvers, and waits until they have ended.
        """
        await checkpoint()
        executor = await self._executor(request, variables)
        if isinstance(executor, ExecutionResult):
            if show is not None:
                await show(executor)
            return executor
        try:
            result: Any = executor.execute_operation()
            if inspect.isawaitable(result):
                result = await result
            if not isinstance(result, graphql.ExecutionResult):
                return await self._grow(result, show)
            whole = self._result(result)
            if show is not None:
                await show(whole)
            return whole
        finally:
            await executor.aclose()

    async def _grow(self, growing: GrowingResult, show: _Show | None) -> ExecutionResult:
        merge = IncrementalMerge()
        state = ExecutionResult()

        async def add(payload: dict[str, Any]) -> bool:
            nonlocal state
            plain = self._plain(payload)
            state = plain if isinstance(plain, ExecutionResult) else merge.add(plain)
            going_on = show is None or await show(state)
            return going_on and state is not plain

        if await add(growing.initial):
            await growing.rest(add)
        return state

    async def subscribe(
        self, request: GraphQLRequest, variables: dict[str, Any], stream: RunningStream
    ) -> None:
        """Put the results of a subscription into the stream's feed.

        The source of the events is made, asked, and closed by this one task.
        """
        await checkpoint()
        executor = await self._executor(request, variables)
        if isinstance(executor, ExecutionResult):
            stream.reject(executor.errors or [])
            return
        source: Any = graphql.create_source_event_stream(executor)
        if inspect.isawaitable(source):
            source = await source
        if isinstance(source, graphql.ExecutionResult):
            errors = source.errors or []
            for error in errors:
                _log_source(error.original_error)
            stream.reject(_formatted(errors))
            return
        events = aiter(source)
        try:
            await self._follow(executor, events, stream)
        except Exception as exc:
            if stream.feed.over:
                raise
            _log_source(exc)
            stream.reject(_formatted([graphql.located_error(exc)]))
        finally:
            with move_on_after(self._close_timeout, shield=True):
                await aclose(events)

    async def _follow(self, executor: AnyioExecution, events: Any, stream: RunningStream) -> None:
        while await stream.room():
            try:
                event = await anext(events)
            except StopAsyncIteration:
                return
            result: Any = event  # may be a result already, which is not executed
            if not isinstance(event, graphql.ExecutionResult):
                each = executor.build_per_event_executor(event)
                result = graphql.execute_subscription_event(each)
            if inspect.isawaitable(result):
                result = await result
            if stream.feed.over:
                return
            stream.feed.next(self._result(result))

    async def _executor(
        self, request: GraphQLRequest, variables: dict[str, Any]
    ) -> AnyioExecution | ExecutionResult:
        """What will execute the operation, or the errors of the request as a whole."""
        errors = self._check(request)
        if errors:
            return ExecutionResult(None, _formatted(errors))
        try:
            context = await _asked(self._context, request)
            root_value = await _asked(self._root_value, request)
            kind = _incremental_executor() if _is_incremental(request.source) else AnyioExecutor
        except GraphQLError as exc:
            return ExecutionResult(None, _formatted([exc]))
        executor = kind.build(
            self._schema,
            request.document,
            root_value,
            context,
            variables,
            request.operation_name,
            middleware=self._middleware,
        )
        if isinstance(executor, list):
            return ExecutionResult(None, _formatted(executor))
        executor = cast("AnyioExecution", executor)
        executor.close_timeout = self._close_timeout
        executor.logger = logger
        return executor

    def _check(self, request: GraphQLRequest) -> list[GraphQLError]:
        if not self._validate:
            return []
        errors = self._validated.get(request.source)
        if errors is None:
            errors = graphql.validate(self._schema, request.document)
            self._validated[request.source] = errors
        return errors

    def _result(self, result: graphql.ExecutionResult) -> ExecutionResult:
        formatted: dict[str, Any] = {"data": result.data}
        if result.errors:
            formatted["errors"] = _formatted(result.errors)
        if result.extensions:
            formatted["extensions"] = result.extensions
        plain = self._plain(formatted)
        return plain if isinstance(plain, ExecutionResult) else ExecutionResult(**plain)

    def _plain(self, payload: dict[str, Any]) -> dict[str, Any] | ExecutionResult:
        """The payload as it arrives over the wire; if it would not even leave, why."""
        try:
            text = encode_named(self._json, payload, "result")
        except TypeError as exc:
            return ExecutionResult(None, [{"message": str(exc)}])
        return cast("dict[str, Any]", self._json.decode(text))


def _is_incremental(document: Document) -> bool:
    return document.grows or _INCREMENTAL_DIRECTIVE.search(document.text) is not None


def _incremental_executor() -> type[AnyioExecution]:
    """Import the executor for ``@defer`` and ``@stream``, which needs private names."""
    try:
        from .incremental import GrowingExecutor
    except ImportError as exc:
        raise GraphQLError(
            f"@defer and @stream can't be executed with graphql-core {graphql.__version__}: {exc}",
            original_error=exc,
        ) from exc
    return GrowingExecutor


def _formatted(errors: Iterable[GraphQLError]) -> list[Any]:
    return [error.formatted for error in errors]


async def _asked(value: Any, request: GraphQLRequest) -> Any:
    """The value, or what a function or async function gives for it and the request."""
    if callable(value) and not isinstance(value, type):
        value = value(request)
        if inspect.isawaitable(value):
            value = await value
    return value


def _log_source(error: Exception | None) -> None:
    """A bug is logged, since its traceback ends here."""
    if error is not None and not isinstance(error, GraphQLError):
        logger.error("the source of a subscription failed", exc_info=error)


def _put(variables: Any, path: str, file: FileVar) -> None:
    """Put a file where ``path`` (``variables.input.files.0``) says."""
    *parents, last = path.split(".")[1:]
    holder = variables
    for key in parents:
        holder = _child(holder, key, path)[1]
    key, _ = _child(holder, last, path)
    holder[key] = file


def _child(holder: Any, key: str, path: str) -> tuple[Any, Any]:
    """What ``holder`` has at ``key``, after the key as it is there."""
    at: Any = int(key) if isinstance(holder, list) and key.isdigit() else key
    try:
        return at, holder[at]
    except (KeyError, TypeError) as exc:
        raise TypeError(f"{path}: no file can stand below a name with a dot in it") from exc
