"""``Retry-After``: how long a server asks to be left alone."""

from __future__ import annotations

import time
from collections.abc import Mapping

__all__ = ["MAX_RETRY_AFTER", "retry_after"]

#: The longest that a server is left alone for, in seconds: a day. Who asks for more would have a
#: session that never comes back.
MAX_RETRY_AFTER = 86_400.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of ``Retry-After``, which may be a date (RFC 9110 §10.2.3).

    At most ``MAX_RETRY_AFTER``; ``None`` for what is neither a number nor a date. ``headers`` has
    lower-case names, or finds them in any case.
    """
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return min(float(given), MAX_RETRY_AFTER)  # of very many digits, it is infinite
    until = _timestamp(given)
    if until is None:
        return None
    # Its own clock is the one that it meant.
    now = _timestamp(headers.get("date", ""))
    return min(max(0.0, until - (time.time() if now is None else now)), MAX_RETRY_AFTER)


def _timestamp(date: str) -> float | None:
    from email.utils import parsedate_to_datetime  # for the few answers that ask to wait

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
