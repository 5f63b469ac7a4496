"""A subscription that goes on after a reconnect.

What it received before the loss is delivered before anything else; then there is a gap, which
``reconnects`` counts when the consumer crosses it; then come the results of the new connection.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from anyio import EndOfStream, Event, current_time
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..delivery.buffering import Delivery
from ..delivery.interfaces import Connection, ConnectionResults, TransportArgs
from ..documents.request import GraphQLRequest
from ..exceptions import SubscriptionOverflow, TransportError, copy_to_raise
from ..results.result import ExecutionResult
from .retry import wait_after
from .supervisor import SETTLED, Supervisor

__all__ = ["Resuming"]


class Resuming:
    """The results of a subscription over one connection after another.

    ``ask``: called before each resubscription with the last result that came; it may be async,
    and may return new variables. ``again``: the request with those.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        request: GraphQLRequest,
        delivery: Delivery,
        ask: Callable[[ExecutionResult | None], Any] | None,
        again: Callable[[Mapping[str, Any]], GraphQLRequest],
        transport_args: TransportArgs = None,
    ) -> None:
        self._args = transport_args
        self._losses = 0
        self._began_at = 0.0
        self._supervisor = supervisor
        self._request = request
        self._delivery = delivery
        self._ask = ask
        self._anew = again
        # At most two: one that the consumer still reads, and the newest. So a consumer that
        # takes nothing costs no more memory with every reconnect.
        self._feeds: deque[ConnectionResults] = deque()
        self._last: ExecutionResult | None = None
        self._fault: Exception | None = None
        self._left = False
        self._resuming = False
        self._changed = Event()
        self._dropped = 0
        self.reconnects = 0

    @property
    def dropped(self) -> int:
        """How many results ``"drop_oldest"`` has thrown away, on all connections."""
        return self._dropped + sum(feed.dropped for feed in self._feeds)

    @property
    def last(self) -> ExecutionResult | None:
        """The newest result that the server sent, delivered or not."""
        return (self._feeds[-1].last if self._feeds else None) or self._last

    @property
    def fault(self) -> Exception | None:
        """Why there will be no more results, if that is a fault."""
        return self._fault

    async def begin(self) -> Resuming:
        """Start it. Cancelled, it hasn't started."""
        await checkpoint()
        connection = await self._supervisor.connection()
        self._subscribe(connection)
        self._supervisor.resumables.add(self)
        return self

    def _subscribe(self, connection: Connection) -> None:
        feed = connection.subscribe(self._request, self._delivery, self._args)
        feed.on_lost = self._lost_alone
        self._feeds.append(feed)
        self._began_at = current_time()

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
            self._cross()

    async def wait(self) -> None:
        """See ``Results``."""
        if not self._feeds[0].lost:
            await self._feeds[0].wait()
        elif len(self._feeds) == 1 and self._fault is None and not self._left:
            await self._changed.wait()

    def leave(self) -> None:
        """See ``Results``."""
        self._left = True
        self._supervisor.resumables.discard(self)
        for feed in self._feeds:
            feed.leave()
        while len(self._feeds) > 1:
            self._feeds.popleft()
        self._notify()

    def abandon(self) -> None:
        """See ``Results``."""
        if self._supervisor.fault is not None:
            self.leave()  # nothing runs any more that this could meet
        else:
            self._supervisor.loop.call_soon(self.leave)

    def _cross(self) -> None:
        """The consumer has read all from before the gap."""
        feed = self._feeds.popleft()
        self._dropped += feed.dropped
        feed.leave()
        self.reconnects += 1
        self._notify()

    # The supervisor's side.

    def lost(self, fault: Exception, task_group: TaskGroup) -> None:
        """The connection is gone: start over on the next one, if it took this with it."""
        if self._feeds[-1].fault is fault and not self._resuming:
            self._resuming = True
            task_group.start_soon(self._resume, name="anygql: resubscribe")

    def _lost_alone(self, fault: TransportError) -> None:
        """It is gone, but not its connection: so it is this that must wait between attempts."""
        if self._left:
            return
        if not self._may_retry(fault):
            self.give_up(fault)
            return
        settled = current_time() - self._began_at >= SETTLED
        self._losses = 1 if settled else self._losses + 1
        wait = max(wait_after(self._losses), fault.retry_after or 0.0)
        self._supervisor.task_group.start_soon(
            self._resume_later, fault, wait, name="anygql: resubscribe"
        )

    async def _resume_later(self, fault: TransportError, wait: float) -> None:
        await self._supervisor.sleep(wait)
        while self._resuming:
            await self._changed.wait()
        if self._feeds[-1].fault is fault and not self._left:
            self._resuming = True
            await self._resume()

    def give_up(self, fault: Exception) -> None:
        """There will be no other connection."""
        if self._fault is None:
            self._fault = fault
        self._supervisor.resumables.discard(self)
        self._notify()

    async def _resume(self) -> None:
        try:
            await self._supervisor.retry_subscribe.call(
                self._again, self._may_retry, sleep=self._supervisor.sleep
            )
        except Exception as exc:  # noqa: BLE001 - whatever on_resubscribe raises is the consumer's
            self.give_up(exc)
        finally:
            self._resuming = False
            self._notify()

    def _may_retry(self, error: Exception) -> bool:
        return self._supervisor.fault is None and self._supervisor.options.is_retryable(error)

    async def _again(self) -> None:
        while True:
            connection = await self._supervisor.connection()
            while len(self._feeds) > 1:
                await self._changed.wait()
            if connection.fault is None and not self._left:
                await self._ask_for_variables()
            if self._left:
                return
            if connection.fault is None:
                self._last = self.last
                self._args = self._feeds[-1].transport_args
                self._subscribe(connection)
                self._notify()
                return

    async def _ask_for_variables(self) -> None:
        if self._ask is None:
            return
        variables = self._ask(self.last)
        if inspect.isawaitable(variables):
            variables = await variables
        if variables is None:
            return
        if not isinstance(variables, Mapping):
            raise TypeError(
                "on_resubscribe returns the new variables as a mapping, or None, "
                f"not {type(variables).__name__}"
            )
        self._request = self._anew(variables)  # pyright: ignore[reportUnknownArgumentType]

    def _notify(self) -> None:
        changed, self._changed = self._changed, Event()
        changed.set()
