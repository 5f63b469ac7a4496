"""Sessions over AppSync's protocol, with the test server's dialect of it."""

from __future__ import annotations

import json
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anygql import (
    Client,
    Session,
    TransportConnectionFailed,
    TransportConnectionRefused,
    TransportProtocolError,
    TransportQueryError,
    TransportTimeout,
    WebSocketTransport,
    gql,
)
from anygql.appsync import IAM, ApiKey, AppSync, Token
from anygql.testing import GraphQLServer, demo_schema
from anygql.websocket.sockets.base import Connector
from tests.appsync.test_sigv4 import by_botocore

pytestmark = pytest.mark.usefixtures("soon", "brief")

COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from) }"
NEVER = "subscription { never }"
TICKS = "subscription { countdown(from: 1000000, interval: 0.005) }"
KEYS = ("AKIDEXAMPLE", "s3cret-key", "s3cret-token")
KEY = ApiKey("da2-s3cret")


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[GraphQLServer]:
    async with GraphQLServer(demo_schema(), protocols=["appsync"], **options) as server:
        yield server


@asynccontextmanager
async def connected(
    server: GraphQLServer, auth: Any = KEY, *, protocol: Any = None, **options: Any
) -> AsyncGenerator[Session]:
    """A session; ``reconnecting`` and what belongs to that are options of connect()."""
    of_transport = {
        name: options.pop(name)
        for name in ("keep_alive_timeout", "ack_timeout", "close_timeout", "connect_timeout")
        if name in options
    }
    transport = server.transport(protocol=protocol or AppSync(auth), **of_transport)
    async with Client(transport).connect(**options) as session:
        yield session


class Numbered:
    """An authorization that says how often it was asked, and what about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        await checkpoint()
        self.asked.append((url, body))
        return {"x-number": str(len(self.asked))}


class Gate:
    """``on_connect`` that lets connections pass, and holds subscriptions until it is opened."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self.starts = 0

    async def __call__(self, authorization: Any) -> None:
        if not authorization.url.endswith("/connect"):
            self.starts += 1
            await self.opened.wait()


class Doorkeeper:
    """``on_connect`` that knows which tokens are good, and may have another complaint."""

    def __init__(self, *good: str) -> None:
        self.good = set(good)
        self.asked: list[tuple[bool, str]] = []
        self.complaints: list[str] = []

    def __call__(self, authorization: Any) -> bool:
        is_connect = authorization.url.endswith("/connect")
        self.asked.append((is_connect, authorization["Authorization"]))
        if self.complaints:
            raise RuntimeError(self.complaints.pop(0))
        return authorization["Authorization"] in self.good


def tokens(*values: str) -> Token:
    """Tokens, one after another, and the last of them for ever."""
    left = [*values]
    return Token(lambda: left.pop(0) if len(left) > 1 else left[0])


# Connecting.


@pytest.mark.parametrize("handshake", ["subprotocol", "query"])
async def test_a_subscription(handshake: Any, connector: Connector) -> None:
    async with serving() as server:
        url = (await server.listen()).replace("ws://", "http://") + "?a=b"
        protocol = AppSync(KEY, handshake=handshake)
        transport = WebSocketTransport(url, protocol=protocol, connector=connector)
        async with Client(transport) as session:
            async with session.subscribe(COUNTDOWN, {"from": 2}) as events:
                received = [event["countdown"] async for event in events]
        assert received == [2, 1, 0]
        (connection,) = server.connections
        assert await connection.wait_closed() == (1000, "")
        assert connection.subprotocol == "graphql-ws"
        assert connection.received[0] == {"type": "connection_init"}
        host = urlsplit(url).netloc
        path, query = connection.path.split("?")
        assert path == "/graphql/realtime"
        offered = connection.headers["Sec-WebSocket-Protocol"].split(", ")
        if handshake == "query":
            assert offered == ["graphql-ws"]
            assert "+" not in query
            assert query.startswith("a=b&header=")
            parameters = parse_qs(query)
            assert parameters["payload"] == ["e30="]
            headers = json.loads(b64decode(parameters["header"][0], validate=True))
        else:
            assert query == "a=b"
            first, second = offered
            assert first == "graphql-ws"
            encoded = second.removeprefix("header-")
            assert re.fullmatch("[-_0-9A-Za-z]+", encoded)
            headers = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        assert headers.keys() == {"host", "x-amz-date", "x-api-key"}
        assert (headers["host"], headers["x-api-key"]) == (host, "da2-s3cret")
        start = connection.received[1]
        authorization = start["payload"]["extensions"]["authorization"]
        assert authorization.keys() == headers.keys()
        assert json.loads(start["payload"]["data"]) == {
            "query": COUNTDOWN,
            "variables": {"from": 2},
        }


