"""GraphQL over HTTP on the server's side: what a request asks, and how its result is sent.

https://graphql.github.io/graphql-over-http/draft/, with subscriptions as server-sent events
(graphql-sse's "distinct connections mode"), ``@defer`` and ``@stream`` as those or as multipart
(``incrementalSpec=v0.2``), and arrays of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import msgspec
from graphql import ExecutionResult, GraphQLSyntaxError, OperationType
from graphql.error import located_error

from ..concurrency.closing import aclose_within
from ..http.accept import ACCEPT_JSON as JSON
from ..http.accept import EVENT_STREAM, GRAPHQL_JSON
from ..local.executor import AnyioExecutorMixin
from ..local.schema_execution import Payload, execute_events, format_result, open_events, run
from .dialects import Malformed, Start, start_of
from .execution import OperationFailed, ServerExecution
from .http_connection import ClientLeft, Refused, ResponseWriter
from .http_messages import ServerRequest
from .outbox import encode

__all__ = ["GraphQLOverHTTP"]

MULTIPART = "multipart/mixed"

#: The most requests in one array.
_MAX_BATCH = 100

#: The most parameters in the URL of a GET.
_MAX_PARAMETERS = 20


class _Accepted:
    """The media types that a request accepts (RFC 9110 §12.5.1)."""

    def __init__(self, values: Sequence[str]) -> None:
        self._ranges: dict[str, float] = {} if values else {"*/*": 1}
        for item in ",".join(values).lower().split(","):
            name, *parameters = [part.strip() for part in item.split(";")]
            given = {key: value.strip('"') for key, _, value in map(_partition, parameters)}
            if name and not (name == MULTIPART and _is_other_format(given)):
                self._ranges[name] = _quality(given.get("q", "1"))

    def best(self, candidates: Sequence[str]) -> str | None:
        """Return the candidate that is wanted most, the first of equals; ``None`` if none is."""
        wanted = max(candidates, key=self._wanted)
        return wanted if self._wanted(wanted) > 0 else None

    def _wanted(self, name: str) -> float:
        for range_ in (name, f"{name.partition('/')[0]}/*", "*/*"):
            if range_ in self._ranges:
                return self._ranges[range_]
        return 0


def _partition(parameter: str) -> tuple[str, str, str]:
    return parameter.partition("=")


def _is_other_format(parameters: Mapping[str, str]) -> bool:
    """Return whether parameters of ``multipart/mixed`` ask for what isn't sent here."""
    if {"deferspec", "subscriptionspec"} & parameters.keys():
        return True
    return parameters.get("incrementalspec", "v0.2") != "v0.2"


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0


@dataclass(frozen=True)
class _Format:
    """How the results of one operation follow each other in a body."""

    content_type: str
    begin: bytes
    before: bytes
    after: bytes
    end: bytes

    def encode(self, payload: Payload) -> bytes:
        """Return one result."""
        return self.before + encode(payload) + self.after


_FORMATS = {
    # https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
    EVENT_STREAM: _Format(
        f"{EVENT_STREAM}; charset=utf-8",
        begin=b":\n\n",
        before=b"event: next\ndata: ",
        after=b"\n\n",
        end=b"event: complete\ndata: \n\n",
    ),
    MULTIPART: _Format(
        f'{MULTIPART}; boundary="-"; incrementalSpec=v0.2',
        begin=b"\r\n---",
        before=b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n",
        after=b"\r\n---",
        end=b"--\r\n",
    ),
}


