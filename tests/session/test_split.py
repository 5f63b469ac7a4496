"""One session over two transports: subscriptions by one of them, everything else by the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import tenacity

from anygql import (
    Client,
    Closed,
    Connected,
    Connecting,
    Disconnected,
    HTTPTransport,
    LocalSchemaTransport,
    Session,
    SessionEvent,
    SplitTransport,
    TransportClosed,
    TransportConnectionFailed,
    TransportError,
    TransportServerError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql import execute as execute_once
from anygql.blocking import Client as BlockingClient
from anygql.delivery.interfaces import Connection, Transport
from anygql.testing import GraphQLServer, PeerConnection, Recorder, ScriptedPeer, demo_schema
from tests.support.http_peer import endless, peer
from tests.support.own_protocol import Arrays
from tests.support.split import Both, both

pytestmark = pytest.mark.usefixtures("soon")

TICKS = "subscription { countdown(from: 1000000, interval: 0.01) }"
NEVER = "subscription { never }"
ONCE = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(1))


class Events(list[SessionEvent]):
    """What `on_event` was told, and a way to wait for it."""

    def __call__(self, event: SessionEvent) -> None:
        self.append(event)

    def of(self, kind: type[Any], transport: object) -> list[Any]:
        return [e for e in self if isinstance(e, kind) and e.transport is transport]  # type: ignore[union-attr]

    async def wait(self, kind: type[Any], transport: object, count: int = 1) -> Any:
        while len(found := self.of(kind, transport)) < count:
            await anyio.sleep(0.001)
        return found[count - 1]


@pytest.fixture
def time_limit() -> float:
    return 10


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def ends(bounded: None) -> AsyncIterator[Both]:
    async with both() as ends:
        yield ends


async def countdown(session: Session) -> list[int]:
    async with session.subscribe("subscription { countdown(from: 2) }") as events:
        return [event["countdown"] async for event in events]


KINDS: dict[str, Callable[[Client], AbstractAsyncContextManager[Session]]] = {
    "plain": lambda client: client.connect(),
    "permanent": lambda client: client.connect(reconnecting=True),
    "lazy": lambda client: client.connect(reconnecting=True, lazy=True),
    "hosted": lambda client: hosted(client),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@asynccontextmanager
async def hosted(client: Client) -> AsyncGenerator[Session]:
    async with anyio.create_task_group() as tg:
        yield await client.connect_async(tg, reconnecting=True)
        await client.close_async()


# What goes where.


@kinds
async def test_each_operation_goes_its_way(ends: Both, kind: str) -> None:
    async with KINDS[kind](ends.client()) as session:
        assert ends.socket.connections == []  # nobody has subscribed
        assert await session.execute("{ hello }") == {"hello": "Hello world!"}
        assert await session.execute("mutation { increment }") == {"increment": 1}
        assert await session.execute_batch(["{ counter }", "{ hello }"]) == [
            {"counter": 1},
            {"hello": "Hello world!"},
        ]
        async with session.execute_incremental("{ add(a: 1, b: 2) }") as states:
            assert [state async for state in states] == [{"add": 3}]
        assert ends.socket.connections == []
        assert await countdown(session) == [2, 1, 0]
        assert await countdown(session) == [2, 1, 0]
        assert len(ends.socket.connections) == 1
        assert await session.execute("{ counter }") == {"counter": 1}
    assert len(ends.documents) == 6
    assert ends.subscribed == ["subscription { countdown(from: 2) }"] * 2
    assert await ends.socket.connections[0].wait_closed() == (1000, "")


async def test_batches_are_collected_for_the_first(ends: Both) -> None:
    async with ends.client(batch_interval=0.01) as session, anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(session.execute, "{ hello }")
    assert (len(ends.http.requests), len(ends.documents)) == (1, 3)


async def test_the_schema_comes_by_the_first(ends: Both) -> None:
    async with ends.client(fetch_schema=True) as session:
        assert (await session.fetch_schema()).subscription_type is not None
        assert ends.socket.connections == []
        assert await countdown(session) == [2, 1, 0]


async def test_arguments_go_to_what_gets_the_request(ends: Both) -> None:
    args = {"headers": {"x-trace": "7"}}
    async with ends.client() as session:
        await session.execute("{ hello }", transport_args=args)
        assert ends.http.requests[0].headers["x-trace"] == "7"
        with pytest.raises(TypeError, match=r"transport_args.*WebSocket has nothing like it"):
            await session.subscribe(NEVER, transport_args=args).receive()


async def test_payloads_and_headers_are_the_socket_s() -> None:
    async with both() as ends, GraphQLServer(demo_schema(), on_connect=lambda _: {"v": 1}) as other:
        split = SplitTransport(HTTPTransport(ends.url), subscriptions=other.transport())
        async with Client(split) as session:
            assert (session.payloads, session.response_headers) == ({}, {})
            await countdown(session)
            assert session.payloads["connection_ack"] == {"v": 1}
            assert session.response_headers["upgrade"] == "websocket"


async def test_two_sockets_may_be_two_servers(ends: Both) -> None:
    async with GraphQLServer(demo_schema()) as other:
        split = SplitTransport(other.transport(), subscriptions=ends.socket.transport())
        async with Client(split) as session:
            assert await session.execute("{ hello }")
            assert await countdown(session) == [2, 1, 0]
        assert [len(each.connections) for each in (other, ends.socket)] == [1, 1]


async def test_one_server_may_be_connected_twice(server: GraphQLServer) -> None:
    transport = server.transport()
    async with Client(SplitTransport(transport, subscriptions=transport)) as session:
        assert await session.execute("{ hello }")
        assert await countdown(session) == [2, 1, 0]
    assert len(server.connections) == 2


async def test_execute_at_the_top(ends: Both) -> None:
    assert await execute_once(ends.transport(), "{ hello }") == {"hello": "Hello world!"}


# When the socket opens.


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_eager(ends: Both, reconnecting: bool) -> None:
    client = Client(ends.transport(eager=True))
    async with client.connect(reconnecting=reconnecting) as session:
        assert len(ends.socket.connections) == 1
        assert await countdown(session) == [2, 1, 0]
    assert len(ends.socket.connections) == 1


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_eager_raises_a_refusal_at_entry(ends: Both, reconnecting: bool) -> None:
    ends.socket.refuse_with = 404
    client = Client(ends.transport(eager=True))
    for _ in range(2):
        with pytest.raises(TransportServerError, match="404"):
            async with client.connect(reconnecting=reconnecting):
                raise AssertionError("unreachable")


async def test_eager_comes_back_without_subscriptions(ends: Both, events: Events) -> None:
    transport = ends.transport(eager=True)
    async with Client(transport, on_event=events).connect(reconnecting=True):
        ends.socket.connections[0].reset()
        await events.wait(Connected, transport.subscriptions, 2)


async def test_a_refused_eager_socket_is_tried_by_the_next_subscription(
    ends: Both, events: Events
) -> None:
    transport = ends.transport(eager=True)
    async with Client(transport, on_event=events).connect(reconnecting=True) as session:
        await ends.socket.connections[0].close(4401, "token expired")
        lost = await events.wait(Disconnected, transport.subscriptions)
        assert lost.will_retry is False
        await anyio.wait_all_tasks_blocked()
        assert len(ends.socket.connections) == 1
        assert session.state == "connected"
        assert await countdown(session) == [2, 1, 0]


async def test_idle_timeout_closes_the_socket_too(ends: Both) -> None:
    client = ends.client()
    async with client.connect(reconnecting=True, lazy=True, idle_timeout=0.05) as session:
        assert await countdown(session) == [2, 1, 0]
        closed = await ends.socket.connections[0].wait_closed()
        assert closed == (1000, "nothing was asked for 0.05 s")
        assert await countdown(session) == [2, 1, 0]
    assert len(ends.socket.connections) == 2


# Losses.


async def test_losing_the_socket_does_not_disturb_execute(ends: Both, events: Events) -> None:
    client = ends.client(on_event=events)
    socket = client.transport.subscriptions  # type: ignore[attr-defined]
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(TICKS) as ticks, anyio.create_task_group() as tg:
            await anext(ticks)
            answers: list[object] = []

            async def ask() -> None:
                answers.append(await session.execute("mutation { increment }", timeout=5))

            async def ask_slowly() -> None:
                answers.append(await session.execute("{ slow(seconds: 0.1) }"))

            tg.start_soon(ask_slowly)
            await ends.socket.stop()
            await events.wait(Disconnected, socket, 2)
            assert session.state != "connected"
            await ask()
            await ends.socket.start()
            await events.wait(Connected, socket, 2)
            while ticks.reconnects == 0:
                await anext(ticks)
        assert len(answers) == 2
        assert session.state == "connected"
    assert len(ends.documents) == 2


async def test_losing_the_first_does_not_disturb_subscriptions(
    server: GraphQLServer, events: Events
) -> None:
    async with GraphQLServer(demo_schema()) as other:
        split = SplitTransport(other.transport(), subscriptions=server.transport())
        client = Client(split, on_event=events)
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(TICKS) as ticks:
                await anext(ticks)
                other.connections[0].reset()
                await events.wait(Connected, split.transport, 2)
                assert await session.execute("{ hello }")
                await anext(ticks)
                assert ticks.reconnects == 0
        assert (len(other.connections), len(server.connections)) == (2, 1)


async def test_a_plain_session_fails_subscriptions_fast(ends: Both) -> None:
    async with ends.client() as session:
        async with session.subscribe(TICKS) as ticks:
            await anext(ticks)
            ends.socket.connections[0].reset()
            with pytest.raises(TransportConnectionFailed, match="lost"):
                async for _ in ticks:
                    pass
        assert session.state == "connected"
        assert await session.execute("{ hello }")
        await ends.socket.stop()
        for _ in range(2):
            with pytest.raises(TransportConnectionFailed):
                await session.subscribe(NEVER).receive()
        assert await session.execute("{ hello }")
        await ends.socket.start()
        assert await countdown(session) == [2, 1, 0]
        assert len(ends.socket.connections) == 2


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_refused_socket_is_the_subscriptions_alone(ends: Both, reconnecting: bool) -> None:
    ends.socket.refuse_with = 403
    async with ends.client().connect(reconnecting=reconnecting) as session:
        async with anyio.create_task_group() as tg:

            async def subscribe() -> None:
                with pytest.raises(TransportServerError, match="403"):
                    await session.subscribe(NEVER).receive()

            for _ in range(3):
                tg.start_soon(subscribe)
        assert session.state == "connected"
        assert await session.execute("{ hello }")
        ends.socket.refuse_with = None
        assert await countdown(session) == [2, 1, 0]


async def test_a_final_close_code_ends_all_subscriptions(ends: Both, events: Events) -> None:
    async with ends.client(on_event=events).connect(reconnecting=True) as session:
        async with session.subscribe(NEVER) as one, session.subscribe(NEVER) as other:
            await ends.socket.connections[0].wait_operations(2)
            await ends.socket.connections[0].close(4401, "token expired")
            for each in (one, other, one):
                with pytest.raises(TransportConnectionFailed, match="4401 token expired"):
                    await each.receive()
            # Another subscription brings the socket back, but not these.
            assert await countdown(session) == [2, 1, 0]
            with pytest.raises(TransportConnectionFailed, match="4401 token expired"):
                await one.receive()
        assert await session.execute("{ hello }")
    assert ends.subscribed.count(NEVER) == 2
    assert not any(isinstance(event, Closed) for event in events[:-1])
    assert events[-1] == Closed()


async def test_a_policy_that_gives_up_ends_subscriptions_only(ends: Both) -> None:
    async with ends.client().connect(reconnecting=True, retry_connect=ONCE) as session:
        async with session.subscribe(NEVER) as events:
            await ends.socket.connections[0].wait_operations(1)
            await ends.socket.stop()
            with pytest.raises(TransportConnectionFailed):
                await events.receive()
        assert await session.execute("{ hello }")
        await ends.socket.start()
        assert await countdown(session) == [2, 1, 0]


async def test_a_subscription_that_failed_is_never_sent_again(
    ends: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that waited to be sent again, as the socket ended for good."""
    monkeypatch.setattr("anygql.session.resuming.wait_after", lambda _losses: 0.05)
    async with ends.client().connect(reconnecting=True) as session:
        async with session.subscribe(NEVER) as failed:
            connection = ends.socket.connections[0]
            await connection.wait_operations(1)
            feed: Any = failed._results._feeds[0]  # type: ignore[union-attr]
            feed.on_lost(loss := TransportConnectionFailed("lost", retryable=True))
            feed.fail(loss)
            await connection.close(4401, "token expired")
            with pytest.raises(TransportConnectionFailed):
                await failed.receive()
            async with session.subscribe(NEVER):
                await anyio.sleep(0.1)
    assert ends.subscribed.count(NEVER) == 2


