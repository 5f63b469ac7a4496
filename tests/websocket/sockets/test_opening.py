"""Compression, which an opening asks for."""

from __future__ import annotations

import pytest

from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import ConnectArgs
from anygql.websocket.sockets.stream import StreamConnector
from tests.support.sockets import Connected
from tests.support.websocket_peer import Peer, take


class TestCompression:
    @pytest.fixture
    def connector(self) -> Connector:
        return StreamConnector()

    async def test_it_is_offered_and_used(self, connected: Connected) -> None:
        from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

        sizes: list[int] = []

        async def script(peer: Peer) -> None:
            peer.protocol.available_extensions = [ServerPerMessageDeflateFactory()]
            await peer.accept()
            message = await peer.frame()
            peer.protocol.send_text(message.data)
            answer = b"".join(peer.protocol.data_to_send())
            sizes.append(len(answer))
            await peer.raw(answer)
            await peer.gone()

        async with connected(script, connect_args={"compression": "deflate"}) as websocket:
            await websocket.send([b"x" * 10_000])
            assert await take(websocket, 1) == ["x" * 10_000]
        assert sizes[0] < 100

    async def test_the_limit_is_for_what_comes_out(self, connected: Connected) -> None:
        from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

        from anygql.websocket.sockets.base import WebSocketEnded

        async def script(peer: Peer) -> None:
            peer.protocol.available_extensions = [ServerPerMessageDeflateFactory()]
            await peer.accept()
            peer.protocol.send_text(b"x" * 100_000)
            await peer.raw(b"".join(peer.protocol.data_to_send()))
            await peer.gone()

        arguments = {"compression": "deflate"}
        async with connected(script, connect_args=arguments, max_message_size=10_000) as websocket:
            with pytest.raises(WebSocketEnded) as caught:
                await websocket.receive()
            assert (caught.value.code, caught.value.ours) == (1009, True)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("max_size", "max_message_size"),
        ("open_timeout", "connect_timeout"),
        ("additional_headers", "headers"),
        ("close_timeout", "close_timeout"),
    ],
)
def test_options_of_other_libraries_are_told_where_to_go(given: str, instead: str) -> None:
    with pytest.raises(TypeError, match=f"'{given}' .write {instead}= to the transport itself"):
        ConnectArgs.parse({given: 1})
