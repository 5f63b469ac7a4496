"""Who keeps a session connected.

One supervising task: connect, publish the connection, wait for its end, back off, again. Each
connection lives in a task of its own, so that a retry policy may do what it likes around an
attempt to make one. A plain session is the same thing with one attempt and no second connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from anyio import (
    CancelScope,
    Event,
    create_task_group,
    current_time,
    move_on_after,
    sleep,
)
from anyio.abc import TaskGroup, TaskStatus

from ..concurrency.cancellation import cancelled_first
from ..concurrency.exception_groups import unwrapped
from ..concurrency.loop import RunningLoop
from ..delivery.interfaces import Connection, Transport
from ..exceptions import TransportClosed, TransportError, copy_to_raise_unsent
from .events import Closed, Connected, Connecting, Disconnected, SessionEvent, SessionState
from .options import SessionOptions
from .retry import Policy, Retry, connect_policy, execute_policy, subscribe_policy, wait_after

__all__ = ["Resumable", "Supervisor"]

logger = logging.getLogger(__name__)

#: A connection that lived this long, in seconds, is a good one: its loss is not held against
#: the server, and the next attempt comes soon.
SETTLED = 10.0


class Resumable(Protocol):
    """A subscription that outlives its connection."""

    def lost(self, fault: Exception, task_group: TaskGroup) -> None:
        """Its connection is gone; what it does about that runs in ``task_group``."""
        ...

    def give_up(self, fault: Exception) -> None:
        """There will be no other connection."""
        ...


class Supervisor:
    """Keeps one session connected, and knows its state."""

    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self.options = options
        self.state: SessionState = "waiting" if options.lazy else "connecting"
        self.payloads: Mapping[str, Any] = {}
        #: Why there will be no connection any more.
        self.fault: Exception | None = None
        #: The fault that the owner of the session gets, if it did not end it itself.
        self.gave_up: Exception | None = None
        self.last_error: Exception | None = None
        self.resumables: set[Resumable] = set()
        policy: Policy = options.retry_connect if options.reconnecting else False
        self._retry_connect = Retry(policy, connect_policy, "retry_connect")
        self.retry_execute = Retry(
            options.retry_execute if options.reconnecting else False,
            execute_policy,
            "retry_execute",
        )
        self.retry_subscribe = Retry(
            options.retry_subscribe if options.reconnecting else False,
            subscribe_policy,
            "retry_subscribe",
        )
        self._transport = transport
        self._connection: Connection | None = None
        self._attempts = 0
        self._connections = 0
        self._short_lived = 0
        self._connected_at = 0.0
        # Set when the session is entered: there may be no event loop yet.
        self._changed: Event
        self._wanted: Event
        self._closed: Event
        self._scope: CancelScope
        self.loop: RunningLoop
        self.task_group: TaskGroup

    @property
    def description(self) -> str:
        """The server, fit for messages."""
        return self._transport.description

    # What sessions ask.

    async def connection(self) -> Connection:
        """The connection to use now, once there is one.

        Raises why there will be none any more. Does not wait while connected.
        """
        while True:
            if self._connection is not None and self._connection.fault is None:
                return self._connection
            if self.fault is not None:
                await cancelled_first(self.fault)
                raise copy_to_raise_unsent(self.fault) from self.fault.__cause__
            self._wanted.set()
            await self._changed.wait()

    async def wait_closed(self) -> None:
        """Until there is no connection, and will be none."""
        await self._closed.wait()

    async def sleep(self, seconds: float) -> None:
        """Wait, but no longer than the session lives: what ends it is then raised at once."""
        with move_on_after(seconds):
            await self._closed.wait()

    def reconnect(self) -> None:
        """Drop the connection, if there is one, and make another."""
        connection = self._connection
        if connection is not None:
            self._unpublish()
            self._wanted.set()
            connection.drop("reconnect() was called")

    def close(self) -> None:
        """Begin to close; leaving ``run``'s task group waits for the end of it."""
        if self._finish(TransportClosed(f"{self.description}: the session was closed")):
            self._tell(Closed())
        self._scope.cancel()

    # The supervising task.

    def _take_loop(self) -> None:
        self.loop = RunningLoop()
        self._changed = Event()
        self._wanted = Event()
        self._closed = Event()
        self._scope = CancelScope()

    async def run(
        self, cancel_owner: Callable[[], object], *, task_status: TaskStatus[None]
    ) -> None:
        """Connect, and stay connected; started when first connected (at once if ``lazy``).

        Raises what keeps it from connecting the first time. After that it raises nothing that
        the network or the peer did: ``gave_up`` is set and the owner's body cancelled.
        """
        self._take_loop()
        if self.options.lazy:
            task_status.started()
        with self._scope, unwrapped():
            async with create_task_group() as tg:
                self.task_group = tg
                try:
                    await self._supervise(tg, task_status)
                except Exception as exc:
                    self._give_up(exc)
                    if not self._connections and not self.options.lazy:
                        raise
                    if self.options.reconnecting:
                        self.gave_up = exc
                        cancel_owner()

    async def _supervise(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        while True:
            if self.options.lazy:
                await self._wanted.wait()
            connection = await self._connect(tg)
            if self._connections == 1 and not self.options.lazy:
                task_status.started()
            await connection.wait_closed()
            if self.fault is not None:
                return  # closed by its owner, whose cancellation is on its way
            await self._after(connection, tg)

    async def _connect(self, tg: TaskGroup) -> Connection:
        self._attempts = 0
        try:
            connection = await self._retry_connect.call(
                lambda: self._attempt(tg), self.options.is_retryable, self._wait
            )
        except Exception as exc:
            self._disconnected(exc, will_retry=False)
            raise
        self._connections += 1
        return connection

    async def _attempt(self, tg: TaskGroup) -> Connection:
        self._attempts += 1
        self.state = "connecting"
        self._tell(Connecting(self._attempts))
        try:
            connection: Connection = await tg.start(self._hold)
        except Exception as exc:
            self.last_error = exc
            if self._retry_connect.opaque:
                self._disconnected(exc, will_retry=True)
            raise
        return connection

    def _wait(self, error: Exception, seconds: float) -> None:
        self.state = "waiting"
        self._disconnected(error, will_retry=True, next_wait=seconds)

    async def _hold(self, *, task_status: TaskStatus[Connection]) -> None:
        async with self._transport.connect() as connection:
            self._publish(connection)
            task_status.started(connection)
            if self.options.idle_timeout is not None:
                await self._close_when_idle(connection, self.options.idle_timeout)
            await connection.wait_closed()

    async def _close_when_idle(self, connection: Connection, timeout: float) -> None:
        while connection.fault is None:
            since, now = connection.idle_since, current_time()
            due = (now if since is None else since) + timeout
            if due <= now:
                self._wanted = Event()
                self._unpublish()
                connection.close(reason=f"nothing was asked for {timeout:g} s")
                return
            with move_on_after(due - now):
                await connection.wait_closed()

    def _publish(self, connection: Connection) -> None:
        self._connection = connection
        self._connected_at = current_time()
        self.payloads = connection.payloads
        self.state = "connected"
        self._notify()
        payload = connection.payloads.get("connection_ack")
        self._tell(Connected(payload, reconnected=self._connections > 0))

    def _unpublish(self) -> None:
        self._connection = None
        self.state = "waiting"

    async def _after(self, connection: Connection, tg: TaskGroup) -> None:
        """A connection has ended: tell, and wait until it is time for the next."""
        on_purpose = self._connection is not connection
        fault = connection.fault
        assert fault is not None  # noqa: S101 - wait_closed() has returned
        self._unpublish()
        if not on_purpose:
            # A lazy session waits for somebody to ask again; whoever already does, asks once more.
            self._wanted = Event()
            self._notify()
        for resumable in list(self.resumables):
            resumable.lost(fault, tg)
        self.last_error = fault
        if not self.options.reconnecting or not (on_purpose or self.options.is_retryable(fault)):
            self._disconnected(fault, will_retry=False)
            raise fault
        if on_purpose:
            self._disconnected(fault, will_retry=True)
            return
        settled = current_time() - self._connected_at >= SETTLED
        self._short_lived = 1 if settled else self._short_lived + 1
        wait = wait_after(self._short_lived)
        self._disconnected(fault, will_retry=True, next_wait=wait)
        await sleep(wait)

    def _give_up(self, error: Exception) -> None:
        if self._finish(error):
            self._tell(Closed(error))

    def _finish(self, fault: Exception) -> bool:
        """There will be no connection any more; whether that is news."""
        if self.fault is not None:
            return False
        self.fault = fault
        self._connection = None
        self.state = "closed"
        self._closed.set()
        self._notify()
        for resumable in list(self.resumables):
            resumable.give_up(fault)
        return True

    def _notify(self) -> None:
        changed, self._changed = self._changed, Event()
        changed.set()

    def _disconnected(
        self, error: Exception, *, will_retry: bool, next_wait: float | None = None
    ) -> None:
        logger.info(
            "%s: %s; %s",
            self.description,
            error if isinstance(error, TransportError) else type(error).__name__,
            "no further attempt" if not will_retry else "trying again",
        )
        code = getattr(error, "code", None)
        reason = getattr(error, "reason", "")
        self._tell(Disconnected(code, reason, error, will_retry, next_wait))

    def _tell(self, event: SessionEvent) -> None:
        if self.options.on_event is not None:
            self.options.on_event(event)
