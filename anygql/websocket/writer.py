"""The one door out of a WebSocket connection: what is to be sent waits here, and one task sends it.

Nobody else calls the socket's ``send``: a canceled write would leave half a frame on the wire, and
concurrent calls share one write this way.
"""

from __future__ import annotations

from itertools import count
from typing import Protocol

from anyio import CancelScope, Event

from .sockets.base import WebSocket

__all__ = ["Origin", "Writer"]

#: Bytes that may wait. Past that, operations are refused: the peer reads nothing.
MAX_WAITING = 2**26

#: Bytes after which a write takes no more messages.
PORTION = 2**18


class Origin(Protocol):
    """Whose message it is, told when the message is taken to be written."""

    #: Whether the message has been handed to the socket.
    written: bool


class Writer:
    """The messages that wait to be written, in order. Make one while the loop runs."""

    def __init__(self) -> None:
        #: The bytes of all messages that wait.
        self.waiting_size = 0
        # By origin; those without one by a number.
        self._waiting: dict[Origin | int, bytes] = {}
        self._numbers = count()
        self._pongs: set[Origin | int] = set()
        self._output = Event()
        self._running = False
        self._stopping = False
        self._stopped = Event()
        self._scope = CancelScope(shield=True)

    @property
    def pongs(self) -> int:
        """How many pongs wait."""
        return len(self._pongs)

    @property
    def is_full(self) -> bool:
        """Whether so much waits that the peer seems to read nothing."""
        return self.waiting_size >= MAX_WAITING

    def enqueue(self, message: bytes, origin: Origin | None = None) -> None:
        """Have a message written. An origin has one message at most."""
        self._add(message, next(self._numbers) if origin is None else origin)

    def withdraw(self, origin: Origin) -> None:
        """Let go of a message that has not been taken to be written."""
        self.waiting_size -= len(self._waiting.pop(origin))

    def enqueue_pong(self, message: bytes) -> None:
        """Have a pong written."""
        number = next(self._numbers)
        self._pongs.add(number)
        self._add(message, number)

    def _add(self, message: bytes, key: Origin | int) -> None:
        self._waiting[key] = message
        self.waiting_size += len(message)
        self._output.set()

    def wake(self) -> None:
        """Have the socket's ``send`` called: the socket has frames of its own to write."""
        self._output.set()

    async def run(self, socket: WebSocket) -> None:
        """Write what comes, until ``stop`` or ``cancel``. Raises ``WebSocketEnded``.

        It is shielded from every other cancellation, since a message may be half written.
        """
        if self._stopping:
            return  # before this began
        self._running = True
        try:
            with self._scope:
                while self._waiting or not self._stopping:
                    await self._output.wait()
                    self._output = Event()
                    await socket.send(self._take())
        finally:
            self._stopped.set()

    def _take(self) -> list[bytes]:
        """Take what is written next: not all at once, as what is taken can't be withdrawn."""
        messages: list[bytes] = []
        size = 0
        taken: list[Origin | int] = []
        for origin, message in self._waiting.items():
            taken.append(origin)
            messages.append(message)
            size += len(message)
            if not isinstance(origin, int):
                origin.written = True
            if size >= PORTION:
                break
        if len(taken) == len(self._waiting):
            self._waiting = {}
            self._pongs.clear()
        else:
            for origin in taken:
                del self._waiting[origin]
                self._pongs.discard(origin)
            self._output.set()
        self.waiting_size -= size
        return messages

    async def stop(self) -> None:
        """Write what waits, if ``run`` has begun, and end. Canceling only stops the waiting."""
        self._stopping = True
        self._output.set()
        await self._wait_stopped()

    async def cancel(self) -> None:
        """End at once, with whatever is half written."""
        self._scope.cancel()
        await self._wait_stopped()

    async def _wait_stopped(self) -> None:
        # Under trio, Ctrl-C may take the task before it has begun: then `run` is never called.
        if self._running:
            await self._stopped.wait()
