"""Many restarts of the server, under everything that a session can do at the same time."""

from __future__ import annotations

import gc
import os
import random
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from anygql import Client, Session, TransportConnectionFailed, TransportTimeout, WebSocketTransport
from anygql.session.events import Connected
from anygql.testing import GraphQLServer
from tests.promises.faults.proxy import FaultProxy
from tests.promises.faults.support import Changes, Events, Numbers, check_numbers
from tests.support.amount import EVERYTHING
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("soon")

RESTARTS = 200 if EVERYTHING else 40
REAL_RESTARTS = 200 if EVERYTHING else 20
SUBSCRIPTIONS = 50
EXECUTING = 20

ECHO = "query ($value: Int!) { echo(value: $value) }"
COUNT = "mutation ($key: ID!) { count(key: $key) }"


@pytest.fixture
def time_limit() -> float:
    return 400


class Load:
    """50 subscriptions and 20 executing tasks on one session, and what came of each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.changes = Changes()
        self.items: list[list[tuple[int, int]]] = [[] for _ in range(SUBSCRIPTIONS)]
        self.answered: Counter[str] = Counter()
        self.failures: list[tuple[str, Exception]] = []
        self.counted: set[str] = set()
        self.uncounted: set[str] = set()
        #: A number that ends a subscription that has received it, or a later one.
        self.last: int | None = None

    async def run(self, until: Awaitable[int]) -> None:
        """Until that is over, and each subscription has received the number that it gives."""
        async with anyio.create_task_group() as following:
            for items in self.items:
                following.start_soon(self._follow, items)
            async with anyio.create_task_group() as executing:
                for index in range(EXECUTING):
                    executing.start_soon(self._execute, index)
                self.last = await until
            await self.session.wait_connected()
            self.changes.tell()

    @property
    def lowest(self) -> int:
        """The number that every subscription has received."""
        return min(items[-1][0] if items else -1 for items in self.items)

    async def _follow(self, items: list[tuple[int, int]]) -> None:
        async with self.session.subscribe("subscription { numbers }") as numbers:
            async for data in numbers:
                items.append((data["numbers"], numbers.reconnects))
                self.changes.tell()
                if self.last is not None and data["numbers"] >= self.last:
                    return
        raise AssertionError("a subscription has ended")

    async def _execute(self, index: int) -> None:
        turn = 0
        while self.last is None:
            turn += 1
            if index % 2:
                await self._query(index * 1_000_000 + turn)
            else:
                await self._mutate(f"{index}-{turn}")
            await anyio.sleep(random.uniform(0, 0.03))

    async def _query(self, value: int) -> None:
        try:
            answer = await self.session.execute(ECHO, {"value": value})
        except (TransportConnectionFailed, TransportTimeout) as exc:
            self.failures.append(("query", exc))
        else:
            assert answer == {"echo": value}
            self.answered["query"] += 1

    async def _mutate(self, key: str) -> None:
        try:
            answer = await self.session.execute(COUNT, {"key": key})
        except (TransportConnectionFailed, TransportTimeout) as exc:
            self.failures.append(("mutation", exc))
            self.uncounted.add(key)
        else:
            assert answer == {"count": 1}
            self.answered["mutation"] += 1
            self.counted.add(key)

    def check(self, counts: Counter[str], connections: int) -> None:
        for items in self.items:
            check_numbers(items)
            assert 0 < items[-1][1] < connections
        assert self.answered["query"]
        assert self.answered["mutation"]
        for _, failure in self.failures:
            assert str(failure).startswith("ws://127.0.0.1:"), failure
        assert {counts[key] for key in self.counted} == {1}
        assert {counts[key] for key in self.uncounted} <= {0, 1}
        assert set(counts) <= self.counted | self.uncounted

    def report(self) -> None:
        failed = Counter((kind, str(exc).partition(": ")[2]) for kind, exc in self.failures)
        gaps = sum(items[-1][1] for items in self.items)
        received = sum(map(len, self.items))
        print(f"answered: {dict(self.answered)}; failed: {dict(failed)}")
        print(f"{received} numbers received, with {gaps} gaps reported")


def open_sockets() -> int:
    """How many sockets this process has open, without those that nobody holds any more."""
    gc.collect()
    found = 0
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the descriptor of this listing itself
            found += stat.S_ISSOCK(os.fstat(int(name)).st_mode)
    return found


def check_nothing_left(session: Session) -> None:
    """No subscription and no route, while it is still connected."""
    supervisor = session._supervisor
    assert not supervisor.resumables
    connection: Any = supervisor._connection
    assert connection is None or not connection.routes.by_id


@pytest.mark.timeout(300)
async def test_restarts_of_a_server_here() -> None:
    events, data, sockets = Events(), Numbers(), open_sockets()
    async with GraphQLServer(data.schema) as server:
        client = Client(WebSocketTransport(await server.listen()), on_event=events)

        async def restart() -> int:
            for done in range(RESTARTS):
                await events.wait_connections(done + 1)
                if random.random() < 0.3:
                    before = load.lowest
                    await load.changes.until(lambda before=before: load.lowest > before)
                for _ in range(random.randrange(4)):
                    data.advance()
                    await anyio.sleep(random.uniform(0, 0.02))
                await server.restart(downtime=random.choice([0, 0, random.uniform(0, 0.03)]))
                data.advance(random.randrange(3))
            await events.wait_connections(RESTARTS + 1)
            return data.number + 1

        async with client.connect(reconnecting=True) as session:
            load = Load(session)
            async with anyio.create_task_group() as tg:

                @tg.start_soon
                async def advance() -> None:
                    while True:
                        data.advance()
                        await anyio.sleep(0.1)

                await load.run(restart())
                tg.cancel_scope.cancel()
            check_nothing_left(session)
            *others, newest = server.connections
            for other in others:
                await other.wait_closed()
            await newest.wait_operations(0)
        assert len(events.of(Connected)) == RESTARTS + 1
        load.check(data.counts, RESTARTS + 1)
    assert open_sockets() <= sockets
    load.report()


class Process:
    """uvicorn with the application, which can be killed and started again."""

    def __init__(self, counted: Path, log: Path) -> None:
        self.port = 0
        self._environment = {**os.environ, "COUNTED": str(counted)}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """On a port of its own; who connects before it is up waits for it."""
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log.open("ab") as output:
            self.port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "uvicorn", "tests.promises.faults.app:app"),
                    *("--fd", str(listener.fileno()), "--log-level", "warning"),
                ],
                cwd=ROOT,
                env=self._environment,
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@asynccontextmanager
async def real_server(tmp_path: Path) -> AsyncGenerator[tuple[Process, FaultProxy]]:
    process = Process(tmp_path / "counted", tmp_path / "log")
    process.start()
    try:
        async with FaultProxy("127.0.0.1", process.port) as proxy:
            yield process, proxy
    finally:
        process.kill()


@pytest.mark.timeout(420)
async def test_restarts_of_a_real_server(tmp_path: Path) -> None:
    # Most are the proxy's, which the server sees as clients that vanish; in some its process dies,
    # and they take as long as it takes to start another.
    killed = set(range(5, REAL_RESTARTS, 40))
    events, sockets = Events(), open_sockets()
    async with real_server(tmp_path) as (process, proxy):
        url = f"ws://127.0.0.1:{proxy.port}/"
        client = Client(WebSocketTransport(url, connect_timeout=30), on_event=events)
        ways: list[Callable[[], Awaitable[None]]] = [
            proxy.cut,
            lambda: proxy.half_close("up"),
            lambda: proxy.half_close("down"),
            lambda: _now(proxy.reset),
        ]

        async def restart() -> int:
            for done in range(REAL_RESTARTS):
                await events.wait_connections(done + 1)
                if random.random() < 0.5:
                    before = load.lowest
                    await load.changes.until(lambda before=before: load.lowest > before)
                else:
                    await anyio.sleep(random.uniform(0, 0.3))
                proxy.refuse()
                if done in killed:
                    process.kill()
                    process.start()
                    proxy.target = ("127.0.0.1", process.port)
                    proxy.reset()
                else:
                    await random.choice(ways)()
                await anyio.sleep(random.choice([0, 0, 0.03]))
                proxy.accept()
            await events.wait_connections(REAL_RESTARTS + 1)
            return load.lowest + 1

        async with client.connect(reconnecting=True) as session:
            load = Load(session)
            await load.run(restart())
            check_nothing_left(session)
        await proxy.wait_idle()
        load.check(Counter((tmp_path / "counted").read_text().split()), REAL_RESTARTS + 1)
    assert len(events.of(Connected)) == REAL_RESTARTS + 1
    assert open_sockets() <= sockets
    load.report()


async def _now(function: Callable[[], None]) -> None:
    function()
