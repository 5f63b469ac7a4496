"""One run of the soak, on one loop: the server's process, the sessions, and what is measured."""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.abc

from anygql import Client, HTTPTransport, WebSocketTransport
from anygql.session.events import Connected, Disconnected
from anygql.testing.loopback import Reservation
from tests.promises.soak.checks import Mutations, Tally, Trend
from tests.promises.soak.load import Load, none_open

#: Subscriptions of the HTTP session: each has a connection of its own.
HTTP_SUBSCRIPTIONS = 20

#: What uploads files, one after the other.
HTTP_UPLOADERS = 4

#: How often memory is measured: each time, garbage is collected first.
SAMPLES = 60


class Process:
    """The server's process, which is killed and begun again."""

    def __init__(self, options: argparse.Namespace, record: Path) -> None:
        self._options = options
        self._record = record
        self._process: anyio.abc.Process
        # Kept while there is no server, or somebody else's connection could get one.
        self._reserved = Reservation("127.0.0.1", 0), Reservation("127.0.0.1", 0)
        self.ports: tuple[int, int] = self._reserved[0].port, self._reserved[1].port
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1
        self._process = await anyio.open_process(
            [
                *[
                    sys.executable,
                    "-m",
                    "tests.promises.soak.server",
                    "--record",
                    str(self._record),
                ],
                *["--ports", *map(str, self.ports)],
                *["--seed", str(self._options.seed + self.starts)],
                *["--cut-every", str(self._options.cut_every)],
            ],
            stderr=None,
        )
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            line += await self._process.stdout.receive()
        first, second = line.split()
        self.ports = int(first), int(second)

    async def stop(self, *, kindly: bool) -> None:
        with anyio.CancelScope(shield=True):
            self._process.terminate() if kindly else self._process.kill()
            await self._process.wait()
            await self._process.aclose()

    def release(self) -> None:
        """Give the ports back."""
        for reserved in self._reserved:
            reserved.close()

    async def restart_again_and_again(self, tally: Tally) -> None:
        rng = random.Random(self._options.seed)
        every = self._options.restart_every
        while True:
            await anyio.sleep(rng.uniform(0.5 * every, 1.5 * every))
            with anyio.CancelScope(shield=True):  # or there would be no server at the end
                await self.stop(kindly=rng.random() < 0.5)
                await anyio.sleep(rng.uniform(0, 2))
                await self.start()
            tally.counts["restarts"] += 1


class Memory:
    """What this process takes, again and again."""

    def __init__(self) -> None:
        self.rss: list[tuple[float, float]] = []
        self.blocks: list[tuple[float, float]] = []

    async def watch(self, every: float) -> None:
        """Measure, every so many seconds."""
        began = time.monotonic()
        while True:
            await anyio.sleep(every)
            gc.collect()
            at = time.monotonic() - began
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.rss.append((at, pages * os.sysconf("SC_PAGE_SIZE")))
            self.blocks.append((at, float(sys.getallocatedblocks())))


@asynccontextmanager
async def serving(options: argparse.Namespace, record: Path) -> AsyncGenerator[Process]:
    process = Process(options, record)
    try:
        await process.start()
        try:
            yield process
        finally:
            await process.stop(kindly=False)
    finally:
        process.release()


def http_requests(session: Any) -> str:
    """What is left of requests in a session's pool, though none runs; ``""`` if nothing is."""
    exchange = session._supervisor._connection._exchange
    pool, limit = exchange.pool, exchange.endpoint.max_connections
    if pool._in_use or pool._waiting or pool._free != limit:
        return (
            f"{len(pool._in_use)} in use, {len(pool._waiting)} wait, {pool._free} of {limit} free"
        )
    return ""


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def soak(options: argparse.Namespace, folder: Path, tally: Tally, memory: Memory) -> None:
    """Open everything, let it work, leave everything, and look at what is left."""
    tasks = {task.id for task in anyio.get_running_tasks()}
    record, journal = folder / "record", folder / "journal"
    with journal.open("w") as lines:
        async with serving(options, record) as process:
            # A process of anyio's is closed with the last of its streams: so this is the measure.
            descriptors = _descriptors()
            await _sessions(options, process, lines, tally, memory)
            left = [task for task in anyio.get_running_tasks() if task.id not in tasks]
            if left:
                tally.violated("tasks left", repr(left))
            gc.collect()
            if _descriptors() > descriptors:
                tally.violated("descriptors left", f"{_descriptors()} instead of {descriptors}")
    with record.open() as ran, journal.open() as told:
        Mutations.read(ran, told, tally)


