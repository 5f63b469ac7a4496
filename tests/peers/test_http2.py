"""HTTP/2, by the user's own client, with a server that speaks it; and HTTP/1.1 by ours."""

from __future__ import annotations

import itertools
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme

from anygql import Client, FileVar, HTTPTransport, Session, TransportQueryError
from tests.peers.run import ARGUMENTS, ROOT, Server, listening
from tests.support.pools import in_use

SLOW = "query ($tag: String!) { slow(seconds: 5, tag: $tag) }"
ACTIVE = "query ($tag: String!) { active(tag: $tag) }"
ONE_EVENT = "subscription ($tag: String!) { countdown(from: 2, interval: 60, tag: $tag) }"
UPLOAD = "mutation ($files: [Upload!]!) { upload(files: $files) }"


_tags = itertools.count(1)


@pytest.fixture
def tag() -> str:
    """What the server knows this test's operations by."""
    return f"test {next(_tags)}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module", params=["strawberryhttp", "ariadnehttp"])
def url(
    request: pytest.FixtureRequest, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """Hypercorn, which offers HTTP/2 by ALPN where there is TLS."""
    files = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("127.0.0.1")
    key, chain, log = files / "key.pem", files / "chain.pem", files / "server.log"
    certificate.private_key_pem.write_to_path(str(key))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(chain), append=True)
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        output = stack.enter_context(log.open("wb"))
        command = [
            *(sys.executable, "-m", "hypercorn", f"tests.peers.{request.param}_app:app"),
            *ARGUMENTS["hypercorn"].format(fd=listener.fileno()).split(),
            *("--certfile", str(chain), "--keyfile", str(key)),
        ]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        port = listener.getsockname()[1]
        stack.callback(Server(request.param, "hypercorn", port, process, log).stop)
        yield f"https://127.0.0.1:{port}/"


