"""What transports are told by their users: checked values, and what each attempt asks for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

__all__ = ["Provider", "resolve", "seconds"]

_T = TypeVar("_T")

#: A value, or what gives it: a function or async function, asked at each attempt.
Provider: TypeAlias = _T | Callable[[], _T] | Callable[[], Awaitable[_T]]


async def resolve(value: Any) -> Any:
    """The value, or what a function or async function gives for it now."""
    if callable(value):
        value = value()
    if inspect.isawaitable(value):
        value = await value
    return value


def seconds(name: str, value: float | None, *, zero: bool = False) -> float | None:
    """A time limit as it was given; raises ``TypeError`` or ``ValueError`` for what is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name} is a number of seconds or None, not {value!r}")
    if value < 0 or (value == 0 and not zero) or math.isnan(value):
        raise ValueError(f"{name} must be more than 0 s (None: no limit), not {value}")
    return value
