"""Incremental results on either loop: ``@defer`` and ``@stream`` by graphql-core's plan.

graphql-core 3.3 decides what is deferred, in which order parts may be delivered, and what else a
failure nulls. But it runs the work in asyncio tasks that nothing owns. Here the work runs in an
anyio task group, which ends with the operation.
"""

# The parts that are replaced are graphql-core's own, which leaves some of its types open:
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportPrivateUsage=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup
from graphql import GraphQLOutputType, GraphQLResolveInfo, located_error
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.executor import to_nodes
from graphql.execution.incremental.incremental_executor import (
    DeliveryGroup,
    DeliveryGroupMap,
    IncrementalExecutor,
)
from graphql.execution.incremental.incremental_publisher import IncrementalPublisher
from graphql.execution.incremental.work_queue import (
    Stream,
    Work,
    WorkQueue,
    WorkQueueTerminationEvent,
    WorkResult,
    WorkTask,
    _StreamFailure,
    _StreamItems,
    _StreamSuccess,
    _TaskFailure,
    _TaskNode,
    _TaskSuccess,
)
from graphql.pyutils import Path
from graphql.type import GraphQLObjectType

from ..concurrency.closing import aclose_within
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..concurrency.signal import Signal
from .executor import AnyioExecutorMixin

__all__ = ["AnyioIncrementalExecutor", "IncrementalResult"]

#: The most items of a streamed list in one batch; a batch never waits for more items.
BATCH = 100

#: Iterators over lists and tuples, which are finite and run no code of the schema's.
_COLLECTION_ITERATORS: tuple[type, ...] = (type(iter([])), type(iter(())))


class _PendingPart:
    """The result of a deferred part, still to be awaited by a task of the task group."""

    def __init__(self, result: Any) -> None:
        self.result = result


class _StreamedItems:
    """The rest of a streamed list: graphql-core's queue of items, without a task for it."""

    def __init__(
        self,
        iterator: Iterator[Any] | AsyncIterator[Any],
        index: int,
        close_timeout: float | None,
        complete: Callable[[int, Any], WorkResult | Awaitable[WorkResult]],
        locate: Callable[[Exception], Exception],
    ) -> None:
        self._iterator = iterator
        self._index = index
        self._close_timeout = close_timeout
        self._complete = complete
        self._locate = locate
        self._closed = False
        self._begun: WorkResult | Awaitable[WorkResult] | None = None
        self._failure: Exception | None = None
        self._stopped = False

    def is_stopped(self) -> bool:
        """Return whether the last item has been returned."""
        return self._stopped

    def abort(self, reason: BaseException | None = None) -> None:
        """Do nothing: the source is closed at the end of the operation."""

    def batches(self) -> AsyncIterator[Sequence[WorkResult]]:
        """Raise ``NotImplementedError``; ``batch`` takes its place."""
        raise NotImplementedError

    async def batch(self) -> list[WorkResult]:
        """Return the next items, none after the last; raise the error that ended the list.

        No item waits for the next one: a batch has several only if they are there at once.
        """
        if self._failure is not None:
            raise self._failure
        found: list[WorkResult] = []
        try:
            while len(found) < BATCH and await self._begin():
                result, self._begun = self._begun, None
                if not isinstance(result, WorkResult):
                    if found:
                        self._begun = result
                        break
                    result = await cast("Awaitable[WorkResult]", result)
                found.append(result)
                if not isinstance(self._iterator, Iterator):
                    break
        except Exception as exc:
            if not found:
                raise
            self._failure = exc
        return found

    async def _begin(self) -> bool:
        """Begin to complete the next item, unless begun already; return False after the last."""
        if self._begun is not None:
            return True
        try:
            if isinstance(self._iterator, Iterator):
                item = next(self._iterator)
            else:
                item = await anext(self._iterator)
        except (StopIteration, StopAsyncIteration):
            self._stopped = True
            return False
        except Exception as exc:
            raise self._locate(exc) from exc
        self._begun = self._complete(self._index, item)
        self._index += 1
        return True

    @uninterruptible
    async def aclose(self) -> None:
        """Close an async source within ``close_timeout``, and coroutines left in a list."""
        if self._closed:
            return
        self._closed = True
        if isinstance(self._begun, Awaitable):
            # Merely closed, it would never await the coroutines that it holds.
            with anyio.CancelScope(shield=True) as scope, suppress(Exception):
                scope.cancel()
                await self._begun
        if not isinstance(self._iterator, Iterator):
            await aclose_within(self._iterator, self._close_timeout)
        elif isinstance(self._iterator, _COLLECTION_ITERATORS):
            for item in self._iterator:  # a coroutine among them would never be awaited
                if isinstance(item, Coroutine):
                    item.close()


