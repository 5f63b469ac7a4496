"""Which errors may pass: one policy, for connecting, for calls and for subscriptions.

Until the server has acknowledged a session once, what says "you are wrong" is final at once: the
URL, the path, the credentials or the protocol are. A server that has once served is being deployed,
not mistaken. After that, only an explicit refusal of the credentials is final.

``RULES`` is the policy; the table in ``docs/sessions.md`` is made from it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..exceptions import (
    TransportClosed,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
)
from ..net.statuses import REFUSING_STATUSES, is_retryable_status
from ..protocols.close_codes import CloseCode, is_retryable_code

__all__ = [
    "RULES",
    "Rule",
    "describe_rules",
    "is_retryable",
    "may_connect_again",
    "may_send_again",
]

#: Close codes are larger than every HTTP status.
_LOWEST_CLOSE_CODE = 1000


def is_retryable(error: Exception) -> bool:
    """Return whether a new attempt may succeed after this error: the default of ``Client``.

    A ``TransportError`` says so itself, in ``retryable``. Other errors come from a user's ``url``,
    ``headers`` or ``init_payload`` function: an ``OSError`` is retried, any other error is not.

    Args:
        error: What connecting or an operation has failed with.
    """
    if isinstance(error, TransportError):
        return error.retryable
    return isinstance(error, OSError)


class Rule(msgspec.Struct, frozen=True):
    """What an error of connecting means for the session."""

    #: The errors, in words for the documentation.
    errors: str
    #: Whether an error is one of them, given whether something is asked anew at each attempt.
    matches: Callable[[Exception, bool], bool]
    #: Whether another attempt is made while the server has never acknowledged the session.
    at_first: bool
    #: Whether another attempt is made once it has.
    later: bool


def _status(error: Exception) -> int | None:
    """Return the HTTP status that caused the error."""
    code = error.code if isinstance(error, TransportError) else None
    return code if code is not None and code < _LOWEST_CLOSE_CODE else None


def _close_code(error: Exception) -> int | None:
    """Return the close code that caused the error."""
    code = error.code if isinstance(error, TransportError) else None
    return code if code is not None and code >= _LOWEST_CLOSE_CODE else None


def _is_passing_status(error: Exception, asks_anew: bool) -> bool:
    status = _status(error)
    if status is None:
        return False
    # A server that says when to come back refuses nothing for good, whatever the status.
    return is_retryable_status(status) or getattr(error, "retry_after", None) is not None


def _is_passing_code(error: Exception, asks_anew: bool) -> bool:
    code = _close_code(error)
    return code is not None and code != CloseCode.FORBIDDEN and is_retryable_code(code)


#: The first rule that matches decides.
RULES = (
    Rule(
        "`url`, `headers` or `init_payload` is one of your functions, and it raises `OSError`",
        lambda error, _: not isinstance(error, TransportError) and isinstance(error, OSError),
        at_first=True,
        later=True,
    ),
    Rule(
        "One of these functions raises any other exception",
        lambda error, _: not isinstance(error, TransportError),
        at_first=False,
        later=False,
    ),
    Rule(
        "The URL can't be used (`TransportInvalidURL`)",
        lambda error, _: isinstance(error, TransportInvalidURL | TransportClosed),
        at_first=False,
        later=False,
    ),
    Rule(
        "HTTP status 408, 425, 429 or 5xx, or any status with `Retry-After`",
        _is_passing_status,
        at_first=True,
        later=True,
    ),
    Rule(
        "HTTP status 401, 403 or 407: the credentials are refused",
        lambda error, _: _status(error) in REFUSING_STATUSES,
        at_first=False,
        later=False,
    ),
    Rule(
        "Any other HTTP status, such as 200, 301, 400 or 404",
        lambda error, _: _status(error) is not None,
        at_first=False,
        later=True,
    ),
    Rule(
        "Close code 4401: unauthorized",
        lambda error, _: _close_code(error) == CloseCode.UNAUTHORIZED,
        at_first=False,
        later=False,
    ),
    Rule(
        "Close code 4403 or `connection_error`, and `url`, `headers` or `init_payload` is a "
        "function, which may return something else next time",
        lambda error, asks_anew: _close_code(error) == CloseCode.FORBIDDEN and asks_anew,
        at_first=True,
        later=True,
    ),
    Rule(
        "Close code 4403 or `connection_error`, and none of them is a function",
        lambda error, _: _close_code(error) == CloseCode.FORBIDDEN,
        at_first=False,
        later=False,
    ),
    Rule(
        "Close code 1000, 1001, 1005, 1006, 1012, 1013, 1014, 4408, 4499, 4504, or one with a "
        "meaning of the server's own",
        _is_passing_code,
        at_first=True,
        later=True,
    ),
    Rule(
        "Close code 4004, 4005, 4400, 4406, 4409, 4429, 4500, or any other 1xxx, such as 1002 or "
        "1011. The wrong subprotocol is 4406, a message that breaks the protocol 4400",
        lambda error, _: _close_code(error) is not None,
        at_first=False,
        later=True,
    ),
    Rule(
        "There is no connection: the port is refused, the name has no address, or time is over",
        lambda error, _: is_retryable(error),
        at_first=True,
        later=True,
    ),
    Rule(
        "TLS fails, or the peer speaks another protocol",
        lambda error, _: True,
        at_first=False,
        later=True,
    ),
)


def may_connect_again(error: Exception, *, acknowledged: bool, asks_anew: bool) -> bool:
    """Return whether the session makes another attempt to connect after an error.

    Args:
        error: What ended an attempt or a connection.
        acknowledged: Whether the server has acknowledged the session before.
        asks_anew: Whether anything that the server is told is asked anew at each attempt.
    """
    rule = next(rule for rule in RULES if rule.matches(error, asks_anew))
    return rule.later if acknowledged else rule.at_first


def may_send_again(error: Exception) -> bool:
    """Return whether a call that its connection took with it is sent on the next one.

    The request was written. It is sent again unless the server closed with a code that finds fault
    with a message, as that may have been this one: it would take the next connection, too.
    """
    if isinstance(error, TransportProtocolError):
        return True  # it was the server that broke the protocol
    code = _close_code(error)
    if code is None:
        return is_retryable(error)
    # By the code, since `retryable` may already say what it means for the session.
    return is_retryable_code(code) or code == CloseCode.INTERNAL_ERROR


def describe_rules() -> str:
    """Return the rules as the table of ``docs/sessions.md``."""
    words = {True: "tries again", False: "**final**"}
    lines = ["| error | before the first acknowledgement | after it |", "|---|---|---|"]
    lines += [f"| {rule.errors} | {words[rule.at_first]} | {words[rule.later]} |" for rule in RULES]
    return "\n".join(lines) + "\n"
