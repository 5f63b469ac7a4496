"""Options of transports: checked values, and functions that are called at each attempt."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.interrupts import interruptible

__all__ = ["Provider", "resolve", "seconds"]

_T = TypeVar("_T")

#: A value, or a function or async function that returns it, called at each attempt.
Provider: TypeAlias = _T | Callable[[], _T] | Callable[[], Awaitable[_T]]


@interruptible
async def resolve(value: Any, name: str, server: str) -> Any:
    """Return a value, or call the function or async function that provides it.

    Args:
        value: The value or function.
        name: The name of the option, for messages.
        server: A description of the server, for messages.

    Raises:
        TransportConnectionFailed: The function let a stray cancellation out.
        Exception: What the function raises.
    """
    if not callable(value) and not inspect.isawaitable(value):
        return value
    try:
        if callable(value):
            value = value()
        if inspect.isawaitable(value):
            value = await value
    except BaseException as exc:
        stray = stray_cancellation(exc, f"the function {name}", server)
        if stray is None:
            raise
        stray.unsent = True
        raise stray from exc
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
