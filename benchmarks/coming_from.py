"""The figures of docs/from-sgqlc.md and docs/from-graphql-ws.md: ``make bench-coming-from``.

The same load server and the same tasks as ``python -m benchmarks``, which has the rows beside gql
and ariadne-codegen. In each round every client has its turn. With ``--report`` nothing is measured,
and the pages get the figures of the last run.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import table
from .messages import QUERY, SUBSCRIPTION
from .peers import PEERS
from .processes import ROOT, Worker, load_server
from .report import replace_section
from .stats import TIMES, summary

__all__ = ["main"]

ROUNDS = 11
RESULTS = ROOT / "benchmarks" / "results" / "coming-from.json"
NODE = ROOT / "tests" / "peers" / "node" / "node_modules"
SCRIPT = ROOT / "benchmarks" / "peers" / "graphql_ws_client.mjs"


class NodeWorker(Worker):
    """The same, in JavaScript."""

    def __init__(self) -> None:
        node = shutil.which("node") or sys.exit("there is no node")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([node, SCRIPT], stdin=pipe, stdout=pipe, text=True)


@dataclass(frozen=True)
class Work:
    """One kind of work, for one page."""

    page: str
    title: str
    task: str
    clients: tuple[str, ...]
    params: dict[str, Any]


_JS = ("anygql asyncio", "anygql uvloop", "anygql trio", "graphql-ws")
WORKS = (
    Work(
        "sgqlc",
        "HTTP, 1,000-byte answers, one at a time",
        "blocking",
        ("anygql.blocking", "sgqlc HTTPEndpoint", "sgqlc RequestsEndpoint"),
        {"over": "http", "size": 1000, "count": 300},
    ),
    Work(
        "graphql-ws",
        "events of one subscription, 140 bytes each",
        "subscribe",
        _JS,
        {"size": 140, "group": 1, "count": 40_000},
    ),
    Work(
        "graphql-ws",
        "events of one subscription, 2 KB each",
        "subscribe",
        _JS,
        {"size": 2048, "group": 1, "count": 10_000},
    ),
    Work(
        "graphql-ws",
        "queries on one WebSocket, one at a time",
        "execute",
        _JS,
        {"over": "ws", "size": 140, "concurrency": 1, "count": 1_000},
    ),
    Work(
        "graphql-ws",
        "queries on one WebSocket, 100 at a time",
        "execute",
        _JS,
        {"over": "ws", "size": 140, "concurrency": 100, "count": 5_000},
    ),
)


def _run(worker: Worker, work: Work, client: str, port: int) -> dict[str, float]:
    """Return the seconds for one operation, by the clock and of the process' CPU."""
    more: dict[str, Any] = {"peer": client}
    if client == "graphql-ws":
        more = {"query": SUBSCRIPTION if work.task == "subscribe" else QUERY}
    result = worker.run(task=work.task, port=port, **more, **work.params)
    if "failed" in result:
        sys.exit(f"{client}: {result['failed']}")
    return {kind: result[kind] / result["operations"] for kind in ("wall", "cpu")}


def measure() -> list[dict[str, Any]]:
    """Return, for each work and client, its times beside those of the first client."""
    found = []
    with ExitStack() as stack:
        port = stack.enter_context(load_server(verbose=True))
        workers: dict[str, Worker] = {}
        for client in dict.fromkeys(name for work in WORKS for name in work.clients):
            is_js = client == "graphql-ws"
            environment = "" if is_js else PEERS[client].environment
            made = NodeWorker() if is_js else Worker(verbose=True, environment=environment)
            stack.callback(made.close)
            workers[client] = made
        for work in WORKS:
            rounds = [
                [_run(workers[client], work, client, port) for client in work.clients]
                for _ in range(ROUNDS + 1)
            ][1:]  # the first one warms everything up
            for at, client in enumerate(work.clients):
                beside = {
                    kind: summary([each[at][kind] / each[0][kind] for each in rounds])
                    for kind in ("wall", "cpu")
                }
                found.append({"page": work.page, "work": work.title, "client": client, **beside})
    return found


def _versions() -> dict[str, str]:
    python = ROOT / ".venv-sgqlc" / "bin" / "python"
    command = [python, "-c", "from importlib.metadata import version; print(version('sgqlc'))"]
    sgqlc = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    package = json.loads((NODE / "graphql-ws" / "package.json").read_text(encoding="utf-8"))
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "anygql": version("anygql"),
        "sgqlc": sgqlc,
        "graphql-ws": package["version"],
        "Python": platform.python_version(),
        "Node": node.strip().removeprefix("v"),
    }


def section(results: dict[str, Any], page: str) -> str:
    """Return the table of a page, and what was measured."""
    lines = [
        (
            row["work"],
            row["client"],
            f"{table.number(row['wall']['median'])}{TIMES}",
            f"{table.number(row['wall']['q1'])}…{table.number(row['wall']['q3'])}",
            f"{table.number(row['cpu']['median'])}{TIMES}",
        )
        for row in results["rows"]
        if row["page"] == page
    ]
    heads = ("work", "client", "time", "spread", "CPU time")
    names = ("anygql", page, "Python", *(("Node",) if page == "graphql-ws" else ()))
    versions = ", ".join(f"{name} {results['versions'][name]}" for name in names)
    return (
        f"{table.markdown(heads, lines)}\n\n"
        "Each figure is how many times the time of the first client the work takes: the median of "
        f"{ROUNDS} rounds, in which all have their turn against one load server. The spread is the "
        "middle half; CPU time is less disturbed by other work on the machine. `make "
        f"bench-coming-from` measured it on {results['cpus']} CPUs: {versions}."
    )


def main() -> None:
    if "--report" not in sys.argv:
        found = {"cpus": os.cpu_count(), "versions": _versions(), "rows": measure()}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for page in ("sgqlc", "graphql-ws"):
        path = Path(ROOT, "docs", f"from-{page}.md")
        text = section(results, page)
        if not replace_section(path, f"{page}:", text):
            print(f"{path.name} has no place for its figures:\n{text}")


if __name__ == "__main__":
    main()
