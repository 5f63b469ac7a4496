"""graphql-sse's single connection mode: one event stream for all operations."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from anyio.abc import SocketStream

from anygql import (
    Client,
    HTTPTransport,
    Session,
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    gql,
)
from anygql.delivery.buffering import Delivery
from tests.peers.node import NodeServer, serving
from tests.support.http_peer import Request, http, peer

pytestmark = [pytest.mark.over_http, pytest.mark.usefixtures("soon")]

COUNT = "subscription { n }"
DEFER = "{ item { name ... @defer { details { weight colour } } } }"
TOKEN = "x-graphql-event-stream-token"


class Streams:
    """A server of reserved event streams that does as it is told."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.asked: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.opened = 0
        self.answered = 0
        self.reserve = http("s3cret-1\n", "201 Created", "text/plain")
        self.accept: bytes | None = http("null", "202 Accepted")
        self.refusal: bytes | None = None
        self.stop: bytes | None = http("", "200 OK", None)
        #: Called with each operation; what it returns is sent to the stream before the answer.
        self.at_once: Callable[[str], bytes] = lambda _: b""
        self.hold = anyio.Event()
        self.hold.set()
        self._stream: SocketStream | None = None
        self._changed = anyio.Event()

    async def __call__(self, request: Request, stream: SocketStream) -> bool:
        self.requests.append(request)
        method, target, _ = request.line.split(" ")
        if method == "PUT":
            await stream.send(self.reserve)
        elif method == "GET":
            return await self._open(stream)
        elif method == "POST":
            asked = json.loads(request.body)
            self.asked.append(asked)
            self._tell()
            early = self.at_once(asked["extensions"]["operationId"])
            if early:
                await self.send(early)
            await self.hold.wait()
            if self.accept is None:
                return False
            await stream.send(self.accept)
            self.answered += 1
            self._tell()
        else:
            self.stopped += parse_qs(urlsplit(target).query)["operationId"]
            self._tell()
            if self.stop is None:
                return False
            await stream.send(self.stop)
        return True

    async def _open(self, stream: SocketStream) -> bool:
        if self.refusal is not None:
            await stream.send(self.refusal)
            return True
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        await stream.send(head.encode() + b":\n\n")
        self._stream = stream
        self.opened += 1
        self._tell()
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        return False

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        with anyio.fail_after(20):
            while not true():
                await self._changed.wait()

    async def send(self, events: bytes) -> None:
        assert self._stream is not None
        await self._stream.send(events)

    async def lose(self) -> None:
        assert self._stream is not None
        await self._stream.aclose()

    @property
    def ids(self) -> list[str]:
        return [asked["extensions"]["operationId"] for asked in self.asked]


def event(kind: str, id: str, payload: Any = ...) -> bytes:
    data = {"id": id} if payload is ... else {"id": id, "payload": payload}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def count(id: str, n: int) -> bytes:
    return event("next", id, {"data": {"n": n}})


def whole(id: str, n: int = 1) -> bytes:
    return count(id, n) + event("complete", id)


@asynccontextmanager
async def serving_streams() -> AsyncGenerator[tuple[Streams, HTTPTransport]]:
    streams = Streams()
    async with peer(streams) as server:
        yield streams, HTTPTransport(server.url, single_connection=True)


@asynccontextmanager
async def streaming(**options: Any) -> AsyncGenerator[tuple[Streams, Session]]:
    async with serving_streams() as (streams, transport):
        async with Client(transport).connect(**options) as session:
            yield streams, session


async def test_one_stream_for_all() -> None:
    async with streaming() as (streams, session):
        streams.at_once = whole
        for _ in range(3):
            assert await session.execute("{ n }") == {"n": 1}
        streams.at_once = lambda _: b""
        async with session.subscribe(COUNT) as first:
            await streams.until(lambda: len(streams.asked) == 4)
            async with session.subscribe(COUNT) as second:
                await streams.until(lambda: len(streams.asked) == 5)
                a, b = streams.ids[3:]
                await streams.send(count(a, 1) + count(b, 10) + count(a, 2) + whole(b, 11))
                assert [data["n"] async for data in second] == [10, 11]
                assert [(await first.receive())["n"] for _ in range(2)] == [1, 2]
        await streams.until(lambda: streams.stopped == [a])
    assert streams.opened == 1
    assert len(set(streams.ids)) == 5
    put, get, *rest = streams.requests
    assert (put.line[:4], get.line[:4]) == ("PUT ", "GET ")
    assert TOKEN not in put.headers
    assert get.headers["accept"] == "text/event-stream"
    assert {each.headers[TOKEN] for each in (get, *rest)} == {"s3cret-1"}
    assert streams.asked[0]["query"] == "{ n }"


