"""Throttle in sessions: against servers with limits, on every kind of transport and session."""

from __future__ import annotations

import gc
import random
import re
import weakref
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise, repeat
from typing import Any

import anyio
import pytest
import tenacity
import trio
from anyio.lowlevel import checkpoint
from graphql import GraphQLError
from trio.testing import MockClock

from anygql import (
    Client,
    ExecutionResult,
    Operation,
    Refreshing,
    Session,
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
)
from anygql import blocking as without_await
from anygql.testing import Stub, StubCall
from anygql.throttle import Throttle, Wait
from tests.support.limited import (
    COSTLY,
    Bucket,
    GitHub,
    Limited,
    Shopify,
    operation,
    over_http,
)

THROTTLED = GraphQLError("Throttled", extensions={"code": "THROTTLED"})
FIELD = "query ($cost: Float) { a rateLimit { cost remaining resetAt limit } }"


def on_mock_clock(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


def delays(seed: int) -> Iterator[tuple[float, float, float]]:
    choose = random.Random(seed)
    while True:
        yield choose.random() / 5, choose.random(), choose.random() / 5


async def send_all(throttle: Throttle, server: Limited, *operations: Operation) -> float:
    begun = anyio.current_time()
    async with anyio.create_task_group() as tg:
        for each in operations:
            tg.start_soon(throttle, each, server)
    return anyio.current_time() - begun


def limited_error(code: int = 429, wait: float | None = 7) -> TransportServerError:
    error = TransportServerError("no", code=code, retryable=True)
    error.retry_after = wait
    return error


# Servers with limits.


@pytest.mark.parametrize("seed", [None, 1])
def test_requests_a_second(seed: int | None) -> None:
    async def main() -> None:
        # Requests are on their way for different times, so some arrive closer together than sent.
        server = Bucket(10, 20 if seed is None else 25, delays=None if seed is None else delays(1))
        throttle = Throttle(rate=10, burst=20)
        assert await send_all(throttle, server, *[operation()] * 100) < 8 + 2
        assert not server.refused
        starts = sorted(server.times)
        assert all(
            late - early >= 0.999
            for early, late in zip(starts, starts[31:], strict=False)
            if seed is None
        )

    on_mock_clock(main)


def test_requests_are_evenly_spaced_by_default() -> None:
    async def main() -> None:
        server = Bucket(5, 1)
        assert await send_all(Throttle(rate=10, per=2), server, *[operation()] * 11) == (
            pytest.approx(2)
        )
        assert not server.refused

    on_mock_clock(main)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_shopify_with_a_known_limit(seed: int | None) -> None:
    """Nothing is refused, though nothing has been learned when the first hundred begin."""

    async def main() -> None:
        server = Shopify(50, 1000, delays=None if seed is None else delays(seed))
        throttle = Throttle(rate=50, burst=1000, cost=lambda op: op.request.variable_values["cost"])  # type: ignore[index]
        costs = [operation(cost=10.0 * (1 + each % 20), actual=each % 7) for each in range(100)]
        await send_all(throttle, server, *costs)
        assert not server.refused
        assert len(server.answered) == 100

    on_mock_clock(main)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_shopify_when_it_has_answered_once(seed: int | None) -> None:
    async def main() -> None:
        server = Shopify(50, 1000, delays=None if seed is None else delays(seed))
        throttle = Throttle()
        await throttle(operation(cost=100, actual=60), server)
        seconds = await send_all(throttle, server, *[operation(cost=100, actual=60)] * 100)
        assert not server.refused
        assert len(server.answered) == 101
        # What it didn't cost is used.
        assert seconds < 60 * 100 / 50

    on_mock_clock(main)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_shopify_of_which_nothing_is_known(seed: int | None) -> None:
    async def main() -> None:
        server = Shopify(50, 1000, delays=None if seed is None else delays(seed))
        seconds = await send_all(Throttle(), server, *[operation(cost=10)] * 100)
        # The first answer is waited for, and tells of the budget.
        assert (server.refused, seconds < 4) == ([], True)
        assert server.busiest > 20 or seed is None
        # Another throttle has spent from the same budget, which the first answer tells, too. If
        # there isn't enough for the first, that one is refused.
        await send_all(Throttle(), server, *[operation(cost=10)] * 300)
        assert len(server.answered) == 400
        assert len(server.refused) <= 1

    on_mock_clock(main)


def test_more_than_there_can_be_is_left_to_the_server() -> None:
    async def main() -> None:
        async def refuse(_: Operation) -> ExecutionResult:
            await checkpoint()
            return ExecutionResult(errors=[{"extensions": {"code": "MAX_COST_EXCEEDED"}}])

        server, throttle = Shopify(50, 1000), Throttle()
        await throttle(operation(cost=10), server)
        result = await Throttle(cost=5000)(operation(), refuse)
        assert result.errors

    on_mock_clock(main)


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("text", [FIELD, COSTLY])
def test_the_hour_of_github(text: str, seed: int | None) -> None:
    async def main() -> None:
        ways = None if seed is None else delays(seed)
        server = GitHub(60, has_headers=text is COSTLY, delays=ways)
        throttle = Throttle()
        cost = 4 if text is FIELD else 1
        await throttle(operation(text, cost=cost), server)
        seconds = await send_all(throttle, server, *[operation(text, cost=cost)] * 100)
        assert not server.refused
        assert len(server.answered) == 101
        hours = 6 if text is FIELD else 1
        assert hours * 3600 - 1 < seconds < hours * 3600 + 20

    on_mock_clock(main)


def test_an_hour_that_others_have_used_up() -> None:
    async def main() -> None:
        server = GitHub(left=20, delays=delays(1))
        seconds = await send_all(Throttle(), server, *[operation()] * 100)
        assert len(server.answered) == 100
        assert server.refused == []
        assert 3600 < seconds < 3610

    on_mock_clock(main)


@pytest.mark.parametrize("names_time", [True, False])
@pytest.mark.parametrize("limit", ["a_minute", "at_once"])
def test_secondary_limits(names_time: bool, limit: str) -> None:
    async def main() -> None:
        server = GitHub(names_time=names_time, delays=delays(1), **{limit: 30})  # type: ignore[arg-type]
        seconds = await send_all(Throttle(), server, *[operation()] * 100)
        assert len(server.answered) == 100
        assert len(server.refused) < 110
        assert 60 < seconds < 250
        # Nothing was sent while it wanted to be left alone.
        times = sorted(server.times)
        assert any(late - early > 58 for early, late in pairwise(times))

    on_mock_clock(main)


def test_two_limits() -> None:
    async def main() -> None:
        server = Shopify(50, 1000)
        requests, points = Throttle(rate=2), Throttle(rate=50, burst=1000, cost=100)

        async def answer(_: StubCall) -> ExecutionResult:
            return (await server.respond({"cost": 100}, 0)).result()

        async with Client(Stub({"Costly": answer}), interceptors=[requests, points]) as session:
            begun = anyio.current_time()
            async with anyio.create_task_group() as tg:
                for _ in range(21):
                    tg.start_soon(session.execute, COSTLY)
            # Ten have their points at once, and one more comes every two seconds; all are spaced.
            assert anyio.current_time() - begun == pytest.approx((21 - 10) * 100 / 50)
        assert not server.refused
        assert all(late - early >= 0.499 for early, late in pairwise(server.times))

    on_mock_clock(main)


# Over HTTP, in each kind of session.


@pytest.mark.parametrize("reconnecting", [False, True])
@pytest.mark.parametrize(
    ("server", "options"),
    [
        (lambda: Shopify(1000, 20), {}),
        (lambda: Shopify(1000, 20), {"rate": 1000, "burst": 20, "cost": 5}),
        (lambda: Bucket(1000, 20), {"rate": 1000, "burst": 10}),
    ],
    ids=["shopify", "shopify-known", "rate"],
)
async def test_over_http(
    server: Callable[[], Limited], options: dict[str, Any], reconnecting: bool
) -> None:
    limited = server()
    async with over_http(limited) as url:
        client = Client(url, interceptors=[Throttle(**options)])
        variables = {"cost": 5} if isinstance(limited, Shopify) else {}
        async with client.connect(reconnecting=reconnecting) as session:
            async with anyio.create_task_group() as tg:
                for _ in range(30):
                    tg.start_soon(session.execute, COSTLY, variables)
    assert len(limited.answered) == 30


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_github_over_http(reconnecting: bool) -> None:
    waits: list[Wait] = []
    server = GitHub(5, hour=0.2)
    async with over_http(server) as url:
        client = Client(url, interceptors=[Throttle(on_wait=waits.append)])
        async with client.connect(reconnecting=reconnecting) as session:
            await session.execute(COSTLY)
            async with anyio.create_task_group() as tg:
                for _ in range(11):
                    tg.start_soon(session.execute, COSTLY)
    assert len(server.answered) == 12
    assert {each.reason for each in waits} == {"budget"}
    # What is left of an hour is told before it is heard, so nothing is sent too early.
    assert not server.refused


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, 2),
        ({"reconnecting": True}, 2),
        ({"reconnecting": True, "retry_mutations": True}, 2),
        # Decorators of an unknown kind leave refusals alone, too.
        ({"reconnecting": True, "retry_execute": lambda function: function}, 2),
        ({"reconnecting": True, "retry_execute": tenacity.retry(wait=tenacity.wait_fixed(9))}, 2),
    ],
)
@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_one_wait_in_each_kind_of_session(options: dict[str, Any], calls: int, kind: str) -> None:
    outcomes: list[Any] = [limited_error(), {"a": 1}]

    def answer(_: StubCall) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def main() -> None:
        stub = Stub({"A": answer})
        async with Client(stub, interceptors=[Throttle()]).connect(**options) as session:
            begun = anyio.current_time()
            assert await session.execute(f"{kind} A {{ a }}") == {"a": 1}
            assert anyio.current_time() - begun == 7
            assert len(stub.calls) == calls

    on_mock_clock(main)


