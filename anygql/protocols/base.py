"""What the connection asks of a protocol: text in, events out; requests in, text out.

No anyio, no sockets: a protocol can be tested with a table of messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..documents.request import GraphQLRequest
from ..json import JSON
from .events import Event

__all__ = ["Codec", "SubscriptionProtocol"]


class Codec(Protocol):
    """One connection's side of a protocol. It keeps the little state that the protocol has."""

    @property
    def has_keep_alive_messages(self) -> bool:
        """Whether the server sends ``KeepAlive`` events.

        If so, ``keep_alive_timeout`` counts from the first of them, not from the acknowledgement.
        """
        ...

    def connection_init(self, payload: Any) -> bytes:
        """The message that opens the connection; a ``None`` payload is left out."""
        ...

    def subscribe(self, id: str, request: GraphQLRequest) -> bytes:
        """The message that starts an operation; raises ``TypeError`` naming a bad variable."""
        ...

    def complete(self, id: str) -> bytes:
        """The message that ends an operation early."""
        ...

    def ping(self, payload: Any = None) -> bytes | None:
        """The message that asks for a pong; ``None`` where only the WebSocket's own can."""
        ...

    def pong(self, payload: Any = None) -> bytes | None:
        """The answer to a ``Ping``; ``None`` where the protocol has none."""
        ...

    def terminate(self) -> bytes | None:
        """The message that precedes the closing handshake, where the protocol has one."""
        ...

    def receive(self, message: bytes | str) -> Event:
        """The event of one text message; raises ``ProtocolViolation``."""
        ...

    def receive_many(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        """The events of several messages; raises ``ProtocolViolation`` where one is malformed,
        after the events of those before it."""
        ...

    def increment(self, message: bytes | str) -> Mapping[str, Any]:
        """All of the payload of a message that ``receive`` has read as a ``Next``.

        For incremental delivery, whose parts have more in them than a result.
        """
        ...


class SubscriptionProtocol(Protocol):
    """A protocol as a value that is handed to the transport."""

    @property
    def subprotocol(self) -> str:
        """The name to offer in ``Sec-WebSocket-Protocol``."""
        ...

    @property
    def is_default(self) -> bool:
        """Whether a server that names no subprotocol is taken to speak this one."""
        ...

    def codec(self, json: JSON) -> Codec:
        """A new codec, for one connection."""
        ...
