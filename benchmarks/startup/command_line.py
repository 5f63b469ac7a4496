"""How long the command line takes, beside bare Python and gql-cli, and whether that is in budget.

``python benchmarks/startup/command_line.py [--gql-cli PATH] [--rounds N]``: each round runs each of
them once, and the medians are compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter

from anyio.from_thread import start_blocking_portal

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from anygql.testing import GraphQLServer, demo_schema  # noqa: E402 - of this checkout

#: What is budgeted, beside what, and how many times as long it may take.
BUDGETS = (("anygql --help", "bare Python", 3.0), ("anygql execute", "gql-cli", 0.5))

#: None of the settings that keep compiled code from being written, or slow the start in other ways.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "PYTHONPATH": str(ROOT),
    "NO_PROXY": "127.0.0.1",
}


def seconds(command: list[str], given: str) -> tuple[float, float]:
    """Return the wall and the CPU time of a command."""
    begun, before = perf_counter(), children_times()
    done = subprocess.run(
        command, input=given, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    took = perf_counter() - begun, children_times() - before
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return took


def children_times() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(url: str, gql_cli: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the medians of the wall and of the CPU time of each command."""
    # What the installed script does, but of this checkout.
    anygql = [sys.executable, "-c", "from anygql.cli.main import main; main()"]
    commands = {
        "bare Python": [sys.executable, "-c", "pass"],
        "import click": [sys.executable, "-c", "import click"],
        "anygql --help": [*anygql, "--help"],
        "anygql execute": [*anygql, "execute", url, "-"],
        "gql-cli": [gql_cli, url],
    }
    if not Path(gql_cli).exists():
        del commands["gql-cli"]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for round_ in range(-1, rounds):
        for name, command in commands.items():
            took = seconds(command, "{ hello }")
            if round_ >= 0:  # before, code was compiled and files read for the first time
                taken[name].append(took)
    return {
        name: (median(wall for wall, _ in each), median(cpu for _, cpu in each))
        for name, each in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gql-cli", default=str(Path(sys.executable).with_name("gql-cli")))
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server,
    ):
        taken = measure(portal.call(server.listen), options.gql_cli, options.rounds)
    for name, (wall, cpu) in taken.items():
        print(f"{name:16} {wall * 1000:6.0f} ms {cpu * 1000:6.0f} ms of CPU")
    for name, beside, budget in BUDGETS:
        if beside not in taken:
            print(f"{name}: SKIPPED, there is no {beside}")
            continue
        wall, cpu = (ours / theirs for ours, theirs in zip(taken[name], taken[beside], strict=True))
        # By CPU: other work on the machine disturbs that less.
        verdict = "in budget" if cpu <= budget else "OVER BUDGET"
        print(f"{name}: {cpu:.2f} of the CPU time of {beside} ({wall:.2f} of the time), ", end="")
        print(f"with a budget of {budget:g}: {verdict}")


if __name__ == "__main__":
    main()
