"""What the suite asks of a client: to run each case on a connection of its own, and to echo."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlencode

import anyio

from anygql.websocket.sockets.base import WebSocketEnded
from anygql.websocket.sockets.opening import Opening
from anygql.websocket.sockets.stream import StreamConnector, StreamWebSocket

__all__ = ["run_all"]

#: Seconds for a case; the largest send some thousand messages of 128 KiB, compressed.
PATIENCE = 120


async def run_all(url: str, agent: str) -> None:
    """Run every case of the suite at ``url`` and have it write its report."""
    count = int(await _told(f"{url}/getCaseCount"))
    for case in range(1, count + 1):
        query = urlencode({"case": case, "agent": agent})
        with anyio.move_on_after(PATIENCE):
            await _echo(f"{url}/runCase?{query}")
    await _told(f"{url}/updateReports?{urlencode({'agent': agent})}")


async def _told(url: str) -> bytes:
    """The first message from there, if there is any."""
    async with anyio.create_task_group() as tg:
        websocket = await StreamConnector().connect(Opening(url), tg)
        try:
            return (await websocket.receive())[0]
        except WebSocketEnded:
            return b""
        finally:
            await _leave(websocket, 1000)


async def _echo(url: str) -> None:
    outgoing: list[bytes] = []
    output = anyio.Event()

    def wake() -> None:
        output.set()

    async def write() -> None:
        nonlocal output, outgoing
        with suppress(WebSocketEnded):
            while True:
                await output.wait()
                output = anyio.Event()
                messages, outgoing = outgoing, []
                await websocket.send(messages)

    async with anyio.create_task_group() as tg:
        opening = Opening(url, max_message_size=2**25, connect_args={"compression": "deflate"})
        websocket = await StreamConnector().connect(opening, tg)
        websocket.on_output = wake
        tg.start_soon(write)
        code = 1000
        try:
            while True:
                messages = await websocket.receive()
                for message in messages:
                    message.decode()  # a client of GraphQL does so as it reads the JSON
                outgoing += messages
                wake()
        except WebSocketEnded:
            pass
        except UnicodeDecodeError:
            code = 1007
        tg.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await _leave(websocket, code)


async def _leave(websocket: StreamWebSocket, code: int) -> None:
    with anyio.move_on_after(5, shield=True):
        await websocket.aclose(code, "")
    await websocket.aclose_forcefully()
