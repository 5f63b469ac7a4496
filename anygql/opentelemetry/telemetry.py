"""The tracer and the instruments, and what is said of each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind

from ..delivery.interfaces import Transport
from ..documents.request import GraphQLRequest, OperationKind
from ..version import VERSION
from .documents import without_literals
from .propagation import Propagation, Propagator

__all__ = ["Attributes", "Server", "Telemetry"]

Attributes: TypeAlias = dict[str, str | int | bool]

_SCOPE = "anygql"

#: The name that the draft of the GraphQL working group gives to the span of one event.
_EVENT = "GraphQL Subscription Event"

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

#: Those of OpenTelemetry's ``http.client.request.duration``, in seconds.
_BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class Telemetry:
    """What spans and metrics are made by, and the options of what is said in them."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: metrics.MeterProvider | None,
        *,
        name_in_span: bool,
        document: bool,
        propagate: Propagation | None,
        events: bool,
    ) -> None:
        self.name_in_span = name_in_span
        self.document = document
        self.propagate: Propagation | None = propagate
        self.events = events
        # Without providers these are the global ones, whenever a program sets them.
        self.tracer = trace.get_tracer(_SCOPE, VERSION, tracer_provider)
        meter = metrics.get_meter(_SCOPE, VERSION, meter_provider)
        self.duration = meter.create_histogram(
            "graphql.client.request.duration",
            "s",
            "Duration of GraphQL client requests.",
            explicit_bucket_boundaries_advisory=_BOUNDARIES,
        )
        self.active_subscriptions = meter.create_up_down_counter(
            "anygql.active_subscriptions",
            "{subscription}",
            "Number of subscriptions that have begun and are not over.",
        )
        self.dropped = meter.create_counter(
            "anygql.subscription.dropped",
            "{result}",
            "Number of results that on_overflow='drop_oldest' has thrown away.",
        )
        self.connections = meter.create_up_down_counter(
            "anygql.connections", "{connection}", "Number of connections, by their state."
        )
        self.reconnects = meter.create_counter(
            "anygql.reconnects",
            "{connection}",
            "Number of connections that were made after one was lost or replaced.",
        )


class Server:
    """The server of one transport, and the spans of what is asked there."""

    def __init__(self, telemetry: Telemetry, transport: Transport) -> None:
        self.telemetry = telemetry
        self.attributes = _address(transport.description)
        self._carries_headers = bool(getattr(transport, "carries_headers", False))
        way = telemetry.propagate
        if way == "extensions" and not getattr(transport, "takes_extensions", True):
            way = None  # the server could not read them
        self._way: Propagation | None = way
        document_id = getattr(transport, "persisted_queries", None)
        self._document_id: Callable[[GraphQLRequest], object] | None = (
            document_id if callable(document_id) else None
        )
        self._shows_document = telemetry.document or self._document_id is not None

    @property
    def propagates(self) -> bool:
        """Whether the server is told of the trace."""
        return self._way == "extensions" or (self._way == "http" and self._carries_headers)

    def propagator(self) -> Propagator:
        """Return what adds the trace to operations."""
        return Propagator(self._way, carries_headers=self._carries_headers)

    def common_attributes(self, request: GraphQLRequest) -> Attributes:
        """Return the attributes of an operation's metrics."""
        return {"graphql.operation.type": request.kind, **self.attributes}

    def start_span(
        self,
        request: GraphQLRequest,
        context: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        """Start the span of an operation: in the current context, unless another is given."""
        name, kind = request.operation
        title = f"{kind} {name}" if name and self.telemetry.name_in_span else kind
        attributes = self._span_attributes(name, kind)
        attributes["graphql.document.hash"] = f"sha256:{request.source.sha256}"
        span = self.telemetry.tracer.start_span(
            title, context, SpanKind.CLIENT, attributes, links=links
        )
        if self._shows_document and span.is_recording():
            span.set_attributes(self._document_attributes(request))
        return span

    def start_event(self, request: GraphQLRequest, links: Sequence[Link]) -> Span:
        """Start the span of one result of a subscription."""
        attributes = self._span_attributes(*request.operation)
        return self.telemetry.tracer.start_span(_EVENT, attributes=attributes, links=links)

    def _span_attributes(self, name: str | None, kind: OperationKind) -> Attributes:
        """Return the attributes that samplers see."""
        attributes: Attributes = {"graphql.operation.type": kind, **self.attributes}
        if name:
            attributes["graphql.operation.name"] = name
        return attributes

    def _document_attributes(self, request: GraphQLRequest) -> Mapping[str, Any]:
        """Return the attributes that take time."""
        attributes: Attributes = {}
        if self._document_id is not None:
            try:
                id = self._document_id(request)
            except Exception:  # noqa: BLE001 - it raises when the operation is sent, too
                id = None
            if isinstance(id, str):
                attributes["graphql.document.id"] = id
        if self.telemetry.document:
            text = without_literals(request.source)
            if text is not None:
                attributes["graphql.document"] = text
        return attributes


def _address(description: str) -> Attributes:
    """Return host and port of a transport, whose description is its URL if it has a fixed one."""
    try:
        parts = urlsplit(description)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if parts.scheme not in _PORTS or not host:
        return {}
    return {"server.address": host, "server.port": port or _PORTS[parts.scheme]}
