"""The time that a permanent session is without a connection, and the warnings about it.

A session that can't connect must not be silent: nobody may look at its events. The log shows
warnings without any set-up.
"""

from __future__ import annotations

import logging
import math

from anyio import CancelScope, current_time, sleep_until

from ..concurrency.interrupts import uninterruptible
from ..exceptions import TransportError

__all__ = ["Outage", "log_end", "loggable"]

#: The logger of all that happens to a session's connections.
logger = logging.getLogger("anygql.session.supervisor")

#: The first warning comes after this many failed attempts in a row, or this many seconds.
FAILURES_UNTIL_WARNING = 3
SECONDS_UNTIL_WARNING = 5.0

#: Seconds from one warning to the next.
SECONDS_BETWEEN_WARNINGS = 60.0


class Outage:
    """How long there has been no connection, and how many attempts have failed."""

    def __init__(self) -> None:
        self._failures = 0
        self._since = math.inf
        self._not_again_before = -math.inf
        self._last_error: Exception | None = None

    def begin(self) -> None:
        """Note that there is no connection from now on, if that isn't known yet."""
        self._since = min(self._since, current_time())

    def note_failure(self, error: Exception) -> None:
        """Note that an attempt has failed."""
        self._failures += 1
        self._last_error = error

    def report(self, server: str, error: Exception, *, will_retry: bool) -> None:
        """Log a failed attempt or a lost connection; warn if that is due."""
        level = logging.WARNING if will_retry and self._is_warning_due() else logging.INFO
        what_next = "trying again" if will_retry else "no further attempt"
        logger.log(level, "%s: %s; %s", server, loggable(error), what_next)

    @uninterruptible
    async def watch(self, server: str, scope: CancelScope) -> None:
        """Warn if there is no connection for long, though no attempt fails just then.

        ``scope`` ends it.
        """
        with scope:
            while True:
                await sleep_until(max(self._since + SECONDS_UNTIL_WARNING, self._not_again_before))
                if self._is_warning_due():
                    away = current_time() - self._since
                    error = self._last_error
                    why = "the server has not answered yet" if error is None else loggable(error)
                    logger.warning("%s: no connection for %.0f s: %s", server, away, why)

    def _is_warning_due(self) -> bool:
        """Return whether to warn now. If so, the next warning is due later."""
        now = current_time()
        is_long = now >= self._since + SECONDS_UNTIL_WARNING
        if now < self._not_again_before or not (
            is_long or self._failures >= FAILURES_UNTIL_WARNING
        ):
            return False
        self._not_again_before = now + SECONDS_BETWEEN_WARNINGS
        return True


def loggable(error: Exception) -> str:
    """Return an error as logs may show it: the text of a foreign one may hold secrets."""
    return str(error) if isinstance(error, TransportError) else type(error).__name__


def log_end(logger: logging.Logger, server: str, error: Exception) -> None:
    """Log the error that ended a session, where nobody is there to be told of it."""
    logger.error(
        "%s: the session has ended, as its next calls will say: %s",
        server,
        loggable(error),
        exc_info=None if isinstance(error, TransportError) else error,
    )
