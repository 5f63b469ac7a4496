"""Where doubles put the results of one operation."""

from __future__ import annotations

from typing import Protocol

from ..delivery.independent import RunningStream
from ..results.result import ExecutionResult

__all__ = ["FeedSink", "LastResult", "Sink"]


class Sink(Protocol):
    """Takes the results of one operation, as long as they are wanted."""

    async def room(self) -> bool:
        """Wait until one more result is wanted. Return False if none will be any more."""
        ...

    def next(self, result: ExecutionResult) -> object:
        """Take a result."""
        ...


class LastResult:
    """Keeps the last result, for a caller that wants the whole."""

    result: ExecutionResult | None = None

    async def room(self) -> bool:
        """Return True: every result is wanted."""
        return True

    def next(self, result: ExecutionResult) -> None:
        """Keep a result in the place of the one before."""
        self.result = result


class FeedSink:
    """Puts results into the feed of a running stream."""

    def __init__(self, stream: RunningStream) -> None:
        self._stream = stream

    async def room(self) -> bool:
        """Wait until the feed has room for a result. Return False if it takes no more."""
        return await self._stream.room()

    def next(self, result: ExecutionResult) -> None:
        """Put a result into the feed, unless it has been left."""
        if not self._stream.feed.over:
            self._stream.feed.next(result)
