"""Sockets that are memory: what a client costs without the network and the server.

Each answers ``connection_init`` with the acknowledgement and anything else that has an id with
``next`` and ``complete``, in the least that can be done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["MemoryConnector", "gql_transport"]

_ID = re.compile(rb'"id": ?"(\d+)"')


def _answers(message: bytes, data: bytes) -> list[bytes]:
    found = _ID.search(message)
    if found is None:
        return [b'{"type":"connection_ack"}']
    id = found[1]
    return [
        b'{"id":"' + id + b'","type":"next","payload":{"data":' + data + b"}}",
        b'{"id":"' + id + b'","type":"complete"}',
    ]


class MemoryConnector:
    """For anygql's ``connector=``."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def connect(self, opening: Any, task_group: Any) -> _MemorySocket:
        return _MemorySocket(self._data)


class _MemorySocket:
    subprotocol = "graphql-transport-ws"
    response_headers: dict[str, str] = {}
    on_output: Callable[[], None]
    on_received: Callable[[], None]

    def __init__(self, data: bytes) -> None:
        import anyio

        self._new_event = anyio.Event
        self._data = data
        self._come = anyio.Event()
        self._waiting: list[bytes] = []

    async def receive(self) -> list[bytes]:
        await self._come.wait()
        self._come = self._new_event()
        waiting, self._waiting = self._waiting, []
        self.on_received()
        return waiting

    async def send(self, messages: Sequence[bytes]) -> None:
        from anyio.lowlevel import checkpoint

        for message in messages:
            if b'"type":"complete"' not in message:
                self._waiting += _answers(message, self._data)
        if self._waiting:
            self._come.set()
        await checkpoint()

    async def ping(self) -> None:
        raise NotImplementedError

    async def aclose(self, code: int, reason: str) -> None:
        return

    async def aclose_forcefully(self) -> None:
        return


def gql_transport(data: bytes) -> Any:
    """For gql: its WebSocket transport over an adapter that is memory."""
    import asyncio

    from gql.transport.common.adapters.connection import AdapterConnection
    from gql.transport.websockets_protocol import WebsocketsProtocolTransportBase

    class Adapter(AdapterConnection):
        response_headers = {"Sec-WebSocket-Protocol": "graphql-transport-ws"}

        async def connect(self) -> None:
            self.queue: asyncio.Queue[str] = asyncio.Queue()

        async def send(self, message: str) -> None:
            for text in _answers(message.encode(), data):
                self.queue.put_nowait(text.decode())

        async def receive(self) -> str:
            return await self.queue.get()

        async def close(self) -> None:
            return

    class Transport(WebsocketsProtocolTransportBase):
        def __init__(self) -> None:
            self.adapter = Adapter("ws://memory/", {})  # used before the base class sets it
            super().__init__(adapter=self.adapter)

    return Transport()
