"""Make the pictures of terminals in the docs, from real runs: ``make pictures``.

Each command runs in a terminal (pty) against a server that runs here. What it shows is drawn by
rich. The picture of ``examples/killed_server.py`` moves: each line comes when the program has
printed it, and no two lines come at once, so that they can be read.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from anyio.from_thread import BlockingPortal, start_blocking_portal
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from anygql.testing import GraphQLServer, demo_schema  # noqa: E402 - of this checkout

COLUMNS = 92
CLI = "anygql"
#: Shown in place of the server's real address.
SHOWN = "ws://localhost:8000/graphql"
#: The least time between two lines of a picture that moves, and how long the last one is looked
#: at before it begins again, in seconds.
READING, RESTING = 0.5, 6.0


@dataclass(frozen=True)
class Recorded:
    """What a command has shown, and when each of its lines was there, in seconds."""

    text: str
    times: list[float]


def shown_by(command: list[str], meanwhile: Callable[[], None] | None = None) -> Recorded:
    """Return all that a command of this Python shows in a terminal."""
    master, slave = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE.parents[1]),
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
    }
    process = subprocess.Popen(  # noqa: S603 - the commands of this page
        [sys.executable, "-m", *command],
        stdin=slave, stdout=slave, stderr=slave, env=environment,
    )  # fmt: skip
    os.close(slave)
    helper = Thread(target=meanwhile) if meanwhile is not None else None
    if helper is not None:
        helper.start()
    shown = b""
    times: list[float] = []
    begun = time.monotonic()
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
        times += [time.monotonic() - begun] * data.count(b"\n")
    process.wait()
    os.close(master)
    if helper is not None:
        helper.join()
    return Recorded(shown.decode().replace("\r\n", "\n"), times)


def draw(name: str, command: str, shown: Recorded, url: str = "", *, moves: bool = False) -> None:
    """Write ``NAME.svg``."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    text = shown.text.replace(url, SHOWN) if url else shown.text
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="anygql", unique_id=name)
    svg = re.sub(r"    @font-face {.*?}\n", "", svg, flags=re.DOTALL)  # no picture may fetch one
    if moves:
        svg = svg.replace("</style>", f"{moving(name, shown.times)}</style>", 1)
    lines = [line.rstrip() for line in svg.splitlines()]
    (HERE / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def moving(name: str, times: list[float]) -> str:
    """Return the CSS by which lines come one after the other, again and again.

    A viewer that doesn't animate, and a reader who wants no animations, sees all lines.
    """
    shown: list[float] = []
    for at in times:
        shown.append(max(at + 1, (shown[-1] if shown else 0) + READING))
    whole = shown[-1] + RESTING
    rules = []
    for line, at in enumerate(shown, 1):  # line 0 is the command
        part = 100 * at / whole
        rules.append(
            f"    @keyframes {name}-{line} {{ 0%, {part:.2f}% {{ opacity: 0 }}"
            f" {part + 0.01:.2f}%, 100% {{ opacity: 1 }} }}\n"
            f'    [clip-path="url(#{name}-line-{line})"] {{'
            f" animation: {name}-{line} {whole:.1f}s step-end infinite }}\n"
        )
    return "@media (prefers-reduced-motion: no-preference) {\n" + "".join(rules) + "    }\n    "


def restart(portal: BlockingPortal, server: GraphQLServer) -> None:
    """Restart the server once the subscription runs."""

    async def again() -> None:
        connection = await server.wait_connection(len(server.connections) + 1)
        await connection.wait_received("subscribe")
        await server.restart()

    portal.call(again)


def main() -> None:
    story = "examples.killed_server"
    draw("killed-server", f"python -m {story} trio", shown_by([story, "trio"]), moves=True)
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
        draw("cli-execute", f"anygql {SHOWN} -q '{query}'", shown_by([CLI, url, "-q", query]), url)
        query = "subscription { countdown(from: 9, interval: 0.2) }"
        given = [CLI, "subscribe", url, "-q", query, "--count", "4", "-o", "compact"]
        command = f"anygql subscribe {SHOWN} \\\n    -q '{query}' --count 4 -o compact"
        draw("cli-subscribe", command, shown_by(given, lambda: restart(portal, server)), url)
        draw("cli-doctor", f"anygql doctor {SHOWN}", shown_by([CLI, "doctor", url]), url)
        given = [CLI, "check", "--schema", url, "app.graphql"]
        draw("cli-check", f"anygql check --schema {SHOWN} app.graphql", shown_by(given), url)


if __name__ == "__main__":
    begun = time.monotonic()
    main()
    sys.stderr.write(f"drawn in {time.monotonic() - begun:.1f} s\n")
