"""Variables and results as Python values, by the client's schema, on every kind of call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio
import pytest
from graphql import GraphQLScalarType

from anygql import (
    Client,
    ExecutionResult,
    FileVar,
    GraphQLRequest,
    LocalSchemaTransport,
    Session,
    Subscription,
    TransportProtocolError,
    TransportQueryError,
    WebSocketTransport,
    update_schema_enum,
    update_schema_scalar,
)
from anygql.schema import VariableError
from anygql.testing import PeerConnection, ScriptedPeer
from tests.support import diary
from tests.support.diary import MINUTE, NOON, ON_THE_WIRE, Backend, Mood, OverHTTP, OverWebSocket

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("soon")]

AT = "query ($when: Instant!) { at(when: $when) }"
MOOD = "query ($mood: Mood = BAD) { mood(mood: $mood) }"
WRITE = """
mutation ($note: NoteInput!) { write(note: $note) { text madeAt mood reminders } }
"""
TICKS = """
subscription ($from: Instant!, $numbers: [Int!]! = [0, 1]) {
  ticks(from: $from, numbers: $numbers) { madeAt }
}
"""
WAITS = """
subscription ($from: Instant!, $numbers: [Int!]! = [0]) {
  waits(from: $from, numbers: $numbers) { madeAt }
}
"""

VALUES = {"serialize_variables": True, "parse_results": True}


@pytest.fixture
async def http(bounded: None) -> AsyncIterator[OverHTTP]:
    way = OverHTTP(diary.served())
    async with way.http:
        yield way


@dataclass
class NoteInput:
    text: str
    madeAt: datetime
    mood: Mood | None = None
    reminders: list[datetime] = field(default_factory=list)


# Queries and mutations.


async def test_both_ways(way: Backend) -> None:
    async with Client(way.transport, schema=diary.known(), **VALUES) as session:
        assert await session.execute(AT, {"when": NOON}) == {"at": NOON}
        assert await session.execute(GraphQLRequest(AT, {"when": NOON})) == {"at": NOON}
        assert await session.execute(MOOD, {"mood": Mood.GOOD}) == {"mood": Mood.GOOD}
        assert await session.execute(MOOD) == {"mood": Mood.BAD}
        result = await session.execute_result(AT, {"when": NOON})
        assert (result.data, result.errors) == ({"at": NOON}, None)
    assert [sent or {} for sent in way.variables] == [
        {"when": ON_THE_WIRE},
        {"when": ON_THE_WIRE},
        {"mood": "GOOD"},
        {},  # the default is the server's to fill in
        {"when": ON_THE_WIRE},
    ]


@pytest.mark.parametrize(
    "note",
    [
        {"text": "x", "madeAt": NOON, "mood": Mood.BAD, "reminders": [NOON, NOON + MINUTE]},
        NoteInput("x", NOON, Mood.BAD, [NOON, NOON + MINUTE]),
    ],
)
async def test_input_objects(way: Backend, note: Any) -> None:
    async with Client(way.transport, schema=diary.known(), **VALUES) as session:
        assert (await session.execute(WRITE, {"note": note}))["write"] == {
            "text": "x",
            "madeAt": NOON,
            "mood": Mood.BAD,
            "reminders": [NOON, NOON + MINUTE],
        }
    (sent,) = way.variables
    assert sent["note"]["reminders"] == [ON_THE_WIRE, (NOON + MINUTE).isoformat()]
    assert sent["note"]["mood"] == "BAD"


async def test_interfaces_unions_fragments_aliases_and_directives(way: Backend) -> None:
    document = """
    query ($no: Boolean = false, $within: Period) {
      entries(within: $within) {
        made: madeAt
        ...feelings
        ... on Note { reminders skipped: madeAt @include(if: $no) }
      }
      found { __typename ... on Entry { madeAt } ... on Visit { leftAt @skip(if: $no) } }
    }
    fragment feelings on Entry { mood ... on Visit { leftAt } }
    """
    async with Client(way.transport, schema=diary.known(), **VALUES) as session:
        data = await session.execute(document, {"within": {"since": NOON}})
    assert data == {
        "entries": [
            {"made": NOON, "mood": Mood.GOOD, "reminders": [NOON, None]},
            {"made": NOON, "mood": None, "leftAt": NOON},
        ],
        "found": [
            {"__typename": "Visit", "madeAt": NOON, "leftAt": NOON},
            {"__typename": "Note", "madeAt": NOON},
        ],
    }
    assert way.variables == [{"within": {"since": ON_THE_WIRE}}]


@pytest.mark.parametrize("of_client", [False, True])
async def test_per_call(way: Backend, of_client: bool) -> None:
    """What a call says goes before what the client does."""
    client = Client(
        way.transport,
        schema=diary.known(),
        serialize_variables=of_client,
        parse_results=of_client,
    )
    python, wire = {"when": NOON}, {"when": ON_THE_WIRE}
    other = not of_client
    async with client as session:
        default = {"at": NOON if of_client else ON_THE_WIRE}
        turned = {"at": ON_THE_WIRE if of_client else NOON}
        assert await session.execute(AT, python if of_client else wire) == default
        call: dict[str, Any] = {"serialize_variables": other, "parse_results": other}
        given = wire if of_client else python
        assert await session.execute(AT, given, **call) == turned
        assert (await session.execute_result(AT, given, **call)).data == turned
        request = GraphQLRequest(AT, given)
        assert await session.execute_batch([request], **call) == [turned]
        assert (await session.execute_batch_results([request], **call))[0].data == turned
        # Each of the two by itself.
        assert await session.execute(AT, wire, serialize_variables=False) == default
        if of_client:
            assert await session.execute(AT, python, parse_results=False) == turned
        else:
            assert await session.execute(AT, wire, parse_results=True) == turned
    assert all(sent == wire for sent in way.variables)


async def test_without_an_update_values_stay_as_they_are(way: Backend) -> None:
    async with Client(way.transport, schema=diary.SDL, **VALUES) as session:
        assert await session.execute(AT, {"when": NOON}) == {"at": "2026-01-01T12:00:00Z"}
        assert await session.execute(MOOD, {"mood": "GOOD"}) == {"mood": "GOOD"}


async def test_without_a_schema_there_is_nothing_to_go_by(way: Backend) -> None:
    for option in VALUES:
        async with Client(way.transport, **{option: True}) as session:
            with pytest.raises(ValueError, match=f"{option} needs a schema"):
                await session.execute(AT, {"when": NOON})
            with pytest.raises(ValueError, match=f"{option} needs a schema"):
                session.subscribe(TICKS, {"from": NOON})
            off: dict[str, Any] = {option: False}
            data = await session.execute(AT, {"when": ON_THE_WIRE}, **off)
            assert data == {"at": ON_THE_WIRE}
    assert way.variables == [{"when": ON_THE_WIRE}] * 2


async def test_a_fetched_schema_can_be_updated(way: Backend) -> None:
    client = Client(way.transport, fetch_schema=True, **VALUES)
    async with client as session:
        assert client.schema is not None
        assert await session.execute(AT, {"when": ON_THE_WIRE}) == {"at": ON_THE_WIRE}
        update_schema_scalar(client.schema, "Instant", diary.INSTANT)
        update_schema_enum(client.schema, "Mood", Mood)
        # The same document, which has been used before.
        assert await session.execute(AT, {"when": NOON}) == {"at": NOON}
        assert await session.execute(MOOD, {"mood": Mood.GOOD}) == {"mood": Mood.GOOD}
        async with client.connect() as other:
            assert await other.execute(AT, {"when": NOON}) == {"at": NOON}
        stamp = GraphQLScalarType("Stamp", serialize=str, parse_value=len)
        update_schema_scalar(client.schema, "Instant", stamp)
        assert await session.execute(AT, {"when": "noon"}) == {"at": 4}


async def test_a_file(bounded: None) -> None:
    """It goes through untouched."""
    transport = LocalSchemaTransport(diary.served())
    document = "query ($file: Upload!) { size(file: $file) }"
    async with Client(transport, schema=diary.known(), **VALUES) as session:
        assert await session.execute(document, {"file": FileVar(b"1234")}) == {"size": 4}


# Before anything is sent.


BAD_VARIABLES = [
    (AT, {"when": ON_THE_WIRE}, "variables.when: expected Instant, given str"),
    (AT, {"when": None}, "variables.when"),
    (AT, {}, "variables.when"),
    (MOOD, {"mood": "CHEERFUL"}, "variables.mood: expected Mood"),
    (WRITE, {"note": {"text": "x"}}, "variables.note.madeAt"),
    (
        WRITE,
        {"note": {"text": "x", "madeAt": NOON, "reminders": [NOON, 3]}},
        r"variables.note.reminders\[1\]: expected Instant, given int",
    ),
    (WRITE, {"note": {"text": "x", "madeAt": NOON, "tags": []}}, "tags"),
]


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_variables_that_the_schema_refuses(way: Backend, reconnecting: bool) -> None:
    client = Client(way.transport, schema=diary.known(), **VALUES)
    async with client.connect(reconnecting=reconnecting) as session:
        for document, variables, message in BAD_VARIABLES:
            with pytest.raises(VariableError, match=message):
                await session.execute(document, variables)
            with pytest.raises(VariableError, match=message):
                await session.execute_result(document, variables)
            with pytest.raises(VariableError, match=message):
                await session.execute_batch(["{ hello }", GraphQLRequest(document, variables)])
            with pytest.raises(VariableError, match=message):
                session.execute_incremental(document, variables)
        for subscribe in (session.subscribe, session.subscribe_results):
            with pytest.raises(VariableError, match=r"variables\.from: expected Instant"):
                subscribe(TICKS, {"from": "noon"})
        with pytest.raises(VariableError) as caught:
            await session.execute(WRITE, {"note": {"text": 1, "madeAt": 2, "mood": 3}})
        assert len(caught.value.problems) == 3
        assert await session.execute("{ hello }") == {"hello": "hello"}
    assert way.documents == ["{ hello }"]


# Results with errors, and such as don't fit.


async def test_what_came_beside_errors_is_parsed(way: Backend) -> None:
    document = "query ($when: Instant!) { at(when: $when) fails }"
    expected = {"at": NOON, "fails": None}
    async with Client(way.transport, schema=diary.known(), **VALUES) as session:
        with pytest.raises(TransportQueryError, match="as asked") as caught:
            await session.execute(document, {"when": NOON})
        assert caught.value.data == expected
        result = await session.execute_result(document, {"when": NOON})
        assert result.data == expected
        assert result.errors == caught.value.errors
        with pytest.raises(TransportQueryError) as caught:
            await session.execute_batch(["{ hello }", GraphQLRequest(document, {"when": NOON})])
        assert caught.value.data == expected


async def test_what_does_not_fit_the_schema(way: Backend) -> None:
    message = "data.wrong: .*Is the client's schema that of the server"
    async with Client(way.transport, schema=diary.known(), **VALUES) as session:
        with pytest.raises(TransportProtocolError, match=message) as caught:
            await session.execute("{ wrong }")
        assert isinstance(caught.value.__cause__, ValueError)
        with pytest.raises(TransportProtocolError, match=message):
            await session.execute_result("{ wrong }")
        with pytest.raises(TransportProtocolError, match=message):
            await session.execute_batch(["{ hello }", "{ wrong }"])
        assert await session.execute("{ wrong }", parse_results=False) == {"wrong": "never"}
        assert session.state == "connected"


async def test_a_mismatch_is_not_tried_again(way: Backend) -> None:
    client = Client(way.transport, schema=diary.known(), **VALUES)
    async with client.connect(reconnecting=True) as session:
        with pytest.raises(TransportProtocolError):
            await session.execute("{ wrong }")
    assert way.documents == ["{ wrong }"]


# Batches.


async def test_each_of_a_batch(way: Backend) -> None:
    batch: list[GraphQLRequest | str] = [
        GraphQLRequest(AT, {"when": NOON}),
        GraphQLRequest(MOOD, {"mood": Mood.GOOD}),
        "{ hello }",
        GraphQLRequest(AT, {"when": NOON + MINUTE}),
    ]
    expected = [{"at": NOON}, {"mood": Mood.GOOD}, {"hello": "hello"}, {"at": NOON + MINUTE}]
    async with Client(way.transport, schema=diary.known(), **VALUES) as session:
        assert await session.execute_batch(batch) == expected
        results = await session.execute_batch_results(batch)
        assert [result.data for result in results] == expected


async def test_automatic_batches_keep_what_each_call_asked_for(http: OverHTTP) -> None:
    @dataclass
    class Typed:
        at: datetime

    client = Client(http.transport, schema=diary.known(), batch_interval=0.05)
    got: dict[str, Any] = {}

    async def call(name: str, when: Any, **options: Any) -> None:
        got[name] = await session.execute(AT, {"when": when}, **options)

    async with client as session, anyio.create_task_group() as tg:
        tg.start_soon(call, "plain", ON_THE_WIRE)
        for name, options in {
            "parsed": {"parse_results": True},
            "typed": {"result_type": Typed},
            "neither": {},
        }.items():

            async def with_options(name: str = name, options: Any = options) -> None:
                await call(name, NOON, serialize_variables=True, **options)

            tg.start_soon(with_options)
    assert got == {
        "plain": {"at": ON_THE_WIRE},
        "parsed": {"at": NOON},
        "typed": Typed(NOON),
        "neither": {"at": ON_THE_WIRE},
    }
    assert len(http.posts) == 1
    assert len(http.posts[0]) == 4


# Subscriptions, and results that grow.


async def test_subscriptions(streaming: Backend) -> None:
    expected = [{"ticks": {"madeAt": NOON}}, {"ticks": {"madeAt": NOON + MINUTE}}]
    wire = [{"ticks": {"madeAt": each["ticks"]["madeAt"].isoformat()}} for each in expected]
    schema = diary.known()
    start = {"from": NOON}
    async with Client(streaming.transport, schema=schema, **VALUES) as session:
        async with session.subscribe(TICKS, start) as ticks:
            assert [tick async for tick in ticks] == expected
        async with session.subscribe_results(TICKS, start) as results:
            assert [result.data async for result in results] == expected
        async with session.subscribe(TICKS, start, parse_results=False) as ticks:
            assert [tick async for tick in ticks] == wire
    async with Client(streaming.transport, schema=schema) as session:
        async with session.subscribe(TICKS, start, **VALUES) as ticks:
            assert [tick async for tick in ticks] == expected
        async with session.subscribe_results(
            TICKS, start, serialize_variables=True, parse_results=True
        ) as results:
            assert [result.data async for result in results] == expected
        async with session.subscribe(TICKS, {"from": ON_THE_WIRE}) as ticks:
            assert [tick async for tick in ticks] == wire
    assert {sent["from"] for sent in streaming.variables} == {ON_THE_WIRE}


async def test_an_item_that_fails_does_not_end_it(streaming: Backend) -> None:
    """Neither one with errors, nor one that can't be parsed."""
    variables = {"from": NOON, "numbers": [0, -1, -2, 1]}
    first, last = ({"ticks": {"madeAt": NOON + number * MINUTE}} for number in (0, 1))
    async with Client(streaming.transport, schema=diary.known(), **VALUES) as session:
        async with session.subscribe(TICKS, variables) as ticks:
            assert await ticks.receive() == first
            with pytest.raises(TransportQueryError, match="this tick failed") as failed:
                await ticks.receive()
            assert failed.value.data == {"ticks": None}
            with pytest.raises(TransportProtocolError, match=r"data\.ticks\.madeAt"):
                await ticks.receive()
            assert [tick async for tick in ticks] == [last]
        async with session.subscribe_results(TICKS, variables) as results:
            assert (await results.receive()).data == first
            assert (await results.receive()).errors is not None
            with pytest.raises(TransportProtocolError, match=r"data\.ticks\.madeAt"):
                await results.receive()
            assert [result.data async for result in results] == [last]
        assert session.state == "connected"


