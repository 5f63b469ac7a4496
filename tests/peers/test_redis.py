"""The programs of docs/recipes/redis.md, with a real Redis: each is killed, and nothing is lost."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
import redis as client
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from graphql import GraphQLSchema, build_schema

from anygql.testing import GraphQLServer
from tests.peers.debian import redis
from tests.support.paths import ROOT
from tests.support.programs import environment

pytestmark = [
    # The programs say what runs them, in processes of their own.
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.skipif(sys.platform == "win32", reason="Debian's Redis"),
]

PAGE = ROOT / "docs" / "recipes" / "redis.md"
BLOCK = re.compile(r"^```python redis-(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
(FOLLOW,) = (source for role, source in PROGRAMS if role == "follow")
READ, READ_UNDER_TRIO = (source for role, source in PROGRAMS if role == "read")

SDL = """
    type Query { ok: Boolean }
    type Order { number: Int! total: Int! }
    type Subscription { orders(after: Int!): Order! }
"""


def shop() -> GraphQLSchema:
    """Return the schema of the server upstream, which sends an order in 10 ms."""
    schema = build_schema(SDL)

    async def orders(_root: Any, _info: Any, after: int) -> AsyncIterator[dict[str, Any]]:
        for number in range(after + 1, 10_000):
            yield {"orders": {"number": number, "total": 10 * number}}
            await anyio.sleep(0.01)

    fields: Any = schema.type_map["Subscription"]
    fields.fields["orders"].subscribe = orders
    return schema


class Running:
    """A process of the recipe."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._output = BufferedByteReceiveStream(process.stdout)

    async def numbers(self, last: int) -> list[int]:
        """Return the numbers that a reader prints, up to one of them."""
        found: list[int] = []
        while not found or found[-1] < last:
            found.append(int(await self._output.receive_until(b"\n", 100)))
        return found

    async def kill(self) -> list[int]:
        """Return the numbers that it has printed meanwhile."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        found: list[int] = []
        with suppress(anyio.EndOfStream, anyio.IncompleteRead):
            while True:
                found.append(int(await self._output.receive_until(b"\n", 100)))
        return found


class Fleet:
    """Starts the programs of the page, for one Redis and one server upstream."""

    def __init__(self, redis_url: str, upstream: str) -> None:
        self._places = {
            "redis://localhost:6379": redis_url,
            "localhost:8000": urlsplit(upstream).netloc,
        }

    def command(self, source: str, *arguments: str) -> list[str]:
        for shown, real in self._places.items():
            source = source.replace(shown, real)
        return [sys.executable, "-W", "error", "-c", source, *arguments]

    @asynccontextmanager
    async def run(self, source: str, *arguments: str) -> AsyncGenerator[Running]:
        command = self.command(source, *arguments)
        async with await anyio.open_process(command, env=environment(), stderr=None) as process:
            try:
                yield Running(process)
            finally:
                if process.returncode is None:
                    process.kill()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@asynccontextmanager
async def fleet(redis_url: str) -> AsyncGenerator[tuple[Fleet, GraphQLServer]]:
    with client.from_url(redis_url) as db:
        db.flushall()
    async with GraphQLServer(shop()) as server:
        yield Fleet(redis_url, await server.listen()), server


async def test_nothing_is_lost_when_any_of_them_dies(redis_url: str, anyio_backend: str) -> None:
    async with fleet(redis_url) as (programs, server):
        async with programs.run(READ, "a") as reader, programs.run(FOLLOW) as follower:
            seen = await reader.numbers(5)
            seen += await reader.kill()
            await server.restart()
            async with programs.run(READ, "a") as again:
                # It was killed after it had printed, and perhaps before it had stored its cursor.
                seen_again = await again.numbers(seen[-1] + 20)
                assert seen_again[0] in {seen[-1], seen[-1] + 1}
                await follower.kill()
                async with programs.run(FOLLOW), programs.run(READ_UNDER_TRIO, "b") as other:
                    last = seen_again[-1] + 20
                    seen_again += await again.numbers(last)
                    assert await other.numbers(last) == list(range(1, last + 1))
        assert seen == list(range(1, seen[-1] + 1))
        assert seen_again == list(range(seen_again[0], last + 1))


async def test_a_second_follower_stores_nothing_twice(redis_url: str, anyio_backend: str) -> None:
    async with fleet(redis_url) as (programs, server):
        async with programs.run(FOLLOW), programs.run(FOLLOW), programs.run(READ, "a") as reader:
            await server.wait_connection(2)
            assert await reader.numbers(30) == list(range(1, 31))


@pytest.mark.parametrize("source", [READ, READ_UNDER_TRIO], ids=["asyncio", "trio"])
async def test_a_reader_that_was_away_for_too_long_says_so(
    source: str, redis_url: str, anyio_backend: str
) -> None:
    async with fleet(redis_url) as (programs, _):
        with client.from_url(redis_url) as db:
            for number in range(1, 10):
                db.xadd("orders", {"number": number}, id=f"{number}-0")
            db.set("orders:a", "3-0")
            db.xtrim("orders", maxlen=6, approximate=False)  # the next one is there, 3 is not
        done = await anyio.run_process(
            programs.command(source, "a"), env=environment(), check=False
        )
        assert done.returncode == 1
        assert b"LookupError: a was away for longer" in done.stderr
        assert not done.stdout
