"""What a session is doing, and the events by which its owner can follow it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

__all__ = ["Closed", "Connected", "Connecting", "Disconnected", "SessionEvent", "SessionState"]

#: ``"waiting"``: without a connection, until the next attempt is due or (``lazy``) somebody asks.
SessionState: TypeAlias = Literal["connecting", "connected", "waiting", "closed"]


class Connecting(msgspec.Struct, frozen=True):
    """An attempt begins; ``attempt`` counts from 1, anew after each connection."""

    attempt: int


class Connected(msgspec.Struct, frozen=True):
    """The server has acknowledged; ``reconnected``: it isn't the session's first connection."""

    payload: Any
    reconnected: bool


class Disconnected(msgspec.Struct, frozen=True):
    """An attempt failed, or the connection was lost.

    ``code`` and ``reason``: the close code or HTTP status, and its text, where there was one.
    ``next_wait``: seconds until the next attempt, ``None`` if that isn't known (or there is none).
    """

    code: int | None
    reason: str
    error: Exception
    will_retry: bool
    next_wait: float | None


class Closed(msgspec.Struct, frozen=True):
    """The session is over; ``error``: why, unless its owner closed it."""

    error: Exception | None = None


SessionEvent: TypeAlias = Connecting | Connected | Disconnected | Closed
