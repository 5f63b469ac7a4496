"""Scripted peers, in memory and on loopback."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from websockets.frames import Frame, Opcode

from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import WebSocketEnded

T = "graphql-transport-ws"


async def test_a_conversation(raw_client: Any) -> None:
    async def script(conn: PeerConnection) -> None:
        request = await conn.request()
        assert (request.path, request.subprotocols) == ("/graphql", [T, "graphql-ws"])
        assert await conn.handshake({"hello": 1}) == {"type": "connection_init"}
        await conn.expect({"type": "x"})
        await conn.send([1])
        await conn.send_text('"text"')
        await conn.fragment('"fragmented: é"', [1, 3, 0])
        await conn.send_raw(b"\x81\x04")
        await conn.pause(0)
        await conn.send_raw(b"tr")
        await conn.send_raw(b"ue")
        await conn.ping(b"?")
        assert await conn.close(4000, "bye") == (4000, "bye")

    async with (
        ScriptedPeer(script) as peer,
        raw_client(peer.open_stream, T, "graphql-ws") as client,
    ):
        assert client.protocol.subprotocol == T
        await client.send({"type": "connection_init"})
        assert await client.receive() == {"type": "connection_ack", "payload": {"hello": 1}}
        await client.send({"type": "x"})
        assert await client.receive_all() == [
            [1],
            "text",
            "fragmented: é",
            True,
            (4000, "bye"),
        ]
        assert peer.received == [{"type": "connection_init"}, {"type": "x"}]
        assert peer.connections[0].received == peer.received


async def test_scripts_in_turn(raw_client: Any) -> None:
    async def refuse(conn: PeerConnection) -> None:
        await conn.refuse(503, b"later", {"Retry-After": "7", "Content-Type": "text/plain"})

    async def accept(conn: PeerConnection) -> None:
        await conn.accept(None, [("X-A", "1"), ("X-A", "2")])
        await conn.close()

    async with ScriptedPeer([refuse, accept]) as peer:
        async with raw_client(peer.open_stream, T) as client:
            response = client.protocol.handshake_exc.response
            assert (response.status_code, response.body) == (503, b"later")
            assert response.headers["Retry-After"] == "7"
        for _ in range(2):
            async with raw_client(peer.open_stream, T) as client:
                assert client.protocol.subprotocol is None
                assert await client.receive() == (1000, "")
        assert await peer.wait_connection(3) is peer.connections[2]


async def test_frames_as_they_are(raw_client: Any) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send_frames(
            Frame(Opcode.TEXT, b"1", fin=False),
            Frame(Opcode.PING, b"between"),
            Frame(Opcode.CONT, b"2"),
        )
        await conn.send_binary(b"34")
        await conn.send_frames(Frame(Opcode.CONT, b"out of place"))
        assert (await conn.wait_closed())[0] == 1002

    async with (
        ScriptedPeer(script) as peer,
        raw_client(peer.open_stream, T) as client,
    ):
        assert await client.receive_all() == [12, 34, (1006, "")]
        assert str(client.protocol.parser_exc) == "unexpected continuation frame"


@pytest.mark.parametrize("size", [0, 123, 124, 65533, 65534])
async def test_sizes(raw_client: Any, size: int) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send_text(f'"{"x" * size}"')
        assert await conn.receive() == "y" * size

    async with (
        ScriptedPeer(script) as peer,
        raw_client(peer.open_stream, T) as client,
    ):
        assert await client.receive() == "x" * size
        await client.send(f'"{"y" * size}"')


async def test_no_websocket_at_all() -> None:
    async def script(conn: PeerConnection) -> None:
        assert await conn.receive_raw() == b"hello"
        await conn.send_raw(b"220 smtp.example.org\r\n")
        await conn.send_eof()
        assert await conn.wait_eof() == b"bye"

    async with ScriptedPeer(script) as peer, await peer.open_stream() as stream:
        await stream.send(b"hello")
        assert await stream.receive() == b"220 smtp.example.org\r\n"
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send(b"bye")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"type": "b"}, r"expected a message of type 'a', got \{'type': 'b'\}"),
        ([], r"expected a message of type 'a', got \[\]"),
    ],
)
async def test_a_failed_expectation_comes_out_as_it_is(
    raw_client: Any, sent: Any, words: str
) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.expect_type("a")

    with pytest.raises(AssertionError, match=words):
        async with (
            ScriptedPeer(script) as peer,
            raw_client(peer.open_stream, T) as client,
        ):
            await client.send(sent)
            await client.receive()
            await anyio.sleep_forever()


async def test_expectations_of_content(raw_client: Any) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        with pytest.raises(AssertionError, match=r"expected \{'a': 1\}, got \{'a': 2\}"):
            await conn.expect({"a": 1})
        with pytest.raises(AssertionError, match="binary"):
            await conn.receive()
        with pytest.raises(WebSocketEnded) as ended:
            await conn.receive()
        assert (ended.value.code, ended.value.reason) == (1001, "off")

    async with (
        ScriptedPeer(script) as peer,
        raw_client(peer.open_stream, T) as client,
    ):
        await client.send({"a": 2})
        client.protocol.send_binary(b"x")
        client.protocol.send_close(1001, "off")
        await client.flush()
        assert await client.receive() == (1001, "off")


async def test_a_script_that_still_runs_is_canceled(raw_client: Any) -> None:
    ended = []

    async def script(conn: PeerConnection) -> None:
        try:
            await conn.accept()
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async with ScriptedPeer(script) as peer:
        async with raw_client(peer.open_stream, T):
            pass
        assert not ended
    assert ended


@pytest.mark.parametrize("loopback", [False, True])
async def test_resets(loopback: bool) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.receive_raw()
        conn.reset()

    async with ScriptedPeer(script) as peer:
        if loopback:
            url = await peer.listen()
            port = int(url.rpartition(":")[2].partition("/")[0])
            stream: Any = await anyio.connect_tcp("127.0.0.1", port)
        else:
            stream = await peer.open_stream()
        async with stream:
            await stream.send(b"x")
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()


async def test_eof_on_loopback() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.send_raw(b"last")
        await conn.aclose()

    async with ScriptedPeer(script) as peer:
        port = int((await peer.listen()).rpartition(":")[2].partition("/")[0])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            assert await stream.receive() == b"last"
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()


def test_there_is_a_script() -> None:
    with pytest.raises(ValueError, match="at least one script"):
        ScriptedPeer([])
