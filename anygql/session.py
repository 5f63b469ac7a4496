"""A session: what a user runs operations on, while its owner keeps it open."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from types import EllipsisType
from typing import Any, TypeAlias, TypeVar

from anyio import create_task_group, move_on_after
from anyio.lowlevel import checkpoint

from .batch import Batcher
from .exceptions import TransportClosed, TransportError, TransportQueryError, TransportTimeout
from .reconnecting import Supervisor
from .request import GraphQLRequest, OperationKind, Request, as_request
from .result import ExecutionResult, data_or_raise
from .resuming import Resuming
from .states import SessionState
from .subscription import Subscription
from .transports.base import (
    Batching,
    Connection,
    Delivery,
    Incremental,
    OnOverflow,
    Results,
    TransportArgs,
)

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
        self._batcher: Batcher | None = None
        if self._options.batch_interval:
            self._batcher = Batcher(
                supervisor, self._options.batch_interval, self._options.batch_max
            )

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
        transport_args: TransportArgs = None,
    ) -> Any:
        """The data of a query or mutation.

        ``timeout``: seconds for each attempt instead of the client's ``execute_timeout``, ``None``
        for no limit. ``retry_mutations``: whether a reconnecting session may send a mutation again
        that may have reached the server, instead of what the session says. ``transport_args``:
        what goes with this one HTTP request (``headers``, ``params``, ``cookies``, ``auth``,
        ``timeout``, ``follow_redirects``, ``extensions``, as httpx has them).

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
                transport_args=transport_args,
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
        transport_args: TransportArgs = None,
    ) -> ExecutionResult:
        """The whole result of a query or mutation: ``execute`` without ``TransportQueryError``."""
        request = as_request(request, variable_values, operation_name, extensions)
        if request.kind == "subscription":
            raise ValueError("a subscription has many results: use subscribe()")
        name, kind = request.operation
        return await self._retried(
            kind,
            f"the {kind}{f' {name!r}' if name else ''}",
            lambda connection: self._once(connection, request, transport_args),
            timeout,
            retry_mutations,
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
        transport_args: TransportArgs = None,
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
        return self._subscription(
            request, delivery, data_or_raise, _data, on_resubscribe, transport_args
        )

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
        transport_args: TransportArgs = None,
    ) -> Subscription[ExecutionResult]:
        """Each whole result of a subscription: ``subscribe`` without ``TransportQueryError``."""
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        return self._subscription(request, delivery, _whole, _whole, on_resubscribe, transport_args)

    def execute_incremental(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        buffer_size: int = 1024,
        transport_args: TransportArgs = None,
    ) -> Subscription[Any]:
        """The data of a query or mutation with ``@defer`` or ``@stream``, each time it has grown.

        The last is the whole, which is what ``execute`` gives. States share what they have in
        common: they are to be read, not written. A state with errors raises
        ``TransportQueryError``, which has its data. An answer that comes at once is one state.

        It runs until it is left or over, and is not retried. Raises ``TypeError`` where the
        transport can't do this.
        """
        delivery = Delivery(buffer_size)
        request = as_request(request, variable_values, operation_name, extensions)
        if request.kind == "subscription":
            raise ValueError("a subscription has many results: use subscribe()")

        async def begin() -> Results:
            await checkpoint()
            connection = await self._supervisor.connection()
            if not isinstance(connection, Incremental):
                raise TypeError(
                    f"{self._supervisor.description}: this transport gives no partial results: "
                    "use execute(), or HTTPTransport"
                )
            return connection.execute_incremental(request, delivery, transport_args)

        return Subscription(begin, data_or_raise)

    async def execute_batch(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> list[Any]:
        """The data of several queries and mutations, in their order.

        Over HTTP they travel as one array; elsewhere they run at the same time. Raises as
        ``execute`` does, for the first that failed.
        """
        results = await self.execute_batch_results(
            requests,
            timeout=timeout,
            retry_mutations=retry_mutations,
            transport_args=transport_args,
        )
        return [data_or_raise(result) for result in results]

    async def execute_batch_results(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> list[ExecutionResult]:
        """The whole results of a batch: ``execute_batch`` without ``TransportQueryError``."""
        batch = [as_request(request) for request in requests]
        if not batch:
            await checkpoint()
            return []
        kinds = {request.kind for request in batch}
        if "subscription" in kinds:
            raise ValueError("a subscription has many results: use subscribe()")
        outcomes = await self._retried(
            "mutation" if "mutation" in kinds else "query",
            f"the batch of {len(batch)}",
            lambda connection: _together(connection, batch, transport_args),
            timeout,
            retry_mutations,
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, ExecutionResult)]

    async def _once(
        self, connection: Connection, request: GraphQLRequest, args: TransportArgs
    ) -> ExecutionResult:
        if self._batcher is not None and args is None and isinstance(connection, Batching):
            return await self._batcher.execute(connection, request)
        return await connection.execute(request, args)

    async def _retried(
        self,
        kind: OperationKind,
        what: str,
        run: Callable[[Connection], Awaitable[_T]],
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
    ) -> _T:
        """``run`` on a connection, as often as the session's policy has it."""
        limit = self._options.execute_timeout if isinstance(timeout, EllipsisType) else timeout
        retry = self._supervisor.retry_execute
        if retry.never:
            return await self._attempt(run, what, limit)
        if retry_mutations is None:
            retry_mutations = self._options.retry_mutations
        once = kind == "mutation" and not retry_mutations
        return await retry.call(
            lambda: self._attempt(run, what, limit),
            lambda error: self._may_retry(error, once=once),
            sleep=self._supervisor.sleep,
        )

    async def _attempt(
        self, run: Callable[[Connection], Awaitable[_T]], what: str, timeout: float | None
    ) -> _T:
        connection: Connection | None = None
        with move_on_after(timeout):
            connection = await self._supervisor.connection()
            return await run(connection)
        error = TransportTimeout(
            f"{self._supervisor.description}: "
            f"{'no connection' if connection is None else 'no answer'} "
            f"for {what} within {timeout:g} s (execute_timeout)"
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
        transport_args: TransportArgs,
    ) -> Subscription[_T]:
        if self._supervisor.retry_subscribe.never:

            async def begin() -> Results:
                await checkpoint()
                connection = await self._supervisor.connection()
                return connection.subscribe(request, delivery, transport_args)

            return Subscription(begin, convert)

        def ask(last: ExecutionResult | None) -> Any:
            subscription = known()
            if on_resubscribe is None or subscription is None:
                return None
            return on_resubscribe(subscription, None if last is None else item(last))

        resuming = Resuming(self._supervisor, request, delivery, ask, transport_args)
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


async def _together(
    connection: Connection, requests: Sequence[GraphQLRequest], args: TransportArgs
) -> Sequence[ExecutionResult | Exception]:
    if isinstance(connection, Batching):
        return await connection.execute_batch(requests, args)
    results: list[ExecutionResult | Exception] = [ExecutionResult()] * len(requests)

    async def run(index: int, request: GraphQLRequest) -> None:
        try:
            results[index] = await connection.execute(request, args)
        except Exception as exc:  # noqa: BLE001 - raised to the caller
            results[index] = exc

    async with create_task_group() as tg:
        for index, request in enumerate(requests):
            tg.start_soon(run, index, request)
    return results


def _whole(result: ExecutionResult) -> ExecutionResult:
    return result


def _data(result: ExecutionResult) -> Any:
    return result.data
