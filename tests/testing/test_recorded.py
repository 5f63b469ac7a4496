"""Replays: the same as was recorded, at the same times, and nothing else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from anygql import (
    Client,
    Session,
    TransportClosed,
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    blocking,
    gql,
)
from anygql.delivery.buffering import Delivery
from anygql.testing import GraphQLServer, Recorded, Recorder, Stub, demo_schema

HELLO = "query Hello($name: String) { hello(name: $name) }"
COUNTDOWN = "subscription { countdown(from: 2, interval: 60) }"

virtual = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["trio-clock"]
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassette.json"


async def record(path: Path, answers: dict[Any, Any], *documents: Any) -> None:
    async with Client(Recorder(Stub(answers), path), execute_timeout=None) as session:
        for document in documents:
            await session.execute_result(*document)


async def program(session: Session, server: GraphQLServer | None = None) -> list[Any]:
    """What happens, and when."""
    seen: list[Any] = []
    begin = anyio.current_time()

    def note(what: Any) -> None:
        seen.append((round(anyio.current_time() - begin), what))

    note(await session.execute("{ slow(seconds: 5) }"))
    async with session.subscribe(COUNTDOWN) as events:
        note(await anext(events))
        note(await anext(events))
        if server is not None:
            await server.restart()
        note(await anext(events))
        note(events.reconnects)
    with anyio.move_on_after(7):
        await session.execute("{ slow(seconds: 3600) }")
    note("left")
    try:
        await session.execute("{ slow(seconds: 3600) }", timeout=30)
    except TransportTimeout as error:
        note(type(error))
    try:
        await session.execute("{ fail }")
    except TransportQueryError as error:
        note(str(error))
    return seen


@virtual
async def test_everything_again_at_the_same_times(anyio_backend: Any, path: Path) -> None:
    async with GraphQLServer(demo_schema()) as server:
        recorder = Recorder(server.transport(), path)
        async with Client(recorder, execute_timeout=None).connect(reconnecting=True) as session:
            before = await program(session, server)
    assert [time for time, _ in before[:3]] == [5, 5, 65]
    recorded = Recorded(path)
    async with Client(recorded, execute_timeout=None).connect(reconnecting=True) as session:
        after = await program(session)
    assert after == before
    assert recorded.unused == []
    assert recorded.description == f"{path} ({server.url})"
    assert repr(recorded) == f"<Recorded {recorded.description}>"


@virtual
async def test_faster(anyio_backend: Any, path: Path) -> None:
    async def slow(_call: Any) -> Any:
        await anyio.sleep(100)
        return {"a": 1}

    await record(path, {"Q": slow}, ["query Q { a }", None])
    for speed, seconds in ((1, 100), (10, 10), (math.inf, 0)):
        begin = anyio.current_time()
        async with Client(Recorded(path, speed=speed), execute_timeout=None) as session:
            assert await session.execute("query Q { a }") == {"a": 1}
        assert anyio.current_time() - begin == pytest.approx(seconds, abs=0.01)
    with pytest.raises(ValueError, match="speed must be more than 0"):
        Recorded(path, speed=0)


@virtual
async def test_more_than_was_recorded_is_an_error(anyio_backend: Any, path: Path) -> None:
    async def slow(_call: Any) -> AsyncIterator[Any]:
        yield {"a": 1}
        await anyio.sleep(100)
        yield {"a": 2}

    async with Client(Recorder(Stub({"S": slow, "Q": slow}), path)) as session:
        async with session.subscribe("subscription S { a }") as events:
            await anext(events)
            await anyio.sleep(20)
        with anyio.move_on_after(5):
            await session.execute("query Q { a }")
    begin = anyio.current_time()
    async with Client(Recorded(path), execute_timeout=None) as session:
        async with session.subscribe("subscription S { a }") as events:
            assert await anext(events) == {"a": 1}
            with pytest.raises(TransportError, match=r"left after 20\.0 s and 1 results"):
                await anext(events)
        assert anyio.current_time() - begin == pytest.approx(21, abs=0.01)
        with pytest.raises(TransportError, match=r"no more of this query"):
            await session.execute("query Q { a }")
        assert anyio.current_time() - begin == pytest.approx(27, abs=0.01)


@pytest.mark.parametrize(
    "text",
    [
        'query H($n: String) { a: hello(name: $n), b: hello(name: "x  y") }',
        'query H($n:String){a:hello(name:$n)b:hello(name:"x  y")}',
        'query H(\n\t$n : String\n) { # whom\n a : hello(name: $n)\n b: hello(name: "x  y") }\n',
    ],
)
async def test_blanks_and_comments_do_not_matter(path: Path, text: str) -> None:
    stub = Stub({"H": {"a": "1", "b": "2"}})
    recorded = 'query H($n: String) {\n  a: hello(name: $n)\n  b: hello(name: "x  y")\n}'
    async with Client(Recorder(stub, path)) as session:
        await session.execute(recorded, {"n": "ada"})
    async with Client(Recorded(path)) as session:
        with pytest.raises(AssertionError, match="nearest recorded operation is the query 'H'"):
            await session.execute(text.replace("x  y", "x y"), {"n": "ada"})
        assert await session.execute(text, {"n": "ada"}) == {"a": "1", "b": "2"}


async def test_each_recorded_answer_once_and_in_order(path: Path) -> None:
    ask = "query Q { n }"
    answers = {"Q": [{"n": 1}, {"n": 2}], "R": {"n": 3}}
    await record(path, answers, [ask], [ask], ["query R { n }"])
    recorded = Recorded(path)
    async with Client(recorded) as session:
        assert recorded.unused == ["Q", "Q", "R"]
        assert await session.execute("query  Q {\n  n\n}") == {"n": 1}  # blanks don't matter
        assert await session.execute(ask) == {"n": 2}
        assert recorded.unused == ["R"]
        with pytest.raises(AssertionError) as caught:
            await session.execute(ask)
        assert str(caught.value) == (
            f"{path} has the query 'Q' 2 times, and it was asked for once more"
        )


@pytest.mark.parametrize(
    ("document", "variables", "words"),
    [
        (HELLO, {"name": "bob"}, 'the query \'Hello\', with $name "ada" and not "bob"'),
        (HELLO, None, "the query 'Hello', with $name \"ada\", which is not given"),
        (HELLO, {"name": "ada", "n": 1}, "the query 'Hello', with no $n"),
        (
            "query Hello {\n  hello\n}",
            None,
            f"the query 'Hello', with line 1 '{HELLO}' and not 'query Hello {{'",
        ),
        (f"{HELLO}\nfragment F on Q {{ a }}", None, "the query 'Hello', with 1 lines and not 2"),
        ("query Two { a b }", None, "the query 'Two', with line 1 'query Two { a }' and not"),
        ("query Tow { a }", None, "the query 'Two', with line 1 'query Two { a }'"),
        ("mutation Three { b }", None, "the mutation 'Three', with line 1 'mutation Three { a }'"),
    ],
)
async def test_the_nearest_recorded_operation(
    path: Path, document: str, variables: Any, words: str
) -> None:
    answers = {"Hello": {"a": 1}, "Two": {"a": 1}, "Three": {"a": 1}}
    asked = [[HELLO, {"name": "ada"}], ["query Two { a }"], ["mutation Three { a }"]]
    await record(path, answers, *asked)
    async with Client(Recorded(path)) as session:
        with pytest.raises(AssertionError, match=re.escape(words)):
            await session.execute(document, variables)
        with pytest.raises(AssertionError, match="no answer to a subscription without a name"):
            async with session.subscribe("subscription { a }"):
                pass


async def test_messages_have_no_secrets(path: Path) -> None:
    document = "query Q($token: String, $n: Int) { a }"
    await record(path, {"Q": {"a": 1}}, [document, {"token": "first", "n": 1}])
    async with Client(Recorded(path)) as session:
        with pytest.raises(AssertionError) as caught:
            await session.execute(document, {"token": "second", "n": 2})
    assert "second" not in str(caught.value)
    assert "with $n 1 and not 2" in str(caught.value)


async def test_an_empty_cassette(path: Path) -> None:
    await record(path, {})
    async with Client(Recorded(path)) as session:
        with pytest.raises(AssertionError, match="no operation was recorded"):
            await session.execute("{ a }")


async def test_another_operation_of_the_document(path: Path) -> None:
    document = "query A { a } query B { b }"
    async with Client(Recorder(Stub({"A": {"a": 1}}), path)) as session:
        await session.execute(document, operation_name="A")
    async with Client(Recorded(path)) as session:
        with pytest.raises(AssertionError, match="'A', another one of the same document"):
            await session.execute(document, operation_name="B")


async def test_errors(path: Path) -> None:
    failed = TransportServerError("busy", code=503, retryable=True)
    await record(path, {"Q": {"a": 1}})
    async with Client(Recorder(Stub({"Q": failed, "S": failed}), path)) as session:
        for run in (session.execute, _first):
            with pytest.raises(TransportServerError):
                await run("query Q { a }" if run != _first else session)
    async with Client(Recorded(path)) as session:
        with pytest.raises(TransportServerError) as caught:
            await session.execute("query Q { a }")
        assert (caught.value.code, caught.value.retryable) == (503, True)
        with pytest.raises(TransportServerError):
            await _first(session)


async def _first(session: Any) -> Any:
    async with session.subscribe("subscription S { a }") as events:
        return await anext(events)


async def test_failed_attempts_to_connect(path: Path, soon: None) -> None:
    stub = Stub({"Q": {"a": 1}})
    stub.refuse_with = TransportConnectionFailed("away")

    def come_back(event: Any) -> None:
        if getattr(event, "will_retry", False):
            stub.refuse_with = None

    client = Client(Recorder(stub, path), on_event=come_back)
    async with client.connect(reconnecting=True) as session:
        await session.execute("query Q { a }")
    with pytest.raises(TransportConnectionFailed, match="away"):
        async with Client(Recorded(path)):
            pass
    async with Client(Recorded(path)).connect(reconnecting=True) as session:
        assert await session.execute("query Q { a }") == {"a": 1}
    recorded = Recorded(path, speed=math.inf)
    for _ in range(2):
        try:
            async with Client(recorded) as session:
                assert await session.execute("query Q { a }") == {"a": 1}
        except TransportConnectionFailed:
            continue
    async with Client(recorded):  # connections after the recorded ones succeed
        pass


async def test_a_mutation_that_was_lost(path: Path, soon: None) -> None:
    async def lost(_call: Any) -> Any:
        stub.drop_connections("cut")
        await anyio.sleep_forever()

    stub = Stub({"M": lost})
    for reconnecting in (True, False):
        transport: Any = Recorder(stub, path)
        for _ in range(2):
            with pytest.raises(TransportConnectionFailed, match="cut") as caught:
                async with Client(transport).connect(reconnecting=reconnecting) as session:
                    await session.execute("mutation M { a }")
            assert not caught.value.unsent
            transport = Recorded(path, speed=math.inf)


def test_without_await(path: Path) -> None:
    anyio.run(record, path, {"Q": {"a": 1}}, ["query Q { a }"])
    with blocking.Client(Recorded(path)) as session:
        assert session.execute("query Q { a }") == {"a": 1}


@pytest.mark.parametrize("kind", ["stub", "recorded"])
async def test_a_closed_connection_takes_nothing(path: Path, kind: str) -> None:
    await record(path, {})
    transport: Any = Stub({}) if kind == "stub" else Recorded(path)
    async with transport.connect() as connection:
        connection.close()
        with pytest.raises(TransportClosed):
            await connection.execute(gql("{ a }"))
        for begin in (connection.subscribe, connection.execute_incremental):
            with pytest.raises(TransportClosed):
                begin(gql("{ a }"), Delivery())


async def test_a_cassette_that_was_edited(path: Path) -> None:
    await record(path, {"Q": {"a": 1}}, ["query Q { a }"])
    cassette = json.loads(path.read_text())
    del cassette["connections"][0]["operations"][0]["results"]
    path.write_text(json.dumps(cassette))
    async with Client(Recorded(path)) as session:
        with pytest.raises(AssertionError, match="was recorded without a result"):
            await session.execute("query Q { a }")


async def test_leaving_a_long_recorded_stream(path: Path) -> None:
    answers: Any = {"S": [{"n": n} for n in range(100)]}
    async with Client(Recorder(Stub(answers), path)) as session:
        async with session.subscribe("subscription S { n }") as events:
            assert len([data async for data in events]) == 100
    async with Client(Recorded(path)) as session:
        async with session.subscribe("subscription S { n }", buffer_size=1) as events:
            assert await anext(events) == {"n": 0}
