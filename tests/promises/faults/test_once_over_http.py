"""A mutation over HTTP runs once or raises, wherever its connection is cut: a server counts."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import anyio
import pytest

from anygql import Client, HTTPTransport
from anygql.exceptions import TransportError
from tests.support.amount import EVERYTHING
from tests.support.http_peer import Request, http, peer

pytestmark = [pytest.mark.usefixtures("soon"), pytest.mark.table]

#: Mutations of one run.
COUNT = 2_000 if EVERYTHING else 200


class Counting:
    """Counts each key, and cuts every third connection somewhere: before, in or behind an answer,
    or while it idles."""

    def __init__(self, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.cuts = 0
        self._chance = random.Random(seed)

    async def __call__(self, request: Request, stream: Any) -> bool:
        key = request.json["variables"]["key"]
        self.counts[key] += 1
        answer = http(json.dumps({"data": {"key": key}}))
        how = self._chance.randrange(9)
        if how > 3:
            await stream.send(answer)
            return True
        self.cuts += 1
        if how == 0:  # before a byte
            return False
        if how == 1:  # in the middle
            await stream.send(answer[: self._chance.randrange(1, len(answer))])
            return False
        await stream.send(answer)
        if how == 2:  # soon, when the next request may be on its way
            await anyio.sleep(self._chance.choice([0, 0, 0.001]))
        return False


@pytest.mark.parametrize("reconnecting", [False, True], ids=["plain", "permanent"])
@pytest.mark.parametrize("seed", range(2))
async def test_once_or_an_error(seed: int, reconnecting: bool) -> None:
    counting = Counting(seed)
    answered: set[str] = set()
    failed: dict[str, bool] = {}
    async with peer(counting) as server:
        client = Client(HTTPTransport(server.url))
        async with client.connect(reconnecting=reconnecting) as session:

            async def call(key: str) -> None:
                try:
                    args = {"key": key}
                    data = await session.execute("mutation ($key: ID!) { key(key: $key) }", args)
                except TransportError as error:
                    failed[key] = error.unsent
                else:
                    assert data == {"key": key}
                    answered.add(key)

            async def caller(number: int) -> None:
                for each in range(COUNT // 5):
                    await call(f"{number}/{each}")

            async with anyio.create_task_group() as tg:
                for number in range(5):
                    tg.start_soon(caller, number)
    assert counting.cuts > COUNT // 10
    assert failed
    assert len(answered) > COUNT // 3
    assert all(counting.counts[key] == 1 for key in answered)
    # What was sent may have been lost on the way; what was not sent never ran.
    assert all(counting.counts[key] <= (0 if unsent else 1) for key, unsent in failed.items())
