"""The state of a session, and the events that its owner can follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from ..delivery.interfaces import Transport

__all__ = ["Closed", "Connected", "Connecting", "Disconnected", "SessionEvent", "SessionState"]

#: ``"waiting"``: there is no connection until the next attempt is due, or, for a lazy session,
#: until the next operation.
SessionState: TypeAlias = Literal["connecting", "connected", "waiting", "closed"]


class _ConnectionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one of a session's connections."""

    transport: Transport | None = None


class Connecting(_ConnectionEvent, frozen=True):
    """An attempt to connect begins.

    Attributes:
        attempt: Its number: 1 for the first one, and for the first after each connection.
        transport: Which transport of a ``SplitTransport`` it is made by. ``None`` for a client with
            one transport.
    """

    attempt: int


class Connected(_ConnectionEvent, frozen=True):
    """The server has acknowledged the connection.

    It may follow on another one without a ``Disconnected`` between them: then the connection takes
    the place of one whose credentials are old.

    Attributes:
        payload: The payload of its acknowledgement, or ``None``.
        reconnected: Whether the session had a connection before, by the same transport.
        transport: Which transport of a ``SplitTransport`` has made the connection. ``None`` for a
            client with one transport.
    """

    payload: Any
    reconnected: bool


class Disconnected(_ConnectionEvent, frozen=True):
    """An attempt failed, or the connection was lost. It wasn't if another has taken its place.

    Attributes:
        code: The close code or HTTP status, or ``None``.
        reason: The text that came with the code, or ``""``.
        error: What went wrong.
        will_retry: Whether the session makes another attempt.
        next_wait: Seconds until that attempt. ``None`` if unknown, or if there is none.
        transport: Which transport of a ``SplitTransport`` it was. ``None`` for a client with one
            transport.
    """

    code: int | None
    reason: str
    error: Exception
    will_retry: bool
    next_wait: float | None


class Closed(msgspec.Struct, frozen=True):
    """The session is over.

    Attributes:
        error: The error that ended it, or ``None`` if its owner closed it.
    """

    error: Exception | None = None


SessionEvent: TypeAlias = Connecting | Connected | Disconnected | Closed
