"""Credentials that are refreshed: what users see of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, TypeVar, cast, overload

from ...exceptions import TransportError
from ...net.headers import Headers, pairs
from ...net.options import Provider, resolve
from ...results.appsync_errors import is_unauthorized
from .tokens import Expiry, TokenSource

__all__ = ["Refreshing", "default_refused", "source_of", "with_headers", "with_payload"]

_T = TypeVar("_T")

#: What ``default_refused`` looks for: HTTP's 401 (RFC 9110 §15.5.2), and the close codes with which
#: servers refuse a connection.
_REFUSING_CODES = frozenset({401, 4401, 4403})

#: ``extensions.code`` of Apollo and most servers, and of Hasura.
_REFUSING_ERROR_CODES = frozenset({"UNAUTHENTICATED", "invalid-jwt"})


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
    extensions = fields.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None  # pyright: ignore
    is_refusal = isinstance(code, str) and code in _REFUSING_ERROR_CODES
    return is_refusal or is_unauthorized(fields)


class Refreshing(Generic[_T]):
    """Credentials that expire, for ``Client(…, auth=Refreshing(…))``.

    ``refresh`` runs once for all who wait for it, however many calls, subscriptions and connections
    these are, and in how many threads with an event loop each. It runs in the task group of a
    session, so canceling one of them doesn't cancel it for the others. An operation whose
    credentials the server refuses is sent once more with fresh ones; a second refusal is raised. A
    mutation is sent again only if the server did nothing of it.

    A client that makes its transports of URLs gives them the token by itself. Transports of your
    own are to ask for it: ``HTTPTransport(url, headers=auth.headers)``, and
    ``WebSocketTransport(url, init_payload=auth.payload)``. Its ``repr`` shows no token.

    Args:
        refresh: A function or async function that returns a new token. It gets the last token, or
            ``None`` if there was none, if it has a parameter for it, and the session if it has one
            named ``session``. What it runs in the session goes without these credentials.
        token: The first token; or a function or async function that returns it, called once, when
            it is needed. Default: ``None``, and ``refresh`` makes the first one too.
        expires: A function from a token to the time from which it is to be refreshed: POSIX
            seconds, a ``datetime`` with a zone, seconds of ``anyio.current_time()``, or ``None`` if
            that isn't known. Default: ``None``, a token is refreshed once the server has refused
            it.
        refused: A function from an error to whether it refuses the credentials. Default:
            ``default_refused``.
        make_headers: A function from a token to HTTP headers. Default: ``None``, the header
            ``Authorization: Bearer …``.
        make_payload: A function from a token to the payload of ``connection_init``. Default:
            ``None``, ``{"Authorization": "Bearer …"}``.
        on_expiry: What becomes of an open WebSocket at ``expires``. ``"reconnect"`` makes another
            connection with a new token; calls that run end on the old one, and subscriptions move,
            with a gap that is counted. A lazy session closes one that nothing runs on, and makes
            another when it is needed. ``"nothing"`` leaves it to the server. Default:
            ``"reconnect"``.
        timeout: Seconds for one ``refresh``, ``None`` for no limit. Default: 30.

    Raises:
        TypeError: When an argument has a wrong type.
        ValueError: When ``on_expiry`` or ``timeout`` is none of these.
    """

    # Two, since mypy finds no type for a function that may be async or not.
    @overload
    def __init__(
        self,
        *,
        refresh: Callable[..., Awaitable[_T]],
        token: Provider[_T | None] = None,
        expires: Callable[[_T], Expiry] | None = None,
        refused: Callable[[Exception], bool] = default_refused,
        make_headers: Callable[[_T], Headers] | None = None,
        make_payload: Callable[[_T], Mapping[str, Any]] | None = None,
        on_expiry: Literal["reconnect", "nothing"] = "reconnect",
        timeout: float | None = 30,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        refresh: Callable[..., _T],
        token: Provider[_T | None] = None,
        expires: Callable[[_T], Expiry] | None = None,
        refused: Callable[[Exception], bool] = default_refused,
        make_headers: Callable[[_T], Headers] | None = None,
        make_payload: Callable[[_T], Mapping[str, Any]] | None = None,
        on_expiry: Literal["reconnect", "nothing"] = "reconnect",
        timeout: float | None = 30,
    ) -> None: ...

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
        self._source = TokenSource(
            refresh,
            token,
            expires,
            refused,
            reconnects=on_expiry == "reconnect",
            timeout=timeout,
        )
        self._make_headers = make_headers
        self._make_payload = make_payload

    def __repr__(self) -> str:
        state = "has a token" if self._source.generation else "no token yet"
        return f"<Refreshing: {state}>"

    async def token(self) -> _T:
        """Return the token, once it is fresh.

        Canceling doesn't cancel a refresh that others wait for.

        Raises:
            Exception: What ``refresh`` raises.
            TransportTimeout: When ``refresh`` takes more than ``timeout``.
            RuntimeError: When there was no session yet whose client has these credentials, and
                within ``refresh``.
            TransportClosed: When all sessions are closed whose clients have these credentials.
        """
        token = await self._source.token()
        if token is None:
            raise RuntimeError("refresh has asked for the token that it is to return")
        return token

    async def headers(self) -> dict[str, str]:
        """Return HTTP headers with a fresh token. Raises as ``token`` does.

        Within ``refresh`` there are none.

        Give the method itself to a transport, which calls it for each request:
        ``headers=auth.headers``.
        """
        token = await self._source.token()
        if token is None:
            return {}
        if self._make_headers is not None:
            return dict(pairs(self._make_headers(token)))
        return _bearer(token, "make_headers")

    async def payload(self) -> Mapping[str, Any] | None:
        """Return a payload for ``connection_init`` with a fresh token. Raises as ``token`` does.

        Within ``refresh`` there is none.

        Give the method itself to a transport, which calls it for each attempt to connect:
        ``init_payload=auth.payload``.
        """
        token = await self._source.token()
        if token is None:
            return None
        if self._make_payload is not None:
            return self._make_payload(token)
        return _bearer(token, "make_payload")


def _bearer(token: object, option: str) -> dict[str, str]:
    """Return the ``Authorization`` header of a bearer token (RFC 6750 §2.1)."""
    if not isinstance(token, str) and type(token).__str__ is object.__str__:
        raise TypeError(
            f"a {type(token).__name__} as a token has no text: write Refreshing(…, {option}=…)"
        )
    return {"Authorization": f"Bearer {token}"}


def source_of(auth: Refreshing[_T]) -> TokenSource[_T]:
    """Return where the token is."""
    return auth._source  # pyright: ignore[reportPrivateUsage]


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
