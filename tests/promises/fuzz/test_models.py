"""The codecs and a whole connection against models of them, which say what each must do.

The connection's peer says anything that a server could, in any order and in any number of writes,
while operations begin, are cancelled, left and read from. After each step both ends have come to
rest, so the model knows what has happened.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio import ClosedResourceError, EndOfStream
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from websockets.frames import Close, Frame, Opcode

from anygql import (
    Client,
    ExecutionResult,
    SubscriptionOverflow,
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    WebSocketTransport,
)
from anygql.documents.request import GraphQLRequest
from anygql.exceptions import ProtocolViolation
from anygql.json import MsgspecJSON
from anygql.protocols import GRAPHQL_TRANSPORT_WS, GRAPHQL_WS
from anygql.protocols.base import Codec
from anygql.protocols.events import (
    Ack,
    Complete,
    Error,
    KeepAlive,
    Next,
    Ping,
    Pong,
    Refusal,
    Unknown,
)
from anygql.session.session import Session
from anygql.testing import PeerConnection
from anygql.testing.memory import MemoryStream, memory_stream_pair
from anygql.websocket.sockets.base import WebSocketEnded
from anygql.websocket.sockets.stream import StreamConnector
from tests.support.amount import examples

pytestmark = pytest.mark.sampled

# The codecs.

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
IDS = st.text(max_size=4)
ERRORS = st.lists(st.fixed_dictionaries({"message": st.text(max_size=5)}), min_size=1, max_size=2)


class CodecMachine(RuleBasedStateMachine):
    """A server and a client that speak a subprotocol; the model is whether it was acknowledged."""

    codec: Codec
    #: What a server calls a result, and how the client says that an operation begins and ends.
    result, begin, end = "next", "subscribe", "complete"

    def __init__(self) -> None:
        super().__init__()
        self.acknowledged = False
        self.codec = self.new_codec()

    def new_codec(self) -> Codec:
        return GRAPHQL_TRANSPORT_WS.codec(MsgspecJSON())

    def says(self, message: dict[str, Any], event: Any, *, later: bool = False) -> None:
        """The server says this, which means that; ``later``: after the acknowledgement only."""
        text = json.dumps(message)
        if later and not self.acknowledged:
            self.refuses(text)
        else:
            assert self.codec.receive(text) == event

    def refuses(self, text: str | bytes, code: int = 4400) -> None:
        with pytest.raises(ProtocolViolation) as caught:
            self.codec.receive(text)
        assert caught.value.code == code

    @rule(payload=VALUES)
    def acknowledges(self, payload: Any) -> None:
        self.says({"type": "connection_ack", "payload": payload}, Ack(payload))
        self.acknowledged = True

    @rule(id=IDS, data=VALUES, errors=st.none() | ERRORS)
    def sends_a_result(self, id: str, data: Any, errors: Any) -> None:
        payload = {"data": data, "errors": errors}
        event = Next(id, ExecutionResult(data, errors))
        self.says({"type": self.result, "id": id, "payload": payload}, event, later=True)

    @rule(id=IDS, errors=ERRORS)
    def sends_an_error(self, id: str, errors: list[Any]) -> None:
        self.says({"type": "error", "id": id, "payload": errors}, Error(id, errors), later=True)

    @rule(id=IDS)
    def completes(self, id: str) -> None:
        self.says({"type": "complete", "id": id}, Complete(id), later=True)

    @rule(payload=VALUES)
    def does_not_accept(self, payload: Any) -> None:
        self.says({"type": "connection_error", "payload": payload}, Refusal(payload))

    @rule(payload=VALUES)
    def asks_and_answers(self, payload: Any) -> None:
        self.says({"type": "ping", "payload": payload}, Ping(payload))
        self.says({"type": "pong", "payload": payload}, Pong(payload))

    @rule(type=st.sampled_from(["subscribe", "connection_init", "start", "Next", "", 1, None]))
    def says_what_no_server_says(self, type: Any) -> None:
        self.refuses(json.dumps({"type": type, "id": "1", "payload": {}}))

    @rule(text=st.sampled_from(["", "{", "[]", "null", '{"type":"next"', "{}", "\x00"]))
    def says_nonsense(self, text: str) -> None:
        self.refuses(text)

    @rule(data=st.sampled_from([b"\xff", b'{"type":"connection_ack","payload":"\xed\xa0\x80"}']))
    def says_what_is_no_text(self, data: bytes) -> None:
        self.refuses(data, 1007)

    @rule(id=IDS, variables=st.none() | st.dictionaries(st.text(max_size=3), VALUES))
    def begins(self, id: str, variables: Any) -> None:
        request = GraphQLRequest("{ a }", variables)
        payload = {"query": "{ a }"} | ({} if variables is None else {"variables": variables})
        said = json.loads(self.codec.subscribe(id, request))
        assert said == {"type": self.begin, "id": id, "payload": payload}

    @rule(id=IDS)
    def ends(self, id: str) -> None:
        assert json.loads(self.codec.complete(id)) == {"type": self.end, "id": id}


class LegacyCodecMachine(CodecMachine):
    """The same of the legacy subprotocol."""

    result, begin, end = "data", "start", "stop"

    def new_codec(self) -> Codec:
        return GRAPHQL_WS.codec(MsgspecJSON())

    def asks_and_answers(self, payload: Any) -> None:
        """There are no pings in it."""

    @rule()
    def is_there(self) -> None:
        self.says({"type": "ka"}, KeepAlive())

    @rule(payload=VALUES)
    def could_not_read(self, payload: Any) -> None:
        self.says({"type": "error", "payload": payload}, Refusal(payload))

    @rule(type=st.sampled_from(["subscribe", "connection_init", "start", "Next", "", "start_ack"]))
    def says_what_no_server_says(self, type: Any) -> None:
        text = json.dumps({"type": type, "id": "1", "payload": {}})
        assert self.codec.receive(text) == Unknown(type, text)

    @rule(text=st.sampled_from(["", "{", "[]", "null", '{"type":"next"', "\x00"]))
    def says_nonsense(self, text: str) -> None:
        self.refuses(text)

    @rule(text=st.sampled_from(["{}", '{"type":1}', '{"type":null,"message":"no"}']))
    def says_something_without_a_type(self, text: str) -> None:
        assert self.codec.receive(text) == Unknown(None, text)

    @rule()
    def no_pings(self) -> None:
        assert self.codec.receive('{"type":"ping"}') == Unknown("ping", '{"type":"ping"}')
        assert self.codec.ping() is None
        assert self.codec.pong() is None

    @precondition(lambda self: self.acknowledged)
    @invariant()
    def stays_acknowledged(self) -> None:
        assert self.codec.receive('{"type":"complete","id":"0"}') == Complete("0")


BRIEF = settings(
    max_examples=examples(40),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
CodecMachine.TestCase.settings = LegacyCodecMachine.TestCase.settings = BRIEF
TestCodec = CodecMachine.TestCase
TestLegacyCodec = LegacyCodecMachine.TestCase


# The connection.

#: More turns of the loop than anything takes that doesn't wait for the other end.
TURNS = 40

Step = tuple[Any, ...]


@dataclass
class Operation:
    """What the model knows of one operation, and what was seen of it."""

    id: str
    #: "query", or a subscription's ``on_overflow``.
    kind: str
    limit: int = 1024
    queue: list[int] = field(default_factory=list)
    #: How it ended: by "complete", "error", "overflow", "lost", or because it was "left".
    end: str | None = None
    #: How often the server must have been told.
    told: int = 0
    dropped: int = 0
    parked: bool = False
    #: Whether it is a query that has its result, and that the server may go on with.
    streaming: bool = False
    #: What is to come of what waits, and what has come.
    expected: list[Any] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)
    subscription: Any = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    # What the server says.

    def next(self, number: int) -> None:
        if self.end is not None:
            # The second result of a query shows that the server goes on.
            self.told += self.streaming
            self.streaming = False
            return
        if self.kind == "query":
            self.expected.append(number)
            self.end = "complete"
            self.streaming = True
            return
        if len(self.queue) == self.limit and self.kind == "error":
            self.end = "overflow"
            self.told += 1
            return
        if len(self.queue) == self.limit:
            self.queue.pop(0)
            self.dropped += 1
        self.queue.append(number)

    def stop(self, how: str) -> None:
        self.streaming = False
        if self.end is None:
            self.end = how
            if self.kind == "query":
                self.expected.append({"complete": "no answer"}.get(how, how))

    # What its consumer does.

    def take(self) -> Any:
        """What the next item, or the end, must be; nothing while it would wait."""
        if self.queue:
            return self.queue.pop(0)
        if self.end == "error":
            # The errors come as a result, and then the end.
            self.end = "complete"
            return "error"
        return self.end


class World:
    """Both ends of a connection, and the model of them."""

    def __init__(self, session: Session, conn: PeerConnection, tasks: Any) -> None:
        self.session = session
        self.conn = conn
        self.tasks = tasks
        self.operations: list[Operation] = []
        self.number = 0
        self.pings = 0
        #: The code with which it must have ended.
        self.ended: int | None = None
        #: What the close frame may say: behind what ended it, in the same write, the socket may
        #: have found another end, and answered that.
        self.closes: set[int] = set()

    async def rest(self) -> None:
        for _ in range(TURNS):
            await checkpoint()
        for operation in self.operations:
            if operation.parked and (item := operation.take()) is not None:
                operation.parked = False
                operation.expected.append(item)
            assert operation.seen == operation.expected, operation
            told = [m for m in self.conn.received if m == {"type": "complete", "id": operation.id}]
            assert len(told) == operation.told, operation
            if operation.subscription is not None:
                assert operation.subscription.dropped == operation.dropped

    def one(self, which: int) -> Operation | None:
        return self.operations[which % len(self.operations)] if self.operations else None

    # The server.

    async def write(self, steps: list[Step]) -> None:
        """Several messages in one write."""
        if self.ended is not None:
            return
        told = [operation.told for operation in self.operations]
        frames: list[Frame] = []
        for step in steps:
            frames.append(self.frame(*step))
        if self.closes & {4000, 1003}:
            # The socket closes as it reads this, and nothing follows a close frame (RFC 6455
            # §5.5.1): who overflows by what came before it has nobody to tell.
            for operation, before in zip(self.operations, told, strict=True):
                operation.told = before
        await self.conn.send_frames(*frames)

    def frame(self, what: str, which: int = 0) -> Frame:
        if what == "close":
            self.finish(4000)
            return Frame(Opcode.CLOSE, Close(4000, "so").serialize())
        if what == "garbage":
            self.finish(4400)
            return Frame(Opcode.TEXT, b'{"type":"what"}')
        if what in {"ping", "pong", "connection_ack"}:
            self.pings += what == "ping" and self.ended is None
            return self.message({"type": what})
        if what == "binary":
            self.finish(1003)
            return Frame(Opcode.BINARY, b"{}")
        operation = self.one(which) if which < 20 else None
        message: dict[str, Any] = {"type": what, "id": operation.id if operation else str(which)}
        is_open = operation is not None and self.ended is None
        if what == "next":
            self.number += 1
            message["payload"] = {"data": {"n": self.number}}
            if operation is not None and is_open:
                operation.next(self.number)
        else:
            if what == "error":
                message["payload"] = [{"message": "no"}]
            if operation is not None and is_open:
                operation.stop(what)
        return self.message(message)

    def message(self, message: Any) -> Frame:
        return Frame(Opcode.TEXT, json.dumps(message).encode())

    def finish(self, code: int) -> None:
        self.closes.add(code)
        if self.ended is None:
            self.ended = code
            for operation in self.operations:
                operation.stop("lost")

    # The client.

    async def execute(self) -> None:
        operation = Operation("", "query")
        self.tasks.start_soon(self.run_query, operation)
        await self.begun(operation)

    async def run_query(self, operation: Operation) -> None:
        with operation.scope:
            try:
                result = await self.session.execute_result("{ n }")
            except TransportQueryError:
                operation.seen.append("no answer")
            except TransportError as error:
                self.check_fault(error)
                operation.seen.append("lost")
            else:
                operation.seen.append("error" if result.errors else result.data["n"])

    async def subscribe(self, on_overflow: str) -> None:
        limit = 1024 if on_overflow == "pause" else 2
        operation = Operation("", on_overflow, limit)
        subscription = self.session.subscribe_results(
            "subscription { n }",
            buffer_size=limit,
            on_overflow=on_overflow,  # type: ignore[arg-type]
        )
        try:
            await subscription.__aenter__()
        except TransportError as error:
            self.check_fault(error)
            operation.seen.append("lost")
        else:
            operation.subscription = subscription
        await self.begun(operation)

    async def begun(self, operation: Operation) -> None:
        before = len(self.conn.received)
        for _ in range(TURNS):
            await checkpoint()
        new = [m for m in self.conn.received[before:] if m["type"] == "subscribe"]
        if self.ended is not None:
            assert not new
            assert operation.seen == ["lost"]
            return
        (asked,) = [m for m in self.conn.received if m["type"] == "subscribe"][
            len(self.operations) :
        ]
        operation.id = asked["id"]
        assert operation.id not in {other.id for other in self.operations}
        self.operations.append(operation)

    async def leave(self, which: int) -> None:
        """Cancel the query, or leave the subscription."""
        operation = self.one(which)
        if operation is None:
            return
        operation.told += operation.end is None
        if operation.kind == "query":
            operation.end = operation.end or "left"
            operation.scope.cancel()
            return
        was_parked = operation.parked
        operation.end, operation.queue, operation.parked = "left", [], False
        if was_parked:
            operation.expected.append("left")
        await operation.subscription.aclose()

    async def take(self, which: int) -> None:
        """The next result; if there is none, a task waits for it."""
        operation = self.one(which)
        if operation is None or operation.kind == "query" or operation.parked:
            return
        operation.parked = True
        self.tasks.start_soon(self.receive, operation)

    async def give_up(self, which: int) -> None:
        """Look for a result, with no time to wait for one."""
        operation = self.one(which)
        if operation is None or operation.kind == "query" or operation.parked:
            return
        item = operation.take()
        if item is not None:
            operation.expected.append(item)
        with anyio.move_on_after(0):
            await self.receive(operation)

    async def receive(self, operation: Operation) -> None:
        try:
            result = await operation.subscription.receive()
        except EndOfStream:
            operation.seen.append("complete")
        except ClosedResourceError:
            operation.seen.append("left")
        except SubscriptionOverflow:
            operation.seen.append("overflow")
        except TransportError as error:
            self.check_fault(error)
            operation.seen.append("lost")
        else:
            operation.seen.append("error" if result.errors else result.data["n"])

    def check_fault(self, error: TransportError) -> None:
        assert error.code == self.ended
        ours = self.ended in {4400, 1003}
        assert isinstance(error, TransportProtocolError if ours else TransportConnectionFailed)


async def scenario(steps: list[Step]) -> None:
    streams: list[MemoryStream] = []

    async def open_stream(host: str, port: int) -> MemoryStream:
        theirs, ours = memory_stream_pair()
        streams.append(theirs)
        conn_ready.set()
        return ours

    conn_ready = anyio.Event()
    connector = StreamConnector(open_stream=open_stream)
    transport = WebSocketTransport("ws://memory/", connector=connector)
    client = Client(transport, execute_timeout=None)
    peer: list[PeerConnection] = []

    async def serve() -> None:
        await conn_ready.wait()
        conn = PeerConnection(streams[0])
        peer.append(conn)
        try:
            await conn.handshake()
            while True:
                await conn.receive()
        except WebSocketEnded:
            return

    with anyio.fail_after(20):
        async with anyio.create_task_group() as serving:
            serving.start_soon(serve)
            async with client as session, anyio.create_task_group() as tasks:
                world = World(session, peer[0], tasks)
                for step in steps:
                    await act(world, step)
                    await world.rest()
                for which in range(len(world.operations)):
                    await world.leave(which)
                await world.rest()
        conn = peer[0]
        code, _ = await conn.wait_closed()
        await streams[0].aclose()
    assert code in (world.closes or {1000})
    said = [message["type"] for message in conn.received]
    asked = [m["id"] for m in conn.received if m["type"] == "subscribe"]
    assert asked == [operation.id for operation in world.operations]
    assert said.count("connection_init") == 1
    assert set(said) <= {"connection_init", "subscribe", "complete", "pong"}
    # One pong may answer several pings that came together.
    assert bool(world.pings) >= bool(said.count("pong"))
    assert said.count("pong") <= world.pings
    if world.ended is None:
        assert bool(world.pings) == bool(said.count("pong"))


async def act(world: World, step: Step) -> None:
    name, *arguments = step
    do: Callable[..., Awaitable[None]] = getattr(world, name)
    await do(*arguments)


WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
#: Of an operation, or of an id that no operation has.
SAID = st.tuples(st.sampled_from(["next"] * 4 + ["complete", "error"]), WHICH | st.just(77))
ODD = st.sampled_from([("ping",), ("pong",), ("connection_ack",)])
LAST = st.sampled_from([("garbage",), ("close",), ("binary",)])
STEPS = st.lists(
    st.one_of(
        st.just(("execute",)),
        st.tuples(st.just("subscribe"), st.sampled_from(["pause", "error", "drop_oldest"])),
        st.tuples(st.sampled_from(["take", "take", "give_up"]), WHICH),
        st.tuples(st.sampled_from(["take", "take", "leave"]), WHICH),
        st.tuples(st.just("write"), st.lists(SAID | SAID | SAID | ODD, min_size=1, max_size=6)),
        st.tuples(st.just("write"), st.lists(SAID, min_size=1, max_size=6)),
        st.tuples(st.just("write"), st.lists(SAID | ODD | LAST, min_size=1, max_size=4)),
    ),
    min_size=4,
    max_size=30,
)
#: Mostly one subscription or two: of many, each would see little.
STARTS = st.sampled_from(["pause", "pause", "error", "drop_oldest"]).map(lambda o: ("subscribe", o))


def overflowing(last: str) -> list[Step]:
    """What ends the connection comes behind what is too much, in one write."""
    return [("write", [("next", 0)]), ("write", [("next", 0), ("next", 0), (last,)])]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@example(("subscribe", "error"), overflowing("close"))
@example(("subscribe", "error"), overflowing("binary"))
@example(("subscribe", "error"), overflowing("garbage"))
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(start=STARTS, steps=STEPS)
def test_a_connection(backend: str, start: Step, steps: list[Step]) -> None:
    anyio.run(scenario, [start, *steps], backend=backend)
