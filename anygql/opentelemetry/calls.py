"""Spans around queries and mutations, each with all its attempts."""

from __future__ import annotations

from time import perf_counter

import msgspec
from opentelemetry.context import attach, create_key, detach, get_value, set_value
from opentelemetry.trace import Span, set_span_in_context

from ..concurrency.interrupts import uninterruptible
from ..delivery.buffering import Delivery
from ..delivery.interfaces import Transport
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
from .subscriptions import TracedIncremental, TracedSubscription
from .telemetry import Attributes, Server, Telemetry

__all__ = ["SessionTracing"]

_TIMEOUT = "TransportTimeout"
_CALL = create_key("anygql-call")


class _CallState:
    """What the attempts of a call have to know of it."""

    __slots__ = ("attempts", "reason", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.attempts = 0
        #: The kind of error that the last attempt ended with.
        self.reason: str | None = None


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
        self._connections: Connections

    def added_to(self, options: SessionOptions, place: object) -> SessionOptions:
        """Return the session's options with all that traces it, the calls in a given place."""
        self._connections = Connections(self._telemetry, self._attributes_of, options.on_event)
        return msgspec.structs.replace(
            options,
            interceptors=tuple(self if each is place else each for each in options.interceptors),
            attempt_interceptors=(self.attempt, *options.attempt_interceptors),
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
        span = self._calls.start_span(request)
        context = set_span_in_context(span)
        attributes = self._calls.common_attributes(request)
        token = attach(set_value(_CALL, _CallState(span), context))
        try:
            result = await call(self._calls.propagator().change(operation, context))
        except BaseException as error:
            attributes.update(_record_end(span, error, operation))
            raise
        else:
            if result.errors:
                attributes["error.type"] = record_errors(span, result.errors, request)
            return result
        finally:
            detach(token)
            span.end()
            self._telemetry.duration.record(perf_counter() - began, attributes, context)

    @uninterruptible
    async def attempt(self, operation: Operation, call: Call) -> ExecutionResult:
        """Note a retry on the span of the call."""
        state = get_value(_CALL)
        if not isinstance(state, _CallState):  # an interceptor has changed the context
            return await call(operation)
        state.attempts += 1
        if state.attempts > 1 and state.span.is_recording():
            about: Attributes = {"anygql.retry.attempt": operation.attempt}
            if state.reason is not None:
                about["anygql.retry.reason"] = state.reason
            state.span.add_event("retry", about)
        # If it is canceled, and yet there is another attempt, then by its time limit.
        state.reason = _TIMEOUT
        try:
            result = await call(operation)
        except Exception as error:
            state.reason = error_type(error)
            raise
        state.reason = error_type_of_result(result.errors) if result.errors else None
        return result

    # What follows the session.

    def subscription(self, request: GraphQLRequest, delivery: Delivery) -> TracedSubscription:
        """See ``SessionObserver``."""
        return TracedSubscription(
            self._subscriptions, request, drops=delivery.on_overflow == "drop_oldest"
        )

    def incremental(self, request: GraphQLRequest) -> TracedIncremental:
        """See ``SessionObserver``."""
        return TracedIncremental(self._calls, request)

    def closed(self) -> None:
        """See ``SessionObserver``."""
        self._connections.close()


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
