"""Waiters: woken before they wait or while they do, once, and canceled like any other await."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint, current_token

from anygql.concurrency.waiters import is_asyncio, waiters_of


async def test_woken_while_it_waits() -> None:
    new, wake, _ = waiters_of(current_token())
    waiter, done = new(), False

    async def wait() -> None:
        nonlocal done
        await waiter
        done = True

    async with anyio.create_task_group() as tg:
        tg.start_soon(wait)
        for _ in range(3):
            await checkpoint()
        assert not done
        wake(waiter)
        wake(waiter)
    assert done


async def test_woken_before_it_waits() -> None:
    new, wake, _ = waiters_of(current_token())
    waiter = new()
    wake(waiter)
    await waiter


async def test_canceled() -> None:
    new, wake, _ = waiters_of(current_token())
    waiter = new()
    with anyio.move_on_after(0.001) as scope:
        await waiter
    assert scope.cancelled_caught
    wake(waiter)


@pytest.mark.parametrize("woken", [False, True])
async def test_it_is_a_checkpoint(woken: bool) -> None:
    new, wake, _ = waiters_of(current_token())
    waiter = new()
    with anyio.CancelScope() as scope:
        scope.cancel()
        if woken and "trio" in str(type(current_token().native_token)):
            wake(waiter)
        await waiter
    assert scope.cancelled_caught


async def test_ctrl_c_in_the_middle_of_waking() -> None:
    """asyncio's handler of the signal cancels the task that waits, between any two instructions."""

    class Interrupted(asyncio.Future[None]):
        def done(self) -> bool:
            was_done = super().done()
            self.cancel()
            return was_done

    if not is_asyncio(current_token()):
        pytest.skip("trio's waiters are protected from Ctrl-C")
    _, wake, _ = waiters_of(current_token())
    waiter = Interrupted()
    wake(waiter)
    assert waiter.cancelled()
