"""The events that a server's messages mean, the same for every subprotocol.

They are structs whose tags are the message types of ``graphql-transport-ws``. So its codec decodes
a message straight into its event. The other codecs build the same events from their own messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from ..results.result import ExecutionResult, UndecodedResult

__all__ = [
    "NOTHING",
    "Ack",
    "Complete",
    "Ended",
    "Error",
    "Event",
    "Failed",
    "KeepAlive",
    "Malformed",
    "Next",
    "Ping",
    "Pong",
    "Refusal",
    "Rejection",
    "Say",
    "Several",
    "Started",
    "UndecodedNext",
    "Unknown",
]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """Any event. The garbage collector need not track one: it lives only while it is handled."""


class Ack(_Message, frozen=True, gc=False, tag="connection_ack"):
    """The server accepts the connection."""

    payload: Any = None


class Next(_Message, frozen=True, gc=False, tag="next"):
    """One result of an operation."""

    id: str
    payload: ExecutionResult


class UndecodedNext(_Message, frozen=True, gc=False, tag="next"):
    """One result of an operation, whose data are still JSON text."""

    id: str
    payload: UndecodedResult


class Error(_Message, frozen=True, gc=False, tag="error"):
    """The server refuses the operation, with a payload of any shape. The operation is over."""

    id: str
    payload: Any = None


class Complete(_Message, frozen=True, gc=False, tag="complete"):
    """The operation is over."""

    id: str


class Ping(_Message, frozen=True, gc=False, tag="ping"):
    """The server asks for a pong."""

    payload: Any = None


class Pong(_Message, frozen=True, gc=False, tag="pong"):
    """The server answers a ping, or sends a pong of its own accord."""

    payload: Any = None


class KeepAlive(_Message, frozen=True, gc=False, tag="ka"):
    """The server shows that it is there (legacy)."""


class Refusal(_Message, frozen=True, gc=False, tag="connection_error"):
    """The server refuses the connection, or a message of ours that it could not read."""

    payload: Any = None


class Malformed(msgspec.Struct, frozen=True):
    """A result that is none: the fault of one operation, not of the connection."""

    id: str
    #: What came instead of a result, and what the server says in it.
    problem: str
    #: The start of the payload, as text.
    body: str = ""
    #: What reads as GraphQL errors in it.
    errors: list[Any] = []


class Unknown(msgspec.Struct, frozen=True):
    """A message that means nothing to this client, and does no harm (legacy)."""

    #: Its type, or ``None`` if it has none.
    kind: str | None
    #: The start of the message.
    text: str


# What follows is not the meaning of one message of `graphql-transport-ws`. Other protocols have it.


class Started(msgspec.Struct, frozen=True):
    """The server runs the subscription: its ``start_timeout`` is over."""

    id: str


class Failed(msgspec.Struct, frozen=True):
    """The server has dropped an operation, for a reason that may pass. The connection goes on.

    A permanent session subscribes again, after a wait that grows. For what is wrong with the
    operation itself, there is ``Error``.
    """

    id: str
    #: The server's words, of any shape.
    payload: Any = None


class Rejection(msgspec.Struct, frozen=True):
    """The server refuses the connection, as a ``Refusal`` does, and another attempt may succeed."""

    payload: Any = None


class Ended(msgspec.Struct, frozen=True):
    """The connection is of no more use, though the WebSocket lives. It ends as lost.

    Whatever was sent over it may have reached the server.
    """

    #: Why, for the error's message.
    reason: str
    #: Whether another connection may succeed.
    retryable: bool = True


class Say(msgspec.Struct, frozen=True):
    """The protocol itself has a message to send."""

    message: bytes


class Several(msgspec.Struct, frozen=True):
    """Several events that one message means, in order; or none.

    Each ``Next`` in it must be one of a checked result: make them with ``result_event``.
    """

    events: Sequence[Event] = ()


#: What a message means that is to be ignored without a word.
NOTHING = Several()


Event: TypeAlias = (
    Ack
    | Next
    | UndecodedNext
    | Error
    | Complete
    | Ping
    | Pong
    | KeepAlive
    | Refusal
    | Malformed
    | Unknown
    | Started
    | Failed
    | Rejection
    | Ended
    | Say
    | Several
)
