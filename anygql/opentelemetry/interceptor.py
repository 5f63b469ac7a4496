"""The interceptor that users make, and its options."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from ..delivery.interfaces import Transport
from ..session.interceptors.observing import ObservingInterceptor
from ..session.options import SessionOptions
from .calls import SessionTracing
from .propagation import PROPAGATIONS, Propagation
from .telemetry import Telemetry

__all__ = ["OpenTelemetry"]


class OpenTelemetry(ObservingInterceptor):
    """Traces and metrics of a client's operations: ``Client(…, interceptors=[OpenTelemetry()])``.

    One may serve several clients. No variable, no literal of a document, no text of an error and no
    header is recorded. Without a provider nothing is recorded at all.

    Args:
        tracer_provider: Where spans go. Default: ``None``, the global provider, which may be set
            later.
        meter_provider: Where metrics go. Default: ``None``, the global provider, likewise.
        name_in_span: Whether a span's name has the operation's name: ``"query Hero"``. Choose that
            if the names are few. Default: ``False``, ``"query"``.
        document: Whether a span has the document, with ``?`` in the place of each literal value.
            Default: ``False``, only the document's hash.
        propagate: How the server learns of the trace. ``"http"``: in headers of the requests of
            operations that go by HTTP, by the global propagator. ``"extensions"``: as
            ``traceparent`` and ``tracestate`` in the ``extensions`` of each operation, over any
            transport. ``None``: not at all, which is right if httpx is instrumented. Default:
            ``"http"``.
        events: Whether each result of a subscription gets a span, from when it was taken until the
            next one is asked for. Default: ``False``.

    Raises:
        ValueError: When ``propagate`` is none of these. On opening a session, when its client has
            two of these interceptors.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        name_in_span: bool = False,
        document: bool = False,
        propagate: Propagation | None = "http",
        events: bool = False,
    ) -> None:
        if propagate not in PROPAGATIONS:
            allowed = ", ".join(map(repr, PROPAGATIONS))
            raise ValueError(f"propagate is one of {allowed}, not {propagate!r}")
        self._telemetry = Telemetry(
            tracer_provider,
            meter_provider,
            name_in_span=name_in_span,
            document=document,
            propagate=propagate,
            events=events,
        )

    def observe(self, options: SessionOptions, transport: Transport) -> SessionOptions:
        """Return the options of a session that is traced. Sessions call this.

        Args:
            options: The session's options.
            transport: The session's transport.

        Raises:
            ValueError: When another ``OpenTelemetry`` traces the session.
        """
        if options.observer is not None:
            raise ValueError(
                "interceptors has OpenTelemetry() twice: one provider may have several exporters"
            )
        return SessionTracing(self._telemetry, transport).added_to(options, self)
