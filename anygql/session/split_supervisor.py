"""The supervisors of a session with two transports.

The first is the session's: it lives and ends with it. The second keeps the connection for
subscriptions, and nothing but subscriptions learns how that fares. Where the first would end with
an error, the second ends alone, and begins anew with the next subscription.
"""

from __future__ import annotations

from anyio import Event
from anyio.abc import TaskGroup, TaskStatus

from ..delivery.interfaces import Connection, Transport
from .events import SessionState
from .options import SessionOptions
from .split import SplitTransport
from .status import EventListener
from .supervisor import Supervisor

__all__ = ["SplitSupervisor"]

#: From the best to the worst.
_STATES: tuple[SessionState, ...] = ("connected", "connecting", "waiting", "closed")


class SplitSupervisor(Supervisor):
    """Keeps both connections of a session, and knows its state."""

    def __init__(self, transport: SplitTransport, options: SessionOptions) -> None:
        if transport.eager and options.lazy:
            raise ValueError(
                "lazy=True contradicts SplitTransport(…, eager=True): leave out one of them"
            )
        super().__init__(transport.transport, options)
        self._status.named_transport = transport.transport
        self._subscriptions = _SubscriptionSupervisor(
            transport.subscriptions, options, self._status.listener, is_lazy=not transport.eager
        )

    @property
    def subscriptions(self) -> Supervisor:
        """The supervisor of the connection for subscriptions."""
        return self._subscriptions

    @property
    def state(self) -> SessionState:
        """The worse state of the connections that are open, or are to be."""
        if self.fault is not None:
            return "closed"
        states: list[SessionState] = []
        if self.is_wanted:
            states.append(super().state)
        if self._subscriptions.is_wanted:
            states.append(self._subscriptions.state)
        return max(states, key=_STATES.index) if states else "waiting"

    @property
    def end_was_told(self) -> bool:
        """Whether a call or subscription was told of the error that ended the session."""
        return self.fault_was_told or self._subscriptions.fault_was_told

    async def wait_connected(self) -> None:
        """Wait until there is a connection, and until there are both if both are wanted."""
        await self.connection()
        if not self._subscriptions.is_wanted:
            return
        try:
            await self._subscriptions.connection()
        except Exception:
            # It may have been refused, which is the subscriptions' alone.
            if self.fault is not None:
                raise

    def reconnect(self) -> None:
        """Drop both connections, where there are any, and make others."""
        super().reconnect()
        self._subscriptions.reconnect()

    def bind_to_loop(self) -> None:
        super().bind_to_loop()
        self._subscriptions.bind_to_loop()

    async def _supervise(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        await tg.start(self._subscriptions.run, self._end_with_subscriptions)
        await super()._supervise(tg, task_status)

    def _end_with_subscriptions(self) -> None:
        """End the session with the error that the other supervisor has for its owner."""
        error = self._subscriptions.owner_error
        assert error is not None  # noqa: S101 - this is called for it
        self._end_with(error)
        self._raise_to_owner(error)

    def _mark_closed(self, fault: Exception) -> bool:
        was_open = super()._mark_closed(fault)
        if was_open:
            self._subscriptions.end(fault)
        return was_open


class _SubscriptionSupervisor(Supervisor):
    """Keeps the connection for a session's subscriptions, while there are any.

    ``fault`` is set while it has ended alone. The next subscription clears that.
    """

    _lends_task_group = False

    def __init__(
        self,
        transport: Transport,
        options: SessionOptions,
        listener: EventListener,
        *,
        is_lazy: bool,
    ) -> None:
        super().__init__(transport, options)
        self._is_lazy = is_lazy
        self._is_over = False
        self._status.named_transport = transport
        self._status.listener = listener
        self._status.state = "waiting" if is_lazy else "connecting"

    @property
    def is_wanted(self) -> bool:
        """Whether there is a connection, or there is to be one."""
        return self.fault is None and super().is_wanted

    async def connection(self, *, is_call: bool = False) -> Connection:
        """Return the connection; a call begins anew if the supervisor has ended alone."""
        if is_call and self.fault is not None and not self._is_over:
            self.fault = None
            self.fault_was_told = False
            self._closed = Event()
            self._status.state = "waiting"
        return await super().connection(is_call=is_call)

    def end(self, fault: Exception) -> None:
        """End for good, since the session has ended with this error."""
        self._is_over = True
        connection = self._connection
        self.fault_was_told = connection is not None and connection.idle_since is None
        if connection is not None:
            # At once: its consumers may be about to be canceled, and are to get the error first.
            connection.close()
        if not self._mark_closed(fault):
            self.fault = fault
        self._scope.cancel()

    async def _supervise(self, tg: TaskGroup, task_status: TaskStatus[None]) -> None:
        while not self._is_over:
            try:
                await super()._supervise(tg, task_status)
            except Exception as exc:
                was_entered = self._is_lazy or self._attempts.connections
                if exc is self._status.event_error or not was_entered:
                    raise
                self._is_lazy = True
                self._connection_wanted = Event()
                self._end_with(exc)

    def _end_with(self, error: Exception) -> None:
        """End with an error, alone: the session goes on."""
        self._mark_closed(error)
