"""``python -m tests.peers.autobahn --wstest PATH``: run the suite, and keep what it says.

The suite is a server, for Python 2.7 alone: ``make autobahn`` makes an environment for it, where
there is one.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from tests.peers.autobahn.client import run_all

FILE = Path("build") / "reliability" / "autobahn.json"

LOOPS = ("asyncio", "trio")

#: All but the limits with binary messages, which are refused, and most of the 216 cases of
#: compression, which differ in sizes and take an hour.
CASES = [
    *(f"{group}.*" for group in range(1, 8)),
    *("9.1.*", "9.3.*", "9.5.*", "9.7.*", "10.*", "12.1.*", "13.1.*"),
]

#: Seconds for the suite to begin to listen.
STARTING = 30


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(wstest: Path, folder: Path, cases: list[str]) -> Generator[str]:
    """The suite, on the loopback; the URL at which it is."""
    port = _free_port()
    url = f"ws://127.0.0.1:{port}"
    spec = {"url": url, "outdir": str(folder), "cases": cases, "exclude-cases": []}
    (folder / "spec.json").write_text(json.dumps(spec))
    process = subprocess.Popen(
        [wstest, "-m", "fuzzingserver", "-s", folder / "spec.json", "-o", "0"],
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        until = time.monotonic() + STARTING
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{wstest} does not listen on port {port}")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def read(folder: Path, agent: str) -> dict[str, Any]:
    """Of each case, how the suite found the client's behaviour."""
    index: dict[str, dict[str, Any]] = json.loads((folder / "index.json").read_text())[agent]
    cases: dict[str, Any] = {}
    for number in sorted(index, key=lambda one: [*map(int, one.split("."))]):
        found = index[number]
        cases[number] = {"behaviour": found["behavior"], "closing": found["behaviorClose"]}
    return cases


def main() -> int:
    it = argparse.ArgumentParser(prog="python -m tests.peers.autobahn", description=__doc__)
    it.add_argument("--wstest", type=Path, required=True)
    it.add_argument("--cases", nargs="+", default=CASES)
    it.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    it.add_argument("--output", type=Path, default=FILE)
    options = it.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(options.wstest.absolute(), folder, options.cases) as url:
            for loop in options.loops:
                anyio.run(run_all, url, loop, backend=loop)
                report[loop] = read(folder, loop)
                counts = Counter(case["behaviour"] for case in report[loop].values())
                print(loop, dict(counts), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
