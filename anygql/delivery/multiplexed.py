"""A connection whose operations share it: what has routes for them, and one end for all.

A WebSocket is one, and so is graphql-sse's single event stream. How an operation is started and
stopped is each one's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from anyio import Event
from anyio.lowlevel import EventLoopToken, current_token

from ..concurrency.cancellation import cancelled_first
from ..concurrency.tasks import call_soon, clock
from ..concurrency.waiters import Parked, Parking
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError, copy_to_raise_unsent
from ..results.result import ExecutionResult
from .buffering import Delivery
from .flow import Flow
from .interfaces import TransportArgs
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..results.incremental import IncrementalMerge
    from .feed import Feed

__all__ = ["RoutedConnection"]


class RoutedConnection(ABC):
    """The operations of one connection, by their ids. ``_take_loop`` comes before all else."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.fault: TransportError | None = None
        self.idle_since: float | None = None
        self._routes: dict[str, Route] = {}
        self._ids = count(1)
        self._ended = Event()
        # Set when the context is entered: there may be no event loop yet.
        self.parking: Parking
        self.wake_soon: Callable[[Parked], None]
        self._token: EventLoopToken
        self._now: Callable[[], float]

    def _take_loop(self) -> None:
        self._token = current_token()
        self._now = clock(self._token)
        self.parking = Parking(self._token)
        self.wake_soon = self.parking.wake

    async def wait_closed(self) -> None:
        """Until ``fault`` is set."""
        await self._ended.wait()

    def _end(self, fault: TransportError) -> bool:
        """Whoever waits on a route gets the fault; whether there was none before."""
        if self.fault is not None:
            return False
        self.fault = fault
        routes = list(self._routes.values())
        self._routes.clear()  # the same dict: the receiving task may be in the middle of it
        for route in routes:
            route.fail(fault)
        self._ended.set()
        return True

    # Operations.

    async def execute(
        self, request: GraphQLRequest, transport_args: TransportArgs = None
    ) -> ExecutionResult:
        """Run one query or mutation.

        Cancelled before its request is written, it sends nothing; after that, the server is told
        once.
        """
        self._check_args(transport_args)
        if self.fault is not None:
            await cancelled_first(self.fault)
        self._check_open()
        route = Answer(self, str(next(self._ids)))
        if request.source.is_incremental:
            route.merge = _merge()
        self._start(route, request, transport_args)
        try:
            return await route.wait()
        finally:
            self.leave(route)

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: TransportArgs = None
    ) -> Feed:
        """Start a subscription; the caller must leave the feed."""
        return self._feed(request, delivery, transport_args, None)

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: TransportArgs = None
    ) -> Feed:
        """Run a query or mutation whose result grows; the caller must leave the feed."""
        return self._feed(request, delivery, transport_args, _merge())

    def _feed(
        self,
        request: GraphQLRequest,
        delivery: Delivery,
        transport_args: TransportArgs,
        merge: IncrementalMerge | None,
    ) -> Feed:
        self._check_args(transport_args)
        self._check_open()
        from .feed import Feed  # with anyio's memory object streams: not every client subscribes

        feed = Feed(self, str(next(self._ids)), delivery)
        feed.merge = merge
        feed.transport_args = transport_args
        try:
            self._start(feed, request, transport_args)
        except BaseException:
            feed.leave()
            raise
        return feed

    def _check_args(self, transport_args: TransportArgs) -> None:  # noqa: B027 - most have nothing
        """Raise ``TypeError`` for what makes no sense on any such connection."""

    def _check_open(self) -> None:
        if self.fault is not None:
            raise copy_to_raise_unsent(self.fault) from self.fault.__cause__

    @abstractmethod
    def _start(self, route: Route, request: GraphQLRequest, transport_args: TransportArgs) -> None:
        """``_register`` the route, and have the request sent; raises what is wrong with it."""

    def _register(self, route: Route) -> None:
        self._routes[route.id] = route
        self.idle_since = None

    @abstractmethod
    def leave(self, route: Route) -> None:
        """Forget the route, and tell the server if the operation still runs there."""

    def leave_soon(self, feed: Feed) -> None:
        """``leave``, from a finaliser: it may run in any thread, in the middle of anything."""
        if self.fault is not None:
            feed.leave()  # nothing reaches it any more, so there is nobody to meet
            return
        call_soon(self._token, feed.leave)

    def _forget(self, id: str) -> Route | None:
        route = self._routes.pop(id, None)
        if route is not None and not self._routes:
            self.idle_since = self._now()
        return route


def _merge() -> IncrementalMerge:
    from ..results.incremental import IncrementalMerge  # few results grow

    return IncrementalMerge()
