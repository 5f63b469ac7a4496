"""One secret, put wherever a secret may be, and then looked for wherever it must not turn up:
logs, errors with all that hangs on them, ``repr``, events, warnings.
"""

from __future__ import annotations

import gc
import logging
import time
import traceback
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx
import pytest
from websockets.frames import Opcode

from anygql import (
    Client,
    FileVar,
    HTTPTransport,
    Phoenix,
    Refreshing,
    Session,
    WebSocketTransport,
    gql,
)
from anygql.session.events import Disconnected
from anygql.testing import GraphQLServer, demo_schema
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.opening import Opening
from tests.support.http_peer import cut, http, kept, peer
from tests.support.tokens import Issuer, TokenServer
from tests.support.websocket_peer import Peer, frame, refusing, serving, text

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("soon", "brief")]

SECRET = "s3cret"
#: The same, as credentials hide it: ``me:s3cret``, ``s3cret:s3cret`` and by itself.
DISGUISES = [SECRET, "bWU6czNjcmV0", "czNjcmV0OnMzY3JldA", "czNjcmV0"]

SIGNED = f"/graphql?token={SECRET}#{SECRET}"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET}
PAYLOAD = {"token": SECRET, "nested": [SECRET]}


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that is shown with it."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from chain(one)
    if error.__cause__ is not None:
        yield from chain(error.__cause__)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from chain(error.__context__)


