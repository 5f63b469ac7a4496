"""The house stands: each floor imports only what is below it, and names are kept in order."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import anygql
from anygql.version import VERSION
from tests.support.paths import ROOT

PACKAGE = Path(anygql.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the ground up: each imports only what is above it in this list. What stands on one floor
#: doesn't import its neighbors.
FLOORS = (
    ("exceptions", "lazy"),
    ("json",),
    ("version",),
    ("documents",),
    ("results",),
    ("schema",),
    ("dsl",),
    ("protocols",),
    ("concurrency",),
    ("net",),
    ("delivery",),
    ("websocket", "http", "local", "session"),
    ("appsync", "throttle"),
    ("client", "codegen", "opentelemetry"),
    ("testing",),
    ("blocking",),
    ("cli",),
    ("__main__",),
    ("__init__",),
)
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}

#: Where nothing may know of tasks, event loops or sockets.
SANS_IO = ("exceptions", "json", "version", "documents", "results", "schema", "dsl", "protocols")
IO = {"anyio", "asyncio", "select", "selectors", "socket", "ssl", "threading", "trio", "websockets"}

#: The only modules that know one event loop's library.
ASYNCIO_ONLY = {"concurrency/asyncio_tasks.py"}
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


def modules_where(predicate: Callable[[Path], object]) -> list[str]:
    """Return all modules of the package for which the predicate holds: the offenders."""
    return [name_of(file) for file in FILES if predicate(file)]


def floor_of(unit: str) -> int:
    return FLOOR_OF.get(unit, len(FLOORS))


def test_every_module_has_a_floor() -> None:
    lacking = modules_where(lambda file: unit_of(file) not in FLOOR_OF)
    assert not lacking, "choose a floor for each in FLOORS"


def test_the_documentation_prints_the_floors() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    block = re.search(r"^```text floors\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    assert block is not None, "docs/design.md has no block `text floors`"
    assert block[1].splitlines() == [", ".join(units) for units in FLOORS]


def test_a_floor_imports_only_floors_below_it() -> None:
    wrong = {}
    for file in FILES:
        others = units_imported(file) - {unit_of(file)}
        if above := {unit for unit in others if floor_of(unit) >= floor_of(unit_of(file))}:
            wrong[name_of(file)] = sorted(above)
    assert not wrong, "these import from their own floor, or from one further from the ground"


def test_nothing_imports_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        graph[unit_of(file)] |= units_imported(file) - {unit_of(file)}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def test_protocols_do_no_io() -> None:
    def does_io(file: Path) -> object:
        units = units_imported(file) & {"concurrency", "net", "delivery"}
        return unit_of(file) in SANS_IO and (roots_imported(file) & IO or units)

    assert modules_where(does_io) == []


def test_no_event_loop_is_chosen() -> None:
    def chooses(file: Path) -> object:
        roots = roots_imported(file)
        of_trio = name_of(file) not in TRIO_ONLY and roots & {"trio", "trio_websocket"}
        of_asyncio = name_of(file) not in ASYNCIO_ONLY and "asyncio" in roots
        return of_asyncio or of_trio

    assert modules_where(chooses) == []


def test_no_task_without_an_owner() -> None:
    unowned = re.compile(r"ensure_future|\bcreate_task\b|get_event_loop")

    def starts(file: Path) -> object:
        # Under asyncio the client may own a session's task: DESIGN's one exception.
        return name_of(file) not in ASYNCIO_ONLY and unowned.search(file.read_text())

    assert modules_where(starts) == []


def is_public(file: Path) -> bool:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return all(part == "__init__" or not part.startswith("_") for part in parts)


def in_order(names: list[str]) -> list[str]:
    """Constants, then classes, then the rest: as ruff's RUF022 has it."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def faults_of_all(file: Path) -> list[str]:
    """Return what is wrong with a module's ``__all__``."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    module = importlib.import_module(".".join(("anygql", *parts)).removesuffix(".__init__"))
    defined = {
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    listed: list[str] = getattr(module, "__all__", [])
    faults = [f"{name} is listed, but not there" for name in listed if not hasattr(module, name)]
    faults += [f"{name} is public, but not listed" for name in sorted(defined - set(listed))]
    if listed != in_order(listed):
        faults.append("not in order")
    if len(listed) != len(set(listed)):
        faults.append("listed twice")
    return faults


def test_all_is_exact() -> None:
    found = {name_of(file): faults_of_all(file) for file in FILES if is_public(file)}
    assert not {name: faults for name, faults in found.items() if faults}


def test_the_package_s_names() -> None:
    assert anygql.__all__ == in_order(anygql.__all__)
    for name in anygql.__all__:
        assert not name.startswith("_")
        assert getattr(anygql, name) is not None


def test_the_version_is_the_release_s() -> None:
    assert anygql.__version__ == metadata.version("anygql") == VERSION


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
