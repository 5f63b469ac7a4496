"""Options of transports: checked values, and functions that are called at each attempt."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

__all__ = ["Provider", "resolve", "seconds"]

_T = TypeVar("_T")

#: A value, or a function or async function that returns it, called at each attempt.
Provider: TypeAlias = _T | Callable[[], _T] | Callable[[], Awaitable[_T]]


async def resolve(value: Any) -> Any:
    """Return a value, or call the function or async function that provides it."""
    if callable(value):
        value = value()
    if inspect.isawaitable(value):
        value = await value
    return value


def seconds(name: str, value: float | None, *, zero: bool = False) -> float | None:
    """Return a time limit as it is. Raise ``TypeError`` or ``ValueError`` for what is none.

    ``zero``: whether 0 is allowed.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name} is a number of seconds or None, not {value!r}")
    if value < 0 or (value == 0 and not zero) or math.isnan(value):
        raise ValueError(f"{name} must be more than 0 s (None: no limit), not {value}")
    return value
