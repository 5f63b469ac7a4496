"""Each example, as its users run it: a process of its own, and a server that it reaches."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from xml.etree import ElementTree

import anyio
import httpx
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from anygql import Client
from anygql.testing import GraphQLServer, demo_schema
from tests.support.paths import ROOT

# What was never closed or awaited warns, and is seen.
PYTHON = (sys.executable, "-W", "error")

#: Of what runs in a process of its own the test's loop only sees the output.
in_a_process = pytest.mark.table

_T = TypeVar("_T")


def environment(url: str | None = None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "GRAPHQL_URL"}
    return {**inherited, "PYTHONUNBUFFERED": "1"} | ({"GRAPHQL_URL": url} if url else {})


async def run_example(name: str, *arguments: str, url: str | None = None, given: str = "") -> str:
    """What it prints; it must end well and say nothing on stderr."""
    done = await anyio.run_process(
        [*PYTHON, "-m", f"examples.{name}", *arguments],
        input=given.encode(),
        check=False,
        cwd=ROOT,
        env=environment(url),
    )
    assert not done.stderr, done.stderr.decode()
    assert done.returncode == 0
    return done.stdout.decode()


class Program:
    """A running program, and its output line by line."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._output = BufferedByteReceiveStream(process.stdout)

    async def type(self, line: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(f"{line}\n".encode())

    async def line(self) -> str:
        """The next line of output, without prompts."""
        line = (await self._output.receive_until(b"\n", 10_000)).decode()
        while line.startswith("> "):
            line = line[2:]
        return line

    async def rest(self) -> str:
        data = b""
        with suppress(anyio.EndOfStream):
            while True:
                data += await self._output.receive()
        return data.decode()


@asynccontextmanager
async def program(
    command: Sequence[str], url: str | None = None, pass_fds: Sequence[int] = (), **more: str
) -> AsyncGenerator[Program]:
    async with await anyio.open_process(
        [*PYTHON, *command],
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment(url) | more,
        pass_fds=pass_fds,
    ) as process:
        try:
            yield Program(process)
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def graphql_server() -> AsyncGenerator[tuple[GraphQLServer, str]]:
    async with GraphQLServer(demo_schema()) as server:
        yield server, await server.listen()


def test_the_page_lists_each_example_with_what_it_shows() -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[(\S+)\]\(\S+\) \| (.+?) \|", page, re.MULTILINE))
    files = [file for file in (ROOT / "examples").iterdir() if file.suffix in {".py", ".ipynb"}]
    names = {file.name for file in files} - {"__init__.py"}
    assert rows.keys() == names
    for name, shows in rows.items():
        if name.endswith(".py"):
            first, *_ = (ROOT / "examples" / name).read_text(encoding="utf-8").splitlines()
            assert first == f'"""{shows}'.replace("`make demo`", "``make demo``"), name


@in_a_process
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
async def test_traced_service(loop: str) -> None:
    said = await run_example("traced_service", loop)
    orders, tokens, *spans = said.splitlines()
    assert orders == "40 orders, each shipped 1 time"
    issued, connections = map(int, re.findall(r"\d+", tokens))
    assert issued == connections > 2
    # Each time that the subscription is sent anew has a span of its own. A connection that gets
    # its successor at once may have had no time for that.
    subscriptions = int(spans.pop(2).removesuffix(" spans 'subscription'"))
    assert 1 < subscriptions <= connections
    assert spans == [
        "40 spans 'handle order'",
        "40 spans 'mutation'",
        "40 in a span of the service's",
    ]


# The demonstration, and the picture of its second half.


def shown_in_picture() -> list[str]:
    """Return the lines of the picture, without the command."""
    root = ElementTree.parse(ROOT / "docs" / "images" / "killed-server.svg").getroot()
    texts = [text for text in root.findall(".//{*}text") if "clip-path" in text.attrib]
    lines = [(text.text or "").replace("\xa0", " ").rstrip() for text in texts]
    return [line for line in lines if line][1:]


@in_a_process
async def test_demo_and_its_picture() -> None:
    parts = (await run_example("demo")).split("\n\n")
    assert len(parts) == 6
    for loop, session, killed in (("asyncio", *parts[:2]), ("trio", *parts[2:4])):
        assert session.startswith(f"  {loop}: one session")
        assert "100 at the same time; the sum of their answers is 9900" in session
        title, *story = killed.splitlines()
        assert title == f"  {loop}: a server is killed"
        # The mutation and the session are told of the loss in either order.
        assert sorted(story) == sorted(shown_in_picture())
    assert "not sent again: it was made once" in parts[4]


# The trio application.


def check_trio_nursery(output: str) -> None:
    lines = output.splitlines()
    for name, start in (("short", 2), ("longer", 4), ("longest", 6)):
        of_one = [line for line in lines if line.startswith(f"{name}: ")]
        assert of_one == [
            *(f"{name}: {number}" for number in range(start, -1, -1)),
            f"{name}: done",
        ]
    assert "Hello trio!" in lines
    assert lines[-1] == "the session is closed"


@in_a_process
async def test_trio_nursery() -> None:
    check_trio_nursery(await run_example("trio_nursery"))


@in_a_process
async def test_trio_nursery_with_a_server_elsewhere() -> None:
    async with graphql_server() as (server, url):
        check_trio_nursery(await run_example("trio_nursery", url=url))
        (connection,) = server.connections
        kinds = [message["type"] for message in connection.received]
        assert kinds.count("complete") == 1  # of the subscription that never ends
        assert await connection.wait_closed() == (1000, "")


# The limits.


@in_a_process
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_limits(backend: str) -> None:
    lines = (await run_example("limits", backend)).splitlines()
    assert lines[-1] == "11 points in hours of 5, and 0 refusals"
    counts = sorted(line for line in lines if "repositories" in line)
    assert counts == [
        f"{name} repositories" for name in ("acme has 18", "babbage has 7", "curie has 23")
    ]
    assert any(line.startswith("a page waits") for line in lines)


# The library.


@in_a_process
async def test_library() -> None:
    expected = "the counter stands at 10\n[3, 2, 1, 0]\nas expected: this field always fails"
    output = await run_example("library")
    for backend in ("asyncio", "trio"):
        assert f"{backend}: {expected}" in output


async def test_library_on_the_sessions_of_others() -> None:
    from examples.library import CounterError, RemoteCounter

    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport())
        for context in (client.connect(), client.connect(reconnecting=True)):
            async with context as session:
                counter = RemoteCounter(session)
                before = await counter.value()
                assert await counter.add(2) == before + 2
                async with counter.countdown(10) as numbers:
                    assert await anext(numbers) == 10
                with pytest.raises(CounterError, match="always fails"):
                    await counter.fail()
                assert session.state == "connected"  # it is its owner's to close


