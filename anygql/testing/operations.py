"""The operations that are active on one connection: a task and a cancel scope for each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from graphql import ExecutionResult
from graphql.error import located_error

from ..local.executor import aclose
from .dialects import Dialect, Start
from .execution import EventStream, Execution, OperationFailed, Outcome, format_result
from .outbox import Bell, Outbox, encode

__all__ = ["Operations"]

Message = dict[str, Any]


@dataclass(slots=True, eq=False)
class _Operation:
    id: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Operations:
    """Starts and stops operations, and sends what they yield to an outbox.

    Nothing of an operation is sent once it has been stopped. ``changed`` rings when one begins
    or ends; ``close_timeout`` bounds the time that a source of events takes to close.
    """

    def __init__(
        self,
        dialect: Dialect,
        execution: Execution,
        outbox: Outbox,
        changed: Bell,
        close_timeout: float,
    ) -> None:
        self._dialect = dialect
        self._execution = execution
        self._outbox = outbox
        self._changed = changed
        self._close_timeout = close_timeout
        self._active: dict[str, _Operation] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._active

    @property
    def active(self) -> list[str]:
        """The ids of the active operations."""
        return list(self._active)

    def start(self, start: Start, context: Any, task_group: TaskGroup) -> None:
        """Start one; what needs no waiting is done here, the rest in a task."""
        operation = self._active[start.id] = _Operation(start.id)
        self._changed.ring()
        try:
            outcome = self._execution.begin(start, context)
        except OperationFailed as exc:
            messages = [self._dialect.errors(start.id, exc.errors)]
        else:
            if not isinstance(outcome, ExecutionResult):
                task_group.start_soon(self._run, operation, outcome)
                return
            messages = self._last(start.id, outcome)
        if self._outbox.is_full:
            task_group.start_soon(self._finish_scoped, operation, messages)
        else:
            self._outbox.add(*map(encode, messages))
            self._forget(operation)

    def stop(self, id: str) -> bool:
        """Stop one; whether it was active."""
        operation = self._active.pop(id, None)
        if operation is None:
            return False
        operation.scope.cancel()
        self._changed.ring()
        return True

    def stop_all(self) -> None:
        """Stop all of them."""
        for active in self.active:
            self.stop(active)

    async def _run(self, operation: _Operation, outcome: Any) -> None:
        with operation.scope:
            if inspect.isawaitable(outcome):
                outcome = await outcome
            await self._deliver(operation, outcome)

    async def _deliver(self, operation: _Operation, outcome: Outcome) -> None:
        if isinstance(outcome, EventStream):
            messages = await self._stream(operation, outcome)
        else:
            messages = self._last(operation.id, outcome)
        await self._finish(operation, messages)

    async def _stream(self, operation: _Operation, stream: EventStream) -> list[Message]:
        """Send the results of a subscription; returns the messages that end it."""
        events = aiter(stream.source)
        try:
            async for event in events:
                result = stream.execute(event)
                if not isinstance(result, ExecutionResult):
                    result = await result
                message = self._dialect.next(operation.id, format_result(result))
                await self._send(operation, [message])
        except Exception as exc:
            if self._active.get(operation.id) is not operation:
                raise  # it failed while it was being stopped: a bug, and nobody else to be told
            return self._dialect.source_failed(operation.id, located_error(exc).formatted)
        else:
            return [self._dialect.complete(operation.id)]
        finally:
            with anyio.move_on_after(self._close_timeout, shield=True):
                await aclose(events)

    def _last(self, id: str, result: ExecutionResult) -> list[Message]:
        return [self._dialect.next(id, format_result(result)), self._dialect.complete(id)]

    async def _finish(self, operation: _Operation, messages: Iterable[Message]) -> None:
        await self._send(operation, messages)
        self._forget(operation)

    async def _finish_scoped(self, operation: _Operation, messages: Iterable[Message]) -> None:
        with operation.scope:
            await self._finish(operation, messages)

    async def _send(self, operation: _Operation, messages: Iterable[Message]) -> None:
        """Send messages of an operation, unless it has been stopped meanwhile."""
        if self._outbox.is_full:
            await self._outbox.wait_room()
        if self._active.get(operation.id) is operation:
            self._outbox.add(*map(encode, messages))
        else:
            await checkpoint()  # ends it: its source may have no other

    def _forget(self, operation: _Operation) -> None:
        if self._active.get(operation.id) is operation:
            del self._active[operation.id]
            self._changed.ring()
