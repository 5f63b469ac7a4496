"""The results of a subscription, from the connection that has them to the consumer."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from anyio import EndOfStream, create_memory_object_stream

from ..concurrency.waiters import Waiter
from ..exceptions import SubscriptionOverflow, TransportError
from ..results.answers import read_refusal
from ..results.result import ExecutionResult
from .buffering import Delivery
from .interfaces import AnyTransportArgs
from .routes import Route, RouteOwner

__all__ = ["Feed"]


class Feed(Route):
    """The results of a subscription, in a memory object stream, by its ``on_overflow`` rule.

    The stream carries runs of results. A run that the consumer has not emptied yet is added to, so
    the price of the stream is paid once for all results that wait.
    """

    def __init__(self, owner: RouteOwner, id: str, delivery: Delivery) -> None:
        super().__init__(owner, id)
        self.delivery = delivery
        self.transport_args: AnyTransportArgs = None
        self.on_lost: Callable[[TransportError], None] | None = None
        self.queued = 0
        self.taken = 0
        self.dropped = 0
        self.reconnects = 0
        #: The newest result that has come, whether or not the consumer has taken it.
        self.last: ExecutionResult | None = None
        self.stalled_since = 0.0
        self.stalled_at = -1
        self._over = False
        self._left = False
        self._flow = owner.flow
        self._new_waiter = owner.loop.new_waiter
        self._buffer_size = delivery.buffer_size
        # Up to here a result is put in without looking at anything else.
        self._soft_limit = delivery.buffer_size - 1
        self._pausing = delivery.on_overflow == "pause"
        self._waiters: list[Waiter] = []
        # The one run that there may be, as the consumer reads it and as results are added to it.
        self._reading: deque[ExecutionResult] | None = None
        self._adding: deque[ExecutionResult] | None = None
        # The flow bounds it, since the flow must decide before a result is read.
        self._send, self._receive = create_memory_object_stream[deque[ExecutionResult]](math.inf)

    # The connection's side.

    def next(self, result: ExecutionResult) -> bool:
        if self.queued >= self._soft_limit:
            return self._next_when_tight(result)
        self.last = result
        # `_put`, written out: almost every result takes this path.
        self.queued += 1
        if self._adding is not None:
            self._adding.append(result)
        else:
            self._adding = run = deque((result,))
            self._send.send_nowait(run)
        if self._waiters:
            self._wake(self.owner.wake_soon)
        return False

    def _next_when_tight(self, result: ExecutionResult) -> bool:
        if self.queued >= self._buffer_size and not self._pausing:
            if self.delivery.on_overflow == "error":
                self.overflow("and on_overflow is 'error'")
                return True
            self._take()
            self.dropped += 1
        self._put(result)
        self.last = result
        if self._pausing and self.queued >= self._buffer_size:
            self._flow.full.add(self)
        if self._waiters:
            self._wake(self.owner.wake_soon)
        return False

    def _put(self, result: ExecutionResult) -> None:
        self.queued += 1
        if self._adding is not None:
            self._adding.append(result)
        else:
            self._adding = run = deque((result,))
            self._send.send_nowait(run)

    def _take(self) -> ExecutionResult:
        run = self._reading
        if run is None:
            self._reading = run = self._receive.receive_nowait()
        result = run.popleft()
        self.queued -= 1
        if not run:
            self._reading = self._adding = None
        return result

    def show_parts(self, result: ExecutionResult, *, over: bool) -> None:
        self.next(result)
        if over:
            self.complete()

    def reject(self, payload: object) -> None:
        self.refuse(read_refusal(payload))

    def refuse(self, result: ExecutionResult) -> None:
        """End with a result that has the errors which the server refused the operation with."""
        self._put(result)
        self.complete()

    def complete(self) -> None:
        self._over = True
        self._send.close()
        self._leave_flow()
        self._wake(self.owner.loop.wake)

    def fail(self, fault: TransportError) -> None:
        if self.fault is None:
            self.fault = fault
        self.complete()

    def fail_alone(self, fault: TransportError) -> None:
        self.fail(fault)
        if self.on_lost is not None:
            self.on_lost(fault)

    def overflow(self, why: str) -> None:
        make_room = self.delivery.make_room
        if make_room is not None and make_room(why):
            return
        self.fail(
            SubscriptionOverflow(
                f"the subscription has {self.queued} results waiting, {why} "
                f"(buffer_size={self.delivery.buffer_size})"
            )
        )
        self.owner.leave(self)

    # The consumer's side.

    @property
    def lost(self) -> bool:
        """Whether the connection has ended, and the consumer has taken all that came before."""
        return (
            self.fault is not None
            and not self.queued
            and not isinstance(self.fault, SubscriptionOverflow)
        )

    def receive_nowait(self) -> ExecutionResult | None:
        if not self.queued:
            if not self._over:
                return None
            if self.fault is not None and not self._left:
                raise self.fault_to_raise() from self.fault.__cause__
            raise EndOfStream
        result = self._take()
        self.taken += 1
        if self._flow.full:
            self._consumed_down_to(self.queued)
        return result

    def _consumed_down_to(self, queued: int) -> None:
        flow = self._flow
        if queued <= self._buffer_size // 2 and self in flow.full:
            # Not at once: the connection would go on for one message, and stop again.
            flow.full.discard(self)
            flow.changed()
        elif queued == self.delivery.hard_limit - 1:
            flow.changed()

    async def wait(self) -> None:
        # Not the stream's own receive(): that hands an item to a task that may be canceled
        # (natively, under asyncio) before it gets to run, and the item would be lost with it.
        if self.queued or self._over:
            return
        self.check_loop()
        waiter = self._new_waiter()
        flow = self._flow
        flow.receiving += 1
        self._waiters.append(waiter)
        if flow.paused:
            flow.changed()
        try:
            await waiter
        finally:
            if self._waiters and waiter in self._waiters:  # canceled
                self._waiters.remove(waiter)
                flow.receiving -= 1

    def leave(self) -> None:
        self._left = True
        self._receive.close()
        self._reading = self._adding = None
        self.queued = 0
        self.complete()
        self.owner.leave(self)

    def check_loop(self) -> None:
        self.owner.loop.check("the subscription")

    def abandon(self) -> None:
        self.owner.leave_soon(self.leave)

    def _leave_flow(self) -> None:
        flow = self._flow
        flow.full.discard(self)
        flow.changed()

    def _wake(self, wake: Callable[[Waiter], None]) -> None:
        # Counted here, not when the waiting tasks get to run: in between, more would be read for
        # them.
        self._flow.receiving -= len(self._waiters)
        for waiter in self._waiters:
            wake(waiter)
        self._waiters.clear()
