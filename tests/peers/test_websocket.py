"""Strawberry and Ariadne, under uvicorn and hypercorn, as they are.

What a server does in its own way is said where it is tested, with what the client makes of it.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint
from graphql import GraphQLSyntaxError

from anygql import (
    Client,
    Session,
    TransportClosed,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
    WebSocketTransport,
)
from anygql.session.events import Disconnected, SessionEvent
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.stream import StreamConnector
from tests.peers.conftest import Connect, Observe
from tests.peers.run import PATIENCE, Server, listening, serving

pytestmark = [pytest.mark.table, pytest.mark.one_socket]

NAMES = ("strawberry-uvicorn", "strawberry-hypercorn", "ariadne-uvicorn", "ariadne-hypercorn")
STRAWBERRY, ARIADNE = NAMES[:2], NAMES[2:]
NEWER, LEGACY = "graphql-transport-ws", "graphql-ws"


def spoken(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    """Servers, each with what is spoken to it."""
    return pytest.mark.parametrize(("server", "subprotocol"), pairs, indirect=["server"])


def at(*names: str) -> pytest.MarkDecorator:
    """Servers, without saying what is spoken."""
    return pytest.mark.parametrize("server", names, indirect=True)


EVERYWHERE = tuple((name, spoken) for name in NAMES for spoken in (NEWER, LEGACY))
everywhere = spoken(*EVERYWHERE)

#: Where the framework alone decides, and what serves it adds nothing.
FRAMEWORKS = tuple(pair for pair in EVERYWHERE if pair[0].endswith("-uvicorn"))
with_each_framework = spoken(*FRAMEWORKS)

#: On the legacy protocol, Strawberry runs nothing but subscriptions.
QUERIES_REFUSED = tuple((name, LEGACY) for name in STRAWBERRY)
where_queries_run = spoken(*(pair for pair in FRAMEWORKS if pair not in QUERIES_REFUSED))

#: Ariadne's handler of the legacy protocol does not survive a `stop`.
STOPS_FATAL = tuple((name, LEGACY) for name in ARIADNE)
where_stopping_works = spoken(*(pair for pair in EVERYWHERE if pair not in STOPS_FATAL))

HELLO = "query ($name: String!) { hello(name: $name) }"
ADD = "query ($a: Int!, $b: Int!) { add(a: $a, b: $b) }"
COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from) }"
#: One event, and then nothing for longer than any test takes.
ONE_EVENT = "subscription ($tag: String!) { countdown(from: 2, interval: 60, tag: $tag) }"


async def works(session: Session) -> bool:
    """Whether an operation that every server runs gets its answer."""
    async with session.subscribe("subscription { countdown(from: 1) }") as events:
        return [data async for data in events] == [{"countdown": 1}]


# Queries and mutations.


@spoken(*(pair for pair in EVERYWHERE if pair not in QUERIES_REFUSED))
async def test_queries_and_mutations(connect: Connect) -> None:
    async with connect() as session:
        assert await session.execute(HELLO, {"name": "trio"}) == {"hello": "Hello, trio!"}
        before = (await session.execute("{ counter }"))["counter"]
        assert await session.execute("mutation { increment(by: 3) }") == {"increment": before + 3}
        assert await session.execute("{ counter }") == {"counter": before + 3}


@where_queries_run
async def test_an_error_beside_data(connect: Connect) -> None:
    async with connect() as session:
        with pytest.raises(TransportQueryError, match=r"as asked \(at fail\)") as caught:
            await session.execute("{ hello fail }")
        assert caught.value.data == {"hello": "Hello, world!", "fail": None}
        assert [error["path"] for error in caught.value.errors] == [["fail"]]
        result = await session.execute_result("{ hello fail }")
        assert (result.data, result.errors) == (caught.value.data, caught.value.errors)


@spoken(("strawberry-uvicorn", NEWER), ("strawberry-hypercorn", NEWER), ("ariadne-uvicorn", LEGACY))
async def test_a_hundred_queries_at_once(connect: Connect) -> None:
    answers: dict[int, Any] = {}

    async def ask(a: int) -> None:
        answers[a] = await session.execute(ADD, {"a": a, "b": 1000})

    async with connect() as session, anyio.create_task_group() as tg:
        for a in range(100):
            tg.start_soon(ask, a)
    assert answers == {a: {"add": a + 1000} for a in range(100)}


@where_queries_run
async def test_a_cancelled_query_is_stopped(
    connect: Connect, observe: Observe, server: Server, tag: str
) -> None:
    # Ariadne reads nothing while it resolves a query: it can't hear that it should stop.
    seconds = 60 if server.framework == "strawberry" else 1
    query = "query ($seconds: Float!, $tag: String!) { slow(seconds: $seconds, tag: $tag) }"
    async with connect() as session, observe() as seen:
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, query, {"seconds": seconds, "tag": tag})
            await seen(1)
            tg.cancel_scope.cancel()
        assert await session.execute(HELLO, {"name": "again"}) == {"hello": "Hello, again!"}
        await seen(0)


@spoken(*QUERIES_REFUSED)
async def test_strawberry_refuses_all_but_subscriptions_on_the_legacy_protocol(
    connect: Connect,
) -> None:
    async with connect() as session:
        with pytest.raises(TransportQueryError, match="queries are not allowed"):
            await session.execute("{ hello }")
        with pytest.raises(TransportQueryError, match="mutations are not allowed"):
            await session.execute("mutation { increment }")
        assert await works(session)


@spoken(*STOPS_FATAL)
async def test_ariadne_completes_no_query_on_the_legacy_protocol(
    connector: Connector, server: Server, subprotocol: str
) -> None:
    # So a query must be over with its answer: else the connection would never be idle.
    idle = anyio.Event()

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Disconnected):
            idle.set()

    transport = WebSocketTransport(server.url, protocol=subprotocol, connector=connector)
    client = Client(transport, on_event=on_event)
    with anyio.fail_after(30):
        async with client.connect(reconnecting=True, lazy=True, idle_timeout=0.05) as session:
            for name in ("one", "two"):
                assert await session.execute(HELLO, {"name": name}) == {"hello": f"Hello, {name}!"}
            await idle.wait()
            assert session.state == "waiting"


# What is wrong with an operation.


@where_queries_run
async def test_bad_variables_of_a_query(connect: Connect) -> None:
    # Strawberry answers `next` with errors, Ariadne `error`, or `data` on the legacy protocol.
    async with connect() as session:
        with pytest.raises(TransportQueryError, match=r"'\$b' has invalid value") as caught:
            await session.execute(ADD, {"a": 1, "b": "two"})
        assert caught.value.data is None
        assert await session.execute(ADD, {"a": 1, "b": 2}) == {"add": 3}


@with_each_framework
async def test_bad_variables_of_a_subscription(connect: Connect) -> None:
    async with connect() as session:
        async with session.subscribe(COUNTDOWN, {"from": "three"}) as events:
            with pytest.raises(TransportQueryError, match=r"'\$from' has invalid value"):
                await events.receive()
            with pytest.raises(anyio.EndOfStream):
                await events.receive()
        assert await works(session)


@with_each_framework
async def test_an_invalid_document(connect: Connect) -> None:
    async with connect() as session:
        with pytest.raises(TransportQueryError):
            await session.execute("{ nobody }")
        async with session.subscribe("subscription { nobody }") as events:
            with pytest.raises(TransportQueryError, match="'nobody' on type 'Subscription'"):
                await events.receive()
        assert await works(session)


@with_each_framework
async def test_what_would_cost_the_connection_is_not_sent(connect: Connect) -> None:
    # Strawberry closes with 4400 for a document that it can't parse and for an operation that
    # it can't find; the latter ends Ariadne's connection without a word.
    several = "query One { hello } subscription Two { countdown(from: 1) }"
    async with connect() as session:
        with pytest.raises(GraphQLSyntaxError):
            await session.execute("{ hello")
        with pytest.raises(GraphQLSyntaxError):
            session.subscribe("subscription { countdown(")
        with pytest.raises(ValueError, match="no operation 'Three', but 'One', 'Two'"):
            await session.execute(several, operation_name="Three")
        with pytest.raises(ValueError, match="say which with operation_name"):
            await session.execute(several)
        assert session.state == "connected"
        assert await works(session)


# Subscriptions.


@everywhere
async def test_two_subscriptions_at_once(connect: Connect) -> None:
    received: dict[int, list[Any]] = {}

    async def consume(start: int) -> None:
        async with session.subscribe(COUNTDOWN, {"from": start}) as events:
            received[start] = [data async for data in events]

    async with connect() as session, anyio.create_task_group() as tg:
        tg.start_soon(consume, 40)
        tg.start_soon(consume, 50)
    assert received == {
        start: [{"countdown": number} for number in range(start, 0, -1)] for start in (40, 50)
    }


@where_stopping_works
async def test_leaving_a_subscription_stops_it(
    connect: Connect, observe: Observe, tag: str
) -> None:
    async with connect() as session, observe() as seen:
        async with session.subscribe(ONE_EVENT, {"tag": tag}) as events:
            async for data in events:
                assert data == {"countdown": 2}
                await seen(1)
                break
        await seen(0)
        assert await works(session)


@where_stopping_works
async def test_cancelling_a_consumer_stops_its_subscription(
    connect: Connect, observe: Observe, tag: str
) -> None:
    never = "subscription ($tag: String!) { never(tag: $tag) }"

    async def consume() -> None:
        async with session.subscribe(never, {"tag": tag}) as events:
            await events.receive()

    async with connect() as session, observe() as seen:
        async with anyio.create_task_group() as tg:
            tg.start_soon(consume)
            await seen(1)
            tg.cancel_scope.cancel()
        await seen(0)
        assert await works(session)


@spoken(*(pair for pair in FRAMEWORKS if pair not in STOPS_FATAL))
async def test_dropping_a_subscription_stops_it(
    connect: Connect, observe: Observe, tag: str
) -> None:
    async with connect() as session, observe() as seen:
        async for _ in session.subscribe(ONE_EVENT, {"tag": tag}):
            await seen(1)
            break
        gc.collect()
        await seen(0)
        assert await works(session)


@everywhere
async def test_closing_the_session_stops_its_subscriptions(
    connect: Connect, observe: Observe, server: Server, subprotocol: str, tag: str
) -> None:
    async with observe() as seen:
        async with connect() as session:
            subscription = session.subscribe(ONE_EVENT, {"tag": tag})
            assert await subscription.receive() == {"countdown": 2}
            await seen(1)
        with pytest.raises(TransportClosed):
            await subscription.receive()
        await subscription.aclose()
        if (server.framework, subprotocol) != ("ariadne", LEGACY):  # there it runs to its end
            with anyio.fail_after(10):
                await seen(0)


@spoken(*STOPS_FATAL)
async def test_ariadne_s_legacy_handler_does_not_survive_a_stop(
    connect: Connect, observe: Observe, server: Server, tag: str
) -> None:
    async with connect() as session, observe() as seen:
        async with session.subscribe(ONE_EVENT, {"tag": tag}) as events:
            await events.receive()
            await seen(1)
            assert await works(session)  # the source is asleep by now, which is what it dies of
        await session.wait_closed()
        with pytest.raises(TransportConnectionFailed) as caught:
            await session.execute("{ hello }")
        assert caught.value.code == (1006 if server.runner == "uvicorn" else 1011)
        assert caught.value.unsent


@with_each_framework
async def test_an_error_of_the_source(connect: Connect) -> None:
    # `next` with the error and no data, then `complete`.
    failing = "subscription { failing }"
    async with connect() as session:
        async with session.subscribe_results(failing) as results:
            *good, bad = [result async for result in results]
        assert [result.data for result in good] == [{"failing": 1}, {"failing": 2}]
        assert bad.data is None
        assert [error["message"] for error in bad.errors or ()] == ["the source failed"]

        async with session.subscribe(failing) as events:
            assert [await events.receive() for _ in range(2)] == [{"failing": 1}, {"failing": 2}]
            with pytest.raises(TransportQueryError, match="the source failed"):
                await events.receive()
            with pytest.raises(anyio.EndOfStream):
                await events.receive()
        assert await works(session)


@at("strawberry-uvicorn")
async def test_a_flood(connect: Connect) -> None:
    count = 6_000
    expected = 0
    async with connect() as session:
        async with session.subscribe("subscription { flood(count: 6000) }") as events:
            async for data in events:
                assert data == {"flood": expected}
                expected += 1
                await checkpoint()
                if expected % 1_500 == 0:
                    assert await session.execute(HELLO, {"name": "you"}) == {"hello": "Hello, you!"}
        assert expected == count


# Connecting.


@with_each_framework
async def test_the_acknowledgement_s_payload(connect: Connect, server: Server) -> None:
    async with connect(init_payload={"token": "good"}) as session:
        welcome = {"welcome": True} if server.framework == "strawberry" else None
        assert session.payloads["connection_ack"] == welcome


@everywhere
async def test_a_refusal(connect: Connect, server: Server, subprotocol: str) -> None:
    # On the legacy protocol both say `connection_error`, and close with 1011 (Strawberry) or 1000.
    if subprotocol == LEGACY:
        code, reason = 4403, "bad token"
    elif server.framework == "strawberry":
        code, reason = 4403, "Forbidden"
    else:
        code, reason = 1000, ""
    with pytest.raises(TransportConnectionFailed) as caught:
        async with connect(init_payload={"token": "bad"}):
            pytest.fail("it was let in")
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert caught.value.retryable


@at(*ARIADNE)
@pytest.mark.parametrize("subprotocol", [LEGACY])
async def test_a_subprotocol_that_was_not_offered(
    server: Server, connector: Connector, subprotocol: str
) -> None:
    # Ariadne's handler answers so whatever it was offered; hypercorn doesn't let it, and drops
    # the connection.
    transport = WebSocketTransport(
        f"{server.url}unasked", protocol=subprotocol, connector=connector
    )
    expected = TransportProtocolError if server.runner == "uvicorn" else TransportConnectionFailed
    with anyio.fail_after(30), pytest.raises(expected) as caught:
        async with Client(transport):
            pytest.fail("it was accepted")
    assert caught.value.code == (4406 if server.runner == "uvicorn" else None)


class Tap(ByteStream):
    """A stream that keeps what goes through it."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.sent = b""
        self.received = b""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self.stream.receive(max_bytes)
        self.received += data
        return data

    async def send(self, item: bytes) -> None:
        self.sent += item
        await self.stream.send(item)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()