async def test_iam_signs_the_handshake_and_the_very_bytes_of_each_start() -> None:
    verified = []

    def verify(authorization: Any) -> None:
        given = {name.lower(): value for name, value in authorization.items()}
        signed = given["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        others = {
            name: given[name]
            for name in signed
            if name not in {"host", "x-amz-date", "x-amz-security-token"}
        }
        assert others.keys() == {"accept", "content-encoding", "content-type"}
        expected = by_botocore(
            KEYS, authorization.url, authorization.body, others, given["x-amz-date"]
        )
        assert given["authorization"] == expected["authorization"]
        verified.append(authorization.url.rpartition("/")[2])

    async with serving(on_connect=verify) as server:
        async with connected(server, IAM(KEYS, region="eu-west-1")) as session:
            for number in range(2):
                async with session.subscribe(COUNTDOWN, {"from": number}) as events:
                    await events.receive()
        assert verified == ["connect", "graphql", "graphql"]


async def test_each_attempt_and_each_start_is_authorized_anew() -> None:
    auth = Numbered()
    async with serving() as server, connected(server, auth, reconnecting=True) as session:
        async with session.subscribe(TICKS) as events:
            await events.receive()
            server.drop_connections()
            while events.reconnects == 0:
                await events.receive()
        first, second = server.connections
        assert second.received[-1]["type"] in {"start", "stop"}
        connect, start = ("http://memory/graphql/connect", b"{}"), ("http://memory/graphql",)
        assert [auth.asked[0], auth.asked[2]] == [connect, connect]
        assert [asked[:1] for asked in auth.asked[1::2]] == [start, start]
        numbers = [
            message["payload"]["extensions"]["authorization"]["x-number"]
            for connection in (first, second)
            for message in connection.received
            if message["type"] == "start"
        ]
        assert numbers == ["2", "4"]
        for connection, (_, body) in zip((first, second), auth.asked[1::2], strict=True):
            assert connection.received[1]["payload"]["data"].encode() == body


async def test_the_acknowledgement_tells_how_long_silence_may_last() -> None:
    async with serving(on_connect=lambda _: {"connectionTimeoutMs": 20}) as server:
        with pytest.raises(TransportConnectionFailed, match=r"nothing was heard for 0\.02 s"):
            async with connected(server) as session:
                await session.subscribe(NEVER).receive()
    async with serving(on_connect=lambda _: {"connectionTimeoutMs": 3_600_000}) as server:
        with pytest.raises(TransportConnectionFailed, match=r"nothing was heard for 0\.03 s"):
            async with connected(server, keep_alive_timeout=0.03) as session:
                await session.subscribe(NEVER).receive()


async def test_any_frame_shows_that_the_server_is_there() -> None:
    async with serving(
        on_connect=lambda _: {"connectionTimeoutMs": 500}, keep_alive_interval=0.01
    ) as server:
        async with connected(server) as session:
            connection = server.connections[0]
            await connection.wait_sent("ka", 80)
            assert session.state == "connected"
        assert [message["type"] for message in connection.received] == ["connection_init"]


# Refusals of the connection.


