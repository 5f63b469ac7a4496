"""Raw conversations: what the server says to each message, in both subprotocols."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from anygql.testing import GraphQLServer, demo_schema

T = "graphql-transport-ws"
L = "graphql-ws"
INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}


def subscribe(id: str, query: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **more}}


def start(id: str, query: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "start", "payload": {"query": query, **more}}


NEVER = "subscription { never }"

# What the client sends, and all that comes back, the close code and reason last.
TRANSPORT_WS = {
    "subscribe before init": ([subscribe("1", "{ hello }")], [(4401, "Unauthorized")]),
    "two inits": ([INIT, INIT], [ACK, (4429, "Too many initialisation requests")]),
    "duplicate id": (
        [INIT, subscribe("1", NEVER), subscribe("1", NEVER)],
        [ACK, (4409, "Subscriber for 1 already exists")],
    ),
    "not JSON": ([INIT, "{"], [ACK, (4400, "Invalid message: not JSON")]),
    "not an object": ([INIT, "[]"], [ACK, (4400, "Invalid message: not an object")]),
    "deeply nested": ([INIT, "[" * 100_000], [ACK, (4400, "Invalid message: not JSON")]),
    "no type": (
        [INIT, {}],
        [ACK, (4400, "Invalid message: a client does not send messages of type None")],
    ),
    "a server's message": (
        [INIT, {"type": "next", "id": "1", "payload": {}}],
        [ACK, (4400, "Invalid message: a client does not send messages of type 'next'")],
    ),
    "a legacy message": (
        [INIT, start("1", "{ hello }")],
        [ACK, (4400, "Invalid message: a client does not send messages of type 'start'")],
    ),
    "no id": (
        [INIT, {"type": "subscribe", "payload": {"query": "{ hello }"}}],
        [ACK, (4400, "Invalid message: id is missing or of the wrong type")],
    ),
    "an empty id": (
        [INIT, subscribe("", "{ hello }")],
        [ACK, (4400, "Invalid message: id is empty")],
    ),
    "a number as id": (
        [INIT, {"type": "complete", "id": 1}],
        [ACK, (4400, "Invalid message: id is missing or of the wrong type")],
    ),
    "no query": (
        [INIT, {"type": "subscribe", "id": "1", "payload": {}}],
        [ACK, (4400, "Invalid message: query is missing or of the wrong type")],
    ),
    "a list of variables": (
        [INIT, subscribe("1", "{ hello }", variables=[])],
        [ACK, (4400, "Invalid message: variables is missing or of the wrong type")],
    ),
    "a ping payload that is no object": (
        [{"type": "ping", "payload": 1}],
        [(4400, "Invalid message: payload is missing or of the wrong type")],
    ),
}

LEGACY = {
    "start before init": (
        [start("1", "{ hello }")],
        [
            {"type": "connection_error", "payload": {"message": "Unauthorized"}},
            (1011, "Unauthorized"),
        ],
    ),
    "two inits": ([INIT, INIT, {"type": "connection_terminate"}], [ACK, ACK, (1000, "")]),
    "malformed messages do no harm": (
        [INIT, "{", start("1", "{ hello }"), {"type": "connection_terminate"}],
        [
            ACK,
            {"type": "connection_error", "payload": {"message": "not JSON"}},
            {"id": "1", "type": "data", "payload": {"data": {"hello": "Hello world!"}}},
            {"id": "1", "type": "complete"},
            (1000, ""),
        ],
    ),
    "stop is echoed": (
        [INIT, start("1", NEVER), {"id": "1", "type": "stop"}, {"type": "connection_terminate"}],
        [ACK, {"id": "1", "type": "complete"}, (1000, "")],
    ),
    "an id again": (
        [INIT, start("1", NEVER), start("1", "{ hello }"), {"type": "connection_terminate"}],
        [
            ACK,
            {"id": "1", "type": "data", "payload": {"data": {"hello": "Hello world!"}}},
            {"id": "1", "type": "complete"},
            (1000, ""),
        ],
    ),
}


@pytest.mark.parametrize(
    ("subprotocol", "sent", "expected"),
    [(T, *case) for case in TRANSPORT_WS.values()] + [(L, *case) for case in LEGACY.values()],
    ids=[f"{T}: {name}" for name in TRANSPORT_WS] + [f"{L}: {name}" for name in LEGACY],
)
async def test_conversation(
    raw_client: Any, subprotocol: str, sent: list[Any], expected: list[Any]
) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, subprotocol) as client,
    ):
        await client.send(*sent)
        assert await client.receive_all() == expected
        (conn,) = server.connections
        assert await conn.wait_closed() == expected[-1]
        assert conn.operations == []


HELLO = {"id": "1", "type": "next", "payload": {"data": {"hello": "Hello world!"}}}
DONE = {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(subscribe("1", "{ hello }"), [HELLO, DONE], id="query"),
        pytest.param(
            subscribe("1", "mutation M { increment(by: 2) }", operationName="M", variables=None),
            [{"id": "1", "type": "next", "payload": {"data": {"increment": 2}}}, DONE],
            id="mutation",
        ),
        pytest.param(
            subscribe("1", "query($n: String!) { hello(name: $n) }", variables={"n": "é"}),
            [{"id": "1", "type": "next", "payload": {"data": {"hello": "Hello é!"}}}, DONE],
            id="variables",
        ),
        pytest.param(
            subscribe("1", "{ slow(seconds: 0) }"),
            [{"id": "1", "type": "next", "payload": {"data": {"slow": "slept 0 s"}}}, DONE],
            id="asynchronous query",
        ),
        pytest.param(
            subscribe("1", "subscription { n: countdown(from: 1) }"),
            [
                {"id": "1", "type": "next", "payload": {"data": {"n": 1}}},
                {"id": "1", "type": "next", "payload": {"data": {"n": 0}}},
                DONE,
            ],
            id="subscription",
        ),
        pytest.param(
            subscribe("1", "subscription { n: flood(count: 2, size: 3) }"),
            [
                {"id": "1", "type": "next", "payload": {"data": {"n": "0..."}}},
                {"id": "1", "type": "next", "payload": {"data": {"n": "1..."}}},
                DONE,
            ],
            id="ready-made results",
        ),
        pytest.param({"type": "ping"}, [{"type": "pong"}], id="ping"),
        pytest.param(
            {"type": "ping", "payload": {"a": 1}},
            [{"type": "pong", "payload": {"a": 1}}],
            id="ping with a payload",
        ),
    ],
)
async def test_answers(raw_client: Any, message: Any, expected: list[Any]) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
    ):
        await client.init()
        await client.send({"type": "pong"}, {"type": "complete", "id": "unknown"}, message)
        assert [await client.receive() for _ in expected] == expected


def error_messages(message: dict[str, Any]) -> list[str]:
    payload = message["payload"]
    errors = payload if isinstance(payload, list) else payload.get("errors", [payload])
    return [error["message"] for error in errors]


@pytest.mark.parametrize("subprotocol", [T, L])
@pytest.mark.parametrize(
    ("query", "variables", "kinds", "words"),
    [
        ("{ hello", None, ["error"], "Syntax Error"),
        ("{ nothing }", None, ["error"], "Cannot query field"),
        ("query A { hello } query B { hello }", None, ["error"], "Unable to identify"),
        ("query($n: Int!) { add(a: $n, b: 1) }", {"n": "x"}, ["next", "complete"], "$n"),
        ("subscription($n: Int!) { countdown(from: $n) }", {}, ["next", "complete"], "$n"),
        ("{ fail }", None, ["next", "complete"], "this field always fails"),
    ],
)
async def test_failures(
    raw_client: Any,
    subprotocol: str,
    query: str,
    variables: Any,
    kinds: list[str],
    words: str,
) -> None:
    begin = subscribe if subprotocol == T else start
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, subprotocol) as client,
    ):
        await client.init()
        await client.send(begin("1", query, variables=variables))
        messages = [await client.receive() for _ in kinds]
        named = [kind if subprotocol == T else kind.replace("next", "data") for kind in kinds]
        assert [message["type"] for message in messages] == named
        assert words in error_messages(messages[0])[0]
        if query != "{ fail }" and kinds[0] == "next":
            assert "data" not in messages[0]["payload"]
        await server.connections[0].wait_operations(0)


async def test_a_failing_event_and_a_failing_source(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
        raw_client(server.open_stream, L) as legacy,
    ):
        await client.init()
        await client.send(subscribe("1", "subscription { failing(after: 1) }"))
        good, bad, good_again, done = [await client.receive() for _ in range(4)]
        assert good["payload"] == {"data": {"failing": 0}}
        assert bad["payload"]["data"] == {"failing": None}
        assert error_messages(bad) == ["this event failed"]
        assert good_again["payload"] == {"data": {"failing": 2}}
        assert done == DONE

        query = "subscription { failing(after: 0, source: true) }"
        await client.send(subscribe("2", query))
        failed = await client.receive()
        assert (failed["type"], error_messages(failed)) == (
            "error",
            ["the source of events failed"],
        )

        await legacy.init()
        await legacy.send(start("3", query))
        failed = await legacy.receive()
        assert (failed["type"], error_messages(failed)) == ("data", ["the source of events failed"])
        assert (await legacy.receive())["type"] == "complete"


@pytest.mark.parametrize(
    ("offered", "supported", "agreed"),
    [
        ([T, L], [T, L], T),
        ([L, T], [T, L], L),
        (["soap", L], [T, L], L),
        ([T, L], [L], L),
        (["soap"], [T, L], None),
        ([], [T, L], None),
        ([L], [T], None),
    ],
)
async def test_subprotocols(
    raw_client: Any, offered: list[str], supported: list[str], agreed: str | None
) -> None:
    async with (
        GraphQLServer(demo_schema(), protocols=supported) as server,
        raw_client(server.open_stream, *offered, path="/graphql?token=1") as client,
    ):
        conn = await server.wait_connection()
        assert client.protocol.subprotocol == conn.subprotocol == agreed
        assert conn.path == "/graphql?token=1"
        assert conn.headers["Host"] == "memory"
        if agreed is None:
            assert await client.receive() == (4406, "Subprotocol not acceptable")


async def test_a_binary_message_is_refused(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
    ):
        client.protocol.send_binary(b"{}")
        await client.flush()
        assert await client.receive() == (1003, "binary messages are not understood")


async def test_text_that_is_not_utf8_is_refused(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema()) as server,
        raw_client(server.open_stream, T) as client,
    ):
        client.protocol.send_text(b"\xff")
        await client.flush()
        assert (await client.receive())[0] == 1007


async def test_a_request_that_is_no_websocket(raw_client: Any) -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with await server.open_stream() as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: memory\r\nUpgrade: websocket\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 426 ")
        async with await server.open_stream() as stream:
            await stream.send(b"nonsense\r\n\r\n")
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        assert server.connections == []
