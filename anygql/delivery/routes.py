"""Where the results of an operation go: a route from its id to the task that waits.

A route belongs to one connection, and is registered before its request is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import cancelled_first
from ..concurrency.loop import RunningLoop
from ..concurrency.waiters import Waiter
from ..exceptions import TransportError, TransportQueryError, copy_to_raise
from ..results.answers import read_refusal
from ..results.result import ExecutionResult
from .flow import Flow

if TYPE_CHECKING:
    from ..results.incremental import IncrementalMerge

__all__ = ["Answer", "Route", "RouteOwner", "Routes"]

#: Maximum number of answered operations that a `complete` is expected for. Some servers send none.
MAX_UNCOMPLETED = 4096


class RouteOwner(Protocol):
    """The connection, as its routes see it."""

    flow: Flow
    loop: RunningLoop
    #: Wakes a consumer that a result has come for: at once, or when everything that was read
    #: together with that result has been handed out.
    wake_soon: Callable[[Waiter], None]

    def leave(self, route: Route) -> None:
        """Forget the route, and tell the server if the operation still runs there."""
        ...

    def leave_soon(self, leave: Callable[[], None]) -> None:
        """Call ``leave``, a route's own, from any thread and at any moment."""
        ...


class Route:
    """What a connection does with every route, whoever waits at its end."""

    #: Whether the request has been handed to the socket: from then on it may have arrived.
    written = False
    fault: TransportError | None = None
    #: For an operation whose result comes in parts: the parts so far.
    merge: IncrementalMerge | None = None
    #: Whether the data of its results may be left as JSON text.
    takes_json = False
    #: Called when the server says that a subscription has been started, where a protocol has that.
    on_started: Callable[[], None] | None = None

    def __init__(self, owner: RouteOwner, id: str) -> None:
        self.id = id
        self.owner = owner

    def add_part(self, merge: IncrementalMerge, part: Mapping[str, Any]) -> bool:
        """Take one more part of the result. Return whether it was the last.

        Raises ``ProtocolViolation`` for a part that doesn't fit.
        """
        self.show_parts(merge.add(part), over=not merge.has_next)
        return not merge.has_next

    def show_parts(self, result: ExecutionResult, *, over: bool) -> None:
        """Take the result so far, which is the whole of it if ``over``."""
        raise NotImplementedError

    def next(self, result: ExecutionResult) -> bool:
        """Take a result. Return whether the route is over by that."""
        raise NotImplementedError

    def reject(self, payload: object) -> None:
        """End with the errors in what the server refused the operation with, of any shape."""
        raise NotImplementedError

    def complete(self) -> None:
        """End: the server has no more results."""
        raise NotImplementedError

    def fail(self, fault: TransportError) -> None:
        """End: the connection is over, or this route can't go on."""
        raise NotImplementedError

    def fail_alone(self, fault: TransportError) -> None:
        """End, while the connection goes on."""
        self.fail(fault)

    def fault_to_raise(self) -> TransportError:
        """Return a copy of the fault, for one task to raise, that knows if the request left."""
        assert self.fault is not None  # noqa: S101 - only called on a route that failed
        fault = copy_to_raise(self.fault)
        fault.unsent = not self.written
        return fault


class Answer(Route):
    """The one result of an ``execute``."""

    _result: ExecutionResult | None = None
    _settled = False
    _waiter: Waiter | None = None

    def next(self, result: ExecutionResult) -> bool:
        self._result = result
        self._settle()
        # A query's `complete` is not waited for: some servers never send it. A late one, like
        # any message for an id that nobody knows, is ignored.
        return True

    def show_parts(self, result: ExecutionResult, *, over: bool) -> None:
        self._result = result
        if over:
            self._settle()

    def reject(self, payload: object) -> None:
        self.next(read_refusal(payload))

    def complete(self) -> None:
        self._settle()

    def fail(self, fault: TransportError) -> None:
        self.fault = fault
        self._settle()

    async def wait(self) -> ExecutionResult:
        """Wait for the result, and return it. Raises the fault.

        Canceling leaves the route to its owner.
        """
        if self._settled:
            await checkpoint()
        else:
            self._waiter = waiter = self.owner.loop.new_waiter()
            flow = self.owner.flow
            flow.executing += 1
            if flow.paused:
                flow.changed()
            try:
                await waiter
            finally:
                if not self._settled:
                    self._settle()
        if self.fault is not None:
            await cancelled_first(self.fault)
            raise self.fault_to_raise()
        if self._result is None:
            raise TransportQueryError("the server completed the operation without an answer")
        return self._result

    def _settle(self) -> None:
        self._settled = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            # Here, not when the waiting task gets to run: until then more would be read for it.
            self.owner.flow.executing -= 1
            self.owner.loop.wake(waiter)


class Routes:
    """The operations that run on one connection, by their ids."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.by_id: dict[str, Route] = {}
        #: How many of them take JSON text.
        self.taking_json = 0
        #: When the last operation ended, on the loop's clock; ``None`` while one runs.
        self.idle_since: float | None = None
        #: Ids of operations that have their one result, whose `complete` hasn't come: oldest first.
        self.uncompleted: dict[str, None] = {}
        self._ids = count(1)
        self._now = now

    def new_id(self) -> str:
        """Return an id that no operation of this connection has had."""
        return str(next(self._ids))

    def register(self, route: Route) -> None:
        """Add a route, before its request can be written."""
        self.by_id[route.id] = route
        self.taking_json += route.takes_json
        self.idle_since = None

    def forget(self, id: str) -> Route | None:
        """Remove and return the route of an id, if there is one."""
        route = self.by_id.pop(id, None)
        if route is not None:
            self.taking_json -= route.takes_json
            if not self.by_id:
                self.idle_since = self._now()
        return route

    def answered(self, id: str) -> None:
        """Remove the route of an id that has its one result, though the server may go on."""
        if self.forget(id) is None:
            return
        self.uncompleted[id] = None
        if len(self.uncompleted) > MAX_UNCOMPLETED:
            del self.uncompleted[next(iter(self.uncompleted))]

    def ended(self, id: str) -> Route | None:
        """Remove and return the route of an id that the server has ended, if there is one."""
        self.uncompleted.pop(id, None)
        return self.forget(id)

    def fail_all(self, fault: TransportError) -> None:
        """End every route with the fault."""
        routes = list(self.by_id.values())
        self.taking_json = 0
        self.by_id.clear()  # the same dict: the receiving task may be in the middle of it
        for route in routes:
            route.fail(fault)
