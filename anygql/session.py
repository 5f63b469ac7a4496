"""A session: what a user runs operations on, while its owner keeps it open."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Generator, Mapping
from types import EllipsisType
from typing import Any, TypeAlias, TypeVar

from anyio import move_on_after
from anyio.lowlevel import checkpoint

from .exceptions import TransportClosed, TransportError, TransportQueryError, TransportTimeout
from .reconnecting import Supervisor
from .request import GraphQLRequest, Request, as_request
from .result import ExecutionResult, data_or_raise
from .resuming import Resuming
from .states import SessionState
from .subscription import Subscription
from .transports.base import Connection, Delivery, OnOverflow, Results

__all__ = ["OnResubscribe", "Session"]

_T = TypeVar("_T")

#: Given the subscription and its last item; may return new variables.
OnResubscribe: TypeAlias = Callable[
    [Subscription[Any], Any], Awaitable[Mapping[str, Any] | None] | Mapping[str, Any] | None
]


class Session:
    """Runs operations. Made by ``Client.connect`` and its like; any task may use it.

    Every method can be cancelled at any time; the session stays usable, and the server is told
    once of what it needn't go on with.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._options = supervisor.options

    @property
    def payloads(self) -> Mapping[str, Any]:
        """The last payloads that came with ``connection_ack``, ``ping`` and ``pong``."""
        return self._supervisor.payloads

    @property
    def state(self) -> SessionState:
        """``"connecting"``, ``"connected"``, ``"waiting"`` (for the next) or ``"closed"``."""
        return self._supervisor.state

    async def wait_connected(self) -> None:
        """Until there is a connection; raises why there will be none any more."""
        await checkpoint()
        await self._supervisor.connection()

    async def wait_closed(self) -> None:
        """Until the session has no connection and won't get one."""
        await self._supervisor.wait_closed()

    def reconnect(self) -> Awaitable[None]:
        """Drop a connection that is known to be stuck; a reconnecting session makes another.

        It is dropped at once: operations that wait on it are retried or fail as after any loss.
        What is returned may be awaited, for the next connection, or left alone.
        """
        self._supervisor.reconnect()
        return _Connected(self)

    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
    ) -> Any:
        """The data of a query or mutation.

        ``timeout``: seconds for each attempt instead of the client's ``execute_timeout``, ``None``
        for no limit. ``retry_mutations``: whether a reconnecting session may send a mutation again
        that may have reached the server, instead of what the session says.

        Raises ``TransportQueryError`` if the answer has errors, ``TransportTimeout`` (a
        ``TimeoutError``) if there is none in time, another ``TransportError`` if the connection
        fails; and, before anything is sent, ``GraphQLSyntaxError``, ``ValueError`` (which
        operation?) or ``TypeError`` (a variable without a JSON form).
        """
        return data_or_raise(
            await self.execute_result(
                request,
                variable_values,
                operation_name=operation_name,
                extensions=extensions,
                timeout=timeout,
                retry_mutations=retry_mutations,
            )
        )

    async def execute_result(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
    ) -> ExecutionResult:
        """The whole result of a query or mutation: ``execute`` without ``TransportQueryError``."""
        request = as_request(request, variable_values, operation_name, extensions)
        if request.kind == "subscription":
            raise ValueError("a subscription has many results: use subscribe()")
        if isinstance(timeout, EllipsisType):
            timeout = self._options.execute_timeout
        retry = self._supervisor.retry_execute
        if retry.never:
            return await self._attempt(request, timeout)
        if retry_mutations is None:
            retry_mutations = self._options.retry_mutations
        once = request.kind == "mutation" and not retry_mutations
        return await retry.call(
            lambda: self._attempt(request, timeout),
            lambda error: self._may_retry(error, once=once),
            sleep=self._supervisor.sleep,
        )

    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
    ) -> Subscription[Any]:
        """The data of each result of a subscription.

        ``buffer_size`` results may wait for their consumer. Past that, ``on_overflow``:
        ``"pause"`` stops reading from the server while nobody on the connection is waiting for
        anything (up to 64 times ``buffer_size`` results wait while somebody is; there the
        subscription fails if an ``execute`` is waiting, or its consumer takes nothing for
        ``stall_timeout`` seconds); ``"error"`` fails it at once; ``"drop_oldest"`` keeps the
        newest, and counts the others in ``subscription.dropped``.

        On a reconnecting session it goes on after a loss: ``on_resubscribe`` (a function or async
        function) is then called with the subscription and the last data that came, before it is
        sent again; it may query what was missed, and return new variables. What it raises ends the
        subscription. ``subscription.reconnects`` counts the gaps.

        Raises what is wrong with the request, as ``execute`` does, before anything is sent.
        """
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        return self._subscription(request, delivery, data_or_raise, _data, on_resubscribe)

    def subscribe_results(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
    ) -> Subscription[ExecutionResult]:
        """Each whole result of a subscription: ``subscribe`` without ``TransportQueryError``."""
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        return self._subscription(request, delivery, _whole, _whole, on_resubscribe)

    async def _attempt(self, request: GraphQLRequest, timeout: float | None) -> ExecutionResult:
        connection: Connection | None = None
        with move_on_after(timeout):
            connection = await self._supervisor.connection()
            return await connection.execute(request)
        name, kind = request.operation
        error = TransportTimeout(
            f"{self._supervisor.description}: "
            f"{'no connection' if connection is None else 'no answer'} "
            f"for the {kind}{f' {name!r}' if name else ''} within {timeout:g} s (execute_timeout)"
        )
        error.unsent = connection is None
        # Without a connection, what keeps it away is what the caller wants to know.
        raise error from (self._supervisor.last_error if connection is None else None)

    def _may_retry(self, error: Exception, *, once: bool) -> bool:
        if self._supervisor.fault is not None or not isinstance(error, TransportError):
            return False
        if isinstance(error, TransportQueryError | TransportClosed):
            return False
        return (error.unsent or not once) and self._options.is_retryable(error)

    def _subscription(
        self,
        request: GraphQLRequest,
        delivery: Delivery,
        convert: Callable[[ExecutionResult], _T],
        item: Callable[[ExecutionResult], Any],
        on_resubscribe: OnResubscribe | None,
    ) -> Subscription[_T]:
        if self._supervisor.retry_subscribe.never:

            async def begin() -> Results:
                await checkpoint()
                return (await self._supervisor.connection()).subscribe(request, delivery)

            return Subscription(begin, convert)

        def ask(last: ExecutionResult | None) -> Any:
            subscription = known()
            if on_resubscribe is None or subscription is None:
                return None
            return on_resubscribe(subscription, None if last is None else item(last))

        resuming = Resuming(self._supervisor, request, delivery, ask)
        subscription = Subscription(resuming.begin, convert)
        # Not a strong reference: dropping the last one must still end the subscription.
        known = weakref.ref(subscription)
        return subscription


class _Connected:
    """Awaited, it waits for the session's next connection; it need not be."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __await__(self) -> Generator[Any, Any, None]:
        return self._session.wait_connected().__await__()


def _whole(result: ExecutionResult) -> ExecutionResult:
    return result


def _data(result: ExecutionResult) -> Any:
    return result.data
