"""Subscriptions and results in parts whose credentials are refreshed: refused, they begin anew."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, TypeAlias

from anyio import EndOfStream, current_time
from anyio.abc import TaskGroup

from ...concurrency.interrupts import uninterruptible
from ...delivery.interfaces import AnyTransportArgs, Connection, ConnectionResults, Results
from ...delivery.wrapped import WrappedResults
from ...documents.request import GraphQLRequest
from ...exceptions import TransportError, copy_to_raise
from ...results.result import ExecutionResult
from ..connect_attempts import STABLE_AFTER
from ..refusals import is_wholly_refused
from ..resuming import Resuming
from ..retry import wait_after
from .credentials import SessionCredentials

__all__ = ["Replaying", "start_replaying"]


class Replaying(Resuming):
    """A subscription that goes on with fresh credentials, once they were refused.

    It does so in plain sessions and with ``retry_subscribe=False`` too, which have it fail for
    every other loss.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        credentials = self._supervisor.credentials
        assert credentials is not None  # noqa: S101 - it is made for a session that has them
        self._credentials = credentials
        #: The generation of the token with which it was sent.
        self._generation = 0
        #: Whether it was sent again for a refusal, and no result has come since.
        self._has_replayed = False
        #: When that was, and how often in a row it was soon after the time before: a server may
        #: refuse it after some results again and again.
        self._replayed_at = -math.inf
        self._soon = 0
        #: Whether fresh credentials are needed before it is sent again.
        self._needs_renewal = False
        #: What was refused, and by which result, if it was by one.
        self._refused: ConnectionResults | None = None
        self._refusal: ExecutionResult | None = None
        #: Whether the consumer has had a result of the oldest feed.
        self._has_begun = False

    async def _connect(self, *, is_call: bool = False) -> Connection:
        await self._credentials.ready()
        return await super()._connect(is_call=is_call)

    def _subscribe(
        self, connection: Connection, request: GraphQLRequest, args: AnyTransportArgs
    ) -> None:
        self._generation = self._credentials.used_on(connection)
        super()._subscribe(connection, request, args)

    # The consumer's side.

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        while not self._is_refused_by_result:
            result = super().receive_nowait()
            if result is None:
                return None
            feed = self._feeds[0]
            if not result.errors:
                self._has_begun, self._has_replayed = True, False
                self._credentials.accepted()
                return result
            if not self._begin_replay(result, feed):
                self._has_begun = True
                return result
            self._refusal = result
            feed.leave()  # the server may go on with it
        if self._left:
            raise EndOfStream
        if self._fault is not None:
            raise copy_to_raise(self._fault) from self._fault.__cause__
        if len(self._feeds) == 1:
            return None
        self._cross_gap()
        return self.receive_nowait()

    @property
    def _is_refused_by_result(self) -> bool:
        return self._refusal is not None and self._feeds[0] is self._refused

    async def wait(self) -> None:
        """See ``Results``."""
        if self._is_refused_by_result:
            self.check_loop()
            await self._changed.wait()
        else:
            await super().wait()

    def _cross_gap(self) -> None:
        feed = self._feeds[0]
        super()._cross_gap()
        if feed is self._refused:
            if not (self._has_begun or feed.dropped):
                self.reconnects -= 1  # it had not begun
            self._refused = self._refusal = None
        self._has_begun = False

    # The supervisor's side.

    def connection_lost(
        self, fault: Exception, task_group: TaskGroup, *, was_replaced: bool = False
    ) -> None:
        """Begin to resubscribe, if the session does, or the connection was replaced."""
        if was_replaced or not self._supervisor.retry_subscribe.is_disabled:
            super().connection_lost(fault, task_group)
        elif self._feeds[-1].fault is fault and not self._resuming:
            self.fail(fault)

    def _feed_lost(self, fault: TransportError) -> None:
        try:
            if self._begin_replay(fault, self._feeds[-1]):
                return
        except Exception as exc:  # noqa: BLE001 - the consumer gets what `refused` raises
            self.fail(exc)
            return
        if self._supervisor.retry_subscribe.is_disabled:
            self.fail(fault)
        else:
            super()._feed_lost(fault)

    def _begin_replay(
        self, outcome: ExecutionResult | TransportError, feed: ConnectionResults
    ) -> bool:
        """Begin to replay the subscription, if this refuses its credentials for the first time."""
        if self._is_over or self._has_replayed or self._supervisor.fault is not None:
            return False
        if self._credentials.is_bypassed or not self._credentials.is_refused(outcome):
            return False
        self._refused = feed
        if feed is not self._feeds[-1]:
            return True  # its connection was lost after that, and it runs on the next one already
        self._has_replayed = True
        now = current_time()
        self._soon = self._soon + 1 if now - self._replayed_at < STABLE_AFTER else 0
        self._replayed_at = now
        if self._resuming:
            self._credentials.invalidate(self._generation)
        else:
            self._resuming = self._needs_renewal = True
            if self._observer is not None:
                self._observer.lost(outcome)
            self._supervisor.task_group.start_soon(self._resume, name="anygql: resubscribe")
        return True

    async def _send_again(self) -> None:
        if self._needs_renewal:
            self._needs_renewal = False
            if self._soon:
                await self._supervisor.sleep(wait_after(self._soon))
            await self._credentials.renew(self._generation)
        await super()._send_again()


