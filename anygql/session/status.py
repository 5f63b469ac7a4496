"""What is known of a session's connection, and told: its state, its events, its log."""

from __future__ import annotations

from collections.abc import Callable

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.interrupts import interruptible
from ..delivery.interfaces import Transport
from .events import Disconnected, SessionEvent, SessionState
from .options import SessionOptions
from .outage import Outage

__all__ = ["EventListener", "Status"]


class EventListener:
    """The user's ``on_event``, if there is one, and what it has raised."""

    def __init__(self, on_event: Callable[[SessionEvent], object] | None) -> None:
        self.on_event = on_event
        #: What ``on_event`` raised, which ends the session.
        self.error: Exception | None = None


class Status:
    """The state of a session, which tells ``on_event`` and the log when it changes."""

    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self.state: SessionState = "waiting" if options.lazy else "connecting"
        #: How the last attempt failed, or the last connection ended.
        self.last_error: Exception | None = None
        self.outage = Outage()
        self.listener = EventListener(options.on_event)
        #: The transport that events name: None if the session has but one.
        self.named_transport: Transport | None = None
        self._transport = transport

    @property
    def description(self) -> str:
        """A description of the server, for messages."""
        return self._transport.description

    @property
    def event_error(self) -> Exception | None:
        """What ``on_event`` raised, which ends the session."""
        return self.listener.error

    def emit_disconnected(
        self, error: Exception, *, will_retry: bool, next_wait: float | None = None
    ) -> None:
        """Log and emit a failed attempt or a lost connection."""
        self.outage.report(self.description, error, will_retry=will_retry)
        code = getattr(error, "code", None)
        reason = getattr(error, "reason", "")
        transport = self.named_transport
        self.emit(Disconnected(code, reason, error, will_retry, next_wait, transport=transport))

    @interruptible
    def emit(self, event: SessionEvent) -> None:
        """Tell ``on_event``, if there is one."""
        listener = self.listener
        if listener.on_event is None:
            return
        try:
            listener.on_event(event)
        except BaseException as exc:
            if stray := stray_cancellation(exc, "on_event", self.description, retryable=False):
                listener.error = listener.error or stray
                raise stray from exc
            if isinstance(exc, Exception):
                listener.error = listener.error or exc
            raise
