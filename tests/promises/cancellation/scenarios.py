"""What is cancelled at each of its checkpoints, and what must hold afterwards.

Each scenario sets up a server that keeps what it is sent, byte for byte; yields the part that is
cancelled, wherever that may be; and then looks at what is left. Servers of WebSockets are in
memory, with buffers so small that every larger write takes more than one turn; those of HTTP are
on loopback sockets.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import anyio
import h11
import tenacity
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from graphql import GraphQLSchema

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    Session,
    SharedSubscription,
    SplitTransport,
    Subscription,
    TransportError,
    WebSocketTransport,
    trio_websocket_connector,
)
from anygql.session.supervisor import Supervisor
from anygql.testing import GraphQLServer, PeerConnection, ScriptedPeer, demo_schema
from anygql.websocket.sockets.base import Connector, WebSocketEnded
from tests.promises.cancellation.checkpoints import Body, Run, Scenario, Violation, eventually
from tests.support.clients import client_of
from tests.support.websocket_peer import FAULTS

__all__ = ["SCENARIOS"]

#: Bytes that a connection in memory holds in each direction: less than a handshake has.
NARROW = 96

#: The same where the handshake is TLS's.
WIDE = 512

Enter = Callable[[Body], AbstractAsyncContextManager[Run]]
Setting: TypeAlias = AsyncGenerator[Run]

#: More results than are ever taken.
ENDLESS = "subscription { countdown(from: 1000000, interval: 0.0001) }"

#: All of them, by name.
SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, *loops: str) -> Callable[[Callable[[Body], Setting]], Enter]:
    """Make it one of ``SCENARIOS``; of ``loops``, if not of both."""

    def add(enter: Callable[[Body], Setting]) -> Enter:
        context = asynccontextmanager(enter)
        SCENARIOS[name] = Scenario(name, context, loops or Scenario.loops)
        return context

    return add


# What came over a WebSocket.


class Wire(ByteStream):
    """The server's end of a connection, keeping what it receives."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.received = bytearray()
        self.was_reset = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.receive(max_bytes)
        self.received += data
        return data

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def reset(self) -> None:
        self.was_reset = True
        self._stream.reset()  # type: ignore[attr-defined]

    def check(self) -> None:
        """Raises ``Violation`` unless it is a handshake, or a part of one, and whole frames."""
        head, found, frames = bytes(self.received).partition(b"\r\n\r\n")
        if head and not head.startswith(b"GET /graphql"[: len(head)]):
            raise Violation(f"the connection began with {head[:40]!r}")
        if not found or self.was_reset:
            return
        rest = memoryview(frames)
        closed = False
        while rest:
            if closed:
                raise Violation("there were frames after the close frame")
            opcode, payload, rest = _frame(rest)
            closed = opcode == 0x8
            if opcode == 0x1:
                json.loads(payload)


def _frame(data: memoryview) -> tuple[int, bytes, memoryview]:
    """A client's frame (RFC 6455 §5.2), and what follows it."""
    torn = f"the stream ended within a frame: {bytes(data[:40])!r}"
    if len(data) < 2:
        raise Violation(torn)
    first, size = data[0], data[1] & 0x7F
    if first & 0xF0 != 0x80 or first & 0x0F not in {0x1, 0x8, 0x9, 0xA} or not data[1] & 0x80:
        raise Violation(f"no frame of a client's: {bytes(data[:40])!r}")
    start = 2
    if size > 125:
        start += 2 if size == 126 else 8
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + 4 + size:
        raise Violation(torn)
    mask = data[start : start + 4]
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data[start + 4 :][:size]))
    return first & 0x0F, payload, data[start + 4 + size :]


class ResettableTLS(TLSStream):
    """TLS over a connection that can be reset."""

    async def send_eof(self) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        self.transport_stream.reset()  # type: ignore[union-attr]


@dataclass(frozen=True)
class Contexts:
    server: ssl.SSLContext
    client: ssl.SSLContext


@cache
def _tls() -> Contexts:
    import trustme  # gql's environment, for which other scenarios are here too, has none

    authority = trustme.CA()
    contexts = Contexts(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context())
    authority.issue_cert("localhost").configure_cert(contexts.server)
    authority.configure_trust(contexts.client)
    return contexts


@cache
def _schema() -> GraphQLSchema:
    # Building one takes longer than a whole run.
    return demo_schema()


class Server(GraphQLServer):
    """A GraphQL server that keeps what comes, and whose first connections may fail."""

    def __init__(self, *, refusals: int = 0, **options: Any) -> None:
        super().__init__(_schema(), buffer_size=NARROW, **options)
        self.wires: list[Wire] = []
        self._refusals = refusals

    async def open_stream(self, host: str = "memory", port: int = 80) -> ByteStream:
        if self._refusals == 1:  # the last of them does not even listen
            self._refusals = 0
            raise ConnectionRefusedError("nobody listens")
        return await super().open_stream(host, port)

    async def _serve(self, stream: ByteStream) -> None:
        wire = Wire(stream)
        self.wires.append(wire)
        self.refuse_with = 503 if self._refusals else None
        self._refusals = max(0, self._refusals - 1)
        await super()._serve(wire)

    async def emptied(self) -> None:
        """Wait until every connection is over, and check what came over them."""
        await eventually(lambda: not self._streams, "a connection was left open")
        for wire in self.wires:
            wire.check()
        for connection in self.connections:
            self.check_told(connection.received, list(connection.sent), over=True)

    async def settled(self, running: int = 0) -> None:
        """Wait until no operation but the ones that should still run does, and check the rest."""
        await eventually(
            lambda: len(self.operations) == running,
            lambda: f"the server still runs {self.operations}, not {running}",
        )
        for connection in self.connections:
            over = bool(running) or connection.closed is not None
            self.check_told(connection.received, list(connection.sent), over=over)

    def check_told(self, received: list[Any], sent: list[Any], *, over: bool) -> None:
        """Raise ``Violation`` unless the end of each operation was told once.

        ``over``: some may have ended with their connection.
        """
        _told(received, sent, over=over)

    @property
    def operations(self) -> list[str]:
        return [id for connection in self.connections for id in connection.operations]


