"""The command line against servers of the world of JavaScript: each way that results come."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from anygql.cli.root import run
from tests.peers.node import serving

Command = Callable[..., str]


@pytest.fixture(scope="module")
def url_of(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], str]]:
    logs = tmp_path_factory.mktemp("node")
    started: dict[str, str] = {}
    with ExitStack() as stack:

        def url_of(name: str) -> str:
            if name not in started:
                started[name] = stack.enter_context(serving(name, logs / f"{name}.log")).url
            return started[name]

        yield url_of


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def command(*arguments: str) -> str:
        code = run(arguments)
        logging.getLogger("anygql").handlers.clear()
        captured = capfd.readouterr()
        assert (code, captured.err) == (0, "")
        return captured.out

    return command


@pytest.mark.parametrize("name", ["yoga", "sse"])
def test_subscriptions_by_server_sent_events(
    command: Command, url_of: Callable[[str], str], name: str
) -> None:
    query = "subscription { countdown(from: 2) }"
    out = command("subscribe", url_of(name), "-q", query, "--path", "countdown")
    assert out.split()[:2] == ["2", "1"]


@pytest.mark.parametrize("name", ["yoga", "apollo"])
def test_queries_with_defer(command: Command, url_of: Callable[[str], str], name: str) -> None:
    query = "{ item { name ... @defer { details { weight } } } }"
    item = json.loads(command(url_of(name), "-q", query))["item"]
    assert set(item) == {"name", "details"}


def test_uploads(command: Command, url_of: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("four")
    query = "mutation ($file: Upload!) { upload(file: $file) { name type size } }"
    given = ("-q", query, "-f", f"variables.file=@{file};type=text/x-mine", "--path", "upload")
    assert json.loads(command("upload", url_of("yoga"), *given)) == {
        "name": "a.txt",
        "type": "text/x-mine",
        "size": 4,
    }


def test_batches(command: Command, url_of: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "in.ndjson"
    file.write_text('{"query": "{ hello }"}\n{"query": "{ __typename }"}\n')
    first, second = map(json.loads, command("batch", url_of("apollo"), str(file)).splitlines())
    assert "hello" in first["data"]
    assert second == {"data": {"__typename": "Query"}}


def test_schemas(command: Command, url_of: Callable[[str], str]) -> None:
    for name in ("yoga", "apollo"):
        assert "type Subscription" in command("schema", "fetch", url_of(name))
