"""The life of one WebSocket connection: how it opens, what runs it, and how it ends.

Three tasks, in a task group that the caller enters with the connection: one receives and hands
out (``receiver.py``), one writes (``writer.py``), one watches whether the peer is there
(``keep_alive.py``). The receiving task raises nothing for faults of the network or the peer. It
records the fault, which ends every route, and shuts the socket down.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from anyio import (
    AsyncContextManagerMixin,
    CancelScope,
    create_task_group,
    move_on_after,
)
from anyio.abc import TaskGroup, TaskStatus

from ..concurrency.cancellation import cancelled_first, stray_cancellation
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..delivery.base import Endpoint
from ..delivery.faults import closed
from ..delivery.interfaces import AnyTransportArgs, Authorized, refuse_args
from ..delivery.multiplexed import MultiplexedConnection
from ..delivery.routes import Route
from ..documents.request import GraphQLRequest
from ..exceptions import ProtocolViolation, TransportConnectTimeout, TransportError, copy_to_raise
from ..json import JSON
from ..net.options import resolve
from ..protocols.base import ALL_OPERATIONS, Codec, SubscriptionProtocol
from ..protocols.close_codes import CloseCode
from . import faults
from .keep_alive import KeepAliveTimes, PeerMonitor
from .receiver import AwaitedPong, ConnectionGone, Receiver
from .sockets.base import WebSocket, WebSocketEnded
from .starting import StartLimit
from .writer import Writer

__all__ = ["Opened", "WebSocketConnection", "WebSocketEndpoint"]

#: Seconds to close, or to wait for the receiver's fault, if no answer is expected of the peer.
BRIEFLY = 1.0


class Opened(NamedTuple):
    """An open WebSocket, and what is spoken over it."""

    socket: WebSocket
    protocol: SubscriptionProtocol
    codec: Codec
    init_payload: Any
    #: The transport's URL, from which the protocol may have derived another.
    url: str
    json: JSON


class WebSocketEndpoint(Endpoint, Protocol):
    """The transport, as its connections see it."""

    connect_timeout: float | None
    ack_timeout: float | None
    close_timeout: float | None
    keep_alive: KeepAliveTimes

    async def open(self, task_group: TaskGroup) -> Opened:
        """Return a new socket, and what is to be spoken over it."""
        ...


class WebSocketConnection(MultiplexedConnection, AsyncContextManagerMixin):
    """One connection: entering opens it, leaving closes it.

    Made by ``WebSocketTransport.connect``.
    """

    def __init__(self, endpoint: WebSocketEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint
        # What our close frame says, and whether the peer can be expected to answer it.
        self._closing = (int(CloseCode.NORMAL), "")
        self._peer_answers = False
        self._monitor = PeerMonitor(endpoint.keep_alive, self.flow, self._ping, self.drop)
        # Set when the context is entered: there may be no event loop before.
        self._socket: WebSocket
        self._protocol: SubscriptionProtocol
        self._codec: Codec
        self._opened: Opened
        self._start_limit: StartLimit | None = None
        self._writer: Writer
        self._receiver: Receiver
        self._reading: CancelScope
        self._watching: CancelScope
        self._limiting_starts: CancelScope

    # Opening and closing.

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[WebSocketConnection]:
        with unwrapped():
            async with create_task_group() as tg:
                self._take_loop()
                await self._open(tg)
                try:
                    yield self
                finally:
                    self.close()

    def _take_loop(self) -> None:
        super()._take_loop()
        self._reading = CancelScope()
        self._watching = CancelScope()
        self._limiting_starts = CancelScope()
        self._writer = Writer()
        self._receiver = Receiver(
            self._endpoint.description,
            self.flow,
            self.routes,
            self._writer,
            self._monitor,
            self.loop.wake,
        )
        self.payloads = self._receiver.payloads
        self.wake_soon = self._receiver.to_wake.append

    async def _open(self, tg: TaskGroup) -> None:
        endpoint = self._endpoint
        init: Any = None
        with move_on_after(endpoint.connect_timeout) as scope:
            try:
                opened = await endpoint.open(tg)
                self._opened = opened
                self._socket, self._protocol, self._codec, init = opened[:4]
                self.authorizes = self._protocol.authorizes
            except BaseException as exc:
                if stray := stray_cancellation(exc, "the connector", endpoint.description):
                    raise stray from exc
                raise
        if scope.cancelled_caught:
            raise TransportConnectTimeout(
                f"{endpoint.description}: no connection within "
                f"{endpoint.connect_timeout:g} s (connect_timeout)"
            )
        self.response_headers = MappingProxyType(dict(self._socket.response_headers))
        self._socket.on_output = self._writer.wake
        self._socket.on_received = self._monitor.note_activity
        self._socket.is_full_batch = self._receiver.is_full_batch
        await self._start_tasks(tg, init)
        await self._wait_acknowledged()
        self._peer_answers = True
        self.routes.idle_since = self.loop.now()
        if self._monitor.is_enabled:
            tg.start_soon(self._watch_task, name="anygql: keep-alive")
        if self._protocol.start_timeout is not None:
            self._start_limit = self._receiver.start_limit = StartLimit(
                self._protocol.start_timeout, self.flow, self._fail_unstarted
            )
            tg.start_soon(self._limit_starts_task, name="anygql: start")

    async def _start_tasks(self, tg: TaskGroup, init: Any) -> None:
        """Start the tasks that receive and write. From then on the former closes the socket.

        Under trio, Ctrl-C may take a task before it has begun, so the socket has to be closed here,
        and there must be no task that writes without one that ends it.
        """
        try:
            self._writer.enqueue(self._codec.connection_init(init))
            await tg.start(self._receive_task, name="anygql: receive")
        except BaseException:
            with CancelScope(shield=True):
                await self._socket.aclose_forcefully()
            raise
        tg.start_soon(self._write_task, name="anygql: write")

    async def _wait_acknowledged(self) -> None:
        endpoint = self._endpoint
        with move_on_after(endpoint.ack_timeout) as scope:
            await self._receiver.acknowledged.wait()
        if scope.cancelled_caught:
            code = CloseCode.CONNECTION_ACKNOWLEDGEMENT_TIMEOUT
            message = f"no acknowledgement within {endpoint.ack_timeout:g} s (ack_timeout)"
            self.close(code, "Connection acknowledgement timeout")
            raise TransportConnectTimeout(f"{endpoint.description}: {message}", code=code)
        if self.fault is not None:
            await cancelled_first(self.fault)
            raise copy_to_raise(self.fault) from self.fault.__cause__

    def drop(self, why: str) -> None:
        """Give the connection up: its calls and subscriptions get ``TransportConnectionFailed``."""
        self._peer_answers = False
        self._closing = (int(CloseCode.TERMINATED), "Terminated")
        self._end(faults.dead(self._endpoint.description, why))
        self._reading.cancel()

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begin to close; leaving the context waits for the end of it."""
        if self.fault is None:
            self._closing = (int(code), reason)
            self._end(closed(self._endpoint.description, reason, code=CloseCode.NORMAL))
            self._reading.cancel()

    def _end(self, fault: TransportError) -> bool:
        ended = super()._end(fault)
        if ended:
            self._receiver.acknowledged.set()
            self._watching.cancel()
            self._limiting_starts.cancel()
        return ended

    async def _shut_down(self) -> None:
        timeout = self._endpoint.close_timeout
        timeout = math.inf if timeout is None else timeout
        try:
            with move_on_after(timeout if self._peer_answers else min(timeout, BRIEFLY)):
                if self._peer_answers:
                    for message in self._codec.terminate():
                        self._writer.enqueue(message)
                await self._writer.stop()
                await self._wait_terminated()
                await self._socket.aclose(*self._closing)
        finally:
            # The end of `asyncio.run` cancels each task that is left, whatever shields it.
            await self._writer.cancel()
            await self._socket.aclose_forcefully()

    async def _wait_terminated(self) -> None:
        """Receive until the codec has heard all that it waits for, or the peer is gone."""
        with suppress(WebSocketEnded, ProtocolViolation):
            while self._peer_answers and not self._codec.is_terminated:
                for _ in self._codec.receive_many(await self._socket.receive()):
                    pass

    # Operations.

    async def authorize(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> AnyTransportArgs:
        """Ask the protocol for the authorization of one operation; return what to run it with.

        Canceling sends nothing.
        """
        if not self._protocol.authorizes:
            return transport_args
        self._check_operation(request)
        given = None if transport_args is None else {**transport_args}
        url, json = self._opened.url, self._opened.json
        value = await resolve(
            lambda: self._protocol.authorize(request, given, url=url, json=json),
            "authorize",
            self._endpoint.description,
        )
        return Authorized(given, value)

    def _check_args(self, transport_args: AnyTransportArgs) -> None:
        if not isinstance(transport_args, Authorized):
            refuse_args(transport_args, "a WebSocket")

    def _check_operation(self, request: GraphQLRequest) -> None:
        """Raise ``TypeError`` for an operation that the server doesn't run over this protocol."""
        if request.kind not in self._protocol.operations:
            raise faults.not_over_this_protocol(
                self._endpoint.description, request.kind, self._protocol.operations
            )

    def leave(self, route: Route) -> None:
        """Forget the route, and tell the server if the operation still runs there."""
        if not self.routes.forget(route.id):
            return
        if not route.written:
            self._writer.withdraw(route)
            self._codec.forget(route.id)
        elif (message := self._codec.complete(route.id)) is not None:
            self._writer.enqueue(message)

    def _start(
        self, route: Route, request: GraphQLRequest, transport_args: AnyTransportArgs
    ) -> None:
        if self._writer.is_full:
            raise faults.not_reading(self._endpoint.description, self._writer.waiting_size)
        protocol = self._protocol
        if protocol.operations is not ALL_OPERATIONS:
            self._check_operation(request)
        if route.merge is not None and not protocol.is_incremental:
            raise faults.not_incremental(self._endpoint.description)
        authorization = (
            transport_args.authorization if isinstance(transport_args, Authorized) else None
        )
        message = self._codec.subscribe(route.id, request, authorization)
        self.routes.register(route)
        self._writer.enqueue(message, route)
        if self._start_limit is not None and request.kind == "subscription":
            self._start_limit.begin(route.id)

    def _fail_unstarted(self, id: str, seconds: float) -> None:
        """End a subscription that the server has not started in time."""
        route = self.routes.by_id.get(id)
        if route is not None:
            route.fail_alone(faults.not_started(self._endpoint.description, seconds))
            self.leave(route)

    # Tasks.

    @uninterruptible
    async def _write_task(self) -> None:
        try:
            await self._writer.run(self._socket)
        except WebSocketEnded as ended:
            # What was received before may say better why: the receiver's fault takes precedence.
            with CancelScope(shield=True), move_on_after(BRIEFLY):
                await self._ended.wait()
            self._end(self._lost(ended))
            self._reading.cancel()

    @uninterruptible
    async def _receive_task(self, *, task_status: TaskStatus[None]) -> None:
        try:
            task_status.started()
            with self._reading:
                self._end(await self._receive())
        finally:
            # Without a fault so far, this is a cancellation, or a defect on its way out.
            self._end(closed(self._endpoint.description, code=CloseCode.NORMAL))
            with CancelScope(shield=True):
                await self._shut_down()

    async def _receive(self) -> TransportError:
        """Receive until the end, and return why it came."""
        try:
            await self._receiver.run(self._socket, self._codec)
        except WebSocketEnded as ended:
            return self._lost(ended)
        except ProtocolViolation as violation:
            self._closing = (violation.code, violation.reason)
            self._peer_answers = False
            return faults.broke_protocol(
                self._endpoint.description,
                violation,
                acknowledged=self._receiver.acknowledged.is_set(),
            )
        except ConnectionGone as gone:
            return gone.fault
        raise AssertionError("the receiver returned")  # pragma: no cover - run() never returns

    def _lost(self, ended: WebSocketEnded) -> TransportError:
        if ended.ours:
            self._closing = (ended.code, ended.reason)
        return faults.lost(
            self._endpoint.description, ended, acknowledged=self._receiver.acknowledged.is_set()
        )

    @uninterruptible
    async def _watch_task(self) -> None:
        with self._watching:
            await self._monitor.run()

    @uninterruptible
    async def _limit_starts_task(self) -> None:
        assert self._start_limit is not None  # noqa: S101 - the task is only started then
        with self._limiting_starts:
            await self._start_limit.run()

    async def _ping(self) -> None:
        """Send a ping, and return when a pong has followed it."""
        message = self._codec.ping()
        if message is None:
            try:
                await self._socket.ping()
            except WebSocketEnded:
                await self._ended.wait()
            return
        self._receiver.awaited_pong = awaited = AwaitedPong()
        self._writer.enqueue(message, awaited)
        await awaited.come.wait()
