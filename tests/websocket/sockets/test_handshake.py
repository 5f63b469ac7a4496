"""The opening handshake: what is sent, and what is made of every answer."""

from __future__ import annotations

import base64
import logging
import re
import socket

import anyio
import pytest
from websockets.utils import accept_key

from anygql.exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportServerError,
)
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import Opening
from tests.support.sockets import Connected
from tests.support.websocket_peer import Peer, Script, refusing, serving

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("brief")]


async def attempt(connector: Connector, script: Script, **opening: object) -> TransportError:
    """What connecting to a peer that follows the script raises."""
    with anyio.fail_after(10):
        async with serving(script) as port, anyio.create_task_group() as tg:
            url = f"ws://user:pass@127.0.0.1:{port}/graphql?token=hush"
            with pytest.raises(TransportError) as caught:
                await connector.connect(Opening(url, **opening), tg)
    error = caught.value
    assert f"ws://127.0.0.1:{port}/graphql" in str(error)
    assert "hush" not in str(error)
    assert "pass" not in str(error)
    return error


def answering(*lines: str, body: bytes = b"", then: str = "open") -> Script:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.raw(refusing(lines, body))
        if then == "open":
            await peer.gone()

    return script


@pytest.mark.parametrize("then", ["open", "end"])
@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (200, False),
        (204, False),
        (301, False),
        (400, False),
        (401, False),
        (403, True),  # with Retry-After it is a limit, as over HTTP
        (404, False),
        (429, True),
        (503, True),
    ],
)
async def test_refusals(connector: Connector, status: int, retryable: bool, then: str) -> None:
    script = answering(f"HTTP/1.1 {status} Whatever", "Retry-After: 3", body=b"why", then=then)
    error = await attempt(connector, script, headers=[("Authorization", "sesame")])
    assert isinstance(error, TransportServerError)
    assert (error.code, error.retryable) == (status, retryable)
    assert error.headers["retry-after"] == "3"
    assert error.body == ("" if status == 204 else "why")  # which has no body
    assert str(status) in str(error)
    assert ("edirects are not followed" in str(error)) == (status == 301)


@pytest.mark.parametrize("then", ["open", "end"])
@pytest.mark.parametrize(
    ("header", "wire", "body"),
    [
        ("Content-Length: 3", b"why, and more", "why"),
        ("Content-Length: 100", b"less than said", "less than said"),
        ("Content-Length: nonsense", b"why", "why"),
        ("Transfer-Encoding: chunked", b"3\r\nwhy\r\n4;x=y\r\n not\r\n0\r\n\r\n", "why not"),
        ("Transfer-Encoding: chunked", b"3\r\nwhy\r\n40\r\n not", "why not"),
        ("Transfer-Encoding: chunked", b"nonsense\r\n", ""),
        ("X-Long: yes", "ż".encode() * 10_000, "ż" * 1024),
        ("X-Binary: yes", b"\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
async def test_bodies(connector: Connector, header: str, wire: bytes, body: str, then: str) -> None:
    error = await attempt(
        connector, answering("HTTP/1.0 502 Bad Gateway", header, body=wire, then=then)
    )
    assert isinstance(error, TransportServerError)
    assert error.body == body


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 100_000,
    ],
)
async def test_what_is_not_http(connector: Connector, wire: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.raw(wire)
        await peer.gone()

    error = await attempt(connector, script)
    assert type(error) is TransportProtocolError
    assert not error.retryable


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Upgrade: websocket", "Connection: Upgrade"],
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: wrong"],
        ["Upgrade: h2c", "Connection: Upgrade", "Sec-WebSocket-Accept: wrong"],
        ["Upgrade: websocket", "Connection: close", "Sec-WebSocket-Accept: wrong"],
    ],
)
async def test_an_upgrade_that_is_wrong(connector: Connector, lines: list[str]) -> None:
    error = await attempt(connector, answering("HTTP/1.1 101 Switching Protocols", *lines))
    assert type(error) is TransportProtocolError
    assert not error.retryable


