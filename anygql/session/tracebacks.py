"""Tracebacks for the users of a session: their own frames, and not those of this package.

An error that the network or a server caused is explained by its message. The frames between the
caller's ``await`` and the socket explain nothing to the caller, and there are dozens of them.
"""

from __future__ import annotations

import os
from types import TracebackType

from ..exceptions import TransportError

__all__ = ["short_tracebacks", "shorten_traceback"]

#: The packages whose frames are left out, besides our own: event loops, and what is between them
#: and us.
_INTERNAL = frozenset(
    {
        "anygql",
        "anyio",
        "asyncio",
        "contextlib",
        "h11",
        "h2",
        "httpcore",
        "httpx",
        "httpx2",
        "outcome",
        "selectors",
        "socket",
        "ssl",
        "tenacity",
        "trio",
        "trio_websocket",
        "uvloop",
        "websockets",
    }
)

#: How many causes of an error are looked at.
_MAX_CAUSES = 16


def shorten_traceback(error: TransportError) -> None:
    """Leave our own frames out of the tracebacks of ``error`` and its causes.

    Call this as ``short_tracebacks`` does, or raise again with a bare ``raise``, which adds no
    frame. The environment's ``ANYGQL_FULL_TRACEBACKS=1`` keeps all.
    """
    if os.environ.get("ANYGQL_FULL_TRACEBACKS", "0") not in {"", "0"}:
        return
    link: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if link is None:
            return
        link.__traceback__ = _without_internal(link.__traceback__)
        _skip_same_cause(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


class _ShortTracebacks:
    """Shortens the traceback of a ``TransportError`` that leaves a ``with`` block."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, TransportError):
            shorten_traceback(error)


#: Write ``with short_tracebacks:`` where the caller's ``await`` enters the package. Unlike a
#: decorator, a block adds no frame. For each result of a subscription it would take too long.
short_tracebacks = _ShortTracebacks()


def _without_internal(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback of the frames of others, such as a user's function that we called."""
    kept: list[TracebackType] = []
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _INTERNAL:
            kept.append(traceback)
        traceback = traceback.tb_next
    shortened = None
    for each in reversed(kept):
        shortened = TracebackType(shortened, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return shortened


def _skip_same_cause(error: BaseException) -> None:
    """Leave out causes that say the same as ``error``, as each layer of an HTTP client does."""
    for _ in range(_MAX_CAUSES):
        cause = error.__cause__
        if cause is None or str(cause) != str(error) or isinstance(error, TransportError):
            return
        error.__cause__ = cause.__cause__
        error.__suppress_context__ = cause.__suppress_context__
        if error.__cause__ is None and not error.__suppress_context__:
            error.__context__ = cause.__context__
