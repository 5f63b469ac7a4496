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
        if self._lock is None or self._lock[0] != loop:
            self._lock = (loop, Lock())
        return self._lock[1]
