"""A context that is entered in one task and left in another, under asyncio."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from anyio import Event
from anyio.abc import TaskStatus

from ..concurrency.asyncio_tasks import start

__all__ = ["Held"]

_T = TypeVar("_T")


class Held(Generic[_T]):
    """Holds a context open in a task of its own, from its entry to its exit."""

    def __init__(self, context: AbstractAsyncContextManager[_T]) -> None:
        self._context = context
        self._leave: Event
        self._tasks: list[Any] = []

    async def _hold(self, *, task_status: TaskStatus[_T]) -> None:
        async with self._context as value:
            task_status.started(value)
            await self._leave.wait()

    async def __aenter__(self) -> _T:
        """Enter the context. Raises what that raises."""
        self._leave = Event()
        value: _T = await start(self._hold, None, self._tasks.append)
        return value

    async def __aexit__(self, *_args: object) -> None:
        """Leave the context. Raises what that raises, or what has ended the task before."""
        self._leave.set()
        await self._tasks.pop()
