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
    arrives as it was. Only a ``KeyboardInterrupt`` takes precedence over everything else in the
    group, however deep: the rest follows from it, or doesn't matter any more.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        error = _interrupt(group)
        if error is None:
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


def _interrupt(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the first ``KeyboardInterrupt`` in a group, however deep."""
    for error in group.exceptions:
        leaf = _interrupt(error) if isinstance(error, BaseExceptionGroup) else error  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(leaf, KeyboardInterrupt):
            return leaf
    return None


def single(error: BaseException) -> BaseException:
    """Return the one exception inside a group, or a group of groups; any other as it is."""
    if isinstance(error, BaseExceptionGroup):
        exceptions = cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        if len(exceptions) == 1:
            return single(exceptions[0])
    return error  # pyright: ignore[reportUnknownVariableType]
