"""One WebSocket connection: the tasks that run it, and the routes to whoever waits.

Three tasks, in a task group that the caller enters with the connection: one receives and hands
out, one writes (nobody else does: a cancelled write would leave half a frame on the wire), one
watches whether the peer is there. The receiving task raises nothing for faults of the network or
the peer. It records the fault, closes the routes, and shuts the socket down.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from anyio import (
    AsyncContextManagerMixin,
    CancelScope,
    Event,
    create_task_group,
    move_on_after,
)
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import cancelled_first
from ..concurrency.tasks import unwrapped
from ..concurrency.waiters import Parked
from ..delivery.faults import closed
from ..delivery.interfaces import TransportArgs, refuse_args
from ..delivery.multiplexed import RoutedConnection
from ..delivery.routes import Route
from ..documents.request import GraphQLRequest
from ..exceptions import ProtocolViolation, TransportConnectTimeout, TransportError, copy_to_raise
from ..protocols.base import Codec
from ..protocols.close_codes import CloseCode
from ..protocols.events import Ack, Complete, Error, Next, Ping, Pong, Refusal
from ..protocols.events import Event as ServerEvent
from ..protocols.events import KeepAlive as KeepAliveEvent
from . import faults
from .keep_alive import KeepAliveTimes, PeerMonitor
from .sockets.base import WebSocket, WebSocketEnded

if TYPE_CHECKING:
    from ..results.incremental import IncrementalMerge

__all__ = ["Opener", "WebSocketConnection"]

logger = logging.getLogger(__name__)

#: Messages handed out between two checkpoints that really let other tasks run. A message costs
#: a few microseconds, so this is a few milliseconds at most.
BURST = 1024

#: Messages to be read, for each consumer that waits, before they are handed out: with a thousand
#: consumers, waking each of them for a single result would be most of the work.
TOGETHER = 8

#: Pongs that wait to be written. A peer that pings and does not read gets no more of them: those
#: that wait answer its later pings too.
MAX_PONGS = 64

#: How much of a server's own words goes into messages and logs, in characters.
QUOTED = 200

#: Seconds for a last word to a peer from whom no answer is expected.
BRIEFLY = 1.0


class Opener(Protocol):
    """The transport, as its connections see it."""

    connect_timeout: float | None
    ack_timeout: float | None
    close_timeout: float | None
    keep_alive: KeepAliveTimes

    @property
    def description(self) -> str:
        """The server, fit for messages."""
        ...

    async def open(self, task_group: TaskGroup) -> tuple[WebSocket, Codec, Any]:
        """A new socket, the codec for what is spoken on it, and the init payload."""
        ...


class WebSocketConnection(RoutedConnection, AsyncContextManagerMixin):
    """One connection: entering opens it, leaving closes it.

    Made by ``WebSocketTransport.connect``.
    """

    def __init__(self, transport: Opener) -> None:
        super().__init__()
        self._transport = transport
        self.payloads: dict[str, Any] = {}
        self._outgoing: list[tuple[Route | _AskedPong | None, bytes]] = []
        self._pongs = 0
        self._asked_pong: _AskedPong | None = None
        self._output = Event()
        self._acknowledged = Event()
        self._written = Event()
        self._stopping = False
        # Consumers that results have come for, and who are woken when all is handed out.
        self._woken: list[Parked] = []
        # Why it ends, from our side: what the closing handshake says, and whether the peer
        # can be expected to answer it.
        self._closing = (int(CloseCode.NORMAL), "")
        self._polite = False
        # Set when the context is entered: there may be no event loop yet.
        self._reading: CancelScope
        self._writing: CancelScope
        self._watching: CancelScope
        self._keep_alive = PeerMonitor(transport.keep_alive, self.flow, self._ping, self.drop)

    # Opening and closing.

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[WebSocketConnection]:
        with unwrapped():
            async with create_task_group() as tg:
                self._take_loop()
                self.wake_soon = self._woken.append
                self._reading = CancelScope()
                self._writing = CancelScope(shield=True)
                self._watching = CancelScope()
                await self._open(tg)
                try:
                    yield self
                finally:
                    self.close()

    async def _open(self, tg: TaskGroup) -> None:
        transport = self._transport
        init: Any = None
        with move_on_after(transport.connect_timeout) as scope:
            self._socket, self._codec, init = await transport.open(tg)
        if scope.cancelled_caught:
            raise TransportConnectTimeout(
                f"{transport.description}: no connection within "
                f"{transport.connect_timeout:g} s (connect_timeout)"
            )
        self._socket.on_output = self._wake_writer
        self._socket.on_received = self._keep_alive.note_activity
        self._socket.is_full_batch = self._is_enough
        tg.start_soon(self._receive_task, name="anygql: receive")
        tg.start_soon(self._write_task, name="anygql: write")
        self._enqueue(self._codec.connection_init(init))
        with move_on_after(transport.ack_timeout) as scope:
            await self._acknowledged.wait()
        if scope.cancelled_caught:
            code = CloseCode.CONNECTION_ACKNOWLEDGEMENT_TIMEOUT
            message = f"no acknowledgement within {transport.ack_timeout:g} s (ack_timeout)"
            self.close(code, "Connection acknowledgement timeout")
            raise TransportConnectTimeout(f"{transport.description}: {message}", code=code)
        if self.fault is not None:
            await cancelled_first(self.fault)
            raise copy_to_raise(self.fault) from self.fault.__cause__
        self._polite = True
        self.idle_since = self._now()
        if transport.keep_alive.is_enabled:
            tg.start_soon(self._watch_task, name="anygql: keep-alive")

    def drop(self, why: str) -> None:
        """Give the connection up: whoever waits on it gets ``TransportConnectionFailed``."""
        self._polite = False
        self._closing = (int(CloseCode.TERMINATED), "Terminated")
        self._end(faults.dead(self._transport.description, why))
        self._reading.cancel()

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begin to close; leaving the context waits for the end of it."""
        if not self._ended.is_set():
            self._closing = (int(code), reason)
            self._end(closed(self._transport.description, reason))
            self._reading.cancel()

    def _end(self, fault: TransportError) -> bool:
        news = super()._end(fault)
        if news:
            self._acknowledged.set()
            self._watching.cancel()
        return news

    async def _shut_down(self) -> None:
        timeout = self._transport.close_timeout
        timeout = math.inf if timeout is None else timeout
        with move_on_after(timeout if self._polite else min(timeout, BRIEFLY)):
            if self._polite and (farewell := self._codec.terminate()) is not None:
                self._enqueue(farewell)
            self._stopping = True
            self._wake_writer()
            await self._written.wait()
            await self._socket.aclose(*self._closing)
        self._writing.cancel()
        await self._written.wait()
        await self._socket.aclose_forcefully()

    # Operations.

    def _check_args(self, transport_args: TransportArgs) -> None:
        refuse_args(transport_args, "a WebSocket")

    def leave(self, route: Route) -> None:
        """Forget the route, and tell the server if the operation still runs there."""
        if not self._forget(route.id):
            return
        if route.written:
            self._enqueue(self._codec.complete(route.id))
        else:
            route.withdrawn = True

    def _start(self, route: Route, request: GraphQLRequest, transport_args: TransportArgs) -> None:
        message = self._codec.subscribe(route.id, request)
        self._register(route)
        self._enqueue(message, route)

    # Writing.

    def _enqueue(self, message: bytes, asker: Route | _AskedPong | None = None) -> None:
        self._outgoing.append((asker, message))
        self._output.set()

    def _wake_writer(self) -> None:
        self._output.set()

    def _take_outgoing(self) -> list[bytes]:
        outgoing, self._outgoing = self._outgoing, []
        self._pongs = 0
        messages: list[bytes] = []
        for asker, message in outgoing:
            if asker is not None:
                if asker.withdrawn:
                    continue
                asker.written = True
            messages.append(message)
        return messages

    async def _write_task(self) -> None:
        try:
            with self._writing:
                await self._write()
        except WebSocketEnded as ended:
            # What was received before may say better why: the receiving task has the first word.
            with CancelScope(shield=True), move_on_after(BRIEFLY):
                await self._ended.wait()
            self._end(self._lost(ended))
            self._reading.cancel()
        finally:
            self._written.set()

    async def _write(self) -> None:
        while True:
            await self._output.wait()
            self._output = Event()
            await self._socket.send(self._take_outgoing())
            if self._stopping and not self._outgoing:
                return

    # Receiving.

    async def _receive_task(self) -> None:
        try:
            with self._reading:
                self._end(await self._receive())
        finally:
            # Without a fault so far, this is a cancellation, or a defect on its way out.
            self._end(closed(self._transport.description))
            with CancelScope(shield=True):
                await self._shut_down()

    async def _receive(self) -> TransportError:
        try:
            while True:
                await self._hand_out(await self._socket.receive())
        except WebSocketEnded as ended:
            return self._lost(ended)
        except ProtocolViolation as violation:
            self._closing = (violation.code, violation.reason)
            self._polite = False
            return faults.broke_protocol(self._transport.description, violation)
        except _RefusedError as refused:
            return refused.fault

    def _is_enough(self, count: int) -> bool:
        return count >= TOGETHER * self.flow.receiving

    async def _hand_out(self, messages: Sequence[bytes | str]) -> None:
        try:
            for start in range(0, len(messages), BURST):
                if start:
                    await checkpoint()
                await self._hand_out_burst(messages[start : start + BURST])
        finally:
            self._wake_consumers()

    async def _hand_out_burst(self, messages: Sequence[bytes | str]) -> None:
        flow = self.flow
        routes = self._routes
        # Read together, since a call for each costs as much as the reading.
        events = self._codec.receive_many(messages)
        for message, event in zip(messages, events, strict=True):
            if flow.full:
                self._wake_consumers()
                await flow.admit()
                self._keep_alive.note_activity()
            if type(event) is Next:
                route = routes.get(event.id)
                if route is None:
                    continue
                if route.merge is not None:
                    self._grow(route, route.merge, message)
                elif route.next(event.payload):
                    self._forget(event.id)
            else:
                self._handle(event)

    def _wake_consumers(self) -> None:
        for parked in self._woken:
            self.parking.wake(parked)
        self._woken.clear()

    def _grow(self, route: Route, merge: IncrementalMerge, message: bytes | str) -> None:
        try:
            if route.grow(merge, self._codec.increment(message)):
                self._forget(route.id)
        except ProtocolViolation as violation:
            # The message was one of the protocol's; what it says of this result makes no sense.
            route.fail(faults.broke_protocol(self._transport.description, violation))
            self.leave(route)

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case Complete():
                if (route := self._forget(event.id)) is not None:
                    route.complete()
            case Error():
                if (route := self._forget(event.id)) is not None:
                    route.reject(event.payload)
            case Ping():
                self.payloads["ping"] = event.payload
                if self._pongs < MAX_PONGS and (pong := self._codec.pong()) is not None:
                    self._pongs += 1
                    self._enqueue(pong)
            case Pong():
                self.payloads["pong"] = event.payload
                if self._asked_pong is not None and self._asked_pong.written:
                    self._asked_pong.come.set()
            case KeepAliveEvent():
                self._keep_alive.start_listening()
            case Ack():
                self.payloads["connection_ack"] = event.payload
                self._acknowledged.set()
                if not self._codec.has_keep_alive_messages:
                    self._keep_alive.start_listening()
            case Refusal():
                self._refused(event.payload)
            case Next():
                pass

    def _refused(self, payload: Any) -> None:
        message: Any = cast("Any", payload).get("message") if isinstance(payload, Mapping) else ""
        # Anything but text may be nested so deeply that it can't even be shown.
        said = message[:QUOTED] if isinstance(message, str) else ""
        if self._acknowledged.is_set():
            # A message of ours that it could not read; the connection goes on.
            logger.warning("%s reports: %s", self._transport.description, said)
            return
        raise _RefusedError(faults.refused(self._transport.description, said))

    def _lost(self, ended: WebSocketEnded) -> TransportError:
        if ended.ours:
            self._closing = (ended.code, ended.reason)
        return faults.lost(self._transport.description, ended)

    # Keep-alive.

    async def _watch_task(self) -> None:
        with self._watching:
            await self._keep_alive.run()

    async def _ping(self) -> None:
        message = self._codec.ping()
        if message is None:
            try:
                await self._socket.ping()
            except WebSocketEnded:
                await self._ended.wait()
            return
        self._asked_pong = asked = _AskedPong()
        self._enqueue(message, asked)
        await asked.come.wait()


class _AskedPong:
    """A ping on its way: only a pong that comes after it was written is its answer."""

    def __init__(self) -> None:
        self.written = False
        self.withdrawn = False
        self.come = Event()


class _RefusedError(Exception):
    def __init__(self, fault: TransportError) -> None:
        super().__init__()
        self.fault = fault
