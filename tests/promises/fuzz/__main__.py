"""``python -m tests.promises.fuzz [--seconds N] [target …]``: look for bytes that break something.

Runs one target after the other, each for ``N`` seconds, guided by the coverage of anygql and of
websockets' engine. What is found to be of interest stays in ``build/fuzz/TARGET/`` and is begun
with the next time; bytes that break something are saved in ``build/fuzz/crashes/``, and belong
into ``regressions.py``. The figures are added to ``build/reliability/fuzz.json``.

Exits with 1 if anything was broken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.promises.fuzz.regressions import REGRESSIONS
from tests.promises.fuzz.targets import TARGETS
from tests.support.paths import ROOT

WORK = ROOT / "build" / "fuzz"
FIGURES = ROOT / "build" / "reliability" / "fuzz.json"

#: libFuzzer's own words for how many inputs it tried.
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")

#: The longest input, in bytes: what matters is what is said, not how much.
MAX_LEN = 1024


def sow(name: str) -> Path:
    """The directory of a target's inputs, with those that are written down."""
    corpus = WORK / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in (*TARGETS[name].seeds, *REGRESSIONS.get(name, ())):
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    return corpus


def fuzz(name: str, seconds: int) -> tuple[int, float, list[Path]]:
    """Executions, seconds, and the inputs that broke it."""
    crashes = WORK / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    command = [
        sys.executable,
        "-m",
        "tests.promises.fuzz.run",
        name,
        str(sow(name)),
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LEN}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={crashes}/{name}-",
    ]
    started = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    found = sorted(set(crashes.iterdir()) - before)
    executed = EXECUTED.search(ended.stderr)
    if executed is None or (ended.returncode and not found):
        sys.exit(f"{name}: the fuzzer failed\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}")
    if found:
        print(ended.stdout[-4000:], file=sys.stderr)
    return int(executed[1]), took, found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.promises.fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    given = parser.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    broken = 0
    for name in given.targets or TARGETS:
        executions, seconds, found = fuzz(name, given.seconds)
        broken += len(found)
        before = figures.get(name, {"executions": 0, "seconds": 0.0})
        figures[name] = {
            "executions": before["executions"] + executions,
            "seconds": round(before["seconds"] + seconds, 1),
            "crashes": len(found),
        }
        print(f"{name}: {executions} executions in {seconds:.0f} s, {len(found)} crashes")
        for path in found:
            print(f"    {path.relative_to(ROOT)}: {path.read_bytes()!r}")
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
