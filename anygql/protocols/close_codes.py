"""Close codes: their names, and whether a new attempt may succeed after each.

RFC 6455 §7.4 defines 1xxx, and graphql-transport-ws 4xxx.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CloseCode", "clip_reason", "is_retryable_code"]


class CloseCode(IntEnum):
    """The close codes that this client sends or looks for."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    BAD_RESPONSE = 4004
    INTERNAL_CLIENT_ERROR = 4005
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    CONNECTION_INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429
    TERMINATED = 4499
    INTERNAL_SERVER_ERROR = 4500
    CONNECTION_ACKNOWLEDGEMENT_TIMEOUT = 4504


_RETRYABLE_1XXX = frozenset({1000, 1001, 1005, 1006, 1012, 1013, 1014})
_FATAL_4XXX = frozenset({4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500})


def is_retryable_code(code: int) -> bool:
    """Return whether a new attempt may succeed after a connection was closed with ``code``."""
    if 1000 <= code < 2000:
        return code in _RETRYABLE_1XXX
    return code not in _FATAL_4XXX


def clip_reason(reason: str) -> str:
    """Cut a close reason to at most 123 bytes of UTF-8 (RFC 6455 §5.5), between characters."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")
