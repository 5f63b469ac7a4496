"""Running a command in an event loop, until it ends, a limit is over, or a signal comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import anyio
import click

from ..concurrency.exception_groups import unwrapped
from .failures import TimeLimit

__all__ = ["Interruptible", "run_async"]


def run_async(
    function: Callable[[], Awaitable[int]],
    *,
    backend: str = "asyncio",
    timeout: float | None = None,
) -> None:
    """Run a function in an event loop, and exit with the code that it returns.

    Ctrl-C and SIGTERM cancel it, so that it can say goodbye; a second one ends it at once.

    Args:
        function: The function.
        backend: The event loop.
        timeout: Seconds for all of it, ``None`` for no limit.
    """
    if backend == "trio":
        _check_trio()
    raise click.exceptions.Exit(anyio.run(_supervise, function, timeout, backend=backend))


def _check_trio() -> None:
    from importlib.util import find_spec

    if find_spec("trio") is None:
        raise click.UsageError("--backend trio needs trio: pip install trio")


#: The scopes that a signal or the limit cancels, of the command that runs: the innermost alone.
_scopes: ContextVar[list[anyio.CancelScope]] = ContextVar("scopes")


class Interruptible:
    """Lets a signal or the time limit end what is done here, and the command go on after it.

    So an operation ends by itself, and the session around it says goodbye.
    """

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._scopes = _scopes.get()

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._scopes.append(self._scope)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._scopes.remove(self._scope)
        return bool(self._scope.__exit__(exc_type, exc_value, traceback))


async def _supervise(function: Callable[[], Awaitable[int]], timeout: float | None) -> int:
    signals: list[int] = []
    scopes: list[anyio.CancelScope] = []
    over: list[float] = []
    _scopes.set(scopes)
    code = 0
    with unwrapped():
        async with anyio.create_task_group() as tg:
            with anyio.CancelScope() as work:
                scopes.append(work)
                await tg.start(_watch, scopes, signals)
                if timeout is not None:
                    tg.start_soon(_limit, timeout, scopes, over)
                code = await function()
            tg.cancel_scope.cancel()
    if over and not signals:
        raise TimeLimit(f"not done within {timeout:g} s")
    return 128 + signals[0] if signals else code


async def _limit(seconds: float, scopes: list[anyio.CancelScope], over: list[float]) -> None:
    """Cancel what is done when the time is over."""
    await anyio.sleep(seconds)
    over.append(seconds)
    scopes[-1].cancel()


async def _watch(scopes: list[anyio.CancelScope], signals: list[int], *, task_status: Any) -> None:
    """Cancel what is done at the first signal; end the process at the second."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for number in received:
            signals.append(number)
            if signals[1:]:
                os._exit(128 + number)
            scopes[-1].cancel()
