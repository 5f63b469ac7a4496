"""What a session has over HTTP instead of a connection: the operations that run.

There is nothing to connect, and nothing to lose that all operations share. Each operation is an
exchange of its own, which succeeds or fails alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self

from ..delivery.buffering import Delivery
from ..delivery.independent import IndependentConnection, RunningFeed, RunningStream
from ..delivery.interfaces import AnyTransportArgs
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError, TransportServerError
from ..results.result import ExecutionResult
from .accept import ACCEPT_INCREMENTAL, ACCEPT_STREAM, EVENT_STREAM, wants_event_stream_alone
from .authorization import UNAUTHORIZED, EachOnce, SameCredentials, refreshable_auth
from .endpoint import HTTPEndpoint
from .exchange import Exchange, exchange_of
from .incoming import IncomingResponse
from .operations import RequestBuilder, has_files
from .persisted import PersistedQueryRefusal, persisted_extensions, persisted_query_refusal
from .requests import HTTPRequest, checked_args, make_parameters
from .responses import batch_results
from .streams import deliver, read_merged

__all__ = ["HTTPConnection"]


class HTTPConnection(IndependentConnection):
    """The operations that run over HTTP: entering makes the client, leaving closes it.

    Made by ``HTTPTransport.connect``.
    """

    def __init__(self, transport: HTTPEndpoint) -> None:
        super().__init__(transport)
        self._transport = transport
        self._json = transport.json
        self._exchange: Exchange = exchange_of(transport)
        self._operations = RequestBuilder(transport)
        # Whether hashes are worth a try. They aren't once the server has refused them as such.
        self._hashing = transport.persisted_queries is True

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            async with super().__asynccontextmanager__():
                self._exchange.open(self.loop, self._tasks)
                yield self
        finally:
            await self._exchange.aclose()

    def wrap_exchange(self, wrap: Callable[[Exchange], Exchange]) -> None:
        """Let another exchange send the requests, such as one that prints them."""
        self._exchange = wrap(self._exchange)

    # Queries and mutations.

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        """Run one query or mutation. Canceling closes the response, which tells the server."""
        args = self._checked_args(transport_args)
        in_task = self._exchange.needs_task or has_files(request)
        if not self._hashing or has_files(request):
            return await self._run(
                lambda: self._result(request, self._operations.single(request, args)),
                in_task=in_task,
            )
        return await self._run(lambda: self._persisted(request, args), in_task=in_task)

    async def execute_batch(
        self, requests: Sequence[GraphQLRequest], transport_args: AnyTransportArgs = None
    ) -> list[ExecutionResult | TransportError]:
        """Send several queries and mutations as one array, and return their results in order.

        An error that concerns one entry of the response stands in its place. Raises an error that
        concerns the whole response.
        """
        args = self._checked_args(transport_args)

        async def exchange() -> list[ExecutionResult | TransportError]:
            outgoing = self._operations.batch(requests, args)
            incoming = await self._send(outgoing)
            try:
                response = await incoming.read_response()
            finally:
                await incoming.aclose()
            return batch_results(response, self._json, len(requests))

        in_task = self._exchange.needs_task or any(map(has_files, requests))
        return await self._run(exchange, in_task=in_task)

    def may_batch(self, request: GraphQLRequest) -> bool:
        """Return whether the request may travel with others. Raises what keeps it from that."""
        if has_files(request):
            return False
        make_parameters(self._json, request)
        return True

    def _checked_args(self, transport_args: AnyTransportArgs) -> Mapping[str, Any]:
        args = checked_args(transport_args)
        if args:
            self._exchange.check(args)
        return args

    async def _result(self, request: GraphQLRequest, outgoing: HTTPRequest) -> ExecutionResult:
        incoming = await self._send(outgoing)
        try:
            return await read_merged(incoming, self._json, takes_json=request.takes_json)
        finally:
            await incoming.aclose()

    def _send(
        self, outgoing: HTTPRequest, *, streaming: bool = False
    ) -> Awaitable[IncomingResponse]:
        """Send a request, once with each set of credentials, and return its response."""
        auth = refreshable_auth(outgoing, self._transport)
        if auth is None:
            return self._exchange.send(outgoing, streaming=streaming)
        once = replace(outgoing, args={**outgoing.args, "auth": EachOnce(auth)})
        return self._send_authorized(once, streaming=streaming)

    async def _send_authorized(self, outgoing: HTTPRequest, *, streaming: bool) -> IncomingResponse:
        """Send a request; once more if it is refused, and other credentials are there.

        Whatever it was, the server has done nothing: it has refused the whole of it.
        """
        incoming = await self._exchange.send(outgoing, streaming=streaming)
        if incoming.status != UNAUTHORIZED:
            return incoming
        await incoming.keep()  # what makes the credentials may need the connection
        try:
            return await self._exchange.send(outgoing, streaming=streaming)
        except SameCredentials:
            return incoming

    async def _persisted(self, request: GraphQLRequest, args: Mapping[str, Any]) -> ExecutionResult:
        hashed = request.replace(extensions=persisted_extensions(request))
        try:
            result = await self._result(request, self._operations.single(hashed, args, text=False))
            refused = persisted_query_refusal(result.errors)
        except TransportServerError as error:
            # Some servers refuse a hash with a status, in JSON that is trusted for this alone.
            refused = persisted_query_refusal(error.errors)
            if refused is None:
                raise
            result = ExecutionResult()
        if refused is None:
            return result
        if refused is PersistedQueryRefusal.NOT_FOUND:
            # By POST: a document for which a hash pays may be too long for a URL.
            return await self._result(request, self._operations.single(hashed, args, get=False))
        self._hashing = False
        return await self._result(request, self._operations.single(request, args))

    # Subscriptions.

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Start a subscription; the caller must leave the feed."""
        args = self._checked_args(transport_args)
        outgoing = self._operations.single(request, args, get=False, accept=ACCEPT_STREAM)
        takes_json = request.takes_json

        async def follow(stream: RunningStream) -> None:
            incoming = await self._send(outgoing, streaming=True)
            try:
                again = wants_event_stream_alone(incoming.status, incoming.accepted)
                if not again or has_files(request):  # which can be read only once
                    await deliver(
                        incoming, stream, self._json, merging=False, takes_json=takes_json
                    )
                    return
            finally:
                await incoming.aclose()
            plain = self._operations.single(request, args, get=False, accept=EVENT_STREAM)
            incoming = await self._send(plain, streaming=True)
            try:
                await deliver(incoming, stream, self._json, merging=False, takes_json=takes_json)
            finally:
                await incoming.aclose()

        feed = self._start(delivery, follow)
        feed.transport_args = transport_args
        return feed

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Run a query or mutation whose result comes in parts; the caller must leave the feed."""
        args = self._checked_args(transport_args)
        outgoing = self._operations.single(request, args, accept=ACCEPT_INCREMENTAL)

        async def follow(stream: RunningStream) -> None:
            incoming = await self._send(outgoing, streaming=True)
            try:
                await deliver(incoming, stream, self._json, merging=True)
            finally:
                await incoming.aclose()

        return self._start(delivery, follow)
