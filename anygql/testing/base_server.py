"""The base of the server and the scripted peer: how connections reach them."""

from __future__ import annotations

import contextlib
import ssl as ssl_module
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio
import anyio.lowlevel
from anyio import AsyncContextManagerMixin, BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.tls import TLSStream

from ..concurrency.exception_groups import single
from ..websocket.sockets.base import Connector
from .loopback import LoopbackListener, Reservation
from .memory import DEFAULT_BUFFER_SIZE, memory_stream_pair

__all__ = ["BaseServer"]


class BaseServer(AsyncContextManagerMixin):
    """Accepts connections, in memory and on loopback, and serves them in its own task group.

    Leaving the context closes everything. If exactly one of its tasks fails, that exception is
    raised as it is, not in a group.
    """

    #: The URL for in-memory connections, with ``connector()``.
    url = "ws://memory/graphql"

    def __init__(self, *, buffer_size: int = DEFAULT_BUFFER_SIZE) -> None:
        self._buffer_size = buffer_size
        self._tasks: TaskGroup | None = None
        self._listener: LoopbackListener | None = None
        # Kept from `stop` to `start`.
        self._reservation: Reservation | None = None
        self._address: tuple[str, int, ssl_module.SSLContext | None] | None = None
        self._accepting = True

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            async with anyio.create_task_group() as self._tasks:
                try:
                    yield self
                    await self._leave()
                finally:
                    self._close_listener()
                    self._release_port()
                    self._tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            error = single(group)
            if error is group:
                raise
        else:
            return
        finally:
            self._tasks = None
        raise error

    async def _leave(self) -> None:
        """Wait for what must end by itself, before everything is canceled."""

    @abstractmethod
    async def _serve(self, stream: ByteStream) -> None:
        """Serve one connection, and close its stream."""

    def _task_group(self) -> TaskGroup:
        if self._tasks is None:
            name = type(self).__name__
            raise RuntimeError(f"this {name} is not running: use `async with {name}(…)`")
        return self._tasks

    # In memory

    async def open_stream(self, host: str = "memory", port: int = 80) -> ByteStream:
        """Open an in-memory connection and return the client's end.

        Args:
            host: Ignored but for error messages.
            port: Ignored but for error messages.

        Raises:
            ConnectionRefusedError: While the server is stopped.
        """
        task_group = self._task_group()
        await anyio.lowlevel.checkpoint()
        if not self._accepting:
            raise ConnectionRefusedError(f"nothing listens at {host}:{port} (in memory)")
        ours, theirs = memory_stream_pair(self._buffer_size)
        task_group.start_soon(self._serve, ours)
        return theirs

    def connector(self) -> Connector:
        """Return a connector whose WebSockets lead here, in memory, whatever the URL's host."""
        from ..websocket.sockets.stream import StreamConnector

        return StreamConnector(open_stream=self.open_stream)

    # Loopback

    async def listen(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl: ssl_module.SSLContext | None = None,
    ) -> str:
        """Listen on loopback and return the URL.

        Args:
            host: The address to listen on, ``127.0.0.1`` by default.
            port: The port to listen on; 0, the default, takes any free port.
            ssl: A server's ``ssl.SSLContext``; with one, the URL begins with ``wss://``.

        Raises:
            OSError: If the port is taken.
            RuntimeError: If it is listening already.
        """
        task_group = self._task_group()
        if self._listener is not None:
            raise RuntimeError(f"already listening on port {self._listener.port}")
        await anyio.lowlevel.checkpoint()
        if self._reservation is None or self._reservation.port != port:
            self._release_port()
            self._reservation = Reservation(host, port)
        self._listener = LoopbackListener(host, self._reservation.port)
        self._address = (host, self._listener.port, ssl)
        task_group.start_soon(self._accept, self._listener, ssl)
        return self._listening_url("ws")

    def _listening_url(self, scheme: str) -> str:
        """Return the URL on loopback for ``ws`` or ``http``, with TLS if it is served so."""
        host, port, context = self._address or ("", 0, None)
        name = f"[{host}]" if ":" in host else host
        return f"{scheme}{'' if context is None else 's'}://{name}:{port}/graphql"

    async def stop_listening(self) -> None:
        """Stop listening on loopback and free the port. Open connections stay open."""
        self._close_listener()
        self._release_port()
        await anyio.lowlevel.checkpoint()

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _release_port(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    async def _accept(
        self, listener: LoopbackListener, context: ssl_module.SSLContext | None
    ) -> None:
        task_group = self._task_group()
        while True:
            try:
                stream = await listener.accept()
            except ClosedResourceError:
                return
            if context is None:
                task_group.start_soon(self._serve, stream)
            else:
                task_group.start_soon(self._serve_tls, stream, context)

    async def _serve_tls(self, stream: ByteStream, context: ssl_module.SSLContext) -> None:
        wrapped: ByteStream | None = None
        with contextlib.suppress(OSError, BrokenResourceError, EndOfStream):  # not TLS, or gone
            wrapped = await self._wrap(stream, context)
        if wrapped is not None:
            await self._serve(wrapped)

    @staticmethod
    async def _wrap(stream: ByteStream, context: ssl_module.SSLContext) -> ByteStream:
        try:
            return await TLSStream.wrap(
                stream, server_side=True, ssl_context=context, standard_compatible=False
            )
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
