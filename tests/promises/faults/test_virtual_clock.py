"""The permanent session over hours and days, on trio's virtual clock."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import pytest
import tenacity
import trio
from trio.testing import MockClock

from anygql import (
    Client,
    Connecting,
    Disconnected,
    SessionEvent,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.testing import GraphQLServer, ScriptedPeer, demo_schema
from tests.support.amount import EVERYTHING


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


#: Seconds without a server.
LONG = 24 * 3600 if EVERYTHING else 4 * 3600


@pytest.mark.sampled
def test_connects_for_ever_with_growing_waits() -> None:
    events: list[SessionEvent] = []

    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            await server.stop()
            client = Client(server.transport(), on_event=events.append)
            async with anyio.create_task_group() as tg:

                async def come_back() -> None:
                    await anyio.sleep(LONG)
                    await server.start()

                tg.start_soon(come_back)
                start = anyio.current_time()
                async with client.connect(reconnecting=True) as session:
                    assert await session.execute("{ hello }")
                    return anyio.current_time() - start

    elapsed = run(main)
    assert LONG <= elapsed <= LONG + 61
    waits = [event.next_wait for event in events if isinstance(event, Disconnected)]
    assert max(waits) <= 60
    assert len(waits) > LONG / 60
    attempts = [event.attempt for event in events if isinstance(event, Connecting)]
    assert attempts == list(range(1, len(attempts) + 1))


def test_a_flapping_server_is_not_hammered() -> None:
    async def flap(conn) -> None:
        await conn.handshake()
        await conn.close(1012, "restart")

    async def main() -> int:
        async with ScriptedPeer(flap) as peer:
            client = Client(WebSocketTransport("ws://peer/", connector=peer.connector()))
            async with client.connect(reconnecting=True):
                await anyio.sleep(3600)
            return len(peer.connections)

    assert run(main) < 400


def test_execute_timeout_is_for_each_attempt() -> None:
    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            client = Client(server.transport(), execute_timeout=7)
            async with client.connect(reconnecting=True) as session:
                start = anyio.current_time()
                with pytest.raises(TransportTimeout, match=r"7 s \(execute_timeout\)"):
                    await session.execute("{ slow(seconds: 3600) }")
                return anyio.current_time() - start

    assert 35 <= run(main) < 45


def test_waiting_for_a_connection_is_no_attempt() -> None:
    async def main() -> None:
        async with GraphQLServer(demo_schema()) as server, anyio.create_task_group() as tg:
            client = Client(server.transport(), execute_timeout=7)
            async with client.connect(reconnecting=True) as session:
                await server.stop()

                @tg.start_soon
                async def come_back() -> None:
                    await anyio.sleep(600)
                    await server.start()

                assert await session.execute("{ hello }")
                assert anyio.current_time() >= 600

    run(main)


@pytest.mark.parametrize("timeout", [1, 25])
@pytest.mark.parametrize("is_up", [True, False], ids=["silent", "down"])
def test_timeout_is_all_of_a_call(timeout: float, is_up: bool) -> None:
    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            client = Client(server.transport(), execute_timeout=7)
            async with client.connect(reconnecting=True) as session:
                if not is_up:
                    await server.stop()
                start = anyio.current_time()
                with pytest.raises(TransportTimeout, match=rf"{timeout} s \(timeout\)") as caught:
                    await session.execute("{ slow(seconds: 3600) }", timeout=timeout)
                assert caught.value.unsent is not is_up
                assert isinstance(caught.value.__cause__, TransportError) is not is_up
                return anyio.current_time() - start

    assert run(main) == pytest.approx(timeout)


def test_a_call_that_waits_brings_the_next_attempt_forward() -> None:
    async def main() -> None:
        begun: list[float] = []

        def note(event: SessionEvent) -> None:
            if isinstance(event, Connecting):
                begun.append(anyio.current_time())

        async with GraphQLServer(demo_schema()) as server, anyio.create_task_group() as tg:
            client = Client(server.transport(), on_event=note)
            # Not the default: its waits are random, so two attempts may be close by chance.
            policy = tenacity.AsyncRetrying(wait=tenacity.wait_fixed(70))
            async with client.connect(reconnecting=True, retry_connect=policy) as session:
                await server.stop()
                await anyio.sleep(3600)  # of the next wait, 40 seconds are left
                start = anyio.current_time()
                for _ in range(3):
                    tg.start_soon(session.execute, "{ hello }")
                await anyio.sleep(20)
                during = [at for at in begun if at >= start]
                assert 18 <= len(during) <= 22
                assert min(b - a for a, b in pairwise(during)) > 0.99
                await server.start()
                assert await session.execute("{ hello }")
                assert anyio.current_time() - start < 22

    run(main)


def test_calls_do_not_use_up_the_attempts_of_the_policy() -> None:
    policy = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(100)
    )

    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            with pytest.raises(TransportConnectionFailed):
                async with Client(server.transport()).connect(
                    reconnecting=True, retry_connect=policy
                ) as session:
                    await server.stop()
                    start = anyio.current_time()
                    with pytest.raises(TransportConnectionFailed):
                        await session.execute("{ hello }")
                    await anyio.sleep_forever()
            return anyio.current_time() - start

    assert 200 <= run(main) < 202


def test_first_connect_timeout_raises_the_last_real_error() -> None:
    async def main() -> float:
        async with GraphQLServer(demo_schema()) as server:
            await server.stop()
            start = anyio.current_time()
            with pytest.raises(TransportConnectionFailed, match="can't connect to") as caught:
                async with Client(server.transport()).connect(
                    reconnecting=True, first_connect_timeout=30
                ):
                    raise AssertionError("unreachable")
            assert isinstance(caught.value.__cause__, OSError)
            assert "30 s (first_connect_timeout)" in caught.value.__notes__[0]
            return anyio.current_time() - start

    assert run(main) == pytest.approx(30)


def test_first_connect_timeout_with_a_server_that_says_nothing() -> None:
    async def silent(conn) -> None:
        await conn.accept()
        await conn.wait_closed()

    async def main() -> None:
        async with ScriptedPeer(silent) as peer, anyio.create_task_group() as tg:
            transport = WebSocketTransport(
                "ws://peer/", connector=peer.connector(), ack_timeout=None
            )
            with pytest.raises(TransportConnectTimeout, match="first_connect_timeout"):
                await Client(transport).connect_async(
                    tg, reconnecting=True, first_connect_timeout=30
                )
            assert anyio.current_time() == pytest.approx(30, abs=2)

    run(main)


def test_first_connect_timeout_is_for_the_first_connection_alone() -> None:
    async def main() -> None:
        async with GraphQLServer(demo_schema()) as server:
            async with Client(server.transport()).connect(
                reconnecting=True, first_connect_timeout=30
            ) as session:
                await server.stop()
                await anyio.sleep(3600)
                await server.start()
                assert await session.execute("{ hello }")

    run(main)


# The log of a session that can't connect.


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_session_that_cannot_connect_warns(caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                times.append(anyio.current_time() - start)

    start = 0.0

    async def main() -> None:
        nonlocal start
        start = anyio.current_time()
        async with GraphQLServer(demo_schema()) as server:
            await server.stop()
            with anyio.move_on_after(1800):
                async with Client(server.transport()).connect(reconnecting=True):
                    raise AssertionError("unreachable")

    note = Note()
    logger = logging.getLogger("anygql.session.supervisor")
    logger.addHandler(note)
    try:
        run(main)
    finally:
        logger.removeHandler(note)
    assert times[0] <= 5
    assert 28 <= len(times) <= 31
    assert min(b - a for a, b in pairwise(times)) > 59.9
    assert all("can't connect to ws://memory/graphql" in text for text in warnings_of(caplog))


def test_a_session_that_gets_no_answer_warns(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(conn) -> None:
        await conn.accept()
        await conn.wait_closed()

    async def main() -> None:
        async with ScriptedPeer(silent) as peer:
            transport = WebSocketTransport(
                "ws://peer/", connector=peer.connector(), ack_timeout=None
            )
            with anyio.move_on_after(5.1):
                async with Client(transport).connect(reconnecting=True):
                    raise AssertionError("unreachable")

    run(main)
    assert warnings_of(caplog) == [
        "ws://peer/: no connection for 5 s: the server has not answered yet"
    ]


def test_a_short_outage_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with GraphQLServer(demo_schema()) as server:
            async with Client(server.transport()).connect(reconnecting=True) as session:
                for _ in range(10):
                    server.drop_connections()
                    assert await session.execute("{ hello }")
                    await anyio.sleep(60)

    run(main)
    assert warnings_of(caplog) == []
    assert len(caplog.records) == 10


#: Sessions that lose their server at the same time.
SESSIONS = 500 if EVERYTHING else 200


@pytest.mark.sampled
def test_sessions_do_not_come_back_at_once() -> None:
    arrivals: list[float] = []

    async def main() -> None:
        async with GraphQLServer(demo_schema()) as server, anyio.create_task_group() as tg:
            for _ in range(SESSIONS):
                tg.start_soon(keep, server)
            await server.wait_connection(SESSIONS)
            await anyio.sleep(60)
            lost_at = anyio.current_time()
            seen = len(server.connections)
            server.drop_connections()
            while len(server.connections) < 2 * SESSIONS:
                await anyio.sleep(0.01)
                now = anyio.current_time() - lost_at
                arrivals.extend([now] * (len(server.connections) - seen))
                seen = len(server.connections)
            tg.cancel_scope.cancel()

    async def keep(server: GraphQLServer) -> None:
        async with Client(server.transport()).connect(reconnecting=True):
            await anyio.sleep_forever()

    run(main)
    tenths = [sum(n * 0.05 <= at < (n + 1) * 0.05 for at in arrivals) for n in range(11)]
    print("arrivals by 50 ms:", tenths)
    assert len(arrivals) == SESSIONS
    assert max(tenths) < SESSIONS / 4
    assert max(arrivals) <= 0.6
