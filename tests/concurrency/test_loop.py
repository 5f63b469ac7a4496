"""What is kept of the running loop works outside of any task."""

from __future__ import annotations

import threading

import anyio

from anygql.concurrency.loop import RunningLoop, is_loop_running


async def test_its_clock_is_anyio_s() -> None:
    before = anyio.current_time()
    assert before <= RunningLoop().now() <= anyio.current_time()


async def test_called_from_another_thread() -> None:
    loop, called = RunningLoop(), anyio.Event()
    threads: list[int] = []

    def call() -> None:
        threads.append(threading.get_ident())
        called.set()

    await anyio.to_thread.run_sync(loop.call_soon, call)
    await called.wait()
    assert threads == [threading.get_ident()]


async def test_a_waiter() -> None:
    loop = RunningLoop()
    waiter = loop.new_waiter()
    loop.call_soon(lambda: loop.wake(waiter))
    await waiter


async def test_whether_shields_hold(anyio_backend_name: str) -> None:
    assert RunningLoop().shields_hold == (anyio_backend_name == "trio")


async def test_whether_it_runs_here() -> None:
    loop = RunningLoop()
    assert loop.is_running
    assert not await anyio.to_thread.run_sync(lambda: loop.is_running)


def test_no_loop_runs_in_a_thread() -> None:
    assert not is_loop_running()


async def test_a_loop_runs_here(anyio_backend: str) -> None:
    assert is_loop_running()
    assert not await anyio.to_thread.run_sync(is_loop_running)
