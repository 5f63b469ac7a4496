"""Each scenario, cancelled at each of its checkpoints: nothing lost, doubled, torn or left."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.promises.cancellation import appsync_scenarios as appsync_scenarios
from tests.promises.cancellation import around_scenarios as around_scenarios
from tests.promises.cancellation import auth_scenarios as auth_scenarios
from tests.promises.cancellation import interceptor_scenarios as interceptor_scenarios
from tests.promises.cancellation import phoenix_scenarios as phoenix_scenarios
from tests.promises.cancellation import throttle_scenarios as throttle_scenarios
from tests.promises.cancellation import tracing_scenarios as tracing_scenarios
from tests.promises.cancellation.checkpoints import Body, Scenario, cancelled_everywhere, chosen
from tests.promises.cancellation.conftest import TRIED
from tests.promises.cancellation.scenarios import SCENARIOS, Setting
from tests.support.amount import DAY, EVERYTHING
from tests.support.loops import ASYNCIO_LOOPS, Loop

pytestmark = pytest.mark.usefixtures("soon", "brief")

#: So many of a scenario's checkpoints are tried on each loop, others every day; and so many turns.
MOST = None if EVERYTHING else 12
MOST_TURNS = 100 if EVERYTHING else 6


#: Each loop, and whether it is cancelled natively.
WAYS = [(loop, native) for loop in ASYNCIO_LOOPS for native in (False, True)] + [("trio", False)]


def named(loop: str | Loop, native: bool) -> str:
    return f"{loop}-native" if native else str(loop)


ways = pytest.mark.parametrize(("anyio_backend", "native"), WAYS, ids=[named(*way) for way in WAYS])


@pytest.fixture(autouse=True)
def no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS in memory, each end waits for the other to close: not in each of many runs."""
    monkeypatch.setattr("anygql.websocket.sockets.stream.LINGER", 0.01)


@pytest.mark.parametrize(
    ("name", "anyio_backend", "native"),
    [
        pytest.param(name, loop, native, id=f"{name}-{named(loop, native)}")
        for name, scenario in SCENARIOS.items()
        for loop, native in WAYS
        if loop in scenario.loops
    ],
)
async def test_cancelled_at_every_checkpoint(
    name: str, anyio_backend: str, native: bool, record_property
) -> None:
    findings = await cancelled_everywhere(
        SCENARIOS[name],
        native=native,
        most=MOST,
        most_turns=MOST_TURNS,
        seed=f"{DAY} {anyio_backend}",
    )
    loop = named(anyio_backend, native)
    figures = {loop: findings.cancelled}
    if not native:
        figures[f"{loop}-exceptions"] = findings.raised
    record_property(TRIED, (name, figures))
    assert findings.cancelled, "nothing was cancelled"
    assert not findings.violations, "\n".join(findings.violations)


def test_each_checkpoint_has_its_day() -> None:
    """Not more than so many a day, from first to last; and none that is never tried."""
    for last, most, power in [(100, 12, 1), (300, 12, 2), (13, 12, 1)]:
        days = [chosen(last, most, random.Random(f"day {day}"), power) for day in range(500)]
        assert all(len(day) <= most and day == sorted(set(day)) for day in days)
        assert set().union(*days) == set(range(1, last + 1))
    assert chosen(12, 12, random.Random()) == chosen(12, None, random.Random())


# That it would have noticed.

#: What must not be collected, and so closed, before it is missed.
kept: list[socket.socket] = []


async def swallowing(_: Body) -> Setting:
    async def run() -> None:
        with suppress(BaseException):
            await anyio.sleep(0.001)

    yield run


async def raising_another(_: Body) -> Setting:
    async def run() -> None:
        try:
            await checkpoint()
        except BaseException:
            raise OSError from None

    yield run


async def leaving_a_socket(_: Body) -> Setting:
    async def run() -> None:
        kept.append(socket.socket())
        await checkpoint()
        kept.pop().close()

    yield run


async def leaving_a_task(_: Body) -> Setting:
    scope = anyio.CancelScope()

    async def task() -> None:
        with scope:
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            tasks.start_soon(task)
            await checkpoint()
            scope.cancel()

        yield run


async def leaving_a_generator(_: Body) -> Setting:
    async def numbers() -> AsyncGenerator[int]:
        yield 1
        await checkpoint()
        yield 2

    async def run() -> None:
        async for _ in numbers():
            await checkpoint()

    yield run


async def grouping(body: Body) -> Setting:
    async def run() -> None:
        async with anyio.create_task_group():
            body.point()
            await checkpoint()

    yield run


@pytest.mark.parametrize(
    ("enter", "anyio_backend", "native", "said"),
    [
        (swallowing, "asyncio", False, "swallowed"),
        (swallowing, "asyncio", True, "swallowed"),
        (raising_another, "asyncio", False, "OSError"),
        (raising_another, "asyncio", True, "OSError"),
        (raising_another, "trio", False, "OSError"),
        (leaving_a_socket, "asyncio", False, "left over: .*socket:"),
        (leaving_a_socket, "trio", False, "left over: .*socket:"),
        (leaving_a_task, "asyncio", False, "it hung"),
        (leaving_a_task, "asyncio", True, "it hung"),
        (leaving_a_task, "trio", False, "it hung"),
        (leaving_a_generator, "trio", False, "garbage collected"),
        (grouping, "asyncio", False, "ExceptionGroup"),
        (grouping, "trio", False, "ExceptionGroup"),
    ],
)
async def test_what_is_wrong_is_noticed(
    enter: Callable[[Body], Setting],
    anyio_backend: str,
    native: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.promises.cancellation.checkpoints.BOUND", 0.1)
    monkeypatch.setattr("tests.promises.cancellation.checkpoints.SOON", 0.05)
    scenario = Scenario("faulty", asynccontextmanager(enter))
    try:
        findings = await cancelled_everywhere(scenario, native=native, most_turns=3)
    finally:
        while kept:
            kept.pop().close()
    assert any(re.search(said, each) for each in findings.violations), findings


@ways
async def test_what_is_right_is_not_complained_of(anyio_backend: str, native: bool) -> None:
    async def enter(body: Body) -> Setting:
        async def run() -> None:
            body.point()
            with anyio.move_on_after(0):
                await anyio.sleep_forever()
            await checkpoint()

        yield run

    findings = await cancelled_everywhere(
        Scenario("right", asynccontextmanager(enter)), native=native, most_turns=3
    )
    assert not findings.violations
    # Two checkpoints, each while it waits and as it wakes up; no time at all; and in some turns.
    assert findings.checkpoints == 2
    assert findings.cancelled >= 5
    assert findings.raised == (0 if native else 1)
