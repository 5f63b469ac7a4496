"""A subscription in its consumer's hands."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from anyio import ClosedResourceError, EndOfStream
from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import cancelled_first
from ..delivery.interfaces import Results
from ..exceptions import TransportClosed
from ..results.result import ExecutionResult

__all__ = ["Subscription"]

T_co = TypeVar("T_co", covariant=True)

#: Results taken between two checkpoints that really let other tasks run. More than one read from
#: the network holds, but for small events: with fewer, results pile up until memory that is in no
#: cache is most of the price.
BURST = 256


class Subscription(Generic[T_co]):
    """The results of one subscription, as they come: an async iterator and context manager.

    Made by ``session.subscribe``. It starts when it is entered, or first asked for a result, and
    is over when the server completes it, when it is left (the server is told once), or when the
    connection is lost. Leaving an ``async for`` alone stops it too: dropping the last reference
    tells the server.

    A result with errors raises ``TransportQueryError``; the subscription lives on, and the next
    result can be asked for (``session.subscribe_results`` does not raise for them).
    """

    __slots__ = (
        "__weakref__",
        "_begin",
        "_closed",
        "_convert",
        "_credit",
        "_finalizer",
        "_results",
    )

    def __init__(
        self,
        begin: Callable[[], Awaitable[Results]],
        convert: Callable[[ExecutionResult], T_co],
    ) -> None:
        self._results: Results | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._begin = begin
        self._convert = convert
        self._credit = BURST
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many results ``on_overflow="drop_oldest"`` has thrown away."""
        return self._results.dropped if self._results is not None else 0

    @property
    def reconnects(self) -> int:
        """How many gaps there have been, up to the last result received: results may be missing
        before the first one that is received after this has grown."""
        return self._results.reconnects if self._results is not None else 0

    async def __aenter__(self) -> Self:
        """Start it. Cancelled, it hasn't started. Raises ``TransportError``."""
        if self._results is not None or self._closed:
            raise RuntimeError("a subscription can be entered once: subscribe again")
        await self._start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        """The next result; ends as ``receive`` does, or when the subscription is closed."""
        try:
            # What `receive` does in most cases: a call more for each result would be felt.
            results = self._results
            if results is not None and self._credit and not self._closed:
                result = results.receive_nowait()
                if result is None:
                    await results.wait()
                    self._credit = BURST
                    result = results.receive_nowait()
                if result is not None:
                    self._credit -= 1
                    return self._convert(result)
            return await self.receive()
        except (EndOfStream, ClosedResourceError):
            raise StopAsyncIteration from None
        except TransportClosed as fault:
            await cancelled_first(fault)
            raise

    async def receive(self) -> T_co:
        """The next result.

        Cancelling loses nothing: the result stays for the next call. Raises
        ``anyio.EndOfStream`` after the last one, ``anyio.ClosedResourceError`` once it is closed
        here, ``TransportQueryError`` for a result with errors, ``SubscriptionOverflow``, or the
        ``TransportError`` that ended the connection, after all that came before it.
        """
        results = self._results or await self._start()
        if not self._credit:
            # First, so that a consumer with no time at all (`move_on_after(0)`) still gets on.
            self._credit = BURST
            await checkpoint()
        while True:
            if self._closed:
                raise ClosedResourceError
            try:
                result = results.receive_nowait()
            except TransportClosed as fault:
                await cancelled_first(fault)
                raise
            if result is not None:
                self._credit -= 1
                return self._convert(result)
            await results.wait()
            self._credit = BURST

    async def aclose(self) -> None:
        """Stop it: the server is told once, what waits is thrown away. May be called again.

        What is needed is done at once; cancelling changes nothing.
        """
        self._closed = True
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._results is not None:
            self._results.leave()
        await checkpoint()

    async def _start(self) -> Results:
        if self._closed:
            raise ClosedResourceError
        results = await self._begin()
        if self._results is not None or self._closed:
            # Another task was faster with the same subscription.
            results.leave()
            if self._results is None:
                raise ClosedResourceError
        else:
            self._results = results
            # Not __del__: in a cycle that is collected as a whole, the stream could go first.
            self._finalizer = weakref.finalize(self, results.abandon)
            self._finalizer.atexit = False
        return self._results
