"""Proxies that are named, and the environment's."""

from __future__ import annotations

import base64
import ssl
from typing import Any

import anyio
import pytest

from anygql.exceptions import TransportInvalidURL
from anygql.net.proxy import environment_proxy, parse_proxy
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import Opening
from tests.support.sockets import Connected, echoing, failure
from tests.support.websocket_peer import Peer, refusing, serving, take


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
    monkeypatch.setattr("anygql.net.tls.default_context", lambda: client_tls)
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


def test_a_proxy_does_not_show_its_credentials() -> None:
    assert repr(parse_proxy("http://me:hush@localhost:8080")) == "Proxy(http://localhost:8080)"


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
