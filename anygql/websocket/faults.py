"""The ends of a WebSocket connection, as the errors that its operations raise.

``server`` is a description of the server for messages. One table decides by the code whether a new
attempt may succeed (``protocols/close_codes.py``).
"""

from __future__ import annotations

from collections.abc import Collection

from ..documents.recognizer import OperationKind
from ..exceptions import (
    ProtocolViolation,
    TransportConnectionFailed,
    TransportConnectionRefused,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportTimeout,
)
from ..protocols.close_codes import CloseCode, is_retryable_code
from ..protocols.events import Ended, Malformed
from ..results.answers import read_refusal, server_words
from .sockets.base import WebSocketEnded

__all__ = [
    "broke_protocol",
    "dead",
    "dropped",
    "lost",
    "no_result",
    "not_incremental",
    "not_over_this_protocol",
    "not_reading",
    "not_started",
    "refused",
    "rejected",
    "useless",
]


def lost(server: str, ended: WebSocketEnded, *, acknowledged: bool) -> TransportError:
    """Return the error for a WebSocket that the peer or the network ended."""
    if ended.ours and ended.code == CloseCode.MESSAGE_TOO_BIG:
        return TransportProtocolError(
            f"{server} sent a message that is larger than max_message_size: {ended.reason} "
            f"({ended.code})",
            code=ended.code,
            reason=ended.reason,
            retryable=is_retryable_code(ended.code),
        )
    if ended.ours:
        return TransportProtocolError(
            f"{server} broke the WebSocket protocol: {ended.reason} ({ended.code})",
            code=ended.code,
            reason=ended.reason,
            retryable=is_retryable_code(ended.code),
        )
    if ended.code == CloseCode.FORBIDDEN and not acknowledged:
        told = f"{ended.code} {ended.reason}".rstrip()
        return TransportConnectionRefused(
            f"{server} refused connection_init ({told}): check init_payload",
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


def broke_protocol(
    server: str, violation: ProtocolViolation, *, acknowledged: bool
) -> TransportProtocolError:
    """Return the error for a message that the subprotocol does not allow.

    From a server that has ``acknowledged``, one bad message says nothing about the next connection.
    """
    return TransportProtocolError(
        f"{server} broke the protocol: {violation.reason}",
        code=violation.code,
        reason=violation.reason,
        retryable=is_retryable_code(violation.code)
        or (acknowledged and violation.code == CloseCode.BAD_REQUEST),
    )


def no_result(server: str, malformed: Malformed) -> TransportProtocolError:
    """Return the error for an operation whose result is none; the connection goes on."""
    return TransportProtocolError(
        f"{server} sent no GraphQL result, but {malformed.problem}",
        body=malformed.body,
        errors=malformed.errors,
    )


def refused(server: str, reason: str, payload: object) -> TransportConnectionRefused:
    """Return the error for ``connection_error``, by which the peer refuses the connection.

    The message has no code, so it gets 4403: what ``graphql-transport-ws`` closes with.
    """
    return TransportConnectionRefused(
        f"{server} refused the connection" + (f": {reason}" if reason else ""),
        code=CloseCode.FORBIDDEN,
        reason=reason,
        errors=(read_refusal(payload).errors or []) if payload else [],
        retryable=is_retryable_code(CloseCode.FORBIDDEN),
    )


def not_reading(server: str, waiting: int) -> TransportConnectionFailed:
    """Return the error for an operation that is not queued behind all that waits already."""
    fault = TransportConnectionFailed(
        f"{server} reads too slowly, or not at all: {waiting} bytes wait to be written, so the "
        "operation was not sent"
    )
    fault.unsent = True
    return fault


def dead(server: str, why: str) -> TransportConnectionFailed:
    """Return the error for a connection that we gave up."""
    return TransportConnectionFailed(
        f"{server}: the connection is dead: {why}",
        code=CloseCode.TERMINATED,
        reason="Terminated",
        retryable=is_retryable_code(CloseCode.TERMINATED),
    )


def rejected(server: str, payload: object) -> TransportConnectionRefused:
    """Return the error for a peer that refuses the connection for a reason that may pass."""
    fault = refused(server, server_words(payload), payload)
    # Without the code of a refusal, by which the session's policy would take it to be final.
    fault.code = None
    fault.retryable = True
    return fault


def useless(server: str, ended: Ended) -> TransportConnectionFailed:
    """Return the error for a connection that is of no more use, though its socket lives."""
    return TransportConnectionFailed(
        f"{server}: the connection was lost: {ended.reason}",
        reason=ended.reason,
        retryable=ended.retryable,
    )


def dropped(server: str, payload: object) -> TransportQueryError:
    """Return the error for an operation that the server has dropped for a reason that may pass."""
    errors = read_refusal(payload).errors or []
    words = server_words(payload)
    fault = TransportQueryError(
        f"{server} dropped the operation{f': {words}' if words else ''}", errors=errors
    )
    fault.retryable = True
    return fault


def not_started(server: str, seconds: float) -> TransportTimeout:
    """Return the error for a subscription that the server has not started in time."""
    return TransportTimeout(
        f"{server} did not start the subscription within {seconds:g} s (start_timeout)"
    )


def not_over_this_protocol(
    server: str, kind: OperationKind, operations: Collection[OperationKind]
) -> TypeError:
    """Return the error for an operation that the server doesn't run over the protocol."""
    takes = " and ".join(
        plural
        for each, plural in (
            ("query", "queries"),
            ("mutation", "mutations"),
            ("subscription", "subscriptions"),
        )
        if each in operations
    )
    return TypeError(
        f"{server}: a {kind} can't travel over this WebSocket, which takes only {takes}. Use "
        "HTTPTransport for it, or SplitTransport for both in one session"
    )


def not_incremental(server: str) -> TypeError:
    """Return the error for @defer and @stream over a protocol that has no such thing."""
    return TypeError(
        f"{server}: this protocol has no incremental delivery: use execute(), without @defer and "
        "@stream, or HTTPTransport"
    )
