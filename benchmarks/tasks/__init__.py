"""What is measured: each task is a module with ``run(peer, port, …) -> dict``.

It runs in a worker process, and returns at least ``operations``, ``wall`` and ``cpu`` (seconds of
the whole process), or what its own docstring says.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from time import perf_counter, process_time
from typing import Any

from ..peers import Peer

__all__ = ["Skipped", "Stopwatch", "run_on"]


class Skipped(Exception):
    """What would be measured is not there; says what."""


class Stopwatch:
    """Wall and CPU time since ``start``."""

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0

    def start(self) -> None:
        gc.collect()
        self._wall, self._cpu = perf_counter(), process_time()

    def stop(self, operations: int) -> dict[str, Any]:
        wall, cpu = perf_counter() - self._wall, process_time() - self._cpu
        return {"operations": operations, "wall": wall, "cpu": cpu}


def run_on(peer: Peer, main: Callable[[], Awaitable[Any]]) -> Any:
    """Run it on the peer's event loop: asyncio's own, uvloop or trio."""
    import anyio

    if peer.loop == "uvloop":
        return anyio.run(main, backend_options={"use_uvloop": True})
    return anyio.run(main, backend=peer.loop)