def test_a_permanent_session_still_retries_other_errors() -> None:
    outcomes: list[Any] = [TransportConnectionFailed("lost"), limited_error(503), {"a": 1}]

    def answer(_: StubCall) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def main() -> None:
        client = Client(Stub({"A": answer}), interceptors=[Throttle()])
        async with client.connect(reconnecting=True) as session:
            assert await session.execute("query A { a }") == {"a": 1}

    on_mock_clock(main)


@pytest.mark.parametrize(
    ("place", "times"), [("interceptors", [0, 0, 0, 1]), ("attempt_interceptors", [0, 1, 2, 3])]
)
def test_what_a_session_repeats_counts_where_it_is_around_attempts(
    place: str, times: list[float]
) -> None:
    sent: list[float] = []

    async def answer(_: StubCall) -> Any:
        sent.append(anyio.current_time())
        if len(sent) < 3:
            raise limited_error(503, wait=None)
        return {"a": 1}

    async def main() -> None:
        options: dict[str, Any] = {place: [Throttle(rate=1)]}
        policy = tenacity.AsyncRetrying(wait=tenacity.wait_none())
        client = Client(Stub({"A": answer}), **options)
        async with client.connect(reconnecting=True, retry_execute=policy) as session:
            await session.execute("query A { a }")
            await session.execute("query A { a }")
        assert sent == pytest.approx(times)

    on_mock_clock(main)