@pytest.mark.parametrize(
    "complaint", ["Wrong key", "BadRequestException: what is this", "UnauthorizedException: no"]
)
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_final_refusal(complaint: str, reconnecting: bool) -> None:
    keeper = Doorkeeper()
    keeper.complaints = [complaint] * 9
    async with serving(on_connect=keeper) as server:
        with pytest.raises(TransportConnectionRefused) as caught:
            async with connected(server, Token("t"), reconnecting=reconnecting):
                pass
        assert complaint.rpartition(": ")[2] in str(caught.value)
        assert caught.value.errors[0]["errorType"].endswith("Exception")
        assert len(server.connections) == 1


async def test_a_refusal_that_may_pass_is_retried() -> None:
    keeper = Doorkeeper("t")
    keeper.complaints = ["LimitExceededError: too many", "InternalFailureException: oh"]
    async with serving(on_connect=keeper) as server:
        async with connected(server, Token("t"), reconnecting=True) as session:
            assert session.state == "connected"
        assert len(server.connections) == 3


async def test_credentials_that_can_be_refreshed_have_one_more_attempt() -> None:
    keeper = Doorkeeper("good")
    async with serving(on_connect=keeper) as server:
        async with connected(server, tokens("old", "good"), reconnecting=True):
            pass
        assert keeper.asked == [(True, "old"), (True, "good")]
        keeper.asked.clear()
        with pytest.raises(TransportConnectionRefused):
            async with connected(server, tokens("old", "older", "good"), reconnecting=True):
                pass
        assert keeper.asked == [(True, "old"), (True, "older")]


async def test_a_plain_session_fails_fast() -> None:
    keeper = Doorkeeper("good")
    async with serving(on_connect=keeper) as server:
        with pytest.raises(TransportConnectionRefused):
            async with connected(server, tokens("old", "good")):
                pass
        assert len(keeper.asked) == 1


async def test_a_server_that_chooses_no_subprotocol() -> None:
    async with GraphQLServer(demo_schema(), protocols=["graphql-transport-ws"]) as server:
        with pytest.raises(TransportProtocolError) as caught:
            async with connected(server):
                pass
        assert caught.value.code == 4406
        assert "graphql-ws" in str(caught.value)


# Subscriptions.


async def test_one_that_is_not_started_in_time() -> None:
    gate = Gate()
    async with serving(on_connect=gate) as server:
        protocol = AppSync(KEY, start_timeout=0.02)
        async with (
            connected(server, protocol=protocol) as session,
            session.subscribe(NEVER) as events,
        ):
            with pytest.raises(TransportTimeout, match="start_timeout") as caught:
                await events.receive()
            assert caught.value.retryable
            assert session.state == "connected"
            # Whatever comes of it later is stopped.
            gate.opened.set()
            await server.connections[0].wait_received("stop")
            await server.connections[0].wait_operations(0)


async def test_a_permanent_session_subscribes_again_if_it_is_not_started_in_time() -> None:
    gate = Gate()
    async with serving(on_connect=gate) as server:
        protocol = AppSync(KEY, start_timeout=0.02)
        async with (
            connected(server, protocol=protocol, reconnecting=True) as session,
            session.subscribe(COUNTDOWN, {"from": 0}) as events,
        ):
            async with anyio.create_task_group() as tg:

                async def release() -> None:
                    await server.connections[0].wait_received("start", 3)
                    gate.opened.set()

                tg.start_soon(release)
                assert await events.receive() == {"countdown": 0}
            assert events.reconnects >= 2
        assert len(server.connections) == 1


async def test_one_that_is_left_before_it_is_started_is_stopped_then() -> None:
    gate = Gate()
    async with serving(on_connect=gate) as server:
        async with connected(server) as session:
            connection = server.connections[0]
            async with session.subscribe(NEVER):
                await connection.wait_received("start")
            async with session.subscribe(NEVER):
                await connection.wait_received("start", 2)
                assert [m["type"] for m in connection.received] == [
                    *("connection_init", "start", "start")
                ]
                gate.opened.set()
                await connection.wait_received("stop")
                await connection.wait_sent("complete")
                assert connection.received[-1] == {"id": "1", "type": "stop"}
                assert connection.operations == ["2"]


