"""What the network, TLS and the HTTP upgrade raise, turned into this library's errors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import cast

import anyio

from ..exceptions import TransportConnectionFailed, TransportError

__all__ = ["FAULTS", "NotHTTP", "connect_error", "opening_errors"]

#: What a broken byte stream raises, apart from its regular end.
FAULTS = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class NotHTTP(Exception):
    """What came is no HTTP answer. The text says what is wrong with it, and quotes nothing."""


@contextmanager
def opening_errors(target: str) -> Generator[None]:
    """Turn what opening a stream to ``target`` raises into ``TransportConnectionFailed``.

    ``target`` is shown in messages, so it must have been redacted.
    """
    try:
        yield
    except TransportError:
        raise
    except anyio.EndOfStream as error:
        raise TransportConnectionFailed(
            f"{target} closed the connection before it was established. Is it a WebSocket server, "
            "and is it up?"
        ) from error
    except FAULTS as error:
        raise connect_error(target, error) from _origin(error)


def connect_error(server: str, error: BaseException) -> TransportConnectionFailed:
    """Return the error for a stream to ``server`` that ``error`` kept from being opened."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransportConnectionFailed(
            f"can't trust {server}: {error.verify_message or error}. If its certificate is your "
            "own, pass ssl= a context that knows it",
            retryable=False,
        )
    if isinstance(error, ssl.SSLError):
        return TransportConnectionFailed(
            f"no TLS connection to {server}: {error.reason or error}. Is this its TLS port?",
            retryable=False,
        )
    return TransportConnectionFailed(f"can't connect to {server}: {_explain(error)}")


def _origin(error: BaseException) -> BaseException:
    """The operating system's error, where there is exactly one behind ``error``."""
    return error.__cause__ if isinstance(error.__cause__, OSError) else error


def _explain(error: BaseException) -> str:
    """What happened, and what to look at."""
    causes = list(_causes(error))
    what = "; ".join(dict.fromkeys(str(cause) or "the connection broke" for cause in causes))
    return f"{what}. {_advice(causes)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors behind ``error``: a connection is tried at every address of a host."""
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
