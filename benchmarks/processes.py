"""The processes of a run: the load server, and the clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from .peers import PEERS
from .rows import Row

__all__ = ["ROOT", "Worker", "load_server", "run_startup"]

ROOT = Path(__file__).parent.parent
#: Seconds that any single run may take.
TIMEOUT = 60.0
#: The same hashes in each process, and no development mode that slows some more than others.
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "PYTHONHASHSEED": "0",
    "NO_PROXY": "127.0.0.1",
}


def _environment(root: Path) -> dict[str, str]:
    """The environment in which ``root``'s own packages are imported, whatever is installed."""
    return {**_ENVIRONMENT, "PYTHONPATH": str(root)}


def _spawn(
    *arguments: str, verbose: bool, root: Path = ROOT, python: str = sys.executable
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, *arguments],
        cwd=root,
        env=_environment(root),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if verbose else subprocess.DEVNULL,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


@contextmanager
def load_server(*, verbose: bool) -> Generator[int]:
    """The port of a running load server."""
    process = _spawn("-m", "benchmarks.server", verbose=verbose)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        _end(process)


class Worker:
    """A client's process; it is ended, or killed when a run takes too long.

    ``root``: the checkout whose code it runs. ``environment``: its virtual environment's folder.
    """

    def __init__(self, *, verbose: bool, root: Path = ROOT, environment: str = "") -> None:
        python = str(ROOT / environment / "bin" / "python") if environment else sys.executable
        self._process = _spawn("-m", "benchmarks.worker", verbose=verbose, root=root, python=python)

    def run(self, **task: Any) -> dict[str, Any]:
        """The task's result, or ``{"failed": why}``; nothing works after a process has died."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        killer = Timer(TIMEOUT, process.kill)
        killer.start()
        try:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            in_time = killer.is_alive()
            killer.cancel()
        if not line:
            why = "its process died" if in_time else f"it took longer than {TIMEOUT:g} s"
            return {"failed": why}
        result: dict[str, Any] = json.loads(line)
        return result

    def close(self) -> None:
        _end(self._process)


def run_startup(row: Row, contender: str, port: int, root: Path = ROOT) -> dict[str, Any]:
    """Start a client from nothing, up to what the row says."""
    peer = PEERS[contender]
    script = root / "benchmarks" / "startup" / f"{peer.module}.py"
    over = row.params.get("over", "ws")
    begun = repr(time.time())
    try:
        done = subprocess.run(
            [sys.executable, str(script), str(port), peer.engine or peer.loop, over, begun],
            env=_environment(root),
            cwd=root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"it took longer than {TIMEOUT:g} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["its process died"])[-1][:200]}
    return {"operations": 1, **json.loads(done.stdout)[row.params["until"]]}
