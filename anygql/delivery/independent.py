"""A connection whose operations are exchanges of their own: each succeeds or fails alone.

There is no loss that would take all operations with it. Each operation has a cancel scope, which
the end of the session cancels. Subscriptions have tasks of their own, in a task group that
the caller enters with the connection; under asyncio, queries have too.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar

from anyio import (
    AsyncContextManagerMixin,
    CancelScope,
    create_task_group,
)
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ..concurrency.cancellation import is_cancellation, stray_cancellation
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..concurrency.loop import RunningLoop
from ..concurrency.waiters import Waiter
from ..exceptions import TransportConnectionFailed, TransportError, copy_to_raise
from .base import BaseConnection, Endpoint
from .buffering import Delivery
from .faults import closed
from .feed import Feed
from .flow import Flow
from .routes import Route

__all__ = ["IndependentConnection", "RunningFeed", "RunningStream"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Results of one stream that are handed out between two real checkpoints.
RESULTS_BETWEEN_CHECKPOINTS = 32


class RunningFeed(Feed):
    """The results of one operation that has a flow of its own."""

    @property
    def over(self) -> bool:
        """Whether it takes no more results."""
        return self._over


class RunningStream:
    """What runs one subscription, and owns its one route."""

    def __init__(self, loop: RunningLoop, delivery: Delivery) -> None:
        self.flow = Flow()
        self.loop = loop
        self.wake_soon = loop.wake
        self.scope = CancelScope()
        self.feed = RunningFeed(self, "", delivery)
        self._over = False
        self._count = 0

    def leave(self, route: Route) -> None:
        """Cancel what makes the results."""
        if not self._over:
            self.scope.cancel()

    def leave_soon(self, leave: Callable[[], None]) -> None:
        """Call ``leave``, from any thread and at any moment."""
        self.loop.call_soon(leave)

    async def room(self) -> bool:
        """Wait until one more result is wanted. Return False if none will be any more."""
        if self.flow.full:
            await self.flow.admit()
        self._count += 1
        if not self._count % RESULTS_BETWEEN_CHECKPOINTS:
            await checkpoint()
        return not self.feed.over

    def reject(self, errors: list[Any]) -> None:
        """End with these errors as the last result."""
        if not self.feed.over:
            self.feed.reject(errors)

    def ended(self, fault: TransportError | None) -> None:
        """End: nothing more comes."""
        self._over = True
        if fault is None:
            self.feed.complete()
            return
        over = self.feed.over
        self.feed.fail(fault)
        if self.feed.on_lost is not None and not over:
            self.feed.on_lost(fault)


class _RunningCall(Generic[_T]):
    """A query or mutation that runs, and the task that waits for it."""

    def __init__(self, work: Callable[[], Awaitable[_T]]) -> None:
        self.work = work
        self.scope = CancelScope()
        self.over = False
        self.waiting: Waiter | None = None
        self.came = False
        self.result: _T | None = None
        self.error: BaseException | None = None


class IndependentConnection(BaseConnection, AsyncContextManagerMixin):
    """The operations that run, and the end of them all.

    Leaving its context ends every operation, and waits until what they ran has ended.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint
        self.idle_since: float | None = None
        self._calls: set[_RunningCall[Any]] = set()
        self._streams: set[RunningStream] = set()
        #: The task that leaves the context, and waits for the end of the calls.
        self._leaving: Waiter | None = None
        # Set when the context is entered: there may be no event loop before.
        self._tasks: TaskGroup

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        self.loop = RunningLoop()
        with unwrapped():
            async with create_task_group() as self._tasks:
                self.idle_since = self.loop.now()
                try:
                    yield self
                finally:
                    self.close()
                    await self._calls_over()

    def drop(self, why: str) -> None:
        """Give the connection up: its calls and subscriptions get ``TransportConnectionFailed``."""
        self._end(TransportConnectionFailed(f"{self._endpoint.description}: {why}"))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End all operations; leaving the context waits until they have ended."""
        self._end(closed(self._endpoint.description))

    def _end(self, fault: TransportError) -> bool:
        ended = super()._end(fault)
        if ended:
            for call in self._calls:
                call.scope.cancel()
            for stream in self._streams:
                stream.feed.fail(fault)
                stream.scope.cancel()
        return ended

    async def _run(self, work: Callable[[], Awaitable[_T]], *, in_task: bool = True) -> _T:
        """Run ``work`` until the connection ends, or the caller is canceled.

        Args:
            work: What to run.
            in_task: Whether ``work`` has cleanup that waits. Under asyncio it then runs in a task
                of the connection's. asyncio's own cancellation knows no shields: it would interrupt
                the user's HTTP client in the middle of its cleanup, and its pool would lose a
                connection, or a file that a thread opens would stay open.
        """
        if self.fault is not None:
            await self._refuse_unless_canceled()
        self.idle_since = None
        call = _RunningCall(work)
        self._calls.add(call)
        if self.loop.shields_hold or not in_task:
            await self._run_task(call)
        else:
            self._tasks.start_soon(self._run_task, call, name="anygql: operation")
            try:
                await self._until_over(call)
            except BaseException:
                call.scope.cancel()
                with CancelScope(shield=True):
                    await self._until_over(call)
                raise
        if call.error is not None:
            await checkpoint_if_cancelled()
            raise call.error
        if not call.came:
            await checkpoint_if_cancelled()
            self.close()  # canceled from above; the cancellation may reach the owner later
            assert self.fault is not None  # noqa: S101 - close() has seen to it
            raise copy_to_raise(self.fault)
        return call.result  # type: ignore[return-value]

    @uninterruptible
    async def _run_task(self, call: _RunningCall[Any]) -> None:
        try:
            with call.scope:
                call.result = await call.work()
                call.came = True
        except BaseException as exc:  # for the caller, interrupts too
            stray = stray_cancellation(exc, "the operation", self._endpoint.description)
            if stray is None and is_cancellation(exc):
                raise
            call.error = stray or exc
        finally:
            self._calls.discard(call)
            self._note_idle()
            if self._leaving is not None and not self._calls:
                self.loop.wake(self._leaving)
            call.over = True
            if call.waiting is not None:
                self.loop.wake(call.waiting)

    async def _until_over(self, call: _RunningCall[Any]) -> None:
        if not call.over:
            call.waiting = self.loop.new_waiter()
            await call.waiting

    async def _calls_over(self) -> None:
        with CancelScope(shield=True):
            while self._calls:
                self._leaving = self.loop.new_waiter()
                await self._leaving

    def _note_idle(self) -> None:
        if not self._calls and not self._streams:
            self.idle_since = self.loop.now()

    def _start(
        self, delivery: Delivery, work: Callable[[RunningStream], Awaitable[None]]
    ) -> RunningFeed:
        """Run ``work`` in a task of its own, until its feed is left or the connection ends."""
        if self.fault is not None:
            self._refuse()
        stream = RunningStream(self.loop, delivery)
        self._streams.add(stream)
        self.idle_since = None
        self._tasks.start_soon(self._stream_task, stream, work, name="anygql: subscription")
        return stream.feed

    @uninterruptible
    async def _stream_task(
        self, stream: RunningStream, work: Callable[[RunningStream], Awaitable[None]]
    ) -> None:
        # If nothing else ends it, a cancellation from above does, which may arrive here before
        # the session's owner has begun to close the session.
        fault: TransportError | None = closed(self._endpoint.description)
        stream.feed.written = True
        try:
            with stream.scope:
                await work(stream)
            fault = None
        except TransportError as exc:
            stream.feed.written = not exc.unsent
            fault = exc
        except Exception as exc:
            server = self._endpoint.description
            # Its consumer is told; the session, and all other operations on it, go on.
            if stream.feed.over:
                logger.error("%s: a subscription failed to stop", server, exc_info=exc)
            fault = TransportConnectionFailed(
                f"{server}: {type(exc).__name__} kept the subscription from going on",
                retryable=isinstance(exc, OSError),
            )
            fault.__cause__ = exc
        except BaseException as exc:
            stray = stray_cancellation(exc, "the subscription", self._endpoint.description)
            if stray is None:
                raise
            fault = stray
        finally:
            self._streams.discard(stream)
            self._note_idle()
            stream.ended(fault)