def _told(received: list[Any], sent: list[Any], *, over: bool) -> None:
    """The end of each operation was told once, by who ended it."""
    started = [message["id"] for message in received if message["type"] in {"subscribe", "start"}]
    if len(set(started)) != len(started):
        raise Violation(f"an id was used twice: {started}")
    for id in started:
        by_client = sum(
            message["type"] in {"complete", "stop"} and message.get("id") == id
            for message in received
        )
        by_server = any(
            message["type"] in {"complete", "error"} and message.get("id") == id for message in sent
        )
        if by_client > 1:
            raise Violation(f"the server was told {by_client} times that operation {id} was left")
        if not (by_client or by_server or over):
            raise Violation(f"the server was not told that operation {id} was left")
    unknown = [message for message in received if "id" in message and message["id"] not in started]
    if unknown:
        raise Violation(f"the server was told of operations that it never had: {unknown}")


# What must hold on our side.


async def usable(session: Session, query: str = "{ add(a: 2, b: 3) }") -> None:
    """It answers, and has nothing else in hand."""
    try:
        data = await session.execute(query)
    except TransportError as exc:
        raise Violation(f"the session did not answer: {exc!r}") from exc
    if list(data.values()) != [5]:
        raise Violation(f"the session answered {data}")
    await unburdened(session)


async def cross_a_gap(server: GraphQLServer, events: Subscription[Any], body: Body) -> None:
    """Lose the connection between two results."""
    await events.receive()
    body.point()
    server.drop_connections()
    while not events.reconnects:
        await events.receive()
    body.point()


async def unburdened(session: Session) -> None:
    """No route, no request and no slot of the pool is held."""
    await released(session._supervisor)


async def released(supervisor: Supervisor) -> None:
    """Nothing is held by the connection that it keeps."""
    connection = supervisor._connection
    await eventually(lambda: not _held(connection), lambda: f"still held: {_held(connection)}")
    if supervisor.resumables:
        raise Violation("a subscription that was left is still to be resumed")


def _held(connection: Any) -> list[Any]:
    held: list[Any] = []
    tables = [
        *_tables(connection, "_calls", "_streams", "_starting"),
        *_tables(getattr(connection, "routes", None), "by_id"),
        *_tables(getattr(connection, "_writer", None), "_waiting"),
    ]
    assert tables, "what a connection holds has other names now"
    held += ["a route that takes JSON text"] * getattr(
        getattr(connection, "routes", None), "taking_json", 0
    )
    for table in tables:
        held += table
    exchange = getattr(connection, "_exchange", None)
    pool = getattr(exchange, "pool", None)
    if pool is not None:
        held += [*pool._in_use, *pool._waiting]
        turns = exchange.endpoint.max_connections - pool._free
        held += [f"{turns} turns"] if turns else []
    elif exchange is not None:
        held += in_use(exchange._endpoint.client)
    return held


def _tables(of: object, *names: str) -> list[Any]:
    return [getattr(of, name) for name in names if hasattr(of, name)]


def in_use(client: Any) -> list[str]:
    """The connections that are held by a request, and the requests that wait for one."""
    pool = client._transport._pool
    busy = [one.info() for one in pool.connections if not (one.is_idle() or one.is_closed())]
    return busy + [f"a request for {waiting.request.url}" for waiting in pool._requests]


# Over WebSocket: connecting.


@scenario("connect")
async def connect(body: Body) -> Setting:
    async with Server() as server:
        client = Client(server.transport())

        async def run() -> None:
            async with client.connect():
                body.point()

        yield run
        await server.emptied()
        async with client as session:
            await usable(session)
        await server.emptied()


@scenario("connect with retries")
async def connect_with_retries(body: Body) -> Setting:
    async with Server(refusals=2) as server:
        client = Client(server.transport())

        async def run() -> None:
            async with client.connect(reconnecting=True) as session:
                body.point()
                await session.wait_connected()

        yield run
        await server.emptied()
        async with client.connect(reconnecting=True) as session:
            await usable(session)
        await server.emptied()


@scenario("connect_async and close_async")
async def connect_async(body: Body) -> Setting:
    async with Server() as server, anyio.create_task_group() as owner:
        client = Client(server.transport())

        async def run() -> None:
            session = await client.connect_async(owner, reconnecting=True)
            body.point()
            await session.execute("{ hello }")
            body.point()
            await client.close_async()
            body.point()

        yield run
        await client.close_async()
        await server.emptied()
        session = await client.connect_async(owner)
        await usable(session)
        await client.close_async()
        await server.emptied()


