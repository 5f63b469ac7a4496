"""The client's schema: where it comes from, and documents that don't fit it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import graphql
import httpx
import pytest
from graphql import GraphQLSchema, introspection_from_schema

from anygql import (
    Client,
    ExecutionResult,
    GraphQLRequest,
    GraphQLValidationError,
    HTTPTransport,
    IntrospectionOptions,
    LocalSchemaTransport,
    Session,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
)
from anygql.schema import IntrospectionError
from anygql.testing import PeerConnection, ScriptedPeer
from anygql.websocket.sockets.base import WebSocketEnded
from tests.support import diary
from tests.support.clients import client_of
from tests.support.diary import Backend, OverWebSocket

pytestmark = pytest.mark.table

#: Two mistakes, in the second and the third line.
INVALID = "{\n  at(now: 1)\n  helo }"
MISTAKES = [
    (2, 6, "Unknown argument 'now'"),
    (2, 3, "'Query.at(when:)' of type 'Instant!' is required"),
    (3, 3, "Cannot query field 'helo'"),
]

both = pytest.mark.parametrize("reconnecting", [False, True])


# Documents that don't fit it.


async def subscribe(session: Session, document: str) -> None:
    session.subscribe(document)


async def subscribe_results(session: Session, document: str) -> None:
    session.subscribe_results(document)


async def grow(session: Session, document: str) -> None:
    session.execute_incremental(document)


CALLS: dict[str, Callable[[Session, str], Awaitable[Any]]] = {
    "execute": Session.execute,
    "execute_result": Session.execute_result,
    "execute_batch": lambda session, document: session.execute_batch(["{ hello }", document]),
    "execute_batch_results": lambda session, document: session.execute_batch_results([document]),
    "subscribe": subscribe,
    "subscribe_results": subscribe_results,
    "execute_incremental": grow,
}


@both
async def test_a_document_that_does_not_fit(way: Backend, reconnecting: bool) -> None:
    """Every call says all that is wrong with it, and sends nothing."""
    client = Client(way.transport, schema=diary.SDL)
    async with client.connect(reconnecting=reconnecting) as session:
        for call in CALLS.values():
            with pytest.raises(GraphQLValidationError) as caught:
                await call(session, INVALID)
            assert len(caught.value.errors) == len(MISTAKES)
            for line, column, words in MISTAKES:
                assert any(
                    words in error.message and (line, column) in error.locations
                    for error in caught.value.errors
                )
                assert f"{line}:{column}: " in str(caught.value)
        assert await session.execute("{ hello }") == {"hello": "hello"}
        assert session.state == "connected"
    assert way.documents == ["{ hello }"]


@pytest.mark.parametrize("document", [INVALID, "{ hello }"])
async def test_a_document_is_validated_once(
    websocket: OverWebSocket, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    """By whatever is done with it, in whatever session."""
    validated: list[Any] = []
    validate = graphql.validate

    def spy(schema: Any, node: Any, **options: Any) -> Any:
        validated.append(node)
        return validate(schema, node, **options)

    monkeypatch.setattr(graphql, "validate", spy)
    schema = diary.plain()
    clients = [Client(websocket.transport, schema=schema) for _ in range(2)]
    for client in clients:
        async with client as session:
            for _ in range(2):
                for call in (Session.execute, Session.execute_result, grow):
                    with suppress(GraphQLValidationError):
                        await call(session, document)
    assert len(validated) == 1
    # Another schema is another question.
    async with Client(websocket.transport, schema=diary.plain()) as session:
        with suppress(GraphQLValidationError):
            await session.execute(document)
    assert len(validated) == 2


async def test_each_failure_is_an_error_of_its_own(websocket: OverWebSocket) -> None:
    async with Client(websocket.transport, schema=diary.SDL) as session:
        caught = []
        for _ in range(2):
            with pytest.raises(GraphQLValidationError) as info:
                await session.execute(INVALID)
            caught.append(info.value)
    assert caught[0] is not caught[1]
    assert str(caught[0]) == str(caught[1])


async def test_syntax_errors_come_first(websocket: OverWebSocket) -> None:
    async with Client(websocket.transport, schema=diary.SDL) as session:
        with pytest.raises(graphql.GraphQLSyntaxError):
            await session.execute("{ hello")
        with pytest.raises(ValueError, match=r"use subscribe\(\)"):
            await session.execute("subscription { ticks(from: 1) { number } }")
    assert websocket.sent == []


async def test_without_a_schema_the_server_says_it(way: Backend) -> None:
    async with Client(way.transport) as session:
        with pytest.raises(TransportQueryError, match="helo"):
            await session.execute("{ helo }")


async def test_what_only_the_server_knows(websocket: OverWebSocket) -> None:
    """``_service`` isn't in the client's schema, so it can't be asked for; nor is a subscription
    where there are none."""
    client = Client(websocket.transport, schema="type Query { hello: String }")
    async with client as session:
        with pytest.raises(GraphQLValidationError, match="subscription"):
            session.subscribe("subscription { ticks }")


# Given ones.

FORMS: dict[str, Callable[[], Any]] = {
    "GraphQLSchema": diary.plain,
    "SDL": lambda: diary.SDL,
    "introspection": lambda: introspection_from_schema(diary.plain()),
    "response": lambda: {"data": introspection_from_schema(diary.plain())},
    "JSON": lambda: json.dumps(introspection_from_schema(diary.plain())),
    "ExecutionResult": lambda: ExecutionResult(introspection_from_schema(diary.plain())),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by_hand", [False, True])
async def test_forms(websocket: OverWebSocket, form: str, by_hand: bool) -> None:
    given = FORMS[form]()
    client = Client(websocket.transport, schema=None if by_hand else given)
    if by_hand:
        client.schema = given
    assert isinstance(client.schema, GraphQLSchema)
    if form == "GraphQLSchema":
        assert client.schema is given
    async with client as session:
        with pytest.raises(GraphQLValidationError):
            await session.execute(INVALID)
        assert await session.execute("{ hello }") == {"hello": "hello"}
    assert websocket.documents == ["{ hello }"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (7, TypeError),
        (b"type Query { a: Int }", TypeError),
        (GraphQLSchema, TypeError),
        ("schema.graphql", ValueError),
        ("type Query { a: Nothing }", ValueError),
        ({"__schema": {}}, IntrospectionError),
        ({}, ValueError),
    ],
)
def test_what_is_no_schema(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Client("ws://localhost/graphql", schema=given)
    client = Client("ws://localhost/graphql", schema=diary.SDL)
    before = client.schema
    with pytest.raises(error):
        client.schema = given
    assert client.schema is before


async def test_a_schema_set_by_hand_holds_for_open_sessions(websocket: OverWebSocket) -> None:
    client = Client(websocket.transport)
    assert client.schema is None
    async with client.connect() as one, client.connect() as other:
        client.schema = diary.plain()
        for session in (one, other):
            with pytest.raises(GraphQLValidationError):
                await session.execute(INVALID)
        client.schema = None
        with pytest.raises(TransportQueryError):
            await one.execute("{ helo }")


# Fetched ones.


async def test_fetched_when_the_first_session_opens(way: Backend) -> None:
    client = Client(way.transport, fetch_schema=True)
    assert client.schema is None
    async with client as session:
        fetched = client.schema
        assert fetched is not None
        assert "Instant" in fetched.type_map
        with pytest.raises(GraphQLValidationError):
            await session.execute(INVALID)
        async with client.connect(reconnecting=True) as other:
            assert await other.execute("{ hello }") == {"hello": "hello"}
    async with client:
        assert client.schema is fetched
    assert way.introspections == 1
    assert way.documents[1:] == ["{ hello }"]


async def test_sessions_that_open_at_once_ask_once(way: Backend) -> None:
    client = Client(way.transport, fetch_schema=True)
    seen: list[Any] = []

    async def open_one() -> None:
        async with client.connect():
            seen.append(client.schema)

    async with anyio.create_task_group() as tg:
        for _ in range(5):
            tg.start_soon(open_one)
    assert len(seen) == 5
    assert None not in seen
    assert len({id(schema) for schema in seen}) == 1
    assert way.introspections == 1


async def test_one_client_on_one_loop_after_the_other() -> None:
    """What waits for the schema belongs to a loop; the client doesn't."""

    async def opens(client: Client) -> None:
        async with client.connect(), client.connect():
            assert client.schema is not None

    async def fails(client: Client) -> None:
        for _ in range(2):
            with pytest.raises(TransportQueryError):
                async with client.connect():
                    raise AssertionError

    def on_each_loop(main: Any, client: Client) -> None:
        for loop in ("asyncio", "trio", "asyncio"):
            anyio.run(main, client, backend=loop)

    refusing = LocalSchemaTransport(diary.served(), root_value=_refuse)
    await anyio.to_thread.run_sync(on_each_loop, fails, Client(refusing, fetch_schema=True))
    way = diary.Locally(diary.served())
    await anyio.to_thread.run_sync(on_each_loop, opens, Client(way.transport, fetch_schema=True))
    assert way.introspections == 1


