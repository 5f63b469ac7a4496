"""What asyncio alone has: tasks without a task group, and a count of requests to cancel one.

The only module that knows asyncio, and the only one that starts a task of nobody's task group: the
session of ``Client.connect_async()`` without one, which the client owns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from anyio import CancelScope

from ..exceptions import TransportClosed

__all__ = [
    "AsyncioTaskGroup",
    "is_being_canceled",
    "is_task_group",
    "running_loop",
    "start",
    "wake",
]


#: Return the asyncio loop that runs here. Unlike its public twin, it returns None where none runs.
running_loop = asyncio._get_running_loop


def wake(waiter: Any) -> None:
    """Wake the task that awaits a future, unless it has been woken or canceled."""
    if not waiter.done():
        try:
            waiter.set_result(None)
        except asyncio.InvalidStateError:
            # Ctrl-C: its handler may run between the two, and has canceled the task.
            return


class AsyncioTaskGroup(Protocol):
    """An ``asyncio.TaskGroup``."""

    def create_task(self, coro: Coroutine[Any, Any, Any], /) -> asyncio.Task[Any]:
        """Start a task in the group."""
        ...


def is_task_group(given: object) -> bool:
    """Return whether this can start asyncio tasks, as an ``asyncio.TaskGroup`` does."""
    return callable(getattr(given, "create_task", None))


def is_being_canceled() -> bool:
    """Return whether somebody has asked the current task to end, and it has not yet.

    anyio's cancel scopes ask by ``Task.cancel`` too, and take that back when they are left.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Start:
    """The start of a task, as ``anyio.abc.TaskStatus`` has it."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self.is_over = False
        self._told = asyncio.Event()

    def started(self, value: Any = None) -> None:
        """Hand ``value`` to the task that waits for the start."""
        self.value = value
        self._end()

    def fail(self, error: Exception | None) -> None:
        """Raise ``error`` in the task that waits for the start, unless it is over."""
        if not self.is_over:
            self.error = error
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._told.set()

    async def wait(self) -> None:
        await self._told.wait()


async def _run(function: Callable[..., Coroutine[Any, Any, None]], start: _Start) -> None:
    try:
        await function(task_status=start)
    except Exception as exc:
        if start.is_over:
            raise
        start.fail(exc)


async def start(
    function: Callable[..., Coroutine[Any, Any, None]],
    task_group: AsyncioTaskGroup | None,
    hold: Callable[[asyncio.Task[Any]], object],
) -> Any:
    """Start a task, and return what it calls ``task_status.started`` with.

    Canceled before that, it cancels the task and waits for its end.

    Args:
        function: An async function with the parameter ``task_status``.
        task_group: The group that owns the task, or ``None`` for no group.
        hold: Called with the task: asyncio itself keeps no reference to it.

    Raises:
        Exception: What the function raises before it has started.
        TransportClosed: The task was canceled before it had started.
    """
    start = _Start()
    coro = _run(function, start)
    try:
        task = asyncio.create_task(coro) if task_group is None else task_group.create_task(coro)
    except BaseException:
        coro.close()
        raise
    hold(task)
    # A task that is canceled before it has begun runs nothing at all.
    task.add_done_callback(lambda _: start.fail(None))
    try:
        await start.wait()
    except BaseException:
        task.cancel()
        with CancelScope(shield=True):
            await asyncio.wait([task])
        raise
    if start.error is not None:
        try:
            raise start.error
        finally:
            start.error = None
    if start.value is None:
        raise TransportClosed("the session's task was canceled before it was connected")
    value, start.value = start.value, None  # the task holds `start`, and must not hold the value
    return value
