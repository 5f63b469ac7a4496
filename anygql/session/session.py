"""A session: what a user runs operations on, while its owner keeps it open."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from anyio import create_task_group
from anyio.lowlevel import checkpoint

from ..delivery.buffering import Delivery, OnOverflow
from ..delivery.interfaces import Batching, Connection, Incremental, Results, TransportArgs
from ..documents.request import GraphQLRequest, OperationKind, Request, as_request
from ..exceptions import TransportServerError
from ..results.result import ExecutionResult, data_or_raise
from .attempts import Attempts
from .events import SessionState
from .preparation import PreparedRequest
from .supervisor import Supervisor

if TYPE_CHECKING:
    from graphql import GraphQLSchema
    from typing_extensions import TypeForm

    from ..schema.introspection import IntrospectionOptions
    from .batch import Batcher
    from .subscription import Subscription

# What only some sessions need is imported where they do: the first query comes sooner.

__all__ = ["OnResubscribe", "Session"]

_T = TypeVar("_T")

_Variables: TypeAlias = Mapping[str, Any] | None

#: Given the subscription and its last item; may return new variables.
OnResubscribe: TypeAlias = "Callable[[Subscription[Any], Any], Awaitable[_Variables] | _Variables]"


class Session:
    """Runs operations. Made by ``Client.connect`` and its like; any task may use it.

    Every method can be cancelled at any time; the session stays usable, and the server is told
    once of what it needn't go on with.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._options = supervisor.options
        self._attempts = Attempts(supervisor)
        self._batcher: Batcher | None = None
        if self._options.batch_interval:
            from .batch import Batcher

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

    def reconnect(self) -> None:
        """Drop a connection that is known to be stuck; a reconnecting session makes another.

        The connection is dropped at once. Operations that wait on it are retried or fail, as
        after any loss. ``wait_connected`` waits for the next connection. A plain session has none:
        it is over.
        """
        self._supervisor.reconnect()

    async def fetch_schema(
        self,
        options: IntrospectionOptions | None = None,
        *,
        timeout: float | EllipsisType | None = ...,
    ) -> GraphQLSchema:
        """Ask the server for its schema (specification §4), and use it in all of the client's
        sessions from now on.

        What the server refuses of ``options`` is left out. ``timeout``: seconds for each attempt
        at each query, as for ``execute``. Raises ``TransportQueryError`` if introspection is not
        allowed, ``TransportProtocolError`` if what comes is no schema, and as ``execute`` does.
        """
        from ..schema.introspection import Introspection

        introspection = Introspection(options)
        schema: GraphQLSchema | None = None
        while schema is None:
            schema = introspection.answer(await self._introspect(introspection.request(), timeout))
        self._options.schema.graphql = schema
        return schema

    async def _introspect(
        self, request: GraphQLRequest, timeout: float | EllipsisType | None
    ) -> ExecutionResult:
        try:
            # Not by a schema: this is how one is come by.
            return await self._execute(request, timeout, None, None)
        except TransportServerError as refused:
            if not refused.errors:
                raise
            return ExecutionResult(None, refused.errors)

    @overload
    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> Any: ...

    @overload
    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: type[_T],
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> _T: ...

    @overload
    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: TypeForm[_T],
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> _T: ...

    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: Any = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> Any:
        """The data of a query or mutation.

        ``timeout``: seconds for each attempt instead of the client's ``execute_timeout``, ``None``
        for no limit. ``retry_mutations``: whether a reconnecting session may send a mutation again
        that may have reached the server, instead of what the session says. ``transport_args``:
        what goes with this one HTTP request (``headers``, ``params``, ``cookies``, ``auth``,
        ``timeout``, ``follow_redirects``, ``extensions``, as httpx has them).

        ``result_type``: what the data are to become: a dataclass, attrs class, TypedDict, msgspec
        Struct or pydantic model. ``serialize_variables``, ``parse_results`` and ``camel_case``
        are the client's, for this call.

        Raises ``TransportQueryError`` if the answer has errors, ``TransportTimeout`` (a
        ``TimeoutError``) if there is none in time, another ``TransportError`` if the connection
        fails, ``ResultTypeError`` if the data are no ``result_type``; and, before anything is
        sent, ``GraphQLSyntaxError``, ``GraphQLValidationError``, another ``ValueError`` (which
        operation? a variable that the schema refuses) or ``TypeError`` (a variable without a JSON
        form, a type that no data can be).
        """
        request = as_request(request, variable_values, operation_name, extensions)
        options = self._options.conversions.override(serialize_variables, parse_results, camel_case)
        prepared = options.prepare(request, self._options.schema.current, result_type)
        result = await self._execute(prepared.request, timeout, retry_mutations, transport_args)
        return prepared.read_data(result)

    async def execute_result(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> ExecutionResult:
        """The whole result of a query or mutation: ``execute`` without ``TransportQueryError``."""
        request = as_request(request, variable_values, operation_name, extensions)
        options = self._options.conversions.override(serialize_variables, parse_results)
        prepared = options.prepare(request, self._options.schema.current)
        result = await self._execute(prepared.request, timeout, retry_mutations, transport_args)
        return prepared.parse_result(result)

    async def _execute(
        self,
        request: GraphQLRequest,
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
        transport_args: TransportArgs = None,
    ) -> ExecutionResult:
        name, kind = _single_result_operation(request)
        return await self._attempts.run(
            kind,
            f"the {kind}{f' {name!r}' if name else ''}",
            lambda connection: self._execute_once(connection, request, transport_args),
            timeout,
            retry_mutations,
        )

    @overload
    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> Subscription[Any]: ...

    @overload
    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: type[_T],
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> Subscription[_T]: ...

    @overload
    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: TypeForm[_T],
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> Subscription[_T]: ...

    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: Any = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
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

        ``result_type``, ``serialize_variables``, ``parse_results`` and ``camel_case``: as for
        ``execute``. What an item can't become is raised for that item; the subscription lives on.

        Raises what is wrong with the request, as ``execute`` does, before anything is sent.
        """
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        options = self._options.conversions.override(serialize_variables, parse_results, camel_case)
        prepared = options.prepare(request, self._options.schema.current, result_type)
        return self._subscription(
            prepared,
            delivery,
            prepared.read_data,
            prepared.best_effort_data,
            on_resubscribe,
            transport_args,
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
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> Subscription[ExecutionResult]:
        """Each whole result of a subscription: ``subscribe`` without ``TransportQueryError``."""
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        options = self._options.conversions.override(serialize_variables, parse_results)
        prepared = options.prepare(request, self._options.schema.current)
        return self._subscription(
            prepared,
            delivery,
            prepared.parse_result,
            prepared.best_effort_result,
            on_resubscribe,
            transport_args,
        )

    def execute_incremental(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        buffer_size: int = 1024,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
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
        _single_result_operation(request)
        options = self._options.conversions.override(serialize_variables, parse_results)
        prepared = options.prepare(request, self._options.schema.current)

        async def begin() -> Results:
            await checkpoint()
            connection = await self._supervisor.connection()
            if not isinstance(connection, Incremental):
                raise TypeError(
                    f"{self._supervisor.description}: this transport gives no partial results: "
                    "use execute()"
                )
            return connection.execute_incremental(prepared.request, delivery, transport_args)

        from .subscription import Subscription

        return Subscription(begin, prepared.read_data)

    async def execute_batch(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
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
            serialize_variables=serialize_variables,
            parse_results=parse_results,
            transport_args=transport_args,
        )
        return [data_or_raise(result) for result in results]

    async def execute_batch_results(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: TransportArgs = None,
    ) -> list[ExecutionResult]:
        """The whole results of a batch: ``execute_batch`` without ``TransportQueryError``."""
        options = self._options.conversions.override(serialize_variables, parse_results)
        schema = self._options.schema.current
        prepared = [options.prepare(as_request(request), schema) for request in requests]
        if not prepared:
            await checkpoint()
            return []
        batch = [each.request for each in prepared]
        kinds = {_single_result_operation(request)[1] for request in batch}
        outcomes = await self._attempts.run(
            "mutation" if "mutation" in kinds else "query",
            f"the batch of {len(batch)}",
            lambda connection: _execute_concurrently(connection, batch, transport_args),
            timeout,
            retry_mutations,
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        results = [outcome for outcome in outcomes if isinstance(outcome, ExecutionResult)]
        return [each.parse_result(result) for each, result in zip(prepared, results, strict=True)]

    async def _execute_once(
        self, connection: Connection, request: GraphQLRequest, args: TransportArgs
    ) -> ExecutionResult:
        if self._batcher is not None and args is None and isinstance(connection, Batching):
            return await self._batcher.execute(connection, request)
        return await connection.execute(request, args)

    def _subscription(
        self,
        prepared: PreparedRequest,
        delivery: Delivery,
        convert: Callable[[ExecutionResult], _T],
        last_item: Callable[[ExecutionResult], Any],
        on_resubscribe: OnResubscribe | None,
        transport_args: TransportArgs,
    ) -> Subscription[_T]:
        from .resuming import Resuming
        from .subscription import Subscription

        request = prepared.request
        if self._supervisor.retry_subscribe.is_disabled:

            async def begin() -> Results:
                await checkpoint()
                connection = await self._supervisor.connection()
                return connection.subscribe(request, delivery, transport_args)

            return Subscription(begin, convert)

        def resubscribing(last: ExecutionResult | None) -> Any:
            subscription = subscription_ref()
            if on_resubscribe is None or subscription is None:
                return None
            return on_resubscribe(subscription, None if last is None else last_item(last))

        resuming = Resuming(
            self._supervisor,
            request,
            delivery,
            resubscribing,
            prepared.with_variables,
            transport_args,
        )
        subscription = Subscription(resuming.begin, convert)
        # Not a strong reference: dropping the last one must still end the subscription.
        subscription_ref = weakref.ref(subscription)
        return subscription


async def _execute_concurrently(
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


def _single_result_operation(request: GraphQLRequest) -> tuple[str | None, OperationKind]:
    name, kind = request.operation
    if kind == "subscription":
        raise ValueError("a subscription has many results: use subscribe()")
    return name, kind
