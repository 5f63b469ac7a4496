"""What runs elsewhere: workflows call targets that there are, by actions that can't change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
if not (ROOT / "mkdocs.yml").exists():
    TARGETS.add("docs")  # made together with the site


def test_there_are_workflows() -> None:
    assert {file.stem for file in WORKFLOWS} == {"docs", "publish", "test"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_targets_exist(file: Path) -> None:
    commands = re.findall(r"- run: make (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    called = {word for line in commands for word in line.partition(" >")[0].split()}
    targets = {word for word in called if "=" not in word and not word.startswith("--")}
    assert targets
    assert targets <= TARGETS


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (?!\./)(.*)$", text, re.MULTILINE)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action), action
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)


def test_every_version_is_tested() -> None:
    versions = re.search(r"^VERSIONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert versions is not None
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for version in versions[1].split():
        assert f'"{version}"' in workflow
        assert f'"Programming Language :: Python :: {version}"' in project