async def test_results_that_grow(bounded: None) -> None:
    document = """
    query ($when: Instant!) {
      at(when: $when) ... @defer { entries { mood ... on Note { reminders } } }
    }
    """
    whole = {
        "at": NOON,
        "entries": [{"mood": Mood.GOOD, "reminders": [NOON, None]}, {"mood": None}],
    }
    async with diary.backend("local") as way:
        schema = diary.known(diary.DEFER)
        async with Client(way.transport, schema=schema, **VALUES) as session:
            async with session.execute_incremental(document, {"when": NOON}) as states:
                assert [state async for state in states] == [{"at": NOON}, whole]
            assert await session.execute(document, {"when": NOON}) == whole
            plain: dict[str, Any] = {"serialize_variables": False, "parse_results": False}
            async with session.execute_incremental(
                document, {"when": ON_THE_WIRE}, **plain
            ) as states:
                assert await states.receive() == {"at": ON_THE_WIRE}


async def test_a_document_is_validated_by_the_schema_that_has_defer(bounded: None) -> None:
    """A fetched schema has the directives that its server has."""
    async with diary.backend("local") as way:
        async with Client(way.transport, fetch_schema=True) as session:
            async with session.execute_incremental("{ ... @defer { hello } }") as states:
                assert [state async for state in states] == [{}, {"hello": "hello"}]


