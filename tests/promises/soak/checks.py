"""What the soak holds the client to, apart from how it makes it work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What happened. ``wrong`` must stay empty: the first few violations, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def violated(self, kind: str, what: str) -> None:
        self.counts[kind] += 1
        if len(self.wrong) < 20:
            self.wrong.append(f"{kind}: {what}")


class Stream:
    """The numbers of one subscription, as they should come: each once, in order, and none missing
    but where ``reconnects`` has grown, or as many as ``dropped`` tells of.

    While a connection's last results are still read, those of the next may be dropped already. So
    ``dropped`` may be ahead of what is missing, until ``reconnects`` grows.
    """

    def __init__(self, tally: Tally, name: str) -> None:
        self._tally = tally
        self._name = name
        self._last: int | None = None
        self._reconnects = 0
        self._dropped = 0
        self._ahead = 0
        self.count = 0

    def take(self, number: int, reconnects: int, dropped: int = 0) -> None:
        """The next number that was received, and the subscription's counts at that moment."""
        tally = self._tally
        tally.counts["events"] += 1
        self.count += 1
        gap = reconnects - self._reconnects
        lost = dropped - self._dropped
        last, self._last = self._last, number
        self._reconnects, self._dropped = reconnects, dropped
        tally.counts["gaps reported"] += gap
        tally.counts["dropped as asked"] += lost
        where = f"{self._name}: {number} after {last}, {gap} gaps and {lost} dropped"
        if gap < 0 or lost < 0:
            tally.violated("counted backwards", where)
        if last is None:
            return
        if number <= last:
            tally.violated("doubled", where)
        elif gap:
            self._ahead = 0
        else:
            self._ahead += lost - (number - last - 1)
            if self._ahead < 0:
                tally.violated("lost", where)
                self._ahead = 0


@dataclass
class Mutations:
    """Which mutations ran, by the server's record, held against what the client was told."""

    ran: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, record: Iterable[str], journal: Iterable[str], tally: Tally) -> Mutations:
        """``journal``: the client's lines, ``answered KEY`` or ``unsent KEY``."""
        it = cls()
        for line in record:
            if line.startswith("!"):
                tally.violated("the client's protocol errors", line[1:].strip())
            else:
                it.ran[line.strip()] += 1
        for key, times in it.ran.items():
            if times > 1:
                tally.violated("mutations twice", f"{key}: {times} times")
        for line in journal:
            what, _, key = line.strip().partition(" ")
            if what == "answered" and not it.ran[key]:
                tally.violated("answers out of nothing", key)
            if what == "unsent" and it.ran[key]:
                tally.violated("unsent mutations that ran", key)
        tally.counts["mutations"] = sum(it.ran.values())
        return it


#: Parts of the time for a trend, of each of which the least counts.
FLOORS = 6


@dataclass
class Trend:
    """A straight line along the floor of the last two thirds of what was measured.

    Each restart of the server is a peak, of a quarter and for some seconds: how many of the samples
    fall into one is chance, and would be most of the slope. What leaks raises the floor.
    """

    first: float
    last: float
    #: Growth along the line, in percent of where it begins.
    growth: float

    @classmethod
    def of(cls, samples: Sequence[tuple[float, float]]) -> Trend:
        """``samples``: (seconds, value), at least two of them in the last two thirds."""
        end = samples[-1][0]
        later = [(at, value) for at, value in samples if at >= end / 3]
        size = -(-len(later) // FLOORS)
        parts = [later[start : start + size] for start in range(0, len(later), size)]
        kept = [min(part, key=lambda sample: sample[1]) for part in parts]
        middle = sum(at for at, _ in kept) / len(kept)
        mean = sum(value for _, value in kept) / len(kept)
        spread = sum((at - middle) ** 2 for at, _ in kept)
        slope = sum((at - middle) * (value - mean) for at, value in kept) / spread
        first = mean + slope * (later[0][0] - middle)
        last = mean + slope * (end - middle)
        return cls(first, last, 100 * (last - first) / first)