@pytest.fixture
def taps() -> list[Tap]:
    return []


@pytest.fixture
def tapping(taps: list[Tap]) -> Connector:
    async def open_stream(host: str, port: int) -> ByteStream:
        taps.append(Tap(await anyio.connect_tcp(host, port)))
        return taps[-1]

    return StreamConnector(open_stream=open_stream)


def header(head: bytes, name: str) -> str | None:
    found = re.search(rb"^%s: *(.*?)\r$" % name.encode(), head, re.IGNORECASE | re.MULTILINE)
    return found and found[1].decode()


@at(*NAMES)
async def test_the_newer_protocol_is_chosen(
    server: Server, tapping: Connector, taps: list[Tap]
) -> None:
    with anyio.fail_after(30):
        async with Client(WebSocketTransport(server.url, connector=tapping)) as session:
            assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
    assert header(taps[0].sent, "Sec-WebSocket-Protocol") == f"{NEWER}, {LEGACY}"
    assert header(taps[0].received, "Sec-WebSocket-Protocol") == NEWER


@at(*NAMES)
async def test_compression(server: Server, tapping: Connector, taps: list[Tap]) -> None:
    name = "Ada " * 10_000
    transport = WebSocketTransport(
        server.url, connector=tapping, connect_args={"compression": "deflate"}
    )
    with anyio.fail_after(30):
        async with Client(transport) as session:
            for _ in range(3):
                data = await session.execute(HELLO, {"name": name})
                assert data == {"hello": f"Hello, {name}!"}
            assert await works(session)
    negotiated = header(taps[0].received, "Sec-WebSocket-Extensions")
    assert negotiated is not None
    assert negotiated.startswith("permessage-deflate")
    assert len(taps[0].received) < len(name)
    assert len(taps[0].sent) < len(name)


