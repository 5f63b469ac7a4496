"""Exception groups of task groups that nobody outside should see."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

__all__ = ["single", "unwrapped"]


@contextmanager
def unwrapped() -> Generator[None]:
    """Raise the one exception that a task group inside has wrapped in a group.

    Exactly one layer is taken off, the task group's own: an exception group that the caller raised
    arrives as it was.
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
            # The error did not come from handling the group.
            error.__context__ = context
            del error, group, context


def single(error: BaseException) -> BaseException:
    """Return the one exception inside a group, or a group of groups; any other as it is."""
    if isinstance(error, BaseExceptionGroup):
        exceptions = cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        if len(exceptions) == 1:
            return single(exceptions[0])
    return error  # pyright: ignore[reportUnknownVariableType]