def test_subscriptions_may_wait_in_line() -> None:
    throttle = Throttle(rate=1)

    async def send_nothing(_: Operation) -> ExecutionResult:
        await checkpoint()
        return ExecutionResult({})

    async def wait_in_line(operation: Operation) -> Operation:
        await throttle(operation, send_nothing)
        return operation

    async def main() -> None:
        stub = Stub({"Ticks": [{"tick": 1}], "A": {"a": 1}})
        limited = Client(stub, interceptors=[throttle], subscription_interceptors=[wait_in_line])
        for client, seconds in ((Client(stub, interceptors=[throttle]), 0), (limited, 4)):
            async with client as session:
                await session.execute("query A { a }")
                begun = anyio.current_time()
                for _ in range(2):
                    async with session.subscribe("subscription Ticks { tick }") as events:
                        await anext(events)
                    async with session.share("subscription Ticks { tick }") as hub:
                        async with hub.listen() as events:
                            await anext(events)
                assert anyio.current_time() - begun == pytest.approx(seconds)

    on_mock_clock(main)


def test_in_a_batch() -> None:
    async def main() -> None:
        server = Shopify(10, 20)

        async def answer(call: StubCall) -> ExecutionResult:
            return (await server.respond({"cost": 10, **call.variables}, 0)).result()

        client = Client(Stub({"Costly": answer}), interceptors=[Throttle()])
        async with client as session:
            requests = [operation(id=each).request for each in range(6)]
            data = await session.execute_batch(requests)
            assert data == [{"a": each} for each in range(6)]

    on_mock_clock(main)


