"""Blocking methods, derived from the async ones: nothing of a session is written twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from ..session.tracebacks import short_tracebacks
from .words import without_await

__all__ = ["derive"]


def derive(
    blocking: type[Any],
    twin: type[Any],
    run: Callable[..., Any],
    without: Collection[str] = (),
) -> None:
    """Give a class the public properties and methods of its async twin that it lacks.

    Args:
        blocking: The class. Its objects have their twin as ``_twin``.
        twin: The async class.
        run: Called with an object, a function of ``twin``, and its arguments.
        without: Names that only tasks have a use for. Default: none.
    """
    for name, member in vars(twin).items():
        if name.startswith("_") or name in {*vars(blocking), "aclose", *without}:
            continue
        if isinstance(member, property):
            setattr(blocking, name, _property(name, member))
        elif inspect.isfunction(member):
            setattr(blocking, name, _method(blocking, member, run))


def _property(name: str, member: property) -> property:
    return property(lambda self: getattr(self._twin, name), doc=member.__doc__)


def _method(
    blocking: type[Any], function: Callable[..., Any], run: Callable[..., Any]
) -> Callable[..., Any]:
    def method(self: object, *args: Any, **kwargs: Any) -> Any:
        with short_tracebacks:
            return run(self, function, *args, **kwargs)

    method.__name__ = function.__name__
    method.__qualname__ = f"{blocking.__name__}.{function.__name__}"
    method.__module__ = blocking.__module__
    method.__doc__ = without_await(function.__doc__ or "")
    method.__annotations__ = function.__annotations__
    setattr(method, "__signature__", inspect.signature(function))  # noqa: B010 - for type checkers
    return method
