"""A lock for what is shared, on whichever loop it is used."""

from __future__ import annotations

from anyio import Lock
from anyio.lowlevel import EventLoopToken, current_token

__all__ = ["LoopLock"]


class LoopLock:
    """One ``anyio.Lock`` for the loop that runs, and a new one when it is another loop."""

    def __init__(self) -> None:
        self._lock: tuple[EventLoopToken, Lock] | None = None

    def here(self) -> Lock:
        """Return the lock of the running loop."""
        loop = current_token()
        if self._lock is None or self._lock[0] != loop:
            self._lock = (loop, Lock())
        return self._lock[1]
