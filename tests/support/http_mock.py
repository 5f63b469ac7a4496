"""A server whose requests and responses are httpx's, as those of its mocks are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

import anyio
import h11
import httpx
from anyio.abc import SocketAttribute, SocketStream

from anygql.concurrency.exception_groups import unwrapped

__all__ = ["answering"]


@asynccontextmanager
async def answering(handler: Callable[[httpx.Request], Any]) -> AsyncGenerator[str]:
    """Yield the URL of a server, at which a function, or an async one, answers each request."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"

    async def serve(stream: SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while (request := await _request(connection, stream, url)) is not None:
                    response = handler(request)
                    await _send(
                        connection, stream, await response if isawaitable(response) else response
                    )
                    connection.start_next_cycle()
            except (anyio.BrokenResourceError, h11.ProtocolError):
                pass  # the client has closed the connection

    with unwrapped():
        async with listener, anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, serve)
            yield url
            tg.cancel_scope.cancel()


async def _event(connection: h11.Connection, stream: SocketStream) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        try:
            connection.receive_data(await stream.receive())
        except anyio.EndOfStream:
            connection.receive_data(b"")
    return event


async def _request(
    connection: h11.Connection, stream: SocketStream, url: str
) -> httpx.Request | None:
    head = await _event(connection, stream)
    if not isinstance(head, h11.Request):
        return None
    body = b""
    while isinstance(event := await _event(connection, stream), h11.Data):
        body += bytes(event.data)
    return httpx.Request(
        head.method.decode(),
        url + head.target.decode(),
        headers=list(head.headers),
        stream=httpx.ByteStream(body),
    )


async def _send(connection: h11.Connection, stream: SocketStream, response: httpx.Response) -> None:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = b"".join([chunk async for chunk in response.stream])
    headers = list(response.headers.raw)
    if "content-length" not in response.headers:
        headers.append((b"content-length", b"%d" % len(body)))
    head = h11.Response(status_code=response.status_code, headers=headers)
    data = [connection.send(event) for event in (head, h11.Data(body), h11.EndOfMessage())]
    await stream.send(b"".join(data))  # type: ignore[arg-type]
