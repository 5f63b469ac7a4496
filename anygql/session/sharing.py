"""One subscription for many listeners, each with a buffer and an overflow rule of its own.

The subscription that the server sees is the upstream. A task takes its results and puts each into
the listeners' feeds. A ``Flow`` holds that task back for listeners that are behind, as it holds
back a connection, so one rule decides which listener pays.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

import msgspec
from anyio import (
    CancelScope,
    EndOfStream,
    Event,
    create_task_group,
    move_on_after,
)
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..concurrency.contexts import ContextManagerMixin
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..concurrency.loop import RunningLoop
from ..concurrency.signal import Signal
from ..delivery.buffering import Delivery, OnOverflow
from ..delivery.feed import Feed
from ..delivery.flow import Backlog, Flow
from ..delivery.interfaces import Results
from ..delivery.routes import Route
from ..exceptions import copy_to_raise
from ..net.options import check_seconds
from ..results.result import ExecutionResult
from .subscription import Subscription, results_of

__all__ = ["SharedSubscription"]

T_co = TypeVar("T_co", covariant=True)

#: Number of results put into feeds between two checkpoints that let the listeners run.
DELIVERIES_BETWEEN_CHECKPOINTS = 4096

#: Number of results that are taken at once when a connection can't wait: enough to go on with.
TAKEN_FOR_ROOM = 64

_HOW = "write `async with session.share(…) as hub:`, then `async with hub.listen() as events:`"


class SharedSubscription(ContextManagerMixin, Generic[T_co]):
    """One subscription for many listeners: an async context manager.

    ``session.share`` makes these. Within the block, any task may ``listen``. The server sees one
    subscription, which begins with the first listener and ends ``linger`` seconds after the last
    one. A listener that comes after the subscription has ended begins another. Leaving the block
    ends the subscription; listeners still get what they have buffered, and their iteration ends.

    A result is converted once, by the first listener that takes it, and all listeners get the same
    object: don't change it.
    """

    def __init__(
        self,
        subscribe: Callable[[Delivery], Subscription[Any]],
        convert: Callable[[ExecutionResult], T_co],
        label: str,
        *,
        linger: float | None,
        replay: int,
        observe: Callable[[Results, Delivery], Results] | None = None,
    ) -> None:
        if linger is not None:
            check_seconds("linger", linger)
            if not linger >= 0:
                raise ValueError(f"linger must be at least 0 s, not {linger}")
        if replay not in (0, 1):
            raise ValueError(f"replay must be 0 (none) or 1 (the newest item), not {replay!r}")
        self._subscribe = subscribe
        self._convert = convert
        self._label = label
        self._linger = linger
        self._replays = bool(replay)
        self._observe = observe
        self._tasks: TaskGroup | None = None
        self._loop: RunningLoop
        self._left = False
        self._upstream: _Upstream | None = None

    def __repr__(self) -> str:
        state = "running" if self._upstream is not None else "not running"
        return f"<SharedSubscription{f' of {self._label}' if self._label else ''}, {state}>"

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __await__(self) -> NoReturn:
            raise TypeError("a shared subscription is not awaited: " + _HOW)

        def __aiter__(self) -> NoReturn:
            raise TypeError("a shared subscription is not iterated itself: " + _HOW)

    @asynccontextmanager
    @uninterruptible
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        if self._tasks is not None:
            raise RuntimeError("a shared subscription can be entered once: call share() again")
        self._loop = RunningLoop()
        with unwrapped():
            async with create_task_group() as self._tasks:
                try:
                    yield self
                finally:
                    self._left = True
                    if self._upstream is not None:
                        self._upstream.stop()
                    self._tasks.cancel_scope.cancel()

    def listen(
        self,
        *,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
    ) -> Subscription[T_co]:
        """Listen to the shared subscription, from now on.

        The listener gets every result that comes after it was entered, in order, and before them
        the newest one if the subscription was shared with ``replay=1``. ``events.reconnects`` and
        ``events.dropped`` count the gaps and the dropped results of this listener.

        Args:
            buffer_size: Number of results that may wait for this listener. Default: 1024.
            on_overflow: What happens when more results wait. ``"pause"`` takes no more results
                for all listeners, unless another listener waits for one; then up to 64 times
                ``buffer_size`` results are kept. ``"error"`` ends this listener with
                ``SubscriptionOverflow``. ``"drop_oldest"`` keeps the newest results for this
                listener. Default: ``"pause"``.
            stall_timeout: Seconds that this listener, at the limit of ``"pause"``, may take nothing
                before it alone ends with ``SubscriptionOverflow``, or ``None`` for no limit. The
                other listeners wait meanwhile. If an ``execute`` waits behind the subscription,
                this listener ends at once. Default: 10.

        Returns:
            A subscription, to be entered with ``async with``. Entering it waits until the shared
            subscription has begun.

        Raises:
            ValueError, TypeError: When an option is wrong.
            RuntimeError: On entering, outside of the block of the shared subscription, or in
                another event loop.
            TransportError: On entering, when the subscription can't be sent.
        """
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        return Subscription(partial(self._join, delivery), self._read, self._label)

    async def _join(self, delivery: Delivery) -> Results:
        """Add a listener, and wait until the upstream has begun. If canceled, none was added."""
        await checkpoint()
        if self._tasks is None or self._left:
            self._refuse()
        self._loop.check("the shared subscription")
        upstream = self._upstream
        if upstream is None:
            upstream = self._upstream = _Upstream(self._subscribe, self._forget, self._linger)
            self._tasks.start_soon(upstream.run, name="anygql: shared subscription")
        listener = upstream.add(delivery, replays=self._replays)
        try:
            await upstream.begun.wait()
        except BaseException:
            listener.leave()
            raise
        if upstream.has_begun:
            return listener if self._observe is None else self._observe(listener, delivery)
        listener.leave()
        if upstream.error is None:
            self._refuse()
        raise copy_to_raise(upstream.error) from upstream.error.__cause__

    def _refuse(self) -> NoReturn:
        was = "was left" if self._left else "was not entered"
        raise RuntimeError(f"the block of this shared subscription {was}: {_HOW}")

    def _forget(self) -> None:
        """Let the next listener begin another upstream."""
        self._upstream = None

    def _read(self, shared: Any) -> T_co:
        """Convert a result, unless another listener has. Errors are raised anew for each."""
        if shared.value is msgspec.UNSET:
            shared.value = self._convert(shared.result)
        value: T_co = shared.value
        return value


class _SharedResult(ExecutionResult):
    """A result of the upstream, and what its listeners have in common.

    It is an ``ExecutionResult`` only to travel in a feed.
    """

    result: ExecutionResult | None = None
    #: Number of gaps before it.
    reconnects: int = 0
    #: The converted data, once a listener has taken it.
    value: Any = msgspec.UNSET


class _Listener(Feed):
    """The results that wait for one listener."""

    def __init__(self, upstream: _Upstream, delivery: Delivery, reconnects: int) -> None:
        super().__init__(upstream, "", delivery)
        self.written = True
        #: Number of gaps before this listener.
        self._earlier = reconnects
        self._error: Exception | None = None

    def end(self, error: Exception | None) -> None:
        """End with the upstream's error, if any, after the results that wait."""
        self._error = error
        self.complete()

    def receive_nowait(self) -> ExecutionResult | None:
        try:
            result: Any = super().receive_nowait()
        except EndOfStream:
            if self._error is None or self._left:
                raise
            raise copy_to_raise(self._error) from self._error.__cause__
        if result is not None:
            self.reconnects = result.reconnects - self._earlier
        return result  # type: ignore[no-any-return]


