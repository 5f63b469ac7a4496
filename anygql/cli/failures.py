"""Errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

from ..concurrency.exception_groups import single
from ..exceptions import (
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
)

__all__ = [
    "ERRORS",
    "FOUND",
    "NO_CONNECTION",
    "PROTOCOL",
    "REFUSED",
    "TIME_LIMIT",
    "USAGE",
    "TimeLimit",
    "describe",
]

#: The answer has errors.
ERRORS = 1
#: A mistake of the user's: an option, a document that doesn't parse or isn't valid.
USAGE = 2
NO_CONNECTION = 3
REFUSED = 4
TIME_LIMIT = 5
PROTOCOL = 6
#: ``check`` or ``schema diff`` found something.
FOUND = 7
#: A fault of this program (EX_SOFTWARE of sysexits.h).
_BUG = 70

#: HTTP statuses and close codes that refuse whoever asks.
_REFUSALS = frozenset({401, 403, 407, 4401, 4403})


class TimeLimit(Exception):
    """A time limit of the command line's own is over."""


def describe(error: BaseException) -> tuple[int, str]:
    """Return the exit code for an error, and a line that says what went wrong."""
    error = single(error)
    line = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, TransportError):
        return _code_of(error), line
    if isinstance(error, TimeLimit):
        return TIME_LIMIT, line
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return USAGE, f"{name}{error.strerror or line}"
    if _is_graphql_error(error):
        return USAGE, _with_place(error)
    if isinstance(error, ValueError | TypeError | ImportError):
        return USAGE, line
    if os.environ.get("ANYGQL_TRACEBACK"):
        raise error
    return _BUG, f"{type(error).__name__}: {line} (ANYGQL_TRACEBACK=1 shows where)"


def _code_of(error: TransportError) -> int:
    if isinstance(error, TransportQueryError) and error.code not in _REFUSALS:
        return ERRORS
    if error.code in _REFUSALS:
        return REFUSED
    if isinstance(error, ValueError):  # a URL that can't be used
        return USAGE
    if isinstance(error, TransportTimeout):
        return TIME_LIMIT
    if isinstance(error, TransportProtocolError):
        return PROTOCOL
    if isinstance(error, TransportServerError):
        return NO_CONNECTION
    return NO_CONNECTION


def _with_place(error: Any) -> str:
    """Return the message of an error of graphql-core, with line and column, without an excerpt."""
    message = " ".join(error.message.split())
    if not error.locations:
        return message
    at = error.locations[0]
    return f"{message} (line {at.line}, column {at.column})"


def _is_graphql_error(error: BaseException) -> bool:
    """Return whether graphql-core raised it, without importing that."""
    core = sys.modules.get("graphql")
    return core is not None and isinstance(error, core.GraphQLError)