@scenario("connect_async without a task group", "asyncio")
async def connect_async_alone(body: Body) -> Setting:
    async with Server() as server:
        client = Client(server.transport())

        async def run() -> None:
            try:
                session = await client.connect_async(reconnecting=True)
                body.point()
                await session.execute("{ hello }")
                body.point()
            finally:
                # In the finally of a canceled task, this has asked for it and does not wait.
                await client.close_async()
            body.point()

        yield run
        await client.close_async()
        await server.emptied()
        session = await client.connect_async()
        await usable(session)
        await client.close_async()
        await server.emptied()


@scenario("functions that await canceled tasks", "asyncio")
async def stray_cancellations(body: Body) -> Setting:
    calls = 0

    async def stray() -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 1:
            task = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(task.cancel)
            try:
                await task
            finally:
                task.cancel()

    async def nothing() -> dict[str, str]:
        await stray()
        return {}

    async def resubscribing(*_: object) -> None:
        await anyio.lowlevel.checkpoint()

    async with Server() as server:
        transport = server.transport(headers=nothing, init_payload=nothing)
        once = tenacity.AsyncRetrying(wait=tenacity.wait_none())
        client = Client(transport)

        async def run() -> None:
            async with client.connect(reconnecting=True, retry_connect=once) as session:
                body.point()
                async with session.subscribe(
                    "subscription { countdown(from: 1) }", on_resubscribe=resubscribing
                ) as events:
                    await events.receive()
                    body.point()
                await session.execute("{ hello }")

        yield run
        await server.emptied()
        async with client.connect(reconnecting=True, retry_connect=once) as session:
            await usable(session)
        await server.emptied()


@scenario("close while operations run")
async def close(body: Body) -> Setting:
    async with Server() as server, anyio.create_task_group() as others:
        ended: list[str] = []

        async def execute(session: Session) -> None:
            with suppress(TransportError):
                await session.execute("{ slow(seconds: 60) }")
            ended.append("query")

        async def subscribe(session: Session) -> None:
            with suppress(TransportError):
                async with session.subscribe("subscription { never }") as events:
                    await events.receive()
            ended.append("subscription")

        async def run() -> None:
            async with Client(server.transport()).connect() as session:
                others.start_soon(execute, session)
                others.start_soon(subscribe, session)
                body.point()
                await server.connections[0].wait_operations(2)
                body.point()

        yield run
        await server.emptied()
        await eventually(lambda: len(ended) in {0, 2}, lambda: f"only {ended} ended")


class TLSServer(Server):
    """A server that speaks TLS, in the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer_size = WIDE

    async def _serve(self, stream: ByteStream) -> None:
        try:
            secured = await ResettableTLS.wrap(
                stream, ssl_context=_tls().server, standard_compatible=False
            )
        except FAULTS:
            await anyio.aclose_forcefully(stream)
            return
        await super()._serve(secured)

    def transport(self, **options: Any) -> WebSocketTransport:
        return WebSocketTransport(
            "wss://localhost/graphql", connector=self.connector(), ssl=_tls().client, **options
        )


class TrioWebSocketServer(Server):
    """A server whose clients are trio-websocket's."""

    def connector(self) -> Connector:
        return trio_websocket_connector(open_stream=self.open_stream)


def whole(make: type[Server] = Server, **options: Any) -> Callable[[Body], Setting]:
    async def whole_session(body: Body) -> Setting:
        async with make() as server:
            client = Client(server.transport())

            async def run() -> None:
                async with client.connect(**options) as session:
                    await session.execute("{ slow(seconds: 0) }")
                    body.point()
                    document = "subscription { countdown(from: 1, interval: 0.0001) }"
                    async with session.subscribe(document) as events:
                        assert [event["countdown"] async for event in events] == [1, 0]
                    body.point()
                    async with session.subscribe("subscription { never }") as events:
                        body.point()

            yield run
            await server.emptied()

    return whole_session


scenario("a whole session")(whole())
scenario("a whole permanent session")(whole(reconnecting=True))
scenario("a whole session over TLS")(whole(TLSServer))
scenario("a whole session by trio-websocket", "trio")(whole(TrioWebSocketServer))


# Over WebSocket: operations of a session that outlives them.


@asynccontextmanager
async def talking(protocol: str = "auto", **options: Any) -> AsyncGenerator[tuple[Server, Session]]:
    """A session and its server; afterwards the session must answer, and nothing be held."""
    async with Server() as server:
        client = Client(server.transport(protocol=protocol))
        async with client.connect(**options) as session:
            yield server, session
            await usable(session)
            await server.settled()
        await server.emptied()