def test_without_await() -> None:
    waits: list[Wait] = []
    client = without_await.Client(
        Stub({"A": {"a": 1}}), interceptors=[Throttle(rate=2, on_wait=waits.append)]
    )
    with client as session, client as other:
        for each in (session, other, session):
            assert each.execute("query A { a }") == {"a": 1}
    assert [wait.reason for wait in waits] == ["rate"] * 2


# Time limits, and who is told.


def test_a_wait_counts_against_timeout_and_not_against_execute_timeout() -> None:
    async def main() -> None:
        throttle = Throttle(rate=1, per=60)
        async with Client(Stub({"A": {"a": 1}}), interceptors=[throttle]) as session:
            for _ in range(2):
                await session.execute("query A { a }")  # 60 s, and execute_timeout is 10
            with pytest.raises(TransportTimeout, match=r"have not sent .* within 5 s") as caught:
                await session.execute("query A { a }", timeout=5)
            assert caught.value.unsent
            assert "0 waiting, 0 under way" in repr(throttle)
            begun = anyio.current_time()
            await session.execute("query A { a }", timeout=60)
            assert anyio.current_time() - begun == 55

    on_mock_clock(main)


def test_a_timeout_while_it_waits_to_send_again() -> None:
    async def main() -> None:
        client = Client(Stub({"A": limited_error()}), interceptors=[Throttle()])
        async with client as session:
            with pytest.raises(TransportTimeout) as caught:
                await session.execute("query A { a }", timeout=5)
            assert not caught.value.unsent
            assert isinstance(caught.value.__cause__, TransportServerError)

    on_mock_clock(main)


def test_max_wait() -> None:
    async def main() -> None:
        stub = Stub({"A": [limited_error(wait=3), limited_error(), {"a": 1}], "B": THROTTLED})
        throttle = Throttle(max_wait=5)
        async with Client(stub, interceptors=[throttle]) as session:
            begun = anyio.current_time()
            # It has waited for 3 s, and the second wait would be too long: it is not begun.
            with pytest.raises(TransportServerError) as caught:
                await session.execute("query A { a }")
            assert caught.value.retry_after == 7
            assert anyio.current_time() - begun == 3
            # This one was not sent, and can't be for 7 s.
            with pytest.raises(TransportTimeout, match=r"let the query 'A' go within 5 s") as other:
                await session.execute("query A { a }")
            assert other.value.unsent
            assert anyio.current_time() - begun == 3
            await anyio.sleep(7)
            with pytest.raises(TransportQueryError, match="Throttled"):
                await session.execute("query B { b }")
            assert anyio.current_time() - begun == 13  # 1 s and 2 s, and 4 s is too long
        assert "0 waiting" in repr(throttle)

    on_mock_clock(main)