def _refuse(_: GraphQLRequest) -> None:
    raise graphql.GraphQLError("not today")


def _answer(content: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=content)


async def test_a_schema_that_is_given_is_not_asked_for(websocket: OverWebSocket) -> None:
    client = Client(websocket.transport, schema=diary.SDL, fetch_schema=True)
    async with client as session:
        await session.execute("{ hello }")
    assert websocket.documents == ["{ hello }"]


async def test_options(way: Backend) -> None:
    options = IntrospectionOptions(descriptions=False, type_depth=4, specified_by_url=False)
    client = Client(way.transport, fetch_schema=options)
    async with client as session:
        assert client.schema is not None
        assert client.schema.type_map["Query"].fields["fails"].description is None
        (document,) = way.documents
        assert "description" not in document
        assert "specifiedByURL" not in document
        assert document.count("ofType") == 4

        fetched = await session.fetch_schema()
        assert client.schema is fetched
        assert fetched.type_map["Query"].fields["fails"].description


@pytest.mark.parametrize("wrong", [None, 1, "yes", {}, IntrospectionOptions])
def test_what_fetch_schema_is_not(wrong: Any) -> None:
    with pytest.raises(TypeError, match="fetch_schema is True, False or IntrospectionOptions"):
        Client("ws://localhost/graphql", fetch_schema=wrong)