@scenario("execute")
async def execute(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            await session.execute("query Long($n: String!) { hello(name: $n) }", {"n": "x" * 200})
            body.point()
            await session.execute("{ slow(seconds: 0) }")
            body.point()

        yield run


@scenario("execute, given up")
async def give_up(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            with anyio.move_on_after(0.005):
                await session.execute("{ slow(seconds: 60) }")
            body.point()
            await session.execute("{ hello }")

        yield run


@scenario("execute while disconnected")
async def execute_while_disconnected(body: Body) -> Setting:
    async with talking(reconnecting=True) as (server, session), anyio.create_task_group() as tg:
        await server.stop()
        await eventually(lambda: session.state != "connected", "the loss was not noticed")

        async def come_back() -> None:
            await anyio.sleep(0.002)
            await server.start()

        async def run() -> None:
            tg.start_soon(come_back)
            await session.execute("{ hello }")
            body.point()

        yield run
        await server.start()


@scenario("batch over a WebSocket")
async def batch_over_websocket(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            await session.execute_batch(["{ hello }", "{ slow(seconds: 0) }", "{ counter }"])
            body.point()

        yield run


@scenario("subscribe")
async def subscribe(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            async with session.subscribe("subscription { countdown(from: 0) }") as events:
                body.point()
                await events.receive()
                body.point()

        yield run


@scenario("iterate")
async def iterate(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            numbers: list[int] = []
            document = "subscription { countdown(from: 6, interval: 0.0001) }"
            async with session.subscribe(document) as events:
                async for event in events:
                    numbers.append(event["countdown"])
                    body.point()
            assert numbers == [6, 5, 4, 3, 2, 1, 0]

        yield run


def typed(protocol: str) -> Callable[[Body], Setting]:
    async def run_typed(body: Body) -> Setting:
        async with talking(protocol) as (_, session):

            async def run() -> None:
                text = await session.execute("{ hello }", result_type=str, path="hello")
                body.point()
                document = "subscription { countdown(from: 4, interval: 0.0001) }"
                numbers: list[int] = []
                async with session.subscribe(document, result_type=int, path="countdown") as events:
                    async for number in events:
                        numbers.append(number)
                        body.point()
                assert (text, numbers) == ("Hello world!", [4, 3, 2, 1, 0])

            yield run

    return run_typed


scenario("typed results")(typed("graphql-transport-ws"))
scenario("typed results, legacy protocol")(typed("graphql-ws"))


def pages(prefetch: int) -> Callable[[Body], Setting]:
    """Read pages; the body is canceled while one is asked for, here or by a task."""

    async def setting(body: Body) -> Setting:
        document = "query ($n: String!) { __type(name: $n) { fields { name } } }"
        following = iter([{"n": "Mutation"}, {"n": "Subscription"}])
        async with talking() as (_, session):

            async def run() -> None:
                async with session.pages(
                    document,
                    {"n": "Query"},
                    path="__type.fields",
                    next_page=lambda data: next(following, None),
                    prefetch=prefetch,
                ) as nodes:
                    body.point()
                    names = [node["name"] async for node in nodes]
                    body.point()
                assert names[0] == "hello"
                assert names[-1] == "never"

            yield run

    return setting


scenario("pages")(pages(0))
scenario("pages, the next of which is fetched meanwhile")(pages(1))


def sharing(*, first: bool) -> Callable[[Body], Setting]:
    """Listen to a shared subscription, which another listener must get every item of, once."""

    async def setting(body: Body) -> Setting:
        document = "subscription { countdown(from: 6, interval: 0.0001) }"
        async with talking() as (_, session), anyio.create_task_group() as others:
            share = session.share(document, path="countdown", result_type=int)
            came: list[int] = []
            listening, is_begun, is_over = anyio.Event(), False, False

            async def listen(hub: SharedSubscription[int]) -> None:
                nonlocal is_over
                async with hub.listen() as events:
                    listening.set()
                    came.extend([event async for event in events])
                is_over = True

            async with share as hub:
                if not first:
                    is_begun = True
                    others.start_soon(listen, hub)
                    await listening.wait()

                async def run() -> None:
                    nonlocal is_begun
                    async with hub.listen(buffer_size=1) as events:
                        if first:
                            is_begun = True
                            others.start_soon(listen, hub)
                        body.point()
                        await events.receive()
                        body.point()
                        async for _ in events:
                            pass
                        body.point()

                yield run
                await eventually(lambda: is_over or not is_begun, lambda: "the other got no end")
                whole = came[:1] == [6] or first
                if not whole or came != [*range(len(came))][::-1]:
                    raise Violation(f"the other listener got {came}")

    return setting


scenario("begin a shared subscription")(sharing(first=True))
scenario("listen to a shared subscription")(sharing(first=False))


@scenario("own a shared subscription")
async def own_shared(body: Body) -> Setting:
    async with talking() as (_, session):

        async def run() -> None:
            document = "subscription { countdown(from: 2, interval: 0.0001) }"
            async with session.share(document, path="countdown", linger=None) as hub:
                body.point()
                async with hub.listen() as first, hub.listen() as second:
                    body.point()
                    assert await first.receive() == await second.receive() == 2
                    body.point()
                async with hub.listen() as third:
                    assert [event async for event in third] in ([], [0], [1, 0], [2, 1, 0])

        yield run


def leaving(protocol: str) -> Callable[[Body], Setting]:
    async def leave(body: Body) -> Setting:
        async with talking(protocol) as (server, session):

            async def run() -> None:
                document = "subscription { countdown(from: 1000000, interval: 0.0001) }"
                async with session.subscribe(document) as events:
                    await anext(events)
                    body.point()
                    await anext(events)
                body.point()
                await server.connections[0].wait_operations(0)

            yield run

    return leave


scenario("leave a subscription")(leaving("graphql-transport-ws"))
scenario("leave a subscription, legacy protocol")(leaving("graphql-ws"))


@scenario("resubscribe")
async def resubscribe(body: Body) -> Setting:
    async with talking(reconnecting=True) as (server, session):

        async def missed(*_: Any) -> None:
            body.point()
            await session.execute("{ counter }")

        async def run() -> None:
            async with session.subscribe(ENDLESS, on_resubscribe=missed) as events:
                await cross_a_gap(server, events, body)

        yield run


@scenario("reconnect()")
async def reconnect(body: Body) -> Setting:
    async with talking(reconnecting=True) as (_, session):

        async def run() -> None:
            session.reconnect()
            await session.wait_connected()
            body.point()
            await session.execute("{ hello }")
            body.point()

        yield run


@scenario("lazy session")
async def lazy(body: Body) -> Setting:
    async with talking(reconnecting=True, lazy=True) as (_, session):

        async def run() -> None:
            await session.execute("{ hello }")
            body.point()
            async with session.subscribe("subscription { countdown(from: 1) }") as events:
                await events.receive()
                body.point()

        yield run


# Over two WebSockets: one for subscriptions, and one for everything else.


@asynccontextmanager
async def talking_twice(**options: Any) -> AsyncGenerator[tuple[Server, Session]]:
    """A session and the server of its subscriptions; afterwards both connections must serve."""
    async with Server() as first, Server() as second:
        split = SplitTransport(first.transport(), subscriptions=second.transport())
        async with Client(split).connect(**options) as session:
            yield second, session
            await usable(session)
            async with session.subscribe("subscription { countdown(from: 0) }") as events:
                if [event["countdown"] async for event in events] != [0]:
                    raise Violation("the session has no subscriptions any more")
            await released(session._subscriptions)
            await first.settled()
            await second.settled()
        await first.emptied()
        await second.emptied()


@scenario("a whole session of two transports")
async def whole_split(body: Body) -> Setting:
    async with Server() as first, Server() as second:
        split = SplitTransport(first.transport(), subscriptions=second.transport(), eager=True)

        async def run() -> None:
            async with Client(split).connect(reconnecting=True) as session:
                body.point()
                await session.execute("{ hello }")
                async with session.subscribe("subscription { countdown(from: 1) }") as events:
                    await events.receive()
                    body.point()

        yield run
        await first.emptied()
        await second.emptied()


@scenario("the first subscription of two transports")
async def first_subscription(body: Body) -> Setting:
    async with talking_twice() as (_, session):

        async def run() -> None:
            async with session.subscribe("subscription { countdown(from: 0) }") as events:
                body.point()
                await events.receive()
                body.point()
            await session.execute("{ hello }")

        yield run


@scenario("resubscribe by one of two transports")
async def resubscribe_split(body: Body) -> Setting:
    async with talking_twice(reconnecting=True) as (server, session):

        async def missed(*_: Any) -> None:
            body.point()
            await session.execute("{ counter }")

        async def run() -> None:
            async with session.subscribe(ENDLESS, on_resubscribe=missed) as events:
                await cross_a_gap(server, events, body)

        yield run


@scenario("a refused subscription of two transports")
async def refused_split(body: Body) -> Setting:
    async with talking_twice(reconnecting=True) as (server, session):

        async def run() -> None:
            async with session.subscribe("subscription { never }") as events:
                await server.connections[0].wait_operations(1)
                body.point()
                await server.connections[0].close(4401, "token expired")
                with suppress(TransportError):
                    await events.receive()
                body.point()
            async with session.subscribe("subscription { countdown(from: 0) }") as events:
                await events.receive()
                body.point()

        yield run


@scenario("reconnect() of two transports")
async def reconnect_split(body: Body) -> Setting:
    async with talking_twice(reconnecting=True) as (_, session):

        async def run() -> None:
            async with session.subscribe("subscription { never }"):
                session.reconnect()
                await session.wait_connected()
                body.point()
                await session.execute("{ hello }")
                body.point()

        yield run


# Over one WebSocket again.


@scenario("one of many in a nursery")
async def nursery(body: Body) -> Setting:
    async with talking() as (_, session):
        unharmed = 0

        async def ask(number: int) -> None:
            nonlocal unharmed
            for _ in range(3):
                query = "query Add($n: Int!) { add(a: $n, b: 1) }"
                assert await session.execute(query, {"n": number}) == {"add": number + 1}
            unharmed += 1

        async def follow(number: int) -> None:
            nonlocal unharmed
            document = "subscription Down($n: Int!) { countdown(from: $n) }"
            async with session.subscribe(document, {"n": number}) as events:
                came = [event["countdown"] async for event in events]
            assert came == list(range(number, -1, -1))
            unharmed += 1

        async def run() -> None:
            async with session.subscribe("subscription { countdown(from: 3) }") as events:
                await events.receive()
                body.point()
                await session.execute("{ hello }")
                body.point()
                await events.receive()

        async with anyio.create_task_group() as others:
            for number in range(5):
                others.start_soon(ask, number)
                others.start_soon(follow, number)
            yield run
        assert unharmed == 10


# Results that grow, over WebSocket.

PARTS = (
    {
        "data": {"item": {"name": "lamp"}},
        "pending": [{"id": "0", "path": ["item"]}],
        "hasNext": True,
    },
    {
        "incremental": [{"id": "0", "data": {"colour": "red"}}],
        "completed": [{"id": "0"}],
        "hasNext": False,
    },
)
GROWING = "{ item { name ... @defer { colour } } }"
STATES = [{"item": {"name": "lamp"}}, {"item": {"name": "lamp", "colour": "red"}}]


class GrowingPeer(ScriptedPeer):
    """Answers every operation in two parts, or by 5."""

    def __init__(self) -> None:
        super().__init__(self._script, buffer_size=NARROW)
        self.wires: list[Wire] = []
        self.sent: list[Any] = []
        self.ended = 0

    async def _serve(self, stream: ByteStream) -> None:
        wire = Wire(stream)
        self.wires.append(wire)
        try:
            await super()._serve(wire)
        finally:
            self.ended += 1

    async def _script(self, conn: PeerConnection) -> None:
        with suppress(WebSocketEnded):
            await conn.handshake()
            while True:
                message = await conn.receive()
                if message["type"] != "subscribe":
                    continue
                grows = message["payload"]["query"] == GROWING
                for part in PARTS if grows else ({"data": {"five": 5}},):
                    await conn.send({"type": "next", "id": message["id"], "payload": part})
                complete = {"type": "complete", "id": message["id"]}
                await conn.send(complete)
                self.sent.append(complete)


@scenario("incremental over a WebSocket")
async def incremental_over_websocket(body: Body) -> Setting:
    async with GrowingPeer() as peer:
        async with client_of(peer) as session:

            async def run() -> None:
                states: list[Any] = []
                async with session.execute_incremental(GROWING) as growing:
                    async for state in growing:
                        states.append(state)
                        body.point()
                assert states == STATES
                assert await session.execute(GROWING) == STATES[-1]
                body.point()

            yield run
            await usable(session, "{ five }")
        await eventually(lambda: peer.ended == len(peer.wires), "a connection was left open")
        for wire in peer.wires:
            wire.check()
        for conn in peer.connections:
            _told(conn.received[1:], peer.sent, over=False)


# Over HTTP.


@dataclass
class Asked:
    """A request, and what became of it: answered, left by the client, or neither yet."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    state: str = "open"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """A connection to a ``Site``, while it answers one request."""

    def __init__(self, http: h11.Connection, stream: SocketStream, asked: Asked) -> None:
        self._http = http
        self._stream = stream
        self._writing = anyio.Lock()
        self.asked = asked

    async def answer(self, body: bytes, status: int = 200, kind: str = "application/json") -> None:
        """A whole answer."""
        headers = [("content-type", kind), ("content-length", str(len(body)))]
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=body))
        await self.end()

    async def begin(self, kind: str) -> None:
        """The head of an answer that goes on."""
        headers = [("content-type", kind)]
        await self._send(h11.Response(status_code=200, headers=headers))

    async def more(self, data: bytes) -> None:
        """More of it."""
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """The end of it."""
        self.asked.state = "answered"
        await self._send(h11.EndOfMessage())

    async def left(self) -> None:
        """Wait until the client closes the connection."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            data = await self._stream.receive()
            raise Violation(f"{data[:40]!r} came while the request had no answer")
        raise anyio.EndOfStream

    async def _send(self, event: Any) -> None:
        async with self._writing:
            if data := self._http.send(event):
                await self._stream.send(data)


Handler = Callable[[Exchange], Awaitable[None]]


@dataclass
class Site:
    """An HTTP/1.1 server that takes nothing but whole requests, or what is cut off at its end."""

    handler: Handler
    url: str = ""
    requests: list[Asked] = field(default_factory=list)
    open: int = 0
    wrong: list[str] = field(default_factory=list)

    async def serve(self, stream: SocketStream) -> None:
        self.open += 1
        http = h11.Connection(h11.SERVER)
        try:
            async with stream:
                while await self._one(http, stream):
                    http.start_next_cycle()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
        except (h11.RemoteProtocolError, Violation) as exc:
            self.wrong.append(str(exc))
        finally:
            self.open -= 1
            for asked in self.requests:
                if asked.headers.get("x-stream") == str(id(stream)) and asked.state == "open":
                    asked.state = "left"

    async def _one(self, http: h11.Connection, stream: SocketStream) -> bool:
        request = await self._event(http, stream)
        body = bytearray()
        while isinstance(event := await self._event(http, stream), h11.Data):
            body += event.data
        headers = {name.decode(): value.decode() for name, value in request.headers}
        headers["x-stream"] = str(id(stream))
        asked = Asked(request.method.decode(), request.target.decode(), headers, bytes(body))
        self.requests.append(asked)
        await self.handler(Exchange(http, stream, asked))
        return http.our_state is h11.DONE and http.their_state is h11.DONE

    async def _event(self, http: h11.Connection, stream: SocketStream) -> Any:
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await stream.receive())
        return event

    async def settled(self) -> None:
        """Wait until each request has been answered or left."""
        await eventually(
            lambda: all(asked.state != "open" for asked in self.requests),
            "the server was not told that a request was left",
        )
        self.check()

    async def emptied(self) -> None:
        """Wait until the client has closed all its connections."""
        await eventually(lambda: not self.open, "a connection was left open")
        self.check()

    def check(self) -> None:
        """Raises ``Violation`` if something came that is no request."""
        if self.wrong:
            raise Violation(f"the server was sent something wrong: {self.wrong}")


@cache
def _no_certificates() -> ssl.SSLContext:
    # Reading the system's takes longer than a whole run.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@asynccontextmanager
async def site(handler: Handler) -> AsyncGenerator[Site]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    it = Site(handler, f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/graphql")
    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, it.serve)
        yield it
        await it.emptied()
        tg.cancel_scope.cancel()


@asynccontextmanager
async def asking(
    handler: Handler, *, single: bool = False, **options: Any
) -> AsyncGenerator[tuple[Site, Session]]:
    """A session over HTTP; afterwards it must answer, and nothing be held."""
    async with site(_also_five(handler)) as server:
        transport = HTTPTransport(server.url, ssl=_no_certificates(), single_connection=single)
        async with Client(transport, **options) as session:
            yield server, session
            if not single:
                await unburdened(session)
                await server.settled()
                await usable(session, "{ five }")


def _also_five(handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> None:
        if exchange.asked.method == "POST" and b'"{ five }"' in exchange.asked.body:
            asked = exchange.asked.json
            five = b'{"data": {"five": 5}}'
            if isinstance(asked, dict) and not asked.get("extensions"):
                await exchange.answer(five)
                return
        await handler(exchange)

    return handle


async def hello(exchange: Exchange) -> None:
    """Answers all that is asked, one or many."""
    answer = {"data": {"hello": "world"}}
    asked = exchange.asked.json
    whole = [answer] * len(asked) if isinstance(asked, list) else answer
    await exchange.answer(json.dumps(whole).encode())


async def hello_to_a_form(exchange: Exchange) -> None:
    await exchange.answer(b'{"data": {"upload": true}}')


@scenario("execute over HTTP")
async def execute_over_http(body: Body) -> Setting:
    async with asking(hello) as (_, session):

        async def run() -> None:
            await session.execute("{ hello }")
            body.point()
            await session.execute("query Again { hello }")
            body.point()

        yield run


@scenario("execute over HTTP, never answered")
async def execute_over_silent_http(body: Body) -> Setting:
    async def silent(exchange: Exchange) -> None:
        if exchange.asked.json["query"] == "{ silence }":
            await exchange.left()
        await hello(exchange)

    async with asking(silent) as (server, session):

        async def run() -> None:
            with anyio.move_on_after(0.01):
                await session.execute("{ silence }")
            body.point()
            await session.execute("{ hello }")

        yield run
        await server.settled()


@scenario("batch over HTTP")
async def batch_over_http(body: Body) -> Setting:
    async with asking(hello) as (_, session):

        async def run() -> None:
            answers = await session.execute_batch(["{ hello }", "query B { hello }"])
            assert answers == [{"hello": "world"}] * 2
            body.point()

        yield run


@scenario("automatic batch over HTTP")
async def automatic_batch(body: Body) -> Setting:
    async with asking(hello, batch_interval=0.001) as (_, session):
        unharmed = 0

        async def other() -> None:
            nonlocal unharmed
            assert await session.execute("query Other { hello }") == {"hello": "world"}
            unharmed += 1

        async def run() -> None:
            await session.execute("{ hello }")
            body.point()
            await session.execute("query Again { hello }")

        async with anyio.create_task_group() as others:
            for _ in range(3):
                others.start_soon(other)
            yield run
        assert unharmed == 3


UPLOAD = "mutation Upload($file: Upload!) { upload(file: $file) }"


@scenario("upload from a path")
async def upload_from_path(body: Body) -> Setting:
    handle, name = tempfile.mkstemp()
    os.write(handle, bytes(2**19 + 7))
    os.close(handle)
    path = Path(name)
    try:
        async with asking(hello_to_a_form) as (_, session):

            async def run() -> None:
                await session.execute(UPLOAD, {"file": FileVar(path)})
                body.point()

            yield run
    finally:
        path.unlink()


@scenario("upload from an async iterator")
async def upload_from_iterator(body: Body) -> Setting:
    class Chunks:
        """No generator: whose end would be the test's own to see to."""

        left = 5

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            await anyio.lowlevel.checkpoint()
            body.point()
            return b"x" * 2**12

    async with asking(hello_to_a_form) as (_, session):

        async def run() -> None:
            await session.execute(UPLOAD, {"file": FileVar(Chunks())})
            body.point()

        yield run


def event(kind: str, data: Any = None) -> bytes:
    return f"event: {kind}\ndata: {'' if data is None else json.dumps(data)}\n\n".encode()


async def counting_events(exchange: Exchange) -> None:
    """Three events; then the end, or none."""
    await exchange.begin("text/event-stream")
    for number in range(3):
        await exchange.more(event("next", {"data": {"n": number}}))
        await anyio.sleep(0)
    if "Endless" in exchange.asked.json["query"]:
        await exchange.left()
    await exchange.more(event("complete"))
    await exchange.end()


async def counting_parts(exchange: Exchange) -> None:
    await exchange.begin('multipart/mixed; boundary="-"')
    for number in range(3):
        payload = {"payload": {"data": {"n": number}}}
        await exchange.more(part(payload))
        await anyio.sleep(0)
    if "Endless" in exchange.asked.json["query"]:
        await exchange.left()
    await exchange.more(b"\r\n-----\r\n")
    await exchange.end()


def part(payload: Any) -> bytes:
    return b"\r\n---\r\ncontent-type: application/json\r\n\r\n" + json.dumps(payload).encode()


def streaming(handler: Handler) -> Callable[[Body], Setting]:
    async def stream(body: Body) -> Setting:
        async with asking(handler) as (_, session):

            async def run() -> None:
                async with session.subscribe("subscription Ends { n }") as events:
                    assert [event["n"] async for event in events] == [0, 1, 2]
                    body.point()
                async with session.subscribe("subscription Endless { n }") as events:
                    await events.receive()
                    body.point()
                    await events.receive()
                body.point()

            yield run

    return stream


scenario("subscription over server-sent events")(streaming(counting_events))
scenario("subscription over multipart")(streaming(counting_parts))


@scenario("incremental over HTTP")
async def incremental_over_http(body: Body) -> Setting:
    async def growing(exchange: Exchange) -> None:
        await exchange.begin('multipart/mixed; boundary="-"')
        for payload in PARTS:
            await exchange.more(part(payload))
            await anyio.sleep(0)
        await exchange.more(b"\r\n-----\r\n")
        await exchange.end()

    async with asking(growing) as (_, session):

        async def run() -> None:
            async with session.execute_incremental(GROWING) as states:
                assert await states.receive() == STATES[0]
                body.point()
                assert [state async for state in states] == STATES[1:]
            assert await session.execute(GROWING) == STATES[-1]
            body.point()

        yield run


@scenario("close while operations run, over HTTP")
async def close_over_http(body: Body) -> Setting:
    async def nothing(exchange: Exchange) -> None:
        await exchange.left()

    async with site(nothing) as server, anyio.create_task_group() as others:
        ended: list[str] = []

        async def execute(session: Session) -> None:
            with suppress(TransportError):
                await session.execute("{ hello }")
            ended.append("query")

        async def subscribe(session: Session) -> None:
            with suppress(TransportError):
                async with session.subscribe("subscription { n }") as events:
                    await events.receive()
            ended.append("subscription")

        async def run() -> None:
            transport = HTTPTransport(server.url, ssl=_no_certificates())
            async with Client(transport).connect() as session:
                others.start_soon(execute, session)
                others.start_soon(subscribe, session)
                body.point()
                while len(server.requests) < 2:
                    await anyio.sleep(0.001)
                body.point()

        yield run
        await server.emptied()
        await eventually(lambda: len(ended) in {0, 2}, lambda: f"only {ended} ended")


# One event stream for all.


class Streams:
    """Reserved event streams, as graphql-sse's "single connection mode" has them."""

    def __init__(self) -> None:
        self._reserved = 0
        self._open: dict[str, Exchange] = {}
        #: The operations, by stream and id: running, or how they ended.
        self.operations: dict[tuple[str, str], str] = {}
        self.stopped: list[tuple[str, str]] = []

    async def __call__(self, exchange: Exchange) -> None:
        asked = exchange.asked
        token = asked.headers.get("x-graphql-event-stream-token", "")
        match asked.method:
            case "PUT":
                self._reserved += 1
                await exchange.answer(b"token-%d" % self._reserved, 201, "text/plain")
            case "GET":
                await exchange.begin("text/event-stream")
                await exchange.more(b":\n\n")
                self._open[token] = exchange
                try:
                    await exchange.left()
                finally:
                    del self._open[token]
                    for key, state in self.operations.items():
                        if key[0] == token and state == "running":
                            self.operations[key] = "ended with its stream"
            case "POST":
                await self._start(exchange, token)
            case "DELETE":
                [id] = parse_qs(urlsplit(asked.target).query)["operationId"]
                self.stopped.append((token, id))
                if self.operations.get((token, id)) == "running":
                    self.operations[token, id] = "stopped"
                await exchange.answer(b"")

    async def _start(self, exchange: Exchange, token: str) -> None:
        asked = exchange.asked.json
        id = asked["extensions"]["operationId"]
        key = (token, id)
        if key in self.operations:
            raise Violation(f"the id of operation {id} was used twice")
        stream = self._open.get(token)
        if stream is None:
            self.operations[key] = "refused"
            await exchange.answer(b"", 404, "text/plain")
            return
        self.operations[key] = "running"
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            data = {"five": 5} if "five" in asked["query"] else {"n": 0}
            await stream.more(event("next", {"id": id, "payload": {"data": data}}))
            await anyio.sleep(0)
            if "Endless" not in asked["query"] and self.operations[key] == "running":
                self.operations[key] = "completed"
                await stream.more(event("complete", {"id": id}))
        await exchange.answer(b"", 202)

    async def settled(self) -> None:
        """Wait until no operation runs; each was stopped once at most."""
        await eventually(
            lambda: "running" not in self.operations.values(),
            lambda: f"the server still runs some of {self.operations}",
        )
        if len(set(self.stopped)) != len(self.stopped):
            raise Violation(f"the server was told twice: {self.stopped}")
        if unknown := set(self.stopped) - set(self.operations):
            raise Violation(f"what the server never had was stopped: {unknown}")


@scenario("single connection mode")
async def single_connection(body: Body) -> Setting:
    streams = Streams()
    async with asking(streams, single=True) as (_, session):

        async def run() -> None:
            assert await session.execute("{ n }") == {"n": 0}
            body.point()
            async with session.subscribe("subscription Endless { n }") as events:
                await events.receive()
                body.point()
            async with session.subscribe("subscription Ends { n }") as events:
                assert [event async for event in events] == [{"n": 0}]
                body.point()

        yield run
        await streams.settled()
        assert await session.execute("query Five { five }") == {"five": 5}


@scenario("connect in single connection mode")
async def connect_single_connection(body: Body) -> Setting:
    streams = Streams()
    async with site(streams) as server:
        transport = HTTPTransport(server.url, ssl=_no_certificates(), single_connection=True)

        async def run() -> None:
            async with Client(transport) as session:
                body.point()
                await session.execute("{ n }")
                body.point()

        yield run
        await server.emptied()
        async with Client(transport) as session:
            assert await session.execute("query Five { five }") == {"five": 5}
        await streams.settled()