# Typed results.


@in_a_process
async def test_typed() -> None:
    output = await run_example("typed")
    on_asyncio, on_trio = output.removeprefix("asyncio\n").split("trio\n")
    assert on_asyncio == on_trio
    lines = [line.split(maxsplit=1) for line in on_trio.splitlines()]
    assert [kind for kind, _ in lines] == [
        *("written", "found", "reminder", "reminder", "document", "variables", "result")
    ]
    said = [what for _, what in lines]
    assert "mood=<Mood.BAD: 'not so fine'>" in said[0]
    assert said[2:4] == ["0:00:00", "1:00:00"]
    assert "entrys" in said[4]
    assert said[5].startswith("variables.entry.madeAt: ")
    assert said[6].startswith("data.entries[0].madeAt: ")


# The console.


@pytest.mark.parametrize("ending", ["quit\n", "quit", ""])
@in_a_process
async def test_console(ending: str, anyio_backend_name: str) -> None:
    given = (
        f"hello you\n\nadd 1 2\nadd 1 x\nincrement\nincrement 4\ncountdown 2\nstate\n?\n{ending}"
    )
    output = await run_example("console", anyio_backend_name, given=given)
    lines = [line.removeprefix("> ").removeprefix("> ") for line in output.splitlines()]
    usage = lines[0]
    assert usage.startswith("hello NAME, ")
    assert lines[1:] == [
        "Hello you!",
        "3",
        "that failed: invalid literal for int() with base 10: 'x'",
        *("1", "5", "2", "1", "0"),
        "connected",
        usage,
        "bye",
    ]


