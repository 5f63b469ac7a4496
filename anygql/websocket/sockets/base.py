"""The interface of a socket: one WebSocket as a pipe of text messages.

GraphQL's WebSocket protocols are text. So a socket fails the connection with 1003 over a binary
message, as it fails the connection over anything that RFC 6455 forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from anyio.abc import TaskGroup

from .opening import Opening

__all__ = ["Connector", "WebSocket", "WebSocketEnded"]


class WebSocketEnded(Exception):
    """The connection is over: raised by ``receive``, ``send`` and ``ping``.

    ``code`` is the peer's close code, or 1006 if none came. If we failed the connection (``ours``),
    it is our close code.
    """

    def __init__(self, code: int, reason: str = "", *, ours: bool = False) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason
        self.ours = ours


class WebSocket(Protocol):
    """An open WebSocket. One task receives and one task sends, at the same time.

    The owner sets the three callbacks. All are synchronous.
    """

    #: Called by ``receive`` or ``ping`` when the socket has frames of its own to send, such as a
    #: pong. The sending task must then call ``send``, with no messages if it has none.
    on_output: Callable[[], None]
    #: Called whenever anything has come from the peer: a message, a ping, or a part of one.
    on_received: Callable[[], None]
    #: Whether ``receive`` should return so many messages now. Otherwise it also reads the messages
    #: that have come behind them, if the socket knows of any.
    is_full_batch: Callable[[int], bool]

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, if it named one."""
        ...

    @property
    def response_headers(self) -> Mapping[str, str]:
        """The headers of the server's response to the handshake, by lower-case name."""
        ...

    async def receive(self) -> Sequence[bytes | str]:
        """Return the text messages that have come, at least one, in order.

        ``bytes`` are UTF-8 that nobody has checked yet. Raises ``WebSocketEnded`` after the last
        message. Canceling loses nothing.
        """
        ...

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send text messages and the socket's own frames, in as few writes as possible.

        Raises ``WebSocketEnded``. Canceling may leave half a frame on the wire: then close the
        socket forcefully.
        """
        ...

    async def ping(self) -> None:
        """Send a WebSocket ping and return when its own pong has come.

        One other task must be receiving, and one sending. Raises ``WebSocketEnded``. Canceling
        only stops the waiting.
        """
        ...

    async def aclose(self, code: int, reason: str) -> None:
        """Perform the closing handshake to its end; messages that still come are dropped.

        No other task may be in ``receive`` or ``send``. The caller bounds the time, and calls
        ``aclose_forcefully`` afterwards in any case. Raises nothing for the peer's faults.
        """
        ...

    async def aclose_forcefully(self) -> None:
        """Release everything at once, without a word to the peer. Raises nothing."""
        ...


class Connector(Protocol):
    """A way to open WebSockets."""

    async def connect(self, opening: Opening, task_group: TaskGroup) -> WebSocket:
        """Open a WebSocket. The caller bounds the time.

        Canceling leaves nothing behind.

        Args:
            opening: The URL, headers, subprotocols and limits of the WebSocket to open.
            task_group: The task group in which the socket's own tasks run. The socket's owner
                stays in it until ``aclose_forcefully`` has returned.

        Raises:
            TransportConnectionFailed: When there is no connection.
            TransportServerError: When the server answers with an HTTP status.
            TransportProtocolError: When the server's answer is no WebSocket handshake.
        """
        ...