_Start: TypeAlias = Callable[[], Awaitable[tuple[Connection, Results]]]


async def start_replaying(
    credentials: SessionCredentials, request: GraphQLRequest, start: _Start
) -> Results:
    """Start an operation whose result comes in parts, and wait for the first of them.

    It is started once more, with fresh credentials, if they are refused.

    Args:
        credentials: The session's credentials.
        request: The operation.
        start: Starts it on a connection.
    """
    await credentials.ready()
    started = await _Started.begin(credentials, start)
    try:
        if credentials.is_bypassed or not credentials.is_refused(started.first):
            return started
    except BaseException:  # what `refused` raises
        started.leave()
        raise
    if not is_wholly_refused(request, started.first):
        credentials.invalidate(started.generation)
        return started
    started.leave()
    await credentials.renew(started.generation)
    return await _Started.begin(credentials, start)


class _Started(WrappedResults[Results]):
    """The results of an operation in parts, of which the first has come.

    Its connection isn't closed for a successor before it is left.
    """

    def __init__(self, credentials: SessionCredentials, connection: Connection, results: Results):
        self.first: ExecutionResult | Exception
        #: The generation of the token with which it was sent.
        self.generation = credentials.used_on(connection)
        self._inner = results
        self._is_first = True
        self._loop = credentials.loop
        self._counted = ExitStack()
        self._counted.enter_context(credentials.call_on(connection))

    @classmethod
    @uninterruptible
    async def begin(cls, credentials: SessionCredentials, start: _Start) -> _Started:
        """Start the operation, and wait for the first result. If canceled, it is left."""
        started = cls(credentials, *await start())
        try:
            started.first = await _first(started._inner)
        except BaseException:
            started.leave()
            raise
        return started

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        if self._is_first:
            self._is_first = False
            if isinstance(self.first, ExecutionResult):
                return self.first
        return super().receive_nowait()

    async def wait(self) -> None:
        """See ``Results``."""
        if not self._is_first:
            await super().wait()

    def leave(self) -> None:
        """See ``Results``."""
        self._counted.close()
        super().leave()

    def abandon(self) -> None:
        """See ``Results``."""
        self._loop.call_soon(self.leave)


async def _first(results: Results) -> ExecutionResult | Exception:
    """Wait for the first result, or for the error in its place, which is raised again later."""
    while True:
        try:
            result = results.receive_nowait()
        except (EndOfStream, TransportError) as end:
            return end.with_traceback(None)  # which would hold what holds the error
        if result is not None:
            return result
        await results.wait()
