"""What an answer says about limits: what is left, what the operation cost, when to come back.

What has another type than expected, or is out of range, counts as unsaid.

- GitHub, "Rate limits and query limits for the GraphQL API": ``x-ratelimit-*`` headers, the field
  ``rateLimit``, errors of the type ``RATE_LIMITED``, and the secondary limits.
- Shopify, "GraphQL Admin API rate limits": ``extensions.cost``, and the code ``THROTTLED``.
- draft-ietf-httpapi-ratelimit-headers: ``RateLimit``, and the three fields of its earlier versions.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import TransportError, TransportServerError
from ..net.retry_after import MAX_RETRY_AFTER, retry_after, timestamp
from ..results.result import ExecutionResult
from ..session.refusals import has_run_nothing

__all__ = ["Answer", "Report", "is_limit_error", "read_error", "read_result"]

#: The codes and types of errors that say that a limit refused the whole operation. GitHub has been
#: seen to say RATE_LIMIT instead of RATE_LIMITED.
_LIMITED = frozenset(
    {
        "RATELIMITED",
        "RATE_LIMIT",
        "RATE_LIMITED",
        "RATE_LIMIT_EXCEEDED",
        "THROTTLED",
        "TOO_MANY_REQUESTS",
    }
)

#: GitHub asks to wait for a minute at least, where a secondary limit names no time.
_SECONDARY = "secondary rate limit"
_SECONDARY_WAIT = 60.0

#: A larger number in a header for the reset is a time since 1970, and a smaller one is a delay. A
#: still larger one is in milliseconds.
_YEAR_2001 = 1e9
_YEAR_5138 = 1e11

_ITEM = re.compile(r";\s*([rt])\s*=\s*([0-9]+)")


class Report(msgspec.Struct, frozen=True):
    """What the server says that is left."""

    #: Points that can be left at most; 0 if that isn't said.
    limit: float
    available: float
    #: Points that come back each second; 0 if all come back at once.
    rate: float = 0.0
    #: Seconds until all come back.
    reset: float = 0.0


class Answer(msgspec.Struct, frozen=True):
    """What one answer says about limits; nothing, if there was none."""

    has_result: bool = False
    #: Whether the operation has certainly not reached the server.
    is_unsent: bool = False
    #: Whether a limit refused the operation, so that nothing of it was done.
    is_refusal: bool = False
    #: The seconds that the server asked to be left alone for, or ``None``.
    wait: float | None = None
    #: What the server wants to be there for this operation, in points, or ``None``.
    requested: float | None = None
    #: What the operation has cost, in points, or ``None``.
    actual: float | None = None
    #: The points that are left of a bucket that is filled all the time.
    bucket: Report | None = None
    #: The points, or requests, that are left until a time.
    window: Report | None = None


_NOTHING_SAID = Answer(has_result=True)


def read_result(request: GraphQLRequest[Any], result: ExecutionResult) -> Answer:
    """Return what a result says about limits."""
    headers, extensions = result.headers, result.extensions
    asks = "rateLimit" in request.text
    if not (headers or extensions or asks or result.errors):
        return _NOTHING_SAID
    window = _window_of_headers(headers) if headers else None
    cost = None
    if asks:
        # Only then are the data looked at: that decodes them.
        told: Any = _get(result.data, "rateLimit")
        cost = _number(_get(told, "cost"))
        window = window or _window_of_field(told, headers)
    requested, actual, bucket = _shopify(_get(extensions, "cost"))
    is_refusal = _is_refusal(request, result)
    wait = None
    if is_refusal:
        wait = _wait(retry_after(headers), window, is_secondary=_has_words(result.errors))
        if requested is not None:
            actual = 0.0  # null, where it was refused
    return Answer(
        has_result=True,
        is_refusal=is_refusal,
        wait=wait,
        requested=cost if requested is None else requested,
        actual=cost if actual is None else actual,
        bucket=bucket,
        window=window,
    )


def read_error(request: GraphQLRequest[Any], error: TransportError) -> Answer:
    """Return what an error says about limits."""
    if not is_limit_error(error) or not has_run_nothing(request, error.errors):
        return Answer(is_unsent=error.unsent)
    window = _window_of_headers(error.headers)
    wait = _wait(error.retry_after, window, is_secondary=_is_secondary(error))
    return Answer(is_refusal=True, wait=wait, window=window)


def _wait(named: float | None, window: Report | None, *, is_secondary: bool) -> float | None:
    """Return the seconds that a refusal asks for."""
    if named is None and window is not None and not window.available:
        return window.reset
    return _SECONDARY_WAIT if named is None and is_secondary else named


def is_limit_error(error: BaseException) -> bool:
    """Return whether this is the error of a request that a limit refused by an HTTP status."""
    if not isinstance(error, TransportServerError) or error.unsent:
        return False
    if error.code == 429:
        return True
    return error.code == 403 and (
        error.retry_after is not None
        or error.headers.get("x-ratelimit-remaining") == "0"
        or _is_secondary(error)
    )


def _is_refusal(request: GraphQLRequest[Any], result: ExecutionResult) -> bool:
    """Return whether a result says that a limit refused the whole operation.

    There are no data, and all errors say so. If one is of a field, others may have run though their
    data are gone (specification §6.4.4): a mutation may not be repeated then, and a query may.
    """
    if not result.errors or result.data is not None or not all(map(_is_limit, result.errors)):
        return False
    return has_run_nothing(request, result.errors)


def _is_limit(error: object) -> bool:
    for word in (_get(error, "type"), _get(_get(error, "extensions"), "code")):
        if isinstance(word, str) and word.upper().replace("-", "_") in _LIMITED:
            return True
    return _has_words([error])


def _is_secondary(error: TransportError) -> bool:
    return _SECONDARY in error.body.lower() or _has_words(error.errors)


def _has_words(errors: list[Any] | None) -> bool:
    """Return whether any error speaks of a secondary limit of GitHub's."""
    return any(_SECONDARY in str(_get(each, "message")).lower() for each in errors or ())


