"""``Retry-After``: the delay that a server asks for before the next request."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping

__all__ = ["MAX_RETRY_AFTER", "retry_after", "timestamp"]

#: Maximum delay that is respected, in seconds: a day. With a longer one, a session would never come
#: back.
MAX_RETRY_AFTER = 86_400.0


#: Whole seconds by RFC 9110 §10.2.3; some servers send fractions, and proxies join two headers.
_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_NUMBERS = rf"(?:{_NUMBER})(?:[ \t]*,[ \t]*(?:{_NUMBER}))*"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the delay in ``Retry-After``, which may be a date (RFC 9110 §10.2.3), in seconds.

    A fraction is rounded up, and of several numbers the largest is meant. The delay is at most
    ``MAX_RETRY_AFTER``. It is ``None`` if the header is neither a number nor a date. The names in
    ``headers`` are in lower case, or are found in any case.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(_NUMBERS, value):
        # The float of very many digits is infinite.
        longest = min(max(map(float, value.split(","))), MAX_RETRY_AFTER)
        return float(math.ceil(longest))
    until = timestamp(value)
    if until is None:
        return None
    # The server meant its own clock.
    now = timestamp(headers.get("date", ""))
    return min(max(0.0, until - (time.time() if now is None else now)), MAX_RETRY_AFTER)


def timestamp(date: str) -> float | None:
    """Return the seconds since 1970 of a date (RFC 9110 §5.6.7); ``None`` if it is none."""
    from email.utils import parsedate_to_datetime  # only a few responses have one

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
