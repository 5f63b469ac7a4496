"""How the trace is told to the server: in HTTP headers, or in the operation's ``extensions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..delivery.interfaces import AnnotatedArgs, AnyTransportArgs
from ..net.headers import pairs
from ..session.interceptors.operation import Operation

__all__ = ["PROPAGATIONS", "Propagation", "Propagator"]

#: ``"http"``: in the headers of what goes by HTTP. ``"extensions"``: in each operation.
Propagation: TypeAlias = Literal["http", "extensions"]

PROPAGATIONS = ("http", "extensions", None)

_W3C = TraceContextTextMapPropagator()
_BAGGAGE = "baggage"


class Propagator:
    """Adds the trace to what one caller sends, perhaps several times.

    Args:
        way: Where the trace goes, or ``None``.
        carries_headers: Whether operations travel as HTTP requests that may get headers.
    """

    def __init__(self, way: Propagation | None, *, carries_headers: bool) -> None:
        self._to_headers = way == "http" and carries_headers
        self._to_extensions = way == "extensions"
        #: What was added the last time: it may come back with the arguments.
        self._added: list[tuple[str, str]] = []

    def change(self, operation: Operation, context: Context) -> Operation:
        """Return the operation with the trace of a context, if that has one."""
        if self._to_extensions:
            return _with_extensions(operation, context)
        if self._to_headers:
            return self._with_headers(operation, context)
        return operation

    def _with_headers(self, operation: Operation, context: Context) -> Operation:
        args: AnyTransportArgs = operation.transport_args
        # Anything else is refused by the transport.
        if args is not None and not isinstance(args, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            return operation
        carried: dict[str, str] = {}
        propagate.inject(carried, context)
        given = [pair for pair in pairs((args or {}).get("headers")) if pair not in self._added]
        own = {name.lower() for name, _ in given} & {name.lower() for name in carried}
        # The headers of one trace belong together: the caller's own has none of ours beside it.
        if own - {_BAGGAGE}:
            carried.clear()
        self._added = [each for each in carried.items() if each[0].lower() not in own]
        if not self._added:
            return operation
        headers = {**(args or {}), "headers": [*given, *self._added]}
        return operation.replace(transport_args=AnnotatedArgs(headers, args))


def _with_extensions(operation: Operation, context: Context) -> Operation:
    carried: dict[str, Any] = {}
    _W3C.inject(carried, context)
    request = operation.request
    given = request.extensions or {}
    if not carried or carried.keys() & given.keys():
        return operation
    return operation.replace(request=request.replace(extensions={**given, **carried}))
