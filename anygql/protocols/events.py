"""What a server can say over a WebSocket, whatever subprotocol it says it in.

Structs whose tags are the message types of ``graphql-transport-ws``, so that its codec decodes
a message straight into its event; the other codecs build the same events from their own
messages.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from ..results.result import ExecutionResult

__all__ = ["Ack", "Complete", "Error", "Event", "KeepAlive", "Next", "Ping", "Pong", "Refusal"]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """Not the garbage collector's: none lives longer than it takes to look at it."""


class Ack(_Message, frozen=True, gc=False, tag="connection_ack"):
    """The server accepts the connection."""

    payload: Any = None


class Next(_Message, frozen=True, gc=False, tag="next"):
    """One result of an operation."""

    id: str
    payload: ExecutionResult


class Error(_Message, frozen=True, gc=False, tag="error"):
    """The operation failed before it ran, and is over."""

    id: str
    payload: list[Any]


class Complete(_Message, frozen=True, gc=False, tag="complete"):
    """The operation is over."""

    id: str


class Ping(_Message, frozen=True, gc=False, tag="ping"):
    """The server asks whether we are there."""

    payload: Any = None


class Pong(_Message, frozen=True, gc=False, tag="pong"):
    """The server is there, asked for or not."""

    payload: Any = None


class KeepAlive(_Message, frozen=True, gc=False, tag="ka"):
    """The server is there (legacy)."""


class Refusal(_Message, frozen=True, gc=False, tag="connection_error"):
    """The server does not accept the connection, or a message that it could not read."""

    payload: Any = None


Event: TypeAlias = Ack | Next | Error | Complete | Ping | Pong | KeepAlive | Refusal
