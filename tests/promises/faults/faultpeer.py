"""A GraphQL server on loopback that commits one fault at one moment, and then behaves well.

It speaks both WebSocket subprotocols, Phoenix channels, JSON over HTTP, server-sent events in both
modes and multipart subscriptions, as far as is needed to get to the moment. The sockets are real
ones: a RST and a half-close can't be had otherwise.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from websockets.frames import Frame, Opcode

from anygql.testing.loopback import LoopbackListener, SocketStream
from anygql.testing.websocket import ServerWebSocket
from anygql.websocket.sockets.base import WebSocketEnded
from tests.promises.faults.matrix import WEB_SOCKETS, Fault, Moment
from tests.promises.faults.matrix import Protocol as Spoken

__all__ = ["MESSAGE_LIMIT", "FaultPeer", "fault_peer"]

ENDED = (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    anyio.IncompleteRead,
    WebSocketEnded,
)

#: In bytes: what the clients of "oversize" take in one WebSocket message or HTTP answer.
MESSAGE_LIMIT = 2**16
#: In bytes: what they take in one event of a stream, which can't be set.
EVENT_LIMIT = 2**24
#: Characters of what fills a large result; fewer where each byte is sent by itself.
LARGE = {Fault.SLOW_DRIP: 100, Fault.SPLIT: 1000}
#: Seconds between two bytes that drip.
DRIP = 0.0005

GARBAGE = b"\x16\x03\x01\xf7\x00\xff\"}\xfe'{ what is this\r\n\r\n"
HTML = b"<html>welcome</html>"
TOKEN = "x-graphql-event-stream-token"


#: What is named in the handshake, where it isn't the protocol's name.
_SUBPROTOCOLS = {Spoken.PHOENIX: None, Spoken.APPSYNC: "graphql-ws"}


class Line(ByteStream):
    """One TCP connection, on which the fault may be committed by the next thing that is sent."""

    def __init__(self, peer: FaultPeer, stream: SocketStream) -> None:
        self._peer = peer
        self._stream = stream
        self._armed = False
        self._part = 0.5
        self._instead: Mapping[Fault, bytes] = {}
        self._slow = False
        self._frozen = False

    def arm(
        self, moment: Moment, instead: Mapping[Fault, bytes] | None = None, *, part: float = 0.5
    ) -> bool:
        """If this is the moment, what is sent next is what the fault happens to; whether it is.

        ``instead``: what a fault of content sends; ``part``: how much is sent before the others.
        """
        if moment is self._peer.moment and self._peer.faults_left:
            self._peer.faults_left -= 1
            self._armed = True
            self._instead = instead or {}
            self._part = part
        return self._armed

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.receive(max_bytes)
        if self._frozen:
            await self._peer.thawed.wait()
            raise ClosedResourceError
        return data

    async def send(self, item: bytes) -> None:
        """Send it, or commit the fault, and raise ``BrokenResourceError`` if that was the end."""
        if self._armed:
            self._armed = False
            await self._commit(item)
        elif self._slow:
            await self._send_slowly(item)
        else:
            await self._stream.send(item)

    async def _commit(self, item: bytes) -> None:
        peer = self._peer
        if peer.fault in {Fault.SLOW_DRIP, Fault.SPLIT}:
            self._slow = True
            peer.committed.set()
            await self._send_slowly(item)
            return
        sent = self._instead.get(peer.fault, item[: int(len(item) * self._part)])
        if sent:
            await self._stream.send(sent)
        peer.committed.set()  # before whoever reads here sees the end, and cancels this
        if peer.fault is Fault.CUT:
            await self._stream.send_eof()
            await self._stream.aclose()
        elif peer.fault is Fault.RESET:
            self._stream.reset()
        elif peer.fault is Fault.HALF_CLOSE:
            await self._stream.send_eof()
        elif peer.fault is Fault.FREEZE:
            self._frozen = True
        raise BrokenResourceError

    async def _send_slowly(self, item: bytes) -> None:
        for at in range(len(item)):
            await self._stream.send(item[at : at + 1])
            await (anyio.sleep(DRIP) if self._peer.fault is Fault.SLOW_DRIP else checkpoint())

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Read until the client has ended it, and close."""
        try:
            if self._frozen:
                await self._peer.thawed.wait()
            while True:
                await self._stream.receive()
        except ENDED:
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asked for."""

    id: str
    kind: str


class Answers(Protocol):
    """How results travel."""

    def instead(self, moment: Moment) -> Mapping[Fault, bytes]:
        """What is sent in place of a result."""
        ...

    async def result(self, id: str, data: Mapping[str, Any]) -> None:
        """One result."""
        ...

    async def complete(self, id: str) -> None:
        """The last of it."""
        ...


@dataclass
class FaultPeer:
    """Made by ``fault_peer``."""

    spoken: Spoken
    moment: Moment
    fault: Fault

    def __post_init__(self) -> None:
        self.url = ""
        #: How often the fault still is to happen.
        self.faults_left = 1
        #: Set by the test, when nothing is asked for any more.
        self.idle = anyio.Event()
        #: Set when the fault has happened.
        self.committed = anyio.Event()
        #: Set at the end: what is frozen sees how the client has ended it.
        self.thawed = anyio.Event()
        self.connections = 0
        #: How many operations came, by kind, answered or not.
        self.asked = {"query": 0, "mutation": 0, "subscription": 0}
        #: How many operations come before any is answered, where they are waited for.
        self.awaited = 3
        self._subscriptions = 0
        self._tokens: dict[str, MemoryObjectSendStream[Operation]] = {}

    def again(self) -> None:
        """The fault is to happen once more."""
        self.faults_left = 1
        self.idle, self.committed = anyio.Event(), anyio.Event()

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        line = Line(self, stream)
        is_websocket = self.spoken in WEB_SOCKETS | {Spoken.APPSYNC}
        talk = self._websocket if is_websocket else self._http
        try:
            if line.arm(Moment.BEFORE_HANDSHAKE, HEADS, part=0):
                await line.send(b"")
            await talk(line)
        except* ENDED:
            pass
        finally:
            await line.aclose()

    def _operation(self, id: str, query: str) -> Operation:
        """One that has come."""
        kind = query.split(None, 1)[0]
        kind = kind if kind in self.asked else "query"
        self.asked[kind] += 1
        return Operation(id, kind)

    # What is the same for all that share a connection.

    async def _respond(
        self, line: Line, operations: MemoryObjectReceiveStream[Operation], answers: Answers
    ) -> None:
        """Answer what is asked, all at once on the first connection that is to fail."""
        if self.faults_left and self.moment in {Moment.WAITING, Moment.LARGE}:
            waiting = [await operations.receive() for _ in range(self.awaited)]
            waiting.sort(key=lambda operation: operation.kind != "subscription")
            for operation in waiting:
                await self._answer(line, operation, answers)
        async for operation in operations:
            await self._answer(line, operation, answers)

    async def _answer(self, line: Line, operation: Operation, answers: Answers) -> None:
        """Answer it; a first subscription with 1, 2, the fault, 3, a later one with 11 and 12."""
        if operation.kind != "subscription":
            await answers.result(operation.id, data_of(operation))
            await answers.complete(operation.id)
            return
        first = 10 * self._subscriptions
        self._subscriptions += 1
        for number in (1, 2):
            await answers.result(operation.id, {"count": first + number})
        if not first:
            line.arm(self.moment, answers.instead(self.moment))
            await answers.result(operation.id, {"count": 3, **self._padding()})
        await answers.complete(operation.id)

    def _padding(self) -> dict[str, str]:
        if self.moment is not Moment.LARGE:
            return {}
        return {"padding": "x" * LARGE.get(self.fault, 200_000)}

    # WebSocket.

    async def _websocket(self, line: Line) -> None:
        line.arm(Moment.IN_HANDSHAKE, HEADS)
        socket = ServerWebSocket(line)
        is_phoenix = self.spoken is Spoken.PHOENIX
        await socket.accept(_SUBPROTOCOLS.get(self.spoken, self.spoken))
        answers = (PhoenixAnswers if is_phoenix else WebSocketAnswers)(self.spoken, socket)
        send, operations = anyio.create_memory_object_stream[Operation](10)
        async with anyio.create_task_group() as tg, send, operations:
            tg.start_soon(self._read_websocket, line, socket, answers, send.clone())
            send.close()
            await self._respond(line, operations, answers)

    async def _read_websocket(
        self,
        line: Line,
        socket: ServerWebSocket,
        answers: WebSocketAnswers,
        operations: MemoryObjectSendStream[Operation],
    ) -> None:
        with operations:
            while socket.is_open:
                for message in await socket.receive_some():
                    await self._take(line, answers, json.loads(message), operations)
                if not socket.is_open:
                    line.arm(Moment.CLOSING, FRAMES)
                await socket.flush()

    async def _take(
        self,
        line: Line,
        answers: WebSocketAnswers,
        message: Mapping[str, Any],
        operations: MemoryObjectSendStream[Operation],
    ) -> None:
        message = answers.read(message)
        match message["type"]:
            case "connection_init":
                line.arm(Moment.BEFORE_ACK, FRAMES)
                await answers.acknowledge()
                if self.faults_left and self.fault is Fault.FREEZE:
                    await answers.keep_alive()  # from which on silence counts
                if self.faults_left and self.moment is Moment.IDLE:
                    await self.idle.wait()
                    line.arm(Moment.IDLE, FRAMES)
                    await answers.keep_alive()
            case "ping":
                await answers.pong(message)
            case "subscribe" | "start":
                payload = message["payload"]
                if self.spoken is Spoken.APPSYNC:
                    payload = json.loads(payload["data"])
                    await answers.say({"type": "start_ack", "id": message["id"]})
                operation = self._operation(message["id"], payload["query"])
                await answers.begin(operation)
                await operations.send(operation)

    # HTTP.

    async def _http(self, line: Line) -> None:
        buffered = BufferedByteReceiveStream(line)
        while True:
            head = (await buffered.receive_until(b"\r\n\r\n", 2**16)).decode()
            request, *lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, value in (header.split(":", 1) for header in lines)
            }
            body = await buffered.receive_exactly(int(headers.get("content-length", 0)))
            if not await self._reply(line, request.split()[0], headers, body):
                return

    async def _reply(
        self, line: Line, method: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Answer one request; whether the connection is kept."""
        if self.spoken is Spoken.SINGLE_SSE:
            return await self._reply_single(line, method, headers, body)
        operation = self._operation("", json.loads(body)["query"])
        if operation.kind == "subscription":
            line.arm(Moment.IN_HANDSHAKE, HEADS)
            answers = STREAMED[self.spoken](line, self.fault)
            await answers.begin()
            await self._while_connected(line, lambda: self._answer(line, operation, answers))
            return False
        return await self._reply_json(line, operation)

    async def _reply_json(self, line: Line, operation: Operation) -> bool:
        due = self.faults_left  # before the client can ask for the next
        alone = self.spoken is Spoken.HTTP  # where there are streams, the fault is for them
        padding = self._padding() if alone and self.faults_left else {}
        body = json.dumps({"data": data_of(operation) | padding}).encode()
        kept = self.moment in {Moment.IDLE, Moment.REUSE}
        head = http_head("application/json", len(body), close=not kept)
        if alone:
            line.arm(Moment.IN_HANDSHAKE, HEADS)
        if self.moment is Moment.REUSE and self.idle.is_set():
            line.arm(Moment.REUSE, HEADS, part=0)
            await line.send(head + body)
            return True
        if padding:
            await line.send(head)
            line.arm(Moment.LARGE, {Fault.GARBAGE: spoilt(body), Fault.OVERSIZE: body})
            await line.send(body)
        elif alone and self.moment is Moment.WAITING:
            line.arm(Moment.WAITING, HEADS | {Fault.OVERSIZE: OVERSIZE_ANSWER}, part=0)
            await line.send(head + body)
        else:
            await line.send(head)
            await line.send(body)
        if not kept:
            return False
        if due and self.moment is Moment.IDLE:
            await self.idle.wait()
            line.arm(Moment.IDLE, HEADS)
            await line.send(b"")
        return True

    async def _reply_single(
        self, line: Line, method: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        if method == "PUT":
            token = f"token-{len(self._tokens) + 1}"
            line.arm(Moment.IN_HANDSHAKE, HEADS)
            await line.send(http_head("text/plain", len(token), status="201 Created"))
            await line.send(token.encode())
        elif method == "GET":
            send, operations = anyio.create_memory_object_stream[Operation](10)
            self._tokens[headers[TOKEN]] = send
            with send, operations:
                await self._stream(line, operations)
        elif method == "POST":
            wanted = json.loads(body)
            operation = self._operation(wanted["extensions"]["operationId"], wanted["query"])
            await line.send(http_head("text/plain", 0, status="202 Accepted"))
            try:
                await self._tokens[headers[TOKEN]].send(operation)
            except (BrokenResourceError, ClosedResourceError):
                pass  # the stream has been lost meanwhile
        else:
            await line.send(http_head("text/plain", 0))
        return False

    async def _stream(self, line: Line, operations: MemoryObjectReceiveStream[Operation]) -> None:
        line.arm(Moment.BEFORE_ACK, HEADS)
        answers = SharedEventStream(line, self.fault)
        await answers.begin()

        async def respond() -> None:
            if self.faults_left and self.moment is Moment.IDLE:
                await self.idle.wait()
                line.arm(Moment.IDLE, answers.instead(Moment.IDLE))
                await answers.keep_alive()
            await self._respond(line, operations, answers)

        await self._while_connected(line, respond)

    @staticmethod
    async def _while_connected(line: Line, work: Callable[[], Awaitable[None]]) -> None:
        async def watch() -> None:
            try:
                while True:
                    await line.receive()
            except ENDED:
                tg.cancel_scope.cancel()

        async with anyio.create_task_group() as tg:
            tg.start_soon(watch)
            await work()
            tg.cancel_scope.cancel()


def data_of(operation: Operation) -> dict[str, Any]:
    return {"hello": "world"} if operation.kind == "query" else {"add": 1}


def spoilt(message: bytes) -> bytes:
    """The message with garbage in its middle; as long, and with the same beginning and end."""
    garbage = GARBAGE.replace(b"\r\n", b"")
    return (
        b"x".join((message[: len(message) // 2], garbage, message[len(message) // 2 :]))[
            : len(message) - 40
        ]
        + message[-40:]
    )


# WebSocket.


def text_frame(text: bytes, *, opcode: Opcode = Opcode.TEXT, fin: bool = True) -> bytes:
    return Frame(opcode, text, fin).serialize(mask=False)


WRONG_CLOSE = Frame(Opcode.CLOSE, (1006).to_bytes(2, "big")).serialize(mask=False)
PIECE = text_frame(b'"' + b"x" * (MESSAGE_LIMIT // 2), fin=False)

FRAMES = {
    Fault.GARBAGE: b"\xf7" + GARBAGE,
    Fault.NONSENSE: text_frame(b'{"type":"something else"}'),
    Fault.OVERSIZE: b"\x81\x7f" + (2**40).to_bytes(8, "big") + b"x" * 100,
    Fault.WRONG_CLOSE: WRONG_CLOSE,
}
#: In the middle of a message: of a frame, or between its fragments.
FRAMES_INSIDE = {
    Fault.OVERSIZE: PIECE + text_frame(b"x" * MESSAGE_LIMIT, opcode=Opcode.CONT),
    Fault.WRONG_CLOSE: PIECE + WRONG_CLOSE,
}


class WebSocketAnswers:
    """Results as messages."""

    def __init__(self, spoken: Spoken, socket: ServerWebSocket) -> None:
        self._legacy = spoken in {Spoken.LEGACY_WS, Spoken.APPSYNC}
        self._socket = socket

    def read(self, message: Any) -> Mapping[str, Any]:
        """A message of the client's, with its ``type``."""
        return message  # type: ignore[no-any-return]

    async def acknowledge(self) -> None:
        await self.say({"type": "connection_ack"})

    async def pong(self, ping: Mapping[str, Any]) -> None:
        await self.say({"type": "pong"})

    async def begin(self, operation: Operation) -> None:
        """What is said as soon as one has come."""

    async def say(self, message: Any) -> None:
        self._socket.send_text([json.dumps(message).encode()])
        await self._socket.flush()

    async def keep_alive(self) -> None:
        await self.say({"type": "ka"} if self._legacy else {"type": "ping"})

    def instead(self, moment: Moment) -> Mapping[Fault, bytes]:
        if moment is not Moment.LARGE:
            return FRAMES
        message = b'{"id":"1","type":"next","payload":{"data":{"padding":"%s"}}}' % (b"x" * 70000)
        return FRAMES_INSIDE | {Fault.GARBAGE: text_frame(spoilt(message))}

    async def result(self, id: str, data: Mapping[str, Any]) -> None:
        kind = "data" if self._legacy else "next"
        await self.say({"id": id, "type": kind, "payload": {"data": data}})

    async def complete(self, id: str) -> None:
        await self.say({"id": id, "type": "complete"})


CONTROL = "__absinthe__:control"


class PhoenixAnswers(WebSocketAnswers):
    """Results as replies, and for subscriptions as messages to a topic."""

    def __init__(self, spoken: Spoken, socket: ServerWebSocket) -> None:
        super().__init__(spoken, socket)
        self._subscriptions: set[str] = set()

    def read(self, message: Any) -> Mapping[str, Any]:
        _, ref, _, event, payload = message
        kinds = {"phx_join": "connection_init", "heartbeat": "ping", "doc": "subscribe"}
        return {"type": kinds.get(event, event), "id": ref, "payload": payload}

    async def _reply(self, ref: str, response: Any, topic: str = CONTROL) -> None:
        payload = {"response": response, "status": "ok"}
        await self.say(["1", ref, topic, "phx_reply", payload])

    async def acknowledge(self) -> None:
        await self._reply("1", {})

    async def pong(self, ping: Mapping[str, Any]) -> None:
        await self._reply(ping["id"], {}, "phoenix")

    async def begin(self, operation: Operation) -> None:
        if operation.kind == "subscription":
            self._subscriptions.add(operation.id)
            await self._reply(operation.id, {"subscriptionId": f"topic-{operation.id}"})

    async def keep_alive(self) -> None:
        await self.say([None, None, CONTROL, "presence_diff", {}])

    def instead(self, moment: Moment) -> Mapping[Fault, bytes]:
        if moment is not Moment.LARGE:
            return FRAMES
        message = b'[null,null,"topic-2","subscription:data",{"result":{"data":{"p":"%s"}}}]'
        garbage = text_frame(spoilt(message % (b"x" * 70000)))
        return FRAMES_INSIDE | {Fault.GARBAGE: garbage}

    async def result(self, id: str, data: Mapping[str, Any]) -> None:
        if id not in self._subscriptions:
            await self._reply(id, {"data": data})
            return
        payload = {"result": {"data": data}, "subscriptionId": f"topic-{id}"}
        await self.say([None, None, f"topic-{id}", "subscription:data", payload])

    async def complete(self, id: str) -> None:
        """There is no such message."""


# HTTP.


def http_head(
    kind: str, length: int | None, *, status: str = "200 OK", close: bool = True
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}"]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    if close:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode()


OVERSIZE_ANSWER = http_head("application/json", 2 * MESSAGE_LIMIT) + b"[" * (2 * MESSAGE_LIMIT)

#: In place of the head of an answer.
HEADS = {
    Fault.GARBAGE: GARBAGE,
    Fault.NONSENSE: http_head("text/html", len(HTML)) + HTML,
    Fault.OVERSIZE: b"HTTP/1.1 200 OK\r\nx: " + b"x" * 2**18,
}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class StreamAnswers:
    """Results in a chunked answer that goes on."""

    kind = ""
    prelude = b""
    finale = b""

    def __init__(self, line: Line, fault: Fault) -> None:
        self._line = line
        self._fault = fault

    async def begin(self) -> None:
        await self._line.send(http_head(self.kind, None))
        if self.prelude:
            await self._line.send(chunk(self.prelude))

    def frame(self, id: str, payload: bytes) -> bytes:
        """One result."""
        raise NotImplementedError

    def instead(self, moment: Moment) -> Mapping[Fault, bytes]:
        nonsense = chunk(self.frame("1", b"[what, is this"))
        oversize, garbage = b"", GARBAGE
        if self._fault is Fault.OVERSIZE:  # not made in vain
            oversize = chunk(self.frame("1", b'{"padding":"%s"}' % (b"x" * EVENT_LIMIT)))
        if moment is Moment.LARGE:
            garbage = chunk(spoilt(self.frame("1", b'{"padding":"%s"}' % (b"x" * 70000))))
        return {Fault.GARBAGE: garbage, Fault.NONSENSE: nonsense, Fault.OVERSIZE: oversize}

    async def result(self, id: str, data: Mapping[str, Any]) -> None:
        payload = json.dumps({"data": data}).encode()
        await self._line.send(chunk(self.frame(id, payload)))

    async def complete(self, id: str) -> None:
        await self._line.send(chunk(self.finale) + chunk(b""))


class EventStream(StreamAnswers):
    """Server-sent events, of one operation."""

    kind = "text/event-stream"
    finale = b"event: complete\ndata:\n\n"

    def frame(self, id: str, payload: bytes) -> bytes:
        return b"event: next\ndata: %s\n\n" % payload


class SharedEventStream(EventStream):
    """Server-sent events, of all operations."""

    prelude = b":\n\n"

    def frame(self, id: str, payload: bytes) -> bytes:
        return b'event: next\ndata: {"id":"%s","payload":%s}\n\n' % (id.encode(), payload)

    async def keep_alive(self) -> None:
        await self._line.send(chunk(self.prelude))

    async def complete(self, id: str) -> None:
        await self._line.send(chunk(b'event: complete\ndata: {"id":"%s"}\n\n' % id.encode()))


class Multipart(StreamAnswers):
    """Apollo's multipart subscriptions."""

    kind = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    prelude = b"--graphql"
    finale = b"--\r\n"

    def frame(self, id: str, payload: bytes) -> bytes:
        head = b"\r\ncontent-type: application/json\r\n\r\n"
        return b'%s{"payload":%s}\r\n--graphql' % (head, payload)


STREAMED: Mapping[Spoken, type[StreamAnswers]] = {
    Spoken.SSE: EventStream,
    Spoken.MULTIPART: Multipart,
}


@asynccontextmanager
async def fault_peer(spoken: Spoken, moment: Moment, fault: Fault) -> AsyncGenerator[FaultPeer]:
    """The peer, while its context is entered. Leaving it waits until the client has ended every
    connection, so the client must have been left before."""
    listener = LoopbackListener("127.0.0.1", 0)
    peer = FaultPeer(spoken, moment, fault)
    scheme = "ws" if spoken in WEB_SOCKETS else "http"
    peer.url = f"{scheme}://127.0.0.1:{listener.port}/graphql"

    async def accept() -> None:
        with suppress(ClosedResourceError):
            while True:
                tg.start_soon(peer.serve, await listener.accept())

    async with anyio.create_task_group() as tg, anyio.create_task_group() as accepting:
        accepting.start_soon(accept)
        try:
            yield peer
        finally:
            listener.close()
            peer.thawed.set()
            accepting.cancel_scope.cancel()
