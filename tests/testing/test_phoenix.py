"""The test server's Phoenix dialect, beside what Absinthe 1.7 was recorded to say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anygql.testing import GraphQLServer, demo_schema
from tests.protocols.test_phoenix import SCENES, TOPIC, reply

PATH = "/socket/websocket?vsn=2.0.0"
JOIN = ["1", "1", TOPIC, "phx_join", {}]


def scene(name: str) -> tuple[list[Any], list[Any]]:
    """What was sent and what came, as it was recorded; a close is a text."""
    found: tuple[list[Any], list[Any]] = ([], [])
    for line in SCENES[name].splitlines():
        way, _, text = line.strip().partition(" ")
        if way == "<CLOSE>":
            found[1].append(int(text.split()[0]))
            continue
        try:
            found[way == "<-"].append(json.loads(text))
        except json.JSONDecodeError:
            found[way == "<-"].append(text)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "v2 doc without join",
        "v2 join twice",
        "v2 leave",
        "v2 heartbeat",
        "v2 join unknown topic",
        "v2 unknown event",
        "v2 unsubscribe unknown",
        "v2 invalid json",
        "v2 object message on a v2 socket",
    ],
)
async def test_recorded(raw_client: Any, name: str) -> None:
    sent, came = scene(name)
    if name == "v2 leave":
        sent.pop()  # what comes to a channel that was left has no answer in the record
    async with (
        GraphQLServer(demo_schema(), protocols=["phoenix"]) as server,
        raw_client(server.open_stream, path=PATH) as client,
    ):
        if "json" in name or "object" in name:
            sent = sent[-1:]
        await client.send(*sent)
        for expected in came:
            got = await client.receive()
            assert (got[0] if isinstance(got, tuple) else got) == expected


async def test_errors(raw_client: Any) -> None:
    async with (
        GraphQLServer(demo_schema(), protocols=["phoenix"]) as server,
        raw_client(server.open_stream, path=PATH) as client,
    ):
        await client.send(JOIN)
        assert await client.receive() == reply("1", {})
        for ref, payload, told in [
            ("2", {"query": "{ hello }", "variables": []}, "Could not parse variables as map"),
            ("3", {"query": "{ nothing }"}, "Cannot query field"),
            ("4", {}, "Syntax Error"),
        ]:
            await client.send(["1", ref, TOPIC, "doc", payload])
            answer = await client.receive()
            assert answer[:4] == ["1", ref, TOPIC, "phx_reply"]
            assert answer[4]["status"] == "error"
            assert told in json.dumps(answer[4]["response"])


async def test_a_source_that_fails(raw_client: Any) -> None:
    document = "subscription { failing(after: 0, source: true) }"
    async with (
        GraphQLServer(demo_schema(), protocols=["phoenix"]) as server,
        raw_client(server.open_stream, path=PATH) as client,
    ):
        await client.send(JOIN, ["1", "2", TOPIC, "doc", {"query": document, "variables": {}}])
        frames = [await client.receive() for _ in range(3)]
        name = frames[1][4]["response"]["subscriptionId"]
        assert name.startswith("__absinthe__:doc:")
        assert frames[2][:4] == [None, None, name, "subscription:data"]
        (error,) = frames[2][4]["result"]["errors"]
        assert error["message"] == "the source of events failed"


@pytest.mark.parametrize("text", ["[]", "{}", '["1","1","t","e",{},1]', "[" * 10_000])
async def test_what_it_can_t_read(raw_client: Any, text: str) -> None:
    async with (
        GraphQLServer(demo_schema(), protocols=["phoenix"]) as server,
        raw_client(server.open_stream, path=PATH) as client,
    ):
        await client.send(text)
        assert (await client.receive())[0] == 1011


@pytest.mark.parametrize(
    ("path", "offered", "spoken"),
    [
        (PATH, [], "phoenix"),
        (PATH, ["phoenix", "base64url.bearer.phx.czNjcmV0"], "phoenix"),
        (PATH, ["graphql-ws"], None),
    ],
)
async def test_the_handshake(
    raw_client: Any, path: str, offered: list[str], spoken: str | None
) -> None:
    async with (
        GraphQLServer(demo_schema(), protocols=["phoenix"]) as server,
        raw_client(server.open_stream, *offered, path=path) as client,
    ):
        connection = await server.wait_connection()
        assert connection.protocol == spoken
        assert client.protocol.subprotocol == ("phoenix" if offered and spoken else None)


@pytest.mark.parametrize("path", ["/socket/websocket", "/socket/websocket?vsn=9.9.9"])
async def test_another_version_is_refused(raw_client: Any, path: str) -> None:
    async with (
        GraphQLServer(demo_schema(), protocols=["phoenix"]) as server,
        raw_client(server.open_stream, path=path) as client,
    ):
        assert "403" in str(client.protocol.handshake_exc)
        assert server.connections == []


async def test_both_kinds_of_protocols_at_once(raw_client: Any) -> None:
    protocols = ["phoenix", "graphql-transport-ws"]
    async with (
        GraphQLServer(demo_schema(), protocols=protocols) as server,
        raw_client(server.open_stream, "graphql-transport-ws") as client,
        raw_client(server.open_stream, path=PATH) as channel,
    ):
        await client.init()
        await channel.send(JOIN)
        assert await channel.receive() == reply("1", {})
        assert [each.protocol for each in server.connections] == protocols[::-1]
