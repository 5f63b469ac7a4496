"""What a session asks of a transport: one attempt at one connection, and no retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..documents.request import GraphQLRequest
from ..exceptions import TransportError
from ..results.result import ExecutionResult
from .buffering import Delivery

__all__ = [
    "Batching",
    "Connection",
    "ConnectionResults",
    "Incremental",
    "Results",
    "Transport",
    "TransportArgs",
    "refuse_args",
]


#: What a call tells the transport alone, such as the headers of its HTTP request.
TransportArgs: TypeAlias = Mapping[str, Any] | None


class Results(Protocol):
    """A running subscription, as its one consumer sees it."""

    @property
    def dropped(self) -> int:
        """How many results ``"drop_oldest"`` has thrown away."""
        ...

    @property
    def reconnects(self) -> int:
        """How many gaps the consumer has crossed."""
        ...

    def receive_nowait(self) -> ExecutionResult | None:
        """The next result, ``None`` if there is none yet.

        Raises ``anyio.EndOfStream`` after the last, or the ``TransportError`` that ended it,
        after all that came before.
        """
        ...

    async def wait(self) -> None:
        """Until ``receive_nowait`` has something to say. Cancelling loses nothing."""
        ...

    def leave(self) -> None:
        """Stop: the server is told once, what waits is thrown away. May be called again."""
        ...

    def abandon(self) -> None:
        """``leave``, from a finaliser: in any thread, at any moment, loop running or not."""
        ...


class ConnectionResults(Results, Protocol):
    """The results of a subscription over one connection, as whoever outlives it sees them."""

    #: What to pass on when it is asked for again, to go on where this one ended.
    transport_args: TransportArgs
    #: Called if it is lost while its connection goes on.
    on_lost: Callable[[TransportError], None] | None

    @property
    def fault(self) -> TransportError | None:
        """What ended it: the connection's own fault if that is what took it."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the connection has ended under it, and all that came before has been taken."""
        ...

    @property
    def last(self) -> ExecutionResult | None:
        """The newest result that has come, whether or not the consumer has taken it."""
        ...


class Connection(Protocol):
    """One open connection."""

    @property
    def payloads(self) -> Mapping[str, Any]:
        """The last payloads that came with ``connection_ack``, ``ping`` and ``pong``."""
        ...

    @property
    def fault(self) -> TransportError | None:
        """What ended it, if it has ended; ``TransportClosed`` if that was ourselves."""
        ...

    async def execute(
        self, request: GraphQLRequest, transport_args: TransportArgs = None
    ) -> ExecutionResult:
        """Run one query or mutation. Cancelling tells the server once.

        ``transport_args``: what only this transport knows; raises ``TypeError`` for what it
        doesn't know.
        """
        ...

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: TransportArgs = None
    ) -> ConnectionResults:
        """Start a subscription; raises what keeps it from being sent."""
        ...

    @property
    def idle_since(self) -> float | None:
        """When its last operation ended, on the loop's clock; ``None`` while one runs."""
        ...

    async def wait_closed(self) -> None:
        """Until ``fault`` is set."""
        ...

    def drop(self, why: str) -> None:
        """Give it up: whoever waits on it gets ``TransportConnectionFailed``."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; leaving the connection's context waits for the end of it."""
        ...


@runtime_checkable
class Batching(Connection, Protocol):
    """A connection that can send several requests as one."""

    async def execute_batch(
        self, requests: Sequence[GraphQLRequest], transport_args: TransportArgs = None
    ) -> list[ExecutionResult | TransportError]:
        """Run them; what is wrong with one alone stands in its place."""
        ...

    def may_batch(self, request: GraphQLRequest) -> bool:
        """Whether it may go with others; raises what keeps it from being sent."""
        ...


@runtime_checkable
class Incremental(Connection, Protocol):
    """A connection that can show a result while it grows."""

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: TransportArgs = None
    ) -> ConnectionResults:
        """Start a query or mutation; each result is the whole so far."""
        ...


class Transport(Protocol):
    """Makes connections, each from nothing."""

    @property
    def description(self) -> str:
        """Which server this is, fit for messages and logs."""
        ...

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """One attempt: entering connects, leaving closes. Raises ``TransportError``."""
        ...


def refuse_args(args: TransportArgs, transport: str) -> None:
    """For a transport that knows none: raises ``TypeError`` if there are any."""
    if args is not None:
        raise TypeError(
            f"transport_args is for what goes with one HTTP request: {transport} has nothing "
            "like it"
        )
