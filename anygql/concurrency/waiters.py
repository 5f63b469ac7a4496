"""Where a task waits until another wakes it: one wait, one wake, nothing in between.

``anyio.Event`` is made for any number of waiters, and made anew for each wait, which costs more
than all else that happens to a message. Each loop has something smaller for one task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import cache
from typing import Any

from anyio.lowlevel import EventLoopToken

__all__ = ["Parked", "Parking"]

#: One task's wait, to be awaited once, and cancelled like any other.
Parked = Awaitable[Any]


@cache
def _trio() -> tuple[Callable[[], Parked], Callable[[Parked], None]]:
    from trio import lowlevel

    class Place:
        """A task that waits, or is about to."""

        __slots__ = ("task", "woken")

        def __init__(self) -> None:
            self.task: lowlevel.Task | None = None
            self.woken = False

        def __await__(self) -> Generator[Any, Any, Any]:
            waiting: Any
            if self.woken:
                waiting = lowlevel.checkpoint()  # noqa: ASYNC105 - awaited by who gets it
            else:
                self.task = lowlevel.current_task()
                waiting = lowlevel.wait_task_rescheduled(self.abort)  # noqa: ASYNC105 - likewise
            return waiting.__await__()  # type: ignore[no-any-return]

        def abort(self, raise_cancel: object) -> lowlevel.Abort:
            self.task = None
            return lowlevel.Abort.SUCCEEDED

    def wake(parked: Any) -> None:
        parked.woken = True
        task, parked.task = parked.task, None
        if task is not None:
            lowlevel.reschedule(task)

    return Place, wake


def _wake_future(parked: Any) -> None:
    if not parked.done():
        parked.set_result(None)


class Parking:
    """The places of one loop.

    ``park()`` gives a place to be awaited; ``wake(place)`` lets whoever waits there go on, in the
    same thread, before or while it waits, and may be called again.
    """

    __slots__ = ("park", "shields_hold", "wake")

    park: Callable[[], Parked]
    wake: Callable[[Parked], None]
    #: Whether no cancellation reaches into a shielded scope: asyncio's own does.
    shields_hold: bool

    def __init__(self, token: EventLoopToken) -> None:
        create_future = getattr(token.native_token, "create_future", None)
        if create_future is not None:  # asyncio's
            self.park, self.wake = create_future, _wake_future
            self.shields_hold = False
        else:
            self.park, self.wake = _trio()
            self.shields_hold = True