class Collected:
    """What was told of a scenario, by any way, and where."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def add(self, where: str, *things: object) -> None:
        for thing in things:
            self.texts += [(where, str(thing)), (where, repr(thing))]

    def add_error(self, error: BaseException) -> None:
        self.add("traceback", "".join(traceback.format_exception(error)))
        for one in chain(error):
            own = {name: value for name, value in vars(one).items() if not name.startswith("_")}
            # httpx's errors hold the request, whose repr is all that anybody prints of it.
            self.add(f"{type(one).__name__}", one, one.args, own)

    def on_event(self, event: object) -> None:
        self.add("event", event)
        if isinstance(event, Disconnected):
            self.add_error(event.error)

    def check(self) -> None:
        found = [
            (where, told) for where, told in self.texts if any(one in told for one in DISGUISES)
        ]
        assert not found, found[:5]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Collected]:
    """Everything that is told meanwhile; checked at the end."""
    caplog.set_level(logging.DEBUG)
    it = Collected()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield it
        gc.collect()
    it.add("warning", *(str(warning.message) for warning in heard))
    it.add("log", *(record.getMessage() for record in caplog.records))
    it.add("log", *(caplog.handler.format(record) for record in caplog.records))
    it.check()


def test_it_would_be_found(caplog: pytest.LogCaptureFixture) -> None:
    """In each of the places, or the other tests could not fail."""
    for at in range(5):
        it = Collected()
        try:
            try:
                raise ValueError(SECRET)
            except ValueError as inner:
                raise RuntimeError("outer") from inner
        except RuntimeError as error:
            match at:
                case 0:
                    it.add_error(error)
                case 1:
                    it.add("log", f"Basic {DISGUISES[1]}==")
                case 2:
                    it.add_error(ExceptionGroup("several", [error]))
                case 3:
                    it.on_event(Disconnected(1, "", error, will_retry=False, next_wait=None))
                case _:
                    other = ValueError("plain")
                    other.body = SECRET  # type: ignore[attr-defined]
                    it.add_error(other)
        with pytest.raises(AssertionError):
            it.check()


@asynccontextmanager
async def recorded(told: Collected) -> AsyncGenerator[None]:
    """The body must raise; what it raises is told."""
    try:
        with anyio.fail_after(20):
            yield
    except Exception as error:
        told.add_error(error)
    else:
        pytest.fail("nothing was raised")


def transport(url: str, connector: Connector, **options: Any) -> WebSocketTransport:
    """One with secrets all over."""
    given: dict[str, Any] = {"headers": HEADERS, "init_payload": PAYLOAD, **options}
    return WebSocketTransport(url + SIGNED, connector=connector, **given)


def userinfo(port: int) -> str:
    return f"ws://me:{SECRET}@127.0.0.1:{port}"


# What a WebSocket server may do to us.


async def refuse(peer: Peer) -> None:
    await peer.head()
    await peer.raw(refusing(["HTTP/1.1 401 Unauthorized", "Content-Length: 2"], b"no"))


async def redirect(peer: Peer) -> None:
    await peer.head()
    await peer.raw(refusing(["HTTP/1.1 302 Found", f"Location: ws://x/?token={SECRET}"]))


async def no_http(peer: Peer) -> None:
    await peer.head()
    await peer.raw(b"SSH-2.0-OpenSSH\r\n")


async def no_tls(peer: Peer) -> None:
    await peer.stream.receive()
    await peer.raw(b"SSH-2.0-OpenSSH\r\n")


async def hang_up(peer: Peer) -> None:
    await peer.head()


async def bad_accept(peer: Peer) -> None:
    await peer.head()
    await peer.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: wrong\r\n\r\n"
    )


async def reset(peer: Peer) -> None:
    await peer.head()
    await peer.reset()


async def forbidden(peer: Peer) -> None:
    await peer.accept("graphql-transport-ws")
    await peer.frame()
    await peer.raw(frame(Opcode.CLOSE, b"\x11\x43Forbidden"))


async def no_protocol(peer: Peer) -> None:
    await peer.accept("graphql-transport-ws")
    await peer.frame()
    await peer.raw(text('{"type": "nonsense"}'))
    await peer.gone()


async def other_subprotocol(peer: Peer) -> None:
    await peer.accept("graphql-other")
    await peer.gone()


REFUSALS = [
    refuse,
    no_http,
    hang_up,
    bad_accept,
    reset,
    forbidden,
    no_protocol,
    other_subprotocol,
]


@pytest.mark.parametrize("script", REFUSALS, ids=lambda script: script.__name__)
async def test_a_websocket_that_is_refused(
    told: Collected, connector: Connector, script: Callable[[Peer], Awaitable[None]]
) -> None:
    async with serving(script) as port:
        it = transport(userinfo(port), connector)
        client = Client(it, on_event=told.on_event)
        told.add("repr", it, client, client.connect())
        async with recorded(told), client:
            pass


async def all_subprotocols(peer: Peer) -> None:
    await peer.accept("phoenix, base64url.bearer.phx.czNjcmV0")
    await peer.gone()


async def secret_subprotocol(peer: Peer) -> None:
    await peer.accept("base64url.bearer.phx.czNjcmV0")
    await peer.gone()


async def no_channel(peer: Peer) -> None:
    await peer.accept("phoenix")
    await peer.frame()
    await peer.raw(text('["1", "1", "__absinthe__:control", "phx_error", {}]'))
    await peer.gone()


@pytest.mark.parametrize(
    "script",
    [
        *(refuse, hang_up, reset, other_subprotocol, no_protocol),
        *(all_subprotocols, secret_subprotocol, no_channel),
    ],
    ids=lambda script: script.__name__,
)
async def test_a_phoenix_socket_that_is_refused(
    told: Collected, connector: Connector, script: Callable[[Peer], Awaitable[None]]
) -> None:
    protocol = Phoenix(params={"t": SECRET}, auth_token=SECRET, join_payload=lambda: PAYLOAD)
    async with serving(script) as port:
        url = f"ws://127.0.0.1:{port}"
        it = transport(url, connector, protocol=protocol, init_payload=None)
        client = Client(it, on_event=told.on_event)
        told.add("repr", protocol, it, client, client.connect())
        async with recorded(told), client:
            pass


@pytest.mark.parametrize(
    "options",
    [{"params": {"a": [SECRET]}}, {"auth_token": f"{SECRET}ab?"}, {"join_payload": SECRET}],
)
async def test_options_of_phoenix_that_are_wrong(
    told: Collected, connector: Connector, options: dict[str, Any]
) -> None:
    async with recorded(told):
        Phoenix(**options)
    asked = Phoenix(**{name: lambda value=value: value for name, value in options.items()})
    it = transport("ws://h", connector, protocol=asked, init_payload=None)
    async with recorded(told), Client(it, on_event=told.on_event):
        pass


async def test_nobody_listens(told: Collected, connector: Connector) -> None:
    async with serving(hang_up) as port:
        pass
    for url in (userinfo(port), f"wss://me:{SECRET}@127.0.0.1:{port}", "ws://nowhere.invalid"):
        async with recorded(told), Client(transport(url, connector), on_event=told.on_event):
            pass


async def test_no_tls_there(told: Collected, connector: Connector) -> None:
    async with serving(no_tls) as port:
        url = userinfo(port).replace("ws:", "wss:")
        async with recorded(told), Client(transport(url, connector), on_event=told.on_event):
            pass


@pytest.mark.parametrize("status", [401, 407, 502])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy_that_refuses(
    told: Collected, connector: Connector, status: int, secure: bool
) -> None:
    async def proxy(peer: Peer) -> None:
        await peer.head()
        await peer.raw(refusing([f"HTTP/1.1 {status} No"]))

    async with serving(proxy) as port:
        through = {"proxy": f"http{'s' * secure}://me:{SECRET}@127.0.0.1:{port}"}
        it = transport(f"ws://me:{SECRET}@api.test", connector, connect_args=through)
        told.add("repr", it)
        async with recorded(told), Client(it, on_event=told.on_event):
            pass


async def test_the_environment_s_proxy(
    told: Collected, connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for proxy in (
        f"socks5://me:{SECRET}@p:1",
        f"http://me:{SECRET}@127.0.0.1:1",
        f"me:{SECRET}@p:x",
    ):
        monkeypatch.setenv("all_proxy", proxy)
        async with recorded(told), Client(transport("ws://api.test", connector)):
            pass


@pytest.mark.over_http
@pytest.mark.parametrize(
    "url",
    [
        f"me:{SECRET}@host/graphql",
        f"ftp://me:{SECRET}@host/graphql?{SECRET}",
        f"ws://me:{SECRET}@/graphql?{SECRET}",
        f"ws://me:{SECRET}@host/graphql?{SECRET}\r\n",
        f"ws://me:pass{SECRET}word@host:port/graphql",
        f"//me:{SECRET}@host/graphql",
        f"ws://{SECRET}@host/graphql#{SECRET}",
    ],
)
async def test_a_url_that_is_none(told: Collected, connector: Connector, url: str) -> None:
    async with recorded(told), Client(WebSocketTransport(url, connector=connector)):
        pass
    async with recorded(told), Client(WebSocketTransport(lambda: url, connector=connector)):
        pass
    async with recorded(told), Client(HTTPTransport(lambda: url)) as session:
        await session.execute("{ hello }")


@pytest.mark.parametrize(
    "url",
    [
        f"me:x/{SECRET}@host",
        f"me:{SECRET}/x@host",
        f"me:{SECRET}?x@host",
        f"me:{SECRET}@host\u2100",
    ],
)
@pytest.mark.parametrize("scheme", ["ws", "https"])
def test_a_password_that_ought_to_be_escaped(scheme: str, url: str) -> None:
    with pytest.raises(ValueError) as caught:
        Client(f"{scheme}://{url}/graphql")
    it = Collected()
    it.add_error(caught.value)
    it.check()


@pytest.mark.over_http
@pytest.mark.parametrize("name", ["X-Some", f"X-{SECRET}\r\n"[:2], "Upgrade"])
async def test_a_header_that_cannot_be_sent(
    told: Collected, connector: Connector, name: str
) -> None:
    headers = {name: f"{SECRET}\r\n", **HEADERS}
    async with recorded(told), Client(transport("ws://h", connector, headers=headers)):
        pass
    async with peer(kept(http("{}"))) as server:
        async with recorded(told), Client(HTTPTransport(server.url, headers=headers)) as session:
            args = {"headers": {"X-Other": f"{SECRET}\0"}}
            await session.execute("{ hello }", transport_args=args)


@pytest.mark.parametrize("payload", [{"token": SECRET, "at": object()}, [SECRET], SECRET])
async def test_an_init_payload_that_is_none(
    told: Collected, connector: Connector, payload: Any
) -> None:
    async with recorded(told), Client(transport("ws://h", connector, init_payload=payload)):
        pass


# Sessions that live.


async def test_a_whole_session(told: Collected, connector: Connector) -> None:
    """Queries, subscriptions, losses, the last of them for good."""
    async with GraphQLServer(demo_schema()) as server:
        url = (await server.listen()).removesuffix("/graphql").replace("//", f"//me:{SECRET}@")
        it = transport(url, connector)
        client = Client(it, on_event=told.on_event)
        async with recorded(told), client.connect(reconnecting=True) as session:
            request = gql("query ($n: String!) { hello(name: $n) }").replace(
                variable_values={"n": SECRET}, extensions={"key": SECRET}
            )
            subscription = session.subscribe(
                "subscription ($n: Int!) { countdown(from: $n) }", {"n": 1}
            )
            told.add("repr", it, client, session, subscription)
            assert len([data async for data in subscription]) == 2
            assert await session.execute(request) == {"hello": f"Hello {SECRET}!"}
            async with session.subscribe("subscription { never }") as events:
                told.add("repr", events)
                server.drop_connections()
                await server.wait_connection(2)
                await session.wait_connected()
                with anyio.move_on_after(0.05):
                    await session.execute("{ slow(seconds: 9) }", {}, timeout=0.01)
                server.refuse_with = 401
                server.drop_connections()
                await events.receive()


async def test_what_a_user_s_function_raises(told: Collected, connector: Connector) -> None:
    """It is not ours, but it is not logged either."""

    def fails() -> str:
        raise OSError(f"no token for {SECRET}")

    async with serving(hang_up) as port:
        it = WebSocketTransport(f"ws://127.0.0.1:{port}/", headers=fails, connector=connector)  # type: ignore[arg-type]
        with anyio.move_on_after(0.1):
            async with Client(it).connect(reconnecting=True):
                pass


# HTTP.

CUT = cut(b'event: next\ndata: {"data": {"n": 1}}\n\n', kind="text/event-stream")
ANSWERS: dict[str, Any] = {
    "refused": kept(http("no", "401 Unauthorized", "text/plain")),
    "redirected": kept(http("", "302 Found", location="/elsewhere")),
    "no GraphQL": kept(http("<html>", kind="text/html")),
    "broken": kept(http('{"data": ')),
    "busy": kept(http("", "503 Busy", retry_after="0")),
    "closed": None,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "short": http('{"data": {}}', length=1000),
    "cut": CUT,
}


@pytest.mark.over_http
@pytest.mark.parametrize("whose", ["ours", "the user's"])
@pytest.mark.parametrize("reconnecting", [False, True])
@pytest.mark.parametrize("answer", ANSWERS)
async def test_http_that_fails(
    told: Collected,
    caplog: pytest.LogCaptureFixture,
    answer: str,
    whose: str,
    reconnecting: bool,
) -> None:
    if whose == "the user's":  # it logs the URLs that it is given: that is its own affair
        caplog.set_level(logging.CRITICAL, "httpx")
    async with peer(ANSWERS[answer]) as server, httpx.AsyncClient(verify=False) as own:
        url = server.url.replace("//", f"//me:{SECRET}@").replace("/graphql", SIGNED)
        it = HTTPTransport(
            url,
            headers=HEADERS,
            client=own if whose == "the user's" else None,
            use_get_for_queries=True,
        )
        client = Client(it, on_event=told.on_event)
        file = FileVar(SECRET.encode(), filename="some.txt")
        told.add("repr", it, client, file)
        args = {"headers": {"X-Other": SECRET}, "cookies": {"some": SECRET}}
        async with client.connect(reconnecting=reconnecting) as session:
            told.add("repr", session)
            if answer != "cut":  # an answer by events is as good as any
                async with recorded(told):
                    await session.execute(
                        "query ($s: String) { ok(s: $s) }", {"s": SECRET}, transport_args=args
                    )
                async with recorded(told):
                    upload = "mutation ($f: Upload!) { ok(f: $f) }"
                    await session.execute(upload, {"f": file}, transport_args=args)
            retry = (
                {} if answer in {"cut", "closed", "short", "busy", "no HTTP"} else {"timeout": 5}
            )
            with anyio.move_on_after(0.1 if reconnecting and not retry else 20):
                async with session.subscribe("subscription { n }", transport_args=args) as events:
                    told.add("repr", events)
                    try:
                        async for _ in events:
                            pass
                    except Exception as error:
                        told.add_error(error)


@pytest.mark.over_http("engine", why="httpx logs the URLs of requests, whatever is in them")
async def test_our_own_http_client_s_log(told: Collected, caplog: pytest.LogCaptureFixture) -> None:
    """It tells nothing of its requests, which have secrets in their URLs."""
    async with peer(
        kept(http("", "307 No", location="/graphql?other=" + SECRET)),
        kept(http('{"data": {"ok": 1}}')),
    ) as server:
        url = server.url.replace("//", f"//me:{SECRET}@").replace("/graphql", SIGNED)
        async with Client(HTTPTransport(url, use_get_for_queries=True)) as session:
            args = {"params": {"key": SECRET}, "follow_redirects": True}
            await session.execute(
                "query ($s: Int) { ok(s: $s) }", {"s": SECRET}, transport_args=args
            )
        first, second = server.requests
        assert first.line.startswith(f"GET /graphql?token={SECRET}&query=")
        assert f"key={SECRET}" in first.line
        assert second.line.startswith(f"GET /graphql?other={SECRET}")
    assert not [record for record in caplog.records if SECRET in record.getMessage()]
    assert not [record for record in caplog.records if record.name == "httpx"]


@pytest.mark.over_http
async def test_a_reserved_stream_s_token(told: Collected) -> None:
    """Whoever reads it in a log can read all results."""
    reserved = kept(http(SECRET, "201 Created", "text/plain"))
    refused = kept(http("", "404 Not Found"))
    for answers in ([reserved, refused], [reserved, None], [reserved, CUT], [reserved, http("{}")]):
        async with peer(*answers) as server:
            it = HTTPTransport(server.url, single_connection=True)
            async with recorded(told), Client(it, on_event=told.on_event) as session:
                told.add("repr", it, session)
                async with session.subscribe("subscription { n }") as events:
                    async for _ in events:
                        pass


@pytest.mark.over_http
async def test_https_to_who_speaks_none(told: Collected) -> None:
    async with serving(no_tls) as port:
        url = userinfo(port).replace("ws:", "https:") + SIGNED
        async with recorded(told), Client(HTTPTransport(url, headers=HEADERS)) as session:
            await session.execute("{ ok }")


@pytest.mark.over_http
async def test_https_to_who_says_nothing(told: Collected) -> None:
    async with serving(Peer.gone) as port:
        url = userinfo(port).replace("ws:", "https:") + SIGNED
        async with recorded(told), Client(HTTPTransport(url, headers=HEADERS)) as session:
            await session.execute("{ ok }", timeout=0.2)
        slow = HTTPTransport(url, headers=HEADERS, connect_timeout=0.2)
        async with recorded(told), Client(slow) as session:
            await session.execute("{ ok }")


@pytest.mark.over_http
@pytest.mark.parametrize(
    "proxy", [f"http://me:{SECRET}@127.0.0.1:1", f"http://me:{SECRET}@p.invalid:1"]
)
async def test_the_environment_s_proxy_over_http(
    told: Collected, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    async with recorded(told), Client(HTTPTransport("http://api.test" + SIGNED)) as session:
        await session.execute("{ ok }")


def test_what_is_shown_of_values() -> None:
    it = Collected()
    opening = Opening(
        f"wss://me:{SECRET}@h{SIGNED}",
        headers=list(HEADERS.items()),
        connect_args={"proxy": f"http://me:{SECRET}@p"},
    )
    it.add("repr", opening, FileVar(SECRET.encode(), filename="f"))
    request = gql("{ hello }").replace(
        variable_values={"token": SECRET}, extensions={"key": SECRET}
    )
    it.add("repr", request)
    it.check()


# Credentials that are refreshed.


class Renewing:
    """A function ``refresh``, whose every token is secret, and which fails when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0

    async def __call__(self, token: str | None, session: Session) -> str:
        assert token is None or SECRET in token
        self.calls += 1
        if self.error is not None and self.calls > 1:
            raise self.error
        return f"{SECRET}-{self.calls}"


