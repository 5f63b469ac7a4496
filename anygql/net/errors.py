"""Errors of the network and of TLS, turned into this library's errors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import cast

import anyio

from ..exceptions import TransportConnectionFailed, TransportError

__all__ = ["FAULTS", "NotHTTP", "connect_error", "opening_errors"]

#: The errors of a broken byte stream. Its regular end is ``anyio.EndOfStream``.
FAULTS = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


_OTHER_SCHEMES = {"ws": "wss", "wss": "ws", "http": "https", "https": "http"}


class NotHTTP(Exception):
    """The bytes of a peer are no HTTP response. The message says why, and quotes none of them."""


@contextmanager
def opening_errors(server: str, *, in_tls: bool = False) -> Generator[None]:
    """Turn the errors of opening a stream into ``TransportConnectionFailed``.

    Args:
        server: The server or proxy, fit for messages.
        in_tls: Whether the errors are those of the TLS handshake. A server that ends that without
            a word most likely speaks no TLS.
    """
    try:
        yield
    except TransportError:
        raise
    except anyio.EndOfStream as error:
        kind = "a WebSocket server" if server.startswith("ws") else "an HTTP server"
        raise TransportConnectionFailed(
            f"{server} closed the connection before it was established. Is it {kind}, "
            f"and is it up?{_other_scheme(server)}",
            retryable=not in_tls,
        ) from error
    except FAULTS as error:
        if in_tls and not isinstance(error, ssl.SSLError):
            raise TransportConnectionFailed(
                f"no TLS connection to {server}: {_explain(error)}.{_other_scheme(server)}",
                retryable=False,
            ) from _origin(error)
        raise connect_error(server, error) from _origin(error)


def connect_error(server: str, error: BaseException) -> TransportConnectionFailed:
    """Return the error for a stream to ``server`` that could not be opened because of ``error``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransportConnectionFailed(
            f"can't trust {server}: {error.verify_message or error}. If its certificate is your "
            "own, pass ssl= a context that knows it",
            retryable=False,
        )
    if isinstance(error, ssl.SSLError):
        return TransportConnectionFailed(
            f"no TLS connection to {server}: {error.reason or error}. Is this its TLS port?"
            f"{_other_scheme(server)}",
            retryable=False,
        )
    return TransportConnectionFailed(f"can't connect to {server}: {_explain(error)}")


def _other_scheme(server: str) -> str:
    """Return the question whether the URL has the wrong scheme: plain in place of TLS, or TLS."""
    other = _OTHER_SCHEMES.get(server.partition("://")[0])
    return "" if other is None else f" Or should the URL begin with {other}://?"


def _origin(error: BaseException) -> BaseException:
    """Return the operating system's error, if there is exactly one behind ``error``."""
    return error.__cause__ if isinstance(error.__cause__, OSError) else error


def _explain(error: BaseException) -> str:
    """Return what happened, and advice on what to check."""
    causes = list(_causes(error))
    text = "; ".join(dict.fromkeys(str(cause) or "the connection broke" for cause in causes))
    return f"{text}. {_advice(causes)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Return the errors behind ``error``, one for each address of the host that was tried."""
    cause = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        for one in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _causes(one)
    elif cause is not None and isinstance(cause, (OSError, BaseExceptionGroup)):
        yield from _causes(cast("BaseException", cause))
    else:
        yield error


def _advice(causes: list[BaseException]) -> str:
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "Check the host's name, and that names can be resolved here"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "Check that the server is running, and its port"
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return "Check the path of the Unix socket"
    return "Check that the server can be reached from here"