async def test_first_connect_timeout_is_the_socket_s_too(ends: Both) -> None:
    await ends.socket.stop()
    client = ends.client()
    async with client.connect(reconnecting=True, first_connect_timeout=0.05) as session:
        with pytest.raises(TransportError) as caught:
            await session.subscribe(NEVER).receive()
        assert "first_connect_timeout" in "".join([str(caught.value), *caught.value.__notes__])
        assert await session.execute("{ hello }")


async def test_a_mutation_is_not_sent_twice(ends: Both) -> None:
    received = 0

    async def dies(conn: PeerConnection) -> None:
        nonlocal received
        await conn.handshake()
        await conn.expect_type("subscribe")
        received += 1
        ends.socket.drop_connections()
        conn.reset()

    async def idle(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.wait_closed()

    async with ScriptedPeer([dies, *[idle] * 9]) as scripted:
        first = WebSocketTransport("ws://peer/", connector=scripted.connector())
        split = SplitTransport(first, subscriptions=ends.socket.transport())
        async with Client(split).connect(reconnecting=True) as session:
            async with session.subscribe(TICKS) as ticks:
                await anext(ticks)
                with pytest.raises(TransportConnectionFailed, match="lost") as caught:
                    await session.execute("mutation { done }")
                while not ticks.reconnects:
                    await anext(ticks)
                await session.wait_connected()  # the script is not to end in a handshake
    assert (received, caught.value.unsent) == (1, False)


async def test_a_slow_consumer_pauses_the_socket_alone(ends: Both) -> None:
    async with ends.client() as session:
        flood = session.subscribe("subscription { flood(count: 100000) }", buffer_size=10)
        async with flood:
            await flood.receive()
            for _ in range(20):
                assert await session.execute("{ hello }", timeout=5)
            # No `execute` waits on the socket: the consumer may take its time.
            assert [int((await flood.receive())["flood"]) for _ in range(50)] == [*range(1, 51)]


# State and events.


async def test_state_is_the_worse_of_the_open_ones(ends: Both, events: Events) -> None:
    client = ends.client(on_event=events)
    socket = client.transport.subscriptions  # type: ignore[attr-defined]
    async with client.connect(reconnecting=True) as session:
        assert session.state == "connected"  # the socket isn't asked for
        async with session.subscribe(NEVER):
            assert session.state == "connected"
            await ends.socket.stop()
            await events.wait(Disconnected, socket)
            assert session.state in {"waiting", "connecting"}
            await ends.socket.start()
            await events.wait(Connected, socket, 2)
            assert session.state == "connected"
        ends.socket.connections[1].reset()
        await events.wait(Disconnected, socket, len(events.of(Disconnected, socket)) + 1)
        await anyio.wait_all_tasks_blocked()
        assert session.state == "connected"  # nobody wants the socket any more
    assert session.state == "closed"


async def test_state_of_a_lazy_session(ends: Both) -> None:
    async with ends.client().connect(reconnecting=True, lazy=True) as session:
        assert session.state == "waiting"
        async with session.subscribe(NEVER):
            assert session.state == "connected"  # by the socket; nothing else was asked for
        assert repr(session) == f"<Session of {ends.url}, connected>"


async def test_wait_connected_waits_for_what_is_open(ends: Both, events: Events) -> None:
    client = ends.client(on_event=events)
    socket = client.transport.subscriptions  # type: ignore[attr-defined]
    async with client.connect(reconnecting=True) as session:
        await session.wait_connected()
        assert ends.socket.connections == []
        async with session.subscribe(NEVER):
            await ends.socket.stop()
            await events.wait(Disconnected, socket)
            with anyio.move_on_after(0.05) as scope:
                await session.wait_connected()
            assert scope.cancelled_caught
            await ends.socket.start()
            await session.wait_connected()
            assert session.state == "connected"


async def test_wait_connected_is_not_about_a_refusal(ends: Both, events: Events) -> None:
    client = ends.client(on_event=events)
    socket = client.transport.subscriptions  # type: ignore[attr-defined]
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(NEVER) as never, anyio.create_task_group() as tg:
            await ends.socket.stop()
            await events.wait(Disconnected, socket)
            tg.start_soon(session.wait_connected)
            await anyio.wait_all_tasks_blocked()
            ends.socket.refuse_with = 403
            await ends.socket.start()
            with pytest.raises(TransportServerError, match="403"):
                await never.receive()
        assert session.state == "connected"


async def test_wait_connected_raises_the_end_of_the_session(server: GraphQLServer) -> None:
    async with both() as ends:
        split = SplitTransport(server.transport(), subscriptions=ends.socket.transport())
        with pytest.raises(TransportConnectionFailed, match="4401"):
            async with Client(split).connect(reconnecting=True) as session:
                async with session.subscribe(NEVER):
                    await ends.socket.stop()
                    while session.state == "connected":
                        await anyio.sleep(0.001)
                    async with anyio.create_task_group() as tg:
                        tg.start_soon(server.connections[0].close, 4401, "token expired")
                        with pytest.raises(TransportConnectionFailed, match="4401"):
                            await session.wait_connected()
                await anyio.sleep_forever()


async def test_events_say_which(ends: Both, events: Events) -> None:
    transport = ends.transport()
    first, socket = transport.transport, transport.subscriptions
    async with Client(transport, on_event=events) as session:
        await countdown(session)
        ends.socket.connections[0].reset()
        await events.wait(Disconnected, socket)
    lost = events.pop(4)
    assert events == [
        Connecting(1, transport=first),
        Connected(None, reconnected=False, transport=first),
        Connecting(1, transport=socket),
        Connected(None, reconnected=False, transport=socket),
        Closed(),
    ]
    assert isinstance(lost, Disconnected)
    assert (lost.transport, lost.will_retry) == (socket, False)


async def test_events_of_one_transport_name_none(server: GraphQLServer, events: Events) -> None:
    async with Client(server.transport(), on_event=events):
        pass
    assert events == [Connecting(1), Connected(None, reconnected=False), Closed()]


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_what_on_event_raises_ends_the_session(
    ends: Both, reconnecting: bool, eager: bool
) -> None:
    transport = ends.transport(eager=eager)
    closed: list[object] = []

    def fail(event: SessionEvent) -> None:
        if isinstance(event, Closed):
            closed.append(event.error)
        elif isinstance(event, Connected) and event.transport is transport.subscriptions:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        client = Client(transport, on_event=fail)
        async with client.connect(reconnecting=reconnecting) as session:
            with pytest.raises(LookupError, match="mine"):
                await session.subscribe(NEVER).receive()
            await anyio.sleep_forever()
    assert [type(error) for error in closed] == [LookupError]


# Reconnecting, and the end.


async def test_reconnect_drops_both(server: GraphQLServer, ends: Both) -> None:
    split = SplitTransport(server.transport(), subscriptions=ends.socket.transport())
    async with Client(split).connect(reconnecting=True) as session:
        session.reconnect()
        await session.wait_connected()
        async with session.subscribe(TICKS) as ticks:
            await anext(ticks)
            session.reconnect()
            assert session.state != "connected"
            await session.wait_connected()
            assert session.state == "connected"
            while not ticks.reconnects:
                await anext(ticks)
        assert await session.execute("{ hello }")
        assert (len(server.connections), len(ends.socket.connections)) == (3, 2)


async def test_reconnect_ends_a_plain_session(ends: Both) -> None:
    async with ends.client() as session:
        async with session.subscribe(NEVER) as never:
            session.reconnect()
            with pytest.raises(TransportConnectionFailed, match="reconnect"):
                await never.receive()
            await session.wait_closed()
            assert session.state == "closed"
            for ask in (lambda: session.execute("{ hello }"), session.subscribe(NEVER).receive):
                with pytest.raises(TransportConnectionFailed, match="reconnect"):
                    await ask()


async def test_the_end_of_the_first_is_the_session_s(server: GraphQLServer, ends: Both) -> None:
    split = SplitTransport(server.transport(), subscriptions=ends.socket.transport())
    outcomes: list[Exception] = []
    with pytest.raises(TransportConnectionFailed, match="4401") as caught:
        async with Client(split).connect(reconnecting=True) as session:
            never = session.subscribe(NEVER)

            async def receive() -> None:
                try:
                    await never.receive()
                except TransportError as error:
                    outcomes.append(error)

            async with anyio.create_task_group() as tg:
                tg.start_soon(receive)
                await (await ends.socket.wait_connection()).wait_operations(1)
                await server.connections[0].close(4401, "token expired")
            await anyio.sleep_forever()
    assert [str(error) for error in outcomes] == [str(caught.value)]
    assert await ends.socket.connections[0].wait_closed() == (1000, "")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # where a client may own a session
@pytest.mark.parametrize("is_told", [False, True])
async def test_an_end_that_nobody_was_told_of_is_logged(
    server: GraphQLServer, ends: Both, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    split = SplitTransport(server.transport(), subscriptions=ends.socket.transport())
    client = Client(split)
    session = await client.connect_async(reconnecting=True)
    # One that is told of another end, before.
    async with session.subscribe(NEVER) as never:
        await ends.socket.connections[0].close(4401, "token expired")
        with pytest.raises(TransportConnectionFailed):
            await never.receive()
    running = session.subscribe(NEVER)
    if is_told:
        await running.__aenter__()
    await server.connections[0].close(4401, "token expired")
    await session.wait_closed()
    await client.close_async()
    logged = [record for record in caplog.records if "the session has ended" in record.message]
    assert len(logged) == (not is_told)
    if is_told:
        with pytest.raises(TransportConnectionFailed, match="token expired"):
            await running.receive()


async def test_leaving_ends_what_runs(ends: Both) -> None:
    async with ends.client().connect(reconnecting=True) as session:
        never = session.subscribe(NEVER)
        await never.__aenter__()
    with pytest.raises(TransportClosed):
        await never.receive()
    for ask in (lambda: session.execute("{ hello }"), session.subscribe(NEVER).receive):
        with pytest.raises(TransportClosed):
            await ask()
    assert await ends.socket.connections[0].wait_closed() == (1000, "")


class Slow:
    """A transport whose connections take a while to close, and may fail to."""

    def __init__(self, inner: Transport, error: Exception | None) -> None:
        self.inner = inner
        self.error = error
        self.closed = 0

    @property
    def description(self) -> str:
        return self.inner.description

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Connection]:
        try:
            async with self.inner.connect() as connection:
                yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.closed += 1
            if self.error is not None:
                raise self.error


@pytest.mark.parametrize("failing", ["first", "socket", "both"])
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_an_error_of_one_s_close_does_not_skip_the_other_s(
    ends: Both, failing: str, reconnecting: bool
) -> None:
    def error(which: str) -> Exception | None:
        return LookupError(which) if failing in {which, "both"} else None

    first = Slow(LocalSchemaTransport(demo_schema()), error("first"))
    socket = Slow(ends.socket.transport(), error("socket"))
    client = Client(SplitTransport(first, subscriptions=socket))
    with pytest.raises((LookupError, ExceptionGroup)):
        async with client.connect(reconnecting=reconnecting) as session:
            await countdown(session)
            assert await session.execute("{ hello }")
    assert (first.closed, socket.closed) == (1, 1)
    assert await ends.socket.connections[0].wait_closed() == (1000, "")


# Mistakes.


def test_wrong_uses_are_refused() -> None:
    http, socket = HTTPTransport("http://h/graphql"), WebSocketTransport("ws://h/graphql")
    split = SplitTransport(http, subscriptions=socket)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: SplitTransport(split, subscriptions=socket), "transport is a SplitTransport al"),
        (lambda: SplitTransport(http, subscriptions=split), "subscriptions is a SplitTransport al"),
        (lambda: Client(split, subscriptions=socket), "has its own subscriptions: leave out"),
        (lambda: Client(split, subscriptions="ws://h/graphql"), "has its own subscriptions"),
        (lambda: Client(http, subscriptions=split), "subscriptions is a SplitTransport already"),
        (lambda: SplitTransport("http://h", subscriptions=socket), "transport is a transport, not"),  # type: ignore[arg-type]
        (lambda: SplitTransport(http, subscriptions="ws://h"), "write Client.url, subscriptions="),  # type: ignore[arg-type]
        (lambda: SplitTransport(http, subscriptions=7), "subscriptions is a transport, not int"),  # type: ignore[arg-type]
        (lambda: SplitTransport(http, subscriptions=socket, ssl=7), "the transport that needs it"),  # type: ignore[call-arg]
        (lambda: SplitTransport(http, subscriptions=socket, lazy=True), "unless eager=True"),  # type: ignore[call-arg]
        (lambda: Client(http, subscriptions=7), "a transport is a Transport or a URL, not int"),  # type: ignore[arg-type]
        (lambda: Client(http, websocket_url="ws://h"), "write subscriptions="),  # type: ignore[call-arg]
        (lambda: Client(http, subscriptions=socket, headers={}), "HTTPTransport.…, headers=…."),
    ]
    for make, message in wrong:
        with pytest.raises(TypeError, match=message):
            make()
    eager = SplitTransport(http, subscriptions=socket, eager=True)
    with pytest.raises(ValueError, match="lazy=True contradicts SplitTransport"):
        Client(eager).connect(reconnecting=True, lazy=True)


