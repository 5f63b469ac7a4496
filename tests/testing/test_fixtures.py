"""The fixtures of docs/recipes/pytest.md, each in a run of pytest with its plugin."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.programs import environment

PAGE = ROOT / "docs" / "recipes" / "pytest.md"
BLOCK = re.compile(r"^```python fixture-(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIXTURES = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))

#: The module of each plugin, how many tests it finds, and the options that keep others away.
PLUGINS = {
    "anyio": ("anyio", 2, ["-p", "no:asyncio", "-p", "no:trio"]),
    "asyncio": (
        "pytest_asyncio",
        1,
        ["-p", "no:anyio", "-p", "no:trio", "-o", "asyncio_default_fixture_loop_scope=function"],
    ),
    "trio": ("pytest_trio", 1, ["-p", "no:anyio", "-p", "no:asyncio"]),
    "blocking": ("pytest", 1, ["-p", "no:anyio", "-p", "no:asyncio", "-p", "no:trio"]),
}


def test_each_plugin_has_a_fixture() -> None:
    assert FIXTURES.keys() == PLUGINS.keys()


@pytest.mark.parametrize("name", PLUGINS)
def test_fixture(name: str, tmp_path: Path) -> None:
    module, count, options = PLUGINS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module.replace('_', '-')}")
    (tmp_path / "test_page.py").write_text(FIXTURES[name], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *options],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{count} passed" in done.stdout, done.stdout + done.stderr
