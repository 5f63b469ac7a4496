"""Common mistakes: each error says what to write."""

from __future__ import annotations

import io
import pathlib
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from anygql import Client, FileVar, HTTPTransport, LocalSchemaTransport, Session, WebSocketTransport
from anygql.testing import demo_schema

WS = "ws://example.org/graphql"
HTTP = "https://example.org/graphql"
DOCUMENT = "query ($n: Int) { hello }"


# Arguments of a session's methods.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variables": {}}, r"\(\) got an unexpected .* 'variables': write variable_values="),
        ({"variable": {}}, "'variable': write variable_values="),
        ({"operation": "A"}, "'operation': write operation_name="),
        ({"headers": {}}, r"'headers': write transport_args=\{'headers': …\}"),
        ({"get_execution_result": True}, "call execute_result"),
        ({"extra_args": {}}, "write transport_args="),
        ({"upload_files": True}, "leave it out"),
        ({"operation_nmae": "A"}, "did you mean operation_name="),
        ({"parse_result": True}, "write parse_results="),
        ({"qwertz": 1}, "unexpected keyword argument 'qwertz'$"),
    ],
)
@pytest.mark.parametrize(
    "method",
    [
        "execute",
        "execute_result",
        "subscribe",
        "subscribe_results",
        "execute_incremental",
    ],
)
async def test_arguments_that_no_call_has(
    memory: Client, method: str, arguments: dict[str, Any], message: str
) -> None:
    async with memory as session:
        with pytest.raises(TypeError, match=message) as caught:
            await getattr(session, method)(DOCUMENT, **arguments)
        assert str(caught.value).startswith(f"{method}() ")


async def test_arguments_of_other_methods(memory: Client) -> None:
    async with memory as session:
        calls: Any = session
        with pytest.raises(TypeError, match="'result_type'"):
            await calls.execute_result(DOCUMENT, result_type=dict)
        with pytest.raises(TypeError, match=r"anyio\.fail_after"):
            calls.subscribe(DOCUMENT, timeout=3)
        with pytest.raises(TypeError, match="write timeout="):
            await calls.execute(DOCUMENT, execute_timeout=3)
        for batch in (calls.execute_batch, calls.execute_batch_results):
            with pytest.raises(TypeError, match="'variables'"):
                await batch([DOCUMENT], variables={})


# Time limits.


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", "a number of seconds or None, not str: write .*=10 without quotes"),
        (
            timedelta(minutes=1),
            r"a number of seconds or None, not timedelta: write 60, or call total_seconds\(\)",
        ),
        (True, "a number of seconds or None, not bool"),
        ([], "a number of seconds or None, not list"),
    ],
)
async def test_what_is_no_time_limit(memory: Client, value: Any, message: str) -> None:
    makers: dict[str, Callable[[], Any]] = {
        "execute_timeout": lambda: Client(WS, execute_timeout=value),
        "batch_interval": lambda: Client(HTTP, batch_interval=value),
        "connect_timeout": lambda: HTTPTransport(HTTP, connect_timeout=value),
        "ack_timeout": lambda: WebSocketTransport(WS, ack_timeout=value),
        "idle_timeout": lambda: memory.connect(reconnecting=True, lazy=True, idle_timeout=value),
    }
    for name, make in makers.items():
        with pytest.raises(TypeError, match=f"{name} is {message}"):
            make()
    async with memory as session:
        for call in (session.execute, session.execute_result):
            with pytest.raises(TypeError, match=f"timeout is {message}"):
                await call(DOCUMENT, timeout=value)
        with pytest.raises(TypeError, match=f"timeout is {message}"):
            await session.execute_batch([DOCUMENT], timeout=value)


# Clients and transports.


@pytest.mark.parametrize("url", [WS, HTTP])
@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ("Authorization: secret", "headers are a mapping or pairs, .* not str"),
        (b"Authorization: secret", "headers are a mapping or pairs, .* not bytes"),
        (["Authorization: secret"], "headers as a list are pairs"),
        (3, "headers are a mapping or pairs, .* not int"),
    ],
)
def test_what_is_no_headers(url: str, headers: Any, message: str) -> None:
    transport = WebSocketTransport if url == WS else HTTPTransport
    for make in (Client, transport):
        with pytest.raises(TypeError, match=message) as caught:
            make(url, headers=headers)
        assert "secret" not in str(caught.value)


