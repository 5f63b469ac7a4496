"""What is compared with what, and by how much anygql should be ahead."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .stats import TIMES

__all__ = ["BEFORE", "CURVES", "ROWS", "Claim", "Curve", "Metric", "Row", "against_before"]

Metric = Literal["wall", "cpu", "p50", "p99", "bytes"]

_OURS = ("anygql asyncio", "anygql trio")
_GQL = ("gql[aiohttp]", "gql[websockets]")
_BLOCKING_OURS = ("anygql.blocking", "anygql.blocking on trio")
_RAW = ("raw socket", "raw websockets asyncio", "raw websockets trio")


@dataclass(frozen=True)
class Claim:
    """``ours`` takes ``bar`` times less than the best of ``against``, in the same round."""

    ours: str
    against: tuple[str, ...]
    #: ``None``: shown, without a bar.
    bar: float | None
    metric: Metric = "wall"
    #: What of the row it is about, if not all.
    about: str = ""
    #: How the issue says the bar, if not as a ratio.
    bar_text: str = ""

    @property
    def shown_against(self) -> str:
        if self.against == _GQL:
            return "best of gql[aiohttp], gql[websockets]"
        return ", ".join(self.against)


@dataclass(frozen=True)
class Row:
    """One kind of work, and who does it."""

    key: str
    title: str
    #: A module of ``benchmarks.tasks``, or ``"startup"``.
    task: str
    contenders: tuple[str, ...]
    claims: tuple[Claim, ...]
    params: dict[str, Any] = field(default_factory=dict)
    #: The operation that times are of.
    unit: str = "event"
    #: Operations to warm up with; 0: the task has no ``count``.
    warm: int = 1000
    #: The least ``count`` of a run: the ends of many subscriptions would be most of a short one.
    least: int = 1
    #: Whether each run wants a process of its own.
    fresh: bool = False
    quick: bool = True


def _both(against: tuple[str, ...], bar: float | None, **more: Any) -> list[Claim]:
    return [Claim(ours, against, bar, **more) for ours in _OURS]


def _events(size: int, title: str, claims: list[Claim], warm: int, quick: bool) -> Row:
    return Row(
        key=f"events-{size}",
        title=f"one subscription, {title} events",
        task="subscribe",
        contenders=(*_OURS, *_GQL, *_RAW),
        claims=tuple(claims),
        params={"size": size, "group": 1},
        warm=warm,
        quick=quick,
    )


def _http(concurrency: int) -> Row:
    claims: list[Claim] = []
    contenders: list[str] = []
    for library in ("httpx", "httpx2"):
        for loop, suffix in (("asyncio", ""), ("trio", " on trio")):
            ours, peer = f"anygql {loop}, {library}", f"gql[{library}]{suffix}"
            claims.append(Claim(ours, (peer,), 1.05))
            contenders += [ours, peer]
        contenders.append(f"raw {library} asyncio")
    claims.append(Claim("anygql asyncio, httpx2", ("gql[aiohttp]",), None))
    return Row(
        key=f"http-{concurrency}",
        title=f"HTTP execute, {concurrency} at a time",
        task="execute",
        contenders=(*contenders, "gql[aiohttp]"),
        claims=tuple(claims),
        params={"over": "http", "size": 1000, "concurrency": concurrency},
        unit="execute",
        warm=concurrency + 20,
        quick=concurrency == 20,
    )


#: The bar for each: no slower than gql's sync client.
_BLOCKING = (
    Row(
        key="blocking-http",
        title="without `await`: HTTP execute, one at a time",
        task="blocking",
        contenders=(
            *_BLOCKING_OURS,
            "gql sync[requests]",
            "gql sync[httpx]",
        ),
        claims=tuple(
            Claim(ours, (peer,), 1)
            for ours in _BLOCKING_OURS
            for peer in ("gql sync[requests]", "gql sync[httpx]")
        ),
        params={"over": "http", "size": 1000},
        unit="execute",
        warm=20,
    ),
    Row(
        key="blocking-events",
        title="without `await`: one subscription, 140-byte events",
        task="blocking",
        contenders=(*_BLOCKING_OURS, "gql sync[websockets]"),
        claims=tuple(Claim(ours, ("gql sync[websockets]",), 1) for ours in _BLOCKING_OURS),
        params={"over": "ws", "size": 140},
        warm=500,
    ),
)

ROWS = (
    _events(
        140,
        "140-byte",
        _both(("gql[aiohttp]",), 3.5) + _both(("gql[websockets]",), 5),
        2000,
        True,
    ),
    _events(2048, "2 KB", _both(_GQL, 2), 500, True),
    _events(65536, "64 KB", _both(_GQL, 1.5), 50, False),
    Row(
        key="round-robin",
        title="1,000 subscriptions on one connection, events in turn",
        task="subscribe",
        contenders=(*_OURS, *_GQL),
        claims=tuple(_both(_GQL, 3)),
        params={"size": 140, "group": 1000},
        warm=2000,
        least=40,
    ),
    Row(
        key="concurrent",
        title="100 concurrent execute on one WebSocket",
        task="execute",
        contenders=(*_OURS, *_GQL, "raw socket"),
        claims=tuple(_both(_GQL, 3)),
        params={"over": "ws", "size": 140, "concurrency": 100},
        unit="execute",
    ),
    Row(
        key="one-at-a-time",
        title="execute one at a time on one WebSocket",
        task="execute",
        contenders=(*_OURS, *_GQL, "raw socket"),
        claims=(
            *_both(_GQL, 1.2, metric="p50", about="p50"),
            *_both(_GQL, 1.2, metric="p99", about="p99"),
        ),
        params={"over": "ws", "size": 140, "concurrency": 1},
        unit="execute",
        warm=200,
    ),
    _http(1),
    _http(20),
    _http(100),
    Row(
        key="schema",
        title="execute with a schema, 60 fields, second call on",
        task="schema",
        contenders=(*_OURS, "gql[websockets]"),
        claims=tuple(_both(("gql[websockets]",), 20)),
        unit="execute",
        warm=20,
    ),
    Row(
        key="parse",
        title="parse 1,000 rows with custom scalars",
        task="parse",
        contenders=("anygql asyncio", "gql[websockets]"),
        claims=(Claim("anygql asyncio", ("gql[websockets]",), 3),),
        unit="result",
        warm=1,
    ),
    Row(
        key="memory-waiting",
        title="10,000 idle subscriptions, each with a task that waits",
        task="memory",
        contenders=(*_OURS, *_GQL),
        claims=tuple(_both(_GQL, 1, metric="bytes", bar_text="not more memory")),
        params={"group": 10_000, "tasks": True},
        unit="subscription",
        warm=0,
        fresh=True,
        quick=False,
    ),
    Row(
        key="memory-held",
        title="10,000 idle subscriptions, nobody waiting",
        task="memory",
        contenders=(*_OURS, *_GQL),
        claims=tuple(_both(_GQL, 1, metric="bytes", bar_text="not more memory")),
        params={"group": 10_000, "tasks": False},
        unit="subscription",
        warm=0,
        fresh=True,
        quick=False,
    ),
    Row(
        key="import",
        title="import",
        task="startup",
        contenders=("anygql asyncio", *_GQL),
        claims=(
            Claim("anygql asyncio", ("gql[websockets]",), 1 / 0.6, bar_text=f"0.6{TIMES} the time"),
        ),
        params={"until": "import"},
        unit="import",
        warm=0,
        fresh=True,
    ),
    Row(
        key="first-execute",
        title="import and first WebSocket execute",
        task="startup",
        contenders=(*_OURS, *_GQL),
        claims=tuple(_both(("gql[websockets]",), 1 / 0.6, bar_text=f"0.6{TIMES} the time")),
        params={"until": "execute"},
        unit="start",
        warm=0,
        fresh=True,
    ),
    *_BLOCKING,
)


#: Behind the name of a contender that runs the code of another checkout.
BEFORE = " (before)"


def against_before(row: Row) -> Row:
    """The same work by our own contenders alone, each beside itself as it was."""
    ours = [name for name in row.contenders if name.startswith("anygql")]
    abouts = {(c.metric, c.about) for c in row.claims} or {("wall", "")}
    claims = [
        Claim(name, (name + BEFORE,), None, metric=metric, about=about)
        for name in ours
        for metric, about in sorted(abouts)
    ]
    contenders = tuple(each for name in ours for each in (name, name + BEFORE))
    return replace(row, contenders=contenders, claims=tuple(claims))


@dataclass(frozen=True)
class Curve:
    """One kind of work at several scales; ``param`` of ``row`` is what grows."""

    key: str
    title: str
    x_label: str
    y_label: str
    row: Row
    param: str
    values: tuple[int, ...]
    #: What is drawn: ``"rate"`` is operations per second.
    y: Literal["rate", "wall_us", "total_mb"]


_COUNTS = (1, 10, 100, 1000, 10_000)


def _row(task: str, unit: str, *, least: int = 1, **params: Any) -> Row:
    return Row(
        key="",
        title="",
        task=task,
        contenders=(*_OURS, *_GQL),
        claims=(),
        params=params,
        unit=unit,
        warm=0 if task == "memory" else 100,
        least=least,
        fresh=task == "memory",
    )


CURVES = (
    Curve(
        key="subscriptions",
        title="Events of many subscriptions on one connection",
        x_label="subscriptions",
        y_label="events per second",
        row=_row("subscribe", "event", least=10, size=140),
        param="group",
        values=_COUNTS,
        y="rate",
    ),
    Curve(
        key="memory",
        title="Memory of idle subscriptions, each with a task that waits",
        x_label="subscriptions",
        y_label="MB",
        row=_row("memory", "subscription", tasks=True),
        param="group",
        values=_COUNTS,
        y="total_mb",
    ),
    Curve(
        key="size",
        title="Time for one event",
        x_label="bytes of an event",
        y_label="µs",
        row=_row("subscribe", "event", group=1),
        param="size",
        values=(100, 1000, 10_000, 100_000, 1_000_000),
        y="wall_us",
    ),
    Curve(
        key="concurrency",
        title="Concurrent execute on one WebSocket",
        x_label="at a time",
        y_label="execute per second",
        row=_row("execute", "execute", over="ws", size=140),
        param="concurrency",
        values=(1, 10, 100, 1000),
        y="rate",
    ),
)
