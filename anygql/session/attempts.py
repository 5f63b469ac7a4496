"""An operation's attempts: each on the connection of its moment, within its time.

What may be tried again is decided here: nothing that the server answered, and no mutation that
may have reached it, unless the caller allows that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import EllipsisType
from typing import TypeVar

from anyio import move_on_after

from ..delivery.interfaces import Connection
from ..documents.request import OperationKind
from ..exceptions import TransportClosed, TransportError, TransportQueryError, TransportTimeout
from .supervisor import Supervisor

__all__ = ["Attempts"]

_T = TypeVar("_T")


class Attempts:
    """Runs operations on a session's connections, as often as its policy has it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._options = supervisor.options

    async def run(
        self,
        kind: OperationKind,
        label: str,
        run: Callable[[Connection], Awaitable[_T]],
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
    ) -> _T:
        """``run`` on a connection. ``what``: the operation, fit for messages.

        ``timeout``: seconds for each attempt, ``None`` for no limit, ``...`` for the session's.
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
        # Without a connection, what keeps it away is what the caller wants to know.
        raise error from (self._supervisor.last_error if connection is None else None)

    def _may_retry(self, error: Exception, *, at_most_once: bool) -> bool:
        if self._supervisor.fault is not None or not isinstance(error, TransportError):
            return False
        if isinstance(error, TransportQueryError | TransportClosed):
            return False
        return (error.unsent or not at_most_once) and self._options.is_retryable(error)
