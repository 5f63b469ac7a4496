"""The command in processes of its own, in a terminal (pty) and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from anygql.testing import GraphQLServer, demo_schema
from tests.cli.conftest import Served, lines
from tests.support.http_peer import http, peer
from tests.support.programs import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no ptys")

TICKS = "subscription { countdown(from: 100000, interval: 0.02) }"
PATIENCE = 30


class Terminal:
    """A command whose stdin, stdout and stderr, or some of them, are a terminal."""

    def __init__(
        self, *arguments: str, columns: int = 80, piped: bool = False, program: str = "", **env: str
    ) -> None:
        self._master, slave = pty.openpty()
        given = {**environment(), "TERM": "xterm-256color", "COLUMNS": str(columns), **env}
        self.process = subprocess.Popen(
            [sys.executable, *(("-c", program) if program else ("-m", "anygql")), *arguments],
            stdin=slave,
            stdout=subprocess.PIPE if piped else slave,
            stderr=slave,
            env=given,
            start_new_session=True,
            bufsize=0,
        )
        os.close(slave)
        self.shown = ""

    def read_until(self, pattern: str) -> str:
        """Read what the terminal shows, until it shows that."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, self.shown
            if not self._read(1):
                break
        assert re.search(pattern, self.shown), self.shown
        return self.shown

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def end(self) -> int:
        """Wait for its end, read on meanwhile, and return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(0.1) and self.process.poll() is None:
            assert time.monotonic() < deadline, self.shown
        code = self.process.wait(PATIENCE)
        while self._read(0) and select.select([self._master], [], [], 0)[0]:
            pass
        assert "Traceback" not in self.shown
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def terminal(*arguments: str, **options: Any) -> Terminal:
        opened.append(Terminal(*arguments, **options))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


def test_a_terminal_has_colors_and_lines(terminal: Callable[..., Terminal], served: Served) -> None:
    ran = terminal(served.url, "-q", "{ hello }")
    assert ran.end() == 0
    assert "\x1b[34m" in ran.shown
    assert lines(ran.shown) == ["{", '  "hello": "Hello world!"', "}"]


def test_no_color_and_a_narrow_terminal(terminal: Callable[..., Terminal], folder: Path) -> None:
    query = '{ __type(name: "Query") { fields { name description } } }'
    given = ("demo_app:schema", "-q", query, "--path", "__type.fields", "-o", "table")
    ran = terminal(*given, columns=30, NO_COLOR="1")
    assert ran.end() == 0
    assert "\x1b[3" not in ran.shown
    assert max(map(len, lines(ran.shown))) <= 30
    assert "Always" in ran.shown


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_ends_a_subscription_cleanly(
    terminal: Callable[..., Terminal], served: Served, backend: str
) -> None:
    ran = terminal("subscribe", served.url, "-q", TICKS, "--backend", backend)
    ran.read_until("99998")
    ran.process.send_signal(signal.SIGINT)
    assert ran.end() == 130
    assert served.received()[-1] == "complete"
    assert served.server.connections[-1].closed == (1000, "")


def test_sigterm_does_the_same_in_a_pipe(terminal: Callable[..., Terminal], served: Served) -> None:
    ran = terminal("subscribe", served.url, "-q", TICKS, piped=True)
    assert ran.process.stdout is not None
    assert ran.process.stdout.readline() == b'{"countdown":100000}\n'  # flushed at once
    ran.process.send_signal(signal.SIGTERM)
    ran.process.stdout.read()
    assert ran.end() == 143
    assert ran.shown == ""
    assert served.received()[-1] == "complete"
    assert served.server.connections[-1].closed == (1000, "")


def test_ctrl_c_while_it_connects(
    terminal: Callable[..., Terminal], portal: BlockingPortal
) -> None:
    silent = peer(_never)
    with portal.wrap_async_context_manager(silent) as server:
        ran = terminal("ws" + server.url[4:], "-q", "{ a }", "-v")
        ran.read_until("connecting")
        ran.process.send_signal(signal.SIGINT)
        assert ran.end() == 130


async def _never(request: Any, stream: Any) -> bool:
    await stream.receive()
    return False


def test_a_reader_that_has_left(terminal: Callable[..., Terminal], served: Served) -> None:
    ran = terminal("subscribe", served.url, "-q", TICKS, piped=True)
    assert ran.process.stdout is not None
    ran.process.stdout.readline()
    ran.process.stdout.close()
    assert ran.end() == 0
    assert ran.shown == ""
    assert served.server.connections[-1].closed is not None


def test_a_slow_reader_keeps_the_connection(
    terminal: Callable[..., Terminal], served: Served
) -> None:
    query = "subscription { flood(count: 3000, size: 100) }"
    ran = terminal("subscribe", served.url, "-q", query, piped=True)
    assert ran.process.stdout is not None
    read = ran.process.stdout.readline()
    while more := ran.process.stdout.read(65536):
        read += more
    assert [json.loads(line)["flood"].rstrip(".") for line in read.splitlines()] == [
        str(number) for number in range(3000)
    ]
    assert ran.end() == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_while_nobody_reads(
    terminal: Callable[..., Terminal], served: Served, backend: str
) -> None:
    query = "subscription { flood(count: 100000, size: 1000) }"
    ran = terminal("subscribe", served.url, "-q", query, "--backend", backend, piped=True)
    assert ran.process.stdout is not None
    ran.process.stdout.read(1)
    wait_until_full(ran.process.stdout.fileno())
    ran.process.send_signal(signal.SIGINT)
    assert ran.end() == 130


def wait_until_full(descriptor: int) -> None:
    """Wait until a pipe holds as much as it takes."""
    import array
    import fcntl
    import termios

    held, before = array.array("i", [0]), -1
    deadline = time.monotonic() + PATIENCE
    while held[0] != before or held[0] < 2**15:
        assert time.monotonic() < deadline
        before = held[0]
        select.select([], [], [], 0.05)
        fcntl.ioctl(descriptor, termios.FIONREAD, held)


#: The command, with waits that are a hundredth as long.
SOON = """
import sys
from anygql.cli.root import run
from anygql.session import retry
retry.FIRST_WAIT, retry.LONGEST_WAIT = 0.005, 0.05
sys.exit(run())
"""


def test_a_subscription_outlives_ten_restarts(
    terminal: Callable[..., Terminal], portal: BlockingPortal
) -> None:
    with portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server:
        url = portal.call(server.listen)
        ran = terminal("subscribe", url, "-q", TICKS, piped=True, program=SOON)
        assert ran.process.stdout is not None
        events = [ran.process.stdout.readline()]
        for restart in range(1, 11):

            async def again(restart: int = restart) -> None:
                await server.restart()
                connection = await server.wait_connection(restart + 1)
                await connection.wait_received("subscribe")

            portal.call(again)
            ran.read_until(rf"-- connected; {restart} gap")
            events.append(ran.process.stdout.readline())
        ran.process.send_signal(signal.SIGTERM)
        events += ran.process.stdout.read().splitlines()
        assert ran.end() == 143
    # Events and nothing else on stdout; on stderr, a line for each loss and for each return.
    assert all(set(json.loads(event)) == {"countdown"} for event in events)
    told = lines(ran.shown)
    lost = [line for line in told if line.startswith("-- connection lost (")]
    back = [line for line in told if line.startswith("-- connected; ")]
    assert len(back) == 10
    assert len(lost) >= 10
    assert len(lost) + len(back) == len(told)


SECRETS = {
    "MY_TOKEN": "tok-1111",
    "MY_KEY": "key-2222",
    "ANYGQL_HEADERS": "Cookie: sid=cook-3333",
}
LOGIN = 'mutation ($password: String!) { login(password: $password, token: "lit-4444") }'


def test_no_secret_is_shown(
    terminal: Callable[..., Terminal], served: Served, portal: BlockingPortal
) -> None:
    answer = http('{"data":{"login":{"accessToken":"acc-5555","n":1},"echo":"tok-1111"}}')
    given = ("-q", LOGIN, "-V", "password=pass-6666", "-vv", "--bearer=MY_TOKEN")
    with portal.wrap_async_context_manager(peer(answer)) as server:
        url = server.url.replace("//", "//user:pw-7777@") + "?key=query-8888"
        over_http = terminal(url, *given, "--api-key", "MY_KEY", piped=True, **SECRETS)
        assert over_http.process.stdout is not None
        assert b"acc-5555" in over_http.process.stdout.read()
        assert over_http.end() == 0
    init = '{"authorization": "Bearer init-9999"}'
    url = served.url.replace("//", "//user:pw-7777@") + "?key=query-8888"
    given = ("-q", "{ hello }", *given[2:], "--init-payload", init)
    over_ws = terminal(url, *given, piped=True, **SECRETS)
    assert over_ws.end() == 0
    for ran, shown in ((over_http, "POST"), (over_ws, "connection_init")):
        assert shown in ran.shown
        assert not re.search(r"(1111|2222|3333|4444|5555|6666|7777|8888|9999)", ran.shown), (
            ran.shown
        )


def test_progress_is_shown_in_a_terminal_alone(
    terminal: Callable[..., Terminal], folder: Path
) -> None:
    (folder / "in.ndjson").write_text('{"query": "{ hello }"}\n' * 20)
    ran = terminal("batch", "demo_app:schema", "in.ndjson", piped=True)
    assert ran.process.stdout is not None
    assert len(ran.process.stdout.read().splitlines()) == 20
    assert ran.end() == 0
    assert "20/20" in ran.shown
    command = [sys.executable, "-m", "anygql", "batch", "demo_app:schema", "in.ndjson"]
    done = subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=60)
    assert done.stderr == b""


def test_serve(terminal: Callable[..., Terminal], folder: Path, command: Any) -> None:
    (folder / "s.graphql").write_text("type Query { n: Int } type Subscription { ticks: String }")
    ran = terminal("serve", "--schema", "s.graphql", "--interval", "0.01")
    url, http = re.findall(r"(?:ws|http)://\S+", ran.read_until("serving"))
    assert json.loads(command(url, "-q", "{ n }").out) == {"n": 1}
    events = command("subscribe", url, "-q", "subscription { ticks }", "--count", "2").out
    assert events == '{"ticks":"ticks 2"}\n{"ticks":"ticks 3"}\n'
    # It ticked on until it heard that the subscription was over.
    number = json.loads(command(http, "-q", "{ n }").out)["n"]
    assert number >= 4
    events = command("subscribe", http, "-q", "subscription { ticks }", "--count", "1").out
    assert events == f'{{"ticks":"ticks {number + 1}"}}\n'
    ran.process.send_signal(signal.SIGINT)
    assert ran.end() == 130


def test_help_imports_nothing_but_the_command_line() -> None:
    program = (
        "import sys\nfrom anygql.cli.root import run\nrun(['--help'])\n"
        "print([name for name in sys.modules if name.partition('.')[0] in"
        " ('anygql', 'anyio', 'graphql', 'httpx', 'msgspec', 'rich', 'trio')], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    ours = {"anygql", "anygql.lazy", "anygql.version"}
    found = {name for name in eval(done.stderr) if not name.startswith("anygql.cli")}
    assert found == ours
