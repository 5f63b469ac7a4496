"""Real servers, each in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

#: How each server is told to take over a socket, to be quiet, and not to linger.
ARGUMENTS = {
    "uvicorn": "--fd {fd} --log-level warning --timeout-graceful-shutdown 1",
    "hypercorn": "--bind fd://{fd} --log-level error --graceful-timeout 1 --workers 0",
}

#: Seconds for a server to stop in before it is killed.
PATIENCE = 10


@dataclass(frozen=True)
class Server:
    """``framework`` names one of the applications here, ``runner`` what serves it."""

    framework: str
    runner: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        """Ask it to, wait until it has, and kill it if it doesn't."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def listening() -> socket.socket:
    """A port to serve at: whoever connects before the server is up waits for it."""
    return socket.create_server(("127.0.0.1", 0))


@contextmanager
def serving(name: str, listener: socket.socket, log: Path) -> Generator[Server]:
    """The server ``name``, such as ``strawberry-uvicorn``, until the context is left.

    The listener may be closed, or handed to another server later.
    """
    framework, runner = name.split("-")
    fd = listener.fileno()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", runner, f"tests.peers.{framework}_app:app"),
                *ARGUMENTS[runner].format(fd=fd).split(),
            ],
            cwd=ROOT,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(framework, runner, listener.getsockname()[1], process, log)
    try:
        yield server
    finally:
        process.kill()  # how it stops when it is asked to is not what most tests are about
        process.wait()
