"""The public names, and the pages that mention them: ``python -m release.public`` lists them.

Public is what `anygql` and the public modules under it export. Of these modules, each is public
but for those that ``INTERNAL`` names.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

__all__ = ["INTERNAL", "modules", "names", "pages", "pages_of"]

ROOT = Path(__file__).parents[1]

#: Modules and packages right under ``anygql/`` that may change in any release. What users need of
#: them is exported by `anygql` itself.
INTERNAL = frozenset(
    {
        "__main__",
        "cli",
        "client",
        "concurrency",
        "delivery",
        "documents",
        "exceptions",
        "http",
        "json",
        "lazy",
        "local",
        "net",
        "results",
        "session",
        "version",
        "websocket",
    }
)

CODE = re.compile(r"^ *```.*?^ *```|^::: .*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def modules(package: Path = ROOT / "anygql") -> list[str]:
    """Return the names of the public modules, that of the package first."""
    files = (*package.glob("*.py"), *(init.parent for init in package.glob("*/__init__.py")))
    units = {file.stem for file in files} - INTERNAL - {"__init__"}
    return ["anygql", *(f"anygql.{unit}" for unit in sorted(units) if not unit.startswith("_"))]


def names() -> dict[str, list[str]]:
    """Return what each public module exports."""
    return {module: list(importlib.import_module(module).__all__) for module in modules()}


def pages() -> dict[str, str]:
    """Return the code in each page of the documentation: blocks, and words between backticks."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {
        file.relative_to(ROOT).as_posix(): "\n".join(CODE.findall(file.read_text(encoding="utf-8")))
        for file in files
    }


def pages_of(name: str, code: dict[str, str]) -> list[str]:
    """Return the pages of which the code has this name."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return [page for page, text in code.items() if word.search(text)]


def main() -> None:
    """Print a line for each name: its module, and the pages that mention it."""
    code = pages()
    for module, exported in names().items():
        for name in exported:
            print(f"{module}.{name}: {', '.join(pages_of(name, code)) or 'NO PAGE'}")


if __name__ == "__main__":
    main()
