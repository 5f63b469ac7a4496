"""What comes on a WebSocket connection: results go to their routes, pings are answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from anyio import Event
from anyio.lowlevel import checkpoint

from ..concurrency.waiters import Waiter
from ..delivery.flow import Flow
from ..delivery.routes import Route, Routes
from ..exceptions import BODY_LIMIT, ProtocolViolation, TransportError, TransportProtocolError
from ..protocols.base import Codec
from ..protocols.events import (
    Ack,
    Complete,
    Ended,
    Error,
    Failed,
    KeepAlive,
    Malformed,
    Next,
    Ping,
    Pong,
    Refusal,
    Rejection,
    Say,
    Several,
    Started,
    UndecodedNext,
    Unknown,
)
from ..protocols.events import Event as ServerEvent
from ..results.answers import MAX_WORDS, server_words
from ..results.result import is_result, is_undecoded_object
from . import faults
from .keep_alive import PeerMonitor
from .sockets.base import WebSocket
from .starting import StartLimit
from .writer import Writer

if TYPE_CHECKING:
    from ..results.incremental import IncrementalMerge

__all__ = ["AwaitedPong", "ConnectionGone", "Receiver"]

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

#: Unknown types of messages that are reported, for each connection.
MAX_UNKNOWN_TYPES = 16


class AwaitedPong:
    """A ping on its way: only a pong that comes after the ping was written answers it."""

    def __init__(self) -> None:
        self.written = False
        self.come = Event()


class ConnectionGone(Exception):
    """The server has refused the connection, or it is of no more use; ``fault`` says why."""

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
        #: The limit for the server to start subscriptions, for protocols that have one.
        self.start_limit: StartLimit | None = None
        #: Consumers that results have come for, to be woken when everything is handed out.
        self.to_wake: list[Waiter] = []
        self._unknown_types: set[str | None] = set()
        self._server = server
        self._flow = flow
        self._routes = routes
        self._writer = writer
        self._monitor = monitor
        self._wake = wake
        self._codec: Codec

    async def run(self, socket: WebSocket, codec: Codec) -> None:
        """Receive until the end.

        Raises ``WebSocketEnded``, ``ProtocolViolation`` or ``ConnectionGone``.
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
        if routes.taking_json:
            await self._hand_out_undecoded(messages)
            return
        route_of = routes.by_id.get
        # Read together, since a call for each costs as much as the reading.
        events = self._codec.receive_many(messages)
        for message, event in zip(messages, events, strict=True):
            if flow.full:
                await self._wait_for_room()
            if type(event) is Next:
                route = route_of(event.id)
                if route is None:
                    if event.id in routes.uncompleted:
                        self._stop(event.id)
                elif (
                    # The field itself: this is on the path of every result.
                    type(event.payload.raw_data) is dict  # type: ignore[attr-defined]  # pyright: ignore
                    and route.merge is None
                ):
                    if route.next(event.payload):
                        routes.answered(event.id)
                else:
                    self._handle_next(route, event, message)
            elif type(event) is Several:
                await self._hand_out_several(event)
            else:
                self._handle(event)

    async def _hand_out_undecoded(self, messages: Sequence[bytes | str]) -> None:
        """Hand out messages while a route takes JSON text."""
        flow = self._flow
        routes = self._routes
        route_of = routes.by_id.get
        events = self._codec.receive_undecoded(messages)
        for message, event in zip(messages, events, strict=True):
            if flow.full:
                await self._wait_for_room()
            if type(event) is not UndecodedNext and type(event) is not Next:
                if type(event) is Several:
                    await self._hand_out_several(event)
                else:
                    self._handle(event)
                continue
            route = route_of(event.id)
            if route is None:
                if event.id in routes.uncompleted:
                    self._stop(event.id)
            elif route.takes_json and is_undecoded_object(event.payload):
                if route.next(event.payload):
                    routes.answered(event.id)
            else:
                self._handle_next(route, event, message)

    async def _hand_out_several(self, several: Several) -> None:
        """Hand out the events of one message, each as if it had come alone."""
        for event in several.events:
            if self._flow.full:
                await self._wait_for_room()
            if type(event) is not Next:
                self._handle(event)
                continue
            route = self._routes.by_id.get(event.id)
            if route is not None and route.next(event.payload):
                self._routes.answered(event.id)

    async def _wait_for_room(self) -> None:
        """Let the consumers take what has come, until more may be handed out."""
        self._wake_consumers()
        await self._flow.admit()
        self._monitor.note_activity()

    def _handle_next(self, route: Route, event: Next | UndecodedNext, message: bytes | str) -> None:
        """Handle a result that is a part, has data of doubtful kind, or has to be decoded."""
        if route.merge is not None:
            self._add_part(route, route.merge, message)
            return
        try:
            data = event.payload.data
        except TransportProtocolError:
            self._handle_doubtful(route, self._codec.reread(message))
            return
        if type(data) is dict or is_result(event.payload):
            if route.next(event.payload):
                self._routes.answered(event.id)
        else:
            self._handle_doubtful(route, self._codec.reread(message))

    def _wake_consumers(self) -> None:
        for waiter in self.to_wake:
            self._wake(waiter)
        self.to_wake.clear()

    def _add_part(self, route: Route, merge: IncrementalMerge, message: bytes | str) -> None:
        try:
            if route.add_part(merge, self._codec.increment(message)):
                self._routes.answered(route.id)
        except ProtocolViolation as violation:
            # The message was one of the protocol's; what it says of this result makes no sense.
            text = message.decode() if isinstance(message, bytes) else message
            self._handle_malformed(Malformed(route.id, violation.reason, text[:BODY_LIMIT]))

    def _handle_doubtful(self, route: Route, event: Next | Malformed) -> None:
        """Handle what was read as a result, and has been read again."""
        if isinstance(event, Malformed):
            self._handle_malformed(event)
        elif route.next(event.payload):
            self._routes.answered(route.id)

    def _handle_malformed(self, event: Malformed) -> None:
        route = self._routes.by_id.get(event.id)
        if route is not None:
            route.fail_alone(faults.no_result(self._server, event))
            route.owner.leave(route)
        elif event.id in self._routes.uncompleted:
            self._stop(event.id)

    def _stop(self, id: str) -> None:
        """Tell the server that the answer which has come was all that was wanted."""
        del self._routes.uncompleted[id]
        if (message := self._codec.complete(id)) is not None:
            self._writer.enqueue(message)

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case Complete():
                if (route := self._routes.ended(event.id)) is not None:
                    route.complete()
            case Error():
                if (route := self._routes.ended(event.id)) is not None:
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
                self._handle_ack(event)
            case Refusal() | Rejection():
                self._handle_refusal(event)
            case Malformed():
                self._handle_malformed(event)
            case Unknown():
                self._report_unknown(event)
            case _:
                self._handle_other(event)

    def _handle_other(self, event: ServerEvent) -> None:
        """Handle what other protocols have beside those of ``graphql-transport-ws``."""
        match event:
            case Say():
                self._writer.enqueue(event.message)
            case Started():
                if self.start_limit is not None:
                    self.start_limit.end(event.id)
                routes = self._routes.by_id
                if event.id in routes and (tell := routes[event.id].on_started) is not None:
                    tell()
            case Failed():
                if (route := self._routes.ended(event.id)) is not None:
                    route.fail_alone(faults.dropped(self._server, event.payload))
            case Ended():
                raise ConnectionGone(faults.useless(self._server, event))
            case _:
                pass

    def _handle_ack(self, event: Ack) -> None:
        self.payloads["connection_ack"] = event.payload
        self._monitor.learn_timeout(self._codec.keep_alive_timeout)
        self.acknowledged.set()
        if not self._codec.has_keep_alive_messages:
            self._monitor.start_listening()

    def _answer_ping(self) -> None:
        if self._writer.pongs < MAX_PONGS and (pong := self._codec.pong()) is not None:
            self._writer.enqueue_pong(pong)

    def _report_unknown(self, event: Unknown) -> None:
        """Log a message that is ignored: the first of its type on this connection."""
        kind = None if event.kind is None else event.kind[:MAX_WORDS]
        if kind in self._unknown_types or len(self._unknown_types) >= MAX_UNKNOWN_TYPES:
            return
        self._unknown_types.add(kind)
        logger.warning(
            "%s sent a message %s, which is ignored: %s",
            self._server,
            "without a type" if kind is None else f"of the unknown type {kind!r}",
            server_words(event.text),
        )

    def _handle_refusal(self, event: Refusal | Rejection) -> None:
        reason = server_words(event.payload)
        if self.acknowledged.is_set():
            # A message of ours that it could not read; the connection goes on.
            logger.warning("%s reports: %s", self._server, reason or "an error, without a text")
            return
        if isinstance(event, Rejection):
            raise ConnectionGone(faults.rejected(self._server, event.payload))
        raise ConnectionGone(faults.refused(self._server, reason, event.payload))
