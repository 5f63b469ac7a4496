"""Which HTTP client a session's requests go by: ours, or the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from anyio.abc import TaskGroup

from ..concurrency.loop import RunningLoop
from .endpoint import HTTPEndpoint
from .incoming import IncomingResponse
from .requests import HTTPRequest

__all__ = ["Exchange", "exchange_of"]


class Exchange(Protocol):
    """The requests of one session."""

    #: Whether it has cleanup that waits, so that asyncio's own cancellation must not reach it.
    needs_task: bool

    def open(self, loop: RunningLoop, tasks: TaskGroup) -> None:
        """Begin to serve, on this loop, with tasks in this group."""
        ...

    async def aclose(self) -> None:
        """Close all connections of our own. Raise nothing."""
        ...

    def check(self, args: Mapping[str, Any]) -> None:
        """Raise ``TypeError`` or ``ValueError`` for ``transport_args`` that can't be heeded."""
        ...

    async def send(self, request: HTTPRequest, *, streaming: bool = False) -> IncomingResponse:
        """Send a request, and return its response, which the caller must close.

        Args:
            request: The request.
            streaming: Whether the body of the response may take for ever.

        Raises:
            TransportError: The request failed.
            Exception: Whatever the user's functions and client raise.
        """
        ...


def exchange_of(endpoint: HTTPEndpoint) -> Exchange:
    """Return the exchange that a transport's options ask for."""
    if endpoint.client is None:
        from .engine import exchange as ours

        return ours.Exchange(endpoint)
    from .httpx import exchange as theirs  # loads nothing that the client hasn't

    return theirs.Exchange(endpoint, endpoint.client)