async def test_asked_for_by_a_session(websocket: OverWebSocket) -> None:
    """It is then that of the client, in all of its sessions."""
    client = Client(websocket.transport)
    async with client.connect() as one, client.connect(reconnecting=True) as other:
        fetched = await one.fetch_schema()
        assert client.schema is fetched
        with pytest.raises(GraphQLValidationError):
            await other.execute(INVALID)
        again = await other.fetch_schema()
        assert again is not fetched
        assert client.schema is again


async def test_a_lazy_session(websocket: OverWebSocket) -> None:
    """It connects for its schema, and then is as lazy as before."""
    client = Client(websocket.transport, fetch_schema=True)
    async with client.connect(reconnecting=True, lazy=True, idle_timeout=0.01):
        assert client.schema is not None
        await websocket.server.connections[0].wait_closed()
    async with client.connect(reconnecting=True, lazy=True) as session:
        assert session.state == "waiting"  # it is known now
        with pytest.raises(GraphQLValidationError):
            await session.execute(INVALID)
        assert session.state == "waiting"
    assert len(websocket.server.connections) == 1


async def test_a_session_that_a_task_group_holds(websocket: OverWebSocket) -> None:
    client = Client(websocket.transport, fetch_schema=True)
    async with anyio.create_task_group() as tg:
        session = await client.connect_async(tg)
        with pytest.raises(GraphQLValidationError):
            await session.execute(INVALID)
        await client.close_async()


# Servers that don't give theirs.


def answering(*payloads: Any) -> ScriptedPeer:
    """A peer that answers with each payload in turn, the last one to all that follow."""

    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        left = list(payloads)
        with suppress(WebSocketEnded):
            while True:
                message = await conn.receive()
                if message["type"] == "subscribe":
                    payload = left.pop(0) if len(left) > 1 else left[0]
                    await conn.send({"type": "next", "id": message["id"], "payload": payload})
                    await conn.send({"type": "complete", "id": message["id"]})

    return ScriptedPeer(script)


REFUSED = {"errors": [{"message": "GraphQL introspection is not allowed"}]}


@both
@pytest.mark.parametrize("by_task_group", [False, True])
async def test_introspection_is_switched_off(reconnecting: bool, by_task_group: bool) -> None:
    """Entering the session says so, and leaves nothing."""
    async with answering(REFUSED) as peer:
        client = client_of(peer, fetch_schema=True)
        for _ in range(2):  # and the next session asks again
            with pytest.raises(TransportQueryError, match="does not allow introspection") as caught:
                if by_task_group:
                    async with anyio.create_task_group() as tg:
                        try:
                            await client.connect_async(tg, reconnecting=reconnecting)
                        except TransportQueryError as error:
                            raised = error
                        await client.close_async()
                    raise raised
                async with client.connect(reconnecting=reconnecting):
                    raise AssertionError
            assert caught.value.errors == REFUSED["errors"]
        assert client.schema is None
        # The session is as good as ever without it.
        client = client_of(peer)
        async with client.connect(reconnecting=reconnecting) as session:
            with pytest.raises(TransportQueryError):
                await session.fetch_schema()
            assert session.state == "connected"
            assert (await session.execute_result("{ a }")).errors


async def test_the_next_that_waits_asks_when_the_first_fails() -> None:
    schema = introspection_from_schema(diary.plain())
    asked = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return _answer(REFUSED if asked == 1 else {"data": schema})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        client = Client(HTTPTransport("http://diary.test", client=http), fetch_schema=True)
        outcomes: list[Any] = []

        async def open_one() -> None:
            try:
                async with client.connect():
                    outcomes.append(client.schema)
            except TransportQueryError as error:
                outcomes.append(error)

        async with anyio.create_task_group() as tg:
            for _ in range(3):
                tg.start_soon(open_one)
    assert asked == 2
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert (len(failed), len(outcomes)) == (1, 3)


