"""Types made straight of what comes over the wire: the same as of plain data, and the same errors.

A server says what each test tells it to. Every exchange is made twice: once as it is, and once by
calls that don't take JSON text, so that data are decoded as they come.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

import anyio
import httpx
import msgspec
import pydantic
import pytest
from websockets.frames import Opcode

from anygql import (
    Client,
    ExecutionResult,
    GraphQLRequest,
    HTTPTransport,
    ResultTypeError,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    WebSocketTransport,
)
from anygql.delivery.interfaces import Transport
from anygql.json import MsgspecJSON
from anygql.session.session import Session
from tests.support.websocket_peer import Peer, serving, text

pytestmark = [pytest.mark.table, pytest.mark.usefixtures("bounded")]

QUERY = "query ($payloads: [String!]!) { x(payloads: $payloads) }"
SUBSCRIPTION = "subscription ($payloads: [String!]!) { x(payloads: $payloads) }"
OUT_OF_RANGE = '{"data":{"x":{"number":1e999}}}'


class AnotherJSON(MsgspecJSON):
    """Not the default: it decodes all data itself."""

    decoded = 0

    def decode(self, text: bytes, /) -> Any:
        self.decoded += 1
        return super().decode(text)


@contextmanager
def plainly() -> Generator[None]:
    """Calls that begin here don't take JSON text."""
    with patch.object(GraphQLRequest, "taking_json", lambda request: request):
        yield


# A server, which answers with the payloads that are among the variables. They are bytes, written as
# Latin-1, since not every payload is text.


def script(subprotocol: str) -> Callable[[Peer], Any]:
    is_legacy = subprotocol == "graphql-ws"

    async def answer(peer: Peer) -> None:
        await peer.accept(subprotocol)
        while (got := await peer.frame()).opcode is Opcode.TEXT:
            message = json.loads(bytes(got.data))
            if message["type"] == "connection_init":
                await peer.raw(text('{"type":"connection_ack"}'))
            elif message["type"] in {"start", "subscribe"}:
                start = b'{"id":"%s","type":"%s","payload":' % (
                    message["id"].encode(),
                    b"data" if is_legacy else b"next",
                )
                payloads = message["payload"]["variables"]["payloads"]
                frames = [text(start + each.encode("latin-1") + b"}") for each in payloads]
                if frames:  # without any, the subscription goes on
                    frames.append(text(json.dumps({"id": message["id"], "type": "complete"})))
                await peer.raw(b"".join(frames))

    return answer


def answer_http(request: httpx.Request) -> httpx.Response:
    post = json.loads(request.content)
    payloads = [each.encode("latin-1") for each in post["variables"]["payloads"]]
    headers = {"x-origin": "here"}
    if post["query"] == QUERY:
        return httpx.Response(
            200, headers={**headers, "content-type": "application/json"}, content=payloads[0]
        )
    if request.url.path == "/multipart":
        headers["content-type"] = "multipart/mixed; boundary=b"
        head = b"\r\n--b\r\ncontent-type: application/json\r\n\r\n"
        parts = [head + b'{"payload":' + payload + b"}" for payload in payloads]
        return httpx.Response(200, headers=headers, content=b"".join(parts) + b"\r\n--b--\r\n")
    headers["content-type"] = "text/event-stream"
    events = [b"event: next\ndata: " + payload + b"\n\n" for payload in payloads]
    return httpx.Response(
        200, headers=headers, content=b"".join(events) + b"event: complete\ndata:\n\n"
    )


Way = Callable[[MsgspecJSON], Transport]

WAYS = ["graphql-transport-ws", "graphql-ws", "sse", "multipart"]


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, bounded: None) -> AsyncIterator[Way]:
    async with serving_by(request.param) as way:
        yield way


@asynccontextmanager
async def serving_by(name: str) -> AsyncGenerator[Way]:
    if name.startswith("graphql"):
        async with serving(script(name)) as port:
            yield lambda json: WebSocketTransport(
                f"ws://127.0.0.1:{port}", protocol=name, json=json
            )
    else:
        transport = httpx.MockTransport(answer_http)
        async with httpx.AsyncClient(transport=transport) as client:
            yield lambda json: HTTPTransport(f"http://wire.test/{name}", client=client, json=json)


