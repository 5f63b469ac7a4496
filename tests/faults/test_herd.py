"""500 sessions that lose their server at the same moment, on a virtual clock."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from anygql import Client
from anygql.states import Connected, SessionEvent
from anygql.testing import GraphQLServer, demo_schema
from tests.faults.support import Changes, bounded

SESSIONS = 500


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Arrivals:
    """When sessions were connected, since the server was back."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.back_at = 0.0
        self.changes = Changes()

    def __call__(self, event: SessionEvent) -> None:
        if isinstance(event, Connected):
            self.times.append(anyio.current_time() - self.back_at)
            self.changes.tell()

    async def wait_all(self) -> None:
        await self.changes.until(lambda: len(self.times) >= SESSIONS)

    def tenths(self) -> list[int]:
        """How many came in each tenth of the time until the last did."""
        window = max(self.times)
        counts = Counter(min(int(10 * time / window), 9) for time in self.times)
        return [counts[tenth] for tenth in range(10)]

    def busiest(self, slot: float) -> int:
        """How many came in the worst time of so many seconds."""
        return max(Counter(int(time / slot) for time in self.times).values())


# At once they come spread evenly. After a while away each waits for a time of its own, up to 60 s,
# most of them for less: the later, the fewer.
@pytest.mark.parametrize(("downtime", "slot"), [(0, 0.05), (10, 1.0)])
@bounded(3600)
async def test_sessions_come_back_spread_over_the_jitter(downtime: float, slot: float) -> None:
    arrivals = Arrivals()
    async with GraphQLServer(demo_schema()) as server, anyio.create_task_group() as tg:
        client = Client(server.transport(), on_event=arrivals)
        for _ in range(SESSIONS):
            tg.start_soon(_hold, client)
        await arrivals.wait_all()
        await anyio.sleep(60)  # they are no newcomers
        arrivals.times.clear()
        await server.stop()
        await anyio.sleep(downtime)
        await server.start()
        arrivals.back_at = anyio.current_time()
        await arrivals.wait_all()
        tg.cancel_scope.cancel()

    window = max(arrivals.times)
    print(f"\nafter {downtime} s: {SESSIONS} sessions within {window:.2f} s of the server")
    for tenth, count in enumerate(arrivals.tenths()):
        print(f"{window * tenth / 10:6.2f} s {count:4} {'#' * (count // 2)}")
    assert len(arrivals.times) == SESSIONS
    assert len(set(arrivals.times)) > SESSIONS * 0.9
    assert arrivals.busiest(slot) <= SESSIONS / 4


async def _hold(client: Client) -> None:
    async with client.connect(reconnecting=True):
        await anyio.sleep_forever()
