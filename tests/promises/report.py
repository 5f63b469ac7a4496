"""``python -m tests.promises.report``: put the counts into the docs.

Reads ``build/reliability/*.json`` and writes between the markers of ``docs/reliability.md``. What
has not been counted stays as it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from tests.support.paths import ROOT

COUNTS = ROOT / "build" / "reliability"
PAGE = ROOT / "docs" / "reliability.md"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def checkpoints(counted: dict[str, Any]) -> str:
    columns = sorted({loop for loops in counted.values() for loop in loops})
    rows = [[name, *(loops.get(each, "") for each in columns)] for name, loops in counted.items()]
    totals = [sum(loops.get(each, 0) for loops in counted.values()) for each in columns]
    return table(["scenario", *columns], [*rows, ["**all**", *totals]])


def checkpoints_of_gql(counted: dict[str, Any]) -> str:
    rows = [
        [
            name,
            found["points"],
            found["violated"],
            ", ".join(f"{count}: {what}" for what, count in found["how"].items()),
        ]
        for name, found in counted.items()
    ]
    return table(["scenario", "points", "violated", "how"], rows)


def matrix(counted: dict[str, Any]) -> str:
    by = [
        f"{name}: {', '.join(f'{value} {count}' for value, count in counts.items())}"
        for name, counts in counted["by"].items()
    ]
    said = (
        f"{counted['cells']} cells, each on every loop, all as expected; "
        f"{counted['not_applicable']} more make no sense."
    )
    rows = counted["table"]
    head = ["protocol", "moment", "fault", "session", "expected"]
    return "\n".join([said, "", *(f"- {line}" for line in by), "", table(head, rows)])


def matrix_of_gql(counted: dict[str, Any]) -> str:
    rows = [[what, count] for what, count in counted["by"].items()]
    said = f"gql {counted['gql']}, {counted['cells']} of the cells:"
    return "\n".join([said, "", table(["what it did", "cells"], rows)])


def fuzz(counted: dict[str, Any]) -> str:
    rows = [
        [name, found["executions"], round(found["seconds"]), found["crashes"]]
        for name, found in counted.items()
    ]
    totals = [sum(row[index] for row in rows) for index in (1, 2, 3)]  # type: ignore[misc]
    return table(["target", "executions", "seconds", "crashes"], [*rows, ["**all**", *totals]])


def conformance(counted: dict[str, Any]) -> str:
    rows = [[number, found["about"], found["result"]] for number, found in counted.items()]
    passed = sum(found["result"] == "passed" for found in counted.values())
    listed = table(["case", "what the server sends", "result"], rows)
    return f"{passed} of {len(counted)} cases passed.\n\n{folded('All cases', listed)}"


def autobahn(counted: dict[str, Any]) -> str:
    behaviours = sorted(
        {case["behaviour"] for cases in counted.values() for case in cases.values()}
    )
    rows: list[list[object]] = []
    for loop, cases in counted.items():
        found = Counter(case["behaviour"] for case in cases.values())
        rows.append([loop, len(cases), *(found[each] for each in behaviours)])
    others = {
        behaviour: [
            ", ".join(number for number, case in cases.items() if case["behaviour"] == behaviour)
            for cases in counted.values()
        ]
        for behaviour in behaviours
        if behaviour not in {"OK", "INFORMATIONAL"}
    }
    listed = table(["", *counted], ([f"**{name}**", *which] for name, which in others.items()))
    return "\n".join([table(["loop", "cases", *behaviours], rows), "", listed])


def folded(title: str, text: str) -> str:
    """Something long, shown to who asks for it."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def soak(counted: list[dict[str, Any]]) -> str:
    """A column for each loop."""
    columns = [_flat(report) for report in counted]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, 0) for column in columns)] for name in names]
    return table(["", *(report["loop"] for report in counted)], rows)


def _flat(report: dict[str, Any]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in report.items():
        if name in {"counts", "violations", "loop"}:
            continue
        if isinstance(value, dict):
            flat |= {f"{name}: {below}": figure for below, figure in value.items()}
        else:
            flat[name] = value
    return {**flat, **report["counts"], "violations": len(report["violations"])}


SECTIONS: dict[str, Callable[[Any], str]] = {
    "checkpoints": checkpoints,
    "checkpoints-gql": checkpoints_of_gql,
    "matrix": matrix,
    "matrix-gql": matrix_of_gql,
    "fuzz": fuzz,
    "conformance": conformance,
    "autobahn": autobahn,
    "soak": soak,
}


def written(page: str, section: str, text: str) -> str:
    """The page with ``text`` between the section's markers."""
    begin, end = f"<!-- {section}:start -->", f"<!-- {section}:end -->"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        raise SystemExit(f"{PAGE} has no place for {section}")
    return found.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for section, form in SECTIONS.items():
        counts = COUNTS / f"{section}.json"
        if counts.is_file():
            page = written(page, section, form(json.loads(counts.read_text(encoding="utf-8"))))
        else:
            print(f"not counted: {section}")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
