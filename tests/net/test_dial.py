"""The ways to a server: TLS, Unix sockets, streams of the caller's own."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import Opening
from tests.support.sockets import Connected, echoing, failure
from tests.support.websocket_peer import MemoryStream, Peer, refusing, serving, take

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
    assert not error.retryable  # most likely no TLS port


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


@pytest.mark.parametrize("fault", ["tls", "proxy"])
async def test_a_stream_of_the_callers_own_is_closed_if_it_is_of_no_use(
    connector: Connector, client_tls: ssl.SSLContext, fault: str
) -> None:
    ours, theirs = MemoryStream.pair()

    async def open_stream(host: str, port: int) -> MemoryStream:
        return ours

    async def serve() -> None:
        await theirs.receive()
        await theirs.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(anyio.EndOfStream):
            await theirs.receive()
        await theirs.aclose()

    args = {"proxy": "http://proxy.example:1"} if fault == "proxy" else {}
    async with anyio.create_task_group() as tg:
        tg.start_soon(serve)
        error = await failure(
            type(connector)(open_stream=open_stream),
            Opening("wss://localhost/", ssl=client_tls, connect_args=args),
        )
    assert "403" in str(error) if fault == "proxy" else "TLS" in str(error)


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