# Subscriptions that resume.

Asked = list[Any]


async def resumed(
    session: Session, way: OverWebSocket, answer: Any, numbers: list[int], **options: Any
) -> tuple[Asked, Subscription[Any]]:
    """A subscription whose connection is lost once; what ``on_resubscribe`` was given."""
    asked: Asked = []

    async def on_resubscribe(_: Subscription[Any], last: Any) -> Any:
        asked.append(last)
        return answer

    results = options.pop("results", False)
    subscribe: Any = session.subscribe_results if results else session.subscribe
    variables = {"from": NOON, "numbers": numbers}
    ticks = subscribe(WAITS, variables, on_resubscribe=on_resubscribe, **options)
    await ticks.__aenter__()
    for number in numbers:
        if number >= 0:
            await ticks.receive()
        else:
            with pytest.raises((TransportQueryError, TransportProtocolError)):
                await ticks.receive()
    way.server.drop_connections()
    return asked, ticks


@pytest.mark.parametrize("as_async", [False, True])
async def test_new_variables_are_serialised_too(websocket: OverWebSocket, as_async: bool) -> None:
    client = Client(websocket.transport, schema=diary.known(), **VALUES)
    given: Asked = []

    def follow(subscription: Subscription[Any], last: Any) -> Any:
        given.append(last)
        variables = {"from": last["waits"]["madeAt"] + MINUTE}

        async def later() -> Mapping[str, Any]:
            await anyio.lowlevel.checkpoint()
            return variables

        return later() if as_async else variables

    async with client.connect(reconnecting=True) as session:
        async with session.subscribe(WAITS, {"from": NOON}, on_resubscribe=follow) as ticks:
            for lost in range(3):
                assert await ticks.receive() == {"waits": {"madeAt": NOON + lost * MINUTE}}
                assert ticks.reconnects == lost
                websocket.server.drop_connections()
            assert await ticks.receive() == {"waits": {"madeAt": NOON + 3 * MINUTE}}
    assert given == [{"waits": {"madeAt": NOON + lost * MINUTE}} for lost in range(3)]
    assert [sent["from"] for sent in websocket.variables] == [
        (NOON + lost * MINUTE).isoformat() for lost in range(4)
    ]


