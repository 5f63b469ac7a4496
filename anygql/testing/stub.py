"""A transport that answers each operation by its name, without a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self, TypeAlias, cast

from anyio.lowlevel import checkpoint

from ..delivery.buffering import Delivery
from ..delivery.independent import IndependentConnection, RunningFeed, RunningStream
from ..delivery.interfaces import AnyTransportArgs
from ..documents.request import GraphQLRequest, OperationKind
from ..exceptions import TransportConnectionFailed, TransportError
from ..json import MsgspecJSON
from ..local.variables import plain_variables
from ..net.options import seconds
from ..results.result import ExecutionResult
from .answers import Answers, errors_of, resolve, transport_error
from .sinks import FeedSink, LastResult, Sink

__all__ = ["Stub", "StubCall"]

#: What an operation is answered with: see ``Stub``.
Answer: TypeAlias = Any

#: What can be iterated, and is no stream of events.
_NO_EVENTS = (Mapping, ExecutionResult, str, bytes)

#: How many names a message lists.
SHOWN = 20


@dataclass(frozen=True)
class StubCall:
    """An operation that a ``Stub`` was asked for.

    Calls are equal if their names, variables and kinds are.

    Attributes:
        name: The operation's name; ``None`` if it has none.
        variables: The variables by name, as a server would get them, but with each ``FileVar`` in
            its place.
        kind: ``"query"``, ``"mutation"`` or ``"subscription"``.
        request: The request itself.
        transport_args: The call's ``transport_args``, or ``None``.
    """

    name: str | None
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    kind: OperationKind = "query"
    request: GraphQLRequest | None = field(default=None, compare=False, repr=False)
    transport_args: AnyTransportArgs = field(default=None, compare=False, repr=False)

    # Variables are a dict.
    __hash__ = None  # type: ignore[assignment]


class Stub:
    """A transport that answers operations by their names, and records the calls.

    ::

        stub = Stub({"Hello": {"hello": "world"}, "Countdown": [{"n": 2}, {"n": 1}]})
        async with Client(stub) as session:
            ...
        assert stub.calls == [StubCall("Hello", {"name": "ada"})]

    The answer to a query or mutation is one of these:

    - The data: a mapping, or anything else that is a JSON object when it is encoded.
    - An ``ExecutionResult``, for data with errors or extensions.
    - A ``graphql.GraphQLError`` or ``TransportQueryError``: the answer then has errors.
    - Another ``TransportError``, which is raised. A ``TimeoutError`` is raised as
      ``TransportTimeout``, another ``OSError`` as ``TransportConnectionFailed``, and any other
      exception as it is.
    - A list of answers, one for each call in turn.
    - A function or async function that is called with the ``StubCall`` and returns one of the
      above, or raises.
    - An async iterator, such as a function that is an async generator, of the states of a result
      that comes in parts, for ``session.execute_incremental``; ``execute`` gets the last one.

    The answer to a subscription is a list or other iterable of events, an async iterator of events,
    or a function that returns one. Each event is data, an ``ExecutionResult`` or a
    ``GraphQLError``. Any other exception ends the subscription; its consumer gets
    ``TransportConnectionFailed`` if that is no ``TransportError``. Each subscription begins the
    list anew. An iterator is closed when the subscription ends. An exception in the place of all
    events refuses the subscription.

    Values are encoded as JSON and decoded again, so that they look the same as over the wire.

    Args:
        answers: The answers by the operations' names; ``None`` as a name is for operations without
            one. ``stub.answers`` is a copy, which may be changed at any time.
        description: The name of the server in messages. Default: ``"the stub"``.
        close_timeout: Seconds that an async iterator may take to close. ``None`` sets no limit.
            Default: 10.

    Raises:
        AssertionError: In the task that asks for an operation without an answer, or for more
            answers than a list has. The message has the nearest name.
        TypeError: If ``answers`` is not a mapping, or, in the task that asks, if an answer is of
            no kind that is listed here. A subscription fails with ``TransportConnectionFailed``
            then, which says so.
        ValueError: If ``close_timeout`` is not more than 0.
    """

    def __init__(
        self,
        answers: Mapping[str | None, Answer] | Mapping[str, Answer],
        *,
        description: str = "the stub",
        close_timeout: float | None = 10,
    ) -> None:
        if not isinstance(answers, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"answers must be a mapping of operations' names, not {type(answers).__name__}"
            )
        self.description = description
        #: The answers by the operations' names.
        self.answers: dict[str | None, Answer] = dict(cast("Mapping[str | None, Answer]", answers))
        #: The calls, the oldest first, with those that had no answer.
        self.calls: list[StubCall] = []
        #: What each attempt to connect fails with; ``None`` lets all succeed.
        self.refuse_with: Exception | None = None
        limit = seconds("close_timeout", close_timeout)
        self._reading = Answers(MsgspecJSON(), description, limit)
        self._given: Counter[str | None] = Counter()
        self._connections: set[_StubConnection] = set()

    def connect(self) -> _StubConnection:
        """Return a connection; entering it raises ``refuse_with``, if that is set."""
        return _StubConnection(self, self._ask, self._reading, self._connections)

    def drop_connections(self, reason: str = "the connection was dropped") -> None:
        """End every open connection, as the loss of a network would.

        What runs on them fails with ``TransportConnectionFailed``. Call this in the event loop of
        the sessions.

        Args:
            reason: What the error says. Default: ``"the connection was dropped"``.
        """
        for connection in list(self._connections):
            connection.drop(reason)

    def _ask(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs
    ) -> tuple[StubCall, Answer]:
        """Record a call, and return it with its answer."""
        name, kind = request.operation
        variables = plain_variables(request, self._reading.json)
        call = StubCall(name, variables, kind, request, transport_args)
        self.calls.append(call)
        return call, self._answer_to(call)

    def _answer_to(self, call: StubCall) -> Answer:
        """Return the answer to a call; raise ``AssertionError`` if there is none."""
        if call.name not in self.answers:
            raise AssertionError(self._unknown(call))
        answer = self.answers[call.name]
        if call.kind == "subscription" or not isinstance(answer, list | tuple):
            return answer
        given = self._given[call.name]
        if given >= len(answer):  # pyright: ignore[reportUnknownArgumentType]
            raise AssertionError(
                f"{self.description} has {given} answers for {_named(call)}, and this is call "
                f"{given + 1}"
            )
        self._given[call.name] += 1
        return answer[given]  # pyright: ignore[reportUnknownVariableType]

    def _unknown(self, call: StubCall) -> str:
        names = [name for name in self.answers if name is not None]
        message = f"{self.description} has no answer for {_named(call)}"
        if near := get_close_matches(call.name or "", names, n=1, cutoff=0):
            message += f": the nearest name is {near[0]!r}"
            others = sorted(set(names) - {near[0]})
            if others:
                more = ", …" if len(others) > SHOWN else ""
                message += f" (others: {', '.join(map(repr, others[:SHOWN]))}{more})"
        return message

    def __repr__(self) -> str:
        return f"<Stub {self.description}: {len(self.answers)} answers, {len(self.calls)} calls>"


def _named(call: StubCall) -> str:
    return f"the {call.kind} {call.name!r}" if call.name else f"a {call.kind} without a name"


def _failure(error: Exception, description: str) -> TransportError:
    """Return what a subscription fails with, for an error of its events or of their function."""
    failed = transport_error(error, description)
    if isinstance(failed, TransportError):
        return failed
    failed = TransportConnectionFailed(
        f"{description}: {type(error).__name__} kept the subscription from going on: {error}",
        retryable=False,
    )
    failed.__cause__ = error
    return failed


class _StubConnection(IndependentConnection):
    """A connection to a stub. A query runs in its caller, a subscription in a task of its own."""

    def __init__(
        self,
        stub: Stub,
        ask: Callable[[GraphQLRequest, AnyTransportArgs], tuple[StubCall, Answer]],
        reading: Answers,
        connections: set[_StubConnection],
    ) -> None:
        super().__init__(stub)
        self._stub = stub
        self._ask = ask
        self._reading = reading
        self._connections = connections

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        await checkpoint()
        if (refusal := self._stub.refuse_with) is not None:
            error = transport_error(refusal, self._stub.description)
            raise error from error.__cause__
        async with super().__asynccontextmanager__():
            self._connections.add(self)
            try:
                yield self
            finally:
                self._connections.discard(self)

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        """Answer a query or mutation. Canceling cancels the function that answers."""
        if self.fault is not None:
            await self._refuse_unless_canceled()
        call, answer = self._ask(request, transport_args)
        last = LastResult()

        async def work() -> None:
            await checkpoint()
            await self._show_states(answer, call, last)

        await self._run(work)
        if last.result is None:
            raise AssertionError(f"the answer to {_named(call)} is an iterator without a result")
        return last.result

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Answer a query or mutation with each state; the caller must leave the feed."""
        return self._stream(request, delivery, transport_args, self._show_states)

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Answer a subscription; the caller must leave the feed."""
        return self._stream(request, delivery, transport_args, self._show_events)

    def _stream(
        self,
        request: GraphQLRequest,
        delivery: Delivery,
        transport_args: AnyTransportArgs,
        show: Callable[[Answer, StubCall, Sink], Awaitable[None]],
    ) -> RunningFeed:
        if self.fault is not None:
            self._refuse()
        call, answer = self._ask(request, transport_args)

        async def work(stream: RunningStream) -> None:
            await checkpoint()
            try:
                await show(answer, call, FeedSink(stream))
            except Exception as exc:  # noqa: BLE001 - it goes to the consumer
                failed = errors_of(exc)
                if failed is None:
                    error = _failure(exc, self._stub.description)
                    raise error from error.__cause__
                stream.reject(failed.errors or [])

        return self._start(delivery, work)

    async def _show_states(self, answer: Answer, call: StubCall, sink: Sink) -> None:
        """Put the one result, or each state of one that comes in parts, into the sink."""
        try:
            value = await resolve(answer, call)
            if isinstance(value, AsyncIterable):
                await self._reading.iterate(cast("AsyncIterable[Any]", value), sink)
                return
        except Exception as exc:  # noqa: BLE001 - what the function raises is its answer
            value = exc
        sink.next(self._reading.read(value))

    async def _show_events(self, answer: Answer, call: StubCall, sink: Sink) -> None:
        """Put a subscription's events into the sink. An exception in their place is raised."""
        value = await resolve(answer, call)
        if isinstance(value, Exception):
            raise value
        if isinstance(value, _NO_EVENTS) or not isinstance(value, Iterable | AsyncIterable):
            raise TypeError(
                f"the answer to {_named(call)} is a list or an async iterator of events, or a "
                f"function that returns one, not {type(cast('object', value)).__name__}"
            )
        events = cast("Iterable[Any] | AsyncIterable[Any]", value)
        await self._reading.iterate(events, sink)
