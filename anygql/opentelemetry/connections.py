"""How many connections a session has, and in which state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..delivery.interfaces import Transport
from ..session.events import Connected, Connecting, Disconnected, SessionEvent

if TYPE_CHECKING:
    from .telemetry import Attributes, Telemetry

__all__ = ["Connections"]


class Connections:
    """Counts a session's connections, by its events, and passes those on.

    Args:
        telemetry: The instruments.
        attributes_of: The function that describes the server of a transport, or of the only one.
        on_event: The user's function, if there is one.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        attributes_of: Callable[[Transport | None], Attributes],
        on_event: Callable[[SessionEvent], object] | None,
    ) -> None:
        self._telemetry = telemetry
        self._attributes_of = attributes_of
        self._on_event = on_event
        #: By transport; ``None`` if there is but one.
        self._states: dict[Transport | None, str] = {}

    def __call__(self, event: SessionEvent) -> None:
        """Count what an event says, and pass it on."""
        self._count(event)
        if self._on_event is not None:
            self._on_event(event)

    def _count(self, event: SessionEvent) -> None:
        match event:
            case Connecting(transport=transport):
                self._change(transport, "connecting")
            case Connected(transport=transport, reconnected=reconnected):
                self._change(transport, "connected")
                if reconnected:
                    self._telemetry.reconnects.add(1, self._attributes_of(transport))
            case Disconnected(transport=transport, will_retry=will_retry):
                self._change(transport, "waiting" if will_retry else None)
            case _:
                self.close()

    def close(self) -> None:
        """Count none of them any more: the session is over."""
        for transport in tuple(self._states):
            self._change(transport, None)

    def _change(self, transport: Transport | None, state: str | None) -> None:
        before = self._states.pop(transport, None)
        if state is not None:
            self._states[transport] = state
        for each, step in ((before, -1), (state, 1)):
            if each is not None and before != state:
                attributes = self._attributes_of(transport)
                counted = {**attributes, "anygql.connection.state": each}
                self._telemetry.connections.add(step, counted)
