"""Credentials that are refreshed: one refresh for all who wait for it.

What a session does with them (replays, reconnects) is in ``credentials.py``.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from anyio import Event, current_time, move_on_after
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar

from ..concurrency.interrupts import uninterruptible
from ..delivery.faults import closed
from ..exceptions import TransportError, TransportTimeout, copy_to_raise_unsent
from ..net.headers import Headers, pairs
from ..net.options import Provider, resolve, seconds

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "CredentialsOwner",
    "Opening",
    "Refreshing",
    "default_refused",
    "opening",
    "with_headers",
    "with_payload",
]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: When a token expires: a POSIX time, a time with its zone, or ``None`` if that isn't known.
Expiry: TypeAlias = "float | datetime | None"

#: What ``default_refused`` looks for: HTTP's 401 (RFC 9110 §15.5.2), and the close codes with which
#: servers refuse a connection.
_REFUSING_CODES = frozenset({401, 4401, 4403})

#: ``extensions.code`` of Apollo and most servers, and of Hasura.
_REFUSING_ERROR_CODES = frozenset({"UNAUTHENTICATED", "invalid-jwt"})

#: AppSync's ``errorType``, with or without its namespace.
_REFUSING_ERROR_TYPE = "UnauthorizedException"


def default_refused(error: Exception) -> bool:
    """Return whether a server refused the credentials: the default of ``Refreshing``.

    That is HTTP status 401, close codes 4401 and 4403, ``connection_error``, GraphQL errors with
    the ``extensions.code`` ``UNAUTHENTICATED`` or ``invalid-jwt`` (Hasura), and AppSync's
    ``UnauthorizedException``.

    Args:
        error: What an operation or connection has failed with.
    """
    if not isinstance(error, TransportError):
        return False
    return error.code in _REFUSING_CODES or any(map(_is_refusal, error.errors))


def _is_refusal(error: Any) -> bool:
    if not isinstance(error, Mapping):
        return False
    fields = cast("Mapping[str, Any]", error)
    extensions, kind = fields.get("extensions"), fields.get("errorType")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None  # pyright: ignore
    if isinstance(code, str) and code in _REFUSING_ERROR_CODES:
        return True
    # AWS writes `UnauthorizedException`, `com.amazonaws…#UnauthorizedException`, and `…:https://…`.
    return isinstance(kind, str) and kind.partition(":")[0].endswith(_REFUSING_ERROR_TYPE)


class CredentialsOwner(Protocol):
    """A session, as its credentials see it."""

    task_group: TaskGroup
    fault: Exception | None

    @property
    def description(self) -> str:
        """The server, fit for messages."""
        ...


class Opening:
    """What is known of the credentials that one connection was opened with."""

    __slots__ = ("generation", "is_open", "is_waiting", "on_waiting")

    def __init__(self, on_waiting: Callable[[], None]) -> None:
        #: The generation of the oldest token that the transport asked for; ``None`` if it asked
        #: for none, as HTTP asks for each request.
        self.generation: int | None = None
        #: Whether the connection is open, so that what is asked from now on isn't for it.
        self.is_open = False
        #: Whether it waits for a refresh.
        self.is_waiting = False
        self.on_waiting = on_waiting


#: The connection that the current task opens.
opening: ContextVar[Opening | None] = ContextVar("anygql_opening", default=None)

#: The credentials that the current task refreshes.
_refreshing: ContextVar[object] = ContextVar("anygql_refreshing", default=None)


class _Refresh:
    """One refresh, and how it ended."""

    def __init__(self) -> None:
        self.over = Event()
        self.error: Exception | None = None
        self.succeeded = False


class _OnLoop:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        #: The open sessions, the newest last. A dict, for its order.
        self.owners: dict[CredentialsOwner, Callable[[], Session]] = {}
        self.running: _Refresh | None = None
        #: When the token of this generation expires, on this loop's clock.
        self.generation = 0
        self.expires_at: float | None = None


class Refreshing(Generic[_T]):
    """Credentials that expire, for ``Client(…, auth=Refreshing(…))``.

    ``refresh`` runs once for all who wait for it, however many calls, subscriptions and connections
    these are. It runs in the task group of a session, so canceling one of them doesn't cancel it
    for the others. An operation whose credentials the server refuses is sent once more with fresh
    ones; a second refusal is raised. A mutation is sent again only if the server did nothing of it.

    A client that makes its transports of URLs gives them the token by itself. Transports of your
    own are to ask for it: ``HTTPTransport(url, headers=auth.headers)``, and
    ``WebSocketTransport(url, init_payload=auth.payload)``. Its ``repr`` shows no token.

    Args:
        refresh: A function or async function that returns a new token. It gets the last token, or
            ``None`` if there was none, if it has a parameter for it, and the session if it has one
            named ``session``. What it runs in the session goes without these credentials.
        token: The first token; or a function or async function that returns it, called once, when
            it is needed. Default: ``None``, and ``refresh`` makes the first one too.
        expires: A function from a token to the time from which it is to be refreshed: POSIX seconds
            or a ``datetime`` with a zone, or ``None`` if that isn't known. Default: ``None``, a
            token is refreshed once the server has refused it.
        refused: A function from an error to whether it refuses the credentials. Default:
            ``default_refused``.
        make_headers: A function from a token to HTTP headers. Default: ``None``, the header
            ``Authorization: Bearer …``.
        make_payload: A function from a token to the payload of ``connection_init``. Default:
            ``None``, ``{"Authorization": "Bearer …"}``.
        on_expiry: What becomes of an open WebSocket at ``expires``. ``"reconnect"`` makes another
            connection with a new token; calls that run end on the old one, and subscriptions move,
            with a gap that is counted. ``"nothing"`` leaves it to the server. Default:
            ``"reconnect"``.
        timeout: Seconds for one ``refresh``, ``None`` for no limit. Default: 30.

    Raises:
        TypeError: When an argument has a wrong type.
        ValueError: When ``on_expiry`` or ``timeout`` is none of these.
    """

    def __init__(
        self,
        *,
        refresh: Callable[..., _T | Awaitable[_T]],
        token: Provider[_T | None] = None,
        expires: Callable[[_T], Expiry] | None = None,
        refused: Callable[[Exception], bool] = default_refused,
        make_headers: Callable[[_T], Headers] | None = None,
        make_payload: Callable[[_T], Mapping[str, Any]] | None = None,
        on_expiry: Literal["reconnect", "nothing"] = "reconnect",
        timeout: float | None = 30,
    ) -> None:
        functions: dict[str, Any] = {"refresh": refresh, "refused": refused}
        optional = {"expires": expires, "make_headers": make_headers, "make_payload": make_payload}
        functions |= {name: given for name, given in optional.items() if given is not None}
        for name, given in functions.items():
            if not callable(given):
                raise TypeError(f"{name} is a function, not {type(given).__name__}")
        if on_expiry not in {"reconnect", "nothing"}:
            raise ValueError(f'on_expiry is "reconnect" or "nothing", not {on_expiry!r}')
        self._refresh = refresh
        self._takes_token, self._takes_session = _parameters(refresh)
        self._first: Any = token
        self._expires = expires
        self._refused = refused
        self._make_headers = make_headers
        self._make_payload = make_payload
        self._reconnects = on_expiry == "reconnect"
        self._timeout = seconds("timeout", timeout)
        self._token: _T | None = None
        #: The number of the token, from 1; 0 while there was none.
        self._generation = 0
        self._is_stale = False
        self._expires_at: float | None = None
        self._here: RunVar[_OnLoop] = RunVar("anygql_credentials")

    def __repr__(self) -> str:
        return f"<Refreshing: {'has a token' if self._generation else 'no token yet'}>"

    # What transports ask.

    async def token(self) -> _T | None:
        """Return the token, once it is fresh.

        Returns ``None`` within ``refresh`` alone. Canceling doesn't cancel a refresh that others
        wait for.

        Raises:
            Exception: What ``refresh`` raises.
            TransportTimeout: When ``refresh`` takes more than ``timeout``.
            RuntimeError: When no session is open whose client has these credentials.
        """
        if self.is_refreshing_here:
            return None
        connecting = opening.get()
        if connecting is None or connecting.is_open:
            await self.ensure()
            return self._token
        connecting.is_waiting = True
        connecting.on_waiting()
        try:
            await self.ensure()
        finally:
            connecting.is_waiting = False
        if connecting.generation is None:
            connecting.generation = self._generation
        return self._token

    async def headers(self) -> dict[str, str]:
        """Return HTTP headers with a fresh token. Raises as ``token`` does.

        Give the method itself to a transport, which calls it for each request:
        ``headers=auth.headers``.
        """
        token = await self.token()
        if token is None:
            return {}
        if self._make_headers is not None:
            return dict(pairs(self._make_headers(token)))
        return _bearer(token, "make_headers")

    async def payload(self) -> Mapping[str, Any] | None:
        """Return a payload for ``connection_init`` with a fresh token. Raises as ``token`` does.

        Give the method itself to a transport, which calls it for each attempt to connect:
        ``init_payload=auth.payload``.
        """
        token = await self.token()
        if token is None:
            return None
        if self._make_payload is not None:
            return self._make_payload(token)
        return _bearer(token, "make_payload")

    # What sessions do with it.

    @property
    def generation(self) -> int:
        """The number of the token, from 1; 0 while there was none."""
        return self._generation

    @property
    def reconnects(self) -> bool:
        """Whether an open WebSocket gets a successor when its token expires."""
        return self._reconnects

    @property
    def is_refreshing_here(self) -> bool:
        """Whether the current task does ``refresh``'s work, so that it goes without a token."""
        return _refreshing.get() is self

    def is_refused(self, error: Exception) -> bool:
        """Return whether an error says that the server refused the credentials."""
        return self._refused(error)

    def add(self, owner: CredentialsOwner, session: Callable[[], Session]) -> None:
        """Let refreshes run in the task group of an open session."""
        self._on_loop().owners[owner] = session

    def remove(self, owner: CredentialsOwner) -> None:
        """Let no refresh run in that task group any more."""
        self._on_loop().owners.pop(owner, None)

    def invalidate(self, generation: int) -> None:
        """Have the token refreshed before it is used again, if it still is of this generation."""
        if generation == self._generation:
            self._is_stale = True

    def expires_at(self) -> float | None:
        """Return when the token is to be refreshed, on the running loop's clock, if it is known."""
        here = self._on_loop()
        if here.generation != self._generation:
            here.generation, at = self._generation, self._expires_at
            here.expires_at = None if at is None else current_time() + at - time.time()
        return here.expires_at

    async def ensure(self) -> None:
        """Wait until the token is fresh: at once, unless it is to be refreshed.

        Raises what the refresh raises, to a caller that has sent nothing.
        """
        while self._needs_refresh():
            here = self._on_loop()
            refresh = here.running or self._begin(here)
            await refresh.over.wait()
            if refresh.error is not None:
                raise copy_to_raise_unsent(refresh.error) from refresh.error.__cause__
            if refresh.succeeded:
                return
            # It was canceled with the session that it ran in: another one does it.

    def _needs_refresh(self) -> bool:
        if not self._generation or self._is_stale:
            return True
        at = self.expires_at()
        if at is None:
            return False
        # By the wall clock too: the loop's may stand still while the machine sleeps.
        return current_time() >= at or time.time() >= cast("float", self._expires_at)

    def _on_loop(self) -> _OnLoop:
        here = self._here.get(None)
        if here is None:
            here = _OnLoop()
            self._here.set(here)
        return here

    def _begin(self, here: _OnLoop) -> _Refresh:
        """Begin a refresh in the newest session that isn't about to close."""
        open_ones = [owner for owner in reversed(here.owners) if owner.fault is None]
        if not open_ones:
            if here.owners:
                raise closed(next(iter(here.owners)).description)
            raise RuntimeError(
                "no session is open that has these credentials: write Client(…, auth=auth)"
            )
        owner = open_ones[0]
        refresh = here.running = _Refresh()
        owner.task_group.start_soon(self._run, here, refresh, owner, name="anygql: refresh")
        return refresh

    @uninterruptible
    async def _run(self, here: _OnLoop, refresh: _Refresh, owner: CredentialsOwner) -> None:
        """Get a new token, and tell all who wait."""
        _refreshing.set(self)
        opening.set(None)
        try:
            await self._renew_in_time(owner.description, here.owners.get(owner))
            refresh.succeeded = True
        except Exception as exc:  # noqa: BLE001 - raised to all who wait
            refresh.error = exc
        finally:
            here.running = None
            refresh.over.set()

    async def _renew_in_time(self, server: str, session: Callable[[], Session] | None) -> None:
        with move_on_after(self._timeout):
            await self._renew(server, session)
            return
        raise TransportTimeout(
            f"{server}: no token within {self._timeout:g} s (the timeout of Refreshing)"
        )

    async def _renew(self, server: str, session: Callable[[], Session] | None) -> None:
        if not self._generation and self._first is not None:
            token = await resolve(self._first, "token", server)
            if token is not None:
                self._take(token)
                if not self._needs_refresh():
                    return
        given: list[Any] = [self._token] if self._takes_token else []
        named = {"session": session()} if self._takes_session and session is not None else {}
        token = await resolve(partial(self._refresh, *given, **named), "refresh", server)
        if token is None:
            raise TypeError("refresh must return the new token, not None")
        self._take(token)
        if self._needs_refresh():
            # Else every use of it would be preceded by a refresh.
            logger.warning(
                "%s: the token that refresh returned is to be refreshed already, as expires says: "
                "it is used until the server refuses it. Is a clock wrong?",
                server,
            )
            self._expires_at = None
            self._on_loop().generation = 0

    def _take(self, token: _T) -> None:
        at = None if self._expires is None else self._expires(token)
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise TypeError("expires returned a datetime without a zone: give it tzinfo=UTC")
            at = at.timestamp()
        elif at is not None and not isinstance(at, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                "expires returns POSIX seconds, a datetime or None, not " + type(at).__name__
            )
        self._token = token
        self._expires_at = at
        self._is_stale = False
        self._generation += 1
        self.expires_at()  # now, since the loop's clock may be a virtual one


