"""A session's side of GraphQL over HTTP: the operations that run, and the end of them all.

There is nothing to connect, and no loss that would take everything with it: each operation is an
exchange of its own, which succeeds or fails alone. A query runs in the task that asked for it, a
subscription in a task of its own, in a task group that the caller enters with the connection.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from anyio import AsyncContextManagerMixin, CancelScope, Event, create_task_group
from anyio.abc import TaskGroup
from anyio.lowlevel import EventLoopToken, current_token

from ...exceptions import (
    TransportClosed,
    TransportConnectionFailed,
    TransportError,
    TransportServerError,
    fresh,
    fresh_unsent,
)
from ...protocols.persisted import PersistedAnswer, persisted_answer, persisted_extensions
from ...request import GraphQLRequest
from ...result import ExecutionResult
from ...tasks import clock, unwrapped
from ..base import Delivery, TransportArgs
from .answers import batch_results
from .exchange import Exchange
from .operations import HTTPPeer, Operations, has_files
from .requests import (
    ACCEPT_INCREMENTAL,
    ACCEPT_STREAM,
    EVENT_STREAM,
    Outgoing,
    checked_args,
    parameters,
)
from .streams import Stream, StreamFeed, read_merged

__all__ = ["HTTPConnection"]

_T = TypeVar("_T")

#: How a server may say that it does not know what to make of our Accept.
NOT_THIS_WAY = frozenset({404, 406})


class HTTPConnection(AsyncContextManagerMixin):
    """What a session has instead of a connection: entering makes the client, leaving closes it.

    Made by ``HTTPTransport.connect``.
    """

    def __init__(self, transport: HTTPPeer) -> None:
        self._transport = transport
        self._json = transport.json
        self._exchange = Exchange(transport)
        self._operations = Operations(transport)
        self.payloads: Mapping[str, Any] = {}
        self.fault: TransportError | None = None
        self.idle_since: float | None = None
        self._ended = Event()
        self._quiet = Event()
        self._scopes: set[CancelScope] = set()
        self._streams: set[Stream] = set()
        # Whether hashes are worth a try: not once the server has said that it knows none.
        self._hashing = transport.persisted_queries is True
        # Set when the context is entered: there may be no event loop yet.
        self._tasks: TaskGroup
        self._token: EventLoopToken
        self._now: Callable[[], float]

    # Opening and closing.

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[HTTPConnection]:
        self._token = current_token()
        self._now = clock(self._token)
        self._exchange.open()
        try:
            with unwrapped():
                async with create_task_group() as self._tasks:
                    self.idle_since = self._now()
                    try:
                        yield self
                    finally:
                        self.close()
            await self._operations_ended()
        finally:
            await self._exchange.aclose()

    def drop(self, why: str) -> None:
        """Give it up: whoever waits on it gets ``TransportConnectionFailed``."""
        self._end(TransportConnectionFailed(f"{self._transport.description}: {why}"))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End all operations; leaving the context waits until they have ended."""
        self._end(TransportClosed(f"{self._transport.description}: the session was closed"))

    async def wait_closed(self) -> None:
        """Until ``fault`` is set."""
        await self._ended.wait()

    def _end(self, fault: TransportError) -> None:
        if self.fault is not None:
            return
        self.fault = fault
        self._ended.set()
        for scope in self._scopes:
            scope.cancel()
        for stream in self._streams:
            stream.feed.fail(fault)
            stream.scope.cancel()

    async def _operations_ended(self) -> None:
        # They run in their callers' tasks, and still use the client.
        if self._scopes:
            with CancelScope(shield=True):
                await self._quiet.wait()

    # Queries and mutations, each in the task that asks.

    async def execute(
        self, request: GraphQLRequest, transport_args: TransportArgs = None
    ) -> ExecutionResult:
        """Run one query or mutation. Cancelling closes the answer, which tells the server."""
        args = checked_args(transport_args)
        if not self._hashing or has_files(request):
            return await self._run(lambda: self._result(self._operations.single(request, args)))
        return await self._run(lambda: self._persisted(request, args))

    async def execute_batch(
        self, requests: Sequence[GraphQLRequest], transport_args: TransportArgs = None
    ) -> list[ExecutionResult | TransportError]:
        """Run several queries and mutations as one array, which is answered by one.

        What is wrong with one entry of the answer stands in its place. Raises what is wrong with
        the whole.
        """
        args = checked_args(transport_args)

        async def exchange() -> list[ExecutionResult | TransportError]:
            async with self._exchange.send(self._operations.batch(requests, args)) as incoming:
                answer = await incoming.answer()
            return batch_results(answer, self._json, len(requests))

        return await self._run(exchange)

    def may_batch(self, request: GraphQLRequest) -> bool:
        """Whether it is one for a batch; raises what keeps it from being sent."""
        if has_files(request):
            return False
        parameters(self._json, request)
        return True

    async def _run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """``work``, in the calling task, until the connection ends."""
        self._check_open()
        self.idle_since = None
        with CancelScope() as scope:
            self._scopes.add(scope)
            try:
                return await work()
            finally:
                self._scopes.discard(scope)
                self._rest()
        assert self.fault is not None  # noqa: S101 - nothing else cancels the scope
        raise fresh(self.fault)

    def _rest(self) -> None:
        if not self._scopes and not self._streams:
            self.idle_since = self._now()
        if not self._scopes and self.fault is not None:
            self._quiet.set()

    def _check_open(self) -> None:
        if self.fault is not None:
            raise fresh_unsent(self.fault)

    async def _result(self, outgoing: Outgoing) -> ExecutionResult:
        async with self._exchange.send(outgoing) as incoming:
            return await read_merged(incoming, self._json)

    async def _persisted(self, request: GraphQLRequest, args: Mapping[str, Any]) -> ExecutionResult:
        hashed = request.replace(extensions=persisted_extensions(request))
        try:
            result = await self._result(self._operations.single(hashed, args, text=False))
            said = persisted_answer(result.errors)
        except TransportServerError as refusal:
            # Some say so with a status, in JSON that may not be trusted for more than this.
            said = persisted_answer(refusal.errors)
            if said is None:
                raise
            result = ExecutionResult()
        if said is None:
            return result
        if said is PersistedAnswer.NOT_FOUND:
            # By POST: a text that wants a hash may be too long for a URL.
            return await self._result(self._operations.single(hashed, args, get=False))
        self._hashing = False
        return await self._result(self._operations.single(request, args))

    # Subscriptions, each in a task of its own.

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: TransportArgs = None
    ) -> StreamFeed:
        """Start a subscription; the caller must leave the feed."""
        return self._stream(request, delivery, transport_args, ACCEPT_STREAM, merging=False)

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: TransportArgs = None
    ) -> StreamFeed:
        """Run a query or mutation whose result grows; the caller must leave the feed."""
        return self._stream(request, delivery, transport_args, ACCEPT_INCREMENTAL, merging=True)

    def _stream(
        self,
        request: GraphQLRequest,
        delivery: Delivery,
        transport_args: TransportArgs,
        accept: str,
        *,
        merging: bool,
    ) -> StreamFeed:
        args = checked_args(transport_args)
        self._check_open()
        outgoing = self._operations.single(request, args, get=merging, accept=accept)
        plain: Callable[[], Outgoing] | None = None  # only few servers want it: made if one does
        if not merging and not has_files(request):
            plain = partial(self._operations.single, request, args, get=False, accept=EVENT_STREAM)
        stream = Stream(self._token, delivery, transport_args)
        self._streams.add(stream)
        self.idle_since = None
        self._tasks.start_soon(
            self._stream_task, stream, outgoing, plain, merging, name="anygql: subscription"
        )
        return stream.feed

    async def _stream_task(
        self,
        stream: Stream,
        outgoing: Outgoing,
        plain: Callable[[], Outgoing] | None,
        merging: bool,
    ) -> None:
        fault: TransportError | None = None
        try:
            with stream.scope:
                fault = await self._read_stream(stream, outgoing, plain, merging)
        finally:
            self._streams.discard(stream)
            self._rest()
            stream.ended(fault)

    async def _read_stream(
        self,
        stream: Stream,
        outgoing: Outgoing,
        plain: Callable[[], Outgoing] | None,
        merging: bool,
    ) -> TransportError | None:
        stream.feed.written = True
        try:
            await self._follow(stream, outgoing, merging, plain)
        except TransportError as fault:
            stream.feed.written = not fault.unsent
            return fault
        except Exception as exc:  # noqa: BLE001 - a header function's, or a hook's of the user's client
            # Its consumer is who should know; the session, and all others on it, go on.
            failed = TransportConnectionFailed(
                f"{self._transport.description}: {type(exc).__name__} kept the subscription from "
                "going on",
                retryable=isinstance(exc, OSError),
            )
            failed.__cause__ = exc
            return failed
        return None

    async def _follow(
        self,
        stream: Stream,
        outgoing: Outgoing,
        merging: bool,
        plain: Callable[[], Outgoing] | None = None,
    ) -> None:
        async with self._exchange.send(outgoing, streaming=True) as incoming:
            # Some handlers compare the whole of Accept with the one type that they know. What
            # the user chose to accept would only be sent again.
            again = incoming.status in NOT_THIS_WAY and incoming.accepted == ACCEPT_STREAM
            if not again or plain is None:
                await stream.read(incoming, self._json, merging=merging)
                return
        await self._follow(stream, plain(), merging)