@in_a_process
async def test_console_while_its_server_restarts(anyio_backend_name: str) -> None:
    async with (
        graphql_server() as (server, url),
        program(["-m", "examples.console", anyio_backend_name], url) as console,
    ):
        assert "hello NAME" in await console.line()
        await console.type("increment")
        assert await console.line() == "1"
        await server.stop()
        # It says so while it waits for input.
        assert "connection was lost" in await console.line()
        await console.type("increment 2")
        await server.start()
        lines = [await console.line()]
        while not lines[-1].isdigit():
            lines.append(await console.line())
        assert lines[-2:] == ["[connected again]", "3"]
        assert console.process.stdin is not None
        await console.process.stdin.aclose()
        assert (await console.rest()).endswith("bye\n")
        assert await console.process.wait() == 0
        assert await server.connections[-1].wait_closed() == (1000, "")


@in_a_process
async def test_console_ends_with_what_ends_its_session(anyio_backend_name: str) -> None:
    async with (
        graphql_server() as (server, url),
        program(["-m", "examples.console", anyio_backend_name], url) as console,
    ):
        assert "hello NAME" in await console.line()
        await server.connections[0].close(4401, "Unauthorized")
        assert "over: ws://" in await console.line()  # nobody has pressed Enter
        await console.type("")
        output = await console.rest()
        assert "TransportConnectionFailed" in output
        assert "closed with 4401 Unauthorized" in output
        assert await console.process.wait() == 1


# The web application.


#: What serves the application, on asyncio and on trio.
UVICORN = "uvicorn --timeout-graceful-shutdown 1 --fd"
HYPERCORN = "hypercorn --worker-class trio --workers 0 --graceful-timeout 1 --bind"


@asynccontextmanager
async def web_application(
    url: str, runner: str = UVICORN, app: str = "examples.fastapi_app:app"
) -> AsyncGenerator[tuple[httpx.AsyncClient, Program]]:
    """It has its port already: who connects before it is up waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        bound = f"fd://{fd}" if runner == HYPERCORN else str(fd)
        command = ["-m", *runner.split(), bound, app]
        async with program(command, url, pass_fds=[fd]) as application:
            listener.close()
            base_url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as http:
                yield http, application


class Countdown:
    """The lines of a response without an end, read until that is cancelled."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.read_so_far: list[int] = []
        self._http = http
        self._changed = anyio.Event()

    async def read(self) -> None:
        async with self._http.stream("GET", "/countdown") as response:
            async for line in response.aiter_lines():
                self.read_so_far.append(int(line))
                self._changed.set()
                self._changed = anyio.Event()

    async def wait_read(self, count: int) -> None:
        while len(self.read_so_far) < count:
            await self._changed.wait()


async def check_shutdown(application: Program) -> None:
    application.process.send_signal(signal.SIGINT)
    output = await application.rest()
    await application.process.wait()
    assert "Application shutdown complete" in output
    for bad in ("Traceback", "Warning", "never"):
        assert bad not in output, output


