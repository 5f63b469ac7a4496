"""The one door out of a WebSocket connection: what is to be sent waits here, and one task sends it.

Nobody else calls the socket's ``send``: a canceled write would leave half a frame on the wire, and
concurrent calls share one write this way.
"""

from __future__ import annotations

from typing import Protocol

from anyio import CancelScope, Event

from .sockets.base import WebSocket

__all__ = ["Origin", "Writer"]


class Origin(Protocol):
    """Whose message it is, told when the message is taken to be written."""

    #: Whether the message has been handed to the socket.
    written: bool
    #: Whether the message needn't be written any more.
    withdrawn: bool


class Writer:
    """The messages that wait to be written, in order. Make one while the loop runs."""

    def __init__(self) -> None:
        #: Pongs that wait.
        self.pongs = 0
        self._waiting: list[tuple[Origin | None, bytes]] = []
        self._output = Event()
        self._stopping = False
        self._stopped = Event()
        self._scope = CancelScope(shield=True)

    def enqueue(self, message: bytes, origin: Origin | None = None) -> None:
        """Have a message written."""
        self._waiting.append((origin, message))
        self._output.set()

    def enqueue_pong(self, message: bytes) -> None:
        """Have a pong written."""
        self.pongs += 1
        self.enqueue(message)

    def wake(self) -> None:
        """Have the socket's ``send`` called: the socket has frames of its own to write."""
        self._output.set()

    async def run(self, socket: WebSocket) -> None:
        """Write what comes, until ``stop`` or ``cancel``. Raises ``WebSocketEnded``.

        It is shielded from every other cancellation, since a message may be half written.
        """
        try:
            with self._scope:
                while self._waiting or not self._stopping:
                    await self._output.wait()
                    self._output = Event()
                    await socket.send(self._take())
        finally:
            self._stopped.set()

    def _take(self) -> list[bytes]:
        waiting, self._waiting = self._waiting, []
        self.pongs = 0
        messages: list[bytes] = []
        for origin, message in waiting:
            if origin is not None:
                if origin.withdrawn:
                    continue
                origin.written = True
            messages.append(message)
        return messages

    async def stop(self) -> None:
        """Write what waits, and end. Canceling only stops the waiting."""
        self._stopping = True
        self._output.set()
        await self._stopped.wait()

    async def cancel(self) -> None:
        """End at once, with whatever is half written."""
        self._scope.cancel()
        await self._stopped.wait()
