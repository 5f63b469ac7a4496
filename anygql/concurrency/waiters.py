"""Where one task waits until another wakes it: the smallest thing that each loop has for that.

``anyio.Event`` is made for any number of waiting tasks, and made anew for each wait, which costs
more than everything else that happens to a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import cache
from typing import Any, TypeAlias

from anyio.lowlevel import EventLoopToken

from .interrupts import mark_for_trio

__all__ = ["Waiter", "is_asyncio", "waiters_of"]

#: One wait of one task, to be awaited once. It can be canceled like any other await.
Waiter: TypeAlias = Awaitable[Any]


_Functions: TypeAlias = (
    "tuple[Callable[[], Waiter], Callable[[Waiter], None], Callable[[], object]]"
)


def is_asyncio(token: EventLoopToken) -> bool:
    """Return whether this is a loop of asyncio's kind, uvloop included, and not trio's."""
    return hasattr(token.native_token, "create_future")


def waiters_of(token: EventLoopToken) -> _Functions:
    """Return three functions of the loop of ``token``.

    The first makes a waiter. The second wakes one, in the loop's own thread, before the task waits
    or while it does; waking a waiter again does nothing. The third returns the native
    token of the loop that runs here, if one does.
    """
    if not is_asyncio(token):
        return _trio()
    from . import asyncio_tasks  # only where asyncio runs anyway

    loop: Any = token.native_token
    return loop.create_future, asyncio_tasks.wake, asyncio_tasks.running_loop


@cache
def _trio() -> _Functions:
    from trio import lowlevel

    mark_for_trio(lowlevel.enable_ki_protection, lowlevel.disable_ki_protection)

    class TrioWaiter:
        """A task that waits, or is about to."""

        __slots__ = ("task", "woken")

        def __init__(self) -> None:
            self.task: lowlevel.Task | None = None
            self.woken = False

        # Ctrl-C may raise KeyboardInterrupt between any two instructions that aren't protected. It
        # must not do so between telling that a task waits and waiting, nor in waking.

        @lowlevel.enable_ki_protection
        def __await__(self) -> Generator[Any, Any, Any]:
            waiting: Any
            if self.woken:
                waiting = lowlevel.checkpoint()  # noqa: ASYNC105 - awaited by the caller
            else:
                self.task = lowlevel.current_task()
                waiting = lowlevel.wait_task_rescheduled(self.abort)  # noqa: ASYNC105 - likewise
            return waiting.__await__()  # type: ignore[no-any-return]

        @lowlevel.enable_ki_protection
        def abort(self, raise_cancel: object) -> lowlevel.Abort:
            self.task = None
            return lowlevel.Abort.SUCCEEDED

    @lowlevel.enable_ki_protection
    def wake(waiter: Any) -> None:
        waiter.woken = True
        task, waiter.task = waiter.task, None
        if task is not None:
            lowlevel.reschedule(task)

    def running() -> object:
        try:
            return lowlevel.current_trio_token()
        except RuntimeError:
            return None

    return TrioWaiter, wake, running
