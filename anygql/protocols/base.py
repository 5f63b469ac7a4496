"""The interface of a protocol: text in, events out; requests in, text out.

A protocol knows no event loop and no socket, so a table of messages tests it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..documents.request import GraphQLRequest
from ..json import JSON
from .events import Event, Malformed, Next

__all__ = ["Codec", "SubscriptionProtocol"]


class Codec(Protocol):
    """A protocol as one connection speaks it, with the protocol's state."""

    @property
    def has_keep_alive_messages(self) -> bool:
        """Whether the server sends ``KeepAlive`` events.

        If so, ``keep_alive_timeout`` counts from the first of them, not from the acknowledgement.
        """
        ...

    def connection_init(self, payload: Any) -> bytes:
        """Return the message that opens the connection; a ``None`` payload is left out.

        Raises ``TypeError`` naming the part of the payload that has no JSON form.
        """
        ...

    def subscribe(self, id: str, request: GraphQLRequest) -> bytes:
        """Return the message that starts an operation.

        Raises ``TypeError`` naming the variable that has no JSON form.
        """
        ...

    def complete(self, id: str) -> bytes:
        """Return the message that ends an operation early."""
        ...

    def ping(self, payload: Any = None) -> bytes | None:
        """Return the message that asks for a pong.

        Returns ``None`` if the protocol has no such message. The WebSocket's own ping remains.
        """
        ...

    def pong(self, payload: Any = None) -> bytes | None:
        """Return the answer to a ``Ping``, or ``None`` if the protocol has none."""
        ...

    def terminate(self) -> bytes | None:
        """Return the message that precedes the closing handshake, if the protocol has one."""
        ...

    def receive(self, message: bytes | str) -> Event:
        """Return the event in a text message.

        Raises ``ProtocolViolation`` if it is malformed, or may not come yet.
        """
        ...

    def receive_many(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        """Return the events in several messages.

        Where a message is malformed, iterating raises ``ProtocolViolation``, after the events of
        the messages before it.
        """
        ...

    def receive_undecoded(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        """Return the events in several messages, as ``receive_many`` does.

        Results may be ``UndecodedNext``. Whether their data are an object has not been checked.
        """
        ...

    def reread(self, message: bytes | str) -> Next | Malformed:
        """Read again a message that ``receive`` has read as a ``Next``, checking the result.

        Reading many messages leaves that out, since nearly all results are plain objects.
        """
        ...

    def increment(self, message: bytes | str) -> Mapping[str, Any]:
        """Return the whole payload of a message that ``receive`` has read as a ``Next``.

        Incremental delivery needs it: its payloads hold more than a result.
        """
        ...


class SubscriptionProtocol(Protocol):
    """A protocol as a value to hand to the transport."""

    @property
    def subprotocol(self) -> str:
        """The name to offer in ``Sec-WebSocket-Protocol``."""
        ...

    @property
    def is_default(self) -> bool:
        """Whether a server that names no subprotocol is taken to speak this one."""
        ...

    def codec(self, json: JSON) -> Codec:
        """Return a new codec, for one connection."""
        ...
