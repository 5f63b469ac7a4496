"""The client: it names a server, and opens and owns sessions with it."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import signature
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypedDict, TypeVar, Unpack, overload

from anyio import (
    AsyncContextManagerMixin,
    create_task_group,
    get_current_task,
    move_on_after,
)

from .concurrency.exception_groups import unwrapped
from .concurrency.interrupts import uninterruptible
from .delivery.interfaces import AnyTransportArgs, Transport
from .documents.request import Request, as_request
from .exceptions import TransportTimeout
from .net.headers import Headers
from .net.options import NoOptions, Provider, refuse_options
from .net.urls import check_url, is_url
from .schema.shared import SharedSchema
from .session.events import SessionEvent
from .session.hints import check_timeout, refuse_call
from .session.hosting import Hosts, TaskGroupLike
from .session.options import PermanentOptions, SessionOptions
from .session.policy import is_retryable
from .session.preparation import Conversions
from .session.session import Session
from .session.split import SplitTransport
from .session.supervisor import Supervisor
from .session.tracebacks import short_tracebacks

if TYPE_CHECKING:
    from ssl import SSLContext

    from graphql import GraphQLSchema
    from typing_extensions import TypeForm

    from .schema import IntrospectionOptions, SchemaSource
    from .session.auth.refreshing import Refreshing
    from .session.interceptors.operation import Interceptor, SubscriptionInterceptor

_T = TypeVar("_T")

__all__ = ["Client", "ExecuteOptions", "execute"]


def _as_transport(
    given: Transport | str,
    headers: Provider[Headers] | None,
    init_payload: Provider[Mapping[str, Any] | None],
    ssl: SSLContext | None,
    auth: Refreshing[Any] | None = None,
) -> Transport:
    """Return the transport that was given, or make the one for a URL's scheme."""
    if not isinstance(given, str) and not is_url(given):
        options = {"headers": headers, "init_payload": init_payload, "ssl": ssl}
        return _check_transport(given, [name for name in options if options[name] is not None])
    url = check_url(given, ("https", "http", "wss", "ws"))
    if auth is not None:
        from .session.auth.refreshing import with_headers, with_payload

        headers = with_headers(auth, headers)
        if url.startswith("ws"):
            init_payload = with_payload(auth, init_payload)
    # Only the transport that is used gets imported.
    if url.startswith("http"):
        from .http import HTTPTransport

        if init_payload is not None:
            raise TypeError(
                "init_payload goes over WebSocket only: write headers= for an http(s):// URL, or "
                "give a ws(s):// URL"
            )
        return HTTPTransport(url, headers=headers, ssl=ssl)
    from .websocket.transport import WebSocketTransport

    return WebSocketTransport(url, headers=headers, init_payload=init_payload, ssl=ssl)


def _check_transport(given: Transport, options: list[str]) -> Transport:
    """Raise ``TypeError`` for what is no transport, or for options that are not handed to it."""
    kind = type(given).__name__
    if not callable(getattr(given, "connect", None)):
        raise TypeError(f"a transport is a Transport or a URL, not {kind}")
    if options:
        raise TypeError(
            f"{options[0]} goes to the transport that a URL makes: write "
            f"{kind}(…, {options[0]}=…), or give Client a URL"
        )
    return given


def _as_split(
    given: Transport | str,
    subscriptions: Transport | str,
    headers: Provider[Headers] | None,
    init_payload: Provider[Mapping[str, Any] | None],
    ssl: SSLContext | None,
    auth: Refreshing[Any] | None,
) -> SplitTransport:
    """Return both transports as one, each made of its URL, unless it was given."""
    if isinstance(given, SplitTransport):
        raise TypeError(
            "the transport is a SplitTransport, which has its own subscriptions: leave out "
            "subscriptions="
        )
    urls = [str(each).lower() for each in (given, subscriptions) if is_url(each)]
    has_socket = any(url.startswith("ws") for url in urls)

    def make(each: Transport | str) -> Transport:
        if urls and not is_url(each):
            return _as_transport(each, None, None, None)  # the options are for the URL's
        is_socket = str(each).lower().startswith("ws")
        payload = init_payload if is_socket or not has_socket else None
        return _as_transport(each, headers, payload, ssl, auth)

    return SplitTransport(make(given), subscriptions=make(subscriptions))