class _IncrementalWork(WorkQueue):
    """graphql-core's graph of the work, run in a task group."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._tasks: TaskGroup
        self._failures: dict[WorkTask, Exception] = {}
        self._pushed = Signal()

    async def run(self, deliver: Callable[[list[Any]], Awaitable[bool]]) -> None:
        """Do the work; ``deliver`` takes its events, and returns whether to go on."""
        with unwrapped():
            async with anyio.create_task_group() as self._tasks:
                for group in list(self._root_groups):
                    self._start_group(group)
                for stream in list(self._root_streams):
                    self._start_stream(stream)
                while not self._stopped:
                    events = self._take_events()
                    if not events:
                        await self._pushed.wait()
                    elif not await deliver(events):
                        self._stopped = True
                # Parts that another part's failure has nulled may still be running.
                self._tasks.cancel_scope.cancel()

    def _take_events(self) -> list[Any]:
        """Return the events since the last call."""
        events: list[Any] = []
        while not self._channel.empty():
            events += self._handle_graph_event(self._channel.get_nowait())
        if not self._root_groups and not self._root_streams:
            self._stopped = True
            events.append(WorkQueueTerminationEvent())
        return events

    def _push(self, graph_event: Any) -> None:
        super()._push(graph_event)
        self._pushed.notify()

    def _start_task(self, task: WorkTask) -> None:
        if task not in self._task_nodes:
            self._task_nodes[task] = _TaskNode()
            self._tasks.start_soon(self._run_task, task)
        elif task in self._failures:
            self._push(_TaskFailure(task, self._failures[task]))

    async def _run_task(self, task: WorkTask) -> None:
        try:
            later = cast("_PendingPart", task.computation.result())
            result = later.result
            if not isinstance(result, WorkResult):
                result = await result
        except Exception as exc:  # noqa: BLE001 - delivered as the error of the part
            self._failures[task] = exc
            self._push(_TaskFailure(task, exc))
        else:
            self._push(_TaskSuccess(task, result))

    def _start_stream(self, stream: Stream) -> None:
        self._tasks.start_soon(self._run_stream, stream)

    async def _run_stream(self, stream: Stream) -> None:
        items = cast("_StreamedItems", stream.queue)
        try:
            while found := await items.batch():
                handled = anyio.Event()
                self._push(_StreamItems(stream, found, cast("Any", handled)))
                # The next batch waits until these items are planned in, and the consumer is ready.
                await handled.wait()
        except Exception as exc:  # noqa: BLE001 - delivered as the error of the list
            self._push(_StreamFailure(stream, exc))
        else:
            self._push(_StreamSuccess(stream))
        finally:
            await items.aclose()  # by the task that has iterated them


class IncrementalResult:
    """A first payload, and the work for the others."""

    def __init__(self, data: Any, errors: list[Any], work: Work) -> None:
        self._work = _IncrementalWork(work)
        self._publisher = IncrementalPublisher()
        pending = self._publisher._to_pending_results(
            cast("Any", self._work.initial_groups), cast("Any", self._work.initial_streams)
        )
        #: The first payload, as it would go over the wire.
        self.initial: dict[str, Any] = {
            "data": data,
            "pending": [each.formatted for each in pending],
            "hasNext": True,
        }
        if errors:
            self.initial["errors"] = [error.formatted for error in errors]

    async def run(self, deliver: Callable[[dict[str, Any]], Awaitable[bool]]) -> None:
        """Do the work, and deliver each payload until ``deliver`` returns False.

        Canceling this, or an exception in ``deliver``, cancels all of the work.
        """

        async def publish(events: list[Any]) -> bool:
            return await deliver(cast("Any", self._publisher._handle_batch(events).formatted))

        await self._work.run(publish)


class AnyioIncrementalExecutor(AnyioExecutorMixin, IncrementalExecutor):
    """Executes operations with ``@defer`` and ``@stream``, on either loop.

    ``execute_operation`` returns an ``IncrementalResult`` where something is deferred or streamed.
    ``aclose`` must be called when the operation is over.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Shared by the sub-executors, which are shallow copies.
        self._sources: list[_StreamedItems] = []

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """Return the result, or the first payload with the work for the others."""
        work = self.get_incremental_work()
        if not work.tasks and not work.streams:
            return super().build_response(data)
        return IncrementalResult(data, self.collected_errors.errors, work)

    def execute_execution_group(
        self,
        delivery_groups: Sequence[DeliveryGroup],
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        delivery_group_map: DeliveryGroupMap,
    ) -> Any:
        """Begin a deferred part; ``_IncrementalWork`` awaits it."""
        return _PendingPart(
            super().execute_execution_group(
                delivery_groups,
                parent_type,
                source_value,
                path,
                grouped_field_set,
                delivery_group_map,
            )
        )

    def build_stream_item_queue(
        self,
        initial_index: int,
        stream_path: Path,
        iterator: Iterator[Any] | AsyncIterator[Any],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        item_type: GraphQLOutputType,
        is_async: bool,
    ) -> Any:
        """Return the queue for the rest of a streamed list."""

        def complete(index: int, item: Any) -> Any:
            return self.create_sub_executor().complete_stream_item(
                stream_path.add_key(index, None), item, field_details_list, info, item_type
            )

        def locate(error: Exception) -> Exception:
            return located_error(error, to_nodes(field_details_list), stream_path.as_list())

        items = _StreamedItems(iterator, initial_index, self.close_timeout, complete, locate)
        self._sources.append(items)
        return items

    async def aclose(self) -> None:
        """Close the sources of streamed lists."""
        async with AsyncExitStack() as stack:
            for items in self._sources:
                stack.push_async_callback(items.aclose)