class _Upstream:
    """One subscription that the server sees, and the owner of its listeners' feeds."""

    def __init__(
        self,
        subscribe: Callable[[Delivery], Subscription[Any]],
        forget: Callable[[], None],
        linger: float | None,
    ) -> None:
        self.flow = Flow()
        self.loop = RunningLoop()
        self.wake_soon = self.loop.wake
        #: Set when it has begun, or can't begin.
        self.begun = Event()
        self.has_begun = False
        #: What has ended it.
        self.error: Exception | None = None
        self._subscribe = subscribe
        self._forget = forget
        self._linger = linger
        # A dict, for its order.
        self._listeners: dict[Route, _Listener] = {}
        self._changed = Signal()
        self._scope = CancelScope()
        self._results: Results | None = None
        self._newest: _SharedResult | None = None
        self._is_over = False

    # The listeners' side.

    def add(self, delivery: Delivery, *, replays: bool) -> _Listener:
        """Add a listener, which gets what comes from now on."""
        newest = self._newest if replays else None
        results = self._results
        if newest is not None:
            reconnects = newest.reconnects
        else:
            reconnects = 0 if results is None else results.reconnects
        listener = _Listener(self, delivery, reconnects)
        if newest is not None:
            listener.next(newest)
        self._listeners[listener] = listener
        self._changed.notify()
        return listener

    def leave(self, route: Route) -> None:
        """See ``RouteOwner``."""
        if self._listeners.pop(route, None) is None or self._listeners:
            return
        if self._linger == 0:
            # Not in a task: whether a listener that comes next joins would depend on the loop.
            self.stop()
        else:
            self._changed.notify()

    def leave_soon(self, leave: Callable[[], None]) -> None:
        """See ``RouteOwner``."""
        self.loop.call_soon(leave)

    # The server's side.

    @uninterruptible
    async def run(self) -> None:
        """Run until it is over, or has had no listener for long enough."""
        try:
            with self._scope:
                async with create_task_group() as tasks:
                    tasks.start_soon(self._watch, name="anygql: listeners of a subscription")
                    await self._receive()
                    tasks.cancel_scope.cancel()
        finally:
            self._end(None)

    def stop(self) -> None:
        """Leave the subscription, and end the listeners."""
        self._end(None)
        if self._results is not None:
            # At once: the next upstream must not begin before the server is told.
            self._results.leave()
        self._scope.cancel()

    def _end(self, error: Exception | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.error = error
        self._forget()
        self.begun.set()
        for listener in tuple(self._listeners):
            self._listeners[listener].end(error)

    @uninterruptible
    async def _watch(self) -> None:
        """Stop when there was no listener for ``linger`` seconds."""
        while True:
            while self._listeners:
                await self._changed.wait()
            with move_on_after(self._linger):
                while not self._listeners:
                    await self._changed.wait()
            if not self._listeners:
                self.stop()
                return

    async def _receive(self) -> None:
        """Subscribe, and give each result to all listeners, until the end."""
        try:
            # Listeners have time limits of their own; nothing else may end the upstream.
            delivery = Delivery(stall_timeout=None, make_room=self._make_room)
            async with self._subscribe(delivery) as subscription:
                self._results = results = results_of(subscription)
                self.has_begun = True
                self.begun.set()
                try:
                    await self._distribute(results)
                except EndOfStream:
                    self._end(None)
                except Exception as exc:  # noqa: BLE001 - raised to each listener
                    self._end(exc)
        except Exception as exc:  # noqa: BLE001 - likewise
            self._end(exc)

    async def _distribute(self, results: Results) -> NoReturn:
        credit = DELIVERIES_BETWEEN_CHECKPOINTS
        while True:
            if self.flow.full:
                await self.flow.admit()
            if not self._give_next(results):
                await results.wait()
                credit = DELIVERIES_BETWEEN_CHECKPOINTS
                continue
            credit -= 1 + len(self._listeners)
            if credit <= 0:
                await checkpoint()
                credit = DELIVERIES_BETWEEN_CHECKPOINTS

    def _give_next(self, results: Results) -> bool:
        """Give the next result to all listeners. Return False if there is none yet."""
        result = results.receive_nowait()
        if result is None:
            return False
        shared = self._newest = _SharedResult(result=result, reconnects=results.reconnects)
        for listener in tuple(self._listeners.values()):
            listener.next(shared)
        return True

    def _make_room(self, why: str) -> bool:
        """End the listeners that hold everything up, for a connection that can't wait.

        Take some of what waits upstream, unless a listener comes to its limit again. Return whether
        that has made room.
        """
        for listener in self._at_limit():
            listener.overflow(why)
        results, taken = self._results, 0
        # The end of the upstream can't come up: the connection has more results than this.
        while (
            results is not None
            and not self._is_over
            and taken < TAKEN_FOR_ROOM
            and not self._at_limit()
            and self._give_next(results)
        ):
            taken += 1
        return taken > 0 or self._is_over

    def _at_limit(self) -> list[Backlog]:
        return [each for each in self.flow.full if each.queued >= each.delivery.hard_limit]
