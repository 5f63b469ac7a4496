"""Charts as SVG: bars of ratios, and lines on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .stats import TIMES

__all__ = ["Bar", "Line", "bars", "lines"]

_FONT = "font-family='system-ui, sans-serif' font-size='13'"
_INK, _FAINT, _PAPER = "#24292f", "#d0d7de", "#ffffff"
#: Apart from each other for the colour-blind too (Okabe and Ito).
_COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7")


@dataclass(frozen=True)
class Bar:
    """A ratio, its quartiles, and the mark that it should reach, if there is one."""

    label: str
    value: float
    low: float
    high: float
    mark: float | None


@dataclass(frozen=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]


def _document(width: float, height: float, title: str, body: Sequence[str]) -> str:
    return "\n".join(
        [
            (
                f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:g} {height:g}' "
                f"width='{width:g}' height='{height:g}' role='img' {_FONT}>"
            ),
            f"<title>{escape(title)}</title>",
            f"<rect width='100%' height='100%' fill='{_PAPER}'/>",
            _text(16, 26, title, weight="bold"),
            *body,
            "</svg>\n",
        ]
    )


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", turn: int = 0
) -> str:
    turned = f" transform='rotate({turn} {x:g} {y:g})'" if turn else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' fill='{_INK}' text-anchor='{anchor}' "
        f"font-weight='{weight}'{turned}>{escape(text)}</text>"
    )


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' "
        f"stroke='{colour}' stroke-width='{width:g}'/>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten from below ``low`` to above ``high``; 2 and 5 times those if it is little."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first < 3 else (1,)
    return [factor * 10**k for k in range(first, last + 1) for factor in factors]


def _short(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def bars(title: str, note: str, given: Sequence[Bar]) -> str:
    """Horizontal bars from 1 on a logarithmic axis: to the right is ahead."""
    left, right, top, step = 560, 80, 62, 24
    width, height = 1100.0, top + step * len(given) + 34
    low = min(1.0, *(bar.low for bar in given)) / 1.1
    high = max(1.0, *(max(bar.high, bar.mark or 1) for bar in given)) * 1.1
    scale = (width - left - right) / math.log(high / low)

    def x(value: float) -> float:
        return left + math.log(value / low) * scale

    body = [_text(16, 46, note)]
    for tick in _ticks(low, high):
        if low <= tick <= high:
            body.append(_rule(x(tick), top - 4, x(tick), height - 30, _FAINT))
            body.append(_text(x(tick), height - 12, f"{tick:g}{TIMES}", anchor="middle"))
    body.append(_rule(x(1), top - 4, x(1), height - 30, _INK))
    for k, bar in enumerate(given):
        y = top + k * step
        colour = _COLOURS[0] if bar.value >= (bar.mark or 1) else _COLOURS[2]
        begin, end = sorted((x(1), x(bar.value)))
        body += [
            _text(left - 10, y + 14, bar.label, anchor="end"),
            (
                f"<rect x='{begin:.1f}' y='{y + 3}' width='{max(end - begin, 1):.1f}' "
                f"height='{step - 9}' fill='{colour}'/>"
            ),
            _rule(x(bar.low), y + 10.5, x(bar.high), y + 10.5, _INK),
            _text(x(max(bar.high, bar.mark or 1)) + 8, y + 14, f"{bar.value:.3g}{TIMES}"),
        ]
        if bar.mark is not None:
            body.append(_rule(x(bar.mark), y, x(bar.mark), y + step - 3, _INK, 2.5))
    return _document(width, height, title, body)


def lines(title: str, x_label: str, y_label: str, given: Sequence[Line]) -> str:
    """Lines with dots, both axes logarithmic."""
    width, height, left, right, top, bottom = 720.0, 420.0, 80, 180, 48, 60
    xs = sorted({x for line in given for x, _ in line.points})
    ys = [y for line in given for _, y in line.points if y > 0]
    y_ticks = _ticks(min(ys), max(ys))
    while len(y_ticks) > 2 and y_ticks[1] <= min(ys):
        del y_ticks[0]
    while len(y_ticks) > 2 and y_ticks[-2] >= max(ys):
        del y_ticks[-1]
    x_scale = (width - left - right) / math.log(max(xs[-1] / xs[0], 1.001))
    y_scale = (height - top - bottom) / math.log(y_ticks[-1] / y_ticks[0])

    def at(x: float, y: float) -> tuple[float, float]:
        y = max(y, y_ticks[0])
        return (
            left + math.log(x / xs[0]) * x_scale,
            height - bottom - math.log(y / y_ticks[0]) * y_scale,
        )

    body = [
        _text((left + width - right) / 2, height - 14, x_label, anchor="middle"),
        _text(20, (top + height - bottom) / 2, y_label, anchor="middle", turn=-90),
    ]
    for tick in y_ticks:
        _, y_at = at(xs[0], tick)
        body.append(_rule(left, y_at, width - right, y_at, _FAINT))
        body.append(_text(left - 8, y_at + 4, _short(tick), anchor="end"))
    for tick in xs:
        x_at, _ = at(tick, y_ticks[0])
        body.append(_rule(x_at, height - bottom, x_at, height - bottom + 5, _INK))
        body.append(_text(x_at, height - bottom + 20, _short(tick), anchor="middle"))
    for k, line in enumerate(given):
        colour = _COLOURS[k % len(_COLOURS)]
        places = [at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.5'/>")
        body += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>" for x, y in places]
        y_key = top + 12 + k * 22
        body.append(_rule(width - right + 14, y_key, width - right + 38, y_key, colour, 3))
        body.append(_text(width - right + 46, y_key + 4, line.label))
    return _document(width, height, title, body)