class OnlySubscriptions(Arrays):
    operations = frozenset({"subscription"})


def test_a_transport_that_cannot_is_refused() -> None:
    http, socket = HTTPTransport("http://h/graphql"), WebSocketTransport("ws://h/graphql")

    class Events(WebSocketTransport):
        operations = frozenset({"subscription"})

    class Queries(HTTPTransport):
        operations = frozenset({"query", "mutation"})

    events, queries = Events("ws://h/graphql"), Queries("http://h/graphql")
    SplitTransport(queries, subscriptions=events)
    arrays = WebSocketTransport("ws://h/graphql", protocol=OnlySubscriptions())
    SplitTransport(http, subscriptions=arrays)
    with pytest.raises(TypeError, match="transport is a WebSocketTransport that runs no queries"):
        SplitTransport(arrays, subscriptions=socket)
    SplitTransport(http, subscriptions=socket)
    with pytest.raises(TypeError, match=r"transport is a Events that runs no queries.*HTTPTrans"):
        SplitTransport(events, subscriptions=socket)
    with pytest.raises(TypeError, match="subscriptions is a Queries that runs no subscriptions"):
        SplitTransport(http, subscriptions=queries)
    with pytest.raises(TypeError, match="subscriptions is a Queries that runs no subscriptions"):
        Client("http://h/graphql", subscriptions=queries)


