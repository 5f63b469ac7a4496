"""One connection of a ``GraphQLServer``: how it is served, and what a test sees of it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup

from ..concurrency.signal import Signal
from ..protocols.close_codes import CloseCode
from ..websocket.sockets.base import WebSocketEnded
from .dialects import (
    DIALECTS,
    REASONS,
    Answer,
    Dialect,
    Init,
    Malformed,
    Message,
    Ping,
    Reset,
    Start,
    Stop,
    Terminate,
    choose,
)
from .execution import ServerExecution
from .operations import ActiveOperations
from .outbox import MessageLog, Outbox, encode
from .waiting import wait_until
from .websocket import ServerWebSocket

__all__ = ["OnConnect", "ServerConnection", "ServerOptions"]

Predicate: TypeAlias = "str | Callable[[Message], bool]"
OnConnect: TypeAlias = "Callable[[Any], Any | Awaitable[Any]]"


@dataclass(slots=True)
class ServerOptions:
    """How a server treats its connections; see ``GraphQLServer``."""

    execution: ServerExecution
    context_value: Any = None
    protocols: Sequence[str] = tuple(DIALECTS)
    on_connect: OnConnect | None = None
    connection_init_wait_timeout: float = 3
    keep_alive_interval: float | None = None
    close_timeout: float = 5
    history: int = 100_000
    max_queued_messages: int = 64
    max_queued_bytes: int = 2**16

    def context_for(self, client: Any) -> Any:
        """Return the context of an operation of a connection, or of a request over HTTP."""
        return self.context_value(client) if callable(self.context_value) else self.context_value


class ServerConnection:
    """One client's connection: its messages, its operations, and ways to misbehave."""

    def __init__(self, websocket: ServerWebSocket, options: ServerOptions) -> None:
        request = websocket.request
        #: The path and query string of the client's request.
        self.path: str = request.path if request else ""
        #: The headers of the client's request.
        self.headers: Mapping[str, str] = request.headers if request else {}
        choice = choose(options.protocols, request) if request else None
        dialect, handshake = choice or (DIALECTS[options.protocols[0]], None)
        #: The name of the protocol that is spoken; ``None`` if none was agreed upon.
        self.protocol: str | None = dialect.name if handshake else None
        #: The subprotocol that was named in the handshake, if any.
        self.subprotocol: str | None = handshake.subprotocol if handshake else None
        #: The HTTP status that answers the handshake; any other than 101 refuses it.
        self.status = handshake.status if handshake else 101
        #: The messages that were received, in order.
        self.received: list[Message] = []
        #: The messages that were written, in order.
        self.sent = MessageLog(options.history)
        #: The payload of ``connection_init``.
        self.init_payload: Any = None
        #: Close code and reason once the connection is over, 1006 without a close frame.
        self.closed: tuple[int, str] | None = None
        self._dialect: Dialect = dialect(request)
        self._websocket = websocket
        self._options = options
        self._outbox = Outbox(options.max_queued_messages, options.max_queued_bytes)
        self._changed = Signal()
        self._operations = ActiveOperations(
            self._dialect, options.execution, self._outbox, self._changed
        )
        self._is_frozen = False
        self._unfrozen = Signal()
        self._tasks: TaskGroup | None = None
        self._init_received = self._acknowledged = False
        self._closing: tuple[int, str] | None = None
        self._reading_over = False
        self._writing_over = anyio.Event()

    def __repr__(self) -> str:
        state = "open" if self.closed is None else f"closed: {self.closed[0]}"
        return f"<ServerConnection {self.protocol} {state}>"

    # What a test sees

    @property
    def operations(self) -> list[str]:
        """The ids of the operations that are active now."""
        return self._operations.active

    async def wait_received(self, what: Predicate, count: int = 1) -> Message:
        """Wait for a message to be received, and return it.

        Args:
            what: The message's type (with Phoenix, the event), or a predicate that is called with
                messages.
            count: Which of the messages that match to return, from 1; earlier ones count too.

        Raises:
            AssertionError: If the connection ends before.
        """
        return await self._wait_message(self.received, "received", what, count)

    async def wait_sent(self, what: Predicate, count: int = 1) -> Message:
        """Wait for a message to be written, and return it; see ``wait_received``."""
        return await self._wait_message(self.sent, "sent", what, count)

    async def _wait_message(
        self, messages: Sequence[Message], verb: str, what: Predicate, count: int
    ) -> Message:
        kind = self._dialect.kind

        def matches(message: Message) -> bool:
            return kind(message) == what if isinstance(what, str) else what(message)

        def find() -> Message | None:
            found = [message for message in messages if matches(message)]
            if len(found) >= count:
                return found[count - 1]
            if self.closed is not None:
                kinds = [kind(message) for message in messages]
                raise AssertionError(
                    f"the connection ended ({self.closed[0]}) when it had {verb} {len(found)} of "
                    f"{count} messages that match {what!r}; it had {verb} {kinds}"
                )
            return None

        return await wait_until(self._changed, find)

    async def wait_operations(self, count: int) -> None:
        """Wait until exactly ``count`` operations are active."""
        await wait_until(self._changed, lambda: len(self.operations) == count or None)

    async def wait_closed(self) -> tuple[int, str]:
        """Wait until the connection is over; return its close code and reason."""
        return await wait_until(self._changed, lambda: self.closed)

    # Ways to misbehave

    async def send(self, message: Message) -> None:
        """Send ``message``, even a forbidden one, and wait until it is written."""
        await self._written(lambda: self._outbox.add(encode(message)))

    async def ping(self, payload: bytes = b"") -> None:
        """Send a WebSocket ping frame (RFC 6455 §5.5.2), and wait until it is written.

        Args:
            payload: What the ping carries, up to 125 bytes. Default: nothing.
        """
        await self._written(lambda: self._websocket.ping(payload))

    async def _written(self, queue: Callable[[], None]) -> None:
        if not self._websocket.is_open:
            raise self._websocket.ended()
        queue()
        self._outbox.wake()
        while self._outbox.has_work and self.closed is None:
            await self._changed.wait()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Send a close frame, and wait until the connection is over.

        Args:
            code: The close code. Default: 1000.
            reason: The reason, up to 123 bytes of UTF-8. Default: empty.
        """
        self._begin_close(code, reason)
        await self.wait_closed()

    def reset(self) -> None:
        """Break the connection, as a crash or a broken network would."""
        self._websocket.reset()

    def freeze(self) -> None:
        """Stop reading and writing, but leave the connection open."""
        self._is_frozen = True

    def unfreeze(self) -> None:
        """Resume reading and writing."""
        self._is_frozen = False
        self._unfrozen.notify()

    # Serving

    async def run(self) -> None:
        """Serve until the connection is over, and close its stream."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._websocket.on_output = self._outbox.wake
                self._tasks.start_soon(self._write)
                self._open()
                await self._read()
                self._tasks.cancel_scope.cancel()
        finally:
            self.closed = self._websocket.closed
            self._changed.notify()
            if not self._writing_over.is_set():
                await anyio.aclose_forcefully(self._websocket.stream)
        await self._websocket.drain()

    def _open(self) -> None:
        if self.protocol is None:
            self._close_with(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE)
        elif self._dialect.awaits_init:
            self._start_soon(self._wait_init)

    async def _wait_init(self) -> None:
        await anyio.sleep(self._options.connection_init_wait_timeout)
        if not self._init_received:
            self._close_with(CloseCode.CONNECTION_INITIALISATION_TIMEOUT)

    async def _read(self) -> None:
        try:
            while True:
                await self._wait_unfrozen()
                messages = await self._websocket.receive()
                await self._wait_unfrozen()
                for message in messages:
                    self._handle(message)
        except WebSocketEnded:
            pass
        self._operations.stop_all()
        self._reading_over = True
        self._outbox.wake()
        with anyio.move_on_after(self._options.close_timeout):
            await self._writing_over.wait()

    async def _write(self) -> None:
        websocket, outbox = self._websocket, self._outbox
        try:
            while not self._reading_over or outbox.has_work:
                await outbox.wait_work()
                if not self._reading_over:
                    await self._wait_unfrozen()
                messages = outbox.take()
                if websocket.is_open:
                    self.sent.extend(messages)
                    websocket.send_text(messages)
                    if self._closing is not None:
                        websocket.send_close(*self._closing)
                        self._start_soon(self._limit_closing)
                await websocket.flush()
                outbox.done()
                self._changed.notify()
        except WebSocketEnded:
            pass  # the reader gets the same exception
        self._writing_over.set()

    async def _limit_closing(self) -> None:
        await anyio.sleep(self._options.close_timeout)
        self._task_group.cancel_scope.cancel()

    async def _wait_unfrozen(self) -> None:
        while self._is_frozen:
            await self._unfrozen.wait()

    @property
    def _task_group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("the connection is not being served")
        return self._tasks

    def _start_soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self._task_group.start_soon(function, *args)

    def _begin_close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = (int(code), reason)
            self._operations.stop_all()
            self._outbox.wake()

    def _close_with(self, code: CloseCode) -> None:
        self._begin_close(code, REASONS[code])

    # Handling messages

    def _handle(self, text: str | bytes) -> None:
        if self._closing is not None:
            return
        if isinstance(text, bytes):
            self._begin_close(CloseCode.UNSUPPORTED_DATA, "binary messages are not understood")
            return
        try:
            message = self._dialect.decode(text)
            self._record(message)
            request = self._dialect.parse(message)
        except Malformed as exc:
            self._on_malformed(str(exc))
            return
        match request:
            case Start():
                self._on_start(request)
            case Stop():
                self._on_stop(request)
            case Init():
                self._on_init(request)
            case Ping():
                self._post(self._dialect.pong(request.payload))
            case Answer():
                self._post(*request.messages)
            case Reset():
                self._operations.stop_all()
                self._post(*request.messages)
            case Terminate():
                self._begin_close(CloseCode.NORMAL, "")
            case _:
                pass  # a pong needs no answer

    def _record(self, message: Message) -> None:
        self.received.append(message)
        if len(self.received) > 2 * self._options.history:
            del self.received[: self._options.history]
        self._changed.notify()

    def _on_malformed(self, text: str) -> None:
        if self._dialect.violation is not None:
            self._begin_close(self._dialect.violation, f"Invalid message: {text}")
        else:
            self._post(*self._dialect.refuse(text))

    def _on_init(self, request: Init) -> None:
        if self._init_received and self._dialect.strict:
            self._close_with(CloseCode.TOO_MANY_INITIALISATION_REQUESTS)
            return
        self._init_received = True
        self.init_payload = request.payload
        if self._options.on_connect is None:
            self._acknowledge(None)
        else:
            self._start_soon(self._answer_init, self._options.on_connect, request.payload)

    async def _answer_init(self, on_connect: OnConnect, payload: Any) -> None:
        try:
            answer = await _answer(on_connect, payload)
        except Exception as exc:  # noqa: BLE001 - the client is told
            self._refuse(CloseCode.INTERNAL_SERVER_ERROR, str(exc))
            return
        if answer is False:
            self._refuse(CloseCode.FORBIDDEN, REASONS[CloseCode.FORBIDDEN])
        else:
            self._acknowledge(None if answer is True else answer)

    def _refuse(self, code: CloseCode, reason: str) -> None:
        self._post(*self._dialect.refuse(reason))
        if self._dialect.closes_refused:
            self._begin_close(self._dialect.refusal_code or code, reason)

    def _acknowledge(self, payload: Any) -> None:
        first, self._acknowledged = not self._acknowledged, True
        self._post(*self._dialect.ack(payload))
        interval = self._options.keep_alive_interval
        if first and self._dialect.has_keep_alive and interval is not None:
            self._start_soon(self._keep_alive, interval)

    async def _keep_alive(self, interval: float) -> None:
        while True:
            self._post(self._dialect.keep_alive())
            await anyio.sleep(interval)

    # Operations

    def _on_start(self, start: Start) -> None:
        if not self._acknowledged:
            self._refuse(CloseCode.UNAUTHORIZED, REASONS[CloseCode.UNAUTHORIZED])
        elif start.id in self._operations and self._dialect.strict:
            reason = f"Subscriber for {start.id} already exists"
            self._begin_close(CloseCode.SUBSCRIBER_ALREADY_EXISTS, reason)
        elif start.authorization is not None and self._options.on_connect is not None:
            self._start_soon(self._answer_start, self._options.on_connect, start)
        else:
            self._start(start)

    async def _answer_start(self, on_connect: OnConnect, start: Start) -> None:
        reason = REASONS[CloseCode.UNAUTHORIZED]
        try:
            if await _answer(on_connect, start.authorization) is not False:
                self._start(start)
                return
        except Exception as exc:  # noqa: BLE001 - the client is told
            reason = str(exc)
        self._post(*self._dialect.refuse_start(start.id, reason))

    def _start(self, start: Start) -> None:
        self._operations.stop(start.id)  # legacy: the new one takes its place
        self._operations.start(start, self._options.context_for(self), self._task_group)

    def _on_stop(self, request: Stop) -> None:
        for id in request.ids:
            if self._operations.stop(id):
                self._post(*self._dialect.stopped(id))
        self._post(*request.answer)

    def _post(self, *messages: Message) -> None:
        """Send messages without waiting for it."""
        if self._closing is None and messages:
            self._outbox.add(*map(encode, messages))


async def _answer(on_connect: OnConnect, payload: Any) -> Any:
    answer = on_connect(payload)
    return await answer if inspect.isawaitable(answer) else answer
