"""Subscriptions, and results that grow, over HTTP."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from anyio import EndOfStream

from anygql import (
    Client,
    ExecutionResult,
    HTTPTransport,
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
)
from anygql.testing import GraphQLServer, demo_schema
from tests.peers.ariadnehttp_app import app as ariadne_app
from tests.support.http_peer import Request, cut, endless, http, kept, peer

pytestmark = [pytest.mark.over_http, pytest.mark.usefixtures("soon")]

COUNT = "subscription { n }"
SSE = "text/event-stream"
MULTIPART = 'multipart/mixed;boundary="-";subscriptionSpec=1.0'


def event(n: int, id: str = "") -> bytes:
    named = f"id: {id}\n" if id else ""
    return f"{named}event: next\ndata: {json.dumps({'data': {'n': n}})}\n\n".encode()


def part(payload: Any, boundary: str = "-") -> bytes:
    head = f"\r\n--{boundary}\r\ncontent-type: application/json\r\n\r\n"
    return head.encode() + json.dumps(payload).encode()


COMPLETE = b"event: complete\ndata:\n\n"
END = b"\r\n-----\r\n"


async def received(events: Any) -> list[Any]:
    return [data async for data in events]


async def only_ones(events: Any) -> None:
    while True:
        assert await events.receive() == {"n": 1}


async def test_server_sent_events() -> None:
    pieces = [b":\n\n", event(1), event(2)[:9], event(2)[9:] + event(3) + COMPLETE]
    async with peer(endless(*pieces)) as server, Client(server.url) as session:
        async with session.subscribe(COUNT) as events:
            assert await received(events) == [{"n": 1}, {"n": 2}, {"n": 3}]
        accept = server.requests[0].headers["accept"]
    assert {"text/event-stream", "multipart/mixed;subscriptionSpec=1.0;q=0.9"} <= {
        kind.strip() for kind in accept.split(",")
    }


async def test_multipart() -> None:
    pieces = [part({}), part({"payload": {"data": {"n": 1}}}), part({"payload": None}), END]
    async with (
        peer(endless(*pieces, kind=MULTIPART)) as server,
        Client(server.url) as session,
        session.subscribe(COUNT) as events,
    ):
        assert await received(events) == [{"n": 1}]


async def test_a_fatal_error_in_multipart() -> None:
    fatal = part({"payload": None, "errors": [{"message": "gone"}]})
    async with (
        peer(endless(fatal, END, kind=MULTIPART)) as server,
        Client(server.url) as session,
        session.subscribe(COUNT) as events,
    ):
        with pytest.raises(TransportQueryError, match="gone"):
            await events.receive()
        with pytest.raises(EndOfStream):
            await events.receive()


@pytest.mark.parametrize("kind", [SSE, MULTIPART])
async def test_a_refusal_in_a_stream_has_the_response_s_code_and_headers(kind: str) -> None:
    errors = [{"message": "no"}]
    refusal = f"event: error\ndata: {json.dumps(errors)}\n\n".encode()
    if kind == MULTIPART:
        refusal = part({"payload": None, "errors": errors}) + END
    async with peer(endless(refusal, kind=kind)) as server, Client(server.url) as session:
        async with session.subscribe(COUNT) as events:
            with pytest.raises(TransportQueryError, match="no") as caught:
                await events.receive()
            assert caught.value.code == 200
            assert caught.value.headers["content-type"] == kind
            with pytest.raises(EndOfStream):
                await events.receive()


async def test_a_plain_answer_is_one_result() -> None:
    async with (
        peer(http('{"data": {"n": 1}}')) as server,
        Client(server.url) as session,
        session.subscribe_results(COUNT) as events,
    ):
        assert await received(events) == [ExecutionResult({"n": 1})]


async def test_errors_in_an_event() -> None:
    bad = b'event: next\ndata: {"errors": [{"message": "no"}]}\n\n'
    async with (
        peer(endless(bad, event(1), COMPLETE)) as server,
        Client(server.url) as session,
        session.subscribe(COUNT) as events,
    ):
        with pytest.raises(TransportQueryError, match="no"):
            await events.receive()
        assert await received(events) == [{"n": 1}]


@pytest.mark.parametrize("how", ["left", "dropped", "cancelled", "session"])
async def test_leaving_closes_the_answer(how: str) -> None:
    answer = endless(event(1), end=False)
    async with peer(answer) as server:
        async with Client(server.url) as session:
            if how == "left":
                async with session.subscribe(COUNT) as events:
                    assert await events.receive() == {"n": 1}
            elif how == "dropped":
                async for data in session.subscribe(COUNT):
                    assert data == {"n": 1}
                    break
                gc.collect()
            elif how == "cancelled":
                with anyio.CancelScope() as scope:
                    async with session.subscribe(COUNT) as events:
                        await events.receive()
                        scope.cancel()
                        await events.receive()
            else:
                events = session.subscribe(COUNT)
                await events.receive()
            if how != "session":
                with anyio.fail_after(5):
                    while not server.gone:
                        await anyio.sleep(0.01)
        if how == "session":
            with pytest.raises(TransportClosed):
                await events.receive()
            await events.aclose()
        with anyio.fail_after(5):
            while not server.gone:
                await anyio.sleep(0.01)


async def test_a_slow_consumer_holds_up_the_server() -> None:
    sent = 0

    async def flood(request: Request, stream: Any) -> bool:
        nonlocal sent
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\nconnection: close\r\n\r\n"
        await stream.send(head.encode())
        for n in range(2_000):
            await stream.send(event(n) + b":" + b"." * 10_000 + b"\n\n")
            sent = n
        await stream.send(COMPLETE)
        return False

    async with (
        peer(flood) as server,
        Client(server.url) as session,
        session.subscribe(COUNT, buffer_size=4) as events,
    ):
        assert await events.receive() == {"n": 0}
        await anyio.sleep(0.5)
        held = sent
        assert held < 1_500
        assert [data["n"] for data in await received(events)] == list(range(1, 2_000))


async def test_overflow() -> None:
    many = b"".join(event(n) for n in range(100))
    async with peer(endless(many, COMPLETE)) as server, Client(server.url) as session:
        async with session.subscribe(COUNT, buffer_size=4, on_overflow="error") as events:
            while events._results.queued < 4:  # type: ignore[union-attr]
                await anyio.sleep(0.001)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(SubscriptionOverflow):
                await received(events)
        async with session.subscribe(COUNT, buffer_size=4, on_overflow="drop_oldest") as events:
            while events.dropped < 96:
                await anyio.sleep(0.001)
            assert await received(events) == [{"n": n} for n in range(96, 100)]
            assert events.dropped == 96


async def test_a_subscription_that_is_resumed() -> None:
    refused = http("", "503 Later", retry_after="0")
    answers = (
        cut(event(1, "a") + event(2, "b"), kind=SSE),
        refused,
        endless(event(3) + COMPLETE),
    )
    async with peer(*answers) as server, Client(server.url).connect(reconnecting=True) as session:
        args = {"headers": {"X-Mine": "1"}}
        async with session.subscribe(COUNT, transport_args=args) as events:
            assert await received(events) == [{"n": 1}, {"n": 2}, {"n": 3}]
            assert events.reconnects == 2
        said = [request.headers.get("last-event-id") for request in server.requests]
        assert said == [None, "b", "b"]
        assert [request.headers["x-mine"] for request in server.requests] == ["1"] * 3


async def test_what_was_dropped_before_a_loss_counts_after_it() -> None:
    answers = (
        cut(*(event(n) for n in range(10)), kind=SSE),
        endless(event(10) + COMPLETE),
    )
    async with peer(*answers) as server, Client(server.url).connect(reconnecting=True) as session:
        few = {"buffer_size": 4, "on_overflow": "drop_oldest"}
        async with session.subscribe(COUNT, **few) as events:
            while len(server.requests) < 2:
                await anyio.lowlevel.checkpoint()
            numbers = [data["n"] for data in await received(events)]
            assert numbers[-1] == 10
            assert events.dropped == 11 - len(numbers)
            assert events.reconnects == 1


async def test_a_subscription_that_is_left_before_it_would_be_resumed() -> None:
    async with peer(cut(event(1), kind=SSE)) as server:
        async with Client(server.url).connect(reconnecting=True) as session:
            async with session.subscribe(COUNT) as events:
                assert await events.receive() == {"n": 1}
                with anyio.fail_after(5):
                    while not server.gone:
                        await anyio.lowlevel.checkpoint()
                await anyio.wait_all_tasks_blocked()
        assert len(server.requests) <= 2


async def test_a_subscription_that_is_refused_for_good() -> None:
    answers = (cut(event(1), kind=SSE), http("", "401 No"))
    async with peer(*answers) as server, Client(server.url).connect(reconnecting=True) as session:
        async with session.subscribe(COUNT) as events:
            assert await events.receive() == {"n": 1}
            with pytest.raises(TransportServerError):
                await events.receive()
        assert len(server.requests) == 2
        assert session.state == "connected"


async def test_what_a_header_function_raises_is_the_subscription_s() -> None:
    async def headers() -> dict[str, str]:
        raise ZeroDivisionError

    async with Client(HTTPTransport("http://127.0.0.1:9/", headers=headers)) as session:
        async with session.subscribe(COUNT) as events:
            with pytest.raises(TransportConnectionFailed, match="ZeroDivisionError") as caught:
                await events.receive()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(ZeroDivisionError):
            await session.execute("{ a }")


async def test_many_events_at_once_let_others_run() -> None:
    many = b"".join(event(n) for n in range(20_000))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await anyio.sleep(0)

    async with (
        peer(endless(many, COMPLETE)) as server,
        Client(server.url) as session,
        anyio.create_task_group() as tg,
        session.subscribe(COUNT) as events,
    ):
        tg.start_soon(tick)
        assert len(await received(events)) == 20_000
        tg.cancel_scope.cancel()
    assert ticks > 100


# Results that grow.

DEFER = "{ a ... @defer { b } }"
NEW = [
    {"data": {"a": 1}, "pending": [{"id": "0", "path": []}], "hasNext": True},
    {"incremental": [{"id": "0", "data": {"b": 2}}], "completed": [{"id": "0"}], "hasNext": False},
]
OLD = [
    {"data": {"a": 1}, "hasNext": True},
    {"incremental": [{"path": [], "data": {"b": 2}}], "hasNext": False},
]


def growing(payloads: list[Any], pause: float = 0) -> Any:
    return endless(*map(part, payloads), END, kind='multipart/mixed; boundary="-"', pause=pause)


@pytest.mark.parametrize("payloads", [NEW, OLD])
async def test_execute_gives_the_whole(payloads: list[Any]) -> None:
    async with peer(growing(payloads)) as server, Client(server.url) as session:
        assert await session.execute(DEFER) == {"a": 1, "b": 2}
        assert "deferSpec=20220824" in server.requests[0].headers["accept"]
        assert await session.execute(DEFER) == {"a": 1, "b": 2}
        await session.execute("{ a }")
        assert "multipart" not in server.requests[2].headers["accept"]


@pytest.mark.parametrize("payloads", [NEW, OLD])
async def test_each_state(payloads: list[Any]) -> None:
    async with (
        peer(growing(payloads, 0.1)) as server,
        Client(server.url) as session,
        session.execute_incremental(DEFER) as states,
    ):
        assert await received(states) == [{"a": 1}, {"a": 1, "b": 2}]


async def test_a_result_that_ends_without_saying_that_it_is_the_last() -> None:
    """The last delimiter says so as well. Nothing after the last part is read."""
    async with peer(growing(NEW[:1]), growing([*NEW, *NEW])) as server:
        async with Client(server.url) as session:
            assert await session.execute(DEFER) == {"a": 1}
            assert await session.execute(DEFER) == {"a": 1, "b": 2}


async def test_a_query_that_is_answered_by_events() -> None:
    refusal = b'event: error\ndata: [{"message": "no"}]\n\n'
    answers = endless(event(1)), endless(refusal), endless(COMPLETE), cut(event(1), kind=SSE)
    async with peer(*answers) as server, Client(server.url) as session:
        assert await session.execute(DEFER) == {"n": 1}
        with pytest.raises(TransportQueryError, match="no"):
            await session.execute(DEFER)
        with pytest.raises(TransportProtocolError, match="an empty stream"):
            await session.execute(DEFER)


async def test_the_id_of_an_event_that_no_header_can_have() -> None:
    """The subscription then goes on with new events."""
    async with peer(endless(event(1, "a\x01b")), endless(event(2), COMPLETE)) as server:
        async with Client(server.url).connect(reconnecting=True) as session:
            async with session.subscribe(COUNT) as events:
                assert await received(events) == [{"n": 1}, {"n": 2}]
        assert "last-event-id" not in server.requests[1].headers


@pytest.mark.parametrize("way", [cut, endless])
async def test_the_server_says_when_to_come_back(way: Callable[..., Any]) -> None:
    """Whether the connection is lost or the stream ends too early."""
    async with peer(way(b"retry: 1500\n\n" + event(1), kind=SSE)) as server:
        async with Client(server.url) as session, session.subscribe(COUNT) as events:
            assert await events.receive() == {"n": 1}
            with pytest.raises(TransportConnectionFailed) as caught:
                await events.receive()
            assert caught.value.retry_after == 1.5


async def test_an_answer_that_comes_at_once() -> None:
    async with peer(kept(http('{"data": {"a": 1}}'))) as server, Client(server.url) as session:
        async with session.execute_incremental(DEFER) as states:
            assert await received(states) == [{"a": 1}]
        assert await session.execute(DEFER) == {"a": 1}


@pytest.mark.over_http("own", why="this is over a WebSocket")
async def test_what_is_http_s_alone() -> None:
    async with GraphQLServer(demo_schema()) as server, Client(await server.listen()) as session:
        with pytest.raises(TypeError, match="a WebSocket has nothing like it"):
            await session.execute("{ hello }", transport_args={"headers": {}})
        batch = ["{ hello }", "{ counter }"]
        assert await session.execute_batch(batch) == [{"hello": "Hello world!"}, {"counter": 0}]


# In process.


@pytest.mark.over_http("own", why="only a client of the user's calls an application")
async def test_asgi(anyio_backend: str) -> None:
    asgi = httpx.ASGITransport(ariadne_app)
    async with (
        httpx.AsyncClient(transport=asgi) as client,
        Client(HTTPTransport("http://in.process/", client=client)) as session,
    ):
        assert await session.execute("{ hello }") == {"hello": "Hello, world!"}
        if anyio_backend == "asyncio":  # the only loop that the application's events know
            async with session.subscribe("subscription { countdown(from: 2) }") as events:
                assert await received(events) == [{"countdown": 2}, {"countdown": 1}]


async def test_a_stream_that_falls_silent() -> None:
    answer = endless(event(1), end=False)
    async with peer(answer) as server:
        transport = HTTPTransport(server.url, keep_alive_timeout=0.1)
        async with Client(transport) as session, session.subscribe(COUNT) as events:
            assert await events.receive() == {"n": 1}
            with pytest.raises(TransportTimeout) as caught:
                await events.receive()
            assert caught.value.retryable
            assert session.state == "connected"
