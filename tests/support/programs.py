"""Programs that tests run in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT

__all__ = ["Done", "Forker", "environment"]


def environment() -> dict[str, str]:
    """Return the environment of a process that imports this project, and what tests import."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


class Forker:
    """Runs programs in processes that begin with other projects' modules loaded.

    Warnings are errors there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-W", "error", "-m", "tests.support.forker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
            env=environment(),
        )

    def run(self, source: str, file: str = "<string>", **environment: str) -> Done:
        """Run a program, in the file of that name, and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output, errors = self._folder / "stdout", self._folder / "stderr"
        program = {
            "source": source,
            "file": file,
            "environment": environment,
            "output": str(output),
            "errors": str(errors),
        }
        self._process.stdin.write(json.dumps(program) + "\n")
        code = int(self._process.stdout.readline())
        printed = [path.read_text(encoding="utf-8") for path in (output, errors)]
        output.unlink()
        errors.unlink()
        return Done(code, *printed)

    def close(self) -> None:
        with self._process:  # which closes its input, and waits
            pass


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    forker = Forker(tmp_path_factory.mktemp("programs"))
    yield forker
    forker.close()
