"""Make the pictures of terminals in the docs, from real runs: ``make pictures``.

Each command runs in a terminal (pty) against a server that runs here. What it shows is drawn by
rich.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from anyio.from_thread import BlockingPortal, start_blocking_portal
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from anygql.testing import GraphQLServer, demo_schema  # noqa: E402 - of this checkout

COLUMNS = 92
#: Shown in place of the server's real address.
SHOWN = "ws://localhost:8000/graphql"


def shown_by(arguments: list[str], meanwhile: Callable[[], None] | None = None) -> str:
    """Return all that a command shows in a terminal."""
    master, slave = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE.parents[1]),
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
    }
    process = subprocess.Popen(  # noqa: S603 - the commands of this page
        [sys.executable, "-m", "anygql", *arguments],
        stdin=slave, stdout=slave, stderr=slave, env=environment,
    )  # fmt: skip
    os.close(slave)
    helper = Thread(target=meanwhile) if meanwhile is not None else None
    if helper is not None:
        helper.start()
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
    process.wait()
    os.close(master)
    if helper is not None:
        helper.join()
    return shown.decode().replace("\r\n", "\n")


def draw(name: str, command: str, shown: str, url: str) -> None:
    """Write ``NAME.svg``."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(shown.replace(url, SHOWN)))
    svg = console.export_svg(title="anygql", unique_id=name)
    lines = [line.rstrip() for line in svg.splitlines()]
    (HERE / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def restart(portal: BlockingPortal, server: GraphQLServer) -> None:
    """Restart the server once the subscription runs."""

    async def again() -> None:
        connection = await server.wait_connection(len(server.connections) + 1)
        await connection.wait_received("subscribe")
        await server.restart()

    portal.call(again)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server,
    ):
        url = portal.call(server.listen)
        documents = Path(folder, "app.graphql")
        documents.write_text("query Hello { hello { length } }\nquery Sum { ad(a: 1, b: 2) }\n")
        os.chdir(folder)
        query = "{ hello add(a: 1, b: 2) fail }"
        draw("cli-execute", f"anygql {SHOWN} -q '{query}'", shown_by([url, "-q", query]), url)
        query = "subscription { countdown(from: 9, interval: 0.2) }"
        given = ["subscribe", url, "-q", query, "--count", "4", "-o", "compact"]
        command = f"anygql subscribe {SHOWN} \\\n    -q '{query}' --count 4 -o compact"
        draw("cli-subscribe", command, shown_by(given, lambda: restart(portal, server)), url)
        draw("cli-doctor", f"anygql doctor {SHOWN}", shown_by(["doctor", url]), url)
        given = ["check", "--schema", url, "app.graphql"]
        draw("cli-check", f"anygql check --schema {SHOWN} app.graphql", shown_by(given), url)


if __name__ == "__main__":
    begun = time.monotonic()
    main()
    sys.stderr.write(f"drawn in {time.monotonic() - begun:.1f} s\n")
