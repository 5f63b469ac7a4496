"""The connections that are kept for the next request, and how many requests run at a time."""

from __future__ import annotations

from collections import deque

from anyio import sleep_until
from anyio.abc import TaskGroup

from ...concurrency.interrupts import uninterruptible
from ...concurrency.loop import RunningLoop
from ...concurrency.waiters import Waiter
from .connection import Connection
from .target import Origin

__all__ = ["Pool"]


class _Turn:
    """A request that waits until another one is over."""

    __slots__ = ("has_come", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.has_come = False


class Pool:
    """The connections of a session. The one that was used last is used next.

    Args:
        limit: Queries and mutations that run at a time; others wait. Streams don't count.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[_Turn] = deque()
        self._idle: dict[Origin, deque[Connection]] = {}
        self._in_use: set[Connection] = set()
        self._is_closed = False
        self._is_expiring = False
        #: The time when the last connection of all that were put back expires.
        self._last_expiry = 0.0
        # Set by `start`: there may be no event loop before.
        self._loop: RunningLoop
        self._tasks: TaskGroup

    def start(self, loop: RunningLoop, tasks: TaskGroup) -> None:
        """Begin to work, on this loop, with a task in this group."""
        self._loop = loop
        self._tasks = tasks

    # How many requests run.

    async def acquire(self) -> None:
        """Wait for this request's turn; ``release`` it afterwards. If canceled, it has none."""
        if self._free:
            self._free -= 1
            return
        turn = _Turn(self._loop.new_waiter())
        self._waiting.append(turn)
        try:
            await turn.waiter
        except BaseException:
            if turn.has_come:
                self.release()
            else:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Let the next request have its turn."""
        if self._waiting:
            turn = self._waiting.popleft()
            turn.has_come = True
            self._loop.wake(turn.waiter)
        else:
            self._free += 1

    # Connections.

    def add(self, connection: Connection) -> None:
        """Take a new connection, which a request uses."""
        self._in_use.add(connection)

    def take(self, origin: Origin) -> Connection | None:
        """Return a connection that is certainly still open, if there is one."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.expires_at > self._loop.now() and connection.is_alive():
                connection.on_idle(None)
                self._in_use.add(connection)
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Take back a connection: keep it for the next request if it can have one."""
        self._in_use.discard(connection)
        if self._is_closed or not connection.is_reusable or connection.keep_for <= 0:
            connection.close()
            return
        connection.expires_at = self._loop.now() + connection.keep_for
        self._last_expiry = max(self._last_expiry, connection.expires_at)
        self._idle.setdefault(connection.origin, deque()).append(connection)
        connection.on_idle(lambda: self._look_at(connection))
        if not self._is_expiring:
            self._is_expiring = True
            self._tasks.start_soon(self._expire, name="anygql: idle connections")

    def drop(self, connection: Connection) -> None:
        """Close a connection that a request has used."""
        self._in_use.discard(connection)
        connection.close()

    def _look_at(self, connection: Connection) -> None:
        """Close an idle connection at which something came, unless that was of TLS itself."""
        if not connection.is_alive():
            connection.close()
            self._idle[connection.origin].remove(connection)

    @uninterruptible
    async def _expire(self) -> None:
        """Close idle connections when their time is over."""
        # Not only while a connection is idle: between two requests in a row, one hardly is, and
        # each of them would start this task.
        while True:
            times = [one.expires_at for some in self._idle.values() for one in some]
            if not times and self._loop.now() >= self._last_expiry:
                break
            await sleep_until(min(times, default=self._last_expiry))
            now = self._loop.now()
            for origin, some in list(self._idle.items()):
                for connection in [one for one in some if one.expires_at <= now]:
                    some.remove(connection)
                    connection.close()
                if not some:
                    del self._idle[origin]
        self._is_expiring = False

    def close(self) -> None:
        """Close all connections at once."""
        self._is_closed = True
        for some in self._idle.values():
            for connection in some:
                connection.close()
        self._idle.clear()
        for connection in self._in_use:
            connection.close()
        self._in_use.clear()
