"""HTTP statuses of a server that refuses a connection: which may pass, and which refuse for good.

They are the statuses of a WebSocket handshake, of a proxy, and of an event stream. What a status
means for a single request over HTTP is in ``http/responses.py``.
"""

from __future__ import annotations

__all__ = ["REFUSING_STATUSES", "is_rate_limit", "is_retryable_status"]

#: The server says that it is not ready: a timeout (408), too early (425), too many requests (429).
_PASSING = frozenset({408, 425, 429})

#: The server or a proxy refuses the credentials.
REFUSING_STATUSES = frozenset({401, 403, 407})


def is_retryable_status(status: int) -> bool:
    """Return whether a new attempt may succeed after this status.

    Any other status than these says that the URL, the path or the credentials are wrong.
    """
    return status in _PASSING or status >= 500


def is_rate_limit(status: int, wait: float | None) -> bool:
    """Return whether a 403 limits the rate of requests, as GitHub's: it says when to come back.

    ``wait`` is the delay in ``Retry-After``, if there is one.
    """
    return status == 403 and wait is not None
