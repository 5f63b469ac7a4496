"""Detection of a peer that is gone, though the connection looks open.

There are two ways, which may be combined. One waits for anything from the peer
(``keep_alive_timeout``); the other sends pings (``ping_interval``, ``pong_timeout``). While the
connection itself has stopped reading, or something has blocked the loop, silence does not count.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from anyio import create_task_group, current_time, move_on_after, sleep, sleep_until

from ..concurrency.interrupts import uninterruptible
from ..delivery.flow import Flow

__all__ = ["KeepAliveTimes", "PeerMonitor"]

#: Seconds. A timer that is so late tells that the loop was blocked: what has come from the peer
#: meanwhile is not read yet.
LATE = 0.05


class KeepAliveTimes:
    """The three times of keep-alive, in seconds.

    ``None`` turns ``keep_alive_timeout`` or ``ping_interval`` off. A ``pong_timeout`` of ``None``
    is ``default_pong_share`` of ``ping_interval``.
    """

    def __init__(
        self,
        keep_alive_timeout: float | None,
        ping_interval: float | None,
        pong_timeout: float | None,
        default_pong_share: float = 0.5,
    ) -> None:
        self.keep_alive_timeout = keep_alive_timeout
        self.ping_interval = ping_interval
        if pong_timeout is None and ping_interval is not None:
            pong_timeout = ping_interval * default_pong_share
        self.pong_timeout = math.inf if pong_timeout is None else pong_timeout


class PeerMonitor:
    """Watches the peer of one connection.

    ``ping`` sends a ping and returns when a pong has followed it. ``report_dead`` is called with
    the reason when the peer is found dead.
    """

    def __init__(
        self,
        times: KeepAliveTimes,
        flow: Flow,
        ping: Callable[[], Awaitable[None]],
        report_dead: Callable[[str], None],
    ) -> None:
        self._times = times
        self._keep_alive_timeout = times.keep_alive_timeout
        self._flow = flow
        self._ping = ping
        self._report_dead = report_dead
        self._last_activity = math.inf

    @property
    def is_enabled(self) -> bool:
        """Whether there is anything to watch."""
        return self._keep_alive_timeout is not None or self._times.ping_interval is not None

    def learn_timeout(self, timeout: float | None) -> None:
        """Take the ``keep_alive_timeout`` that the server has told, unless the user's is shorter.

        Call it before ``run``.
        """
        given = self._keep_alive_timeout
        if timeout is not None and (given is None or timeout < given):
            self._keep_alive_timeout = timeout

    def start_listening(self) -> None:
        """Count silence from now on."""
        if self._keep_alive_timeout is not None and self._last_activity == math.inf:
            self._last_activity = current_time()

    def note_activity(self) -> None:
        """Note that something has come from the peer."""
        if self._last_activity != math.inf:
            self._last_activity = current_time()

    async def run(self) -> None:
        """Watch the peer until it is dead, or until canceled."""
        async with create_task_group() as tg:
            if self._keep_alive_timeout is not None:
                tg.start_soon(self._listen, self._keep_alive_timeout)
            if self._times.ping_interval is not None:
                tg.start_soon(self._ask, self._times.ping_interval)

    @uninterruptible
    async def _listen(self, timeout: float) -> None:
        while True:
            silent_at = self._last_activity + timeout
            now = current_time()
            if self._flow.paused or self._last_activity == math.inf:
                await self._sleep_until(now + timeout)
                if self._flow.paused:
                    self.note_activity()
            elif now < silent_at:
                await self._sleep_until(silent_at)
            else:
                self._report_dead(f"nothing was heard for {timeout:g} s (keep_alive_timeout)")
                return

    async def _sleep_until(self, deadline: float) -> None:
        """Sleep. If the loop was blocked at the end, count silence anew."""
        await sleep_until(deadline)
        if current_time() - deadline > LATE:
            self.note_activity()

    @uninterruptible
    async def _ask(self, interval: float) -> None:
        timeout = self._times.pong_timeout
        while True:
            await sleep(interval)
            if self._flow.paused:
                continue
            pauses = self._flow.pauses
            with move_on_after(timeout) as scope:
                await self._ping()
            # If reading paused meanwhile, or the loop was blocked, a pong may have come unseen: the
            # next ping decides.
            is_late = current_time() - scope.deadline > LATE
            if scope.cancelled_caught and self._flow.pauses == pauses and not is_late:
                self._report_dead(f"no pong came within {timeout:g} s of a ping (pong_timeout)")
                return
