"""Receive events: one subscription, or many on one connection that get theirs in turn.

The clock starts with the server's stream, when every consumer has had a first event and waits;
it stops when every consumer has seen its subscription complete. Each consumer counts, and touches
a field.
"""

from __future__ import annotations

import importlib
import json
import socket
import uuid
from collections.abc import Callable
from typing import Any

from ..messages import SUBSCRIPTION
from ..peers import Peer
from ..peers.base import Session, Stream, http_address
from . import Stopwatch, run_on

__all__ = ["Start", "consume", "run"]


class Start:
    """Starts the clock and the server's stream, once ``group`` consumers wait."""

    def __init__(self, port: int, group: int, token: str) -> None:
        self.stopwatch = Stopwatch()
        self._missing = group
        self._token = token
        self._control = socket.create_connection(("127.0.0.1", port))

    def waiting(self) -> None:
        self._missing -= 1
        if not self._missing:
            self.stopwatch.start()
            self._control.sendall(b"go %s\n" % self._token.encode())
            self._control.close()


async def consume(events: Stream, waiting: Callable[[], None]) -> int:
    """Take all events; how many came after the first."""
    seen = last = 0
    try:
        await anext(events)
        waiting()
        async for data in events:
            seen += 1
            last = data["event"]["n"]
    finally:
        await events.aclose()
    if not isinstance(last, int):
        raise TypeError(f"an event has {last!r} for a number")
    return seen


def run(
    peer: Peer, port: int, *, size: int, group: int, count: int, over: str = "ws"
) -> dict[str, Any]:
    """``count`` events of ``size`` bytes for each of ``group`` subscriptions.

    ``over``: ``"ws"`` or ``"http"``: by multipart for peers that know nothing else, or that are to
    use it; by server-sent events for the others.
    """
    token = uuid.uuid4().hex
    variables = {"size": size, "count": count, "group": group, "token": token}
    start = Start(port, group, token)
    path = f"/stream/{'multipart' if peer.engine in {'aiohttp', 'multipart'} else 'sse'}"
    if peer.module == "raw":
        _run_raw(peer, port, over, variables, start)
        return start.stopwatch.stop(count)
    client = importlib.import_module(f"benchmarks.peers.{peer.module}")

    async def main() -> dict[str, Any]:
        if over == "ws":
            opening = client.open_websocket(peer.engine, port)
        else:
            opening = client.open_http(peer.engine, *http_address(over, port, path))
        async with opening as session:
            seen = await _consume_all(session, variables, start)
            result = start.stopwatch.stop(seen)
        if seen != group * count:
            raise RuntimeError(f"{seen} events came instead of {group * count}")
        return result

    return dict(run_on(peer, main))


async def _consume_all(session: Session, variables: dict[str, Any], start: Start) -> int:
    import anyio

    total = 0

    async def consumer() -> None:
        nonlocal total
        seen = await consume(session.subscribe(request), start.waiting)
        total += seen

    request = session.request(SUBSCRIPTION, variables)
    async with anyio.create_task_group() as tg:
        for _ in range(variables["group"]):
            tg.start_soon(consumer)
    return total


def _run_raw(peer: Peer, port: int, over: str, variables: dict[str, Any], start: Start) -> None:
    from ..peers import raw

    if over == "http":
        body = json.dumps({"query": SUBSCRIPTION, "variables": variables}).encode()
        reader = raw.RawHTTP(over, port, "/stream/sse", body)
        reader.drain("sse", start.waiting)
        reader.close()
    elif peer.loop == "none":
        socket = raw.RawSocket(port)
        socket.drain(SUBSCRIPTION, variables, start.waiting)
        socket.close()
    else:
        run_on(peer, lambda: raw.drain_frames(port, SUBSCRIPTION, variables, start.waiting))
