"""Sessions that ask every few seconds, and a server that closes idle connections about then.

uvicorn closes a connection 5 s after its last answer, and says nothing of it. A request that was
on its way by then is lost (RFC 9112 §9.3.1): a query can be sent once more, a mutation can't. So
connections are not kept that long. By default the server waits for one second, and all other times
are a fifth as well; ``make reliability`` takes the real ones.
"""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import pytest

from anygql import Client, TransportError
from anygql.http.engine import connection as engine_connection
from tests.peers.run import listening, serving
from tests.promises.faults.proxy import FaultProxy
from tests.support.amount import EVERYTHING

pytestmark = [
    pytest.mark.over_http("engine", why="httpx keeps connections for 5 s, and loses such requests"),
    pytest.mark.table,
]

#: Seconds that uvicorn waits for.
PATIENCE = 5 if EVERYTHING else 1

#: Seconds between two polls, shared out evenly.
INTERVALS = (0.98 * PATIENCE, PATIENCE)

#: Seconds from the client to the server, and back.
WAY = 0.04

POLLERS = 100 if EVERYTHING else 20
POLLS = 12 if EVERYTHING else 2

#: What connections would be kept for by someone who trusts the server to keep them.
TOO_LONG = 60.0

#: With few polls, whether any is lost then is chance.
KEEPS = ["as ever", "too long"] if EVERYTHING else ["as ever"]


@pytest.fixture
def time_limit() -> float:
    return 110


class Polls:
    """What came of them."""

    def __init__(self) -> None:
        self.mutations = 0
        self.lost: list[TransportError] = []

    async def run(self, url: str, number: int) -> None:
        """Poll in a session of its own: a query, a mutation, and so on."""
        async with Client(url) as session:
            for turn in range(POLLS + 1):
                is_mutation = (number + turn) % 2 == 0
                try:
                    await session.execute("mutation { increment }" if is_mutation else "{ hello }")
                except TransportError as error:
                    self.lost.append(error)
                else:
                    self.mutations += is_mutation
                if turn < POLLS:
                    await anyio.sleep(random.uniform(*INTERVALS))


@pytest.mark.parametrize("keeps", KEEPS)
async def test_no_poll_is_lost(keeps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = engine_connection.KEEP_FOR * PATIENCE / 5 if keeps == "as ever" else TOO_LONG
    monkeypatch.setattr(engine_connection, "KEEP_FOR", kept)
    polls = Polls()
    with (
        listening() as listener,
        serving(
            "plain-uvicorn", listener, tmp_path / "log", "--timeout-keep-alive", str(PATIENCE)
        ) as server,
    ):
        async with FaultProxy("127.0.0.1", server.port) as way:
            way.delay = WAY
            url = f"http://127.0.0.1:{way.port}/"
            async with anyio.create_task_group() as tg:
                for number in range(POLLERS):
                    tg.start_soon(polls.run, url, number)
            async with Client(url) as session:
                counted = (await session.execute("{ counter }"))["counter"]
    print(f"\n{keeps}: {len(polls.lost)} of {POLLERS * POLLS} idle polls lost")
    if keeps == "as ever":
        assert not polls.lost
        assert counted == polls.mutations
    else:  # so that the test would notice
        assert polls.lost