def test_it_says_what_it_is() -> None:
    transport = SplitTransport(
        HTTPTransport("http://u:secret@h/graphql?k=secret"),
        subscriptions=WebSocketTransport("ws://u:secret@h/graphql?k=secret", close_timeout=3),
    )
    assert repr(transport) == (
        "<SplitTransport <HTTPTransport http://h/graphql>, "
        "subscriptions=<WebSocketTransport ws://h/graphql>>"
    )
    assert transport.description == "http://h/graphql"
    assert transport.close_timeout == 3
    assert repr(Client(transport)) == "<Client of http://h/graphql>"


async def test_what_wraps_a_transport_goes_around_each(ends: Both, tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"SplitTransport\(Recorder\(…\), subscriptions=Recorder\(…\)\)"
    ):
        async with Client(Recorder(ends.transport(), tmp_path / "both.json")):
            raise AssertionError("unreachable")
    whole = ends.transport()
    with pytest.raises(TypeError, match=r"SplitTransport\(wrap\(…\), subscriptions=wrap\(…\)\)"):
        whole.connect()
    split = SplitTransport(
        Recorder(whole.transport, tmp_path / "first.json"),
        subscriptions=Recorder(whole.subscriptions, tmp_path / "second.json"),
    )
    async with Client(split) as session:
        assert await session.execute("{ hello }")
        assert await countdown(session) == [2, 1, 0]
    assert (tmp_path / "first.json").stat().st_size
    assert (tmp_path / "second.json").stat().st_size


