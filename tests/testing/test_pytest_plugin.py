"""The fixtures for pytest, in runs of pytest with each plugin that runs async tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.programs import environment

BLOCK = re.compile(r"^```python pytest-plugin\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLUGIN = "anygql.testing.pytest_plugin"
#: Whether or not the entry point is installed here, the module is loaded once.
LOADED = ("-p", "no:anygql", "-p", PLUGIN)
ANYIO = ("-p", "no:asyncio", "-p", "no:trio")
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
ASYNCIO = ("-p", "no:anyio", "-p", "no:trio", *SCOPE)
TRIO = ("-p", "no:anyio", "-p", "no:asyncio")

TESTS = """
import pytest
from anygql import Client

{mark}

async def test_session(graphql_session):
    assert await graphql_session.execute("{{ hello }}") == {{"hello": "Hello world!"}}
    async with graphql_session.subscribe("subscription {{ countdown(from: 1) }}") as events:
        assert [data["countdown"] async for data in events] == [1, 0]

async def test_server_and_session(graphql_server, graphql_session):
    async with Client(graphql_server.transport()) as other:
        assert await other.execute("{{ hello }}") == await graphql_session.execute("{{ hello }}")
    assert len(graphql_server.connections) == 2
"""

OVERRIDES = """
import pytest
from anygql import Client
from anygql.testing import Stub

{mark}

@pytest.fixture
def graphql_client():
    return Client(Stub({{None: {{"me": "ada"}}}}))

async def test_stub(graphql_session):
    assert await graphql_session.execute("{{ me }}") == {{"me": "ada"}}
"""

SCHEMA = """
import pytest
from graphql import build_schema

{mark}

@pytest.fixture
def graphql_schema():
    return build_schema("type Query {{ own: String }}")

async def test_schema(graphql_session):
    assert await graphql_session.execute("{{ own }}") == {{"own": None}}
"""


CLOCK = """
import pytest

@pytest.mark.trio
async def test_an_hour(autojump_clock, graphql_session):
    assert await graphql_session.execute("{ slow(seconds: 3600) }", timeout=None)
"""

LOADS = """
import sys
import pytest

def test_nothing_of_ours_was_loaded():
    # The packages themselves, and what they need to load nothing else.
    loaded = {{name for name in sys.modules if name.split(".")[0] == "anygql"}}
    assert loaded == {{"anygql", "anygql.lazy", "anygql.testing", "anygql.testing.pytest_plugin"}}
    assert not {{"graphql", "msgspec", "httpx", "websockets"}} & sys.modules.keys()

def test_it_was_loaded_once(pytestconfig):
    named = [name for name, plugin in pytestconfig.pluginmanager.list_name_plugin()
             if getattr(plugin, "__name__", "") == "anygql.testing.pytest_plugin"]
    assert len(named) == 1

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_fixtures(cassette, graphql_session, anyio_backend):
    assert cassette.path.name == "test_fixtures.json"
    assert await graphql_session.execute("{ hello }")
""".replace("{{", "{").replace("}}", "}")

CASSETTES = """
import os
import pytest
from anygql import Client
from anygql.testing import Stub

async def ask(transport):
    async with Client(transport) as session:
        data = await session.execute("query Word { word }")
        assert data == {"word": os.environ["EXPECTED"]}

def stub():
    return Stub({"Word": {"word": os.environ["WORD"]}})

pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio"])
def anyio_backend(request):
    return request.param

async def test_anyio(cassette):
    await ask(cassette(stub()))
    await ask(cassette(stub()))

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("word", ["a/b"])
async def test_named(cassette, word, number):
    await ask(cassette(stub()))

class TestGroup:
    async def test_in_a_class(self, cassette):
        await ask(cassette(stub()))
"""


def run_pytest(folder: Path, *options: str, **variables: str) -> str:
    """Run pytest in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.stdout + done.stderr


def write(folder: Path, marks: dict[str, str]) -> None:
    """Write all tests once for each mark."""
    for name, mark in marks.items():
        for number, text in enumerate((TESTS, OVERRIDES, SCHEMA)):
            file = folder / f"test_{name}_{number}.py"
            file.write_text(text.format(mark=f"pytestmark = {mark}"), encoding="utf-8")


