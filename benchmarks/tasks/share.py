"""Fan out the events of one subscription to many listeners.

An operation is one event that one listener gets. The clock starts with the server's stream, when
every listener has had a first event and waits; it stops when all have seen the end.
"""

from __future__ import annotations

import uuid
from typing import Any

from ..messages import SUBSCRIPTION
from ..peers import Peer
from . import run_on
from .subscribe import Start, consume

__all__ = ["run"]


def run(peer: Peer, port: int, *, size: int, listeners: int, count: int) -> dict[str, Any]:
    """``count`` events of ``size`` bytes for each of so many listeners."""
    token = uuid.uuid4().hex
    variables = {"size": size, "count": count, "group": 1, "token": token}
    start = Start(port, listeners, token)

    async def main() -> dict[str, Any]:
        import anyio

        import anygql

        seen = 0

        async def listen(hub: anygql.SharedSubscription[Any]) -> None:
            nonlocal seen
            count_here = await consume(hub.listen(), start.waiting)
            seen += count_here

        url = f"ws://127.0.0.1:{port}/"
        async with (
            anygql.Client(url) as session,
            session.share(SUBSCRIPTION, variables, replay=1) as hub,
        ):
            async with anyio.create_task_group() as tg:
                for _ in range(listeners):
                    tg.start_soon(listen, hub)
            result = start.stopwatch.stop(seen)
        if seen != listeners * count:
            raise RuntimeError(f"{seen} events came instead of {listeners * count}")
        return result

    return dict(run_on(peer, main))
