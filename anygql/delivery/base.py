"""What every connection has, whatever it is made of: the loop it runs on, and one end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

from anyio import Event

from ..concurrency.cancellation import cancelled_first
from ..concurrency.loop import RunningLoop
from ..exceptions import TransportError, copy_to_raise_unsent

__all__ = ["BaseConnection", "Endpoint"]


class Endpoint(Protocol):
    """The transport, as its connections see it."""

    @property
    def description(self) -> str:
        """The server, fit for messages."""
        ...


class BaseConnection:
    """A connection that ends once, with one fault."""

    def __init__(self) -> None:
        #: What ended the connection; ``TransportClosed`` if this side closed it.
        self.fault: TransportError | None = None
        self.payloads: Mapping[str, Any] = {}
        #: The headers of the response to the handshake, by lower-case name, where there is one.
        self.response_headers: Mapping[str, str] = MappingProxyType({})
        self._ended = Event()
        # Set when the context is entered: there may be no event loop before.
        self.loop: RunningLoop

    async def wait_closed(self) -> None:
        """Wait until ``fault`` is set."""
        await self._ended.wait()

    def _end(self, fault: TransportError) -> bool:
        """Record what ended the connection. Return False if it had ended before."""
        if self.fault is not None:
            return False
        self.fault = fault
        self._ended.set()
        return True

    def _refuse(self) -> NoReturn:
        """Raise what ended the connection, to a call that came later and has sent nothing."""
        assert self.fault is not None  # noqa: S101 - only called after the end
        raise copy_to_raise_unsent(self.fault) from self.fault.__cause__

    async def _refuse_unless_canceled(self) -> NoReturn:
        """Raise a pending cancellation, or else what ended the connection."""
        assert self.fault is not None  # noqa: S101 - only called after the end
        await cancelled_first(self.fault)
        self._refuse()
