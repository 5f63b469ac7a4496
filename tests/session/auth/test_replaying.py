"""What is sent again after its credentials were refused, and what never is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
import trio
from anyio.lowlevel import checkpoint
from graphql import GraphQLError
from trio.testing import MockClock

from anygql import (
    Client,
    ExecutionResult,
    HTTPTransport,
    Operation,
    Refreshing,
    Session,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportServerError,
    default_refused,
    gql,
)
from anygql.session.refusals import is_wholly_refused
from anygql.session.subscription import results_of
from anygql.testing import Stub
from tests.support.tokens import Issuer, TokenServer

HELLO = "{ hello }"
TICKS = "subscription { ticks(every: 1) }"
COUNT = 'mutation { count(key: "k") }'
REFUSED = {"message": "log in first", "extensions": {"code": "UNAUTHENTICATED"}}


def error_at(*path: str | int) -> dict[str, Any]:
    return {**REFUSED, "path": list(path)}


@asynccontextmanager
async def talking(
    way: str = "http",
    issuer: Issuer | None = None,
    *,
    auth: dict[str, Any] | None = None,
    connect: dict[str, Any] | None = None,
    client: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncGenerator[tuple[Issuer, TokenServer, Session]]:
    issuer = issuer or Issuer()
    refreshing = Refreshing(**{"refresh": issuer, **(auth or {})})
    async with TokenServer(issuer, **options) as server:
        await server.listen()
        if way == "http":
            it = Client(server.http_url, auth=refreshing, **(client or {}))
        else:
            transport = server.transport(init_payload=refreshing.payload)
            it = Client(transport, auth=refreshing, **(client or {}))
        async with it.connect(**(connect or {})) as session:
            yield issuer, server, session


class Bad(Issuer):
    """An issuer whose tokens from the second on are good for nothing."""

    async def __call__(self) -> str:
        token = await super().__call__()
        if self.issued > 1:
            self.good = None
        return token


# The rules.

MUTATION = "mutation { a }"
MUTATIONS = "mutation { a b }"


@pytest.mark.parametrize(
    ("document", "outcome", "expected"),
    [
        ("{ a }", ExecutionResult({"a": 1}, [REFUSED]), True),
        (MUTATION, ExecutionResult(None, [REFUSED]), True),
        (MUTATION, ExecutionResult(None, [error_at("a")]), True),
        (MUTATION, ExecutionResult(None, [error_at("a", "b")]), False),
        (MUTATION, ExecutionResult(None, [REFUSED, error_at("a", 0, "b")]), False),
        (MUTATION, ExecutionResult({"a": None}, [error_at("a")]), True),
        (MUTATION, ExecutionResult({"a": None}, [REFUSED]), False),
        (MUTATION, ExecutionResult({"a": None}, [error_at("a", "b")]), False),
        (MUTATION, ExecutionResult({}, [REFUSED]), False),
        (MUTATIONS, ExecutionResult({"a": None, "b": None}, [error_at("a")]), False),
        (MUTATION, ExecutionResult({"a": 1}, [REFUSED]), False),
        (MUTATIONS, ExecutionResult(None, [REFUSED]), True),
        (MUTATIONS, ExecutionResult(None, [error_at("b")]), False),
        (
            "mutation { ...F } fragment F on M { a b }",
            ExecutionResult(None, [error_at("b")]),
            False,
        ),
        ("mutation { ... on M { a b } }", ExecutionResult(None, [error_at("b")]), False),
        ("mutation { a ... on M { b } }", ExecutionResult(None, [error_at("b")]), False),
        (MUTATION, ExecutionResult(None, [{"message": "", "path": "a"}, "text"]), True),
        (MUTATION, TransportQueryError("", errors=[REFUSED]), True),
        (MUTATION, TransportQueryError("", errors=[REFUSED], data={"a": 1}), False),
        (MUTATION, TransportQueryError("", errors=[error_at("a", "b")]), False),
        (MUTATION, TransportQueryError("", errors=[error_at("a")], data={"a": None}), True),
        (MUTATION, TransportServerError("", code=401), True),
        (MUTATION, TransportServerError("", code=403), True),
        (MUTATION, TransportServerError("", code=407), True),
        (MUTATION, TransportServerError("", code=403, errors=[error_at("a")]), True),
        (MUTATIONS, TransportServerError("", code=401, errors=[REFUSED]), True),
        (MUTATIONS, TransportServerError("", code=401, errors=[error_at("b")]), False),
        (MUTATION, TransportServerError("", code=500), False),
        (MUTATION, TransportConnectionFailed("", code=4401), False),
    ],
)
def test_whether_a_server_did_nothing(document: str, outcome: Any, expected: bool) -> None:
    assert is_wholly_refused(gql(document), outcome) is expected


def stubbed(*answers: Any) -> tuple[list[int], Any]:
    """A stub that gives these answers one after the other, and the number of tokens made."""
    left = list(answers)
    issued: list[int] = []

    def answer(_call: Any) -> Any:
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def refresh() -> str:
        issued.append(1)
        return "t"

    stub = Stub({"A": answer})
    return issued, (stub, Client(stub, auth=Refreshing(refresh=refresh, refused=denied)))


def denied(error: Exception) -> bool:
    return default_refused(error) or getattr(error, "code", None) in {403, 500}


FINE = {"a": 1}


@pytest.mark.parametrize("kind", ["query", "mutation"])
@pytest.mark.parametrize(
    ("refusal", "is_whole"),
    [
        (ExecutionResult(None, [REFUSED]), True),
        (ExecutionResult(None, [error_at("a")]), True),
        (ExecutionResult({"a": None}, [error_at("a")]), True),
        (ExecutionResult(None, [error_at("a", "b")]), False),
        (TransportServerError("", code=401), True),
        (TransportServerError("", code=403), True),
        (TransportServerError("", code=500), False),
        (TransportQueryError("", errors=[REFUSED]), True),
    ],
)
async def test_an_operation_that_is_refused(kind: str, refusal: Any, is_whole: bool) -> None:
    issued, (stub, client) = stubbed(refusal, FINE, FINE)
    document = f"{kind} A {{ a }}"
    async with client as session:
        if is_whole or kind == "query":
            assert await session.execute(document) == FINE
            assert len(stub.calls) == 2
        else:
            with pytest.raises(TransportError):
                await session.execute(document)
            assert (len(stub.calls), len(issued)) == (1, 1)
            # It isn't sent again, but what comes next has a fresh token.
            assert await session.execute(document) == FINE
        assert len(issued) == 2


@pytest.mark.parametrize(
    "outcome",
    [
        ExecutionResult({"a": 1, "b": None}, [error_at("b")]),
        TransportQueryError("", errors=[REFUSED], data={"a": 1}),
        TransportConnectionFailed("", code=401),
        TransportServerError("", code=404),
        ExecutionResult(None, [{"message": "no"}]),
    ],
)
async def test_what_is_no_refusal(outcome: Any) -> None:
    issued, (stub, client) = stubbed(outcome)
    async with client as session:
        with pytest.raises(TransportError):
            await session.execute("query A { a b }")
        assert (len(stub.calls), len(issued)) == (1, 1)


@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.parametrize("by_status", [True, False])
async def test_a_second_refusal_is_raised(way: str, by_status: bool) -> None:
    async with talking(way, Bad(), refuse_by_status=by_status) as (issuer, server, session):
        assert await session.execute(HELLO)
        issuer.revoke()
        expected = TransportServerError if way == "http" and by_status else TransportQueryError
        for number in range(2):
            before = server.refused
            with pytest.raises(expected):
                await session.execute(COUNT)
            assert server.refused - before == 2
            assert issuer.issued == 2 + number
        if expected is TransportQueryError:
            result = await session.execute_result(COUNT)
            assert result.data is None
            assert result.errors
        assert not server.counted


async def test_interceptors_see_one_call_and_two_attempts() -> None:
    seen: list[str] = []

    async def around(operation: Operation, call: Any) -> ExecutionResult:
        seen.append("call")
        return await call(operation)

    async def each(operation: Operation, call: Any) -> ExecutionResult:
        seen.append(f"attempt {operation.attempt}")
        return await call(operation)

    options = {"interceptors": [around], "attempt_interceptors": [each]}
    async with talking(client=options) as (issuer, _, session):
        issuer.issued += 1
        await session.execute(HELLO)
        issuer.revoke()
        await session.execute(HELLO)
    assert seen == ["call", "attempt 1", "call", "attempt 1", "attempt 2"]


# Other ways to run operations.


@pytest.mark.parametrize("by_status", [True, False])
@pytest.mark.parametrize("options", [{}, {"batch_interval": 0.005}])
async def test_batches(by_status: bool, options: dict[str, Any]) -> None:
    async with talking(client=options, refuse_by_status=by_status) as (issuer, server, session):
        await session.execute(HELLO)
        issuer.revoke()
        server.requests.clear()
        requests = [HELLO, COUNT, HELLO]
        assert await session.execute_batch(requests) == [
            {"hello": "hello"},
            {"count": 1},
            {"hello": "hello"},
        ]
        assert len(server.requests) == 2
        issuer.revoke()
        server.requests.clear()
        async with anyio.create_task_group() as tg:
            for request in requests:
                tg.start_soon(session.execute, request)
        assert len(server.requests) == (2 if options else 6)
        assert issuer.issued == 3
        assert server.counted == {"k": 2}


async def test_a_schema_is_fetched() -> None:
    async with talking() as (issuer, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        assert (await session.fetch_schema()).mutation_type
        assert issuer.issued == 2


@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.parametrize("by_status", [True, False])
async def test_results_in_parts(way: str, by_status: bool) -> None:
    async with talking(way, refuse_by_status=by_status) as (issuer, server, session):
        await session.execute(HELLO)
        issuer.revoke()
        async with session.execute_incremental(COUNT) as results:
            assert (results.dropped, results.reconnects) == (0, 0)
            assert [data async for data in results] == [{"count": 1}]
        issuer.revoke()
        results = session.execute_incremental(HELLO)
        assert await results.receive() == {"hello": "hello"}
        with pytest.raises(anyio.EndOfStream):
            await results.receive()
        del results  # left by nobody
        assert issuer.issued == 3
        assert server.counted == {"k": 1}
        await anyio.wait_all_tasks_blocked()
        assert not session._supervisor.credentials._calls  # type: ignore[union-attr]


async def test_results_in_parts_that_are_refused_for_good() -> None:
    async with talking("websocket", Bad()) as (issuer, server, session):
        await session.execute(HELLO)
        issuer.revoke()
        with pytest.raises(TransportQueryError, match="log in first"):
            async with session.execute_incremental(COUNT) as results:
                await results.receive()
        assert server.refused == 2


async def test_results_in_parts_of_which_some_may_have_been_done() -> None:
    """The stream's own errors come out, and what comes next has a fresh token."""
    async with talking("websocket") as (issuer, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        both = 'mutation { a: count(key: "a") b: count(key: "b") }'
        with pytest.raises(TransportQueryError, match="log in first"):
            async with session.execute_incremental(both) as results:
                await results.receive()
        assert issuer.issued == 1
        await session.execute(HELLO)
        assert issuer.issued == 2


async def test_the_first_part_is_there_at_once() -> None:
    async with talking("websocket") as (_, _, session):
        async with session.execute_incremental(HELLO) as results:
            it = results_of(results)
            it.check_loop()
            await it.wait()
            assert it.receive_nowait() is not None
            await it.wait()
            with pytest.raises(anyio.EndOfStream):
                it.receive_nowait()


async def test_results_in_parts_that_fail_for_another_reason() -> None:
    async with talking("http", refuse_by_status=False) as (issuer, server, session):
        server.refuse_with = 404
        with pytest.raises(TransportServerError, match="404"):
            await session.execute_incremental(HELLO).receive()
        assert issuer.issued == 1
    async with talking("websocket") as (_, server, session), anyio.create_task_group() as tg:

        @tg.start_soon
        async def drop() -> None:
            await server.connections[0].wait_operations(1)
            server.drop_connections()

        with pytest.raises(TransportConnectionFailed):
            await session.execute_incremental("{ hello(wait: 10000) }").receive()


async def test_canceled_while_the_first_part_is_waited_for() -> None:
    async with talking("websocket") as (_, server, session):
        with anyio.move_on_after(0.02):
            async with session.execute_incremental("{ hello(wait: 10000) }"):
                pass
        await server.connections[0].wait_operations(0)
        assert not session._supervisor.credentials._calls  # type: ignore[union-attr]
        assert await session.execute(HELLO)


# Subscriptions.


@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_subscription_that_is_refused_has_no_gap(way: str, reconnecting: bool) -> None:
    connect = {"reconnecting": reconnecting}
    async with talking(way, connect=connect) as (issuer, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        async with session.subscribe(TICKS) as events:
            assert [(await events.receive())["ticks"] for _ in range(3)] == [0, 1, 2]
            assert events.reconnects == 0
        assert issuer.issued == 2


@pytest.mark.parametrize("way", ["http", "websocket"])
async def test_a_subscription_that_ran_and_is_refused_has_one(way: str) -> None:
    async with talking(way, pushes=True, refuse_by_status=False) as (issuer, _, session):
        async with session.subscribe(TICKS) as events:
            for _ in range(3):
                await events.receive()
            issuer.revoke()
            while not events.reconnects:
                data = await events.receive()
            assert (events.reconnects, data) == (1, {"ticks": 0})
            # If that happens again soon, it waits before it goes on.
            issuer.revoke()
            while events.reconnects < 2:
                data = await events.receive()
            assert (events.reconnects, data) == (2, {"ticks": 0})
        assert issuer.issued == 3


def test_a_subscription_that_is_refused_from_time_to_time() -> None:
    async def main() -> None:
        async with talking("websocket", pushes=True) as (issuer, _, session):
            async with session.subscribe("subscription { ticks(every: 1000) }") as events:
                for number in range(3):
                    for _ in range(15):
                        await events.receive()
                    issuer.revoke()
                    while events.reconnects == number:
                        await events.receive()
            assert issuer.issued == 4

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.parametrize("by_status", [True, False])
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_subscription_that_is_refused_twice(
    way: str, by_status: bool, reconnecting: bool
) -> None:
    connect = {"reconnecting": reconnecting}
    async with talking(way, Bad(), refuse_by_status=by_status, connect=connect) as it:
        issuer, server, session = it
        await session.execute(HELLO)
        issuer.revoke()
        async with session.subscribe(TICKS) as events:
            with pytest.raises((TransportQueryError, TransportServerError)):
                await events.receive()
            assert events.reconnects == 0
        assert server.refused == 2


@pytest.mark.parametrize("way", ["http", "websocket"])
async def test_a_subscription_whose_refresh_fails(way: str) -> None:
    issuer = Issuer()

    async def refresh() -> str:
        if issuer.issued:
            raise OSError("no more")
        return await issuer()

    async with talking(way, issuer, auth={"refresh": refresh}) as (_, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        async with session.subscribe(TICKS) as events:
            for _ in range(2):
                with pytest.raises(OSError, match="no more"):
                    await events.receive()


async def test_a_subscription_that_is_left_while_it_is_refused() -> None:
    gate = anyio.Event()
    issuer = Issuer()

    async def refresh() -> str:
        if issuer.issued:
            await gate.wait()
        return await issuer()

    async with talking("websocket", issuer, auth={"refresh": refresh}) as (_, server, session):
        await session.execute(HELLO)
        issuer.revoke()
        async with session.subscribe(TICKS) as events, anyio.create_task_group() as tg:

            @tg.start_soon
            async def receive() -> None:
                assert [data async for data in events] == []

            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0):  # another consumer, which waits too
                await events.receive()
            await events.aclose()
            with pytest.raises(anyio.EndOfStream):
                results_of(events).receive_nowait()
        gate.set()
        assert await session.execute(HELLO)
        await server.connections[-1].wait_operations(0)


@pytest.mark.parametrize("resumes", [True, False])
async def test_a_refusal_that_is_read_after_its_connection_was_lost(resumes: bool) -> None:
    """What has been sent again already, or is about to be, isn't sent another time."""
    connect = {"reconnecting": True}
    async with talking("websocket", pushes=True, connect=connect) as (issuer, server, session):
        async with session.subscribe("subscription { ticks(every: 100000) }") as events:
            first = await server.wait_connection(1)
            await first.wait_sent("next")
            (id,) = first.operations
            payload = {"data": None, "errors": [REFUSED]}
            await first.send({"type": "next", "id": id, "payload": payload})
            await session.execute("{ __typename }")  # so that it has come
            if resumes:
                server.drop_connections()
                await (await server.wait_connection(2)).wait_sent("next")
            else:
                session.reconnect()
            assert await events.receive() == {"ticks": 0}
            assert await events.receive() == {"ticks": 0}
            assert events.reconnects == 1
            await session.execute("{ __typename }")
            await anyio.wait_all_tasks_blocked()
            assert [len(each.operations) for each in server.connections] == [0, 1]
            assert issuer.issued == (1 if resumes else 2)


@pytest.mark.parametrize("policy", [True, False])
@pytest.mark.usefixtures("soon")
async def test_a_connection_that_is_lost_while_a_refusal_is_dealt_with(policy: bool) -> None:
    gate = anyio.Event()
    issuer = Issuer()

    async def refresh() -> str:
        if issuer.issued:
            server.drop_connections()
            await server.connections[0].wait_closed()
            await gate.wait()
        return await issuer()

    connect = {"reconnecting": True, "retry_subscribe": policy}
    async with talking("websocket", issuer, auth={"refresh": refresh}, connect=connect) as it:
        _, server, session = it
        await session.execute(HELLO)
        issuer.revoke()
        async with session.subscribe(TICKS) as events, anyio.create_task_group() as tg:

            @tg.start_soon
            async def go_on() -> None:
                await server.wait_connection(1)
                await anyio.wait_all_tasks_blocked()
                gate.set()

            assert [(await events.receive())["ticks"] for _ in range(3)] == [0, 1, 2]
            assert events.reconnects == 0
        assert issuer.issued == 2
        await anyio.wait_all_tasks_blocked()
        assert sum(len(each.operations) for each in server.connections) == 0


async def test_a_refusal_that_is_read_while_it_is_sent_again() -> None:
    """A result is refused whose connection was lost after it; there is no other yet."""
    connect = {"reconnecting": True}
    async with talking("websocket", connect=connect) as (issuer, server, session):
        async with session.subscribe("subscription { ticks(every: 100000) }") as events:
            first = await server.wait_connection(1)
            await first.wait_sent("next")
            (id,) = first.operations
            payload = {"data": None, "errors": [REFUSED]}
            await first.send({"type": "next", "id": id, "payload": payload})
            await session.execute("{ __typename }")  # so that it has come
            server._accepting = False
            server.drop_connections()
            while session.state == "connected":
                await checkpoint()
            await anyio.wait_all_tasks_blocked()  # it waits for another connection
            server._accepting = True
            assert await events.receive() == {"ticks": 0}
            assert await events.receive() == {"ticks": 0}
            assert (events.reconnects, issuer.issued) == (1, 2)


@pytest.mark.usefixtures("soon")
async def test_shared_subscriptions() -> None:
    async with talking("websocket") as (issuer, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        async with session.share(TICKS) as hub, hub.listen() as first, hub.listen() as second:
            assert "ticks" in await first.receive()
            assert "ticks" in await second.receive()
        assert issuer.issued == 2


@pytest.mark.parametrize("policy", [True, False])
async def test_losses_of_other_kinds_are_as_ever(policy: bool) -> None:
    connect = {"reconnecting": True, "retry_subscribe": policy}
    async with talking("websocket", connect=connect) as (_, server, session):
        async with session.subscribe(TICKS) as events:
            await events.receive()
            server.drop_connections()
            if policy:
                while not events.reconnects:
                    await events.receive()
                return
            with pytest.raises(TransportConnectionFailed):
                while True:
                    await events.receive()
            assert events.reconnects == 0


class Maybe(msgspec.Struct):
    maybe: str | None


@pytest.mark.parametrize("way", ["http", "websocket"])
async def test_a_field_that_is_null_is_no_data(way: str) -> None:
    async with talking(way, refuse_by_status=False) as (issuer, _, session):
        await session.execute(HELLO)
        for number, options in enumerate([{}, {"result_type": Maybe}]):
            issuer.revoke()
            data = await session.execute("{ maybe }", **options)
            assert data in ({"maybe": "yes"}, Maybe("yes"))
            assert issuer.issued == 2 + number


async def test_a_stream_over_http_that_is_lost_in_a_plain_session() -> None:
    async with talking("http") as (_, server, session):
        async with session.subscribe(TICKS) as events:
            await events.receive()
            server.drop_connections()
            with pytest.raises(TransportConnectionFailed):
                while True:
                    await events.receive()


# A function `refused` that fails.


class Mistake(Exception):
    pass


def mistaken(error: Exception) -> bool:
    raise Mistake(str(type(error)))


@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.parametrize("by_status", [True, False])
async def test_what_refused_raises_comes_out(way: str, by_status: bool) -> None:
    options = {"auth": {"refused": mistaken}, "refuse_by_status": by_status}
    async with talking(way, **options) as (issuer, _, session):
        await session.execute(HELLO)
        issuer.revoke()
        run: list[Callable[[], Any]] = [
            lambda: session.execute(HELLO),
            lambda: session.subscribe(TICKS).receive(),
            lambda: session.execute_incremental(HELLO).receive(),
        ]
        for each in run:
            with pytest.raises(Mistake):
                await each()
        assert session.state == "connected"
        assert await session.execute("{ __typename }") if way == "websocket" else True


def test_an_error_of_graphql_core_is_no_answer() -> None:
    assert default_refused(GraphQLError("x", extensions={"code": "UNAUTHENTICATED"})) is False


async def test_headers_of_a_transport_of_ones_own() -> None:
    issuer = Issuer()
    async with TokenServer(issuer) as server:
        await server.listen()
        auth = Refreshing(refresh=issuer)
        client = Client(HTTPTransport(server.http_url, headers=auth.headers), auth=auth)
        async with client as session:
            await session.execute(HELLO)
