"""The public names of GraphQL over HTTP, as a user's program has them: checked, never run."""

from __future__ import annotations

import asyncio
import io
import os
import pathlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import IO, Any, Literal, assert_type

import anyio
import httpx
from graphql import DocumentNode, parse

from anygql import (
    Call,
    Client,
    ExecutionResult,
    FileVar,
    GraphQLRequest,
    HTTPTransport,
    Operation,
    Session,
    Subscription,
    TransportQueryError,
    TransportServerError,
    gql,
)

URL = "https://localhost:8000/graphql"

# Transports: values, functions and async functions.


def url_now() -> str:
    return URL


async def url_soon() -> str:
    return URL


def headers_now() -> dict[str, str]:
    return {"Authorization": "Bearer …"}


async def headers_soon() -> Mapping[str, str]:
    return {}


async def pairs_soon() -> list[tuple[str, str]]:
    return [("Cookie", "a=1"), ("Cookie", "b=2")]


def known_as(request: GraphQLRequest) -> str:
    return request.operation_name or "?"


class UpperJSON:
    """A user's own JSON."""

    def encode(self, value: object, /) -> bytes:
        return repr(value).upper().encode()

    def decode(self, text: bytes, /) -> object:
        return text


transport = HTTPTransport(
    URL,
    headers={"Authorization": "Bearer …"},
    use_get_for_queries=True,
    persisted_queries=True,
    ssl=ssl.create_default_context(),
    connect_timeout=0.5,
    json=UpperJSON(),
)
assert_type(transport, HTTPTransport)
HTTPTransport(url_now, headers=headers_now, persisted_queries=known_as)
HTTPTransport(url_soon, headers=headers_soon, persisted_queries=lambda request: request.text)
HTTPTransport(lambda: URL, headers=lambda: {"a": "b"}, connect_timeout=None)
HTTPTransport(URL, headers=[("a", "b"), ("a", "c")])
HTTPTransport(URL, headers=pairs_soon)
HTTPTransport(URL, headers=None, client=None, ssl=None, json=None)


class TracedClient(httpx.AsyncClient):
    """A user's own kind of client."""


async def clients() -> None:
    async with httpx.AsyncClient(http2=True, auth=("me", "pass")) as own:
        HTTPTransport(URL, client=own)
    HTTPTransport(URL, client=TracedClient(transport=httpx.MockTransport(answer)))
    Client(transport, batch_interval=0.01, batch_max=5)
    Client(URL, batch_interval=0)
    Client(URL, interceptors=[around], attempt_interceptors=(around, Around()))
    Client(URL, subscription_interceptors=[before, before_soon])


async def around(operation: Operation, call: Call) -> ExecutionResult:
    assert_type(operation.request, GraphQLRequest[Any])
    assert_type(operation.name, str | None)
    assert_type(operation.kind, Literal["query", "mutation", "subscription"])
    assert_type(operation.attempt, int)
    assert_type(operation.connection, str)
    operation.context["begun"] = 1.5
    return await call(operation.replace(request="{ hello }", transport_args={"headers": {}}))


class Around:
    """An interceptor with options."""

    async def __call__(self, operation: Operation, call: Call) -> ExecutionResult:
        return await call(operation)


def before(operation: Operation) -> Operation:
    return operation


async def before_soon(operation: Operation) -> Operation:
    return operation


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"data": {}}, request=request)


# Files.


async def pieces() -> AsyncIterator[bytes]:
    yield b"1"


class Reader:
    """An asynchronous iterator that is no generator."""

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


class UploadFile:
    """A file as web frameworks hand over."""

    async def read(self, size: int = -1) -> bytes:
        return b""


def files(
    opened: IO[bytes],
    path: os.PathLike[str],
    read: anyio.AsyncFile[bytes],
    streamed: asyncio.StreamReader,
    uploaded: UploadFile,
) -> None:
    assert_type(FileVar("a.txt"), FileVar)
    FileVar(pathlib.Path("a.txt"), filename="b.txt", content_type="text/plain")
    FileVar(path, filename=None, content_type=None)
    FileVar(b"as bytes")
    FileVar(opened)
    FileVar(io.BytesIO(b"in memory"))
    FileVar(pieces(), filename="c.bin")
    FileVar(Reader())
    FileVar(read)
    FileVar(streamed)
    FileVar(uploaded)
    assert_type(FileVar(b"").filename, str)
    assert_type(FileVar(b"").content_type, str)


def progress(sent: int, total: int | None) -> None: ...


async def uploads(session: Session) -> None:
    variables = {"file": FileVar("a.txt"), "files": [FileVar(b"1"), FileVar(b"2")], "n": 1}
    assert_type(await session.execute("mutation { upload }", variables), Any)
    await session.execute("mutation { upload }", variables, transport_args={"progress": progress})


# What one request has of its own.


async def of_one_request(session: Session) -> None:
    args: dict[str, Any] = {
        "headers": {"X-Trace": "1"},
        "params": {"a": "1"},
        "cookies": {"b": "2"},
        "auth": ("me", "pass"),
        "timeout": httpx.Timeout(3),
        "extensions": {"trace": print},
        "follow_redirects": True,
    }
    assert_type(await session.execute("{ a }", transport_args=args), Any)
    assert_type(await session.execute_result("{ a }", transport_args=args), ExecutionResult)
    await session.execute("{ a }", transport_args={"headers": [("a", "b")]})
    await session.execute("{ a }", transport_args=None)
    await session.execute_batch(["{ a }"], transport_args=args)
    await session.execute_batch_results(["{ a }"], transport_args=args)
    session.subscribe("subscription { a }", transport_args=args)
    session.subscribe_results("subscription { a }", transport_args=args)
    session.execute_incremental("{ a }", transport_args=args)


# Batches.


async def batches(session: Session) -> None:
    request = gql("{ a }")
    requests: list[str | DocumentNode | GraphQLRequest] = [
        "{ a }",
        parse("{ b }"),
        request,
        GraphQLRequest("{ c }", {"x": 1}),
    ]
    assert_type(await session.execute_batch(requests), list[Any])
    assert_type(await session.execute_batch_results(requests), list[ExecutionResult])
    texts = ["{ a }", "{ b }"]
    await session.execute_batch(texts, timeout=None, retry_mutations=True)
    await session.execute_batch((request, request), timeout=1.5)
    for result in await session.execute_batch_results(text for text in texts):
        assert_type(result, ExecutionResult)
        assert_type(result.errors, list[Any] | None)


# Results that grow.


async def growing(session: Session) -> None:
    assert_type(session.execute_incremental("{ a ... @defer { b } }"), Subscription[Any])
    async with session.execute_incremental(
        gql("query ($n: Int) { a(n: $n) @stream }"),
        {"n": 1},
        operation_name=None,
        extensions={},
        buffer_size=16,
    ) as states:
        assert_type(states, Subscription[Any])
        async for state in states:
            assert_type(state, Any)
        assert_type(await states.receive(), Any)
    async for state in session.execute_incremental("{ a }"):
        assert_type(state, Any)


# Errors.


async def caught(session: Session) -> None:
    try:
        await session.execute("{ a }")
    except TransportServerError as error:
        assert_type(error.code, int | None)
        assert_type(error.headers, Mapping[str, str])
        assert_type(error.body, str)
        assert_type(error.retry_after, float | None)
        assert_type(error.retryable, bool)
    except TransportQueryError as error:
        assert_type(error.errors, list[Any])