@in_a_process
async def test_fastapi_app_while_its_server_restarts() -> None:
    async with graphql_server() as (server, url), web_application(url) as (http, application):
        health = await http.get("/health")
        assert (health.status_code, health.json()["graphql"]) == (200, "connected")
        assert (await http.get("/hello/you")).json() == {"greeting": "Hello you!"}
        failed = await http.get("/fail")
        assert failed.status_code == 502
        assert "this field always fails" in failed.json()["detail"]

        async with anyio.create_task_group() as tg:
            numbers = Countdown(http)
            tg.start_soon(numbers.read)
            await numbers.wait_read(3)
            await server.stop()
            while (health := await http.get("/health")).json()["graphql"] == "connected":
                pass
            assert health.status_code == 503

            answers: list[dict[str, str]] = []

            async def ask(name: str) -> None:
                answers.append((await http.get(f"/hello/{name}")).json())

            async with anyio.create_task_group() as asking:
                for name in ("a", "b", "c"):
                    asking.start_soon(ask, name)  # they wait for the connection
                await server.start()
            assert len(answers) == 3
            assert {"greeting": "Hello b!"} in answers

            while (health := await http.get("/health")).json()["reconnects"] == 0:
                assert health.status_code in {200, 503}
            await numbers.wait_read(len(numbers.read_so_far) + 3)
            tg.cancel_scope.cancel()
        assert numbers.read_so_far == sorted(numbers.read_so_far, reverse=True)
        assert (await http.get("/health")).json() == {"graphql": "connected", "reconnects": 1}
        assert len(server.connections) == 2
        await check_shutdown(application)
        assert await server.connections[-1].wait_closed() == (1000, "")


@in_a_process
async def test_fastapi_app_under_trio() -> None:
    async with graphql_server() as (server, url), web_application(url, HYPERCORN) as (http, _):
        assert (await http.get("/hello/you")).json() == {"greeting": "Hello you!"}
        await server.restart()
        while (await http.get("/health")).json() != {"graphql": "connected", "reconnects": 1}:
            pass
        assert (await http.get("/hello/me")).json() == {"greeting": "Hello me!"}


@in_a_process
async def test_fastapi_app_when_its_session_has_ended() -> None:
    async with graphql_server() as (server, url), web_application(url) as (http, _):
        assert (await http.get("/health")).status_code == 200
        await server.connections[0].close(4401, "Unauthorized")
        while (health := await http.get("/health")).json()["graphql"] != "closed":
            pass
        assert health.status_code == 503
        failed = await http.get("/hello/you")
        assert failed.status_code == 502
        assert "closed with 4401 Unauthorized" in failed.json()["detail"]


@in_a_process
async def test_fastapi_app_with_a_server_of_its_own() -> None:
    started = "Uvicorn running on "
    async with program(["-m", "examples.fastapi_app"], PORT="0") as application:
        while started not in (line := await application.line()):
            assert line.startswith("INFO:"), line
        base_url = line.partition(started)[2].split()[0]
        async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as http:
            assert (await http.get("/hello/you")).json() == {"greeting": "Hello you!"}
            async with anyio.create_task_group() as tg:
                numbers = Countdown(http)
                tg.start_soon(numbers.read)
                await numbers.wait_read(2)
                tg.cancel_scope.cancel()
        await check_shutdown(application)


@in_a_process
@pytest.mark.parametrize("runner", [UVICORN, HYPERCORN], ids=["uvicorn", "hypercorn"])
async def test_fan_out_to_many_clients(runner: str) -> None:
    """Each of them gets values in order, and the GraphQL server has one subscription."""
    from websockets.sync.client import connect

    def values(base_url: str) -> list[int]:
        with connect(base_url.replace("http", "ws", 1) + "/countdown", proxy=None) as websocket:
            return [json.loads(websocket.recv())["value"] for _ in range(3)]

    came: list[list[int]] = []
    async with graphql_server() as (server, url):
        app = "examples.fan_out:app"
        async with web_application(url, runner, app) as (http, _), anyio.create_task_group() as tg:

            async def client() -> None:
                base_url = str(http.base_url)
                came.append(await anyio.to_thread.run_sync(values, base_url))

            for _ in range(5):
                tg.start_soon(client)
        began = [each for each in server.connections[0].received if each["type"] == "subscribe"]
    assert len(began) == 1
    assert len(came) == 5
    for each in came:
        assert each == list(range(each[0], each[0] - 3, -1))
