"""What is known of a session's connection, and told: its state, its events, its log."""

from __future__ import annotations

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.interrupts import interruptible
from ..delivery.interfaces import Transport
from .events import Disconnected, SessionEvent, SessionState
from .options import SessionOptions
from .outage import Outage

__all__ = ["Status"]


class Status:
    """The state of a session, which tells ``on_event`` and the log when it changes."""

    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self.state: SessionState = "waiting" if options.lazy else "connecting"
        #: How the last attempt failed, or the last connection ended.
        self.last_error: Exception | None = None
        #: What ``on_event`` raised, which ends the session.
        self.event_error: Exception | None = None
        self.outage = Outage()
        self._transport = transport
        self._on_event = options.on_event

    @property
    def description(self) -> str:
        """A description of the server, for messages."""
        return self._transport.description

    def emit_disconnected(
        self, error: Exception, *, will_retry: bool, next_wait: float | None = None
    ) -> None:
        """Log and emit a failed attempt or a lost connection."""
        self.outage.report(self.description, error, will_retry=will_retry)
        code = getattr(error, "code", None)
        reason = getattr(error, "reason", "")
        self.emit(Disconnected(code, reason, error, will_retry, next_wait))

    @interruptible
    def emit(self, event: SessionEvent) -> None:
        """Tell ``on_event``, if there is one."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except BaseException as exc:
            if stray := stray_cancellation(exc, "on_event", self.description, retryable=False):
                self.event_error = self.event_error or stray
                raise stray from exc
            if isinstance(exc, Exception):
                self.event_error = self.event_error or exc
            raise
