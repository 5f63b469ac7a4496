"""A subscription that goes on after a reconnect.

Its consumer gets the results from before the loss first. Then comes a gap, which ``reconnects``
counts when the consumer crosses it. Then come the results of the new connection.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from anyio import CancelScope, EndOfStream, current_time
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.interrupts import interruptible, uninterruptible
from ..concurrency.signal import Signal
from ..delivery.buffering import Delivery
from ..delivery.interfaces import AnyTransportArgs, Connection, ConnectionResults, authorized
from ..documents.request import GraphQLRequest
from ..exceptions import SubscriptionOverflow, TransportError, copy_to_raise
from ..results.result import ExecutionResult
from .connect_attempts import STABLE_AFTER
from .retry import requested_wait, wait_after
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .interceptors.observing import SubscriptionObserver
    from .interceptors.operation import SubscriptionInterceptors

__all__ = ["Resuming", "ready_to_send"]


async def ready_to_send(
    connection: Connection,
    request: GraphQLRequest,
    transport_args: AnyTransportArgs,
    interceptors: SubscriptionInterceptors | None,
) -> tuple[GraphQLRequest, AnyTransportArgs]:
    """Return what is to be sent: as interceptors change it, and authorized for the connection."""
    if interceptors is not None:
        request, transport_args = await interceptors.change(request, transport_args)
    return request, await authorized(connection, request, transport_args)


class Resuming:
    """The results of a subscription over one connection after another.

    Args:
        supervisor: The session's supervisor.
        request: The request to begin with.
        delivery: How results wait for their consumer.
        on_resubscribe: A function or async function that is called before each resubscription with
            the last result, and may return new variables.
        with_variables: The function that makes the request with new variables.
        transport_args: Arguments for the transport alone.
        interceptors: The functions that may change what is sent, if there are any.
        observer: What follows the subscription, if anything does.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        request: GraphQLRequest,
        delivery: Delivery,
        on_resubscribe: Callable[[ExecutionResult | None], Any],
        with_variables: Callable[[Mapping[str, Any]], GraphQLRequest],
        transport_args: AnyTransportArgs = None,
        interceptors: SubscriptionInterceptors | None = None,
        observer: SubscriptionObserver | None = None,
    ) -> None:
        self._observer = observer
        self._args = transport_args
        self._interceptors = interceptors
        self._losses = 0
        self._began_at = 0.0
        self._supervisor = supervisor
        self._request = request
        self._delivery = delivery
        self._on_resubscribe = on_resubscribe
        self._with_variables = with_variables
        # At most two: one that the consumer still reads, and the newest. So memory does not grow
        # with every reconnect while a consumer takes nothing.
        self._feeds: deque[ConnectionResults] = deque()
        self._last: ExecutionResult | None = None
        self._fault: Exception | None = None
        self._left = False
        self._resuming = False
        #: What runs between two connections: leaving the subscription cancels it.
        self._scope: CancelScope | None = None
        self._changed = Signal()
        self._dropped = 0
        self.reconnects = 0

    @property
    def dropped(self) -> int:
        """Number of results that ``"drop_oldest"`` has thrown away, on all connections."""
        return self._dropped + sum(feed.dropped for feed in self._feeds)

    @property
    def last(self) -> ExecutionResult | None:
        """The newest result that the server sent, delivered or not."""
        return (self._feeds[-1].last if self._feeds else None) or self._last

    async def begin(self) -> Resuming:
        """Begin the subscription. If canceled, it has not begun."""
        await checkpoint()
        while True:
            connection = await self._connect(is_call=True)
            request, args = await ready_to_send(
                connection, self._request, self._args, self._interceptors
            )
            if connection.fault is None:  # it may have been lost meanwhile
                break
        self._subscribe(connection, request, args)
        self._supervisor.resumables.add(self)
        return self

    async def _connect(self, *, is_call: bool = False) -> Connection:
        """Return the connection to subscribe on, once there is one."""
        return await self._supervisor.connection(is_call=is_call)

    def _subscribe(
        self, connection: Connection, request: GraphQLRequest, args: AnyTransportArgs
    ) -> None:
        feed = connection.subscribe(request, self._delivery, args)
        feed.on_lost = self._feed_lost
        self._feeds.append(feed)
        self._began_at = current_time()
        if self._observer is not None:
            self._observer.sent(feed)

    @property
    def _is_over(self) -> bool:
        """Whether it is not sent again, whatever happens to its connections."""
        return self._left or self._fault is not None

    # The consumer's side.

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        while True:
            if self._left:
                raise EndOfStream
            try:
                return self._feeds[0].receive_nowait()
            except (EndOfStream, SubscriptionOverflow):
                self._supervisor.resumables.discard(self)
                raise
            except TransportError:
                if len(self._feeds) == 1:
                    if self._fault is not None:
                        raise copy_to_raise(self._fault) from self._fault.__cause__
                    return None
            self._cross_gap()

    async def wait(self) -> None:
        """See ``Results``."""
        if not self._feeds[0].lost:
            await self._feeds[0].wait()
        else:
            self.check_loop()
            await self._changed.wait()

    def leave(self) -> None:
        """See ``Results``."""
        self._leave()
        if self._scope is not None:
            self._scope.cancel()

    def _leave(self) -> None:
        self._left = True
        self._supervisor.resumables.discard(self)
        for feed in self._feeds:
            feed.leave()
        while len(self._feeds) > 1:
            self._feeds.popleft()
        self._changed.notify()

    def check_loop(self) -> None:
        """See ``Results``."""
        self._supervisor.loop.check("the subscription")

    def abandon(self) -> None:
        """See ``Results``."""
        self._supervisor.loop.call_soon(self.leave)

    def _cross_gap(self) -> None:
        """Go on with the next feed: the consumer has read everything from before the gap."""
        feed = self._feeds.popleft()
        self._dropped += feed.dropped
        feed.leave()
        self.reconnects += 1
        self._changed.notify()

    # The supervisor's side.

    def connection_lost(
        self, fault: Exception, task_group: TaskGroup, *, was_replaced: bool = False
    ) -> None:
        """Begin to resubscribe on the next connection, if the loss ended this subscription."""
        if self._feeds[-1].fault is fault and not self._resuming:
            self._resuming = True
            if self._observer is not None:
                self._observer.lost(fault)
            task_group.start_soon(self._resume, name="anygql: resubscribe")

    def _feed_lost(self, fault: TransportError) -> None:
        """Resubscribe after a loss that the connection survived.

        No connection attempt spaces out these attempts, so they wait here.
        """
        if not self._may_retry(fault):
            self.fail(fault)
            return
        if self._observer is not None:
            self._observer.lost(fault)
        stable = current_time() - self._began_at >= STABLE_AFTER
        self._losses = 1 if stable else self._losses + 1
        wait = max(wait_after(self._losses), requested_wait(fault))
        self._supervisor.task_group.start_soon(
            self._resume_later, fault, wait, name="anygql: resubscribe"
        )

    @uninterruptible
    async def _resume_later(self, fault: TransportError, wait: float) -> None:
        await self._supervisor.sleep(wait)
        if self._feeds[-1].fault is fault and not (self._left or self._resuming):
            self._resuming = True
            await self._resume()

    def fail(self, fault: Exception) -> None:
        """End the subscription with an error, after the results that wait."""
        if self._fault is None:
            self._fault = fault
        self._supervisor.resumables.discard(self)
        self._changed.notify()

    @uninterruptible
    async def _resume(self) -> None:
        if self._is_over:
            return
        try:
            with CancelScope() as self._scope:
                await self._send_again()
        except Exception as exc:  # noqa: BLE001 - the consumer gets what on_resubscribe raises
            self.fail(exc)
        finally:
            self._scope = None
            self._resuming = False
            self._changed.notify()

    async def _send_again(self) -> None:
        """Subscribe again, as often as the retry policy allows."""
        await self._supervisor.retry_subscribe.call(
            self._resubscribe, self._may_retry, sleep=self._supervisor.sleep
        )

    def _may_retry(self, error: Exception) -> bool:
        if self._is_over or self._supervisor.fault is not None:
            return False
        return self._supervisor.options.is_retryable(error)

    async def _resubscribe(self) -> None:
        """Subscribe on the next connection, once the consumer has come to the newest feed."""
        while True:
            connection = await self._connect()
            while len(self._feeds) > 1:
                await self._changed.wait()
            if self._is_over:
                return
            if connection.fault is not None:
                continue
            await self._update_variables()
            self._args = self._feeds[-1].transport_args
            request, args = await ready_to_send(
                connection, self._request, self._args, self._interceptors
            )
            if self._is_over:
                return
            if connection.fault is None:
                self._last = self.last
                self._subscribe(connection, request, args)
                self._changed.notify()
                return

    @interruptible
    async def _update_variables(self) -> None:
        """Let ``on_resubscribe`` change the variables."""
        try:
            variables = self._on_resubscribe(self.last)
            if inspect.isawaitable(variables):
                variables = await variables
        except BaseException as exc:
            server = self._supervisor.description
            stray = stray_cancellation(exc, "on_resubscribe", server, retryable=False)
            if stray is not None:
                raise stray from exc
            raise
        if variables is None:
            return
        if not isinstance(variables, Mapping):
            raise TypeError(
                "on_resubscribe returns the new variables as a mapping, or None, "
                f"not {type(variables).__name__}"
            )
        self._request = self._with_variables(variables)  # pyright: ignore[reportUnknownArgumentType]
