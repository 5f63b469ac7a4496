"""The ways to a server: TLS, Unix sockets, proxies, streams of the caller's own."""

from __future__ import annotations

import base64
import ssl
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from anygql.exceptions import TransportConnectionFailed, TransportInvalidURL
from anygql.net.proxy import environment_proxy
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import Opening
from anygql.websocket.sockets.stream import StreamConnector
from anygql.websocket.sockets.trio_websocket import trio_websocket_connector
from tests.support.sockets import Connected
from tests.support.websocket_peer import MemoryStream, Peer, refusing, serving, take


async def echoing(peer: Peer) -> None:
    await peer.accept()
    await peer.echo()


async def failure(connector: Connector, opening: Opening) -> TransportConnectionFailed:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tg:
            with pytest.raises(TransportConnectionFailed) as caught:
                await connector.connect(opening, tg)
    return caught.value


# TLS.


async def test_tls(
    connected: Connected, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    messages = [b"x" * 100_000, b"y"]
    async with connected(echoing, scheme="wss", tls=server_tls, ssl=client_tls) as websocket:
        await websocket.send(messages)
        assert await take(websocket, 2) == [message.decode() for message in messages]
        await websocket.aclose(1000, "")


@pytest.mark.parametrize("fault", ["unknown authority", "wrong host", "no TLS"])
async def test_tls_that_cannot_be_trusted(
    connector: Connector,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    authority: trustme.CA,
    fault: str,
) -> None:
    client = client_tls
    server: ssl.SSLContext | None = server_tls
    if fault == "unknown authority":
        client = ssl.create_default_context()
    elif fault == "wrong host":
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("elsewhere.example").configure_cert(server)
    else:
        server = None
    script = echoing if server else plain
    async with serving(script, tls=server) as port:
        error = await failure(connector, Opening(f"wss://127.0.0.1:{port}/?hush", ssl=client))
    assert not error.retryable
    assert isinstance(error.__cause__, ssl.SSLError)
    assert f"wss://127.0.0.1:{port}/" in str(error)
    assert "hush" not in str(error)
    if fault != "no TLS":
        assert error.__cause__.verify_message in str(error)


async def plain(peer: Peer) -> None:
    await peer.stream.receive()
    await peer.raw(refusing(["HTTP/1.1 400 Bad Request"]))
    await peer.gone()


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_tls_cut_off(connector: Connector, client_tls: ssl.SSLContext, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.stream.receive()
        if how == "reset":
            await peer.reset()

    async with serving(script) as port:
        error = await failure(connector, Opening(f"wss://127.0.0.1:{port}/", ssl=client_tls))
    assert error.retryable


async def test_another_name_for_tls(
    connected: Connected, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(server)
    arguments = {"server_hostname": "elsewhere.example"}
    async with connected(
        echoing, scheme="wss", tls=server, ssl=client_tls, connect_args=arguments
    ) as websocket:
        await websocket.send([b"x"])
        assert await take(websocket, 1) == ["x"]


# Unix sockets and the caller's own streams.


async def test_a_unix_socket(connected: Connected, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with connected(echoing, uds=path, connect_args={"uds": path}) as websocket:
        await websocket.send([b"x"])
        assert await take(websocket, 1) == ["x"]
        await websocket.aclose(1000, "")


async def test_a_unix_socket_that_is_not_there(connector: Connector, tmp_path: Path) -> None:
    opening = Opening("ws://localhost/", connect_args={"uds": str(tmp_path / "nothing")})
    error = await failure(connector, opening)
    assert error.retryable
    assert "Check the path" in str(error)


async def test_from_an_address(connected: Connected) -> None:
    arguments = {"local_host": "127.0.0.1", "happy_eyeballs_delay": 0.1}
    async with connected(echoing, connect_args=arguments) as websocket:
        await websocket.send([b"x"])
        assert await take(websocket, 1) == ["x"]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_stream_of_the_callers_own(
    connector: Connector,
    scheme: str,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked for the host itself, whatever proxies the environment names."""
    monkeypatch.setenv("all_proxy", "http://proxy.example:1")
    asked: list[tuple[str, int]] = []
    ours, theirs = MemoryStream.pair()

    async def open_stream(host: str, port: int) -> MemoryStream:
        asked.append((host, port))
        return ours

    async def serve() -> None:
        peer = Peer(theirs)
        if scheme == "wss":
            await peer.start_tls(server_tls)
        await echoing(peer)
        await peer.stream.aclose()

    connector = type(connector)(open_stream=open_stream)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tg:
            tg.start_soon(serve)
            opening = Opening(f"{scheme}://localhost/", ssl=client_tls)
            websocket = await connector.connect(opening, tg)
            await websocket.send([b"one", b"two"])
            assert await take(websocket, 2) == ["one", "two"]
            await websocket.aclose(1000, "")
            await websocket.aclose_forcefully()
    assert asked == [("localhost", 80 if scheme == "ws" else 443)]


# Proxies.


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_proxy(
    connector: Connector,
    scheme: str,
    secure: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anygql.net.dial._default_context", lambda: client_tls)
    heads: list[str] = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.head())
        await peer.raw(refusing(["HTTP/1.1 200 Connection established", "X-Via: us"]))
        if scheme == "wss":
            await peer.start_tls(server_tls)
        await echoing(peer)

    with anyio.fail_after(10):
        async with (
            serving(script, tls=server_tls if secure else None) as port,
            anyio.create_task_group() as tg,
        ):
            proxy = f"http{'s' * secure}://me:p%40ss@127.0.0.1:{port}"
            url = f"{scheme}://localhost:4000/graphql"
            opening = Opening(url, ssl=client_tls, connect_args={"proxy": proxy})
            websocket = await connector.connect(opening, tg)
            await websocket.send([b"x"])
            assert await take(websocket, 1) == ["x"]
            await websocket.aclose(1000, "")
            await websocket.aclose_forcefully()
    lines = heads[0].split("\r\n")
    assert lines[0] == "CONNECT localhost:4000 HTTP/1.1"
    assert "Host: localhost:4000" in lines
    credentials = base64.b64encode(b"me:p@ss").decode()
    assert f"Proxy-Authorization: Basic {credentials}" in lines


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (403, False), (502, True)])
async def test_a_proxy_that_refuses(connector: Connector, status: int, retryable: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.raw(refusing([f"HTTP/1.1 {status} No"]))
        await peer.gone()

    async with serving(script) as port:
        arguments = {"proxy": f"http://me:hush@127.0.0.1:{port}"}
        error = await failure(connector, Opening("ws://example.org/", connect_args=arguments))
    assert (error.code, error.retryable) == (status, retryable)
    assert f"http://127.0.0.1:{port}" in str(error)
    assert "hush" not in str(error)


async def test_a_proxy_that_speaks_something_else(connector: Connector) -> None:
    async def script(peer: Peer) -> None:
        await peer.raw(b"\x05\x00")
        await peer.gone()

    async with serving(script) as port:
        arguments = {"proxy": f"127.0.0.1:{port}"}
        error = await failure(connector, Opening("ws://example.org/", connect_args=arguments))
    assert not error.retryable
    assert f"http://127.0.0.1:{port}" in str(error)


@pytest.mark.parametrize("proxy", ["socks5://me:hush@proxy:1080", "http://", "http://a:hush"])
async def test_proxies_that_cannot_be_used(connector: Connector, proxy: str) -> None:
    error = await failure(connector, Opening("ws://example.org/", connect_args={"proxy": proxy}))
    assert isinstance(error, TransportInvalidURL)
    assert "me" not in str(error).split("proxy")[1].split(":")[0]


async def test_the_environments_proxy(
    connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.raw(refusing(["HTTP/1.1 503 Busy"]))

    async with serving(script) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        error = await failure(connector, Opening("ws://example.org/"))
    assert error.code == 503


@pytest.mark.parametrize("how", ["loopback", "no_proxy", "explicitly none"])
async def test_without_the_environments_proxy(
    connected: Connected, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    arguments: dict[str, Any] = {"proxy": None} if how == "explicitly none" else {}
    if how == "no_proxy":
        monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with connected(echoing, connect_args=arguments) as websocket:
        await websocket.send([b"x"])
        assert await take(websocket, 1) == ["x"]


@pytest.mark.parametrize(
    ("environment", "secure", "host"),
    [
        ({}, True, None),
        ({"https_proxy": "http://a:1"}, True, "a"),
        ({"https_proxy": "http://a:1"}, False, None),
        ({"https_proxy": "http://a:1", "wss_proxy": "b:2"}, True, "b"),
        ({"http_proxy": "http://a:1", "ws_proxy": "b:2"}, False, "b"),
        ({"all_proxy": "http://c:3"}, True, "c"),
        ({"all_proxy": "http://c:3", "no_proxy": "example.org"}, True, None),
        ({"all_proxy": "http://c:3", "no_proxy": "example.org:443"}, True, None),
        ({"all_proxy": "http://c:3", "no_proxy": "other.org"}, True, "c"),
    ],
)
def test_choosing_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], secure: bool, host: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = environment_proxy("api.example.org", 443, secure=secure)
    if "example.org:443" in environment.values():
        proxy = environment_proxy("example.org", 443, secure=secure)
    assert (proxy and proxy.host) == host
    for loopback in ("localhost", "127.0.0.5", "::1", "x.localhost"):
        assert environment_proxy(loopback, 443, secure=secure) is None


# connect_args.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"udss": "x"}, TypeError, "no 'udss': it takes 'uds', 'proxy'"),
        ({"compression": "zstd"}, ValueError, "compression"),
        ({"uds": "/x", "proxy": "http://x"}, ValueError, "both 'uds' and 'proxy'"),
    ],
)
async def test_arguments_that_cannot_be_used(
    connector: Connector, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    async with anyio.create_task_group() as tg:
        with pytest.raises(error, match=message):
            await connector.connect(Opening("ws://localhost:1/", connect_args=arguments), tg)


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


# trio-websocket.


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