@pytest.mark.parametrize(
    ("version", "more", "is_right"),
    [
        ("HTTP/1.1", ["Upgrade: WebSocket", "Connection: keep-alive, Upgrade"], True),
        ("HTTP/1.1", ["upgrade: websocket", "connection: UPGRADE"], True),
        ("HTTP/1.1", ["Upgrade: websocket, h2c", "Connection: Upgrade"], False),
        ("HTTP/1.1", ["Upgrade: websocket", "Connection: keep-alive"], False),
        ("HTTP/1.1", ["Upgrade: websocket", "Connection: not-upgrade"], False),
        ("HTTP/1.0", ["Upgrade: websocket", "Connection: Upgrade"], False),
    ],
)
async def test_what_accepts_the_upgrade(
    connected: Connected,
    version: str,
    more: list[str],
    is_right: bool,
    request: pytest.FixtureRequest,
) -> None:
    trio_websocket = request.node.callspec.params["connector"] == "trio-websocket"

    async def script(peer: Peer) -> None:
        head = await peer.head()
        key = re.search(r"(?i)^sec-websocket-key: (.*?)\r$", head, re.MULTILINE)
        assert key is not None
        accept = f"Sec-WebSocket-Accept: {accept_key(key[1])}"
        await peer.raw(refusing((f"{version} 101 Switching Protocols", accept, *more), b""))
        await peer.gone()

    if is_right or (trio_websocket and version == "HTTP/1.0"):  # which it doesn't look at
        async with connected(script):
            pass
        return
    with pytest.raises(ExceptionGroup) as caught:
        async with connected(script):
            raise AssertionError
    assert caught.group_contains(TransportProtocolError, match="with 101, but")


async def test_an_extension_that_was_not_offered(connector: Connector) -> None:
    async def script(peer: Peer) -> None:
        peer.protocol.receive_data((await peer.head()).encode())
        response = peer.protocol.accept(peer.protocol.events_received()[0])
        response.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
        peer.protocol.send_response(response)
        await peer.raw(b"".join(peer.protocol.data_to_send()))
        await peer.gone()

    assert type(await attempt(connector, script)) is TransportProtocolError


