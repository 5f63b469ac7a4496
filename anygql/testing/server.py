"""A GraphQL server for tests, in memory and on loopback: strict, and able to misbehave."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream
from graphql import GraphQLSchema, assert_valid_schema

from ..concurrency.signal import Signal
from ..websocket.sockets.base import WebSocketEnded
from .base_server import BaseServer
from .dialects import DIALECTS
from .execution import ServerExecution
from .http_connection import HTTPServerConnection, ResponseWriter
from .http_graphql import GraphQLOverHTTP
from .http_messages import RequestParser, ServerRequest
from .server_connection import OnConnect, ServerConnection, ServerOptions
from .waiting import wait_until
from .websocket import ServerWebSocket, reset_stream

if TYPE_CHECKING:
    from ..websocket.transport import WebSocketTransport

__all__ = ["GraphQLServer"]


class GraphQLServer(BaseServer):
    """Serves a graphql-core schema over WebSockets and HTTP, for tests.

    ::

        async with GraphQLServer(schema) as server:
            async with Client(server.transport()) as session:
                ...

    Over HTTP it takes POST and GET (GraphQL over HTTP), arrays of requests, and subscriptions by
    server-sent events; what is no WebSocket handshake is a request over HTTP, at any path.

    An operation's task and its source of events end with the operation or the connection.
    Documents may have ``@defer`` and ``@stream`` if the schema defines them. Leaving the context
    drops all connections, without close frames.

    Args:
        schema: The ``graphql.GraphQLSchema`` to execute.
        root_value: The source of the root types' resolvers, ``None`` by default.
        context_value: The resolvers' ``info.context``, ``None`` by default. A callable is called
            for each operation with the ``ServerConnection``, or with the ``ServerRequest`` over
            HTTP.
        protocols: The names of the protocols that it speaks: ``"graphql-transport-ws"`` and
            ``"graphql-ws"``, both by default; or ``"phoenix"``, as Phoenix with Absinthe; or
            ``"appsync"``, as AWS AppSync.
        on_connect: A function, which may be async, that is called with the payload of
            ``connection_init``. With AppSync it is called with the headers that authorize the
            connection, and again with those of each subscription; they have a ``url`` and ``body``
            for which they are. It returns the payload of the acknowledgement, ``None`` or ``True``
            for none, or ``False`` to refuse the connection. If it raises, the connection is closed
            with 4500. With ``phoenix``, it is called with what the channel is joined with. Requests
            over HTTP don't ask it.
        connection_init_wait_timeout: Seconds until a client that sends no ``connection_init`` is
            closed with 4408; 3 by default.
        keep_alive_interval: Seconds between ``ka`` messages (legacy subprotocol only); ``None``,
            the default, sends none.
        close_timeout: Seconds for the client's side of a closing handshake, and for an operation's
            source to close; 5 by default.
        max_message_size: The largest message, or body of a request, in bytes that it accepts,
            16 MiB by default; ``None`` sets no limit.
        buffer_size: How many bytes an in-memory connection buffers in each direction; 65536 by
            default.
        history: How many messages a connection keeps in ``received`` and in ``sent``, and how many
            requests the server keeps in ``requests``; 100,000 by default.

    Raises:
        TypeError: If the schema is not valid.
        ValueError: If ``protocols`` is empty, or names an unknown one.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        root_value: Any = None,
        context_value: Any = None,
        protocols: Sequence[str] = ("graphql-transport-ws", "graphql-ws"),
        on_connect: OnConnect | None = None,
        connection_init_wait_timeout: float = 3,
        keep_alive_interval: float | None = None,
        close_timeout: float = 5,
        max_message_size: int | None = 2**24,
        buffer_size: int = 2**16,
        history: int = 100_000,
    ) -> None:
        super().__init__(buffer_size=buffer_size)
        assert_valid_schema(schema)
        unknown = [name for name in protocols if name not in DIALECTS]
        if unknown or not protocols:
            raise ValueError(f"protocols must be some of {list(DIALECTS)}, not {list(protocols)}")
        #: The connections, the newest last, including those that have ended.
        self.connections: list[ServerConnection] = []
        #: The requests over HTTP, the newest last. Handshakes of WebSockets are no part of them.
        self.requests: deque[ServerRequest] = deque(maxlen=history)
        #: The HTTP status that refuses every handshake and request; ``None`` accepts them.
        self.refuse_with: int | None = None
        self._max_message_size = max_message_size
        self._changed = Signal()
        #: The open streams, each with what breaks it.
        self._streams: dict[ByteStream, Callable[[], None]] = {}
        self._options = ServerOptions(
            ServerExecution(schema, root_value, close_timeout),
            context_value=context_value,
            protocols=tuple(protocols),
            on_connect=on_connect,
            connection_init_wait_timeout=connection_init_wait_timeout,
            keep_alive_interval=keep_alive_interval,
            close_timeout=close_timeout,
            history=history,
        )
        self._graphql = GraphQLOverHTTP(self._options.execution, self._options.context_for)

    @property
    def http_url(self) -> str:
        """The URL for HTTP, while it listens.

        Raises:
            RuntimeError: If it isn't listening.
        """
        if self._listener is None:
            raise RuntimeError("the server isn't listening: call `listen` first")
        return self._listening_url("http")

    def transport(self, **options: Any) -> WebSocketTransport:
        """Return an in-memory transport to this server, with ``WebSocketTransport``'s options."""
        from ..websocket.transport import WebSocketTransport

        url = self.url
        if "ws" not in getattr(options.get("protocol"), "url_schemes", ("ws",)):
            url = f"http{url.removeprefix('ws')}"  # from which such a protocol derives the other
        return WebSocketTransport(url, connector=self.connector(), **options)

    async def wait_connection(self, count: int = 1) -> ServerConnection:
        """Wait for a connection, ended or not, and return it.

        Args:
            count: The number of the connection, counted from 1. Default: 1, the first.
        """

        def find() -> ServerConnection | None:
            return self.connections[count - 1] if len(self.connections) >= count else None

        return await wait_until(self._changed, find)

    async def wait_request(self, count: int = 1) -> ServerRequest:
        """Wait for a request over HTTP, and return it.

        Args:
            count: The number of the request, counted from 1. Default: 1, the first.
        """

        def find() -> ServerRequest | None:
            return self.requests[count - 1] if len(self.requests) >= count else None

        return await wait_until(self._changed, find)

    def drop_connections(self) -> None:
        """Reset every open connection, as a crash would."""
        for reset in list(self._streams.values()):
            reset()

    async def stop(self) -> None:
        """Reset every connection, and refuse new ones in memory and on loopback."""
        self._accepting = False
        self._close_listener()
        self.drop_connections()
        while self._streams:
            await self._changed.wait()

    async def start(self) -> None:
        """Accept connections again after ``stop``, on the same port if it listened before."""
        self._accepting = True
        if self._address is not None and self._listener is None:
            host, port, context = self._address
            await self.listen(host, port, ssl=context)

    async def restart(self, downtime: float = 0) -> None:
        """Stop, and start again.

        Args:
            downtime: Seconds between the two. Default: 0.
        """
        await self.stop()
        await anyio.sleep(downtime)
        await self.start()

    async def _serve(self, stream: ByteStream) -> None:
        self._streams[stream] = partial(reset_stream, stream)
        if not self._accepting:  # stopped meanwhile
            reset_stream(stream)
        try:
            parser = RequestParser(self._max_message_size)
            received = await _read_head(stream, parser)
            if _is_http(parser):
                await self._serve_http(stream, parser)
            else:
                await self._serve_websocket(stream, received)
        finally:
            await anyio.aclose_forcefully(stream)
            del self._streams[stream]
            self._changed.notify()

    async def _serve_websocket(self, stream: ByteStream, received: bytes) -> None:
        options = self._options
        websocket = ServerWebSocket(
            stream,
            received=received,
            max_message_size=self._max_message_size,
            close_timeout=options.close_timeout,
        )
        self._streams[stream] = websocket.reset
        try:
            if await self._shake_hands(websocket):
                connection = ServerConnection(websocket, options)
                if connection.status != HTTPStatus.SWITCHING_PROTOCOLS:
                    await websocket.refuse(connection.status)
                    return
                await websocket.accept(connection.subprotocol)
                self.connections.append(connection)
                self._changed.notify()
                await connection.run()
        except WebSocketEnded:
            await websocket.drain()

    async def _shake_hands(self, websocket: ServerWebSocket) -> bool:
        await websocket.receive_request()
        if self.refuse_with is not None:
            await websocket.refuse(self.refuse_with)
            return False
        return True

    async def _serve_http(self, stream: ByteStream, parser: RequestParser) -> None:
        close_timeout = self._options.close_timeout
        await HTTPServerConnection(stream, parser, self._respond, close_timeout).run()

    async def _respond(self, request: ServerRequest, writer: ResponseWriter) -> None:
        self.requests.append(request)
        self._changed.notify()
        if self.refuse_with is not None:
            await writer.send(self.refuse_with)
        else:
            await self._graphql.respond(request, writer)


async def _read_head(stream: ByteStream, parser: RequestParser) -> bytes:
    """Read until a head has come, or what is none; return all bytes."""
    received = bytearray()
    with contextlib.suppress(BrokenResourceError, ClosedResourceError, EndOfStream):
        while parser.first is None and parser.refusal is None:
            data = await stream.receive()
            received += data
            parser.feed(data)
    return bytes(received)


def _is_http(parser: RequestParser) -> bool:
    """Return whether the first bytes are a request that asks for no WebSocket.

    What is no request at all is answered as WebSockets' handshakes are.
    """
    if parser.first is None:
        return parser.refusal is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return not parser.first.is_websocket
