"""``python -m benchmarks.hotspots ROW [CLIENT]``: where a client spends its time in a row's work.

The deterministic profiler makes calls look dearer than they are: compare shares, not times.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import pstats

from .peers import PEERS
from .processes import load_server
from .rows import ROWS

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotspots", description=__doc__)
    rows = {row.key: row for row in ROWS if row.task != "startup"}
    parser.add_argument("row", choices=rows)
    parser.add_argument("client", nargs="?", default="anygql asyncio", choices=PEERS)
    parser.add_argument("--count", type=int, help="operations (of each subscription)")
    parser.add_argument("--lines", type=int, default=35)
    parser.add_argument("--sort", default="tottime", choices=("tottime", "cumulative"))
    arguments = parser.parse_args()
    row = rows[arguments.row]
    task = importlib.import_module(f"benchmarks.tasks.{row.task}")
    params = dict(row.params)
    if row.warm:
        params["count"] = arguments.count or max(1, 20 * row.warm // params.get("group", 1))
    with load_server(verbose=True) as port:
        task.run(PEERS[arguments.client], port, **params)  # imports, and first times
        profile = cProfile.Profile()
        profile.enable()
        result = task.run(PEERS[arguments.client], port, **params)
        profile.disable()
    per_operation = result["cpu"] / result["operations"] * 1e6
    print(f"{result['operations']:,} operations, {per_operation:.2f} µs of CPU each")
    pstats.Stats(profile).strip_dirs().sort_stats(arguments.sort).print_stats(arguments.lines)


if __name__ == "__main__":
    main()
