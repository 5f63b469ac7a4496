"""Task groups that don't show: one exception comes out as itself, not in a group."""

from __future__ import annotations

from typing import cast

__all__ = ["single"]


def single(error: BaseException) -> BaseException:
    """What a group that holds only one exception holds; anything else as it is."""
    if isinstance(error, BaseExceptionGroup):
        exceptions = cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        if len(exceptions) == 1:
            return single(exceptions[0])
    return error  # pyright: ignore[reportUnknownVariableType]
