"""A transport that replays what a ``Recorder`` has recorded."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from anyio import CancelScope, sleep, sleep_forever, sleep_until

from ..concurrency.interrupts import uninterruptible
from ..concurrency.signal import Signal
from ..delivery.buffering import Delivery
from ..delivery.independent import IndependentConnection, RunningFeed, RunningStream
from ..delivery.interfaces import AnyTransportArgs
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError
from ..results.result import ExecutionResult
from .cassette import ConnectionRecord, read_cassette
from .matching import Playable, Playables
from .sinks import FeedSink, LastResult, Sink

__all__ = ["Recorded"]

#: How many seconds longer than recorded a caller may wait for what it did not wait for then.
GRACE = 1


class Recorded:
    """A transport that replays what a ``Recorder`` has written, without a server.

    ::

        async with Client(Recorded("cassette.json")) as session:
            ...

    An operation is answered with a recorded one of the same document (but for blanks and line
    breaks), name and variables, each once, in the recorded order. What came is replayed after the
    recorded times, on the loop's clock: results and errors since the operation has begun, attempts
    to connect one after another. A connection that was lost is lost again, once all that was
    recorded on it has been asked for and replayed. What was not recorded, such as an attempt to
    connect after all recorded ones, succeeds at once.

    A caller that waits for more than was recorded, where the recorded one left, gets an error a
    second after the recorded time. ``transport_args`` are ignored.

    Args:
        path: The cassette.
        speed: How many times faster than recorded to replay; ``math.inf`` waits for nothing.
            Default: 1.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no cassette, or ``speed`` is not more than 0.
        AssertionError: In the task that asks for an operation that wasn't recorded, or for one once
            more than it was. The message has the nearest recorded operation.
    """

    def __init__(self, path: str | os.PathLike[str], *, speed: float = 1) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be more than 0, not {speed}")
        self.path = Path(path)
        self.speed = speed
        self._replay = _Replay(self.path, speed)

    @property
    def description(self) -> str:
        """The cassette, and the server that it was recorded from."""
        return f"{self.path} ({self._replay.cassette.recorded_from})"

    @property
    def asks_anew(self) -> bool:
        """Whether the recorded transport had anything that may change between attempts."""
        return self._replay.cassette.asks_anew

    @property
    def unused(self) -> list[str | None]:
        """The names of the recorded operations that nobody has asked for."""
        return [playable.record.name for playable in self._replay.playables.left()]

    def connect(self) -> _RecordedConnection:
        """Return a connection; entering it replays the next recorded attempt."""
        return _RecordedConnection(self, self._replay)

    def __repr__(self) -> str:
        return f"<Recorded {self.description}>"


class _Replay:
    """What the connections of one replay share."""

    def __init__(self, path: Path, speed: float) -> None:
        self.path = path
        self.speed = speed
        self.cassette = read_cassette(path)
        self.playables = Playables(self.cassette, str(path))
        #: Notified when all that came for an operation has been handed out.
        self.played = Signal()
        self._attempts = 0

    def next_attempt(self) -> tuple[ConnectionRecord, list[Playable]]:
        """Return the next recorded attempt to connect, and the operations of its connection."""
        number = self._attempts
        self._attempts += 1
        if number >= len(self.cassette.connections):
            return ConnectionRecord(at=0), []
        return self.cassette.connections[number], self.playables.by_connection[number]


class _RecordedConnection(IndependentConnection):
    """A connection that replays a recorded one."""

    def __init__(self, recorded: Recorded, replay: _Replay) -> None:
        super().__init__(recorded)
        self._replay = replay
        self._record: ConnectionRecord
        self._playables: list[Playable]

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        self._record, self._playables = self._replay.next_attempt()
        await sleep(self._record.connecting / self._replay.speed)
        if self._record.failure is not None:
            raise self._record.failure.to_error()
        self.payloads = self._record.payloads
        self.response_headers = self._record.headers
        async with super().__asynccontextmanager__():
            losing = CancelScope()
            self._tasks.start_soon(self._lose, losing, name="anygql: recorded loss")
            try:
                yield self
            finally:
                losing.cancel()

    @uninterruptible
    async def _lose(self, scope: CancelScope) -> None:
        """Lose the connection if it was lost, when all that was recorded on it has been played."""
        lost, after = self._record.lost, self._record.lost_after
        if lost is None or after is None:
            return
        with scope:
            await sleep(after / self._replay.speed)
            while not all(playable.is_played for playable in self._playables):
                await self._replay.played.wait()
            self._end(lost.to_error())

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        """Replay a query or mutation."""
        if self.fault is not None:
            await self._refuse_unless_canceled()
        playable = self._take(request)
        last = LastResult()
        try:
            await self._run(lambda: self._play(playable, last), in_task=False)
        except TransportError as error:
            failure = playable.record.failure
            if failure is not None and playable.record.ended == "lost":
                error.unsent = failure.unsent
            raise
        if last.result is None:
            raise AssertionError(f"{self._replay.path}: an operation was recorded without a result")
        return last.result

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Replay a subscription; the caller must leave the feed."""
        if self.fault is not None:
            self._refuse()
        playable = self._take(request)

        async def work(stream: RunningStream) -> None:
            await self._play(playable, FeedSink(stream))

        return self._start(delivery, work)

    #: Replay a query or mutation with each state of its result; the caller must leave the feed.
    execute_incremental = subscribe

    def _take(self, request: GraphQLRequest) -> Playable:
        return self._replay.playables.take(request, self._playables)

    async def _play(self, playable: Playable, sink: Sink) -> None:
        """Put the recorded results into the sink at their times, and end as recorded."""
        record, speed, began = playable.record, self._replay.speed, self.loop.now()
        try:
            for arrival in record.results:
                await sleep_until(began + arrival.after / speed)
                if not await sink.room():
                    return
                sink.next(arrival.to_result())
            if record.ended in ("completed", "failed"):
                await sleep_until(began + record.ended_after / speed)
        finally:
            playable.is_played = True
            self._replay.played.notify()
        if record.ended == "failed" and record.failure is not None:
            raise record.failure.to_error()
        if record.ended == "lost":
            await sleep_forever()  # until the connection is
        if record.ended == "left":
            # Not at another speed: what the caller does takes as long as it did.
            await sleep_until(began + record.ended_after + GRACE)
            raise TransportError(
                f"{self._replay.path} has no more of this {record.kind}: when it was recorded, "
                f"it was left after {record.ended_after} s and {len(record.results)} results",
                retryable=False,
            )
