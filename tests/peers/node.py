"""Real servers from the world of JavaScript, each in a Node process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.run import PATIENCE, listening, wait_answering

#: The servers, but for AppSync's simulator, which needs an older graphql than they do.
HERE = Path(__file__).with_name("node")
APPSYNC = Path(__file__).with_name("node-appsync")


@dataclass(frozen=True)
class NodeServer:
    """``name``: that of one of the modules in ``node``."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def check(self) -> None:
        """It runs, and has nothing to complain about."""
        said = self.log.read_text()
        assert self.process.poll() is None, said
        assert not said, said

    def stop(self) -> None:
        """End it; none of them has anything to finish."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def needed(what: str) -> None:
    """Where everything must be tested it is an error that something is missing."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def node(folder: Path = HERE) -> str:
    """The path of Node, if the servers in the folder can run."""
    path = shutil.which("node")
    if path is None:
        needed("Node is not installed")
    if not (folder / "node_modules").is_dir():
        needed("the servers for Node are not installed: make node")
    assert path is not None
    return path


@contextmanager
def serving(name: str, log: Path, folder: Path = HERE) -> Generator[NodeServer]:
    """The server ``name``, until the context is left. It may be talked to at once."""
    program = node(folder)
    with listening() as listener, log.open("wb") as output:
        fd = listener.fileno()
        process = subprocess.Popen(
            [program, f"{name}.mjs", str(fd)],
            cwd=folder,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        server = NodeServer(name, listener.getsockname()[1], process, log)
        wait_answering(listener)
    try:
        yield server
    finally:
        server.stop()
