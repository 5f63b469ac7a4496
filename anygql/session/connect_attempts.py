"""Attempts to connect: the first ones, those after a loss, and those that calls bring forward."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from anyio import CancelScope, current_time, move_on_after
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from ..concurrency.signal import Signal
from ..delivery.interfaces import Connection, Transport
from ..exceptions import TransportConnectTimeout, TransportError
from .events import Connecting
from .options import SessionOptions
from .outage import Outage
from .policy import may_connect_again
from .retry import Policy, Retry, connect_policy, requested_wait, wait_after
from .status import Status

if TYPE_CHECKING:
    from .auth.credentials import SessionCredentials

__all__ = ["STABLE_AFTER", "ConnectAttempts"]

#: Seconds. After a connection that lived this long, the next attempt comes soon; after shorter
#: ones, the waits grow.
STABLE_AFTER = 10.0

#: Seconds. A call that waits for a connection brings the next attempt forward, to so long after
#: the attempt before.
BROUGHT_FORWARD = 1.0

_Open: TypeAlias = Callable[[], Awaitable[Connection]]


class ConnectAttempts:
    """Makes a session's attempts to connect, as often and as soon as its policy and calls say.

    Args:
        transport: The transport, which opens the connections.
        options: The session's options.
        status: What is known of the connection.
        credentials: The credentials to connect with, if they are refreshed.
    """

    def __init__(
        self,
        transport: Transport,
        options: SessionOptions,
        status: Status,
        credentials: SessionCredentials | None = None,
    ) -> None:
        policy: Policy = options.retry_connect if options.reconnecting else False
        self._retry = Retry(policy, connect_policy, "retry_connect")
        self._transport = transport
        self._options = options
        self._status = status
        self._credentials = credentials
        #: How many connections there have been.
        self.connections = 0
        self._attempts = 0
        self._short_lived = 0
        # The calls that wait for a connection, and what brings the next attempt forward for them.
        self._calls_waiting = 0
        self._call_came = Signal()
        self._attempt_began = -math.inf
        self._not_before = -math.inf
        #: The outcome of an attempt that was brought forward, which the policy hasn't seen.
        self._early: Connection | Exception | None = None

    @contextmanager
    def for_call(self) -> Generator[None]:
        """Bring attempts forward, while a call waits for a connection within this context."""
        self._calls_waiting += 1
        self._call_came.notify()
        try:
            yield
        finally:
            self._calls_waiting -= 1

    def may_connect_again(self, error: Exception) -> bool:
        """Return whether the session makes another attempt to connect after this error."""
        if error is self._status.event_error:
            return False
        asks_anew: bool = getattr(self._transport, "asks_anew", True)
        if self._credentials is not None and self._credentials.is_in_vain(error):
            asks_anew = False
        retryable = may_connect_again(error, acknowledged=self.connections > 0, asks_anew=asks_anew)
        return self._options.decide(error, retryable=retryable)

    async def connect(self, task_group: TaskGroup, open_connection: _Open) -> Connection:
        """Connect, as often as the retry policy allows.

        Args:
            task_group: Where warnings come from, while that takes long.
            open_connection: Makes one attempt. Returns its connection, which is in use by then.
        """
        self._attempts = 0
        status = self._status
        status.outage.begin()
        watching = CancelScope()
        if self._options.reconnecting:
            task_group.start_soon(
                status.outage.watch, status.description, watching, name="anygql: connect"
            )
        try:
            connection = await self._connect_in_time(open_connection)
        except Exception as exc:
            if exc is not status.event_error:
                status.emit_disconnected(exc, will_retry=False)
            raise
        finally:
            watching.cancel()
        status.outage = Outage()
        self.connections += 1
        return connection

    async def wait_after_loss(self, fault: TransportError, lived: float) -> None:
        """Report a loss, and wait until it is time for the next attempt.

        Args:
            fault: What ended the connection.
            lived: How many seconds it lived.
        """
        self._short_lived = 1 if lived >= STABLE_AFTER else self._short_lived + 1
        wait = max(wait_after(self._short_lived), requested_wait(fault))
        self._status.outage.begin()
        until = current_time() + wait
        self._before_waiting(fault, wait)
        await self._is_called_before(until)

    async def _connect_in_time(self, open_connection: _Open) -> Connection:
        """Connect, the first time within ``first_connect_timeout``."""
        timeout = None if self.connections else self._options.first_connect_timeout
        with move_on_after(timeout):
            return await self._retry.call(
                lambda: self._next_connection(open_connection),
                self.may_connect_again,
                self._before_waiting,
                lambda seconds: self._wait_for_next_attempt(seconds, open_connection),
            )
        raise self._not_in_time(timeout)

    def _not_in_time(self, timeout: float | None) -> Exception:
        """Return the last real error, for a session that has got no connection in time."""
        limit = f"within {timeout:g} s (first_connect_timeout)"
        error = self._status.last_error
        if error is None:
            return TransportConnectTimeout(
                f"{self._status.description}: no acknowledgement {limit}"
            )
        error.add_note(f"There was no connection {limit}")
        return error

    async def _next_connection(self, open_connection: _Open) -> Connection:
        """Return what came of an attempt that was brought forward, or make one."""
        early, self._early = self._early, None
        if early is None:
            return await self._try_to_connect(open_connection)
        if isinstance(early, Exception):
            raise early
        return early

    async def _try_to_connect(self, open_connection: _Open) -> Connection:
        """Make one attempt to connect, unless the session has just been closed."""
        await checkpoint_if_cancelled()
        self._attempts += 1
        self._attempt_began = current_time()
        status = self._status
        status.state = "connecting"
        status.emit(Connecting(self._attempts, transport=status.named_transport))
        try:
            return await open_connection()
        except Exception as exc:
            if exc is status.event_error:
                raise
            status.last_error = exc
            status.outage.note_failure(exc)
            if self._retry.is_custom:
                status.emit_disconnected(exc, will_retry=True)
            raise

    def _before_waiting(self, error: Exception, seconds: float) -> None:
        """Report a failed attempt, before the wait for the next one."""
        self._status.state = "waiting"
        self._not_before = current_time() + requested_wait(error)
        self._status.emit_disconnected(error, will_retry=True, next_wait=seconds)

    async def _wait_for_next_attempt(self, seconds: float, open_connection: _Open) -> None:
        """Wait as the policy says, and while a call waits, try once a second in between.

        Those attempts don't count for the policy.
        """
        until = current_time() + seconds
        while await self._is_called_before(until):
            try:
                self._early = await self._try_to_connect(open_connection)
            except Exception as exc:
                if exc is self._status.event_error:
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
