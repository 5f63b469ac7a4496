"""``anygql subscribe``, in this process."""

from __future__ import annotations

import json
import re

import pytest
from anyio.from_thread import BlockingPortal

from anygql.testing import GraphQLServer, demo_schema
from tests.cli.conftest import Command, Served
from tests.support.http_peer import cut, endless, http, peer

COUNTDOWN = "subscription ($n: Int!) { countdown(from: $n) }"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_events_are_lines(command: Command, served: Served, backend: str) -> None:
    ran = command("subscribe", served.url, "-q", COUNTDOWN, "-V", "n=2", "--backend", backend)
    assert ran.out == '{"countdown":2}\n{"countdown":1}\n{"countdown":0}\n'
    assert ran.err == ""
    assert served.received() == ["connection_init", "subscribe"]
    assert served.server.connections[-1].closed == (1000, "")


def test_execute_of_a_subscription_does_the_same(command: Command, served: Served) -> None:
    ran = command(served.url, "-q", COUNTDOWN, "-V", "n=1", "--path", "countdown")
    assert ran.out == "1\n0\n"


def test_over_phoenix(command: Command, portal: BlockingPortal) -> None:
    phoenix = GraphQLServer(demo_schema(), protocols=["phoenix"])
    with portal.wrap_async_context_manager(phoenix) as server:
        given = (portal.call(server.listen), "--protocol", "phoenix", "-q")
        assert command(*given, "{ hello }").out == '{"hello":"Hello world!"}\n'
        ran = command("subscribe", *given, COUNTDOWN, "-V", "n=1", "--count", "2", "-vv")
        assert ran.out == '{"countdown":1}\n{"countdown":0}\n'
        assert "phx_join" in ran.err


def test_a_count(command: Command, served: Served) -> None:
    query = "subscription { countdown(from: 9, interval: 0.001) }"
    ran = command("subscribe", served.url, "-q", query, "--count", "2", "-o", "raw")
    assert ran.out == '{"countdown":9}\n{"countdown":8}\n'
    assert served.received()[-1] == "complete"


def test_timestamps(command: Command) -> None:
    given = ("-q", COUNTDOWN, "-V", "n=0", "--timestamps")
    event = json.loads(command("subscribe", "demo_app:schema", *given).out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["at"])
    assert event["data"] == {"countdown": 0}


def test_limits_of_time(command: Command, served: Served) -> None:
    given = ("subscribe", served.url, "-q", "subscription { never }")
    ran = command(*given, "--idle-timeout", "0.05", code=5)
    assert ran.err == "error: no event within 0.05 s\n"
    assert command(*given, "--timeout", "0.05", code=5).err == "error: not done within 0.05 s\n"


def test_events_with_errors(command: Command, served: Served) -> None:
    given = ("subscribe", served.url, "-q", "subscription { failing(after: 1) }")
    ran = command(*given, code=1)
    assert ran.out == '{"failing":0}\n{"failing":null}\n{"failing":2}\n'
    assert ran.err == "error: this event failed (at failing)\n"
    assert command(*given, "--allow-partial").out == ran.out


def test_what_is_no_subscription(command: Command) -> None:
    ran = command("subscribe", "demo_app:schema", "-q", "{ hello }", code=2)
    assert "the document is a query: use `anygql execute`" in ran.err


def test_what_the_server_refuses(command: Command, served: Served) -> None:
    ran = command("subscribe", served.url, "-q", "subscription { nothing }", code=1)
    assert "Cannot query field 'nothing'" in ran.err
    assert ran.err.count("\n") == 1


def test_nobody_is_there(command: Command) -> None:
    for scheme in ("ws", "http"):
        given = ("subscribe", f"{scheme}://127.0.0.1:1/", "-q", "subscription { a }")
        ran = command(*given, code=3)
        assert ran.err.count("\n") == 1, ran


def test_a_lost_connection(command: Command, portal: BlockingPortal) -> None:
    with portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server:
        url = portal.call(server.listen)

        async def drop() -> None:
            connection = await server.wait_connection()
            await connection.wait_received("subscribe")
            await server.restart()
            connection = await server.wait_connection(2)
            await connection.wait_received("subscribe")

        future = portal.start_task_soon(drop)
        query = "subscription { countdown(from: 30, interval: 0.05) }"
        ran = command("subscribe", url, "-q", query, "--count", "3")
        future.result(10)
        lost, *others = ran.err.splitlines()
        assert re.fullmatch(r"-- connection lost \(.+\); again in \d\.\d s", lost)
        assert others[-1] == "-- connected; 1 gap"
        assert [set(json.loads(line)) for line in ran.out.splitlines()] == [{"countdown"}] * 3


def test_a_lost_connection_without_reconnects(command: Command, portal: BlockingPortal) -> None:
    with portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server:
        url = portal.call(server.listen)

        async def drop() -> None:
            connection = await server.wait_connection()
            await connection.wait_received("subscribe")
            server.drop_connections()

        portal.start_task_soon(drop)
        given = ("subscribe", url, "-q", "subscription { never }", "--no-reconnect")
        assert command(*given, code=3).err.count("\n") == 1


SSE = b'event: next\ndata: {"data": {"a": %d}}\n\n'
COMPLETE = b"event: complete\ndata:\n\n"


def test_server_sent_events(command: Command, portal: BlockingPortal) -> None:
    given = endless(SSE % 1, SSE % 2, COMPLETE)
    with portal.wrap_async_context_manager(peer(given)) as server:
        ran = command("subscribe", server.url, "-q", "subscription { a }")
    assert ran.out == '{"a":1}\n{"a":2}\n'


def test_server_sent_events_that_break_off(
    command: Command, portal: BlockingPortal, soon: None
) -> None:
    broken = cut(SSE % 1, kind="text/event-stream")
    with portal.wrap_async_context_manager(peer(broken, endless(SSE % 2, COMPLETE))) as server:
        ran = command("subscribe", server.url, "-q", "subscription { a }")
    assert ran.out == '{"a":1}\n{"a":2}\n'
    assert re.match(r"-- connection lost \(.+\); again\n-- connected; 1 gap\n", ran.err)


def test_multipart_subscriptions(command: Command, portal: BlockingPortal) -> None:
    part = '--graphql\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"a":1}}}\r\n'
    answer = http(part + "--graphql--\r\n", kind='multipart/mixed;boundary="graphql"')
    with portal.wrap_async_context_manager(peer(answer)) as server:
        assert command("subscribe", server.url, "-q", "subscription { a }").out == '{"a":1}\n'
