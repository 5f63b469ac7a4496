"""What the soak's client does, all at once: subscribers, callers, and an HTTP session beside them.

Each worker has random numbers of its own, from the seed and its name.
"""

from __future__ import annotations

import contextlib
import math
import random
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import IO

import anyio

from anygql import FileVar, Session, Subscription, SubscriptionOverflow, TransportError, gql
from tests.promises.soak.checks import Stream, Tally

ECHO = gql("query Echo($value: Int!, $after: Float!) { echo(value: $value, after: $after) }")
COUNT = gql("mutation Count($key: ID!, $after: Float!) { count(key: $key, after: $after) }")
UPLOAD = gql("mutation Upload($file: Upload!) { upload(file: $file) }")
NUMBERS = gql(
    "subscription Numbers($rate: Float!, $phase: Float!, $count: Int) {"
    " numbers(rate: $rate, phase: $phase, count: $count) }"
)
OPEN = gql("query Open { open }")


@dataclass(frozen=True)
class Kind:
    """One way to consume: how fast numbers come, and how they are taken."""

    share: float
    #: Numbers per second, in multiples of the soak's rate.
    rate: float = 1
    buffer_size: int = 1024
    on_overflow: str = "pause"
    #: The longest sleep between two numbers, in seconds.
    sleep: float = 0
    #: How often it sleeps.
    sleepy: float = 1
    finite: bool = False


KINDS = {
    "steady": Kind(0.91),
    "slow": Kind(0.05, buffer_size=4, sleep=3),
    "newest": Kind(0.004, rate=20, buffer_size=4, on_overflow="drop_oldest", sleep=2),
    "strict": Kind(0.004, rate=20, buffer_size=16, on_overflow="error", sleep=20, sleepy=0.01),
    "stuck": Kind(0.002, rate=40, buffer_size=8, sleep=30, sleepy=0.002),
    "finite": Kind(0.03, finite=True),
}

#: Kinds that may fall so far behind that their subscription ends.
MAY_OVERFLOW = {"strict", "stuck"}


