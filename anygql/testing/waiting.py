"""Waiting for a condition, without sleeping."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..concurrency.signal import Signal

__all__ = ["wait_until"]

_T = TypeVar("_T")


async def wait_until(changed: Signal, find: Callable[[], _T | None]) -> _T:
    """Wait until ``find`` returns something; call it now and after each change."""
    while (found := find()) is None:
        await changed.wait()
    return found
