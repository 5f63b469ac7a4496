"""A byte stream that does what a test says, read by read and write by write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from anygql.net.streams import NetworkStream

__all__ = ["FakeStream"]


class FakeStream(NetworkStream):
    """``reads``: what comes, in turn: bytes (``b""`` is the end), or an error. Then nothing comes.

    ``takes``: how many bytes the operating system takes in all; an error stands for one that it
    raises then. ``None`` is no limit.
    """

    def __init__(
        self, *reads: bytes | OSError, takes: int | None = None, error: OSError | None = None
    ) -> None:
        self.reads = deque(reads)
        self.takes = takes
        self.error = error
        self.sent = b""
        self.is_closed = False
        self.waits = 0
        self.on_idle: Callable[[], object] | None = None
        self._unsent = b""

    @property
    def bytes_sent(self) -> int:
        return len(self.sent)

    def watch_idle(self, call: Callable[[], object] | None) -> None:
        self.on_idle = call

    def receive_nowait(self) -> bytes | None:
        if self.is_closed:
            raise anyio.ClosedResourceError
        if not self.reads:
            return None
        found = self.reads[0] if self.reads[0] == b"" else self.reads.popleft()
        if isinstance(found, OSError):
            raise found
        return found

    async def wait_readable(self) -> None:
        self.waits += 1
        await checkpoint()
        while not self.reads and not self.is_closed:
            await anyio.sleep(0.001)

    def write(self, data: bytes) -> bool:
        if self.is_closed:
            raise anyio.ClosedResourceError
        room = len(data) if self.takes is None else self.takes - len(self.sent)
        self.sent += data[:room]
        self._unsent = data[room:]
        if self._unsent and self.error is not None:
            raise self.error
        return not self._unsent

    async def drain(self) -> None:
        while self._unsent:
            await anyio.sleep(0.001)
            if self.is_closed:
                raise anyio.ClosedResourceError
            self.write(self._unsent)

    def close(self) -> None:
        self.is_closed = True

    async def send_eof(self) -> None:
        raise NotImplementedError

    @property
    def extra_attributes(self) -> Any:
        return {}
