"""The supervisor: it keeps a session connected.

One task supervises: it connects, publishes the connection, waits for its end, waits some more, and
connects again. Each connection lives in a task of its own, so that a retry policy may do what it
likes around an attempt to connect. A plain session is the same with one attempt and one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from anyio import CancelScope, Event, create_task_group, current_time, move_on_after
from anyio.abc import TaskGroup, TaskStatus

from ..concurrency.cancellation import cancelled_first, stray_cancellation
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..concurrency.loop import RunningLoop
from ..concurrency.signal import Signal
from ..delivery.faults import closed
from ..delivery.interfaces import Connection, Transport
from ..exceptions import TransportError, copy_to_raise_unsent
from ..json import JSON
from .connect_attempts import ConnectAttempts
from .events import Closed, Connected, SessionState
from .options import SessionOptions
from .outage import Outage
from .policy import may_send_again
from .retry import Retry, execute_policy, subscribe_policy
from .status import Status

if TYPE_CHECKING:
    from .auth.credentials import SessionCredentials
    from .session import Session

__all__ = ["Resumable", "Supervisor"]


class Resumable(Protocol):
    """A subscription that outlives its connection."""

    def connection_lost(
        self, fault: Exception, task_group: TaskGroup, *, was_replaced: bool = False
    ) -> None:
        """Learn that the connection is gone; what follows runs in ``task_group``.

        ``was_replaced``: there is another one, and this one was closed for it.
        """
        ...

    def fail(self, fault: Exception) -> None:
        """Learn that there will be no other connection."""
        ...


class Supervisor:
    """Keeps one session connected, and knows its state."""

    #: Whether ``refresh`` of the session's credentials may run in the task group.
    _lends_task_group = True

    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self.options = options
        self.payloads: Mapping[str, Any] = {}
        self.response_headers: Mapping[str, str] = MappingProxyType({})
        #: The error that ended the session.
        self.fault: Exception | None = None
        #: The error to raise to the session's owner: None if the owner ended the session.
        self.owner_error: Exception | None = None
        #: Whether a call or subscription was told of ``fault``.
        self.fault_was_told = False
        self.resumables: set[Resumable] = set()
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
        self._status = Status(transport, options)
        self.credentials = self._make_credentials()
        self._attempts = ConnectAttempts(transport, options, self._status, self.credentials)
        #: Connections that have been replaced, which the supervising task hasn't seen yet.
        self._replaced: set[Connection] = set()
        #: Those that are closed once they have a successor, and the calls on them are over.
        self._draining: set[Connection] = set()
        self._waiting_for_end: CancelScope | None = None
        self._is_lazy = options.lazy
        self._connected_at = 0.0
        self._changed = Signal()
        # Set by `bind_to_loop`: a session may be made before there is an event loop.
        self._connection_wanted: Event
        self._closed: Event
        self._scope: CancelScope
        self._cancel_owner: Callable[[], object]
        self.loop: RunningLoop
        self.task_group: TaskGroup

    def _make_credentials(self) -> SessionCredentials | None:
        if self.options.auth is None:
            return None
        from .auth.credentials import SessionCredentials
        from .auth.refreshing import source_of

        return SessionCredentials(source_of(self.options.auth), self)

    @property
    def subscriptions(self) -> Supervisor:
        """The supervisor of the connection for subscriptions: this one, if there is but one."""
        return self

    @property
    def description(self) -> str:
        """A description of the server, for messages."""
        return self._transport.description

    @property
    def json(self) -> JSON | None:
        """The encoder of the transport's values; ``None`` if the transport shows none."""
        return getattr(self._transport, "json", None)

    @property
    def state(self) -> SessionState:
        """Whether there is a connection, or what is done about it."""
        return self._status.state

    @property
    def is_wanted(self) -> bool:
        """Whether there is a connection or is to be one; if lazy, as something has asked for it."""
        return not self._is_lazy or self._connection is not None or self._connection_wanted.is_set()

    @property
    def end_was_told(self) -> bool:
        """Whether a call or subscription was told of the error that ended the session."""
        return self.fault_was_told

    @property
    def last_error(self) -> Exception | None:
        """How the last attempt failed, or the last connection ended."""
        return self._status.last_error

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
            if self.credentials is not None:
                self.credentials.refuse_deadlock()
            self._connection_wanted.set()
            with self._attempts.for_call() if is_call else nullcontext():
                await self._changed.wait()

    def may_send_again(self, error: TransportError, *, lost: bool) -> bool:
        """Return whether a call may be tried again. ``lost``: its connection took it along."""
        if not lost:
            return self.options.is_retryable(error)
        if self.credentials is not None and self.credentials.may_pass(error):
            return True
        if error.unsent:
            return self._attempts.may_connect_again(error)
        return self.options.decide(error, retryable=may_send_again(error))

    async def wait_connected(self) -> None:
        """Wait until there is a connection. Raises as ``connection`` does."""
        await self.connection()

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
        for replaced in list(self._draining):
            replaced.drop("reconnect() was called")

    def replace(self, connection: Connection) -> None:
        """Make another connection in the place of one that goes on until its calls are over."""
        if self._connection is not connection or connection.fault is not None:
            return
        self._unpublish()
        self._connection_wanted.set()
        self._replaced.add(connection)
        self._draining.add(connection)
        self.task_group.start_soon(self._close_replaced, connection, name="anygql: replaced")
        if self._waiting_for_end is not None:
            self._waiting_for_end.cancel()

    @property
    def has_connection(self) -> bool:
        """Whether there is a connection that operations can use."""
        return self._connection is not None and self._connection.fault is None

    def wake_waiting(self) -> None:
        """Let those who wait for a connection look again."""
        self._changed.notify()

    @uninterruptible
    def close(self) -> None:
        """Begin to close the session; leaving ``run``'s task group waits until it is closed."""
        try:
            if self._mark_closed(closed(self.description)):
                self._status.emit(Closed())
        finally:
            self._scope.cancel()

    # The supervising task.

    def bind_to_loop(self) -> None:
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
        self.bind_to_loop()
        self._cancel_owner = cancel_owner
        if self._is_lazy:
            task_status.started()
        # The scope inside: under trio the group has its cancellation beside another error.
        try:
            with unwrapped(), self._scope:
                async with create_task_group() as tg:
                    self.task_group = tg
                    await self._supervise_until_over(tg, task_status)
        finally:
            # If it isn't yet, this is a cancellation, or an interrupt, on its way out.
            self._mark_closed(closed(self.description))

    async def _supervise_until_over(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        """Supervise, and note the error that ends the session, or raise it as ``run`` does."""
        try:
            with self._lending_task_group():
                await self._supervise(tg, task_status)
        except Exception as exc:
            self._end_with(exc)
            if not self._attempts.connections and not self._is_lazy:
                raise
            if self.options.reconnecting or exc is self._status.event_error:
                self._raise_to_owner(exc)

    def _lending_task_group(self) -> AbstractContextManager[None]:
        if self.credentials is None or not self._lends_task_group:
            return nullcontext()
        return self.credentials.in_task_group(self._make_session)

    def _make_session(self) -> Session:
        from .session import Session

        return Session(self)

    def _raise_to_owner(self, error: Exception) -> None:
        self.owner_error = error
        self._cancel_owner()

    async def _supervise(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        while True:
            if self._is_lazy:
                if not self._connection_wanted.is_set():
                    self._status.outage = Outage()
                await self._connection_wanted.wait()
            connection = await self._attempts.connect(tg, self._open_connection)
            if self._attempts.connections == 1 and not self._is_lazy:
                task_status.started()
            await self._wait_for_end(connection)
            if self.fault is not None:
                return  # closed by its owner, whose cancellation follows
            if connection in self._replaced:
                self._replaced.discard(connection)
            else:
                await self._handle_loss(connection, tg)

    async def _wait_for_end(self, connection: Connection) -> None:
        """Wait until a connection has ended, or has been replaced."""
        if connection in self._replaced:
            return
        with CancelScope() as self._waiting_for_end:
            await connection.wait_closed()
        self._waiting_for_end = None

    @uninterruptible
    async def _close_replaced(self, connection: Connection) -> None:
        """Close a connection once it has a successor and no calls, and move its subscriptions."""
        async with create_task_group() as tg:
            tg.start_soon(self._close_after_calls, connection, name="anygql: replaced")
            await connection.wait_closed()
            tg.cancel_scope.cancel()
        assert connection.fault is not None  # noqa: S101 - wait_closed() has returned
        self._draining.discard(connection)
        for resumable in list(self.resumables):
            resumable.connection_lost(connection.fault, self.task_group, was_replaced=True)

    @uninterruptible
    async def _close_after_calls(self, connection: Connection) -> None:
        while not self.has_connection and self.fault is None:
            await self._changed.wait()
        assert self.credentials is not None  # noqa: S101 - they alone replace connections
        await self.credentials.wait_without_calls(connection)
        connection.close(reason="another connection has taken its place")

    async def _open_connection(self) -> Connection:
        if self.credentials is None:
            return await self._start_connection()
        return await self.credentials.open(self._start_connection)

    async def _start_connection(self) -> Connection:
        connection: Connection = await self.task_group.start(self._run_connection)
        return connection

    @uninterruptible
    async def _run_connection(self, *, task_status: TaskStatus[Connection]) -> None:
        """Open a connection, and hold it until its end."""
        try:
            async with self._transport.connect() as connection:
                with self._keeping_credentials(connection):
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

    def _keeping_credentials(self, connection: Connection) -> AbstractContextManager[None]:
        if self.credentials is None:
            return nullcontext()
        return self.credentials.of_connection(connection)

    async def _close_when_idle(self, connection: Connection, timeout: float) -> None:
        """Close a lazy session's connection after ``timeout`` seconds without operations."""
        while connection.fault is None:
            since, now = connection.idle_since, current_time()
            due = (now if since is None else since) + timeout
            if due <= now:
                self._close_unused(connection, f"nothing was asked for {timeout:g} s")
                return
            with move_on_after(due - now):
                await connection.wait_closed()

    def close_if_unused(self, connection: Connection, reason: str) -> bool:
        """Close a lazy session's connection, if nothing runs on it. Return whether it was closed.

        The next operation connects again.
        """
        is_lazy = self._is_lazy and self.options.reconnecting
        if not is_lazy or connection.fault is not None or connection.idle_since is None:
            return False
        self._close_unused(connection, reason)
        return True

    def _close_unused(self, connection: Connection, reason: str) -> None:
        if self._connection is connection:  # it isn't, once it is replaced
            self._connection_wanted = Event()
            self._unpublish()
        connection.close(reason=reason)

    def _publish(self, connection: Connection) -> None:
        """Let operations use a new connection."""
        self._connection = connection
        self._connected_at = current_time()
        self.payloads = connection.payloads
        # A connection of the user's own need not have any.
        self.response_headers = getattr(connection, "response_headers", self.response_headers)
        self._status.state = "connected"
        self._changed.notify()
        payload = connection.payloads.get("connection_ack")
        reconnected, transport = self._attempts.connections > 0, self._status.named_transport
        self._status.emit(Connected(payload, reconnected, transport=transport))

    def _unpublish(self) -> None:
        """Let operations wait for the next connection."""
        self._connection = None
        self._status.state = "waiting"

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
        self._status.last_error = fault
        self.fault_was_told = connection.idle_since is None  # which it was to what ran on it
        renewal = None
        if self.credentials is not None and not dropped_by_us:
            renewal = self.credentials.renew_after_loss(fault)
        if not self.options.reconnecting or not (
            dropped_by_us or renewal is not None or self._attempts.may_connect_again(fault)
        ):
            self._status.emit_disconnected(fault, will_retry=False)
            raise fault
        if dropped_by_us or renewal == "at once":
            self._status.emit_disconnected(fault, will_retry=True)
            return
        await self._attempts.wait_after_loss(fault, current_time() - self._connected_at)

    def _end_with(self, error: Exception) -> None:
        """End the session with an error."""
        if self._mark_closed(error):
            with suppress(Exception) if error is self._status.event_error else nullcontext():
                self._status.emit(Closed(error))

    def _mark_closed(self, fault: Exception) -> bool:
        """Mark the session as closed. Return False if it already was."""
        if self.fault is not None:
            return False
        self.fault = fault
        self._connection = None
        self._status.state = "closed"
        self._closed.set()
        self._changed.notify()
        for resumable in list(self.resumables):
            self.fault_was_told = True
            resumable.fail(fault)
        return True