async def test_a_function_that_returns_no_headers() -> None:
    client = Client(WebSocketTransport(WS, headers=lambda: "a: b"))  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="headers are a mapping or pairs"):
        async with client:
            ...


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Client, {"timeout": 3}, r"Client\(\) got .* 'timeout': write execute_timeout="),
        (Client, {"reconnecting": True}, r"an option of client\.connect"),
        (Client, {"protocol": "auto"}, "an option of the transport"),
        (Client, {"fetch_schema_from_transport": True}, "write fetch_schema=True"),
        (Client, {"execute_timeot": 3}, "did you mean execute_timeout="),
        (WebSocketTransport, {"subprotocols": []}, "write protocol="),
        (WebSocketTransport, {"max_size": 1}, "write max_message_size="),
        (WebSocketTransport, {"proxy": ""}, "write connect_args="),
        (WebSocketTransport, {"init_paylod": {}}, "did you mean init_payload="),
        (HTTPTransport, {"auth": ("user", "pass")}, r"client=httpx\.AsyncClient\(auth=…\)"),
        (HTTPTransport, {"timeout": 3}, r"Client\(…, execute_timeout=\)"),
        (HTTPTransport, {"init_payload": {}}, "write headers="),
    ],
)
def test_options_that_are_not_there(make: Any, options: dict[str, Any], message: str) -> None:
    url = HTTP if make is HTTPTransport else WS
    with pytest.raises(TypeError, match=message):
        make(url, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reconnect": True}, "write reconnecting=True"),
        ({"execute_timeout": 3}, r"Client\(…, execute_timeout=…\)"),
        ({"headers": {}}, r"Client\(url, headers=…\)"),
        ({"retry_conect": True}, "did you mean retry_connect="),
    ],
)
def test_options_that_connect_does_not_have(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Client(WS).connect(**options)


async def test_the_wrong_way_in(memory: Client) -> None:
    client: Any = memory
    with pytest.raises(TypeError, match="write `async with client\\.connect"):
        await client.connect()
    for name in ("execute", "execute_batch", "execute_result", "subscribe", "subscribe_results"):
        with pytest.raises(
            AttributeError, match=rf"`async with client as session: session\.{name}`"
        ):
            getattr(client, name)
    for name in ("session", "execute_async", "execute_sync", "subscribe_async"):
        with pytest.raises(AttributeError, match="and call the session's methods"):
            getattr(client, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'qwertz'$"):
        _ = client.qwertz
    with pytest.raises(TypeError, match="`async with client as session:`"), client:
        ...
    async with client as session:
        subscription = session.subscribe("subscription { countdown }")
        with pytest.raises(TypeError, match="a subscription is not awaited"):
            await subscription
        with pytest.raises(TypeError, match="iterated with `async for`"):
            list(subscription)
        with pytest.raises(TypeError, match="entered with `async with`"), subscription:
            ...


# Options that a client hands to the transport that a URL makes.


def test_a_client_hands_options_to_its_transport() -> None:
    context = ssl.create_default_context()
    over_http: Any = Client(HTTP, headers={"a": "b"}, ssl=context).transport
    assert (over_http.headers, over_http.ssl) == ({"a": "b"}, context)
    payload = {"token": "secret"}
    url = WS.replace("ws:", "wss:")
    client = Client(url, headers={"a": "b"}, init_payload=payload, ssl=context)
    over_websocket: Any = client.transport
    assert over_websocket._headers == {"a": "b"}
    assert over_websocket._init_payload is payload
    assert over_websocket._ssl is context


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("headers", {"a": "secret"}),
        ("init_payload", {"a": "secret"}),
        ("ssl", ssl.create_default_context()),
    ],
)
@pytest.mark.parametrize("url", [WS, HTTP])
def test_a_given_transport_takes_its_options_itself(url: str, option: str, value: Any) -> None:
    transport: Any = WebSocketTransport(url) if url == WS else HTTPTransport(url)
    kind = type(transport).__name__
    with pytest.raises(TypeError, match=rf"write {kind}\(…, {option}=…\)") as caught:
        Client(transport, **{option: value})
    assert "secret" not in str(caught.value)


def test_init_payload_goes_over_websocket_only() -> None:
    with pytest.raises(TypeError, match="init_payload goes over WebSocket only: write headers="):
        Client(HTTP, init_payload={"token": "secret"})


# Values that have no JSON form.


async def test_a_file_over_websocket_and_what_is_no_file_var(
    memory: Client, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a")
    local = Client(LocalSchemaTransport(demo_schema()))
    async with memory as session:
        with pytest.raises(TypeError, match=r"variables\.n: .*\(files go over HTTP only"):
            await session.execute(DOCUMENT, {"n": FileVar(path)})
        with pytest.raises(TypeError, match=r"variables\.n\.a\[0\]: .*files go over HTTP only"):
            await session.execute(DOCUMENT, {"n": {"a": [FileVar(path)]}})
    for client in (memory, local):
        async with client as session:
            await _refuses(session, path, r"wrap it: FileVar\(path\)")
            await _refuses(session, io.BytesIO(b"a"), r"wrap it: FileVar\(file\)")
            with path.open("rb") as file:
                await _refuses(session, file, r"wrap it: FileVar\(file\)")


async def _refuses(session: Session, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"^variables\.n: .*{message}"):
        await session.execute(DOCUMENT, {"n": value})


# What is shown.


async def test_reprs_have_server_and_state_and_no_secret(make: Callable[..., Client]) -> None:
    secret = "wss://me:secret@example.org/graphql?token=secret"
    client = Client(secret, headers={"a": "secret"}, init_payload={"b": "secret"})
    assert repr(client) == "<Client of wss://example.org/graphql>"
    client = make()
    server = client.transport.description
    async with client as session:
        assert repr(session) == f"<Session of {server}, connected>"
        document = "subscription Down($n: Int!) { countdown(from: $n) }"
        subscription = session.subscribe(document, {"n": 0})
        assert repr(subscription) == f"<Subscription of 'Down' at {server}, not begun>"
        async with subscription as events:
            assert repr(events) == f"<Subscription of 'Down' at {server}, running>"
            assert [event async for event in events] == [{"countdown": 0}]
            assert repr(events) == f"<Subscription of 'Down' at {server}, ended>"
        assert repr(events) == f"<Subscription of 'Down' at {server}, closed>"
        unnamed = session.subscribe_results("subscription { never }")
        assert repr(unnamed) == f"<Subscription of {server}, not begun>"
    assert repr(session) == f"<Session of {server}, closed>"


@pytest.mark.parametrize(
    ("url", "context", "error", "message"),
    [
        (WS, ssl.create_default_context(), ValueError, "ssl needs a wss:// URL"),
        ("wss://example.org/", True, TypeError, "ssl is an ssl.SSLContext, not bool"),
    ],
)
def test_what_is_no_context_for_tls(
    url: str, context: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        WebSocketTransport(url, ssl=context)
