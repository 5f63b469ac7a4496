"""Two transports for one session: one for subscriptions, another for everything else."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from inspect import signature
from typing import Unpack

from ..delivery.interfaces import Connection, Transport
from ..documents.request import OperationKind
from ..net.options import NoOptions, refuse_options

__all__ = ["SplitTransport"]

#: What to write in the place of options that other clients have.
_HINTS = {
    "lazy": "the second connection opens at the first subscription, unless eager=True",
    **dict.fromkeys(("headers", "init_payload", "ssl"), "give it to the transport that needs it"),
}


class SplitTransport:
    """One transport for subscriptions, and another for queries and mutations.

    A session has a connection by each, with its own retries. ``execute``, batches, pages,
    incremental delivery and ``fetch_schema`` go by ``transport``, and ``subscribe`` goes by
    ``subscriptions``. The second connection is opened at the first subscription. Its loss, or a
    refusal of it, is told to subscriptions alone.

    Args:
        transport: The transport for everything but subscriptions, such as ``HTTPTransport``.
        subscriptions: The transport for subscriptions, such as ``WebSocketTransport``.
        eager: Whether a session connects by ``subscriptions`` when it is entered, so that a
            refusal is raised there. Default: ``False``, at the first subscription.

    Raises:
        TypeError: When one of the two is no transport, is a ``SplitTransport`` itself, or can't run
            what it is for.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        subscriptions: Transport,
        eager: bool = False,
        **mistaken: Unpack[NoOptions],
    ) -> None:
        if mistaken:
            refuse_options("SplitTransport()", mistaken, _HINTS, signature(type(self)).parameters)
        _check_part(transport, "transport")
        _check_part(subscriptions, "subscriptions")
        _check_kinds(transport, "transport", "query", "mutation")
        _check_kinds(subscriptions, "subscriptions", "subscription")
        self.transport = transport
        self.subscriptions = subscriptions
        self.eager = eager

    @property
    def description(self) -> str:
        """The server of queries and mutations, fit for messages and logs."""
        return self.transport.description

    @property
    def close_timeout(self) -> float | None:
        """The longer of the two transports' times for closing, in seconds, where they have one."""
        both = (self.transport, self.subscriptions)
        times: list[float | None] = [getattr(each, "close_timeout", None) for each in both]
        return max((time for time in times if time is not None), default=None)

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Raise ``TypeError``: there are two connections, which a session makes by the parts."""
        raise TypeError(
            "a SplitTransport has two connections, which only a session makes. What wraps a "
            "transport goes around each: SplitTransport(wrap(…), subscriptions=wrap(…))"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.transport!r}, subscriptions={self.subscriptions!r}>"


def _check_part(part: object, name: str) -> None:
    """Raise ``TypeError`` for what is no transport, or one of two itself."""
    if isinstance(part, SplitTransport):
        raise TypeError(
            f"{name} is a SplitTransport already: give one transport for subscriptions, and one "
            "for everything else"
        )
    if isinstance(part, str):
        raise TypeError(
            f"{name} is a transport, not a URL: write Client(url, subscriptions=url), or make the "
            "transports: SplitTransport(HTTPTransport(url), subscriptions=WebSocketTransport(url))"
        )
    if not callable(getattr(part, "connect", None)):
        raise TypeError(f"{name} is a transport, not {type(part).__name__}")


def _check_kinds(part: Transport, name: str, *kinds: OperationKind) -> None:
    """Raise ``TypeError`` for a transport that says it can't run operations of these kinds."""
    can = getattr(part, "operations", kinds)
    lacking = [kind for kind in kinds if kind not in can]
    if lacking:
        what = "queries" if lacking[0] == "query" else f"{lacking[0]}s"
        suited = "HTTPTransport(url)" if name == "transport" else "WebSocketTransport(url)"
        raise TypeError(
            f"{name} is a {type(part).__name__} that runs no {what}: give one that does, such as "
            f"{suited}"
        )