async def test_a_server_that_is_older_than_the_query() -> None:
    """It refuses the whole for the one field that it doesn't know; over HTTP with a status."""
    introspection = introspection_from_schema(diary.plain())
    for status in (200, 400, 500):
        documents: list[str] = []

        def answer(
            request: httpx.Request, status: int = status, documents: list[str] = documents
        ) -> httpx.Response:
            documents.append(json.loads(request.content)["query"])
            if "isOneOf" in documents[-1]:
                message = "Cannot query field 'isOneOf' on type '__Type'."
                return _answer({"errors": [{"message": message}]}, status)
            return _answer({"data": introspection})

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            transport = HTTPTransport("http://diary.test", client=http)
            client = Client(transport, fetch_schema=True)
            async with client:
                assert client.schema is not None
            assert len(documents) == 2
            assert "isRepeatable" in documents[1]  # only what it minds is left out

            must = IntrospectionOptions(input_object_one_of=True)
            with pytest.raises(TransportQueryError, match="input_object_one_of"):
                async with Client(transport, fetch_schema=must):
                    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: httpx.Response(502, text="<html>"), TransportServerError),
        (lambda _: httpx.Response(401, json={"message": "who?"}), TransportServerError),
        (
            lambda _: _answer({"data": {"__schema": {"types": [{"kind": "OBJECT"}]}}}),
            TransportProtocolError,
        ),
        (lambda _: _answer({"data": None}), TransportProtocolError),
        (lambda _: _answer({"data": {"hello": 1}}), TransportProtocolError),
        (lambda _: httpx.Response(200, text="hello"), TransportProtocolError),
    ],
)
async def test_answers_without_a_schema(answer: Any, error: type[Exception]) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        transport = HTTPTransport("http://diary.test", client=http)
        client = Client(transport, fetch_schema=True)
        with pytest.raises(error):
            async with client:
                raise AssertionError
        client = Client(transport, schema=diary.SDL)
        before = client.schema
        async with client as session:
            with pytest.raises(error):
                await session.fetch_schema()
        assert client.schema is before


async def test_a_server_that_does_not_answer() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.handshake()
        with suppress(WebSocketEnded):
            while True:
                await conn.receive()

    async with ScriptedPeer(script) as peer:
        with pytest.raises(TransportTimeout):
            async with client_of(peer, fetch_schema=True, execute_timeout=0.05):
                raise AssertionError
        client = client_of(peer)
        async with client as session:
            with pytest.raises(TransportTimeout, match="IntrospectionQuery"):
                await session.fetch_schema(timeout=0.05)
            assert session.state == "connected"
        # Cancelled while it waits for it: nothing is left, which the fixtures check.
        client = client_of(peer, fetch_schema=True)
        with anyio.move_on_after(0.05) as scope:
            async with client:
                raise AssertionError
        assert scope.cancelled_caught
        assert client.schema is None


async def test_a_connection_that_is_lost_meanwhile() -> None:
    """A plain session fails; a permanent one asks again on its next connection."""
    introspection = introspection_from_schema(diary.plain())

    async def lose(conn: PeerConnection) -> None:
        await conn.handshake()
        await conn.expect_type("subscribe")
        conn.reset()

    async def serve(conn: PeerConnection) -> None:
        await conn.handshake()
        message = await conn.expect_type("subscribe")
        payload = {"data": introspection}
        await conn.send({"type": "next", "id": message["id"], "payload": payload})
        with suppress(WebSocketEnded):
            await conn.receive()

    async with ScriptedPeer([lose, lose, serve]) as peer:
        client = client_of(peer, fetch_schema=True)
        with pytest.raises(TransportConnectionFailed):
            async with client:
                raise AssertionError
        async with client.connect(reconnecting=True):
            assert client.schema is not None


async def test_the_introspection_query_is_not_validated(websocket: OverWebSocket) -> None:
    """Nor are its results parsed: the schema that the client has may be an old one."""
    client = Client(
        websocket.transport,
        schema="type Query { old: Int }",
        serialize_variables=True,
        parse_results=True,
    )
    async with client as session:
        await session.fetch_schema()
        assert await session.execute("{ hello }") == {"hello": "hello"}


async def test_introspection_by_hand_is_a_query_like_others(way: Backend) -> None:
    client = Client(way.transport, schema=diary.known(), parse_results=True)
    request = GraphQLRequest(graphql.get_introspection_query())
    async with client as session:
        client.schema = await session.execute(request)
        assert await session.execute("{ hello }") == {"hello": "hello"}