#: What to write in the place of options that other clients have.
_HINTS = {
    **dict.fromkeys(("url", "endpoint", "uri"), "write the URL as first argument"),
    **dict.fromkeys(
        ("reconnecting", "retry_connect", "retry_execute", "retry_subscribe", "lazy"),
        "it is an option of client.connect(…) and client.connect_async(…)",
    ),
    **dict.fromkeys(
        ("protocol", "connect_timeout", "ack_timeout", "ping_interval", "keep_alive_timeout"),
        "it is an option of the transport: Client(WebSocketTransport(url, …))",
    ),
    **dict.fromkeys(
        ("client", "use_get_for_queries", "persisted_queries", "single_connection"),
        "it is an option of the transport: Client(HTTPTransport(url, …))",
    ),
    **dict.fromkeys(
        ("ws_url", "websocket_url", "subscription_url", "subscriptions_url", "wss_url"),
        "write subscriptions=",
    ),
    **dict.fromkeys(("middleware", "middlewares", "links", "exchanges"), "write interceptors=[…]"),
    "timeout": "write execute_timeout=",
    "fetch_schema_from_transport": "write fetch_schema=True",
    "introspection": "write schema=",
    **dict.fromkeys(
        ("token", "refresh", "credentials"),
        "write auth=Refreshing(…), or headers= and init_payload=",
    ),
    "introspection_args": "write fetch_schema=IntrospectionOptions(…)",
    "type_def": "write schema=",
    "parse_result": "write parse_results=",
}

#: The names of a session for which users look on a client.
_OF_SESSIONS = frozenset(
    {
        "execute",
        "execute_batch",
        "execute_batch_results",
        "execute_incremental",
        "execute_result",
        "pages",
        "payloads",
        "reconnect",
        "state",
        "subscribe",
        "subscribe_results",
        "wait_closed",
        "wait_connected",
    }
)


def _load_schema(source: SchemaSource | None) -> GraphQLSchema | None:
    """Load a schema, if one was given."""
    if source is None:
        return None
    from .schema import load_schema

    return load_schema(source)


def _introspection_options(wanted: bool | IntrospectionOptions) -> IntrospectionOptions | None:
    """Return what to ask the server about its schema, or ``None`` to ask nothing."""
    if wanted is False:
        return None
    from .schema import IntrospectionOptions

    if wanted is True:
        return IntrospectionOptions()
    if not isinstance(wanted, IntrospectionOptions):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"fetch_schema is True, False or IntrospectionOptions, not {type(wanted).__name__}"
        )
    return wanted


def _check_auth(auth: Any) -> None:
    """Raise ``TypeError`` for what is no ``Refreshing``."""
    from .session.auth.refreshing import Refreshing

    if not isinstance(auth, Refreshing):
        raise TypeError(
            f"auth is a Refreshing, not {type(auth).__name__}: other credentials go to headers=, "
            "to init_payload=, or to an HTTP client of your own"
        )


def _check_asked(transport: Transport) -> None:
    """Raise ``ValueError`` for a transport that surely asks credentials for no token."""
    transports = [transport]
    if isinstance(transport, SplitTransport):
        transports = [transport.transport, transport.subscriptions]
    if not any(getattr(each, "asks_anew", True) for each in transports):
        name = type(transports[0]).__name__
        raise ValueError(
            f"nothing asks auth for a token: write {name}(…, headers=auth.headers), or for a "
            "WebSocket init_payload=auth.payload"
        )


