"""Values of users and servers stay values: none of them begins a header, a line or a request."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    TransportInvalidURL,
    TransportProtocolError,
    WebSocketTransport,
)
from anygql.json import JSON
from anygql.net.urls import redact
from anygql.protocols import GRAPHQL_TRANSPORT_WS, Codec, SubscriptionProtocol
from anygql.websocket.sockets.base import Connector
from tests.support.http_peer import cut, endless, http, kept, peer
from tests.support.websocket_peer import Peer, serving

pytestmark = pytest.mark.table

OK = http('{"data": {"ok": true}}')
UPLOAD = "mutation ($file: Upload!) { ok(file: $file) }"

#: What a line, a header or a request could be begun with.
EVIL = ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0b", "a\x0bb", "a\x7fb"]


class Named(SubscriptionProtocol):
    """A protocol with a name of the user's own."""

    is_default = True

    def __init__(self, name: str) -> None:
        self.subprotocols = (name,)

    def codec(self, json: JSON) -> Codec:
        return GRAPHQL_TRANSPORT_WS.codec(json)


async def refused(connector: Connector, path: str = "/", **options: Any) -> Exception:
    """What connecting so raises; the server must not have heard a byte."""
    heard: list[bytes] = []

    async def script(peer: Peer) -> None:
        heard.append(await peer.stream.receive())

    async with serving(script) as port:
        with anyio.fail_after(20), pytest.raises(Exception) as caught:
            url = f"ws://127.0.0.1:{port}{path}"
            async with Client(WebSocketTransport(url, connector=connector, **options)):
                pass
    assert heard == []
    assert type(caught.value).__module__ in {"builtins", "anygql"}
    return caught.value


@pytest.mark.parametrize("evil", EVIL)
async def test_headers_of_a_websocket(connector: Connector, evil: str) -> None:
    error = await refused(connector, headers={"X-Some": evil})
    assert isinstance(error, ValueError)
    assert "'X-Some'" in str(error)
    assert evil not in str(error)
    error = await refused(connector, headers=lambda: [("X-Some", "right"), (evil, "1")])
    assert isinstance(error, ValueError)
    assert repr(evil) in str(error)


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "upgrade", "Transfer-Encoding"])
async def test_headers_that_are_the_handshake_s(connector: Connector, name: str) -> None:
    assert isinstance(await refused(connector, headers={name: "x"}), ValueError)


@pytest.mark.parametrize("evil", [*EVIL, "a b", "a HTTP/1.1\r\nHost: evil\r\n\r\n"])
@pytest.mark.parametrize("where", ["path", "query", "asked for"])
async def test_the_url_of_a_websocket(connector: Connector, evil: str, where: str) -> None:
    if where == "asked for":
        transport = WebSocketTransport(lambda: f"ws://127.0.0.1:1/{evil}", connector=connector)
        with pytest.raises(TransportInvalidURL) as caught:
            async with Client(transport):
                pass
        error: Exception = caught.value
    else:
        error = await refused(connector, f"/{evil}" if where == "path" else f"/?q={evil}")
    assert isinstance(error, TransportInvalidURL)
    assert error.retryable is False
    assert "\n" not in str(error)
    assert "\r" not in str(error)


@pytest.mark.parametrize("host", ["h\0", "h h", "h\r\n", "user:p\r\nw@h", "us\0er:pw@h"])
async def test_the_host_of_a_websocket(connector: Connector, host: str) -> None:
    with pytest.raises(TransportInvalidURL) as caught:
        async with Client(WebSocketTransport(f"ws://{host}/", connector=connector)):
            pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("evil", [*EVIL, "", "a b", "a,b"])
async def test_the_name_of_a_subprotocol(connector: Connector, evil: str) -> None:
    error = await refused(connector, protocol=Named(evil))
    assert isinstance(error, ValueError)
    assert "subprotocol" in str(error)


def test_what_is_shown_of_a_url_is_one_line() -> None:
    assert redact("ws://h/a\r\nb\x85c\u2028d?e") == "ws://h/a\ufffd\ufffdb\ufffdc\ufffdd"


@pytest.mark.over_http
@pytest.mark.parametrize("evil", EVIL[:4])
@pytest.mark.parametrize(
    "how", ["header", "name", "argument", "name of an argument", "cookie", "URL"]
)
async def test_headers_over_http(evil: str, how: str) -> None:
    options: dict[str, Any] = {
        "header": {"headers": {"X-Some": evil}},
        "name": {"headers": {evil: "1"}},
    }.get(how, {})
    args: dict[str, Any] = {
        "argument": {"headers": {"X-Some": evil}},
        "name of an argument": {"headers": {evil: "1"}},
        "cookie": {"cookies": {"some": evil}},
    }.get(how, {})
    async with peer(kept(OK)) as server:
        url = f"{server.url}/{evil}" if how == "URL" else server.url
        async with Client(HTTPTransport(url, **options)) as session:
            with pytest.raises(ValueError, match="http://127") as caught:
                await session.execute("{ ok }", transport_args=args)
        assert type(caught.value) is (TransportInvalidURL if how == "URL" else ValueError)
        assert "X-Evil" not in str(caught.value) or how == "URL"
        assert "\n" not in str(caught.value)
        assert server.requests == []


