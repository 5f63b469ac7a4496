"""A client without ``await``."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ..client import Client as AsyncClient
from ..client import execute as execute_async
from ..session.tracebacks import short_tracebacks
from .hosting import Context, Host
from .portal import Portal
from .refusing import NotAsync
from .session import Session
from .words import without_await

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from ..delivery.interfaces import Transport
    from ..schema import SchemaSource

__all__ = ["Client", "execute"]

_BACKENDS = ("asyncio", "trio")

_BACKEND_DOC = (
    'backend: The event loop of each session\'s thread: ``"asyncio"`` or ``"trio"``. Default:\n'
    '        ``"asyncio"``.'
)


class Client(NotAsync):
    """A GraphQL server to open sessions with, without ``await``.

    Every session is a connection of its own, in a thread of its own::

        with client as session: ...
        with client.connect(reconnecting=True) as session: ...
        session = client.open(reconnecting=True)

    Threads may share a client, and its sessions.
    """

    _instead = "a client of anygql.blocking is entered with `with`, not `async with`"

    def __init__(self, *args: Any, backend: str = "asyncio", **options: Any) -> None:
        if backend not in _BACKENDS:
            raise ValueError(f"backend is one of {', '.join(_BACKENDS)}, not {backend!r}")
        self._twin = AsyncClient(*args, **options)
        self._backend = backend
        # The contexts that `with client` entered, by thread: each thread leaves its own.
        self._entered: dict[int, list[_Connection]] = {}

    def __repr__(self) -> str:
        return repr(self._twin)

    @property
    def transport(self) -> Transport:
        """The transport that connects sessions."""
        return self._twin.transport

    @property
    def schema(self) -> GraphQLSchema | None:
        """The schema that documents are validated against, or ``None`` while there is none.

        It may be set to anything that ``schema=`` takes, and then holds for all sessions.
        """
        return self._twin.schema

    @schema.setter
    def schema(self, schema: SchemaSource | None) -> None:
        self._twin.schema = schema

    def connect(self, **options: Any) -> AbstractContextManager[Session]:
        context = self._context(options)  # which checks the options
        return _Connection(lambda: self._host(context, has_owner=True))

    def open(self, **options: Any) -> Session:
        """Open a session for an owner that cannot hold a ``with`` open.

        The session lives until ``session.close()``. One that is dropped while open warns with
        ``ResourceWarning`` and is closed, and so is one that is open when the program ends (without
        a warning). An error that ends such a session later is raised to its calls, and logged if
        none is waiting.

        If interrupted while it connects, it leaves nothing behind. Options and errors are those of
        ``connect``.
        """
        with short_tracebacks:
            host = self._host(self._context(options), has_owner=False)
            host.open()
            return Session(host)

    def __enter__(self) -> Session:
        """Open a plain session, as ``connect()`` does."""
        connection = cast("_Connection", self.connect())
        with short_tracebacks:
            session = connection.__enter__()
        self._entered.setdefault(threading.get_ident(), []).append(connection)
        return session

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the session that this thread opened last.

        Raises:
            RuntimeError: When this thread has opened none.
        """
        connections = self._entered.get(threading.get_ident())
        if connections is None:
            raise RuntimeError("a session must be left in the thread that entered it")
        connection = connections.pop()
        if not connections:
            del self._entered[threading.get_ident()]
        with short_tracebacks:
            connection.__exit__(exc_type, exc_value, traceback)

    def _context(self, options: dict[str, Any]) -> Context:
        return cast("Context", self._twin.connect(**options))

    def _host(self, context: Context, *, has_owner: bool) -> Host:
        transport = self._twin.transport
        return Host(
            context,
            transport.description,
            self._backend,
            close_timeout=getattr(transport, "close_timeout", None),
            has_owner=has_owner,
        )

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __getattr__(self, name: str) -> NoReturn:
            if name in {"connect_async", "close_async"}:
                raise AttributeError(
                    f"{type(self).__name__!r} object has no attribute {name!r}: write "
                    "`session = client.open(…)`, and `session.close()`",
                    name=name,
                    obj=self,
                )
            try:
                getattr(AsyncClient, "__getattr__")(self, name)  # noqa: B009
            except AttributeError as error:
                raise AttributeError(without_await(str(error)), name=name, obj=self) from None


class _Connection(AbstractContextManager[Session]):
    """The context that ``connect`` returns."""

    def __init__(self, new_host: Callable[[], Host]) -> None:
        self._new_host = new_host
        self._host: Host | None = None
        self._session: Session | None = None

    def __enter__(self) -> Session:
        if self._host is not None:
            raise RuntimeError("a session is open here: call connect() again for another one")
        with short_tracebacks:
            host = self._new_host()
            host.open()
        self._host = host
        self._session = session = Session(host)
        return session

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        host, session = self._host, self._session
        if host is None or session is None:
            raise RuntimeError("this was not entered")
        self._host = self._session = None
        with short_tracebacks:
            session.close()
            if host.error is not None and exc_value is None:
                raise host.error


def execute(*args: Any, backend: str = "asyncio", **options: Any) -> Any:
    with short_tracebacks, Portal(backend, "anygql.blocking.execute()") as portal:
        return portal.run(execute_async, *args, **options)


def _with_backend(function: Callable[..., Any], backend: inspect.Parameter) -> inspect.Signature:
    """Return the signature of a function that takes ``backend`` too."""
    signature = inspect.signature(function)
    *others, last = signature.parameters.values()
    # `last` collects what the function doesn't take, and says what to write.
    return signature.replace(parameters=[*others, backend, last])


def _derive_signatures() -> None:
    """Give what takes any arguments here the signature and docstring of its async twin."""
    backend = inspect.signature(Client.__init__).parameters["backend"]
    setattr(Client.__init__, "__signature__", _with_backend(AsyncClient.__init__, backend))  # noqa: B010
    setattr(execute, "__signature__", _with_backend(execute_async, backend))  # noqa: B010
    for method in (Client.connect, Client.open):
        setattr(method, "__signature__", inspect.signature(AsyncClient.connect))  # noqa: B010
    Client.connect.__doc__ = without_await(AsyncClient.connect.__doc__ or "")
    arguments = without_await(AsyncClient.__doc__ or "").partition("\nArgs:")[2]
    arguments = arguments.replace("\nRaises:", f"    {_BACKEND_DOC}\n\nRaises:")
    Client.__doc__ = inspect.cleandoc(Client.__doc__ or "") + f"\n\nArgs:{arguments}"
    document = without_await(execute_async.__doc__ or "")
    execute.__doc__ = document.replace("\nReturns:", f"    {_BACKEND_DOC}\n\nReturns:")


_derive_signatures()
