"""Medians and spreads."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

__all__ = ["TIMES", "summary"]

#: What follows a ratio.
TIMES = "\N{MULTIPLICATION SIGN}"


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and extremes of at least one value."""
    if len(values) == 1:
        q1 = q3 = values[0]
    else:
        q1, _, q3 = quantiles(values, n=4, method="inclusive")
    return {
        "median": median(values),
        "q1": q1,
        "q3": q3,
        "min": min(values),
        "max": max(values),
    }
