"""Where the answers to one operation go: a route from its id to whoever waits.

A route belongs to one connection, and is registered before its request is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import cancelled_first
from ..concurrency.waiters import Parked, Parking
from ..exceptions import TransportError, TransportQueryError, copy_to_raise
from ..results.result import ExecutionResult
from .flow import Flow

if TYPE_CHECKING:
    from ..results.incremental import IncrementalMerge
    from .feed import Feed

__all__ = ["Answer", "Owner", "Route"]


class Owner(Protocol):
    """The connection, as its routes see it."""

    flow: Flow
    parking: Parking
    #: ``parking.wake`` for a consumer that a result has come for, at once or when all that was
    #: read with it is handed out.
    wake_soon: Callable[[Parked], None]

    def leave(self, route: Route) -> None:
        """Forget the route, and tell the server if it still runs."""
        ...

    def leave_soon(self, feed: Feed) -> None:
        """``feed.leave``, from any thread and at any moment."""
        ...


class Route:
    """What the connection does with every route, whoever waits at its end."""

    def __init__(self, owner: Owner, id: str) -> None:
        self.id = id
        self.owner = owner
        #: Whether the request has been handed to the socket: from then on it may have arrived.
        self.written = False
        #: Whether it was left before it was written, so that it needn't be sent.
        self.withdrawn = False
        self.fault: TransportError | None = None
        #: Of an operation whose result grows: what has come of it.
        self.merge: IncrementalMerge | None = None

    def grow(self, merge: IncrementalMerge, part: Mapping[str, Any]) -> bool:
        """A part of its result has come; whether the route is over by that.

        Raises ``ProtocolViolation`` for a part that doesn't fit.
        """
        self.grown(merge.add(part), over=not merge.has_next)
        return not merge.has_next

    def grown(self, result: ExecutionResult, *, over: bool) -> None:
        """This is the result so far, or the whole of it."""
        raise NotImplementedError

    def next(self, result: ExecutionResult) -> bool:
        """A result has come; whether the route is over by that."""
        raise NotImplementedError

    def reject(self, errors: list[object]) -> None:
        """The server refused the operation."""
        raise NotImplementedError

    def complete(self) -> None:
        """The server has no more results."""
        raise NotImplementedError

    def fail(self, fault: TransportError) -> None:
        """The connection is over, or the route can't go on."""
        raise NotImplementedError

    def raised(self) -> TransportError:
        """A copy of the fault for one waiter to raise, that knows whether the request left."""
        assert self.fault is not None  # noqa: S101 - only called on a route that failed
        fault = copy_to_raise(self.fault)
        fault.unsent = not self.written
        return fault


class Answer(Route):
    """The one answer of an ``execute``."""

    def __init__(self, owner: Owner, id: str) -> None:
        super().__init__(owner, id)
        self._result: ExecutionResult | None = None
        self._settled = False
        self._parked: Parked | None = None

    def next(self, result: ExecutionResult) -> bool:
        self._result = result
        self._settle()
        # A query's `complete` is not waited for: some servers never send it. A late one, like
        # any message for an id that nobody knows, is ignored.
        return True

    def grown(self, result: ExecutionResult, *, over: bool) -> None:
        self._result = result
        if over:
            self._settle()

    def reject(self, errors: list[object]) -> None:
        self.next(ExecutionResult(None, errors))

    def complete(self) -> None:
        self._settle()

    def fail(self, fault: TransportError) -> None:
        self.fault = fault
        self._settle()

    async def wait(self) -> ExecutionResult:
        """The answer; raises the fault. Cancelling leaves the route to its owner."""
        if self._settled:
            await checkpoint()
        else:
            self._parked = parked = self.owner.parking.park()
            self.owner.flow.executing += 1
            self.owner.flow.changed()
            try:
                await parked
            finally:
                self._settle()
        if self.fault is not None:
            await cancelled_first(self.fault)
            raise self.raised()
        if self._result is None:
            raise TransportQueryError("the server completed the operation without an answer")
        return self._result

    def _settle(self) -> None:
        self._settled = True
        parked, self._parked = self._parked, None
        if parked is not None:
            # Here, not when the waiting task gets to run: until then more would be read for it.
            self.owner.flow.executing -= 1
            self.owner.parking.wake(parked)