@pytest.mark.parametrize(
    ("numbers", "options", "expected"),
    [
        ([0], {}, {"waits": {"madeAt": NOON}}),
        ([0], {"parse_results": False}, {"waits": {"madeAt": ON_THE_WIRE}}),
        ([], {}, None),
        # One with errors, as far as it has data; one that can't be parsed, as it came.
        ([0, -1], {}, {"waits": None}),
        ([0, -2], {}, {"waits": {"madeAt": "never"}}),
        ([0], {"results": True}, ExecutionResult({"waits": {"madeAt": NOON}})),
        ([0, -2], {"results": True}, ExecutionResult({"waits": {"madeAt": "never"}})),
    ],
)
async def test_what_came_last(
    websocket: OverWebSocket, numbers: list[int], options: Any, expected: Any
) -> None:
    client = Client(websocket.transport, schema=diary.known(), **VALUES)
    async with client.connect(reconnecting=True) as session:
        again = {"from": NOON + MINUTE, "numbers": [0]}
        asked, ticks = await resumed(session, websocket, again, numbers, **options)
        item = await ticks.receive()
        data = item.data if options.get("results") else item
        assert data["waits"]["madeAt"] in {NOON + MINUTE, (NOON + MINUTE).isoformat()}
        await ticks.aclose()
    assert asked == [expected]


