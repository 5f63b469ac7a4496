"""The active operations of one connection, each with a task and a cancel scope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from graphql import ExecutionResult, OperationType
from graphql.error import located_error

from ..concurrency.closing import aclose_within
from ..concurrency.signal import Signal
from ..local.executor import AnyioExecutor, AnyioExecutorMixin
from ..local.schema_execution import Payload, execute_events, format_result, open_events, run
from .dialects import Dialect, Message, Start
from .execution import OperationFailed, ServerExecution
from .outbox import Outbox, encode

__all__ = ["ActiveOperations"]


@dataclass(slots=True, eq=False)
class _Operation:
    id: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class ActiveOperations:
    """Starts and stops operations, and puts their messages into an outbox.

    Nothing of an operation is sent once it has been stopped. ``changed`` is notified when an
    operation begins or ends.
    """

    def __init__(
        self,
        dialect: Dialect,
        execution: ServerExecution,
        outbox: Outbox,
        changed: Signal,
    ) -> None:
        self._dialect = dialect
        self._execution = execution
        self._outbox = outbox
        self._changed = changed
        self._active: dict[str, _Operation] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._active

    @property
    def active(self) -> list[str]:
        """The ids of the active operations."""
        return list(self._active)

    def start(self, start: Start, context: Any, task_group: TaskGroup) -> None:
        """Start an operation; finish it at once if it needs no waiting, else run it in a task."""
        operation = self._active[start.id] = _Operation(start.id)
        self._changed.notify()
        try:
            outcome: Any = self._execution.prepare(start, context)
        except OperationFailed as exc:
            messages = [self._dialect.errors(start.id, exc.errors)]
        else:
            if isinstance(outcome, AnyioExecutorMixin):
                executor, outcome = outcome, _begin(outcome)
                if not isinstance(outcome, ExecutionResult):
                    task_group.start_soon(self._run, operation, executor, outcome)
                    return
            messages = self._whole(start.id, outcome)
        if self._outbox.is_full:
            task_group.start_soon(self._finish_scoped, operation, messages)
        else:
            self._outbox.add(*map(encode, messages))
            self._forget(operation)

    def stop(self, id: str) -> bool:
        """Stop an operation; return whether it was active."""
        operation = self._active.pop(id, None)
        if operation is None:
            return False
        operation.scope.cancel()
        self._changed.notify()
        return True

    def stop_all(self) -> None:
        """Stop all operations."""
        for active in self.active:
            self.stop(active)

    async def _run(self, operation: _Operation, executor: AnyioExecutorMixin, begun: Any) -> None:
        with operation.scope:
            if _is_subscription(executor):
                messages = await self._run_subscription(operation, executor)
            else:
                messages = await self._run_query(operation, executor, begun)
            await self._finish(operation, messages)

    async def _run_query(
        self, operation: _Operation, executor: AnyioExecutorMixin, begun: Any
    ) -> list[Message]:
        """Send the payloads of a query or mutation; return the message that ends it."""

        async def deliver(payload: Payload) -> bool:
            is_wanted = await self._is_wanted(operation)
            if is_wanted:
                self._outbox.add(encode(self._dialect.next(operation.id, payload)))
            return is_wanted

        await run(executor, deliver, begun)
        return self._dialect.complete(operation.id)

    async def _run_subscription(
        self, operation: _Operation, executor: AnyioExecutorMixin
    ) -> list[Message]:
        """Send the results of a subscription; return the messages that end it."""
        events = await open_events(executor)
        if isinstance(events, ExecutionResult):
            return self._whole(operation.id, events)
        started = self._dialect.started(operation.id)
        if started and self._is_active(operation):
            self._outbox.add(*map(encode, started))

        def deliver(result: ExecutionResult) -> None:
            if self._is_active(operation):
                self._outbox.add(encode(self._dialect.next(operation.id, format_result(result))))

        try:
            await execute_events(executor, events, lambda: self._is_wanted(operation), deliver)
        except Exception as exc:
            if not self._is_active(operation):
                raise  # a bug in its cleanup, which no message can tell the client
            return self._dialect.source_failed(operation.id, located_error(exc).formatted)
        else:
            return self._dialect.complete(operation.id)
        finally:
            await aclose_within(events, executor.close_timeout)

    def _whole(self, id: str, result: ExecutionResult) -> list[Message]:
        return [self._dialect.next(id, format_result(result)), *self._dialect.complete(id)]

    async def _finish_scoped(self, operation: _Operation, messages: Iterable[Message]) -> None:
        with operation.scope:
            await self._finish(operation, messages)

    async def _finish(self, operation: _Operation, messages: Iterable[Message]) -> None:
        if await self._is_wanted(operation):
            self._outbox.add(*map(encode, messages))
            self._forget(operation)

    async def _is_wanted(self, operation: _Operation) -> bool:
        """Wait until there is room for a message; return whether the operation is active still."""
        if self._outbox.is_full:
            await self._outbox.wait_room()
        return self._is_active(operation)

    def _is_active(self, operation: _Operation) -> bool:
        return self._active.get(operation.id) is operation

    def _forget(self, operation: _Operation) -> None:
        if self._is_active(operation):
            del self._active[operation.id]
            self._changed.notify()


def _is_subscription(executor: AnyioExecutorMixin) -> bool:
    return executor.operation.operation is OperationType.SUBSCRIPTION


def _begin(executor: AnyioExecutorMixin) -> Any:
    """Return the outcome of a query or mutation that leaves nothing to close, else ``None``."""
    if _is_subscription(executor) or not isinstance(executor, AnyioExecutor):
        return None
    return executor.execute_operation()
