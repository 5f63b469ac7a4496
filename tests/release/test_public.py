"""The public names: each is in the documentation, and what is internal is in no example."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from release.public import INTERNAL, ROOT, modules, names, pages, pages_of

BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_a_page_mentions_every_public_name() -> None:
    code = pages()
    lacking = [
        f"{module}.{name}"
        for module, exported in names().items()
        for name in exported
        if not pages_of(name, code)
    ]
    assert not lacking, "mention each in a page under docs/, as code"


def test_what_counts_as_a_mention() -> None:
    code = {"a.md": "`Client`", "b.md": "```python\nasync with Clients(): ...\n```"}
    assert pages_of("Client", code) == ["a.md"]


def test_the_page_lists_what_is_internal() -> None:
    page = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
    listed = re.search(r"^```text internal\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert listed is not None
    units = INTERNAL - {"__main__", "cli"}
    assert listed[1].split() == sorted(f"anygql.{unit}" for unit in units)


def test_the_public_modules() -> None:
    assert {"anygql", "anygql.appsync", "anygql.codegen", "anygql.schema", "anygql.testing"} <= set(
        modules()
    )


def sources() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            yield page.name, block
    for example in sorted((ROOT / "examples").rglob("*.py")):
        yield example.name, example.read_text(encoding="utf-8")


def imported(source: str) -> Iterator[str]:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    for node in ast.walk(compile(source, "", "exec", flags)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_page_or_example_imports_what_is_internal() -> None:
    wrong = [
        f"{where}: {module}"
        for where, source in sources()
        for module in imported(source)
        if module.startswith("anygql.") and module.split(".")[1] in INTERNAL
    ]
    assert not wrong, "import it from anygql, or make the module public"