async def test_a_result_after_its_request_was_answered() -> None:
    async with streaming() as (streams, session), anyio.create_task_group() as tg:

        async def ask() -> None:
            assert await session.execute("{ n }") == {"n": 5}

        tg.start_soon(ask)
        await streams.until(lambda: len(streams.asked) == 1)
        await anyio.wait_all_tasks_blocked()
        await streams.send(b": a comment\n\n" + event("next", "nobody's", {}) + whole("1", 5))
    assert not streams.stopped


async def test_a_result_before_its_request_was_answered() -> None:
    async with streaming() as (streams, session):
        streams.at_once = whole
        streams.hold = anyio.Event()
        assert await session.execute("{ n }") == {"n": 1}
        streams.hold.set()


async def test_a_result_as_the_answer() -> None:
    async with streaming() as (streams, session):
        streams.accept = http('{"data": {"n": 9}}')
        assert await session.execute("{ n }") == {"n": 9}
        async with session.subscribe(COUNT) as events:
            assert [data async for data in events] == [{"n": 9}]
        assert not streams.stopped


@pytest.mark.parametrize("answered", [False, True])
async def test_cancelling_stops_it_once(answered: bool) -> None:
    async with streaming() as (streams, session):
        if not answered:
            streams.hold = anyio.Event()
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, "{ n }")
            await streams.until(lambda: len(streams.asked) == 1)
            if answered:
                await anyio.wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
        streams.hold.set()
        await streams.until(lambda: streams.stopped == ["1"])
        streams.at_once = whole
        assert await session.execute("{ n }") == {"n": 1}
        assert streams.stopped == ["1"]


async def test_one_that_is_left_before_it_is_sent() -> None:
    """The server hears nothing of it."""
    async with streaming() as (streams, session):
        assert session.state == "connected"
        connection = session._supervisor._connection
        assert connection is not None
        connection.subscribe(gql(COUNT), Delivery(1)).leave()
        streams.at_once = whole
        assert await session.execute("{ n }") == {"n": 1}
        assert (streams.ids, streams.stopped) == (["2"], [])


@pytest.mark.parametrize("is_refused", [False, True])
async def test_the_answer_to_what_was_canceled(is_refused: bool) -> None:
    """An operation that the server refused has nothing to stop."""
    async with streaming() as (streams, session):
        streams.hold = anyio.Event()
        streams.accept = http("", "503 Later") if is_refused else http('{"data": {"n": 9}}')
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, "{ n }")
            await streams.until(lambda: len(streams.asked) == 1)
            tg.cancel_scope.cancel()
        streams.hold.set()
        await streams.until(lambda: streams.answered == 1)
        if not is_refused:
            await streams.until(lambda: streams.stopped == ["1"])
        streams.accept = http('{"data": {"n": 9}}')
        assert await session.execute("{ n }") == {"n": 9}
        assert streams.stopped == ([] if is_refused else ["1"])


