"""Results as text: one line for each claim, and one for each contender."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .stats import TIMES

__all__ = ["absolute_lines", "claim_lines", "markdown", "number", "text"]

CLAIM_HEADS = ("work", "anygql on", "ahead of", "bar", "ratio", "spread", "CPU", "ok?")
ABSOLUTE_HEADS = ("work", "client", "per second", "time", "spread", "CPU", "against the first")


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _time(microseconds: float) -> str:
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.2f} s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{number(microseconds)} µs"


def _spread(stats: dict[str, float]) -> str:
    return f"{number(stats['q1'])}…{number(stats['q3'])}"


def claim_lines(rows: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A line for each claim of each row of the results."""
    return [_claim(row, claim) for row in rows for claim in row["claims"]]


def _claim(row: dict[str, Any], claim: dict[str, Any]) -> tuple[str, ...]:
    work = f"{row['title']}{', ' + claim['about'] if claim['about'] else ''}"
    head = (work, claim["ours"].removeprefix("anygql "), claim["against"], claim["bar_text"])
    ok = {True: "yes", False: "NO", None: "—"}[claim["ok"]]
    ratio = claim["ratio"]
    if ratio is None:
        return (*head, claim["why"], "", "", ok)
    cpu = f"{number(claim['cpu_ratio']['median'])}{TIMES}" if "cpu_ratio" in claim else ""
    failed = "".join(f" ({name} failed: {why})" for name, why in claim["failed"].items())
    return (*head, f"{number(ratio['median'])}{TIMES}{failed}", _spread(ratio), cpu, ok)


def absolute_lines(rows: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A line for each contender of each row of the results; ratios are medians' ratios."""
    lines: list[tuple[str, ...]] = []
    for row in rows:
        first: dict[str, float] = {}
        for name, metrics in row["contenders"].items():
            shown = "bytes" if "bytes" in metrics else "wall"
            stats = metrics[shown]
            first = first or stats
            against = f"{number(stats['median'] / first['median'])}{TIMES}"
            if shown == "bytes":
                size = f"{stats['median']:,.0f} bytes"
                lines.append((row["title"], name, "", size, _spread(stats), "", against))
                continue
            rate = f"{number(1e6 / stats['median'])}"
            spread = f"{_time(stats['q1'])}…{_time(stats['q3'])}"
            cpu = _time(metrics["cpu"]["median"])
            time = _time(stats["median"])
            lines.append((row["title"], name, rate, time, spread, cpu, against))
        for outcome in ("failed", "skipped"):
            for name, why in row[outcome].items():
                lines.append((row["title"], name, "", f"{outcome}: {why}", "", "", ""))
    return lines


def text(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for the terminal; what repeats in the first column is left out."""
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    shown = ["  ".join(map(str.ljust, heads, widths)), "  ".join("─" * width for width in widths)]
    before = ""
    for first, *rest in lines:
        cells = ["" if first == before else first, *rest]
        before = first
        shown.append("  ".join(map(str.ljust, cells, widths)).rstrip())
    return "\n".join(shown)


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for the docs; each line says all that it is about."""
    shown = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    shown += [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
    return "\n".join(shown)
