"""graphql-sse's single connection mode: one event stream for the results of all operations.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md, "Single connection mode". A
stream is reserved (PUT) and opened (GET). It carries the results of each operation that is then
started (POST), until the operation is over or is stopped (DELETE). Losing the stream ends all
operations, as losing a WebSocket does.
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

from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..delivery.faults import closed
from ..delivery.feed import Feed
from ..delivery.interfaces import AnyTransportArgs
from ..delivery.multiplexed import MultiplexedConnection
from ..delivery.routes import Route
from ..documents.request import GraphQLRequest
from ..exceptions import (
    ProtocolViolation,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportServerError,
)
from ..json import JSON
from ..protocols.close_codes import CloseCode
from ..protocols.events import Error, Next
from ..results.result import ExecutionResult
from .accept import ACCEPT_JSON, EVENT_STREAM, PLAIN_TEXT
from .endpoint import HTTPEndpoint
from .exchange import exchange_of
from .formats.graphql_sse import BadResult, IncrementalPart, SingleStream
from .formats.payloads import BadPayload, require_object
from .incoming import IncomingResponse
from .operations import RequestBuilder
from .requests import HTTPRequest, checked_args
from .responses import Response
from .streams import MILLI, violation_error

__all__ = ["SingleConnection"]

logger = logging.getLogger(__name__)

#: The header of the token that names a reserved stream.
TOKEN = "X-GraphQL-Event-Stream-Token"  # noqa: S105 - the name of a header

# A token with any other character could not be sent in a header.
_TOKEN_TEXT = re.compile(rb"[!-~]+")

#: Results that are handed out between two real checkpoints.
RESULTS_BETWEEN_CHECKPOINTS = 64

#: The media types that a token comes as; some servers don't name one.
PLAIN = frozenset({"", PLAIN_TEXT})

#: The longest token that is accepted, in bytes.
MAX_TOKEN = 4096

#: Seconds that a request may take when no caller waits for it any more.
BRIEFLY = 1.0

#: The status of an operation whose results come by the stream.
ACCEPTED = 202


class _StartRequest:
    """The request that starts an operation, on its way."""

    def __init__(self, route: Route) -> None:
        self.route = route
        #: Whether the operation is to be stopped, if the request may have started it.
        self.left = False
        self.scope = CancelScope()


class SingleConnection(MultiplexedConnection, AsyncContextManagerMixin):
    """One event stream, and the operations whose results come by it.

    Made by ``HTTPTransport(single_connection=True)``: entering opens the stream, leaving closes
    it, which ends all operations on the server.
    """

    #: Each operation is a request with headers of its own.
    authorizes = True

    def __init__(self, transport: HTTPEndpoint) -> None:
        super().__init__()
        self._transport = transport
        self._json = transport.json
        self._exchange = exchange_of(transport)
        self._operations = RequestBuilder(transport)
        self._starting: dict[str, _StartRequest] = {}
        self._reserved = ""
        # Set when the context is entered: there may be no event loop yet.
        self._reading: CancelScope
        self._tasks: TaskGroup

    # Opening and closing.

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[SingleConnection]:
        self._take_loop()
        self._reading = CancelScope()
        try:
            with unwrapped():
                async with create_task_group() as self._tasks:
                    self._exchange.open(self.loop, self._tasks)
                    await self._open()
                    self.routes.idle_since = self.loop.now()
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
        answer = await self._response(outgoing)
        if not answer.ok:
            raise answer.refused(answer.shown_payload(self._json))
        token = answer.body.strip()
        if (
            answer.media[0] not in PLAIN
            or not 0 < len(token) <= MAX_TOKEN
            or not _TOKEN_TEXT.fullmatch(token)
        ):
            raise answer.not_graphql("something else than the token of a reserved event stream")
        return token.decode()

    async def _response(self, outgoing: HTTPRequest) -> Response:
        incoming = await self._exchange.send(outgoing)
        try:
            return await incoming.read_response()
        finally:
            await incoming.aclose()

    def drop(self, why: str) -> None:
        """Give the connection up: its calls and subscriptions get ``TransportConnectionFailed``."""
        self._end(TransportConnectionFailed(f"{self._transport.description}: {why}"))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; leaving the context waits for the end of it."""
        self._end(closed(self._transport.description, code=CloseCode.NORMAL))

    def _end(self, fault: TransportError) -> bool:
        ended = super()._end(fault)
        if ended:
            for start in self._starting.values():
                start.scope.cancel()
            self._reading.cancel()
        return ended

    # Operations.

    def _start(
        self, route: Route, request: GraphQLRequest, transport_args: AnyTransportArgs
    ) -> None:
        args = checked_args(transport_args)
        self._exchange.check(args)
        named = request.replace(extensions={**(request.extensions or {}), "operationId": route.id})
        outgoing = self._operations.single(named, args, get=False, accept=ACCEPT_JSON).with_header(
            TOKEN, self._reserved
        )
        self.routes.register(route)
        self._starting[route.id] = start = _StartRequest(route)
        self._tasks.start_soon(self._send_start, start, outgoing, name="anygql: operation")

    @uninterruptible
    async def _send_start(self, start: _StartRequest, outgoing: HTTPRequest) -> None:
        # Not in the caller's task: after a request that is canceled half-way, nobody knows if the
        # operation runs, and the request that stops it could overtake it.
        route = start.route
        try:
            with start.scope:
                route.written = True
                answer = await self._response(outgoing)
                self._accepted(route, answer)
        except TransportServerError as refusal:
            start.left = False
            self._fail(route, refusal)
        except TransportError as fault:
            route.written = start.left = not fault.unsent
            self._fail(route, fault)
        except Exception as exc:  # noqa: BLE001 - raised by a header function or a hook of the user's
            failed = TransportConnectionFailed(
                f"{self._transport.description}: {type(exc).__name__} kept the operation from "
                "being sent",
                retryable=isinstance(exc, OSError),
            )
            failed.__cause__ = exc
            self._fail(route, failed)
        finally:
            del self._starting[route.id]
        if start.left and route.written:
            await self._stop(route.id)

    def _accepted(self, route: Route, answer: Response) -> None:
        """Take the response: 202 by the specification, or the result itself."""
        if answer.status == ACCEPTED or (answer.ok and not answer.body.strip()):
            return
        result = answer.result(self._json)
        if self.routes.forget(route.id):
            route.next(result)
            route.complete()

    def _fail(self, route: Route, fault: TransportError) -> None:
        if not self.routes.forget(route.id):
            return
        route.fail(fault)
        if isinstance(route, Feed) and route.on_lost is not None:
            route.on_lost(fault)

    def leave(self, route: Route) -> None:
        """Forget the route, and stop the operation if it still runs."""
        if not self.routes.forget(route.id):
            return
        start = self._starting.get(route.id)
        if start is None:
            self._tasks.start_soon(self._stop, route.id, name="anygql: stop")
        elif route.written:
            start.left = True
            start.scope.deadline = self.loop.now() + BRIEFLY
        else:
            start.scope.cancel()

    @uninterruptible
    async def _stop(self, id: str) -> None:
        if self.fault is not None:  # the end of the stream is the end of all its operations
            return
        outgoing = HTTPRequest(
            "DELETE", None, [(TOKEN, self._reserved)], params=[("operationId", id)]
        )
        try:
            with move_on_after(BRIEFLY):
                await self._response(outgoing)
        except Exception as exc:  # noqa: BLE001 - no caller waits for it
            logger.info("%s: could not stop an operation: %r", self._transport.description, exc)

    # Receiving.

    @uninterruptible
    async def _receive_task(self, *, task_status: TaskStatus[None]) -> None:
        outgoing = HTTPRequest("GET", None, [("Accept", EVENT_STREAM), (TOKEN, self._reserved)])
        try:
            with self._reading:
                incoming = await self._exchange.send(outgoing, streaming=True)
                try:
                    if not incoming.ok or incoming.media_type != EVENT_STREAM:
                        raise _no_stream(await incoming.read_response(), self._json)
                    task_status.started()
                    self._end(await self._receive(incoming))
                finally:
                    await incoming.aclose()
        finally:
            # Without a fault so far, this is a cancellation, or a defect on its way out.
            self._end(closed(self._transport.description, code=CloseCode.NORMAL))

    async def _receive(self, incoming: IncomingResponse) -> TransportError:
        reader = SingleStream(self._json, is_incremental=self._is_incremental)
        try:
            while (chunk := await incoming.read()) is not None:
                events = reader.feed(chunk)
                if events:
                    await self._hand_out(events, incoming)
                    reader.feed(b"")  # raises what came after them
            reader.close()
            return TransportConnectionFailed(f"{incoming.server}: the event stream has ended")
        except ProtocolViolation as violation:
            fault = violation_error(incoming, violation)
        except TransportError as exc:
            fault = exc
        if reader.events.retry is not None:
            fault.retry_after = reader.events.retry / MILLI
        return fault

    def _is_incremental(self, id: str) -> bool:
        route = self.routes.by_id.get(id)
        return route is not None and route.merge is not None

    async def _hand_out(self, events: list[Any], incoming: IncomingResponse) -> None:
        for number, event in enumerate(events, 1):
            if self.flow.full:
                await self.flow.admit()
            if not number % RESULTS_BETWEEN_CHECKPOINTS:
                await checkpoint()
            route = self.routes.by_id.get(event.id)
            if route is None:
                continue
            match event:
                case Next():
                    self._deliver(route, event.payload, incoming)
                case IncrementalPart():
                    self._add_part(route, event.payload, incoming)
                case BadResult():
                    self._fail_for(
                        route, BadPayload("a result is malformed", event.payload), incoming
                    )
                case Error():
                    self.routes.forget(event.id)
                    route.reject(event.payload)
                case _:  # Complete
                    self.routes.forget(event.id)
                    route.complete()

    def _deliver(self, route: Route, result: ExecutionResult, incoming: IncomingResponse) -> None:
        try:
            require_object(result)
        except ProtocolViolation as violation:
            self._fail_for(route, violation, incoming)
        else:
            if route.next(result):
                self.routes.forget(route.id)

    def _add_part(self, route: Route, part: Mapping[str, Any], incoming: IncomingResponse) -> None:
        try:
            if route.merge is not None and route.add_part(route.merge, part):
                self.routes.forget(route.id)
        except ProtocolViolation as violation:
            self._fail_for(route, violation, incoming)

    def _fail_for(
        self, route: Route, violation: ProtocolViolation, incoming: IncomingResponse
    ) -> None:
        """End one operation for what came for it; the connection goes on."""
        route.fail(violation_error(incoming, violation))
        self.leave(route)


def _no_stream(answer: Response, json: JSON) -> TransportError:
    if not answer.ok:
        return answer.refused(answer.shown_payload(json))
    return answer.not_graphql("something else than an event stream")
