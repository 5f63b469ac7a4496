"""What the applications of all frameworks here resolve their fields with."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

#: How many operations that take their time are running, by the tag that the client gave them.
running: Counter[str] = Counter()

_counted = 0


class SourceError(Exception):
    """What resolvers and sources here fail with."""


def counter() -> int:
    return _counted


def increment(by: int) -> int:
    global _counted
    _counted += by
    return _counted


@contextmanager
def _runs(tag: str) -> Generator[None]:
    running[tag] += 1
    try:
        yield
    finally:
        running[tag] -= 1


async def slow(seconds: float, tag: str) -> str:
    with _runs(tag):
        await asyncio.sleep(seconds)
    return f"after {seconds:g} s"


async def countdown(start: int, interval: float, tag: str) -> AsyncGenerator[int, None]:
    with _runs(tag):
        for number in range(start, 0, -1):
            yield number
            await asyncio.sleep(interval)


async def flood(count: int, tag: str) -> AsyncGenerator[int, None]:
    with _runs(tag):
        for number in range(count):
            yield number


async def failing(tag: str) -> AsyncGenerator[int, None]:
    with _runs(tag):
        yield 1
        yield 2
        raise SourceError("the source failed")


async def never(tag: str) -> AsyncGenerator[int, None]:
    with _runs(tag):
        await asyncio.Event().wait()
        yield 0
