"""How many places were tried, told at the end of the run and kept for the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.amount import DAY

#: Under the repository's root.
FILE = Path("build") / "reliability" / "checkpoints.json"

#: The property of a test under which it reports: a scenario, a loop, and how many places.
TRIED = "checkpoints tried"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    # By properties of reports: those come from other processes too.
    tried: dict[str, dict[str, int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == TRIED:
                    scenario, figures = value
                    tried.setdefault(scenario, {}).update(figures)
    if not tried:
        return
    everything = {scenario: dict(sorted(figures.items())) for scenario, figures in tried.items()}
    terminalreporter.section("cancelled at checkpoints")
    terminalreporter.write_line(f"ANYGQL_DAY={DAY} tries the same again")
    totals: dict[str, int] = {}
    for figures in everything.values():
        for loop, number in figures.items():
            totals[loop] = totals.get(loop, 0) + number
    for loop, number in sorted(totals.items()):
        terminalreporter.write_line(f"{loop}: {number} places in {len(everything)} scenarios")
    path = config.rootpath / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    for scenario, figures in everything.items():
        known[scenario] = {**known.get(scenario, {}), **figures}
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
