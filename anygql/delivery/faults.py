"""What ended a connection of whatever kind, as the error that its calls raise."""

from __future__ import annotations

from ..exceptions import TransportClosed

__all__ = ["closed"]


def closed(server: str, reason: str = "", *, code: int | None = None) -> TransportClosed:
    """Return the error of a session, or with a ``reason`` of a connection, that we closed.

    ``code`` is the close code, where there is a WebSocket that was closed with one.
    """
    what = f"the connection was closed: {reason}" if reason else "the session was closed"
    return TransportClosed(f"{server}: {what}", code=code, reason=reason)
