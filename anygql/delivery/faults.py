"""What ended a connection of whatever kind, as the error that whoever waits on it gets."""

from __future__ import annotations

from ..exceptions import TransportClosed
from ..protocols.close_codes import CloseCode

__all__ = ["closed", "session_closed"]


def closed(server: str, reason: str = "") -> TransportClosed:
    """We closed it."""
    what = f"the connection was closed: {reason}" if reason else "the session was closed"
    return TransportClosed(f"{server}: {what}", code=CloseCode.NORMAL, reason=reason)


def session_closed(server: str) -> TransportClosed:
    """Return the error for calls on a session that its owner has closed.

    Unlike ``closed`` it has no close code: the session may never have had a connection.
    """
    return TransportClosed(f"{server}: the session was closed")
