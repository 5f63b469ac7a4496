"""A server of queries over HTTP, and of subscriptions over WebSocket, for ``SplitTransport``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from graphql import GraphQLSchema

from anygql import (
    Client,
    ExecutionResult,
    HTTPTransport,
    LocalSchemaTransport,
    Session,
    SplitTransport,
)
from anygql.testing import GraphQLServer, demo_schema
from tests.support.http_mock import answering

__all__ = ["Both", "both"]


@dataclass
class Both:
    """The two ends, and what came over HTTP."""

    url: str
    socket: GraphQLServer
    requests: list[httpx.Request] = field(default_factory=list)

    @property
    def documents(self) -> list[str]:
        """The documents that came over HTTP, in order."""
        bodies = [json.loads(request.content) for request in self.requests]
        singles = [each for body in bodies for each in (body if isinstance(body, list) else [body])]
        return [body["query"] for body in singles]

    @property
    def subscribed(self) -> list[str]:
        """The documents that came over the socket, in order."""
        return [
            message["payload"]["query"]
            for connection in self.socket.connections
            for message in connection.received
            if message["type"] == "subscribe"
        ]

    def transport(self, *, eager: bool = False, **of_socket: Any) -> SplitTransport:
        return SplitTransport(
            HTTPTransport(self.url), subscriptions=self.socket.transport(**of_socket), eager=eager
        )

    def client(self, **options: Any) -> Client:
        return Client(self.transport(), **options)


@asynccontextmanager
async def both(schema: GraphQLSchema | None = None) -> AsyncGenerator[Both]:
    schema = demo_schema() if schema is None else schema

    async def handle(request: httpx.Request) -> httpx.Response:
        it.requests.append(request)
        body = json.loads(await request.aread())
        if isinstance(body, list):
            return httpx.Response(200, json=[_json(await _execute(one)) for one in body])
        return httpx.Response(200, json=_json(await _execute(body)))

    async def _execute(body: dict[str, Any]) -> ExecutionResult:
        return await local.execute_result(
            body["query"], body.get("variables"), operation_name=body.get("operationName")
        )

    local: Session
    async with (
        GraphQLServer(schema) as socket,
        Client(LocalSchemaTransport(schema)) as local,
        answering(handle) as url,
    ):
        it = Both(url, socket)
        yield it


def _json(result: ExecutionResult) -> dict[str, Any]:
    errors = {"errors": result.errors} if result.errors else {}
    return {"data": result.data} | errors
