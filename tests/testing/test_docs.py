"""The examples of docs/testing.md, run as they are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from trio.testing import MockClock

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "testing.md"
BLOCK = re.compile(r"^```python( trio-clock)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> dict[str, tuple[Any, bool]]:
    """Return the test functions of all blocks, and whether they need trio's virtual clock."""
    found: dict[str, tuple[Any, bool]] = {}
    page = PAGE.read_text(encoding="utf-8")
    for match in BLOCK.finditer(page):
        line = page[: match.start(2)].count("\n")
        namespace: dict[str, Any] = {"__name__": "example"}
        exec(compile("\n" * line + match[2], str(PAGE), "exec"), namespace)
        found |= {
            name: (function, bool(match[1]))
            for name, function in namespace.items()
            if name.startswith("test_")
        }
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("name", [name for name, (_, clock) in EXAMPLES.items() if not clock])
async def test_example(name: str) -> None:
    await EXAMPLES[name][0]()


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["trio-clock"]
)
@pytest.mark.parametrize("name", [name for name, (_, clock) in EXAMPLES.items() if clock])
async def test_example_in_virtual_time(name: str, anyio_backend: Any) -> None:
    await EXAMPLES[name][0]()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 9
