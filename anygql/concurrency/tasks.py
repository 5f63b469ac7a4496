"""What both loops' tasks need and anyio leaves to its users."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from anyio import current_time
from anyio.lowlevel import EventLoopToken

__all__ = ["call_soon", "clock", "single", "unwrapped"]


@contextmanager
def unwrapped() -> Generator[None]:
    """Raise what a task group inside wrapped, if it is one exception.

    Exactly one layer is taken off, the task group's own: an exception group that the caller
    raised arrives as it was.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
        context = error.__context__
        try:
            raise error
        finally:
            # It did not come from handling the group.
            error.__context__ = context
            del error, group, context


def single(error: BaseException) -> BaseException:
    """The one exception inside a group, or a group of groups; anything else as it is."""
    if isinstance(error, BaseExceptionGroup):
        exceptions = cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        if len(exceptions) == 1:
            return single(exceptions[0])
    return error  # pyright: ignore[reportUnknownVariableType]


def clock(token: EventLoopToken) -> Callable[[], float]:
    """``anyio.current_time``, for use in what ``call_soon`` calls too: that is no task."""
    return getattr(token.native_token, "time", current_time)


def call_soon(token: EventLoopToken, function: Callable[[], None]) -> None:
    """Have a running loop call ``function``.

    For finalisers, which the garbage collector may run in any thread and in the middle of
    anything: both loops promise that this one entry is safe then. Raises ``RuntimeError`` if the
    loop is over.
    """
    native: Any = token.native_token
    call = getattr(native, "run_sync_soon", None) or native.call_soon_threadsafe
    call(function)
