"""Real servers, each in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

#: How each server is told to take over a socket, to be quiet, and not to linger.
ARGUMENTS = {
    "uvicorn": "--fd {fd} --log-level warning --timeout-graceful-shutdown 1 "
    "--timeout-keep-alive 60",
    "hypercorn": "--bind fd://{fd} --log-level error --graceful-timeout 1 --workers 0 "
    "--keep-alive 60",
}

#: Seconds for a server to start in.
STARTING = 60

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


def listening(host: str = "127.0.0.1") -> socket.socket:
    """A port to serve at: whoever connects before the server is up waits for it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def listening_at(path: Path) -> socket.socket:
    """A Unix socket to serve at."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def wait_answering(listener: socket.socket) -> None:
    """Wait until a process has begun to answer, or has ended: that may take longer than a test."""
    with socket.socket(listener.family) as client, suppress(OSError):
        client.settimeout(STARTING)
        client.connect(listener.getsockname())
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        client.recv(1)


@contextmanager
def serving(name: str, listener: socket.socket, log: Path, *arguments: str) -> Generator[Server]:
    """The server ``name``, such as ``strawberry-uvicorn``, until the context is left.

    ``arguments`` are more options of its command line. The listener may be closed, or handed to
    another server later.
    """
    framework, runner = name.split("-")
    fd = listener.fileno()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", runner, f"tests.peers.{framework}_app:app"),
                *ARGUMENTS[runner].format(fd=fd).split(),
                *arguments,
            ],
            cwd=ROOT,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    port = 0 if listener.family == socket.AF_UNIX else listener.getsockname()[1]
    server = Server(framework, runner, port, process, log)
    try:
        yield server
    finally:
        process.kill()  # how it stops when it is asked to is not what most tests are about
        process.wait()
