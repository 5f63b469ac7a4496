"""What a protocol of a user's own may ask of the connection, over sockets in memory."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from anygql import (
    Client,
    TransportConnectionFailed,
    TransportConnectionRefused,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.protocols import Prepared, Secret
from anygql.testing import PeerConnection, ScriptedPeer
from tests.support.own_protocol import Arrays, LazyCodec, PatientCodec

EVENTS = "subscription { n }"
HELLO = "{ hello }"
SUBSCRIPTIONS = frozenset({"subscription"})

Script = Callable[[PeerConnection], Awaitable[object]]

virtual = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual-clock"]
)


@asynccontextmanager
async def serving(
    *scripts: Script, protocol: Arrays, **options: Any
) -> AsyncGenerator[tuple[Client, ScriptedPeer]]:
    async with ScriptedPeer(scripts) as peer:
        transport = WebSocketTransport(
            peer.url, connector=peer.connector(), protocol=protocol, **options
        )
        yield Client(transport), peer


async def welcome(peer: PeerConnection, *rest: Any) -> None:
    await peer.accept("arrays")
    await peer.receive()
    await peer.send(["welcome", *rest])


async def listen(peer: PeerConnection) -> None:
    await welcome(peer)
    await peer.wait_closed()


def result(id: str, n: int) -> list[Any]:
    return ["result", id, {"data": {"n": n}}]


class TestPreparation:
    async def test_it_is_asked_before_each_attempt(self) -> None:
        seen: list[tuple[str, list[str], str | None]] = []
        asked: list[str] = []

        async def prepared(url: str) -> Prepared:
            asked.append(url)
            return Prepared(
                url=f"{url}?token={len(asked)}",
                subprotocols=["arrays", Secret(f"token-{len(asked)}")],
                headers=[("X-Signature", str(len(asked)))],
                init_payload={"n": len(asked)},
            )

        async def script(peer: PeerConnection) -> None:
            request = await peer.request()
            seen.append((request.path, request.subprotocols, request.headers.get("X-Signature")))
            await welcome(peer)
            if len(seen) == 2:
                await peer.wait_closed()

        async with serving(script, protocol=Arrays(prepared=prepared)) as (client, peer):
            async with client.connect(reconnecting=True) as session:
                await peer.wait_connection(2)
                await session.wait_connected()
        assert asked == [peer.url] * 2
        assert [path.partition("?")[2] for path, _, _ in seen] == ["token=1", "token=2"]
        assert [names for _, names, _ in seen] == [["arrays", f"token-{n}"] for n in (1, 2)]
        assert [header for _, _, header in seen] == ["1", "2"]
        assert peer.received == [["hello", {"n": 1}], ["hello", {"n": 2}]]

    async def test_it_counts_for_connect_timeout(self) -> None:
        async def prepared(_url: str) -> Prepared:
            await anyio.sleep_forever()
            raise AssertionError

        protocol = Arrays(prepared=prepared)
        async with serving(listen, protocol=protocol, connect_timeout=0.01) as (client, peer):
            with pytest.raises(TransportError, match="connect_timeout"):
                async with client:
                    pass
        assert peer.connections == []

    async def test_its_url_must_be_a_websocket_s(self) -> None:
        async def prepared(_url: str) -> Prepared:
            return Prepared(url="https://h/?s3cret")

        async with serving(listen, protocol=Arrays(prepared=prepared)) as (client, _):
            with pytest.raises(TransportError, match="must begin with ws://") as caught:
                async with client:
                    pass
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("chosen", ["token-s3cret", "arrays, token-s3cret", "other"])
    async def test_a_secret_chosen_by_the_server_is_not_shown(self, chosen: str) -> None:
        async def prepared(url: str) -> Prepared:
            return Prepared(url=url, subprotocols=["arrays", Secret("token-s3cret")])

        async def script(peer: PeerConnection) -> None:
            await peer.accept(chosen)
            await peer.wait_closed()

        async with serving(script, protocol=Arrays(prepared=prepared)) as (client, _):
            with pytest.raises(TransportProtocolError, match="subprotocol") as caught:
                async with client:
                    pass
        error: BaseException | None = caught.value
        assert caught.value.code == 4406
        while error is not None:
            assert "s3cret" not in repr(error)
            error = error.__cause__

    async def test_advice_for_a_refused_handshake(self) -> None:
        async def prepared(url: str) -> Prepared:
            return Prepared(url=url, advice="Its paths end in /arrays")

        async def script(peer: PeerConnection) -> None:
            await peer.refuse(404)

        async with serving(script, protocol=Arrays(prepared=prepared)) as (client, _):
            with pytest.raises(TransportError, match=r"404 .*\. Its paths end in /arrays$"):
                async with client:
                    pass


class TestOptions:
    def test_the_schemes_of_the_url(self) -> None:
        protocol = Arrays(url_schemes=("https",))
        assert WebSocketTransport("https://h/", protocol=protocol).description == "https://h/"
        with pytest.raises(ValueError, match="must begin with https://"):
            WebSocketTransport("wss://h/", protocol=protocol)

    def test_init_payload_where_there_is_none(self) -> None:
        protocol = Arrays(instead_of_init_payload="write Arrays(token=…)")
        with pytest.raises(TypeError, match=r"Arrays has no init_payload: write Arrays\(token=…\)"):
            WebSocketTransport("wss://h/", protocol=protocol, init_payload=dict)

    def test_pings_by_default(self) -> None:
        protocol = Arrays(default_ping_interval=30.0, default_pong_share=1)

        def times(**options: Any) -> tuple[float | None, float]:
            times = WebSocketTransport("wss://h/", protocol=protocol, **options).keep_alive
            return times.ping_interval, times.pong_timeout

        assert times() == (30, 30)
        assert times(ping_interval=10) == (10, 10)
        assert times(pong_timeout=5) == (30, 5)
        assert times(ping_interval=None)[0] is None
        with pytest.raises(ValueError, match="pong_timeout needs ping_interval"):
            times(ping_interval=None, pong_timeout=5)
        plain = WebSocketTransport("wss://h/").keep_alive
        assert plain.ping_interval is None

    @pytest.mark.parametrize("own", [None, 60, 1], ids=["none", "longer", "shorter"])
    @virtual
    async def test_a_keep_alive_timeout_that_the_server_tells(self, own: float | None) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer, 5)
            await peer.wait_closed()

        async with serving(script, protocol=Arrays(), keep_alive_timeout=own) as (client, _):
            async with client as session:
                began = anyio.current_time()
                with pytest.raises(TransportConnectionFailed, match="nothing was heard"):
                    await session.execute(HELLO, timeout=None)
                assert anyio.current_time() - began == pytest.approx(min(own or 5, 5))


class TestWhatIsRefused:
    async def test_operations_that_the_protocol_has_not(self) -> None:
        protocol = Arrays(operations=SUBSCRIPTIONS)
        async with serving(listen, protocol=protocol) as (client, peer), client as session:
            for document in (HELLO, "mutation { hello }"):
                with pytest.raises(TypeError, match=r"only subscriptions\. .*SplitTransport"):
                    await session.execute(document)
            async with session.subscribe(EVENTS):
                pass
            assert all("hello" not in str(message[2:]) for message in peer.received)

    async def test_incremental_delivery(self) -> None:
        protocol = Arrays(is_incremental=False)
        async with serving(listen, protocol=protocol) as (client, _), client as session:
            with pytest.raises(TypeError, match="no incremental delivery"):
                await session.execute("{ ... @defer { hello } }")
            with pytest.raises(TypeError, match="no incremental delivery"):
                async with session.execute_incremental(HELLO):
                    pass

    async def test_transport_args_without_authorization(self) -> None:
        async with serving(listen, protocol=Arrays()) as (client, _), client as session:
            with pytest.raises(TypeError, match="a WebSocket has nothing like it"):
                async with session.subscribe(EVENTS, transport_args={"auth": 1}):
                    pass


class TestAuthorization:
    async def test_it_is_asked_at_each_sending(self) -> None:
        asked: list[tuple[str, Any]] = []

        async def authorization(request: Any, args: Any) -> Any:
            asked.append((request.text, args))
            return len(asked)

        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            word, id, _, n = await peer.receive()
            assert word == "run"
            await peer.send(result(id, n))
            if n == 3:
                await peer.wait_closed()

        protocol = Arrays(authorization=authorization)
        async with serving(script, protocol=protocol) as (client, _):
            async with client.connect(reconnecting=True) as session:
                async with session.subscribe(EVENTS, transport_args={"auth": "a"}) as events:
                    assert [await events.receive() for _ in range(3)] == [
                        {"n": 1},
                        {"n": 2},
                        {"n": 3},
                    ]
        assert asked == [(EVENTS, {"auth": "a"})] * 3

    @pytest.mark.parametrize("permanent", [True, False])
    async def test_canceled_it_sends_nothing(self, permanent: bool) -> None:
        asked = anyio.Event()

        async def authorization(_request: Any, _args: Any) -> Any:
            asked.set()
            await anyio.sleep_forever()

        protocol = Arrays(authorization=authorization)
        async with serving(listen, protocol=protocol) as (client, peer):
            async with client.connect(reconnecting=permanent) as session:
                for call in (
                    lambda: session.subscribe(EVENTS).__aenter__(),
                    lambda: session.execute_incremental(HELLO).__aenter__(),
                    lambda: session.execute(HELLO),
                ):
                    asked = anyio.Event()
                    async with anyio.create_task_group() as tg:
                        tg.start_soon(call)
                        await asked.wait()
                        tg.cancel_scope.cancel()
        assert peer.received == [["hello", None]]

    async def test_a_connection_lost_meanwhile(self) -> None:
        gone = anyio.Event()
        asked: list[int] = []

        async def authorization(_request: Any, _args: Any) -> Any:
            asked.append(1)
            if len(asked) == 1:
                gone.set()
                await peer.wait_connection(2)
            return "yes"

        async def first(conn: PeerConnection) -> None:
            await welcome(conn)
            await gone.wait()

        async def second(conn: PeerConnection) -> None:
            await welcome(conn)
            _, id, _, _ = await conn.receive()
            await conn.send(result(id, 7))
            await conn.wait_closed()

        protocol = Arrays(authorization=authorization)
        async with serving(first, second, protocol=protocol) as (client, peer):
            async with client.connect(reconnecting=True) as session:
                async with session.subscribe(EVENTS) as events:
                    assert await events.receive() == {"n": 7}
        assert len(asked) == 2

    async def test_what_it_raises_is_raised(self) -> None:
        async def authorization(_request: Any, _args: Any) -> Any:
            raise LookupError("no credentials")

        protocol = Arrays(authorization=authorization)
        async with serving(listen, protocol=protocol) as (client, _), client as session:
            with pytest.raises(LookupError):
                await session.execute(HELLO)
            with pytest.raises(LookupError):
                async with session.subscribe(EVENTS):
                    pass
            assert session.state == "connected"


class TestEvents:
    async def test_several_in_one_message_and_one_of_its_own(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(["several", ["started", id], result(id, 1), result(id, 2)])
            await peer.send(["several", ["echo", ["mine"]], result("99", 0), ["over", id]])
            await peer.expect(["mine"])
            await peer.wait_closed()

        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            async with session.subscribe(EVENTS) as events:
                assert [data["n"] async for data in events] == [1, 2]

    async def test_several_are_bounded(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(["several", *(result(id, n) for n in range(1000))])
            await peer.wait_closed()

        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            async with session.subscribe(EVENTS, buffer_size=2) as events:
                for n in range(1000):
                    assert await events.receive() == {"n": n}
                    assert getattr(events._results, "queued", 0) <= 2 * 64

    async def test_a_typed_subscription_takes_them_too(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(["several", result(id, 1), result(id, 2)])
            await peer.send(["nothing"])
            await peer.send(["over", id])
            await peer.wait_closed()

        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            async with session.subscribe(EVENTS, result_type=dict[str, int]) as events:
                assert [data async for data in events] == [{"n": 1}, {"n": 2}]

    async def test_what_is_about_no_operation_is_ignored(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            for event in (["failed", "99", "gone"], ["result", "99", 5], ["nothing"]):
                await peer.send(event)
                await peer.send(["several", event])
            await peer.send(result(id, 1))
            await peer.wait_closed()

        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            assert await session.execute(HELLO) == {"n": 1}

    async def test_a_result_that_is_checked_when_it_is_needed(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            for data in (['{"n":0}'], ['{"n":1}', '{"n":2}', "5"]):
                _, id, _ = await peer.receive()
                for text in data:
                    await peer.send(["result", id, {"data": text}])
            await peer.wait_closed()

        protocol = Arrays(codec=LazyCodec)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            assert await session.execute(HELLO) == {"n": 0}
            async with session.subscribe(EVENTS) as events:
                assert [(await events.receive())["n"] for _ in range(2)] == [1, 2]
                with pytest.raises(TransportProtocolError, match="'data' is a JSON number"):
                    await events.receive()

    @pytest.mark.parametrize("retryable", [True, False])
    async def test_a_connection_of_no_more_use(self, retryable: bool) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            await peer.receive()
            await peer.send(["useless", "the channel crashed", retryable])
            told.append(await peer.wait_closed())

        told: list[tuple[int, str]] = []
        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            with pytest.raises(TransportConnectionFailed, match="channel crashed") as caught:
                await session.execute(HELLO)
            assert (caught.value.retryable, caught.value.unsent) == (retryable, False)
        assert told == [(1000, "")]

    async def test_a_permanent_session_goes_on_after_it(self) -> None:
        async def first(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(result(id, 1))
            await peer.send(["useless", "the channel crashed", True])
            await peer.wait_closed()

        async def second(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(result(id, 2))
            await peer.wait_closed()

        async with serving(first, second, protocol=Arrays()) as (client, _):
            async with client.connect(reconnecting=True) as session:
                async with session.subscribe(EVENTS) as events:
                    assert [await events.receive() for _ in range(2)] == [{"n": 1}, {"n": 2}]
                    assert events.reconnects == 1

    @virtual
    async def test_an_operation_that_failed_for_now(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            for n in range(3):
                _, id, _ = await peer.receive()
                times.append(anyio.current_time())
                await peer.send(["failed", id, {"message": "too many"}] if n < 2 else result(id, n))
            await peer.wait_closed()

        times: list[float] = []
        async with serving(script, protocol=Arrays()) as (client, _):
            async with client.connect(reconnecting=True) as session:
                async with session.subscribe(EVENTS) as events:
                    assert await events.receive() == {"n": 2}
                assert session.state == "connected"
        assert times[1] > times[0]

    async def test_one_that_failed_is_told_to_a_plain_session(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(["failed", id, {"message": "too many"}])
            await peer.wait_closed()

        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            async with session.subscribe(EVENTS) as events:
                with pytest.raises(TransportQueryError, match="too many") as caught:
                    await events.receive()
            assert caught.value.retryable
            assert caught.value.errors == [{"message": "too many"}]

    @pytest.mark.parametrize("word", ["go away", "not now"])
    async def test_a_refused_connection(self, word: str) -> None:
        async def script(peer: PeerConnection) -> None:
            await peer.accept("arrays")
            await peer.send([word, {"message": "later"}])
            await peer.wait_closed()

        async with serving(script, listen, protocol=Arrays()) as (client, peer):
            with pytest.raises(TransportConnectionRefused, match="later") as caught:
                async with client:
                    pass
            assert caught.value.retryable == (word == "not now") or caught.value.code == 4403
            if word == "not now":
                async with client.connect(reconnecting=True):
                    assert len(peer.connections) == 2

    async def test_a_permanent_session_tries_again_after_a_rejection(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await peer.accept("arrays")
            await peer.send(["not now", "later"])
            await peer.wait_closed()

        async with serving(script, listen, protocol=Arrays()) as (client, peer):
            async with client.connect(reconnecting=True):
                assert len(peer.connections) == 2

    async def test_a_refusal_later_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            await peer.send(["not now", "limit exceeded"])
            _, id, _ = await peer.receive()
            await peer.send(result(id, 1))
            await peer.wait_closed()

        async with serving(script, protocol=Arrays()) as (client, _), client as session:
            with caplog.at_level(logging.WARNING):
                assert await session.execute(HELLO) == {"n": 1}
        assert "limit exceeded" in caplog.text

    @virtual
    async def test_pings_of_the_protocol_s_own(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            for _ in range(3):
                await peer.expect(["ping"])
                times.append(anyio.current_time())
                await peer.send(["pong"])
            await peer.wait_closed()

        times: list[float] = []
        protocol = Arrays(default_ping_interval=30.0, default_pong_share=1.0)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            began = anyio.current_time()
            await session.wait_closed()
            times.append(anyio.current_time())
            with pytest.raises(TransportConnectionFailed, match=r"no pong came within 30 s"):
                await session.execute(HELLO)
        assert [round(each - began) for each in times] == [30, 60, 90, 150]


class TestStartTimeout:
    @virtual
    async def test_a_subscription_that_is_not_started_in_time(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, first, _ = await peer.receive()
            await peer.receive()
            await peer.send(["started", first])
            await peer.send(result(first, 1))
            told.append(await peer.receive())
            await peer.wait_closed()

        told: list[Any] = []
        protocol = Arrays(start_timeout=15.0)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            async with session.subscribe(EVENTS) as one, session.subscribe(EVENTS) as two:
                began = anyio.current_time()
                assert await one.receive() == {"n": 1}
                with pytest.raises(TransportTimeout, match=r"within 15 s \(start_timeout\)"):
                    await two.receive()
                assert anyio.current_time() - began == pytest.approx(15)
                with anyio.move_on_after(100):
                    await one.receive()
        assert told == [["stop", "2"]]

    @virtual
    async def test_a_permanent_session_subscribes_again(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            await peer.receive()
            await peer.expect(["stop", "1"])
            _, id, _ = await peer.receive()
            await peer.send(["several", ["started", id], result(id, 5)])
            await peer.wait_closed()

        async with serving(script, protocol=Arrays(start_timeout=2.0)) as (client, _):
            async with client.connect(reconnecting=True) as session:
                async with session.subscribe(EVENTS) as events:
                    assert await events.receive() == {"n": 5}

    @virtual
    async def test_one_that_is_over_before_and_a_query(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(["over", id])
            _, id, _ = await peer.receive()
            await anyio.sleep(100)
            await peer.send(result(id, 1))
            await peer.wait_closed()

        protocol = Arrays(start_timeout=2.0)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            async with session.subscribe(EVENTS) as events:
                with pytest.raises(StopAsyncIteration):
                    await anext(events)
            assert await session.execute(HELLO, timeout=None) == {"n": 1}

    @virtual
    async def test_while_reading_is_paused_it_doesn_t_count(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, one, _ = await peer.receive()
            await peer.send(["started", one])
            for n in range(1000):
                await peer.send(result(one, n))
            _, two, _ = await peer.receive()
            await peer.send(["started", two])
            await peer.send(result(two, 0))
            await peer.wait_closed()

        protocol = Arrays(start_timeout=2.0)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            async with session.subscribe(EVENTS, buffer_size=1, stall_timeout=None) as one:
                await anyio.sleep(1)  # nobody waits, so reading has paused
                async with session.subscribe(EVENTS) as two:
                    await anyio.sleep(50)
                    for n in range(1000):
                        assert await one.receive() == {"n": n}
                    assert await two.receive() == {"n": 0}


class TestLeaving:
    async def test_what_was_not_written_is_forgotten(self) -> None:
        protocol = Arrays()
        async with serving(listen, protocol=protocol) as (client, peer), client as session:
            async with anyio.create_task_group() as tg:
                subscription = session.subscribe(EVENTS)
                await subscription.__aenter__()
                await subscription.aclose()
                tg.cancel_scope.cancel()
            assert protocol.codecs[0].forgotten + [
                message[1] for message in peer.received if message[0] == "stop"
            ] == ["1"]

    async def test_nothing_may_be_said(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            await peer.send(result(id, 1))
            await peer.expect(["stop all"])
            await peer.expect(["bye"])
            await peer.send(result(id, 2))
            await peer.send(["bye"])
            told.append(await peer.wait_closed())

        told: list[tuple[int, str]] = []
        protocol = Arrays(codec=PatientCodec)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            async with session.subscribe(EVENTS) as events:
                assert await events.receive() == {"n": 1}
        assert told == [(1000, "")]

    async def test_nothing_may_be_said_of_an_answer_that_goes_on(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            _, id, _ = await peer.receive()
            for n in range(3):
                await peer.send(result(id, n))
            await peer.expect(["run", "2", HELLO])
            await peer.send(result("2", 3))
            await peer.expect(["stop all"])
            await peer.expect(["bye"])
            await peer.send(["bye"])
            await peer.wait_closed()

        protocol = Arrays(codec=PatientCodec)
        async with serving(script, protocol=protocol) as (client, _), client as session:
            assert await session.execute(HELLO) == {"n": 0}
            assert await session.execute(HELLO) == {"n": 3}

    @virtual
    async def test_the_goodbye_is_waited_for_within_close_timeout(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            told.append(await peer.wait_closed())

        told: list[tuple[int, str]] = []
        protocol = Arrays(codec=PatientCodec)
        async with serving(script, protocol=protocol, close_timeout=3) as (client, _):
            async with client:
                began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(3)
        assert told == [(1006, "")]

    async def test_a_peer_that_is_gone_before_its_goodbye(self) -> None:
        async def script(peer: PeerConnection) -> None:
            await welcome(peer)
            await peer.expect(["stop all"])

        protocol = Arrays(codec=PatientCodec)
        async with serving(script, protocol=protocol, close_timeout=30) as (client, _):
            with anyio.fail_after(10):
                async with client:
                    pass
