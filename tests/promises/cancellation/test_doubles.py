"""A stub, a recording and a replay, each canceled at each of its checkpoints."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from anygql import Client
from anygql.delivery.interfaces import Transport
from anygql.testing import Recorded, Recorder, Stub
from anygql.testing.cassette import read_cassette
from tests.promises.cancellation.checkpoints import Body, Scenario, Violation, cancelled_everywhere
from tests.promises.cancellation.scenarios import Setting
from tests.support.amount import DAY, EVERYTHING
from tests.support.loops import ASYNCIO_LOOPS, Loop

MOST = None if EVERYTHING else 12

running: list[str] = []


async def answer(_call: Any) -> Any:
    running.append("answer")
    try:
        await anyio.sleep(0.001)
        return {"a": 1}
    finally:
        running.remove("answer")


async def events(_call: Any) -> AsyncIterator[Any]:
    running.append("events")
    try:
        for n in range(3):
            yield {"n": n}
            await anyio.sleep(0.001)
    finally:
        running.remove("events")


def stub() -> Stub:
    return Stub({"Q": answer, "S": events})


async def use(transport: Transport, point: Callable[[], None] = lambda: None) -> None:
    """Ask for all that there is."""
    async with Client(transport).connect(reconnecting=True) as session:
        assert await session.execute("query Q { a }") == {"a": 1}
        point()
        async with session.subscribe("subscription S { n }") as numbers:
            assert [data async for data in numbers] == [{"n": 0}, {"n": 1}, {"n": 2}]
            point()
        async with session.execute_incremental("query Q { a }") as states:
            assert [data async for data in states] == [{"a": 1}]
        point()


async def stubbed(body: Body) -> Setting:
    transport = stub()

    async def run() -> None:
        await use(transport, body.point)

    yield run
    if running:
        raise Violation(f"these answers still run: {running}")
    await use(transport)


async def recording(body: Body) -> Setting:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cassette.json"

        async def run() -> None:
            await use(Recorder(stub(), path), body.point)

        yield run
        if running:
            raise Violation(f"these answers still run: {running}")
        left = [each.name for each in Path(folder).iterdir()]
        if left not in ([], [path.name]):
            raise Violation(f"these files are left: {left}")
        if left:
            read_cassette(path)  # whole
        await use(Recorder(stub(), path))
        await use(Recorded(path))


async def replaying(body: Body) -> Setting:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cassette.json"
        await use(Recorder(stub(), path))

        async def run() -> None:
            await use(Recorded(path), body.point)

        yield run
        await use(Recorded(path))


SCENARIOS = [
    Scenario(enter.__name__, asynccontextmanager(enter))
    for enter in (stubbed, recording, replaying)
]
WAYS = [(loop, native) for loop in ASYNCIO_LOOPS for native in (False, True)] + [("trio", False)]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize(("anyio_backend", "native"), WAYS)
async def test_canceled_at_every_checkpoint(
    scenario: Scenario, anyio_backend: str | Loop, native: bool
) -> None:
    findings = await cancelled_everywhere(
        scenario, native=native, most=MOST, most_turns=6, seed=f"{DAY} {anyio_backend}"
    )
    assert findings.cancelled, "nothing was canceled"
    assert not findings.violations, "\n".join(findings.violations)
