"""The public API beside the last release's, in a repository of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from release.api import faults, last_release

SESSION = """
class Session:
    def execute(self, request, *, timeout=None, **mistaken: object): ...
    def close(self): ...
    def _own(self, a): ...
class Hidden:
    def gone(self): ...
"""
#: Lazy names, as the package has them: the imports are for type checkers.
PACKAGE = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .session import Session
__all__ = ["Session"]
"""
CHANGELOG = """# Changelog

## [Unreleased]

{}
## [0.1.0] - 2026-01-31

### Removed

- `Session.close` is told in an old section, which does not count.
"""


class Repository:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet")
        self.write("anygql/__init__.py", PACKAGE)
        self.write("anygql/session.py", SESSION)
        self.write("anygql/version.py", 'VERSION = "0.1.0"\n')
        self.write("anygql/extra.py", "__all__ = ['double']\ndef double(n): ...\n")
        self.told("")

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "tag.gpgsign=false")
        subprocess.run(["git", "-C", self.root, *who, *arguments], check=True, capture_output=True)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def session(self, old: str, new: str) -> None:
        assert old in SESSION
        self.write("anygql/session.py", SESSION.replace(old, new))

    def told(self, unreleased: str) -> None:
        self.write("CHANGELOG.md", CHANGELOG.format(unreleased))

    def commit(self, *tags: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A step")
        for tag in tags:
            self.git("tag", tag)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository that was released as 0.1.0, and went on."""
    repository = Repository(tmp_path)
    repository.commit("v0.1.0")
    repository.commit()
    return repository


def test_nothing_changed(repository: Repository) -> None:
    assert last_release(repository.root) == "v0.1.0"
    assert faults(repository.root, "v0.1.0") == []


def test_what_is_private_or_new_may_change(repository: Repository) -> None:
    changed = SESSION.replace("_own(self, a)", "_other(self)").replace("gone", "renamed")
    changed = changed.replace("timeout=None", "timeout=None, path=None")
    repository.write("anygql/session.py", changed + "class New: ...\n")
    assert faults(repository.root, "v0.1.0") == []


@pytest.mark.parametrize(
    ("old", "new", "fault", "entry"),
    [
        (
            ", *, timeout=None",
            "",
            "anygql.session.Session.execute(timeout): Parameter was removed",
            "`Session.execute` has no `timeout` any more.",
        ),
        (
            "timeout=None",
            "timeout=3",
            "anygql.session.Session.execute(timeout): Parameter default was changed",
            "`timeout` of `execute` is 3 by default.",
        ),
        (
            "    def close(self): ...\n",
            "",
            "anygql.session.Session.close: Public object was removed",
            "`Session.close()`.",
        ),
    ],
)
def test_a_change_must_be_told(
    repository: Repository, old: str, new: str, fault: str, entry: str
) -> None:
    repository.session(old, new)
    (found,) = faults(repository.root, "v0.1.0")
    assert found.startswith(f"{fault}; no entry under Changed or Removed has ")
    # neither a mention among what was added, nor one that is no code, is enough
    repository.told(f"### Added\n\n- {entry}\n\n### Removed\n\n- {entry.replace('`', '')}\n\n")
    assert len(faults(repository.root, "v0.1.0")) == 1
    repository.told(f"### Removed\n\n- {entry}\n\n")
    assert faults(repository.root, "v0.1.0") == []


def test_a_module_that_is_gone(repository: Repository) -> None:
    (repository.root / "anygql" / "extra.py").unlink()
    (found,) = faults(repository.root, "v0.1.0")
    assert found.startswith("anygql.extra: Public module was removed; no entry")


def test_a_version_that_may_not_break(repository: Repository) -> None:
    repository.session("close", "end")
    repository.told("### Removed\n\n- `close`.\n\n")
    repository.write("anygql/version.py", 'VERSION = "0.1.1"\n')
    (found,) = faults(repository.root, "v0.1.0")
    assert found == "0.1.1 may not break what v0.1.0 had: its number is too close"
    repository.write("anygql/version.py", 'VERSION = "0.2.0"\n')
    assert faults(repository.root, "v0.1.0") == []


def test_the_last_release(repository: Repository) -> None:
    repository.commit("v0.10.0", "v0.11.0rc1", "various")
    assert last_release(repository.root) == "v0.1.0"  # its own tag doesn't count
    repository.commit("v0.2.0")
    repository.commit()
    assert last_release(repository.root) == "v0.10.0"


def test_no_release(tmp_path: Path) -> None:
    assert last_release(tmp_path) is None
    repository = Repository(tmp_path)
    repository.commit()
    assert last_release(repository.root) is None
