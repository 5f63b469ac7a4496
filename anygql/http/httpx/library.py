"""The HTTP client: httpx's or httpx2's, the user's or our own, and what it raises.

Both have the same interface, so nothing but this module knows that there are two. Neither is
imported before it is needed.
"""

from __future__ import annotations

import importlib
import os
import ssl as ssl_module
import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from functools import cache, lru_cache
from http.cookiejar import CookieJar
from types import ModuleType, TracebackType
from typing import Any, Protocol

from ...exceptions import (
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportTimeout,
)
from ...net.errors import connect_error
from ...net.urls import redact

__all__ = [
    "HTTPClient",
    "http_errors",
    "library_of",
    "own_client",
    "parsed_url",
    "quiet",
    "stream_of",
]

_LIBRARIES = ("httpx2", "httpx")


class HTTPClient(Protocol):
    """An ``httpx.AsyncClient`` or ``httpx2.AsyncClient``."""

    @property
    def is_closed(self) -> bool: ...

    @property
    def timeout(self) -> Any: ...

    @property
    def follow_redirects(self) -> bool: ...

    @property
    def max_redirects(self) -> int: ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...

    async def aclose(self) -> None: ...


def library_of(client: object) -> ModuleType:
    """The library that a client is of; raises ``TypeError`` if it is no asynchronous client."""
    of: Any = type(client)
    return _library_of(of)


@cache
def _library_of(client: type[Any]) -> ModuleType:
    for cls in client.__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _LIBRARIES and cls.__name__ == "AsyncClient":
            return sys.modules[root]
    raise TypeError(f"client is an httpx.AsyncClient or httpx2.AsyncClient, not {client.__name__}")


@lru_cache(maxsize=64)
def parsed_url(library: Any, url: str) -> Any:
    """The library's own idea of a URL; raises its ``InvalidURL``."""
    return library.URL(url)


def _installed() -> ModuleType:
    for name in _LIBRARIES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name != name:
                raise
    raise ModuleNotFoundError("HTTPTransport needs httpx, or httpx2: pip install httpx")


def own_client(
    *,
    ssl: ssl_module.SSLContext | None,
    connect_timeout: float | None,
    cookies: CookieJar,
    headers: Sequence[tuple[str, str]],
) -> HTTPClient:
    """A new client: httpx2's if that is installed, with as many connections as are asked for.

    Whoever waits for an answer bounds its time. The cookies may be other clients' too.
    """
    library = _installed()
    client: HTTPClient = library.AsyncClient(
        verify=_default_context(library, *map(os.environ.get, _FROM_ENV)) if ssl is None else ssl,
        timeout=library.Timeout(None, connect=connect_timeout),
        limits=library.Limits(max_connections=None, max_keepalive_connections=20),
        cookies=cookies,
        headers=headers,
    )
    return client


#: Where the environment says which authorities to trust.
_FROM_ENV = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@lru_cache(maxsize=8)
def _default_context(library: Any, *_from_env: str | None) -> ssl_module.SSLContext:
    """What the library would make for each client anew, in some hundredths of a second."""
    context: ssl_module.SSLContext = library.create_ssl_context()
    return context


@lru_cache
def _stream_class(base: type[Any]) -> type[Any]:
    class Stream(base):  # type: ignore[misc]  # httpx's or httpx2's
        """Iterates over what it is given, without a generator in between."""

        def __init__(self, chunks: AsyncIterable[bytes]) -> None:
            self._chunks = chunks

        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self._chunks)

    return Stream


def stream_of(client: HTTPClient, chunks: AsyncIterable[bytes]) -> Any:
    """The chunks as the client wants the body of a request."""
    library: Any = library_of(client)
    return _stream_class(library.AsyncByteStream)(chunks)


@lru_cache
def _url_class(base: type[Any]) -> type[Any]:
    class ShownURL(base):  # type: ignore[misc]  # httpx's or httpx2's
        """A URL that shows, to whoever wants its text, what messages may show."""

        def __str__(self) -> str:
            plain: Any = base.__str__
            return redact(plain(self))

    return ShownURL


def quiet(client: HTTPClient, request: Any) -> None:
    """Keep the secrets of a request's URL out of the client's own log, which has it at INFO.

    The parts of the URL, of which the request is made, stay as they are.
    """
    library: Any = library_of(client)
    request.url = _url_class(library.URL)(request.url)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _connect_failed(server: str, error: Exception) -> TransportError:
    for kind in (ssl_module.SSLError, OSError):
        for cause in _causes(error):
            if isinstance(cause, kind):
                return connect_error(server, cause)
    return connect_error(server, error)


def _unsent(library: Any, server: str, error: Exception) -> TransportError | None:
    """The error of a request that has certainly not left this machine."""
    if isinstance(error, library.ConnectTimeout):
        return TransportConnectTimeout(f"{server}: no connection in time")
    if isinstance(error, library.PoolTimeout):
        return TransportConnectionFailed(
            f"{server}: no connection of the client's pool became free in time. "
            "Give it a larger max_connections, or a longer pool timeout"
        )
    if isinstance(error, library.ConnectError):
        return _connect_failed(server, error)
    if isinstance(error, library.ProxyError):
        return TransportConnectionFailed(f"no connection to {server} through the proxy: {error}")
    if isinstance(error, library.UnsupportedProtocol):
        return TransportInvalidURL(f"{server}: {error}")
    return None


def _sent(library: Any, server: str, error: Exception) -> TransportError:
    """The error of a request that may have reached the server."""
    if isinstance(error, library.TimeoutException):
        return TransportTimeout(f"{server}: no answer within the HTTP client's own timeout")
    if isinstance(error, library.DecodingError):
        return TransportProtocolError(f"{server}: the answer's compression is broken: {error}")
    if isinstance(error, library.TooManyRedirects):
        return TransportProtocolError(f"{server}: redirected too many times. Use the final URL")
    said = next((str(cause) for cause in _causes(error) if str(cause)), type(error).__name__)
    return TransportConnectionFailed(f"{server}: the connection was lost: {said}")


class http_errors:  # noqa: N801 - as it is used, it is a function
    """Turn what the client raises for the network's and the server's faults into our errors.

    What anything of the user's in the client raises (an event hook, an ``auth``) passes as it is.
    A class, and no generator: it is entered several times for each request.
    """

    __slots__ = ("_client", "_server")

    def __init__(self, client: HTTPClient, server: str) -> None:
        self._client = client
        self._server = server

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception):
            return
        library: Any = library_of(self._client)
        server = self._server
        if isinstance(error, library.InvalidURL):
            raise TransportInvalidURL(f"{server}: {error}") from None
        if isinstance(error, library.LocalProtocolError):
            # What it says quotes the header, which may be a secret.
            raise ValueError(  # noqa: TRY004 - what is wrong is a value
                f"{server}: a header or the URL has a character that HTTP forbids"
            ) from None
        if isinstance(error, library.RequestError):
            fault = _unsent(library, server, error)
            if fault is None:
                raise _sent(library, server, error) from error
            fault.unsent = True
            raise fault from error
