"""Every loop, both sockets, and nothing left behind."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import anyio
import pytest
from anyio._backends._asyncio import AsyncIOBackend
from hypothesis import HealthCheck, settings

from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.stream import StreamConnector
from tests.support import virtual
from tests.support.amount import EVERY_LOOP
from tests.support.loops import ASYNCIO_LOOPS, LOOPS, Loop, is_chosen, of_chosen_sockets, rows_of

#: Fixtures for every folder.
pytest_plugins = (
    "tests.support.http_clients",
    "tests.support.programs",
    "tests.support.sessions",
    "tests.support.sockets",
)

#: A machine that is slow now and then has found nothing.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


@pytest.fixture(params=LOOPS, ids=str)
def anyio_backend(request: pytest.FixtureRequest) -> str | Loop | tuple[str, dict[str, Any]]:
    """The loop, which equals the name of its backend. (`anyio_backend_name` is a text.)"""
    loop: str | Loop = request.param
    return virtual.backend(loop) if loop in virtual.VIRTUAL else loop


@pytest.fixture(params=["stream", "trio-websocket"])
def connector(request: pytest.FixtureRequest, anyio_backend: str) -> Connector:
    """The default socket under every loop, and trio-websocket under trio."""
    if request.param == "stream":
        return StreamConnector()
    from anygql.websocket.sockets.trio_websocket import trio_websocket_connector

    return trio_websocket_connector()


#: So many objects that are searched for garbage are too many: most of them are there to stay.
SEARCHED = 5_000


def freeze() -> None:
    """What is there is not searched for garbage after each test; what nobody holds is gone."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def frozen() -> Generator[None]:
    """What is there before the first test is frozen, and some more of it as imports go on."""
    freeze()
    yield
    # What was in use when it was frozen, as servers of a whole module are, and dropped later.
    gc.unfreeze()
    gc.collect()


async def _wait_all_tasks_blocked(_: object) -> None:
    await anyio.lowlevel.checkpoint()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    while any(task._fut_waiter is None or task._fut_waiter.done() for task in others):
        await asyncio.sleep(0.001)
        others = asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture(scope="session", autouse=True)
def impatient() -> Iterator[None]:
    """Let `wait_all_tasks_blocked` look every millisecond: under asyncio it waits 0.1 s."""
    with pytest.MonkeyPatch.context() as patch:
        blocked = classmethod(_wait_all_tasks_blocked)
        patch.setattr(AsyncIOBackend, "wait_all_tasks_blocked", blocked)
        yield


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment of the test run says."""
    for scheme in ("ws", "wss", "http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test dropped without closing warns when it is collected: here, so that it fails."""
    if "anyio_backend" not in request.fixturenames:
        yield
        return
    # Not at the end of a test: what it was given is still held then, and would be frozen too.
    if len(gc.get_objects()) > SEARCHED:
        freeze()
    yield
    gc.collect()


def _own_tasks() -> dict[int, anyio.TaskInfo]:
    """The tasks that run, but for those by which the test runner itself runs."""
    return {
        task.id: task
        for task in anyio.get_running_tasks()
        if "TestRunner" not in getattr(task.coro, "__qualname__", "")
    }


@pytest.fixture
async def no_tasks_left(anyio_backend: str) -> AsyncIterator[None]:
    """The test leaves as many tasks as it found."""
    before = _own_tasks()
    yield
    left = [task for key, task in _own_tasks().items() if key not in before]
    assert not left, left


#: Hours on a virtual clock must not take longer than this many seconds.
VIRTUAL = 15


@pytest.fixture
def time_limit() -> float:
    """Return how many seconds a test may take; modules with longer ones override this."""
    return 60


@pytest.fixture
def bounded(
    request: pytest.FixtureRequest,
    no_tasks_left: None,
    anyio_backend_options: dict[str, Any],
    time_limit: float,
) -> Iterator[None]:
    """Fail a test that hangs, or that leaves a task."""
    if anyio_backend_options.keys().isdisjoint({"clock", "loop_factory"}):
        # Not by a scope around the `yield`: that would cancel the plugin's runner with the test.
        request.node.obj = in_time(request.node.obj, time_limit)
        yield
        return
    before = time.monotonic()
    yield
    assert time.monotonic() - before < VIRTUAL


def in_time(test: Callable[..., Awaitable[object]], limit: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: object, **kwargs: object) -> None:
        with anyio.fail_after(limit):
            await test(*args, **kwargs)

    return run


@pytest.fixture(autouse=True)
def each_bounded(request: pytest.FixtureRequest) -> None:
    """Bound every test that runs in a loop; those that run loops of their own are not async."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("bounded")


@pytest.fixture
def call_limits(monkeypatch: pytest.MonkeyPatch) -> list[anyio.CancelScope]:
    """The time limits of calls, as they begin. Each is over when it is canceled, and not before."""
    limits: list[anyio.CancelScope] = []

    def move_on_after(_: float | None) -> anyio.CancelScope:
        limits.append(anyio.CancelScope())
        return limits[-1]

    for module in ("attempts", "interceptors.calls"):
        monkeypatch.setattr(f"anygql.session.{module}.move_on_after", move_on_after)
    return limits


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts follow each other quickly: the same policies, a hundredth of the waits."""
    monkeypatch.setattr("anygql.session.retry.FIRST_WAIT", 0.005)
    monkeypatch.setattr("anygql.session.retry.LONGEST_WAIT", 0.05)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth as long for a peer that no answer is expected from."""
    monkeypatch.setattr("anygql.websocket.connection.BRIEFLY", 0.1)
    monkeypatch.setattr("anygql.http.httpx.incoming.CLOSE_TIMEOUT", 0.1)
    monkeypatch.setattr("anygql.http.single_connection.BRIEFLY", 0.1)
    monkeypatch.setattr("anygql.net.http1.BODY_PATIENCE", 0.1)
    monkeypatch.setattr("anygql.websocket.sockets.stream.LINGER", 0.02)
    monkeypatch.setattr("anygql.websocket.sockets.trio_adapter.LINGER", 0.02)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test runs on trio and on one of asyncio's loops, and each row of a large table on one.
    What is marked `one_socket` runs over one of the sockets, another every day.

    So does each test over HTTP with httpx, or with httpx2. Which one is its own, and the same
    every time; `ANYGQL_EVERY_LOOP=1` runs all of them, and a test that was asked for with its loop
    runs on that.
    """
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    tests = [item for item in items if _is_one(item)]
    if not EVERY_LOOP:
        tests = of_chosen_sockets(tests)
    rows = rows_of(tests)
    chosen = {item for item in tests if EVERY_LOOP or is_chosen(item, rows)}
    for item in items:
        wanted = item in chosen
        (kept if wanted else left_out).append(item)
    assert rows.keys() == rows_of(kept).keys(), "a row is on no loop at all"
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def _is_one(item: pytest.Item) -> bool:
    # trio-websocket has no asyncio side: those pairs are no tests, not skipped ones.
    call = getattr(item, "callspec", None)
    params = {} if call is None else call.params
    of_asyncio = params.get("anyio_backend") in ASYNCIO_LOOPS
    return not (of_asyncio and params.get("connector") == "trio-websocket")
