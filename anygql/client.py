"""The client: which server, and how sessions with it are opened and owned."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from anyio import AsyncContextManagerMixin, Event, create_task_group, get_current_task
from anyio.abc import TaskStatus
from msgspec.structs import replace

from .concurrency.exception_groups import unwrapped
from .delivery.interfaces import Transport
from .net.urls import check_url
from .schema.shared import SharedSchema
from .session.events import SessionEvent
from .session.options import SessionOptions, is_retryable
from .session.preparation import Conversions
from .session.retry import Policy
from .session.session import Session
from .session.supervisor import Supervisor

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from .schema import IntrospectionOptions, SchemaSource

__all__ = ["Client"]


class _TaskGroup(Protocol):
    """What ``connect_async`` needs of an owner: anyio's task group, or trio's nursery."""

    def start(
        self, func: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any
    ) -> Awaitable[Any]: ...


def _transport(given: Transport | str) -> Transport:
    if not isinstance(given, str):
        if not callable(getattr(given, "connect", None)):
            raise TypeError(f"a transport is a Transport or a URL, not {type(given).__name__}")
        return given
    url = check_url(given, ("https", "http", "wss", "ws"))
    # Only one of them is loaded.
    if url.startswith("http"):
        from .http import HTTPTransport

        return HTTPTransport(url)
    from .websocket.transport import WebSocketTransport

    return WebSocketTransport(url)


def _load(source: SchemaSource | None) -> GraphQLSchema | None:
    if source is None:
        return None
    from .schema import load_schema

    return load_schema(source)


def _introspection(wanted: bool | IntrospectionOptions) -> IntrospectionOptions | None:
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


class Client:
    """A GraphQL server to have sessions with.

    ``transport`` is a transport, or a URL: ``http(s)://`` for HTTP, ``ws(s)://`` for WebSocket.
    ``execute_timeout``: seconds for each attempt to ``execute``, ``None`` for no limit.
    ``on_event``: called with each ``SessionEvent`` of each session. ``is_retryable``: whether an
    attempt may succeed after an error, instead of the default (``error.retryable``).
    ``batch_interval``: over HTTP, calls of ``execute`` made within so many seconds travel as one
    request, of ``batch_max`` at most; 0 sends each by itself.

    ``schema``: the server's, as a ``GraphQLSchema``, SDL text or an introspection result; with
    ``fetch_schema`` (``True``, or ``IntrospectionOptions``) the first session asks for it. With a
    schema, documents are validated before they are sent. ``serialize_variables``: custom scalars
    and enums may be Python values in variables; ``parse_results``: they become those in results.
    ``camel_case``: a ``result_type``'s ``first_name`` is GraphQL's ``firstName``.

    Every session is a connection of its own, so one client may have many at the same time::

        async with client as session: ...
        async with client.connect(reconnecting=True) as session: ...
        session = await client.connect_async(task_group, reconnecting=True)
    """

    def __init__(
        self,
        transport: Transport | str,
        *,
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
    ) -> None:
        self.transport = _transport(transport)
        self._schema = SharedSchema(_load(schema))
        self._options = SessionOptions(
            execute_timeout=execute_timeout,
            on_event=on_event,
            is_retryable=is_retryable,
            batch_interval=batch_interval,
            batch_max=batch_max,
            conversions=Conversions(serialize_variables, parse_results, camel_case),
            schema=self._schema,
            fetch_schema=_introspection(fetch_schema),
        )
        # Contexts entered by `async with client`, by task: each task leaves its own.
        self._entered: dict[int, list[AbstractAsyncContextManager[Session]]] = {}
        self._hosted: list[_Hosted] = []

    @property
    def schema(self) -> GraphQLSchema | None:
        """The schema that documents are validated against; ``None`` if there is none (yet).

        May be set, to whatever ``schema=`` takes: it then holds for all sessions.
        """
        return self._schema.graphql

    @schema.setter
    def schema(self, schema: SchemaSource | None) -> None:
        self._schema.graphql = _load(schema)

    def connect(
        self,
        *,
        reconnecting: bool = False,
        retry_connect: Policy = True,
        retry_execute: Policy = True,
        retry_subscribe: Policy = True,
        retry_mutations: bool = False,
        lazy: bool = False,
        idle_timeout: float | None = None,
    ) -> AbstractAsyncContextManager[Session]:
        """A session of its own: entering connects, leaving closes.

        A plain session has one connection: it fails fast, at connect and after a loss. With
        ``reconnecting=True`` it comes back by itself, by three policies, each ``True`` (the
        default), ``False`` (never), a ``tenacity.AsyncRetrying`` or a decorator such as
        ``tenacity.retry(…)``:

        - ``retry_connect``: for ever, at random intervals growing to 60 s;
        - ``retry_execute``: five attempts after faults of the transport; of mutations only those
          that certainly never left, unless ``retry_mutations``;
        - ``retry_subscribe``: subscriptions are sent again on each new connection.

        When ``retry_connect`` gives up, or the server refuses for good (``is_retryable``), the
        last error is raised: by ``connect`` itself, or later by every waiting call and out of the
        ``async with``.

        ``lazy``: connect at the first operation, and close after ``idle_timeout`` seconds without
        any. Cancelled while connecting, it leaves nothing behind.
        """
        return _Connect(
            self.transport,
            replace(
                self._options,
                reconnecting=reconnecting,
                retry_connect=retry_connect,
                retry_execute=retry_execute,
                retry_subscribe=retry_subscribe,
                retry_mutations=retry_mutations,
                lazy=lazy,
                idle_timeout=idle_timeout,
            ),
        )

    async def __aenter__(self) -> Session:
        """``connect()``, entered."""
        context = self.connect()
        session = await context.__aenter__()
        self._entered.setdefault(get_current_task().id, []).append(context)
        return session

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        task = get_current_task().id
        contexts = self._entered.get(task)
        if contexts is None:
            raise RuntimeError("a session must be left in the task that entered it")
        context = contexts.pop()
        if not contexts:
            del self._entered[task]
        return await context.__aexit__(exc_type, exc_value, traceback)

    async def connect_async(
        self,
        task_group: _TaskGroup,
        *,
        reconnecting: bool = False,
        retry_connect: Policy = True,
        retry_execute: Policy = True,
        retry_subscribe: Policy = True,
        retry_mutations: bool = False,
        lazy: bool = False,
        idle_timeout: float | None = None,
    ) -> Session:
        """``connect`` for an owner that can't hold an ``async with`` open.

        The session lives in ``task_group`` (anyio's, or a trio nursery) until ``close_async``, or
        until the group ends. Raises, and can be cancelled, as ``connect`` does; what ends a
        reconnecting session later is raised in ``task_group``.
        """
        if not callable(getattr(task_group, "start", None)):
            raise TypeError(
                "connect_async needs an anyio task group or a trio nursery, "
                f"not {type(task_group).__module__}.{type(task_group).__name__}"
            )
        context = self.connect(
            reconnecting=reconnecting,
            retry_connect=retry_connect,
            retry_execute=retry_execute,
            retry_subscribe=retry_subscribe,
            retry_mutations=retry_mutations,
            lazy=lazy,
            idle_timeout=idle_timeout,
        )
        session: Session = await task_group.start(self._host, context)
        return session

    async def close_async(self) -> None:
        """Close every session that ``connect_async`` opened, and wait until they are closed.

        Cancelled, it has still asked them to close.
        """
        hosted = list(self._hosted)
        for host in hosted:
            host.close.set()
        for host in hosted:
            await host.closed.wait()

    async def _host(
        self, context: AbstractAsyncContextManager[Session], *, task_status: TaskStatus[Session]
    ) -> None:
        host = _Hosted()
        try:
            async with context as session:
                self._hosted.append(host)
                task_status.started(session)
                await host.close.wait()
        finally:
            host.closed.set()
            if host in self._hosted:
                self._hosted.remove(host)


class _Hosted:
    """A session that a task of `connect_async` holds open."""

    def __init__(self) -> None:
        self.close = Event()
        self.closed = Event()


class _Connect(AsyncContextManagerMixin):
    def __init__(self, transport: Transport, options: SessionOptions) -> None:
        self._supervisor = Supervisor(transport, options)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Session]:
        supervisor = self._supervisor
        with unwrapped():
            async with create_task_group() as tg:
                await tg.start(supervisor.run, tg.cancel_scope.cancel)
                try:
                    session = Session(supervisor)
                    await _fetch_schema(session, supervisor.options)
                    yield session
                finally:
                    supervisor.close()
        if supervisor.gave_up is not None:
            raise supervisor.gave_up


async def _fetch_schema(session: Session, options: SessionOptions) -> None:
    """Ask for the schema if it is wanted and not known: of the sessions that open, only one."""
    schema = options.schema
    if options.fetch_schema is None or schema.current is not None:
        return
    async with options.fetching.here():
        if schema.current is None:
            await session.fetch_schema(options.fetch_schema)
