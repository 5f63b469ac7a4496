"""Where Ctrl-C may raise ``KeyboardInterrupt`` under trio.

By default that is between any two instructions of any task. In our own tasks it would leave a
connection half closed, or come out in a group with what it has broken. trio raises it in the main
task instead, at a checkpoint, while code runs that is marked here. (asyncio always does so.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["interruptible", "mark_for_trio", "uninterruptible"]

_F = TypeVar("_F", bound=Callable[..., Any])
_Mark = Callable[[Any], object]

# What is marked before trio is loaded waits here.
_waiting: dict[bool, list[Any]] = {True: [], False: []}
_marks: dict[bool, _Mark] = {}


def _mark(function: _F, *, protected: bool) -> _F:
    if protected in _marks:
        _marks[protected](function)
    else:
        _waiting[protected].append(function)
    return function


def uninterruptible(function: _F) -> _F:
    """Raise no ``KeyboardInterrupt`` in this function, and in what it calls.

    At its checkpoints one may come, if it runs in the main task. It costs nothing to call.
    """
    return _mark(function, protected=True)


def interruptible(function: _F) -> _F:
    """Let Ctrl-C raise in this function, wherever it is called: it calls users' functions."""
    return _mark(function, protected=False)


def mark_for_trio(enable: _Mark, disable: _Mark) -> None:
    """Tell trio what was marked, and what will be, by its two functions for that."""
    _marks.update({True: enable, False: disable})
    for protected, functions in _waiting.items():
        for function in functions:
            _marks[protected](function)
        functions.clear()
