"""What an opening says: its URL, and the compression that it asks for."""

from __future__ import annotations

import pytest
from websockets.headers import build_host
from websockets.uri import parse_uri

from anygql.exceptions import TransportProtocolError
from anygql.websocket.sockets.base import Connector, WebSocketEnded
from anygql.websocket.sockets.opening import ConnectArgs, parse_url
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

    async def test_what_cannot_be_decompressed(self, connected: Connected) -> None:
        from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

        async def script(peer: Peer) -> None:
            peer.protocol.available_extensions = [ServerPerMessageDeflateFactory()]
            await peer.accept()
            await peer.raw(b"\xc1\x04\xff\xff\xff\xff")
            await peer.gone()

        async with connected(script, connect_args={"compression": "deflate"}) as websocket:
            with pytest.raises(WebSocketEnded) as caught:
                await websocket.receive()
        assert (caught.value.code, caught.value.ours) == (1002, True)

    @pytest.mark.parametrize(
        "answer",
        [
            "permessage-bzip2",
            "permessage-deflate; client_max_window_bits=99",
            "permessage-deflate; level",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate; =",
            "",
        ],
    )
    async def test_an_answer_that_does_not_fit_the_offer(
        self, connected: Connected, answer: str
    ) -> None:
        async def script(peer: Peer) -> None:
            await peer.accept(extensions=answer)
            await peer.gone()

        with pytest.raises(ExceptionGroup) as caught:
            async with connected(script, connect_args={"compression": "deflate"}):
                raise AssertionError
        assert caught.group_contains(TransportProtocolError, match="extension that was not offered")


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


@pytest.mark.parametrize(
    "url",
    [
        "ws://example.org",
        "wss://example.org/",
        "WS://EXAMPLE.org:80/graphql",
        "wss://example.org:443/graphql?a=b&c",
        "ws://example.org:8000?a=b",
        "ws://127.0.0.1:8000/%20x",
        "ws://[::1]/graphql",
        "wss://[2001:db8::1]:444/graphql",
        "ws://user:p%40ss@example.org/graphql",
        "ws://bücher.example/żółw?q=\N{TURTLE}",
        "ws://example.org/{a}|b?{c}",
    ],
)
def test_urls_are_read_as_websockets_reads_them(url: str) -> None:
    ours, theirs = parse_url(url), parse_uri(url)
    assert (ours.secure, ours.host, ours.port) == (theirs.secure, theirs.host, theirs.port)
    assert (ours.resource, ours.user) == (theirs.resource_name, theirs.user_info)
    assert ours.authority == build_host(theirs.host, theirs.port, theirs.secure)


def test_what_is_encoded_in_a_url_is_not_encoded_again() -> None:
    assert parse_url("ws://example.org/a%20\N{TURTLE}").resource == "/a%20%F0%9F%90%A2"
