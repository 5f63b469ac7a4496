"""What waits to be written: it can be withdrawn, and there is a limit to it."""

from __future__ import annotations

import tracemalloc

import anyio
import pytest

from anygql import Client, TransportConnectionFailed, TransportTimeout, WebSocketTransport
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket import writer
from anygql.websocket.connection import WebSocketConnection
from anygql.websocket.sockets.base import Connector, WebSocketEnded
from tests.support.clients import client_of

QUERY = "query ($text: String) { hello(text: $text) }"
MEGABYTE = 2**20


async def deaf(conn: PeerConnection) -> None:
    """Acknowledge, and read nothing any more, until the session is over."""
    await conn.handshake()
    await anyio.sleep_forever()


async def test_what_is_given_up_is_let_go_of_at_once() -> None:
    text = {"text": "x" * MEGABYTE}
    async with ScriptedPeer(deaf) as peer:
        async with client_of(peer, close_timeout=0.01) as session:
            tracemalloc.start()
            try:
                for _ in range(200):
                    with pytest.raises(TransportTimeout):
                        await session.execute(QUERY, text, timeout=0.001)
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert held < 20 * MEGABYTE


async def test_what_waits_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 3 * MEGABYTE)
    text = {"text": "x" * MEGABYTE}
    refused: list[TransportConnectionFailed] = []
    async with ScriptedPeer(deaf) as peer:
        async with client_of(peer, close_timeout=0.01) as session:

            async def execute() -> None:
                try:
                    await session.execute(QUERY, text)
                except TransportConnectionFailed as error:
                    refused.append(error)

            async with anyio.create_task_group() as tg:
                for _ in range(10):
                    tg.start_soon(execute)
                await anyio.wait_all_tasks_blocked()
                assert len(refused) == 10 - 3
                tg.cancel_scope.cancel()
            with pytest.raises(TransportTimeout):  # there is room again
                await session.execute(QUERY, text, timeout=0.01)
    assert all(error.unsent and error.retryable for error in refused)
    assert "bytes wait to be written" in str(refused[0])


class Taken(BaseException):
    pass


@pytest.mark.parametrize("task", ["_receive_task", "_write_task"])
async def test_a_task_that_never_begins(
    task: str, connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C may have it under trio: the other one ends, and the socket is closed."""

    async def taken(self: WebSocketConnection, **_: object) -> None:
        raise Taken

    ended = anyio.Event()

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        with pytest.raises(WebSocketEnded):
            while True:
                await conn.receive()
        ended.set()

    monkeypatch.setattr(WebSocketConnection, task, taken)
    async with ScriptedPeer(script) as peer:
        transport = WebSocketTransport(await peer.listen(), connector=connector)
        with pytest.raises(Taken):
            async with Client(transport):
                pass
        with anyio.fail_after(10):
            await ended.wait()
