"""graphql-sse's single connection mode: one event stream for the results of all operations.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md, "Single connection mode". A
stream is reserved (PUT), opened (GET), and gets the results of what is then asked for (POST), until
the operation is over or is stopped (DELETE). Its loss takes all operations with it, like that of a
WebSocket.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio import AsyncContextManagerMixin, CancelScope, create_task_group, move_on_after
from anyio.abc import TaskGroup, TaskStatus
from anyio.lowlevel import checkpoint

from ..concurrency.tasks import unwrapped
from ..delivery.faults import closed
from ..delivery.feed import Feed
from ..delivery.interfaces import TransportArgs
from ..delivery.multiplexed import RoutedConnection
from ..delivery.routes import Route
from ..documents.request import GraphQLRequest
from ..exceptions import (
    ProtocolViolation,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportServerError,
)
from ..protocols.events import Error, Next
from .accept import ACCEPT_JSON, EVENT_STREAM, PLAIN_TEXT
from .endpoint import HTTPEndpoint
from .formats.graphql_sse import IncrementalPart, SingleStream
from .httpx.exchange import Exchange
from .httpx.incoming import IncomingResponse
from .operations import RequestBuilder
from .requests import HTTPRequest, checked_args
from .responses import Response
from .streams import MILLI, violation_error

__all__ = ["SingleConnection"]

logger = logging.getLogger(__name__)

#: Where the token goes that a reservation is known by.
TOKEN = "X-GraphQL-Event-Stream-Token"  # noqa: S105 - the name of a header

# Whatever else it has, it could not be said in a header.
_TOKEN_TEXT = re.compile(rb"[!-~]+")

#: Results handed out between two checkpoints that really let other tasks run.
BURST = 64

#: What a token comes as; some servers don't say.
PLAIN = frozenset({"", PLAIN_TEXT})

#: The longest token that is taken for one, in bytes.
MAX_TOKEN = 4096

#: Seconds for a request that nobody waits for any more.
BRIEFLY = 1.0

#: What an operation is answered with, whose results come by the stream.
ACCEPTED = 202


class _Asking:
    """The request that starts an operation, on its way."""

    def __init__(self, route: Route) -> None:
        self.route = route
        #: Whether the operation must be stopped once it may have been started.
        self.left = False
        self.scope = CancelScope()


class SingleConnection(RoutedConnection, AsyncContextManagerMixin):
    """One event stream, and the operations whose results come by it.

    Made by ``HTTPTransport(single_connection=True)``: entering opens the stream, leaving closes
    it, which ends all operations on the server.
    """

    def __init__(self, transport: HTTPEndpoint) -> None:
        super().__init__()
        self._transport = transport
        self._json = transport.json
        self._exchange = Exchange(transport)
        self._operations = RequestBuilder(transport)
        self.payloads: Mapping[str, Any] = {}
        self._asking: dict[str, _Asking] = {}
        self._reserved = ""
        # Set when the context is entered: there may be no event loop yet.
        self._reading: CancelScope
        self._tasks: TaskGroup

    # Opening and closing.

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[SingleConnection]:
        self._take_loop()
        self._reading = CancelScope()
        self._exchange.open()
        try:
            with unwrapped():
                async with create_task_group() as self._tasks:
                    await self._open()
                    self.idle_since = self._now()
                    try:
                        yield self
                    finally:
                        self.close()
        finally:
            await self._exchange.aclose()

    async def _open(self) -> None:
        timeout = self._transport.connect_timeout
        with move_on_after(timeout):
            self._reserved = await self._reserve()
            await self._tasks.start(self._receive_task)
            return
        raise TransportConnectTimeout(
            f"{self._transport.description}: no event stream within {timeout:g} s (connect_timeout)"
        )

    async def _reserve(self) -> str:
        outgoing = HTTPRequest("PUT", None, [("Accept", PLAIN_TEXT)])
        async with self._exchange.send(outgoing) as incoming:
            answer = await incoming.read_response()
        if not answer.ok:
            raise answer.refused(None)
        token = answer.body.strip()
        if (
            answer.media[0] not in PLAIN
            or not 0 < len(token) <= MAX_TOKEN
            or not _TOKEN_TEXT.fullmatch(token)
        ):
            raise answer.not_graphql("something else than the token of a reserved event stream")
        return token.decode()

    def drop(self, why: str) -> None:
        """Give it up: whoever waits on it gets ``TransportConnectionFailed``."""
        self._end(TransportConnectionFailed(f"{self._transport.description}: {why}"))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; leaving the context waits for the end of it."""
        self._end(closed(self._transport.description))

    def _end(self, fault: TransportError) -> bool:
        news = super()._end(fault)
        if news:
            for asking in self._asking.values():
                asking.scope.cancel()
            self._reading.cancel()
        return news

    # Operations.

    def _start(self, route: Route, request: GraphQLRequest, transport_args: TransportArgs) -> None:
        named = request.replace(extensions={**(request.extensions or {}), "operationId": route.id})
        outgoing = self._operations.single(
            named, checked_args(transport_args), get=False, accept=ACCEPT_JSON
        ).with_header(TOKEN, self._reserved)
        self._register(route)
        self._asking[route.id] = asking = _Asking(route)
        self._tasks.start_soon(self._ask, asking, outgoing, name="anygql: operation")

    async def _ask(self, asking: _Asking, outgoing: HTTPRequest) -> None:
        # Not in the caller's task: a request that is cancelled half-way leaves open whether the
        # operation runs, and the one that stops it could overtake it.
        route = asking.route
        try:
            with asking.scope:
                route.written = True
                async with self._exchange.send(outgoing) as incoming:
                    answer = await incoming.read_response()
                self._accepted(route, answer)
        except TransportServerError as refusal:
            asking.left = False
            self._fail(route, refusal)
        except TransportError as fault:
            route.written = asking.left = not fault.unsent
            self._fail(route, fault)
        except Exception as exc:  # noqa: BLE001 - a header function's, or a hook's of the user's client
            failed = TransportConnectionFailed(
                f"{self._transport.description}: {type(exc).__name__} kept the operation from "
                "being sent",
                retryable=isinstance(exc, OSError),
            )
            failed.__cause__ = exc
            self._fail(route, failed)
        finally:
            del self._asking[route.id]
        if asking.left and route.written:
            await self._stop(route.id)

    def _accepted(self, route: Route, answer: Response) -> None:
        """Take the response: 202 by the specification, or the result itself."""
        if answer.status == ACCEPTED or (answer.ok and not answer.body.strip()):
            return
        result = answer.result(self._json)
        if self._forget(route.id):
            route.next(result)
            route.complete()

    def _fail(self, route: Route, fault: TransportError) -> None:
        if not self._forget(route.id):
            return
        route.fail(fault)
        if isinstance(route, Feed) and route.on_lost is not None:
            route.on_lost(fault)

    def leave(self, route: Route) -> None:
        """Forget the route, and stop the operation if it still runs."""
        if not self._forget(route.id):
            return
        asking = self._asking.get(route.id)
        if asking is None:
            self._tasks.start_soon(self._stop, route.id, name="anygql: stop")
        elif route.written:
            asking.left = True
            asking.scope.deadline = self._now() + BRIEFLY
        else:
            asking.scope.cancel()

    async def _stop(self, id: str) -> None:
        if self.fault is not None:  # the end of the stream is the end of all its operations
            return
        outgoing = HTTPRequest(
            "DELETE", None, [(TOKEN, self._reserved)], params=[("operationId", id)]
        )
        try:
            with move_on_after(BRIEFLY):
                async with self._exchange.send(outgoing) as incoming:
                    await incoming.read_response()
        except Exception as exc:  # noqa: BLE001 - it was left: nobody is there to hear of it
            logger.info("%s: could not stop an operation: %r", self._transport.description, exc)

    # Receiving.

    async def _receive_task(self, *, task_status: TaskStatus[None]) -> None:
        outgoing = HTTPRequest("GET", None, [("Accept", EVENT_STREAM), (TOKEN, self._reserved)])
        try:
            with self._reading:
                async with self._exchange.send(outgoing, streaming=True) as incoming:
                    if not incoming.ok or incoming.media_type != EVENT_STREAM:
                        raise _no_stream(await incoming.read_response())
                    task_status.started()
                    self._end(await self._receive(incoming))
        finally:
            # Without a fault so far, this is a cancellation, or a defect on its way out.
            self._end(closed(self._transport.description))

    async def _receive(self, incoming: IncomingResponse) -> TransportError:
        reader = SingleStream(self._json, is_incremental=self._is_incremental)
        try:
            while (chunk := await incoming.read()) is not None:
                events = reader.feed(chunk)
                if events:
                    await self._hand_out(events)
                    reader.feed(b"")  # raises what came after them
            reader.close()
            return TransportConnectionFailed(f"{incoming.server}: the event stream has ended")
        except ProtocolViolation as violation:
            fault = violation_error(incoming.server, violation)
        except TransportError as exc:
            fault = exc
        if reader.events.retry is not None:
            fault.retry_after = reader.events.retry / MILLI
        return fault

    def _is_incremental(self, id: str) -> bool:
        route = self._routes.get(id)
        return route is not None and route.merge is not None

    async def _hand_out(self, events: list[Any]) -> None:
        for number, event in enumerate(events, 1):
            if self.flow.full:
                await self.flow.admit()
            if not number % BURST:
                await checkpoint()
            route = self._routes.get(event.id)
            if route is None:
                continue
            match event:
                case Next():
                    if route.next(event.payload):
                        self._forget(event.id)
                case IncrementalPart():
                    self._grow(route, event.payload)
                case Error():
                    self._forget(event.id)
                    route.reject(event.payload)
                case _:  # Complete
                    self._forget(event.id)
                    route.complete()

    def _grow(self, route: Route, part: Mapping[str, Any]) -> None:
        try:
            if route.merge is not None and route.grow(route.merge, part):
                self._forget(route.id)
        except ProtocolViolation as violation:
            route.fail(violation_error(self._transport.description, violation))
            self.leave(route)


def _no_stream(answer: Response) -> TransportError:
    if not answer.ok:
        return answer.refused(None)
    return answer.not_graphql("something else than an event stream")