async def test_what_came_last_cannot_be_read() -> None:
    """A number that is out of range ends nothing, and is nothing to go on from."""
    asked: Asked = []

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        message = await conn.expect_type("subscribe")
        data = b"1e999" if not asked else b"7"
        start = b'{"type":"next","id":"%s","payload":{"data":{"n":' % message["id"].encode()
        await conn.send_text(start + data + b"}}}")
        if not asked:
            await told.wait()
            await conn.close(1012, "restarting")
        await conn.wait_closed()

    told = anyio.Event()
    async with ScriptedPeer(script) as peer:
        client = Client(WebSocketTransport(peer.url, connector=peer.connector()))
        async with client.connect(reconnecting=True) as session:
            async with session.subscribe(
                "subscription { n }",
                result_type=dict[str, int],
                on_overflow="drop_oldest",
                on_resubscribe=lambda _, last: asked.append(last),
            ) as events:
                with pytest.raises(TransportProtocolError):
                    await events.receive()
                told.set()
                assert await events.receive() == {"n": 7}
    assert asked == [None]


async def test_the_newest_of_parsed_results(websocket: OverWebSocket) -> None:
    """Results that may be dropped are decoded only when they are taken."""
    async with Client(websocket.transport, schema=diary.known(), **VALUES) as session:
        async with session.subscribe(
            TICKS,
            {"from": NOON, "numbers": [0, 1]},
            result_type=dict[str, dict[str, Any]],
            on_overflow="drop_oldest",
        ) as ticks:
            made = [tick["ticks"]["madeAt"] async for tick in ticks]
    assert made == [NOON, NOON + MINUTE]


