"""The wheel, installed: ``python -m release.installed WHEEL PYTHON…``, a part of ``dist-check``.

For each Python the wheel is installed into an environment in which there was nothing. There every
public name is imported, a user's program and the demonstration run, and mypy --strict checks the
program against the installed package. This repository can't be imported there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

__all__ = ["Environment", "clean", "make_environment", "metadata"]

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "release" / "user_program.py"

#: Each name, and where it comes from. No extra is installed yet.
IMPORT = """
import importlib, pathlib, sys
from importlib.metadata import version
import anygql, anygql.appsync, anygql.codegen, anygql.schema, anygql.testing
for module in (anygql, anygql.appsync, anygql.codegen, anygql.schema, anygql.testing):
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert pathlib.Path(module.__file__).is_relative_to(sys.prefix), module.__file__
assert anygql.__version__ == version("anygql") == sys.argv[1], anygql.__version__
try:
    import anygql.opentelemetry
except ModuleNotFoundError as error:
    assert "anygql[otel]" in str(error), error
"""

#: A program with mistakes that only types tell.
MISTAKEN = """
from anygql import Client, Session
client: Client = Client(3)
async def ask(session: Session) -> int:
    return await session.execute_result("{ a }")
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip, and a folder to run programs in."""

    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / "env" / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    def install(self, requirement: str) -> None:
        """Install with the pip of the environment that runs this."""
        self._pip("install", "--quiet", requirement)
        self._pip("check")

    def run(self, *command: str | Path) -> str:
        """Run a command in the folder, which finds nothing but what is installed."""
        return _run(*command, cwd=self.folder)

    def _pip(self, *arguments: str) -> None:
        _run(sys.executable, "-m", "pip", "--python", self.python, *arguments, cwd=self.folder)


def make_environment(python: str, folder: Path) -> Environment:
    """Make an environment in which there is nothing."""
    environment = Environment(folder)
    _run(python, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    return environment


def clean() -> dict[str, str]:
    """Return the variables of the process but for those that show Python other modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def metadata(wheel: Path) -> Message:
    """Return what the wheel says of itself."""
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def check(wheel: Path, python: str) -> None:
    """Check the wheel on one Python."""
    about = metadata(wheel)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        environment = make_environment(python, folder)
        environment.install(str(wheel))
        environment.run(environment.python, "-W", "error", "-c", IMPORT, about["Version"])
        shutil.copy(PROGRAM, folder)
        environment.run(environment.python, PROGRAM.name, "asyncio")
        extras = [
            extra for extra in ("cli", "trio") if extra in about.get_all("Provides-Extra", [])
        ]
        environment.install(f"{wheel}[{','.join(extras)}]")
        environment.run(environment.python, PROGRAM.name, "trio")
        _check_demo(environment)
        _check_command(environment, about["Version"])
        _check_types(environment)


def _check_demo(environment: Environment) -> None:
    examples = environment.folder / "examples"
    examples.mkdir()
    for name in ("demo.py", "killed_server.py"):
        shutil.copy(ROOT / "examples" / name, examples)
    output = environment.run(environment.python, "-m", "examples.demo")
    if "What you have just seen" not in output:
        sys.exit(f"{output}\ndist-check: the demonstration did not end as it should")


def _check_command(environment: Environment, version: str) -> None:
    """Run the command line, if the wheel has one."""
    if any(environment.scripts.glob("anygql*")):
        output = environment.run(environment.scripts / "anygql", "--version")
        if version not in output:
            sys.exit(f"dist-check: anygql --version says {output!r}")


def _check_types(environment: Environment) -> None:
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", environment.python)
    environment.run(*mypy, PROGRAM.name)
    mistaken = environment.folder / "mistaken.py"
    mistaken.write_text(MISTAKEN)
    done = subprocess.run(
        [*mypy, mistaken.name], cwd=environment.folder, env=clean(), capture_output=True, text=True
    )
    if "Found 2 errors" not in done.stdout:
        sys.exit(f"{done.stdout}\ndist-check: mypy should have found two mistakes")


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\ndist-check: failed: {' '.join(map(str, command))}")
    return done.stdout


def main() -> None:
    """Check the wheel on each Python that is named."""
    wheel = Path(sys.argv[1]).resolve()
    for python in sys.argv[2:]:
        check(wheel, python)
        about = subprocess.run([python, "-VV"], check=True, capture_output=True, text=True).stdout
        print(f"dist-check: {wheel.name} works on {about.split('(')[0].strip()}", flush=True)


if __name__ == "__main__":
    main()