# Servers that go away.


@pytest.fixture
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Server]:
    """A server that the test may stop."""
    with listening() as listener:
        server = serving(request.param, listener, tmp_path / "log")
        with server as started:
            listener.close()
            yield started


@pytest.mark.parametrize("own_server", ["strawberry-uvicorn"], indirect=True)
async def test_a_server_that_stops(own_server: Server, connector: Connector) -> None:
    transport = WebSocketTransport(own_server.url, connector=connector)
    with anyio.fail_after(30):
        async with Client(transport) as session:
            async with session.subscribe("subscription { never }") as events:
                assert await works(session)  # so it has the other one, too
                own_server.process.terminate()
                with pytest.raises(TransportConnectionFailed) as caught:
                    await events.receive()
            assert caught.value.code == 1012
            assert caught.value.retryable
            await session.wait_closed()
            with pytest.raises(TransportConnectionFailed):
                await session.execute("{ hello }")


#: Since then, servers of asyncio wait for their connections when they are closed.
WAITS_FOR_CONNECTIONS = sys.version_info >= (3, 12, 1)


@pytest.mark.skipif(WAITS_FOR_CONNECTIONS, reason="hypercorn waits for its connections")
@pytest.mark.parametrize("own_server", ["ariadne-hypercorn"], indirect=True)
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_hypercorn_stops_with_1011(own_server: Server) -> None:
    # It cancels the application after its graceful timeout, and calls that an internal error.
    with anyio.fail_after(30):
        async with (
            Client(own_server.url) as session,
            session.subscribe(ONE_EVENT, {"tag": ""}) as events,
        ):
            await events.receive()
            own_server.process.terminate()
            with pytest.raises(TransportConnectionFailed) as caught:
                await events.receive()
    assert caught.value.code == 1011
    assert not caught.value.retryable


