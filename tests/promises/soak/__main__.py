"""Hours of use in half an hour: ``python -m tests.promises.soak [--minutes 30]``.

Both loops, one after the other or at once, each in a process of its own. Ends with a page on what
happened, and with 1 if anything was lost, doubled, left behind or growing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.promises.soak.run import parser

FILE = Path("build") / "reliability" / "soak.json"

LOOPS = ("asyncio", "trio")


def run(loop: str, options: argparse.Namespace) -> dict[str, Any]:
    """A run in a process of its own; one that dies is a violation."""
    command = [sys.executable, "-m", "tests.promises.soak.run", "--loop", loop]
    command += ["--seconds", str(options.minutes * 60 / len(options.loops))]
    for name in vars(parser().parse_args([])):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"loop": loop, "counts": {}, "violations": [f"it ended with {done.returncode}"]}
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def page(report: dict[str, Any]) -> str:
    """One run, for people."""
    counts: dict[str, int] = report["counts"]
    lines = [f"{report['loop']}: {report.get('seconds', 0)} s"]
    if "connections" in report:
        lines[0] += (
            f", {report['subscriptions at a time']} subscriptions over {report['connections']} "
            f"connections, seed {report['seed']}"
        )
    lines += [f"  {number:>12,}  {name}" for name, number in counts.items()]
    for name, unit, scale in (("rss", "MB", 1e6), ("blocks", "thousand blocks", 1e3)):
        if name in report:
            trend = report[name]
            lines.append(
                f"  {name}: {trend['first'] / scale:.1f} to {trend['last'] / scale:.1f} {unit} "
                f"({trend['growth in percent']:+.2f} %, {trend['samples']} samples)"
            )
    lines += [f"  VIOLATION: {what}" for what in report["violations"]] or ["  no violations"]
    return "\n".join(lines)


def main() -> int:
    it = argparse.ArgumentParser(
        prog="python -m tests.promises.soak", parents=[parser()], description=__doc__
    )
    it.add_argument("--minutes", type=float, default=30, help="for both loops together")
    it.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    it.add_argument("--at-once", action="store_true", help="both loops at the same time")
    it.add_argument("--output", type=Path, default=FILE)
    options = it.parse_args()
    reports = []
    with ThreadPoolExecutor(len(options.loops) if options.at_once else 1) as runs:
        for report in runs.map(lambda loop: run(loop, options), options.loops):
            reports.append(report)
            print(page(report), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(reports, indent=2) + "\n")
    return int(any(report["violations"] for report in reports))


if __name__ == "__main__":
    sys.exit(main())
