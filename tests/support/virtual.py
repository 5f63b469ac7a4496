"""Loops on which time passes at once when nobody has anything to do: asyncio's, and trio's.

For tests in memory alone: what comes over a socket, or from a thread, is not waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest
from trio.testing import MockClock

__all__ = ["VIRTUAL", "backend", "on_virtual_time"]

#: Values of `anyio_backend`.
VIRTUAL = ("virtual asyncio", "virtual trio")

#: Runs a test on both loops in virtual time: a machine that is slow takes none of that.
on_virtual_time = pytest.mark.parametrize("anyio_backend", VIRTUAL, indirect=True)


class _Selector(selectors.DefaultSelector):
    """Skips the time for which it would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(None if timeout is None else 0)
        if not events and timeout is not None:
            self.skipped += max(timeout, 0)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Selector()
        self._began = super().time()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._began + self._skipping.skipped


def backend(name: str) -> tuple[str, dict[str, Any]]:
    """Return the value of `anyio_backend` for a name of ``VIRTUAL``."""
    if name == "virtual trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": _Loop}