async def test_leaving_stops_once_and_late_results_are_ignored() -> None:
    async with serving() as server, connected(server) as session:
        connection = server.connections[0]
        async with session.subscribe(TICKS) as events:
            await events.receive()
        await connection.wait_received("stop")
        await connection.wait_sent("complete")
        await connection.send({"type": "data", "id": "1", "payload": {"data": {}}})
        async with session.subscribe(COUNTDOWN, {"from": 0}) as events:
            assert [event async for event in events] == [{"countdown": 0}]
        assert sum(message["type"] == "stop" for message in connection.received) == 1


async def test_a_result_with_errors_does_not_end_it() -> None:
    async with serving() as server, connected(server) as session:
        async with session.subscribe("subscription { failing(after: 1) }") as events:
            assert await events.receive() == {"failing": 0}
            with pytest.raises(TransportQueryError):
                await events.receive()
            assert await events.receive() is not None


async def test_a_refused_subscription_harms_no_neighbor() -> None:
    async with serving() as server, connected(server) as session:
        connection = server.connections[0]
        async with session.subscribe(TICKS) as neighbor:
            await neighbor.receive()
            error = {"errorType": "Unauthorized", "message": "not you"}
            for number, errors in enumerate([[error], error], 2):
                async with session.subscribe(NEVER) as events:
                    start = await connection.wait_received("start", number)
                    payload = {"errors": errors}
                    await connection.send({"type": "error", "id": start["id"], "payload": payload})
                    with pytest.raises(TransportQueryError, match="not you") as caught:
                        await events.receive()
                    assert caught.value.errors == [error]
                    await neighbor.receive()
        assert len(server.connections) == 1


async def test_a_syntax_error_of_the_servers_kind() -> None:
    async with serving() as server, connected(server) as session:
        async with session.subscribe("subscription { nothing }") as events:
            with pytest.raises(TransportQueryError, match="nothing"):
                await events.receive()


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_credentials_of_a_subscription_are_refreshed_once(reconnecting: bool) -> None:
    keeper = Doorkeeper("good")
    async with serving(on_connect=keeper) as server, AsyncExitStack() as stack:
        auth = tokens("good", "old", "good")
        session = await stack.enter_async_context(
            connected(server, auth, reconnecting=reconnecting)
        )
        events = await stack.enter_async_context(session.subscribe(COUNTDOWN, {"from": 0}))
        if reconnecting:
            assert await events.receive() == {"countdown": 0}
            assert keeper.asked == [(True, "good"), (False, "old"), (False, "good")]
        else:  # which fails fast
            with pytest.raises(TransportQueryError, match="Unauthorized") as caught:
                await events.receive()
            assert caught.value.retryable
        assert session.state == "connected"
        assert len(server.connections) == 1


async def test_a_second_refusal_is_final_for_this_subscription_alone() -> None:
    keeper = Doorkeeper("good")
    async with serving(on_connect=keeper) as server:
        auth = tokens("good", "good", "old", "older", "good")
        async with (
            connected(server, auth, reconnecting=True) as session,
            session.subscribe(TICKS) as neighbor,
        ):
            await neighbor.receive()
            async with session.subscribe(COUNTDOWN, {"from": 0}) as events:
                with pytest.raises(TransportQueryError):
                    await events.receive()
            await neighbor.receive()
            assert [token for _, token in keeper.asked] == ["good", "good", "old", "older"]
        assert len(server.connections) == 1


async def test_a_token_that_expires_while_a_subscription_runs() -> None:
    async with serving() as server:
        auth = tokens("first", "first", "second")
        async with (
            connected(server, auth, reconnecting=True) as session,
            session.subscribe(NEVER) as events,
        ):
            connection = server.connections[0]
            await connection.wait_sent("start_ack")
            error = {"errorType": "UnauthorizedException", "message": "Token has expired."}
            await connection.send({"type": "error", "id": "1", "payload": {"errors": [error]}})
            start = await connection.wait_received("start", 2)
            assert start["payload"]["extensions"]["authorization"]["Authorization"] == "second"
            await connection.send({"type": "data", "id": start["id"], "payload": {"data": {}}})
            assert await events.receive() == {}
            assert events.reconnects == 1


