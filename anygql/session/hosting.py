"""Sessions that tasks hold open for a client: those of ``connect_async``.

Each is a task, which enters the session's context, waits until it is to be closed, and leaves the
context. Whose task it is, the caller of ``connect_async`` decides.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard, cast

from anyio import CancelScope, Event
from anyio.abc import TaskStatus
from anyio.lowlevel import EventLoopToken, current_token

from ..concurrency.interrupts import uninterruptible
from ..concurrency.loop import RunningLoop
from ..concurrency.waiters import is_asyncio
from ..delivery.faults import closed
from .outage import log_end
from .session import Session

if TYPE_CHECKING:
    from ..concurrency.asyncio_tasks import AsyncioTaskGroup

__all__ = ["Hosts", "SessionContext", "StartingTaskGroup", "TaskGroupLike"]

logger = logging.getLogger(__name__)


class StartingTaskGroup(Protocol):
    """An anyio task group, or a trio nursery."""

    def start(self, func: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any) -> Awaitable[Any]:
        """Start a task, and return what it calls ``task_status.started`` with."""
        ...


#: An owner of tasks: an anyio task group, a trio nursery, or an ``asyncio.TaskGroup``.
TaskGroupLike: TypeAlias = "StartingTaskGroup | AsyncioTaskGroup"


class SessionContext(AbstractAsyncContextManager[Session], Protocol):
    """A session's context, as ``Client`` makes it."""

    @property
    def end_was_told(self) -> bool:
        """Whether a call or subscription was told of the error that ended the session."""
        ...


class Hosts:
    """The sessions of one client that tasks hold open, by the event loop that they run on.

    Args:
        server: A description of the server, for messages.
    """

    def __init__(self, server: Callable[[], str]) -> None:
        self._server = server
        # Each loop touches its own alone, so threads with a loop each may share a client.
        self._by_loop: dict[EventLoopToken, list[_Host]] = {}

    @uninterruptible
    async def open(self, context: SessionContext, task_group: TaskGroupLike | None) -> Session:
        """Open a session in a task of ``task_group``, or under asyncio in a task of nobody's.

        Raises ``TypeError`` for what can't start a task here.
        """
        _check(task_group)
        host = _Host(context, self._server(), has_owner=task_group is not None)
        self._by_loop.setdefault(host.loop.token, []).append(host)
        try:
            return await _start(host, task_group)
        finally:
            # The task may have been canceled before it began.
            if not host.is_open:
                host.closed.set()
            self._forget_closed(host.loop.token)

    @uninterruptible
    async def close(self) -> None:
        """Close the sessions of the running loop, and those that are about to open; wait for it."""
        token = current_token()
        hosts = list(self._by_loop.get(token, ()))
        for host in hosts:
            host.close()
        for host in hosts:
            await host.closed.wait()
        self._forget_closed(token)

    def _forget_closed(self, token: EventLoopToken) -> None:
        hosts = self._by_loop.get(token)
        if hosts is not None:
            hosts[:] = [host for host in hosts if not host.closed.is_set()]
            if not hosts:
                del self._by_loop[token]

    def abandon(self) -> None:
        """Close the sessions that have no other owner than the client, which has been dropped.

        For a finalizer, which may run in any thread.
        """
        left = [
            host
            for hosts in list(self._by_loop.values())
            for host in list(hosts)
            if not host.has_owner and not host.closed.is_set()
        ]
        for host in left:
            host.loop.call_soon(host.close)
        if left:
            warnings.warn(
                f"unclosed client of {self._server()}: `await client.close_async()` closes what "
                "connect_async() opened",
                ResourceWarning,
                stacklevel=1,
            )


async def _start(host: _Host, task_group: TaskGroupLike | None) -> Session:
    session: Session
    if _has_start(task_group):
        session = await task_group.start(host.run)
    else:
        from ..concurrency.asyncio_tasks import start

        session = await start(host.run, cast("AsyncioTaskGroup | None", task_group), host.hold)
    return session


def _check(task_group: TaskGroupLike | None) -> None:
    """Raise ``TypeError`` for a task group that can't start a task in the running loop."""
    if _has_start(task_group):
        return
    if is_asyncio(current_token()):
        from ..concurrency.asyncio_tasks import is_task_group

        if task_group is None or is_task_group(task_group):
            return
    elif task_group is None:
        raise TypeError(
            "under trio, connect_async needs a nursery, or an anyio task group, for the session "
            "to live in: connect_async(nursery, …)"
        )
    raise TypeError(
        "connect_async takes an anyio task group or a trio nursery, or under asyncio an "
        f"asyncio.TaskGroup, not {type(task_group).__module__}.{type(task_group).__name__}"
    )


def _has_start(task_group: TaskGroupLike | None) -> TypeGuard[StartingTaskGroup]:
    return callable(getattr(task_group, "start", None))


class _Host:
    """One session, and the task that holds it open."""

    def __init__(self, context: SessionContext, server: str, *, has_owner: bool) -> None:
        self.loop = RunningLoop()
        self.has_owner = has_owner
        self.closed = Event()
        self.is_open = False
        self._context = context
        self._server = server
        self._close_requested = Event()
        self._opening = CancelScope()
        self._task: object = None

    def hold(self, task: object) -> None:
        """Keep a reference to the task."""
        self._task = task

    def close(self) -> None:
        """Begin to close the session. If it isn't open yet, ``run`` raises ``TransportClosed``."""
        self._close_requested.set()
        if not self.is_open:
            self._opening.cancel()

    @uninterruptible
    async def run(self, *, task_status: TaskStatus[Session]) -> None:
        """Hold the session open until it is to be closed."""
        try:
            with self._opening:
                await self._hold_open(task_status)
        except Exception as exc:
            if self.has_owner or not self.is_open:
                raise
            if not self._context.end_was_told:
                log_end(logger, self._server, exc)
        finally:
            self.closed.set()
        if not self.is_open:
            raise closed(self._server, "close_async() was called while it was being opened")

    async def _hold_open(self, task_status: TaskStatus[Session]) -> None:
        async with self._context as session:
            if self._opening.cancel_called:
                return
            self.is_open = True
            task_status.started(session)
            # The session keeps its client, which would never be dropped if the task kept the
            # session.
            del session
            await self._close_requested.wait()
