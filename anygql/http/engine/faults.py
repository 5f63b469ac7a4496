"""What goes wrong on a connection, as this library's errors."""

from __future__ import annotations

from ...exceptions import (
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportTimeout,
)
from ...net.errors import NotHTTP
from .connection import ConnectionLost

__all__ = [
    "broken_body_error",
    "connect_timeout_error",
    "lost_error",
    "not_http_error",
    "silence_error",
]


def lost_error(server: str, lost: ConnectionLost) -> TransportConnectionFailed:
    """Return the error of a request whose connection broke, or ended too early."""
    error = TransportConnectionFailed(f"{server}: the connection was lost: {lost}")
    error.unsent = lost.unsent
    return error


def not_http_error(server: str, error: NotHTTP) -> TransportConnectionFailed:
    """Return the error of an answer that is no HTTP, or breaks its rules.

    Nothing of it can be trusted to be the server's: it counts as the loss of the connection.
    """
    other = "https" if server.startswith("http://") else "http"
    return TransportConnectionFailed(
        f"{server}: the connection is of no use: {error}. Is this the port of an HTTP/1.1 server, "
        f"or should the URL begin with {other}://?"
    )


def broken_body_error(server: str, error: NotHTTP) -> TransportConnectionFailed:
    """Return the error of a body that breaks HTTP's rules, behind a head that keeps them.

    The server speaks HTTP, so this is an accident, of it or of a proxy, that may pass.
    """
    return TransportConnectionFailed(f"{server}: the connection was lost: {error}")


def connect_timeout_error(server: str, seconds: float | None) -> TransportConnectTimeout:
    """Return the error of a connection that didn't open in time."""
    error = TransportConnectTimeout(
        f"{server}: no connection in time, {seconds:g} s (connect_timeout)"
    )
    error.unsent = True
    return error


def silence_error(server: str, seconds: float | None) -> TransportTimeout:
    """Return the error of a server that said nothing for too long."""
    return TransportTimeout(
        f"{server}: the server said nothing for {seconds:g} s (keep_alive_timeout, or the timeout "
        "of transport_args)"
    )