def _checked(name: str, interceptors: Sequence[Any]) -> tuple[Any, ...]:
    """Return interceptors as a tuple; their module is imported only if there are any."""
    if interceptors == ():
        return ()
    from .session.interceptors.operation import check_interceptors

    return check_interceptors(name, interceptors)


class Client:
    """A GraphQL server to open sessions with.

    Every session is a connection of its own, so one client may have many at the same time::

        async with client as session: ...
        async with client.connect(reconnecting=True) as session: ...
        session = await client.connect_async(task_group, reconnecting=True)
        session = await client.connect_async(reconnecting=True)  # under asyncio

    A client may be shared by threads that run an event loop each. A session belongs to the loop
    that it was opened in.

    Args:
        transport: A transport, or a URL: ``http(s)://`` makes an ``HTTPTransport``, ``ws(s)://`` a
            ``WebSocketTransport``.
        subscriptions: Another transport or URL, for subscriptions alone: short for a
            ``SplitTransport`` of the two. Default: ``None``, the same for all operations.
        schema: The server's schema: a ``GraphQLSchema``, SDL text or an introspection result. With
            a schema, documents are validated before they are sent. Default: ``None``.
        fetch_schema: Whether the first session asks the server for its schema: ``True``, ``False``,
            or ``IntrospectionOptions`` that say what to ask for. Default: ``False``.
        serialize_variables: Whether variables may hold Python values for custom scalars and enums.
            Needs a schema. Default: ``False``.
        parse_results: Whether custom scalars and enums in results become Python values. Needs a
            schema. Default: ``False``.
        camel_case: Whether the field ``first_name`` of a class, as ``result_type`` or in variables,
            stands for GraphQL's ``firstName``. Default: ``False``.
        execute_timeout: Seconds for each attempt of an ``execute``, ``None`` for no limit. Waiting
            for a connection is no attempt. Default: 10.
        on_event: A function that is called with each ``SessionEvent`` of each session. It must not
            block; what it raises ends the session. Default: ``None``.
        is_retryable: A function from an error to whether another attempt may succeed; it decides
            in place of the session's policy. Default: ``anygql.is_retryable``, which stands for
            that policy (in a permanent session, ``error.retryable`` is what the policy says).
        batch_interval: Seconds for which calls of ``execute`` are collected, to be sent over HTTP
            as one request. Default: 0, each call is sent by itself.
        batch_max: Largest number of calls in such a request. Default: 10.
        interceptors: Async functions of an ``Operation`` and the ``Call`` that sends it, around
            each query and mutation with all its attempts; the outermost first. Default: none.
        attempt_interceptors: The same around each attempt, on its connection. Default: none.
        subscription_interceptors: Functions or async functions of an ``Operation``, which return it
            changed or not, before a subscription is sent, and each time that it is sent again.
            They run for ``execute_incremental``, too. Default: none.
        auth: Credentials that expire, as a ``Refreshing``. A transport that a URL makes sends their
            token. Default: ``None``.
        headers: Headers for each transport that a URL makes, or a function that returns them.
            Default: ``None``.
        init_payload: The payload of ``connection_init`` for each transport that a ``ws(s)://`` URL
            makes, or a function that returns it. Default: ``None``.
        ssl: The TLS context for each transport that a URL makes. Default: ``None``, one that
            verifies the server.

    Raises:
        TransportInvalidURL: When the URL cannot be used.
        ValueError: When a number is out of its range, or the schema is not valid.
        TypeError: When an argument has a wrong type.
    """

    def __init__(
        self,
        transport: Transport | str,
        *,
        subscriptions: Transport | str | None = None,
        schema: SchemaSource | None = None,
        fetch_schema: bool | IntrospectionOptions = False,
        serialize_variables: bool = False,
        parse_results: bool = False,
        camel_case: bool = False,
        execute_timeout: float | None = 10,
        on_event: Callable[[SessionEvent], object] | None = None,
        is_retryable: Callable[[Exception], bool] = is_retryable,
        batch_interval: float = 0,
        batch_max: int = 10,
        interceptors: Sequence[Interceptor] = (),
        attempt_interceptors: Sequence[Interceptor] = (),
        subscription_interceptors: Sequence[SubscriptionInterceptor] = (),
        auth: Refreshing[Any] | None = None,
        headers: Provider[Headers] | None = None,
        init_payload: Provider[Mapping[str, Any] | None] = None,
        ssl: SSLContext | None = None,
        **mistaken: Unpack[NoOptions],
    ) -> None:
        if mistaken:
            refuse_options("Client()", mistaken, _HINTS, signature(type(self)).parameters)
        if auth is not None:
            _check_auth(auth)
        if subscriptions is None:
            self.transport = _as_transport(transport, headers, init_payload, ssl, auth)
        else:
            self.transport = _as_split(transport, subscriptions, headers, init_payload, ssl, auth)
        if auth is not None:
            _check_asked(self.transport)
        self._schema = SharedSchema(_load_schema(schema))
        self._options = SessionOptions(
            execute_timeout=execute_timeout,
            on_event=on_event,
            is_retryable=is_retryable,
            batch_interval=batch_interval,
            batch_max=batch_max,
            interceptors=_checked("interceptors", interceptors),
            attempt_interceptors=_checked("attempt_interceptors", attempt_interceptors),
            subscription_interceptors=_checked(
                "subscription_interceptors", subscription_interceptors
            ),
            auth=auth,
            conversions=Conversions(serialize_variables, parse_results, camel_case),
            schema=self._schema,
            fetch_schema=_introspection_options(fetch_schema),
        )
        # The contexts that `async with client` entered, by task: each task leaves its own.
        self._entered: dict[int, list[AbstractAsyncContextManager[Session]]] = {}
        transport = self.transport
        self._hosts = Hosts(lambda: transport.description)
        self._finalizer: weakref.finalize[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<Client of {self.transport.description}>"

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in _OF_SESSIONS:
                message += (
                    f": a session has it. Write `async with client as session: session.{name}`"
                )
            elif name.removesuffix("_async").removesuffix("_sync") in {*_OF_SESSIONS, "session"}:
                message += ": write `async with client as session:`, and call the session's methods"
            elif name in {"close", "aclose"}:
                message += ": write `async with client as session:`, whose end closes the session"
            raise AttributeError(message, name=name, obj=self)

        def __enter__(self) -> NoReturn:
            raise TypeError(
                "a client is entered with `async with`: `async with client as session:`"
            )

        def __exit__(self, *_args: object) -> None:
            """Do nothing: this is never entered."""

    @property
    def schema(self) -> GraphQLSchema | None:
        """The schema that documents are validated against, or ``None`` while there is none.

        It may be set to anything that ``schema=`` takes, and then holds for all sessions.
        """
        return self._schema.graphql

    @schema.setter
    def schema(self, schema: SchemaSource | None) -> None:
        self._schema.graphql = _load_schema(schema)

    @overload
    def connect(self, *, reconnecting: bool = False) -> AbstractAsyncContextManager[Session]: ...

    @overload
    def connect(
        self, *, reconnecting: Literal[True], **options: Unpack[PermanentOptions]
    ) -> AbstractAsyncContextManager[Session]: ...

    def connect(
        self, *, reconnecting: bool = False, **options: Unpack[PermanentOptions]
    ) -> AbstractAsyncContextManager[Session]:
        """Open a session: entering the context connects, leaving it closes.

        A plain session has one connection. It fails fast, both when it connects and when the
        connection is lost. A permanent session (``reconnecting=True``) comes back by itself,
        following three retry policies. A policy is ``True`` (its default, below), ``False`` (no
        retries), a ``tenacity.AsyncRetrying``, or a decorator such as ``tenacity.retry(…)``.

        Canceling while it connects leaves nothing behind.

        Args:
            reconnecting (bool): Whether the session is permanent. All other options need it.
                Default: ``False``.
            retry_connect (policy): How often to try to connect. Default: ``True``, without end, at
                random intervals that grow to 60 s.
            retry_execute (policy): How often to try an ``execute`` that the transport failed.
                Default: ``True``, five attempts.
            retry_subscribe (policy): How often to try to subscribe again on a new connection.
                Default: ``True``, without end.
            retry_mutations (bool): Whether ``retry_execute`` holds for mutations that may have
                reached the server. Default: ``False``, only for those that certainly were not sent.
            lazy (bool): Whether to connect at the first operation only. Default: ``False``.
            idle_timeout (float or None): Seconds without any operation after which a lazy session
                closes its connection, ``None`` to keep it. Default: ``None``.
            first_connect_timeout (float or None): Seconds for the first acknowledgement of a
                permanent session, after which the last real error is raised; ``None`` for no
                limit. Default: ``None``.

        Raises:
            TypeError: When an option has an unknown name, or is no policy.
            ValueError: When options contradict each other, or a number is out of its range.
            TransportError: On entering, when the session cannot connect: at once for a plain
                session, otherwise when ``retry_connect`` gives up, ``first_connect_timeout`` is
                over, or the server refuses for good (``is_retryable``). When a permanent session
                ends so later, every waiting call raises the last error, and so does leaving the
                ``async with``.
        """
        return _Edge(self._context(reconnecting, options))

    def _context(self, reconnecting: bool, options: PermanentOptions) -> _SessionContext:
        options_of_session = self._options.for_session(reconnecting=reconnecting, **options)
        return _SessionContext(self.transport, options_of_session)

    @uninterruptible
    async def __aenter__(self) -> Session:
        """Open a plain session, as ``connect()`` does."""
        context = self.connect()
        with short_tracebacks:
            session = await context.__aenter__()
        self._entered.setdefault(get_current_task().id, []).append(context)
        return session

    @uninterruptible
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close the session that this task opened last.

        Raises:
            RuntimeError: When this task has opened none.
        """
        task = get_current_task().id
        contexts = self._entered.get(task)
        if contexts is None:
            raise RuntimeError("a session must be left in the task that entered it")
        context = contexts.pop()
        if not contexts:
            del self._entered[task]
        with short_tracebacks:
            return await context.__aexit__(exc_type, exc_value, traceback)

    @overload
    async def connect_async(
        self,
        task_group: TaskGroupLike | None = None,
        *,
        reconnecting: bool = False,
    ) -> Session: ...

    @overload
    async def connect_async(
        self,
        task_group: TaskGroupLike | None = None,
        *,
        reconnecting: Literal[True],
        **options: Unpack[PermanentOptions],
    ) -> Session: ...

    async def connect_async(
        self,
        task_group: TaskGroupLike | None = None,
        *,
        reconnecting: bool = False,
        **options: Unpack[PermanentOptions],
    ) -> Session:
        """Open a session for an owner that cannot hold an ``async with`` open.

        The session lives in ``task_group`` until ``close_async``, or until the group ends. An
        error that ends a permanent session later is raised in ``task_group``.

        Under asyncio no task group is needed. The client owns the session then: any task may close
        it by ``close_async``, and a client that is dropped, with its session, while that is open
        warns with ``ResourceWarning`` and closes it. An error that ends such a session later is
        raised to its calls, and logged if none is waiting.

        Canceling while it connects leaves nothing behind.

        Args:
            task_group: An anyio task group, a trio nursery, or an ``asyncio.TaskGroup``. Default:
                ``None``, under asyncio alone.
            reconnecting: As for ``connect``. Default: ``False``.
            options: The other options of ``connect``.

        Raises:
            TypeError: When ``task_group`` is none of these, or is missing under trio.
            ValueError: As for ``connect``.
            TransportError: When the session cannot connect, as for ``connect``.
            TransportClosed: When ``close_async`` is called while it connects.
        """
        context = self._context(reconnecting, options)
        with short_tracebacks:
            session = await self._hosts.open(context, task_group)
        if task_group is None:
            session.owner = self
            if self._finalizer is None:
                self._finalizer = weakref.finalize(self, self._hosts.abandon)
                self._finalizer.atexit = False
        return session

    async def close_async(self) -> None:
        """Close every session that ``connect_async`` opened, and wait until they are closed.

        A ``connect_async`` that is under way is canceled, and raises ``TransportClosed``. Sessions
        that were opened in another event loop, by another thread, are left to that one's
        ``close_async``.

        If canceled, it has already asked them to close.
        """
        await self._hosts.close()


class _Edge(AbstractAsyncContextManager[Session]):
    """The context that ``connect`` returns: what it raises has no frames of ours."""

    def __init__(self, context: _SessionContext) -> None:
        self._context = context

    @property
    def end_was_told(self) -> bool:
        """Whether a call or subscription was told of the error that ended the session."""
        return self._context.end_was_told

    @uninterruptible
    async def __aenter__(self) -> Session:
        with short_tracebacks:
            return await self._context.__aenter__()

    @uninterruptible
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        with short_tracebacks:
            return await self._context.__aexit__(exc_type, exc_value, traceback)

    def __await__(self) -> NoReturn:
        raise TypeError(
            "connect() opens a session for `async with`: write `async with client.connect(…) as "
            "session`, or `session = await client.connect_async(…)`"
        )


class _SessionContext(AsyncContextManagerMixin):
    """One session, from connecting to closing."""

    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self._transport = transport
        self._options = options
        # Made at once, since it checks the options.
        self._supervisor = _make_supervisor(transport, options)
        self._is_used = False

    @property
    def end_was_told(self) -> bool:
        """Whether a call or subscription was told of the error that ended the session."""
        return self._supervisor.end_was_told

    @asynccontextmanager
    @uninterruptible
    async def __asynccontextmanager__(self) -> AsyncGenerator[Session]:
        if self._is_used:
            self._supervisor = _make_supervisor(self._transport, self._options)
        self._is_used = True
        supervisor = self._supervisor
        try:
            with unwrapped():
                async with create_task_group() as tg:
                    await tg.start(supervisor.run, tg.cancel_scope.cancel)
                    try:
                        # No variable: see `hosting.py` for who must not keep the session.
                        yield await _opened(supervisor)
                    finally:
                        supervisor.close()
        finally:
            if supervisor.options.observer is not None:
                supervisor.options.observer.closed()
        if supervisor.owner_error is not None:
            raise supervisor.owner_error


def _make_supervisor(transport: Transport, options: SessionOptions) -> Supervisor:
    if options.interceptors:
        from .session.interceptors.observing import observed

        options = observed(options, transport)
    if not isinstance(transport, SplitTransport):
        return Supervisor(transport, options)
    from .session.split_supervisor import SplitSupervisor

    return SplitSupervisor(transport, options)


async def _opened(supervisor: Supervisor) -> Session:
    """Return a new session, once it has the schema that is wanted."""
    session = Session(supervisor)
    await _fetch_schema(session, supervisor.options)
    return session


async def _fetch_schema(session: Session, options: SessionOptions) -> None:
    """Ask for the schema if it is wanted and unknown; one session asks, the others wait."""
    schema = options.schema
    if options.fetch_schema is None or schema.current is not None:
        return
    async with options.fetching.here():
        if schema.current is None:
            await session.fetch_schema(options.fetch_schema)


class ExecuteOptions(TypedDict, total=False):
    """The options of ``execute``, which describes each, but for ``result_type``."""

    operation_name: str | None
    extensions: Mapping[str, Any] | None
    path: str | None
    timeout: float | EllipsisType | None
    camel_case: bool | None
    transport_args: AnyTransportArgs
    headers: Provider[Headers] | None
    init_payload: Provider[Mapping[str, Any] | None]
    ssl: SSLContext | None


@overload
async def execute(
    transport: Transport | str,
    request: Request,
    variable_values: Mapping[str, Any] | None = None,
    *,
    result_type: None = None,
    **options: Unpack[ExecuteOptions],
) -> Any: ...


@overload
async def execute(
    transport: Transport | str,
    request: Request,
    variable_values: Mapping[str, Any] | None = None,
    *,
    result_type: type[_T],
    **options: Unpack[ExecuteOptions],
) -> _T: ...


@overload
async def execute(
    transport: Transport | str,
    request: Request,
    variable_values: Mapping[str, Any] | None = None,
    *,
    result_type: TypeForm[_T],
    **options: Unpack[ExecuteOptions],
) -> _T: ...


async def execute(
    transport: Transport | str,
    request: Request,
    variable_values: Mapping[str, Any] | None = None,
    *,
    operation_name: str | None = None,
    extensions: Mapping[str, Any] | None = None,
    result_type: Any = None,
    path: str | None = None,
    timeout: float | EllipsisType | None = ...,
    camel_case: bool | None = None,
    transport_args: AnyTransportArgs = None,
    headers: Provider[Headers] | None = None,
    init_payload: Provider[Mapping[str, Any] | None] = None,
    ssl: SSLContext | None = None,
    **mistaken: Unpack[NoOptions],
) -> Any:
    """Connect, run one query or mutation, close, and return its data.

    A program that asks more than once opens a session: that keeps its connection.

    Canceling tells the server once that the operation is over.

    Args:
        transport: A transport, or a URL, as for ``Client``.
        request: A document as text or ``DocumentNode``, or a ``GraphQLRequest``.
        variable_values: The variables, by name. Default: those of ``request``.
        operation_name: The operation to run, where the document has several. Default: that of
            ``request``.
        extensions: A mapping to send as the request's ``extensions``. Default: that of ``request``.
        result_type: The type to make of the data, as for ``Session.execute``. Default: ``None``,
            plain data.
        path: The response keys, with dots between them, that lead to the data to return. Default:
            ``None``, the whole data.
        timeout: Seconds for all of the call, connecting included, ``None`` for no limit. Default:
            ``...``, the transport's limits for connecting and 10 s for the answer.
        camel_case: As for ``Client``. Default: ``None``, false.
        transport_args: Arguments for the transport alone, as for ``Session.execute``. Default:
            ``None``.
        headers: Headers for the transport that a URL makes, or a function that returns them.
            Default: ``None``.
        init_payload: The payload of ``connection_init`` for the transport that a ``ws(s)://`` URL
            makes, or a function that returns it. Default: ``None``.
        ssl: The TLS context for the transport that a URL makes. Default: ``None``, one that
            verifies the server.

    Returns:
        The answer's data, or a value of ``result_type``.

    Raises:
        TransportTimeout: When no answer came in time (a ``TimeoutError`` too).
        TransportError, ResultTypeError, GraphQLSyntaxError, ValueError, TypeError: As for
            ``Client`` and ``Session.execute``.
    """
    if mistaken:
        refuse_call(execute, mistaken)
    check_timeout(timeout)
    client = Client(transport, headers=headers, init_payload=init_payload, ssl=ssl)
    request = as_request(request, variable_values, operation_name, extensions)
    limit = None if isinstance(timeout, EllipsisType) else timeout
    with short_tracebacks:
        with move_on_after(limit):
            async with client as session:
                return await session.execute(
                    request,
                    result_type=result_type,
                    path=path,
                    timeout=timeout if limit is None else None,
                    camel_case=camel_case,
                    transport_args=transport_args,
                )
        server = client.transport.description
        raise TransportTimeout(f"{server}: no answer within {limit:g} s (timeout)")
