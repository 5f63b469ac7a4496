"""What ended a WebSocket connection, as the error that whoever waits on it gets.

``server`` is the server, fit for messages. Whether a new attempt may succeed follows from the code,
by one table (``protocols/close_codes.py``).
"""

from __future__ import annotations

from ..exceptions import (
    ProtocolViolation,
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
)
from ..protocols.close_codes import CloseCode, is_retryable_code
from .sockets.base import WebSocketEnded

__all__ = ["broke_protocol", "dead", "lost", "refused"]


def lost(server: str, ended: WebSocketEnded) -> TransportError:
    """The WebSocket is over, by the peer's doing or the network's."""
    if ended.ours:
        return TransportProtocolError(
            f"{server} broke the WebSocket protocol: {ended.reason} ({ended.code})",
            code=ended.code,
            reason=ended.reason,
            retryable=is_retryable_code(ended.code),
        )
    how = (
        "without a close frame"
        if ended.code == CloseCode.ABNORMAL
        else f"closed with {ended.code} {ended.reason}".rstrip()
    )
    return TransportConnectionFailed(
        f"{server}: the connection was lost: {how}",
        code=ended.code,
        reason=ended.reason,
        retryable=is_retryable_code(ended.code),
    )


def broke_protocol(server: str, violation: ProtocolViolation) -> TransportProtocolError:
    """The peer sent what the subprotocol does not allow."""
    return TransportProtocolError(
        f"{server} broke the protocol: {violation.reason}",
        code=violation.code,
        reason=violation.reason,
        retryable=is_retryable_code(violation.code),
    )


def refused(server: str, reason: str) -> TransportConnectionFailed:
    """The peer does not accept the connection, as ``connection_error`` says without a code."""
    return TransportConnectionFailed(
        f"{server} refused the connection" + (f": {reason}" if reason else ""),
        code=CloseCode.FORBIDDEN,
        reason=reason,
        retryable=is_retryable_code(CloseCode.FORBIDDEN),
    )


def dead(server: str, why: str) -> TransportConnectionFailed:
    """We gave it up."""
    return TransportConnectionFailed(
        f"{server}: the connection is dead: {why}",
        code=CloseCode.TERMINATED,
        reason="Terminated",
        retryable=is_retryable_code(CloseCode.TERMINATED),
    )
