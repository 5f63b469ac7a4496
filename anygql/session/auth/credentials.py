"""What a session does with credentials that are refreshed (``tokens.py``).

An operation whose credentials are refused is replayed once. A connection that was opened with old
ones gets a successor: calls that run on it end there, and then it is closed.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from anyio import current_time, move_on_after

from ...concurrency.interrupts import uninterruptible
from ...concurrency.loop import RunningLoop
from ...concurrency.signal import Signal
from ...delivery.interfaces import Connection
from ...exceptions import (
    TransportClosed,
    TransportConnectionFailed,
    TransportError,
    TransportTimeout,
)
from ...results.result import ExecutionResult, query_error
from ..connect_attempts import STABLE_AFTER
from ..outage import loggable
from ..refusals import has_data
from ..retry import wait_after
from .tokens import Opening, TokenSource, opening

if TYPE_CHECKING:
    from ..session import Session
    from ..supervisor import Supervisor

__all__ = ["SessionCredentials"]

logger = logging.getLogger(__name__)

#: Seconds. A server that lets a connection be for so long has accepted its credentials. Some answer
#: ``connection_init`` before they have looked at them.
ACCEPTED_AFTER = 1.0

#: What operations fail with that the server has not answered.
_NO_ANSWERS = (TransportConnectionFailed, TransportTimeout, TransportClosed)


class SessionCredentials:
    """The credentials of one supervisor's connections and operations.

    Args:
        source: The token, which other sessions may share.
        supervisor: The supervisor.
    """

    def __init__(self, source: TokenSource[Any], supervisor: Supervisor) -> None:
        self._source = source
        self._supervisor = supervisor
        self._openings: dict[Connection, Opening] = {}
        #: What is being opened.
        self._opening: Opening | None = None
        #: When the credentials were last renewed because a connection was refused, unless the
        #: server has done anything for them since.
        self._renewed_at = -math.inf
        #: When the last connection was lost for its credentials.
        self._lost_at = -math.inf
        self._calls: Counter[Connection] = Counter()
        self._calls_changed = Signal()

    # The session's life.

    @property
    def loop(self) -> RunningLoop:
        """The loop that the session runs on."""
        return self._supervisor.loop

    @contextmanager
    def in_task_group(self, session: Callable[[], Session]) -> Generator[None]:
        """Let refreshes run in the supervisor's task group."""
        self._source.add(self._supervisor, session)
        try:
            yield
        finally:
            self._source.remove(self._supervisor)

    # Connections.

    async def open(self, connect: Callable[[], Awaitable[Connection]]) -> Connection:
        """Open a connection; once more with fresh credentials, if they are refused."""
        try:
            return await self._open(connect)
        except TransportError as error:
            # Whatever it was opened with: the transport may have asked nothing of the token.
            refused = self._opening
            if refused is None or refused.generation is None or not self._is_news(error):
                raise
        self._source.invalidate(refused.generation)
        with refused.waiting():
            await self._source.ensure()
        self._renewed_at = current_time()
        return await self._open(connect)

    async def _open(self, connect: Callable[[], Awaitable[Connection]]) -> Connection:
        self._opening = Opening(self._supervisor.wake_waiting)
        before = opening.set(self._opening)
        try:
            return await connect()
        finally:
            opening.reset(before)

    @contextmanager
    def of_connection(self, connection: Connection) -> Generator[None]:
        """Keep what a connection was opened with, and renew that in time, until its end."""
        opened = opening.get()
        assert opened is not None  # noqa: S101 - `open` has set it
        opened.is_open, opened.opened_at = True, current_time()
        self._openings[connection] = opened
        if opened.generation is not None and self._source.reconnects:
            self._supervisor.task_group.start_soon(
                self._renew_in_time, connection, opened.generation, name="anygql: credentials"
            )
        try:
            yield
        finally:
            del self._openings[connection]

    @uninterruptible
    async def _renew_in_time(self, connection: Connection, generation: int) -> None:
        """Replace a connection when the token that it was opened with expires."""
        failures, not_before = 0, -math.inf
        while generation == self._source.generation:
            due = self._source.expires_at()
            if due is None:
                return
            with move_on_after(max(0, max(due, not_before) - current_time())):
                await connection.wait_closed()
                return
            if self._supervisor.close_if_unused(connection, "its credentials have expired"):
                return
            try:
                await self._source.ensure()
            except Exception as exc:  # noqa: BLE001 - nobody waits for it; the next call is told
                failures += 1
                server = self._supervisor.description
                logger.warning("%s: the token was not refreshed: %s", server, loggable(exc))
                not_before = current_time() + 1 + wait_after(failures)
        self._supervisor.replace(connection)

    def is_in_vain(self, error: Exception) -> bool:
        """Return whether an error refuses credentials that were renewed for a refusal just now.

        Never if the server has done anything for them: then they have expired.
        """
        is_recent = current_time() - self._renewed_at < STABLE_AFTER
        return is_recent and self._source.is_refused(error)

    def _is_news(self, error: Exception) -> bool:
        return self._source.is_refused(error) and not self.is_in_vain(error)

    def may_pass(self, error: Exception) -> bool:
        """Return whether calls that were lost with a connection may go on with a fresh token."""
        return self._source.is_refused(error)

    def renew_after_loss(self, fault: Exception) -> Literal["at once", "later"] | None:
        """Have the token refreshed after the newest connection was lost for it.

        Call this before another is opened. Return when to connect again, ``None`` if that isn't why
        it was lost.
        """
        # Not by the connection: its task may have ended first.
        opened, now = self._opening, current_time()
        if opened is None or opened.generation is None:
            return None
        if now - opened.opened_at >= ACCEPTED_AFTER:
            self.accepted()
        if not self._is_news(fault):
            return None
        self._source.invalidate(opened.generation)
        is_first = now - self._lost_at >= STABLE_AFTER
        self._renewed_at = self._lost_at = now
        return "at once" if is_first else "later"

    def accepted(self) -> None:
        """Learn that the server has done something for these credentials."""
        self._renewed_at = -math.inf

    def _generation_of(self, connection: Connection) -> int | None:
        opened = self._openings.get(connection)
        return None if opened is None else opened.generation

    # Operations.

    @property
    def is_bypassed(self) -> bool:
        """Whether the current task refreshes these credentials, so that it does without them."""
        return self._source.is_refreshing_here

    def refuse_deadlock(self) -> None:
        """Raise ``RuntimeError`` if ``refresh`` waits here for a connection that waits for it."""
        if self.is_bypassed and self._opening is not None and self._opening.is_waiting:
            raise RuntimeError(
                f"{self._supervisor.description}: refresh has called the session, which waits for "
                "refresh to connect: use another client in refresh"
            )

    async def ready(self) -> None:
        """Wait until the token is fresh, before an operation. Raises what the refresh raises."""
        if self.is_bypassed:
            return
        before = self._source.generation
        await self._source.ensure()
        if self._source.generation != before and self._source.reconnects:
            self._replace_outdated()

    def used_on(self, connection: Connection) -> int:
        """Return the generation of the token with which an operation is sent on a connection."""
        generation = self._generation_of(connection)
        if generation is None or getattr(connection, "authorizes", False):
            return self._source.generation
        return generation

    @contextmanager
    def call_on(self, connection: Connection) -> Generator[None]:
        """Count a call that runs on a connection."""
        self._calls[connection] += 1
        try:
            yield
        finally:
            self._calls[connection] -= 1
            if not self._calls[connection]:
                del self._calls[connection]
                self._calls_changed.notify()

    async def wait_without_calls(self, connection: Connection) -> None:
        """Wait until no call runs on a connection."""
        while connection in self._calls:
            await self._calls_changed.wait()

    def is_refused(self, outcome: ExecutionResult | Exception) -> bool:
        """Return whether the server refused an operation for its credentials.

        Never if there are data, and never for the end of the connection, which is no answer.
        """
        if has_data(getattr(outcome, "data", None)):
            return False
        # Not raised: its traceback would have this frame, which would have it.
        error = query_error(outcome) if isinstance(outcome, ExecutionResult) else outcome
        if error is None or isinstance(error, _NO_ANSWERS):
            return False
        return self._source.is_refused(error)

    async def renew(self, generation: int) -> None:
        """Get fresh credentials after a refusal of those of a generation.

        Raises what the refresh raises, of an operation that was sent.
        """
        self._source.invalidate(generation)
        try:
            await self._source.ensure()
        except TransportError as error:
            error.unsent = False
            raise
        self._replace_outdated()

    def _replace_outdated(self) -> None:
        """Make others in the place of connections that were opened with an older token."""
        for connection, opened in list(self._openings.items()):
            is_old = opened.generation is not None and opened.generation < self._source.generation
            if is_old and not getattr(connection, "authorizes", False):
                self._supervisor.replace(connection)

    def invalidate(self, generation: int) -> None:
        """Have the token refreshed before the next operation, after a refusal."""
        self._source.invalidate(generation)
