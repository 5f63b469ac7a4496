"""A permanent session behind a network that does to it what networks do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    Session,
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
    WebSocketTransport,
)
from anygql.session.events import Closed, Connected, Disconnected
from anygql.testing import GraphQLServer
from tests.promises.faults.proxy import FaultProxy
from tests.promises.faults.support import Events, Numbers, check_numbers, port_of

Fault = Callable[[FaultProxy], Awaitable[None]]

HELD = "query ($key: ID!) { held(key: $key) }"
COUNT = "mutation ($key: ID!) { count(key: $key) }"
COUNT_HELD = "mutation ($key: ID!) { countHeld(key: $key) }"
NUMBERS = "subscription { numbers }"


async def _cut(proxy: FaultProxy) -> None:
    await proxy.cut()


async def _reset(proxy: FaultProxy) -> None:
    proxy.reset()


async def _half_close_down(proxy: FaultProxy) -> None:
    await proxy.half_close("down")


async def _half_close_up(proxy: FaultProxy) -> None:
    await proxy.half_close("up")


@pytest.fixture(
    params=[_cut, _reset, _half_close_down, _half_close_up],
    ids=["cut", "reset", "half-close-down", "half-close-up"],
)
def fault(request: pytest.FixtureRequest) -> Fault:
    chosen: Fault = request.param
    return chosen


@dataclass
class World:
    """A server, a proxy before it, and a client of the proxy."""

    server: GraphQLServer
    data: Numbers
    proxy: FaultProxy
    client: Client
    events: Events = field(default_factory=Events)

    @asynccontextmanager
    async def session(self, **options: Any) -> AsyncGenerator[Session]:
        async with self.client.connect(reconnecting=True, **options) as session:
            self.events.session = session
            yield session


@asynccontextmanager
async def world(**transport_options: Any) -> AsyncGenerator[World]:
    data, events = Numbers(), Events()
    async with (
        GraphQLServer(data.schema) as server,
        FaultProxy("127.0.0.1", port_of(await server.listen())) as proxy,
    ):
        url = f"ws://127.0.0.1:{proxy.port}/graphql"
        client = Client(WebSocketTransport(url, **transport_options), on_event=events)
        yield World(server, data, proxy, client, events)


# Slowly, and in pieces.


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_split_everywhere(size: int) -> None:
    async with world() as w:
        w.proxy.piece_size = size
        async with w.session() as session:
            assert await session.execute("query { echo(value: 7) }") == {"echo": 7}
            assert await session.execute(COUNT, {"key": "ключ 🔑"}) == {"count": 1}
            assert w.data.counts == {"ключ 🔑": 1}
            async with session.subscribe(NUMBERS) as numbers:
                await w.data.wait_begun(1)
                w.data.advance(5)
                assert [(await numbers.receive())["numbers"] for _ in range(5)] == [1, 2, 3, 4, 5]
            await w.server.connections[0].wait_received("complete")
            assert len(w.server.connections) == 1


async def test_delayed() -> None:
    async with world() as w:
        w.proxy.delay = 0.01
        async with w.session() as session, session.subscribe(NUMBERS) as numbers:
            assert await session.execute(COUNT, {"key": "a"}) == {"count": 1}
            await w.data.wait_begun(1)
            w.data.advance(3)
            assert [(await numbers.receive())["numbers"] for _ in range(3)] == [1, 2, 3]


# Lost while idle.


async def test_a_loss_while_idle_is_noticed_at_once(soon: None, fault: Fault) -> None:
    async with world() as w, w.session() as session:
        assert session.state == "connected"
        for connections in range(1, 4):
            before = len(w.events.all)
            await fault(w.proxy)
            lost = await w.events.next(Disconnected, before)
            assert lost.will_retry
            assert isinstance(lost.error, TransportConnectionFailed)
            assert w.events.states[w.events.all.index(lost, before)] == "waiting"
            again = await w.events.next(Connected, before)
            assert again.reconnected
            assert session.state == "connected"
            assert await session.execute("{ echo(value: 1) }") == {"echo": 1}
            assert len(w.server.connections) == connections + 1


async def test_a_refused_port_then_a_server() -> None:
    # At the real intervals.
    async with world() as w:
        w.proxy.refuse()
        async with anyio.create_task_group() as tg:

            @tg.start_soon
            async def come_up() -> None:
                await w.events.wait(Disconnected, 2)
                w.proxy.accept()

            async with w.session() as session:
                assert session.state == "connected"
                assert await session.execute("{ echo(value: 1) }") == {"echo": 1}
        refused = w.events.of(Disconnected)
        assert len(refused) >= 2
        for event in refused:
            assert event.will_retry
            assert event.next_wait is not None
            assert isinstance(event.error, TransportConnectionFailed)


async def test_calls_wait_while_the_port_is_refused(soon: None) -> None:
    async with world() as w, w.session() as session:
        w.proxy.refuse()
        w.proxy.reset()
        await w.events.wait(Disconnected, 3)
        async with anyio.create_task_group() as tg:
            answers: list[Any] = []

            async def ask(request: str, variables: dict[str, Any]) -> None:
                answers.append(await session.execute(request, variables))

            tg.start_soon(ask, HELD, {"key": "x"})
            tg.start_soon(ask, COUNT, {"key": "a"})
            w.data.asked["x"] = 1
            await w.events.wait(Disconnected, 5)
            assert not w.data.counts
            w.proxy.accept()
        assert sorted(answers, key=str) == [{"count": 1}, {"held": 2}]
        assert w.data.counts == {"a": 1}


# Lost while something runs.


async def test_a_query_is_asked_again(soon: None, fault: Fault) -> None:
    async with world() as w, w.session() as session, anyio.create_task_group() as tg:

        @tg.start_soon
        async def ask() -> None:
            assert await session.execute(HELD, {"key": "q"}) == {"held": 2}

        await w.data.wait_asked("q")
        await fault(w.proxy)


async def test_a_mutation_is_not_sent_again(soon: None, fault: Fault) -> None:
    async with world() as w, w.session() as session:
        async with anyio.create_task_group() as tg:

            @tg.start_soon
            async def mutate() -> None:
                with pytest.raises(TransportConnectionFailed, match="connection was lost"):
                    await session.execute(COUNT_HELD, {"key": "m"})

            await w.data.wait_counted("m")
            await fault(w.proxy)
        await session.wait_connected()
        assert await session.execute(COUNT, {"key": "n"}) == {"count": 1}
        assert w.data.counts == {"m": 1, "n": 1}


async def test_a_mutation_is_sent_again_for_who_asks(soon: None, fault: Fault) -> None:
    async with (
        world() as w,
        w.session(retry_mutations=True) as session,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(session.execute, COUNT_HELD, {"key": "m"})
        await w.data.wait_counted("m")
        await fault(w.proxy)
        await w.data.changes.until(lambda: w.data.counts["m"] == 2)
        tg.cancel_scope.cancel()


async def test_subscriptions_resume(soon: None, fault: Fault) -> None:
    count, losses = 5, 3
    async with world() as w, w.session() as session, anyio.create_task_group() as tg:
        received: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        changed = anyio.Condition()

        async def follow(items: list[tuple[int, int]]) -> None:
            async with session.subscribe(NUMBERS) as numbers:
                async for data in numbers:
                    items.append((data["numbers"], numbers.reconnects))
                    async with changed:
                        changed.notify_all()

        async def all_have(number: int) -> None:
            async with changed:
                while not all(items and items[-1][0] >= number for items in received):
                    await changed.wait()

        for items in received:
            tg.start_soon(follow, items)
        for loss in range(losses + 1):
            await w.data.wait_begun(count * (loss + 1))
            w.data.advance(10)
            await all_have(w.data.number)
            if loss < losses:
                await fault(w.proxy)
                w.data.advance(3)  # some miss them, some don't
        for items in received:
            check_numbers(items)
            assert items[0][0] == 1
            assert items[-1] == (w.data.number, losses)
        tg.cancel_scope.cancel()


# There, and silent.


KEEP_ALIVES = [
    pytest.param({"keep_alive_timeout": 0.6}, "keep_alive_timeout", id="keep_alive_timeout"),
    pytest.param({"ping_interval": 0.1, "pong_timeout": 0.6}, "pong_timeout", id="ping"),
]


@pytest.mark.parametrize(("options", "named"), KEEP_ALIVES)
async def test_a_frozen_peer_is_found(soon: None, options: dict[str, float], named: str) -> None:
    async with (
        world(**options, connect_timeout=0.6, close_timeout=0.2) as w,
        w.session() as session,
        anyio.create_task_group() as tg,
    ):

        @tg.start_soon
        async def tick() -> None:
            while True:  # so that there is something to be heard
                w.data.advance()
                await anyio.sleep(0.05)

        async with session.subscribe(NUMBERS) as numbers:
            items = [((await numbers.receive())["numbers"], numbers.reconnects)]
            before = len(w.events.all)
            w.proxy.freeze()
            lost = await w.events.next(Disconnected, before)
            assert named in str(lost.error)
            # Connections are accepted, and then there is silence.
            silent = await w.events.next(Disconnected, w.events.all.index(lost, before) + 1)
            assert isinstance(silent.error, TimeoutError)
            frozen = w.data.number
            w.proxy.unfreeze()
            while items[-1][0] <= frozen:
                items.append(((await numbers.receive())["numbers"], numbers.reconnects))
            check_numbers(items)
            assert items[-1][1] >= 1
        tg.cancel_scope.cancel()


@pytest.mark.parametrize(("options", "named"), KEEP_ALIVES)
async def test_frozen_while_executing(soon: None, options: dict[str, float], named: str) -> None:
    async with (
        world(**options, connect_timeout=0.6, close_timeout=0.2) as w,
        w.session() as session,
    ):
        async with anyio.create_task_group() as tg:

            @tg.start_soon
            async def ask() -> None:
                assert await session.execute(HELD, {"key": "q"}) == {"held": 2}

            @tg.start_soon
            async def mutate() -> None:
                with pytest.raises(TransportConnectionFailed, match=named):
                    await session.execute(COUNT_HELD, {"key": "m"})

            await w.data.wait_asked("q")
            await w.data.wait_counted("m")
            before = len(w.events.all)
            w.proxy.freeze()
            await w.events.next(Disconnected, before)
            w.proxy.unfreeze()
        assert w.data.counts == {"m": 1}


async def test_a_mutation_that_was_under_way_when_the_peer_froze(soon: None) -> None:
    options = {"ping_interval": 0.1, "pong_timeout": 0.6}
    async with (
        world(**options, connect_timeout=0.6, close_timeout=0.2) as w,
        w.session() as session,
    ):
        w.proxy.freeze()
        with pytest.raises(TransportConnectionFailed, match="pong_timeout"):
            await session.execute(COUNT, {"key": "m"})
        # The network delivers late what nobody waits for any more.
        old = w.server.connections[0]
        w.proxy.unfreeze()
        await old.wait_closed()
        assert await session.execute(COUNT, {"key": "n"}) == {"count": 1}
        assert w.data.counts["m"] <= 1
        assert w.data.counts["n"] == 1


async def test_a_session_is_closed_while_its_peer_is_frozen(soon: None) -> None:
    async with world(close_timeout=0.2) as w:
        async with w.session(), anyio.create_task_group():
            w.proxy.freeze()
        assert w.events.of(Closed) == [Closed()]
        assert w.events.session is not None
        assert w.events.session.state == "closed"


# Not what was sent.

GARBAGE = b"\xff\xff\xff\xff garbage"


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_garbage_on_the_wire_is_the_error(soon: None, direction: Any) -> None:
    # Of the connection, not of the session: the peer has spoken the protocol (close code 1002).
    seen: list[TransportError] = []
    async with world() as w, w.session() as session, anyio.create_task_group() as tg:

        @tg.start_soon
        async def corrupt() -> None:
            await w.data.wait_counted("q")
            await w.proxy.corrupt(GARBAGE, direction)

        try:
            await session.execute(COUNT_HELD, {"key": "q"})
        except TransportError as exc:
            seen.append(exc)
        assert await session.execute(COUNT, {"key": "n"}) == {"count": 1}
        for error in (*seen, *[event.error for event in w.events.of(Disconnected)]):
            assert isinstance(error, TransportError)
            assert error.code == 1002
            assert isinstance(error, TransportProtocolError) == (direction == "down")
        assert len(seen) == 1
        assert len(w.events.of(Disconnected)) == 1
