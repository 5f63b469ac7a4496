"""Spans of subscriptions: how each begins, and how it goes on after a loss."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from anyio import EndOfStream
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, Span, set_span_in_context

from ..concurrency.interrupts import uninterruptible
from ..concurrency.loop import RunningLoop
from ..delivery.interfaces import ConnectionResults, Results
from ..delivery.wrapped import WrappedResults
from ..documents.request import GraphQLRequest
from ..results.result import ExecutionResult
from ..session.interceptors.operation import Operation
from .errors import error_type, error_type_of_result, record_end, record_errors
from .telemetry import Attributes, Server

__all__ = ["TracedIncremental", "TracedListener", "TracedSubscription"]


class _TracedResults(WrappedResults[Results]):
    """Results as their consumer sees them, who is watched: what is taken, and the end.

    It is the observer of its operation, too (``SubscriptionObserver``).
    """

    def __init__(self, server: Server, request: GraphQLRequest) -> None:
        self._server = server
        self._telemetry = server.telemetry
        self._request = request
        self._propagator = server.propagator()
        self._has_begun = False
        self._is_over = False
        #: The span that the operation was sent in last.
        self._context = Context()
        #: The spans that are open.
        self._open: list[Span] = []
        # Set by `begin`.
        self._began_at: float
        self._first_span: Span
        self._loop: RunningLoop

    # The observer.

    def change(self, operation: Operation) -> Operation:
        """See ``SubscriptionObserver``."""
        return self._propagator.change(operation, self._context)

    @uninterruptible
    async def begin(self, begin: Callable[[], Awaitable[Results]]) -> Results:
        """See ``SubscriptionObserver``."""
        if self._has_begun:  # in another task: this one is about to leave again
            return await begin()
        self._has_begun = True
        self._began_at = perf_counter()
        self._loop = RunningLoop()
        self._first_span = self._server.start_span(self._request)
        self._open.append(self._first_span)
        self._context = set_span_in_context(self._first_span)
        token = attach(self._context)
        try:
            self._inner = await begin()
        except BaseException as error:
            self._has_begun = False
            self._settle(error)
            raise
        finally:
            detach(token)
        self._begun()
        return self

    def sent(self, results: ConnectionResults) -> None:
        """See ``SubscriptionObserver``."""
        raise NotImplementedError

    def lost(self, outcome: Exception | ExecutionResult) -> None:
        """See ``SubscriptionObserver``."""
        raise NotImplementedError

    # The consumer's side.

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        try:
            result = super().receive_nowait()
        except Exception as error:
            self._end(error)
            raise
        if result is not None:
            self._taken(result)
        return result

    def leave(self) -> None:
        """See ``Results``."""
        super().leave()
        self._end(None)

    def abandon(self) -> None:
        """See ``Results``."""
        super().abandon()
        # Not here: a finalizer may run while the provider holds a lock.
        self._loop.call_soon(self._end_left)

    # What is recorded.

    def _end_left(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        """Record the end, once: what it raised, or ``None`` if it was left."""
        if not self._is_over:
            self._is_over = True
            try:
                self._settle(error)
            finally:  # whatever a provider raises
                self._ended()

    def _settle(self, error: BaseException | None) -> None:
        """End the spans that are open, with what it ended by."""
        for span in self._open:
            if not isinstance(error, EndOfStream):
                record_end(span, error, self._request)
            span.end()
        self._open.clear()

    def _begun(self) -> None:
        """Learn that it has begun."""

    def _taken(self, result: ExecutionResult) -> None:
        """Learn that the consumer has taken a result."""
        raise NotImplementedError

    def _ended(self) -> None:
        """Learn that it is over, after it has begun."""


class _Drops:
    """Counts the results that one consumer has lost."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._counted = 0

    def count(self, dropped: int) -> None:
        """Count those that have been lost since the last time."""
        if dropped > self._counted:
            self._server.telemetry.dropped.add(dropped - self._counted, self._server.attributes)
            self._counted = dropped