@pytest.mark.parametrize("offered", [[], ["graphql-transport-ws", "graphql-ws"]])
async def test_a_subprotocol_that_was_not_offered(connector: Connector, offered: list[str]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept("soap")
        await peer.gone()

    error = await attempt(connector, script, subprotocols=offered)
    assert type(error) is TransportProtocolError
    assert (error.code, error.retryable) == (4406, False)
    assert "'soap'" in str(error)
    assert (", ".join(offered) or "none") in str(error)


async def test_interim_answers_are_skipped(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await peer.accept()
        await peer.gone()

    async with connected(script):
        pass


@pytest.mark.parametrize("how", ["end", "reset", "half a head"])
async def test_a_connection_lost_in_the_handshake(connector: Connector, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        if how == "half a head":
            await peer.raw(b"HTTP/1.1 101 Switching Pro")
        if how == "reset":
            await peer.reset()

    error = await attempt(connector, script)
    assert type(error) is TransportConnectionFailed
    assert error.retryable
    if how == "reset":
        assert isinstance(error.__cause__, OSError)


async def test_nobody_listens(connector: Connector) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{unused.getsockname()[1]}/?token=hush"
        async with anyio.create_task_group() as tg:
            with pytest.raises(TransportConnectionFailed) as caught:
                await connector.connect(Opening(url), tg)
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert "Check that the server is running" in str(caught.value)
    assert "hush" not in str(caught.value)


async def test_a_name_that_cannot_be_resolved(
    connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unresolvable(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(anyio, "connect_tcp", unresolvable)
    async with anyio.create_task_group() as tg:
        with pytest.raises(TransportConnectionFailed, match="Check the host's name") as caught:
            await connector.connect(Opening("ws://nowhere.invalid/"), tg)
    assert caught.value.retryable


async def test_every_address_is_named(
    connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*args: object, **kwargs: object) -> None:
        causes = [ConnectionRefusedError("not at ::1"), TimeoutError("not at 127.0.0.1")]
        raise OSError("All connection attempts failed") from ExceptionGroup("several", causes)

    monkeypatch.setattr("anygql.net.dial.connect_tcp", refused)
    async with anyio.create_task_group() as tg:
        with pytest.raises(TransportConnectionFailed, match=r"::1; not at 127\.0\.0\.1"):
            await connector.connect(Opening("ws://localhost/"), tg)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hush",
        "ws:///hush",
        "ws://example.org/#hush",
        "ws://hush@example.org/",
        "ws://example.org:hush/",
        "ws://example.org:99999/",
    ],
)
async def test_urls_that_cannot_be_used(connector: Connector, url: str) -> None:
    async with anyio.create_task_group() as tg:
        with pytest.raises(TransportInvalidURL) as caught:
            await connector.connect(Opening(url), tg)
    assert not caught.value.retryable
    assert caught.value.__suppress_context__


async def test_the_request(connected: Connected) -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.accept()
        await peer.gone()

    headers = [("Authorization", "Bearer żółw".encode().decode("latin-1")), ("X-One", " 1 ")]
    async with connected(script, headers=headers, subprotocols=["a", "b"]):
        request = peers[0].request
    assert request.path == "/graphql?token=hush"
    assert request.headers["Host"].startswith("127.0.0.1:")
    assert request.headers["User-Agent"].startswith("anygql/")
    assert request.headers["Authorization"] == headers[0][1]
    assert request.headers["X-One"] == "1"
    assert request.headers["Sec-WebSocket-Protocol"] == "a, b"
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_the_callers_headers_replace_ours(connected: Connected) -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.accept()
        await peer.gone()

    headers = [
        ("host", "example.org"),
        ("user-agent", "me"),
        ("Origin", "https://example.org"),
        ("authorization", "Bearer x"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
    ]
    async with connected(script, host="user:pass@127.0.0.1", headers=headers):
        got = peers[0].request.headers
    assert sorted((n.lower(), v) for n, v in got.raw_items() if n.lower()[:3] != "sec") == sorted(
        [(n.lower(), v) for n, v in headers] + [("upgrade", "websocket"), ("connection", "Upgrade")]
    )


async def test_the_urls_user_is_sent(connected: Connected) -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.accept()
        await peer.gone()

    async with connected(script, host="user:p%40ss@127.0.0.1"):
        value = peers[0].request.headers["Authorization"]
    assert value == "Basic " + base64.b64encode(b"user:p@ss").decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Evil", "hush\r\nX-More: 1"),
        ("X-Evil", "hush\n"),
        ("X-Evil", "hush\0"),
        ("X-Evil", "hush 🐢"),
        ("X-Evil\r\nX-More", "hush"),
        ("X Evil", "hush"),
        ("", "hush"),
        ("Sec-WebSocket-Key", "hush"),
        ("Connection", "hush"),
    ],
)
async def test_headers_that_cannot_be_sent(connector: Connector, name: str, value: str) -> None:
    async def script(peer: Peer) -> None:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await peer.stream.receive()

    async with serving(script) as port, anyio.create_task_group() as tg:
        opening = Opening(f"ws://127.0.0.1:{port}/", headers=[(name, value)])
        with pytest.raises(ValueError, match="header") as caught:
            await connector.connect(opening, tg)
    assert repr(name) in str(caught.value)
    assert "hush" not in str(caught.value)


async def test_nothing_secret_is_logged(
    connected: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.echo()

    caplog.set_level(logging.DEBUG)
    async with connected(script, headers=[("Authorization", "hush")]) as websocket:
        await websocket.send([b'{"payload": "hush"}'])
        await websocket.receive()
        await websocket.aclose(1000, "")
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    ("body", "says", "errors"),
    [
        (b"token expired\nat line 3", "token expired", []),
        (b'{"message": "token expired"}', "token expired", []),
        (
            b'{"errors": [{"message": "token expired"}]}',
            "token expired",
            [{"message": "token expired"}],
        ),
        (b"x" * 1000, f"{'x' * 199}…", []),
        (b"<!DOCTYPE html><p>Sign in", "Sign in", []),
        (b"", None, []),
    ],
)
async def test_the_body_of_a_refusal_is_quoted(
    connector: Connector, body: bytes, says: str | None, errors: list[object]
) -> None:
    error = await attempt(connector, answering("HTTP/1.1 403 Forbidden", body=body, then="end"))
    assert isinstance(error, TransportServerError)
    assert "Check the path and the credentials" in str(error)
    assert str(error).endswith(f". It says: {says}") == (says is not None)
    assert error.body == body.decode()
    assert error.errors == errors


async def test_the_headers_of_a_successful_handshake_are_kept(connected: Connected) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept("graphql-transport-ws")
        await peer.gone()

    async with connected(script, subprotocols=["graphql-transport-ws"]) as websocket:
        assert websocket.response_headers["sec-websocket-protocol"] == "graphql-transport-ws"
        assert "upgrade" in websocket.response_headers
