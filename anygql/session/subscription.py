"""Subscriptions as their consumers see them."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from anyio import ClosedResourceError, EndOfStream
from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import cancelled_first
from ..concurrency.interrupts import uninterruptible
from ..delivery.interfaces import Results
from ..exceptions import TransportError
from ..results.result import ExecutionResult
from .tracebacks import short_tracebacks, shorten_traceback

__all__ = ["Subscription", "borrow", "results_of", "waiting_results"]

T_co = TypeVar("T_co", covariant=True)

#: Number of results between two checkpoints that let other tasks run. It is more than one read from
#: the network brings, except for small events. With fewer, results pile up, and most of the time
#: goes into memory that is in no cache.
RESULTS_BETWEEN_CHECKPOINTS = 256

_HOW = "write `async with session.subscribe(…) as events:`, then `async for event in events:`"


class Subscription(Generic[T_co]):
    """The results of one subscription, as they come: an async iterator and context manager.

    ``session.subscribe`` makes subscriptions. One begins when it is entered, or first asked for a
    result. It ends when the server completes it, when it is left (the server is told once), or when
    the connection is lost. Dropping the last reference also tells the server, so leaving a plain
    ``async for`` ends it too.

    A result with errors raises ``TransportQueryError``; the subscription lives on, and the next
    result can be asked for. ``session.subscribe_results`` does not raise for such results.
    """

    __slots__ = (
        "__weakref__",
        "_begin",
        "_closed",
        "_convert",
        "_credit",
        "_ended",
        "_finalizer",
        "_label",
        "_results",
    )

    def __init__(
        self,
        begin: Callable[[], Awaitable[Results]],
        convert: Callable[[ExecutionResult], T_co],
        label: str = "",
    ) -> None:
        self._label = label
        self._ended = False
        self._results: Results | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._begin = begin
        self._convert = convert
        self._credit = RESULTS_BETWEEN_CHECKPOINTS
        self._closed = False

    def __eq__(self, other: object) -> bool:
        """Return whether this is the same subscription, as ``on_resubscribe`` may have it."""
        return isinstance(other, Subscription) and self._begin == other._begin

    def __hash__(self) -> int:
        return hash(self._begin)

    def __repr__(self) -> str:
        if self._closed:
            state = "closed"
        elif self._results is None:
            state = "not begun"
        else:
            state = "ended" if self._ended else "running"
        return f"<Subscription{f' of {self._label}' if self._label else ''}, {state}>"

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __await__(self) -> NoReturn:
            raise TypeError("a subscription is not awaited: " + _HOW)

        def __iter__(self) -> NoReturn:
            raise TypeError("a subscription is iterated with `async for`: " + _HOW)

        def __enter__(self) -> NoReturn:
            raise TypeError("a subscription is entered with `async with`: " + _HOW)

        def __exit__(self, *_args: object) -> None:
            """Do nothing: this is never entered."""

    @property
    def dropped(self) -> int:
        """Number of results that ``on_overflow="drop_oldest"`` has thrown away."""
        return self._results.dropped if self._results is not None else 0

    @property
    def reconnects(self) -> int:
        """Number of gaps up to the last result received.

        When it has grown, results may be missing before the one just received.
        """
        return self._results.reconnects if self._results is not None else 0

    @uninterruptible
    async def __aenter__(self) -> Self:
        """Begin the subscription. If canceled, it has not begun.

        Raises:
            TransportError: When there is no connection and there will be none.
            RuntimeError: When it has begun already.
        """
        if self._results is not None or self._closed:
            raise RuntimeError("a subscription can be entered once: subscribe again")
        with short_tracebacks:
            await self._start()
        return self

    @uninterruptible
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the subscription, as ``aclose`` does."""
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    @uninterruptible
    async def __anext__(self) -> T_co:
        """Return the next result, as ``receive`` does.

        The iteration ends after the last result, and when the subscription is closed.
        """
        try:
            # The common case of `receive`, inlined: one more call for each result is measurable.
            results = self._results
            if results is not None and self._credit and not self._closed:
                result = results.receive_nowait()
                if result is None:
                    await results.wait()
                    self._credit = RESULTS_BETWEEN_CHECKPOINTS
                    result = results.receive_nowait()
                if result is not None:
                    self._credit -= 1
                    return self._convert(result)
            return await self._receive()
        except (EndOfStream, ClosedResourceError) as end:
            self._ended = isinstance(end, EndOfStream)
            raise StopAsyncIteration from None
        except TransportError as error:
            await cancelled_first(error)
            shorten_traceback(error)
            raise

    @uninterruptible
    async def receive(self) -> T_co:
        """Return the next result.

        Canceling loses nothing: the result stays for the next call.

        Raises:
            anyio.EndOfStream: After the last result.
            anyio.ClosedResourceError: Once the subscription was closed on this side.
            TransportQueryError: For a result with errors, or when the server refused the
                subscription.
            SubscriptionOverflow: When the consumer fell too far behind.
            TransportError: When the connection ended, after all results that came before.
        """
        try:
            return await self._receive()
        except EndOfStream:
            self._ended = True
            raise
        except TransportError as error:
            await cancelled_first(error)
            shorten_traceback(error)
            raise

    async def _receive(self) -> T_co:
        """Return the next result. A closed session's error is raised without a checkpoint."""
        results = self._results or await self._start()
        if not self._credit:
            # Before receiving, so that a consumer in `move_on_after(0)` still makes progress.
            self._credit = RESULTS_BETWEEN_CHECKPOINTS
            await checkpoint()
        while True:
            if self._closed:
                raise ClosedResourceError
            result = results.receive_nowait()
            if result is not None:
                self._credit -= 1
                return self._convert(result)
            await results.wait()
            self._credit = RESULTS_BETWEEN_CHECKPOINTS

    @uninterruptible
    async def aclose(self) -> None:
        """End the subscription: tell the server once, and throw away the results that wait.

        It may be called again. Everything is done at once, so canceling changes nothing.
        """
        if self._results is not None:
            self._results.check_loop()
        self._closed = True
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._results is not None:
            self._results.leave()
        await checkpoint()

    async def _start(self) -> Results:
        """Begin the subscription, if no other task has."""
        if self._closed:
            raise ClosedResourceError
        results = await self._begin()
        if self._results is not None or self._closed:
            # Another task has begun, or closed, the same subscription meanwhile.
            results.leave()
            if self._results is None:
                raise ClosedResourceError
        else:
            self._results = results
            # Not __del__: when a whole cycle is collected, the results could be finalized first.
            self._finalizer = weakref.finalize(self, results.abandon)
            self._finalizer.atexit = False
        return self._results


