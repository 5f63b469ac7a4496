"""The attempts of an operation, each on the connection of the moment, and their time limits.

A call's own ``timeout`` limits all of it: waiting for a connection, and every attempt.
``execute_timeout`` limits each attempt. Waiting for a connection is no attempt.

This module decides what may be retried: nothing that the server has answered, and no mutation that
may have reached the server, unless the caller allows that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import EllipsisType
from typing import Generic, TypeVar

from anyio import move_on_after

from ..concurrency.interrupts import uninterruptible
from ..delivery.interfaces import Connection
from ..documents.request import OperationKind
from ..exceptions import TransportClosed, TransportError, TransportQueryError, TransportTimeout
from .supervisor import Supervisor

__all__ = ["Attempts", "CallAttempts", "is_loss"]

_T = TypeVar("_T")


def is_loss(connection: Connection, error: Exception) -> bool:
    """Return whether the end of the connection is what an operation on it failed with."""
    fault = connection.fault
    return fault is not None and type(error) is type(fault) and error.args == fault.args


class Attempts:
    """Runs operations on a session's connections, as often as the retry policy allows."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._options = supervisor.options

    @uninterruptible
    async def run(
        self,
        kind: OperationKind,
        label: str,
        run: Callable[[Connection], Awaitable[_T]],
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
    ) -> _T:
        """Call ``run`` with a connection, again if it fails and may be retried.

        Args:
            kind: Whether the operation is a query or a mutation.
            label: A description of the operation, for messages.
            run: The function that runs the operation on a connection.
            timeout: Seconds for all of it, ``None`` for no limit, ``...`` for the client's
                ``execute_timeout`` for each attempt.
            retry_mutations: Whether a mutation may run twice, ``None`` for what the session says.
        """
        if retry_mutations is None:
            retry_mutations = self._options.retry_mutations
        at_most_once = kind == "mutation" and not retry_mutations
        if isinstance(timeout, EllipsisType):
            limit = self._options.execute_timeout
            return await CallAttempts(self._supervisor, label, run, limit, at_most_once).run()
        call = CallAttempts(self._supervisor, label, run, None, at_most_once)
        with move_on_after(timeout):
            return await call.run()
        assert timeout is not None  # noqa: S101 - without a limit, nothing else gets here
        raise call.timeout_error(timeout)


class CallAttempts(Generic[_T]):
    """One call: its attempts, and what is known of them all.

    Args:
        supervisor: The session's supervisor.
        label: A description of the operation, for messages.
        run: The function that runs the operation on a connection.
        limit: Seconds for each attempt, or ``None``.
        at_most_once: Whether the operation must not run twice.
        not_retried: A predicate of errors that are not retried, or ``None``.
    """

    __slots__ = (
        "_at_most_once",
        "_error",
        "_label",
        "_limit",
        "_lost",
        "_may_have_arrived",
        "_not_retried",
        "_run",
        "_running",
        "_supervisor",
    )

    def __init__(
        self,
        supervisor: Supervisor,
        label: str,
        run: Callable[[Connection], Awaitable[_T]],
        limit: float | None,
        at_most_once: bool,
        not_retried: Callable[[Exception], bool] | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._label = label
        self._run = run
        self._limit = limit
        self._at_most_once = at_most_once
        self._not_retried = not_retried
        #: Whether an attempt is under way.
        self._running = False
        #: How the last attempt failed, and whether its connection took it along.
        self._error: TransportError | None = None
        self._lost = False
        #: Whether the request of any attempt may have reached the server.
        self._may_have_arrived = False

    @property
    def may_have_arrived(self) -> bool:
        """Whether the request may have reached the server, by any attempt."""
        return self._running or self._may_have_arrived

    def run(self) -> Awaitable[_T]:
        """Make the attempts: one, if the session retries none."""
        return self._attempt() if self._supervisor.retry_execute.is_disabled else self._attempts()

    async def _attempts(self) -> _T:
        """Make the attempts. The error tells by ``unsent`` about all of them."""
        retry = self._supervisor.retry_execute
        try:
            return await retry.call(self._attempt, self._may_retry, sleep=self._supervisor.sleep)
        except TransportError as error:
            if self._may_have_arrived:
                error.unsent = False
            raise

    async def _attempt(self) -> _T:
        """Wait for a connection, and run the operation on it within the limit."""
        connection = await self._supervisor.connection(is_call=True)
        self._running = True
        try:
            if self._limit is None:
                return await self._run(connection)
            with move_on_after(self._limit):
                return await self._run(connection)
            raise TransportTimeout(
                self._timeout_message("no answer", self._limit, "execute_timeout")
            )
        except TransportError as error:
            self._running = False
            self._error = error
            self._lost = is_loss(connection, error)
            self._may_have_arrived = self._may_have_arrived or not error.unsent
            raise

    def timeout_error(self, timeout: float) -> TransportTimeout:
        """Return the error for a call that took more time than it was given."""
        if self.may_have_arrived:
            error = TransportTimeout(self._timeout_message("no answer", timeout, "timeout"))
            error.__cause__ = None if self._running else self._error
            return error
        error = TransportTimeout(self._timeout_message("no connection", timeout, "timeout"))
        error.unsent = True
        # The caller wants to know why there is none.
        error.__cause__ = self._supervisor.last_error
        return error

    def _timeout_message(self, lacking: str, seconds: float | None, option: str) -> str:
        server = self._supervisor.description
        return f"{server}: {lacking} for {self._label} within {seconds:g} s ({option})"

    def _may_retry(self, error: Exception) -> bool:
        """Return whether the operation may be tried again after this error."""
        if self._supervisor.fault is not None or not isinstance(error, TransportError):
            return False
        if isinstance(error, TransportQueryError | TransportClosed):
            return False
        if self._not_retried is not None and self._not_retried(error):
            return False
        # Asked of every error: `error.retryable` is what the session's policy says.
        may_send_again = self._supervisor.may_send_again(error, lost=self._lost)
        return may_send_again and (error.unsent or not self._at_most_once)