async def _sessions(
    options: argparse.Namespace,
    process: Process,
    journal: IO[str],
    tally: Tally,
    memory: Memory,
) -> None:
    def on_event(event: object) -> None:
        if isinstance(event, Connected) and event.reconnected:
            tally.counts["reconnections"] += 1
        elif isinstance(event, Disconnected):
            lost = "attempts without a server" if event.code is None else f"ended with {event.code}"
            tally.counts[lost] += 1

    websockets = WebSocketTransport(
        f"ws://127.0.0.1:{process.ports[0]}/", ping_interval=20, pong_timeout=20
    )
    client = Client(websockets, execute_timeout=60, on_event=on_event)
    by_http = Client(HTTPTransport(f"http://127.0.0.1:{process.ports[1]}/"), execute_timeout=60)
    seed = f"{options.seed}/{options.loop}"
    load = Load(seed, tally, journal, rate=options.rate, lifetime=options.lifetime)
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(client.connect(reconnecting=True))
            for _ in range(options.connections)
        ]
        http = await stack.enter_async_context(by_http.connect(reconnecting=True))
        with anyio.move_on_after(options.seconds):
            async with anyio.create_task_group() as tg:
                for number in range(options.subscriptions):
                    session = sessions[number % len(sessions)]
                    tg.start_soon(load.subscriber, session, f"subscriber {number}")
                for number, session in enumerate(sessions * 2):
                    tg.start_soon(load.caller, session, f"caller {number}")
                for number in range(HTTP_SUBSCRIPTIONS):
                    tg.start_soon(load.subscriber, http, f"http subscriber {number}")
                for number in range(2 * len(sessions)):
                    tg.start_soon(load.caller, http, f"http caller {number}")
                for number in range(HTTP_UPLOADERS):
                    tg.start_soon(load.uploader, http, f"uploader {number}")
                tg.start_soon(process.restart_again_and_again, tally)
                tg.start_soon(memory.watch, options.seconds / SAMPLES)
        gc.collect()  # what was dropped tells the server now
        # The tasks of subscriptions that were dropped end in their own turns.
        with anyio.move_on_after(5):
            while http_requests(http):
                await anyio.lowlevel.checkpoint()
        if held := http_requests(http):
            tally.violated("HTTP requests left", held)
        if left := await none_open(sessions[0]):
            tally.violated("subscriptions left on the server", str(left))


def figures(
    options: argparse.Namespace, tally: Tally, memory: Memory, began: float
) -> dict[str, Any]:
    """What is told of the run; trends that grow too much are violations."""
    report: dict[str, Any] = {
        "loop": options.loop,
        "seconds": round(time.monotonic() - began),
        "connections": options.connections,
        "subscriptions at a time": options.subscriptions,
        "seed": options.seed,
    }
    for name, samples in (("rss", memory.rss), ("blocks", memory.blocks)):
        if len(samples) < 6:
            tally.violated("memory not measured", f"{name}: {len(samples)} samples")
            continue
        trend = Trend.of(samples)
        report[name] = {
            "first": round(trend.first),
            "last": round(trend.last),
            "growth in percent": round(trend.growth, 2),
            "samples": len(samples),
        }
        if trend.growth > options.growth:
            tally.violated("memory grows", f"{name}: {trend.growth:.1f} %")
    for kind in ("lost", "doubled", "mutations twice"):
        tally.counts.setdefault(kind, 0)
    return {**report, "counts": dict(sorted(tally.counts.items())), "violations": tally.wrong}


def main(options: argparse.Namespace) -> dict[str, Any]:
    """The run, and its figures."""
    tally, memory = Tally(), Memory()

    def unraisable(args: Any) -> None:
        tally.violated("unraisable exceptions", f"{args.exc_value!r} in {args.object!r}")

    sys.unraisablehook = unraisable
    warnings.simplefilter("error")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(soak, options, Path(folder), tally, memory, backend=options.loop)
    gc.collect()
    return figures(options, tally, memory, began)


def parser() -> argparse.ArgumentParser:
    """The options of a run."""
    it = argparse.ArgumentParser(add_help=False)
    it.add_argument("--connections", type=int, default=20)
    it.add_argument("--subscriptions", type=int, default=10_000, help="at a time")
    it.add_argument("--rate", type=float, default=0.2, help="events a second of each subscription")
    it.add_argument("--lifetime", type=float, default=60, help="seconds of a subscription, mean")
    it.add_argument("--restart-every", type=float, default=30, help="seconds, mean")
    it.add_argument("--cut-every", type=float, default=5, help="seconds, mean")
    it.add_argument("--growth", type=float, default=5, help="of memory, in percent at most")
    it.add_argument("--seed", type=int, default=1)
    return it


if __name__ == "__main__":
    parent = argparse.ArgumentParser(parents=[parser()])
    parent.add_argument("--loop", choices=["asyncio", "trio"], required=True)
    parent.add_argument("--seconds", type=float, required=True)
    json.dump(main(parent.parse_args()), sys.stdout)
