"""Rate limits and query costs: an interceptor that keeps to them, and heeds what servers say."""

from __future__ import annotations

from .throttle import Throttle, Wait

__all__ = ["Throttle", "Wait"]

for _name in (Throttle, Wait):
    # Tracebacks and messages show the name that users import.
    _name.__module__ = __name__
del _name