# Types and payloads.


class Struct(msgspec.Struct):
    number: int
    at: datetime | None = None


@dataclasses.dataclass
class Data:
    number: int
    at: datetime | None = None

    def __post_init__(self) -> None:
        if self.number == 13:
            raise ValueError("unlucky")


@dataclasses.dataclass
class Named:
    typename__: str
    a_number: float | None = None


class Model(pydantic.BaseModel):
    number: int


@dataclasses.dataclass
class Of:
    x: Struct


class Left(msgspec.Struct, tag_field="__typename", tag="Left"):
    number: int


class Right(msgspec.Struct, tag_field="__typename", tag="Right"):
    text: str


#: Types, and options of the calls.
TYPES: list[tuple[Any, dict[str, Any]]] = [
    (Of, {}),
    (dict[str, Struct], {}),
    (dict[str, Any], {}),
    (dict[str, Left | Right | None], {}),
    (dict[str, Named], {"camel_case": True}),
    (dict[str, Model], {}),
    (Struct, {"path": "x"}),
    (Data | None, {"path": "x"}),
    (Named, {"path": "x", "camel_case": True}),
    (int, {"path": "x.number"}),
    (None, {"path": "x.number"}),
    (Any, {}),
]

DATA = [
    *('{"number":1}', '{"number":2,"at":"2026-11-01T12:00:00Z","more":[1,{}]}', '{"number":13}'),
    *("null", "[]", "{}", "3", '"\\ud83d"', '{"number":"1"}', '{"number":1.0,"at":null}'),
    *('{"number":1,"at":"never"}', '{"__typename":"Left","number":1}', '{"__typename":"No"}'),
    *('{"__typename":"Right","text":"\\ud83d\\ude00 é \\ud83d"}', '{"number":1' + "0" * 20 + "}"),
    *('{"__typename":"Named","aNumber":1}', '{"__typename":"Named","a_number":"2"}'),
]
PAYLOADS = [
    *(f'{{"data":{{"x":{data}}}}}' for data in DATA),
    *(f'{{"data":{data}}}' for data in DATA),
    *("{}", "[]", "null", "3", '"x"', '{"data":null,"errors":[]}', '{"errors":[]}', '{"data":{}}'),
    '{"data":{"x":{"number":1}},"extensions":{"cost":3}}',
    '{"extensions":{"cost":3},"errors":null,"data":{"y":0,"x":{"number":1}}}',
    '{"data":{"x":{"number":1}},"errors":[]}',
    '{"data":{"x":{"number":1}},"errors":[{"message":"half","path":["x"]}]}',
    '{"data":{"x":{"number":"1"}},"errors":[{"message":"half"},{"message":"more"}]}',
    '{"data":null,"errors":[{"message":"none","extensions":{"code":"C"}}]}',
    '{"data":5,"errors":[{"message":"none"}]}',
    '{"data":{"x":{"number":1}},"errors":5}',
    '{"data":{"x":{"number":1}},"errors":{"message":"none"}}',
    '  {  "data" :  { "x" : { "number" : 1 } }  }',
]
#: What no JSON is, or no text.
BROKEN = [
    *('{"data":{"x":{"number":01}}}', '{"data":{"x":{"number":1,}}}', '{"data":{"x":"\\x"}}'),
    *('{"data":{"x":{"number":1}}', '{"data":{"x":NaN}}', '{"data":{"x":"\xff"}}'),
]


def outcome_of(error: Exception) -> Any:
    about = [type(error), str(error), type(error.__cause__)]
    for name in ("path", "data", "errors", "extensions", "code", "reason", "body", "headers"):
        about.append(repr(getattr(error, name, None)))
    return about


async def executed(session: Session, payload: str, type_: Any, options: Any) -> Any:
    try:
        made = await session.execute(QUERY, {"payloads": [payload]}, result_type=type_, **options)
    except (TransportError, ResultTypeError) as error:
        return outcome_of(error)
    return type(made), repr(made)


