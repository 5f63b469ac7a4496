"""``--protocol appsync``: both endpoints of an API, from the URL of one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from anygql.testing import GraphQLServer, demo_schema
from tests.cli.conftest import Command, Served

COUNTDOWN = "subscription { countdown(from: 1) }"


@pytest.fixture
def appsync(portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("KEY", "da2-s3cret")
    monkeypatch.setenv("JWT", "jwt-s3cret")
    server = GraphQLServer(demo_schema(), protocols=["appsync"])
    with portal.wrap_async_context_manager(server):
        portal.call(server.listen)
        yield Served(portal, server, server.http_url)


def test_a_key(command: Command, appsync: Served) -> None:
    given = (appsync.url, "--protocol", "appsync", "--api-key", "KEY")
    assert command("execute", *given, "-q", "{ hello }").out == '{"hello":"Hello world!"}\n'
    assert appsync.server.requests[0].headers["x-api-key"] == "da2-s3cret"
    ran = command("subscribe", *given, "-q", COUNTDOWN)
    assert ran.out == '{"countdown":1}\n{"countdown":0}\n'
    assert appsync.received() == ["connection_init", "start"]
    authorization = appsync.server.connections[0].received[1]["payload"]["extensions"]
    assert authorization["authorization"]["x-api-key"] == "da2-s3cret"


def test_what_is_told(command: Command, appsync: Served) -> None:
    given = (appsync.url, "--protocol", "appsync", "--api-key", "KEY", "-q")
    socket = appsync.url.replace("http", "ws") + "/realtime"
    brief = command("subscribe", *given, COUNTDOWN, "-v").err.splitlines()
    assert brief == [
        f"> GET {socket} (WebSocket)",
        "< 101, subprotocol graphql-ws",
        "> close 1000",
    ]
    assert command(*given, "{ hello }", "-v").err.splitlines() == [
        f"> POST {appsync.url}",
        "< 200 OK",
    ]
    query = "subscription ($token: Int!) { countdown(from: $token) }"
    whole = command("subscribe", *given, query, "-V", "token=0", "-V", "n=1", "-vv").err
    operation = f'{{"query":"{query}","variables":{{"token":"***","n":1}}}}'
    payload = f'{{"data":{operation},"extensions":"***"}}'
    for told in (
        '> {"type":"connection_init"}',
        f'> {{"id":"1","type":"start","payload":{payload}}}',
        '< {"type":"start_ack","id":"1"}',
        '< {"id":"1","type":"data","payload":{"data":{"countdown":0}}}',
    ):
        assert f"\n{told}\n" in whole
    assert '< {"data":{"hello":"Hello world!"}}' in command(*given, "{ hello }", "-vv").err
    assert "s3cret" not in whole


def test_a_token_and_more_headers(command: Command, appsync: Served) -> None:
    given = (appsync.url, "--protocol", "appsync", "--bearer", "JWT", "-H", "x-more: yes")
    command("execute", *given, "-q", "{ hello }")
    (request,) = appsync.server.requests
    assert request.headers["authorization"] == "jwt-s3cret"
    assert request.headers["x-more"] == "yes"


def test_the_credentials_of_this_machine(
    command: Command, appsync: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (appsync.url, "--protocol", "appsync", "-q", "{ hello }")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert "AWS region is unknown" in command("execute", *given, code=2).err
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    command("execute", *given)
    assert "Credential=AKID/" in appsync.server.requests[0].headers["authorization"]


def test_without_botocore(
    command: Command, appsync: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anygql.appsync.auth.find_spec", lambda name: None)
    ran = command("execute", appsync.url, "--protocol", "appsync", "-q", "{ hello }", code=2)
    assert "needs --api-key, --bearer" in ran.err


@pytest.mark.parametrize(
    "arguments", [("ws://h/g",), ("http://h/g", "--init-payload", "{}")], ids=str
)
def test_what_does_not_go_together(command: Command, arguments: tuple[str, ...]) -> None:
    ran = command("execute", *arguments, "--protocol", "appsync", "-q", "{ hello }", code=2)
    assert "takes the HTTP endpoint" in ran.err