def test_max_wait_behind_others() -> None:
    async def main() -> None:
        throttle, server = Throttle(rate=1, max_wait=2.5), Bucket(1, 1)
        failed: list[str] = []

        async def one() -> None:
            try:
                await throttle(operation("{ a }"), server)
            except TransportTimeout as error:
                failed.append(str(error))

        async with anyio.create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(one)
        assert len(server.answered) == 3
        message = "the server: the limits have not let the query go within 2.5 s (max_wait)"
        assert failed == [message] * 2
        await Throttle(max_wait=0)(operation("{ a }"), Bucket(1, 1))

    on_mock_clock(main)


def test_on_wait() -> None:
    async def main() -> None:
        waits: list[Wait] = []
        throttle = Throttle(rate=1, on_wait=waits.append)
        outcomes = [ExecutionResult({"a": 1})] * 3

        async def refused_once(_: Operation) -> ExecutionResult:
            await anyio.sleep(0.5)
            if len(outcomes) == 2:
                outcomes.pop()
                raise limited_error()
            return outcomes.pop()

        first, second = operation(), operation()
        await throttle(first, refused_once)
        await throttle(second, refused_once)
        assert [(wait.operation, wait.seconds, wait.reason) for wait in waits] == [
            (second, 0.5, "rate"),
            (second, 7, "refused"),
        ]
        with pytest.raises(AttributeError):
            waits[0].seconds = 0  # type: ignore[misc]

    on_mock_clock(main)


def test_on_wait_when_only_an_answer_can_tell() -> None:
    async def main() -> None:
        waits: list[Wait] = []
        throttle = Throttle(on_wait=waits.append)
        # One is refused while three are under way, and only so many may be.
        server = Bucket(0.1, 3, delays=repeat((0, 1, 0)))
        await send_all(throttle, server, *[operation()] * 4)
        # Three wait for the first answer, which tells of no budget.
        assert [(wait.seconds, wait.reason) for wait in waits] == [
            *[(0.0, "budget")] * 3,
            (0.0, "refused"),
        ]

    on_mock_clock(main)


async def test_what_on_wait_and_cost_raise_comes_out() -> None:
    def fail(_: object) -> Any:
        raise KeyError("mine")

    for options in ({"on_wait": fail, "rate": 0.01}, {"cost": fail}):
        throttle = Throttle(**options)  # type: ignore[arg-type]
        with pytest.raises(KeyError, match="mine"):
            for _ in range(2):
                await throttle(operation(), Bucket(100, 100))
        assert "0 waiting, 0 under way" in repr(throttle)


# What may be sent again.


@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_only_what_was_refused_as_a_whole_is_sent_again(kind: str) -> None:
    async def main() -> None:
        throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        results = {
            "Whole": [ExecutionResult(None, [throttled]), ExecutionResult({"a": 1})],
            "Part": [ExecutionResult({"a": 1, "b": None}, [{**throttled, "path": ["b"]}])],
            "Nulls": [ExecutionResult({"a": None}, [{**throttled, "path": ["a"]}])],
            "Other": [ExecutionResult(None, [throttled, {"message": "bad"}])],
        }
        stub = Stub({**results})
        async with Client(stub, interceptors=[Throttle()]) as session:
            for name in results:
                await session.execute_result(f"{kind} {name} {{ a b }}")
        assert [call.name for call in stub.calls] == ["Whole", "Whole", "Part", "Nulls", "Other"]

    on_mock_clock(main)


async def test_a_mutation_of_which_a_field_was_refused_is_not_sent_again() -> None:
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}, "path": ["b"]}
    status = TransportServerError("slow down", code=429, errors=[error])
    stub = Stub({"Pay": [ExecutionResult(None, [error]), status]})
    throttle = Throttle()
    async with Client(stub, interceptors=[throttle]) as session:
        with pytest.raises(TransportQueryError, match="Throttled"):
            await session.execute("mutation Pay { a b }")
        with pytest.raises(TransportServerError, match="slow down"):
            await session.execute("mutation Pay { a b }")
    assert "0 waiting, 0 under way" in repr(throttle)