# URLs.


def parts(client: Client) -> tuple[Any, Any]:
    split = client.transport
    assert isinstance(split, SplitTransport)
    return split.transport, split.subscriptions


async def test_urls(ends: Both) -> None:
    url = await ends.socket.listen()
    client = Client(
        ends.url, subscriptions=url, headers={"x-key": "k"}, init_payload={"token": "t"}
    )
    async with client as session:
        assert await session.execute("{ hello }")
        assert await countdown(session) == [2, 1, 0]
    assert ends.http.requests[0].headers["x-key"] == "k"
    connection = ends.socket.connections[0]
    assert (connection.headers["x-key"], connection.init_payload) == ("k", {"token": "t"})


def test_options_go_to_what_urls_make() -> None:
    http, socket = HTTPTransport("http://h/graphql"), WebSocketTransport("ws://h/graphql")
    first, second = parts(Client(http, subscriptions="WS://h/graphql", init_payload={"t": 1}))
    assert first is http
    assert isinstance(second, WebSocketTransport)
    first, second = parts(Client("http://h/", subscriptions=socket, headers={"a": "b"}))
    assert (first.headers, second) == ({"a": "b"}, socket)
    first, second = parts(Client(http, subscriptions=socket))
    assert (first, second) == (http, socket)
    first, second = parts(Client("http://h/", subscriptions="http://h/stream"))
    assert second.url == "http://h/stream"
    for urls in (
        {"transport": "http://h/", "subscriptions": socket},
        {"transport": "http://h/", "subscriptions": "http://h/"},
    ):
        with pytest.raises(TypeError, match="init_payload goes over WebSocket only"):
            Client(**urls, init_payload={"t": 1})  # type: ignore[arg-type]


