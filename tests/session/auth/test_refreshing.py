"""``Refreshing``: who shares a refresh, how it ends, what it is given, what it must not tell."""

from __future__ import annotations

import asyncio
import functools
import math
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anygql import (
    Client,
    HTTPTransport,
    LocalSchemaTransport,
    Refreshing,
    Session,
    SplitTransport,
    TransportClosed,
    TransportConnectionFailed,
    TransportServerError,
    TransportTimeout,
    WebSocketTransport,
    default_refused,
)
from anygql.concurrency.signal import Signal
from anygql.session.auth.refreshing import source_of
from anygql.testing import GraphQLServer, demo_schema
from tests.support.tokens import Issuer, TokenServer

HELLO = "{ hello }"


class Slow(Issuer):
    """An issuer that waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.ended = 0
        self.may_go_on = False

    async def __call__(self) -> str:
        self.begun += 1
        self.changed.notify()
        try:
            while not self.may_go_on:
                await self.changed.wait()
        finally:
            self.ended += 1
        return await super().__call__()

    async def until_begun(self, count: int = 1) -> None:
        while self.begun < count:
            await self.changed.wait()

    def go_on(self) -> None:
        self.may_go_on = True
        self.changed.notify()


@asynccontextmanager
async def talking(
    refresh: Any, issuer: Issuer | None = None, **options: Any
) -> AsyncGenerator[tuple[Client, Refreshing[Any], Session]]:
    """A session in memory whose operations need a token."""
    server = TokenServer(issuer or refresh)
    async with server:
        await server.listen()
        auth = Refreshing(refresh=refresh, **options)
        client = Client(server.http_url, auth=auth)
        async with client as session:
            yield client, auth, session


# Who shares a refresh.


@pytest.mark.parametrize("left", [0, 1, 2])
async def test_canceling_one_does_not_cancel_the_refresh(left: int) -> None:
    issuer = Slow()
    answers: list[Any] = []
    async with talking(issuer) as (_, _, session), anyio.create_task_group() as tg:
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                answers.append(await session.execute(HELLO))

        for scope in scopes:
            tg.start_soon(ask, scope)
            await anyio.wait_all_tasks_blocked()
        await issuer.until_begun()
        scopes[left].cancel()
        await anyio.wait_all_tasks_blocked()
        issuer.go_on()
    assert (issuer.begun, len(answers)) == (1, 2)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("left", [0, 1, 2])
async def test_canceling_a_task_natively(left: int) -> None:
    issuer = Slow()
    async with talking(issuer) as (_, _, session):
        tasks = []
        for _ in range(3):
            tasks.append(asyncio.create_task(session.execute(HELLO)))
            await anyio.wait_all_tasks_blocked()
        tasks[left].cancel()
        await asyncio.wait([tasks[left]])
        issuer.go_on()
        await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [number == left for number in range(3)]
    assert issuer.begun == 1


@pytest.mark.parametrize("by_scope", [False, True])
async def test_another_session_does_it_when_one_closes(by_scope: bool) -> None:
    issuer = Slow()
    answers: list[Any] = []
    async with talking(issuer) as (client, _, first), anyio.create_task_group() as tg:

        async def ask() -> None:
            answers.append(await first.execute(HELLO))

        with anyio.CancelScope() as scope:
            async with client:
                tg.start_soon(ask)
                await issuer.until_begun()  # in the newest session, which is the second
                if by_scope:
                    scope.cancel()
        await issuer.until_begun(2)
        assert issuer.ended == 1
        issuer.go_on()
    assert len(answers) == 1
    assert issuer.begun == 2


async def test_the_end_of_the_session_is_what_its_calls_are_told() -> None:
    issuer = Slow()
    errors: list[Exception] = []
    async with anyio.create_task_group() as tg:
        async with talking(issuer) as (_, auth, session):

            async def ask() -> None:
                try:
                    await session.execute(HELLO)
                except Exception as exc:
                    errors.append(exc)

            tg.start_soon(ask)
            tg.start_soon(ask)
            await issuer.until_begun()
    assert [type(error) for error in errors] == [TransportClosed] * 2
    assert all(error.unsent for error in errors if isinstance(error, TransportClosed))
    with pytest.raises(TransportClosed):
        await session.execute(HELLO)
    with pytest.raises(TransportClosed):
        await auth.token()


async def test_no_session_was_ever_open() -> None:
    with pytest.raises(RuntimeError, match="auth=auth"):
        await Refreshing(refresh=lambda: "t").token()


# Event loops in several threads.


class Loops:
    """A session here, and one on a loop in another thread, which share credentials.

    ``refresh``: what makes tokens, here and there.
    """

    def __init__(self, server: TokenServer, refresh: Any, **options: Any) -> None:
        self.server = server
        self.auth = Refreshing(refresh=refresh, **options)
        self.source = source_of(self.auth)
        self.here = threading.get_ident()

    async def waited_for_there(self) -> None:
        """Wait until the other loop, too, waits for the refresh that runs."""
        while self.source._running is None or len(self.source._running._waiting) < 2:
            await checkpoint()

    async def there(self, calls: int, *, backend: str = "asyncio") -> list[Any]:
        """What calls come to that are made at the same time on the other loop."""
        outcomes: list[Any] = []

        async def call(session: Session) -> None:
            try:
                outcomes.append(await session.execute(HELLO))
            except Exception as exc:
                outcomes.append(exc)

        async def main() -> None:
            async with (
                Client(self.server.http_url, auth=self.auth) as session,
                anyio.create_task_group() as tg,
            ):
                for _ in range(calls):
                    tg.start_soon(call, session)

        await anyio.to_thread.run_sync(lambda: anyio.run(main, backend=backend))
        return outcomes


@asynccontextmanager
async def loops(issuer: Issuer, refresh: Any, **options: Any) -> AsyncGenerator[tuple[Loops, Any]]:
    async with TokenServer(issuer) as server:
        await server.listen()
        both = Loops(server, refresh, **options)
        async with Client(server.http_url, auth=both.auth) as session:
            yield both, session


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("fails", [False, True])
async def test_two_loops_share_a_refresh(fails: bool, backend: str) -> None:
    issuer = Issuer()
    threads: list[int] = []

    async def refresh() -> str:
        threads.append(threading.get_ident())
        if len(threads) == 2:
            await both.waited_for_there()
        if fails and issuer.issued:
            raise Refused
        return await issuer()

    async with loops(issuer, refresh) as (both, session):
        await session.execute(HELLO)
        issuer.revoke()
        outcomes: list[Any] = []

        async def call() -> None:
            try:
                outcomes.append(await session.execute(HELLO))
            except Refused as exc:
                outcomes.append(exc)

        async with anyio.create_task_group() as tg:
            for _ in range(10):
                tg.start_soon(call)
            while both.source._running is None:
                await checkpoint()
            outcomes += await both.there(10, backend=backend)
        assert len(outcomes) == 20
        if fails:
            assert {type(each) for each in outcomes} == {Refused}
            assert len({id(each) for each in outcomes}) == 20
        else:
            assert outcomes == [{"hello": "hello"}] * 20
        # A call whose refusal came after a refresh had failed has had it tried anew.
        assert threads[:2] == [both.here] * 2
        assert len(threads) == 2 or fails
    assert both.source._running is None
    assert len(both.source._by_loop) <= 2


async def test_the_session_that_refreshes_is_closed_and_the_other_loop_goes_on() -> None:
    issuer = Issuer()
    threads: list[int] = []
    closing = anyio.Event()

    async def refresh() -> str:
        threads.append(threading.get_ident())
        if len(threads) == 2:
            await both.waited_for_there()
            closing.set()
            await anyio.sleep_forever()
        return await issuer()

    async with loops(issuer, refresh) as (both, _), anyio.create_task_group() as tg:
        client = Client(both.server.http_url, auth=both.auth)
        own = await client.connect_async(tg)  # the newest, so it is this that refreshes
        await own.execute(HELLO)
        issuer.revoke()

        async def call() -> None:
            with pytest.raises(TransportClosed):
                await own.execute(HELLO)

        async def close() -> None:
            await closing.wait()
            await client.close_async()

        tg.start_soon(call)
        tg.start_soon(close)
        while both.source._running is None:
            await checkpoint()
        assert await both.there(5) == [{"hello": "hello"}] * 5
        assert threads[:2] == [both.here] * 2
        assert len(threads) == 3  # the last one in either


async def test_a_refresh_that_has_just_ended_on_another_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with talking(issuer := Issuer()) as (_, auth, session):
        await session.execute(HELLO)
        answers = [True, False, False, False]
        monkeypatch.setattr(source_of(auth), "_needs_refresh", lambda: answers.pop(0))
        await auth.token()
        assert (issuer.issued, answers) == (1, [])


async def test_a_loop_that_is_blocked_is_waited_for_no_longer_than_a_refresh() -> None:
    """By a function that should have been async."""
    issuer = Issuer()
    has_been_served = threading.Event()

    async def refresh() -> str:
        if threading.get_ident() == both.here:
            return await issuer()
        assert has_been_served.wait(10)
        assert issuer.good is not None
        return issuer.good

    async with loops(issuer, refresh, timeout=0.2) as (both, session):
        async with anyio.create_task_group() as tg:
            tg.start_soon(both.there, 1)
            while both.source._running is None:
                await checkpoint()
            assert await session.execute(HELLO) == {"hello": "hello"}
            has_been_served.set()
        assert issuer.issued == 1
        assert await session.execute(HELLO) == {"hello": "hello"}
    assert both.source._running is None


# How it ends.


class Refused(Exception):
    pass


async def test_each_gets_an_error_of_its_own_and_the_next_call_tries_anew() -> None:
    issuer = Issuer()
    fails = True
    gate = Signal()

    async def refresh() -> str:
        if fails:
            await gate.wait()
            raise Refused("no") from OSError("why")
        return await issuer()

    errors: list[BaseException] = []
    async with talking(refresh, issuer) as (_, _, session):

        async def ask() -> None:
            with pytest.raises(Refused) as caught:
                await session.execute(HELLO)
            errors.append(caught.value)

        async with anyio.create_task_group() as tg:
            for _ in range(3):
                tg.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            gate.notify()
        assert len({id(error) for error in errors}) == 3
        assert all(isinstance(error.__cause__, OSError) for error in errors)
        fails = False
        assert await session.execute(HELLO)


async def test_what_a_refresh_fails_with_after_a_refusal_was_sent() -> None:
    issuer = Issuer()

    async def refresh() -> str:
        if issuer.issued:
            raise TransportServerError("no more", code=401)
        return await issuer()

    async with talking(refresh, issuer) as (_, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        with pytest.raises(TransportServerError, match="no more") as caught:
            await session.execute(HELLO)
        assert not caught.value.unsent
        with pytest.raises(TransportServerError, match="no more") as caught:
            await session.execute(HELLO)
        assert caught.value.unsent


async def test_none_is_no_token() -> None:
    async with talking(lambda: None, Issuer()) as (_, _, session):
        with pytest.raises(TypeError, match="not None"):
            await session.execute(HELLO)


async def test_a_refresh_that_hangs_is_given_up() -> None:
    issuer = Slow()
    async with talking(issuer, timeout=0.02) as (_, _, session):
        for _ in range(2):
            with pytest.raises(TransportTimeout, match=r"0\.02 s \(the timeout of Refreshing\)"):
                await session.execute(HELLO)
    assert (issuer.begun, issuer.ended) == (2, 2)


async def test_the_calls_own_timeout_is_shorter(call_limits: list[anyio.CancelScope]) -> None:
    issuer = Slow()
    async with talking(issuer) as (_, _, session), anyio.create_task_group() as tg:

        async def is_over(refreshes: int) -> None:
            await issuer.until_begun(refreshes)
            call_limits[-1].cancel()

        tg.start_soon(is_over, 1)
        with pytest.raises(TransportTimeout, match="interceptors or credentials") as caught:
            await session.execute(HELLO, timeout=0.02)
        assert caught.value.unsent
        issuer.go_on()
        assert await session.execute(HELLO, timeout=5)
        assert issuer.begun == 1
        issuer.revoke()
        issuer.may_go_on = False
        tg.start_soon(is_over, 2)
        with pytest.raises(TransportTimeout) as caught:
            await session.execute(HELLO, timeout=0.02)
        assert not caught.value.unsent


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_stray_cancellation_of_asyncio() -> None:
    async def refresh() -> str:
        task = asyncio.create_task(anyio.sleep(10))
        task.cancel()
        await task
        return "never"

    async with talking(refresh, Issuer()) as (_, _, session):
        with pytest.raises(TransportConnectionFailed, match="the function refresh"):
            await session.execute(HELLO)
        assert session.state == "connected"


# When a token expires.


@pytest.mark.parametrize("at", [0, time.time, lambda: datetime(2001, 1, 1, tzinfo=UTC)])
async def test_a_token_that_has_expired_already_is_used_until_it_is_refused(
    at: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer()
    expires = (lambda _: at) if at == 0 else (lambda _: at())
    async with talking(issuer, expires=expires) as (_, _, session):
        for _ in range(5):
            await session.execute(HELLO)
        assert issuer.issued == 1
        issuer.revoke()
        await session.execute(HELLO)
        assert issuer.issued == 2
    assert caplog.text.count("Is a clock wrong?") == 2
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("at", "error"),
    [
        (datetime(2001, 1, 1), "without a zone"),
        ("soon", "not str"),
        (math.nan, "nan"),
    ],
)
async def test_what_is_no_time(at: Any, error: str) -> None:
    async with talking(Issuer(), expires=lambda _: at) as (_, _, session):
        with pytest.raises((TypeError, ValueError), match=error):
            await session.execute(HELLO)


async def test_it_never_expires() -> None:
    issuer = Issuer()
    async with talking(issuer, expires=lambda _: math.inf) as (_, _, session):
        await session.execute(HELLO)
        await session.execute(HELLO)
    assert issuer.issued == 1


async def test_the_clock_on_the_wall_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    now = time.time()
    issued_for: dict[str, float] = {}

    def expires(token: str) -> float:
        return issued_for.setdefault(token, time.time() + 3600)

    async with talking(issuer, expires=expires) as (_, _, session):
        await session.execute(HELLO)
        monkeypatch.setattr("time.time", lambda: now - 86400)  # back: the loop's clock goes on
        await session.execute(HELLO)
        assert issuer.issued == 1
        monkeypatch.setattr("time.time", lambda: now + 86400)  # forth, as after a sleep
        await session.execute(HELLO)
        assert issuer.issued == 2
        await session.execute(HELLO)
        assert issuer.issued == 2


# The first token.


async def test_a_first_token_is_loaded_once() -> None:
    issuer = Issuer()
    loaded = 0

    async def load() -> str:
        nonlocal loaded
        loaded += 1
        return await issuer()

    async def refresh() -> str:
        raise AssertionError("the first one is good")

    async with talking(refresh, issuer, token=load) as (_, auth, session):
        assert repr(auth) == "<Refreshing: no token yet>"
        await session.execute(HELLO)
        await session.execute(HELLO)
        assert repr(auth) == "<Refreshing: has a token>"
    assert loaded == 1


async def test_no_first_token_or_one_that_has_expired() -> None:
    for first in (lambda: None, "expired"):
        issuer = Issuer()
        options = {"token": first, "expires": lambda it: 0 if it == "expired" else None}
        async with talking(issuer, **options) as (_, _, session):
            await session.execute(HELLO)
        assert issuer.issued == 1


# What `refresh` is given.


def refreshers(issuer: Issuer, given: list[Any]) -> dict[str, Callable[..., Any]]:
    """Functions that note what they are given, and the last token first."""

    def new(*noted: Any) -> str:
        given.append(noted)
        issuer.issued += 1
        issuer.good = f"s3cret-{issuer.issued}"
        return issuer.good

    async def later(*noted: Any) -> str:
        await checkpoint()
        return new(*noted)

    class Object:
        async def __call__(self, token: str | None, session: Session) -> str:
            return await later(token, session)

    def partly(prefix: str, token: str | None, *, session: Session) -> str:
        assert prefix == "p"
        return new(token, session)

    return {
        "nothing": lambda: new(),
        "token": lambda token: new(token),
        "old": lambda old: new(old),
        "token by position": lambda token, /: new(token),
        "token by name": lambda *, token: new(token),
        "session": lambda session: new(session),
        "session by name": lambda *, session: new(session),
        "both": lambda token, session: new(token, session),
        "both, turned around": lambda session, token: new(token, session),
        "both by name": lambda *, session, token: new(token, session),
        "a default": lambda token=None, session=None: new(token, session),
        "others": lambda token, *others, more=1, **rest: new(token),
        "awaited": lambda token: later(token),
        "object": Object(),
        "partial": functools.partial(partly, "p"),
    }


NOTHING = {"nothing"}
SESSION = {"session", "session by name"}
TOKEN = {"token", "old", "token by position", "token by name", "others", "awaited"}


@pytest.mark.parametrize("name", refreshers(Issuer(), []))
async def test_what_refresh_is_given(name: str) -> None:
    issuer, given = Issuer(), []
    async with talking(refreshers(issuer, given)[name], issuer) as (_, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        await session.execute(HELLO)
    (first, second) = given
    if name in NOTHING:
        assert given == [(), ()]
        return
    if name in TOKEN:
        assert given == [(None,), ("s3cret-1",)]
        return
    assert isinstance(first[-1], Session)
    assert first[:-1] == (() if name in SESSION else (None,))
    assert second[:-1] == (() if name in SESSION else ("s3cret-1",))


async def test_a_builtin_that_tells_nothing_of_its_parameters() -> None:
    issuer = Issuer()
    issuer.good = "t"
    headers = {"Authorization": "Bearer t"}
    async with talking(str, issuer, make_headers=lambda _: headers) as (_, _, session):
        assert await session.execute(HELLO)


# What refuses.


class Weird(Exception):
    code = 401


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TransportServerError("", code=401), True),
        (TransportServerError("", code=403), False),
        (TransportConnectionFailed("", code=4401), True),
        (TransportConnectionFailed("", code=4403), True),
        (TransportConnectionFailed("", code=4400), False),
        (TransportServerError("", errors=[{"extensions": {"code": "UNAUTHENTICATED"}}]), True),
        (TransportServerError("", errors=[{"extensions": {"code": "invalid-jwt"}}]), True),
        (TransportServerError("", errors=[{"extensions": {"code": ["invalid-jwt"]}}]), False),
        (TransportServerError("", errors=[{"extensions": None}, "x", None]), False),
        (TransportServerError("", errors=[{"errorType": "UnauthorizedException"}]), True),
        (TransportServerError("", errors=[{"errorType": "x.y#UnauthorizedException:http"}]), True),
        (TransportServerError("", errors=[{"errorType": 3}]), False),
        (TransportServerError("", errors=[{"errorType": "NoUnauthorizedException"}]), False),
        (TransportServerError("", errors=[{"errorCode": 401, "message": ""}]), True),
        (TransportServerError("", errors=[{"errorCode": 4010}]), False),
        (
            TransportServerError(
                "", errors=[{"errorType": "Other", "message": "Token has expired."}]
            ),
            True,
        ),
        # Not of AppSync: it may be an invitation's.
        (TransportServerError("", errors=[{"message": "The token has expired."}]), False),
        (Weird(), False),
    ],
)
def test_what_is_taken_for_a_refusal(error: Exception, expected: bool) -> None:
    assert default_refused(error) is expected


# Mistakes.


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"refresh": "t"}, TypeError, "refresh is a function, not str"),
        ({"refused": 401}, TypeError, "refused is a function, not int"),
        ({"expires": 3600}, TypeError, "expires is a function, not int"),
        ({"make_headers": {}}, TypeError, "make_headers is a function, not dict"),
        ({"make_payload": {}}, TypeError, "make_payload is a function, not dict"),
        ({"on_expiry": "close"}, ValueError, "on_expiry is"),
        ({"timeout": 0}, ValueError, "timeout must be more than 0"),
        ({"timeout": "1"}, TypeError, "timeout is a number"),
    ],
)
def test_mistaken_options(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Refreshing(**{"refresh": str, **options})


async def test_a_token_without_a_text() -> None:
    async with talking(lambda: object(), Issuer()) as (_, _, session):
        with pytest.raises(TypeError, match="make_headers=…"):
            await session.execute(HELLO)
    async with GraphQLServer(demo_schema()) as server:
        auth = Refreshing(refresh=lambda: object())
        client = Client(server.transport(init_payload=auth.payload), auth=auth)
        with pytest.raises(TypeError, match="make_payload=…"):
            async with client:
                pass


def test_what_a_client_refuses() -> None:
    auth = Refreshing(refresh=str)
    with pytest.raises(TypeError, match="auth is a Refreshing, not tuple"):
        Client("http://h/", auth=("a", "b"))  # type: ignore[arg-type]
    for transport in (HTTPTransport("http://h/"), WebSocketTransport("ws://h/")):
        with pytest.raises(ValueError, match=rf"{type(transport).__name__}\(…, headers="):
            Client(transport, auth=auth)
    split = SplitTransport(HTTPTransport("http://h/"), subscriptions=WebSocketTransport("ws://h/"))
    with pytest.raises(ValueError, match="nothing asks"):
        Client(split, auth=auth)
    Client(LocalSchemaTransport(demo_schema()), auth=auth)  # may ask it, for all that is known
    with pytest.raises(TypeError, match="auth=Refreshing"):
        Client("http://h/", token="t")  # type: ignore[call-arg]


# How transports are told.


async def test_a_url_has_its_own_headers_and_payload_too() -> None:
    async def headers() -> dict[str, str]:
        return {"x-a": "a"}

    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        auth = Refreshing(refresh=lambda: "t")
        for given in ({"x-a": "a"}, headers):
            async with Client(server.http_url, auth=auth, headers=given) as session:
                await session.execute(HELLO)
            request = server.requests[-1]
            assert (request.headers["x-a"], request.headers["authorization"]) == ("a", "Bearer t")
        for payload in ({"a": 1}, lambda: {"a": 1}, lambda: None, None):
            async with Client(url, auth=auth, init_payload=payload, headers=headers):
                pass
            connection = server.connections[-1]
            own = {"a": 1} if payload is not None and (payload == {"a": 1} or payload()) else {}  # type: ignore[operator]
            assert connection.init_payload == {**own, "Authorization": "Bearer t"}
            assert connection.headers["x-a"] == "a"


async def test_headers_and_payloads_of_ones_own_making() -> None:
    auth = Refreshing(
        refresh=lambda: 7,
        make_headers=lambda token: [("x-token", str(token))],
        make_payload=lambda token: {"token": token},
    )
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        async with Client(server.http_url, subscriptions=url, auth=auth) as session:
            await session.execute(HELLO)
            await session.subscribe("subscription { countdown(from: 1) }").receive()
        assert server.requests[0].headers["x-token"] == "7"
        assert server.connections[0].init_payload == {"token": 7}
        assert server.connections[0].headers["x-token"] == "7"


# `refresh` in the session itself.

SessionCall = Callable[[Session], Awaitable[Any]]


@pytest.mark.parametrize("options", [{}, {"batch_interval": 0.01}])
async def test_refresh_may_use_the_session(options: dict[str, Any]) -> None:
    names: list[str | None] = []

    async def note(operation: Any, call: Any) -> Any:
        names.append(operation.name)
        return await call(operation)

    async def renew(session: Session) -> str:
        await session.execute_batch(["query Login { hello }"] * 2)
        return str((await session.execute("query Login { hello }"))["hello"])

    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        auth = Refreshing(refresh=renew)
        client = Client(server.http_url, auth=auth, interceptors=[note], **options)
        async with client as session, anyio.create_task_group() as tg:
            for _ in range(3):
                tg.start_soon(session.execute, "query Mine { hello }")
        sent = [request.headers.get("authorization") for request in server.requests]
    assert names.count("Login") == 3
    assert names.count("Mine") == 3
    assert set(sent) == {None, "Bearer Hello world!"}


async def test_refresh_may_use_a_living_socket() -> None:
    issuer = Issuer()

    async def renew(token: str | None, session: Session) -> str:
        if token is not None:
            await session.execute("{ __typename }")
            assert (await session.execute_result(HELLO)).errors  # which isn't replayed either
            async with session.subscribe("subscription { ticks }") as events:
                with pytest.raises(Exception, match="log in first"):  # which isn't replayed
                    await events.receive()
            async with session.execute_incremental("{ __typename }") as results:
                assert [data async for data in results] == [{"__typename": "Query"}]
        return await issuer()

    async with TokenServer(issuer) as server:
        auth = Refreshing(refresh=renew)
        client = Client(server.transport(init_payload=auth.payload), auth=auth)
        for reconnecting in (False, True):
            async with client.connect(reconnecting=reconnecting) as session:
                await session.execute(HELLO)
                issuer.revoke()
                await session.execute(HELLO)


async def test_refresh_has_no_token_itself() -> None:
    async def renew() -> str:
        assert await auth.headers() == {}
        assert await auth.payload() is None
        return await auth.token()

    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        auth = Refreshing(refresh=renew)
        async with Client(server.http_url, auth=auth) as session:
            with pytest.raises(RuntimeError, match="that it is to return"):
                await session.execute(HELLO)


async def test_refresh_may_have_a_client_of_its_own_for_the_same_transport() -> None:
    issuer = Issuer()

    async def renew() -> str:
        async with Client(transport) as session:
            await session.execute("{ __typename }")
        return await issuer()

    async with TokenServer(issuer) as server:
        auth = Refreshing(refresh=renew)
        transport = server.transport(init_payload=auth.payload)
        async with Client(transport, auth=auth) as session:
            assert await session.execute(HELLO)
        payloads = [connection.init_payload for connection in server.connections]
    assert payloads == [None, {"Authorization": "Bearer s3cret-1"}] or len(payloads) == 2


@pytest.mark.parametrize("when", ["at first", "refused", "lost"])
async def test_refresh_waits_for_what_waits_for_refresh(when: str) -> None:
    issuer = Issuer()
    connection_lost = False

    async def renew(session: Session) -> str:
        nonlocal connection_lost
        if when == "lost" and issuer.issued == 1:
            connection_lost = True
            server.drop_connections()  # and what comes next needs another
        if when == "at first" or issuer.issued == 1 or when == "refused":
            await session.execute(HELLO)
        return await issuer()

    async with TokenServer(issuer, asks_at_connect=True) as server:
        auth = Refreshing(refresh=renew, token="old" if when == "refused" else None)
        client = Client(server.transport(init_payload=auth.payload), auth=auth)
        told: list[RuntimeError] = []
        try:
            async with client.connect(reconnecting=True) as session:
                await session.execute(HELLO)
                issuer.revoke()
                await session.execute(HELLO)
        except RuntimeError as error:  # the call's, or the session's, which it ends too
            told.append(error)
        assert "use another client in refresh" in str(told[0])
        assert connection_lost is (when == "lost")


async def test_nothing_is_kept_of_sessions_that_are_closed() -> None:
    issuer = Issuer()
    async with TokenServer(issuer) as server:
        await server.listen()
        auth = Refreshing(refresh=issuer)
        for _ in range(3):
            async with Client(server.http_url, auth=auth) as session:
                await session.execute(HELLO)
        (here,) = source_of(auth)._by_loop.values()
        assert not here.owners
        assert source_of(auth)._running is None
