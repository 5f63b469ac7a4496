"""Subscriptions without ``await``: results come in bursts, with one change of threads for each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from anyio import ClosedResourceError, EndOfStream, fail_after

from ..exceptions import TransportError
from ..session.subscription import Subscription as AsyncSubscription
from ..session.subscription import waiting_results
from ..session.tracebacks import short_tracebacks, shorten_traceback
from .refusing import NotAsync

__all__ = ["BURST", "Subscription"]

T_co = TypeVar("T_co", covariant=True)

#: The largest number of results that are handed over at once.
BURST = 256


class _Gap:
    """Stands before the first result after a gap."""

    def __init__(self, reconnects: int) -> None:
        self.reconnects = reconnects


class _Raised:
    """Stands where an error is to be raised."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Subscription(NotAsync, Generic[T_co]):
    """The results of one subscription, as they come: an iterator and context manager.

    ``session.subscribe`` makes subscriptions. One begins when it is entered, or first asked for a
    result. It ends when the server completes it, when it is left (the server is told once), or when
    the connection is lost. Leaving a plain ``for`` by ``break`` doesn't end it: write
    ``with session.subscribe(…) as events:``. Dropping the last reference ends it too.

    A result with errors raises ``TransportQueryError``; the subscription lives on, and the next
    result can be asked for. ``session.subscribe_results`` does not raise for such results.

    Any number of threads may take results from one subscription; each result goes to one of them.
    """

    __slots__ = ("__weakref__", "_call", "_is_closed", "_lock", "_ready", "_reconnects", "_twin")

    _instead = (
        "a subscription of anygql.blocking is no async one: write "
        "`with session.subscribe(…) as events:`, then `for event in events:`"
    )

    def __init__(self, call: Callable[..., Any], twin: AsyncSubscription[T_co]) -> None:
        # The session's, which lives as long as this does: it calls an async function in its loop.
        self._call = call
        self._twin = twin
        self._is_closed = False
        self._reconnects = 0
        self._ready: deque[Any] = deque()
        # Held by the thread that fetches the next burst.
        self._lock = threading.Lock()

    def __eq__(self, other: object) -> bool:
        """Return whether this is the same subscription, as ``on_resubscribe`` may have it."""
        if not isinstance(other, Subscription):
            return False
        return self._twin == cast("Subscription[Any]", other)._twin

    def __hash__(self) -> int:
        return hash(self._twin)

    def __repr__(self) -> str:
        return repr(self._twin)

    @property
    def dropped(self) -> int:
        """Number of results that ``on_overflow="drop_oldest"`` has thrown away."""
        return self._twin.dropped

    @property
    def reconnects(self) -> int:
        """Number of gaps up to the last result received.

        When it has grown, results may be missing before the one just received.
        """
        return self._reconnects

    def __enter__(self) -> Self:
        """Begin the subscription. If interrupted, it has not begun.

        Raises:
            TransportError: When there is no connection and there will be none.
            RuntimeError: When it has begun already.
        """
        with short_tracebacks:
            self._call(self._twin.__aenter__)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the subscription, as ``close`` does."""
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        """Return the next result, as ``receive`` does.

        The iteration ends after the last result, and when the subscription is closed.
        """
        try:
            while True:
                if not self._ready:
                    self._fetch(None)
                try:
                    result = self._ready.popleft()
                except IndexError:  # another thread has taken it
                    continue
                # Most results are dicts, and need no closer look.
                if result.__class__ is dict or not self._is_mark(result):
                    return result  # type: ignore[no-any-return]
        except (EndOfStream, ClosedResourceError):
            raise StopIteration from None
        except TransportError as error:
            shorten_traceback(error)
            raise

    def receive(self, *, timeout: float | None = None) -> T_co:
        """Return the next result.

        Neither the time limit nor Ctrl-C loses a result: it stays for the next call.

        Args:
            timeout: Seconds to wait at most. Default: ``None``, no limit.

        Raises:
            TimeoutError: When no result came in time.
            anyio.EndOfStream: After the last result.
            anyio.ClosedResourceError: Once the subscription was closed on this side.
            TransportQueryError: For a result with errors, or when the server refused the
                subscription.
            SubscriptionOverflow: When the consumer fell too far behind.
            TransportError: When the connection ended, after all results that came before.
        """
        try:
            while True:
                if not self._ready:
                    self._fetch(timeout)
                try:
                    result: T_co = self._ready.popleft()
                except IndexError:  # another thread has taken it
                    continue
                if not self._is_mark(result):
                    return result
        except TransportError as error:
            shorten_traceback(error)
            raise

    def close(self) -> None:
        """End the subscription: tell the server once, and throw away the results that wait.

        It may be called again.
        """
        self._is_closed = True
        self._call(self._twin.aclose)
        self._ready.clear()

    def _is_mark(self, result: object) -> bool:
        """Return whether this stands for something else than a result; raise if for an error."""
        if isinstance(result, _Raised):
            raise result.error
        if isinstance(result, _Gap):
            self._reconnects = result.reconnects
            return True
        return False

    def _fetch(self, timeout: float | None) -> None:
        """Wait for results, and take all that are there."""
        if not self._lock.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError
        try:
            if self._is_closed:
                raise ClosedResourceError
            if not self._ready:
                self._call(self._take_burst, timeout)
        finally:
            self._lock.release()

    async def _take_burst(self, timeout: float | None) -> None:
        """Put the results that are there where they wait, in the loop: none is lost on the way."""
        twin, ready = self._twin, self._ready
        seen = self._reconnects
        with fail_after(timeout):
            result = await twin.receive()
        try:
            if twin.reconnects != seen:
                seen = twin.reconnects
                ready.append(_Gap(seen))
            ready.append(result)
            for result in waiting_results(twin, BURST - 1):
                if twin.reconnects != seen:
                    seen = twin.reconnects
                    ready.append(_Gap(seen))
                ready.append(result)
        except EndOfStream:
            pass  # as the next receive() will say
        except Exception as exc:  # noqa: BLE001 - raised when its turn comes
            ready.append(_Raised(exc))
