"""Options of transports: checked values, and functions that are called at each attempt."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, NoReturn, TypeAlias, TypedDict, TypeVar

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.interrupts import interruptible

__all__ = ["NoOptions", "Provider", "check_seconds", "refuse_options", "resolve", "seconds"]

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
    check_seconds(name, value)
    if value < 0 or (value == 0 and not zero) or math.isnan(value):
        least = "at least 0 s" if zero else "more than 0 s"
        raise ValueError(f"{name} must be {least} (None: no limit), not {value}")
    return value


def check_seconds(name: str, value: object) -> None:
    """Raise ``TypeError`` for what is no number of seconds; the message says what to write."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return
    hint = ""
    if isinstance(value, timedelta):
        hint = f": write {value.total_seconds():g}, or call total_seconds()"
    elif isinstance(value, str):
        hint = f": write {name}=10 without quotes"
    raise TypeError(f"{name} is a number of seconds or None, not {type(value).__name__}{hint}")


class NoOptions(TypedDict):
    """No other options: a function that takes these says what to write in place of a mistake.

    Type checkers refuse any other option, and ``refuse_options`` does when it runs.
    """


def refuse_options(
    function: str, mistaken: Mapping[str, Any], hints: Mapping[str, str], known: Iterable[str]
) -> NoReturn:
    """Raise ``TypeError`` for options that a function doesn't have, and say what to write.

    Args:
        function: The name of the function, for the message.
        mistaken: The options.
        hints: What to write in the place of an option, by its name.
        known: The names of the options that the function has.
    """
    from difflib import get_close_matches

    name = next(iter(mistaken))
    hint = hints.get(name)
    if hint is None:
        nearest = get_close_matches(name, known, 1)
        hint = f"did you mean {nearest[0]}=?" if nearest else ""
    raise TypeError(
        f"{function} got an unexpected keyword argument {name!r}{': ' if hint else ''}{hint}"
    )
