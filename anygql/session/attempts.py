"""The attempts of an operation, each on the connection of the moment and within its time limit.

This module decides what may be retried: nothing that the server has answered, and no mutation that
may have reached the server, unless the caller allows that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import EllipsisType
from typing import TypeVar

from anyio import move_on_after

from ..concurrency.interrupts import uninterruptible
from ..delivery.interfaces import Connection
from ..documents.request import OperationKind
from ..exceptions import TransportClosed, TransportError, TransportQueryError, TransportTimeout
from .supervisor import Supervisor

__all__ = ["Attempts"]

_T = TypeVar("_T")


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
            timeout: Seconds for each attempt, ``None`` for no limit, ``...`` for the session's
                limit.
            retry_mutations: Whether a mutation may run twice, ``None`` for what the session says.
        """
        limit = self._options.execute_timeout if isinstance(timeout, EllipsisType) else timeout
        retry = self._supervisor.retry_execute
        if retry.is_disabled:
            return await self._attempt(run, label, limit)
        if retry_mutations is None:
            retry_mutations = self._options.retry_mutations
        at_most_once = kind == "mutation" and not retry_mutations
        return await retry.call(
            lambda: self._attempt(run, label, limit),
            lambda error: self._may_retry(error, at_most_once=at_most_once),
            sleep=self._supervisor.sleep,
        )

    async def _attempt(
        self, run: Callable[[Connection], Awaitable[_T]], label: str, timeout: float | None
    ) -> _T:
        """Wait for a connection and run the operation on it, within ``timeout`` seconds."""
        connection: Connection | None = None
        with move_on_after(timeout):
            connection = await self._supervisor.connection()
            return await run(connection)
        error = TransportTimeout(
            f"{self._supervisor.description}: "
            f"{'no connection' if connection is None else 'no answer'} "
            f"for {label} within {timeout:g} s (execute_timeout)"
        )
        error.unsent = connection is None
        # Without a connection, the caller wants to know why there is none.
        raise error from (self._supervisor.last_error if connection is None else None)

    def _may_retry(self, error: Exception, *, at_most_once: bool) -> bool:
        """Return whether the operation may be tried again after this error."""
        if self._supervisor.fault is not None or not isinstance(error, TransportError):
            return False
        if isinstance(error, TransportQueryError | TransportClosed):
            return False
        return (error.unsent or not at_most_once) and self._options.is_retryable(error)
