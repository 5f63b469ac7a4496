"""A connection whose operations share it: one stream, a route for each, and one end for all.

A WebSocket is one, and so is graphql-sse's single event stream. How an operation is started and
stopped is each one's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..concurrency.loop import RunningLoop
from ..concurrency.waiters import Waiter
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError
from ..results.result import ExecutionResult
from .base import BaseConnection
from .buffering import Delivery
from .flow import Flow
from .interfaces import AnyTransportArgs
from .routes import Answer, Route, Routes

if TYPE_CHECKING:
    from ..results.incremental import IncrementalMerge
    from .feed import Feed

__all__ = ["MultiplexedConnection"]


class MultiplexedConnection(BaseConnection, ABC):
    """The operations of one stream. ``_take_loop`` comes before everything else."""

    #: Whether operations are run with what ``authorize`` returns.
    authorizes = False

    def __init__(self) -> None:
        super().__init__()
        self.flow = Flow()
        # Set when the context is entered: there may be no event loop before.
        self.routes: Routes
        self.wake_soon: Callable[[Waiter], None]

    def _take_loop(self) -> None:
        self.loop = RunningLoop()
        self.routes = Routes(self.loop.now)
        self.wake_soon = self.loop.wake

    @property
    def idle_since(self) -> float | None:
        """When the last operation ended, on the loop's clock; ``None`` while one runs."""
        return self.routes.idle_since

    def _end(self, fault: TransportError) -> bool:
        ended = super()._end(fault)
        if ended:
            self.routes.fail_all(fault)
        return ended

    # Operations.

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        """Run one query or mutation.

        Canceled before its request is written, it sends nothing. After that, the server is told
        once.
        """
        if self.authorizes:
            transport_args = await self.authorize(request, transport_args)
        if transport_args is not None:
            self._check_args(transport_args)
        if self.fault is not None:
            await self._refuse_unless_canceled()
        route = Answer(self, self.routes.new_id())
        if request.source.is_incremental:
            route.merge = _merge()
        else:
            route.takes_json = request.takes_json
        self._start(route, request, transport_args)
        try:
            return await route.wait()
        finally:
            self.leave(route)

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> Feed:
        """Start a subscription; the caller must leave the feed."""
        return self._feed(request, delivery, transport_args, None)

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> Feed:
        """Run a query or mutation whose result comes in parts; the caller must leave the feed."""
        return self._feed(request, delivery, transport_args, _merge())

    def _feed(
        self,
        request: GraphQLRequest,
        delivery: Delivery,
        transport_args: AnyTransportArgs,
        merge: IncrementalMerge | None,
    ) -> Feed:
        if transport_args is not None:
            self._check_args(transport_args)
        if self.fault is not None:
            self._refuse()
        from .feed import Feed  # with anyio's memory object streams: not every client subscribes

        feed = Feed(self, self.routes.new_id(), delivery)
        feed.merge = merge
        feed.takes_json = request.takes_json and merge is None
        feed.transport_args = transport_args
        try:
            self._start(feed, request, transport_args)
        except BaseException:
            feed.leave()
            raise
        return feed

    async def authorize(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> AnyTransportArgs:
        """Return the ``transport_args`` to run an operation with. Canceling sends nothing."""
        return transport_args

    def _check_args(self, transport_args: AnyTransportArgs) -> None:
        """Raise ``TypeError`` for what makes no sense on any such connection."""

    @abstractmethod
    def _start(
        self, route: Route, request: GraphQLRequest, transport_args: AnyTransportArgs
    ) -> None:
        """Register the route, and have the request sent. Raises what is wrong with the request."""

    @abstractmethod
    def leave(self, route: Route) -> None:
        """Forget the route, and tell the server if the operation still runs there."""

    def leave_soon(self, leave: Callable[[], None]) -> None:
        """Call ``leave``, from a finalizer, which may run in any thread at any moment."""
        self.loop.call_soon(leave)


def _merge() -> IncrementalMerge:
    from ..results.incremental import IncrementalMerge  # few results come in parts

    return IncrementalMerge()
