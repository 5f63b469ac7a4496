"""A GraphQL server for tests, in memory and on loopback: strict, and able to misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteStream
from graphql import GraphQLSchema, assert_valid_schema

from ..concurrency.signal import Signal
from ..websocket.sockets.base import WebSocketEnded
from .base_server import BaseServer
from .dialects import DIALECTS
from .execution import ServerExecution
from .server_connection import OnConnect, ServerConnection, ServerOptions
from .waiting import wait_until
from .websocket import ServerWebSocket

if TYPE_CHECKING:
    from ..websocket.transport import WebSocketTransport

__all__ = ["GraphQLServer"]


class GraphQLServer(BaseServer):
    """Serves a graphql-core schema over WebSockets, for tests.

    ::

        async with GraphQLServer(schema) as server:
            async with Client(server.transport()) as session:
                ...

    An operation's task and its source of events end with the operation or the connection.
    Documents may have ``@defer`` and ``@stream`` if the schema defines them. Leaving the context
    drops all connections, without close frames.

    Args:
        schema: The ``graphql.GraphQLSchema`` to execute.
        root_value: The source of the root types' resolvers, ``None`` by default.
        context_value: The resolvers' ``info.context``, ``None`` by default. A callable is called
            with the ``ServerConnection`` for each operation.
        protocols: The names of the protocols that it speaks. Default: ``"graphql-transport-ws"``
            and ``"graphql-ws"``. ``"appsync"`` is the real-time protocol of AWS AppSync.
        on_connect: A function, which may be async, that is called with the payload of
            ``connection_init``. With AppSync it is called with the headers that authorize the
            connection, and again with those of each subscription; they have a ``url`` and ``body``
            for which they are. It returns the payload of the acknowledgement, ``None`` or ``True``
            for none, or ``False`` to refuse the connection. If it raises, the connection is closed
            with 4500.
        connection_init_wait_timeout: Seconds until a client that sends no ``connection_init`` is
            closed with 4408; 3 by default.
        keep_alive_interval: Seconds between ``ka`` messages (legacy subprotocol only); ``None``,
            the default, sends none.
        close_timeout: Seconds for the client's side of a closing handshake, and for an operation's
            source to close; 5 by default.
        max_message_size: The largest message in bytes that it accepts, 16 MiB by default; ``None``
            sets no limit.
        buffer_size: How many bytes an in-memory connection buffers in each direction; 65536 by
            default.
        history: How many messages a connection keeps in ``received`` and in ``sent``; 100,000 by
            default.

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
        #: The HTTP status that refuses every handshake; ``None`` accepts them.
        self.refuse_with: int | None = None
        self._max_message_size = max_message_size
        self._changed = Signal()
        self._streams: set[ServerWebSocket] = set()
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

    def drop_connections(self) -> None:
        """Reset every open connection, as a crash would."""
        for websocket in list(self._streams):
            websocket.reset()

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
        options = self._options
        websocket = ServerWebSocket(
            stream,
            max_message_size=self._max_message_size,
            close_timeout=options.close_timeout,
        )
        self._streams.add(websocket)
        if not self._accepting:  # stopped meanwhile
            websocket.reset()
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
        finally:
            await anyio.aclose_forcefully(stream)
            self._streams.discard(websocket)
            self._changed.notify()

    async def _shake_hands(self, websocket: ServerWebSocket) -> bool:
        await websocket.receive_request()
        if self.refuse_with is not None:
            await websocket.refuse(self.refuse_with)
            return False
        return True
