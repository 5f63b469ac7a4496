"""The transport that answers operations by their names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus
from graphql import GraphQLError, build_schema, introspection_from_schema

from anygql import (
    Client,
    ExecutionResult,
    FileVar,
    GraphQLValidationError,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    blocking,
)
from anygql.testing import Stub, StubCall

HELLO = "query Hello($name: String) { hello(name: $name) }"
COUNTDOWN = "subscription Countdown { n }"


async def result_of(answer: Any, document: str = "query Q { a }") -> ExecutionResult:
    async with Client(Stub({"Q": answer})) as session:
        return await session.execute_result(document)


async def error_of(answer: Any) -> BaseException:
    with pytest.raises(Exception) as caught:
        await result_of(answer)
    return caught.value


async def test_calls_are_recorded() -> None:
    stub = Stub({"Hello": {"hello": "hi"}, "Countdown": [{"n": 1}, {"n": 0}]})
    async with Client(stub) as session:
        file = FileVar(b"1")
        assert await session.execute(HELLO, {"name": "ada"}) == {"hello": "hi"}
        async with session.subscribe(COUNTDOWN) as events:
            assert [data async for data in events] == [{"n": 1}, {"n": 0}]
        await session.execute(
            "query Hello($file: Upload, $at: DateTime) { a(file: $file, at: $at) }",
            {"file": file, "at": datetime(2026, 1, 1, tzinfo=UTC)},
            transport_args={"headers": {"x": "y"}},
        )
    assert stub.calls == [
        StubCall("Hello", {"name": "ada"}),
        StubCall("Countdown", kind="subscription"),
        StubCall("Hello", {"file": file, "at": "2026-01-01T00:00:00Z"}),
    ]
    assert stub.calls[2].transport_args == {"headers": {"x": "y"}}
    assert stub.calls[2].request is not None
    assert repr(stub) == "<Stub the stub: 2 answers, 3 calls>"


async def test_answers_look_as_over_the_wire() -> None:
    @dataclass
    class Data:
        at: datetime

    answer = {"a": (1, 2)}
    result = await result_of(answer)
    assert result == ExecutionResult({"a": [1, 2]})
    result.data["a"].append(3)
    assert answer == {"a": (1, 2)}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert await result_of(Data(at)) == ExecutionResult({"at": "2026-01-01T00:00:00Z"})


async def test_errors() -> None:
    errors = [{"message": "no"}]
    assert await result_of(GraphQLError("no")) == ExecutionResult(None, errors)
    assert await result_of(TransportQueryError("no")) == ExecutionResult(None, errors)
    whole = ExecutionResult({"a": None}, errors, {"cost": 1})
    assert await result_of(whole) == whole
    failed = TransportQueryError("x", errors=errors, data={"a": None}, extensions={"cost": 1})
    assert await result_of(failed) == whole


async def test_errors_of_the_transport() -> None:
    error = await error_of(TransportServerError("busy", code=503))
    assert isinstance(error, TransportServerError)
    assert error.code == 503
    error = await error_of(ConnectionResetError("gone"))
    assert isinstance(error, TransportConnectionFailed)
    assert str(error) == "the stub: gone"
    assert isinstance(error.__cause__, ConnectionResetError)
    assert isinstance(await error_of(TimeoutError), TransportTimeout)
    assert isinstance(await error_of(ZeroDivisionError("mine")), ZeroDivisionError)


@pytest.mark.parametrize("answer", [None, "text", [[]], lambda _: 5, 7])
async def test_what_is_no_answer(answer: Any) -> None:
    error = await error_of(answer)
    assert isinstance(error, TypeError)
    assert "an answer is data (a mapping of response keys)" in str(error)


async def test_functions() -> None:
    async def later(call: StubCall) -> dict[str, Any]:
        await anyio.sleep(0)
        return {"name": call.variables["name"]}

    def refuse(call: StubCall) -> Any:
        raise GraphQLError(f"no {call.kind}")

    stub = Stub({"Hello": later, "Refused": refuse})
    async with Client(stub) as session:
        assert await session.execute(HELLO, {"name": "ada"}) == {"name": "ada"}
        with pytest.raises(TransportQueryError, match="no mutation"):
            await session.execute("mutation Refused { a }")
        stub.answers["Hello"] = lambda call: {"other": call.name}
        assert await session.execute(HELLO) == {"other": "Hello"}


async def test_answers_in_turn() -> None:
    stub = Stub({"Q": [{"a": 1}, TransportConnectionFailed("lost"), {"a": 2}]})
    async with Client(stub) as session:
        assert await session.execute("query Q { a }") == {"a": 1}
        with pytest.raises(TransportConnectionFailed, match="lost"):
            await session.execute("query Q { a }")
        assert await session.execute("query Q { a }") == {"a": 2}
        with pytest.raises(AssertionError, match="has 3 answers for the query 'Q', and this is ca"):
            await session.execute("query Q { a }")


async def test_the_nearest_name() -> None:
    stub = Stub({"Hello": {}, "Goodbye": {}})
    async with Client(stub) as session:
        with pytest.raises(AssertionError) as caught:
            await session.execute("query Helo { a }")
        assert str(caught.value) == (
            "the stub has no answer for the query 'Helo': the nearest name is 'Hello' "
            "(others: 'Goodbye')"
        )
        with pytest.raises(AssertionError, match="no answer for a subscription without a name"):
            async with session.subscribe("subscription { a }"):
                pass
    assert [call.name for call in stub.calls] == ["Helo", None]
    async with Client(Stub({None: {"a": 1}})) as session:
        assert await session.execute("{ a }") == {"a": 1}


async def test_streams() -> None:
    closed = []

    async def count(call: StubCall) -> AsyncIterator[Any]:
        try:
            yield {"n": 1}
            yield GraphQLError("not this one")
            yield {"n": 3}
        finally:
            closed.append(call.name)

    stub = Stub({"Countdown": count})
    async with Client(stub) as session:
        async with session.subscribe_results(COUNTDOWN) as results:
            assert [result.data async for result in results] == [{"n": 1}, None, {"n": 3}]
        assert closed == ["Countdown"]
        async with session.subscribe(COUNTDOWN) as events:
            assert await anext(events) == {"n": 1}
    assert closed == ["Countdown"] * 2


async def test_a_stream_that_never_ends_is_canceled() -> None:
    canceled = anyio.Event()

    async def wait(_call: StubCall) -> AsyncIterator[Any]:
        yield {"n": 1}
        try:
            await anyio.sleep_forever()
        finally:
            canceled.set()

    async with Client(Stub({"Countdown": wait})) as session:
        async with session.subscribe(COUNTDOWN) as events:
            assert await anext(events) == {"n": 1}
        await canceled.wait()


async def test_refused_and_failed_streams() -> None:
    async def fail(_call: StubCall) -> AsyncIterator[Any]:
        yield {"n": 1}
        raise stub.answers["error"]

    stub = Stub({"Countdown": TransportQueryError("refused"), "F": fail, "M": {"n": 1}})
    async with Client(stub) as session:
        async with session.subscribe(COUNTDOWN) as events:
            with pytest.raises(TransportQueryError, match="refused"):
                await anext(events)
        for error, expected in (
            (GraphQLError("over"), TransportQueryError),
            (TransportServerError("busy", code=503), TransportServerError),
            (ConnectionResetError("gone"), TransportConnectionFailed),
            (ZeroDivisionError("mine"), TransportConnectionFailed),
        ):
            stub.answers["error"] = error
            async with session.subscribe("subscription F { n }") as events:
                assert await anext(events) == {"n": 1}
                with pytest.raises(expected) as caught:
                    await anext(events)
            if expected is TransportConnectionFailed:
                assert caught.value.__cause__ is error
                assert str(error) in str(caught.value)
        async with session.subscribe("subscription M { n }") as events:
            with pytest.raises(TransportConnectionFailed) as caught:
                await anext(events)
            assert "a list or an async iterator of events" in str(caught.value.__cause__)


async def test_a_result_in_parts() -> None:
    async def states(_call: StubCall) -> AsyncIterator[Any]:
        yield {"a": 1}
        yield {"a": 1, "b": 2}

    async def nothing(_call: StubCall) -> AsyncIterator[Any]:
        return
        yield

    async with Client(Stub({"Q": states, "N": nothing, "V": {"a": 1}})) as session:
        async with session.execute_incremental("query Q { a b }") as results:
            assert [data async for data in results] == [{"a": 1}, {"a": 1, "b": 2}]
        async with session.execute_incremental("query V { a }") as results:
            assert [data async for data in results] == [{"a": 1}]
        assert await session.execute("query Q { a b }") == {"a": 1, "b": 2}
        with pytest.raises(AssertionError, match="the query 'N' is an iterator without a result"):
            await session.execute("query N { a }")


async def test_canceled_answers(anyio_backend: Any, call_limits: list[anyio.CancelScope]) -> None:
    canceled: list[bool] = []

    async def wait(_call: StubCall) -> Any:
        (call_limits[-1] if canceled else scope).cancel()
        try:
            await anyio.sleep_forever()
        finally:
            canceled.append(True)

    async with Client(Stub({"Q": wait, "R": {"a": 1}})) as session:
        with anyio.CancelScope() as scope:
            await session.execute("query Q { a }")
        assert canceled == [True]
        with pytest.raises(TransportTimeout):
            await session.execute("query Q { a }", timeout=0.01)
        assert canceled == [True, True]
        assert await session.execute("query R { a }") == {"a": 1}


async def test_typed_validated_and_batched() -> None:
    @dataclass
    class Person:
        name: str

    stub = Stub({"Me": {"me": {"name": "ada"}}})
    schema = "type Query { me: Person } type Person { name: String }"
    async with Client(stub, schema=schema, batch_interval=0.01) as session:
        document = "query Me { me { name } }"
        assert await session.execute(document, result_type=Person, path="me") == Person("ada")
        assert await session.execute_batch([document, document]) == [{"me": {"name": "ada"}}] * 2
        with pytest.raises(GraphQLValidationError):
            await session.execute("query Me { you }")
    assert len(stub.calls) == 3


async def test_an_outage(soon: None) -> None:
    stub = Stub({"Q": {"a": 1}, "Countdown": _forever})
    told: list[str] = []
    client = Client(stub, on_event=lambda event: told.append(str(getattr(event, "error", ""))))
    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(COUNTDOWN) as events:
            assert await anext(events) == {"n": 1}
            stub.drop_connections()
            assert await anext(events) == {"n": 1}
            assert events.reconnects == 1
        stub.refuse_with = TransportConnectionFailed("away")
        stub.drop_connections("gone")
        while "away" not in told:
            await anyio.sleep(0.001)
        with pytest.raises(TransportTimeout) as caught:
            await session.execute("query Q { a }", timeout=0.05)
        assert str(caught.value.__cause__) == "away"
        stub.refuse_with = ConnectionRefusedError("busy")
        with pytest.raises(TransportConnectionFailed, match="the stub: busy") as refused:
            async with Client(stub):
                pass
        assert refused.value.__cause__ is stub.refuse_with
        stub.refuse_with = None
        assert await session.execute("query Q { a }") == {"a": 1}
    with pytest.raises(TransportError, match="the stub: gone"):
        async with Client(stub) as plain:
            stub.drop_connections("gone")
            await plain.execute("query Q { a }")


async def _forever(_call: StubCall) -> AsyncIterator[Any]:
    yield {"n": 1}
    await anyio.sleep_forever()


async def test_a_lazy_session(soon: None) -> None:
    failed = TransportConnectionFailed("lost")
    stub = Stub({"Q": [failed, {"a": 1}]})
    async with Client(stub).connect(reconnecting=True, lazy=True) as session:
        assert await session.execute("query Q { a }") == {"a": 1}
    assert len(stub.calls) == 2


async def test_the_session_ends_what_runs() -> None:
    closed = []

    async def wait(call: StubCall) -> Any:
        try:
            await anyio.sleep_forever()
        finally:
            closed.append(call.name)

    async def ask(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        with pytest.raises(TransportError):
            await session.execute("query Q { a }")

    async with anyio.create_task_group() as tasks:
        async with Client(Stub({"Q": wait})) as session:
            await tasks.start(ask)
            await anyio.wait_all_tasks_blocked()
    assert closed == ["Q"]


def test_without_await() -> None:
    stub = Stub({"Q": {"a": 1}, "Countdown": [{"n": 1}]})
    with blocking.Client(stub) as session:
        assert session.execute("query Q { a }") == {"a": 1}
        with session.subscribe(COUNTDOWN) as events:
            assert list(events) == [{"n": 1}]


def test_what_is_no_stub() -> None:
    with pytest.raises(TypeError, match="answers must be a mapping of operations' names"):
        Stub([])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="close_timeout"):
        Stub({}, close_timeout=0)


async def test_a_fetched_schema() -> None:
    schema = build_schema("type Query { a: Int }")
    stub = Stub({"IntrospectionQuery": introspection_from_schema(schema), None: {"a": 1}})
    async with Client(stub, fetch_schema=True) as session:
        with pytest.raises(GraphQLValidationError):
            await session.execute("{ b }")
        assert await session.execute("{ a }") == {"a": 1}


async def test_a_stray_cancellation(anyio_backend: Any) -> None:
    if anyio_backend == "trio":
        return  # nobody else can cancel a task there

    async def canceled(_call: StubCall) -> Any:
        task = asyncio.ensure_future(anyio.sleep_forever())
        task.cancel()
        await task

    async with Client(Stub({"Q": canceled})) as session:
        with pytest.raises(TransportError, match="came out of the function that answers"):
            await session.execute("query Q { a }")


async def test_other_streams() -> None:
    """A tuple, a generator, and an iterator that can't be closed."""

    class Numbers:
        n = 0

        def __aiter__(self) -> AsyncIterator[Any]:
            return self  # type: ignore[return-value]

        async def __anext__(self) -> Any:
            self.n += 1
            if self.n > 2:
                raise StopAsyncIteration
            return {"n": self.n}

    answers: list[Any] = [
        ({"n": 1}, {"n": 2}),
        lambda _: ({"n": n} for n in (1, 2)),
        lambda _: Numbers(),
    ]
    for answer in answers:
        async with Client(Stub({"Countdown": answer})) as session:
            async with session.subscribe(COUNTDOWN) as events:
                assert [data async for data in events] == [{"n": 1}, {"n": 2}]
            async with session.subscribe(COUNTDOWN, buffer_size=1) as events:
                assert await anext(events) == {"n": 1}
