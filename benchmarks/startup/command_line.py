"""How long the command line takes, beside bare Python and gql-cli, and whether that is in budget.

``python benchmarks/startup/command_line.py [--gql-cli PATH] [--rounds N]``: each round runs each of
them once, and the least of each is compared with its budget.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from anyio.from_thread import start_blocking_portal

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from anygql.testing import GraphQLServer, demo_schema  # noqa: E402 - of this checkout

#: What is budgeted, beside what, and how many times as long it may take.
BUDGETS = (("anygql --help", "bare Python", 3.0), ("anygql execute", "gql-cli", 0.5))


def seconds(command: list[str], given: str) -> float:
    begun = perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        command, input=given, env=environment, capture_output=True, text=True, check=False
    )
    took = perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return took


def measure(url: str, gql_cli: str, rounds: int) -> dict[str, float]:
    anygql = [sys.executable, "-m", "anygql"]
    commands = {
        "bare Python": [sys.executable, "-c", "pass"],
        "anygql --help": [*anygql, "--help"],
        "anygql execute": [*anygql, "execute", url, "-"],
        "gql-cli": [gql_cli, url],
    }
    if not Path(gql_cli).exists():
        del commands["gql-cli"]
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(rounds):
        for name, command in commands.items():
            best[name] = min(best[name], seconds(command, "{ hello }"))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gql-cli", default=str(Path(sys.executable).with_name("gql-cli")))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server,
    ):
        best = measure(portal.call(server.listen), options.gql_cli, options.rounds)
    for name, took in best.items():
        print(f"{name:16} {took * 1000:6.0f} ms")
    for name, beside, budget in BUDGETS:
        if beside not in best:
            print(f"{name}: SKIPPED, there is no {beside}")
            continue
        ratio = best[name] / best[beside]
        verdict = "in budget" if ratio <= budget else "OVER BUDGET"
        print(f"{name}: {ratio:.2f} of {beside}, with a budget of {budget:g}: {verdict}")


if __name__ == "__main__":
    main()