class GraphQLOverHTTP:
    """Answers requests on a schema.

    Args:
        execution: Executes the operations.
        context: A function that returns the context of an operation.
    """

    def __init__(self, execution: ServerExecution, context: Callable[[ServerRequest], Any]) -> None:
        self._execution = execution
        self._context = context

    async def respond(self, request: ServerRequest, writer: ResponseWriter) -> None:
        """Write the response to a request."""
        try:
            await self._respond(request, writer)
        except Refused as refused:
            await writer.refuse(refused)

    async def _respond(self, request: ServerRequest, writer: ResponseWriter) -> None:
        accepted = _Accepted(request.headers.get_all("Accept"))
        if accepted.best([GRAPHQL_JSON, JSON, EVENT_STREAM, MULTIPART]) is None:
            raise Refused(406, "none of the media types in Accept can be sent")
        asked = _read(request)
        if isinstance(asked, Start):
            await _Answer(self, request, writer, accepted).run(asked)
        else:
            await self._batch(asked, request, writer)

    async def _batch(
        self, starts: Sequence[Start], request: ServerRequest, writer: ResponseWriter
    ) -> None:
        results: list[Payload] = [{} for _ in starts]

        async def one(index: int, start: Start) -> None:
            results[index] = await self._execute_in_batch(start, request)

        async with anyio.create_task_group() as tg:
            for index, start in enumerate(starts):
                tg.start_soon(one, index, start)
        await writer.send(200, encode(results), {"Content-Type": f"{JSON}; charset=utf-8"})

    async def _execute_in_batch(self, start: Start, request: ServerRequest) -> Payload:
        outcome, _ = self.prepare(start, request)
        if not isinstance(outcome, AnyioExecutorMixin):
            return outcome
        results: list[Payload] = []

        async def deliver(payload: Payload) -> bool:
            results.append(payload)
            return False

        if outcome.operation.operation is not OperationType.SUBSCRIPTION:
            await run(outcome, deliver)
            if not results[0].get("hasNext"):
                return results[0]
        return {"errors": [{"message": "a request in an array can have one result alone"}]}

    def prepare(
        self, start: Start, request: ServerRequest
    ) -> tuple[AnyioExecutorMixin | Payload, int]:
        """Return an operation's executor, or its result and the status for that."""
        try:
            outcome = self._execution.prepare(start, self._context(request))
        except OperationFailed as exc:
            is_syntax = isinstance(exc.__cause__, GraphQLSyntaxError)
            return {"errors": exc.errors}, 400 if is_syntax else 422
        if isinstance(outcome, ExecutionResult):
            return format_result(outcome), 422
        if request.method == "GET" and outcome.operation.operation is OperationType.MUTATION:
            raise Refused(405, "a mutation needs POST", {"Allow": "POST"})
        return outcome, 200


class _Results:
    """Writes the results of one operation piece by piece."""

    def __init__(self, writer: ResponseWriter, form: _Format) -> None:
        self._writer = writer
        self._format = form

    async def begin(self) -> None:
        """Write what comes before the first result."""
        given = {"Content-Type": self._format.content_type, "Cache-Control": "no-store"}
        await self._writer.begin(given)
        await self._writer.write(self._format.begin)

    async def write(self, *payloads: Payload) -> None:
        """Write results."""
        await self._writer.write(b"".join(map(self._format.encode, payloads)))

    async def end(self) -> None:
        """Write what comes after the last result."""
        await self._writer.write(self._format.end)
        await self._writer.end()