def test_with_all_plugins_together(tmp_path: Path) -> None:
    marks = {
        "anyio": "pytest.mark.anyio",
        "asyncio": "pytest.mark.asyncio",
        "module": "pytest.mark.asyncio(loop_scope='module')",
        "trio": "pytest.mark.trio",
    }
    write(tmp_path, marks)
    (block,) = BLOCK.findall((ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))
    for plugin in ("anyio", "asyncio", "trio"):
        source = block.replace("pytest.mark.anyio", f"pytest.mark.{plugin}")
        (tmp_path / f"test_{plugin}_page.py").write_text(source, encoding="utf-8")
    (tmp_path / "test_clock.py").write_text(CLOCK)
    (tmp_path / "test_sync.py").write_text("def test_sync(graphql_session): pass")
    output = run_pytest(tmp_path, *LOADED, *SCOPE)
    assert f"{2 * (4 + 2) + 3 * 4 + 2 * 2 + 1} passed, 1 error" in output, output
    assert "graphql_session is for async tests: mark this one for anyio" in output
    assert "warning" not in output, output


def test_marked_for_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, {"asyncio": "pytest.mark.asyncio", "trio": "pytest.mark.trio"})
    marks = "markers=asyncio: a mark\ntrio: another"
    output = run_pytest(tmp_path, *LOADED, *ANYIO, "-p", "no:anyio", "-o", marks)
    for name in ("asyncio", "trio"):
        assert f"graphql_session needs the plugin pytest-{name}, for which this test" in output
    assert "pytest_asyncio" not in output, output


@pytest.mark.parametrize(
    ("options", "count"),
    [
        pytest.param((*ANYIO, "-o", "anyio_mode=auto"), 8, id="anyio"),
        pytest.param((*ASYNCIO, "-o", "asyncio_mode=auto"), 4, id="asyncio"),
        pytest.param((*TRIO, "-o", "trio_mode=true"), 4, id="trio"),
    ],
)
def test_with_a_plugin_that_takes_every_test(
    tmp_path: Path, options: tuple[str, ...], count: int
) -> None:
    write(tmp_path, {"unmarked": "[]"})
    output = run_pytest(tmp_path, *LOADED, *options)
    assert f"{count} passed" in output, output
    assert "warning" not in output, output


def test_installed(tmp_path: Path) -> None:
    """By its entry point it is loaded once, and loads nothing of anygql before a fixture does."""
    info = tmp_path / "installed" / "anygql_as_installed-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: anygql-as-installed\nVersion: 1\n")
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (name, module), *others = entries["entry-points"]["pytest11"].items()
    assert (name, module, others) == ("anygql", PLUGIN, [])
    (info / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    # pytest rewrites the assertions of a distribution that brings a plugin along.
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "anygql").rglob("*.py")]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    (tmp_path / "test_loaded.py").write_text(LOADS)
    path = f"{info.parent}{os.pathsep}{environment()['PYTHONPATH']}"
    for options in ([], ["-p", name]):
        output = run_pytest(
            tmp_path, *ANYIO, *options, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1"
        )
        assert "3 passed" in output, output
        assert "warning" not in output, output


def record(folder: Path, word: str, *options: str, expected: str | None = None) -> str:
    expected = word if expected is None else expected
    options = ("-p", "no:randomly", *LOADED, *ANYIO, *options)
    return run_pytest(folder, *options, WORD=word, EXPECTED=expected)


def test_cassettes(tmp_path: Path) -> None:
    (tmp_path / "test_words.py").write_text(CASSETTES)
    folder = tmp_path / "cassettes" / "test_words"

    output = record(tmp_path, "one")
    assert "4 passed" in output, output
    assert sorted(path.name for path in folder.iterdir()) == [
        "TestGroup.test_in_a_class.json",
        "test_anyio-2.json",
        "test_anyio.json",
        "test_named[a_b-1].json",
        "test_named[a_b-2].json",
    ]
    first = {path: path.read_text() for path in folder.iterdir()}
    assert json.loads(first[folder / "test_anyio.json"])["recorded_from"] == "the stub"

    output = record(tmp_path, "two", expected="one")  # which is replayed
    assert "4 passed" in output, output

    output = record(tmp_path, "two", "--anygql-record", expected="other")
    assert "4 failed" in output, output  # which changes nothing
    assert {path: path.read_text() for path in folder.iterdir()} == first

    output = record(tmp_path, "two", "--anygql-record")
    assert "4 passed" in output, output
    assert '"two"' in (folder / "test_anyio.json").read_text()
