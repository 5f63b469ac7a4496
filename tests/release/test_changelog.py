"""The changelog: one section for each version, which agrees with the package's."""

from __future__ import annotations

import pytest

from anygql.version import VERSION
from release.changelog import ROOT, faults, faults_of_release, sections, version_in

RELEASED = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-02-03

### Removed

- `Client.old`: it was
  deprecated.

### Fixed

- This.

## [0.1.0] - 2026-01-31

- That.
"""


def test_this_project_s() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert faults(changelog, VERSION) == []
    assert version_in((ROOT / "anygql" / "version.py").read_text(encoding="utf-8")) == VERSION


def test_sections_and_entries() -> None:
    unreleased, newer, older = sections(RELEASED)
    assert (unreleased.name, unreleased.date, unreleased.entries()) == ("Unreleased", None, [])
    assert (newer.name, newer.date) == ("0.2.0", "2026-02-03")
    assert newer.entries() == ["- `Client.old`: it was deprecated.", "- This."]
    assert newer.entries("Changed", "Removed") == ["- `Client.old`: it was deprecated."]
    assert older.entries() == ["- That."]


def test_what_may_be_released() -> None:
    assert faults_of_release(RELEASED, "0.2.0", "v0.2.0") == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("## [Unreleased]\n\n", "", "the first section is not [Unreleased]"),
        ("[Unreleased]\n", "[Unreleased]\n\n- More.\n", "[Unreleased] still has entries"),
        (" - 2026-02-03", "", "0.2.0: it has no date such as 2026-01-31"),
        (" - 2026-02-03", " - soon", "0.2.0: it has no date such as 2026-01-31"),
        ("- That.", "That.", "0.1.0: it has no entries"),
        ("### Fixed", "### Mended", "0.2.0: 'Mended' is none of Added, Changed, Deprecated, "),
        ("### Fixed", "### Removed", "0.2.0: 'Removed' stands twice"),
        ("[0.1.0]", "[0.3.0]", "the versions don't fall from the first section to the last"),
        ("[0.1.0]", "[one]", "one: the name is no version"),
        ("[0.2.0]", "[0.2.1]", "the newest version is 0.2.1, but anygql/version.py has 0.2.0"),
        ("[0.2.0]", "[0.2.1]", "there is no section for 0.2.0"),
    ],
)
def test_what_may_not(old: str, new: str, fault: str) -> None:
    changelog = RELEASED.replace(old, new, 1)
    assert changelog != RELEASED
    wrong = faults_of_release(changelog, "0.2.0", "v0.2.0")
    assert any(found.startswith(fault) for found in wrong), wrong


def test_a_tag_of_another_version() -> None:
    wrong = faults_of_release(RELEASED, "0.2.0", "v0.3.0")
    assert wrong == ["the tag is v0.3.0, but anygql/version.py has 0.2.0"]
