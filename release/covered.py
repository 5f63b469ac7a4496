"""How much of each folder of the package the tests run, and which folders must be run wholly.

``make coverage`` measures, and calls this with the report that coverage.py makes as JSON.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: The folders of which every line and branch is run, or says why it can't be.
WHOLE = (
    "protocols",
    "net",
    "delivery",
    "session",
    "websocket",
    "http",
    "opentelemetry",
    "throttle",
)

REPORT = Path("build/coverage/report.json")


class Count(NamedTuple):
    """Lines and branches, and how many of them no test has run."""

    files: int = 0
    lines: int = 0
    missing_lines: int = 0
    branches: int = 0
    missing_branches: int = 0

    def __add__(self, other: Count) -> Count:  # type: ignore[override]
        return Count(*map(sum, zip(self, other, strict=True)))

    @property
    def is_whole(self) -> bool:
        """Whether everything was run."""
        return not self.missing_lines and not self.missing_branches

    @property
    def percent(self) -> float:
        """How much of the lines and branches was run. It is 100 only if all was."""
        total = self.lines + self.branches
        covered = total - self.missing_lines - self.missing_branches
        return covered * 1000 // total / 10 if total else 100.0


def folder_of(file: str) -> str:
    """Return the folder below ``anygql`` that a file is in; ``"."`` for those in none."""
    parts = Path(file).parts[1:]
    return parts[0] if parts[1:] else "."


def counted(files: Mapping[str, Any]) -> dict[str, Count]:
    """Return the counts of each folder, from the files of coverage.py's report."""
    found: dict[str, Count] = defaultdict(Count)
    for file, report in files.items():
        of = report["summary"]
        found[folder_of(file)] += Count(
            1,
            of["num_statements"],
            of["missing_lines"],
            of["num_branches"],
            of["missing_branches"],
        )
    return dict(sorted(found.items()))


def table(counts: Mapping[str, Count]) -> Iterator[str]:
    """Yield the lines of a table, with the total at the end."""
    yield f"{'folder':<16}{'files':>7}{'lines':>8}{'missed':>8}{'branches':>10}{'missed':>8}{'':>9}"
    for name, count in [*counts.items(), ("total", sum_of(counts.values()))]:
        missed = f"{count.missing_lines:>8}{count.branches:>10}{count.missing_branches:>8}"
        yield f"{name:<16}{count.files:>7}{count.lines:>8}{missed}{count.percent:>7.1f} %"


def sum_of(counts: Iterable[Count]) -> Count:
    """Return the sum of counts."""
    total = Count()
    for count in counts:
        total += count
    return total


def missed(files: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no test has run of the folders that must be run wholly."""
    for file, report in sorted(files.items()):
        if folder_of(file) not in WHOLE:
            continue
        if lines := report["missing_lines"]:
            yield f"{file}: lines {', '.join(map(str, lines))}"
        if branches := report["missing_branches"]:
            shown = (f"{start} to {'the end' if end < 0 else end}" for start, end in branches)
            yield f"{file}: branches from {', '.join(shown)}"


def main() -> None:
    """Print the table; fail if one of the folders in ``WHOLE`` was not run wholly."""
    files = json.loads(REPORT.read_text(encoding="utf-8"))["files"]
    counts = counted(files)
    print("\n".join(table(counts)))
    # A folder without files has been moved or renamed.
    if all(name in counts and counts[name].is_whole for name in WHOLE):
        return
    print("\nNot run by any test, of the folders that must be run wholly:", file=sys.stderr)
    print("\n".join(missed(files)), file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
