"""The public API beside the last release's: ``python -m release.api``, which is ``make api-check``.

Compares, with griffe, what the public modules export now with what they exported at the newest tag
of a release. Each change that can break a user's program must be told in ``CHANGELOG.md``: by an
entry under "Changed" or "Removed", newer than that release, that has the changed name (and the
parameter's) between backticks. Before there is a release, there is nothing to compare with.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import griffe

from .changelog import sections, version_in
from .public import modules

__all__ = ["Change", "changes", "faults", "last_release"]

ROOT = Path(__file__).parents[1]
RELEASE = re.compile(r"v\d+\.\d+\.\d+")
SPAN = re.compile(r"`([^`]+)`")

#: Parameters that are there to refuse mistakes: they take no argument that is right.
REFUSING = "mistaken"


@dataclass(frozen=True)
class Change:
    """A change that can break a user's program."""

    path: str
    kind: str
    #: What an entry of the changelog must have between backticks.
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}"

    def is_told_by(self, entry: str) -> bool:
        """Return whether an entry of the changelog names what changed."""
        code = " ".join(SPAN.findall(entry))
        return all(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", code) for word in self.words)


def last_release(root: Path) -> str | None:
    """Return the tag of the newest release that ``HEAD`` contains; ``HEAD``'s own doesn't count."""
    if not (root / ".git").exists():
        return None  # an unpacked sdist
    own = _git(root, "tag", "--points-at", "HEAD").split()
    tags = _git(root, "tag", "--merged", "HEAD", "--sort=version:refname", "--list", "v*").split()
    releases = [tag for tag in tags if RELEASE.fullmatch(tag) and tag not in own]
    return releases[-1] if releases else None


def changes(old: Path, new: Path) -> list[Change]:
    """Return what changed from one folder with the package in it to the other."""
    before, after = _load(old), _load(new)
    found: list[Change] = []
    for module in modules(old / "anygql"):
        unit = module.partition(".")[2]
        if unit and unit not in after.members:
            found.append(Change(module, "Public module was removed", (unit,)))
            continue
        pair = (before[unit], after[unit]) if unit else (before, after)
        found += map(_change, griffe.find_breaking_changes(*pair))
    # A name that two modules export is one thing.
    return sorted(set(found), key=str)


def faults(root: Path, release: str) -> list[str]:
    """Return each change since a release that the changelog doesn't tell, or that isn't allowed."""
    with tempfile.TemporaryDirectory() as folder:
        archive = _git_bytes(root, "archive", release, "anygql")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        found = changes(Path(folder), root)
    entries = _entries_since(root, release.removeprefix("v"))
    untold = [
        f"{change}; no entry under Changed or Removed has "
        + " and ".join(f"`{word}`" for word in change.words)
        for change in found
        if not any(change.is_told_by(entry) for entry in entries)
    ]
    version = version_in((root / "anygql" / "version.py").read_text(encoding="utf-8"))
    if found and not _may_break(release.removeprefix("v"), version):
        untold.append(f"{version} may not break what {release} had: its number is too close")
    return untold


def _entries_since(root: Path, version: str) -> Iterator[str]:
    for section in sections((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        if section.name == version:
            return
        yield from section.entries("Changed", "Removed")


def _may_break(old: str, new: str) -> bool:
    """Return whether a version may break the other's users; before the next is named, it may."""
    parts = 2 if old.startswith("0.") else 1
    return new == old or new.split(".")[:parts] != old.split(".")[:parts]


def _load(folder: Path) -> griffe.Module:
    """Load the package from its sources, which are read and not run."""
    package = griffe.load(
        "anygql", search_paths=[folder], try_relative_path=False, allow_inspection=False
    )
    assert isinstance(package, griffe.Module)
    for item in _inside(package):
        if isinstance(item, griffe.Module):
            item.public = False  # what is public of a module is exported by a public one
        elif isinstance(item, griffe.Function):
            _without_refusing(item)
    return package


def _inside(item: griffe.Object) -> Iterator[griffe.Object]:
    for member in item.members.values():
        if isinstance(member, griffe.Object):
            yield member
            yield from _inside(member)


def _without_refusing(function: griffe.Function) -> None:
    """Remove ``**mistaken``, which else would seem to take parameters that were removed."""
    last = next(reversed(list(function.parameters)), None)
    if last and last.kind is griffe.ParameterKind.var_keyword and last.name == REFUSING:
        del function.parameters[REFUSING]


def _change(breakage: griffe.Breakage) -> Change:
    item = breakage.obj
    parent = item.parent
    name = parent.name if item.name == "__init__" and parent is not None else item.name
    values = (breakage.old_value, breakage.new_value)
    parameter = next((value for value in values if isinstance(value, griffe.Parameter)), None)
    if parameter is None:
        return Change(item.path, breakage.kind.value, (name,))
    return Change(f"{item.path}({parameter.name})", breakage.kind.value, (name, parameter.name))


def _git(root: Path, *arguments: str) -> str:
    return _git_bytes(root, *arguments).decode()


def _git_bytes(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True).stdout


def main() -> int:
    """Compare with the last release, or with the tag that is given."""
    parser = argparse.ArgumentParser(prog="python -m release.api")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--against", metavar="TAG")
    arguments = parser.parse_args()
    release = arguments.against or last_release(arguments.root)
    if release is None:
        print("api-check: SKIPPED, there is no release to compare with")
        return 0
    untold = faults(arguments.root, release)
    print(*untold or [f"api-check: the changelog tells what changed since {release}"], sep="\n")
    return 1 if untold else 0


if __name__ == "__main__":
    sys.exit(main())
