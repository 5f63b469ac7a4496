"""Automatic batching: calls made within a short time travel as one request.

Each call keeps its own time limit, cancellation and retries. A batch is sent by a task of the
session, since any of its callers may leave.
"""

from __future__ import annotations

from anyio import CancelScope, Event, move_on_after

from ..concurrency.interrupts import uninterruptible
from ..delivery.faults import closed
from ..delivery.interfaces import AnyTransportArgs, Batching
from ..documents.request import GraphQLRequest
from ..exceptions import copy_to_raise, copy_to_raise_unsent
from ..results.result import ExecutionResult
from .supervisor import Supervisor

__all__ = ["Batcher"]


class _BatchedCall:
    """One caller's request, and its outcome."""

    def __init__(self, request: GraphQLRequest, position: int) -> None:
        self.request = request
        #: Where it stands in the batch.
        self.position = position
        self.settled = Event()
        self.outcome: ExecutionResult | Exception | None = None

    def settle(self, outcome: ExecutionResult | Exception) -> None:
        """Set the outcome, if there is none yet."""
        if self.outcome is None:
            self.outcome = outcome
            self.settled.set()


class _Batch:
    """Calls that travel together."""

    def __init__(self, connection: Batching, transport_args: AnyTransportArgs) -> None:
        self.connection = connection
        self.transport_args = transport_args
        self.calls: list[_BatchedCall] = []
        self.full = Event()
        self.scope = CancelScope()
        self.sent = False

    def withdraw(self, call: _BatchedCall) -> None:
        """Remove a call whose caller has left.

        If the batch has been sent, cancel it once nobody waits for it any more.
        """
        if not self.sent:
            self.calls.remove(call)
        elif all(other is call or other.settled.is_set() for other in self.calls):
            self.scope.cancel()
        call.settled.set()


class Batcher:
    """Collects a session's calls for ``interval`` seconds, or until there are ``max_size``."""

    def __init__(self, supervisor: Supervisor, interval: float, max_size: int) -> None:
        self._supervisor = supervisor
        self._interval = interval
        self._max_size = max_size
        self._gathering: _Batch | None = None

    async def execute(
        self,
        connection: Batching,
        request: GraphQLRequest,
        transport_args: AnyTransportArgs = None,
        position: int = 0,
    ) -> ExecutionResult:
        """Run a request, in one batch with others that come in time and have the same arguments.

        Canceling withdraws the request from a batch that has not been sent.
        """
        if not connection.may_batch(request):
            return await connection.execute(request, transport_args)
        batch = self._batch(connection, transport_args)
        call = _BatchedCall(request, position)
        batch.calls.append(call)
        self._close_if_full()
        try:
            await call.settled.wait()
        finally:
            if not call.settled.is_set():
                batch.withdraw(call)
        if isinstance(call.outcome, Exception):
            raise copy_to_raise(call.outcome) from call.outcome.__cause__
        assert call.outcome is not None  # noqa: S101 - it was settled
        return call.outcome

    def expect_fewer(self) -> None:
        """Learn that one call fewer is to come: a batch is full without it."""
        self._max_size -= 1
        self._close_if_full()

    def _close_if_full(self) -> None:
        """Send the batch that is being collected if it has all the calls that it may have."""
        batch = self._gathering
        if batch is not None and len(batch.calls) >= self._max_size:
            self._gathering = None
            batch.full.set()

    def _batch(self, connection: Batching, transport_args: AnyTransportArgs) -> _Batch:
        """Return the batch that is being collected for these, or begin one."""
        batch = self._gathering
        if (
            batch is None
            or batch.connection is not connection
            or batch.transport_args != transport_args
        ):
            batch = self._gathering = _Batch(connection, transport_args)
            self._supervisor.task_group.start_soon(self._run, batch, name="anygql: batch")
        return batch

    @uninterruptible
    async def _run(self, batch: _Batch) -> None:
        """Collect calls, send them, and settle those that are left."""
        try:
            with move_on_after(self._interval):
                await batch.full.wait()
            if self._gathering is batch:
                self._gathering = None
            batch.sent = True
            with batch.scope:
                await self._send(batch)
        finally:
            # If a call still waits here, the session is being closed.
            fault = self._supervisor.fault or closed(self._supervisor.description)
            if not batch.sent:
                fault = copy_to_raise_unsent(fault)
            for call in batch.calls:
                call.settle(fault)

    async def _send(self, batch: _Batch) -> None:
        """Send the batch, and settle its calls."""
        calls = batch.calls
        try:
            if len(calls) == 1:
                only, args = calls[0], batch.transport_args
                only.settle(await batch.connection.execute(only.request, args))
            elif calls:
                calls.sort(key=lambda call: call.position)
                requests = [call.request for call in calls]
                outcomes = await batch.connection.execute_batch(requests, batch.transport_args)
                for call, outcome in zip(calls, outcomes, strict=True):
                    call.settle(outcome)
        except Exception as exc:  # noqa: BLE001 - the callers get what a header function raises
            for call in calls:
                call.settle(exc)
