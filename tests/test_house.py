"""The house stands: each floor imports only what is below it, and names are kept in order."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest

import anygql
from anygql.version import VERSION

PACKAGE = Path(anygql.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the ground up: each imports only what is above it in this list. What stands on one floor
#: doesn't import its neighbors. `docs/design.md` prints the same list.
FLOORS = (
    ("exceptions", "lazy"),
    ("json",),
    ("version",),
    ("documents",),
    ("results",),
    ("schema",),
    ("protocols",),
    ("concurrency",),
    ("net",),
    ("delivery",),
    ("websocket", "http", "local", "session"),
    ("client", "codegen", "testing"),
    ("cli", "__main__"),
    ("__init__",),
)
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}

#: Where nothing may know of tasks, event loops or sockets.
SANS_IO = ("exceptions", "json", "version", "documents", "results", "schema", "protocols")
IO = {"anyio", "asyncio", "select", "selectors", "socket", "ssl", "threading", "trio", "websockets"}

#: The only modules that know one event loop's library.
TRIO_ONLY = {"concurrency/waiters.py", "websocket/sockets/trio_adapter.py"}


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def unit_of(file: Path) -> str:
    """The module or package at the top of the house that ``file`` belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_module(parts: list[str]) -> bool:
    path = PACKAGE.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(file: Path) -> Iterator[str]:
    """The full name of each module that ``file`` imports, wherever in it and whatever for."""
    package = ["anygql", *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                # `from .. import x` may name a module of the package, or something in it
                parts = [*base, alias.name]
                inside = base[0] == "anygql" and is_module(parts[1:])
                yield ".".join(parts if inside else base)


def units_imported(file: Path) -> set[str]:
    names = (name.split(".") for name in imported(file))
    return {parts[1] if parts[1:] else "__init__" for parts in names if parts[0] == "anygql"}


def roots_imported(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(file)}


every_file = pytest.mark.parametrize("file", FILES, ids=name_of)


@every_file
def test_every_module_has_a_floor(file: Path) -> None:
    assert unit_of(file) in FLOOR_OF, f"choose a floor for {name_of(file)} in FLOORS"


@every_file
def test_a_floor_imports_only_floors_below_it(file: Path) -> None:
    own = FLOOR_OF.get(unit_of(file), len(FLOORS))
    others = units_imported(file) - {unit_of(file)}
    wrong = {unit for unit in others if FLOOR_OF.get(unit, len(FLOORS)) >= own}
    assert not wrong, f"{name_of(file)} imports from its own floor, or one below: {sorted(wrong)}"


def test_nothing_imports_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        graph[unit_of(file)] |= units_imported(file) - {unit_of(file)}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize("file", [f for f in FILES if unit_of(f) in SANS_IO], ids=name_of)
def test_protocols_do_no_io(file: Path) -> None:
    assert not roots_imported(file) & IO
    assert not units_imported(file) & {"concurrency", "net", "delivery"}


@every_file
def test_no_event_loop_is_chosen(file: Path) -> None:
    roots = roots_imported(file)
    assert "asyncio" not in roots
    assert name_of(file) in TRIO_ONLY or not roots & {"trio", "trio_websocket"}


@every_file
def test_no_task_without_an_owner(file: Path) -> None:
    found = re.findall(r"ensure_future|\bcreate_task\b|get_event_loop", file.read_text())
    assert not found


def is_public(file: Path) -> bool:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return all(part == "__init__" or not part.startswith("_") for part in parts)


def in_order(names: list[str]) -> list[str]:
    """Constants, then classes, then the rest: as ruff's RUF022 has it."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


@pytest.mark.parametrize("file", [f for f in FILES if is_public(f)], ids=name_of)
def test_all_is_exact(file: Path) -> None:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    module = importlib.import_module(".".join(("anygql", *parts)).removesuffix(".__init__"))
    defined = {
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    listed: list[str] = getattr(module, "__all__", [])
    assert [name for name in listed if not hasattr(module, name)] == [], "listed, but not there"
    assert sorted(defined - set(listed)) == [], "public, but not listed"
    assert listed == in_order(listed)
    assert len(listed) == len(set(listed))


def test_the_package_s_names() -> None:
    assert anygql.__all__ == in_order(anygql.__all__)
    for name in anygql.__all__:
        assert not name.startswith("_")
        assert getattr(anygql, name) is not None


def test_the_version_is_the_release_s() -> None:
    assert metadata.version("anygql") == VERSION


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
