"""The supervisor: it keeps a session connected.

One task supervises: it connects, publishes the connection, waits for its end, waits some more, and
connects again. Each connection lives in a task of its own, so that a retry policy may do what it
likes around an attempt to connect. A plain session is the same with one attempt and one connection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from types import MappingProxyType
from typing import Any, Protocol

from anyio import CancelScope, Event, create_task_group, current_time, move_on_after
from anyio.abc import TaskGroup, TaskStatus

from ..concurrency.cancellation import cancelled_first, stray_cancellation
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import interruptible, uninterruptible
from ..concurrency.loop import RunningLoop
from ..concurrency.signal import Signal
from ..delivery.faults import closed
from ..delivery.interfaces import Connection, Transport
from ..exceptions import TransportConnectTimeout, TransportError, copy_to_raise_unsent
from .events import Closed, Connected, Connecting, Disconnected, SessionEvent, SessionState
from .options import SessionOptions
from .outage import Outage
from .policy import is_retryable, may_connect_again, may_send_again
from .retry import (
    Policy,
    Retry,
    connect_policy,
    execute_policy,
    requested_wait,
    subscribe_policy,
    wait_after,
)

__all__ = ["Resumable", "Supervisor"]

#: Seconds. After a connection that lived this long, the next attempt comes soon; after shorter
#: ones, the waits grow.
STABLE_AFTER = 10.0

#: Seconds. A call that waits for a connection brings the next attempt forward, to so long after
#: the attempt before.
BROUGHT_FORWARD = 1.0


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
        #: Whether a call or subscription was told of ``fault``.
        self.fault_was_told = False
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
        #: What ``on_event`` raised, which ends the session.
        self._event_error: Exception | None = None
        # The calls that wait for a connection, and what brings the next attempt forward for them.
        self._calls_waiting = 0
        self._call_came = Signal()
        self._attempt_began = -math.inf
        self._not_before = -math.inf
        #: The outcome of an attempt that was brought forward, which the policy hasn't seen.
        self._early: Connection | Exception | None = None
        self._outage = Outage()
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

    async def connection(self, *, is_call: bool = False) -> Connection:
        """Return the connection to use now, once there is one; while connected, at once.

        While a call waits here (``is_call``), attempts to connect are brought forward. Raises the
        error that ended the session, if there will be no other connection.
        """
        self.loop.check("the session")
        while True:
            if self._connection is not None and self._connection.fault is None:
                return self._connection
            if self.fault is not None:
                await cancelled_first(self.fault)
                self.fault_was_told = True
                raise copy_to_raise_unsent(self.fault) from self.fault.__cause__
            self._connection_wanted.set()
            self._calls_waiting += is_call
            self._call_came.notify()
            try:
                await self._changed.wait()
            finally:
                self._calls_waiting -= is_call

    def may_connect_again(self, error: Exception) -> bool:
        """Return whether the session makes another attempt to connect after this error."""
        if error is self._event_error:
            return False
        asks_anew: bool = getattr(self._transport, "asks_anew", True)
        acknowledged = self._connections > 0
        return self._decide(
            error, may_connect_again(error, acknowledged=acknowledged, asks_anew=asks_anew)
        )

    def may_send_again(self, error: TransportError, *, lost: bool) -> bool:
        """Return whether a call may be tried again. ``lost``: its connection took it along."""
        if not lost:
            return self.options.is_retryable(error)
        if error.unsent:
            return self.may_connect_again(error)
        return self._decide(error, may_send_again(error))

    def _decide(self, error: Exception, retryable: bool) -> bool:
        """Let the user's ``is_retryable`` decide if there is one, or else the policy."""
        if isinstance(error, TransportError):
            error.retryable = retryable
        decide = self.options.is_retryable
        return retryable if decide is is_retryable else decide(error)

    async def wait_closed(self) -> None:
        """Wait until the session is over."""
        self.loop.check("the session")
        await self._closed.wait()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than the session lives.

        So a call that sleeps between attempts raises the error that ends the session at once.
        """
        with move_on_after(seconds):
            await self._closed.wait()

    def reconnect(self) -> None:
        """Drop the connection, if there is one, and make another."""
        self.loop.check("the session")
        connection = self._connection
        if connection is not None:
            self._unpublish()
            self._connection_wanted.set()
            connection.drop("reconnect() was called")

    @uninterruptible
    def close(self) -> None:
        """Begin to close the session; leaving ``run``'s task group waits until it is closed."""
        try:
            if self._mark_closed(closed(self.description)):
                self._emit(Closed())
        finally:
            self._scope.cancel()

    # The supervising task.

    def _bind_to_loop(self) -> None:
        """Make what needs the running event loop."""
        self.loop = RunningLoop()
        self._connection_wanted = Event()
        self._closed = Event()
        self._scope = CancelScope()

    @uninterruptible
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
                    if self.options.reconnecting or exc is self._event_error:
                        self.owner_error = exc
                        cancel_owner()

    async def _supervise(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        while True:
            if self.options.lazy:
                if not self._connection_wanted.is_set():
                    self._outage = Outage()
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
        self._outage.begin()
        watching = CancelScope()
        if self.options.reconnecting:
            tg.start_soon(self._outage.watch, self.description, watching, name="anygql: connect")
        try:
            connection = await self._connect_in_time(tg)
        except Exception as exc:
            if exc is not self._event_error:
                self._emit_disconnected(exc, will_retry=False)
            raise
        finally:
            watching.cancel()
        self._outage = Outage()
        self._connections += 1
        return connection

    async def _connect_in_time(self, tg: TaskGroup) -> Connection:
        """Connect, the first time within ``first_connect_timeout``."""
        timeout = None if self._connections else self.options.first_connect_timeout
        with move_on_after(timeout):
            return await self._retry_connect.call(
                lambda: self._next_connection(tg),
                self.may_connect_again,
                self._before_waiting,
                lambda seconds: self._wait_for_next_attempt(seconds, tg),
            )
        raise self._not_in_time(timeout)

    def _not_in_time(self, timeout: float | None) -> Exception:
        """Return the last real error, for a session that has got no connection in time."""
        limit = f"within {timeout:g} s (first_connect_timeout)"
        if self.last_error is None:
            return TransportConnectTimeout(f"{self.description}: no acknowledgement {limit}")
        self.last_error.add_note(f"There was no connection {limit}")
        return self.last_error

    async def _next_connection(self, tg: TaskGroup) -> Connection:
        """Return what came of an attempt that was brought forward, or make one."""
        early, self._early = self._early, None
        if early is None:
            return await self._try_to_connect(tg)
        if isinstance(early, Exception):
            raise early
        return early

    async def _try_to_connect(self, tg: TaskGroup) -> Connection:
        """Make one attempt to connect."""
        self._attempts += 1
        self._attempt_began = current_time()
        self.state = "connecting"
        self._emit(Connecting(self._attempts))
        try:
            connection: Connection = await tg.start(self._run_connection)
        except Exception as exc:
            if exc is self._event_error:
                raise
            self.last_error = exc
            self._outage.note_failure(exc)
            if self._retry_connect.is_custom:
                self._emit_disconnected(exc, will_retry=True)
            raise
        return connection

    def _before_waiting(self, error: Exception, seconds: float) -> None:
        """Report a failed attempt, before the wait for the next one."""
        self.state = "waiting"
        self._not_before = current_time() + requested_wait(error)
        self._emit_disconnected(error, will_retry=True, next_wait=seconds)

    async def _wait_for_next_attempt(self, seconds: float, tg: TaskGroup) -> None:
        """Wait as the policy says, and while a call waits, try once a second in between.

        Those attempts don't count for the policy.
        """
        until = current_time() + seconds
        while await self._is_called_before(until):
            try:
                self._early = await self._try_to_connect(tg)
            except Exception as exc:
                if exc is self._event_error:
                    raise
                if self.may_connect_again(exc):
                    now = current_time()
                    asked = now + requested_wait(exc)
                    until = max(until, asked, self._attempt_began + BROUGHT_FORWARD)
                    self._before_waiting(exc, until - now)
                    continue
                self._early = exc
            return

    async def _is_called_before(self, until: float) -> bool:
        """Wait. Return whether a call wants a connection sooner than ``until``."""
        earliest = until
        if until - current_time() > BROUGHT_FORWARD:
            # At random, as ever: sessions that lost their server together may all have calls.
            soon = current_time() + wait_after(1)
            earliest = max(self._attempt_began + BROUGHT_FORWARD, self._not_before, soon)
        while (now := current_time()) < until:
            if self._calls_waiting and now >= earliest:
                return True
            due = min(until, earliest) if self._calls_waiting else until
            with CancelScope(deadline=due):
                await self._call_came.wait()
        return False

    @uninterruptible
    async def _run_connection(self, *, task_status: TaskStatus[Connection]) -> None:
        """Open a connection, and hold it until its end."""
        try:
            async with self._transport.connect() as connection:
                self._publish(connection)
                task_status.started(connection)
                if self.options.idle_timeout is not None:
                    await self._close_when_idle(connection, self.options.idle_timeout)
                await connection.wait_closed()
        except BaseException as exc:
            # In this task it would pass for our own, and nobody would be told.
            if stray := stray_cancellation(exc, "the transport", self.description):
                raise stray from exc
            raise

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
        self.fault_was_told = connection.idle_since is None  # which it was to what ran on it
        if not self.options.reconnecting or not (dropped_by_us or self.may_connect_again(fault)):
            self._emit_disconnected(fault, will_retry=False)
            raise fault
        if dropped_by_us:
            self._emit_disconnected(fault, will_retry=True)
            return
        stable = current_time() - self._connected_at >= STABLE_AFTER
        self._short_lived = 1 if stable else self._short_lived + 1
        wait = max(wait_after(self._short_lived), requested_wait(fault))
        self._outage.begin()
        now = current_time()
        self._not_before = now + requested_wait(fault)
        self._emit_disconnected(fault, will_retry=True, next_wait=wait)
        await self._is_called_before(now + wait)

    def _end_with(self, error: Exception) -> None:
        """End the session with an error."""
        if self._mark_closed(error):
            with suppress(Exception) if error is self._event_error else nullcontext():
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
            self.fault_was_told = True
            resumable.fail(fault)
        return True

    def _emit_disconnected(
        self, error: Exception, *, will_retry: bool, next_wait: float | None = None
    ) -> None:
        """Log and emit a failed attempt or a lost connection."""
        self._outage.report(self.description, error, will_retry=will_retry)
        code = getattr(error, "code", None)
        reason = getattr(error, "reason", "")
        self._emit(Disconnected(code, reason, error, will_retry, next_wait))

    @interruptible
    def _emit(self, event: SessionEvent) -> None:
        if self.options.on_event is None:
            return
        try:
            self.options.on_event(event)
        except BaseException as exc:
            if stray := stray_cancellation(exc, "on_event", self.description, retryable=False):
                self._event_error = self._event_error or stray
                raise stray from exc
            if isinstance(exc, Exception):
                self._event_error = self._event_error or exc
            raise