async def test_subscriptions_over_another_http_endpoint(ends: Both) -> None:
    stream = endless(b'event: next\ndata: {"data": {"n": 1}}\n\n', b"event: complete\n\n")
    async with peer(stream) as other, Client(ends.url, subscriptions=other.url) as session:
        assert await session.execute("{ hello }")
        async with session.subscribe("subscription { n }") as events:
            assert [event async for event in events] == [{"n": 1}]
    assert (len(ends.http.requests), len(other.requests)) == (1, 1)


# Without await, and without a name for the client.


def test_without_await(anyio_backend_name: str) -> None:
    transport = SplitTransport(
        LocalSchemaTransport(demo_schema()), subscriptions=LocalSchemaTransport(demo_schema())
    )
    with BlockingClient(transport, backend=anyio_backend_name).connect(reconnecting=True) as it:
        assert it.execute("mutation { increment }") == {"increment": 1}
        with it.subscribe("subscription { countdown(from: 2) }") as events:
            assert [event["countdown"] for event in events] == [2, 1, 0]
        it.reconnect()
        it.wait_connected()
        assert it.state == "connected"


async def test_a_call_that_waits_says_why(ends: Both) -> None:
    await ends.socket.stop()
    async with ends.client().connect(reconnecting=True) as session:
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await session.subscribe(NEVER).receive()
        with pytest.raises(TransportTimeout):
            await session.execute("{ slow(seconds: 5) }", timeout=0.05)
        assert await session.execute("{ hello }")