class _Answer:
    """The answer to one operation."""

    def __init__(
        self,
        graphql: GraphQLOverHTTP,
        request: ServerRequest,
        writer: ResponseWriter,
        accepted: _Accepted,
    ) -> None:
        self._graphql = graphql
        self._request = request
        self._writer = writer
        self._accepted = accepted

    async def run(self, start: Start) -> None:
        """Execute the operation and write its results."""
        outcome, status = self._graphql.prepare(start, self._request)
        if not isinstance(outcome, AnyioExecutorMixin):
            await self._send(outcome, status)
        elif outcome.operation.operation is OperationType.SUBSCRIPTION:
            await self._run_subscription(outcome, self._stream(EVENT_STREAM))
        else:
            await self._run_query(outcome)

    def _stream(self, *candidates: str) -> _Results:
        chosen = self._accepted.best(candidates)
        if chosen is None:
            raise Refused(406, f"the results of this operation need Accept: {candidates[0]}")
        return _Results(self._writer, _FORMATS[chosen])

    async def _send(self, payload: Payload, status: int = 200) -> None:
        """Write the only result of an operation."""
        chosen = self._accepted.best([GRAPHQL_JSON, JSON, EVENT_STREAM])
        if chosen == EVENT_STREAM:
            stream = self._stream(EVENT_STREAM)
            await stream.begin()
            await stream.write(payload)
            await stream.end()
            return
        # "Partial success". Whatever is no 2xx says that it is GraphQL, even to legacy clients.
        if chosen == GRAPHQL_JSON and "errors" in payload and "data" in payload:
            status = 294
        media_type = JSON if chosen != GRAPHQL_JSON and status < 300 else GRAPHQL_JSON
        given = {"Content-Type": f"{media_type}; charset=utf-8"}
        await self._writer.send(status, encode(payload), given)

    async def _run_query(self, executor: AnyioExecutorMixin) -> None:
        payloads: list[Payload] = []
        stream: _Results | None = None

        async def deliver(payload: Payload) -> bool:
            nonlocal stream
            if stream is not None:
                await stream.write(payload)
            elif not payload.get("hasNext"):
                payloads.append(payload)
            elif self._accepted.best([MULTIPART, EVENT_STREAM]) is None:
                return False
            else:
                stream = self._stream(MULTIPART, EVENT_STREAM)
                await stream.begin()
                await stream.write(payload)
            return True

        await run(executor, deliver)
        if stream is not None:
            await stream.end()
        elif payloads:
            await self._send(payloads[0])
        else:
            raise Refused(406, f"the results of this operation need Accept: {MULTIPART}")

    async def _run_subscription(self, executor: AnyioExecutorMixin, stream: _Results) -> None:
        events = await open_events(executor)
        if isinstance(events, ExecutionResult):
            payload = format_result(events)
            await self._send(payload, 200 if "data" in payload else 422)
            return
        results: list[Payload] = []

        async def is_wanted() -> bool:
            await stream.write(*results)
            results.clear()
            return True

        def deliver(result: ExecutionResult) -> None:
            results.append(format_result(result))

        try:
            await stream.begin()
            try:
                await execute_events(executor, events, is_wanted, deliver)
            except ClientLeft:
                raise
            except Exception as exc:  # noqa: BLE001 - the source's: the client is told
                results.append({"errors": [located_error(exc).formatted]})
            await is_wanted()
            await stream.end()
        finally:
            await aclose_within(events, executor.close_timeout)


def _read(request: ServerRequest) -> Start | list[Start]:
    """Return the operation of a request, or several in an array."""
    if request.method == "GET":
        return _start(_parameters(request))
    if request.method != "POST":
        raise Refused(405, "use GET or POST", {"Allow": "GET, POST"})
    given = ",".join(request.headers.get_all("Content-Type")).lower()
    media_type, _, parameters = given.partition(";")
    is_utf8 = "charset" not in parameters or "utf-8" in parameters
    if media_type.strip() != JSON or not is_utf8:
        raise Refused(415, f"the body must be {JSON} in UTF-8", {"Accept-Post": JSON})
    try:
        body: Any = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(body, list):
        return _start(body)
    if not 0 < len(body) <= _MAX_BATCH:  # pyright: ignore[reportUnknownArgumentType]
        raise Refused(422, f"an array must have 1 to {_MAX_BATCH} requests")
    return [_start(each) for each in body]  # pyright: ignore[reportUnknownVariableType]


def _parameters(request: ServerRequest) -> Mapping[str, Any]:
    """Return the parameters in the URL of a GET."""
    try:
        query = urlsplit(request.path).query
        found: dict[str, Any] = dict(parse_qsl(query, max_num_fields=_MAX_PARAMETERS))
        for name in ("variables", "extensions"):
            if name in found:
                found[name] = msgspec.json.decode(found[name])
    except (ValueError, RecursionError):
        raise Refused(400, "variables and extensions must be JSON") from None
    return found


def _start(body: Any) -> Start:
    try:
        return start_of(body)
    except Malformed as exc:
        raise Refused(422, f"this is no GraphQL request: {exc}") from None
