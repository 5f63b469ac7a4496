"""Waiting until something has changed."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from anygql.concurrency.signal import Signal

# Made where no event loop runs.
made_early = Signal()
made_early.notify()


async def test_every_waiting_task_is_woken() -> None:
    signal, woken = Signal(), list[int]()

    async def wait(n: int) -> None:
        await signal.wait()
        woken.append(n)

    async with anyio.create_task_group() as tg:
        for n in range(3):
            tg.start_soon(wait, n)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        signal.notify()
    assert sorted(woken) == [0, 1, 2]


async def test_it_remembers_nothing() -> None:
    signal = Signal()
    signal.notify()
    with anyio.move_on_after(0.01) as scope:
        await signal.wait()
    assert scope.cancelled_caught


async def test_it_can_be_used_again_and_again() -> None:
    signal, seen = made_early, list[int]()

    async def count() -> None:
        for n in range(3):
            await signal.wait()
            seen.append(n)

    async with anyio.create_task_group() as tg:
        tg.start_soon(count)
        for n in range(3):
            await anyio.wait_all_tasks_blocked()
            signal.notify()
            await anyio.wait_all_tasks_blocked()
            assert seen == list(range(n + 1))


async def test_a_canceled_task_is_not_missed_by_the_others() -> None:
    signal = Signal()

    async with anyio.create_task_group() as tg:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await signal.wait()
        tg.start_soon(signal.wait)
        await anyio.wait_all_tasks_blocked()
        signal.notify()
    await checkpoint()