@pytest.mark.parametrize("kind", ["MaxSubscriptionsReachedError", "LimitExceededError"])
async def test_a_limit_is_waited_for(kind: str) -> None:
    keeper = Doorkeeper("t")
    async with serving(on_connect=keeper) as server:
        async with connected(server, Token("t"), reconnecting=True) as session:
            keeper.complaints = [f"{kind}: too many"] * 2
            async with session.subscribe(COUNTDOWN, {"from": 0}) as events:
                assert await events.receive() == {"countdown": 0}
        assert len(keeper.asked) == 4
        assert len(server.connections) == 1


async def test_an_error_without_an_id_is_about_what_was_just_asked_for() -> None:
    gate = Gate()
    gate.opened.set()
    async with serving(on_connect=gate) as server:
        async with (
            connected(server) as session,
            session.subscribe(TICKS) as running,
        ):
            await running.receive()
            connection = server.connections[0]
            gate.opened = anyio.Event()
            payload = {"errors": [{"errorType": "LimitExceededError", "message": "slower"}]}
            async with session.subscribe(NEVER) as events:
                await connection.wait_received("start", 2)
                await connection.send({"type": "error", "id": "", "payload": payload})
                with pytest.raises(TransportQueryError, match="slower") as caught:
                    await events.receive()
                assert caught.value.retryable
            await running.receive()
            # With nothing that was just asked for, it is only logged.
            await connection.send({"type": "error", "payload": payload})
            await running.receive()
            gate.opened.set()
            await connection.wait_received("stop")


async def test_an_authorization_of_ones_own_for_one_subscription() -> None:
    async with serving() as server, connected(server) as session:
        other = session.subscribe(
            COUNTDOWN, {"from": 0}, transport_args={"auth": Token("the other")}
        )
        async with other as events:
            await events.receive()
        start = server.connections[0].received[1]
        authorization = start["payload"]["extensions"]["authorization"]
        assert authorization["Authorization"] == "the other"
        assert "x-api-key" not in authorization


async def test_the_end_stops_everything_and_waits_for_the_server() -> None:
    async with serving() as server:
        async with connected(server) as session:
            async with anyio.create_task_group() as tg:

                async def consume() -> None:
                    with pytest.raises(Exception, match="closed"):
                        async for _ in session.subscribe(TICKS):
                            pass

                for _ in range(3):
                    tg.start_soon(consume)
                connection = server.connections[0]
                await connection.wait_sent("start_ack", 3)
                session._supervisor._connection.close()  # type: ignore[union-attr]
        assert await connection.wait_closed() == (1000, "")
        assert [message["type"] for message in connection.received[-3:]] == ["stop"] * 3
        assert sum(message.get("type") == "complete" for message in connection.sent) == 3


async def test_a_server_that_confirms_no_end_is_not_waited_for() -> None:
    async with serving() as server:
        with anyio.fail_after(5):
            async with connected(server, close_timeout=0.02) as session:
                async with session.subscribe(NEVER):
                    connection = server.connections[0]
                    await connection.wait_sent("start_ack")
                    connection.freeze()
        connection.unfreeze()


