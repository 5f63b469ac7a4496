"""One refresh, and the loops that wait for it."""

from __future__ import annotations

import anyio

from anygql.session.auth.refresh import Refresh


async def test_loops_that_are_over_and_waits_that_come_late() -> None:
    refresh = Refresh()
    assert refresh.runs_here

    async def other() -> None:
        assert not refresh.runs_here
        with anyio.move_on_after(0):
            await refresh.wait()

    await anyio.to_thread.run_sync(anyio.run, other)
    async with anyio.create_task_group() as tg:
        tg.start_soon(refresh.wait)
        await anyio.wait_all_tasks_blocked()
        refresh.end()
    await refresh.wait()
