"""The loop that runs: its clock, its waiters, and the way into it from outside of any task."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio import current_time
from anyio.lowlevel import EventLoopToken, current_token

from .interrupts import uninterruptible
from .waiters import Waiter, is_asyncio, waiters_of

__all__ = ["RunningLoop", "is_loop_running"]


def is_loop_running() -> bool:
    """Return whether an event loop runs in this thread, so that whatever blocks would block it."""
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return True
    return trio is not None and bool(trio.lowlevel.in_trio_run())


class RunningLoop:
    """What a connection or session keeps of the loop on which it was entered.

    Make one in a task of that loop.
    """

    __slots__ = ("_native", "_running", "new_waiter", "now", "shields_hold", "token", "wake")

    #: Return ``anyio.current_time``; unlike that, it may be called outside of a task.
    now: Callable[[], float]
    #: Return a new waiter: see ``waiters.py``.
    new_waiter: Callable[[], Waiter]
    #: Wake a waiter, in this loop's thread.
    wake: Callable[[Waiter], None]
    #: Whether no cancellation reaches into a shielded scope. asyncio's own ``Task.cancel`` does.
    shields_hold: bool

    def __init__(self) -> None:
        self.token: EventLoopToken = current_token()
        native: Any = self.token.native_token
        self.now = getattr(native, "time", current_time)
        self._native = native
        self.new_waiter, self.wake, self._running = waiters_of(self.token)
        self.shields_hold = not is_asyncio(self.token)

    @property
    def is_running(self) -> bool:
        """Whether this is the loop that runs here."""
        return self._running() is self._native

    def check(self, what: str) -> None:
        """Raise ``RuntimeError`` if another loop runs here, or none: ``what`` can't wait there."""
        if self._running() is not self._native:
            raise RuntimeError(
                f"{what} belongs to another event loop: use it in the loop, and thread, in which "
                "it was opened"
            )

    @uninterruptible  # Python would drop an interrupt of a finalizer
    def call_soon(self, function: Callable[[], None]) -> None:
        """Have the loop call ``function``, outside of any task.

        For finalizers, which the garbage collector may run in any thread and in the middle of
        anything: both loops promise that this one entry is safe then. If the loop is over,
        ``function`` is called at once: nothing runs any more that it could interrupt, nor anything
        that it could tell.
        """
        try:
            self.post(function)
        except RuntimeError:
            with suppress(RuntimeError):
                function()

    def post(self, function: Callable[[], None]) -> None:
        """Have the loop call ``function``, outside of any task. Call this from any thread.

        Raises ``RuntimeError`` if the loop is over.
        """
        native: Any = self.token.native_token
        call = getattr(native, "run_sync_soon", None) or native.call_soon_threadsafe
        call(function)
