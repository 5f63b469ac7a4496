"""Programs that tests run in a process of their own."""

from __future__ import annotations

import os

from tests.support.paths import ROOT

__all__ = ["environment"]


def environment() -> dict[str, str]:
    """Return the environment of a process that imports this project, and what tests import."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}
