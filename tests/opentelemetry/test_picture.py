"""The picture of a trace in the docs is what a run exports, but for the times."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.paths import ROOT

IMAGES = ROOT / "docs" / "images"


@pytest.fixture
def trace() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trace_picture", IMAGES / "trace.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(svg: str) -> list[str]:
    """Return what is written in a picture, but for the times."""
    found = [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.text]
    return [text for text in map(str.strip, found) if text and not re.fullmatch(r"\d+ ms", text)]


@pytest.mark.usefixtures("soon")
async def test_the_picture_shows_a_run(trace: Any) -> None:
    drawn = trace.draw(await trace.traced())
    shown = (IMAGES / "trace.svg").read_text(encoding="utf-8")
    # trio starts the tasks of a batch in any order.
    assert sorted(texts(drawn)) == sorted(texts(shown))
    assert len(re.findall("<circle", shown)) == 2
