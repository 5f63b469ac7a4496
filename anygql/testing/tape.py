"""What a ``Recorder`` notes down: connections, operations and results, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, cast

import msgspec

from .. import exceptions
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError
from ..json import MsgspecJSON
from ..local.variables import plain_variables
from ..results.result import ExecutionResult, json_text
from .cassette import (
    DIGITS,
    VERSION,
    Arrival,
    Cassette,
    ConnectionRecord,
    Failure,
    OperationRecord,
)
from .redaction import Redaction

__all__ = ["ConnectionTape", "OperationTape", "Tape", "question"]

_JSON = MsgspecJSON()

#: How the names of headers begin that are of no use in a replay, and new each time.
_OF_HTTP = (
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "keep-alive",
    "sec-websocket-",
    "transfer-encoding",
    "upgrade",
)


def question(
    request: GraphQLRequest, redaction: Redaction
) -> tuple[str, str | None, list[str], dict[str, Any]]:
    """Return a request's kind, name, lines and variables, as a cassette has them."""
    name, kind = request.operation
    lines = redaction.text(request.text).strip().splitlines()
    others = redaction.secret_variables(request.text)
    return kind, name, lines, redaction.value(plain_variables(request, _JSON), others)


class Tape:
    """The recording of one transport, from its first attempt to connect on."""

    def __init__(self, server: str, secrets: Collection[str], *, asks_anew: bool = True) -> None:
        self.redaction = Redaction(secrets)
        self.cassette = Cassette(VERSION, server, asks_anew, self.redaction.names)
        self._began: float | None = None

    def connect(self, now: Callable[[], float]) -> ConnectionTape:
        """Begin an attempt to connect."""
        began = now()
        if self._began is None:
            self._began = began
        record = ConnectionRecord(at=round(began - self._began, DIGITS))
        self.cassette.connections.append(record)
        return ConnectionTape(self, record, now)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return a response's headers without its secrets, and without what only HTTP needs."""
        kept = {name: it for name, it in headers.items() if not name.lower().startswith(_OF_HTTP)}
        return cast("dict[str, str]", self.redaction.value(kept))

    def failure(self, error: TransportError) -> Failure:
        """Return the record of an error, without its secrets."""
        kind = next(each for each in type(error).__mro__ if each.__name__ in exceptions.__all__)
        text, value = self.redaction.text, self.redaction.value
        retryable = None if error.retryable == kind.__dict__.get("retryable") else error.retryable
        return Failure(
            kind.__name__,
            text(str(error)),
            error.code,
            text(error.reason),
            retryable,
            error.unsent,
            error.retry_after,
            self.headers(error.headers),
            text(error.body),
            value(error.errors),
            value(getattr(error, "data", None)),
            value(getattr(error, "extensions", None)),
        )


class ConnectionTape:
    """The recording of one attempt to connect, and of its connection."""

    def __init__(self, tape: Tape, record: ConnectionRecord, now: Callable[[], float]) -> None:
        self._tape = tape
        self._record = record
        self._began = now()
        self._opened: float | None = None
        self._operations: list[OperationTape] = []
        self.now = now
        self.is_closed = False
        #: Whether something was recorded after that, and has not been saved.
        self.has_more = False

    def opened(self, payloads: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Record that there is a connection."""
        value = self._tape.redaction.value
        self._opened = self.now()
        self._record.connecting = round(self._opened - self._began, DIGITS)
        self._record.payloads = value(dict(payloads))
        self._record.headers = self._tape.headers(headers)

    def failed_to_open(self, error: TransportError) -> None:
        """Record that there is no connection, unless there was one."""
        if self._opened is None:
            self._record.connecting = round(self.now() - self._began, DIGITS)
            self._record.failure = self._tape.failure(error)

    def begin(self, request: GraphQLRequest, *, is_kept: bool) -> OperationTape:
        """Begin an operation; it is recorded if ``is_kept``."""
        kind, name, lines, variables = question(request, self._tape.redaction)
        record = OperationRecord(
            kind=kind,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            name=name,
            document=lines,
            variables=variables,
            at=round(self.now() - (self._opened or self._began), DIGITS),
            ended="left",  # if it is saved while it runs
        )
        aliases = self._tape.redaction.secret_aliases(request.text)
        operation = OperationTape(self._tape, self, record, aliases)
        if is_kept:
            self._record.operations.append(record)
            self._operations.append(operation)
        return operation

    def forget(self, record: OperationRecord) -> None:
        """Take back an operation: nothing was sent."""
        operations = self._record.operations
        operations[:] = [each for each in operations if each is not record]

    def ended(self, fault: TransportError | None) -> None:
        """Record the end of the connection; ``fault`` if it was lost."""
        if fault is not None:
            assert self._opened is not None  # noqa: S101 - it was open
            self._record.lost_after = round(self.now() - self._opened, DIGITS)
            self._record.lost = self._tape.failure(fault)
        for operation in self._operations:
            operation.connection_ended(fault)

    def close(self) -> None:
        """End: what is recorded from now on came late. Forget a canceled attempt to connect."""
        self.is_closed = True
        if self._opened is None and self._record.failure is None:
            connections = self._tape.cassette.connections
            connections[:] = [each for each in connections if each is not self._record]


class OperationTape:
    """The recording of one operation."""

    def __init__(
        self,
        tape: Tape,
        connection: ConnectionTape,
        record: OperationRecord,
        aliases: Collection[str],
    ) -> None:
        self._tape = tape
        self._connection = connection
        self._record = record
        self._aliases = aliases
        self._began = connection.now()
        self._is_over = False

    def _after(self) -> float:
        if self._connection.is_closed:
            self._connection.has_more = True
        return round(self._connection.now() - self._began, DIGITS)

    def came(self, result: ExecutionResult) -> None:
        """Record a result, as it is now: its consumer may change it."""
        value = self._tape.redaction.value
        text = json_text(result)
        data = result.data if text is None else msgspec.json.decode(text)
        origin: Any = getattr(result, "origin", None)
        after = self._after()
        if not self._is_over and self._record.ended == "left":
            self._record.ended_after = after
        self._record.results.append(
            Arrival(
                after,
                value(data, self._aliases) if result.has_data else msgspec.UNSET,
                value(result.errors),
                value(result.extensions),
                None if origin is None else origin.status,
                {} if origin is None else self._tape.headers(origin.headers),
            )
        )

    def complete(self) -> None:
        """Record the end by the server, unless it has ended before."""
        if not self._is_over:
            self._end("completed", None)

    def leave(self) -> None:
        """Record the end by this side, unless it or its connection has ended before."""
        if not self._is_over and not self._connection.is_closed:
            self._end("left", None)

    def fail(self, error: TransportError, *, lost: bool) -> None:
        """Record what it failed with; ``lost`` if its connection was what failed."""
        if not self._is_over:
            self._end("lost" if lost else "failed", error)

    def connection_ended(self, fault: TransportError | None) -> None:
        """Record the end of the connection. How the operation took it may be recorded later."""
        if not self._is_over:
            self._end("left" if fault is None else "lost", fault)
            self._is_over = False

    def _end(
        self, how: Literal["completed", "failed", "left", "lost"], error: TransportError | None
    ) -> None:
        self._is_over = True
        self._record.ended = how
        self._record.ended_after = self._after()
        self._record.failure = None if error is None else self._tape.failure(error)

    def discard(self) -> None:
        """Forget the operation."""
        self._is_over = True
        self._connection.forget(self._record)