# What is refused before anything is sent.


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{ hello }", "a query can't travel over this WebSocket"),
        ("mutation { increment }", "a mutation can't travel over this WebSocket"),
    ],
)
async def test_only_subscriptions_go_over_it(document: str, words: str) -> None:
    async with serving() as server, connected(server) as session:
        for call in (
            session.execute(document),
            session.execute_batch([document, document]),
            session.subscribe(document).receive(),
        ):
            with pytest.raises(TypeError, match=words) as caught:
                await call
            assert "HTTPTransport" in str(caught.value)
            assert "SplitTransport" in str(caught.value)
        assert [m["type"] for m in server.connections[0].received] == ["connection_init"]
        async with session.subscribe(COUNTDOWN, {"from": 0}) as events:
            assert await events.receive() == {"countdown": 0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"transport_args": {"headers": {}}}, "there is only 'auth'"),
        ({"transport_args": {"auth": ("user", "s3cret")}}, "not tuple"),
        ({"extensions": {"a": 1}}, "no extensions"),
    ],
)
async def test_what_a_subscription_cannot_have(given: Any, words: str) -> None:
    async with serving() as server, connected(server) as session:
        document = gql(NEVER)
        if "extensions" in given:
            document = document.replace(extensions=given["extensions"])
        events = session.subscribe(document, transport_args=given.get("transport_args"))
        with pytest.raises(TypeError, match=words) as caught:
            await events.receive()
        assert "s3cret" not in str(caught.value)
        assert [m["type"] for m in server.connections[0].received] == ["connection_init"]


async def test_incremental_delivery_is_refused() -> None:
    async with serving() as server, connected(server) as session:
        with pytest.raises(TypeError, match="@defer"):
            await session.subscribe("subscription { never @defer }").receive()
        with pytest.raises(TypeError, match="SplitTransport"):
            async with session.execute_incremental("{ ... @defer { hello } }"):
                pass


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: AppSync(("user", "s3cret")), TypeError, "not tuple"),  # type: ignore[arg-type]
        (lambda: AppSync(KEY, handshake="headers"), ValueError, "handshake"),  # type: ignore[arg-type]
        (lambda: AppSync(KEY, start_timeout=0), ValueError, "start_timeout"),
        (lambda: WebSocketTransport("wss://h/g", protocol=AppSync(KEY)), ValueError, "https://"),
        (
            lambda: WebSocketTransport("https://h/g", protocol=AppSync(IAM(KEYS))),
            ValueError,
            "AWS region is unknown",
        ),
        (
            lambda: WebSocketTransport(
                "https://h/g", protocol=AppSync(KEY), init_payload={"token": "s3cret"}
            ),
            TypeError,
            "auth=",
        ),
        (lambda: WebSocketTransport("https://h/g", protocol=AppSync), TypeError, "AppSync"),  # type: ignore[arg-type]
    ],
)
def test_what_is_refused_at_once(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        make()
    assert "s3cret" not in str(caught.value)


async def test_an_authorization_that_fails() -> None:
    class Broken:
        def __init__(self, error: Exception, *passes: str) -> None:
            self.error = error
            self.passes = [*passes]

        async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
            if self.passes:
                return {"Authorization": self.passes.pop()}
            raise self.error

    async with serving() as server:
        with pytest.raises(LookupError, match="no key"):
            async with connected(server, Broken(LookupError("no key")), reconnecting=True):
                pass
        assert not server.connections
        async with connected(server, Broken(LookupError("no key"), "t"), reconnecting=True) as one:
            with pytest.raises(LookupError, match="no key"):
                await one.subscribe(NEVER).receive()
            assert one.state == "connected"


async def test_canceled_while_it_is_authorized_nothing_is_sent() -> None:
    class Slow:
        def __init__(self) -> None:
            self.entered = anyio.Event()
            self.calls = 0

        async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
            self.calls += 1
            if self.calls > 1:
                self.entered.set()
                await anyio.sleep_forever()
            return {}

    auth = Slow()
    async with serving() as server, connected(server, auth) as session:
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.subscribe(NEVER).receive)
            await auth.entered.wait()
            tg.cancel_scope.cancel()
        assert [m["type"] for m in server.connections[0].received] == ["connection_init"]
        assert session.state == "connected"


def test_repr() -> None:
    transport = WebSocketTransport("https://h/g?x=s3cret", protocol=AppSync(KEY))
    assert repr(transport) == "<WebSocketTransport https://h/g>"
    assert repr(AppSync(KEY)) == "AppSync(auth=ApiKey(…))"
