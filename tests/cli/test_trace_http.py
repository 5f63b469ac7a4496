"""What ``-v`` and ``-vv`` tell of what goes and comes, over HTTP and WebSocket."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.cli.conftest import Command, Served
from tests.support.http_peer import http, peer


def test_what_is_told_over_http(command: Command, served: Served, folder: Path) -> None:
    url = served.server.http_url
    brief = command(url, "-q", "{ hello }", "-v").err.splitlines()
    assert brief == [f"> POST {url}", "< 200 OK"]
    whole = command(url, "-q", "{ fail }", "-vv", "-H", "X-Key: secret-1", code=1).err
    for told in (
        "> X-Key: ***",
        '> {"query":"{ fail }"',
        "< 294 Partial Success",
        "< content-type: application/graphql-response+json; charset=utf-8",
        '< {"data":{"fail":null},"errors":[',
    ):
        assert told in whole
    refused = command("batch", url, "-vv", "in.ndjson", code=2)
    assert refused.err.startswith("error: in.ndjson: No such file")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("subscribe", "-q", "subscription { countdown(from: 0) }"),
            ["< 200 OK", '< next {"data":{"countdown":0}}', "< complete"],
        ),
        (("batch", "in.ndjson"), ["< 200 OK", '< [{"data":{"hello":"Hello world!"}}]']),
        (("upload", "-q", "{ hello }", "-f", "file=@a.txt"), ["> file a.txt", "< 415 Unsupp"]),
    ],
)
def test_streams_batches_and_uploads_are_told(
    command: Command, served: Served, folder: Path, arguments: tuple[str, ...], told: list[str]
) -> None:
    (folder / "in.ndjson").write_text('{"query": "{ hello }"}\n')
    (folder / "a.txt").write_text("a")
    name, *rest = arguments
    code = int(name == "upload")
    err = command(name, served.server.http_url, *rest, "-vv", code=code).err
    for line in told:
        assert f"\n{line}" in err


def test_the_parts_of_a_multipart_response_are_told(
    command: Command, portal: BlockingPortal
) -> None:
    body = '--b\r\n\r\n{"payload":{"data":{"a":1}}}\r\n--b\r\n\r\n{}\r\n--b--\r\n'
    answer = http(body, kind='multipart/mixed; boundary="b"; subscriptionSpec="1.0"')
    with portal.wrap_async_context_manager(peer(answer)) as server:
        ran = command("subscribe", server.url, "-q", "subscription { a }", "-vv")
    assert ran.out == '{"a":1}\n'
    assert '\n< part {"payload":{"data":{"a":1}}}\n< part {}\n' in ran.err


def test_a_refused_handshake_is_told(command: Command, portal: BlockingPortal) -> None:
    answer = http("no", status="401 Unauthorized", www_authenticate='Bearer realm="x"')
    with portal.wrap_async_context_manager(peer(answer)) as server:
        ran = command("ws" + server.url[4:], "-q", "{ a }", "-vv", code=4)
    assert "\n< 401" in ran.err
    assert '\n< www-authenticate: Bearer realm="x"\n' in ran.err


def test_what_is_told_of_the_older_protocol(command: Command, served: Served) -> None:
    ran = command(served.url, "-q", "{ hello }", "--protocol", "graphql-ws", "-vv")
    assert re.search(r'\n> .*"start".*"query":"{ hello }"', ran.err)
