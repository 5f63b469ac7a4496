"""The errors that anygql raises.

::

    TransportError
    ├── TransportConnectionFailed     no connection, or it was lost (code, reason)
    │   ├── TransportConnectTimeout   no connection in time (a TimeoutError too)
    │   ├── TransportConnectionRefused  refused after the handshake (a TransportServerError too)
    │   └── TransportInvalidURL       the URL can't be used (a ValueError too)
    ├── TransportTimeout              no answer in time (a TimeoutError too)
    ├── TransportClosed               closed on this side, or never opened
    ├── TransportServerError          the server answered with an HTTP status (code)
    ├── TransportProtocolError        the peer broke the protocol (code, reason)
    ├── TransportQueryError           the answer holds GraphQL errors (errors, data)
    └── SubscriptionOverflow          a consumer fell too far behind

A caller's mistake (a document that doesn't parse, variables without a JSON form) is never a
``TransportError``. It is a ``GraphQLError``, ``ValueError`` or ``TypeError``, and is raised before
anything is sent.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

__all__ = [
    "CutOff",
    "ProtocolViolation",
    "SubscriptionOverflow",
    "TransportClosed",
    "TransportConnectTimeout",
    "TransportConnectionFailed",
    "TransportConnectionRefused",
    "TransportError",
    "TransportInvalidURL",
    "TransportProtocolError",
    "TransportQueryError",
    "TransportServerError",
    "TransportTimeout",
    "copy_to_raise",
    "copy_to_raise_unsent",
]

_E = TypeVar("_E", bound=BaseException)

#: Maximum length of ``body`` on an error, in characters.
BODY_LIMIT = 1024


class TransportError(Exception):
    """The base of all errors that a transport can fail with.

    Every error that an answer caused has the answer's ``code``, ``headers`` and ``errors``, and the
    start of its ``body``, as far as it had any.

    Attributes:
        code: The WebSocket close code or HTTP status that caused it, or ``None``.
        reason: The text that came with the code, or ``""``.
        headers: The headers of the HTTP response, or of the refused WebSocket handshake. Look
            names up in lower case. Empty if there was no response.
        body: The first characters of the response's body, or ``""``.
        errors: The GraphQL errors that came, or what reads as such; empty if there were none.
        retryable: Whether the same attempt may succeed later. Each class has its default.
        unsent: True only if the request has certainly not left this machine.
        retry_after: The seconds that the server asked to be left alone for, or ``None``.

    Args:
        message: What happened. The other arguments become the attributes of the same names.
    """

    retryable: bool = False
    unsent: bool = False
    retry_after: float | None = None

    def __init__(
        self,
        message: str = "",
        *,
        code: int | None = None,
        reason: str = "",
        retryable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        errors: Sequence[Any] = (),
    ) -> None:
        super().__init__(message)
        self.code = None if code is None else int(code)
        self.reason = reason
        self.headers: Mapping[str, str] = headers or {}
        self.body = body
        self.errors = list(errors)
        if retryable is not None:
            self.retryable = retryable


class TransportConnectionFailed(TransportError):
    """There is no connection: it could not be made, or it was lost."""

    retryable = True


class TransportTimeout(TransportError, TimeoutError):
    """The server did not answer in time."""

    retryable = True


class TransportConnectTimeout(TransportConnectionFailed, TimeoutError):
    """No connection, or no acknowledgement, within ``connect_timeout`` or ``ack_timeout``."""


class TransportInvalidURL(TransportConnectionFailed, ValueError):
    """The URL names nothing that this transport can connect to."""

    retryable = False


class TransportClosed(TransportError):
    """The session or connection was closed on this side, so it takes no more requests."""


class TransportServerError(TransportError):
    """The server answered with an HTTP status that is not the answer to a GraphQL request.

    ``code`` is the status. ``errors`` are the GraphQL errors that the body seems to hold; they may
    be a proxy's.
    """


class TransportConnectionRefused(TransportConnectionFailed, TransportServerError):
    """The server refused ``connection_init``: by ``connection_error``, or by the close code 4403.

    ``code`` is 4403, and ``reason`` has the server's words.
    """


class TransportProtocolError(TransportError):
    """The peer sent something that its protocol does not allow."""


class TransportQueryError(TransportError):
    """The answer has GraphQL errors (specification §7.1).

    Attributes:
        errors: The errors, as they came.
        data: The data that came with them.
        extensions: The extensions that came with them.

    Args:
        message: What happened. The other arguments are those of ``TransportError``, and the
            attributes above: ``code``, ``headers``, ``body``.
    """

    def __init__(
        self,
        message: str = "",
        *,
        errors: Sequence[Any] = (),
        data: Any = None,
        extensions: Any = None,
        code: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message, code=code, headers=headers, body=body, errors=errors)
        self.data = data
        self.extensions = extensions


class SubscriptionOverflow(TransportError):
    """A subscription's consumer fell further behind than its ``on_overflow`` rule allows."""


class ProtocolViolation(Exception):
    """The peer sent something that its protocol does not allow.

    Parsers raise it; the owner of the connection turns it into a ``TransportError``.

    Attributes:
        code: The close code to close a WebSocket with.
        reason: What was wrong.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason} ({self.code:d})"


class CutOff(ProtocolViolation):
    """The peer's message broke off: most likely a fault of the network, not of the peer."""

    def __init__(self, reason: str) -> None:
        super().__init__(1006, reason)


for _error in (
    TransportError,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportInvalidURL,
    TransportTimeout,
    TransportClosed,
    TransportServerError,
    TransportConnectionRefused,
    TransportProtocolError,
    TransportQueryError,
    SubscriptionOverflow,
):
    # Tracebacks and pickles show the name that users import.
    _error.__module__ = "anygql"
del _error


def copy_to_raise(error: _E) -> _E:
    """Copy a recorded error, to be raised to one of several waiting tasks.

    Raising one instance in many tasks would mix their tracebacks. An error that can't be copied
    (its constructor needs more than its ``args``) is returned as it is.
    """
    try:
        again = copy.copy(error)
    except Exception:  # noqa: BLE001  # whatever a foreign constructor raises
        return error
    again.__cause__ = error.__cause__
    again.__suppress_context__ = True
    return again


def copy_to_raise_unsent(error: _E) -> _E:
    """Copy an error for a call that came after it, so that nothing was sent for the call."""
    again = copy_to_raise(error)
    if isinstance(again, TransportError):
        again.unsent = True
    return again
