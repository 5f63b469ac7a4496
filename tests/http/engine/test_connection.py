"""One connection: what is sent, what comes, and what a connection is good for afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from anygql.http.engine.connection import KEEP_FOR, Connection, ConnectionLost
from anygql.http.engine.target import Origin
from anygql.net.errors import NotHTTP
from anygql.net.streams import CHUNK
from tests.support.fake_stream import FakeStream

pytestmark = pytest.mark.parametrize("anyio_backend", ["virtual asyncio"], indirect=True)

ORIGIN = Origin(False, "x", 80)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RESET = ConnectionResetError(104, "reset")
PIPE = BrokenPipeError(32, "pipe")


def connection(stream: FakeStream) -> Connection:
    return Connection(stream, ORIGIN)


async def body_of(it: Connection) -> bytes:
    body = b""
    while (piece := await it.read()) is not None:
        body += piece
    return body


async def asked(it: Connection) -> tuple[int, bytes]:
    head = await it.request(REQUEST)
    return head.status, await body_of(it)


async def test_one_after_the_other() -> None:
    stream = FakeStream(OK, OK, OK[:20], OK[20:])
    it = connection(stream)
    for number in range(1, 4):
        assert await asked(it) == (200, b"ok")
        assert it.is_reusable
        assert stream.sent == REQUEST * number
    assert it.is_alive()


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (b"", KEEP_FOR),
        (b"Keep-Alive: timeout=3\r\n", 2),
        (b"Keep-Alive: max=5, Timeout=2\r\n", 1),
        (b"Keep-Alive: timeout=60\r\n", KEEP_FOR),
        (b"Keep-Alive: timeout=1\r\n", 0),
        (b"Keep-Alive: timeout=0\r\n", -1),
        (b"Keep-Alive: timeout=x\r\n", KEEP_FOR),
        (b"Keep-Alive: timeout=" + b"9" * 400 + b"\r\n", KEEP_FOR),
    ],
)
async def test_how_long_it_is_kept(answer: bytes, seconds: float) -> None:
    it = connection(FakeStream(b"HTTP/1.1 200 OK\r\n" + answer + OK.partition(b"\r\n")[2]))
    await asked(it)
    assert it.keep_for == seconds


@pytest.mark.parametrize("came", [b"", b"x", b"\r\n", OK, RESET])
async def test_what_comes_unasked_ends_it(came: Any) -> None:
    stream = FakeStream(OK)
    it = connection(stream)
    await asked(it)
    assert it.is_alive()
    stream.reads.append(came)
    assert not it.is_alive()


@pytest.mark.parametrize(
    ("reads", "reusable"),
    [
        ((OK,), True),
        ((OK + b"x",), False),
        ((OK + OK,), False),
        ((b"HTTP/1.1 200 OK\r\n\r\nok", b""), False),
        ((b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",), False),
    ],
)
async def test_whether_it_can_have_another_request(reads: Any, reusable: bool) -> None:
    it = connection(FakeStream(*reads))
    assert not it.is_reusable
    assert await asked(it) == (200, b"ok")
    assert it.is_reusable == reusable
    it.close()
    assert not it.is_reusable


@pytest.mark.parametrize(
    ("reads", "begun"),
    [((b"",), False), ((RESET,), False), ((OK[:9], b""), True), ((OK[:9], RESET), True)],
)
@pytest.mark.parametrize("before", [0, 1])
async def test_lost(reads: Any, begun: bool, before: int) -> None:
    it = connection(FakeStream(*[OK] * before, *reads))
    for _ in range(before):
        await asked(it)
    with pytest.raises(ConnectionLost) as caught:
        await it.request(REQUEST)
    assert caught.value.has_begun == begun
    assert not caught.value.unsent
    assert not it.is_reusable


@pytest.mark.parametrize("end", [b"", RESET])
@pytest.mark.parametrize("at", [len(OK) - 2, len(OK) - 1])
async def test_lost_in_the_body(end: Any, at: int) -> None:
    it = connection(FakeStream(OK[:at], end))
    await it.request(REQUEST)
    with pytest.raises(ConnectionLost) as caught:
        await body_of(it)
    assert caught.value.has_begun
    assert not it.is_complete


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("taken", [0, 1, 10])
@pytest.mark.parametrize("body", [False, True])
async def test_whether_nothing_was_sent(before: int, taken: int, body: bool) -> None:
    """Only if the operating system has taken no byte of this request."""
    stream = FakeStream(*[OK] * before, RESET)
    it = connection(stream)
    for _ in range(before):
        await asked(it)
    stream.takes, stream.error = len(stream.sent) + taken, PIPE
    with pytest.raises(ConnectionLost) as caught:
        await it.request(REQUEST, Body(b"x") if body else None)  # type: ignore[arg-type]
    assert caught.value.unsent == (taken == 0)
    assert not caught.value.has_begun


@pytest.mark.parametrize("taken", [0, 10])
async def test_an_answer_before_the_pipe_broke(taken: int) -> None:
    """A server that refuses a request may close before it has read it all."""
    answer = b"HTTP/1.1 431 Too Large\r\nContent-Length: 2\r\n\r\nno"
    it = connection(FakeStream(answer, takes=taken, error=PIPE))
    assert await asked(it) == (431, b"no")
    assert not it.is_reusable


async def test_a_large_request_is_sent_bit_by_bit() -> None:
    stream = FakeStream(takes=5)
    it = connection(stream)
    async with anyio.create_task_group() as tg:

        async def server() -> None:
            while len(stream.sent) < len(REQUEST):
                assert stream.takes is not None
                stream.takes += 3
                await anyio.sleep(0.001)
            stream.reads.append(OK)

        tg.start_soon(server)
        assert await asked(it) == (200, b"ok")
    assert stream.sent == REQUEST


class Body:
    """As much of an ``UploadBody`` as a connection looks at."""

    def __init__(self, *chunks: bytes, size: int | None = None, then: Any = None) -> None:
        self.chunks = list(chunks)
        self.size = size
        self.then: Callable[[], object] | None = then
        self.asked = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.sleep(0)
        self.asked += 1
        if self.chunks:
            return self.chunks.pop(0)
        if self.then is not None:
            self.then()
        raise StopAsyncIteration


@pytest.mark.parametrize(
    ("size", "sent"), [(5, b"abcde"), (None, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")]
)
async def test_an_upload(size: int | None, sent: bytes) -> None:
    stream = FakeStream()
    body: Any = Body(b"abc", b"de", size=size, then=lambda: stream.reads.append(OK))
    it = connection(stream)
    head = await it.request(REQUEST, body)
    assert (head.status, await body_of(it)) == (200, b"ok")
    assert stream.sent == REQUEST + sent


async def test_an_upload_has_backpressure() -> None:
    stream = FakeStream(takes=len(REQUEST) + 3)
    body: Any = Body(*[b"abc"] * 100, size=300)
    it = connection(stream)
    with anyio.move_on_after(0.03) as scope:
        await it.request(REQUEST, body)
    assert scope.cancelled_caught
    assert body.asked == 2


@pytest.mark.parametrize("how", ["it waits", "it breaks"])
async def test_an_early_answer_stops_an_upload(how: str) -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    error = PIPE if how == "it breaks" else None
    stream = FakeStream(early, takes=len(REQUEST) + 1, error=error)
    body: Any = Body(*[b"abc"] * 100, size=300)
    it = connection(stream)
    head = await it.request(REQUEST, body)
    assert (head.status, await body_of(it)) == (413, b"no")
    assert not it.is_reusable
    assert body.asked <= 2


@pytest.mark.parametrize("size", [300, None])
async def test_an_upload_that_breaks_before_the_answer(size: int | None) -> None:
    """No more of the body is read, and the answer that comes behind counts."""
    stream = FakeStream(takes=len(REQUEST) + 1, error=PIPE)
    body: Any = Body(*[b"abc"] * 100, size=size)
    it = connection(stream)
    async with anyio.create_task_group() as tg:

        async def server() -> None:
            while len(stream.sent) < len(REQUEST) + 1:
                await anyio.sleep(0.001)
            stream.reads.append(OK)

        tg.start_soon(server)
        head = await it.request(REQUEST, body)
    assert (head.status, await body_of(it)) == (200, b"ok")
    assert body.asked == 1
    assert not it.is_reusable


async def test_what_reading_an_upload_raises_is_raised() -> None:
    def fail() -> None:
        raise OSError("the file is gone")

    body: Any = Body(b"abc", size=300, then=fail)
    with pytest.raises(OSError, match="the file is gone"):
        await connection(FakeStream()).request(REQUEST, body)


async def test_what_is_no_answer() -> None:
    with pytest.raises(NotHTTP):
        await connection(FakeStream(b"SSH-2.0")).request(REQUEST)


@pytest.mark.parametrize("at", [0, 5, 49])
async def test_what_came_before_it_broke_comes_first(at: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"2\r\nok\r\nnonsense"
    it = connection(FakeStream(*filter(None, [data[:at], data[at:]])))
    assert (await it.request(REQUEST)).status == 200
    assert await it.read() == b"ok"
    for _ in range(2):
        with pytest.raises(NotHTTP):
            await it.read()
    assert not it.is_reusable


async def test_a_long_body_lets_others_run() -> None:
    """Full reads follow each other without a wait, but not for ever."""
    size = 50 * CHUNK
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    stream = FakeStream(head, *[bytes(CHUNK)] * 50)
    it = connection(stream)
    await it.request(REQUEST)
    assert len(await body_of(it)) == size
    assert 5 <= stream.waits < 20


async def test_a_full_read_with_nothing_behind_it_yet() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (CHUNK + 1)
    stream = FakeStream(head, bytes(CHUNK))
    it = connection(stream)
    await it.request(REQUEST)
    assert await it.read() == bytes(CHUNK)
    waits = stream.waits
    async with anyio.create_task_group() as tg:

        async def server() -> None:
            while stream.waits == waits:
                await anyio.sleep(0.001)
            stream.reads.append(b"x")

        tg.start_soon(server)
        assert await it.read() == b"x"
    assert await it.read() is None


async def test_closing_interrupts_who_reads() -> None:
    stream = FakeStream()
    it = connection(stream)
    async with anyio.create_task_group() as tg:

        async def ask() -> None:
            with pytest.raises(ConnectionLost):
                await it.request(REQUEST)

        tg.start_soon(ask)
        await anyio.sleep(0.01)
        it.close()
