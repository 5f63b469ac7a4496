"""TLS is verified unless the caller says otherwise: on every way to a server, and for its name."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from anygql import Client, HTTPTransport, TransportConnectionFailed, WebSocketTransport
from anygql.concurrency.signal import Signal
from anygql.session.events import Disconnected, SessionEvent
from anygql.testing import GraphQLServer, demo_schema
from anygql.websocket.sockets.base import Connector
from tests.promises.security.conftest import WORDS, Serving
from tests.support.http_peer import Peer, http
from tests.support.websocket_peer import Peer as SocketPeer
from tests.support.websocket_peer import refusing, serving

pytestmark = pytest.mark.table

HELLO = "{ hello }"
ANSWER = {"hello": "Hello world!"}
OK = http('{"data": {"hello": "Hello world!"}}')


@asynccontextmanager
async def https(context: ssl.SSLContext) -> AsyncGenerator[Peer]:
    """A server that answers ``HELLO``, over TLS."""
    it = Peer([OK])

    async def serve(peer: SocketPeer) -> None:
        await it.serve(peer.stream)

    async with serving(serve, tls=context) as port:
        it.url = f"https://127.0.0.1:{port}/graphql"
        yield it


def check(
    error: TransportConnectionFailed, url: str, fault: str, *, retryable: bool = False
) -> None:
    """It says where, what and what to do, and asks for no further attempt."""
    assert type(error) is TransportConnectionFailed
    assert error.retryable is retryable
    message = str(error)
    assert url in message
    assert WORDS[fault] in message.replace("self signed", "self-signed")
    assert "pass ssl=" in message
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(type(cause))
        cause = cause.__cause__ or cause.__context__
    assert ssl.SSLCertVerificationError in causes


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, client_tls: ssl.SSLContext) -> None:
    """The private authority is among those that this machine trusts."""
    monkeypatch.setattr("anygql.net.tls.default_context", lambda: client_tls)


# WebSockets.


@pytest.mark.parametrize("given", [True, False])
async def test_a_websocket_to_the_right_server(
    connector: Connector,
    server_tls: Serving,
    client_tls: ssl.SSLContext,
    trusted: None,
    given: bool,
) -> None:
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen(ssl=server_tls("right"))
        assert url.startswith("wss://")
        ssl_context = client_tls if given else None
        transport = WebSocketTransport(url, ssl=ssl_context, connector=connector)
        async with Client(transport) as session:
            assert await session.execute(HELLO) == ANSWER


@pytest.mark.parametrize("reconnecting", [False, True])
@pytest.mark.parametrize("fault", WORDS)
async def test_a_websocket_that_cannot_be_trusted(
    connector: Connector,
    server_tls: Serving,
    client_tls: ssl.SSLContext,
    fault: str,
    reconnecting: bool,
) -> None:
    ended: list[Disconnected] = []

    def on_event(event: object) -> None:
        if isinstance(event, Disconnected):
            ended.append(event)

    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen(ssl=server_tls(fault))
        transport = WebSocketTransport(url, ssl=client_tls, connector=connector)
        client = Client(transport, on_event=on_event)
        with anyio.fail_after(20), pytest.raises(TransportConnectionFailed) as caught:
            async with client.connect(reconnecting=reconnecting):
                pass
        check(caught.value, url, fault)
        assert [event.will_retry for event in ended] == [False]
        assert not server.connections


async def test_a_private_authority_must_be_named(connector: Connector, server_tls: Serving) -> None:
    """The default context knows nothing of ours."""
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen(ssl=server_tls("right"))
        with pytest.raises(TransportConnectionFailed) as caught:
            async with Client(WebSocketTransport(url, connector=connector)):
                pass
        check(caught.value, url, "unknown authority")


async def test_a_lost_server_is_not_followed_by_an_untrusted_one(
    connector: Connector, server_tls: Serving, client_tls: ssl.SSLContext
) -> None:
    """A permanent session asks for the certificate at each attempt, and never connects."""
    failed: list[Exception] = []
    failures = Signal()

    def note(event: SessionEvent) -> None:
        if isinstance(event, Disconnected):
            failed.append(event.error)
            failures.notify()

    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen(ssl=server_tls("right"))
        port = int(url.split(":")[2].split("/")[0])
        transport = WebSocketTransport(url, ssl=client_tls, connector=connector)
        client = Client(transport, on_event=note)
        async with client.connect(reconnecting=True) as session:
            assert await session.execute(HELLO) == ANSWER
            await server.stop_listening()
            await server.listen("127.0.0.1", port, ssl=server_tls("wrong host"))
            server.drop_connections()
            with anyio.fail_after(20):
                while len(failed) < 3:
                    await failures.wait()
            assert session.state != "connected"
        for error in failed[1:]:
            assert isinstance(error, TransportConnectionFailed)
            check(error, url, "wrong host", retryable=True)
        assert len(server.connections) == 1


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("fault", ["right", *WORDS])
async def test_behind_a_proxy_the_server_s_own_name_is_verified(
    connector: Connector,
    server_tls: Serving,
    client_tls: ssl.SSLContext,
    trusted: None,
    fault: str,
    secure: bool,
) -> None:
    """Whether or not the proxy itself is spoken to over TLS."""

    async def proxy(peer: SocketPeer) -> None:
        await peer.head()
        await peer.raw(refusing(["HTTP/1.1 200 Connection established"]))
        await peer.start_tls(server_tls(fault))
        await peer.accept("graphql-transport-ws")
        await peer.frame()
        await peer.raw(b"\x81\x19" + b'{"type":"connection_ack"}')
        await peer.closing()

    tls = server_tls("right") if secure else None
    async with serving(proxy, tls=tls) as port:
        # Nobody answers at this address: only the proxy can be asked.
        url = "wss://localhost:1/graphql"
        arguments: dict[str, Any] = {"proxy": f"http{'s' * secure}://127.0.0.1:{port}"}
        transport = WebSocketTransport(
            url, ssl=client_tls, connector=connector, connect_args=arguments, close_timeout=1
        )
        with anyio.fail_after(20):
            if fault == "right":
                async with Client(transport) as session:
                    assert session.state == "connected"
                return
            with pytest.raises(TransportConnectionFailed) as caught:
                async with Client(transport):
                    pass
    check(caught.value, url, fault)


@pytest.mark.parametrize("fault", ["wrong host", "expired", "unknown authority"])
async def test_a_proxy_that_cannot_be_trusted(
    connector: Connector, server_tls: Serving, trusted: None, fault: str
) -> None:
    """It gets no credentials, neither its own nor the server's."""
    heard: list[str] = []

    async def proxy(peer: SocketPeer) -> None:
        heard.append(await peer.head())

    async with serving(proxy, tls=server_tls(fault)) as port:
        shown = f"https://127.0.0.1:{port}"
        transport = WebSocketTransport(
            "wss://localhost:1/graphql",
            connector=connector,
            connect_args={"proxy": f"https://me:hush@127.0.0.1:{port}"},
        )
        with anyio.fail_after(20), pytest.raises(TransportConnectionFailed) as caught:
            async with Client(transport):
                pass
    assert caught.value.retryable is False
    assert shown in str(caught.value)
    assert WORDS[fault] in str(caught.value)
    assert heard == []