async def test_other_errors_come_out_at_once() -> None:
    for error in (limited_error(503), limited_error(403, wait=None), KeyError("mine")):

        async def fail(_: Operation, error: Exception = error) -> ExecutionResult:
            await checkpoint()
            raise error

        throttle = Throttle()
        with pytest.raises(type(error)):
            await throttle(operation(), fail)
        assert "0 waiting, 0 under way" in repr(throttle)


async def test_an_error_that_was_waited_for_is_freed_at_once() -> None:
    gc.collect()
    error = limited_error(wait=0)
    freed = weakref.ref(error)
    errors = [error]
    del error

    async def refuse_once(_: Operation) -> ExecutionResult:
        await checkpoint()
        if errors:
            raise errors.pop()
        return ExecutionResult({})

    gc.disable()
    try:
        await Throttle()(operation(), refuse_once)
        assert freed() is None
    finally:
        gc.enable()


# Arguments.


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rate": 0}, ValueError, "rate is more than 0"),
        ({"rate": -1}, ValueError, "rate is a number from 0 on, not -1"),
        ({"rate": "10"}, TypeError, "rate is a number, not str"),
        ({"rate": True}, TypeError, "rate is a number, not bool"),
        ({"rate": float("nan")}, ValueError, "rate is a number from 0 on, not nan"),
        ({"rate": 1, "per": 0}, ValueError, "per is more than 0"),
        ({"rate": 1, "burst": 0.5}, ValueError, "burst is at least 1, not 0.5: nothing could"),
        ({"per": 60}, ValueError, "per and burst say what rate means: give rate, too"),
        ({"burst": 5}, ValueError, "per and burst say what rate means: give rate, too"),
        ({"cost": "5"}, TypeError, "cost is a number, not str"),
        ({"cost": -5}, ValueError, "cost is a number from 0 on, not -5"),
        ({"cost": anyio.sleep}, TypeError, "cost is a plain function, not an async one"),
        (
            {"rate": 1, "burst": 10, "cost": 50},
            ValueError,
            "an operation that costs 50 can never be sent with burst=10: burst is the points",
        ),
        ({"max_wait": -1}, ValueError, "max_wait is a number from 0 on, not -1"),
        ({"on_wait": 5}, TypeError, "on_wait is a function, not int"),
        ({"on_wait": anyio.sleep}, TypeError, "on_wait is a plain function, not an async one"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Throttle(**options)


@pytest.mark.parametrize(
    ("cost", "error", "message"),
    [
        (50, ValueError, "costs 50 can never be sent with burst=10"),
        (None, TypeError, "cost is a number, not NoneType"),
    ],
)
async def test_a_bad_cost(cost: Any, error: type[Exception], message: str) -> None:
    throttle = Throttle(rate=1, burst=10, cost=lambda _: cost)
    with pytest.raises(error, match=message):
        await throttle(operation(), Bucket(1, 1))


def test_its_repr() -> None:
    assert repr(Throttle()) == "<Throttle: 0 waiting, 0 under way>"
    assert repr(Throttle(rate=5000, per=3600, burst=100)) == (
        "<Throttle: 5000 in 3600 s, 0 waiting, 0 under way>"
    )
    assert {Throttle.__module__, Wait.__module__} == {"anygql.throttle"}


@pytest.mark.parametrize("options", [{}, {"rate": 0.001}])
async def test_what_a_refresh_runs_waits_for_nobody(options: Any) -> None:
    limit = Throttle(**options)

    async def renew(session: Session) -> str:
        return str(await session.execute("mutation Renew { token }", path="token"))

    stub = Stub({"Renew": {"token": "t"}, "Hello": {"hello": "x"}})
    client = Client(stub, interceptors=[limit], auth=Refreshing(refresh=renew))
    async with client as session:
        with anyio.fail_after(5):
            assert await session.execute("query Hello { hello }") == {"hello": "x"}
    assert [call.name for call in stub.calls] == ["Renew", "Hello"]
