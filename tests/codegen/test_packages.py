"""Generated packages: type-checked, and run against Strawberry over WebSocket and HTTP."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from graphql import build_schema, lexicographic_sort_schema, print_schema

from anygql import Session
from tests.codegen.packages import HERE, ROOT
from tests.peers.run import Server

PROGRAM = HERE / "program.py"
PARTS = [
    node.name
    for node in ast.parse(PROGRAM.read_text(encoding="utf-8")).body
    if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_")
]
BOTH = [part for part in PARTS if part.startswith("both_")]
HTTP = [part for part in PARTS if part.startswith("http_")]

over_each = pytest.mark.parametrize("scheme", ["ws", "http"])


def test_every_part_runs() -> None:
    assert len(BOTH) >= 15
    assert len(HTTP) >= 3
    assert len(set(PARTS)) == len(BOTH) + len(HTTP)


@over_each
@pytest.mark.table
@pytest.mark.parametrize("part", BOTH)
async def test_over_each(part: str, program: ModuleType, session: Session, server: Server) -> None:
    await getattr(program, part)(session)


@pytest.mark.parametrize("part", HTTP)
async def test_over_http(part: str, program: ModuleType, session: Session, server: Server) -> None:
    await getattr(program, part)(session)


@over_each
@pytest.mark.table
async def test_operations_without_documents(program: ModuleType, session: Session) -> None:
    # The generator writes them for an older graphql-core: they run, but aren't type-checked.
    built = importlib.import_module("built_library")
    query = importlib.import_module("built_library.custom_queries").Query
    fields = importlib.import_module("built_library.custom_fields")
    item = query.item(by=built.ItemBy(id="1")).fields(
        fields.ItemInterface.title,
        fields.ItemInterface.id.alias("number"),
    )
    data = await built.Client(session).query(item, operation_name="Built")
    assert data == {"item": {"title": "Hard Times", "number": "1"}}


def test_the_schema_is_the_server_s() -> None:
    from tests.codegen.app import schema

    def normal(text: str) -> str:
        bare = lexicographic_sort_schema(build_schema(text))
        lines = print_schema(bare).splitlines()
        return "\n".join(line for line in lines if not line.startswith("scalar JSON"))

    described = normal(schema.as_str())
    undescribed = "".join(described.split('"""')[::2])
    ours = (HERE / "schema.graphql").read_text(encoding="utf-8")
    assert [line for line in undescribed.splitlines() if line.strip()] == [
        line for line in normal(ours).splitlines() if line.strip()
    ]


def checked(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def sources(packages: Path, tmp_path: Path) -> list[str]:
    """The packages, and the program that uses them."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
    return [str(packages / "library"), str(packages / "short_library"), str(program)]


def test_mypy(packages: Path, sources: list[str], tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n", encoding="utf-8")
    cache = ROOT / ".mypy_cache" / "codegen"
    options = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(cache)]
    checked([sys.executable, "-m", "mypy", *options, *sources], packages)


def test_pyright(packages: Path, sources: list[str]) -> None:
    options = ["--pythonpath", sys.executable]
    checked([sys.executable, "-m", "pyright", *options, *sources], packages)