@pytest.mark.parametrize("way", ["http", "websocket", "connect"])
@pytest.mark.parametrize("fails", [False, True])
async def test_tokens_that_are_refused(told: Collected, way: str, fails: bool) -> None:
    issuer = Issuer()
    issuer.good = f"{SECRET}-1"
    async with TokenServer(issuer, asks_at_connect=way == "connect") as server:
        await server.listen()
        refresh = Renewing(RuntimeError("the provider is down") if fails else None)
        auth = Refreshing(refresh=refresh)
        transport: Any = server.transport(init_payload=auth.payload)
        client = Client(
            server.http_url if way == "http" else transport, auth=auth, on_event=told.on_event
        )
        told.add("repr", auth, client, client.connect())
        async with recorded(told), client.connect(reconnecting=True) as session:
            await session.execute("{ hello }")
            told.add("repr", auth, client, session, server.connections)
            issuer.revoke()
            if way == "connect":
                session.reconnect()
            async with session.subscribe("subscription { ticks }") as events:
                told.add("repr", events)
                try:
                    await events.receive()
                except Exception as error:
                    told.add_error(error)
            await session.execute("{ hello }")


async def test_a_token_that_expires(told: Collected) -> None:
    issuer = Issuer()
    issuer.good = f"{SECRET}-1"
    refresh = Renewing(OSError(SECRET))
    auth = Refreshing(refresh=refresh, expires=lambda _: time.time() + 0.05)
    async with TokenServer(issuer) as server:
        transport = server.transport(init_payload=auth.payload)
        async with Client(transport, auth=auth, on_event=told.on_event) as session:
            with suppress(OSError):  # by now it may have expired
                await session.execute("{ hello }")
            while refresh.calls < 2:
                await anyio.sleep(0.01)
            await anyio.wait_all_tasks_blocked()
            told.add("repr", session, auth)


@pytest.mark.parametrize("options", [{}, {"make_headers": lambda _: {"x y": SECRET}}])
async def test_tokens_that_make_no_header(told: Collected, options: dict[str, Any]) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        auth = Refreshing(refresh=lambda: f"{SECRET}\r\nX: y", **options)
        async with recorded(told), Client(server.http_url, auth=auth) as session:
            await session.execute("{ hello }")


@pytest.mark.parametrize("returned", [SECRET, [SECRET]])
async def test_an_expiry_that_is_none(told: Collected, returned: Any) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        auth = Refreshing(refresh=lambda: SECRET, expires=lambda _: returned)
        async with recorded(told), Client(server.http_url, auth=auth) as session:
            await session.execute("{ hello }")