async def received(session: Session, payloads: list[str], type_: Any, options: Any) -> list[Any]:
    outcomes: list[Any] = []
    async with session.subscribe(
        SUBSCRIPTION, {"payloads": payloads}, result_type=type_, **options
    ) as events:
        while True:
            try:
                made = await events.receive()
                outcomes.append((type(made), repr(made)))
            except (TransportQueryError, ResultTypeError) as error:
                outcomes.append(outcome_of(error))
            except TransportError as error:
                return [*outcomes, outcome_of(error)]
            except anyio.EndOfStream:
                return outcomes


def on_the_wire(payload: str) -> str:
    return payload if payload in BROKEN else payload.encode().decode("latin-1")


@pytest.mark.parametrize(("type_", "options"), TYPES, ids=str)
async def test_it_is_the_same_as_of_plain_data(way: Way, type_: Any, options: Any) -> None:
    good = '{"data":{"x":{"number":7,"__typename":"Left"}}}'
    async with Client(way(MsgspecJSON())) as session:
        for payload in map(on_the_wire, PAYLOADS):
            events = [good, payload, good]
            outcomes = [
                await executed(session, payload, type_, options),
                await received(session, events, type_, options),
            ]
            with plainly():
                assert outcomes == [
                    await executed(session, payload, type_, options),
                    await received(session, events, type_, options),
                ], payload


@pytest.mark.parametrize("payload", BROKEN)
async def test_what_is_no_json_has_the_same_end(way: Way, payload: str) -> None:
    good = '{"data":{"x":{"number":7}}}'

    async def outcomes() -> list[Any]:
        async with Client(way(MsgspecJSON())) as session:
            events = await received(session, [good, payload, good], Of, {})
        async with Client(way(MsgspecJSON())) as session:
            return [*events, await executed(session, payload, Of, {})]

    found = await outcomes()
    with plainly():
        assert found == await outcomes()


async def test_another_json_decodes_all_data(way: Way) -> None:
    codec = AnotherJSON()
    payload = '{"data":{"x":{"number":7}}}'
    async with Client(way(codec)) as session:
        async with session.subscribe(
            SUBSCRIPTION, {"payloads": [payload]}, result_type=Of, on_overflow="drop_oldest"
        ) as events:
            assert [event async for event in events] == [Of(Struct(7))]
        assert codec.decoded
        codec.decoded = 0
        assert await session.execute(QUERY, {"payloads": [payload]}, result_type=Of) == Of(
            Struct(7)
        )
        assert codec.decoded


@pytest.mark.parametrize("name", WAYS[:2])
async def test_what_comes_while_untyped_operations_run_too(name: str) -> None:
    """Each gets what it asked for, whatever the others on its connection take."""
    payloads = [on_the_wire(payload) for payload in [*PAYLOADS, OUT_OF_RANGE]]
    good = '{"data":{"x":{"number":7}}}'
    async with serving_by(name) as way, Client(way(MsgspecJSON())) as session:
        expected = [await received(session, [good, each, good], None, {}) for each in payloads]
        answers = [await executed(session, each, None, {}) for each in payloads]
        async with session.subscribe(SUBSCRIPTION, {"payloads": []}, result_type=Of):  # goes on
            for payload, outcome, answer in zip(payloads, expected, answers, strict=True):
                assert await received(session, [good, payload, good], None, {}) == outcome
                assert await executed(session, payload, None, {}) == answer
            results = session.subscribe_results(SUBSCRIPTION, {"payloads": [good, good]})
            assert [result.data async for result in results] == [{"x": {"number": 7}}] * 2
            assert session._supervisor._connection.routes.taking_json == 1


