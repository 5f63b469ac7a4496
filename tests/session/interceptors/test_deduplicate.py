"""Equal queries in flight are sent once; each caller has its own result, time limit and end."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import threading
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.abc
import pytest
import tenacity
import trio
from anyio.lowlevel import checkpoint
from graphql import build_schema
from trio.testing import MockClock

from anygql import (
    Call,
    Client,
    Deduplicate,
    ExecutionResult,
    FileVar,
    GraphQLRequest,
    HTTPTransport,
    LocalSchemaTransport,
    Operation,
    Refreshing,
    Session,
    SplitTransport,
    TransportClosed,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
    TransportTimeout,
)
from anygql.session.interceptors.deduplicate import _SharedCall
from anygql.session.interceptors.operation import SessionOperation
from anygql.testing import GraphQLServer, Stub, StubCall, demo_schema
from tests.support.virtual import on_virtual_time

AT_ONCE = tenacity.AsyncRetrying(
    wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(3), reraise=True
)
QUERY = "query A { a }"


class Gate:
    """An answer of a stub that comes when it is opened; and the number of calls that wait."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = {"a": [1, {"b": 2}]} if answer is None else answer
        self.calls: list[StubCall] = []
        self.canceled = 0
        self.opened = anyio.Event()

    async def __call__(self, call: StubCall) -> Any:
        self.calls.append(call)
        try:
            await self.opened.wait()
        except BaseException:
            self.canceled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Calls:
    """Concurrent calls, and their outcomes in the order in which they were begun."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self.outcomes: list[Any] = []

    async def begin(self, function: Callable[..., Awaitable[Any]], *args: Any, **kw: Any) -> Any:
        """Begin a call; return the scope that it can be canceled by."""
        index, scope = len(self.outcomes), anyio.CancelScope()
        self.outcomes.append("canceled")

        async def run() -> None:
            with scope:
                try:
                    self.outcomes[index] = await function(*args, **kw)
                except Exception as exc:
                    self.outcomes[index] = exc

        self._tasks.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        return scope


async def begun(calls: Calls, count: int, *args: Any, **kw: Any) -> list[anyio.CancelScope]:
    return [await calls.begin(*args, **kw) for _ in range(count)]


def client_of(stub: Stub, *more: Any, **options: Any) -> Client:
    return Client(stub, interceptors=[*more, Deduplicate()], **options)


# What is shared.


async def test_equal_queries_in_flight_are_sent_once() -> None:
    gate = Gate()
    async with client_of(Stub({"A": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 5, session.execute, QUERY)
            assert len(gate.calls) == 1
            gate.opened.set()
        assert calls.outcomes == [{"a": [1, {"b": 2}]}] * 5
        assert await session.execute(QUERY) == {"a": [1, {"b": 2}]}
    assert len(gate.calls) == 2  # nothing is kept


@pytest.mark.parametrize("way", ["http", "websocket"])
async def test_a_server_gets_one_request(way: str) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        transport: Any = HTTPTransport(server.http_url)
        if way == "websocket":
            transport = server.transport()
        async with Client(transport, interceptors=[Deduplicate()]) as session:
            results: list[Any] = []

            async def ask() -> None:
                results.append(await session.execute("query S { slow(seconds: 0.05) }"))

            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(ask)
            assert len(results) == 20
            assert all(each == results[0] for each in results)
        if way == "http":
            assert len(server.requests) == 1
        else:
            kinds = [message["type"] for message in server.connections[0].received]
            assert kinds == ["connection_init", "subscribe"]


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


EQUAL: list[tuple[Any, Any]] = [
    ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}),
    ({"x": {"y": {"p": 1, "q": None}}}, {"x": {"y": {"q": None, "p": 1}}}),
    ({"x": (1, 2)}, {"x": [1, 2]}),
    ({"x": {1: "a"}}, {"x": {1: "a"}}),
    (None, {}),
    ({"x": Color.RED, "p": Point(1)}, {"p": Point(1), "x": Color.RED}),
    *(
        ({"x": each}, {"x": each})
        for each in (2**70, decimal.Decimal("1.5"), datetime.date(2026, 1, 1), uuid.UUID(int=1))
    ),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ({"x": 1}, {"x": True}),
    ({"x": 1}, {"x": 1.0}),
    ({"x": 0}, {"x": False}),
    ({"x": 0}, {"x": None}),
    ({"x": ""}, {"x": None}),
    ({"x": "1"}, {"x": 1}),
    ({"x": None}, {}),
    ({"x": [1, 2]}, {"x": [2, 1]}),
    ({"x": 0.0}, {"x": -0.0}),
    ({"x": 2**53}, {"x": 2**53 + 1}),
]


async def count_sent(first: dict[str, Any], second: dict[str, Any]) -> int:
    """Return how many requests two concurrent calls make, which have these arguments."""
    gate = Gate()
    async with client_of(Stub({"A": gate, "B": gate, None: gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            for each in (first, second):
                await calls.begin(session.execute, **{"request": QUERY, **each})
            gate.opened.set()
        assert calls.outcomes == [gate.answer, gate.answer]
    return len(gate.calls)


@pytest.mark.parametrize(("first", "second"), EQUAL)
async def test_equal_variables(first: Any, second: Any) -> None:
    both = {"variable_values": first}, {"variable_values": second}
    assert await count_sent(*both) == 1
    both = {"extensions": first}, {"extensions": second}
    assert await count_sent(*both) == 1


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
async def test_different_variables(first: Any, second: Any) -> None:
    both = {"variable_values": first}, {"variable_values": second}
    assert await count_sent(*both) == 2
    both = {"extensions": first}, {"extensions": second}
    assert await count_sent(*both) == 2


async def test_the_rest_of_a_request_must_be_equal_too() -> None:
    two = "query A { a } query B { a }"
    assert await count_sent({"request": two, "operation_name": "A"}, {}) == 2
    assert await count_sent(*({"request": two, "operation_name": each} for each in "AB")) == 2
    assert await count_sent({"request": QUERY}, {"request": GraphQLRequest(QUERY)}) == 1
    assert await count_sent({"operation_name": "A"}, {}) == 1
    headers = [{"transport_args": {"headers": {"X": each}}} for each in "abb"]
    assert await count_sent(headers[0], headers[1]) == 2
    assert await count_sent(headers[0], {}) == 2
    assert await count_sent(headers[1], headers[2]) == 1


async def test_values_without_a_json_form_are_never_shared() -> None:
    itself: list[Any] = []
    itself.append(itself)
    file = FileVar(b"content")
    for variables in ({"f": file}, {"f": [{"g": file}]}):
        assert await count_sent(*[{"variable_values": variables}] * 2) == 2
    for variables in ({"n": float("nan")}, {"n": itself}, {"n": object()}):
        async with client_of(Stub({"A": {"a": 1}})).connect() as session:
            with pytest.raises((TypeError, ValueError)):
                await session.execute(QUERY, variables)


class NumbersAsSuch:
    """JSON with decimals as numbers, which the default encodes as texts."""

    def encode(self, value: Any, /) -> bytes:
        return json.dumps(value, default=float).encode()

    def decode(self, text: bytes, /) -> Any:
        return json.loads(text)


@pytest.mark.parametrize("way", ["http", "ws", "local"])
async def test_values_are_compared_as_the_transport_encodes_them(way: str) -> None:
    document = "query ($n: Float!) { slow(seconds: $n) }"
    async with GraphQLServer(demo_schema()) as server:
        transport = {
            "http": lambda: HTTPTransport(server.http_url, json=NumbersAsSuch()),
            "ws": lambda: server.transport(json=NumbersAsSuch()),
            "local": lambda: LocalSchemaTransport(demo_schema(), json=NumbersAsSuch()),
        }
        await server.listen()
        async with Client(transport[way](), interceptors=[Deduplicate()]) as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                for number in (decimal.Decimal("0.01"), "0.01", decimal.Decimal("0.01")):
                    await calls.begin(session.execute, document, {"n": number})
    first, text, again = calls.outcomes
    assert first == again == {"slow": "slept 0.01 s"}
    assert isinstance(text, TransportQueryError)


async def test_mutations_are_never_shared() -> None:
    gate = Gate()
    async with client_of(Stub({"M": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 2, session.execute, "mutation M { a }")
            gate.opened.set()
    assert len(gate.calls) == 2


async def test_subscriptions_are_never_shared() -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), interceptors=[Deduplicate()]) as session:
            document = "subscription { countdown(from: 1000, interval: 60) }"
            async with session.subscribe(document) as one, session.subscribe(document) as other:
                assert await one.receive() == await other.receive()
            kinds = [message["type"] for message in server.connections[0].received]
    assert kinds.count("subscribe") == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_a_query_after_a_mutation_sees_what_that_has_done(fails: bool) -> None:
    gate = Gate()
    outcome = TransportConnectionFailed("lost") if fails else {"m": 1}
    async with client_of(Stub({"A": gate, "M": outcome})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 2, session.execute, QUERY)
            await calls.begin(session.execute, "mutation M { m }")
            await begun(calls, 2, session.execute, QUERY)
            assert len(gate.calls) == 2
            gate.opened.set()
        assert calls.outcomes[:2] == calls.outcomes[3:] == [gate.answer] * 2
        assert isinstance(calls.outcomes[2], TransportConnectionFailed) == fails


async def test_sessions_of_a_client_share_nothing() -> None:
    gate = Gate()
    client = client_of(Stub({"A": gate}))
    async with client.connect() as one, client.connect() as other:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            for session in (one, other):
                await begun(calls, 2, session.execute, QUERY)
            assert len(gate.calls) == 2
            gate.opened.set()


def test_threads_with_a_loop_each_share_nothing() -> None:
    gates: list[Gate] = []
    client = client_of(Stub({"A": lambda call: local.gate(call)}))
    local: Any = threading.local()
    barrier = threading.Barrier(2)

    async def main() -> None:
        local.gate = Gate()
        gates.append(local.gate)
        async with client as session, anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 2, session.execute, QUERY)
            await anyio.to_thread.run_sync(barrier.wait)
            local.gate.opened.set()

    threads = [threading.Thread(target=anyio.run, args=(main,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(gate.calls) for gate in gates] == [1, 1]


async def test_another_loop_is_refused() -> None:
    async with client_of(Stub({"A": {"a": 1}})).connect() as session:

        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                anyio.run(session.execute, QUERY)

        await anyio.to_thread.run_sync(elsewhere)


# Results.


async def test_each_caller_has_data_of_its_own() -> None:
    extensions = {"trace": [{"n": 1}]}
    errors = [{"message": "part", "path": ["a"]}]
    data = {"a": [{"b": [1]}, 2]}
    gate = Gate()
    gate.answer = ExecutionResult(data, errors, extensions)
    async with client_of(Stub({"A": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)

            async def change() -> ExecutionResult:
                result = await session.execute_result(QUERY)
                assert (result.data, result.extensions) == (data, extensions)
                assert (result.errors or [])[0]["message"] == "part"
                result.data["a"][0]["b"].append(2)
                (result.errors or [])[0].clear()
                result.extensions["trace"][0]["n"] = 2
                return result

            await begun(calls, 3, change)
            gate.opened.set()
    assert len(gate.calls) == 1
    assert len({id(each) for each in calls.outcomes}) == 3


@dataclass
class Slow:
    slow: str


@pytest.mark.parametrize("way", ["http", "websocket", "local"])
async def test_callers_may_want_other_types(way: str) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        transport: Any = {
            "http": lambda: HTTPTransport(server.http_url),
            "websocket": lambda: server.transport(),
            "local": lambda: LocalSchemaTransport(demo_schema()),
        }[way]()
        sent = 0

        async def count(operation: Operation, call: Call) -> ExecutionResult:
            nonlocal sent
            sent += 1
            return await call(operation)

        client = Client(transport, interceptors=[Deduplicate(), count])
        query = "query S { slow(seconds: 0.05) }"
        async with client as session:
            for kinds in ("plain typed result path", "typed plain path result"):
                calls: dict[str, Any] = {}

                async def ask(kind: str, session: Session, calls: dict[str, Any]) -> None:
                    calls[kind] = await {
                        "plain": lambda: session.execute(query),
                        "typed": lambda: session.execute(query, result_type=Slow),
                        "result": lambda: session.execute_result(query),
                        "path": lambda: session.execute(query, path="slow", result_type=str),
                    }[kind]()

                async with anyio.create_task_group() as tasks:
                    for kind in kinds.split():
                        tasks.start_soon(ask, kind, session, calls)
                value = calls["path"]
                assert calls["plain"] == {"slow": value}
                assert calls["result"].data == {"slow": value}
                assert calls["result"].raw_data.__class__ is dict
                if way == "http":
                    assert calls["result"].headers["content-type"]
    assert sent == 2


async def test_parsing_reaches_nobody_else() -> None:
    schema = build_schema("type Query { at: [Date!]! } scalar Date")
    schema.type_map["Date"].parse_value = datetime.date.fromisoformat  # type: ignore[union-attr]
    gate = Gate({"at": ["2026-01-02"]})
    client = client_of(Stub({"A": gate}), schema=schema)
    async with client as session, anyio.create_task_group() as tasks:
        calls = Calls(tasks)
        for parse in (True, False, True):
            await calls.begin(session.execute, "query A { at }", parse_results=parse)
        gate.opened.set()
    parsed = {"at": [datetime.date(2026, 1, 2)]}
    assert calls.outcomes == [parsed, {"at": ["2026-01-02"]}, parsed]
    assert len(gate.calls) == 1


async def test_a_number_out_of_range_is_each_callers_error() -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()

        async def big(_operation: Operation, _call: Call) -> ExecutionResult:
            await checkpoint()
            from anygql.results.result import read_undecoded

            result = read_undecoded(b'{"data": {"a": 1e999}}')
            assert result is not None
            return result

        client = Client(HTTPTransport(server.http_url), interceptors=[Deduplicate(), big])
        async with client as session, anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 2, session.execute, "query A { hello }")
        assert [type(each) for each in calls.outcomes] == [TransportProtocolError] * 2
        assert server.http_url in str(calls.outcomes[0])


# Errors.


async def test_an_error_of_the_answer_is_everyones() -> None:
    gate = Gate(TransportQueryError("no", errors=[{"message": "no"}]))
    async with client_of(Stub({"A": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 3, session.execute, QUERY)
            gate.opened.set()
    assert [type(each) for each in calls.outcomes] == [TransportQueryError] * 3
    assert len({id(each) for each in calls.outcomes}) == 3


async def test_a_transport_error_is_shared_by_copies() -> None:
    gate = Gate(TransportConnectionFailed("lost"))
    async with client_of(Stub({"A": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 3, session.execute, QUERY)
            gate.opened.set()
    assert [str(each) for each in calls.outcomes] == ["lost"] * 3
    assert len({id(each) for each in calls.outcomes}) == 3
    assert [each.unsent for each in calls.outcomes] == [False] * 3
    assert len(gate.calls) == 1


async def test_what_an_interceptor_raises_comes_out_with_its_traceback() -> None:
    mine = KeyError("mine")

    async def fail(_operation: Operation, _call: Call) -> ExecutionResult:
        await checkpoint()
        raise mine

    client = Client(Stub({"A": {"a": 1}}), interceptors=[Deduplicate(), fail])
    async with client as session:
        with pytest.raises(KeyError) as caught:
            await session.execute(QUERY)
        assert caught.value is mine
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            for _ in range(2):
                tasks.start_soon(calls.begin, session.execute, QUERY)
        for error in calls.outcomes:
            assert isinstance(error, KeyError)
            frames = []
            traceback = error.__traceback__
            while traceback is not None:
                frames.append(traceback.tb_frame.f_code.co_name)
                traceback = traceback.tb_next
            assert frames[-1] == "fail"


async def test_what_ends_a_program_is_the_callers_too() -> None:
    class Stop(BaseException):
        pass

    async def stop(_operation: Operation, _call: Call) -> ExecutionResult:
        await checkpoint()
        raise Stop

    stopped: list[Stop] = []
    async with Client(Stub({}), interceptors=[Deduplicate(), stop]) as session:

        async def run() -> None:
            with pytest.raises(Stop) as caught:
                await session.execute(QUERY)
            stopped.append(caught.value)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(run)
        assert session.state == "connected"
    assert len({id(each) for each in stopped}) == 2


# Cancellation and time limits.


@pytest.mark.parametrize("gone", [[0], [1], [0, 1], [2, 0], [0, 1, 2]])
async def test_the_callers_that_stay_get_the_answer(gone: list[int]) -> None:
    gate = Gate()
    async with client_of(Stub({"A": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            scopes = await begun(calls, 4, session.execute, QUERY)
            for index in gone:
                scopes[index].cancel()
                await anyio.wait_all_tasks_blocked()
            assert gate.canceled == 0
            await calls.begin(session.execute, QUERY)
            gate.opened.set()
        expected: list[Any] = [gate.answer] * 5
        for index in gone:
            expected[index] = "canceled"
        assert calls.outcomes == expected
    assert len(gate.calls) == 1


async def test_when_all_have_gone_the_server_is_told_once() -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with Client(server.transport(), interceptors=[Deduplicate()]) as session:
            connection = server.connections[0]
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                scopes = await begun(calls, 3, session.execute, "{ slow(seconds: 60) }")
                await connection.wait_operations(1)
                for scope in scopes:
                    scope.cancel()
            assert calls.outcomes == ["canceled"] * 3
            await connection.wait_received("complete")
            await connection.wait_operations(0)
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
        kinds = [message["type"] for message in connection.received]
    assert kinds == ["connection_init", "subscribe", "complete", "subscribe"]


async def test_the_last_caller_waits_for_the_end_and_a_new_one_is_sent_anew() -> None:
    steps: list[str] = []
    finish = anyio.Event()

    async def slow_to_end(operation: Operation, call: Call) -> ExecutionResult:
        try:
            return await call(operation)
        finally:
            with anyio.CancelScope(shield=True):
                await finish.wait()
            steps.append("ended")

    gate = Gate()
    client = Client(Stub({"A": gate}), interceptors=[Deduplicate(), slow_to_end])
    async with client as session, anyio.create_task_group() as tasks:
        calls = Calls(tasks)

        async def ask() -> None:
            try:
                await session.execute(QUERY)
            finally:
                steps.append("left")

        scope = await calls.begin(ask)
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert steps == []
        await calls.begin(session.execute, QUERY)
        assert len(gate.calls) == 2
        finish.set()
        await anyio.wait_all_tasks_blocked()
        assert steps == ["ended", "left"]
        gate.opened.set()
    assert calls.outcomes[1] == gate.answer


async def test_a_caller_that_is_canceled_before_it_begins_leaves_nothing() -> None:
    gate = Gate()
    async with client_of(Stub({"A": gate})).connect() as session:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.execute(QUERY)
        assert scope.cancelled_caught
        assert gate.canceled == len(gate.calls)
        gate.opened.set()
        assert await session.execute(QUERY) == gate.answer


async def test_a_call_that_all_have_left_before_its_task_runs_sends_nothing() -> None:
    # Under trio, which of two tasks runs first is by chance.
    forgotten: list[object] = []

    async def leave(operation: Operation, call: Call) -> ExecutionResult:
        assert isinstance(operation, SessionOperation)
        shared = _SharedCall(operation, call, operation.origin, forgotten.append)
        shared._scope.cancel()
        await shared.run()
        return ExecutionResult({"forgotten": len(forgotten)})

    stub = Stub({"A": {"a": 1}})
    async with Client(stub, interceptors=[leave]) as session:
        assert await session.execute(QUERY) == {"forgotten": 1}
    assert stub.calls == []


def on_mock_clock(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_each_caller_has_its_own_time_limit() -> None:
    async def main() -> None:
        gate = Gate()
        async with client_of(Stub({"A": gate})).connect() as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                await calls.begin(session.execute, QUERY, timeout=1)
                await calls.begin(session.execute, QUERY)
                await calls.begin(session.execute, QUERY, timeout=2)
                await calls.begin(session.execute, QUERY, timeout=None)
                await anyio.sleep(3)
                for index in (0, 2):
                    error = calls.outcomes[index]
                    assert isinstance(error, TransportTimeout)
                    assert "no answer for the query 'A'" in str(error)
                    assert not error.unsent
                assert calls.outcomes[1] == calls.outcomes[3] == "canceled"
                gate.opened.set()
            assert calls.outcomes[1] == calls.outcomes[3] == gate.answer
        assert len(gate.calls) == 1

    on_mock_clock(main)


def test_a_caller_with_a_timeout_is_not_bound_by_the_limit_of_anothers_attempt() -> None:
    async def main() -> None:
        gate = Gate()
        async with client_of(Stub({"A": gate})).connect() as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                await begun(calls, 2, session.execute, QUERY)
                await calls.begin(session.execute, QUERY, timeout=30)
                await anyio.sleep(11)
                assert [type(each) for each in calls.outcomes[:2]] == [TransportTimeout] * 2
                assert "execute_timeout" in str(calls.outcomes[0])
                gate.opened.set()
            assert calls.outcomes[2] == gate.answer
        assert len(gate.calls) == 2

    on_mock_clock(main)


def test_a_caller_without_a_timeout_is_bound_by_its_own_limit() -> None:
    async def main() -> None:
        gate = Gate()
        async with client_of(Stub({"A": gate})).connect() as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                await calls.begin(session.execute, QUERY, timeout=60)
                await calls.begin(session.execute, QUERY)
                await anyio.sleep(9)
                assert len(gate.calls) == 1
                await anyio.sleep(12)  # it has sent the query itself
                assert "execute_timeout" in str(calls.outcomes[1])
                gate.opened.set()
            assert calls.outcomes[0] == gate.answer
        assert len(gate.calls) == 2

    on_mock_clock(main)


def test_a_timeout_of_the_shared_call_itself_is_everyones() -> None:
    async def main() -> None:
        gate = Gate(TimeoutError("slow"))
        async with client_of(Stub({"A": gate})).connect() as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                await begun(calls, 2, session.execute, QUERY, timeout=60)
                gate.opened.set()
        assert [type(each) for each in calls.outcomes] == [TransportTimeout] * 2
        assert len(gate.calls) == 1

    on_mock_clock(main)


# Together with other things.


async def test_its_context_is_the_first_callers() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")
    seen: list[str] = []

    async def note(operation: Operation, call: Call) -> ExecutionResult:
        seen.append(user.get())
        operation.context["by"] = user.get()
        return await call(operation)

    contexts: list[dict[Any, Any]] = []

    async def keep(operation: Operation, call: Call) -> ExecutionResult:
        contexts.append(operation.context)
        return await call(operation)

    gate = Gate()
    client = Client(Stub({"A": gate}), interceptors=[keep, Deduplicate(), note])
    async with client as session, anyio.create_task_group() as tasks:
        calls = Calls(tasks)
        for name in ("ada", "bob"):
            user.set(name)
            await calls.begin(session.execute, QUERY)
        gate.opened.set()
    assert seen == ["ada"]
    assert contexts == [{"by": "ada"}, {}]


async def test_interceptors_before_it_run_for_each_caller() -> None:
    user: ContextVar[str] = ContextVar("user")

    async def authorize(operation: Operation, call: Call) -> ExecutionResult:
        return await call(operation.replace(transport_args={"headers": {"X-User": user.get()}}))

    gate = Gate()
    async with client_of(Stub({"A": gate}), authorize).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            for name in ("ada", "bob", "ada"):
                user.set(name)
                await calls.begin(session.execute, QUERY)
            gate.opened.set()
    sent = [(call.transport_args or {})["headers"]["X-User"] for call in gate.calls]
    assert sent == ["ada", "bob"]


async def test_retries_are_those_of_the_shared_call() -> None:
    attempts = 0
    gate = Gate()

    async def answer(call: StubCall) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await checkpoint()
            raise TransportConnectionFailed("lost")
        return await gate(call)

    client = client_of(Stub({"A": answer}))
    async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 3, session.execute, QUERY)
            gate.opened.set()
        assert calls.outcomes == [gate.answer] * 3
    assert attempts == 3


@on_virtual_time
async def test_it_survives_a_lost_connection(soon: None) -> None:
    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), interceptors=[Deduplicate()])
        async with client.connect(reconnecting=True, retry_execute=AT_ONCE) as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                query = "{ slow(seconds: 0.05) }"
                scopes = [await calls.begin(session.execute, query) for _ in range(3)]
                scopes[0].cancel()
                server.drop_connections()
            assert calls.outcomes[0] == "canceled"
            assert calls.outcomes[1] == calls.outcomes[2] != "canceled"


async def test_in_batches() -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        queries = ["query A { hello }", "query B { add(a: 1, b: 2) }", "query A { hello }"]
        answers = [{"hello": "Hello world!"}, {"add": 3}, {"hello": "Hello world!"}]
        client = Client(HTTPTransport(server.http_url), interceptors=[Deduplicate()])
        async with client as session:
            assert await session.execute_batch(queries) == answers
            (request,) = server.requests
            assert {each["query"] for each in json.loads(request.body)} == set(queries)
            assert len(json.loads(request.body)) == 2
        server.requests.clear()
        client = Client(
            HTTPTransport(server.http_url), batch_interval=0.02, interceptors=[Deduplicate()]
        )
        async with client as session:
            results: dict[int, Any] = {}

            async def ask(index: int) -> None:
                results[index] = await session.execute(queries[index])

            async with anyio.create_task_group() as tasks:
                for index in range(3):
                    tasks.start_soon(ask, index)
        assert [results[index] for index in range(3)] == answers
        (request,) = server.requests
        assert len(json.loads(request.body)) == 2


async def test_a_batch_whose_caller_leaves() -> None:
    gate = Gate()
    async with client_of(Stub({"A": gate, "B": gate})).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            scope = await calls.begin(session.execute_batch, [QUERY, "query B { a }"])
            await calls.begin(session.execute, QUERY)
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
            assert gate.canceled == 1
            gate.opened.set()
        assert calls.outcomes == ["canceled", gate.answer]
    assert len(gate.calls) == 2


async def test_with_two_transports() -> None:
    gate = Gate()
    transport = SplitTransport(Stub({"A": gate}), subscriptions=Stub({"S": [{"s": 1}]}))
    async with Client(transport, interceptors=[Deduplicate()]) as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 2, session.execute, QUERY)
            gate.opened.set()
        assert calls.outcomes == [gate.answer] * 2
        async with session.subscribe("subscription S { s }") as events:
            assert [event async for event in events] == [{"s": 1}]
    assert len(gate.calls) == 1


async def test_closing_the_session_ends_the_callers() -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        calls = Calls(tasks)
        async with client_of(Stub({"A": gate})).connect() as session:
            await begun(calls, 2, session.execute, QUERY)
    assert [type(each) for each in calls.outcomes] == [TransportClosed] * 2
    assert calls.outcomes[0] is not calls.outcomes[1]
    with pytest.raises(TransportClosed):
        await session.execute(QUERY)
    assert len(gate.calls) == 1


async def test_a_scope_around_the_session_cancels_its_callers() -> None:
    gate = Gate()
    with anyio.CancelScope() as scope:
        async with client_of(Stub({"A": gate})).connect() as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                await begun(calls, 2, session.execute, QUERY)
                scope.cancel()
    assert calls.outcomes == ["canceled"] * 2
    assert gate.canceled == 1


async def test_a_connection_that_is_lost_for_good_is_everyones_error() -> None:
    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(), interceptors=[Deduplicate()])
        async with client as session:
            async with anyio.create_task_group() as tasks:
                calls = Calls(tasks)
                await begun(calls, 2, session.execute, "{ slow(seconds: 60) }")
                server.drop_connections()
            kind = type(calls.outcomes[0])
            assert issubclass(kind, TransportConnectionFailed | TransportClosed)
            assert [type(each) for each in calls.outcomes] == [kind] * 2
            with pytest.raises(kind):
                await session.execute("{ hello }")


async def test_the_call_that_it_is_part_of_is_not_waited_for() -> None:
    asked = False

    async def ask_again(operation: Operation, call: Call) -> ExecutionResult:
        nonlocal asked
        if not asked:
            asked = True
            assert await session.execute(QUERY) == {"a": 1}
        return await call(operation)

    stub = Stub({"A": {"a": 1}})
    both = Deduplicate()
    async with Client(stub, interceptors=[both, both, Deduplicate(), ask_again]) as session:
        assert await session.execute(QUERY) == {"a": 1}
    assert len(stub.calls) == 2


async def test_what_refreshes_credentials_does_not_wait_for_those_who_wait_for_it() -> None:
    gate = Gate()

    async def refresh(_last: object, session: Session) -> str:
        await gate.opened.wait()
        await session.execute(QUERY)
        return "token"

    stub = Stub({"A": {"a": 1}, "B": {"b": 1}})
    client = client_of(stub, auth=Refreshing(refresh=refresh))
    async with client as session, anyio.create_task_group() as tasks:
        calls = Calls(tasks)
        await calls.begin(session.execute, "query B { b }")
        await begun(calls, 2, session.execute, QUERY)
        assert not stub.calls
        gate.opened.set()
    assert calls.outcomes == [{"b": 1}, {"a": 1}, {"a": 1}]
    assert sorted(str(call.name) for call in stub.calls) == ["A", "A", "B"]


async def test_it_may_be_called_by_an_interceptor() -> None:
    deduplicate = Deduplicate()

    async def some(operation: Operation, call: Call) -> ExecutionResult:
        if operation.name == "B":
            return await call(operation)
        return await deduplicate(operation, call)

    gate = Gate()
    client = Client(Stub({"A": gate, "B": gate}), interceptors=[some])
    async with client as session, anyio.create_task_group() as tasks:
        calls = Calls(tasks)
        for query in (QUERY, "query B { a }") * 2:
            await calls.begin(session.execute, query)
        gate.opened.set()
    assert sorted(str(call.name) for call in gate.calls) == ["A", "B", "B"]


async def test_an_operation_that_a_user_has_made_is_sent_as_it_is() -> None:
    async def remake(operation: Operation, call: Call) -> ExecutionResult:
        return await call(Operation(request=operation.request))

    gate = Gate()
    async with client_of(Stub({"A": gate}), remake).connect() as session:
        async with anyio.create_task_group() as tasks:
            calls = Calls(tasks)
            await begun(calls, 2, session.execute, QUERY)
            gate.opened.set()
    assert len(gate.calls) == 2


async def test_around_attempts_it_is_refused() -> None:
    client = Client(Stub({"A": {"a": 1}}), attempt_interceptors=[Deduplicate()])
    async with client as session:
        with pytest.raises(TypeError, match=r"put it into interceptors=\[…\]"):
            await session.execute(QUERY)
    assert repr(Deduplicate()) == "Deduplicate()"


async def test_nothing_is_left() -> None:
    deduplicate = Deduplicate()
    async with Client(Stub({"A": {"a": 1}}), interceptors=[deduplicate]) as session:
        await session.execute(QUERY)
        (calls,) = deduplicate._sessions.values()
        assert calls._running == {}


async def test_a_shared_call_whose_task_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C may have it under trio: the session ends, and the caller doesn't wait for it."""

    async def taken(self: _SharedCall) -> None:
        raise Taken

    class Taken(BaseException):
        pass

    monkeypatch.setattr(_SharedCall, "run", taken)
    with pytest.raises(Taken):
        async with Client(Stub({"A": {"a": 1}}), interceptors=[Deduplicate()]) as session:
            await session.execute(QUERY)