async def test_what_does_not_fit_beside_errors_stays_as_it_came() -> None:
    """So the caller hears of the errors."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        message = await conn.expect_type("subscribe")
        payload = {"data": {"at": "never"}, "errors": [{"message": "no clock"}]}
        await conn.send({"type": "next", "id": message["id"], "payload": payload})
        await conn.wait_closed()

    async with ScriptedPeer(script) as peer:
        transport = WebSocketTransport(peer.url, connector=peer.connector())
        async with Client(transport, schema=diary.known(), **VALUES) as session:
            with pytest.raises(TransportQueryError, match="no clock") as caught:
                await session.execute(AT, {"when": NOON})
    assert caught.value.data == {"at": "never"}


async def test_new_variables_that_the_schema_refuses(websocket: OverWebSocket) -> None:
    """They end the subscription, and are not sent."""
    client = Client(websocket.transport, schema=diary.known(), **VALUES)
    async with client.connect(reconnecting=True) as session:
        _, ticks = await resumed(session, websocket, {"from": "noon"}, [0])
        with pytest.raises(VariableError, match=r"variables\.from: expected Instant, given str"):
            await ticks.receive()
        await ticks.aclose()
        assert await session.execute("{ hello }") == {"hello": "hello"}
    assert len(websocket.sent) == 2