class Load:
    """The workers of one run. ``rate``: numbers per second of a steady subscription;
    ``lifetime``: how long one lasts, on average, in seconds."""

    def __init__(
        self, seed: str, tally: Tally, journal: IO[str], *, rate: float, lifetime: float
    ) -> None:
        self._seed = seed
        self._tally = tally
        self._journal = journal
        self._rate = rate
        self._lifetime = lifetime

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}")

    # Subscribers.

    async def subscriber(self, session: Session, name: str) -> None:
        """One subscription after the other, each left in one of several ways."""
        rng = self.random(name)
        # All begin at once, so their first lives end anywhere.
        life = rng.uniform(0, 2 * self._lifetime)
        while True:
            kind = rng.choices([*KINDS], [one.share for one in KINDS.values()])[0]
            self._tally.counts["subscriptions"] += 1
            try:
                await self._subscribe(session, rng, kind, f"{name} ({kind})", life)
            except SubscriptionOverflow:
                if kind not in MAY_OVERFLOW:
                    self._tally.violated("overflows out of turn", f"{name} ({kind})")
                self._tally.counts["overflows reported"] += 1
            except TransportError as error:
                self._tally.violated("subscriptions that failed", f"{name} ({kind}): {error!r}")
            life = rng.expovariate(1 / self._lifetime)
            await anyio.sleep(rng.uniform(0, 0.5))

    async def _subscribe(
        self, session: Session, rng: random.Random, name: str, what: str, life: float
    ) -> None:
        kind = KINDS[name]
        count = rng.randint(1, 8) if kind.finite else None
        subscription = session.subscribe(
            NUMBERS,
            {"rate": self._rate * kind.rate, "phase": rng.random(), "count": count},
            buffer_size=kind.buffer_size,
            on_overflow=kind.on_overflow,  # type: ignore[arg-type]
        )
        stream = Stream(self._tally, what)
        how = rng.choice(["left", "cancelled", "dropped"])
        if how == "dropped":
            with anyio.move_on_after(life):
                await self._take(subscription, stream, rng, kind)
            del subscription
        elif how == "cancelled":
            with anyio.move_on_after(life):
                async with subscription:
                    await self._take(subscription, stream, rng, kind)
        else:
            async with subscription:
                with anyio.move_on_after(life):
                    await self._take(subscription, stream, rng, kind)
                    if count is not None and not self._complete(stream, count):
                        self._tally.violated("ended early", f"{what}: {stream.count} of {count}")
        self._tally.counts[f"subscriptions {how}"] += 1

    @staticmethod
    def _complete(stream: Stream, count: int) -> bool:
        return stream.count >= count

    async def _take(
        self,
        subscription: Subscription[dict[str, int]],
        stream: Stream,
        rng: random.Random,
        kind: Kind,
    ) -> None:
        async for data in subscription:
            stream.take(data["numbers"], subscription.reconnects, subscription.dropped)
            if kind.sleep and rng.random() < kind.sleepy:
                await anyio.sleep(rng.uniform(0, kind.sleep))

    # Callers.

    async def caller(self, session: Session, name: str) -> None:
        """Queries and mutations, some of them cancelled."""
        rng = self.random(name)
        number = 0
        while True:
            await anyio.sleep(rng.expovariate(1 / 0.5))
            number += 1
            after = rng.choice([0, 0, 0.05, 0.5])
            patience = rng.uniform(0, 0.7) if rng.random() < 0.4 else math.inf
            if rng.random() < 0.5:
                value = rng.getrandbits(31)
                data = await self._call(
                    lambda v=value, a=after: session.execute(ECHO, {"value": v, "after": a}),  # type: ignore[misc]
                    patience,
                )
                if data is not None and data != {"echo": value}:
                    self._tally.violated("wrong answers", f"{data} for {value}")
            else:
                await self._mutate(session, f"{name}/{number}", after, patience)

    async def _mutate(self, session: Session, key: str, after: float, patience: float) -> None:
        data = await self._call(
            lambda: session.execute(COUNT, {"key": key, "after": after}), patience, key
        )
        if data is not None:
            self._journal.write(f"answered {key}\n")
            if data != {"count": key}:
                self._tally.violated("wrong answers", f"{data} for {key}")

    async def _call(
        self, call: Callable[[], Awaitable[object]], patience: float, key: str | None = None
    ) -> object:
        """The answer, or ``None`` if there is none: cancelled, or a fault that is raised."""
        tally = self._tally
        tally.counts["calls"] += 1
        data: object = None
        try:
            with anyio.move_on_after(patience) as scope:
                data = await call()
        except TransportError as error:
            tally.counts[f"calls that raised {type(error).__name__}"] += 1
            if key is not None and error.unsent:
                self._journal.write(f"unsent {key}\n")
            return None
        if scope.cancelled_caught:
            tally.counts["cancellations"] += 1
            return None
        tally.counts["answers"] += 1
        return data

    async def uploader(self, session: Session, name: str) -> None:
        """Now and then a file, of which the server tells the checksum."""
        rng = self.random(name)
        while True:
            await anyio.sleep(rng.expovariate(1 / 2))
            content = rng.randbytes(rng.randint(0, 300_000))
            patience = rng.uniform(0, 0.1) if rng.random() < 0.2 else math.inf
            data = await self._call(
                lambda c=content: session.execute(UPLOAD, {"file": FileVar(c)}),  # type: ignore[misc]
                patience,
            )
            self._tally.counts["uploads"] += 1
            if data is not None and data != {"upload": zlib.crc32(content)}:
                self._tally.violated("wrong answers", f"{data} for an upload")


async def none_open(session: Session) -> int:
    """How many subscriptions the server still knows when that no longer changes."""
    left = -1
    with anyio.move_on_after(30):
        while left:
            with contextlib.suppress(TransportError):
                left = (await session.execute(OPEN))["open"]
            if left:
                await anyio.sleep(0.2)
    return left
