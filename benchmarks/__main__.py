"""``python -m benchmarks``: run the benchmarks, print one table, keep the results, draw charts."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import report, table
from .processes import load_server
from .rows import CURVES, ROWS, against_before
from .runner import measure
from .scaling import scale

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "anygql", "gql", "graphql-core", "anyio", "trio", "uvloop", "websockets", "httptools",
    "aiohttp", "httpx", "httpx2", "msgspec",
)  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds, no curves")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        help="only rows and curves whose name contains this: "
        + ", ".join([*(row.key for row in ROWS), *(f"curve-{curve.key}" for curve in CURVES)]),
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="instead of other clients, anygql as it is in another checkout of this project",
    )
    parser.add_argument("--rounds", type=int, help="rounds for each row (5; quick: 3)")
    parser.add_argument("--target", type=float, help="seconds for each run (0.25; quick: 0.15)")
    parser.add_argument("--output", type=Path, help="where the results go, as JSON")
    parser.add_argument("--verbose", action="store_true", help="show what the clients print")
    return parser.parse_args()


def _wanted(name: str, arguments: argparse.Namespace) -> bool:
    return not arguments.only or any(part in name for part in arguments.only)


def _output(arguments: argparse.Namespace) -> Path:
    """Only a full run replaces what the docs are written from."""
    if arguments.output is not None:
        return Path(arguments.output)
    partial = (
        "partial"
        if arguments.only or arguments.against
        else "quick"
        if arguments.quick
        else "latest"
    )
    return RESULTS / f"{partial}.json"


def _machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def main() -> int:
    arguments = _arguments()
    begun = time.monotonic()
    rounds = arguments.rounds or (3 if arguments.quick else 5)
    target = arguments.target or (0.15 if arguments.quick else 0.25)
    results: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "rounds": rounds,
        "target": target,
        "rows": [],
        "curves": [],
    }
    output = _output(arguments)
    with load_server(verbose=arguments.verbose) as port:
        for row in ROWS:
            if not _wanted(row.key, arguments) or (arguments.quick and not row.quick):
                continue
            _say(f"{row.title} …")
            few = min(rounds, 2) if row.task == "memory" else rounds
            measured = measure(
                row if arguments.against is None else against_before(row),
                port,
                rounds=few,
                target=target,
                verbose=arguments.verbose,
                before=arguments.against,
            )
            results["rows"].append(measured.as_json())
            _save(results, output)
        for curve in CURVES:
            if not _wanted(f"curve-{curve.key}", arguments) or arguments.quick or arguments.against:
                continue
            _say(f"curve: {curve.title} …")
            results["curves"].append(scale(curve, port, target=target, verbose=arguments.verbose))
            _save(results, output)
    results["seconds"] = round(time.monotonic() - begun)
    _save(results, output)
    rows = results["rows"]
    if rows:
        print(table.text(table.ABSOLUTE_HEADS, table.absolute_lines(rows)), end="\n\n")
        print(table.text(table.CLAIM_HEADS, table.claim_lines(rows)))
    _say(f"{results['seconds']} s; results in {output}")
    if not arguments.quick and not arguments.only and not arguments.against:
        report.draw(results)
    # Not for a ratio below its bar: on a busy machine that would say nothing of the code.
    return 1 if any(row["failed"] for row in rows) else 0


def _save(results: dict[str, Any], output: Path) -> None:
    """What there is so far: a run that is broken off has not been for nothing."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
