"""What ended a connection of whatever kind, as the error that whoever waits on it gets."""

from __future__ import annotations

from ..exceptions import TransportClosed
from ..protocols.close_codes import CloseCode

__all__ = ["closed"]


def closed(server: str, reason: str = "") -> TransportClosed:
    """We closed it."""
    what = f"the connection was closed: {reason}" if reason else "the session was closed"
    return TransportClosed(f"{server}: {what}", code=CloseCode.NORMAL, reason=reason)
