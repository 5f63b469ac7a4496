"""One refresh, which tasks of several event loops may wait for, in a thread each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from anyio import Event
from anyio.lowlevel import current_token

from ...concurrency.loop import RunningLoop

__all__ = ["Refresh"]


class Refresh:
    """One refresh, and how it ended. Make it in a task of the loop that it runs on.

    Args:
        is_lost: Whether the session that it runs in is over, and so nothing will come of it.
    """

    def __init__(self, is_lost: Callable[[], bool]) -> None:
        self.is_lost = is_lost
        self.error: Exception | None = None
        self.succeeded = False
        self._loop = RunningLoop()
        self._lock = Lock()
        self._is_over = False
        #: What each loop waits for, by its native token.
        self._waiting: dict[object, tuple[RunningLoop, Event]] = {}

    @property
    def runs_here(self) -> bool:
        """Whether it runs on the loop of the current task."""
        return self._loop.is_running

    async def wait(self) -> None:
        """Wait until it is over. Canceling doesn't cancel it."""
        with self._lock:
            if self._is_over:
                return
            token = current_token().native_token
            if token not in self._waiting:
                self._waiting[token] = RunningLoop(), Event()
            _, over = self._waiting[token]
        await over.wait()

    def end(self) -> None:
        """Wake all who wait."""
        with self._lock:
            self._is_over = True
            waiting, self._waiting = self._waiting, {}
        for loop, over in waiting.values():
            if loop.is_running:
                over.set()
            else:
                with suppress(RuntimeError):  # that loop is over
                    loop.post(over.set)
