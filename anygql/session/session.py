"""A session: it runs operations while its owner keeps it open."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack, overload

from anyio import create_task_group
from anyio.lowlevel import checkpoint

from ..delivery.buffering import Delivery, OnOverflow
from ..delivery.interfaces import (
    AnnotatedArgs,
    AnyTransportArgs,
    Batching,
    Connection,
    Incremental,
    Results,
)
from ..documents.request import GraphQLRequest, OperationKind, Request, as_request
from ..exceptions import TransportError
from ..net.options import NoOptions
from ..results.result import ExecutionResult
from .attempts import Attempts, is_loss
from .events import SessionState
from .hints import check_timeout, refuse_call
from .preparation import Conversions, PreparedRequest
from .supervisor import Supervisor
from .tracebacks import short_tracebacks

if TYPE_CHECKING:
    from graphql import GraphQLSchema
    from typing_extensions import TypeForm

    from ..schema.introspection import IntrospectionOptions
    from .batch import Batcher
    from .interceptors.calls import InterceptedCalls
    from .interceptors.observing import SubscriptionObserver
    from .interceptors.operation import SubscriptionInterceptors
    from .pages import NextPage, Pages
    from .sharing import SharedSubscription
    from .subscription import Subscription

# Modules that only some sessions need are imported on use: this makes the first query faster.

__all__ = ["OnResubscribe", "Session"]

_T = TypeVar("_T")

_Variables: TypeAlias = Mapping[str, Any] | None

#: A function of the subscription and its last item, which may return new variables.
OnResubscribe: TypeAlias = "Callable[[Subscription[Any], Any], Awaitable[_Variables] | _Variables]"


class Session:
    """Runs operations on a connection that its owner keeps open.

    ``Client.connect`` and its like make sessions. Any number of tasks may use one. Every method can
    be canceled at any time: the session stays usable, and the server is told once that the
    operation is over.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        #: The client, if that alone owns the session: it lives as long as the session is used.
        self.owner: object = None
        self._supervisor = supervisor
        self._subscriptions = supervisor.subscriptions
        self._credentials = supervisor.credentials
        self._options = supervisor.options
        self._attempts = Attempts(supervisor)
        self._batcher: Batcher | None = None
        if self._options.batch_interval:
            from .batch import Batcher

            self._batcher = Batcher(
                supervisor, self._options.batch_interval, self._options.batch_max
            )
        # Without interceptors, calls are as they were: not one function call more.
        self._intercepted: InterceptedCalls | None = None
        if (
            self._options.interceptors
            or self._options.attempt_interceptors
            or self._options.auth is not None
        ):
            from .interceptors.calls import InterceptedCalls

            self._intercepted = InterceptedCalls(supervisor, self._execute_once)

    def __repr__(self) -> str:
        return f"<Session of {self._supervisor.description}, {self.state}>"

    @property
    def payloads(self) -> Mapping[str, Any]:
        """The last payloads that came with ``connection_ack``, ``ping`` and ``pong``.

        With a ``SplitTransport``, those of the connection for subscriptions.
        """
        return self._subscriptions.payloads

    @property
    def response_headers(self) -> Mapping[str, str]:
        """The headers of the last WebSocket handshake's response, by lower-case name.

        Empty if there was no handshake. Over HTTP, each result has its own ``headers``. With a
        ``SplitTransport``, those of the connection for subscriptions.
        """
        return self._subscriptions.response_headers

    @property
    def state(self) -> SessionState:
        """``"connecting"``, ``"connected"``, ``"waiting"`` (for an attempt) or ``"closed"``.

        With a ``SplitTransport``, the worse of the two connections' states. A connection that
        nothing has asked for doesn't count.
        """
        return self._supervisor.state

    async def wait_connected(self) -> None:
        """Wait until there is a connection.

        With a ``SplitTransport``, wait until there are both, if there has been a subscription.

        Raises:
            TransportError: When there is none and there will be none; it says why.
        """
        await checkpoint()
        with short_tracebacks:
            await self._supervisor.wait_connected()

    async def wait_closed(self) -> None:
        """Wait until the session is over: it has no connection and will get none."""
        await self._supervisor.wait_closed()

    def reconnect(self) -> None:
        """Drop a connection that is known to be stuck; a permanent session makes another.

        The connection is dropped at once. Operations that wait on it are retried or fail, as after
        any loss. ``wait_connected`` waits for the next connection. A plain session has none, so
        it is over. With a ``SplitTransport``, both connections are dropped.
        """
        self._supervisor.reconnect()

    async def fetch_schema(
        self,
        options: IntrospectionOptions | None = None,
        *,
        timeout: float | EllipsisType | None = ...,
    ) -> GraphQLSchema:
        """Ask the server for its schema (specification §4), for all of the client's sessions.

        Args:
            options: What to ask for. What the server refuses of it is left out. Default: ``None``,
                everything that the server can tell.
            timeout: Seconds for each query, waiting for a connection and retries included,
                ``None`` for no limit. Default: ``...``, the client's ``execute_timeout`` for each
                attempt.

        Returns:
            The schema, by which documents are validated from now on.

        Raises:
            TransportQueryError: When the server doesn't allow introspection.
            TransportProtocolError: When the answer holds no usable schema.
            TransportError: As for ``execute``.
        """
        from ..schema.introspection import Introspection

        introspection = Introspection(options)
        schema: GraphQLSchema | None = None
        with short_tracebacks:
            while schema is None:
                answer = await self._introspect(introspection.request(), timeout)
                schema = introspection.answer(answer)
        self._options.schema.graphql = schema
        return schema

    async def _introspect(
        self, request: GraphQLRequest, timeout: float | EllipsisType | None
    ) -> ExecutionResult:
        # Not validated: there may be no schema yet, or an old one.
        return await self._execute(request, timeout, None, None)

    @overload
    async def execute(
        self,
        request: GraphQLRequest[_T],
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        path: None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> _T: ...

    @overload
    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        path: str | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
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
        path: str | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
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
        path: str | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> _T: ...

    async def execute(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: Any = None,
        path: str | None = None,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> Any:
        """Run a query or mutation, and return its data.

        Canceling tells the server once that the operation is over.

        Args:
            request: A document as text or ``DocumentNode``, a ``GraphQLRequest``, or another
                library's request, with a ``document`` and ``variable_values``.
            variable_values: The variables, by name; values may be anything with a JSON form.
                Default: those of ``request``.
            operation_name: The operation to run, where the document has several. Default: that of
                ``request``.
            extensions: A mapping to send as the request's ``extensions``. Default: that of
                ``request``.
            result_type: The type to make of the data: a dataclass, attrs class, TypedDict, msgspec
                Struct or pydantic model, or a type built of those. Default: ``None``: the type that
                ``anygql.dsl`` has built the request of, unless there is a ``path``; otherwise plain
                data.
            path: The response keys, with dots between them, that lead to the data to return:
                ``"orders.nodes"``. Null at its end is ``None``, if the type allows that; a null
                before its end, or a missing key, raises ``ResultTypeError``. Default: ``None``,
                the whole data.
            timeout: Seconds for all of the call, waiting for a connection and retries included,
                ``None`` for no limit. Default: ``...``, the client's ``execute_timeout`` for each
                attempt.
            retry_mutations: Whether a mutation that may have reached the server is sent again by a
                permanent session. Default: ``None``, as the session was opened.
            serialize_variables: As for ``Client``, for this call. Default: ``None``, the client's.
            parse_results: As for ``Client``, for this call. Default: ``None``, the client's.
            camel_case: As for ``Client``, for this call. Default: ``None``, the client's.
            transport_args: Arguments for the transport alone. ``HTTPTransport`` takes ``headers``,
                ``params``, ``cookies``, ``auth``, ``timeout``, ``follow_redirects`` and
                ``extensions`` as httpx does, and ``progress`` for uploads. Default: ``None``.

        Returns:
            The answer's data, or a value of ``result_type``.

        Raises:
            TransportQueryError: When the answer has errors.
            TransportTimeout: When no answer came in time (a ``TimeoutError`` too).
            TransportError: When the connection failed, or could not be made.
            ResultTypeError: When the data don't fit ``result_type``.
            GraphQLSyntaxError: Before sending, when the document doesn't parse.
            GraphQLValidationError: Before sending, when the document doesn't fit the schema.
            ValueError: Before sending, when it isn't clear which operation to run, the operation is
                a subscription, the schema refuses a variable, or the document doesn't select
                ``path``.
            TypeError: Before sending, when a variable has no JSON form, or no data can be read as
                ``result_type``.
        """
        if mistaken:
            refuse_call(self.execute, mistaken)
        request = as_request(request, variable_values, operation_name, extensions)
        result_type, path, camel_case = request.typed_options(result_type, path, camel_case)
        options = self._options.conversions.override(serialize_variables, parse_results, camel_case)
        prepared = options.prepare(
            request,
            self._options.schema.current,
            result_type,
            path,
            server=self._server,
        )
        with short_tracebacks:
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
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> ExecutionResult:
        """Run a query or mutation, and return its whole result, with or without errors.

        Arguments and errors are those of ``execute``, but for ``TransportQueryError``. The data are
        as they came, even if the request was built with a type: with errors, they need not fit it.
        """
        if mistaken:
            refuse_call(self.execute_result, mistaken)
        request = as_request(request, variable_values, operation_name, extensions)
        options = self._conversions(request, serialize_variables, parse_results)
        prepared = options.prepare(request, self._options.schema.current)
        with short_tracebacks:
            result = await self._execute(prepared.request, timeout, retry_mutations, transport_args)
            return prepared.parse_result(result)

    async def _execute(
        self,
        request: GraphQLRequest,
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
        transport_args: AnyTransportArgs = None,
    ) -> ExecutionResult:
        """Run a query or mutation, as often as the retry policy allows."""
        check_timeout(timeout)
        name, kind = _single_result_operation(request)
        if self._intercepted is not None:
            return await self._intercepted.run(request, timeout, retry_mutations, transport_args)
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
        request: GraphQLRequest[_T],
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        path: None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> Subscription[_T]: ...

    @overload
    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        path: str | None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
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
        path: str | None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
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
        path: str | None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> Subscription[_T]: ...

    def subscribe(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: Any = None,
        path: str | None = None,
        buffer_size: int = 1024,
        on_overflow: OnOverflow = "pause",
        stall_timeout: float | None = 10,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> Subscription[Any]:
        """Subscribe to the data of each result of a subscription.

        The subscription begins when it is entered, or first asked for a result. On a permanent
        session it goes on after a loss, and ``subscription.reconnects`` counts the gaps. A result
        with errors raises ``TransportQueryError``, and one that doesn't fit ``result_type`` raises
        ``ResultTypeError``; the subscription goes on after either.

        Args:
            request: A document as text or ``DocumentNode``, a ``GraphQLRequest``, or another
                library's request, with a ``document`` and ``variable_values``.
            variable_values: The variables, by name; values may be anything with a JSON form.
                Default: those of ``request``.
            operation_name: The operation to run, where the document has several. Default: that of
                ``request``.
            extensions: A mapping to send as the request's ``extensions``. Default: that of
                ``request``.
            result_type: The type to make of the data: a dataclass, attrs class, TypedDict, msgspec
                Struct or pydantic model, or a type built of those. Default: ``None``: the type that
                ``anygql.dsl`` has built the request of, unless there is a ``path``; otherwise plain
                data.
            path: The response keys, with dots between them, that lead to the data to return:
                ``"orders.nodes"``. Null at its end is ``None``, if the type allows that; a null
                before its end, or a missing key, raises ``ResultTypeError``. Default: ``None``,
                the whole data.
            buffer_size: Number of results that may wait for their consumer. Default: 1024.
            on_overflow: What happens when more results wait. ``"pause"`` stops reading from the
                server, unless somebody on the connection waits for something; then up to 64 times
                ``buffer_size`` results are kept. ``"error"`` ends the subscription with
                ``SubscriptionOverflow``. ``"drop_oldest"`` keeps the newest results, and counts the
                others in ``subscription.dropped``. Default: ``"pause"``.
            stall_timeout: Seconds that a consumer at the limit of ``"pause"`` may take nothing
                before its subscription ends with ``SubscriptionOverflow``, or ``None`` for no
                limit. If an ``execute`` waits, the subscription ends there at once. Default: 10.
            on_resubscribe: A function or async function that is called before the subscription is
                sent again, with the subscription and its last data (``None`` if there were none).
                It may query what was missed, and return new variables. The object that it is given
                does not keep the subscription running: leaving or dropping that cancels the
                function. If it raises an error that may be retried, it is called again; any other
                ends the subscription. Default: ``None``.
            serialize_variables: As for ``Client``, for this call. Default: ``None``, the client's.
            parse_results: As for ``Client``, for this call. Default: ``None``, the client's.
            camel_case: As for ``Client``, for this call. Default: ``None``, the client's.
            transport_args: Arguments for the transport alone. ``HTTPTransport`` takes ``headers``,
                ``params``, ``cookies``, ``auth``, ``timeout``, ``follow_redirects`` and
                ``extensions`` as httpx does, and ``progress`` for uploads. Default: ``None``.

        Returns:
            A subscription, to be entered with ``async with``.

        Raises:
            ValueError, TypeError, GraphQLSyntaxError: When the request or an option is wrong, as
                for ``execute``; nothing was sent then.
        """
        if mistaken:
            refuse_call(self.subscribe, mistaken)
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        result_type, path, camel_case = request.typed_options(result_type, path, camel_case)
        options = self._options.conversions.override(serialize_variables, parse_results, camel_case)
        prepared = options.prepare(
            request,
            self._options.schema.current,
            result_type,
            path,
            may_drop=on_overflow == "drop_oldest",
            server=self._subscriptions_server,
        )
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
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> Subscription[ExecutionResult]:
        """Subscribe to each whole result of a subscription, with or without errors.

        Arguments and errors are those of ``subscribe``, but for ``TransportQueryError``. The data
        are as they came, as those of ``execute_result``. ``on_resubscribe`` gets the last
        ``ExecutionResult``.
        """
        if mistaken:
            refuse_call(self.subscribe_results, mistaken)
        delivery = Delivery(buffer_size, on_overflow, stall_timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        options = self._conversions(request, serialize_variables, parse_results)
        prepared = options.prepare(request, self._options.schema.current)
        return self._subscription(
            prepared,
            delivery,
            prepared.parse_result,
            prepared.best_effort_result,
            on_resubscribe,
            transport_args,
        )

    @overload
    def share(
        self,
        request: GraphQLRequest[_T],
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        path: None = None,
        linger: float | None = 0,
        replay: int = 0,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> SharedSubscription[_T]: ...

    @overload
    def share(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        path: str | None = None,
        linger: float | None = 0,
        replay: int = 0,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> SharedSubscription[Any]: ...

    @overload
    def share(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: type[_T],
        path: str | None = None,
        linger: float | None = 0,
        replay: int = 0,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> SharedSubscription[_T]: ...

    @overload
    def share(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: TypeForm[_T],
        path: str | None = None,
        linger: float | None = 0,
        replay: int = 0,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> SharedSubscription[_T]: ...

    def share(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: Any = None,
        path: str | None = None,
        linger: float | None = 0,
        replay: int = 0,
        on_resubscribe: OnResubscribe | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> SharedSubscription[Any]:
        """Share one subscription among many listeners.

        The server sees one subscription, which begins with the first listener. Each listener has
        its own buffer and overflow rule. A result with errors raises ``TransportQueryError`` to
        each listener, and one that doesn't fit ``result_type`` raises ``ResultTypeError``; the
        subscription goes on after either.

        Args:
            request: As for ``subscribe``.
            variable_values: The variables, by name. Default: those of ``request``.
            operation_name: The operation to run, where the document has several. Default: that of
                ``request``.
            extensions: A mapping to send as the request's ``extensions``. Default: that of
                ``request``.
            result_type: As for ``subscribe``. A result is converted once, and all listeners get
                the same object. Default: ``None``.
            path: As for ``subscribe``. Default: ``None``, the whole data.
            linger: Seconds that the subscription goes on after its last listener, ``None`` for as
                long as the block. Default: 0.
            replay: 1 gives each new listener the newest item first, if there is one, and 0 none.
                Default: 0.
            on_resubscribe: As for ``subscribe``. It is called once for all listeners. Default:
                ``None``.
            serialize_variables: As for ``Client``, for this call. Default: ``None``, the client's.
            parse_results: As for ``Client``, for this call. Default: ``None``, the client's.
            camel_case: As for ``Client``, for this call. Default: ``None``, the client's.
            transport_args: Arguments for the transport alone, as for ``execute``. Default:
                ``None``.

        Returns:
            The shared subscription, to be entered with ``async with``; ``listen`` in its block.

        Raises:
            ValueError, TypeError, GraphQLSyntaxError: When the request or an option is wrong, as
                for ``execute``; nothing was sent then.
        """
        if mistaken:
            refuse_call(self.share, mistaken)
        from .sharing import SharedSubscription

        request = as_request(request, variable_values, operation_name, extensions)
        result_type, path, camel_case = request.typed_options(result_type, path, camel_case)
        options = self._options.conversions.override(serialize_variables, parse_results, camel_case)
        schema, server = self._options.schema.current, self._subscriptions_server
        prepared = options.prepare(request, schema, result_type, path, server=server)
        observer = self._options.observer
        return SharedSubscription(
            lambda delivery: self._subscription(
                prepared,
                delivery,
                prepared.read_data,
                prepared.best_effort_data,
                on_resubscribe,
                transport_args,
            ),
            prepared.read_data,
            self._label(prepared.request, self._subscriptions),
            linger=linger,
            replay=replay,
            observe=None if observer is None else observer.listener,
        )

    @overload
    def pages(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        path: str,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: None = None,
        cursor: str | None = None,
        backwards: bool = False,
        next_page: NextPage | None = None,
        prefetch: int = 1,
        timeout: float | EllipsisType | None = ...,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> Pages[Any]: ...

    @overload
    def pages(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        path: str,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: type[_T],
        cursor: str | None = None,
        backwards: bool = False,
        next_page: NextPage | None = None,
        prefetch: int = 1,
        timeout: float | EllipsisType | None = ...,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> Pages[_T]: ...

    @overload
    def pages(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        path: str,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: TypeForm[_T],
        cursor: str | None = None,
        backwards: bool = False,
        next_page: NextPage | None = None,
        prefetch: int = 1,
        timeout: float | EllipsisType | None = ...,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> Pages[_T]: ...

    def pages(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        path: str,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        result_type: Any = None,
        cursor: str | None = None,
        backwards: bool = False,
        next_page: NextPage | None = None,
        prefetch: int = 1,
        timeout: float | EllipsisType | None = ...,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> Pages[Any]:
        """Read a list that the server gives in pages, node after node.

        A page is asked for as ``execute`` does it, with its retries, when the nodes of the page
        before are being consumed. Pages are connections (GraphQL Cursor Connections Specification),
        or any others that ``next_page`` steps through. Canceling loses no node.

        Args:
            request: A document as text or ``DocumentNode``, or a ``GraphQLRequest``.
            variable_values: The variables of the first page, by name. Default: those of
                ``request``.
            path: The response keys, with dots between them, that lead to the connection, which has
                ``nodes`` or ``edges { node }``; with ``next_page``, to a connection or a list.
            operation_name: The operation to run, where the document has several. Default: that of
                ``request``.
            extensions: A mapping to send as the request's ``extensions``. Default: that of
                ``request``.
            result_type: The type to make of each node. Default: ``None``, plain data.
            cursor: The name of the variable for the cursor. Default: ``None``, that of ``after``,
                ``endCursor`` and ``cursor`` which the operation declares; backwards, of ``before``,
                ``startCursor`` and ``cursor``.
            backwards: Whether to go from the last node to the first. Default: ``False``.
            next_page: A function from a page's data to the variables to change for the next page,
                or ``None`` after the last page. Default: ``None``, by ``pageInfo``.
            prefetch: Number of pages to ask for before they are needed. 0 asks for each page when
                it is needed, in the task that needs it. Default: 1.
            timeout: As for ``execute``, for each page. Default: ``...``.
            serialize_variables: As for ``Client``, for this call. Default: ``None``, the client's.
            parse_results: As for ``Client``, for this call. Default: ``None``, the client's.
            camel_case: As for ``Client``, for this call. Default: ``None``, the client's.
            transport_args: Arguments for the transport alone, as for ``execute``. Default:
                ``None``.

        Returns:
            The pages, to be entered with ``async with`` and iterated with ``async for``.

        Raises:
            ValueError, TypeError, GraphQLSyntaxError: When the request or an option is wrong, as
                for ``execute``, or the document can't be read in pages; nothing was sent then.
        """
        if mistaken:
            refuse_call(self.pages, mistaken)
        from .pages import PageReader, Pages

        check_timeout(timeout)
        request = as_request(request, variable_values, operation_name, extensions)
        _single_result_operation(request)
        options = self._conversions(request, serialize_variables, parse_results, camel_case)
        reader: PageReader[Any] = PageReader(
            request,
            path,
            options,
            self._options.schema.current,
            result_type=result_type,
            cursor=cursor,
            backwards=backwards,
            next_page=next_page,
        )
        return Pages(
            reader, lambda each: self._execute(each, timeout, None, transport_args), prefetch
        )

    def execute_incremental(
        self,
        request: Request,
        variable_values: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        path: str | None = None,
        buffer_size: int = 1024,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> Subscription[Any]:
        """Run a query or mutation with ``@defer`` or ``@stream``, and give its data as they grow.

        The last state is the whole, as ``execute`` returns it, but always as plain data: no type
        fits what is not whole. States share what they have in common, so don't change them. A state
        with errors raises ``TransportQueryError``, which has its data. An answer that comes at once
        is one state.

        The operation ends when the subscription is left, or after its last state. It is not
        retried.

        Args:
            request: A document as text or ``DocumentNode``, or a ``GraphQLRequest``.
            variable_values: The variables, by name; values may be anything with a JSON form.
                Default: those of ``request``.
            operation_name: The operation to run, where the document has several. Default: that of
                ``request``.
            extensions: A mapping to send as the request's ``extensions``. Default: that of
                ``request``.
            path: The response keys, with dots between them, that lead to the data to give, such as
                ``"viewer.feed"``. A state that doesn't reach the end of it yet is ``None``.
                Default: ``None``, the whole data.
            buffer_size: Number of states that may wait for their consumer before reading from the
                server stops. Default: 1024.
            serialize_variables: As for ``Client``, for this call. Default: ``None``, the client's.
            parse_results: As for ``Client``, for this call. Default: ``None``, the client's.
            transport_args: Arguments for the transport alone. ``HTTPTransport`` takes ``headers``,
                ``params``, ``cookies``, ``auth``, ``timeout``, ``follow_redirects`` and
                ``extensions`` as httpx does, and ``progress`` for uploads. Default: ``None``.

        Returns:
            A subscription to the states, to be entered with ``async with``.

        Raises:
            ValueError, TypeError, GraphQLSyntaxError: When the request is wrong, as for
                ``execute``. On entering, ``TypeError`` when the transport has no incremental
                delivery.
        """
        if mistaken:
            refuse_call(self.execute_incremental, mistaken)
        delivery = Delivery(buffer_size)
        request = as_request(request, variable_values, operation_name, extensions)
        _single_result_operation(request)
        options = self._conversions(request, serialize_variables, parse_results)
        prepared = options.prepare(
            request, self._options.schema.current, path=path, is_partial=True
        )
        observer: SubscriptionObserver | None = None
        if self._options.observer is not None:
            observer = self._options.observer.incremental(request)
        interceptors = self._subscription_interceptors(self._supervisor, observer)
        from .resuming import ready_to_send

        async def start() -> tuple[Connection, Results]:
            while True:
                connection = await self._supervisor.connection(is_call=True)
                if not isinstance(connection, Incremental):
                    raise TypeError(
                        f"{self._supervisor.description}: this transport gives no partial results: "
                        "use execute()"
                    )
                request, args = await ready_to_send(
                    connection, prepared.request, transport_args, interceptors
                )
                if connection.fault is None:  # it may have ended meanwhile
                    return connection, connection.execute_incremental(request, delivery, args)

        async def begin() -> Results:
            await checkpoint()
            credentials = self._supervisor.credentials
            if credentials is None:
                return (await start())[1]
            from .auth.replaying import start_replaying

            return await start_replaying(credentials, prepared.request, start)

        from .subscription import Subscription

        label = self._label(prepared.request, self._supervisor)
        begins = begin if observer is None else partial(observer.begin, begin)
        return Subscription(begins, prepared.read_data, label)

    @overload
    async def execute_batch(
        self,
        requests: Iterable[GraphQLRequest[_T]],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> list[_T]: ...

    @overload
    async def execute_batch(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: AnyTransportArgs = None,
    ) -> list[Any]: ...

    async def execute_batch(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> list[Any]:
        """Run several queries and mutations, and return their data in the same order.

        Over HTTP they travel as one array; other transports run them at the same time. A request
        that was built with a type gives a value of that type, as from ``execute``.

        Args:
            requests: The requests, each as ``execute`` takes it.
            timeout: Seconds for all of the call, waiting for a connection and retries included,
                ``None`` for no limit. Default: ``...``, the client's ``execute_timeout`` for each
                attempt.
            retry_mutations: Whether a mutation that may have reached the server is sent again by a
                permanent session. Default: ``None``, as the session was opened.
            serialize_variables: As for ``Client``, for this call. Default: ``None``, the client's.
            parse_results: As for ``Client``, for this call. Default: ``None``, the client's.
            transport_args: Arguments for the transport alone. ``HTTPTransport`` takes ``headers``,
                ``params``, ``cookies``, ``auth``, ``timeout``, ``follow_redirects`` and
                ``extensions`` as httpx does, and ``progress`` for uploads. Default: ``None``.

        Raises:
            TransportQueryError: For the first answer with errors.
            ResultTypeError: For the first answer whose data don't fit the request's type.
            TransportError, ValueError, TypeError: As for ``execute``, for the first that failed.
        """
        if mistaken:
            refuse_call(self.execute_batch, mistaken)
        with short_tracebacks:
            prepared = self._prepare_batch(
                requests, serialize_variables, parse_results, is_typed=True
            )
            results = await self._execute_batch(prepared, timeout, retry_mutations, transport_args)
            return [each.read_data(result) for each, result in results]

    async def execute_batch_results(
        self,
        requests: Iterable[Request],
        *,
        timeout: float | EllipsisType | None = ...,
        retry_mutations: bool | None = None,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        transport_args: AnyTransportArgs = None,
        **mistaken: Unpack[NoOptions],
    ) -> list[ExecutionResult]:
        """Run several queries and mutations, and return their whole results in the same order.

        Arguments and errors are those of ``execute_batch``, but for ``TransportQueryError``. The
        data are as they came, as those of ``execute_result``.
        """
        if mistaken:
            refuse_call(self.execute_batch_results, mistaken)
        with short_tracebacks:
            prepared = self._prepare_batch(requests, serialize_variables, parse_results)
            results = await self._execute_batch(prepared, timeout, retry_mutations, transport_args)
            return [each.parse_result(result) for each, result in results]

    def _prepare_batch(
        self,
        requests: Iterable[Request],
        serialize_variables: bool | None,
        parse_results: bool | None,
        *,
        is_typed: bool = False,
    ) -> list[PreparedRequest]:
        """Prepare requests, to give values of their types or plain data."""
        prepared: list[PreparedRequest] = []
        for each in requests:
            request = as_request(each)
            options = self._conversions(request, serialize_variables, parse_results)
            type_, path, _ = request.typed_options(None, None, None) if is_typed else (None,) * 3
            schema = self._options.schema.current
            prepared.append(options.prepare(request, schema, type_, path, server=self._server))
        return prepared

    def _conversions(
        self,
        request: GraphQLRequest,
        serialize_variables: bool | None,
        parse_results: bool | None,
        camel_case: bool | None = None,
    ) -> Conversions:
        """Return the conversions for a call whose result has no type: names of variables count."""
        *_, camel_case = request.typed_options(None, None, camel_case)
        return self._options.conversions.override(serialize_variables, parse_results, camel_case)

    async def _execute_batch(
        self,
        prepared: Sequence[PreparedRequest],
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
        transport_args: AnyTransportArgs,
    ) -> list[tuple[PreparedRequest, ExecutionResult]]:
        """Run several queries and mutations, and return each with its result."""
        check_timeout(timeout)
        if not prepared:
            await checkpoint()
            return []
        batch = [each.request for each in prepared]
        kinds = {_single_result_operation(request)[1] for request in batch}
        outcomes: Sequence[ExecutionResult | Exception]
        if self._intercepted is not None:
            outcomes = await self._intercepted.run_batch(
                batch, timeout, retry_mutations, transport_args
            )
        else:
            outcomes = await self._attempts.run(
                "mutation" if "mutation" in kinds else "query",
                f"the batch of {len(batch)}",
                lambda connection: _execute_all(connection, batch, transport_args),
                timeout,
                retry_mutations,
            )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        results = [outcome for outcome in outcomes if isinstance(outcome, ExecutionResult)]
        return list(zip(prepared, results, strict=True))

    async def _execute_once(
        self, connection: Connection, request: GraphQLRequest, args: AnyTransportArgs
    ) -> ExecutionResult:
        """Run a query or mutation on one connection, with others if the client batches."""
        if (
            self._batcher is not None
            and (args is None or (type(args) is AnnotatedArgs and args.given is None))
            and isinstance(connection, Batching)
            # What `refresh` runs must not wait with those who wait for `refresh`.
            and not (self._credentials is not None and self._credentials.is_bypassed)
        ):
            return await self._batcher.execute(connection, request, args)
        return await connection.execute(request, args)

    def _server(self) -> str:
        """Return the server's description, fit for messages."""
        return self._supervisor.description

    def _subscriptions_server(self) -> str:
        """Return the description of the server of subscriptions, fit for messages."""
        return self._subscriptions.description

    def _label(self, request: GraphQLRequest, supervisor: Supervisor) -> str:
        """Return the operation's name, if it has one, and the server, for a subscription's repr."""
        name, server = request.operation[0], supervisor.description
        return f"{name!r} at {server}" if name else server

    def _subscription_interceptors(
        self, supervisor: Supervisor, observer: SubscriptionObserver | None
    ) -> SubscriptionInterceptors | None:
        """Return the interceptors for one subscription, if there are any."""
        interceptors = self._options.subscription_interceptors
        if observer is not None:
            interceptors = (*interceptors, observer.change)
        if not interceptors:
            return None
        from .interceptors.operation import SubscriptionInterceptors

        return SubscriptionInterceptors(interceptors, supervisor.description)

    def _subscription(
        self,
        prepared: PreparedRequest,
        delivery: Delivery,
        convert: Callable[[ExecutionResult], _T],
        last_item: Callable[[ExecutionResult], Any],
        on_resubscribe: OnResubscribe | None,
        transport_args: AnyTransportArgs,
    ) -> Subscription[_T]:
        """Make a subscription: one that resumes, unless the session retries none."""
        from .resuming import Resuming, ready_to_send
        from .subscription import Subscription, borrow

        request, supervisor = prepared.request, self._subscriptions
        label = self._label(request, supervisor)
        observer: SubscriptionObserver | None = None
        if self._options.observer is not None:
            observer = self._options.observer.subscription(request, delivery)
        interceptors = self._subscription_interceptors(supervisor, observer)
        credentials = supervisor.credentials
        if supervisor.retry_subscribe.is_disabled and credentials is None:

            async def begin() -> Results:
                await checkpoint()
                connection = await supervisor.connection(is_call=True)
                sent, args = await ready_to_send(connection, request, transport_args, interceptors)
                results = connection.subscribe(sent, delivery, args)
                if observer is not None:
                    observer.sent(results)
                return results

            begins = begin if observer is None else partial(observer.begin, begin)
            return Subscription(begins, convert, label)

        def resubscribing(last: ExecutionResult | None) -> Any:
            subscription = subscription_ref()
            if on_resubscribe is None or subscription is None:
                return None
            handed, subscription = borrow(subscription), None
            return on_resubscribe(handed, None if last is None else last_item(last))

        if credentials is None:
            subscribe = Resuming
        else:
            from .auth.replaying import Replaying

            subscribe = Replaying
        resuming = subscribe(
            supervisor,
            request,
            delivery,
            resubscribing,
            prepared.with_variables,
            transport_args,
            interceptors,
            observer,
        )
        begins = resuming.begin if observer is None else partial(observer.begin, resuming.begin)
        subscription = Subscription(begins, convert, label)
        # A weak reference: dropping the user's last one must still end the subscription.
        subscription_ref = weakref.ref(subscription)
        return subscription


async def _execute_all(
    connection: Connection, requests: Sequence[GraphQLRequest], args: AnyTransportArgs
) -> Sequence[ExecutionResult | Exception]:
    """Run requests as one batch, or else at the same time; return an error in its place.

    Raises the connection's end, which takes the batch as a whole.
    """
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
    lost = [each for each in results if isinstance(each, TransportError)]
    lost = [error for error in lost if is_loss(connection, error)]
    if lost:
        lost[0].unsent = len(lost) == len(results) and all(error.unsent for error in lost)
        raise lost[0]
    return results


def _single_result_operation(request: GraphQLRequest) -> tuple[str | None, OperationKind]:
    """Return the operation's name and kind. Raise ``ValueError`` for a subscription."""
    name, kind = request.operation
    if kind == "subscription":
        raise ValueError("a subscription has many results: use subscribe()")
    return name, kind
