"""What is compared with what, and by how much anygql should be ahead."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .stats import TIMES

__all__ = ["BEFORE", "CURVES", "ROWS", "Claim", "Curve", "Metric", "Row", "against_before"]

Metric = Literal["wall", "cpu", "p50", "p99", "bytes"]

_OURS = ("anygql asyncio", "anygql trio")
_GQL = ("gql[aiohttp]", "gql[websockets]")
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
    #: The most that ``ours`` may take, in the units of its metric, if that is the bar.
    most: float | None = None

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


#: The other clients over HTTP, which are shown beside ours in two rows.
_HTTP_PEERS = ("gql[httpx]", "gql[httpx2]", "ariadne-codegen", "raw aiohttp", "raw httpx")
_AIOHTTP = ("gql[aiohttp]",)


def _http(
    size: int,
    title: str,
    concurrency: int,
    bars: tuple[float, float],
    *,
    over: str = "http",
    peers: tuple[str, ...] = (),
    uvloop: bool = False,
    quick: bool = False,
) -> Row:
    """``bars`` are those of asyncio and of trio, both against gql[aiohttp] on asyncio."""
    scheme = {"http": "HTTP", "https": "HTTPS"}[over]
    contenders = [*_OURS, *_AIOHTTP]
    claims = [Claim(ours, _AIOHTTP, bar) for ours, bar in zip(_OURS, bars, strict=True)]
    if uvloop:
        contenders += ["anygql uvloop", "gql[aiohttp] on uvloop"]
        claims.append(Claim("anygql uvloop", ("gql[aiohttp] on uvloop",), None))
    claims += [Claim("anygql asyncio", (peer,), None) for peer in peers]
    return Row(
        key=f"{over}-{size}-{concurrency}",
        title=f"{scheme} execute, {title} answers, {concurrency} at a time",
        task="execute",
        contenders=(*contenders, *peers, "raw socket"),
        claims=tuple(claims),
        params={"over": over, "size": size, "concurrency": concurrency},
        unit="execute",
        warm=concurrency + 20,
        quick=quick,
    )


def _typed(over: str, kind: str, size: int, title: str) -> Row:
    untyped = "anygql asyncio, untyped"
    peers = ("gql[aiohttp] + pydantic", "gql[websockets] + pydantic")
    is_stream = over == "subscription"
    return Row(
        key=f"typed-{over}-{kind}-{size}",
        title=title,
        task="typed",
        contenders=(*_OURS, untyped, *peers),
        claims=(
            *_both(peers, None),
            Claim("anygql asyncio", (untyped,), None, about="beside plain data"),
        ),
        params={"kind": kind, "over": over, "size": size},
        unit="event" if is_stream else "execute",
        warm=500 if is_stream else 200,
        quick=size == 2048,
    )


_HTTPX_OF_ONES_OWN = Row(
    key="httpx-20",
    title="HTTP execute by httpx of one's own, 20 at a time",
    task="execute",
    contenders=("anygql asyncio, httpx", "gql[httpx]", "anygql trio, httpx", "gql[httpx] on trio"),
    claims=(
        Claim("anygql asyncio, httpx", ("gql[httpx]",), None),
        Claim("anygql trio, httpx", ("gql[httpx] on trio",), None),
    ),
    params={"over": "http", "size": 2048, "concurrency": 20},
    unit="execute",
    warm=40,
    quick=False,
)


_INTERCEPTED = (
    "anygql asyncio, 1 interceptor",
    "anygql asyncio, 10 interceptors",
    "anygql asyncio, throttle on",
    "anygql asyncio, tracing on",
    "anygql asyncio, equal queries shared",
    "anygql asyncio, token refreshed",
)

#: What interceptors cost: those that only pass the operation on, and anygql's own; and `auth=`.
_INTERCEPTORS = Row(
    key="interceptors",
    title="execute one at a time through what goes around a call",
    task="execute",
    contenders=("anygql asyncio", *_INTERCEPTED),
    claims=tuple(Claim("anygql asyncio", (each,), None, metric="cpu") for each in _INTERCEPTED),
    params={"over": "ws", "size": 140, "concurrency": 1},
    unit="execute",
    warm=200,
    quick=False,
)


_BLOCKING_OURS = ("anygql.blocking", "anygql.blocking on trio")

#: The bar for each: no slower than gql's sync client.
_BLOCKING = (
    Row(
        key="blocking-http",
        title="without `await`: HTTP execute, one at a time",
        task="blocking",
        contenders=(*_BLOCKING_OURS, "gql sync[requests]", "gql sync[httpx]"),
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
        key="share",
        title="one subscription shared by 1,000 listeners, for each listener and event",
        task="share",
        contenders=(*_OURS, "anygql uvloop"),
        claims=(),
        params={"size": 140, "listeners": 1000},
        warm=100,
        least=40,
        quick=False,
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
    _INTERCEPTORS,
    _http(60, "60-byte", 1, (1.6, 1.4), uvloop=True),
    _http(60, "60-byte", 20, (1.6, 1.4), uvloop=True, quick=True),
    _http(60, "60-byte", 100, (1.6, 1.4), uvloop=True),
    _http(2048, "2 KB", 1, (1.6, 1.4), peers=_HTTP_PEERS),
    _http(2048, "2 KB", 20, (1.6, 1.4), peers=_HTTP_PEERS),
    _http(2048, "2 KB", 100, (1.6, 1.4)),
    _http(100_000, "100 KB", 1, (1.5, 1.5)),
    _http(100_000, "100 KB", 20, (1.5, 1.5)),
    _http(100_000, "100 KB", 100, (1.5, 1.5)),
    _http(60, "60-byte", 1, (1.3, 1.3), over="https"),
    _http(60, "60-byte", 20, (1.3, 1.3), over="https", quick=True),
    _HTTPX_OF_ONES_OWN,
    Row(
        key="sse",
        title="one subscription over HTTP, 140-byte events",
        task="subscribe",
        contenders=(*_OURS, "anygql asyncio, multipart", *_AIOHTTP, "raw socket"),
        claims=(
            *_both(_AIOHTTP, 1, bar_text="faster"),
            Claim("anygql asyncio, multipart", _AIOHTTP, None),
        ),
        params={"over": "http", "size": 140, "group": 1},
        warm=500,
    ),
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
        key="dsl",
        title="a document built in Python, with a value in it",
        task="dsl",
        contenders=("anygql asyncio", "gql[websockets]"),
        claims=(
            Claim(
                "anygql asyncio",
                ("gql[websockets]",),
                None,
                metric="cpu",
                bar_text="20 µs at most",
                most=20,
            ),
        ),
        unit="document",
        warm=100,
    ),
    _typed("subscription", "struct", 140, "typed subscription, 140-byte events as Structs"),
    _typed("subscription", "struct", 2048, "typed subscription, 2 KB events as Structs"),
    _typed("subscription", "dataclass", 140, "typed subscription, 140-byte events as dataclasses"),
    _typed("subscription", "dataclass", 2048, "typed subscription, 2 KB events as dataclasses"),
    _typed("ws", "struct", 2048, "typed execute on one WebSocket, 2 KB as Structs"),
    _typed("ws", "dataclass", 2048, "typed execute on one WebSocket, 2 KB as dataclasses"),
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
    Row(
        key="first-http",
        title="process start to first HTTP answer",
        task="startup",
        contenders=(*_OURS, "gql[aiohttp]", "gql[httpx]"),
        claims=(
            Claim("anygql asyncio", _AIOHTTP, 1 / 0.65, bar_text=f"0.65{TIMES} the time"),
            Claim("anygql trio", _AIOHTTP, 1 / 0.8, bar_text=f"0.8{TIMES} the time"),
            Claim("anygql asyncio", ("gql[httpx]",), None),
        ),
        params={"until": "process", "over": "http"},
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
