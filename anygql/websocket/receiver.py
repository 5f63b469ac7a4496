"""What comes on a WebSocket connection: results go to their routes, pings are answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from anyio import Event
from anyio.lowlevel import checkpoint

from ..concurrency.waiters import Waiter
from ..delivery.flow import Flow
from ..delivery.routes import Route, Routes
from ..exceptions import ProtocolViolation, TransportError
from ..protocols.base import Codec
from ..protocols.events import (
    Ack,
    Complete,
    Error,
    KeepAlive,
    Next,
    Ping,
    Pong,
    Refusal,
)
from ..protocols.events import Event as ServerEvent
from ..results.incremental import IncrementalMerge
from . import faults
from .keep_alive import PeerMonitor
from .sockets.base import WebSocket
from .writer import Writer

__all__ = ["AwaitedPong", "ConnectionRefused", "Receiver"]

logger = logging.getLogger(__name__)

#: Messages that are handed out between two real checkpoints. A message costs a few microseconds,
#: so this is a few milliseconds at most.
MESSAGES_BETWEEN_CHECKPOINTS = 1024

#: Messages to be read, for each consumer that waits, before they are handed out: with a thousand
#: consumers, waking each of them for a single result would be most of the work.
MESSAGES_FOR_EACH_CONSUMER = 8

#: Pongs that wait to be written. A peer that pings and does not read gets no more of them: those
#: that wait answer its later pings too.
MAX_PONGS = 64

#: How much of a server's own words goes into messages and logs, in characters.
QUOTED = 200


class AwaitedPong:
    """A ping on its way: only a pong that comes after the ping was written answers it."""

    def __init__(self) -> None:
        self.written = False
        self.withdrawn = False
        self.come = Event()


class ConnectionRefused(Exception):
    """The server doesn't accept the connection; ``fault`` says why."""

    def __init__(self, fault: TransportError) -> None:
        super().__init__()
        self.fault = fault


class Receiver:
    """Reads one socket, and acts on what comes. Make one while the loop runs."""

    def __init__(
        self,
        server: str,
        flow: Flow,
        routes: Routes,
        writer: Writer,
        monitor: PeerMonitor,
        wake: Callable[[Waiter], None],
    ) -> None:
        #: The last payloads that came with ``connection_ack``, ``ping`` and ``pong``.
        self.payloads: dict[str, Any] = {}
        #: Set by the acknowledgement, and by the end of the connection.
        self.acknowledged = Event()
        self.awaited_pong: AwaitedPong | None = None
        #: Consumers that results have come for, to be woken when everything is handed out.
        self.to_wake: list[Waiter] = []
        self._server = server
        self._flow = flow
        self._routes = routes
        self._writer = writer
        self._monitor = monitor
        self._wake = wake
        self._codec: Codec

    async def run(self, socket: WebSocket, codec: Codec) -> None:
        """Receive until the end.

        Raises ``WebSocketEnded``, ``ProtocolViolation`` or ``ConnectionRefused``.
        """
        self._codec = codec
        while True:
            await self._hand_out(await socket.receive())

    def is_full_batch(self, count: int) -> bool:
        """Return whether so many messages are to be handed out before more are read."""
        return count >= MESSAGES_FOR_EACH_CONSUMER * self._flow.receiving

    async def _hand_out(self, messages: Sequence[bytes | str]) -> None:
        try:
            for start in range(0, len(messages), MESSAGES_BETWEEN_CHECKPOINTS):
                if start:
                    await checkpoint()
                await self._hand_out_some(messages[start : start + MESSAGES_BETWEEN_CHECKPOINTS])
        finally:
            self._wake_consumers()

    async def _hand_out_some(self, messages: Sequence[bytes | str]) -> None:
        flow = self._flow
        routes = self._routes
        route_of = routes.by_id.get
        # Read together, since a call for each costs as much as the reading.
        events = self._codec.receive_many(messages)
        for message, event in zip(messages, events, strict=True):
            if flow.full:
                self._wake_consumers()
                await flow.admit()
                self._monitor.note_activity()
            if type(event) is Next:
                route = route_of(event.id)
                if route is None:
                    continue
                if route.merge is not None:
                    self._add_part(route, route.merge, message)
                elif route.next(event.payload):
                    routes.forget(event.id)
            else:
                self._handle(event)

    def _wake_consumers(self) -> None:
        for waiter in self.to_wake:
            self._wake(waiter)
        self.to_wake.clear()

    def _add_part(self, route: Route, merge: IncrementalMerge, message: bytes | str) -> None:
        try:
            if route.add_part(merge, self._codec.increment(message)):
                self._routes.forget(route.id)
        except ProtocolViolation as violation:
            # The message was one of the protocol's; what it says of this result makes no sense.
            route.fail(faults.broke_protocol(self._server, violation))
            route.owner.leave(route)

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case Complete():
                if (route := self._routes.forget(event.id)) is not None:
                    route.complete()
            case Error():
                if (route := self._routes.forget(event.id)) is not None:
                    route.reject(event.payload)
            case Ping():
                self.payloads["ping"] = event.payload
                self._answer_ping()
            case Pong():
                self.payloads["pong"] = event.payload
                if self.awaited_pong is not None and self.awaited_pong.written:
                    self.awaited_pong.come.set()
            case KeepAlive():
                self._monitor.start_listening()
            case Ack():
                self.payloads["connection_ack"] = event.payload
                self.acknowledged.set()
                if not self._codec.has_keep_alive_messages:
                    self._monitor.start_listening()
            case Refusal():
                self._handle_refusal(event.payload)
            case Next():
                pass

    def _answer_ping(self) -> None:
        if self._writer.pongs < MAX_PONGS and (pong := self._codec.pong()) is not None:
            self._writer.enqueue_pong(pong)

    def _handle_refusal(self, payload: Any) -> None:
        message: Any = cast("Any", payload).get("message") if isinstance(payload, Mapping) else ""
        # Anything but text may be nested so deeply that it can't even be shown.
        reason = message[:QUOTED] if isinstance(message, str) else ""
        if self.acknowledged.is_set():
            # A message of ours that it could not read; the connection goes on.
            logger.warning("%s reports: %s", self._server, reason)
            return
        raise ConnectionRefused(faults.refused(self._server, reason))
