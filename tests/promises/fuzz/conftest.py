"""The results of the conformance cases: told at the end of the run, kept for the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

#: Under the repository's root.
FILE = Path("build") / "reliability" / "conformance.json"

#: The property of a test under which it reports: a case, and what it is about.
CASE = "conformance case"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    # By properties of reports: those come from other processes too.
    cases: dict[str, dict[str, str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == CASE:
                    number, about = value
                    case = cases.setdefault(number, {"about": about, "result": "passed"})
                    if report.outcome != "passed":
                        case["result"] = report.outcome
    if not cases:
        return
    passed = sum(case["result"] == "passed" for case in cases.values())
    terminalreporter.section("RFC 6455, the client's side")
    terminalreporter.write_line(f"{passed} of {len(cases)} cases passed")
    path = config.rootpath / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    everything = {**known, **cases}
    ordered = sorted(everything, key=lambda number: [int(part) for part in number.split(".")])
    path.write_text(json.dumps({number: everything[number] for number in ordered}, indent=2) + "\n")