class Spoken:
    """What was said on a client's connections, as its hooks saw it."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        #: Of the requests, in order.
        self.headers: list[httpx.Headers] = []
        self.client: httpx.AsyncClient

    async def asked(self, request: httpx.Request) -> None:
        self.headers.append(request.headers)

    async def answered(self, response: httpx.Response) -> None:
        self.versions.append(response.http_version)

    @property
    def connections(self) -> int:
        pool: Any = self.client._transport._pool  # type: ignore[attr-defined]
        return len(pool.connections)


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def talking(tls: ssl.SSLContext, url: str) -> AsyncIterator[tuple[Session, Spoken]]:
    """A session that has spoken nothing but HTTP/2 when it is over, on one connection."""
    it = Spoken()
    hooks = {"request": [it.asked], "response": [it.answered]}
    async with (
        httpx.AsyncClient(http2=True, verify=tls, timeout=30, event_hooks=hooks) as it.client,
        Client(HTTPTransport(url, client=it.client)) as session,
    ):
        yield session, it
        assert in_use(it.client) == []
        assert it.connections == 1
    assert it.versions
    assert set(it.versions) == {"HTTP/2"}


@pytest.fixture
async def spoken(
    tls: ssl.SSLContext, url: str, no_tasks_left: None
) -> AsyncIterator[tuple[Session, Spoken]]:
    with anyio.fail_after(50):
        async with talking(tls, url) as it:
            yield it


async def until_active(session: Session, tag: str, count: int) -> None:
    """Until so many operations with the tag run on the server."""
    while await session.execute(ACTIVE, {"tag": tag}) != {"active": count}:
        await anyio.sleep(0.02)


async def test_queries_and_mutations(spoken: tuple[Session, Spoken]) -> None:
    session, _ = spoken
    query = "query ($name: String!) { hello(name: $name) }"
    assert await session.execute(query, {"name": "é"}) == {"hello": "Hello, é!"}
    before = (await session.execute("{ counter }"))["counter"]
    assert await session.execute("mutation { increment(by: 2) }") == {"increment": before + 2}
    with pytest.raises(TransportQueryError, match="as asked"):
        await session.execute("{ fail }")


async def test_concurrent_queries_share_one_connection(spoken: tuple[Session, Spoken]) -> None:
    session, it = spoken
    await session.execute("{ hello }")  # so that the connection is there, and known to be HTTP/2
    answered: list[int] = []

    async def ask(n: int) -> None:
        data = await session.execute(f"{{ slow(seconds: 0.05) add(a: {n}, b: 1) }}")
        assert data == {"slow": "after 0.05 s", "add": n + 1}
        answered.append(n)

    async with anyio.create_task_group() as tg:
        for n in range(50):
            tg.start_soon(ask, n)
    assert sorted(answered) == list(range(50))
    assert it.connections == 1


async def test_a_cancelled_query_leaves_the_others_alone(
    spoken: tuple[Session, Spoken], tls: ssl.SSLContext, url: str, tag: str
) -> None:
    observer, _ = spoken
    async with talking(tls, url) as (session, it):
        await session.execute("{ hello }")
        finished = anyio.Event()

        async def other() -> None:
            assert await session.execute("{ slow(seconds: 0.25) }") == {"slow": "after 0.25 s"}
            finished.set()

        async def cancel(scope: anyio.CancelScope) -> None:
            await until_active(observer, tag, 1)
            scope.cancel()

        async with anyio.create_task_group() as tg:
            tg.start_soon(other)
            with anyio.CancelScope() as scope:
                tg.start_soon(cancel, scope)
                await session.execute(SLOW, {"tag": tag}, timeout=None)
            assert scope.cancelled_caught
        assert finished.is_set()
        assert in_use(it.client) == []
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


async def test_a_subscription(spoken: tuple[Session, Spoken]) -> None:
    session, it = spoken
    async with session.subscribe("subscription { countdown(from: 3) }") as events:
        assert [data async for data in events] == [{"countdown": n} for n in (3, 2, 1)]
    assert "text/event-stream" in it.headers[0]["accept"]


async def test_a_subscription_beside_queries(
    spoken: tuple[Session, Spoken], tls: ssl.SSLContext, url: str, tag: str
) -> None:
    observer, _ = spoken
    async with talking(tls, url) as (session, it):
        async with session.subscribe(ONE_EVENT, {"tag": tag}) as events:
            assert await events.receive() == {"countdown": 2}
            for _ in range(3):
                assert await session.execute(ACTIVE, {"tag": tag}) == {"active": 1}
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        assert it.connections == 1
    # The client tells the server of no end but the connection's: it sends no RST_STREAM.
    await until_active(observer, tag, 0)


async def test_a_subscription_that_is_left_in_a_flood(spoken: tuple[Session, Spoken]) -> None:
    session, _ = spoken
    for _ in range(3):
        async with session.subscribe("subscription { flood(count: 5000) }") as events:
            assert await events.receive() == {"flood": 0}
    assert await session.execute("{ hello }") == {"hello": "Hello, world!"}


async def test_uploads(spoken: tuple[Session, Spoken], tmp_path: Path) -> None:
    session, it = spoken

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000  # in all, far more than a stream's first window

    path = tmp_path / "a.txt"
    path.write_bytes(b"0" * 300_000)
    known = [FileVar(path), FileVar(b"", filename="c")]
    assert await session.execute(UPLOAD, {"files": known}) == {
        "upload": ["a.txt text/plain 300000", "c application/octet-stream 0"]
    }
    # HTTP/2 forbids the header that frames a body of unknown size in HTTP/1.1 (RFC 9113 §8.2.2):
    # a server that got it would have to refuse the request.
    unknown = [FileVar(pieces(), filename="b.bin")]
    assert await session.execute(UPLOAD, {"files": unknown}) == {
        "upload": ["b.bin application/octet-stream 2000000"]
    }
    assert ["content-length" in headers for headers in it.headers] == [True, False]


async def test_our_own_client_speaks_http_1_1(
    tls: ssl.SSLContext, url: str, tag: str, no_tasks_left: None
) -> None:
    async with Client(HTTPTransport(url, ssl=tls)) as session:
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        files = [FileVar(b"0" * 300_000, filename="a")]
        data = await session.execute(UPLOAD, {"files": files})
        assert data == {"upload": ["a application/octet-stream 300000"]}
        async with session.subscribe(ONE_EVENT, {"tag": tag}) as events:
            assert await events.receive() == {"countdown": 2}
            await until_active(session, tag, 1)
        await until_active(session, tag, 0)
