"""Fixtures: WebSockets to peers that follow a script, and certificates for them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from anygql.exceptions import TransportConnectionFailed
from anygql.testing.loopback import Reservation
from anygql.websocket.sockets.base import Connector, WebSocket
from anygql.websocket.sockets.opening import Opening
from tests.support.websocket_peer import Peer, Script, serving

Connected = Callable[..., AbstractAsyncContextManager[WebSocket]]


@pytest.fixture
def connected(connector: Connector) -> Connected:
    """``connected(script, …)``: a WebSocket to a peer that follows the script."""

    @asynccontextmanager
    async def connected(
        script: Script,
        *,
        scheme: str = "ws",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        uds: Path | None = None,
        **opening: Any,
    ) -> AsyncGenerator[WebSocket]:
        before = {task.id for task in anyio.get_running_tasks()}
        with anyio.fail_after(20):
            async with serving(script, tls=tls, uds=uds) as port, anyio.create_task_group() as tg:
                url = f"{scheme}://{host}:{port}/graphql?token=hush"
                websocket = await connector.connect(Opening(url, **opening), tg)
                try:
                    yield websocket
                finally:
                    await websocket.aclose_forcefully()
        left = [task for task in anyio.get_running_tasks() if task.id not in before]
        assert not left, left

    return connected


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def echoing(peer: Peer) -> None:
    await peer.accept()
    await peer.echo()


async def failure(connector: Connector, opening: Opening) -> TransportConnectionFailed:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tg:
            with pytest.raises(TransportConnectionFailed) as caught:
                await connector.connect(opening, tg)
    return caught.value


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that nobody else gets, on which nothing listens."""
    reservation = Reservation("127.0.0.1", 0)
    yield reservation.port
    reservation.close()
