"""What the HTTP client raises, turned into this library's errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ...exceptions import (
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportTimeout,
)
from ...net.errors import connect_error
from .client import HTTPClient, library_of

__all__ = ["http_errors"]


class http_errors:  # noqa: N801 - as it is used, it is a function
    """Turn what the client raises for the network's and the server's faults into our errors.

    What the user's own parts of the client raise (an event hook, an ``auth``) passes as it is.
    This is a class and not a generator, since it is entered several times for each request.
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
        if _is_lost_socket(error):
            lost = TransportConnectionFailed(
                f"{server}: the connection was lost as soon as it was open"
            )
            lost.unsent = True
            raise lost from error
        if isinstance(error, library.InvalidURL):
            raise TransportInvalidURL(f"{server}: {error}") from None
        if isinstance(error, library.LocalProtocolError):
            # Its text quotes the header, which may be a secret.
            raise ValueError(  # noqa: TRY004 - what is wrong is a value
                f"{server}: a header or the URL has a character that HTTP forbids"
            ) from None
        if isinstance(error, library.RequestError):
            fault = _unsent_error(library, server, error)
            if fault is None:
                raise _sent_error(library, server, error) from error
            fault.unsent = True
            raise fault from error


def _is_lost_socket(error: Exception) -> bool:
    """Tell whether a connection was gone when the client looked at it, before sending."""
    # Under uvloop, a connection that is lost has no socket, whose peer's name anyio asks for.
    return isinstance(error, AttributeError) and error.obj is None and error.name == "getpeername"


def _unsent_error(library: Any, server: str, error: Exception) -> TransportError | None:
    """Return the error if the request has certainly not left this machine."""
    if isinstance(error, library.ConnectTimeout):
        return TransportConnectTimeout(f"{server}: no connection in time")
    if isinstance(error, library.PoolTimeout):
        return TransportConnectionFailed(
            f"{server}: no connection of the client's pool became free in time. "
            "Give it a larger max_connections, or a longer pool timeout"
        )
    if isinstance(error, library.ConnectError):
        return connect_error(server, _network_error(error))
    if isinstance(error, library.ProxyError):
        return TransportConnectionFailed(f"no connection to {server} through the proxy: {error}")
    if isinstance(error, library.UnsupportedProtocol):
        return TransportInvalidURL(f"{server}: {error}")
    return None


def _sent_error(library: Any, server: str, error: Exception) -> TransportError:
    """Return the error of a request that may have reached the server."""
    if isinstance(error, library.TimeoutException):
        return TransportTimeout(f"{server}: no answer within the HTTP client's own timeout")
    if isinstance(error, library.DecodingError):
        return TransportProtocolError(f"{server}: the answer's compression is broken: {error}")
    if isinstance(error, library.TooManyRedirects):
        return TransportProtocolError(f"{server}: redirected too many times. Use the final URL")
    texts = (str(cause) for cause in _causes(error))
    text = next((text for text in texts if text), type(error).__name__)
    return TransportConnectionFailed(f"{server}: the connection was lost: {text}")


def _network_error(error: Exception) -> BaseException:
    """Return the error of TLS, or of the operating system, that is behind a client's error."""
    for kind in (ssl.SSLError, OSError):
        for cause in _causes(error):
            if isinstance(cause, kind):
                return cause
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