async def test_what_cannot_be_stopped(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for that, and the session goes on."""
    caplog.set_level(logging.INFO)
    async with streaming() as (streams, session):
        streams.stop = None
        async with session.subscribe(COUNT):
            await streams.until(lambda: len(streams.asked) == 1)
        await streams.until(lambda: streams.stopped == ["1"])
        streams.at_once = whole
        assert await session.execute("{ n }") == {"n": 1}
    assert "could not stop an operation" in caplog.text


async def test_a_request_that_is_never_answered_is_given_up(
    call_limits: list[anyio.CancelScope],
) -> None:
    def never(_operation: str) -> bytes:
        call_limits[0].cancel()
        return b""

    async with streaming() as (streams, session):
        streams.hold = anyio.Event()
        streams.at_once = never
        with pytest.raises(TimeoutError):
            await session.execute("{ n }", timeout=0.05)
        await streams.until(lambda: streams.stopped == ["1"])


async def test_dropping_a_subscription_stops_it() -> None:
    async with streaming() as (streams, session):
        streams.at_once = lambda op: count(op, 1)
        async for data in session.subscribe(COUNT):
            assert data == {"n": 1}
            break
        gc.collect()
        await streams.until(lambda: streams.stopped == ["1"])


async def test_errors_of_one_operation() -> None:
    async with streaming() as (streams, session):
        streams.at_once = lambda op: event("error", op, [{"message": "not this"}])
        with pytest.raises(TransportQueryError, match="not this"):
            await session.execute("{ n }")
        streams.at_once = lambda op: event("next", op, {"errors": [{"message": "no"}]})
        async with session.subscribe(COUNT) as events:
            with pytest.raises(TransportQueryError, match="no"):
                await events.receive()
            await streams.send(count("2", 2))
            assert await events.receive() == {"n": 2}
        streams.at_once = lambda _: b""
        streams.accept = http('{"errors": [{"message": "what?"}]}', "400 Bad Request")
        with pytest.raises(TransportQueryError, match="what") as caught:
            await session.execute("{ n }")
        assert caught.value.code == 400
        async with session.subscribe(COUNT) as events:
            with pytest.raises(TransportQueryError, match="what"):
                await events.receive()
        streams.accept = http(
            '{"errors": [{"message": "so?"}]}',
            "400 Bad Request",
            "application/graphql-response+json",
        )
        with pytest.raises(TransportQueryError, match="so"):
            await session.execute("{ n }")
        assert session.state == "connected"
        # What the server refused has nothing to stop.
        assert streams.stopped == ["2"]


@pytest.mark.parametrize("payload", [[], "no", 7, {}, {"message": "no"}])
async def test_what_is_no_result_fails_its_operation_alone(payload: Any) -> None:
    async with streaming() as (streams, session):
        streams.at_once = lambda op: event("next", op, payload)
        with pytest.raises(TransportProtocolError, match="a result is malformed"):
            await session.execute("{ n }")
        await streams.until(lambda: streams.stopped == ["1"])
        streams.at_once = lambda op: count(op, 1)
        assert await session.execute("{ n }") == {"n": 1}


@pytest.mark.parametrize("data", [[], "no", 7, True])
async def test_data_that_are_no_object_fail_their_operation_alone(data: Any) -> None:
    async with streaming() as (streams, session):
        streams.at_once = lambda op: event("next", op, {"data": data})
        with pytest.raises(TransportProtocolError, match="whose 'data' is a JSON"):
            await session.execute("{ n }")
        async with session.subscribe(COUNT) as events:
            with pytest.raises(TransportProtocolError, match="whose 'data' is a JSON"):
                await events.receive()
        streams.at_once = lambda op: count(op, 1)
        assert await session.execute("{ n }") == {"n": 1}


async def test_a_request_that_is_lost() -> None:
    async with streaming() as (streams, session):
        streams.accept = None
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("mutation { n }")
        assert caught.value.retryable
        assert not caught.value.unsent
        # It may run there.
        await streams.until(lambda: streams.stopped == ["1"])


async def test_what_a_header_function_raises() -> None:
    token: list[str] = []

    def headers() -> dict[str, str]:
        if token == ["none"]:
            raise LookupError("no token")
        return {}

    streams = Streams()
    async with peer(streams) as server:
        transport = HTTPTransport(server.url, headers=headers, single_connection=True)
        async with Client(transport) as session:
            token.append("none")
            with pytest.raises(TransportConnectionFailed, match="LookupError"):
                await session.execute("{ n }")
            assert session.state == "connected"


@pytest.mark.parametrize(
    ("reserve", "refusal", "error"),
    [
        (http("", "404 Not Found", None), None, TransportServerError),
        (http('{"errors": []}', "409 Conflict"), None, TransportServerError),
        (http("", "201 Created", None), None, TransportProtocolError),
        (http("<html>\n<body>", "200 OK", "text/html"), None, TransportProtocolError),
        (http("x" * 5000, "201 Created"), None, TransportProtocolError),
        (None, http('{"errors": []}', "409 Conflict"), TransportServerError),
        (None, http('{"data": {}}'), TransportProtocolError),
        (None, http("", "503 Later", None, retry_after="3"), TransportServerError),
    ],
)
async def test_no_stream(reserve: Any, refusal: Any, error: type[TransportError]) -> None:
    async with serving_streams() as (streams, transport):
        streams.reserve, streams.refusal = reserve or streams.reserve, refusal
        with pytest.raises(error) as caught:
            async with Client(transport):
                pytest.fail("there is no stream")
        assert transport.description in str(caught.value)
        assert "s3cret" not in str(caught.value)


async def test_no_stream_in_time() -> None:
    async def silent(request: Request, stream: SocketStream) -> bool:
        await stream.receive()
        return False

    async with peer(silent) as server:
        transport = HTTPTransport(server.url, single_connection=True, connect_timeout=0.1)
        with pytest.raises(TransportConnectTimeout, match=r"within 0.1 s \(connect_timeout\)"):
            async with Client(transport):
                pytest.fail("there is no stream")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b"event: next\ndata: {\n\n", TransportProtocolError),
        (b"event: next\ndata: {}\n\n", TransportProtocolError),
        (b"event: other\ndata: {}\n\n", TransportProtocolError),
        (b"event: next\nda", TransportConnectionFailed),
        (b"", TransportConnectionFailed),
    ],
)
async def test_the_end_of_the_stream(bad: bytes, error: type[TransportError]) -> None:
    async with streaming() as (streams, session), session.subscribe(COUNT) as events:
        await streams.until(lambda: len(streams.asked) == 1)
        await streams.send(count("1", 1) + bad)
        if error is TransportConnectionFailed:
            await streams.lose()
        assert await events.receive() == {"n": 1}
        with pytest.raises(error) as caught:
            await events.receive()
        assert caught.value.retryable is (error is TransportConnectionFailed)
        await session.wait_closed()
        with pytest.raises(error) as caught:
            await session.execute("{ n }")
        assert caught.value.unsent


async def test_the_server_says_when_to_come_back() -> None:
    async with streaming() as (streams, session), session.subscribe(COUNT) as events:
        await streams.until(lambda: len(streams.asked) == 1)
        await streams.send(b"retry: 1500\n\nevent: next\nda")
        await streams.lose()
        with pytest.raises(TransportConnectionFailed) as caught:
            await events.receive()
        assert caught.value.retry_after == 1.5


async def test_a_permanent_session_reserves_another() -> None:
    async with streaming(reconnecting=True) as (streams, session):
        streams.at_once = lambda op: count(op, int(op))
        async with session.subscribe(COUNT) as events:
            assert await events.receive() == {"n": 1}
            await streams.lose()
            assert await events.receive() == {"n": 1}
            assert events.reconnects == 1
            assert streams.opened == 2
            streams.at_once = whole
            assert await session.execute("{ n }") == {"n": 1}
        await streams.until(lambda: streams.stopped == ["1"])


async def test_a_subscription_whose_request_is_refused_for_now() -> None:
    async with streaming(reconnecting=True) as (streams, session):
        accept, streams.accept = streams.accept, http("", "503 Later", None)

        def at_once(op: str) -> bytes:
            if op == "1":
                return b""
            streams.accept = accept
            return count(op, 7)

        streams.at_once = at_once
        async with session.subscribe(COUNT) as events:
            assert await events.receive() == {"n": 7}
    assert streams.opened == 1


async def test_closing_ends_what_runs() -> None:
    async with streaming() as (streams, session), anyio.create_task_group() as tg:
        streams.hold = anyio.Event()

        async def ask() -> None:
            with pytest.raises(TransportClosed):
                await session.execute("{ n }")

        events = session.subscribe(COUNT)
        tg.start_soon(ask)
        async with events:
            await streams.until(lambda: len(streams.asked) == 2)
            session._supervisor.close()
            with pytest.raises(TransportClosed):
                await events.receive()
    assert not streams.stopped


async def test_a_result_that_grows() -> None:
    first = {"data": {"a": 1}, "hasNext": True}
    more = {"incremental": [{"path": [], "data": {"b": 2}}], "hasNext": False}
    document = "{ a ... @defer { b } }"
    async with streaming() as (streams, session):
        streams.at_once = lambda op: event("next", op, first) + event("next", op, more)
        assert await session.execute(document) == {"a": 1, "b": 2}
        async with session.execute_incremental(document) as states:
            assert [state async for state in states] == [{"a": 1}, {"a": 1, "b": 2}]
        wrong = {"incremental": [{"id": "7", "data": {}}], "hasNext": True}
        streams.at_once = lambda op: event("next", op, first) + event("next", op, wrong)
        with pytest.raises(TransportProtocolError, match="unknown id '7'"):
            await session.execute(document)
        await streams.until(lambda: streams.stopped == ["3"])
        assert session.state == "connected"


async def test_consumers_that_are_behind() -> None:
    async with streaming() as (streams, session):
        streams.at_once = lambda op: b"".join(count(op, n) for n in range(100))
        async with session.subscribe(COUNT, buffer_size=10) as events:
            assert [(await events.receive())["n"] for _ in range(100)] == list(range(100))
        async with session.subscribe(COUNT, buffer_size=10, on_overflow="error") as events:
            await streams.until(lambda: streams.stopped == ["1", "2"])
            assert [(await events.receive())["n"] for _ in range(10)] == list(range(10))
            with pytest.raises(SubscriptionOverflow):
                await events.receive()


# graphql-sse's own handler.


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving("sse", tmp_path_factory.mktemp("node") / "sse.log") as server:
        yield server
        server.check()


@asynccontextmanager
async def talking(server: NodeServer, **options: Any) -> AsyncGenerator[Session]:
    async with Client(HTTPTransport(server.url, single_connection=True)).connect(**options) as it:
        yield it


async def test_graphql_sse(node: NodeServer) -> None:
    async with talking(node) as session:
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        batch = await session.execute_batch(["{ add(a: 1, b: 2) }", "{ add(a: 3, b: 4) }"])
        assert batch == [{"add": 3}, {"add": 7}]
        with pytest.raises(TransportQueryError, match="failed on purpose"):
            await session.execute("{ fail }")
        with pytest.raises(TransportQueryError, match='Cannot query field "nope"'):
            await session.execute("{ nope }")
        async with session.subscribe("subscription { countdown(from: 3) }") as events:
            assert [data["countdown"] async for data in events] == [3, 2, 1, 0]
        assert await session.execute(DEFER) == {
            "item": {"name": "lamp", "details": {"weight": 12, "colour": "red"}}
        }
        async with session.execute_incremental(DEFER) as states:
            assert (await states.receive()) == {"item": {"name": "lamp"}}


async def test_graphql_sse_stops_what_is_left(node: NodeServer, anyio_backend_name: str) -> None:
    tag = f"left-{anyio_backend_name}"
    document = "subscription ($tag: String!) { countdown(from: 100000, tag: $tag) }"

    async def running(session: Session, wanted: int) -> None:
        with anyio.fail_after(10):
            while True:
                query = "query ($tag: String!) { active(tag: $tag) }"
                if (await session.execute(query, {"tag": tag}))["active"] == wanted:
                    return

    async with talking(node) as session:
        async with talking(node) as other:
            async with (
                session.subscribe(document, {"tag": tag}) as events,
                other.subscribe(document, {"tag": tag}) as more,
            ):
                await events.receive()
                await more.receive()
                await running(session, 2)
                await events.aclose()
                await running(session, 1)
                await more.receive()
            # Leaving the session ends its stream, and that all its operations.
            async with other.subscribe(document, {"tag": tag}) as more:
                await more.receive()
        await running(session, 0)


def test_the_token_is_not_shown(tmp_path: Path) -> None:
    assert "s3cret" not in repr(HTTPTransport("https://s3cret@example.org/?t=s3cret"))
