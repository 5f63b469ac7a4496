"""What an idle subscription costs: ``operations`` subscriptions, and ``bytes`` for each.

Memory is what the process has to itself (``Private_*`` of the kernel's ``smaps_rollup``), so
allocators and the loop's own tasks count too. ``tasks``: each subscription has a task that waits
for its next event; otherwise nobody waits.
"""

from __future__ import annotations

import gc
import importlib
import sys
import uuid
from contextlib import suppress
from typing import Any

from ..messages import SUBSCRIPTION
from ..peers import Peer
from ..peers.base import Session, Stream
from . import Stopwatch, run_on

__all__ = ["run"]

SIZE = 140


def private_bytes() -> int:
    """What only this process holds; its peak as a stand-in where there is no ``/proc``."""
    gc.collect()
    with suppress(OSError), open("/proc/self/smaps_rollup", encoding="ascii") as lines:
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run(peer: Peer, port: int, *, group: int, tasks: bool) -> dict[str, Any]:
    client = importlib.import_module(f"benchmarks.peers.{peer.module}")

    async def main() -> dict[str, Any]:
        async with client.open_websocket(peer.engine, port) as session:
            warm = session.subscribe(_request(session, 1))
            await anext(warm)
            before = private_bytes()
            stopwatch = Stopwatch()
            stopwatch.start()
            held = await (_waiting if tasks else _held)(session, group, before)
            result = stopwatch.stop(group)
            await warm.aclose()
        return {**result, "bytes": held / group, "total_bytes": held}

    return dict(run_on(peer, main))


def _request(session: Session, group: int) -> Any:
    # `count` is 0: after its first event it never gets another, and no end.
    variables = {"size": SIZE, "count": 0, "group": group, "token": uuid.uuid4().hex}
    return session.request(SUBSCRIPTION, variables)


async def _waiting(session: Session, group: int, before: int) -> int:
    import anyio

    request = _request(session, group)
    missing = group
    all_there = anyio.Event()

    async def consumer() -> None:
        nonlocal missing
        events = session.subscribe(request)
        try:
            await anext(events)
            missing -= 1
            if not missing:
                all_there.set()
            await anext(events)
        finally:
            await events.aclose()

    async with anyio.create_task_group() as tg:
        for _ in range(group):
            tg.start_soon(consumer)
        await all_there.wait()
        await anyio.lowlevel.checkpoint()
        held = private_bytes() - before
        tg.cancel_scope.cancel()
    return held


async def _held(session: Session, group: int, before: int) -> int:
    request = _request(session, group)
    streams: list[Stream] = []
    for _ in range(group):
        events = session.subscribe(request)
        await anext(events)
        streams.append(events)
    held = private_bytes() - before
    for events in streams:
        await events.aclose()
    return held
