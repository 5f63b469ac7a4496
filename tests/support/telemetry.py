"""Spans and metrics in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from anygql.opentelemetry import OpenTelemetry

__all__ = ["Telemetry"]


class Telemetry:
    """Providers that keep what is recorded."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.traces = TracerProvider(shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def interceptor(self, **options: Any) -> OpenTelemetry:
        """The interceptor that records here."""
        return OpenTelemetry(self.traces, self.meters, **options)

    @property
    def tracer(self) -> Tracer:
        """A tracer of the application's own."""
        return self.traces.get_tracer("application")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their ends."""
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The only span."""
        (span,) = self.spans
        return span

    def points(self, name: str) -> list[tuple[Mapping[str, Any], Any]]:
        """Return the points of a metric: their attributes, and the value or count."""
        data = self._reader.get_metrics_data()
        found: list[tuple[Mapping[str, Any], Any]] = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        found += [
                            (dict(point.attributes or {}), getattr(point, "value", None))
                            if hasattr(point, "value")
                            else (dict(point.attributes or {}), point.count)
                            for point in metric.data.data_points
                        ]
        return found

    def total(self, name: str, **attributes: Any) -> Any:
        """Return the sum of a metric's points that have these attributes."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        return sum(value for known, value in self.points(name) if wanted.items() <= known.items())

    def exported(self) -> str:
        """Return everything that has been exported, as text."""
        data = self._reader.get_metrics_data()
        texts = [span.to_json() for span in self.spans]
        return "\n".join([*texts, "" if data is None else data.to_json()])
