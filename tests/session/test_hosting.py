"""Sessions of ``connect_async``: held by a task group, or under asyncio by the client."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import logging
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint

from anygql import Client, TransportClosed, TransportConnectionFailed, WebSocketTransport
from anygql.testing import GraphQLServer, PeerConnection, ScriptedPeer
from tests.support.programs import environment

HELLO = "{ hello }"
GREETING = {"hello": "Hello world!"}

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])
trio_only = pytest.mark.parametrize("anyio_backend", ["trio"])


async def until(predicate) -> None:
    while not predicate():
        await checkpoint()


def in_another_thread(function) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


# Owned by the client.


@asyncio_only
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_no_task_group_is_needed(server: GraphQLServer, reconnecting: bool) -> None:
    client = Client(server.transport())
    session = await client.connect_async(reconnecting=reconnecting)
    assert await session.execute(HELLO) == GREETING
    await client.close_async()
    assert session.state == "closed"
    assert await server.connections[0].wait_closed() == (1000, "")
    await client.close_async()


@asyncio_only
async def test_any_task_uses_and_closes_it(server: GraphQLServer) -> None:
    client = Client(server.transport())
    session = await asyncio.create_task(client.connect_async(reconnecting=True))
    assert await asyncio.create_task(session.execute(HELLO)) == GREETING
    await asyncio.create_task(client.close_async())
    with pytest.raises(TransportClosed):
        await session.execute(HELLO)


@asyncio_only
async def test_it_outlives_the_scope_that_opened_it(server: GraphQLServer) -> None:
    client = Client(server.transport())
    with anyio.CancelScope() as scope:
        session = await client.connect_async()
        scope.cancel()
    assert await session.execute(HELLO) == GREETING
    await client.close_async()


@asyncio_only
async def test_errors_of_connecting_are_raised_to_the_caller(connector) -> None:
    client = Client(WebSocketTransport("ws://127.0.0.1:1/", connector=connector))
    with pytest.raises(TransportConnectionFailed):
        await client.connect_async()
    with pytest.raises(TypeError, match="unexpected keyword argument 'reconnect'"):
        await client.connect_async(reconnect=True)  # type: ignore[call-arg]
    await client.close_async()


@asyncio_only
async def test_a_dropped_client_warns_and_closes(server: GraphQLServer) -> None:
    session = await Client(server.transport()).connect_async(reconnecting=True)
    assert await session.execute(HELLO) == GREETING  # the session keeps its client
    held = [session]
    del session
    with pytest.warns(ResourceWarning, match=r"unclosed client of ws://.*close_async"):
        held.clear()
    assert await server.connections[0].wait_closed() == (1000, "")


@asyncio_only
async def test_a_client_dropped_in_another_thread_closes(server: GraphQLServer) -> None:
    held = [await Client(server.transport()).connect_async(reconnecting=True)]
    with pytest.warns(ResourceWarning, match="unclosed client"):
        in_another_thread(held.clear)
    assert await server.connections[0].wait_closed() == (1000, "")


@asyncio_only
async def test_a_closed_client_does_not_warn(server: GraphQLServer) -> None:
    client = Client(server.transport())
    session = await client.connect_async()
    await client.close_async()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del client, session
        gc.collect()


@asyncio_only
async def test_what_ends_it_is_raised_to_calls(
    server: GraphQLServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(server.transport())
    session = await client.connect_async(reconnecting=True)
    waiting = asyncio.create_task(session.execute("{ slow(seconds: 60) }"))
    await server.connections[0].wait_operations(1)
    await server.connections[0].close(4401, "Token expired")
    with pytest.raises(TransportConnectionFailed, match="4401"):
        await waiting
    with pytest.raises(TransportConnectionFailed, match="4401"):
        await session.execute(HELLO)
    await client.close_async()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@asyncio_only
async def test_what_ends_it_is_logged_once_if_nobody_asks(
    server: GraphQLServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(server.transport())
    session = await client.connect_async(reconnecting=True)
    await server.connections[0].close(4401, "Token expired")
    await session.wait_closed()
    await client.close_async()
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "4401 Token expired" in record.getMessage()
    del session, client
    gc.collect()


@trio_only
async def test_trio_needs_a_nursery(server: GraphQLServer) -> None:
    client = Client(server.transport())
    with pytest.raises(TypeError, match=r"nursery.*connect_async\(nursery"):
        await client.connect_async(reconnecting=True)
    with pytest.raises(TypeError, match="nursery"):
        await client.connect_async(asyncio.TaskGroup())
    assert server.connections == []


# Owned by an asyncio.TaskGroup.


@asyncio_only
async def test_in_an_asyncio_task_group(server: GraphQLServer) -> None:
    client = Client(server.transport())
    async with asyncio.TaskGroup() as task_group:
        session = await client.connect_async(task_group, reconnecting=True)
        assert await session.execute(HELLO) == GREETING
        await client.close_async()
    assert await server.connections[0].wait_closed() == (1000, "")


@asyncio_only
async def test_what_ends_it_is_raised_in_an_asyncio_task_group(server: GraphQLServer) -> None:
    client = Client(server.transport())
    with pytest.RaisesGroup(pytest.RaisesExc(TransportConnectionFailed, match="4401")):
        async with asyncio.TaskGroup() as task_group:
            await client.connect_async(task_group, reconnecting=True)
            await server.connections[0].close(4401, "Token expired")
            await anyio.sleep_forever()


@asyncio_only
async def test_errors_of_connecting_leave_the_asyncio_task_group_alone() -> None:
    client = Client("ws://127.0.0.1:1/")
    async with asyncio.TaskGroup() as task_group:
        with pytest.raises(TransportConnectionFailed):
            await client.connect_async(task_group)
        await checkpoint()


@asyncio_only
async def test_a_task_group_that_is_over(server: GraphQLServer) -> None:
    client = Client(server.transport())
    task_group = asyncio.TaskGroup()
    with pytest.raises(RuntimeError, match="not been entered"):
        await client.connect_async(task_group)
    await client.close_async()


# Ended while it connects.


@asynccontextmanager
async def silent_peer() -> AsyncIterator[tuple[ScriptedPeer, anyio.Event, anyio.Event]]:
    """A peer that never acknowledges; tells when it was asked to, and when that was given up."""
    asked, gone = anyio.Event(), anyio.Event()

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        asked.set()
        await conn.wait_eof()
        gone.set()

    async with ScriptedPeer(script) as peer:
        yield peer, asked, gone


async def test_close_async_cancels_a_connect_async(brief: None) -> None:
    async with silent_peer() as (peer, asked, gone):
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with anyio.create_task_group() as tg:

            async def connect() -> None:
                with pytest.raises(TransportClosed, match="close_async"):
                    await client.connect_async(tg, reconnecting=True)

            tg.start_soon(connect)
            await asked.wait()
            await client.close_async()
            await gone.wait()


async def test_close_async_at_any_moment_of_a_connect_async(server: GraphQLServer) -> None:
    """The session is closed, or there never is one."""
    outcomes: list[str] = []
    for turns in range(2, 42):  # by the second, it has begun
        client = Client(server.transport())
        async with anyio.create_task_group() as tg:

            async def connect(client: Client = client, tg: Any = tg) -> None:
                try:
                    session = await client.connect_async(tg)
                except TransportClosed:
                    outcomes.append("none")
                else:
                    await session.wait_closed()
                    outcomes.append(session.state)

            tg.start_soon(connect)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            await client.close_async()
    assert len(outcomes) == 40
    assert set(outcomes) == {"none", "closed"}


@asyncio_only
@pytest.mark.parametrize("owner", ["client", "asyncio.TaskGroup"])
async def test_close_async_cancels_a_connect_async_under_asyncio(owner: str, brief: None) -> None:
    async with silent_peer() as (peer, asked, gone), asyncio.TaskGroup() as task_group:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        of_group = task_group if owner == "asyncio.TaskGroup" else None
        connecting = asyncio.create_task(client.connect_async(of_group, reconnecting=True))
        await asked.wait()
        await client.close_async()
        with pytest.raises(TransportClosed, match="close_async"):
            await connecting
        await gone.wait()


@asyncio_only
@pytest.mark.parametrize("native", [False, True])
async def test_canceled_while_connecting_it_leaves_nothing(native: bool, brief: None) -> None:
    async with silent_peer() as (peer, asked, gone):
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        if native:
            connecting = asyncio.create_task(client.connect_async(reconnecting=True))
            await asked.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        else:
            async with anyio.create_task_group() as tg:
                tg.start_soon(client.connect_async)
                await asked.wait()
                tg.cancel_scope.cancel()
        await gone.wait()


# Threads.


async def test_a_client_shared_by_loops_closes_its_own(server: GraphQLServer) -> None:
    """A thread with a loop of the other kind has a session of the same client."""
    url = await server.listen()
    client = Client(url)
    opened, close = threading.Event(), threading.Event()
    outcome: list[object] = []

    async def other() -> None:
        async with anyio.create_task_group() as tg:
            session = await client.connect_async(tg, reconnecting=True)
            outcome.append(await session.execute(HELLO))
            opened.set()
            await anyio.to_thread.run_sync(close.wait, abandon_on_cancel=True)
            outcome.append(await session.execute(HELLO))
            await client.close_async()
            outcome.append(session.state)

    def run(backend: str) -> None:
        try:
            anyio.run(other, backend=backend)
        except BaseException as exc:
            outcome.append(exc)
            opened.set()

    for backend in ("asyncio", "trio"):
        outcome.clear()
        opened.clear()
        close.clear()
        thread = threading.Thread(target=run, args=[backend])
        thread.start()
        async with anyio.create_task_group() as tg:
            session = await client.connect_async(tg, reconnecting=True)
            await anyio.to_thread.run_sync(opened.wait)
            assert await session.execute(HELLO) == GREETING
            await client.close_async()
            assert session.state == "closed"
            close.set()
            await anyio.to_thread.run_sync(thread.join)
        assert outcome == [GREETING, GREETING, "closed"]


# Where a task group can't be.


def run_program(*arguments: str, cwd: Path, text: str | None = None) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    return done.stdout, done.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("pytest_asyncio") is None, reason="needs pytest-asyncio"
)
def test_in_a_fixture_of_pytest_asyncio(tmp_path: Path) -> None:
    source = """
        import pytest
        import pytest_asyncio
        from anygql import Client
        from anygql.testing import GraphQLServer, demo_schema


        @pytest_asyncio.fixture
        async def session():
            async with GraphQLServer(demo_schema()) as server:
                client = Client(await server.listen())
                yield await client.connect_async(reconnecting=True)
                await client.close_async()


        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def shared():
            async with GraphQLServer(demo_schema()) as server:
                client = Client(await server.listen())
                yield await client.connect_async(reconnecting=True)
                await client.close_async()


        @pytest.mark.asyncio
        async def test_a_query(session):
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}


        @pytest.mark.asyncio
        async def test_a_subscription(session):
            async with session.subscribe("subscription { countdown }") as events:
                assert [event["countdown"] async for event in events] == [3, 2, 1, 0]


        @pytest.mark.asyncio(loop_scope="module")
        @pytest.mark.parametrize("number", [1, 2])
        async def test_one_session_for_the_module(shared, number):
            assert await shared.execute("{ hello }") == {"hello": "Hello world!"}


        @pytest.mark.asyncio
        async def test_in_another_loop_than_its_fixture_s(shared):
            with pytest.raises(RuntimeError, match="another event loop"):
                await shared.execute("{ hello }")
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(source))
    out, err = run_program(
        *("-m", "pytest", "-q", "-W", "error", "-p", "no:anyio"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
        cwd=tmp_path,
    )
    assert "5 passed" in out, out + err


async def test_in_the_repl(server: GraphQLServer, tmp_path: Path) -> None:
    """``python -m asyncio``: each line runs in a task of its own."""
    lines = f"""
        from anygql import Client
        client = Client({await server.listen()!r})
        session = await client.connect_async(reconnecting=True)
        await session.execute("{{ hello }}")
        session.state
        await client.close_async()
        session.state
    """
    out, err = await anyio.to_thread.run_sync(
        lambda: run_program("-m", "asyncio", cwd=tmp_path, text=textwrap.dedent(lines))
    )
    said = out.replace(">>> ", "").split("\n")
    assert "{'hello': 'Hello world!'}" in said, out + err
    assert said.index("'connected'") < said.index("'closed'")
    assert "Error" not in err
    assert "Warning" not in err


@asyncio_only
async def test_in_the_lifespan_of_fastapi(server: GraphQLServer) -> None:
    from fastapi import FastAPI

    client = Client(server.transport())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.session = await client.connect_async(reconnecting=True)
        yield
        await client.close_async()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def greet() -> dict[str, str]:
        data: dict[str, str] = await app.state.session.execute(HELLO)
        return data

    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            assert (await http.get("/")).json() == GREETING
    assert await server.connections[0].wait_closed() == (1000, "")


LEFT_OPEN = """
    import asyncio
    from anygql import Client

    async def main(url):
        global client
        client = Client(url)
        session = await client.connect_async(reconnecting=True)
        print(await session.execute("{ hello }"))
        asyncio.create_task(session.execute("{ slow(seconds: 60) }"))
        await asyncio.sleep(0)

    import sys
    asyncio.run(main(sys.argv[1]))
"""


async def test_a_loop_that_ends_with_a_session_open(server: GraphQLServer, tmp_path: Path) -> None:
    """``asyncio.run`` cancels what is left: the session ends, and nothing else is said."""
    (tmp_path / "left_open.py").write_text(textwrap.dedent(LEFT_OPEN))
    url = await server.listen()
    out, err = await anyio.to_thread.run_sync(
        lambda: run_program("-W", "error", "left_open.py", url, cwd=tmp_path)
    )
    assert (out.strip(), err) == (str(GREETING), "")
    await server.connections[0].wait_closed()
