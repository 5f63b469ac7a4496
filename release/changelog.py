"""``CHANGELOG.md`` and the version: ``python -m release.changelog`` checks that they agree.

With ``--tag v1.2.3`` it also checks that they are the release's. With ``--notes 1.2.3`` it prints
that version's section.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

__all__ = ["Section", "faults", "faults_of_release", "sections", "version_in"]

ROOT = Path(__file__).parents[1]
UNRELEASED = "Unreleased"
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>.*))?$", re.MULTILINE)
FINAL = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Section:
    """A version's part of the changelog."""

    name: str
    date: str | None
    text: str

    def entries(self, *kinds: str) -> list[str]:
        """Return the entries, each on one line: all, or those under headings such as "Removed"."""
        entries: list[str] = []
        kind = ""
        for line in self.text.splitlines():
            if line.startswith("### "):
                kind = line.removeprefix("### ")
            elif kinds and kind not in kinds:
                continue
            elif line.startswith("- "):
                entries.append(line)
            elif line.startswith("  ") and entries:
                entries[-1] += " " + line.strip()
        return entries


def sections(changelog: str) -> list[Section]:
    """Return the sections as they stand, the newest first."""
    headings = list(HEADING.finditer(changelog))
    ends = [*(heading.start() for heading in headings[1:]), len(changelog)]
    return [
        Section(heading["name"], heading["date"], changelog[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    ]


def version_in(source: str) -> str:
    """Return the version that ``anygql/version.py`` has, without importing it."""
    found = re.search(r'^VERSION = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise ValueError('anygql/version.py has no line VERSION = "…"')
    return found[1]


def faults(changelog: str, version: str) -> list[str]:
    """Return what is wrong with a changelog while the package has that version."""
    found = sections(changelog)
    if not found or found[0].name != UNRELEASED:
        return [f"the first section is not [{UNRELEASED}]"]
    wrong = [f"{section.name}: {fault}" for section in found for fault in _faults_of(section)]
    versions = [section.name for section in found[1:] if FINAL.fullmatch(section.name)]
    if versions != sorted(set(versions), key=_order, reverse=True):
        wrong.append("the versions don't fall from the first section to the last")
    if versions and versions[0] != version:
        wrong.append(f"the newest version is {versions[0]}, but anygql/version.py has {version}")
    return wrong


def faults_of_release(changelog: str, version: str, tag: str) -> list[str]:
    """Return what forbids that this tag is released."""
    wrong = faults(changelog, version)
    if tag != f"v{version}":
        wrong.append(f"the tag is {tag}, but anygql/version.py has {version}")
    names = {section.name: section for section in sections(changelog)}
    if version not in names:
        wrong.append(f"there is no section for {version}")
    if UNRELEASED in names and names[UNRELEASED].entries():
        wrong.append(f"[{UNRELEASED}] still has entries")
    return wrong


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _faults_of(section: Section) -> list[str]:
    wrong = []
    kinds = re.findall(r"^### (.*)$", section.text, re.MULTILINE)
    wrong += [f"{kind!r} is none of {', '.join(KINDS)}" for kind in kinds if kind not in KINDS]
    wrong += [f"{kind!r} stands twice" for kind in sorted({k for k in kinds if kinds.count(k) > 1})]
    if section.name == UNRELEASED:
        return [*wrong, *(["it has a date"] if section.date else [])]
    if not FINAL.fullmatch(section.name):
        wrong.append("the name is no version")
    try:
        date.fromisoformat(section.date or "")
    except ValueError:
        wrong.append("it has no date such as 2026-01-31")
    if not section.entries():
        wrong.append("it has no entries")
    return wrong


def main() -> int:
    """Check or print what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m release.changelog")
    parser.add_argument("--tag")
    parser.add_argument("--notes", metavar="VERSION")
    arguments = parser.parse_args()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = version_in((ROOT / "anygql" / "version.py").read_text(encoding="utf-8"))
    if arguments.notes:
        notes = [part for part in sections(changelog) if part.name == arguments.notes]
        sys.stdout.writelines(f"{part.text}\n" for part in notes)
        return 0 if notes else 1
    tag = arguments.tag
    wrong = faults_of_release(changelog, version, tag) if tag else faults(changelog, version)
    print(*wrong or [f"changelog: agrees with version {version}"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
