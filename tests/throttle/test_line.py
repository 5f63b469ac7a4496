"""Who waits, in which order: cancellation, threads, one event loop after another."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from anygql import ExecutionResult, Operation
from anygql.throttle import Throttle
from tests.support.amount import examples
from tests.support.limited import Shopify, operation


def on_mock_clock(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


def spending(operation: Operation) -> float:
    variables = operation.request.variable_values
    assert variables is not None
    return float(variables["cost"])


async def at_once(_: Operation) -> ExecutionResult:
    await checkpoint()
    return ExecutionResult({"a": 1})


def test_they_go_in_the_order_in_which_they_came() -> None:
    """A cheap one doesn't overtake an expensive one."""

    async def main() -> None:
        server = Shopify(50, 1000)
        throttle = Throttle(rate=50, burst=1000, cost=spending)
        async with anyio.create_task_group() as tg:
            for index, cost in enumerate([1000, 900, 1, 1, 1, 500, 1]):
                tg.start_soon(throttle, operation(cost=cost, id=index), server)
                await checkpoint()
        assert [each["id"] for each in server.answered] == list(range(7))
        assert not server.refused

    on_mock_clock(main)


def test_who_leaves_the_line_wakes_the_next() -> None:
    async def main() -> None:
        throttle, begun = Throttle(rate=1, burst=100, cost=spending), anyio.current_time()
        await throttle(operation(cost=100), at_once)
        async with anyio.create_task_group() as tg:
            first = anyio.CancelScope()

            async def expensive() -> None:
                with first:
                    await throttle(operation(cost=100), at_once)

            tg.start_soon(expensive)
            await anyio.sleep(1)
            tg.start_soon(throttle, operation(cost=2), at_once)
            await checkpoint()
            tg.start_soon(throttle, operation(cost=5), at_once)
            await anyio.sleep(2)
            assert repr(throttle) == "<Throttle: 1 in 1 s, 3 waiting, 0 under way>"
            first.cancel()
            await anyio.wait_all_tasks_blocked()
            assert repr(throttle) == "<Throttle: 1 in 1 s, 1 waiting, 0 under way>"
        assert anyio.current_time() - begun == pytest.approx(7)

    on_mock_clock(main)


@pytest.mark.sampled
@settings(max_examples=examples(200), deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60))
def test_nobody_starves_and_who_is_canceled_leaves_no_trace(seed: int, count: int) -> None:
    choose = random.Random(seed)

    def delays() -> Any:
        while True:
            yield choose.random(), choose.random(), choose.random()

    async def main() -> None:
        # It holds a little more than is told, since operations arrive closer together than sent.
        server = Shopify(10, 100, delays=delays())
        throttle = Throttle(rate=10, burst=60, cost=spending)
        canceled: list[int] = []

        async def one(index: int) -> None:
            cost = choose.randint(1, 50)
            request = operation(cost=cost, actual=choose.uniform(0, cost), id=index)
            with anyio.move_on_after(choose.choice([1, 20, 10**6, 10**6])) as scope:
                await throttle(request, server)
            if scope.cancelled_caught:
                canceled.append(index)

        async with anyio.create_task_group() as tg:
            for index in range(count):
                tg.start_soon(one, index)
                await anyio.sleep(choose.choice([0, 0, 0.1]))
        assert not server.refused
        answered = {each["id"] for each in server.answered}
        assert answered | set(canceled) == set(range(count))
        assert "0 waiting, 0 under way" in repr(throttle)

    on_mock_clock(main)


async def test_it_is_canceled_while_it_waits_or_is_under_way() -> None:
    throttle = Throttle(rate=1000, burst=1)
    with anyio.move_on_after(0.01):
        await throttle(operation(), lambda _: anyio.sleep(60))  # type: ignore[arg-type,return-value]
    slow = Throttle(rate=0.001)
    await slow(operation(), at_once)
    with anyio.move_on_after(0.01) as scope:
        await slow(operation(), at_once)
    assert scope.cancelled_caught
    for each in (throttle, slow):
        assert "0 waiting, 0 under way" in repr(each)


def run_in_threads(count: int, main: Callable[[], Awaitable[Any]], **options: Any) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            anyio.run(main, **options)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_threads_share_it(backend: str) -> None:
    throttle, times = Throttle(rate=400, burst=1), []

    async def note(_: Operation) -> ExecutionResult:
        times.append(time.monotonic())
        await checkpoint()
        return ExecutionResult({})

    async def main() -> None:
        async with anyio.create_task_group() as tg:
            for _ in range(10):
                tg.start_soon(throttle, operation(), note)

    began = time.monotonic()
    run_in_threads(4, main, backend=backend)
    assert len(times) == 40
    assert max(times) - began > 39 / 400 - 0.005
    assert "0 waiting, 0 under way" in repr(throttle)


def test_its_time_goes_on_from_loop_to_loop() -> None:
    throttle = Throttle(rate=1, per=100)

    async def first() -> None:
        await throttle(operation(), at_once)
        await anyio.sleep(50)
        with anyio.move_on_after(40) as scope:
            await throttle(operation(), at_once)
        assert scope.cancelled_caught

    async def second() -> None:
        # The clock of the first loop was ahead of the wall's; it doesn't go back.
        with anyio.move_on_after(5) as scope:
            await throttle(operation(), at_once)
        assert scope.cancelled_caught
        await throttle(operation(), at_once)

    on_mock_clock(first)
    on_mock_clock(second)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("left", [1, 2])
def test_a_loop_that_is_over_with_tasks_in_line(left: int) -> None:
    throttle = Throttle(rate=1)
    tasks: list[asyncio.Task[Any]] = []

    async def leave_behind() -> None:
        await throttle(operation(), at_once)
        tasks.extend(asyncio.ensure_future(throttle(operation(), at_once)) for _ in range(left))
        for _ in range(5):
            await asyncio.sleep(0)

    async def later() -> None:
        assert f"{left} waiting" in repr(throttle)
        await throttle(operation(), at_once)
        assert "0 waiting" in repr(throttle)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_behind())
    loop.close()
    anyio.run(later)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):
            task.get_coro().close()  # type: ignore[union-attr]
    assert "0 waiting" in repr(throttle)