class TracedListener(WrappedResults[Results]):
    """A listener of a shared subscription whose results may be thrown away.

    Args:
        server: The server, and what is counted by.
        results: The listener's results.
    """

    def __init__(self, server: Server, results: Results) -> None:
        self._inner = results
        self._drops = _Drops(server)
        self._loop = RunningLoop()

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        try:
            return super().receive_nowait()
        finally:
            self._count()

    def leave(self) -> None:
        """See ``Results``."""
        super().leave()
        self._count()

    def abandon(self) -> None:
        """See ``Results``."""
        super().abandon()
        # Not here: a finalizer may run while the provider holds a lock.
        self._loop.call_soon(self._count)

    def _count(self) -> None:
        self._drops.count(self.dropped)


class TracedSubscription(_TracedResults):
    """A subscription: one span until its first result, and one for each time it is sent again.

    Args:
        server: The server, and what spans are made by.
        request: The request.
        active: Those of the session that have begun and aren't over.
        drops: Whether results may be thrown away.
    """

    def __init__(
        self,
        server: Server,
        request: GraphQLRequest,
        active: set[TracedSubscription],
        *,
        drops: bool,
    ) -> None:
        super().__init__(server, request)
        self._active = active
        self._drops = _Drops(server) if drops else None
        self._losses = 0
        self._reason = ""
        #: The span of the result that the consumer has in hand.
        self._event: Span | None = None

    def sent(self, results: ConnectionResults) -> None:
        """See ``SubscriptionObserver``."""
        if not self._losses:
            results.on_started = self._end_first
            return
        about: Attributes = {
            "anygql.reconnect.count": self._losses,
            "anygql.reconnect.reason": self._reason,
        }
        for span in [span for span in self._open if span is not self._first_span]:
            span.add_event("reconnect", about)
            span.end()
            self._open.remove(span)

    def lost(self, outcome: Exception | ExecutionResult) -> None:
        """See ``SubscriptionObserver``."""
        self._losses += 1
        if isinstance(outcome, ExecutionResult):
            self._reason = error_type_of_result(outcome.errors or ())
        else:
            self._reason = error_type(outcome)
        # A trace of its own: the one that it began in may be over for days.
        span = self._server.start_span(self._request, Context(), self._links)
        span.set_attribute("anygql.reconnect.count", self._losses)
        self._open.append(span)
        self._context = set_span_in_context(span, self._context)

    @property
    def _links(self) -> list[Link]:
        return [Link(self._first_span.get_span_context())]

    def _end_first(self) -> None:
        """End the first span: the server has begun to serve."""
        if self._first_span in self._open:
            self._open.remove(self._first_span)
            self._first_span.end()

    def _begun(self) -> None:
        self._active.add(self)
        self._telemetry.active_subscriptions.add(1, self._server.attributes)

    def count_as_over(self) -> None:
        """Count it as over, once. Its session may be, before its consumer learns of that."""
        if self in self._active:
            self._active.remove(self)
            self._telemetry.active_subscriptions.add(-1, self._server.attributes)

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        self._end_event()
        return super().receive_nowait()

    def _taken(self, result: ExecutionResult) -> None:
        if self._first_span in self._open:
            if result.errors:
                record_errors(self._first_span, result.errors, self._request)
            self._end_first()
        self._count_dropped()
        if self._telemetry.events:
            self._event = self._server.start_event(self._request, self._links)
            if result.errors:
                record_errors(self._event, result.errors, self._request)

    def _end_event(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            event.end()

    def _count_dropped(self) -> None:
        if self._drops is not None:
            self._drops.count(self.dropped)

    def _ended(self) -> None:
        self._end_event()
        self._count_dropped()
        self.count_as_over()


class TracedIncremental(_TracedResults):
    """An operation whose result comes in parts: a span until the last part."""

    def __init__(self, server: Server, request: GraphQLRequest) -> None:
        super().__init__(server, request)
        self._last: ExecutionResult | None = None

    def _taken(self, result: ExecutionResult) -> None:
        self._last = result

    def _settle(self, error: BaseException | None) -> None:
        span, last = self._first_span, self._last
        attributes = self._server.common_attributes(self._request)
        if not isinstance(error, EndOfStream):
            attributes.update(record_end(span, error, self._request))
        elif last is not None and last.errors:
            attributes["error.type"] = record_errors(span, last.errors, self._request)
        span.end()
        self._open.clear()
        seconds = perf_counter() - self._began_at
        self._telemetry.duration.record(seconds, attributes, self._context)