@pytest.mark.skipif(not WAITS_FOR_CONNECTIONS, reason="hypercorn cancels its applications")
@pytest.mark.parametrize("own_server", ["ariadne-hypercorn"], indirect=True)
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_hypercorn_stops_when_it_is_left(own_server: Server) -> None:
    # It closes its listener, and then waits before it would cancel anything.
    with anyio.fail_after(30):
        async with (
            Client(own_server.url) as session,
            session.subscribe(ONE_EVENT, {"tag": ""}) as events,
        ):
            await events.receive()
            own_server.process.terminate()
            with pytest.raises(TransportConnectionFailed):
                while True:
                    async with Client(own_server.url):
                        await anyio.sleep(0.01)
            assert await works(session)
        await anyio.to_thread.run_sync(own_server.process.wait, PATIENCE)


async def test_a_permanent_session_outlives_a_restart(tmp_path: Path, connector: Connector) -> None:
    name, log = "strawberry-uvicorn", tmp_path / "log"
    with anyio.fail_after(30), listening() as listener, ExitStack() as stack:
        server = stack.enter_context(serving(name, listener, log))
        client = Client(WebSocketTransport(server.url, connector=connector))
        async with client.connect(reconnecting=True) as session:
            await session.execute("mutation { increment }")
            async with session.subscribe(ONE_EVENT, {"tag": ""}) as events:
                assert await events.receive() == {"countdown": 2}
                await anyio.to_thread.run_sync(server.stop)
                stack.enter_context(serving(name, listener, log))
                assert await events.receive() == {"countdown": 2}
                assert events.reconnects == 1
            assert await session.execute("{ counter }") == {"counter": 0}