@pytest.mark.over_http
async def test_parameters_are_escaped() -> None:
    async with peer(kept(OK)) as server:
        async with Client(HTTPTransport(server.url, use_get_for_queries=True)) as session:
            args = {"params": {"a\r\nb": "c\r\nd e"}}
            variables = {"x\r\n": "y\r\nX-Evil: 1"}
            await session.execute("{ ok }", variables, transport_args=args)
        [request] = server.requests
        assert "x-evil" not in request.headers
        assert "a%0D%0Ab=c%0D%0Ad" in request.line
        assert request.line.count(" ") == 2


@pytest.mark.over_http
@pytest.mark.parametrize("evil", [*EVIL, "", " a", "é"])
async def test_the_content_type_of_an_upload(evil: str) -> None:
    async with peer(kept(OK)) as server:
        async with Client(server.url) as session:
            file = FileVar(b"x", content_type=evil)
            if not evil:  # guessed, as if it had not been given
                await session.execute(UPLOAD, {"file": file})
                assert b"Content-Type: application/octet-stream\r\n" in server.requests[0].body
                return
            with pytest.raises(ValueError, match="content_type"):
                await session.execute(UPLOAD, {"file": file})
        assert server.requests == []


@pytest.mark.over_http
@pytest.mark.parametrize("evil", [*EVIL, 'a"; name="operations', "é"])
async def test_the_file_name_of_an_upload(evil: str) -> None:
    async with peer(kept(OK)) as server:
        async with Client(server.url) as session:
            await session.execute(UPLOAD, {"file": FileVar(b"x", filename=evil)})
        [request] = server.requests
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        *_, file, _ = request.body.split(b"--" + boundary)
        head = file.partition(b"\r\n\r\n")[0].decode()
        lines = head.strip().split("\r\n")
        assert len(lines) == 2
        disposition = 'Content-Disposition: form-data; name="0"; filename="'
        assert lines[0].startswith(disposition)
        assert lines[0].count('"') == 4
        assert lines[1] == "Content-Type: application/octet-stream"
        assert lines[0].isprintable()


@pytest.mark.over_http
@pytest.mark.parametrize("where", ["operation name", "variable", "extension"])
@pytest.mark.parametrize("evil", EVIL)
async def test_names_and_values_in_json(evil: str, where: str) -> None:
    """They are escaped there, or no names."""
    async with peer(kept(OK)) as server:
        async with Client(server.url) as session:
            if where == "operation name":
                with pytest.raises(ValueError, match="operation"):
                    await session.execute("query Some { ok }", operation_name=evil)
                assert server.requests == []
                return
            given = {"variable": {"variable_values": {evil: evil}}}
            options: dict[str, Any] = given.get(where, {"extensions": {evil: evil}})
            assert await session.execute("{ ok }", **options) == {"ok": True}
        [request] = server.requests
        [value] = [request.json[key] for key in ("variables", "extensions") if key in request.json]
        assert value == {evil: evil}
        assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for byte in request.body}


# What a hostile server gives us to say back.


@pytest.mark.over_http
@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("some-7", b"some-7"),
        ("é", "é".encode()),
        ("two words", b"two words"),
        ("x" * 4096, b"x" * 4096),
        ("x" * 4097, None),
        ("x" * 100_000, None),
        ("a\x01b", None),
        ("a\x7fb", None),
        (" a ", None),
        ("\ta", None),
        ("a\0b", None),
    ],
)
async def test_the_name_of_an_event(named: str, said: bytes | None, soon: None) -> None:
    """``Last-Event-ID``: what no header can hold is not sent, and the subscription goes on."""
    event = 'event: next\ndata: {"data": {"n": 1}}\nid: ' + named + "\n\n"
    more = b'event: next\ndata: {"data": {"n": 2}}\n\n', b"event: complete\ndata:\n\n"
    async with peer(cut(event.encode(), kind="text/event-stream"), endless(*more)) as server:
        with anyio.fail_after(20):
            async with Client(server.url).connect(reconnecting=True) as session:
                async with session.subscribe("subscription { n }") as events:
                    assert [data async for data in events] == [{"n": 1}, {"n": 2}]
                    assert events.reconnects == 1
        first, second = server.requests
        assert "last-event-id" not in first.headers
        # The peer reads heads as UTF-8.
        assert second.headers.get("last-event-id") == (said.decode() if said else None)


@pytest.mark.over_http
@pytest.mark.parametrize(
    "token", [b"a\r\nX-Evil: 1", b"a\rX", b"a\0b", b"a b", b"a\tb", b"\x7f", b"\xe9", b"x" * 4097]
)
async def test_the_token_of_a_reserved_stream(token: bytes) -> None:
    async with peer(http(token, "201 Created", "text/plain")) as server:
        with anyio.fail_after(20), pytest.raises(TransportProtocolError, match="token"):
            async with Client(HTTPTransport(server.url, single_connection=True)):
                pass
        assert [request.line.split()[0] for request in server.requests] == ["PUT"]
