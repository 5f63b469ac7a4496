"""What follows a session from inside: its calls, subscriptions and connections.

An interceptor sees calls and attempts. One that has to see more derives from
``ObservingInterceptor``. Sessions without such a one don't import this module, and make no call for
its sake.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from ...delivery.buffering import Delivery
from ...delivery.interfaces import ConnectionResults, Results, Transport
from ...documents.request import GraphQLRequest
from ...results.result import ExecutionResult
from ..options import SessionOptions
from .operation import Call, Operation

__all__ = [
    "ObservingInterceptor",
    "SessionObserver",
    "SubscriptionObserver",
    "observed",
]


class ObservingInterceptor:
    """An interceptor that follows sessions: ``observe`` is called for each, before it opens."""

    def observe(self, options: SessionOptions, transport: Transport) -> SessionOptions:
        """Return the options of a session that is observed.

        They have another interceptor in the place of this one, and may have an ``observer``.

        Args:
            options: The session's options.
            transport: The session's transport, which may be a ``SplitTransport``.
        """
        raise NotImplementedError

    async def __call__(self, operation: Operation, call: Call) -> NoReturn:
        """Raise ``TypeError``: only in ``interceptors`` another interceptor takes its place."""
        raise TypeError(f"{type(self).__name__} is for Client(…, interceptors=[…]) alone")


class SubscriptionObserver(Protocol):
    """Follows one subscription, or one incremental operation."""

    def change(self, operation: Operation) -> Operation:
        """Return what is to be sent. Called last, as an interceptor of subscriptions."""
        ...

    async def begin(self, begin: Callable[[], Awaitable[Results]]) -> Results:
        """Begin the subscription by this function, and return its results, observed."""
        ...

    def sent(self, results: ConnectionResults) -> None:
        """Learn that it was sent, for the first time or again."""
        ...

    def lost(self, outcome: Exception | ExecutionResult) -> None:
        """Learn that a loss or refusal has ended it for now, and that it is to be sent again."""
        ...


class SessionObserver(Protocol):
    """Follows one session."""

    def subscription(self, request: GraphQLRequest, delivery: Delivery) -> SubscriptionObserver:
        """Return what follows a subscription that is about to be made."""
        ...

    def listener(self, results: Results, delivery: Delivery) -> Results:
        """Return what a new listener of a shared subscription is to get, observed."""
        ...

    def incremental(self, request: GraphQLRequest) -> SubscriptionObserver:
        """Return what follows an operation with ``@defer`` or ``@stream``."""
        ...

    def closed(self) -> None:
        """Learn that the session is over, whether or not it was ever open."""
        ...


def observed(options: SessionOptions, transport: Transport) -> SessionOptions:
    """Return the options of a session with what its interceptors add to them."""
    for interceptor in options.interceptors:
        if isinstance(interceptor, ObservingInterceptor):
            options = interceptor.observe(options, transport)
    return options