def _shopify(cost: object) -> tuple[float | None, float | None, Report | None]:
    """Return the cost that was asked for, the actual one, and what is left."""
    status = _get(cost, "throttleStatus")
    limit, available, rate = (
        _number(_get(status, name))
        for name in ("maximumAvailable", "currentlyAvailable", "restoreRate")
    )
    report = None
    if limit and rate and available is not None:
        report = Report(limit, available, rate)
    requested = _number(_get(cost, "requestedQueryCost"))
    return requested, _number(_get(cost, "actualQueryCost")), report


def _window_of_field(told: object, headers: Mapping[str, str]) -> Report | None:
    """Return what GitHub's field ``rateLimit`` says."""
    remaining, reset_at = _number(_get(told, "remaining")), _get(told, "resetAt")
    if remaining is None or not isinstance(reset_at, str):
        return None
    try:
        until = datetime.fromisoformat(reset_at).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    limit = _number(_get(told, "limit")) or 0.0
    return Report(limit, remaining, reset=_until(headers, until))


def _window_of_headers(headers: Mapping[str, str]) -> Report | None:
    """Return what the headers say is left, and for how long."""
    for prefix in ("x-ratelimit-", "ratelimit-"):
        remaining = _header(headers, f"{prefix}remaining", min)
        reset = _header(headers, f"{prefix}reset", max)
        if remaining is not None and reset is not None:
            limit = _header(headers, f"{prefix}limit", max) or 0.0
            return Report(limit, remaining, reset=_until(headers, reset))
    if "ratelimit" not in headers:
        return None
    # An item for each policy: the one with the least left decides. What each allows is not said.
    items = [dict(_ITEM.findall(item)) for item in headers["ratelimit"].split(",")]
    complete = [(float(item["r"]), float(item["t"])) for item in items if item.keys() == {"r", "t"}]
    if not complete:
        return None
    left, seconds = min(complete, key=lambda item: (item[0], -item[1]))
    return Report(0.0, left, reset=_delay(seconds))


def _until(headers: Mapping[str, str], reset: float) -> float:
    """Return the seconds until a reset, which is a delay, or a time by the server's clock."""
    if reset < _YEAR_2001:
        return _delay(reset)
    if reset > _YEAR_5138:
        reset /= 1000
    now = timestamp(headers.get("date", ""))
    return _delay(reset - (time.time() if now is None else now))


def _delay(seconds: float) -> float:
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def _header(headers: Mapping[str, str], name: str, of: Callable[..., float]) -> float | None:
    """Return the number in a header; of several numbers, the one that ``of`` chooses."""
    try:
        numbers = [float(each) for each in headers[name].split(",")]
    except (KeyError, ValueError):
        return None
    return of(numbers) if all(map(_is_amount, numbers)) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if _is_amount(value) else None


def _is_amount(value: float) -> bool:
    return 0 <= value < math.inf and value < 1e15


def _get(value: object, name: str) -> Any:
    """Return a member of a JSON object; ``None`` if there is none, or the value is no object."""
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
