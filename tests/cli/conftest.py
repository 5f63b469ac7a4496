"""Servers in a thread of their own, and commands that run in this process."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from anygql.cli.root import run
from anygql.testing import GraphQLServer, demo_schema

#: A schema for `module:schema`, which the current folder of each test has.
MODULE = """
from anygql.testing import demo_schema
schema = demo_schema()
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


class Served:
    """A server that runs in another thread."""

    def __init__(self, portal: BlockingPortal, server: GraphQLServer, url: str) -> None:
        self.portal = portal
        self.server = server
        self.url = url

    def received(self) -> list[str]:
        """The types of the messages that came over the last connection, once that is closed."""
        connection = self.server.connections[-1]
        self.portal.call(connection.wait_closed)
        return [message["type"] for message in connection.received]


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def served(portal: BlockingPortal) -> Iterator[Served]:
    """The demo schema over WebSocket, for all tests that don't disturb it."""
    with portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server:
        yield Served(portal, server, portal.call(server.listen))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an empty one, but for a schema in a module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo_app.py").write_text(MODULE)
    for name in ("URL", "TOKEN", "HEADERS"):
        monkeypatch.delenv(f"ANYGQL_{name}", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def command(*arguments: str, code: int = 0) -> Ran:
        capfd.readouterr()
        ended = run(arguments)
        logging.getLogger("anygql").handlers.clear()
        captured = capfd.readouterr()
        ran = Ran(ended, captured.out, captured.err)
        assert ran.code == code, ran
        assert "Traceback" not in ran.err
        return ran

    return command


def lines(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
