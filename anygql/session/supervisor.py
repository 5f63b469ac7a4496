"""The supervisor: it keeps a session connected.

One task supervises: it connects, publishes the connection, waits for its end, waits some more, and
connects again. Each connection lives in a task of its own, so that a retry policy may do what it
likes around an attempt to connect. A plain session is the same with one attempt and one connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
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
from ..concurrency.signal import Signal
from ..delivery.faults import closed
from ..delivery.interfaces import Connection, Transport
from ..exceptions import TransportError, copy_to_raise_unsent
from .events import Closed, Connected, Connecting, Disconnected, SessionEvent, SessionState
from .options import SessionOptions
from .retry import Policy, Retry, connect_policy, execute_policy, subscribe_policy, wait_after

__all__ = ["Resumable", "Supervisor"]

logger = logging.getLogger(__name__)

#: Seconds. After a connection that lived this long, the next attempt comes soon; after shorter
#: ones, the waits grow.
STABLE_AFTER = 10.0


class Resumable(Protocol):
    """A subscription that outlives its connection."""

    def connection_lost(self, fault: Exception, task_group: TaskGroup) -> None:
        """Learn that the connection is gone; what follows runs in ``task_group``."""
        ...

    def fail(self, fault: Exception) -> None:
        """Learn that there will be no other connection."""
        ...


class Supervisor:
    """Keeps one session connected, and knows its state."""

    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self.options = options
        self.state: SessionState = "waiting" if options.lazy else "connecting"
        self.payloads: Mapping[str, Any] = {}
        self.response_headers: Mapping[str, str] = MappingProxyType({})
        #: The error that ended the session.
        self.fault: Exception | None = None
        #: The error to raise to the session's owner: None if the owner ended the session.
        self.owner_error: Exception | None = None
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
        self._changed = Signal()
        # Set by `_bind_to_loop`: a session may be made before there is an event loop.
        self._connection_wanted: Event
        self._closed: Event
        self._scope: CancelScope
        self.loop: RunningLoop
        self.task_group: TaskGroup

    @property
    def description(self) -> str:
        """A description of the server, for messages."""
        return self._transport.description

    # What sessions use.

    async def connection(self) -> Connection:
        """Return the connection to use now, once there is one; while connected, at once.

        Raises the error that ended the session, if there will be no other connection.
        """
        while True:
            if self._connection is not None and self._connection.fault is None:
                return self._connection
            if self.fault is not None:
                await cancelled_first(self.fault)
                raise copy_to_raise_unsent(self.fault) from self.fault.__cause__
            self._connection_wanted.set()
            await self._changed.wait()

    async def wait_closed(self) -> None:
        """Wait until the session is over."""
        await self._closed.wait()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than the session lives.

        So a call that sleeps between attempts raises the error that ends the session at once.
        """
        with move_on_after(seconds):
            await self._closed.wait()

    def reconnect(self) -> None:
        """Drop the connection, if there is one, and make another."""
        connection = self._connection
        if connection is not None:
            self._unpublish()
            self._connection_wanted.set()
            connection.drop("reconnect() was called")

    def close(self) -> None:
        """Begin to close the session; leaving ``run``'s task group waits until it is closed."""
        if self._mark_closed(closed(self.description)):
            self._emit(Closed())
        self._scope.cancel()

    # The supervising task.

    def _bind_to_loop(self) -> None:
        """Make what needs the running event loop."""
        self.loop = RunningLoop()
        self._connection_wanted = Event()
        self._closed = Event()
        self._scope = CancelScope()

    async def run(
        self, cancel_owner: Callable[[], object], *, task_status: TaskStatus[None]
    ) -> None:
        """Connect and stay connected. Has started when first connected, or at once if ``lazy``.

        Raises the error that keeps it from connecting the first time. An error of the network or
        the peer that ends the session after that is not raised: it is set as ``owner_error``, and
        ``cancel_owner`` is called.
        """
        self._bind_to_loop()
        if self.options.lazy:
            task_status.started()
        with self._scope, unwrapped():
            async with create_task_group() as tg:
                self.task_group = tg
                try:
                    await self._supervise(tg, task_status)
                except Exception as exc:
                    self._end_with(exc)
                    if not self._connections and not self.options.lazy:
                        raise
                    if self.options.reconnecting:
                        self.owner_error = exc
                        cancel_owner()

    async def _supervise(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        while True:
            if self.options.lazy:
                await self._connection_wanted.wait()
            connection = await self._connect(tg)
            if self._connections == 1 and not self.options.lazy:
                task_status.started()
            await connection.wait_closed()
            if self.fault is not None:
                return  # closed by its owner, whose cancellation follows
            await self._handle_loss(connection, tg)

    async def _connect(self, tg: TaskGroup) -> Connection:
        """Connect, as often as the retry policy allows."""
        self._attempts = 0
        try:
            connection = await self._retry_connect.call(
                lambda: self._try_to_connect(tg), self.options.is_retryable, self._before_waiting
            )
        except Exception as exc:
            self._emit_disconnected(exc, will_retry=False)
            raise
        self._connections += 1
        return connection

    async def _try_to_connect(self, tg: TaskGroup) -> Connection:
        """Make one attempt to connect."""
        self._attempts += 1
        self.state = "connecting"
        self._emit(Connecting(self._attempts))
        try:
            connection: Connection = await tg.start(self._run_connection)
        except Exception as exc:
            self.last_error = exc
            if self._retry_connect.is_custom:
                self._emit_disconnected(exc, will_retry=True)
            raise
        return connection

    def _before_waiting(self, error: Exception, seconds: float) -> None:
        """Report a failed attempt, before the wait for the next one."""
        self.state = "waiting"
        self._emit_disconnected(error, will_retry=True, next_wait=seconds)

    async def _run_connection(self, *, task_status: TaskStatus[Connection]) -> None:
        """Open a connection, and hold it until its end."""
        async with self._transport.connect() as connection:
            self._publish(connection)
            task_status.started(connection)
            if self.options.idle_timeout is not None:
                await self._close_when_idle(connection, self.options.idle_timeout)
            await connection.wait_closed()

    async def _close_when_idle(self, connection: Connection, timeout: float) -> None:
        """Close a lazy session's connection after ``timeout`` seconds without operations."""
        while connection.fault is None:
            since, now = connection.idle_since, current_time()
            due = (now if since is None else since) + timeout
            if due <= now:
                self._connection_wanted = Event()
                self._unpublish()
                connection.close(reason=f"nothing was asked for {timeout:g} s")
                return
            with move_on_after(due - now):
                await connection.wait_closed()

    def _publish(self, connection: Connection) -> None:
        """Let operations use a new connection."""
        self._connection = connection
        self._connected_at = current_time()
        self.payloads = connection.payloads
        # A connection of the user's own need not have any.
        self.response_headers = getattr(connection, "response_headers", self.response_headers)
        self.state = "connected"
        self._changed.notify()
        payload = connection.payloads.get("connection_ack")
        self._emit(Connected(payload, reconnected=self._connections > 0))

    def _unpublish(self) -> None:
        """Let operations wait for the next connection."""
        self._connection = None
        self.state = "waiting"

    async def _handle_loss(self, connection: Connection, tg: TaskGroup) -> None:
        """Report the end of a connection, and wait until it is time for the next."""
        dropped_by_us = self._connection is not connection
        fault = connection.fault
        assert fault is not None  # noqa: S101 - wait_closed() has returned
        self._unpublish()
        if not dropped_by_us:
            # A lazy session waits for the next operation. Calls that already wait ask again.
            self._connection_wanted = Event()
            self._changed.notify()
        for resumable in list(self.resumables):
            resumable.connection_lost(fault, tg)
        self.last_error = fault
        if not self.options.reconnecting or not (dropped_by_us or self.options.is_retryable(fault)):
            self._emit_disconnected(fault, will_retry=False)
            raise fault
        if dropped_by_us:
            self._emit_disconnected(fault, will_retry=True)
            return
        stable = current_time() - self._connected_at >= STABLE_AFTER
        self._short_lived = 1 if stable else self._short_lived + 1
        wait = wait_after(self._short_lived)
        self._emit_disconnected(fault, will_retry=True, next_wait=wait)
        await sleep(wait)

    def _end_with(self, error: Exception) -> None:
        """End the session with an error."""
        if self._mark_closed(error):
            self._emit(Closed(error))

    def _mark_closed(self, fault: Exception) -> bool:
        """Mark the session as closed. Return False if it already was."""
        if self.fault is not None:
            return False
        self.fault = fault
        self._connection = None
        self.state = "closed"
        self._closed.set()
        self._changed.notify()
        for resumable in list(self.resumables):
            resumable.fail(fault)
        return True

    def _emit_disconnected(
        self, error: Exception, *, will_retry: bool, next_wait: float | None = None
    ) -> None:
        """Log and emit a failed attempt or a lost connection."""
        logger.info(
            "%s: %s; %s",
            self.description,
            error if isinstance(error, TransportError) else type(error).__name__,
            "no further attempt" if not will_retry else "trying again",
        )
        code = getattr(error, "code", None)
        reason = getattr(error, "reason", "")
        self._emit(Disconnected(code, reason, error, will_retry, next_wait))

    def _emit(self, event: SessionEvent) -> None:
        if self.options.on_event is not None:
            self.options.on_event(event)
