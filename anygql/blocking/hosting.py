"""What holds a session open in its thread: from connecting to closing, in one task."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any, Protocol

from anyio import Event

from ..delivery.faults import closed
from ..session.outage import log_end
from ..session.session import Session
from ..session.subscription import Subscription
from .portal import Call, Portal

__all__ = ["Context", "Host"]

logger = logging.getLogger(__name__)

#: Seconds for closing a session at the end of the program, if its transport has no limit.
CLOSE_TIMEOUT = 10.0


class Context(AbstractAsyncContextManager[Session], Protocol):
    """A session's context, as ``anygql.Client.connect`` returns it."""

    @property
    def end_was_told(self) -> bool:
        """Whether a call or subscription was told of the error that ended the session."""
        ...


class Host:
    """One session and its thread.

    Args:
        context: The session's context.
        server: A description of the server, for messages.
        backend: ``"asyncio"`` or ``"trio"``.
        close_timeout: Seconds for closing at the end of the program.
        has_owner: Whether somebody raises the error that ends the session, so that it is not
            logged.
    """

    session: Session

    def __init__(
        self,
        context: Context,
        server: str,
        backend: str,
        *,
        close_timeout: float | None = None,
        has_owner: bool,
    ) -> None:
        self.server = server
        self.portal = Portal(backend, server)
        #: What ended the session, if not its owner.
        self.error: Exception | None = None
        self.is_closed = False
        #: Those that have not been dropped.
        self.subscriptions: weakref.WeakSet[Subscription[Any]] = weakref.WeakSet()
        self._is_exiting = False
        self._context = context
        self._has_owner = has_owner
        #: Seconds for closing at the end of the program.
        self.close_timeout = CLOSE_TIMEOUT if close_timeout is None else close_timeout
        self._has_failed = False
        self._opened = threading.Event()
        self._close_requested: Event
        self._call = Call(self._hold_open)

    def open(self) -> None:
        """Start the thread, and connect. If interrupted, nothing is left behind."""
        self.portal.start()
        try:
            self.portal.begin(self._call)
            self._opened.wait()
        except BaseException:
            self._give_up()
            raise
        if self._has_failed:
            self.is_closed = True
            self.portal.join()
            error, self.error = self.error, None
            try:
                raise error or closed(self.server)
            finally:
                del error
        _open_at_exit.add(self)

    def close(self) -> None:
        """Close the session, and wait until its thread has ended."""
        if self.is_closed or not self.portal.is_of_this_process:
            return
        self.portal.check()
        self.request_close()
        try:
            self.portal.join()
        except BaseException:
            self._give_up()
            raise

    def request_close(self, *, at_exit: bool = False) -> bool:
        """Begin to close the session. Return False if it is closed, or another process's."""
        self._is_exiting = at_exit
        if self.is_closed or not self.portal.is_of_this_process:
            return False
        self.is_closed = True
        _open_at_exit.discard(self)
        self.portal.post(lambda: self._close_requested.set())
        return True

    def _give_up(self) -> None:
        """Cancel what holds the session, and end the thread."""
        self.is_closed = True
        _open_at_exit.discard(self)
        self.portal.cancel(self._call)
        self.portal.request_stop()

    async def _hold_open(self) -> None:
        self._close_requested = Event()
        try:
            async with self._context as self.session:
                self._opened.set()
                await self._close_requested.wait()
        except Exception as exc:  # noqa: BLE001 - raised by `open`, or to the owner
            self.error = exc
            self._has_failed = not self._opened.is_set()
            if not self._has_failed:
                if not self._has_owner and not self._context.end_was_told:
                    log_end(logger, self.server, exc)
                # The session tells calls of its end, as long as there is one to ask.
                await self._close_requested.wait()
        finally:
            if self._is_exiting:  # nothing finalizes subscriptions any more
                for subscription in list(self.subscriptions):
                    await subscription.aclose()
            self._opened.set()
            self.portal.request_stop()


#: The sessions that are open.
_open_at_exit: weakref.WeakSet[Host] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close the sessions that are open when the program ends, each within its time."""
    begun = monotonic()
    hosts = [host for host in list(_open_at_exit) if host.portal.is_of_this_process]
    for host in hosts:
        host.request_close(at_exit=True)
    for host in hosts:
        host.portal.join(max(0.0, begun + host.close_timeout - monotonic()))
