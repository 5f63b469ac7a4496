"""Closing what an operation iterates."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from anyio import move_on_after

from .interrupts import uninterruptible

__all__ = ["aclose", "aclose_within"]


async def aclose(iterable: AsyncIterable[Any]) -> None:
    """Close an async iterable, if it has an ``aclose``."""
    close = getattr(iterable, "aclose", None)
    if close is not None:
        await close()


@uninterruptible
async def aclose_within(iterable: AsyncIterable[Any], timeout: float | None) -> None:
    """Close an async iterable, shielded from cancellation for at most ``timeout`` seconds."""
    with move_on_after(timeout, shield=True):
        await aclose(iterable)