# HTTP.


@pytest.mark.over_http
@pytest.mark.parametrize("given", [True, False])
async def test_https_to_the_right_server(
    server_tls: Serving,
    client_tls: ssl.SSLContext,
    authority: Any,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    given: bool,
) -> None:
    if not given:  # the environment's authorities, as httpx has them
        file = tmp_path / "authorities.pem"
        file.write_bytes(authority.cert_pem.bytes())
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with https(server_tls("right")) as server:
        transport = HTTPTransport(server.url, ssl=client_tls if given else None)
        async with Client(transport) as session:
            assert await session.execute(HELLO) == ANSWER


@pytest.mark.over_http
@pytest.mark.parametrize("how", ["execute", "subscribe", "single connection"])
@pytest.mark.parametrize("fault", WORDS)
async def test_https_that_cannot_be_trusted(
    server_tls: Serving, client_tls: ssl.SSLContext, fault: str, how: str
) -> None:
    async with https(server_tls(fault)) as server:
        single = how == "single connection"
        transport = HTTPTransport(server.url, ssl=client_tls, single_connection=single)
        with anyio.fail_after(20), pytest.raises(TransportConnectionFailed) as caught:
            async with Client(transport).connect(reconnecting=True) as session:
                if how == "subscribe":
                    async with session.subscribe("subscription { n }") as events:
                        await events.receive()
                else:
                    await session.execute(HELLO, {"secret": 1})
        check(caught.value, server.url, fault)
        assert server.requests == []


@pytest.mark.over_http
async def test_https_to_a_private_authority_must_be_named(server_tls: Serving) -> None:
    async with https(server_tls("right")) as server:
        with anyio.fail_after(20), pytest.raises(TransportConnectionFailed) as caught:
            async with Client(server.url) as session:
                await session.execute(HELLO)
        check(caught.value, server.url, "unknown authority")
        assert server.requests == []


async def test_the_user_s_own_client_is_used_as_it_is(
    server_tls: Serving, client_tls: ssl.SSLContext
) -> None:
    async with https(server_tls("wrong host")) as server:
        async with (
            httpx.AsyncClient(verify=client_tls) as own,
            Client(HTTPTransport(server.url, client=own)) as session,
        ):
            with pytest.raises(TransportConnectionFailed) as caught:
                await session.execute(HELLO)
        check(caught.value, server.url, "wrong host")
        assert server.requests == []
        unverified = ssl.create_default_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        async with (
            httpx.AsyncClient(verify=unverified) as own,
            Client(HTTPTransport(server.url, client=own)) as session,
        ):
            assert await session.execute(HELLO) == ANSWER
