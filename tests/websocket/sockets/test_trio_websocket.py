"""trio-websocket, where it can't be what is asked for."""

from __future__ import annotations

import sys

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anygql.websocket.sockets.opening import Opening
from anygql.websocket.sockets.trio_websocket import trio_websocket_connector
from tests.support.websocket_peer import MemoryStream


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_trio_websocket_under_asyncio() -> None:
    async with anyio.create_task_group() as tg:
        with pytest.raises(RuntimeError, match="trio only"):
            await trio_websocket_connector().connect(Opening("ws://localhost:1/"), tg)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_websocket_has_no_compression() -> None:
    opening = Opening("ws://localhost:1/", connect_args={"compression": "deflate"})
    async with anyio.create_task_group() as tg:
        with pytest.raises(TypeError, match="compression"):
            await trio_websocket_connector().connect(opening, tg)


def test_trio_websocket_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio_websocket", None)
    monkeypatch.delitem(sys.modules, "anygql.websocket.sockets.trio_adapter", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'anygql\[trio\]'"):
        trio_websocket_connector()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_engine_gets_portions_with_turns_for_others_between() -> None:
    from anygql.websocket.sockets.trio_adapter import PORTION, _StreamAdapter

    ours, theirs = MemoryStream.pair()
    adapter = _StreamAdapter(ours, Opening("ws://localhost:1/"))
    adapter._is_upgraded = True
    flood = b"\x8a\x00" * (16 * PORTION)
    await theirs.send(flood)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    got = b""
    async with anyio.create_task_group() as tg:
        tg.start_soon(take_turns)
        while len(got) < len(flood):
            portion = await adapter.receive_some()
            assert len(portion) <= PORTION
            got += portion
        tg.cancel_scope.cancel()
    assert got == flood
    assert turns >= len(flood) // PORTION - 1
    await theirs.aclose()
    await ours.aclose()
