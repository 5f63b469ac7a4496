"""One WebSocket as a pipe of text messages: what the connection asks of a socket.

GraphQL's WebSocket protocols are text: a socket answers a binary message by failing the
connection with 1003, as it fails it for anything else that RFC 6455 forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from anyio.abc import TaskGroup

from .opening import Opening

__all__ = ["Connector", "WebSocket", "WebSocketEnded"]


class WebSocketEnded(Exception):
    """The connection is over: raised by ``receive``, ``send`` and ``ping``.

    ``code`` is the close code that came, 1006 if none did, or the code that we failed the
    connection with (``ours``).
    """

    def __init__(self, code: int, reason: str = "", *, ours: bool = False) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason
        self.ours = ours


class WebSocket(Protocol):
    """An open WebSocket. One task receives; one task sends; both at the same time.

    ``on_output`` is called (synchronously, from ``receive`` or ``ping``) when the socket has
    frames of its own to send, such as a pong: the sender must then call ``send``, with no
    messages if it has none. ``on_received`` is called whenever anything has come from the peer, a
    message, a ping or a part of one. ``is_full_batch`` is asked whether so many messages should be
    returned now, or rather with those that have come behind them, if the socket knows of any.
    """

    on_output: Callable[[], None]
    on_received: Callable[[], None]
    is_full_batch: Callable[[int], bool]

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, if it named one."""
        ...

    async def receive(self) -> Sequence[bytes | str]:
        """The text messages that have come, at least one, in order.

        ``bytes`` are UTF-8 that nobody has checked yet. Cancelling loses nothing. Raises
        ``WebSocketEnded`` when there will be no more, after all that came before it.
        """
        ...

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send text messages, and whatever the socket has to send itself, in as few writes as
        possible.

        Cancelling may leave half a frame on the wire, so whoever cancels must close the socket
        forcefully. Raises ``WebSocketEnded``.
        """
        ...

    async def ping(self) -> None:
        """Send a WebSocket ping and return when its own pong has come.

        Another task must be receiving, and one sending. Cancelling only stops the waiting.
        Raises ``WebSocketEnded``.
        """
        ...

    async def aclose(self, code: int, reason: str) -> None:
        """The closing handshake, up to its end; what still comes is thrown away.

        Nobody else may be in ``receive`` or ``send``. The caller bounds its time, and calls
        ``aclose_forcefully`` afterwards, whatever happened. Raises nothing for the peer's faults.
        """
        ...

    async def aclose_forcefully(self) -> None:
        """Let go of everything, at once, without a word to the peer. Raises nothing."""
        ...


class Connector(Protocol):
    """Opens WebSockets."""

    async def connect(self, opening: Opening, task_group: TaskGroup) -> WebSocket:
        """Open one. The caller bounds its time.

        Tasks that the socket needs run in ``task_group``, which its owner does not leave before
        ``aclose_forcefully``. Cancelling leaves nothing behind. Raises
        ``TransportConnectionFailed``, ``TransportServerError`` or ``TransportProtocolError``.
        """
        ...
