"""What a user sees of an error: their own frames, and what happened."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from anygql import Client, TransportConnectionFailed, TransportQueryError, WebSocketTransport
from anygql.session.tracebacks import shorten_traceback
from anygql.testing import GraphQLServer
from tests.support.programs import Forker

#: The traceback of the first error that everybody meets has no more lines than this.
LINES = 25

PROGRAM = """
import sys
import anyio
import tenacity
from anygql import Client


async def main():
    client = Client("{url}")
    {body}


{run}
"""

ENTER = "async with client: ..."
CONNECT = "async with client.connect(): ..."
POLICY = """policy = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(2))
    async with client.connect(reconnecting=True, retry_connect=policy): ..."""
CONNECT_ASYNC = """async with anyio.create_task_group() as tg:
        await client.connect_async(tg)"""
LAZY = """async with client.connect(reconnecting=True, lazy=True) as session:
        await session.execute("{ a }", timeout=0.1)"""
EXECUTE = 'async with client as session: await session.execute("{ a }")'
SUBSCRIBE = """async with client as session:
        async with session.subscribe("subscription { a }") as events:
            async for event in events: ..."""
ITERATE = """async with client as session:
        async for event in session.subscribe("subscription { a }"): ..."""

RUNS = [
    "import asyncio; asyncio.run(main())",
    "import trio; trio.run(main)",
    'anyio.run(main, backend="asyncio")',
    'anyio.run(main, backend="trio")',
]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens."""
    with socket.socket() as bound:  # bound, so that nothing else can listen on it
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def error_of(forker: Forker, program: str, **environment: str) -> list[str]:
    """Run a program that ends with an error, and return the lines that it prints."""
    ran = forker.run(program, **environment)
    assert ran.returncode == 1
    # Newer CPythons mark the place in more of the lines; the marks are no frames.
    return [line for line in ran.stderr.splitlines() if line.strip("~^ |") or "^" not in line]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    ("scheme", "body"),
    [
        ("ws", ENTER),
        ("ws", CONNECT),
        ("ws", POLICY),
        ("http", EXECUTE),
        ("http", SUBSCRIBE),
        ("http", ITERATE),
    ],
)
def test_the_server_is_not_up(
    forker: Forker, closed_port: int, scheme: str, body: str, run: str
) -> None:
    url = f"{scheme}://127.0.0.1:{closed_port}/graphql"
    program = PROGRAM.format(url=url, body=body, run=run)
    lines = error_of(forker, program)
    assert len(lines) <= LINES, "\n".join(lines)
    assert lines[-1].startswith(f"anygql.TransportConnectionFailed: can't connect to {url}")
    assert "The above exception was the direct cause of the following exception:" in lines
    assert not [line for line in lines if "/anygql/" in line]


@pytest.mark.parametrize("run", RUNS)
def test_no_connection_in_time(forker: Forker, closed_port: int, run: str) -> None:
    url = f"ws://127.0.0.1:{closed_port}/graphql"
    lines = error_of(forker, PROGRAM.format(url=url, body=LAZY, run=run))
    assert len(lines) <= LINES, "\n".join(lines)
    assert lines[-1].startswith(f"anygql.TransportTimeout: {url}: no connection for the query")
    assert not [line for line in lines if "/anygql/" in line]


@pytest.mark.parametrize("run", RUNS)
def test_the_server_is_not_up_in_the_callers_task_group(
    forker: Forker, closed_port: int, run: str
) -> None:
    """The group is the caller's, and so are its frames: our part of them is the error in it."""
    url = f"ws://127.0.0.1:{closed_port}/graphql"
    lines = error_of(forker, PROGRAM.format(url=url, body=CONNECT_ASYNC, run=run))
    assert not [line for line in lines if "/anygql/" in line]
    begin = next(at for at, line in enumerate(lines) if line.startswith("  +-+--"))
    ours = [line.strip("+-| ") for line in lines[begin + 1 :]]
    assert ours[0].startswith("ConnectionRefusedError: ")  # the cause is kept
    assert [line for line in ours if line.startswith("File")] == ours[5:6]
    assert ours[5].endswith(", in main")
    assert ours[6].startswith(f"anygql.TransportConnectionFailed: can't connect to {url}")
    assert set(ours[7:]) <= {"-" * 36, ""}


def test_full_tracebacks_can_be_had(forker: Forker, closed_port: int) -> None:
    url = f"ws://127.0.0.1:{closed_port}/graphql"
    program = PROGRAM.format(url=url, body=ENTER, run=RUNS[0])
    assert len(error_of(forker, program, ANYGQL_FULL_TRACEBACKS="0")) <= LINES
    full = error_of(forker, program, ANYGQL_FULL_TRACEBACKS="1")
    assert len(full) > LINES
    assert [line for line in full if "dial.py" in line]


def frames_of(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


async def test_the_frames_of_a_users_function_stay(server: GraphQLServer) -> None:
    async def fetch_token() -> dict[str, str]:
        raise TransportConnectionFailed("no token to be had")

    url = await server.listen()
    with pytest.raises(TransportConnectionFailed, match="no token") as caught:
        async with Client(WebSocketTransport(url, headers=fetch_token)):
            ...
    assert frames_of(caught.value) == [
        "test_the_frames_of_a_users_function_stay",
        "fetch_token",
    ]


async def test_errors_of_answers_have_the_callers_frames_only(memory: Client) -> None:
    name = "test_errors_of_answers_have_the_callers_frames_only"
    async with memory as session:
        calls: list[Any] = [
            lambda: session.execute("{ fail }"),
            lambda: session.execute_batch(["{ fail }"]),
        ]
        for call in calls:
            with pytest.raises(TransportQueryError) as caught:
                await call()
            assert frames_of(caught.value) == [name]
        subscription = session.subscribe("subscription { failing(after: 0) }")
        async with subscription as events:
            with pytest.raises(TransportQueryError) as caught:
                await events.receive()
            assert frames_of(caught.value) == [name]


async def test_an_error_of_the_body_keeps_its_traceback(memory: Client) -> None:
    def fail() -> None:
        raise TransportConnectionFailed("mine")

    with pytest.raises(TransportConnectionFailed, match="mine") as caught:
        async with memory.connect():
            fail()
    assert frames_of(caught.value) == ["test_an_error_of_the_body_keeps_its_traceback", "fail"]


async def test_each_waiting_task_gets_its_own(server: GraphQLServer, memory: Client) -> None:
    errors: list[BaseException] = []

    async def wait(session: Any) -> None:
        try:
            await session.execute("{ slow(seconds: 60) }", timeout=None)
        except TransportConnectionFailed as error:
            errors.append(error)

    async with memory as session, anyio.create_task_group() as tg:
        for _ in range(2):
            tg.start_soon(wait, session)
        await server.connections[0].wait_operations(2)
        server.connections[0].reset()
    assert [frames_of(error) for error in errors] == [["wait"], ["wait"]]


def chain(length: int, *, same: bool) -> TransportConnectionFailed:
    """An error with so many causes, which say the same as each other or something else."""
    error = TransportConnectionFailed("lost")
    link: BaseException = error
    for number in range(length):
        link.__cause__ = OSError("as ever" if same else f"cause {number}")
        link = link.__cause__
    return error


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("length", [3, 16, 17, 40])
def test_many_causes(length: int, same: bool) -> None:
    """Each is kept, but for those that say the same; only so many are looked at."""
    error = chain(length, same=same)
    shorten_traceback(error)
    kept = 0
    link = error.__cause__
    while link is not None:
        kept += 1
        link = link.__cause__
    assert kept == (-(-length // 17) if same else length)
