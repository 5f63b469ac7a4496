"""A transport that records what another transport sends and gets, for ``Recorded`` to replay."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from anyio import AsyncContextManagerMixin, EndOfStream

from ..client import Client
from ..concurrency.loop import RunningLoop
from ..delivery.buffering import Delivery
from ..delivery.interfaces import (
    AnyTransportArgs,
    Batching,
    Connection,
    ConnectionResults,
    Incremental,
    Transport,
    authorized,
)
from ..delivery.wrapped import WrappedResults
from ..documents.request import GraphQLRequest
from ..exceptions import TransportClosed, TransportError
from ..results.result import ExecutionResult
from ..session.split import SplitTransport
from .cassette import write_cassette
from .redaction import SECRET_NAMES
from .tape import ConnectionTape, OperationTape, Tape

__all__ = ["Recorder"]


class Recorder:
    """A transport that records what another one sends and gets.

    ::

        async with Client(Recorder("https://example.org/graphql", "cassette.json")) as session:
            ...

    The cassette has each attempt to connect and each operation: its document and variables, its
    results or its error, and when each came. A subscription's result has the time at which its
    consumer took it. The file is written as a whole when a connection ends, and replaces the one
    that was there: an interrupted program leaves that one, or none.

    Secrets are left out. The transport's ``headers``, ``init_payload`` and a call's
    ``transport_args`` are not recorded at all. In variables, data, errors, the headers and bodies
    of responses, and strings in documents, what stands under a name of ``secrets`` is replaced by
    ``"REDACTED"``, and a number by 0.

    Args:
        transport: The transport, or a URL, for which ``Client`` makes the transport.
        path: The file to write.
        secrets: The names under which values are left out: a name is secret if it ends with one of
            these, whatever its case, ``-`` and ``_``. Default: ``SECRET_NAMES``.

    Raises:
        TypeError: ``transport`` is no transport or a ``SplitTransport``, or ``secrets`` one text.
        OSError: When a session connects, if the file's folder can't be made or written to, or if
            there is a folder of the file's name. When it ends, if the file can't be written.
    """

    def __init__(
        self,
        transport: Transport | str,
        path: str | os.PathLike[str],
        *,
        secrets: Collection[str] = SECRET_NAMES,
    ) -> None:
        if isinstance(transport, SplitTransport):
            raise TypeError(
                "a Recorder records one transport: write "
                "SplitTransport(Recorder(…), subscriptions=Recorder(…))"
            )
        self.transport = Client(transport).transport
        self.path = Path(path)
        asks_anew: bool = getattr(self.transport, "asks_anew", True)
        self._tape = Tape(self.transport.description, secrets, asks_anew=asks_anew)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # What a session asks only some transports for, such as `close_timeout`.
            if name == "transport":
                raise AttributeError(name)
            return getattr(self.transport, name)

    @property
    def description(self) -> str:
        """The server, fit for messages and logs."""
        return self.transport.description

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection of the other transport that is recorded."""
        return _Attempt(self.transport, self._tape, self._prepare, self._connection_ended)

    def save(self) -> None:
        """Write what has been recorded so far."""
        write_cassette(self._tape.cassette, self.path)

    def _prepare(self) -> None:
        """Make the cassette's folder; raise at once what would keep the file from being written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fault = 0
        if self.path.is_dir():
            fault = errno.EISDIR
        elif not os.access(self.path.parent, os.W_OK):
            fault = errno.EACCES
        if fault:
            raise OSError(fault, os.strerror(fault), str(self.path))

    def _connection_ended(self) -> None:
        """Write what has been recorded so far."""
        self.save()

    def __repr__(self) -> str:
        return f"<Recorder of {self.description} to {self.path}>"


class _Attempt(AsyncContextManagerMixin):
    """One attempt to connect, and the connection."""

    def __init__(
        self,
        transport: Transport,
        tape: Tape,
        prepare: Callable[[], None],
        save: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._tape = tape
        self._prepare = prepare
        self._save = save

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Connection]:
        self._prepare()
        tape = self._tape.connect(RunningLoop().now)
        try:
            async with self._transport.connect() as inner:
                tape.opened(inner.payloads, getattr(inner, "response_headers", {}))
                connection = _recording(inner, tape, self._save)
                try:
                    yield connection
                finally:
                    connection.ended()
        except TransportError as exc:
            tape.failed_to_open(exc)
            raise
        finally:
            tape.close()
            self._save()


class _RecordingConnection:
    """A connection whose operations are recorded. It adds no checkpoint and no task."""

    def __init__(self, inner: Connection, tape: ConnectionTape, save: Callable[[], None]) -> None:
        self._inner = inner
        self._tape = tape
        self._save = save
        self._dropped = False

    @property
    def payloads(self) -> Mapping[str, Any]:
        return self._inner.payloads

    @property
    def response_headers(self) -> Mapping[str, str]:
        headers: Mapping[str, str] = getattr(self._inner, "response_headers", {})
        return headers

    @property
    def fault(self) -> TransportError | None:
        return self._inner.fault

    @property
    def idle_since(self) -> float | None:
        return self._inner.idle_since

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        tape = self._begin(request)
        try:
            result = await self._inner.execute(request, transport_args)
        except BaseException as exc:
            self._ended_by(tape, exc)
            raise
        tape.came(result)
        tape.complete()
        return result

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> ConnectionResults:
        tape = self._begin(request)
        try:
            results = self._inner.subscribe(request, delivery, transport_args)
        except BaseException as exc:
            self._ended_by(tape, exc)
            raise
        return cast("ConnectionResults", _RecordingResults(results, self, tape))

    async def authorize(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> AnyTransportArgs:
        return await authorized(self._inner, request, transport_args)

    async def wait_closed(self) -> None:
        await self._inner.wait_closed()

    def drop(self, why: str) -> None:
        self._dropped = True
        self._inner.drop(why)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._inner.close(code, reason)

    def ended(self) -> None:
        """Record how the connection ended."""
        fault = self.fault
        lost = fault is not None and not isinstance(fault, TransportClosed) and not self._dropped
        self._tape.ended(fault if lost else None)

    def save(self) -> None:
        """Write again, if something has come out of the connection after its end."""
        if self._tape.has_more:
            self._tape.has_more = False
            self._save()

    def _begin(self, request: GraphQLRequest) -> OperationTape:
        """Record an operation, unless it comes too late to be sent: a session asks again then."""
        return self._tape.begin(request, is_kept=self.fault is None)

    def _ended_by(self, tape: OperationTape, error: BaseException) -> None:
        if isinstance(error, TransportError):
            tape.fail(error, lost=self._is_loss(error))
        elif isinstance(error, Exception):
            tape.discard()  # a mistake of the caller's: nothing was sent
        else:
            tape.leave()

    def _is_loss(self, error: TransportError) -> bool:
        fault = self.fault
        return fault is not None and type(error) is type(fault) and error.args == fault.args


class _RecordingBatching(_RecordingConnection):
    """Records each request of a batch as an operation of its own."""

    _inner: Batching

    async def execute_batch(
        self, requests: Sequence[GraphQLRequest], transport_args: AnyTransportArgs = None
    ) -> list[ExecutionResult | TransportError]:
        tapes = [self._begin(request) for request in requests]
        try:
            outcomes = await self._inner.execute_batch(requests, transport_args)
        except BaseException as exc:
            for tape in tapes:
                self._ended_by(tape, exc)
            raise
        for tape, outcome in zip(tapes, outcomes, strict=True):
            if isinstance(outcome, TransportError):
                tape.fail(outcome, lost=False)
            else:
                tape.came(outcome)
                tape.complete()
        return outcomes

    def may_batch(self, request: GraphQLRequest) -> bool:
        return self._inner.may_batch(request)


class _RecordingIncremental(_RecordingConnection):
    """Records each state of a result that comes in parts."""

    _inner: Incremental

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> ConnectionResults:
        tape = self._begin(request)
        try:
            results = self._inner.execute_incremental(request, delivery, transport_args)
        except BaseException as exc:
            self._ended_by(tape, exc)
            raise
        return cast("ConnectionResults", _RecordingResults(results, self, tape))


class _RecordingAll(_RecordingBatching, _RecordingIncremental):
    """Records both."""

    _inner: Any


def _recording(
    inner: Connection, tape: ConnectionTape, save: Callable[[], None]
) -> _RecordingConnection:
    """Return a connection that can do what ``inner`` can, and no more: sessions look at that."""
    batching, incremental = isinstance(inner, Batching), isinstance(inner, Incremental)
    kind: type[_RecordingConnection] = _RecordingConnection
    if batching and incremental:
        kind = _RecordingAll
    elif batching:
        kind = _RecordingBatching
    elif incremental:
        kind = _RecordingIncremental
    return kind(inner, tape, save)


class _RecordingResults(WrappedResults[ConnectionResults]):
    """The results of a subscription, recorded when its consumer takes them."""

    def __init__(
        self, inner: ConnectionResults, connection: _RecordingConnection, tape: OperationTape
    ) -> None:
        self._inner = inner
        self._connection = connection
        self._tape = tape

    @property
    def transport_args(self) -> AnyTransportArgs:
        return self._inner.transport_args

    @transport_args.setter
    def transport_args(self, args: AnyTransportArgs) -> None:
        self._inner.transport_args = args

    @property
    def on_lost(self) -> Callable[[TransportError], None] | None:
        return self._inner.on_lost

    @on_lost.setter
    def on_lost(self, function: Callable[[TransportError], None] | None) -> None:
        self._inner.on_lost = function

    @property
    def on_started(self) -> Callable[[], None] | None:
        return self._inner.on_started

    @on_started.setter
    def on_started(self, function: Callable[[], None] | None) -> None:
        self._inner.on_started = function

    @property
    def fault(self) -> TransportError | None:
        return self._inner.fault

    @property
    def lost(self) -> bool:
        return self._inner.lost

    @property
    def last(self) -> ExecutionResult | None:
        return self._inner.last

    def receive_nowait(self) -> ExecutionResult | None:
        try:
            result = super().receive_nowait()
        except EndOfStream:
            self._tape.complete()
            self._connection.save()
            raise
        except TransportError as exc:
            fault = self._inner.fault
            self._tape.fail(exc, lost=fault is not None and fault is self._connection.fault)
            self._connection.save()
            raise
        if result is not None:
            self._tape.came(result)
        return result

    def leave(self) -> None:
        super().leave()
        self._tape.leave()
        self._connection.save()
