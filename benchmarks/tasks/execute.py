"""Run queries: ``concurrency`` tasks, each of which sends its next when it has its answer.

Beside the times: ``p50`` and ``p99``, seconds from the call to the answer.
"""

from __future__ import annotations

import importlib
import json
import math
import time
from typing import Any

from ..messages import QUERY
from ..peers import Peer
from ..peers.base import Session, http_address
from . import Stopwatch, run_on

__all__ = ["run"]

#: Queries before the clock starts, at least one for each task: connections are open then,
#: documents printed.
WARM = 10


def run(
    peer: Peer, port: int, *, over: str, size: int, concurrency: int, count: int
) -> dict[str, Any]:
    """About ``count`` queries with answers of ``size`` bytes.

    ``over``: ``"ws"``, ``"http"`` or ``"https"``.
    """
    each = max(1, count // concurrency)
    if peer.loop == "none":
        ask = _ask_raw_websocket if over == "ws" else _ask_raw_http
        return ask(port, over, size, concurrency, each)
    client = importlib.import_module(f"benchmarks.peers.{peer.module}")

    async def main() -> dict[str, Any]:
        if over == "ws":
            opening = client.open_websocket(peer.engine, port)
        else:
            opening = client.open_http(peer.engine, *http_address(over, port, f"/http/{size}"))
        async with opening as session:
            await _ask_all(session, size, concurrency, math.ceil(WARM / concurrency))
            stopwatch = Stopwatch()
            stopwatch.start()
            times = await _ask_all(session, size, concurrency, each)
            result = stopwatch.stop(len(times))
        times.sort()
        return {**result, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}

    return dict(run_on(peer, main))


async def _ask_all(session: Session, size: int, concurrency: int, each: int) -> list[float]:
    import anyio

    times: list[float] = []
    request = session.request(QUERY, {"size": size})

    async def ask() -> None:
        clock, execute = time.perf_counter, session.execute
        for _ in range(each):
            begun = clock()
            data = await execute(request)
            times.append(clock() - begun)
            if data["event"]["n"] != 0:
                raise RuntimeError("another query's answer")

    if concurrency == 1:
        await ask()
    else:
        async with anyio.create_task_group() as tg:
            for _ in range(concurrency):
                tg.start_soon(ask)
    return times


def _ask_raw_http(port: int, over: str, size: int, concurrency: int, each: int) -> dict[str, Any]:
    """``each`` rounds: a request on each of ``concurrency`` sockets, and all their answers."""
    from ..peers.raw import RawHTTP

    body = json.dumps({"query": QUERY, "variables": {"size": size}}).encode()
    sockets = [RawHTTP(over, port, f"/http/{size}", body) for _ in range(concurrency)]
    stopwatch = Stopwatch()
    stopwatch.start()
    for _ in range(each):
        for one in sockets:
            one.send()
        for one in sockets:
            one.read_answer()
    result = stopwatch.stop(each * concurrency)
    for one in sockets:
        one.close()
    return {**result, "p50": result["wall"] / each, "p99": result["wall"] / each}


def _ask_raw_websocket(
    port: int, over: str, size: int, concurrency: int, each: int
) -> dict[str, Any]:
    from ..peers.raw import RawSocket

    socket = RawSocket(port)
    socket.ask(QUERY, {"size": size}, concurrency, 1)
    stopwatch = Stopwatch()
    stopwatch.start()
    socket.ask(QUERY, {"size": size}, concurrency, each)
    result = stopwatch.stop(each * concurrency)
    socket.close()
    return {**result, "p50": result["wall"] / each, "p99": result["wall"] / each}
