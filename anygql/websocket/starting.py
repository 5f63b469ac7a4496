"""The time limit within which the server must start a subscription, for protocols that have one."""

from __future__ import annotations

from collections.abc import Callable

from anyio import Event, current_time, sleep_until

from ..delivery.flow import Flow

__all__ = ["StartLimit"]


class StartLimit:
    """Watches the subscriptions of one connection that are to be started.

    ``report`` is called with the id of one that has not been started in time, and the limit. Make
    one while the loop runs.
    """

    def __init__(self, seconds: float, flow: Flow, report: Callable[[str, float], None]) -> None:
        self._seconds = seconds
        self._flow = flow
        self._report = report
        # When the limit of each is over, and how often reading had paused when it began. The limit
        # is the same for all, so the oldest comes first.
        self._waiting: dict[str, tuple[float, int]] = {}
        self._begun = Event()

    def begin(self, id: str) -> None:
        """Limit the time from now until the subscription is started."""
        self._waiting[id] = (current_time() + self._seconds, self._flow.pauses)
        self._begun.set()

    def end(self, id: str) -> None:
        """Limit the subscription no longer: it has been started, or it is over."""
        self._waiting.pop(id, None)

    async def run(self) -> None:
        """Report what is late, until canceled."""
        while True:
            if not self._waiting:
                self._begun = Event()
                await self._begun.wait()
            id, (due, pauses) = next(iter(self._waiting.items()))
            if current_time() < due:
                await sleep_until(due)
                continue
            del self._waiting[id]
            if self._flow.paused or self._flow.pauses != pauses:
                # The server may have said so, and we have not read it.
                self.begin(id)
            else:
                self._report(id, self._seconds)
