"""The same work at growing scales: does the cost stay flat, or grow in proportion?"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

from .rows import Curve
from .runner import Measured, measure

__all__ = ["scale"]

ROUNDS = 2


def _y(curve: Curve, samples: list[dict[str, float]]) -> float:
    if curve.y == "total_mb":
        return median(sample["total_bytes"] for sample in samples) / 1e6
    wall = median(sample["wall"] for sample in samples)
    return wall if curve.y == "wall_us" else 1e6 / wall


def scale(curve: Curve, port: int, *, target: float, verbose: bool) -> dict[str, Any]:
    """For each contender a list of points; whoever fails at one scale isn't asked at the next."""
    row = curve.row
    points: dict[str, list[tuple[int, float]]] = {name: [] for name in row.contenders}
    failed: dict[str, str] = {}
    for value in curve.values:
        left = tuple(name for name in row.contenders if name not in failed)
        scaled = replace(row, contenders=left, params={**row.params, curve.param: value})
        measured: Measured = measure(
            scaled, port, rounds=1 if row.fresh else ROUNDS, target=target / 2, verbose=verbose
        )
        for name in left:
            if measured.samples[name]:
                points[name].append((value, _y(curve, measured.samples[name])))
        failed.update(
            {name: f"{value:,} {curve.x_label}: {why}" for name, why in measured.failed.items()}
        )
    return {
        "key": curve.key,
        "title": curve.title,
        "x_label": curve.x_label,
        "y_label": curve.y_label,
        "values": curve.values,
        "points": points,
        "failed": failed,
    }