def _parameters(function: Callable[..., object]) -> tuple[bool, bool]:
    """Return whether a function takes a token, and whether it takes a session."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a builtin that doesn't tell
        return False, False
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    others = [each for name, each in parameters.items() if name != "session"]
    return any(each.kind in positional for each in others), "session" in parameters


def _bearer(token: object, option: str) -> dict[str, str]:
    """Return the ``Authorization`` header of a bearer token (RFC 6750 §2.1)."""
    if not isinstance(token, str) and type(token).__str__ is object.__str__:
        raise TypeError(
            f"a {type(token).__name__} as a token has no text: write Refreshing(…, {option}=…)"
        )
    return {"Authorization": f"Bearer {token}"}


def with_headers(
    auth: Refreshing[Any], headers: Provider[Headers] | None
) -> Callable[[], Awaitable[Headers]]:
    """Return a function for a transport's ``headers``: those given, and the token's.

    Args:
        auth: The credentials.
        headers: The headers that were given, or a function that returns them.
    """
    if headers is None:
        return auth.headers

    async def both() -> Headers:
        given = pairs(await resolve(headers, "headers", "the server"))
        return [*given, *(await auth.headers()).items()]

    return both


def with_payload(
    auth: Refreshing[Any], payload: Provider[Mapping[str, Any] | None]
) -> Callable[[], Awaitable[Mapping[str, Any] | None]]:
    """Return a function for a transport's ``init_payload``: what was given, and the token.

    Args:
        auth: The credentials.
        payload: The payload that was given, or a function that returns it.
    """
    if payload is None:
        return auth.payload

    async def both() -> Mapping[str, Any] | None:
        given = await resolve(payload, "init_payload", "the server")
        return {**(given or {}), **(await auth.payload() or {})}

    return both
