"""graphql-core's executor, without asyncio: sibling fields run in an anyio task group.

graphql-core awaits several awaitable fields (or list items) at once with ``asyncio.gather``,
which needs asyncio's loop. This executor does it with anyio. So async resolvers run on trio too,
and none of its tasks outlives the operation.
"""

# graphql-core leaves some of its generic types open:
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import contextlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Collection,
    Iterable,
    Sequence,
)
from logging import Logger
from typing import Any, NoReturn

import anyio
from graphql import (
    Executor,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    located_error,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.executor import to_nodes
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental
from graphql.pyutils import AwaitableOrValue, Path, Undefined

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.closing import aclose
from ..concurrency.exception_groups import single
from ..concurrency.interrupts import uninterruptible

__all__ = ["AnyioExecutor", "AnyioExecutorMixin", "gather"]


@uninterruptible
async def gather(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    """Await all at once. The first exception cancels the others, and is raised."""
    results: list[Any] = [None] * len(awaitables)

    async def run(index: int, awaitable: Awaitable[Any]) -> None:
        try:
            results[index] = await awaitable
        except BaseException as exc:
            if stray := stray_cancellation(exc, "a resolver"):
                raise stray from exc
            raise

    try:
        async with anyio.create_task_group() as task_group:
            for index, awaitable in enumerate(awaitables):
                task_group.start_soon(run, index, awaitable)
    except BaseExceptionGroup as group:
        error = _most_urgent(group)
    else:
        return results
    raise error


def _most_urgent(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return a group's first exception, or a cancellation or interrupt if there is one."""
    for error in group.exceptions:
        if not isinstance(single(error), Exception):
            return single(error)
    return single(group.exceptions[0])


async def _abandon(awaitables: Sequence[Awaitable[Any]], error: Exception) -> NoReturn:
    """Cancel awaitables that an error has made superfluous, then raise the error.

    Each is started, and canceled at its first checkpoint. A coroutine that is merely closed would
    never await the coroutines that it holds.
    """
    with anyio.CancelScope() as scope, contextlib.suppress(Exception):
        scope.cancel()
        await gather(awaitables)
    raise error


class AnyioExecutorMixin(Executor[Any]):
    """Makes one of graphql-core's executors run on either loop.

    It overrides the three places where graphql-core 3.3 gathers (an object's fields, a list's
    items, an async iterator's items) and the two hooks for asynchronous work.
    """

    #: Seconds that a source of events, or of a streamed list, may take to close.
    close_timeout: float | None = 10
    #: Gets the exceptions of resolvers that aren't a ``GraphQLError``.
    logger: Logger | None = None

    def handle_field_error(
        self,
        raw_error: Exception,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        path: Path,
    ) -> None:
        """Add an error to the result; log a bug too, since its traceback ends here."""
        if self.logger is not None and not isinstance(raw_error, GraphQLError):
            self.logger.error("%s failed", ".".join(map(str, path.as_list())), exc_info=raw_error)
        super().handle_field_error(raw_error, return_type, field_details_list, path)

    async def aclose(self) -> None:
        """Close what the operation has left open, when it is over."""

    def gather_async_work(self, values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
        """Await all values at once."""
        return gather(values)

    def settle_in_background(self, awaitables: list[Awaitable[Any]]) -> None:
        """Close the awaitables: here nothing runs in the background."""
        for awaitable in awaitables:
            close = getattr(awaitable, "close", None)
            if close is not None:
                close()

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Execute an object's fields, the asynchronous ones at once."""
        results: dict[str, Any] = {}
        try:
            for name, details in grouped_field_set.items():
                field_path = Path(path, name, parent_type.name)
                result = self.execute_field(
                    parent_type, source_value, details, field_path, position_context
                )
                if result is not Undefined:
                    results[name] = result
        except Exception as exc:  # noqa: BLE001 - _fail raises it
            return self._fail(results.values(), exc)
        pending = [name for name, value in results.items() if self.is_awaitable(value)]
        return self._settle(results, pending) if pending else results

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        """Complete a list's items, the asynchronous ones at once."""
        completed: list[Any] = []
        iterator = iter(items)
        try:
            usage = self.get_stream_usage(field_details_list, path)
            while True:
                index = len(completed)
                if (
                    usage
                    and index == usage.initial_count
                    and self.handle_stream(index, path, iterator, False, usage, info, item_type)
                ):
                    break
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                self._complete_item(
                    item, completed, item_type, field_details_list, info, path, position_context
                )
        except Exception as exc:  # noqa: BLE001 - _fail raises it
            # The rest of a list may hold coroutines; a generator is just not resumed.
            left = iterator if isinstance(items, Collection) else ()
            return self._fail([*completed, *left], exc)
        return self._settle_list(completed)

    async def complete_async_iterator_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        async_iterator: AsyncIterator[Any],
        position_context: Any,
    ) -> list[Any]:
        """Collect an async iterator's items, then complete them as those of a list."""
        items: list[Any] = []
        streamed = False
        try:
            usage = self.get_stream_usage(field_details_list, path)
            while True:
                index = len(items)
                if (
                    usage
                    and index == usage.initial_count
                    and self.handle_stream(
                        index, path, async_iterator, True, usage, info, item_type
                    )
                ):
                    streamed = True
                    break
                try:
                    items.append(await anext(async_iterator))
                except StopAsyncIteration:
                    break
        except Exception as exc:
            raise located_error(exc, to_nodes(field_details_list), path.as_list()) from exc
        finally:
            if not streamed:
                await aclose(async_iterator)
        completed: list[Any] = []
        try:
            for item in items:
                self._complete_item(
                    item, completed, item_type, field_details_list, info, path, position_context
                )
        except Exception as exc:  # noqa: BLE001 - _abandon raises it
            await _abandon([value for value in completed if self.is_awaitable(value)], exc)
        settled = self._settle_list(completed)
        return settled if isinstance(settled, list) else await settled

    def _complete_item(
        self,
        item: Any,
        completed: list[Any],
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        position_context: Any,
    ) -> None:
        """Complete a list's next item, or add an awaitable that will complete it."""
        at = path.add_key(len(completed), None)
        if self.is_awaitable(item):
            completed.append(
                self.complete_awaitable_list_item_value(
                    item, item_type, field_details_list, info, at, position_context
                )
            )
        else:
            self.complete_list_item_value(
                item, completed, item_type, field_details_list, info, at, position_context
            )

    def _settle_list(self, completed: list[Any]) -> AwaitableOrValue[list[Any]]:
        pending = [index for index, value in enumerate(completed) if self.is_awaitable(value)]
        return self._settle(completed, pending) if pending else completed

    def _fail(self, values: Iterable[Any], error: Exception) -> Awaitable[NoReturn]:
        """Raise the error, after canceling the awaitables among the values."""
        if pending := [value for value in values if self.is_awaitable(value)]:
            return _abandon(pending, error)
        raise error

    @staticmethod
    async def _settle(container: Any, pending: Sequence[Any]) -> Any:
        """Replace the awaitables in a container by their values."""
        if len(pending) == 1:
            (key,) = pending
            container[key] = await container[key]
            return container
        values = await gather([container[key] for key in pending])
        for key, value in zip(pending, values, strict=True):
            container[key] = value
        return container


class AnyioExecutor(AnyioExecutorMixin, ExecutorThrowingOnIncremental):
    """An executor for graphql-core's ``execute`` and ``subscribe`` that runs on either loop.

    Use it as ``execute(schema, document, executor_class=AnyioExecutor)``. ``@defer`` and
    ``@stream`` are errors.
    """
