"""Spans around queries and mutations, each with all its attempts."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter

import msgspec
from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, set_span_in_context

from ..concurrency.interrupts import uninterruptible
from ..delivery.buffering import Delivery
from ..delivery.interfaces import Results, Transport
from ..documents.request import GraphQLRequest
from ..results.result import ExecutionResult
from ..session.interceptors.operation import Call, Operation, SessionOperation
from ..session.options import SessionOptions
from ..session.split import SplitTransport
from .connections import Connections
from .errors import (
    error_type,
    error_type_of_result,
    record_end,
    record_errors,
    record_kind,
    was_canceled,
)
from .subscriptions import TracedIncremental, TracedListener, TracedSubscription
from .telemetry import Attributes, Server, Telemetry

__all__ = ["SessionTracing"]

_TIMEOUT = "TransportTimeout"


class _CallState:
    """What the attempts of a call have to know of it."""

    __slots__ = ("attempts", "reason", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.attempts = 0
        #: The kind of error that the last attempt ended with, until the next one begins.
        self.reason: str | None = None


#: The call that the running code is part of.
_call: ContextVar[_CallState | None] = ContextVar("_call", default=None)


class SessionTracing:
    """Traces one session: the interceptor of its calls, and what follows its subscriptions."""

    def __init__(self, telemetry: Telemetry, transport: Transport) -> None:
        self._telemetry = telemetry
        first, second = transport, transport
        if isinstance(transport, SplitTransport):
            first, second = transport.transport, transport.subscriptions
        self._first = first
        self._calls = Server(telemetry, first)
        self._subscriptions = self._calls if second is first else Server(telemetry, second)
        self._active: set[TracedSubscription] = set()
        self._connections: Connections
        #: Whether a call may have more than one attempt.
        self._may_retry = True

    def added_to(self, options: SessionOptions, place: object) -> SessionOptions:
        """Return the session's options with all that traces it, the calls in a given place."""
        self._connections = Connections(self._telemetry, self._attributes_of, options.on_event)
        is_innermost = options.interceptors[-1] is place
        self._may_retry = options.reconnecting or options.auth is not None or not is_innermost
        attempt_interceptors = options.attempt_interceptors
        if self._may_retry:
            attempt_interceptors = (self.attempt, *attempt_interceptors)
        return msgspec.structs.replace(
            options,
            interceptors=tuple(self if each is place else each for each in options.interceptors),
            attempt_interceptors=attempt_interceptors,
            on_event=self._connections,
            observer=self,
        )

    def _attributes_of(self, transport: Transport | None) -> Attributes:
        """Return the server's attributes, for a transport as events name it."""
        server = self._calls if transport in (None, self._first) else self._subscriptions
        return server.attributes

    @uninterruptible
    async def __call__(self, operation: Operation, call: Call) -> ExecutionResult:
        """Trace a call."""
        request, began = operation.request, perf_counter()
        attributes = self._calls.common_attributes(request)
        span = self._calls.start_span(request)
        context = set_span_in_context(span)
        token, outer = attach(context), _call.get()
        if self._may_retry:
            _call.set(_CallState(span))
        try:
            if self._calls.propagates:
                operation = self._calls.propagator().change(operation, context)
            result = await call(operation)
        except BaseException as error:
            attributes.update(_record_end(span, error, operation))
            raise
        else:
            if result.errors:
                attributes["error.type"] = record_errors(span, result.errors, request)
            return result
        finally:
            _call.set(outer)  # not by a token: a coroutine may be closed in another context
            detach(token)
            span.end()
            self._telemetry.duration.record(perf_counter() - began, attributes, context)

    @uninterruptible
    async def attempt(self, operation: Operation, call: Call) -> ExecutionResult:
        """Note a retry on the span of the call."""
        state = _call.get()
        if state is None:  # an interceptor has changed the context
            return await call(operation)
        state.attempts += 1
        if state.attempts > 1 and state.span.is_recording():
            about: Attributes = {"anygql.retry.attempt": operation.attempt}
            if state.reason is not None:
                about["anygql.retry.reason"] = state.reason
            state.span.add_event("retry", about)
        # Another attempt may begin before this one is over, if an interceptor sends twice.
        state.reason = None
        try:
            result = await call(operation)
        except BaseException as error:
            # If it is canceled, and yet there is another attempt, then by its time limit.
            state.reason = _TIMEOUT if was_canceled(error) else error_type(error)
            raise
        state.reason = error_type_of_result(result.errors) if result.errors else None
        return result

    # What follows the session.

    def subscription(self, request: GraphQLRequest, delivery: Delivery) -> TracedSubscription:
        """See ``SessionObserver``."""
        drops = delivery.on_overflow == "drop_oldest"
        return TracedSubscription(self._subscriptions, request, self._active, drops=drops)

    def listener(self, results: Results, delivery: Delivery) -> Results:
        """See ``SessionObserver``."""
        drops = delivery.on_overflow == "drop_oldest"
        return TracedListener(self._subscriptions, results) if drops else results

    def incremental(self, request: GraphQLRequest) -> TracedIncremental:
        """See ``SessionObserver``."""
        return TracedIncremental(self._calls, request)

    def closed(self) -> None:
        """See ``SessionObserver``."""
        self._connections.close()
        for subscription in tuple(self._active):
            subscription.count_as_over()


def _record_end(span: Span, error: BaseException, operation: Operation) -> Attributes:
    """Record what a call ended with instead of a result; return it for the metrics."""
    if was_canceled(error) and _is_out_of_time(operation):
        # The error for that passes no interceptor, since it limits these, too.
        return {"error.type": record_kind(span, _TIMEOUT)}
    return record_end(span, error, operation.request)


def _is_out_of_time(operation: Operation) -> bool:
    """Return whether the call's own ``timeout`` has ended it."""
    limit = operation.origin.time_limit if isinstance(operation, SessionOperation) else None
    return limit is not None and limit.cancel_called
