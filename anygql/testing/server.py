"""A GraphQL server for tests: in memory and on loopback, strict, and able to misbehave."""

from __future__ import annotations

from collections.abc import Sequence
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

    - ``protocols``: the subprotocols that it speaks.
    - ``context_value``: passed to resolvers; a callable is given the ``ServerConnection``.
    - ``on_connect``: is given the payload of ``connection_init``, and returns the payload of the
      acknowledgement, ``None`` or ``True`` for none, or ``False`` to refuse; it may be async.
      What it raises closes the connection with 4500.
    - ``connection_init_wait_timeout``: seconds until a silent client is closed with 4408.
    - ``keep_alive_interval``: seconds between ``ka`` messages (legacy subprotocol only).
    - ``close_timeout``: seconds for the client's side of a closing handshake.
    - ``buffer_size``: bytes that an in-memory connection buffers in each direction.
    - ``history``: how many messages a connection remembers in ``received`` and ``sent``.

    An operation's task, and its source of events, end with the operation or the connection.
    Leaving the context ends everything without a word; what it ends is not waited for.
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
        #: The connections, newest last, those that have ended too.
        self.connections: list[ServerConnection] = []
        #: An HTTP status to answer every handshake with, instead of accepting it.
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
        """A transport that leads here, in memory; the options are ``WebSocketTransport``'s."""
        from ..websocket.transport import WebSocketTransport

        return WebSocketTransport(self.url, connector=self.connector(), **options)

    async def wait_connection(self, count: int = 1) -> ServerConnection:
        """Wait until there have been ``count`` connections, and return that one."""

        def find() -> ServerConnection | None:
            return self.connections[count - 1] if len(self.connections) >= count else None

        return await wait_until(self._changed, find)

    def drop_connections(self) -> None:
        """Reset every open connection, as a crash does."""
        for websocket in list(self._streams):
            websocket.reset()

    async def stop(self) -> None:
        """Be gone: reset every connection, and refuse new ones in memory and on loopback."""
        self._accepting = False
        self._close_listener()
        self.drop_connections()
        while self._streams:
            await self._changed.wait()

    async def start(self) -> None:
        """Be back after ``stop``, on the same port if it listened before."""
        self._accepting = True
        if self._address is not None and self._listener is None:
            host, port, context = self._address
            await self.listen(host, port, ssl=context)

    async def restart(self, downtime: float = 0) -> None:
        """``stop``, stay away for ``downtime`` seconds, ``start``."""
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
