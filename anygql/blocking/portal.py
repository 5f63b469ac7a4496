"""An event loop in a thread of its own, and calls into it from threads that block.

This is what ``anyio.from_thread.start_blocking_portal`` does, with half as many changes of threads
for each call: a call waits for its end only, and not for its start too.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self

import anyio
from anyio import CancelScope, Event, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup

from ..concurrency.loop import RunningLoop, is_loop_running
from ..delivery.faults import closed

__all__ = ["BlockingInAsync", "Call", "Portal"]

#: Seconds for which a call that was interrupted waits for its own end.
BRIEFLY = 1.0


class BlockingInAsync(RuntimeWarning):
    """A call of ``anygql.blocking`` blocks an event loop that runs in the same thread.

    In a notebook that is harmless. Elsewhere use ``anygql`` itself, whose calls are awaited.
    """


class Call:
    """One call into the loop, and how it ended."""

    __slots__ = (
        "_error",
        "_function",
        "_has_value",
        "_is_canceled",
        "_lock",
        "_scope",
        "_value",
        "is_done",
    )

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self.is_done = False
        self._function = function
        self._has_value = False
        self._is_canceled = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._scope: CancelScope | None = None
        # Cheaper than an Event or a Future, which make such a lock for each wait.
        self._lock = threading.Lock()
        self._lock.acquire()

    async def run(self) -> None:
        """Run the call, as a task of the loop."""
        try:
            with CancelScope() as self._scope:
                if self._is_canceled:
                    self._scope.cancel()
                self._value = await self._function()
                self._has_value = True
        except get_cancelled_exc_class():
            raise
        except BaseException as exc:  # noqa: BLE001 - raised in the thread that waits
            self._error = exc

    def cancel(self) -> None:
        """Cancel the call. To be called in the loop's thread."""
        self._is_canceled = True
        if self._scope is not None:
            self._scope.cancel()

    def finish(self, otherwise: Exception) -> None:
        """Let the waiting thread go on. Without a value and an error, it gets ``otherwise``."""
        if not self.is_done:
            if not self._has_value and self._error is None:
                self._error = otherwise
            self.is_done = True
            self._lock.release()

    def wait(self, seconds: float = -1) -> None:
        """Wait for the end of the call; forever by default."""
        if not self.is_done and self._lock.acquire(timeout=seconds):
            self._lock.release()

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        error, value = self._error, self._value
        # The frames of an error's traceback hold this call.
        self._error = self._value = None
        if error is None:
            return value
        try:
            raise error
        finally:
            del error


class Portal:
    """A thread that runs an event loop.

    Args:
        backend: ``"asyncio"`` or ``"trio"``.
        server: A description of the server, for messages.
    """

    def __init__(self, backend: str, server: str) -> None:
        self._backend = backend
        self._server = server
        self._pid = os.getpid()
        self._calls: set[Call] = set()
        self._is_stopping = False
        self._is_over = False
        self._error: BaseException | None = None
        self._is_running = threading.Event()
        # A daemon: Python waits for all other threads before it calls what `atexit` has.
        self._thread = threading.Thread(target=self._run, daemon=True, name="anygql session")
        self._loop: RunningLoop | None = None
        self._tasks: TaskGroup
        self._stopping: Event

    # In any thread.

    @property
    def is_of_this_process(self) -> bool:
        """Whether the thread runs in this process, and not in the one that it was forked from."""
        return self._pid == os.getpid()

    def start(self) -> None:
        """Start the thread, and wait until its loop runs."""
        if is_loop_running():
            _warn_of_blocking()
        try:
            self._thread.start()
            self._is_running.wait()
        except BaseException:
            self.request_stop()
            raise
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def check(self) -> None:
        """Raise ``RuntimeError`` where a call would never return; warn where it blocks a loop."""
        if self._pid != os.getpid():
            raise RuntimeError(
                f"{self._server}: the session was opened in the process from which this one was "
                "forked: open a session in each process"
            )
        if self._thread.ident == threading.get_ident():
            raise RuntimeError(
                f"{self._server}: a blocking call in the session's own thread would wait for "
                "itself: functions that the session calls, such as on_event, can't use the session"
            )
        if is_loop_running():
            _warn_of_blocking()

    def run(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Call an async function in the loop, in the caller's context, and return its value.

        An exception that is raised here meanwhile, as by Ctrl-C, cancels the function.
        """
        self.check()
        call = Call(lambda: function(*args, **kwargs))
        try:
            self.begin(call)
            call.wait()
        except BaseException:
            self.cancel(call)
            raise
        return call.result()

    def begin(self, call: Call) -> None:
        """Let a call begin in the loop."""
        context = copy_context()
        self._calls.add(call)
        self.post(lambda: context.run(self._start, call))
        if self._is_over:  # and so nobody else may know of this call
            self._finish(call)

    def cancel(self, call: Call) -> None:
        """Cancel a call, and wait briefly for its end."""
        self.post(call.cancel)
        call.wait(BRIEFLY)

    def post(self, function: Callable[[], None]) -> None:
        """Have the loop call a function, if it still runs."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.post(function)

    def join(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(seconds)

    def request_stop(self) -> None:
        """Begin to end the loop and its thread. Calls that are under way are canceled."""
        self._is_stopping = True
        self.post(lambda: self._stopping.set())

    def __enter__(self) -> Self:
        """Start the thread."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the thread."""
        self.request_stop()
        self.join()

    def _finish(self, call: Call) -> None:
        self._calls.discard(call)
        call.finish(closed(self._server))

    # In the loop's thread.

    def _run(self) -> None:
        try:
            anyio.run(self._main, backend=self._backend)
        except BaseException as exc:  # noqa: BLE001 - raised in the thread that started this one
            self._error = exc
        finally:
            self._is_over = True
            for call in list(self._calls):
                self._finish(call)
            self._is_running.set()

    async def _main(self) -> None:
        self._stopping = Event()
        self._loop = RunningLoop()
        async with create_task_group() as self._tasks:
            self._is_running.set()
            if not self._is_stopping:  # what came too early for the loop
                await self._stopping.wait()
            self._tasks.cancel_scope.cancel()

    def _start(self, call: Call) -> None:
        # The caller may itself be in a loop of another kind, which this variable names.
        if sniffio := sys.modules.get("sniffio"):
            sniffio.current_async_library_cvar.set(self._backend)
        self._tasks.start_soon(self._run_call, call)

    async def _run_call(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            self._finish(call)


_warned = False


def _warn_of_blocking() -> None:
    """Warn, once, that the loop in this thread is blocked."""
    global _warned
    if _warned:
        return
    frame, level = inspect.currentframe(), 1
    while frame is not None and _is_internal(frame.f_globals.get("__name__")):
        frame, level = frame.f_back, level + 1
    warnings.warn(
        "this call blocks the event loop that runs in the same thread: in a notebook that is "
        "fine; elsewhere use anygql itself, whose calls are awaited (this is said once)",
        BlockingInAsync,
        stacklevel=level,
    )
    _warned = True  # if that has not raised


def _is_internal(module: object) -> bool:
    return str(module).partition(".")[0] in {"anygql", "contextlib"}