class _Borrowed(Subscription[T_co]):
    """A subscription for a function that may outlive the last reference to it."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Subscription[T_co]) -> None:
        super().__init__(owner._begin, owner._convert, owner._label)
        self._results = owner._results
        self._owner = weakref.ref(owner)

    async def aclose(self) -> None:
        owner = self._owner()
        await (super().aclose() if owner is None else owner.aclose())


def borrow(subscription: Subscription[T_co]) -> Subscription[T_co]:
    """Return an object for the same subscription, which has begun, that doesn't keep it running.

    It is for a function that the subscription itself calls: one that holds its own subscription
    would run on when nobody else does.
    """
    return _Borrowed(subscription)


def results_of(subscription: Subscription[Any]) -> Results:
    """Return the unconverted results of a subscription that has begun."""
    results = subscription._results  # pyright: ignore[reportPrivateUsage]
    assert results is not None  # noqa: S101 - it has begun
    return results


def waiting_results(subscription: Subscription[T_co], limit: int) -> Iterator[T_co]:
    """Yield the results that have come and wait, up to ``limit``. Raises as ``receive`` does."""
    results, convert = results_of(subscription), subscription._convert  # pyright: ignore[reportPrivateUsage]
    for _ in range(limit):
        result = results.receive_nowait()
        if result is None:
            return
        yield convert(result)
