"""Which errors may pass, before a server has acknowledged a session and after."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
import tenacity

from anygql import (
    Client,
    Connected,
    Connecting,
    SessionEvent,
    Subscription,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    WebSocketTransport,
)
from anygql.session.policy import describe_rules, may_connect_again
from anygql.testing import ScriptedPeer
from anygql.websocket.sockets.base import WebSocketEnded
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("soon")

Script = Callable[[Any], Awaitable[None]]


def test_the_documentation_has_the_rules() -> None:
    page = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
    assert f"\n{describe_rules()}\n" in page


def status(code: int, retry_after: float | None = None) -> TransportServerError:
    error = TransportServerError("refused", code=code)
    error.retry_after = retry_after
    return error


def closed(code: int) -> TransportConnectionFailed:
    return TransportConnectionFailed("closed", code=code)


PASSING = [
    *[status(code) for code in (408, 425, 429, 500, 502, 503, 504, 599)],
    status(403, retry_after=1),
    *[closed(code) for code in (1000, 1001, 1005, 1006, 1012, 1013, 1014)],
    *[closed(code) for code in (3000, 4000, 4408, 4499, 4504, 4999)],
    TransportConnectTimeout("no connection"),
    TransportConnectionFailed("refused port"),
    ConnectionError("of the token service"),
]
DEPLOYED = [
    *[status(code) for code in (200, 301, 302, 400, 404, 405, 410, 426)],
    TransportConnectionFailed("the proxy", code=404),
    *[closed(code) for code in (1002, 1003, 1007, 1008, 1009, 1011, 1015)],
    *[closed(code) for code in (4004, 4005, 4400, 4406, 4409, 4429, 4500)],
    TransportProtocolError("broke the protocol", code=4400),
    TransportProtocolError("the wrong subprotocol", code=4406),
    TransportProtocolError("doesn't speak HTTP"),
    TransportConnectionFailed("TLS", retryable=False),
]
REFUSING = [
    *[status(code) for code in (401, 403, 407)],
    TransportConnectionFailed("the proxy", code=407),
    closed(4401),
    TransportInvalidURL("no host"),
    LookupError("of a function"),
]


@pytest.mark.parametrize("asks_anew", [True, False])
@pytest.mark.parametrize(
    ("errors", "at_first", "later"),
    [(PASSING, True, True), (DEPLOYED, False, True), (REFUSING, False, False)],
    ids=["passing", "deployed", "refusing"],
)
def test_first_then_for_good(
    errors: list[Exception], at_first: bool, later: bool, asks_anew: bool
) -> None:
    for error in errors:
        verdicts = [
            may_connect_again(error, acknowledged=acknowledged, asks_anew=asks_anew)
            for acknowledged in (False, True)
        ]
        assert verdicts == [at_first, later], (error, getattr(error, "code", None))


@pytest.mark.parametrize("acknowledged", [True, False])
def test_4403_is_final_if_nothing_could_change_it(acknowledged: bool) -> None:
    for asks_anew in (True, False):
        may = may_connect_again(closed(4403), acknowledged=acknowledged, asks_anew=asks_anew)
        assert may is asks_anew


# The same, with a session.


async def serves(conn: Any) -> None:
    await conn.handshake()
    with suppress(WebSocketEnded):
        while True:
            message = await conn.receive()
            if message["type"] == "subscribe":
                answer = {"type": "next", "id": message["id"], "payload": {"data": {"n": 1}}}
                await conn.send(answer)


def before_the_ack(code: int) -> Script:
    async def script(conn: Any) -> None:
        await conn.accept()
        await conn.expect_type("connection_init")
        await conn.close(code, "no")

    return script


def after_the_ack(code: int) -> Script:
    async def script(conn: Any) -> None:
        await conn.handshake()
        await conn.close(code, "no")

    return script


def refused_with(code: int) -> Script:
    async def script(conn: Any) -> None:
        await conn.refuse(code)

    return script


async def sends_garbage(conn: Any) -> None:
    await conn.handshake()
    await conn.send([])
    await conn.wait_closed()


@pytest.mark.parametrize("code", [200, 302, 400, 401, 403, 404, 426])
async def test_a_status_that_blames_us_is_final_at_first(code: int) -> None:
    async with ScriptedPeer([refused_with(code), serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        with pytest.raises(TransportServerError) as caught:
            async with client.connect(reconnecting=True):
                raise AssertionError("unreachable")
        assert (caught.value.code, caught.value.retryable) == (code, False)
        assert len(peer.connections) == 1


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
async def test_a_status_that_may_pass_is_retried(code: int) -> None:
    async with ScriptedPeer([refused_with(code), serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            assert await session.execute("{ n }") == {"n": 1}


@pytest.mark.parametrize("code", [1011, 4400, 4401, 4403, 4406, 4500])
async def test_a_close_code_that_blames_us_is_final_at_first(code: int) -> None:
    async with ScriptedPeer([before_the_ack(code), serves]) as peer:
        transport = WebSocketTransport(
            peer.url, connector=peer.connector(), init_payload={"token": "static"}
        )
        with pytest.raises(TransportConnectionFailed) as caught:
            async with Client(transport).connect(reconnecting=True):
                raise AssertionError("unreachable")
        assert (caught.value.code, caught.value.retryable) == (code, False)
        assert len(peer.connections) == 1


@pytest.mark.parametrize("option", ["init_payload", "headers", "url"])
async def test_4403_is_retried_if_something_is_asked_anew(option: str) -> None:
    async with ScriptedPeer([before_the_ack(4403), serves]) as peer:
        options: dict[str, Any] = {"url": peer.url}
        options[option] = {"url": lambda: peer.url}.get(option, lambda: {"a": "b"})
        transport = WebSocketTransport(**options, connector=peer.connector())
        async with Client(transport).connect(reconnecting=True) as session:
            assert await session.execute("{ n }") == {"n": 1}


@pytest.mark.parametrize(
    "lost",
    [after_the_ack(1011), after_the_ack(4500), after_the_ack(1002), sends_garbage],
    ids=["1011", "4500", "1002", "garbage"],
)
@pytest.mark.parametrize(
    "in_between",
    [[], [refused_with(404)], [refused_with(200)], [before_the_ack(1011)], [before_the_ack(4406)]],
    ids=["at once", "404", "200", "1011", "4406"],
)
async def test_a_server_that_has_served_is_being_deployed(
    lost: Script, in_between: list[Script]
) -> None:
    async with ScriptedPeer([lost, *in_between, serves]) as peer:
        events: list[SessionEvent] = []
        client = Client(
            WebSocketTransport(peer.url, connector=peer.connector()), on_event=events.append
        )
        async with client.connect(reconnecting=True) as session:
            while len([event for event in events if isinstance(event, Connected)]) < 2:
                await anyio.sleep(0.001)
            assert await session.execute("{ n }") == {"n": 1}


@pytest.mark.parametrize(
    "refusal",
    [refused_with(401), refused_with(403), before_the_ack(4401), before_the_ack(4403)],
    ids=["401", "403", "4401", "4403"],
)
async def test_an_explicit_refusal_stays_final(refusal: Script) -> None:
    async with ScriptedPeer([after_the_ack(1012), refusal, serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        with pytest.raises(TransportError):
            async with client.connect(reconnecting=True):
                await anyio.sleep_forever()
        assert len(peer.connections) == 2


async def test_is_retryable_gets_the_verdict_and_decides() -> None:
    seen: list[tuple[int | None, bool]] = []

    def never(error: Exception) -> bool:
        assert isinstance(error, TransportError)
        seen.append((error.code, error.retryable))
        return False

    async with ScriptedPeer([after_the_ack(1011), serves]) as peer:
        client = Client(
            WebSocketTransport(peer.url, connector=peer.connector()), is_retryable=never
        )
        with pytest.raises(TransportConnectionFailed, match="1011"):
            async with client.connect(reconnecting=True):
                await anyio.sleep_forever()
    assert seen == [(1011, True)]


def asked_then(step: Script) -> Script:
    async def script(conn: Any) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        await step(conn)

    return script


@pytest.mark.parametrize("code", [1006, 1011, 1012])
@pytest.mark.parametrize("batch", [True, False])
async def test_queries_that_the_connection_took_along_are_sent_again(
    code: int, batch: bool
) -> None:
    async def lose(conn: Any) -> None:
        if code == 1006:
            conn.reset()
        else:
            await conn.close(code, "")

    async with ScriptedPeer([asked_then(lose), serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            if batch:
                assert await session.execute_batch(["{ n }", "{ n }"]) == [{"n": 1}] * 2
                with pytest.raises(TransportError):
                    await session.execute_batch(["mutation { n }", "{ m }"], timeout=0)
            else:
                assert await session.execute("{ n }") == {"n": 1}
        assert len(peer.connections) == 2


async def test_a_batch_with_a_mutation_is_not_sent_again() -> None:
    async def lose(conn: Any) -> None:
        conn.reset()

    async with ScriptedPeer([asked_then(lose), serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            with pytest.raises(TransportConnectionFailed) as caught:
                await session.execute_batch(["{ n }", "mutation { n }"])
            assert caught.value.unsent is False
            assert await session.execute("{ n }") == {"n": 1}


async def test_a_query_that_kills_its_connection_is_sent_once() -> None:
    async def kill(conn: Any) -> None:
        await conn.close(4500, "Syntax Error")

    async with ScriptedPeer([asked_then(kill), serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            with pytest.raises(TransportConnectionFailed, match="Syntax Error"):
                await session.execute("{ n }")
            assert await session.execute("{ n }") == {"n": 1}


@pytest.mark.parametrize("wait", [0, 60], ids=["for a connection", "for the policy"])
async def test_unsent_speaks_for_all_attempts(wait: int) -> None:
    """The first attempt was written; the session then ends while the call waits to be retried.

    How long it waits is fixed: if that were over in the moment in which the session ends, the call
    would be canceled with the session's body.
    """

    async def lose(conn: Any) -> None:
        conn.reset()

    async with ScriptedPeer([asked_then(lose), refused_with(401)]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        policy = tenacity.AsyncRetrying(wait=tenacity.wait_fixed(wait))
        with pytest.raises(TransportServerError):
            async with client.connect(reconnecting=True, retry_execute=policy) as session:
                caught: list[TransportError] = []
                try:
                    await session.execute("{ n }")
                except TransportError as error:
                    caught.append(error)
                assert [(error.code, error.unsent) for error in caught] == [(401, False)]
                await anyio.sleep_forever()
        assert caught


async def test_unsent_of_a_call_that_never_was() -> None:
    async with ScriptedPeer([after_the_ack(1012), refused_with(401)]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        with pytest.raises(TransportServerError):
            async with client.connect(reconnecting=True) as session:
                await session.wait_closed()
        with pytest.raises(TransportServerError) as caught:
            await session.execute("{ n }")
        assert caught.value.unsent


# What on_event raises.


@pytest.mark.parametrize("permanent", [True, False])
@pytest.mark.parametrize("error", [OSError, TransportConnectionFailed, LookupError])
@pytest.mark.parametrize("kind", ["Connecting", "Connected", "Disconnected", "Closed"])
async def test_what_on_event_raises_ends_the_session(
    kind: str, error: type[Exception], permanent: bool
) -> None:
    told: list[str] = []

    def on_event(event: SessionEvent) -> None:
        told.append(type(event).__name__)
        if type(event).__name__ == kind:
            raise error("mine")

    scripts = [after_the_ack(1012) if kind == "Disconnected" else serves, serves, serves]
    async with ScriptedPeer(scripts) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()), on_event=on_event)
        with pytest.raises(error, match="mine"):
            async with client.connect(reconnecting=permanent):
                if kind != "Closed":
                    await anyio.sleep_forever()
    assert told.count(kind) == 1
    assert told[-1] == "Closed"


async def test_what_on_event_raises_at_each_event_is_raised_once() -> None:
    def on_event(event: SessionEvent) -> None:
        raise OSError(type(event).__name__)

    async with ScriptedPeer([serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()), on_event=on_event)
        with pytest.raises(OSError, match=Connecting.__name__):
            async with client.connect(reconnecting=True):
                raise AssertionError("unreachable")


class Stop(BaseException):
    """Neither an error nor a cancellation, as SystemExit is."""


async def test_what_is_no_error_ends_the_program() -> None:
    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Connected):
            raise Stop

    async with ScriptedPeer([serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()), on_event=on_event)
        with pytest.raises((Stop, BaseExceptionGroup)) as caught:
            async with client.connect(reconnecting=True):
                raise AssertionError("unreachable")
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, Stop)


async def test_an_operation_that_is_completed_without_an_answer_is_not_sent_again() -> None:
    asked: list[Any] = []

    async def completes(conn: Any) -> None:
        await conn.handshake()
        message = await conn.expect_type("subscribe")
        asked.append(message)
        await conn.send({"type": "complete", "id": message["id"]})
        await conn.wait_closed()

    async with ScriptedPeer([completes]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            with pytest.raises(TransportQueryError, match="without an answer"):
                await session.execute("{ n }")
    assert len(asked) == 1


# on_resubscribe.


async def streams(conn: Any) -> None:
    await conn.handshake()
    message = await conn.expect_type("subscribe")
    await conn.send({"type": "next", "id": message["id"], "payload": {"data": {"n": 1}}})
    await conn.wait_closed()


@pytest.mark.parametrize("how", ["left", "dropped"])
async def test_the_end_of_a_subscription_cancels_its_on_resubscribe(how: str) -> None:
    begun, over = anyio.Event(), anyio.Event()
    equals: list[bool] = []

    async def hang(subscription: object, last: object) -> None:
        equals.append(subscription == events and hash(subscription) == hash(events))
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            over.set()

    async with ScriptedPeer([streams, serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            events = session.subscribe("subscription { n }", on_resubscribe=hang)
            assert await events.receive() == {"n": 1}
            session.reconnect()
            await begun.wait()
            assert equals == [True]
            if how == "left":
                await events.aclose()
            else:
                del events
                gc.collect()
            await over.wait()
            assert await session.execute("{ n }") == {"n": 1}


async def test_on_resubscribe_can_close_its_subscription() -> None:
    async def close(subscription: Subscription[Any], last: object) -> None:
        await subscription.aclose()

    async with ScriptedPeer([streams, serves]) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            events = session.subscribe("subscription { n }", on_resubscribe=close)
            assert await events.receive() == {"n": 1}
            session.reconnect()
            with pytest.raises(anyio.ClosedResourceError):
                await events.receive()
            assert await session.execute("{ n }") == {"n": 1}
