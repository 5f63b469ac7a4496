"""What clients do without ``await``: queries one at a time, or the events of one subscription.

The clocks are those of ``execute`` and of ``subscribe``.
"""

from __future__ import annotations

import importlib
import time
import uuid
from typing import Any

from ..messages import QUERY, SUBSCRIPTION
from ..peers import Peer
from . import Stopwatch
from .execute import WARM
from .subscribe import Start

__all__ = ["run"]


def run(peer: Peer, port: int, *, over: str, size: int, count: int) -> dict[str, Any]:
    """``count`` queries ``over`` ``"http"``, or events of a subscription ``over`` ``"ws"``."""
    client = importlib.import_module(f"benchmarks.peers.{peer.module}")
    engine = peer.engine or peer.loop
    if over == "http":
        with client.open_http(engine, port, size) as session:
            return _execute(session, size, count)
    with client.open_websocket(engine, port) as session:
        return _subscribe(session, port, size, count)


def _execute(session: Any, size: int, count: int) -> dict[str, Any]:
    request = session.request(QUERY, {"size": size})
    for _ in range(WARM):
        session.execute(request)
    times: list[float] = []
    clock, execute = time.perf_counter, session.execute
    stopwatch = Stopwatch()
    stopwatch.start()
    for _ in range(count):
        begun = clock()
        data = execute(request)
        times.append(clock() - begun)
        if data["event"]["n"] != 0:
            raise RuntimeError("another query's answer")
    result = stopwatch.stop(count)
    times.sort()
    return {**result, "p50": times[count // 2], "p99": times[count * 99 // 100]}


def _subscribe(session: Any, port: int, size: int, count: int) -> dict[str, Any]:
    token = uuid.uuid4().hex
    start = Start(port, 1, token)
    variables = {"size": size, "count": count, "group": 1, "token": token}
    events = session.subscribe(session.request(SUBSCRIPTION, variables))
    next(events)
    start.waiting()
    seen = last = 0
    for data in events:
        seen += 1
        last = data["event"]["n"]
    result = start.stopwatch.stop(seen)
    events.close()
    if seen != count or not isinstance(last, int):
        raise RuntimeError(f"{seen} events came instead of {count}")
    return result
