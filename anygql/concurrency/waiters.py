"""Where one task waits until another wakes it: the smallest thing that each loop has for that.

``anyio.Event`` is made for any number of waiting tasks, and made anew for each wait, which costs
more than everything else that happens to a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import cache
from typing import Any, TypeAlias

from anyio.lowlevel import EventLoopToken

__all__ = ["Waiter", "waiters_of"]

#: One wait of one task, to be awaited once. It can be canceled like any other await.
Waiter: TypeAlias = Awaitable[Any]


def waiters_of(token: EventLoopToken) -> tuple[Callable[[], Waiter], Callable[[Waiter], None]]:
    """Return what makes a waiter, and what wakes one, for the loop of ``token``.

    Waking works in the loop's own thread, before the task waits or while it does. Waking a waiter
    again does nothing.
    """
    create_future = getattr(token.native_token, "create_future", None)
    if create_future is not None:  # asyncio's loop
        return create_future, _wake_future
    return _trio()


@cache
def _trio() -> tuple[Callable[[], Waiter], Callable[[Waiter], None]]:
    from trio import lowlevel

    class TrioWaiter:
        """A task that waits, or is about to."""

        __slots__ = ("task", "woken")

        def __init__(self) -> None:
            self.task: lowlevel.Task | None = None
            self.woken = False

        def __await__(self) -> Generator[Any, Any, Any]:
            waiting: Any
            if self.woken:
                waiting = lowlevel.checkpoint()  # noqa: ASYNC105 - awaited by the caller
            else:
                self.task = lowlevel.current_task()
                waiting = lowlevel.wait_task_rescheduled(self.abort)  # noqa: ASYNC105 - likewise
            return waiting.__await__()  # type: ignore[no-any-return]

        def abort(self, raise_cancel: object) -> lowlevel.Abort:
            self.task = None
            return lowlevel.Abort.SUCCEEDED

    def wake(waiter: Any) -> None:
        waiter.woken = True
        task, waiter.task = waiter.task, None
        if task is not None:
            lowlevel.reschedule(task)

    return TrioWaiter, wake


def _wake_future(waiter: Any) -> None:
    if not waiter.done():
        waiter.set_result(None)
