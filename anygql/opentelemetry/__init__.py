"""Traces and metrics of operations: ``Client(…, interceptors=[OpenTelemetry()])``.

It needs opentelemetry-api (``anygql[otel]``), and no SDK. Without a provider it records nothing.
"""

from __future__ import annotations

try:
    import opentelemetry.trace as _  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "anygql.opentelemetry needs opentelemetry-api: install anygql[otel]", name=error.name
    ) from error

from .interceptor import OpenTelemetry

__all__ = ["OpenTelemetry"]
