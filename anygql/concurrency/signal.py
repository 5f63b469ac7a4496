"""A signal that wakes every task waiting for it, any number of times."""

from __future__ import annotations

from anyio import Event

__all__ = ["Signal"]


class Signal:
    """Tells waiting tasks that something may have changed; each looks at what by itself."""

    def __init__(self) -> None:
        self._event: Event | None = None

    def notify(self) -> None:
        """Wake every task that is in ``wait`` now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait until ``notify`` is called."""
        if self._event is None:
            self._event = Event()
        await self._event.wait()
