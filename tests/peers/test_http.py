"""Strawberry and Ariadne over HTTP, under uvicorn and hypercorn."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    Session,
    TransportConnectionFailed,
    TransportQueryError,
)
from tests.peers.run import Server
from tests.support.pools import held_by

pytestmark = [pytest.mark.over_http, pytest.mark.table]

STRAWBERRY = ("strawberryhttp-uvicorn", "strawberryhttp-hypercorn")
ARIADNE = ("ariadnehttp-uvicorn", "ariadnehttp-hypercorn")

HELLO = "query ($name: String!) { hello(name: $name) }"
COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from) }"
ONE_EVENT = "subscription ($tag: String!) { countdown(from: 2, interval: 60, tag: $tag) }"
UPLOAD = "mutation ($files: [Upload!]!) { upload(files: $files) }"


def at(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", names, indirect=True)


everywhere = at(*STRAWBERRY, *ARIADNE)


def url_of(server: Server, path: str = "") -> str:
    return f"http://127.0.0.1:{server.port}/{path}"


@pytest.fixture
async def session(server: Server, bounded: None) -> AsyncIterator[Session]:
    async with Client(url_of(server)) as session:
        yield session


@everywhere
async def test_queries_and_mutations(session: Session) -> None:
    assert await session.execute(HELLO, {"name": "é"}) == {"hello": "Hello, é!"}
    before = (await session.execute("{ counter }"))["counter"]
    assert await session.execute("mutation { increment(by: 2) }") == {"increment": before + 2}


@everywhere
async def test_get(server: Server) -> None:
    transport = HTTPTransport(url_of(server), use_get_for_queries=True)
    async with Client(transport) as session:
        assert await session.execute(HELLO, {"name": "you"}) == {"hello": "Hello, you!"}


@everywhere
async def test_errors(session: Session, server: Server) -> None:
    result = await session.execute_result("{ hello fail }")
    assert result.data == {"hello": "Hello, world!", "fail": None}
    assert result.errors is not None
    assert result.errors[0]["message"] == "as asked"
    # An operation that isn't valid: 400 and plain JSON from Ariadne, 200 from Strawberry.
    with pytest.raises(TransportQueryError, match="nothing") as caught:
        await session.execute("{ nothing }")
    assert caught.value.code == (400 if server.framework == "ariadnehttp" else 200)
    assert "content-type" in caught.value.headers


@at(*STRAWBERRY)
async def test_batches(server: Server, session: Session) -> None:
    batch = ["{ hello }", "{ add(a: 1, b: 2) }"]
    assert await session.execute_batch(batch) == [{"hello": "Hello, world!"}, {"add": 3}]
    async with (
        Client(url_of(server), batch_interval=0.02) as batching,
        anyio.create_task_group() as tg,
    ):
        for _ in range(25):
            tg.start_soon(batching.execute, "{ hello }")


@at(*ARIADNE)
async def test_a_server_without_batches(session: Session) -> None:
    with pytest.raises(TransportQueryError) as caught:
        await session.execute_batch(["{ hello }", "{ hello }"])
    assert caught.value.code == 400


@everywhere
async def test_uploads(session: Session, tmp_path: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 100_000

    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789")
    files = [FileVar(path), FileVar(pieces(), filename="b.bin"), FileVar(b"", filename="c")]
    assert (await session.execute(UPLOAD, {"files": files}))["upload"] == [
        "a.txt text/plain 10",
        "b.bin application/octet-stream 1000000",
        "c application/octet-stream 0",
    ]


@everywhere
async def test_a_subscription(session: Session) -> None:
    async with session.subscribe(COUNTDOWN, {"from": 3}) as events:
        assert [data async for data in events] == [{"countdown": n} for n in (3, 2, 1)]


@at(*STRAWBERRY)
async def test_a_multipart_subscription(server: Server) -> None:
    async with (
        Client(url_of(server, "multipart")) as session,
        session.subscribe(COUNTDOWN, {"from": 3}) as events,
    ):
        assert [data async for data in events] == [{"countdown": n} for n in (3, 2, 1)]


@everywhere
async def test_leaving_a_subscription_stops_it(session: Session, tag: str) -> None:
    async def active() -> int:
        query = "query ($tag: String!) { active(tag: $tag) }"
        return int((await session.execute(query, {"tag": tag}))["active"])

    async with session.subscribe(ONE_EVENT, {"tag": tag}) as events:
        assert await events.receive() == {"countdown": 2}
        assert await active() == 1
    while await active():
        await anyio.sleep(0.05)


@at(STRAWBERRY[0], ARIADNE[0])
async def test_a_failing_source(session: Session) -> None:
    async with session.subscribe("subscription { failing }") as events:
        assert await events.receive() == {"failing": 1}
        assert await events.receive() == {"failing": 2}
        with pytest.raises((TransportQueryError, TransportConnectionFailed)):
            await events.receive()


@at(*STRAWBERRY)
async def test_defer(session: Session) -> None:
    query = "{ person { name ... @defer { age } } }"
    whole = {"person": {"name": "Ada", "age": 7}}
    assert await session.execute(query) == whole
    async with session.execute_incremental(query) as states:
        assert [state async for state in states][-1] == whole


@at(*STRAWBERRY)
async def test_stream(session: Session) -> None:
    query = "{ letters @stream(initialCount: 1) }"
    assert await session.execute(query) == {"letters": ["a", "b", "c"]}


@everywhere
async def test_requests_that_are_cancelled_at_random(server: Server) -> None:
    transport = HTTPTransport(url_of(server), max_connections=20)
    async with Client(transport, execute_timeout=None) as session:
        done = 0

        async def run(cancel: bool) -> None:
            nonlocal done
            with anyio.move_on_after(random.uniform(0, 0.3) if cancel else None):
                data = await session.execute("{ slow(seconds: 0.02) }")
                assert data == {"slow": "after 0.02 s"}
                done += 1

        async with anyio.create_task_group() as tg:
            for number in range(100):
                tg.start_soon(run, number % 4 == 0)
        assert done >= 75
        async with anyio.create_task_group() as tg:
            for _ in range(40):
                tg.start_soon(run, False)
        assert held_by(session) == []
