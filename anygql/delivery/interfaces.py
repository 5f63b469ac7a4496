"""What a session asks of a transport: one attempt at one connection, and no retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..documents.request import GraphQLRequest
from ..exceptions import TransportError
from ..results.result import ExecutionResult
from .arguments import TransportArgs
from .buffering import Delivery

__all__ = [
    "AnnotatedArgs",
    "AnyTransportArgs",
    "Authorized",
    "Authorizing",
    "Batching",
    "Connection",
    "ConnectionResults",
    "Incremental",
    "Results",
    "Transport",
    "authorized",
    "refuse_args",
]

#: What a call tells the transport alone, such as the headers of its HTTP request.
AnyTransportArgs: TypeAlias = TransportArgs | Mapping[str, Any] | None


class AnnotatedArgs(dict[str, Any]):
    """A caller's ``transport_args``, with headers that may differ within one batch.

    They are equal to others if what the callers gave is equal. So operations travel together that
    would without these headers; a batch has those of one of its operations.
    """

    __slots__ = ("given",)

    def __init__(self, transport_args: Mapping[str, Any], given: AnyTransportArgs) -> None:
        super().__init__(transport_args)
        self.given = given

    def __eq__(self, other: object) -> bool:
        return self.given == (other.given if isinstance(other, AnnotatedArgs) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


class Authorized(dict[str, Any]):
    """A caller's ``transport_args``, with the ``authorization`` of one operation.

    A connection's ``authorize`` makes it, to be handed to ``execute`` or ``subscribe`` of the same
    connection. Its ``repr`` shows nothing of it.
    """

    __slots__ = ("authorization",)

    def __init__(self, transport_args: Mapping[str, Any] | None, authorization: Any) -> None:
        super().__init__(transport_args or {})
        self.authorization = authorization

    def __repr__(self) -> str:
        return "<Authorized>"


class Results(Protocol):
    """The results of a running subscription, as its one consumer sees them."""

    @property
    def dropped(self) -> int:
        """How many results ``"drop_oldest"`` has thrown away."""
        ...

    @property
    def reconnects(self) -> int:
        """How many gaps the consumer has crossed."""
        ...

    def receive_nowait(self) -> ExecutionResult | None:
        """Return the next result, or ``None`` if there is none yet.

        Raises ``anyio.EndOfStream`` after the last result, or the ``TransportError`` that ended
        the subscription, after all results that came before.
        """
        ...

    async def wait(self) -> None:
        """Wait until ``receive_nowait`` has a result or an end. Canceling loses nothing."""
        ...

    def leave(self) -> None:
        """Stop. The server is told once, and results that wait are thrown away. Idempotent."""
        ...

    def check_loop(self) -> None:
        """Raise ``RuntimeError`` if another event loop runs here than the connection's."""
        ...

    def abandon(self) -> None:
        """Do what ``leave`` does, from a finalizer: in any thread, whether or not a loop runs."""
        ...


class ConnectionResults(Results, Protocol):
    """The results of a subscription over one connection, for a session that outlives it."""

    #: What to pass on when the subscription is sent again, to go on where this one ended.
    transport_args: AnyTransportArgs
    #: Called if the subscription is lost while its connection goes on.
    on_lost: Callable[[TransportError], None] | None
    #: Called when the server says that the subscription has been started. Some protocols have that.
    on_started: Callable[[], None] | None

    @property
    def fault(self) -> TransportError | None:
        """What ended it: the connection's own fault, if that is what took it."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the connection has ended, and the consumer has taken all that came before."""
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
        """What ended the connection, if it has ended; ``TransportClosed`` if we closed it."""
        ...

    @property
    def idle_since(self) -> float | None:
        """When the last operation ended, on the loop's clock; ``None`` while one runs."""
        ...

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        """Run one query or mutation. Canceling tells the server once.

        Raises ``TypeError`` for ``transport_args`` that this transport doesn't know.
        """
        ...

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> ConnectionResults:
        """Start a subscription. Raises what keeps the request from being sent."""
        ...

    async def wait_closed(self) -> None:
        """Wait until ``fault`` is set."""
        ...

    def drop(self, why: str) -> None:
        """Give the connection up: its calls and subscriptions get ``TransportConnectionFailed``."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close. Leaving the connection's context waits for the end of it."""
        ...


@runtime_checkable
class Batching(Connection, Protocol):
    """A connection that can send several requests as one."""

    async def execute_batch(
        self, requests: Sequence[GraphQLRequest], transport_args: AnyTransportArgs = None
    ) -> list[ExecutionResult | TransportError]:
        """Run the requests. What is wrong with one alone stands in the place of its result."""
        ...

    def may_batch(self, request: GraphQLRequest) -> bool:
        """Return whether the request may travel with others. Raises what keeps it from that."""
        ...


@runtime_checkable
class Incremental(Connection, Protocol):
    """A connection that can show a result while its parts come in."""

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> ConnectionResults:
        """Start a query or mutation. Each result is the whole so far."""
        ...


@runtime_checkable
class Authorizing(Protocol):
    """A connection whose subscriptions each need an authorization, which takes time to get."""

    async def authorize(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> AnyTransportArgs:
        """Return the ``transport_args`` to run an operation with. Canceling sends nothing.

        Call it before ``subscribe`` and ``execute_incremental``, each time anew; ``execute`` asks
        by itself.
        """
        ...


async def authorized(
    connection: Connection, request: GraphQLRequest, transport_args: AnyTransportArgs
) -> AnyTransportArgs:
    """Return the ``transport_args`` to subscribe with on this connection."""
    if isinstance(connection, Authorizing):
        return await connection.authorize(request, transport_args)
    return transport_args


class Transport(Protocol):
    """Makes connections, each from nothing."""

    @property
    def description(self) -> str:
        """The server, fit for messages and logs."""
        ...

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Return one attempt: entering connects, leaving closes. Raises ``TransportError``."""
        ...


def refuse_args(args: AnyTransportArgs, transport: str) -> None:
    """Raise ``TypeError`` for any ``transport_args``, of which ``transport`` knows none."""
    if args is not None:
        raise TypeError(
            f"transport_args is for what goes with one HTTP request: {transport} has nothing "
            "like it"
        )
