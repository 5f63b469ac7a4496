"""The generated packages, the server for them, and what a user of them has written."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from anygql import Client, Session
from tests.codegen.packages import PACKAGES, ROOT, generate_packages
from tests.peers.run import ARGUMENTS, Server, listening
from tests.support.once import made_once

pytest.register_assert_rewrite("tests.codegen.program")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the generated packages."""
    return made_once(tmp_path_factory, "packages", generate_packages)


@pytest.fixture(scope="session")
def program(packages: Path) -> Generator[ModuleType]:
    """``program.py``, which imports the generated packages."""
    own = (*PACKAGES, "tests.codegen.program")
    sys.path.insert(0, str(packages))
    try:
        yield importlib.import_module("tests.codegen.program")
    finally:
        sys.path.remove(str(packages))
        for name in [n for n in sys.modules if n in own or n.split(".")[0] in PACKAGES]:
            del sys.modules[name]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """The application in ``app.py``, under uvicorn."""
    log = tmp_path_factory.mktemp("codegen") / "server.log"
    with listening() as listener, log.open("wb") as output:
        fd = listener.fileno()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "tests.codegen.app:app"),
                *ARGUMENTS["uvicorn"].format(fd=fd).split(),
            ],
            cwd=ROOT,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        server = Server("strawberry", "uvicorn", listener.getsockname()[1], process, log)
    try:
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def scheme() -> str:
    """What tests speak that aren't parametrised with it."""
    return "http"


@pytest.fixture
async def session(server: Server, scheme: str, no_tasks_left: None) -> AsyncGenerator[Session]:
    with anyio.fail_after(50):
        async with Client(f"{scheme}://127.0.0.1:{server.port}/") as session:
            yield session
