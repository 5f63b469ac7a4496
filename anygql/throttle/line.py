"""The operations that wait, in the order in which they came.

No task is started: the first in line waits for its own time, and wakes the next when it leaves.
Threads may share a line, whose time goes on from one event loop to the next.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import insort
from functools import partial
from itertools import count

from anyio import move_on_after

from ..concurrency.loop import RunningLoop
from ..concurrency.waiters import Waiter
from .answers import Answer
from .limits import Limits, Reason, Spending

__all__ = ["Line", "Place"]

#: The shortest sleep, in seconds: every clock moves by it.
_SHORTEST_SLEEP = 1e-6


class _Clock:
    """The line's time, on one event loop."""

    __slots__ = ("_offset", "loop")

    def __init__(self, latest: float) -> None:
        self.loop = RunningLoop()
        self._offset = max(time.monotonic(), latest) - self.loop.now()

    def now(self) -> float:
        return self.loop.now() + self._offset


class Place:
    """An operation's place in line. It keeps that when it is sent again.

    Args:
        number: The place: lower numbers go first.
        spending: What the operation spends.
        clock: The time, on the event loop of the operation's task.
    """

    __slots__ = ("clock", "is_waiting", "number", "spending", "waited", "waiter")

    def __init__(self, number: int, spending: Spending, clock: _Clock) -> None:
        self.number = number
        self.spending = spending
        self.clock = clock
        self.is_waiting = False
        #: Seconds for which it has waited, in all.
        self.waited = 0.0
        self.waiter: Waiter | None = None


class Line:
    """Operations that wait until limits let them go."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._places: list[Place] = []
        self._numbers = count()
        self._clocks: list[_Clock] = []
        self._latest = 0.0

    @property
    def counts(self) -> tuple[int, int]:
        """The number of operations that wait, and of those that are under way."""
        return len(self._places), self._limits.under_way

    def new_place(self, spending: Spending) -> Place:
        """Return a place behind all others, for an operation of the running task."""
        for clock in self._clocks:
            if clock.loop.is_running:
                return Place(next(self._numbers), spending, clock)
        with self._lock:
            clock = _Clock(self._latest)
            # Others may be of loops that are over. One that isn't gets a new clock.
            waiting = {each.clock for each in self._places}
            self._clocks = [clock, *(each for each in self._clocks if each in waiting)]
        return Place(next(self._numbers), spending, clock)

    def enter(self, place: Place) -> float:
        """Get in line. Return 0 if the operation may be sent at once: it is out of line then.

        Otherwise return the seconds that it has to wait, infinite if that isn't certain.
        """
        with self._lock:
            insort(self._places, place, key=_number)
            place.is_waiting = True
            if self._places[0].clock is not place.clock:
                self._wake_first(place.clock)  # or it goes, if its loop is over
            return self._go(place)

    def expect(self, place: Place) -> tuple[float, Reason]:
        """Return the seconds that a place has to wait, infinite if unknown, and the reason."""
        with self._lock:
            ahead = [each.spending for each in self._places if each.number < place.number]
            return self._limits.delay(place.spending, self._now(place), ahead)

    async def wait(self, place: Place, most: float) -> bool:
        """Wait until an operation in line may be sent. It has left the line then.

        Return False if that takes more than ``most`` seconds. ``leave`` then, and if canceled.
        """
        begun = place.clock.now()
        try:
            while True:
                with self._lock:
                    delay = self._go(place)
                    if delay == 0:
                        return True
                    place.waiter = waiter = place.clock.loop.new_waiter()
                left = begun + most - place.clock.now()
                if left <= 0 or left < delay < math.inf:
                    return False
                with move_on_after(max(_SHORTEST_SLEEP, min(delay, left))):
                    await waiter
        finally:
            place.waited += place.clock.now() - begun

    def leave(self, place: Place) -> None:
        """Leave the line, if the operation is still in it."""
        with self._lock:
            if place.is_waiting:
                self._remove(place)

    def settle(self, place: Place, answer: Answer) -> None:
        """Learn what the answer to an operation says, which is over."""
        with self._lock:
            self._limits.settle(place.spending, answer, self._now(place))
            self._wake_first(place.clock)

    def _now(self, place: Place) -> float:
        """Return the time, and let it pass for the limits."""
        now = place.clock.now()
        self._latest = max(self._latest, now)
        self._limits.advance(now)
        return now

    def _go(self, place: Place) -> float:
        """Charge for an operation and return 0, if it may go; or return how long it has to wait."""
        if self._places[0] is not place:
            return math.inf
        now = self._now(place)
        delay, _ = self._limits.delay(place.spending, now)
        if delay == 0:
            self._limits.charge(place.spending, now)
            self._remove(place)
        return delay

    def _remove(self, place: Place) -> None:
        was_first = self._places[0] is place
        self._places.remove(place)
        place.is_waiting = False
        if was_first:
            self._wake_first(place.clock)

    def _wake_first(self, clock: _Clock) -> None:
        """Have the first in line look again."""
        while self._places:
            first = self._places[0]
            loop, waiter = first.clock.loop, first.waiter
            if waiter is None:
                return  # it is about to look
            if first.clock is clock:
                loop.wake(waiter)
                return
            try:
                loop.post(partial(loop.wake, waiter))
            except RuntimeError:
                self._places.pop(0).is_waiting = False  # its loop is over
            else:
                return


def _number(place: Place) -> int:
    return place.number
