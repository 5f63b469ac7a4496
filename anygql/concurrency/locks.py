"""A lock for an object that is used on one event loop, and later perhaps on another."""

from __future__ import annotations

from anyio import Lock
from anyio.lowlevel import EventLoopToken, current_token

__all__ = ["LoopLock"]


class LoopLock:
    """An ``anyio.Lock`` for the running loop, and a new one when another loop runs."""

    def __init__(self) -> None:
        self._lock: tuple[EventLoopToken, Lock] | None = None

    def here(self) -> Lock:
        """Return the lock of the running loop."""
        loop = current_token()
        lock = self._lock  # once: a loop in another thread may set its own meanwhile
        if lock is None or lock[0] != loop:
            self._lock = lock = (loop, Lock())
        return lock[1]
