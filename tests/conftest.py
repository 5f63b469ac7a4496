"""Both loops, both sockets, and nothing left behind."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Generator, Iterator

import anyio
import pytest

from anygql.sockets.base import Connector
from anygql.sockets.stream import StreamConnector


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["stream", "trio-websocket"])
def connector(request: pytest.FixtureRequest, anyio_backend: str) -> Connector:
    """The default socket under both loops, and trio-websocket under trio."""
    if request.param == "stream":
        return StreamConnector()
    from anygql.sockets.trio_websocket import trio_websocket_connector

    return trio_websocket_connector()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # trio-websocket has no asyncio side: those pairs are no tests, not skipped ones.
    kept = [
        item
        for item in items
        if not (
            (call := getattr(item, "callspec", None))
            and call.params.get("connector") == "trio-websocket"
            and call.params.get("anyio_backend") == "asyncio"
        )
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(scope="session", autouse=True)
def frozen() -> Generator[None]:
    """What is there before the first test is not searched for garbage after each of them."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment of the test run says."""
    for scheme in ("ws", "wss", "http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test dropped without closing warns when it is collected: here, so that it fails."""
    yield
    if "anyio_backend" in request.fixturenames:
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
