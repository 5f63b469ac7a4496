"""The clients of Phoenix and Absinthe in JavaScript, which the test server serves, too.

So the server's dialect is true; and what they send is what anygql sends, but for its refs.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import anyio
import pytest
from graphql import parse, print_ast

from anygql import PHOENIX, Client, Phoenix, Session, WebSocketTransport
from anygql.testing import GraphQLServer, demo_schema
from tests.peers.node import HERE, needed, node

pytestmark = [pytest.mark.table]

FOLDER = HERE / "phoenix"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def by_javascript(url: str, task: str) -> list[Any]:
    """Run a task of ``client.mjs``; return what it prints."""
    program = node()
    if not (FOLDER / "node_modules").is_dir():
        needed("the clients of Phoenix are not installed: make node")
    command = [program, "client.mjs", url.removesuffix("/websocket"), task]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, cwd=FOLDER, stdin=subprocess.DEVNULL)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def normal(frames: list[Any]) -> list[Any]:
    """Frames with refs by the order in which they come, and documents as they are printed."""
    names: dict[str | None, str | None] = {None: None}
    found: list[Any] = []
    for join_ref, ref, topic, event, payload in frames:
        assert isinstance(ref, str)
        for each in (join_ref, ref):
            names.setdefault(each, str(len(names)))
        if event == "doc":
            # Without variables, Absinthe's client has no such key: an empty object means the same.
            payload = {"query": print_ast(parse(payload["query"])), "variables": {}} | {
                key: value for key, value in payload.items() if key != "query"
            }
        if event == "unsubscribe":
            payload = {"subscriptionId": payload["subscriptionId"].rpartition(":")[0]}
        found.append([names[join_ref], names[ref], topic, event, payload])
    return found


async def ours(session: Session, task: str) -> list[Any]:
    """Do the same as ``client.mjs``."""
    if task == "query":
        one = await session.execute_result(
            "query ($name: String!) { hello(name: $name) }", {"name": "Ann"}
        )
        two = await session.execute_result("{ nothing }")
        assert two.errors
        # All that their client shows of the errors.
        return [{"data": one.data}, {"error": "request: [object Object]"}]
    if task == "mutation":
        return [
            {"data": await session.execute("mutation ($n: Int!) { increment(by: $n) }", {"n": 3})}
        ]
    if task == "subscription":
        document = "subscription ($from: Int!) { countdown(from: $from) }"
        async with session.subscribe(document, {"from": 2}) as events:
            return [{"data": await events.receive()} for _ in range(3)]
    return [{"data": await session.execute("{ hello }")}]


async def both(task: str, **options: Any) -> tuple[list[Any], list[Any]]:
    """Do a task with each client; return the frames of theirs and of ours."""
    async with GraphQLServer(demo_schema(), protocols=["phoenix"]) as server:
        url = (await server.listen()).replace("/graphql", "/socket/websocket")
        theirs = await by_javascript(url, task)
        demo = GraphQLServer(demo_schema(), protocols=["phoenix"])
        async with demo, Client(WebSocketTransport(await demo.listen(), **options)) as session:
            results = await ours(session, task)
        assert theirs == results
        (their_connection,), (our_connection,) = server.connections, demo.connections
        return their_connection.received, our_connection.received


@pytest.mark.parametrize("task", ["query", "mutation", "subscription"])
async def test_they_send_what_we_send(task: str) -> None:
    theirs, sent = await both(task, protocol=PHOENIX)
    # Their client does not leave its channel before it closes.
    assert sent[-1][3] == "phx_leave"
    assert normal(theirs) == normal(sent[:-1])


async def test_a_token_and_parameters() -> None:
    protocol = Phoenix(params={"user": "a+b c"}, auth_token="s3cret")
    async with GraphQLServer(demo_schema(), protocols=["phoenix"]) as server:
        url = (await server.listen()).replace("/graphql", "/socket/websocket")
        await by_javascript(url, "token")
        async with Client(WebSocketTransport(url, protocol=protocol)) as session:
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
        theirs, mine = server.connections
    name = "Sec-WebSocket-Protocol"
    offered = [
        [each.strip() for each in connection.headers[name].split(",")]
        for connection in (theirs, mine)
    ]
    assert offered[0] == offered[1]
    assert theirs.subprotocol == mine.subprotocol == "phoenix"

    def parameters(path: str) -> set[str]:
        # They write a space as %20, too, and put `vsn` last.
        return set(path.partition("?")[2].split("&"))

    assert parameters(theirs.path) == parameters(mine.path)


async def test_heartbeats() -> None:
    async with GraphQLServer(demo_schema(), protocols=["phoenix"]) as server:
        url = (await server.listen()).replace("/graphql", "/socket/websocket")
        await by_javascript(url, "heartbeat")
        theirs = [each for each in server.connections[0].received if each[3] == "heartbeat"]
        transport = WebSocketTransport(url, protocol=PHOENIX, ping_interval=0.02)
        async with Client(transport):
            mine = await server.connections[1].wait_received("heartbeat")
    assert len(theirs) >= 2
    assert [theirs[0][0], *theirs[0][2:]] == [mine[0], *mine[2:]]


async def test_leaving_a_channel() -> None:
    async with GraphQLServer(demo_schema(), protocols=["phoenix"]) as server:
        url = (await server.listen()).replace("/graphql", "/socket/websocket")
        await by_javascript(url, "leave")
        async with Client(WebSocketTransport(url, protocol=PHOENIX)):
            pass
        theirs, mine = server.connections
        assert mine.closed == (1000, "")
    assert normal(theirs.received)[-1][2:] == normal(mine.received)[-1][2:]
