"""How tasks wait until something has changed."""

from __future__ import annotations

from anyio import Event

__all__ = ["Signal"]


class Signal:
    """Wakes all tasks that wait for it, any number of times.

    It remembers nothing: a task looks at what it waits for, and waits if that isn't so yet, with
    no checkpoint between the two. No event loop is needed to make one, or to notify.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: Event | None = None

    def notify(self) -> None:
        """Wake the tasks that wait now."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait until the next ``notify``."""
        if self._event is None:
            self._event = Event()
        await self._event.wait()
