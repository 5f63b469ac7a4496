"""The events that a server's messages mean, the same for every subprotocol.

They are structs whose tags are the message types of ``graphql-transport-ws``. So its codec decodes
a message straight into its event. The other codecs build the same events from their own messages.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from ..results.result import ExecutionResult

__all__ = ["Ack", "Complete", "Error", "Event", "KeepAlive", "Next", "Ping", "Pong", "Refusal"]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """Any event. The garbage collector need not track one: it lives only while it is handled."""


class Ack(_Message, frozen=True, gc=False, tag="connection_ack"):
    """The server accepts the connection."""

    payload: Any = None


class Next(_Message, frozen=True, gc=False, tag="next"):
    """One result of an operation."""

    id: str
    payload: ExecutionResult


class Error(_Message, frozen=True, gc=False, tag="error"):
    """The operation failed before it ran. It is over."""

    id: str
    payload: list[Any]


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


Event: TypeAlias = Ack | Next | Error | Complete | Ping | Pong | KeepAlive | Refusal