async def test_numbers_out_of_range(way: Way) -> None:
    """They are found where they are decoded, and only there."""
    number = r"sent no GraphQL result, but JSON that can't be read: Number out of range"
    good = '{"data":{"x":{"number":7}}}'
    async with Client(way(MsgspecJSON())) as session:
        for type_ in (Of, dict[str, Any]):
            with pytest.raises(TransportProtocolError, match=number) as caught:
                await session.execute(QUERY, {"payloads": [OUT_OF_RANGE]}, result_type=type_)
            assert str(caught.value).startswith(("ws://127.0.0.1", "http://wire.test"))
            assert caught.value.body == '{"x":{"number":1e999}}'
        variables = {"payloads": [OUT_OF_RANGE, good]}
        async with session.subscribe(SUBSCRIPTION, variables, result_type=Of) as events:
            with pytest.raises(TransportProtocolError, match=number):
                await events.receive()
            assert await events.receive() == Of(Struct(7))


@pytest.mark.parametrize(("type_", "options"), TYPES[:-1], ids=str)
async def test_what_is_dropped_is_not_decoded(way: Way, type_: Any, options: Any) -> None:
    """What could not be decoded is dropped as anything else, whatever the type."""
    good = '{"data":{"x":{"number":7,"__typename":"Left"}}}'
    async with Client(way(MsgspecJSON())) as session:
        events = session.subscribe(
            SUBSCRIPTION,
            {"payloads": [*[OUT_OF_RANGE] * 20, good]},
            result_type=type_,
            buffer_size=1,
            on_overflow="drop_oldest",
            **options,
        )
        async with events:
            while not events.dropped:
                await anyio.lowlevel.checkpoint()
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
            made = await events.receive()
            assert events.dropped == 20
            (expected,) = await received(session, [good], type_, options)
            assert (type(made), repr(made)) == expected


async def test_the_routes_that_take_text_are_counted() -> None:
    good = '{"data":{"x":{"number":7}}}'
    variables = {"payloads": [good]}
    async with serving_by("graphql-transport-ws") as way, Client(way(MsgspecJSON())) as session:
        routes = session._supervisor._connection.routes
        assert routes.taking_json == 0
        async with session.subscribe(SUBSCRIPTION, {"payloads": []}):
            assert routes.taking_json == 0
        async with session.subscribe(SUBSCRIPTION, variables, result_type=Of, buffer_size=1) as one:
            assert routes.taking_json == 1
            assert [event async for event in one] == [Of(Struct(7))]
            assert routes.taking_json == 0
        await session.execute(QUERY, variables, result_type=Of)
        assert routes.taking_json == 0
        async with session.subscribe(SUBSCRIPTION, variables, result_type=Of):
            session._supervisor._connection.drop("as asked")
            assert routes.taking_json == 0


async def test_the_headers_of_the_response_survive() -> None:
    refusal = '{"data":{"x":{"number":1}},"errors":[{"message":"half"}]}'
    async with serving_by("sse") as way, Client(way(MsgspecJSON())) as session:
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(QUERY, {"payloads": [refusal]}, result_type=Of)
        assert caught.value.headers["x-origin"] == "here"
        assert caught.value.body == refusal


async def test_batches_are_read_as_plain_data() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[{"data": {"x": {"number": 7}}}] * 2)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        transport = HTTPTransport("http://wire.test/", client=http)
        async with Client(transport, batch_interval=0.01, batch_max=2) as session:
            made: list[Any] = []

            async def one() -> None:
                made.append(await session.execute("{ x { number } }", result_type=Of))

            async with anyio.create_task_group() as tg:
                tg.start_soon(one)
                tg.start_soon(one)
    assert made == [Of(Struct(7))] * 2


async def test_what_came_last_is_plain_data_for_results(way: Way) -> None:
    """A result is read as plain data wherever its data are looked at."""
    good = '{"data":{"x":{"number":7}},"extensions":{"cost":1}}'
    async with Client(way(MsgspecJSON())) as session:
        connection = session._supervisor._connection
        request = GraphQLRequest(QUERY, {"payloads": [good]}).taking_json()
        result = await connection.execute(request)
        expected = ExecutionResult({"x": {"number": 7}}, None, {"cost": 1})
        assert result == expected
        assert repr(result) == repr(expected)
        assert result.data is result.data
